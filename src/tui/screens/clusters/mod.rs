//! The Clusters tab: the partition, its members, a map, and how many clusters fit.

mod cells;
mod charts;
mod groups;
mod keys;
mod view;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use self::groups::{Groups, Row};
use super::comparable::{Comparable, LARGE, one_line};
use super::comparison_chrome;
use crate::analysis::{Clustering, DEFAULT_SPARSITY, Metric, Similarity, best_k, default_k, largest_k};
use crate::catalog::Catalog;
use crate::tui::{
    ComputeEffect, Effect, KeyHint, List, Message, Screen, Shared, Sweep, Tab, Theme, Tickets,
    screen::TabSpec,
};

/// Who chose the number of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    /// Nobody yet: a third of the experts, 2 to 10.
    Guess,
    /// The best mean silhouette of the sweep.
    Silhouette,
    Person,
}

/// The Clusters tab.
pub const TAB: Tab = Tab("Clusters");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(ClustersScreen::new()) };

/// State of the Clusters tab.
#[derive(Debug)]
pub struct ClustersScreen {
    k: usize,
    chosen: Chosen,
    seed: u64,
    /// In steps of 5 %.
    sparsity_steps: u32,
    tickets: Tickets,
    clustering: Option<Request>,
    sweeping: Option<Request>,
    wanted: bool,
    agreed: bool,
    comparable: Comparable,
    shown: Option<Shown>,
    sweep: Option<Arc<Sweep>>,
    error: Option<String>,
    list: List,
}

/// What is being computed.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    ticket: u64,
    done: usize,
    total: usize,
}

/// Whether an answer belongs to the request that is under way.
fn is_for(request: &Option<Request>, ticket: u64) -> bool {
    request.as_ref().is_some_and(|request| request.ticket == ticket)
}

/// What is on the screen.
#[derive(Debug)]
struct Shown {
    similarity: Arc<Similarity>,
    clustering: Arc<Clustering>,
    groups: Groups,
}

impl Default for ClustersScreen {
    fn default() -> Self {
        Self {
            k: 0,
            chosen: Chosen::Guess,
            seed: 42,
            sparsity_steps: comparison_chrome::sparsity_steps(DEFAULT_SPARSITY),
            tickets: Tickets::of(TAB),
            clustering: None,
            sweeping: None,
            wanted: false,
            agreed: false,
            comparable: Comparable::default(),
            shown: None,
            sweep: None,
            error: None,
            list: List::default(),
        }
    }
}

/// Largest k of the sweep; 0 where it would take longer than a person waits for a curve.
fn max_k(experts: usize) -> usize {
    if experts <= LARGE { largest_k(experts) } else { 0 }
}

impl ClustersScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self::default()
    }

    fn sparsity(&self) -> f64 {
        comparison_chrome::sparsity_of(self.sparsity_steps)
    }

    fn request(&mut self) -> Request {
        Request { ticket: self.tickets.issue(), done: 0, total: 0 }
    }

    /// Asks for a clustering with the present settings, if the library allows and the person agreed.
    fn cluster(&mut self) -> Vec<Effect> {
        if !self.wanted || self.comparable.len < 2 || (self.comparable.question().is_some() && !self.agreed) {
            return Vec::new();
        }
        if self.chosen == Chosen::Guess {
            self.k = default_k(self.comparable.len);
        }
        self.k = self.k.clamp(1, self.comparable.len);
        let request = self.request();
        self.error = None;
        let effect = Effect::Compute(ComputeEffect::Cluster {
            ticket: request.ticket,
            k: self.k,
            sparsity: self.sparsity(),
            seed: self.seed,
        });
        self.clustering = Some(request);
        vec![effect]
    }

    /// Asks for the curve over k and the map.
    fn ask_sweep(&mut self) -> Vec<Effect> {
        let request = self.request();
        let effect = Effect::Compute(ComputeEffect::Sweep {
            ticket: request.ticket,
            max_k: max_k(self.comparable.len),
            sparsity: self.sparsity(),
            seed: self.seed,
        });
        self.sweeping = Some(request);
        vec![effect]
    }

    /// After a change that makes the curve and the map another's.
    fn start_over(&mut self) -> Vec<Effect> {
        self.sweep = None;
        self.sweeping = None;
        self.cluster()
    }

    fn take(&mut self, similarity: &Arc<Similarity>, clustering: &Arc<Clustering>, shared: &Shared) {
        let selected = self.selected_name().map(str::to_owned);
        let groups = Groups::new(similarity, clustering, shared);
        let row = selected.and_then(|name| {
            groups.rows.iter().position(|row| match row {
                Row::Member(at) => similarity.experts.get(*at) == Some(&name),
                Row::Cluster(_) => false,
            })
        });
        self.list.select(row.unwrap_or(0), groups.rows.len());
        self.k = clustering.k;
        self.shown = Some(Shown { similarity: similarity.clone(), clustering: clustering.clone(), groups });
    }

    fn take_sweep(&mut self, sweep: &Arc<Sweep>) -> Vec<Effect> {
        self.sweep = Some(sweep.clone());
        match best_k(&sweep.ks) {
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
    fn selected_name(&self) -> Option<&str> {
        let shown = self.shown.as_ref()?;
        match shown.groups.rows.get(self.list.cursor())? {
            Row::Member(at) => shown.similarity.experts.get(*at).map(String::as_str),
            Row::Cluster(_) => None,
        }
    }

    fn library_changed(&mut self, library: &Arc<Catalog>) -> Vec<Effect> {
        let comparable = Comparable::of(Some(library));
        if comparable == self.comparable {
            return Vec::new();
        }
        if comparable.len > self.comparable.len.max(LARGE) {
            self.agreed = false;
        }
        self.comparable = comparable;
        if self.comparable.len < 2 {
            (self.shown, self.clustering, self.error) = (None, None, None);
        }
        self.start_over()
    }

    fn choose(&mut self, k: usize) -> Vec<Effect> {
        let Some(shown) = &self.shown else { return Vec::new() };
        let k = k.clamp(1, shown.similarity.len().max(1));
        if k == self.k {
            return Vec::new();
        }
        (self.k, self.chosen) = (k, Chosen::Person);
        self.cluster()
    }

    fn set_sparsity(&mut self, steps: u32) -> Vec<Effect> {
        if steps > 19 || steps == self.sparsity_steps {
            return Vec::new();
        }
        self.sparsity_steps = steps;
        self.start_over()
    }

    /// Moves to the line of the next or the previous cluster.
    fn jump(&mut self, forward: bool) {
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

impl Screen for ClustersScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.wanted = true;
        self.comparable = Comparable::of(shared.library.as_ref());
        if self.shown.is_none() && self.clustering.is_none() && self.error.is_none() {
            self.cluster()
        } else {
            Vec::new()
        }
    }

    fn is_animating(&self, _shared: &Shared) -> bool {
        self.clustering.is_some() || self.sweeping.is_some()
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        match message {
            Message::Library(Ok(library)) => return self.library_changed(library),
            // Once anybody looks at similarities, clusters order and colour them.
            Message::Similarity { result: Ok(similarity), .. }
                if !self.wanted && similarity.metric == Metric::default() && similarity.len() <= LARGE =>
            {
                self.sparsity_steps = comparison_chrome::sparsity_steps(similarity.sparsity);
                return self.on_show(shared);
            }
            Message::Progress { ticket, done, total } => {
                for request in [&mut self.clustering, &mut self.sweeping].into_iter().flatten() {
                    if request.ticket == *ticket {
                        (request.done, request.total) = (*done, *total);
                    }
                }
            }
            Message::Clustering { ticket, result } if is_for(&self.clustering, *ticket) => {
                self.clustering = None;
                match result {
                    Ok((similarity, clustering)) => {
                        self.take(similarity, clustering, shared);
                        if self.sweep.is_none() && self.sweeping.is_none() {
                            return self.ask_sweep();
                        }
                    }
                    Err(error) => self.error = Some(one_line(error)),
                }
            }
            Message::Sweep { ticket, result } if is_for(&self.sweeping, *ticket) => {
                self.sweeping = None;
                match result {
                    Ok(sweep) => return self.take_sweep(sweep),
                    Err(error) => self.error = Some(one_line(error)),
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        self.draw(frame, area, shared, theme);
    }
}

#[cfg(test)]
mod tests;
