//! The tabs.

pub mod clusters;
pub mod jobs;
pub mod library;
pub mod routing;
pub mod similarity;
