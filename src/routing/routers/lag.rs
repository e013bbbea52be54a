//! LAG: per token and module, the expert that adds most among those whose prototypes the input is most along.

use rayon::prelude::*;

use super::router::{Request, Resolved, Router, Rule, Weighing, Words};
use super::setting::{CALIBRATED, RouterSetting, TIED, TOP_K};
use super::token::highest;
use crate::Result;
use crate::routing::mix::Mix;
use crate::routing::scores::{Measure, Score};
use crate::routing::speakers::Speakers;
use crate::threads::rows_per_task;

// One expert has all the weight: there is nothing to mix.
const SETTINGS: &[&RouterSetting] = &[&TOP_K, &CALIBRATED, &TIED];

pub(super) const ROUTER: Router = Router::per_token(
    Words {
        id: "lag",
        title: "LAG",
        help: "Per token and module, of the top k of |x · prototype| the one with the largest ‖ΔW x‖",
        formula: "the k best by |v₁·x|, then weight 1 for the largest ‖s·B·A·x‖ among them",
        source: "LAG (2507.05346)",
        cost: "Arrow's, and A x of k experts per row",
        fails: "one expert per token: where two are needed, one is lost; `norm`'s weakness within the k",
    },
    SETTINGS,
    resolve,
);

fn resolve(request: &Request) -> Result<Resolved> {
    let values = request.values;
    let (arrow, norm) = (request.measure(Score::arrow())?, Score::norm());
    request.check_usual(norm)?;
    let top_k = match values.count(&TOP_K) {
        0 => request.speakers.count(),
        top_k => top_k.min(request.speakers.count()),
    };
    Ok(Resolved { rule: Box::new(Lag { arrow, norm, top_k: top_k.max(1) }), mix: Mix::Outputs })
}

#[derive(Debug)]
struct Lag {
    arrow: Measure,
    norm: Score,
    top_k: usize,
}

impl Rule for Lag {
    fn width(&self, speakers: &Speakers) -> usize {
        speakers.count().min(1)
    }

    fn measure(&self) -> Option<&Measure> {
        Some(&self.arrow)
    }

    fn decider(&self) -> Option<Measure> {
        Some(Measure { score: self.norm, ..self.arrow.clone() })
    }

    fn weigh(&self, at: &Weighing, chosen: &mut [(u32, f32)]) -> Result<()> {
        let &Weighing { rows, speakers, width, .. } = at;
        if width == 0 {
            return Ok(());
        }
        let (scores, norms) = (self.arrow.of(rows)?, rows.norms()?);
        let (candidate, position, experts) = (rows.candidates(), rows.position(), rows.experts());
        let some = rows_per_task(rows.count());
        let tasks = chosen.par_chunks_mut(some).zip(scores.par_chunks(experts * some)).enumerate();
        tasks.for_each(|(task, (chosen, scores))| {
            let mut best = vec![(0, 0.0); self.top_k];
            for (at, (slot, scores)) in chosen.iter_mut().zip(scores.chunks(experts)).enumerate() {
                let kept = highest(candidate, speakers, scores, &mut best);
                let norm = |&(e, _): &(u32, f32)| {
                    let norm = norms.of(task * some + at, e as usize);
                    let calibration = self.arrow.calibration.as_ref();
                    calibration.map_or(norm, |c| c.of_one(self.norm, position, e as usize, norm))
                };
                let mut largest = None::<(u32, f32)>;
                for entry in &best[..kept] {
                    let norm = norm(entry);
                    if largest.is_none_or(|(_, most)| norm > most) {
                        largest = Some((entry.0, norm));
                    }
                }
                *slot = largest.map_or((0, 0.0), |(e, _)| (e, 1.0));
            }
        });
        Ok(())
    }
}
