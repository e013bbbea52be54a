//! Choosing an expert of the routing: in the order of their shares, by name, or because it keeps a prompt from being
//! routed.

use super::state::{Focus, RoutingScreen};
use crate::routing::is_blamed;
use crate::text::printable;
use crate::tui::{AppEffect, Effect, Shared, TextField};

impl RoutingScreen {
    /// The expert that keeps the prompt from being routed, where there is no routing to choose it in: `x` acts on it.
    pub(super) fn blamed(&self, shared: &Shared) -> Option<String> {
        let error = self.exchange.error.as_ref().filter(|_| self.exchange.shown.is_none())?;
        let mut experts = shared.library.iter().flat_map(|library| library.usable());
        experts.find(|expert| is_blamed(error, &expert.name)).map(|expert| expert.name.clone())
    }

    /// The experts of the routing, those with the most weight first; while one searches, those that were found.
    pub(super) fn order(&self) -> Vec<usize> {
        let Some(shown) = &self.exchange.shown else { return Vec::new() };
        let mut order = shown.digest.order();
        if let Some(search) = &self.search {
            let words: Vec<String> =
                search.text().to_lowercase().split_whitespace().map(String::from).collect();
            let name = |expert: usize| shown.trace.experts.get(expert).map(|name| name.to_lowercase());
            order.retain(|&e| name(e).is_some_and(|name| words.iter().all(|word| name.contains(word))));
        }
        order
    }

    /// Goes to the next expert in the order of their shares.
    pub(super) fn move_expert(&mut self, by: isize, shared: &Shared) -> Vec<Effect> {
        let order = self.order();
        if order.is_empty() {
            return self.nobody_to_choose(shared);
        }
        let at = self.expert().and_then(|now| order.iter().position(|&expert| expert == now));
        let next = match at {
            Some(now) => (now as isize + by).rem_euclid(order.len() as isize) as usize,
            None => 0,
        };
        let Some(&next) = order.get(next) else { return Vec::new() };
        self.map.expert = Some(next);
        if self.question.router.router.names_expert() {
            return self.route_single(shared);
        }
        self.mark_experts(shared);
        Vec::new()
    }

    /// Said instead of a choice among experts where no routing lists any.
    fn nobody_to_choose(&self, shared: &Shared) -> Vec<Effect> {
        let mut why = "No experts are listed here to choose from.".to_string();
        if let Some(name) = self.blamed(shared) {
            why.push_str(&format!(" x mutes {}.", printable(&name)));
        }
        vec![Effect::App(AppEffect::Notice(why))]
    }

    /// Begins to look for an expert.
    pub(super) fn begin_search(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.order().len() < 2 || !self.question.router.is_weighted() {
            return self.nobody_to_choose(shared);
        }
        self.search = Some(TextField::default());
        self.set_focus(Focus::Search);
        Vec::new()
    }

    /// The text of the search is another: the first of those that were found is chosen.
    pub(super) fn follow_search(&mut self, shared: &Shared) {
        let found = self.order();
        self.map.expert = found.first().copied();
        self.mark_experts(shared);
    }

    /// Ends the search; the expert that was found stays chosen.
    pub(super) fn end_search(&mut self, keep: bool) {
        self.search = None;
        self.set_focus(Focus::Map);
        if !keep {
            self.map.expert = None;
        }
    }
}
