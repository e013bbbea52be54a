//! Which weights the experts of a comparison have: known from before, or read and hashed.

use std::collections::HashMap;
use std::sync::OnceLock;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cache::{ComparisonCache, Content, Facts, Folders, Origin};
use super::gram::{RowKey, Segment};
use super::strength::Strength;
use super::weights::{Alignment, Compared, Product, Scan, Scanned, flattened_size, own_size, scan};
use crate::library::{Expert, Library, Skipped, Stamp};
use crate::{Cancel, Error, Result};

/// Part of every key: to be changed with what changes an inner product or an embedding beyond rounding.
const FORMULA: &str = concat!("comparison 1 of lora-tui ", env!("CARGO_PKG_VERSION"));
/// Experts scanned between two looks at the cancel flag and the progress.
const SCAN_STEP: usize = 16;

/// The experts that can be compared, with what is known of their inner products.
pub(super) struct Identified<'a> {
    pub experts: Vec<Compared<'a>>,
    /// What their inner products follow from, where that is known.
    pub keys: Vec<Option<RowKey>>,
    /// Files with inner products of this kind.
    pub segments: Vec<Segment>,
    /// What begins the names of such files.
    pub kind: String,
    pub stamps: Stamps,
    /// How strong each expert is.
    pub strength: Vec<Strength>,
}

/// How the experts stood on disk before anything was read.
pub(super) struct Stamps(Vec<Option<Stamp>>);

impl Stamps {
    /// Whether they still stand so.
    pub fn unchanged(&self, alignment: &Alignment<'_>) -> bool {
        let pairs = self.0.par_iter().zip(&alignment.experts);
        pairs.all(|(stamp, compared)| stamp.is_none_or(|stamp| stands_so(compared.expert, &stamp)))
    }
}

fn stands_so(expert: &Expert, stamp: &Stamp) -> bool {
    expert.stamp().as_ref() == Some(stamp)
}

/// What is known of an expert.
struct Known<'a> {
    expert: &'a Expert,
    stamp: Option<Stamp>,
    content: Option<Content>,
    strength: Option<Strength>,
    scan: Option<Scan>,
    places: OnceLock<crate::library::FactorPlaces>,
}

/// How inner products are made.
struct Kind<'a> {
    product: Product,
    sparsity: f64,
    name: String,
    folders: Option<&'a Folders>,
}

impl Kind<'_> {
    /// What an expert's inner products follow from, where all experts together have `size` entries: those that it
    /// lacks count as zeros for its threshold.
    fn key(&self, known: &Known<'_>, size: usize) -> Option<RowKey> {
        let mut hash = Sha256::new_with_prefix(FORMULA);
        hash.update(&self.name);
        hash.update(known.content?);
        if self.sparsity > 0.0 {
            hash.update((size.saturating_sub(own_size(known.expert)) as u64).to_le_bytes());
        }
        if self.product == Product::Delta {
            known.expert.modules.iter().for_each(|module| hash.update(module.scale.to_le_bytes()));
        }
        hash.finalize()[..16].try_into().ok()
    }
}

/// What follows from the rows of all experts in this order.
pub(super) fn origin(
    cache: &ComparisonCache,
    metric: &str,
    sparsity: f64,
    keys: &[Option<RowKey>],
) -> Origin {
    let mut hash = Sha256::new_with_prefix(FORMULA);
    hash.update(format!("{metric} {sparsity} "));
    for key in keys {
        match key {
            Some(key) => hash.update(key),
            None => return Origin::default(),
        }
    }
    Origin::new(cache, hash.finalize().into())
}

/// What is known of all experts of a library that can be compared: how products are made, the files with such
/// products, the scans in these, and each expert.
fn look<'a, 'c>(
    library: &'a Library,
    (product, sparsity): (Product, f64),
    cache: &'c ComparisonCache,
) -> (Kind<'c>, Vec<Segment>, HashMap<RowKey, Scan>, Vec<Known<'a>>) {
    let folders = cache.folders();
    let kind = Kind { product, sparsity, name: format!("{product:?}-{sparsity}").to_lowercase(), folders };
    let segments = folders.map(|folders| Segment::all(&folders.products, &kind.name)).unwrap_or_default();
    let records = segments.iter().flat_map(|segment| &segment.records);
    let facts = records.map(|record| (record.key, record.scan)).collect();
    let experts: Vec<&Expert> = library.comparable().collect();
    let look = |expert: &&'a Expert| {
        let stamp = folders.and_then(|_| expert.stamp());
        let facts = stamp.and_then(|stamp| folders?.contents.get(&stamp));
        let (content, strength) = facts.map(|facts| (facts.content, facts.strength)).unzip();
        Known { expert, stamp, content, strength, scan: None, places: OnceLock::new() }
    };
    (kind, segments, facts, experts.par_iter().map(look).collect())
}

impl<'a> Identified<'a> {
    /// Whether all inner products of a library's experts may be on disk.
    pub fn is_known(library: &Library, product: (Product, f64), cache: &ComparisonCache) -> bool {
        let kept = cache.folders().is_some_and(|folders| !folders.products.names("").is_empty());
        if !kept {
            return false;
        }
        let (kind, _, facts, known) = look(library, product, cache);
        let size = flattened_size(known.iter().map(|known| known.expert));
        known.iter().all(|known| kind.key(known, size).is_some_and(|key| facts.contains_key(&key)))
    }

    /// Looks at all experts of a library that can be compared, and reads those of which too little is known. Those
    /// that cannot be read move to `skipped`.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn find(
        library: &'a Library,
        (product, sparsity): (Product, f64),
        cache: &ComparisonCache,
        skipped: &mut Vec<Skipped>,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Self> {
        let (kind, segments, facts, mut known) = look(library, (product, sparsity), cache);
        // The thresholds depend on the modules of the experts that stay: a failure that takes modules along repeats it.
        let size = loop {
            let size = flattened_size(known.iter().map(|known| known.expert));
            for known in &mut known {
                known.scan = kind.key(known, size).and_then(|key| facts.get(&key).copied());
            }
            known = kind.scan_all(library, known, size, skipped, progress, cancel)?;
            if sparsity == 0.0 || flattened_size(known.iter().map(|known| known.expert)) == size {
                break size;
            }
        };
        if product == Product::Delta {
            known.retain(|Known { expert, strength, .. }| {
                // No product of two is then beyond f64.
                let fits = strength.is_none_or(|strength| strength.norm.powi(2).is_finite());
                if !fits {
                    let reason = "makes a ΔW that is too large to compare: correct its scale (alpha / r), or leave it out";
                    skipped.push(Skipped::new(&expert.name, reason));
                }
                fits
            });
        }
        let keys = known.iter().map(|known| kind.key(known, size)).collect();
        let stamps = Stamps(known.iter().map(|known| known.stamp).collect());
        let strength = known.iter().map(|known| known.strength.unwrap_or_default()).collect();
        let experts = known
            .into_iter()
            .filter_map(|Known { expert, scan, places, .. }| Some(Compared { expert, scan: scan?, places }));
        Ok(Self { experts: experts.collect(), keys, segments, kind: kind.name, stamps, strength })
    }
}

impl Kind<'_> {
    /// Reads the experts that have not been scanned; those that fail move to `skipped`. Of experts whose files are
    /// the same, one is read.
    fn scan_all<'a>(
        &self,
        library: &Library,
        mut known: Vec<Known<'a>>,
        size: usize,
        skipped: &mut Vec<Skipped>,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Vec<Known<'a>>> {
        let mut first: HashMap<[u8; 32], usize> = HashMap::new();
        let mut wanted: Vec<usize> = Vec::new();
        // Which expert's scan is another's, too.
        let mut same: Vec<(usize, usize)> = Vec::new();
        for (at, one) in known.iter().enumerate().filter(|(_, known)| known.scan.is_none()) {
            match one.stamp.map(|stamp| *first.entry(stamp.digest).or_insert(at)) {
                Some(other) if other != at => same.push((at, other)),
                _ => wanted.push(at),
            }
        }
        let mut failed: HashMap<usize, String> = HashMap::new();
        let mut not_finite: Vec<&Expert> = Vec::new();
        for (step, some) in wanted.chunks(SCAN_STEP).enumerate() {
            cancel.check()?;
            progress(step * SCAN_STEP, wanted.len());
            let hashed = self.folders.is_some();
            let one = |&at: &usize| scan(known[at].expert, self.sparsity, size, hashed);
            let found: Vec<Result<Scanned>> = some.par_iter().map(one).collect();
            for (&at, found) in some.iter().zip(found) {
                match found {
                    Ok(Scanned { scan, places, content, strength }) => {
                        let known = &mut known[at];
                        (known.scan, known.content, known.strength) = (Some(scan), content, Some(strength));
                        known.places = places.map(OnceLock::from).unwrap_or_default();
                    }
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) => {
                        if matches!(error, Error::NotFinite { .. }) {
                            not_finite.push(known[at].expert);
                        }
                        failed.insert(at, error.to_string());
                    }
                }
            }
        }
        self.keep_contents(&known, &wanted);
        if self.folders.is_some() {
            library.remember_not_finite(&not_finite);
        }
        for (at, other) in same {
            match failed.get(&other) {
                Some(reason) => {
                    failed.insert(at, reason.clone());
                }
                None => {
                    let Known { scan, content, strength, .. } = known[other];
                    (known[at].scan, known[at].content, known[at].strength) = (scan, content, strength);
                }
            }
        }
        let mut kept = Vec::with_capacity(known.len());
        for (at, known) in known.into_iter().enumerate() {
            match failed.remove(&at) {
                Some(reason) => skipped.push(Skipped::new(&known.expert.name, reason)),
                None => kept.push(known),
            }
        }
        Ok(kept)
    }

    /// Keeps what the weights of experts are that were just read, as far as they still stand as they did before.
    fn keep_contents(&self, known: &[Known<'_>], read: &[usize]) {
        let Some(folders) = self.folders.filter(|_| !read.is_empty()) else { return };
        let mut was_read = vec![false; known.len()];
        read.iter().for_each(|&at| was_read[at] = true);
        let pair = |(at, known): (usize, &Known<'_>)| {
            let facts = Facts { content: known.content?, strength: known.strength? };
            let stamp = known.stamp?;
            (!was_read[at] || stands_so(known.expert, &stamp)).then_some((stamp, facts))
        };
        let pairs: Vec<(Stamp, Facts)> = known.par_iter().enumerate().filter_map(pair).collect();
        folders.contents.keep(&pairs);
    }
}
