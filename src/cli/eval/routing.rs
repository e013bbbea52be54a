//! `eval --routing`: who wins the routing.

use super::EvalArgs;
use crate::catalog::Catalog;
use crate::cli::options::BaseArgs;
use crate::cli::output::Output;
use crate::cli::route::{left_out, partial, start_session};
use crate::cli::{Align, Table};
use crate::eval::{EvalSpec, TaskRouting, ToAsk, asked_tasks, routing_of_tasks};
use crate::model::Precision;
use crate::routing::{Scope, titles};
use crate::text::printable;
use crate::{Error, Result};

/// Items per task where no other number is asked for.
const LIMIT: usize = 20;

/// Counts which expert has the largest weight.
pub(super) fn run(args: &EvalArgs, spec: &EvalSpec, output: &Output) -> Result<()> {
    let limit = spec.limit.unwrap_or(LIMIT);
    let how = ToAsk { split: spec.split, limit: Some(limit), shots: spec.num_fewshot, ..ToAsk::default() };
    let tasks = asked_tasks(&spec.tasks, &how, &mut |text| output.note(&text), output.cancel())?;
    let library = Catalog::open(&args.library, spec.base.as_deref())?;
    output.library_notes(&library);
    let mut base = BaseArgs { base: spec.base.clone(), ..BaseArgs::default() };
    base.run.device.clone_from(&spec.device);
    base.run.precision = Some(spec.precision);
    let mut session = start_session(&library, &args.router, &base, Precision::F32, output)?;
    if !session.router().is_routed() {
        let who = titles(|router| router.scope == Scope::Token);
        return Err(Error::usage(format!("--routing needs weights per token: use {who}")));
    }
    let mut progress = output.progress();
    let mut show = |line: &str| progress.stage(line);
    let result = routing_of_tasks(&library, &mut session, &tasks, &mut show, output.cancel())?;
    drop(progress);
    if output.is_json() {
        return output.document(&serde_json::json!({
            "split": spec.split, "prompts": limit, "experts": session.experts(), "tasks": result,
            "skipped": left_out(&library, &session), "partial": partial(&library, &session),
        }));
    }
    table(&result, session.experts(), output)
}

/// A share in %, of no experts a dash.
fn percent(share: f64, experts: usize) -> String {
    if experts == 0 { "–".into() } else { format!("{:.1}", share * 100.0) }
}

fn table(result: &[TaskRouting], experts: &[String], output: &Output) -> Result<()> {
    let mut table = Table::new(&[
        ("task", Align::Left),
        ("family", Align::Left),
        ("own %", Align::Right),
        ("chance", Align::Right),
        ("family %", Align::Right),
        ("chance", Align::Right),
        ("most wins", Align::Left),
    ]);
    let chance = |n: usize| percent(n as f64 / experts.len().max(1) as f64, n);
    for row in result {
        let best = (0..row.won.len()).max_by(|&a, &b| row.won[a].total_cmp(&row.won[b]));
        let best = best.map_or(String::new(), |e| printable(&experts[e]).into_owned());
        let own = usize::from(row.own.is_some());
        table.row([
            printable(&row.task).into_owned(),
            printable(&row.family).into_owned(),
            percent(row.own_share(), own),
            chance(own),
            percent(row.family_share(), row.relatives.len()),
            chance(row.relatives.len()),
            best,
        ]);
    }
    output.text(&table.render())
}
