//! The tabs.

pub mod clusters;
pub mod jobs;
pub mod library;
mod parts;
mod roster;
pub mod routing;
pub mod similarity;
