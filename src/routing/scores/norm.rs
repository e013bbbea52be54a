//! How much ΔW adds (SEQR, 2509.18093), as ‖S Vᵀx‖: what it adds itself is never formed.

use super::{Needs, ScoreSpec};

pub(super) const SCORE: ScoreSpec = ScoreSpec {
    id: "norm",
    help: "‖ΔW x‖, computed as ‖S Vᵀx‖",
    needs: Needs::Spectra,
    of: |rows, _| rows.spectral_scores(true),
};
