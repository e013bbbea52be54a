//! Experts compared and grouped: what `cluster` and `project` have in common.

use std::fmt;
use std::str::FromStr;

use super::output::Output;
use super::similarity::{ComparisonArgs, compare};
use crate::Result;
use crate::analysis::{self, Clustering, DEFAULT_SEED, Similarity, SweptK};
use crate::library::Library;

/// How to compare experts, and into how many clusters to group them.
#[derive(Clone, Debug, clap::Args)]
pub struct GroupingArgs {
    /// Number of clusters: auto (the best mean silhouette) or a number
    #[arg(long, value_name = "auto|N", default_value_t)]
    pub k: ClusterCount,
    #[command(flatten)]
    pub comparison: ComparisonArgs,
    /// Seed of k-means
    #[arg(long, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
}

/// How many clusters to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterCount {
    /// As many as [`analysis::choose_k`] finds, which is the rule of the Clusters tab.
    #[default]
    Auto,
    /// This many.
    Exactly(usize),
}

impl FromStr for ClusterCount {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match (text, text.parse::<usize>()) {
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(k)) if k > 0 => Ok(Self::Exactly(k)),
            _ => Err("expected auto or a number of at least 1".into()),
        }
    }
}

impl fmt::Display for ClusterCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Exactly(k) => k.fmt(f),
        }
    }
}

/// Experts that were compared and grouped.
pub(super) struct Grouping {
    pub similarity: Similarity,
    pub clustering: Clustering,
    /// What each number of clusters gives, where several were tried.
    pub swept: Option<Vec<SweptK>>,
    /// Whether the number of clusters was found, not given.
    pub found: bool,
}

impl GroupingArgs {
    /// Compares and groups the experts of `library`; tries several numbers of clusters where none is given, or
    /// with `sweep`.
    pub(super) fn group(&self, library: &Library, sweep: bool, output: &Output) -> Result<Grouping> {
        let similarity = compare(library, &self.comparison, output)?;
        let cancel = output.cancel();
        let found = self.k == ClusterCount::Auto;
        let tried =
            if found || sweep { Some(analysis::choose_k(&similarity, self.seed, cancel)?) } else { None };
        let k = match (self.k, &tried) {
            (ClusterCount::Exactly(k), _) => k,
            (ClusterCount::Auto, tried) => tried.as_ref().map_or(1, |(k, _)| *k),
        };
        let clustering = analysis::cluster(&similarity, k, self.seed, cancel)?;
        Ok(Grouping { similarity, clustering, swept: tried.map(|(_, swept)| swept), found })
    }
}

impl Grouping {
    /// How the number of clusters was found, one line; empty where it was given.
    pub(super) fn about_k(&self) -> String {
        match self.swept.as_deref() {
            Some([first, .., last]) if self.found => format!(
                "k = {} has the best mean silhouette of k = {} to {}\n",
                self.clustering.k, first.k, last.k
            ),
            Some(_) if self.found => {
                format!("k = {}: so few experts leave no choice\n", self.clustering.k)
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_clusters_is_read() {
        assert_eq!("auto".parse(), Ok(ClusterCount::Auto));
        assert_eq!("12".parse(), Ok(ClusterCount::Exactly(12)));
        for wrong in ["0", "-1", "x", "", "1.5"] {
            assert!(wrong.parse::<ClusterCount>().is_err(), "{wrong}");
        }
        assert_eq!(
            (ClusterCount::Auto.to_string(), ClusterCount::Exactly(3).to_string()),
            ("auto".into(), "3".into())
        );
    }
}
