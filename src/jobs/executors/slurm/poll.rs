//! Looks at Slurm's queue: one call for all jobs, another where the queue has forgotten some, and not too often.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::command::{Call, Failure};
use super::record::{Record, Records, SACCT_FORMAT, SQUEUE_FORMAT, Task, Unread};
use super::states::Means;

/// Largest answer that is read; a busy cluster's whole queue in JSON may be larger, and is then asked for in columns.
const MAX_ANSWER: u64 = 64 << 20;
/// A look may take this share of the time at most.
const SHARE: u32 = 20;
/// Longest pause after failures.
const LONGEST: Duration = Duration::from_secs(300);
/// After a change that we made ourselves.
const SOON: Duration = Duration::from_secs(1);
/// Arrays in one question to the accounts.
const ARRAYS: usize = 500;

/// The call of Slurm's library that fails where the controller does not answer.
const LOAD_JOBS: &str = "slurm_load_jobs";

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `None` while nobody has written down which array it is: it is found by its name.
    pub array: Option<u64>,
    /// Task of the array.
    pub index: u32,
    /// The array's name.
    pub name: String,
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What Slurm says.
    Known(Task, Arc<Record>),
    /// Slurm answers and does not know it; whether it knows others of its array.
    Unknown(bool),
    /// Slurm does not answer; why.
    Silent(String),
}

/// The queue of one cluster, as far as this process has seen it.
#[derive(Debug, Default)]
struct Queue {
    now: Records,
    /// From the accounts: jobs that have ended and that the queue has forgotten.
    past: Records,
    asked: Option<Instant>,
    pause: Duration,
    failures: u32,
    error: Option<String>,
    /// There is no JSON here, or too much of it.
    plain: bool,
    /// There are no accounts here.
    no_accounts: bool,
    /// Arrays that the accounts were asked about since the last look at the queue.
    looked_up: HashSet<u64>,
    /// When a job was first seen to have ended.
    ended: HashMap<Task, Instant>,
}

static QUEUES: LazyLock<Mutex<HashMap<String, Arc<Mutex<Queue>>>>> = LazyLock::new(Mutex::default);

fn queue(cluster: &str) -> Arc<Mutex<Queue>> {
    // Only caches are behind these locks: a panic elsewhere cannot make them wrong.
    QUEUES.lock().unwrap_or_else(PoisonError::into_inner).entry(cluster.into()).or_default().clone()
}

/// What is known of each of `wanted`, from looks that are at most about `poll` old.
pub fn ask(cluster: &str, poll: Duration, wanted: &[Wanted]) -> Vec<Answer> {
    let queue = queue(cluster);
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.look(cluster, poll);
    let missing: BTreeSet<u64> =
        wanted.iter().filter(|one| queue.found(one).is_none()).filter_map(|one| one.array).collect();
    queue.look_up(cluster, missing);
    wanted.iter().map(|one| queue.answer(one)).collect()
}

/// Whether a task of the array with this name may still run, as far as a look says that is at most about `poll` old; also
/// where Slurm does not answer.
pub fn may_run(cluster: &str, poll: Duration, name: &str) -> bool {
    let queue = queue(cluster);
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.look(cluster, poll);
    queue.error.is_some() || queue.now.is_open(name)
}

/// How long ago this process first saw that a task had ended.
pub fn ended_for(cluster: &str, task: Task) -> Duration {
    let queue = queue(cluster);
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.ended.entry(task).or_insert_with(Instant::now).elapsed()
}

/// How long ago this process last looked at the queue.
pub fn last_look(cluster: &str) -> Duration {
    let queue = queue(cluster);
    let queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.asked.map_or(Duration::ZERO, |asked| asked.elapsed())
}

/// Something was changed: the next look comes soon.
pub fn changed(cluster: &str) {
    let queue = queue(cluster);
    queue.lock().unwrap_or_else(PoisonError::into_inner).pause = SOON;
}

/// `--clusters`, where one is named.
pub fn on(cluster: &str) -> Option<String> {
    (!cluster.is_empty()).then(|| format!("--clusters={cluster}"))
}

impl Queue {
    fn look(&mut self, cluster: &str, poll: Duration) {
        if self.asked.is_some_and(|asked| asked.elapsed() < self.pause) {
            return;
        }
        let begun = Instant::now();
        let seen = self.squeue(cluster);
        self.asked = Some(Instant::now());
        match seen {
            Ok(records) => {
                self.now = records;
                self.looked_up.clear();
                (self.error, self.failures) = (None, 0);
                self.pause = poll.max(begun.elapsed() * SHARE);
            }
            Err(failure) => {
                self.error = Some(failure.text().into());
                self.failures = (self.failures + 1).min(6);
                self.pause = (poll * 2u32.pow(self.failures - 1)).min(LONGEST);
            }
        }
    }

    fn squeue(&mut self, cluster: &str) -> Result<Records, Failure> {
        let call = |more: &[&str]| {
            let common = ["--me", "--states=all"].map(String::from);
            Call::new(
                "squeue",
                common.into_iter().chain(on(cluster)).chain(more.iter().map(|&word| word.into())),
            )
        };
        if !self.plain {
            match call(&["--json"]).run(MAX_ANSWER) {
                Ok(bytes) => match Records::of_json(&bytes) {
                    Ok(records) => return Ok(records),
                    Err(Unread::NoDocument) => self.plain = true,
                    // Asked once more, it would only be waited for again.
                    Err(Unread::NotLoaded(text)) if text.contains(LOAD_JOBS) => {
                        return Err(Failure::Silent(format!(
                            "`squeue`: {text}: the controller does not answer"
                        )));
                    }
                    // The columns are nothing, or say what is the matter.
                    Err(Unread::NotLoaded(_)) => {}
                },
                Err(failure @ (Failure::Silent(_) | Failure::Missing(_) | Failure::Killed(_))) => {
                    return Err(failure);
                }
                // No such option, no such plugin, or too long.
                Err(Failure::Refused(_)) => self.plain = true,
            }
        }
        let bytes = call(&["--noheader", "--format", SQUEUE_FORMAT]).run(MAX_ANSWER)?;
        Ok(Records::of_squeue(&String::from_utf8_lossy(&bytes)))
    }

    /// Asks the accounts about arrays that the queue does not know.
    fn look_up(&mut self, cluster: &str, mut arrays: BTreeSet<u64>) {
        arrays.retain(|array| !self.looked_up.contains(array));
        if self.no_accounts || self.error.is_some() || arrays.is_empty() {
            return;
        }
        self.looked_up.extend(&arrays);
        let ids: Vec<String> = arrays.iter().rev().take(ARRAYS).map(u64::to_string).collect();
        let words =
            ["--allocations", "--parsable2", "--noheader", "--format", SACCT_FORMAT].map(String::from);
        let call = Call::new(
            "sacct",
            words.into_iter().chain(on(cluster)).chain([format!("--jobs={}", ids.join(","))]),
        );
        match call.run(MAX_ANSWER) {
            Ok(bytes) => self.past.add(Records::of_sacct(&String::from_utf8_lossy(&bytes))),
            Err(Failure::Missing(_)) => self.no_accounts = true,
            Err(Failure::Refused(text)) => self.no_accounts = text.contains("disabled"),
            // At the next look.
            Err(Failure::Silent(_) | Failure::Killed(_)) => {}
        }
    }

    fn found(&self, wanted: &Wanted) -> Option<(Task, Arc<Record>)> {
        let task = (wanted.array.or_else(|| self.now.array(&wanted.name))?, wanted.index);
        // After a controller lost its state, numbers are given again: to jobs of other names.
        let same = |record: &&Arc<Record>| record.name == wanted.name;
        let ended = |record: &&Arc<Record>| {
            record.state.is_some_and(|state| !matches!(state.means, Means::Waits | Means::Runs))
        };
        let past = || self.past.get(task).filter(same).filter(ended);
        // Who cancelled it, only the accounts know.
        let now = self.now.get(task).filter(same);
        let found = match now {
            Some(record) if lacks_who(record) => past().or(now),
            Some(_) => now,
            None => past(),
        };
        found.map(|record| (task, record.clone()))
    }

    fn answer(&self, wanted: &Wanted) -> Answer {
        match (self.found(wanted), &self.error) {
            (Some((task, record)), _) => Answer::Known(task, record),
            (None, Some(error)) => Answer::Silent(error.clone()),
            (None, None) => Answer::Unknown(self.now.array(&wanted.name).is_some()),
        }
    }
}

/// Whether a job was cancelled by somebody whom the queue does not name.
fn lacks_who(record: &Record) -> bool {
    record.by.is_none() && record.state.is_some_and(|state| state.means == Means::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_given_again_is_another_job() {
        let queue = Queue {
            now: Records::of_squeue("7|0|RUNNING|lora-new|None|n1|N/A\n"),
            past: Records::of_sacct(
                "7_1|FAILED|lora-old|1:0|n1|9|c\n7_0|RUNNING|lora-old|0:0|n1|Unknown|c\n",
            ),
            ..Queue::default()
        };
        let wanted = |array, index, name: &str| Wanted { array, index, name: name.into() };
        assert!(matches!(queue.answer(&wanted(Some(7), 0, "lora-new")), Answer::Known((7, 0), _)));
        // Running by the accounts alone: the queue would know.
        assert_eq!(queue.answer(&wanted(Some(7), 0, "lora-old")), Answer::Unknown(false));
        assert!(
            matches!(queue.answer(&wanted(Some(7), 1, "lora-old")), Answer::Known((7, 1), record) if record.exit == Some((1, 0)))
        );
        // Whoever handed it over ended before it wrote down the number.
        assert!(matches!(queue.answer(&wanted(None, 0, "lora-new")), Answer::Known((7, 0), _)));
        assert_eq!(queue.answer(&wanted(None, 0, "lora-none")), Answer::Unknown(false));
        // Cancelled before it started, it has no record.
        assert_eq!(queue.answer(&wanted(Some(7), 5, "lora-new")), Answer::Unknown(true));
        let silent = Queue { error: Some("no controller".into()), ..queue };
        assert_eq!(silent.answer(&wanted(None, 0, "lora-none")), Answer::Silent("no controller".into()));
    }
}
