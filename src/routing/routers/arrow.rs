//! Arrow: per token and module, the experts whose prototype the input is most along (Ostapenko et al., 2024).

use rayon::prelude::*;

use super::router::{Request, Resolved, Router, Rule, Scope, Speakers};
use super::setting::{MIX, TEMPERATURE, TIED, TOP_K};
use crate::Result;
use crate::routing::scores::ModuleRows;
use crate::threads::rows_per_task;

pub(super) const ROUTER: Router = Router {
    id: "arrow",
    title: "Arrow",
    help: "Per token and module, softmax over the top k of |x · prototype|",
    caption: "",
    argument: None,
    settings: &[&TOP_K, &TEMPERATURE, &MIX, &TIED],
    scope: Scope::Token,
    mutes: true,
    pins: true,
    cycles: true,
    resolve,
};

fn resolve(request: &Request) -> Result<Resolved> {
    let (top_k, temperature) = (request.values.count(&TOP_K), request.values.number(&TEMPERATURE) as f32);
    Ok(Resolved { rule: Box::new(Arrow { top_k, temperature }), mix: request.values.mix() })
}

#[derive(Debug)]
struct Arrow {
    /// 0 means all; more than there are candidates means all of them.
    top_k: usize,
    temperature: f32,
}

impl Rule for Arrow {
    fn width(&self, speakers: &Speakers) -> usize {
        match self.top_k {
            0 => speakers.count(),
            top_k => top_k.max(speakers.pinned.len()).min(speakers.count()),
        }
    }

    fn weigh(
        &self,
        rows: &ModuleRows,
        speakers: &Speakers,
        width: usize,
        chosen: &mut [(u32, f32)],
    ) -> Result<()> {
        let scores = rows.prototype_scores()?;
        let candidate = rows.candidates();
        let experts = candidate.len();
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

impl Arrow {
    /// Softmax(score / τ) over the pinned experts and the highest |scores|; ties go to the lower index.
    fn weigh_row(
        &self,
        candidate: &[bool],
        Speakers { active, pinned, .. }: &Speakers,
        scores: &[f32],
        row: &mut [(u32, f32)],
    ) {
        let mut kept = 0;
        for &e in pinned.iter().filter(|&&e| candidate[e]) {
            kept = insert(row, 0, kept, e, scores[e].abs());
        }
        // The pinned ones keep their places; the others compete for the rest.
        let first = kept;
        for (e, score) in scores.iter().enumerate() {
            if candidate[e] && active[e] && !pinned.contains(&e) {
                kept = insert(row, first, kept, e, score.abs());
            }
        }
        if first > 0 {
            row[..kept].sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        }
        let Some(&(_, highest)) = row[..kept].first() else { return };
        let mut sum = 0f32;
        for slot in &mut row[..kept] {
            slot.1 = ((slot.1 - highest) / self.temperature).exp();
            sum += slot.1;
        }
        row[..kept].iter_mut().for_each(|slot| slot.1 /= sum);
        row[kept..].fill((0, 0.0));
    }
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
