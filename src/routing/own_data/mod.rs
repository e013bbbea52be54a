//! What the experts' own prompts look like to the base model: for routers that know experts by their data.

mod cache;
mod collect;
mod fit;
mod table;

pub(super) use cache::OwnDataCache;
pub(super) use collect::collect;
pub(super) use table::middle;
pub use table::{OwnData, OwnPrompts};
