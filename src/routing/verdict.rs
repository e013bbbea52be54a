//! What a routing's numbers amount to in words: whether one expert decides, and how surely.

use serde::Serialize;

use crate::text::{percent, share};

/// From this share of all weight on, somebody decides and does not only lead.
const DECIDES: f64 = 0.4;
/// A share that is so many times the next one's is distinguished from it.
const AHEAD: f64 = 1.15;
/// Entropies per token below these parts of the greatest are called sure and fairly sure.
const SURE: [f64; 2] = [0.35, 0.7];

/// How far the first of the experts is before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lead {
    /// It has too little more than the next one.
    Just,
    /// It has more than any other.
    Leads,
    /// It has so much, and is chosen so surely, that the rest does not matter.
    Decides,
}

impl Lead {
    /// Behind the name of the first: that it leads, and by how much of `what`, votes or weight, where it and the `next` one,
    /// by name, have these shares.
    pub fn says(self, (first, second): (f64, f64), what: &str, next: &str) -> String {
        match self {
            // Only more digits show that one of them is ahead.
            Self::Just => {
                format!("is just ahead of {next}: {} and {} of the {what}", share(first), share(second))
            }
            Self::Leads | Self::Decides => format!("{}: {} of the {what}", self.short(), percent(first)),
        }
    }

    /// The same in a word or two.
    pub fn short(self) -> &'static str {
        match self {
            Self::Just => "just leads",
            Self::Leads => "leads",
            Self::Decides => "decides",
        }
    }
}

/// How sure the choices are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The same expert at most tokens, surely.
    Sure,
    /// Every token is sure, but not of the same expert.
    SurePerToken,
    /// One expert before others that have some weight.
    FairlySure,
    /// Weights hardly differ.
    Unsure,
}

impl Certainty {
    /// At the beginning of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Sure => "Sure",
            Self::SurePerToken => "Each token is sure, but of its own expert",
            Self::FairlySure => "Fairly sure",
            Self::Unsure => "Unsure",
        }
    }
}

/// What is said of a routing: of the largest `share` of its weight and the `next` one, and of how `spread` the weights of
/// one token at one module are, as part of the greatest entropy that they could have; `None` where one expert alone has
/// weight there.
pub fn verdict((share, next): (f64, f64), spread: Option<f64>) -> (Lead, Certainty) {
    let certainty = match spread.unwrap_or(0.0) {
        spread if spread >= SURE[1] => Certainty::Unsure,
        spread if spread >= SURE[0] => Certainty::FairlySure,
        _ if share >= DECIDES => Certainty::Sure,
        _ => Certainty::SurePerToken,
    };
    let lead = match share {
        _ if share < AHEAD * next => Lead::Just,
        _ if share >= DECIDES && certainty != Certainty::Unsure => Lead::Decides,
        _ => Lead::Leads,
    };
    (lead, certainty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_from_the_numbers() {
        use Certainty::{FairlySure, Sure, SurePerToken, Unsure};
        use Lead::{Decides, Just, Leads};
        for (share, next, spread, wanted) in [
            (0.9, 0.05, Some(0.1), (Decides, Sure)),
            (0.4, 0.2, Some(0.34), (Decides, Sure)),
            (0.25, 0.2, Some(0.1), (Leads, SurePerToken)),
            (0.25, 0.2, None, (Leads, SurePerToken)),
            (0.6, 0.4, None, (Decides, Sure)),
            (0.5, 0.3, Some(0.5), (Decides, FairlySure)),
            (0.5, 0.3, Some(0.9), (Leads, Unsure)),
            (0.26, 0.25, Some(0.9), (Just, Unsure)),
            (0.45, 0.44, Some(0.1), (Just, Sure)),
            (0.39, 0.1, Some(0.35), (Leads, FairlySure)),
        ] {
            assert_eq!(verdict((share, next), spread), wanted, "{share} {next} {spread:?}");
        }
    }

    #[test]
    fn who_is_just_ahead_is_said_with_the_next_one_and_enough_digits() {
        let said = |shares| verdict(shares, None).0.says(shares, "votes", "plural");
        assert_eq!(said((0.156, 0.152)), "is just ahead of plural: 15.6 % and 15.2 % of the votes");
        assert_eq!(said((0.00932, 0.00906)), "is just ahead of plural: 0.932 % and 0.906 % of the votes");
        assert_eq!(said((0.3, 0.2)), "leads: 30 % of the votes");
        assert_eq!(said((0.7, 0.2)), "decides: 70 % of the votes");
    }

    #[test]
    fn nobody_decides_who_has_little_or_is_chosen_at_random() {
        for step in 0..=1000 {
            let (share, spread) = (f64::from(step % 101) / 100.0, f64::from(step) / 1000.0);
            let (lead, certainty) = verdict((share, (1.0 - share).min(share)), Some(spread));
            assert!(
                share >= 0.4 || (lead != Lead::Decides && certainty != Certainty::Sure),
                "{share} {spread}"
            );
            assert!(certainty != Certainty::Unsure || lead != Lead::Decides, "{share} {spread}");
        }
    }
}
