//! Experts compared and grouped: what `cluster` and `project` have in common.

use std::fmt;
use std::str::FromStr;

use super::output::Output;
use super::similarity::{ComparisonArgs, compare};
use crate::Result;
use crate::analysis::{self, ChosenK, Clustering, DEFAULT_SEED, Similarity};
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
    /// What other numbers of clusters give, where several were tried.
    pub tried: Option<ChosenK>,
    /// Whether the number of clusters was found, not given.
    pub found: bool,
    /// Things a reader should know of both.
    pub warnings: Vec<String>,
}

impl GroupingArgs {
    /// Compares and groups the experts of `library`; tries several numbers of clusters where none is given, or
    /// with `sweep`.
    pub(super) fn group(&self, library: &Library, sweep: bool, output: &Output) -> Result<Grouping> {
        let similarity = compare(library, &self.comparison, output)?;
        let cancel = output.cancel();
        let found = self.k == ClusterCount::Auto;
        let mut progress = output.progress();
        let mut found_so_far = |chosen: &ChosenK| {
            progress.update(&format!("trying more clusters: k = {} is the {}", chosen.k, chosen.about()));
        };
        let tried = match found || sweep {
            true => Some(analysis::choose_k(&similarity, self.seed, &mut found_so_far, cancel)?),
            false => None,
        };
        drop(progress);
        let k = match (self.k, &tried) {
            (ClusterCount::Exactly(k), _) => k,
            (ClusterCount::Auto, tried) => tried.as_ref().map_or(1, |chosen| chosen.k),
        };
        let clustering = analysis::cluster(&similarity, k, self.seed, cancel)?;
        let shortfall = clustering.shortfall(k);
        shortfall.iter().for_each(|text| output.note(&format!("warning: {text}")));
        let warnings = similarity.warnings.iter().cloned().chain(shortfall).collect();
        Ok(Grouping { similarity, clustering, tried, found, warnings })
    }
}

impl Grouping {
    /// How the number of clusters was found, one line; empty where it was given.
    pub(super) fn about_k(&self) -> String {
        let k = self.clustering.k;
        match self.tried.as_ref().filter(|_| self.found) {
            Some(tried) => match tried.range() {
                Some((first, last)) => {
                    let more = if tried.at_border { "; more may be better still" } else { "" };
                    format!("k = {k} has the best mean silhouette of k = {first} to {last}{more}\n")
                }
                None => format!("k = {k}: so few different experts leave no choice\n"),
            },
            None => String::new(),
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
