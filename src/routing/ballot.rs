//! Votes: which expert every token and module of a prompt is for, when none has a say yet.

use rayon::prelude::*;

use super::experts::ExpertSet;
use super::scores::Measure;
use super::sharpness::{Sharpness, sharpened, spread};
use super::speakers::Speakers;
use super::survey::{Reach, Reasons, Seen, Survey, Surveyed};
use super::verdict::{Lead, verdict};
use crate::Result;
use crate::text::share;
use crate::threads::rows_per_task;

/// Divides scores before the softmax of a vote.
pub(super) const TEMPERATURE: f32 = 0.5;
/// Keeps the logarithm of a share finite.
const LEAST: f64 = 1e-6;

/// A vote of all counted tokens of a sequence and of all modules: p = softmax(score / 0.5) over the experts that
/// may speak, averaged to V.
#[derive(Debug)]
pub struct Ballot {
    measure: Measure,
    active: Vec<bool>,
    /// Modules at which anyone may speak.
    modules: usize,
    sharpness: Sharpness,
    outcome: Outcome,
}

/// What is made of V, to the power 1 / sharpness.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The weights of the experts with the most votes.
    Weights(Selection),
    /// λ · log(V + 1e-6) for this λ.
    Prior(f32),
}

/// Which experts of a ranking are used, and how much of each.
#[derive(Clone, Debug)]
pub struct Selection {
    /// So many; 0 means all.
    pub top: usize,
    /// These in any case.
    pub pinned: Vec<usize>,
}

impl Selection {
    /// How many of `count` experts are used.
    pub fn width(&self, count: usize) -> usize {
        match self.top {
            0 => count,
            top => top.max(self.pinned.len()).min(count),
        }
    }

    /// The experts that are used, by what ranks them; of equals the first ones.
    fn chosen(&self, ranks: &[f64], active: &[bool]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..ranks.len()).filter(|&e| active[e]).collect();
        let before = |a: &usize, b: &usize| {
            let pinned = |e: &usize| self.pinned.contains(e);
            pinned(b).cmp(&pinned(a)).then(ranks[*b].total_cmp(&ranks[*a])).then(a.cmp(b))
        };
        let width = self.width(order.len());
        if (1..order.len()).contains(&width) {
            // Of many experts few are used: only these are put in order.
            order.select_nth_unstable_by(width - 1, before);
        }
        order.truncate(width);
        order.sort_by(before);
        order
    }

    /// Weights that sum to 1, from shares to the power 1 / `sharpness`; 0 where `active` says no. Of equals the first is
    /// taken.
    pub fn weights(&self, shares: &[f64], active: &[bool], sharpness: f64) -> Vec<f32> {
        let order = self.chosen(shares, active);
        let most = order.iter().map(|&e| shares[e]).fold(0.0, f64::max);
        self.spread(&order, shares.len(), |e| match most > 0.0 {
            true => (shares[e] / most).powf(1.0 / sharpness),
            false => 1.0,
        })
    }

    /// [`Self::weights`] of the shares that a softmax of `scores` / `temperature` gives.
    pub fn softmax(&self, scores: &[f64], active: &[bool], temperature: f64) -> Vec<f32> {
        let order = self.chosen(scores, active);
        let most = order.iter().map(|&e| scores[e]).fold(f64::NEG_INFINITY, f64::max);
        self.spread(&order, scores.len(), |e| ((scores[e] - most) / temperature).exp())
    }

    /// Weights in proportion to what `power` says of the chosen ones.
    fn spread(&self, order: &[usize], experts: usize, power: impl Fn(usize) -> f64) -> Vec<f32> {
        let mut weights = vec![0f32; experts];
        let sum: f64 = order.iter().map(|&e| power(e)).sum();
        for &e in order {
            weights[e] = (power(e) / sum) as f32;
        }
        weights
    }
}

impl Ballot {
    /// A vote among `speakers`.
    pub fn new(
        measure: Measure,
        experts: &ExpertSet,
        speakers: &Speakers,
        (sharpness, outcome): (Sharpness, Outcome),
    ) -> Self {
        let active = speakers.active.clone();
        let speaks = |candidate: &[bool]| candidate.iter().zip(&active).any(|(c, a)| *c && *a);
        let modules = experts.stacked().filter(|module| speaks(&module.candidate)).count();
        Self { measure, active, modules, sharpness, outcome }
    }

    /// p of one row, added to `kept`.
    fn cast(&self, candidate: &[bool], scores: &mut [f32], kept: &mut [f32]) {
        let mut highest = f32::NEG_INFINITY;
        for ((score, candidate), active) in scores.iter_mut().zip(candidate).zip(&self.active) {
            if *candidate && *active {
                highest = highest.max(*score);
            } else {
                *score = f32::NEG_INFINITY;
            }
        }
        let mut sum = 0f32;
        for score in scores.iter_mut() {
            *score = ((*score - highest) / TEMPERATURE).exp();
            sum += *score;
        }
        kept.iter_mut().zip(scores).for_each(|(kept, p)| *kept += *p / sum);
    }
}

impl Survey for Ballot {
    fn reach(&self) -> Reach {
        Reach::Counted
    }

    fn measure(&self) -> Option<&Measure> {
        Some(&self.measure)
    }

    fn width(&self) -> usize {
        self.active.len()
    }

    fn see(&self, seen: &Seen, kept: &mut [f32]) -> Result<()> {
        let Some(rows) = &seen.rows else { return Ok(()) };
        let candidate = rows.candidates();
        if self.modules == 0 || !candidate.iter().zip(&self.active).any(|(c, a)| *c && *a) {
            return Ok(());
        }
        let mut scores = self.measure.of(rows)?;
        let (experts, some) = (rows.experts(), rows_per_task(rows.count()));
        kept.par_chunks_mut((experts * some).max(1)).zip(scores.par_chunks_mut(experts * some)).for_each(
            |(kept, scores)| {
                for (kept, scores) in kept.chunks_mut(experts).zip(scores.chunks_mut(experts)) {
                    self.cast(candidate, scores, kept);
                }
            },
        );
        Ok(())
    }

    fn reasons(&self, sequence: &Surveyed) -> Result<Reasons> {
        let values = self.votes(sequence);
        let (lead, mut words) = lead(&values, &self.active);
        if let Sharpness::Auto(usual) = self.sharpness {
            words.push_str(&format!(
                "; sharpness {:.2}: the votes are spread over {} of what they could be, those of calibration prompts over \
                 {} ± {}",
                self.sharpness.of(&values, &self.active),
                share(spread(&values, &self.active)),
                share(usual.mean),
                share(usual.deviation)
            ));
        }
        Ok(Reasons { words, value: "share of the votes", values, lead, ..Reasons::default() })
    }

    fn votes(&self, sequence: &Surveyed) -> Vec<f64> {
        let mut votes = vec![0f64; self.active.len()];
        for row in sequence.counted(self.width().max(1)) {
            votes.iter_mut().zip(row).for_each(|(sum, p)| *sum += f64::from(*p));
        }
        let sum: f64 = votes.iter().sum();
        match sum > 0.0 {
            true => votes.iter_mut().for_each(|v| *v /= sum),
            false => {
                let share = 1.0 / self.active.iter().filter(|active| **active).count().max(1) as f64;
                votes.iter_mut().zip(&self.active).filter(|(_, a)| **a).for_each(|(v, _)| *v = share);
            }
        }
        votes
    }

    fn conclude(&self, sequence: &Surveyed) -> Result<Vec<f32>> {
        let votes = self.votes(sequence);
        let sharpness = self.sharpness.of(&votes, &self.active);
        Ok(match &self.outcome {
            Outcome::Weights(selection) => selection.weights(&votes, &self.active, sharpness),
            Outcome::Prior(strength) => {
                let votes = sharpened(&votes, sharpness);
                votes.iter().map(|v| (f64::from(*strength) * (v + LEAST).ln()) as f32).collect()
            }
        })
    }
}

/// How far the first of a vote is before the next, and in words: whose votes are nearly those of the next is chosen by
/// little, also where it has all the weight.
fn lead(votes: &[f64], active: &[bool]) -> (Option<Lead>, String) {
    let mut all: Vec<f64> =
        votes.iter().zip(active).filter(|(_, active)| **active).map(|(v, _)| *v).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    match all.as_slice() {
        [first, next, ..] => {
            let (lead, _) = verdict((*first, *next), None);
            (Some(lead), format!("the first expert {}", lead.says((*first, *next), "votes", "the next")))
        }
        _ => (None, "nobody else has votes".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_says_by_how_much_it_is_won() {
        let said = |votes: &[f64]| lead(votes, &[true, true, false]);
        assert_eq!(
            said(&[0.152, 0.156, 0.9]),
            (
                Some(Lead::Just),
                "the first expert is just ahead of the next: 15.6 % and 15.2 % of the votes".into()
            )
        );
        let decides = (Some(Lead::Decides), "the first expert decides: 70 % of the votes".into());
        assert_eq!(said(&[0.2, 0.7, 0.9]), decides);
        assert_eq!(lead(&[1.0], &[true]), (None, "nobody else has votes".into()));
    }
}
