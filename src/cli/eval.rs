//! `eval`: methods × tasks, and who wins the routing.

use std::path::PathBuf;

use super::options::{BaseArgs, RouterArgs, choice};
use super::output::Output;
use super::route::{CalibrationFields, left_out, partial, start_session};
use super::{Align, Table};
use crate::Result;
use crate::catalog::Catalog;
use crate::eval::{
    BASELINES, Evaluation, Method, Questions, ScoredTask, Scores, Split, TaskRouting, default_methods,
    routing_of_tasks,
};
use crate::library::Library;
use crate::model::Precision;
use crate::named::{find_name, split_names};
use crate::routing::{Scope, titles};
use crate::scorers::Scorer;
use crate::text::printable;
use crate::train::find_tasks;

/// Score methods on tasks, or count who wins the routing
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    /// Folder of tasks
    #[arg(long, value_name = "DIR")]
    pub tasks: PathBuf,
    #[arg(long, value_name = "METHODS", help = methods_help())]
    pub methods: Vec<String>,
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

/// Which methods there are.
fn methods_help() -> String {
    let baselines: Vec<&str> = BASELINES.iter().map(|baseline| baseline.name).collect();
    let defaults: Vec<String> = default_methods().iter().map(Method::to_string).collect();
    format!(
        "Methods to compare, with commas between: {}, or a router with its settings [default: {}]",
        baselines.join(", "),
        defaults.join(",")
    )
}

/// Reads lists of methods. A comma may belong to the name of an expert of `library`.
fn methods(library: &Library, texts: &[String]) -> Result<Vec<Method>> {
    let known = |name: &str| find_name(library.experts.iter().map(|e| e.name.as_str()), name).is_some();
    let is_method = |text: &str| text.parse::<Method>().is_ok_and(|method| method.expert().is_none_or(known));
    if texts.is_empty() {
        return Ok(default_methods());
    }
    texts.iter().flat_map(|text| split_names(text, is_method)).map(str::parse).collect()
}

/// Runs the command.
pub fn run(args: &EvalArgs, output: &Output) -> Result<()> {
    let tasks = find_tasks(&args.tasks)?;
    let library = Catalog::open(&args.library, args.base.base.as_deref())?;
    output.library_notes(&library);
    let methods = methods(&library, &args.methods)?;
    let router = match args.routing {
        true => args.router.clone(),
        false => args.router.among(methods.iter().filter_map(Method::router)),
    };
    let mut session = start_session(&library, &router, &args.base, Precision::F32, output)?;
    let mut progress = output.progress();
    let mut show = |line: &str| progress.stage(line);
    if args.routing {
        let limit = args.limit.unwrap_or(20) as usize;
        if !session.router().is_routed() {
            let who = titles(|router| router.scope == Scope::Token);
            return Err(crate::Error::usage(format!("--routing needs weights per token: use {who}")));
        }
        let questions = Questions { tasks: &tasks, split: args.split, limit };
        let result = routing_of_tasks(&library, &mut session, &questions, &mut show, output.cancel())?;
        drop(progress);
        if output.is_json() {
            return output.document(&serde_json::json!({
                "split": args.split, "prompts": limit, "experts": session.experts(), "tasks": result,
                "skipped": left_out(&library, &session),
            "partial": partial(&library, &session),
            }));
        }
        return routing_table(&result, session.experts(), output);
    }
    let limit = args.limit.map_or(usize::MAX, |n| n as usize);
    let questions = Questions { tasks: &tasks, split: args.split, limit };
    let evaluation = Evaluation { library: &library, session: &session, cancel: output.cancel() };
    let scores = evaluation.score(&questions, &methods, &mut show)?;
    drop(progress);
    let routers = scores.methods.iter().filter_map(Method::router);
    let calibration = CalibrationFields::of_resolved(&session, routers, output);
    for failed in &scores.failed {
        output.note(&format!("warning: no scores of {failed}"));
    }
    if output.is_json() {
        let names: Vec<String> = scores.methods.iter().map(Method::to_string).collect();
        let tasks: Vec<&str> = scores.tasks.iter().map(|t| t.id.as_str()).collect();
        let metrics: Vec<Scorer> = scores.tasks.iter().map(|t| t.metric).collect();
        return output.document(&serde_json::json!({
            "metric": shared_metric(&scores.tasks), "metrics": metrics, "split": args.split, "methods": names, "tasks": tasks, "scores": scores.scores,
            "calibration": calibration,
            "failed": scores.failed.iter().map(|f| serde_json::json!({ "method": f.name, "reason": f.reason })).collect::<Vec<_>>(),
            "skipped": left_out(&library, &session),
            "partial": partial(&library, &session),
        }));
    }
    score_table(&scores, output)
}

/// How the answers of all tasks are scored; `None` where some are scored in another way.
fn shared_metric(tasks: &[ScoredTask]) -> Option<Scorer> {
    let first = tasks.first()?.metric;
    tasks.iter().all(|task| task.metric == first).then_some(first)
}

fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

fn score_table(scores: &Scores, output: &Output) -> Result<()> {
    let mut columns = vec![("task", Align::Left), ("family", Align::Left), ("items", Align::Right)];
    let names: Vec<String> = scores.methods.iter().map(|m| printable(&m.to_string()).into_owned()).collect();
    columns.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    for (ScoredTask { id, family, items, metric }, row) in scores.tasks.iter().zip(&scores.scores) {
        let mut cells = vec![printable(id).into_owned(), printable(family).into_owned(), items.to_string()];
        let cell = |score: f64| if metric.is_loss() { format!("{score:.3}") } else { percent(score) };
        cells.extend(row.iter().map(|s| s.map_or("–".to_string(), cell)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorers::SCORERS;

    #[test]
    fn a_metric_is_named_where_all_tasks_have_it() {
        let task = |metric| ScoredTask { id: "t".into(), family: String::new(), metric, items: 1 };
        for &metric in SCORERS {
            assert_eq!(shared_metric(&[task(metric), task(metric)]), Some(metric));
        }
        assert_eq!(shared_metric(&SCORERS.iter().copied().map(task).collect::<Vec<_>>()), None);
        assert_eq!(shared_metric(&[]), None);
    }
}
