//! What was computed before, in files under `.lora-tui/cache` that are named by what they follow from.
//!
//! Commands, screens and jobs share them, also while several run: files appear as a whole or not at all, and what is
//! cut off, damaged or foreign counts as missing. Any of them may be deleted at any time. Nothing fails where they
//! cannot be read or written.

mod contents;
mod folder;

use std::sync::Arc;

pub(in crate::analysis) use contents::{Content, Contents, Facts, hasher};
pub(in crate::analysis) use folder::{CHECKSUM, CacheFolder};

use crate::library::{Expert, Library};

/// What comparisons of a library's experts keep on disk: inner products, embeddings, partitions. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ComparisonCache(Option<Arc<Folders>>);

#[derive(Debug)]
pub(in crate::analysis) struct Folders {
    /// Which weights the experts' files have.
    pub contents: Contents,
    /// Inner products between experts.
    pub products: CacheFolder,
    /// What follows from all inner products together.
    pub derived: CacheFolder,
}

impl ComparisonCache {
    /// That of `library`.
    pub fn of(library: &Library) -> Self {
        Self::new(library, false)
    }

    /// That of a library whose experts were written a moment ago and stay as they are, which only tests know.
    #[cfg(test)]
    pub(in crate::analysis) fn hasty(library: &Library) -> Self {
        Self::new(library, true)
    }

    fn new(library: &Library, hasty: bool) -> Self {
        Self(Some(Arc::new(Folders {
            contents: Contents::of(library, hasty),
            products: CacheFolder::of(library, "products"),
            derived: CacheFolder::of(library, "similarity"),
        })))
    }

    /// Keeps nothing and knows nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// What an expert's weights are, where that is known without reading them.
    pub(in crate::analysis) fn content(&self, expert: &Expert) -> Option<Content> {
        self.folders()?.contents.get(&expert.stamp()?).map(|facts| facts.content)
    }

    pub(in crate::analysis) fn folders(&self) -> Option<&Folders> {
        self.0.as_deref()
    }
}

/// What a result was computed from: the place for what follows from it.
#[derive(Clone, Debug, Default)]
pub struct Origin(Option<(ComparisonCache, [u8; 32])>);

impl Origin {
    /// Of what `key` names.
    pub(in crate::analysis) fn new(cache: &ComparisonCache, key: [u8; 32]) -> Self {
        Self(cache.folders().map(|_| (cache.clone(), key)))
    }

    /// The bytes that were kept under `name`, if they are whole and at most `limit`.
    pub(in crate::analysis) fn read(&self, name: &str, limit: usize) -> Option<Vec<u8>> {
        let (cache, key) = self.0.as_ref()?;
        cache.folders()?.derived.read(&file_name(name, key), limit)
    }

    /// Keeps bytes under `name`.
    pub(in crate::analysis) fn keep(&self, name: &str, bytes: &[u8]) {
        if let Some((cache, key)) = &self.0
            && let Some(folders) = cache.folders()
        {
            folders.derived.write(&file_name(name, key), bytes);
        }
    }
}

fn file_name(name: &str, key: &[u8; 32]) -> String {
    format!("{name}-{}", crate::outside::hex(&key[..16]))
}
