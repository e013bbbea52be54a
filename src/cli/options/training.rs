//! What the commands that train show: progress, and what was made.

use std::time::Duration;

use crate::cli::output::{Output, Progress};
use crate::cli::table::{Align, Table};
use crate::text::number;
use crate::train::{RowsEvent, Step, TrainEvent, TrainRow};

/// Shows the events of a training, each line after `what`.
pub fn show(event: &TrainEvent, what: &str, progress: &mut Progress) {
    match event {
        TrainEvent::Stage(text) | TrainEvent::Unsaved(text) => progress.stage(&format!("{what}{text}")),
        TrainEvent::Started { step: 0, base_validation_loss: Some(loss), .. } => {
            progress.stage(&format!("{what}validation loss of the base model: {}", number(*loss, 3)));
        }
        TrainEvent::Started { .. } => {}
        TrainEvent::Measuring { .. } => {
            progress.update(&format!("{what}{}", event.doing().unwrap_or_default()));
        }
        TrainEvent::Step(Step {
            step, steps, loss, validation_loss, tokens_per_second, eta_seconds, ..
        }) => {
            let left = humantime::format_duration(Duration::from_secs(eta_seconds.unwrap_or(0.0) as u64));
            let loss = loss.unwrap_or(f64::NAN);
            let tokens_per_second = tokens_per_second.unwrap_or(0.0);
            let line = format!(
                "{what}step {step}/{steps}  loss {}  {tokens_per_second:.0} tokens/s  {left} left",
                number(loss, 3),
            );
            match validation_loss {
                Some(v) => progress.stage(&format!("{line}  validation {}", number(*v, 3))),
                None => progress.update(&line),
            }
        }
    }
}

/// Shows the training of several experts.
pub struct RowsShown {
    progress: Progress,
    rows: Vec<TrainRow>,
}

impl RowsShown {
    /// Nothing yet.
    pub fn new(output: &Output) -> Self {
        Self { progress: output.progress(), rows: Vec::new() }
    }

    /// Shows what is reported.
    pub fn show(&mut self, event: RowsEvent) {
        match event {
            RowsEvent::Stage(text) => self.progress.stage(&text),
            RowsEvent::Rows(rows) => self.rows = rows,
            RowsEvent::Made { .. } | RowsEvent::LeftOut { .. } => {}
            RowsEvent::Training { row, event } => {
                let name = self.rows.get(row).map_or("", |row| row.name.as_str());
                show(&event, &format!("{name}, {} of {}: ", row + 1, self.rows.len()), &mut self.progress);
            }
        }
    }
}

/// A table of the experts that were made.
pub fn trained(rows: &[TrainRow]) -> String {
    let clusters = rows.iter().any(|row| !row.members.is_empty());
    let columns = [
        ("EXPERT", Align::Left),
        ("STEPS", Align::Right),
        ("LOSS", Align::Right),
        ("BASE", Align::Right),
        ("VALIDATION", Align::Right),
        ("MADE FOR", Align::Left),
    ];
    let shown = columns.len() - usize::from(!clusters);
    let mut table = Table::new(&columns[..shown]);
    let loss = |loss: Option<f64>| loss.map_or("–".to_string(), |loss| number(loss, 3));
    for row in rows {
        let Some(report) = &row.report else { continue };
        let cells = [
            row.name.clone(),
            report.steps.to_string(),
            loss(Some(report.train_loss)),
            loss(report.base_validation_loss),
            loss(report.validation_loss),
            row.members.join(", "),
        ];
        table.row(cells.into_iter().take(shown));
    }
    table.render()
}
