//! The end of a job that Slurm has reported, kept beside the job for when Slurm cannot be asked or has forgotten it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::jobs::executors::{Handle, Life};
use crate::jobs::layout::SEEN;
use crate::outside::own;

/// Largest file that is read.
const MAX_SEEN: u64 = 1 << 16;

/// Jobs of which a process remembers it; more begin anew.
const MOST_KEPT: usize = 100_000;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    /// Of the submission; what was handed over again has another.
    token: String,
    /// Why it ended; `None` where it was stopped as it was asked to.
    why: Option<String>,
}

/// What this process has kept of each job last, and whether it could: so that looks write nothing.
static KEPT: LazyLock<Mutex<HashMap<PathBuf, (Seen, bool)>>> = LazyLock::new(Mutex::default);

/// Keeps an end; forgets one that is none, as of a job that was queued again. A job that cannot be written to, such as one
/// of somebody else, is looked at as well.
pub fn keep(job: &Path, handle: &Handle, life: &Life) {
    let path = job.join(SEEN);
    let is_there = path.symlink_metadata().is_ok();
    let why = match life {
        Life::Gone(Some(why)) => Some(why.clone()),
        Life::Stopped => None,
        Life::Gone(None) | Life::Alive(_) | Life::Unseen(_) | Life::Waiting(_) => {
            if is_there {
                let _ = own::remove(&path);
            }
            return;
        }
    };
    let seen = Seen { token: handle.token.clone(), why };
    // Only a cache.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.get(job).is_some_and(|(last, written)| *last == seen && (is_there || !written)) {
        return;
    }
    let text = serde_json::to_vec(&seen).unwrap_or_default();
    let written = read(&path).as_ref() == Some(&seen) || own::replace_unsynced(&path, &text).is_ok();
    if kept.len() >= MOST_KEPT {
        kept.clear();
    }
    kept.insert(job.to_path_buf(), (seen, written));
}

/// The end that was seen last of what was handed over.
pub fn end(job: &Path, handle: &Handle) -> Option<Life> {
    let seen = read(&job.join(SEEN)).filter(|seen| seen.token == handle.token)?;
    Some(seen.why.map_or(Life::Stopped, |why| Life::Gone(Some(why))))
}

fn read(path: &Path) -> Option<Seen> {
    serde_json::from_slice(&own::read(path, MAX_SEEN).ok().flatten()?).ok()
}
