//! Along the gate that was trained for the expert (PHATGOOSE, 2402.05859).

use super::{Needs, ScoreSpec};

pub(super) const SCORE: ScoreSpec = ScoreSpec {
    id: "phatgoose",
    help: "product of x with the expert's trained gate, both standardised, / √in",
    needs: Needs::Gates,
    of: |rows, known| rows.along_gates(known.gates()?.at(rows.position())),
};
