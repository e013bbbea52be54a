//! What the training of several experts reports, as events of a job.

use std::time::Instant;

use crate::jobs::event::JobRow;
use crate::jobs::events::EventLog;
use crate::train::{RowsEvent, Step, TrainEvent, TrainRow};

/// One count of steps over all experts, however many are trained at once.
#[derive(Default)]
pub(super) struct RowsProgress {
    rows: Vec<TrainRow>,
    /// Steps that each has made.
    made: Vec<usize>,
    /// When the first step of this worker began, and after how many of all.
    pace: Option<(Instant, usize)>,
}

impl RowsProgress {
    /// Writes down what is reported.
    pub(super) fn take(&mut self, event: RowsEvent, events: &mut EventLog) {
        match event {
            RowsEvent::Stage(text) => events.stage(&text),
            RowsEvent::Rows(rows) => {
                events.started(rows.iter().map(|row| row.steps).sum());
                events.rows(rows.iter().map(row_of).collect());
                self.made = rows.iter().map(done).collect();
                self.rows = rows;
            }
            RowsEvent::Training { row, event } => self.training(row, event, events),
            RowsEvent::Made { row } => {
                // Steps of an earlier run were told by that.
                let steps = self.rows.get(row).map_or(0, |row| row.steps);
                if self.made.get(row).is_some_and(|made| *made != steps) {
                    self.count(row, steps, Step::default(), events);
                }
            }
            RowsEvent::LeftOut { row } => {
                if let Some(row) = self.rows.get_mut(row) {
                    row.steps = 0;
                }
                self.count(row, 0, Step::default(), events);
            }
        }
    }

    fn training(&mut self, row: usize, event: TrainEvent, events: &mut EventLog) {
        let name = self.rows.get(row).map_or("", |row| row.name.as_str());
        if let TrainEvent::Stage(text) = event {
            return events.stage(&format!("{name}: {text}"));
        }
        if let TrainEvent::Unsaved(text) = event {
            return events.unsaved(&format!("{name}: {text}"));
        }
        if let Some(text) = event.doing() {
            return events.doing(format!("{name}: {text}"));
        }
        if let (TrainEvent::Started { step, .. }, Some(made)) = (&event, self.made.get_mut(row)) {
            *made = *step;
            let before = self.made.iter().sum();
            self.pace.get_or_insert_with(|| (Instant::now(), before));
        }
        if let Some(one) = event.step() {
            self.count(row, one.step, one, events);
        }
    }

    /// An expert has made so many steps.
    fn count(&mut self, row: usize, own: usize, one: Step, events: &mut EventLog) {
        let Some(made) = self.made.get_mut(row) else { return };
        *made = own;
        let (step, steps) = (self.made.iter().sum(), self.rows.iter().map(|row| row.steps).sum());
        let eta_seconds = self.pace.and_then(|(began, first): (Instant, usize)| {
            let made = usize::checked_sub(step, first).filter(|made| *made > 0)?;
            Some(began.elapsed().as_secs_f64() / made as f64 * usize::saturating_sub(steps, step) as f64)
        });
        events.step(Step { step, steps, eta_seconds, ..one }, Some((row, own)));
    }
}

fn done(row: &TrainRow) -> usize {
    row.report.as_ref().map_or(0, |_| row.steps)
}

fn row_of(row: &TrainRow) -> JobRow {
    let report = row.report.as_ref();
    JobRow {
        name: row.name.clone(),
        members: row.members.clone(),
        step: done(row),
        steps: row.steps,
        loss: report.map(|report| report.train_loss),
        validation_loss: report.and_then(|report| report.validation_loss),
    }
}
