//! The worker's side of `events.jsonl` and of its log.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::layout::EVENTS;
use super::times::now;
use super::{JobEvent, JobRow};
use crate::clock::now_rfc3339;
use crate::outside::{Output, own};
use crate::text::number;
use crate::train::{Step, TrainEvent};
use crate::{Error, Result};

/// Steps come at most this often, however fast they are.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);
/// Steps that a curve of a whole job needs; more are thinned out.
const STEPS_WORTH_KEEPING: usize = 4000;
/// A step is written at least this often, thinned out or not.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// Steps reach the log this often.
const BETWEEN_LOG_LINES: Duration = Duration::from_secs(10);

/// In the log, before the reason why a worker ended.
pub const FAILED: &str = "failed: ";

/// Appends events, one line a write. The last step of a burst is never lost: it is written with the next
/// event or when the log is dropped.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: Output,
    /// Where the lines for people go.
    say: fn(&str),
    held_back: Option<JobEvent>,
    step_written: Option<Instant>,
    step_logged: Option<Instant>,
    failed: bool,
    lost: Option<String>,
}

impl EventLog {
    /// Opens the events of the job in `job` for appending; what people should read goes to `say` too.
    pub fn open(job: &Path, say: fn(&str)) -> Result<Self> {
        let path = job.join(EVENTS);
        let mut file = own::append(&path)?;
        // A worker that died may have left half a line: what follows stands on its own.
        if file.file().metadata().is_ok_and(|metadata| metadata.len() > 0) {
            file.write_all(b"\n").map_err(|error| Error::io(&path, error))?;
        }
        Ok(Self {
            path,
            file,
            say,
            held_back: None,
            step_written: None,
            step_logged: None,
            failed: false,
            lost: None,
        })
    }

    /// The job has begun, or now knows how many steps it takes (0 while unknown).
    pub fn started(&mut self, steps: usize) {
        self.write(&JobEvent::Started { time: now(), steps });
    }

    /// The job is resumed, once it has a slot again.
    pub fn resumed(&mut self) {
        self.write(&JobEvent::Resumed { time: now() });
    }

    /// What is being done now.
    pub fn stage(&mut self, text: &str) {
        (self.say)(text);
        self.write(&JobEvent::Stage { time: now(), text: text.into() });
    }

    /// What a job that ends early could not save, and what a resumed one begins with: a part of its end.
    pub fn unsaved(&mut self, text: &str) {
        self.stage(text);
        self.lost.get_or_insert_with(|| text.into());
    }

    /// The first that could not be saved, if there is something.
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// What is being done now, of which only the newest word counts: no line of the log.
    pub fn doing(&mut self, text: String) {
        self.write(&JobEvent::Stage { time: now(), text });
    }

    /// The parts of the work.
    pub fn rows(&mut self, rows: Vec<JobRow>) {
        self.write(&JobEvent::Rows { time: now(), rows });
    }

    /// A line for people.
    pub fn log(&mut self, text: &str) {
        (self.say)(text);
        self.write(&JobEvent::Log { time: now(), text: text.into() });
    }

    /// What a training reports; the base model's loss is that of step 0.
    pub fn training(&mut self, event: TrainEvent) {
        if let TrainEvent::Started { steps, .. } = event {
            self.started(steps);
        }
        if let Some(text) = event.doing() {
            return self.doing(text);
        }
        match event.step() {
            Some(step) => self.step(step, None),
            None => {
                if let TrainEvent::Stage(text) = &event {
                    self.stage(text);
                }
                if let TrainEvent::Unsaved(text) = &event {
                    self.unsaved(text);
                }
            }
        }
    }

    /// A unit of work has finished, which makes so many of a part (number, steps), where it belongs to one; may be
    /// delayed when they come too fast.
    pub fn step(&mut self, of: Step, part: Option<(usize, usize)>) {
        let Step { step, steps, loss, validation_loss, tokens_per_second, .. } = of;
        let (row, row_step) = part.unzip();
        let event = JobEvent::Step { time: now(), step: of, row, row_step };
        let notable = validation_loss.is_some() || step == steps;
        let since = |last: Option<Instant>| last.map_or(Duration::MAX, |last| last.elapsed());
        if notable || since(self.step_logged) >= BETWEEN_LOG_LINES {
            self.step_logged = Some(Instant::now());
            let mut line = format!("step {step} of {steps}");
            for (name, value) in [("loss", loss), ("validation loss", validation_loss)] {
                line += &value.map(|value| format!(", {name} {}", number(value, 4))).unwrap_or_default();
            }
            line += &tokens_per_second.map(|speed| format!(", {speed:.0} tokens/s")).unwrap_or_default();
            (self.say)(&line);
        }
        let thinned_out = !step.is_multiple_of((steps / STEPS_WORTH_KEEPING).max(1));
        let pause = since(self.step_written);
        if notable || (pause >= BETWEEN_STEPS && !thinned_out) || pause >= SIGN_OF_LIFE {
            self.held_back = None;
            self.step_written = Some(Instant::now());
            self.write(&event);
        } else {
            self.held_back = Some(event);
        }
    }

    /// Writes what was kept.
    pub fn flush(&mut self) {
        if let Some(event) = self.held_back.take() {
            self.write(&event);
        }
    }

    fn write(&mut self, event: &JobEvent) {
        self.flush();
        let Ok(mut line) = serde_json::to_vec(event) else { return };
        line.push(b'\n');
        // Events only show progress: a full disk must not end the work, whose own files decide that.
        if let Err(error) = self.file.write_all(&line)
            && !std::mem::replace(&mut self.failed, true)
        {
            (self.say)(&format!("{}: {error}; progress is not recorded", self.path.display()));
        }
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A line with its time on standard error, which is the job's log. Unlike `eprintln!`, a disk that is
/// full ends nothing.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{} {text}", now_rfc3339());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::progress::Progress;

    fn step(step: usize, steps: usize, validation_loss: Option<f64>) -> Step {
        Step { step, steps, loss: Some(1.0 / step as f64), validation_loss, ..Step::default() }
    }

    fn written(dir: &Path) -> (Vec<usize>, Progress) {
        let text = std::fs::read_to_string(dir.join(EVENTS)).unwrap();
        let mut progress = Progress::default();
        let mut steps = Vec::new();
        for line in text.lines() {
            progress.line(line.as_bytes());
            if let JobEvent::Step { step, .. } = serde_json::from_str(line).unwrap() {
                steps.push(step.step);
            }
        }
        (steps, progress)
    }

    #[test]
    fn a_burst_is_thinned_out_but_its_last_step_and_validations_stay() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventLog::open(dir.path(), |_| ()).unwrap();
        events.started(0);
        for i in 1..=5000 {
            events.step(step(i, 100_000, (i == 2500).then_some(0.5)), None);
        }
        drop(events);
        let (steps, progress) = written(dir.path());
        assert!(steps.len() < 1000, "{} steps written", steps.len());
        assert!(steps.is_sorted());
        assert_eq!((steps[0], progress.step), (1, 5000));
        let validation: Vec<_> = progress.validation.iter().map(|at| (at.step, at.value)).collect();
        assert_eq!(validation, [(2500, 0.5)]);
    }

    #[test]
    fn a_step_stands_before_what_followed_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventLog::open(dir.path(), |_| ()).unwrap();
        for i in 1..=3 {
            events.step(step(i, 10, None), None);
        }
        events.stage("saving");
        let text = std::fs::read_to_string(dir.path().join(EVENTS)).unwrap();
        let last_two: Vec<&str> = text.lines().rev().take(2).collect();
        assert!(last_two[0].contains("saving") && last_two[1].contains("\"step\":3"), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_loses_events_but_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventLog::open(dir.path(), |_| ()).unwrap();
        events.file = crate::outside::create_named(Path::new("/dev/full")).unwrap();
        for i in 1..=3 {
            events.step(step(i, 3, None), None);
        }
        events.stage("saving");
        assert!(events.failed);
    }
}
