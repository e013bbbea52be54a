//! What routers that choose per token and module by a score have in common: softmax over the top k.

use rayon::prelude::*;

use super::router::{Request, Resolved, Rule, Weighing};
use super::setting::{CALIBRATED, MIX, PRIOR, RouterSetting, SHARPNESS, TEMPERATURE, TOP_K};
use crate::Result;
use crate::routing::ballot::{Ballot, Outcome};
use crate::routing::scores::{Measure, Score};
use crate::routing::speakers::Speakers;
use crate::routing::survey::Survey;
use crate::threads::rows_per_task;

/// The settings of a router that weighs by a score.
pub(super) const SETTINGS: &[&RouterSetting] = &[&TOP_K, &TEMPERATURE, &CALIBRATED, &PRIOR, &SHARPNESS, &MIX];

/// The rule of a router that has the settings of Arrow, by another score or the same.
pub(super) fn resolve(request: &Request, score: Score) -> Result<Resolved> {
    let values = request.values;
    let measure = request.measure(score)?;
    let prior = match values.number(&PRIOR) as f32 {
        strength if strength > 0.0 => {
            let outcome = (request.sharpness()?, Outcome::Prior(strength));
            Some(Ballot::new(measure.clone(), request.experts, request.speakers, outcome))
        }
        _ => None,
    };
    let (top_k, temperature) = (values.count(&TOP_K), values.number(&TEMPERATURE) as f32);
    Ok(Resolved { rule: Box::new(Token { measure, prior, top_k, temperature }), mix: values.mix() })
}

#[derive(Debug)]
struct Token {
    measure: Measure,
    /// Its findings are added to the scores.
    prior: Option<Ballot>,
    /// 0 means all; more than there are candidates means all of them.
    top_k: usize,
    temperature: f32,
}

impl Rule for Token {
    fn width(&self, speakers: &Speakers) -> usize {
        match self.top_k {
            0 => speakers.count(),
            top_k => top_k.max(speakers.pinned.len()).min(speakers.count()),
        }
    }

    fn measure(&self) -> Option<&Measure> {
        Some(&self.measure)
    }

    fn survey(&self) -> Option<&dyn Survey> {
        self.prior.as_ref().map(|ballot| ballot as &dyn Survey)
    }

    fn weigh(&self, at: &Weighing, chosen: &mut [(u32, f32)]) -> Result<()> {
        let &Weighing { rows, speakers, width, sequences } = at;
        let mut scores = self.measure.of(rows)?;
        let candidate = rows.candidates();
        let experts = candidate.len();
        if self.prior.is_some() {
            for (row, scores) in scores.chunks_mut(experts.max(1)).enumerate() {
                scores.iter_mut().zip(sequences.of(row)).for_each(|(score, prior)| *score += prior);
            }
        }
        let rows = rows_per_task(rows.count());
        chosen.par_chunks_mut((width * rows).max(1)).zip(scores.par_chunks(experts * rows)).for_each(
            |(chosen, scores)| {
                for (row, scores) in chosen.chunks_mut(width).zip(scores.chunks(experts)) {
                    self.weigh_row(candidate, speakers, scores, row);
                }
            },
        );
        Ok(())
    }
}

impl Token {
    /// Softmax(score / τ) over the pinned experts and the highest scores; ties go to the lower index.
    fn weigh_row(&self, candidate: &[bool], speakers: &Speakers, scores: &[f32], row: &mut [(u32, f32)]) {
        let kept = highest(candidate, speakers, scores, row);
        soften(row, kept, self.temperature);
    }
}

/// Turns the first `kept` entries of a row, scores with the highest first, into weights; the rest is weight 0.
pub(super) fn soften(row: &mut [(u32, f32)], kept: usize, temperature: f32) {
    let Some(&(_, most)) = row[..kept].first() else { return };
    let mut sum = 0f32;
    for slot in &mut row[..kept] {
        slot.1 = ((slot.1 - most) / temperature).exp();
        sum += slot.1;
    }
    row[..kept].iter_mut().for_each(|slot| slot.1 /= sum);
    row[kept..].fill((0, 0.0));
}

/// Puts (expert, score) of the pinned experts and of those with the highest scores into `row`, highest first, as
/// many as there is room for; returns their number. Ties go to the lower index.
pub(super) fn highest(
    candidate: &[bool],
    Speakers { active, pinned, .. }: &Speakers,
    scores: &[f32],
    row: &mut [(u32, f32)],
) -> usize {
    let mut kept = 0;
    for &e in pinned.iter().filter(|&&e| candidate[e]) {
        kept = insert(row, 0, kept, e, scores[e]);
    }
    // The pinned ones keep their places; the others compete for the rest.
    let first = kept;
    for (e, score) in scores.iter().enumerate() {
        if candidate[e] && active[e] && !pinned.contains(&e) {
            kept = insert(row, first, kept, e, *score);
        }
    }
    if first > 0 {
        row[..kept].sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }
    kept
}

/// Inserts an expert into `row[first..kept]`, ordered by score, if it is among the highest that fit; returns
/// the new number of kept ones, which are few.
fn insert(row: &mut [(u32, f32)], first: usize, kept: usize, e: usize, score: f32) -> usize {
    let at = row[first..kept].iter().position(|&(_, s)| score > s).map_or(kept, |at| first + at);
    if at >= row.len() {
        return kept;
    }
    let kept = (kept + 1).min(row.len());
    row[at..kept].rotate_right(1);
    row[at] = (e as u32, score);
    kept
}
