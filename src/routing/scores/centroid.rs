//! Along the mean input of the expert's own prompts (mttl's `avg_act`).

use super::{Needs, ScoreSpec};

pub(super) const SCORE: ScoreSpec = ScoreSpec {
    id: "centroid",
    help: "cosine of x with the mean input over the expert's own prompts",
    needs: Needs::OwnData,
    of: |rows, known| rows.cosines(known.own()?.centroids.get(rows.position())),
};
