//! What lists say of experts from comparing them with each other.

use crate::analysis::{
    self, Clustering, ComparisonCache, DEFAULT_SEED, DEFAULT_SPARSITY, Metric, Similarity, Untrained,
};
use crate::catalog::Catalog;
use crate::library::Expert;
use crate::{Cancel, Result};

/// The experts compared with each other by the default metric.
pub(super) struct Compared {
    pub similarity: Similarity,
    pub clustering: Option<Clustering>,
    pub untrained: Vec<Untrained>,
}

impl Compared {
    /// What was computed before: it reads no weights, and is nothing where that is not enough.
    pub fn known(catalog: &Catalog) -> Option<Self> {
        let cache = ComparisonCache::of(&catalog.library);
        let known = catalog.comparable().nth(1).is_some()
            && analysis::is_kept(&catalog.library, Metric::default(), DEFAULT_SPARSITY, &cache);
        // What is not on disk is not computed for a raised flag.
        let raised = Cancel::new();
        raised.cancel();
        let similarity = || Self::similarity(catalog, &cache, &mut |_, _| {}, &Cancel::new()).ok();
        known.then(similarity)?.map(|similarity| Self::of(similarity, &raised))
    }

    /// Compares all experts.
    pub fn new(catalog: &Catalog, progress: &mut dyn FnMut(usize, usize), cancel: &Cancel) -> Result<Self> {
        let cache = ComparisonCache::of(&catalog.library);
        let similarity = Self::similarity(catalog, &cache, progress, cancel)?;
        let compared = Self::of(similarity, cancel);
        cancel.check()?;
        Ok(compared)
    }

    fn similarity(
        catalog: &Catalog,
        cache: &ComparisonCache,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Similarity> {
        let (metric, sparsity) = (Metric::default(), DEFAULT_SPARSITY);
        analysis::similarity(&catalog.library, metric, sparsity, cache, progress, cancel)
    }

    fn of(similarity: Similarity, cancel: &Cancel) -> Self {
        let clustering = analysis::natural_clusters(&similarity, DEFAULT_SEED, cancel).ok();
        let untrained = analysis::untrained(&similarity);
        Self { similarity, clustering, untrained }
    }

    fn place(&self, expert: &Expert) -> Option<usize> {
        // Names are sorted as the library's experts are.
        self.similarity.experts.binary_search_by(|name| name.as_bytes().cmp(expert.name.as_bytes())).ok()
    }

    /// Number of its cluster.
    pub fn cluster(&self, expert: &Expert) -> Option<usize> {
        self.clustering.as_ref()?.labels.get(self.place(expert)?).copied()
    }

    /// ‖ΔW‖ over all modules.
    pub fn norm(&self, expert: &Expert) -> Option<f64> {
        self.similarity.strength.get(self.place(expert)?).map(|strength| strength.norm)
    }

    /// The most similar other expert.
    pub fn nearest(&self, expert: &Expert) -> Option<(&str, f32)> {
        let own = self.place(expert)?;
        let others = (0..self.similarity.len()).filter(|&other| other != own);
        let value = |other: &usize| self.similarity.get(own, *other);
        let nearest = others.max_by(|a, b| value(a).total_cmp(&value(b)))?;
        Some((&self.similarity.experts[nearest], value(&nearest)))
    }

    /// What is wrong with its training.
    pub fn health(&self, expert: &Expert) -> Option<String> {
        let own = self.place(expert)?;
        let found = self.untrained.iter().find(|untrained| untrained.expert == own)?;
        let hub = match found.hub {
            true => format!(", nearest of {} of {}", found.nearest_of, self.similarity.len() - 1),
            false => String::new(),
        };
        Some(format!("{}{hub}", found.brief()))
    }
}
