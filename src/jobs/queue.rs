//! Waiting for a slot: a few locked files say how many jobs of a library may work at once.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::job_dir::read_spec;
use super::kinds::AnyJob;
use super::layout::{EVENTS, HOLD, LOCK, ORDER, RESULT, SPEC, is_id};
use super::times::now;
use super::waits::waits_for;
use crate::memory::{available, size};
use crate::outside::{Lock, own};
use crate::train::Forecast;
use crate::{Cancel, Result};

const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// Seconds after which a job that began has taken the memory that it needs.
const SETTLES: f64 = 120.0;
/// What most jobs wait for.
const WAITS: &str = "waiting for its turn";
/// Largest `order` that is read.
const MAX_ORDER: u64 = 64;
/// How long an older job may leave a free slot unused (it may be stopped) before others pass it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a job takes while it works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Bytes of memory by its forecast.
    pub memory: Option<u64>,
    /// A device that it names, which has slots of its own; else the cores of this machine.
    pub device: Option<String>,
}

impl Need {
    /// Of this job.
    pub fn of(job: &AnyJob) -> Self {
        let Some(training) = job.training() else { return Self::default() };
        let named = !matches!(training.device.as_str(), "" | "auto" | "cpu" | "cuda");
        Self {
            memory: training.forecast.as_ref().map(Forecast::peak),
            device: named.then(|| training.device.replace(':', "-")),
        }
    }

    /// Beginning of the names of its slots.
    fn slots(&self) -> String {
        self.device.as_ref().map_or("slot".into(), |device| format!("slot.{device}"))
    }
}

/// What the holder of a slot has written beside it.
#[derive(Serialize, Deserialize)]
struct Taken {
    /// What its job needs.
    memory: u64,
    /// Seconds since the epoch.
    since: f64,
}

/// Waits until `job` may work: until a slot is free, no older job waits for it, and the memory that it needs is there
/// beside jobs that run. The slot is taken while the returned file is open. `waiting` gets the reason whenever it
/// changes.
pub fn wait_for_slot(
    job: &Path,
    need: &Need,
    slots: usize,
    waiting: &mut dyn FnMut(&str),
    cancel: &Cancel,
) -> Result<Lock> {
    let jobs = job.parent().unwrap_or(job);
    let mut let_pass_since = None;
    let mut last = String::new();
    loop {
        cancel.check()?;
        let reason = if job.join(HOLD).exists() {
            "is held".to_string()
        } else {
            // One process at a time looks and decides, so that no slot looks taken by one that is about to release it.
            let _turn = Lock::wait(&jobs.join("queue"))?;
            match free_slot(jobs, need, slots)? {
                Some((number, slot)) => match lacks_memory(jobs, need, number) {
                    Some(reason) => {
                        let_pass_since = None;
                        reason
                    }
                    None => {
                        let waited = let_pass_since.get_or_insert_with(Instant::now).elapsed();
                        if waited > PATIENCE || !older_one_waits(job, need, jobs) {
                            let taken = Taken { memory: need.memory.unwrap_or(0), since: now() };
                            let text = serde_json::to_vec(&taken).unwrap_or_default();
                            own::replace_unsynced(
                                &jobs.join(format!("{}.{number}.taken", need.slots())),
                                &text,
                            )?;
                            return Ok(slot);
                        }
                        WAITS.into()
                    }
                },
                None => {
                    let_pass_since = None;
                    WAITS.into()
                }
            }
        };
        if reason != last {
            waiting(&reason);
            last = reason;
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

fn free_slot(jobs: &Path, need: &Need, slots: usize) -> Result<Option<(usize, Lock)>> {
    for number in 0..slots {
        if let Some(slot) = Lock::take(&jobs.join(format!("{}.{number}", need.slots())))? {
            return Ok(Some((number, slot)));
        }
    }
    Ok(None)
}

/// Why a job does not fit beside those that work; one that works alone may try.
fn lacks_memory(jobs: &Path, need: &Need, own_slot: usize) -> Option<String> {
    let (needed, free) = (need.memory?, available()?);
    let own_slot = format!("{}.{own_slot}.taken", need.slots());
    let entries = std::fs::read_dir(jobs).ok()?;
    let taken = |entry: std::fs::DirEntry| {
        let path = entry.path();
        let slot = path.with_extension("");
        let is_one = entry.file_name().to_str()?.starts_with("slot") && path.extension()? == "taken";
        // The slot that was just taken for this job is not its own rival.
        let is_own = entry.file_name().to_str()? == own_slot;
        if !is_one || is_own || !Lock::is_taken(&slot) {
            return None;
        }
        serde_json::from_slice::<Taken>(&own::read(&path, MAX_ORDER * 4).ok()??).ok()
    };
    let others: Vec<Taken> = entries.flatten().filter_map(taken).collect();
    fits(needed, free, &others, now()).err()
}

/// Whether so many bytes are free beside `others`, of whom those that began a moment ago have not taken theirs yet.
fn fits(needed: u64, free: u64, others: &[Taken], now: f64) -> Result<(), String> {
    let promised: u64 =
        others.iter().filter(|other| now - other.since < SETTLES).map(|other| other.memory).sum();
    let left = free.saturating_sub(promised);
    if others.is_empty() || needed <= left {
        return Ok(());
    }
    Err(format!("waits for memory: it needs {}, and {} are free beside other jobs", size(needed), size(left)))
}

fn older_one_waits(job: &Path, need: &Need, jobs: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(jobs) else { return false };
    let mine = turn(job);
    entries.flatten().any(|entry| {
        let path = entry.path();
        path != job
            && entry.file_name().to_str().is_some_and(is_id)
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && !path.join(RESULT).exists()
            && !path.join(EVENTS).exists()
            && turn(&path) < mine
            && !path.join(HOLD).exists()
            && Lock::is_taken(&path.join(LOCK))
            // Who waits for another job, or for another device, does not wait for this slot.
            && waits_for(&path).is_none()
            && read_spec(&path).map_or(true, |other| Need::of(&other).device == need.device)
    })
}

/// What decides which of two waiting jobs is first: the order that somebody gave them, then age.
fn turn(job: &Path) -> (i64, Option<SystemTime>, &Path) {
    (order(job), submitted(job), job)
}

/// The order that somebody gave a job; 0 where nobody has.
pub fn order(job: &Path) -> i64 {
    let text = own::read(&job.join(ORDER), MAX_ORDER).ok().flatten().unwrap_or_default();
    std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// When a job was submitted: nothing touches its spec later.
fn submitted(job: &Path) -> Option<SystemTime> {
    job.join(SPEC).metadata().and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::jobs::{ClusterSpec, JobDir};
    use crate::train::TrainSpec;

    fn job(jobs: &Path) -> JobDir {
        let spec = ClusterSpec { library: "/lib".into(), k: 2, ..ClusterSpec::default() };
        JobDir::create(jobs, &spec.into(), &[]).unwrap()
    }

    fn cores() -> Need {
        Need::default()
    }

    #[test]
    fn a_device_has_slots_of_its_own_and_memory_is_shared_with_those_that_run() {
        let dir = tempfile::tempdir().unwrap();
        let training =
            |device: &str| AnyJob::from(TrainSpec { device: device.into(), ..TrainSpec::default() });
        let gpu = Need::of(&training("cuda:1"));
        assert_eq!((gpu.device.as_deref(), Need::of(&training("auto")).device), (Some("cuda-1"), None));
        let _cores = free_slot(dir.path(), &cores(), 1).unwrap().unwrap();
        let _device = free_slot(dir.path(), &gpu, 1).unwrap().unwrap();
        assert!(free_slot(dir.path(), &gpu, 1).unwrap().is_none());
        let other = |memory, since| Taken { memory, since };
        assert_eq!(fits(10, 5, &[], 0.0), Ok(()), "alone it may try");
        assert_eq!(fits(10, 25, &[other(10, 0.0)], 1.0), Ok(()));
        assert_eq!(fits(10, 15, &[other(10, 0.0)], 1000.0), Ok(()), "what it took shows by now");
        let error = fits(2 << 30, 3 << 30, &[other(2 << 30, 0.0)], 1.0).unwrap_err();
        assert_eq!(error, "waits for memory: it needs 2.1 GB, and 1.1 GB are free beside other jobs");
    }

    #[test]
    fn slots_are_limited_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) =
            (free_slot(dir.path(), &cores(), 2).unwrap(), free_slot(dir.path(), &cores(), 2).unwrap());
        assert!(first.is_some() && second.is_some());
        assert!(free_slot(dir.path(), &cores(), 2).unwrap().is_none());
        drop(first);
        assert!(free_slot(dir.path(), &cores(), 2).unwrap().is_some());
    }

    #[test]
    fn a_job_lets_older_ones_pass_while_they_live_and_wait() {
        let dir = tempfile::tempdir().unwrap();
        let older = job(dir.path());
        // File times are as coarse as the kernel's clock.
        while older_one_waits(older.path(), &cores(), dir.path()) || {
            let probe = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
            probe.as_file().metadata().unwrap().modified().ok() <= submitted(older.path())
        } {
            std::thread::sleep(Duration::from_millis(1));
        }
        let newer = job(dir.path());
        assert!(older_one_waits(newer.path(), &cores(), dir.path()));
        assert!(!older_one_waits(older.path(), &cores(), dir.path()));
        let path = older.path().to_path_buf();
        drop(older);
        assert!(!older_one_waits(newer.path(), &cores(), dir.path()), "{} is dead", path.display());
    }

    #[test]
    fn a_job_that_is_held_has_no_turn_and_one_that_is_put_first_has_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (job(dir.path()), job(dir.path()));
        std::fs::write(other.path().join(ORDER), "-1").unwrap();
        assert!(
            older_one_waits(one.path(), &cores(), dir.path())
                && !older_one_waits(other.path(), &cores(), dir.path())
        );
        own::mark(&other.path().join(HOLD)).unwrap();
        assert!(!older_one_waits(one.path(), &cores(), dir.path()));
        let cancel = Cancel::new();
        let mut report = |_: &str| cancel.cancel();
        let waited = wait_for_slot(other.path(), &cores(), 1, &mut report, &cancel);
        assert!(matches!(waited, Err(Error::Cancelled)), "it took a slot though it is held");
        assert_eq!(order(Path::new("/none")), 0);
    }

    #[test]
    fn waiting_ends_when_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        let _taken = free_slot(dir.path(), &cores(), 1).unwrap().unwrap();
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(matches!(
            wait_for_slot(job.path(), &cores(), 1, &mut |_| {}, &cancel),
            Err(Error::Cancelled)
        ));
    }

    #[test]
    fn only_who_waits_is_told_so_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        let cancel = Cancel::new();
        let mut reports = 0;
        let slot = wait_for_slot(job.path(), &cores(), 1, &mut |_| reports += 1, &cancel).unwrap();
        assert_eq!(reports, 0);
        let freed = std::thread::spawn(move || {
            std::thread::sleep(BETWEEN_TRIES * 3);
            drop(slot);
        });
        wait_for_slot(job.path(), &cores(), 1, &mut |_| reports += 1, &cancel).unwrap();
        assert_eq!(reports, 1);
        freed.join().unwrap();
    }
}
