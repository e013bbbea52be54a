//! Which weights experts have, known again from how their files stand on disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::folder::CacheFolder;
use crate::analysis::strength::Strength;
use crate::library::{Library, Stamp};

/// SHA-256 of an expert's A and B as they are stored, with their modules and sizes: equal where all values are.
pub(in crate::analysis) type Content = [u8; 32];

/// What is known of an expert's weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::analysis) struct Facts {
    pub content: Content,
    pub strength: Strength,
}

/// What hashes a content.
pub(in crate::analysis) fn hasher() -> Sha256 {
    // To be changed with what the hash is made of.
    Sha256::new_with_prefix("weights 1")
}

const FILE: &str = "contents-2";
/// Bytes per expert in the file: the digest of its stamp, its content, ‖ΔW‖ and σ₂/σ₁ (f64, NaN: none).
const RECORD: usize = 80;
/// Experts that the file describes at most.
const MOST: usize = 1 << 18;

/// The contents of a library's experts, each hashed once: a file of pairs of how an expert stood on disk and what its
/// weights were then. Experts whose weights were NaN or infinite have none.
#[derive(Debug)]
pub(in crate::analysis) struct Contents {
    folder: CacheFolder,
    experts: usize,
    /// Whether experts that were changed a moment ago are kept, too: a change of the same moment would not show.
    hasty: bool,
    known: Mutex<Option<HashMap<[u8; 32], Facts>>>,
}

impl Contents {
    /// Those of `library`.
    pub fn of(library: &Library, hasty: bool) -> Self {
        let folder = CacheFolder::of(library, "weights");
        Self { folder, experts: library.experts.len(), hasty, known: Mutex::default() }
    }

    /// What is known of the weights of the expert that stands so on disk.
    pub fn get(&self, stamp: &Stamp) -> Option<Facts> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| self.read()).get(&stamp.digest).copied()
    }

    /// Keeps contents that were hashed after the stamp was taken, of experts that stand as they did then.
    pub fn keep(&self, found: &[(Stamp, Facts)]) {
        let settled = || found.iter().filter(|(stamp, _)| stamp.settled || self.hasty);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(|| self.read());
        let before = known.len();
        known.extend(settled().map(|(stamp, facts)| (stamp.digest, *facts)));
        if known.len() == before {
            return;
        }
        // What another process found meanwhile stays, as long as there is room. Its own is written first.
        let mut all: Vec<([u8; 32], Facts)> =
            settled().map(|(stamp, facts)| (stamp.digest, *facts)).collect();
        let on_disk = self.read();
        let room = (2 * self.experts + 1024).min(MOST);
        let others = on_disk.iter().chain(known.iter()).map(|(digest, facts)| (*digest, *facts));
        let mut seen: std::collections::HashSet<[u8; 32]> = all.iter().map(|(digest, _)| *digest).collect();
        all.extend(others.filter(|(digest, _)| seen.insert(*digest)).take(room));
        let bytes: Vec<u8> = all.iter().flat_map(bytes).collect();
        self.folder.write(FILE, &bytes);
    }

    fn read(&self) -> HashMap<[u8; 32], Facts> {
        let bytes = self.folder.read(FILE, 2 * MOST * RECORD).unwrap_or_default();
        bytes.as_chunks::<RECORD>().0.iter().filter_map(record).collect()
    }
}

fn bytes((digest, facts): &([u8; 32], Facts)) -> Vec<u8> {
    let Strength { norm, gap } = facts.strength;
    let numbers = [norm, gap.unwrap_or(f64::NAN)].map(f64::to_le_bytes);
    [digest.as_slice(), &facts.content, numbers.as_flattened()].concat()
}

/// `None` where the numbers make no sense.
fn record(bytes: &[u8; RECORD]) -> Option<([u8; 32], Facts)> {
    let (&digest, rest) = bytes.split_first_chunk::<32>()?;
    let (&content, rest) = rest.split_first_chunk::<32>()?;
    let (&norm, gap) = rest.split_first_chunk::<8>()?;
    let (norm, gap) = (f64::from_le_bytes(norm), f64::from_le_bytes(gap.try_into().ok()?));
    let sound = norm.is_finite() && norm >= 0.0 && (gap.is_nan() || (0.0..=1.0).contains(&gap));
    let strength = Strength { norm, gap: (!gap.is_nan()).then_some(gap) };
    sound.then_some((digest, Facts { content, strength }))
}
