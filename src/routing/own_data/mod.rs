//! What the experts' own prompts look like to the base model, and gates that were trained on them: for routers that know
//! experts by their data.

mod collect;
mod fit;
mod gates;
mod known;
mod look;
mod source;
mod table;

pub(super) use collect::look_at;
pub(super) use fit::fit;
pub use gates::{GateJob, GateTrainer, Gates};
pub(super) use gates::{STANDARD_EPS, gated};
pub use known::Known;
pub(super) use look::OwnLook;
pub use source::{OwnAnswer, OwnPrompts, OwnSource};
pub use table::OwnData;
pub(super) use table::middle;
