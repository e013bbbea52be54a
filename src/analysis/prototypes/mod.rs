//! Prototypes, the directions that Arrow compares tokens with: of one expert at one module, of a whole library,
//! and those computed before.

mod cache;
mod one;
mod table;

pub(crate) use cache::ExpertFactors;
pub use cache::PrototypeCache;
pub use one::{Directions, Prototype, directions, effective_rank, prototype, spectral_gap};
pub use table::{ModulePrototypes, PrototypeTable, keep_prototypes, prototypes};
