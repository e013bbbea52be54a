//! Centroid: per token and module, the experts whose own prompts look most like the input.

use std::sync::Arc;

use super::router::{Request, Resolved, Router, Rule, Scope, Weighing};
use super::setting::{MIX, TEMPERATURE, TOP_K};
use super::token::{highest, soften};
use crate::Result;
use crate::routing::own_data::OwnData;
use crate::routing::speakers::Speakers;

pub(super) const ROUTER: Router = Router {
    id: "centroid",
    title: "centroid",
    help: "Per token and module, softmax over the top k of the cosine of x with the mean input of the expert's prompts",
    caption: "",
    formula: "score = cosine of x with the mean module input over the expert's own prompts; softmax(score / temperature) \
              over the k best",
    source: "mttl's `avg_act`",
    cost: "one product of x with the centroids; before that, one pass over the experts' own prompts",
    fails: "cosines of a language model's states hardly differ: without a low temperature it is close to uniform",
    argument: None,
    settings: &[&TOP_K, &TEMPERATURE, &MIX],
    scope: Scope::Token,
    mutes: true,
    pins: true,
    cycles: false,
    needs_data: true,
    resolve,
};

fn resolve(request: &Request) -> Result<Resolved> {
    let (top_k, temperature) = (request.values.count(&TOP_K), request.values.number(&TEMPERATURE) as f32);
    let rule = Centroid { own: request.own()?, top_k, temperature };
    Ok(Resolved { rule: Box::new(rule), mix: request.values.mix() })
}

#[derive(Debug)]
struct Centroid {
    own: Arc<OwnData>,
    top_k: usize,
    temperature: f32,
}

impl Rule for Centroid {
    fn width(&self, speakers: &Speakers) -> usize {
        match self.top_k {
            0 => speakers.count(),
            top_k => top_k.max(speakers.pinned.len()).min(speakers.count()),
        }
    }

    fn weigh(&self, at: &Weighing, chosen: &mut [(u32, f32)]) -> Result<()> {
        let Some(centroids) = self.own.centroids.get(at.rows.position()) else { return Ok(()) };
        let scores = at.rows.cosines(centroids)?;
        let experts = at.rows.experts().max(1);
        for (row, scores) in chosen.chunks_mut(at.width.max(1)).zip(scores.chunks(experts)) {
            let kept = highest(at.rows.candidates(), at.speakers, scores, row);
            soften(row, kept, self.temperature);
        }
        Ok(())
    }
}
