//! Similarity metrics: a file each, a table of them, and one place that everything else asks.
//!
//! A metric is a [`MetricSpec`] in a file of its own and a line in [`METRICS`]. Command line values and help, the
//! cycle and the labels of the Similarity tab, figures, JSON and the reference page follow from the table.

mod centred;
mod delta;
mod flat;
mod mbc;
mod spec;

use std::ops::Deref;

pub use self::spec::MetricSpec;
use crate::named::{Named, by_name};
use crate::text::listed;

/// Every metric; the first is the default, and what clusterings go by.
static METRICS: &[Metric] =
    &[Metric(&mbc::METRIC), Metric(&flat::METRIC), Metric(&centred::METRIC), Metric(&delta::METRIC)];

/// How two experts are compared: one of a closed set, described by its [`MetricSpec`].
#[derive(Clone, Copy)]
pub struct Metric(&'static MetricSpec);

/// Names for code that means one metric; a new one needs none.
impl Metric {
    /// The paper's.
    pub const MBC: Self = Self(&mbc::METRIC);
    /// Of the factors as they are.
    pub const FLAT: Self = Self(&flat::METRIC);
    /// Of ΔW.
    pub const DELTA: Self = Self(&delta::METRIC);
}

impl Metric {
    /// The next in a cycle through all.
    pub fn next(self) -> Self {
        let at = METRICS.iter().position(|metric| *metric == self).map_or(0, |at| at + 1);
        METRICS[at % METRICS.len()]
    }

    /// `asked` where it matters, else 0: with the metric itself, what a matrix follows from.
    pub fn sparsity(self, asked: f64) -> f64 {
        if self.uses_sparsity { asked } else { 0.0 }
    }

    /// Which metrics need equal ranks, and which to take instead.
    pub(super) fn about_ranks() -> String {
        let ids = |equal_ranks| {
            let some = METRICS.iter().filter(move |metric| metric.equal_ranks == equal_ranks);
            some.map(|metric| metric.id).collect::<Vec<_>>()
        };
        format!(
            "{} need equal ranks; compare them with --metric {}, which `lora-tui cluster`, `lora-tui similarity` and \
             `jobs start cluster` take",
            listed(&ids(true), "and"),
            listed(&ids(false), "or")
        )
    }

    /// The table of the reference page, in Markdown.
    pub fn markdown() -> String {
        let mut out = String::from(
            "| `--metric` | what it compares | formula | `--sparsity` | ranks |\n|---|---|---|---|---|\n",
        );
        for metric in METRICS {
            let sparsity = if metric.uses_sparsity { "yes" } else { "–" };
            let ranks = if metric.equal_ranks { "equal at each module" } else { "any" };
            let MetricSpec { id, help, formula, .. } = **metric;
            out.push_str(&format!("| `{id}` | {help} | {formula} | {sparsity} | {ranks} |\n"));
        }
        out
    }
}

impl Default for Metric {
    fn default() -> Self {
        METRICS[0]
    }
}

impl Deref for Metric {
    type Target = MetricSpec;

    fn deref(&self) -> &MetricSpec {
        self.0
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Metric {}

impl std::fmt::Debug for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl Named for Metric {
    const KIND: &'static str = "metric";

    fn all() -> &'static [Self] {
        METRICS
    }

    fn name(&self) -> &'static str {
        self.id
    }

    fn help(&self) -> &'static str {
        self.help
    }
}

by_name!(Metric);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_goes_through_all_and_names_are_unique() {
        let mut metric = Metric::default();
        let mut seen = Vec::new();
        for _ in METRICS {
            assert_eq!(Metric::named(metric.id).unwrap(), &metric);
            seen.push(metric.id);
            metric = metric.next();
        }
        assert_eq!(metric, Metric::default());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), METRICS.len());
    }

    #[test]
    fn sparsity_is_kept_only_where_it_matters() {
        assert_eq!((Metric::MBC.sparsity(0.25), Metric::DELTA.sparsity(0.25)), (0.25, 0.0));
    }

    #[test]
    fn an_error_about_ranks_names_the_metrics_that_need_and_that_do_not_need_them_equal() {
        let text = Metric::about_ranks();
        let (need, other) = text.split_once(" need equal ranks; compare them with --metric ").unwrap();
        assert!(
            text.ends_with(", which `lora-tui cluster`, `lora-tui similarity` and `jobs start cluster` take"),
            "{text}"
        );
        for metric in METRICS {
            let (here, there) = if metric.equal_ranks { (need, other) } else { (other, need) };
            let names = |list: &str| list.split([' ', ',']).any(|word| word == metric.id);
            assert!(names(here) && !names(there), "{text}");
        }
    }

    #[test]
    fn the_reference_table_has_a_line_per_metric() {
        let table = Metric::markdown();
        assert_eq!(table.lines().count(), 2 + METRICS.len(), "{table}");
        assert!(
            table.lines().all(|line| line.split(" | ").count() == 5 || line.starts_with("|-")),
            "{table}"
        );
    }
}
