//! Experts compared and grouped: what `cluster` and `project` have in common.

use super::options::{Options, Table};
use super::output::Output;
use super::similarity::compare;
use crate::Result;
use crate::analysis::{self, ChosenK, Clustering, ComparisonSpec, GROUPING, GroupingSpec, Similarity};
use crate::library::Library;
use crate::settings::Setting;

impl Table for GroupingSpec {
    fn settings() -> Vec<&'static Setting<Self>> {
        GROUPING.iter().collect()
    }
}

/// How to compare experts, and into how many clusters to group them.
#[derive(Clone, Debug, clap::Args)]
pub struct GroupingArgs {
    #[command(flatten)]
    pub comparison: Options<ComparisonSpec>,
    #[command(flatten)]
    pub grouping: Options<GroupingSpec>,
}

/// Experts that were compared and grouped.
#[derive(Clone, Debug)]
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
        let similarity = compare(library, &self.comparison.0, output)?;
        let cancel = output.cancel();
        let GroupingSpec { k, seed } = self.grouping.0;
        let found = k.is_none();
        let mut progress = output.progress();
        let mut found_so_far = |chosen: &ChosenK| {
            progress.update(&format!("trying more clusters: k = {} is the {}", chosen.k, chosen.about()));
        };
        let tried = match found || sweep {
            true => Some(analysis::choose_k(&similarity, seed, &mut found_so_far, cancel)?),
            false => None,
        };
        drop(progress);
        let k = k.or(tried.as_ref().map(|chosen| chosen.k)).unwrap_or(1);
        let clustering = analysis::cluster(&similarity, k, seed, cancel)?;
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
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    #[test]
    fn a_number_of_clusters_is_read() {
        let parse = |words: &[&str]| {
            let command = GroupingArgs::augment_args(Command::new("cluster"));
            let matches = command.try_get_matches_from(["cluster"].iter().chain(words))?;
            GroupingArgs::from_arg_matches(&matches).map(|args| args.grouping.0)
        };
        assert_eq!(parse(&[]).unwrap(), GroupingSpec::default());
        assert_eq!(parse(&["--k", "auto"]).unwrap().k, None);
        assert_eq!(parse(&["--k", "12", "--seed", "7"]).unwrap(), GroupingSpec { k: Some(12), seed: 7 });
        for wrong in ["0", "-1", "x", "", "1.5"] {
            let error = parse(&["--k", wrong]).unwrap_err().to_string();
            assert!(error.contains("must be auto or a whole number from 1"), "{error}");
        }
    }
}
