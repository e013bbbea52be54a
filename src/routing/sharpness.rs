//! How sharp a choice by votes is: as a setting says, or by how sure the vote is.

use super::calibration::LEAST;
use crate::{Error, Result};

/// The sharpest choice that a vote makes by itself: as if its shares were to the power 5.
const SHARPEST: f64 = 0.2;
/// The softest one: as if they were to the power ½.
const SOFTEST: f64 = 2.0;

/// How spread the votes of calibration prompts are: mean and sample deviation of H / ln n, for entropies H of the votes and
/// n experts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UsualSpread {
    /// Mean.
    pub mean: f64,
    /// Sample deviation (n − 1).
    pub deviation: f64,
}

/// Weights are shares of the votes to the power 1 / sharpness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sharpness {
    /// This one.
    Fixed(f64),
    /// By how sure a vote is, beside what is usual.
    Auto(UsualSpread),
}

impl UsualSpread {
    /// What is usual among the spreads of some votes.
    ///
    /// # Errors
    /// Of fewer than two votes nothing is usual.
    pub fn of(spreads: &[f64]) -> Result<Self> {
        if spreads.len() < 2 {
            return Err(Error::usage("sharpness=auto needs a calibration of two prompts at least"));
        }
        let count = spreads.len() as f64;
        let mean = spreads.iter().sum::<f64>() / count;
        let square = spreads.iter().map(|spread| (spread - mean).powi(2)).sum::<f64>();
        Ok(Self { mean, deviation: (square / (count - 1.0)).sqrt() })
    }

    /// 0.2^(1−u) · 2^u with u = 1 / (1 + e^−z), z = (spread − mean) / (deviation + 1e-6): between 0.2 for a vote that is
    /// much surer than is usual and 2 for one that is much less sure.
    fn sharpness(self, spread: f64) -> f64 {
        let z = (spread - self.mean) / (self.deviation + LEAST);
        let soft = 1.0 / (1.0 + (-z).exp());
        (SHARPEST.ln() * (1.0 - soft) + SOFTEST.ln() * soft).exp().clamp(SHARPEST, SOFTEST)
    }
}

impl Sharpness {
    /// That of a vote with these shares among the experts that are active.
    pub fn of(&self, votes: &[f64], active: &[bool]) -> f64 {
        match self {
            Self::Fixed(sharpness) => *sharpness,
            Self::Auto(usual) => usual.sharpness(spread(votes, active)),
        }
    }
}

/// H / ln n of the votes of n active experts: 0 where one has all, 1 where all have the same.
pub fn spread(votes: &[f64], active: &[bool]) -> f64 {
    let shares = || votes.iter().zip(active).filter(|(_, active)| **active).map(|(vote, _)| *vote);
    let entropy: f64 = shares().filter(|vote| *vote > 0.0).map(|vote| -vote * vote.ln()).sum();
    match shares().count() {
        0 | 1 => 0.0,
        count => entropy / (count as f64).ln(),
    }
}

/// Shares to the power 1 / sharpness, which sum to 1 again.
pub fn sharpened(votes: &[f64], sharpness: f64) -> Vec<f64> {
    if sharpness == 1.0 {
        return votes.to_vec();
    }
    let most = votes.iter().copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return votes.to_vec();
    }
    let powers: Vec<f64> = votes.iter().map(|vote| (vote / most).powf(1.0 / sharpness)).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vote_that_is_as_sure_as_usual_is_between_the_limits() {
        let usual = UsualSpread::of(&[0.4, 0.6]).unwrap();
        assert!((usual.mean - 0.5).abs() < 1e-12 && (usual.deviation - 0.02f64.sqrt()).abs() < 1e-12);
        assert!((usual.sharpness(0.5) - 0.4f64.sqrt()).abs() < 1e-12, "the geometric mean");
        assert!(usual.sharpness(0.0) < 0.3 && usual.sharpness(1.0) > 1.7);
        assert!(UsualSpread::of(&[0.5]).is_err());
        // Where all prompts were alike, another one is at a limit.
        let alike = UsualSpread::of(&[0.5, 0.5]).unwrap();
        assert_eq!((alike.sharpness(0.4), alike.sharpness(0.6)), (0.2, 2.0));
    }

    #[test]
    fn a_spread_is_of_those_who_take_part() {
        assert_eq!(spread(&[1.0, 0.0, 0.0], &[true; 3]), 0.0);
        assert!((spread(&[0.5, 0.0, 0.5], &[true, false, true]) - 1.0).abs() < 1e-12);
        assert_eq!(spread(&[1.0, 0.0], &[true, false]), 0.0);
        assert_eq!(spread(&[], &[]), 0.0);
    }

    proptest! {
        /// Whatever the vote: between the limits, and the softer the less sure it is.
        #[test]
        fn a_sharpness_is_between_its_limits(
            votes in proptest::collection::vec(0.0f64..1.0, 1..20), mean in 0.0f64..1.0, deviation in 0.0f64..1.0,
        ) {
            let usual = UsualSpread { mean, deviation };
            let sum: f64 = votes.iter().sum::<f64>().max(1e-9);
            let shares: Vec<f64> = votes.iter().map(|v| v / sum).collect();
            let found = Sharpness::Auto(usual).of(&shares, &vec![true; shares.len()]);
            prop_assert!((SHARPEST..=SOFTEST).contains(&found), "{found}");
            let own = spread(&shares, &vec![true; shares.len()]);
            prop_assert!(usual.sharpness(own * 0.9) <= found);
            let sharper = sharpened(&shares, 0.5);
            prop_assert!((sharper.iter().sum::<f64>() - shares.iter().sum::<f64>()).abs() < 1e-9 || sum <= 1e-9);
            prop_assert_eq!(sharpened(&shares, 1.0), shares);
        }
    }
}
