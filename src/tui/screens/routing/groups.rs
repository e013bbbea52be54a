//! Groups of experts: their clusters, once there are some, or else their families.

use std::collections::HashMap;

use crate::tui::screens::comparable;
use crate::tui::{Shared, cluster_mark};

/// Which experts belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// What a group is called: `cluster` or `family`; empty where there are none.
    pub what: &'static str,
    /// By number: clusters have those of the other tabs, families are counted from the largest on.
    pub names: Vec<String>,
    /// The group of each expert, in the order of the experts.
    pub of: Vec<Option<usize>>,
}

impl Groups {
    /// The clusters of these experts, or else their families.
    pub fn of(experts: &[String], shared: &Shared) -> Self {
        match &shared.clustering {
            Some(found) => {
                let labels: HashMap<&str, usize> =
                    found.experts.iter().map(String::as_str).zip(found.labels.iter().copied()).collect();
                let count = found.labels.iter().max().map_or(0, |last| last + 1);
                Self {
                    what: "cluster",
                    names: (0..count).map(|group| format!("cluster {}", cluster_mark::mark(group))).collect(),
                    of: experts.iter().map(|name| labels.get(name.as_str()).copied()).collect(),
                }
            }
            None => Self::families(experts, shared),
        }
    }

    fn families(experts: &[String], shared: &Shared) -> Self {
        let family = |name: &String| comparable::family(shared.library.as_ref(), name);
        let of: Vec<Option<String>> = experts.iter().map(family).collect();
        let mut sizes: HashMap<&String, usize> = HashMap::new();
        of.iter().flatten().for_each(|name| *sizes.entry(name).or_insert(0) += 1);
        if sizes.is_empty() {
            return Self::default();
        }
        let mut order: Vec<(&String, usize)> = sizes.into_iter().collect();
        order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let place: HashMap<&String, usize> =
            order.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
        Self {
            what: "family",
            names: order.iter().map(|(name, _)| name.to_string()).collect(),
            of: of.iter().map(|name| place.get(name.as_ref()?).copied()).collect(),
        }
    }

    /// Whether any two experts are distinguished.
    pub fn divide(&self) -> bool {
        let mut found = self.of.iter().flatten();
        found.next().is_some_and(|first| self.of.iter().any(|group| group.as_ref() != Some(first)))
    }

    /// The sums of the experts' shares: of each group, and behind them of those that are in none.
    pub fn sums(&self, shares: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut sums = vec![0.0; self.names.len() + 1];
        for (expert, share) in shares.enumerate() {
            let group = self.of.get(expert).copied().flatten().unwrap_or(self.names.len());
            if let Some(sum) = sums.get_mut(group) {
                *sum += share;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn families_group_until_clusters_are_known() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(String::from).to_vec();
        let experts = vec![
            fixtures::expert(0, "a", "task", "small"),
            fixtures::expert(1, "b", "task", "large"),
            fixtures::expert(2, "c", "task", "large"),
        ];
        let mut shared = Shared { library: Some(fixtures::with_experts(experts)), ..Shared::default() };
        let groups = Groups::of(&names, &shared);
        assert_eq!((groups.what, groups.names.as_slice()), ("family", &["large".into(), "small".into()][..]));
        assert_eq!(groups.of, [Some(1), Some(0), Some(0), None]);
        assert!(groups.divide());
        assert_eq!(groups.sums([0.1, 0.2, 0.3, 0.4].into_iter()), [0.5, 0.1, 0.4]);
        let clustering = crate::analysis::Clustering {
            experts: names[..3].to_vec(),
            labels: vec![0, 2, 2],
            k: 3,
            ..(*fixtures::clustering()).clone()
        };
        shared.clustering = Some(std::sync::Arc::new(clustering));
        let groups = Groups::of(&names, &shared);
        assert_eq!((groups.what, groups.of.as_slice()), ("cluster", &[Some(0), Some(2), Some(2), None][..]));
        assert_eq!(groups.names[2], "cluster 3");
        assert!(!Groups::of(&names, &Shared::default()).divide());
    }
}
