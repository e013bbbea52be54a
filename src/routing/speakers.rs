//! Who may have weight under a router.

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
    /// Number of experts that may have weight.
    pub fn count(&self) -> usize {
        self.active.iter().filter(|active| **active).count()
    }
}
