//! `adapt`: a new task with few examples, out of a library's experts.

use std::path::PathBuf;

use super::files::Files;
use super::options::{JobArgs, RowsShown};
use super::output::Output;
use super::{Align, Table};
use crate::Result;
use crate::adapt::{AdaptReport, AdaptRow, AdaptSpec, HEADINGS, adapt, rows};
use crate::jobs::kinds::Around;
use crate::text::{counted, number, printable};

/// Experts of a start that are named.
const NAMED: usize = 4;

/// Learn a new task with few examples, beginning with the library's experts
#[derive(Clone, Debug, clap::Args)]
pub struct AdaptArgs {
    /// Folder of adapters, which gets the new expert [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub job: JobArgs<AdaptSpec>,
    #[command(flatten)]
    pub files: Files<AdaptReport>,
}

/// Runs the command.
pub fn run(args: &AdaptArgs, output: &Output) -> Result<()> {
    if args.job.background {
        return super::starting::start(&args.library, &args.job.given, output);
    }
    args.files.check()?;
    let spec = AdaptSpec { library: args.library.clone(), ..args.job.spec(&Around::default())? };
    let mut progress = RowsShown::new(output);
    let report = adapt(&spec, None, &mut |event| progress.show(event), output.cancel())?;
    drop(progress);
    report.skipped.iter().for_each(|skipped| output.note(&format!("left out {skipped}")));
    report.warnings.iter().for_each(|warning| output.note(&format!("warning: {warning}")));
    let written = args.files.write(&report, output);
    match output.is_json() {
        true => output.document(&report)?,
        false => output.text(&text(&report))?,
    }
    written.map(drop)
}

/// What a start is made of: `arrow of 14 experts: 0.41 × a, 0.22 × b, …; the rank keeps 83.1 % of ‖ΔW‖²`.
fn made_of(row: &AdaptRow) -> String {
    let mut text = row.start.clone();
    if !row.experts.is_empty() {
        let named: Vec<String> = row
            .experts
            .iter()
            .take(NAMED)
            .map(|part| format!("{} × {}", number(part.weight, 3), part.name))
            .collect();
        let more = if row.experts.len() > NAMED { ", …" } else { "" };
        text += &format!(" of {}: {}{more}", counted(row.experts.len(), "expert"), named.join(", "));
    }
    if let Some(kept) = row.kept.filter(|kept| *kept < 1.0) {
        text += &format!("; the rank keeps {} % of ‖ΔW‖²", number(100.0 * kept, 1));
    }
    printable(&text).into_owned()
}

/// The expert that was kept, or the table of those that were compared, and what they were made of.
fn text(report: &AdaptReport) -> String {
    let loss = |loss: Option<f64>| loss.map_or("–".to_string(), |loss| number(loss, 3));
    if let (Some(path), [row]) = (&report.path, report.rows.as_slice()) {
        let training = &row.training;
        return format!(
            "{}: {} on {}, training loss {}, validation loss {} (base model {})\n  from {}\n",
            printable(&path.display().to_string()),
            counted(training.steps, "step"),
            counted(row.shots, "example"),
            number(training.train_loss, 3),
            loss(training.validation_loss),
            loss(training.base_validation_loss),
            made_of(row),
        );
    }
    let metric = report.metric.map_or("score", |metric| metric.name);
    let mut out =
        format!("{}: {metric} of {}\n\n", printable(&report.task), counted(report.items, "test item"),);
    let columns: Vec<(&str, Align)> = HEADINGS
        .iter()
        .enumerate()
        .map(|(at, heading)| (*heading, if at == 0 { Align::Left } else { Align::Right }))
        .collect();
    let mut table = Table::new(&columns);
    rows(report).into_iter().for_each(|row| table.row(row));
    out += &table.render();
    out.push('\n');
    for row in report.rows.iter().filter(|row| !row.experts.is_empty()) {
        out += &format!("{}: {}\n", counted(row.shots, "shot"), made_of(row));
    }
    out
}
