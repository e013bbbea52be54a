//! Waiting for a slot: a few locked files say how many jobs of a library may work at once.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::layout::{EVENTS, HOLD, LOCK, ORDER, RESULT, SPEC, is_id};
use super::waits::waits_for;
use crate::outside::{Lock, own};
use crate::{Cancel, Result};

const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// Largest `order` that is read.
const MAX_ORDER: u64 = 64;
/// How long an older job may leave a free slot unused (it may be stopped) before others pass it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Waits until `job` may work: until a slot is free and no older job waits for it. The slot is taken
/// while the returned file is open. `waiting` is called once, if it does not come at once.
pub fn wait_for_slot(job: &Path, slots: usize, waiting: &mut dyn FnMut(), cancel: &Cancel) -> Result<Lock> {
    let jobs = job.parent().unwrap_or(job);
    let mut let_pass_since = None;
    let mut waits = false;
    loop {
        cancel.check()?;
        if job.join(HOLD).exists() {
            if !std::mem::replace(&mut waits, true) {
                waiting();
            }
            std::thread::sleep(BETWEEN_TRIES);
            continue;
        }
        // One process at a time looks and decides, so that no slot looks taken by one that is about to release it.
        let turn = Lock::wait(&jobs.join("queue"))?;
        match free_slot(jobs, slots)? {
            Some(slot) => {
                let waited = let_pass_since.get_or_insert_with(Instant::now).elapsed();
                if waited > PATIENCE || !older_one_waits(job, jobs) {
                    return Ok(slot);
                }
            }
            None => let_pass_since = None,
        }
        drop(turn);
        if !std::mem::replace(&mut waits, true) {
            waiting();
        }
        std::thread::sleep(BETWEEN_TRIES);
    }
}

fn free_slot(jobs: &Path, slots: usize) -> Result<Option<Lock>> {
    for number in 0..slots {
        if let Some(slot) = Lock::take(&jobs.join(format!("slot.{number}")))? {
            return Ok(Some(slot));
        }
    }
    Ok(None)
}

fn older_one_waits(job: &Path, jobs: &Path) -> bool {
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
            // Who waits for another job does not wait for a slot.
            && waits_for(&path).is_none()
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

    fn job(jobs: &Path) -> JobDir {
        let spec = ClusterSpec { library: "/lib".into(), k: 2, ..ClusterSpec::default() };
        JobDir::create(jobs, &spec.into(), &[]).unwrap()
    }

    #[test]
    fn slots_are_limited_and_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (free_slot(dir.path(), 2).unwrap(), free_slot(dir.path(), 2).unwrap());
        assert!(first.is_some() && second.is_some());
        assert!(free_slot(dir.path(), 2).unwrap().is_none());
        drop(first);
        assert!(free_slot(dir.path(), 2).unwrap().is_some());
    }

    #[test]
    fn a_job_lets_older_ones_pass_while_they_live_and_wait() {
        let dir = tempfile::tempdir().unwrap();
        let older = job(dir.path());
        // File times are as coarse as the kernel's clock.
        while older_one_waits(older.path(), dir.path()) || {
            let probe = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
            probe.as_file().metadata().unwrap().modified().ok() <= submitted(older.path())
        } {
            std::thread::sleep(Duration::from_millis(1));
        }
        let newer = job(dir.path());
        assert!(older_one_waits(newer.path(), dir.path()));
        assert!(!older_one_waits(older.path(), dir.path()));
        let path = older.path().to_path_buf();
        drop(older);
        assert!(!older_one_waits(newer.path(), dir.path()), "{} is dead", path.display());
    }

    #[test]
    fn a_job_that_is_held_has_no_turn_and_one_that_is_put_first_has_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (job(dir.path()), job(dir.path()));
        std::fs::write(other.path().join(ORDER), "-1").unwrap();
        assert!(older_one_waits(one.path(), dir.path()) && !older_one_waits(other.path(), dir.path()));
        own::mark(&other.path().join(HOLD)).unwrap();
        assert!(!older_one_waits(one.path(), dir.path()));
        let cancel = Cancel::new();
        let mut report = || cancel.cancel();
        let waited = wait_for_slot(other.path(), 1, &mut report, &cancel);
        assert!(matches!(waited, Err(Error::Cancelled)), "it took a slot though it is held");
        assert_eq!(order(Path::new("/none")), 0);
    }

    #[test]
    fn waiting_ends_when_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        let _taken = free_slot(dir.path(), 1).unwrap().unwrap();
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(matches!(wait_for_slot(job.path(), 1, &mut || {}, &cancel), Err(Error::Cancelled)));
    }

    #[test]
    fn only_who_waits_is_told_so_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(dir.path());
        let cancel = Cancel::new();
        let mut reports = 0;
        let slot = wait_for_slot(job.path(), 1, &mut || reports += 1, &cancel).unwrap();
        assert_eq!(reports, 0);
        let freed = std::thread::spawn(move || {
            std::thread::sleep(BETWEEN_TRIES * 3);
            drop(slot);
        });
        wait_for_slot(job.path(), 1, &mut || reports += 1, &cancel).unwrap();
        assert_eq!(reports, 1);
        freed.join().unwrap();
    }
}
