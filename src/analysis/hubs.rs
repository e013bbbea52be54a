//! Experts that resemble everybody because they learnt hardly anything.

use super::similarity::Similarity;
use super::strength::{FLAT, Strength};
use crate::text::{brief, counted};

/// An expert whose ΔW is smaller than this share of the library's median was hardly trained.
const SMALL: f64 = 0.2;
/// The same where its spectrum is flat, too.
const SMALL_AND_FLAT: f64 = 0.5;
/// The nearest neighbour of so large a share of the others is a hub.
const HUB: f64 = 0.25;
/// Of fewer experts there is no usual size.
const LEAST: usize = 4;

/// An expert that was hardly trained: experts that start from the same A resemble it, because what they have in
/// common is that start.
#[derive(Clone, Debug, PartialEq)]
pub struct Untrained {
    /// Which expert of the similarity it is.
    pub expert: usize,
    /// ‖ΔW‖.
    pub norm: f64,
    /// The median of ‖ΔW‖ over all experts.
    pub median: f64,
    /// Whether its spectrum is flat.
    pub flat: bool,
    /// How many others have it as their nearest.
    pub nearest_of: usize,
    /// Whether those are so many that it is a hub.
    pub hub: bool,
}

impl Untrained {
    /// In a few words: `barely trained: ‖ΔW‖ 0.11, usual 6.2`.
    pub fn brief(&self) -> String {
        let flat = if self.flat { ", flat spectrum" } else { "" };
        format!("barely trained: ‖ΔW‖ {}, usual {}{flat}", brief(self.norm), brief(self.median))
    }

    /// One line about the expert called `name` among `experts`.
    pub fn about(&self, name: &str, experts: usize) -> String {
        let others = experts.saturating_sub(1);
        let hub = match self.hub {
            true => format!(
                "; it is the nearest expert of {} of {others} others, which says nothing of them",
                self.nearest_of
            ),
            false => String::new(),
        };
        format!("'{name}' is {}{hub}", self.brief())
    }
}

/// The experts of a similarity that were hardly trained, in its order; none where too little is known.
pub fn untrained(similarity: &Similarity) -> Vec<Untrained> {
    let n = similarity.len();
    let strength = &similarity.strength;
    if n < LEAST || strength.len() != n {
        return Vec::new();
    }
    let mut norms: Vec<f64> = strength.iter().map(|strength| strength.norm).collect();
    norms.sort_by(f64::total_cmp);
    let median = norms[n / 2];
    let is_small = |strength: &Strength| {
        let flat = strength.gap.is_some_and(|gap| gap > FLAT);
        strength.norm < SMALL * median || (flat && strength.norm < SMALL_AND_FLAT * median)
    };
    if !strength.iter().any(is_small) {
        return Vec::new();
    }
    let mut nearest_of = vec![0; n];
    for row in 0..n {
        let others = (0..n).filter(|&other| other != row);
        if let Some(nearest) =
            others.max_by(|&a, &b| similarity.get(row, a).total_cmp(&similarity.get(row, b)))
        {
            nearest_of[nearest] += 1;
        }
    }
    let found = strength.iter().enumerate().filter(|(_, strength)| is_small(strength));
    let one = |(expert, strength): (usize, &Strength)| Untrained {
        expert,
        norm: strength.norm,
        median,
        flat: strength.gap.is_some_and(|gap| gap > FLAT),
        nearest_of: nearest_of[expert],
        hub: nearest_of[expert] > 1 && nearest_of[expert] as f64 >= HUB * (n - 1) as f64,
    };
    found.map(one).collect()
}

/// What is said of experts that were hardly trained: of the first few each, of all others together.
pub(super) fn warnings(similarity: &Similarity) -> Vec<String> {
    const NAMED: usize = 3;
    let found = untrained(similarity);
    let about = |one: &Untrained| one.about(&similarity.experts[one.expert], similarity.len());
    let mut lines: Vec<String> = found.iter().take(NAMED).map(about).collect();
    if found.len() > NAMED {
        lines.push(format!("{} more are barely trained", counted(found.len() - NAMED, "expert")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{Metric, Strength};

    fn of(strength: Vec<Strength>) -> Similarity {
        let n = strength.len();
        // The first is near to all, the others are near to nobody else.
        let value = |i: usize, j: usize| {
            if i == j {
                1.0
            } else if i * j == 0 {
                0.7
            } else {
                0.1
            }
        };
        Similarity {
            metric: Metric::MBC,
            sparsity: 0.5,
            experts: (0..n).map(|i| format!("e{i}")).collect(),
            matrix: (0..n * n).map(|at| value(at / n, at % n)).collect(),
            warnings: vec![],
            skipped: vec![],
            strength,
            known_spread: Default::default(),
            origin: Default::default(),
        }
    }

    fn strength(norm: f64, gap: f64) -> Strength {
        Strength { norm, gap: Some(gap) }
    }

    #[test]
    fn a_hardly_trained_expert_is_named_with_those_it_misleads() {
        let usual = strength(6.0, 0.3);
        let found = untrained(&of(vec![strength(0.11, 0.97), usual, usual, usual, usual]));
        assert_eq!((found.len(), found[0].expert, found[0].nearest_of, found[0].hub), (1, 0, 4, true));
        assert_eq!(
            found[0].about("_ux", 5),
            "'_ux' is barely trained: ‖ΔW‖ 0.110, usual 6.00, flat spectrum; it is the nearest expert of 4 of 4 \
             others, which says nothing of them"
        );
        // Half of the usual size is suspicious with a flat spectrum only.
        assert_eq!(untrained(&of(vec![strength(2.5, 0.97), usual, usual, usual])).len(), 1);
        assert_eq!(untrained(&of(vec![strength(2.5, 0.5), usual, usual, usual])), []);
    }

    #[test]
    fn without_a_usual_size_nobody_is_small() {
        assert_eq!(untrained(&of(vec![strength(0.1, 0.9), strength(6.0, 0.3), strength(6.0, 0.3)])), []);
        assert_eq!(untrained(&of(vec![strength(0.0, 0.0); 5])), []);
        let unknown = Similarity { strength: vec![], ..of(vec![strength(1.0, 0.1); 5]) };
        assert_eq!(untrained(&unknown), []);
    }
}
