//! What the Clusters tab knows: the clustering, the curve over the number of clusters, the cursor.

use std::sync::Arc;

use super::TAB;
use super::groups::{Groups, Row};
use crate::analysis::{Clustering, Similarity, SweptK, best_k, default_k};
use crate::tui::screens::comparison_chrome::{Comparing, Request};
use crate::tui::{ComputeEffect, Effect, List, Shared, Sweep, Tickets};

/// Who chose the number of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    /// Nobody yet: a third of the experts, 2 to 10.
    Guess,
    /// The best mean silhouette of the sweep.
    Silhouette,
    Person,
}

/// State of the Clusters tab.
#[derive(Debug)]
pub struct ClustersScreen {
    pub(super) comparing: Comparing,
    pub(super) k: usize,
    pub(super) chosen: Chosen,
    pub(super) seed: u64,
    tickets: Tickets,
    pub(super) clustering: Option<Request>,
    pub(super) sweeping: Option<Request>,
    pub(super) shown: Option<Shown>,
    pub(super) sweep: Option<Arc<Sweep>>,
    /// What numbers of clusters give that a person tried.
    tried: Vec<SweptK>,
    pub(super) list: List,
}

/// What is on the screen.
#[derive(Debug)]
pub(super) struct Shown {
    pub similarity: Arc<Similarity>,
    pub clustering: Arc<Clustering>,
    pub groups: Groups,
    /// Of how many experts it is a sample, where it is one.
    pub sample_of: Option<usize>,
}

impl Default for ClustersScreen {
    fn default() -> Self {
        Self {
            comparing: Comparing::default(),
            k: 0,
            chosen: Chosen::Guess,
            seed: 42,
            tickets: Tickets::of(TAB),
            clustering: None,
            sweeping: None,
            shown: None,
            sweep: None,
            tried: Vec::new(),
            list: List::default(),
        }
    }
}

impl ClustersScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a clustering with the present settings, if the library allows and the person agreed.
    pub(super) fn cluster(&mut self) -> Vec<Effect> {
        if !self.comparing.may_compute() {
            return Vec::new();
        }
        let experts = self.comparing.comparable().len;
        if self.chosen == Chosen::Guess {
            self.k = default_k(experts);
        }
        self.k = self.k.clamp(1, experts);
        let ticket = self.tickets.issue();
        self.comparing.error = None;
        self.clustering = Some(Request::new(ticket));
        vec![Effect::Compute(ComputeEffect::Cluster {
            ticket,
            k: self.k,
            sparsity: self.comparing.sparsity(),
            seed: self.seed,
        })]
    }

    /// Shows the clustering that a job made.
    pub(super) fn adopt(&mut self, k: usize, seed: u64, sparsity: f64, shared: &Shared) -> Vec<Effect> {
        self.comparing.on_show(shared, false);
        // It was computed before.
        self.comparing.agree();
        self.comparing.set_sparsity(sparsity);
        (self.k, self.seed, self.chosen) = (k, seed, Chosen::Person);
        self.start_over()
    }

    /// Asks for the curve over k and the map.
    pub(super) fn ask_sweep(&mut self) -> Vec<Effect> {
        let ticket = self.tickets.issue();
        let effect = Effect::Compute(ComputeEffect::Sweep {
            ticket,
            sparsity: self.comparing.sparsity(),
            seed: self.seed,
        });
        self.sweeping = Some(Request::new(ticket));
        vec![effect]
    }

    /// After a change that makes the curve and the map another's.
    pub(super) fn start_over(&mut self) -> Vec<Effect> {
        self.sweep = None;
        self.sweeping = None;
        self.tried.clear();
        self.cluster()
    }

    /// Shows an answer.
    pub(super) fn take(
        &mut self,
        similarity: &Arc<Similarity>,
        clustering: &Arc<Clustering>,
        shared: &Shared,
    ) {
        self.show(similarity, clustering, None, shared);
        self.k = clustering.k;
        let Clustering { k, inertia, silhouette, .. } = **clustering;
        self.tried.retain(|tried| tried.k != k);
        self.tried.push(SweptK { k, inertia, silhouette });
    }

    /// Shows some of the experts while the answer for all takes long.
    pub(super) fn take_sample(
        &mut self,
        similarity: &Arc<Similarity>,
        clustering: &Arc<Clustering>,
        shared: &Shared,
    ) {
        if self.shown.as_ref().is_none_or(|shown| shown.sample_of.is_some()) {
            self.show(similarity, clustering, Some(self.comparing.comparable().len), shared);
        }
    }

    fn show(
        &mut self,
        similarity: &Arc<Similarity>,
        clustering: &Arc<Clustering>,
        sample_of: Option<usize>,
        shared: &Shared,
    ) {
        let selected = self.selected_name().map(str::to_owned);
        let groups = Groups::new(similarity, clustering, shared);
        let row = selected.and_then(|name| {
            groups.rows.iter().position(|row| match row {
                Row::Member(at) => similarity.experts.get(*at) == Some(&name),
                Row::Cluster(_) => false,
            })
        });
        self.list.select(row.unwrap_or(0), groups.rows.len());
        self.shown =
            Some(Shown { similarity: similarity.clone(), clustering: clustering.clone(), groups, sample_of });
    }

    /// What every number of clusters gives that was tried, by rising k: those of the sweep and those that a person
    /// chose. Nothing before the sweep.
    pub(super) fn curve(&self) -> Vec<SweptK> {
        let Some(sweep) = &self.sweep else { return Vec::new() };
        let mut curve = sweep.chosen.swept.clone();
        let known = |k: usize| sweep.chosen.swept.iter().any(|swept| swept.k == k);
        curve.extend(self.tried.iter().filter(|tried| !known(tried.k)));
        curve.sort_by_key(|swept| swept.k);
        curve
    }

    /// Among which numbers of clusters the best was looked for: `best of 2…20`.
    pub(super) fn best_of(&self) -> String {
        let Some(sweep) = &self.sweep else { return "best".into() };
        match sweep.chosen.about() {
            about if about.is_empty() => "only choice".into(),
            _ if sweep.chosen.swept.iter().all(|swept| swept.k != self.k) => "best of all tried".into(),
            about if sweep.chosen.at_border && sweep.more => format!("{about}, trying more"),
            about if sweep.chosen.at_border => format!("{about}, more may be better"),
            about => about,
        }
    }

    pub(super) fn take_sweep(&mut self, sweep: &Arc<Sweep>) -> Vec<Effect> {
        self.sweep = Some(sweep.clone());
        if sweep.more {
            return Vec::new();
        }
        match best_k(&sweep.chosen.swept) {
            Some(k) if self.chosen != Chosen::Person => {
                self.chosen = Chosen::Silhouette;
                if k == self.k {
                    return Vec::new();
                }
                self.k = k;
                self.cluster()
            }
            _ => Vec::new(),
        }
    }

    /// Name of the selected member; `None` on a cluster's line.
    pub(super) fn selected_name(&self) -> Option<&str> {
        let shown = self.shown.as_ref()?;
        match shown.groups.rows.get(self.list.cursor())? {
            Row::Member(at) => shown.similarity.experts.get(*at).map(String::as_str),
            Row::Cluster(_) => None,
        }
    }

    pub(super) fn choose(&mut self, k: usize) -> Vec<Effect> {
        let Some(shown) = &self.shown else { return Vec::new() };
        let k = k.clamp(1, shown.similarity.len().max(1));
        if k == self.k {
            return Vec::new();
        }
        (self.k, self.chosen) = (k, Chosen::Person);
        self.cluster()
    }

    /// Other experts are to be compared.
    pub(super) fn library_changed(&mut self) -> Vec<Effect> {
        if self.comparing.comparable().problem().is_some() {
            (self.shown, self.clustering) = (None, None);
        }
        self.start_over()
    }

    /// Moves to the line of the next or the previous cluster.
    pub(super) fn jump(&mut self, forward: bool) {
        let Some(shown) = &self.shown else { return };
        let rows = &shown.groups.rows;
        let is_head = |at: &usize| matches!(rows.get(*at), Some(Row::Cluster(_)));
        let cursor = self.list.cursor();
        let to =
            if forward { (cursor + 1..rows.len()).find(is_head) } else { (0..cursor).rev().find(is_head) };
        if let Some(to) = to {
            self.list.select(to, rows.len());
        }
    }
}
