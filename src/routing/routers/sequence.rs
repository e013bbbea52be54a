//! What routers that choose once per sequence have in common: a survey finds the weights, which are then the same
//! for every token and module.

use super::router::{Rule, Weighing};
use crate::Result;
use crate::routing::speakers::Speakers;
use crate::routing::survey::Survey;

/// Weights that a survey found.
#[derive(Debug)]
pub(super) struct Sequence<S> {
    pub survey: S,
    /// Experts that can have weight.
    pub width: usize,
}

impl<S: Survey> Rule for Sequence<S> {
    fn width(&self, _: &Speakers) -> usize {
        self.width
    }

    fn survey(&self) -> Option<&dyn Survey> {
        Some(&self.survey)
    }

    fn constant(&self, _: &Speakers, found: &[f32]) -> Vec<(usize, f32)> {
        heaviest_first(found)
    }

    fn weigh(&self, at: &Weighing, chosen: &mut [(u32, f32)]) -> Result<()> {
        let lists: Vec<Vec<(u32, f32)>> = at
            .sequences
            .found
            .iter()
            .map(|found| {
                let all = heaviest_first(found).into_iter();
                all.filter(|(e, _)| at.rows.has_module(*e)).map(|(e, w)| (e as u32, w)).collect()
            })
            .collect();
        for (row, chosen) in chosen.chunks_mut(at.width.max(1)).enumerate() {
            let list = lists.get(at.sequences.number(row)).map_or(&[][..], Vec::as_slice);
            chosen.iter_mut().zip(list).for_each(|(slot, entry)| *slot = *entry);
        }
        Ok(())
    }
}

/// The experts with a weight, heaviest first; of equals the first one first.
fn heaviest_first(found: &[f32]) -> Vec<(usize, f32)> {
    let mut all: Vec<(usize, f32)> =
        found.iter().copied().enumerate().filter(|(_, weight)| *weight > 0.0).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}
