//! `transfer`: which expert helps with which task, and which similarity says so beforehand.

use std::path::PathBuf;

use super::files::Files;
use super::output::Output;
use super::{Align, Table};
use crate::analysis::{self, ComparisonCache, DEFAULT_SPARSITY, Metric};
use crate::catalog::Catalog;
use crate::eval::{EvalEvent, EvalSpec, ReportedTask, Split, TASKS_HELP, Transfer, own_expert};
use crate::export::{Export, Format};
use crate::jobs::evaluate_in_foreground;
use crate::model::Precision;
use crate::named::Named;
use crate::plot::{Drawing, DrawnScores, scores_figure};
use crate::routing::RouterConfig;
use crate::scorers::Scoring;
use crate::text::{csv_field, number, percent, printable};
use crate::{Error, Result};

use super::options::choice;

/// Tasks and experts above which the matrix is not printed.
const PRINTED: usize = 24;

/// Ask every expert every task, and find the similarity that predicts who helps
#[derive(Clone, Debug, clap::Args)]
pub struct TransferArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[arg(long, value_name = "PATH", required = true, help = TASKS_HELP)]
    pub tasks: Vec<PathBuf>,
    /// Items per task
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Split to use
    #[arg(long, value_parser = choice::<Split>(), default_value_t)]
    pub split: Split,
    /// Rules by which items are asked and scored
    #[arg(long, value_parser = choice::<Scoring>(), default_value_t)]
    pub scoring: Scoring,
    /// Share of each expert's smallest entries that count as zero for mbc
    #[arg(long, value_name = "SHARE", default_value_t = DEFAULT_SPARSITY)]
    pub sparsity: f64,
    /// Base model: a .gguf file or a transformers folder [default: the library's]
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
    /// Where to compute: auto, cpu, cuda:N or metal
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// Precision of the base model's weights
    #[arg(long, value_parser = choice::<Precision>(), default_value_t)]
    pub precision: Precision,
    #[command(flatten)]
    pub files: Files<Transfer>,
}

/// Runs the command.
pub fn run(args: &TransferArgs, output: &Output) -> Result<()> {
    args.files.check()?;
    let catalog = Catalog::open(&args.library, args.base.as_deref())?;
    output.library_notes(&catalog);
    let experts: Vec<String> = catalog.comparable().map(|expert| expert.name.clone()).collect();
    if experts.is_empty() {
        return Err(Error::file(&catalog.root, "has no experts that can be compared"));
    }
    let methods = std::iter::once(RouterConfig::base()).chain(experts.iter().map(RouterConfig::single));
    let spec = EvalSpec {
        library: args.library.clone(),
        base: args.base.clone(),
        tasks: args.tasks.clone(),
        methods: methods.map(|method| method.to_string()).collect(),
        split: args.split,
        limit: args.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        scoring: args.scoring,
        device: args.device.clone(),
        precision: args.precision,
        ..EvalSpec::default()
    };
    let mut progress = output.progress();
    let mut events = |event| match event {
        EvalEvent::Stage(text) => progress.update(&text),
        EvalEvent::Note(text) => output.note(&text),
        EvalEvent::Planned(_) => {}
        EvalEvent::Progress(at) => {
            progress.update(&format!("{at} ({} of {} in all)", at.all.0, at.all.1));
        }
    };
    let report = evaluate_in_foreground(&spec, &mut events, output.cancel())?;
    let own_of = |task: &ReportedTask| {
        let own = own_expert(&catalog, &task.info())?;
        experts.iter().position(|expert| expert == own)
    };
    let own = report.tasks.iter().map(own_of).collect();
    let mut transfer = Transfer::of(&report, &experts, own);
    for &metric in Metric::all() {
        progress.update(&format!("comparing experts by {metric}"));
        let sparsity = metric.sparsity(args.sparsity);
        let cache = ComparisonCache::of(&catalog);
        let similarity =
            analysis::similarity(&catalog, metric, sparsity, &cache, &mut |_, _| {}, output.cancel())?;
        transfer.predict(&similarity);
    }
    drop(progress);
    let written = args.files.write(&transfer, output);
    match output.is_json() {
        true => output.document(&transfer)?,
        false => output.text(&text(&transfer))?,
    }
    written.map(drop)
}

impl Export for Transfer {
    const FORMATS: &'static [Format<Self>] = &[
        Format::csv("Write the matrix as comma-separated values", csv),
        Format::png("Draw the matrix as PNG"),
        Format::svg("Draw the matrix as SVG"),
    ];

    fn figure(&self) -> Result<Box<dyn Drawing>> {
        Ok(Box::new(scores_figure(&drawn(self))))
    }

    fn about_table(&self) -> String {
        "the matrix".into()
    }
}

fn csv(transfer: &Transfer) -> String {
    let mut text = String::from("task,expert,own,score,base\n");
    let value = |score: Option<f64>| score.map_or(String::new(), |score| score.to_string());
    for (task, name) in transfer.tasks.iter().enumerate() {
        for (at, expert) in transfer.experts.iter().enumerate() {
            let fields = [
                csv_field(name),
                csv_field(expert),
                (transfer.own[task] == Some(at)).to_string(),
                value(transfer.scores[task][at]),
                value(transfer.base[task]),
            ];
            text.push_str(&(fields.join(",") + "\n"));
        }
    }
    text
}

/// Losses are negative in a transfer.
fn drawn(transfer: &Transfer) -> DrawnScores {
    let shown = |score: &Option<f64>| score.map(|score| (score.abs(), None));
    let losses: Vec<bool> = (0..transfer.tasks.len()).map(|task| transfer.has_losses(task)).collect();
    DrawnScores {
        title: "Transfer".into(),
        subtitle: format!(
            "score of every expert alone on every task, {}",
            if losses.contains(&true) { "%; losses in nats" } else { "%" }
        ),
        losses,
        rows: transfer.tasks.clone(),
        columns: std::iter::once("base".to_string()).chain(transfer.experts.iter().cloned()).collect(),
        cells: transfer
            .base
            .iter()
            .zip(&transfer.scores)
            .map(|(base, row)| std::iter::once(shown(base)).chain(row.iter().map(shown)).collect())
            .collect(),
        ..DrawnScores::default()
    }
}

/// The matrix, where it is small, and what predicts it.
fn text(transfer: &Transfer) -> String {
    let mut out = String::new();
    let shown = |score: Option<f64>| match score {
        None => "–".to_string(),
        Some(loss) if loss < 0.0 => number(-loss, 3),
        Some(share) => format!("{:.1}", share * 100.0),
    };
    if transfer.experts.len() <= PRINTED {
        let names: Vec<String> = transfer.experts.iter().map(|name| printable(name).into_owned()).collect();
        let mut columns = vec![("task", Align::Left), ("base", Align::Right)];
        columns.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
        let mut table = Table::new(&columns);
        for (task, name) in transfer.tasks.iter().enumerate() {
            let loss = if transfer.has_losses(task) { " (loss)" } else { "" };
            let mut cells = vec![format!("{name}{loss}"), shown(transfer.base[task])];
            cells.extend(transfer.scores[task].iter().enumerate().map(|(at, score)| {
                let mark = if transfer.own[task] == Some(at) { "*" } else { "" };
                format!("{}{mark}", shown(*score))
            }));
            table.row(cells);
        }
        out += &table.render();
        out += "* the task's own expert\n\n";
    }
    let mut table = Table::new(&[
        ("similarity", Align::Left),
        ("rank correlation", Align::Right),
        ("95 %", Align::Left),
        ("tasks", Align::Right),
        ("nearest is best", Align::Right),
        ("score of the nearest", Align::Right),
    ]);
    for predictor in &transfer.predictors {
        table.row([
            predictor.metric.clone(),
            predictor.correlation.map_or("–".into(), |value| format!("{value:+.2}")),
            predictor.interval.map_or(String::new(), |[low, high]| format!("{low:+.2} to {high:+.2}")),
            predictor.tasks.to_string(),
            predictor.nearest_is_best.map_or("–".into(), percent),
            shown(predictor.nearest),
        ]);
    }
    out + &table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_marked_and_drawn_as_losses() {
        let transfer = Transfer {
            experts: vec!["a".into()],
            tasks: vec!["share".into(), "told".into()],
            own: vec![Some(0), None],
            again: Vec::new(),
            base: vec![Some(0.25), Some(-3.5)],
            scores: vec![vec![Some(0.5)], vec![Some(-1.25)]],
            predictors: Vec::new(),
        };
        let figure = drawn(&transfer);
        assert_eq!(figure.losses, [false, true]);
        assert_eq!(figure.cells[1], [Some((3.5, None)), Some((1.25, None))]);
        let table = text(&transfer);
        assert!(
            table.contains("told (loss)") && table.contains("1.250") && !table.contains("share (loss)"),
            "{table}"
        );
    }
}
