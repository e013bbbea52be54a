//! A look at the scores of a routed pass, beside what is chosen from them.

use std::fmt::Debug;

/// Sees the scores of every module of a pass.
pub(super) trait Tap: Debug {
    /// Sees those of one module.
    fn see(&mut self, seen: &Seen);

    /// Whether it looks at what decides among the experts with the highest scores, where that is something else.
    fn sees_deciding(&self) -> bool {
        true
    }
}

/// Scores of the rows of a module, and what was chosen.
pub(super) struct Seen<'a> {
    /// Among the routed modules.
    pub position: usize,
    /// By expert: whether it has ΔW ≠ 0 here.
    pub candidate: &'a [bool],
    /// Scores as they are [rows, experts].
    pub raw: &'a [f32],
    /// The same as the router uses them: calibrated, where it is.
    pub used: &'a [f32],
    /// What decides among the experts with the highest scores [rows, experts], where that is something else.
    pub deciding: Option<&'a [f32]>,
    /// (expert, weight) [rows, width].
    pub chosen: &'a [(u32, f32)],
    /// Experts per row.
    pub width: usize,
}
