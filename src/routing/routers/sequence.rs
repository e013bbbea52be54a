//! What routers that choose once per sequence have in common: a survey finds the weights, which are then the same
//! for every token and module.

use super::router::{Request, Resolved, Rule, Weighing};
use super::setting::RouterSetting;
use crate::Result;
use crate::routing::ballot::Selection;
use crate::routing::mix::Mix;
use crate::routing::scores::Measure;
use crate::routing::speakers::Speakers;
use crate::routing::survey::Survey;

/// The experts that a router with this setting for their number uses of a ranking.
pub(super) fn selection(request: &Request, top: &RouterSetting) -> Selection {
    let pinned = request.speakers.pinned.clone();
    Selection { top: request.values.count(top), pinned }
}

/// The rule of a router whose `survey` finds the weights, of at most `width` experts.
pub(super) fn resolved(survey: impl Survey + 'static, width: usize, mix: Mix) -> Resolved {
    Resolved { rule: Box::new(Sequence { survey, width }), mix }
}

/// Weights that a survey found.
#[derive(Debug)]
struct Sequence<S> {
    survey: S,
    /// Experts that can have weight.
    width: usize,
}

impl<S: Survey> Rule for Sequence<S> {
    fn width(&self, _: &Speakers) -> usize {
        self.width
    }

    fn measure(&self) -> Option<&Measure> {
        self.survey.measure()
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
