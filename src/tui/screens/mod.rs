//! The tabs. A new one is a folder here and a line in [`TABS`].

pub mod clusters;
mod comparable;
mod comparison_chrome;
pub mod eval;
mod families;
pub mod jobs;
pub mod library;
pub mod routing;
pub mod similarity;
#[cfg(test)]
mod test_data;

use super::{Tab, TabSpec};

/// All tabs, in the order of their number keys.
pub static TABS: &[TabSpec] =
    &[library::SPEC, similarity::SPEC, clusters::SPEC, routing::SPEC, eval::SPEC, jobs::SPEC];

/// Place of a tab in [`TABS`].
pub fn index(tab: Tab) -> usize {
    TABS.iter().position(|spec| spec.tab == tab).unwrap_or_default()
}
