//! The tabs.

pub mod clusters;
mod comparable;
mod comparison_chrome;
pub mod jobs;
pub mod library;
pub mod routing;
pub mod similarity;
#[cfg(test)]
mod test_data;
