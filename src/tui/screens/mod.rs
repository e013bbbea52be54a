//! The tabs.

pub mod clusters;
pub mod jobs;
pub mod library;
mod roster;
pub mod routing;
pub mod similarity;
