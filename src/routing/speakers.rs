//! Who may have weight under a router.

use super::experts::ExpertSet;

/// Who may have weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Speakers {
    /// By expert: whether it may have weight (neither muted nor general).
    pub active: Vec<bool>,
    /// By expert: whether its knowledge was taken out of the others.
    pub general: Vec<bool>,
    /// Experts that always have weight where they are candidates.
    pub pinned: Vec<usize>,
}

impl Speakers {
    /// All experts of a set but those whose knowledge was taken out of the others.
    pub fn all(experts: &ExpertSet) -> Self {
        let general: Vec<bool> = experts.names.iter().map(|name| experts.general.contains(name)).collect();
        Self { active: general.iter().map(|general| !general).collect(), general, pinned: Vec::new() }
    }

    /// Number of experts that may have weight.
    pub fn count(&self) -> usize {
        self.active.iter().filter(|active| **active).count()
    }
}
