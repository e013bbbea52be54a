//! Who may have weight under a router.

use super::experts::ExpertSet;
use crate::{Error, Result};

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
    /// Whether anybody may have weight, where there are experts.
    ///
    /// # Errors
    /// A usage error that says why nobody may.
    pub fn require_any(&self) -> Result<()> {
        let (all, general) = (self.active.len(), self.general.iter().filter(|general| **general).count());
        if all == 0 || self.count() > 0 {
            return Ok(());
        }
        Err(Error::usage(match general {
            0 => "every expert is muted: leave one out of --mute, or use --router base",
            some if some == all => {
                "every expert is general, and their knowledge is taken out of no other: leave one out of --general, or \
                 use --router base"
            }
            _ => {
                "every expert is muted or general: leave one out of --mute or --general, or use --router base"
            }
        }))
    }

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
