//! Along the prototype (Ostapenko et al., 2024).

use super::{Needs, ScoreSpec};

pub(super) const SCORE: ScoreSpec = ScoreSpec {
    id: "arrow",
    help: "|x · prototype|",
    needs: Needs::Prototypes,
    of: |rows, _| {
        let mut scores = rows.prototype_scores()?;
        scores.iter_mut().for_each(|score| *score = score.abs());
        Ok(scores)
    },
};
