//! What an expert adds, taken out of one sequence of a pass: to see what it was good for.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An expert whose weight is taken away after it was chosen. The weights of the others stay, so that nothing else
/// changes at that place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knockout {
    /// Its number.
    pub expert: u32,
    /// In the modules of these layers.
    pub layers: Range<usize>,
    /// As a control, puts something as long in a random direction in its place, drawn from this seed.
    pub control: Option<u64>,
}

/// A weight that was taken away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub row: usize,
    pub expert: u32,
    pub weight: f32,
    /// Of the direction that takes its place.
    pub seed: Option<u64>,
}

/// Takes weights out of `chosen` [rows, width] at a module of this layer; `of_row` says which of `knockouts` is a
/// row's.
pub(super) fn take(
    knockouts: &[Option<Knockout>],
    of_row: &[u32],
    (layer, position): (usize, usize),
    chosen: &mut [(u32, f32)],
    width: usize,
) -> Vec<Taken> {
    let mut taken = Vec::new();
    for (row, chosen) in chosen.chunks_mut(width.max(1)).enumerate() {
        let sequence = of_row.get(row).copied().unwrap_or(0) as usize;
        let Some(knockout) = knockouts.get(sequence).and_then(Option::as_ref) else { continue };
        if !knockout.layers.contains(&layer) {
            continue;
        }
        for (expert, weight) in chosen.iter_mut().filter(|(e, w)| *e == knockout.expert && *w != 0.0) {
            let seed = knockout.control.map(|seed| seed ^ ((position as u64) << 32) ^ row as u64);
            taken.push(Taken { row, expert: *expert, weight: *weight, seed });
            *weight = 0.0;
        }
    }
    taken
}

/// Adds a vector of this length in a random direction.
pub(super) fn add_random(seed: u64, length: f32, y: &mut [f32]) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // The sum of four uniform numbers is near enough to a normal one for a direction.
    let mut normal = || (0..4).map(|_| random.random_range(-1.0f32..1.0)).sum::<f32>();
    let direction: Vec<f32> = y.iter().map(|_| normal()).collect();
    let norm = direction.iter().map(|d| d * d).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    y.iter_mut().zip(direction).for_each(|(y, d)| *y += d * (length / norm));
}
