//! Experts whose weights were found to be NaN or infinite, known again from how their files stand on disk: opening a
//! library reads no weights, and would take them for good.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::state_dir::{existing_state_dir, state_dir};
use super::{Expert, Library};
use crate::Error;
use crate::outside::{hex, make_folders, own};

const FILE: &str = "cache/not-finite.json";
/// A larger file is none of this program.
const LARGEST: u64 = 1 << 20;
/// Experts that are remembered; the oldest go.
const MOST: usize = 1024;

/// An expert as it stood when its weights were read.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    /// The digest of its stamp in hexadecimal.
    stamp: String,
    /// Which of its weights are no numbers, untrusted.
    reason: String,
}

/// What is remembered in the folder of derived data `state`, the newest first; nothing where that cannot be read.
fn read(state: &Path) -> Vec<Known> {
    let bytes = own::read(&state.join(FILE), LARGEST).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Reads an expert's weights; none where they are numbers, or where its files were not left alone for long enough to be
/// known again.
fn look(expert: &Expert) -> Option<Known> {
    let before = expert.stamp()?;
    let Err(error @ Error::NotFinite { .. }) = expert.load().and_then(|adapter| adapter.check_finite())
    else {
        return None;
    };
    let stamp = expert.stamp().filter(|now| now.settled && *now == before)?;
    Some(Known { stamp: hex(&stamp.digest), reason: Expert::unreadable(error) })
}

impl Library {
    /// Remembers that these experts have weights that are NaN or infinite, those of them that have when they are read once
    /// more. Whoever read all weights anyway calls it, so that lists say what they found. Nothing fails where nothing
    /// can be kept.
    pub(crate) fn remember_not_finite(&self, experts: &[&Expert]) {
        let mut all: Vec<Known> = experts.iter().filter_map(|expert| look(expert)).collect();
        if all.is_empty() {
            return;
        }
        let Ok(state) = state_dir(&self.root) else { return };
        for old in read(&state) {
            if !all.iter().any(|known| known.stamp == old.stamp) {
                all.push(old);
            }
        }
        all.truncate(MOST);
        let path = state.join(FILE);
        let Ok(bytes) = serde_json::to_vec(&all) else { return };
        if path.parent().is_some_and(|folder| make_folders(folder).is_ok()) {
            let _ = own::replace_unsynced(&path, &bytes);
        }
    }

    /// Makes the experts bad whose weights were found to be no numbers, and whose files are still the same.
    pub(super) fn recall_not_finite(&mut self) {
        let Some(state) = existing_state_dir(&self.root) else { return };
        let known: HashMap<String, String> =
            read(&state).into_iter().map(|known| (known.stamp, known.reason)).collect();
        if known.is_empty() {
            return;
        }
        self.experts.par_iter_mut().filter(|expert| expert.is_usable()).for_each(|expert| {
            if let Some(reason) = expert.stamp().and_then(|stamp| known.get(&hex(&stamp.digest))) {
                expert.set_bad(reason.clone());
            }
        });
    }
}
