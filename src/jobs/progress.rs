//! What the events of a job add up to.

use std::path::Path;

use super::files::head_and_tail;
use super::layout::EVENTS;
use super::{JobEvent, JobRow};
use crate::train::Step;

/// Curves with more points lose every other one: no screen shows so many.
const MAX_POINTS: usize = 20_000;
/// What a glance reads at each end of the events.
const GLANCE: u64 = 4096;

/// One value of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Point {
    /// Steps done.
    pub step: usize,
    /// Seconds that the job had worked; what lies between an end and a resumption does not count.
    pub seconds: f64,
    /// The loss: a mean per output token.
    pub value: f64,
}

/// Events so far, folded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Seconds since the epoch; `None` while queued.
    pub started: Option<f64>,
    /// Resumed, and not begun since.
    pub waiting: bool,
    /// Steps done.
    pub step: usize,
    /// 0 while unknown.
    pub steps: usize,
    /// What it is doing.
    pub stage: Option<String>,
    /// The parts of the work, where it has several.
    pub rows: Vec<JobRow>,
    /// Training losses, by step.
    pub losses: Vec<Point>,
    /// Validation losses, by step.
    pub validation: Vec<Point>,
    /// Of a training.
    pub tokens_per_second: Option<f64>,
    /// Estimated time left.
    pub eta_seconds: Option<f64>,
    /// Seconds of work so far.
    pub worked: f64,
    /// When the last event came, in seconds since the epoch.
    pub last: Option<f64>,
}

impl Progress {
    /// Start and present step of a job, from the two ends of its events. Without complete curves.
    pub fn glance(job: &Path) -> Self {
        let mut progress = Self::default();
        for line in head_and_tail(&job.join(EVENTS), GLANCE).unwrap_or_default().split(|&b| b == b'\n') {
            progress.line(line);
        }
        progress
    }

    /// Takes one line of `events.jsonl`; what is not understood is skipped.
    pub fn line(&mut self, line: &[u8]) {
        if let Ok(event) = serde_json::from_slice(line) {
            self.event(event);
        }
    }

    /// A step of one part, which has then made `own`; earlier versions did not say how many, and then those before it
    /// have finished.
    fn in_row(&mut self, at: usize, own: Option<usize>, of: &Step) {
        let Some((row, before)) = self.rows.get_mut(..=at).and_then(|rows| rows.split_last_mut()) else {
            return;
        };
        row.step = own.unwrap_or_else(|| {
            before.iter_mut().for_each(|row| row.step = row.steps);
            of.step.saturating_sub(before.iter().map(|row| row.steps).sum())
        });
        row.step = row.step.min(row.steps);
        row.loss = of.loss.or(row.loss);
        row.validation_loss = of.validation_loss.or(row.validation_loss);
    }

    /// Counts the time until an event as work, unless the job waited.
    fn work_until(&mut self, time: f64) {
        let since = self.last.replace(time).map_or(0.0, |last| time - last);
        if since.is_finite() && since > 0.0 && !self.waiting {
            self.worked += since;
        }
    }

    fn event(&mut self, event: JobEvent) {
        // What lies between the end and this was no work.
        let resumed = matches!(event, JobEvent::Resumed { .. });
        self.waiting |= resumed;
        self.work_until(event.time());
        // All else is said by a worker that has its turn.
        self.waiting = resumed;
        match event {
            JobEvent::Started { time, steps } => {
                self.started.get_or_insert(time);
                self.steps = self.steps.max(steps);
            }
            JobEvent::Stage { text, .. } => self.stage = Some(text),
            JobEvent::Step { step: of, row, row_step, time: _ } => {
                self.step = of.step;
                self.steps = of.steps;
                let seconds = self.worked;
                push(&mut self.losses, of.step, seconds, of.loss);
                push(&mut self.validation, of.step, seconds, of.validation_loss);
                self.tokens_per_second = of.tokens_per_second.or(self.tokens_per_second);
                self.eta_seconds = of.eta_seconds;
                if let Some(row) = row {
                    self.in_row(row, row_step, &of);
                }
            }
            JobEvent::Rows { rows, .. } => self.rows = rows,
            JobEvent::Resumed { .. } => self.eta_seconds = None,
            JobEvent::Log { .. } => {}
        }
    }
}

fn push(curve: &mut Vec<Point>, step: usize, seconds: f64, value: Option<f64>) {
    // Steps that a resumed job makes again replace those that were lost.
    while curve.last().is_some_and(|last| last.step >= step) {
        curve.pop();
    }
    let Some(value) = value.filter(|value| value.is_finite()) else { return };
    if curve.len() >= MAX_POINTS {
        let mut odd = false;
        curve.retain(|_| {
            odd = !odd;
            odd
        });
    }
    curve.push(Point { step, seconds, value });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_and_unknown_lines_are_skipped() {
        let mut progress = Progress::default();
        for line in [
            r#"{"event":"started","time":10.5,"steps":0}"#,
            r#"{"event":"stage","time":11,"text":"loading"}"#,
            "",
            "\u{0}\u{1}",
            r#"{"event":"telemetry","time":11}"#,
            r#"{"event":"step","time":12,"step":1,"steps":9,"loss":2.5,"validation_loss":3.5,"eta_seconds":8}"#,
            r#"{"event":"started","time":13,"steps":9}"#,
            r#"{"event":"step","time":14,"step":2,"steps":9,"loss":null,"tokens_per_second":100.0}"#,
            r#"{"event":"step","time":15,"step":3,"st"#,
        ] {
            progress.line(line.as_bytes());
        }
        let expected = Progress {
            started: Some(10.5),
            waiting: false,
            step: 2,
            steps: 9,
            stage: Some("loading".into()),
            rows: Vec::new(),
            losses: vec![Point { step: 1, seconds: 1.5, value: 2.5 }],
            validation: vec![Point { step: 1, seconds: 1.5, value: 3.5 }],
            tokens_per_second: Some(100.0),
            eta_seconds: None,
            worked: 3.5,
            last: Some(14.0),
        };
        assert_eq!(progress, expected);
    }

    #[test]
    fn steps_are_counted_in_their_row_too() {
        let mut progress = Progress::default();
        for line in [
            r#"{"event":"rows","time":1,"rows":[{"name":"a","steps":4},{"name":"b","members":["x","y"],"steps":6}]}"#,
            r#"{"event":"step","time":1,"step":3,"steps":10,"loss":2.0,"row":0}"#,
            r#"{"event":"step","time":1,"step":6,"steps":10,"loss":1.0,"validation_loss":0.5,"row":1}"#,
            r#"{"event":"step","time":1,"step":7,"steps":10,"loss":0.75,"row":1}"#,
            r#"{"event":"step","time":1,"step":8,"steps":10,"loss":0.75,"row":9}"#,
        ] {
            progress.line(line.as_bytes());
        }
        let row = |name: &str, members: &[&str], step, steps, loss, validation_loss| JobRow {
            name: name.into(),
            members: members.iter().map(|m| m.to_string()).collect(),
            step,
            steps,
            loss: Some(loss),
            validation_loss,
        };
        assert_eq!(
            progress.rows,
            [row("a", &[], 4, 4, 2.0, None), row("b", &["x", "y"], 3, 6, 0.75, Some(0.5))]
        );
        assert_eq!((progress.step, progress.losses.len()), (8, 4));
    }

    #[test]
    fn parts_at_once_have_their_own_counts() {
        let mut progress = Progress::default();
        for line in [
            r#"{"event":"rows","time":1,"rows":[{"name":"a","steps":4},{"name":"b","steps":6}]}"#,
            r#"{"event":"step","time":1,"step":3,"steps":10,"loss":2.0,"row":1,"row_step":2}"#,
            r#"{"event":"step","time":1,"step":4,"steps":10,"loss":1.0,"row":0,"row_step":2}"#,
        ] {
            progress.line(line.as_bytes());
        }
        let rows: Vec<_> = progress.rows.iter().map(|row| (row.step, row.loss)).collect();
        assert_eq!((progress.step, rows), (4, vec![(2, Some(1.0)), (2, Some(2.0))]));
    }

    #[test]
    fn a_resumed_job_waits_and_makes_its_lost_steps_again() {
        let mut progress = Progress::default();
        let step = |progress: &mut Progress, step: usize, time: usize, loss: f64| {
            let line = format!(
                r#"{{"event":"step","time":{time},"step":{step},"steps":9,"loss":{loss},"validation_loss":{loss}}}"#
            );
            progress.line(line.as_bytes());
        };
        progress.line(br#"{"event":"started","time":1,"steps":0}"#);
        (1..=4).for_each(|n| step(&mut progress, n, 1 + n, n as f64));
        progress.line(br#"{"event":"resumed","time":200}"#);
        assert!(progress.waiting && progress.step == 4);
        // What begins may not be among what was read.
        let mut running = progress.clone();
        step(&mut running, 4, 300, 4.0);
        assert!(!running.waiting);
        progress.line(br#"{"event":"started","time":300,"steps":0}"#);
        assert!(!progress.waiting && progress.started == Some(1.0));
        step(&mut progress, 3, 301, 30.0);
        // The time between the end and the new beginning is no work.
        let point = |step, seconds, value| Point { step, seconds, value };
        let curve = [point(1, 1.0, 1.0), point(2, 2.0, 2.0), point(3, 5.0, 30.0)];
        assert_eq!(
            (progress.step, &progress.losses[..], &progress.validation[..]),
            (3, &curve[..], &curve[..])
        );
    }

    #[test]
    fn curves_stay_bounded_and_keep_their_newest_point() {
        let mut curve = Vec::new();
        for step in 0..100_000 {
            push(&mut curve, step, step as f64, Some(1.0));
        }
        assert!(curve.len() <= MAX_POINTS);
        assert_eq!((curve[0].step, curve.last().unwrap().step), (0, 99_999));
        assert!(curve.is_sorted_by_key(|point| point.step));
    }
}
