//! In which order experts stand, and the groups that the order makes.

use std::collections::HashMap;

use crate::analysis::{Similarity, cluster_name, order_by_cluster};
use crate::tui::screens::comparable;
use crate::tui::screens::comparison_chrome::label;
use crate::tui::text_width;
use crate::tui::{Shared, cluster_mark};

/// What the person chose to order by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Cluster,
    Family,
    Name,
}

impl Order {
    pub fn next(self) -> Self {
        match self {
            Order::Cluster => Order::Family,
            Order::Family => Order::Name,
            Order::Name => Order::Cluster,
        }
    }
}

/// Rows and columns as they stand on the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrangement {
    /// Index into the similarity's experts for each position.
    pub order: Vec<usize>,
    /// Group of each position; empty when the order makes no groups.
    pub groups: Vec<usize>,
    /// Name of each group.
    pub names: Vec<String>,
    /// Printable name of each position.
    pub labels: Vec<String>,
    /// Cells of the widest label.
    pub label_width: usize,
    /// What the header says: `by cluster (k = 4)`.
    pub title: String,
}

impl Arrangement {
    /// Orders as asked, or by name with the reason in the title when that cannot be.
    pub fn new(similarity: &Similarity, order: Order, shared: &Shared) -> Self {
        let mut made = match order {
            Order::Cluster => by_cluster(similarity, shared),
            Order::Family => by_family(similarity, shared),
            Order::Name => by_name(similarity, "by name"),
        };
        made.labels = made
            .order
            .iter()
            .map(|&at| similarity.experts.get(at).map(|name| label(name, shared)).unwrap_or_default())
            .collect();
        made.label_width = made.labels.iter().map(|label| text_width::width(label)).max().unwrap_or(0);
        made
    }
}

fn by_name(similarity: &Similarity, title: &str) -> Arrangement {
    Arrangement { order: (0..similarity.len()).collect(), title: title.into(), ..Arrangement::default() }
}

fn by_cluster(similarity: &Similarity, shared: &Shared) -> Arrangement {
    let Some(clustering) = &shared.clustering else {
        return by_name(similarity, "by name (no clusters yet)");
    };
    let label_of: HashMap<&str, usize> =
        clustering.experts.iter().map(String::as_str).zip(clustering.labels.iter().copied()).collect();
    // Experts without a cluster, whom the clustering left out, come last as one group.
    let label = |at: usize| {
        similarity
            .experts
            .get(at)
            .and_then(|name| label_of.get(name.as_str()))
            .copied()
            .unwrap_or(clustering.k)
    };
    let order = if clustering.experts == similarity.experts {
        order_by_cluster(similarity, clustering)
    } else {
        let mut order: Vec<usize> = (0..similarity.len()).collect();
        order.sort_by_key(|&at| label(at));
        order
    };
    let groups = order.iter().map(|&at| label(at)).collect();
    let names = (0..clustering.k).map(cluster_name).chain(["no cluster".into()]).collect();
    Arrangement {
        order,
        groups,
        names,
        title: format!("by cluster (k = {})", clustering.k),
        ..Arrangement::default()
    }
}

fn by_family(similarity: &Similarity, shared: &Shared) -> Arrangement {
    let families: Vec<Option<String>> =
        similarity.experts.iter().map(|name| comparable::family(shared.library.as_ref(), name)).collect();
    let mut names: Vec<String> = families.iter().flatten().cloned().collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return by_name(similarity, "by name (no expert says its family)");
    }
    let label = |at: usize| {
        let family = families.get(at).and_then(Option::as_ref);
        family.and_then(|family| names.binary_search(family).ok()).unwrap_or(names.len())
    };
    let mut order: Vec<usize> = (0..similarity.len()).collect();
    order.sort_by_key(|&at| label(at));
    let groups = order.iter().map(|&at| label(at)).collect();
    let mut names: Vec<String> =
        names.iter().enumerate().map(|(at, name)| format!("{} {name}", cluster_mark::mark(at))).collect();
    names.push("no family".into());
    Arrangement { order, groups, names, title: "by family".into(), ..Arrangement::default() }
}
