//! How a task's answers are scored. A new scorer is a file here and a line in [`SCORERS`].

mod accuracy;
mod exact_match;
mod scorer;

pub use scorer::Scorer;

use crate::named::{Named, by_name};

/// Every scorer. The first is that of a task that names none.
pub static SCORERS: &[Scorer] = &[exact_match::SCORER, accuracy::SCORER];

impl Named for Scorer {
    const KIND: &'static str = "metric";

    fn all() -> &'static [Self] {
        SCORERS
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}
by_name!(Scorer);

impl Default for Scorer {
    fn default() -> Self {
        SCORERS[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_match_is_strict_and_labels_forgive_form() {
        let right = |name: &str, answer: &str, reference: &str| {
            (Scorer::named(name).unwrap().score)(answer, reference) == 1.0
        };
        assert!(right("exact_match", " 3:00 pm\n", "3:00 pm"));
        assert!(!right("exact_match", "3:00 PM", "3:00 pm"));
        assert!(right("accuracy", "Positive.", "positive"));
        assert!(!right("accuracy", "It is positive", "positive"));
    }
}
