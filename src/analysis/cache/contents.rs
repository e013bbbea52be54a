//! Which weights experts have, known again from how their files stand on disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::folder::CacheFolder;
use crate::library::{Library, Stamp};

/// SHA-256 of an expert's A and B as they are stored, with their modules and sizes: equal where all values are.
pub(in crate::analysis) type Content = [u8; 32];

const FILE: &str = "contents";
/// Bytes per expert in the file: the digest of its stamp, its content.
const RECORD: usize = 64;
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
    known: Mutex<Option<HashMap<[u8; 32], Content>>>,
}

impl Contents {
    /// Those of `library`.
    pub fn of(library: &Library, hasty: bool) -> Self {
        let folder = CacheFolder::of(library, "weights");
        Self { folder, experts: library.experts.len(), hasty, known: Mutex::default() }
    }

    /// The content of the expert that stands so on disk.
    pub fn get(&self, stamp: &Stamp) -> Option<Content> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| self.read()).get(&stamp.digest).copied()
    }

    /// Keeps contents that were hashed after the stamp was taken, of experts that stand as they did then.
    pub fn keep(&self, found: &[(Stamp, Content)]) {
        let settled = || found.iter().filter(|(stamp, _)| stamp.settled || self.hasty);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_with(|| self.read());
        let before = known.len();
        known.extend(settled().map(|(stamp, content)| (stamp.digest, *content)));
        if known.len() == before {
            return;
        }
        // What another process found meanwhile stays, as long as there is room. Its own is written first.
        let mut all: Vec<([u8; 32], Content)> =
            settled().map(|(stamp, content)| (stamp.digest, *content)).collect();
        let on_disk = self.read();
        let room = (2 * self.experts + 1024).min(MOST);
        let others = on_disk.iter().chain(known.iter()).map(|(digest, content)| (*digest, *content));
        let mut seen: std::collections::HashSet<[u8; 32]> = all.iter().map(|(digest, _)| *digest).collect();
        all.extend(others.filter(|(digest, _)| seen.insert(*digest)).take(room));
        let bytes: Vec<u8> =
            all.iter().flat_map(|(digest, content)| digest.iter().chain(content)).copied().collect();
        self.folder.write(FILE, &bytes);
    }

    fn read(&self) -> HashMap<[u8; 32], Content> {
        let bytes = self.folder.read(FILE, 2 * MOST * RECORD).unwrap_or_default();
        let records = bytes.as_chunks::<RECORD>().0.iter();
        let halves =
            records.filter_map(|record| Some((record[..32].try_into().ok()?, record[32..].try_into().ok()?)));
        halves.collect()
    }
}
