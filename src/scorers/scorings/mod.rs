//! Named sets of rules by which items are asked and scored. A new one is a file here and a line in [`SCORINGS`].

mod lm_eval;
mod own;
mod paper;
mod scoring;

pub use scoring::{Answers, Scoring};

use crate::named::{Named, by_name};

/// Every scoring. The first is the default.
pub static SCORINGS: &[Scoring] = &[own::SCORING, lm_eval::SCORING, paper::SCORING];

impl Named for Scoring {
    const KIND: &'static str = "scoring";

    fn all() -> &'static [Self] {
        SCORINGS
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}
by_name!(Scoring);

impl Default for Scoring {
    fn default() -> Self {
        SCORINGS[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorers::SCORERS;

    #[test]
    fn rules_are_for_scorers_that_exist() {
        for (name, _) in SCORINGS.iter().flat_map(|scoring| scoring.rules) {
            assert!(SCORERS.iter().any(|scorer| scorer.name == *name), "{name}");
        }
    }
}
