//! `eval`: methods × tasks, and who wins the routing.

use std::path::PathBuf;

use super::options::{BaseArgs, RouterArgs, choice};
use super::output::{Output, Skipped};
use super::route::{left_out, open_session};
use super::{Align, Table};
use crate::Result;
use crate::eval::{Method, Scores, Split, TaskRouting, routing_of_tasks, score_tasks};
use crate::model::Precision;
use crate::text::printable;
use crate::train::find_tasks;

/// Score methods on tasks, or count who wins the routing
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    /// Folder of adapters
    pub library: PathBuf,
    /// Folder of tasks
    #[arg(long, value_name = "DIR")]
    pub tasks: PathBuf,
    /// Methods to compare [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES", value_enum)]
    pub methods: Vec<Method>,
    /// Split to use: choose settings on validation, report scores on test
    #[arg(long, value_parser = choice::<Split>(), default_value_t)]
    pub split: Split,
    /// Items per task [default: all; 20 with --routing]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Count which expert wins every (prompt token, module) pair instead of scoring answers
    #[arg(long, conflicts_with = "methods")]
    pub routing: bool,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub base: BaseArgs,
}

/// Runs the command.
pub fn run(args: &EvalArgs, output: &Output) -> Result<()> {
    let tasks = find_tasks(&args.tasks)?;
    let (library, mut session) =
        open_session(&args.library, &args.router, &args.base, Precision::F32, output)?;
    let mut progress = output.progress();
    let mut tell = |line: &str| progress.stage(line);
    if args.routing {
        let limit = args.limit.unwrap_or(20) as usize;
        if !session.router().is_routed() {
            return Err(crate::Error::usage("--routing looks at Arrow: leave --router out"));
        }
        let result =
            routing_of_tasks(&library, &mut session, &tasks, args.split, limit, &mut tell, output.cancel())?;
        drop(progress);
        if output.is_json() {
            return output.document(&serde_json::json!({
                "split": args.split, "prompts": limit, "experts": session.experts(), "tasks": result,
                "skipped": left_out(&library, &session),
            "partial": Skipped::partial(&library, &session),
            }));
        }
        return routing_table(&result, session.experts(), output);
    }
    let methods = if args.methods.is_empty() { Method::ALL.to_vec() } else { args.methods.clone() };
    let limit = args.limit.map_or(usize::MAX, |n| n as usize);
    let (model, experts) = (session.model(), session.expert_set());
    let settings = session.router();
    let scores = score_tasks(
        &library,
        model,
        experts,
        &tasks,
        &methods,
        settings,
        args.split,
        limit,
        &mut tell,
        output.cancel(),
    )?;
    drop(progress);
    if output.is_json() {
        let names: Vec<&str> = scores.methods.iter().map(|m| m.name()).collect();
        let tasks: Vec<&str> = scores.tasks.iter().map(|t| t.0.as_str()).collect();
        return output.document(&serde_json::json!({
            "metric": "exact_match", "split": args.split, "methods": names, "tasks": tasks, "scores": scores.scores,
            "skipped": left_out(&library, &session),
            "partial": Skipped::partial(&library, &session),
        }));
    }
    score_table(&scores, output)
}

fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

fn score_table(scores: &Scores, output: &Output) -> Result<()> {
    let mut columns = vec![("task", Align::Left), ("family", Align::Left), ("items", Align::Right)];
    columns.extend(scores.methods.iter().map(|m| (m.name(), Align::Right)));
    let mut table = Table::new(&columns);
    for ((task, family, items), row) in scores.tasks.iter().zip(&scores.scores) {
        let mut cells = vec![printable(task).into_owned(), printable(family).into_owned(), items.to_string()];
        cells.extend(row.iter().map(|s| s.map_or("–".to_string(), percent)));
        table.row(cells);
    }
    output.text(&table.render())
}

fn routing_table(result: &[TaskRouting], experts: &[String], output: &Output) -> Result<()> {
    let mut table = Table::new(&[
        ("task", Align::Left),
        ("family", Align::Left),
        ("own %", Align::Right),
        ("chance", Align::Right),
        ("family %", Align::Right),
        ("chance", Align::Right),
        ("most wins", Align::Left),
    ]);
    let chance = |n: usize| percent(n as f64 / experts.len().max(1) as f64);
    for row in result {
        let best = (0..row.won.len()).max_by(|&a, &b| row.won[a].total_cmp(&row.won[b]));
        let best = best.map_or(String::new(), |e| printable(&experts[e]).into_owned());
        table.row([
            printable(&row.task).into_owned(),
            printable(&row.family).into_owned(),
            percent(row.own_share()),
            chance(1),
            percent(row.family_share()),
            chance(row.relatives.len()),
            best,
        ]);
    }
    output.text(&table.render())
}
