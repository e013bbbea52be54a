//! Within the subspace that ΔW reads (SpectR's letter, 2504.03454).

use super::{Needs, ScoreSpec};

pub(super) const SCORE: ScoreSpec = ScoreSpec {
    id: "subspace",
    help: "‖Vᵀx‖, V the right singular vectors of ΔW",
    needs: Needs::Spectra,
    of: |rows, _| rows.spectral_scores(false),
};
