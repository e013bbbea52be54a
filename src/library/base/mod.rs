//! Which base model belongs to a library, where it is, and how to get it.

mod cache;
mod environment;
mod fetch;
mod hub;
mod locate;
mod package;
mod progress;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use cache::verified_sha256;
pub use environment::hub_cache;
pub use fetch::fetch_base;
pub(crate) use locate::check_model;
pub use locate::{BaseLocation, locate_base, locate_described, names_base};
pub(super) use locate::{fits_default, names_local_base};
pub use progress::{FetchPhase, FetchProgress};
