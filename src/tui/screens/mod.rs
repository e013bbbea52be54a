//! The tabs.

pub mod clusters;
mod comparing;
pub mod jobs;
pub mod library;
mod parts;
mod roster;
pub mod routing;
#[cfg(test)]
mod samples;
pub mod similarity;
