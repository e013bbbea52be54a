//! Random: one expert drawn per sequence, to compare with.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::router::{Argument, Request, Resolved, Router, Scope};
use super::sequence;
use crate::routing::mix::Mix;
use crate::routing::scores::Needs;
use crate::routing::survey::{Reach, Reasons, Seen, Survey, Surveyed};
use crate::{Error, Result};

pub(super) const ROUTER: Router = Router {
    id: "random",
    title: "random",
    help: "One expert drawn per sequence, by a seed",
    caption: "an expert drawn for this prompt",
    formula: "weight 1 for one expert, drawn by the seed and the prompt",
    source: "control",
    cost: "nothing",
    fails: "right by chance only: what a router gains over it is what it knows",
    argument: Some(Argument { placeholder: "SEED", usage: "random:SEED", names_expert: false, check }),
    settings: &[],
    scope: Scope::Sequence,
    mutes: true,
    pins: false,
    cycles: true,
    needs_task: false,
    needs: Needs::Prototypes,
    resolve,
};

fn seed(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::usage(format!("the seed of random must be a whole number, not {text}")))
}

fn check(text: &str) -> Result<()> {
    seed(text).map(|_| ())
}

fn resolve(request: &Request) -> Result<Resolved> {
    let active = &request.speakers.active;
    let speaking = (0..active.len()).filter(|&e| active[e]).collect();
    let survey = Draw { seed: seed(request.argument)?, experts: active.len(), speaking };
    Ok(sequence::resolved(survey, 1, Mix::Outputs))
}

#[derive(Debug)]
struct Draw {
    seed: u64,
    experts: usize,
    speaking: Vec<usize>,
}

impl Survey for Draw {
    fn reach(&self) -> Reach {
        Reach::Ids
    }

    fn width(&self) -> usize {
        0
    }

    fn see(&self, _: &Seen, _: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn reasons(&self, _: &Surveyed) -> Result<Reasons> {
        Ok(Reasons {
            words: "nothing of the prompt counts but that it is this one: the expert is drawn at random"
                .into(),
            drawn: true,
            ..Reasons::default()
        })
    }

    fn conclude(&self, sequence: &Surveyed) -> Result<Vec<f32>> {
        let mut hash = Sha256::new_with_prefix(self.seed.to_le_bytes());
        sequence.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        let mut weights = vec![0.0; self.experts];
        if let Some(last) = self.speaking.len().checked_sub(1) {
            let drawn = ChaCha8Rng::from_seed(hash.finalize().into()).random_range(0..=last);
            weights[self.speaking[drawn]] = 1.0;
        }
        Ok(weights)
    }
}
