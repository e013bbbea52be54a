//! Changes of the router; every one routes the prompt again.

use super::RoutingScreen;
use crate::routing::{ROUTERS, Router, RouterConfig, RouterSetting, TEMPERATURE, TOP_K, titles};
use crate::tui::{AppEffect, Effect, Shared};

/// The settings that have keys.
const KEYED: [&RouterSetting; 2] = [&TOP_K, &TEMPERATURE];

/// Said instead of a change that would show nothing: which routers have the setting.
fn not_this_router(setting: &RouterSetting) -> Vec<Effect> {
    let who = |setting: &RouterSetting| titles(|router| router.has(setting));
    let alike: Vec<&str> =
        KEYED.iter().filter(|other| who(other) == who(setting)).map(|other| other.title).collect();
    let names = alike.join(" and ");
    let mut letters = names.chars();
    let names: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let apply = if alike.len() == 1 { "applies" } else { "apply" };
    vec![Effect::App(AppEffect::Notice(format!("{names} {apply} to {} only (press r).", who(setting))))]
}

/// Said instead of a mute that would change nothing.
fn nobody_to_mute() -> Vec<Effect> {
    vec![Effect::App(AppEffect::Notice(format!("Muting needs {} (press r).", titles(|router| router.mutes))))]
}

impl RoutingScreen {
    /// Whether the router mixes experts, so that one of them can be left out.
    pub(super) fn can_mute(&self) -> bool {
        self.router.router.mutes
    }

    /// The muted experts; none under routers that do not mix, though the choice is kept for those that do.
    pub(super) fn muted(&self) -> &[String] {
        if self.can_mute() { &self.router.muted } else { &[] }
    }

    pub(super) fn change_router(
        &mut self,
        shared: &Shared,
        change: impl FnOnce(&mut RouterConfig, &mut Self),
    ) -> Vec<Effect> {
        let mut router = self.router.clone();
        change(&mut router, self);
        self.router_touched = true;
        if router == self.router {
            return Vec::new();
        }
        self.router = router;
        // Live: an answer under way starts anew, a finished one stays and says whose it is.
        if self.is_generating() { self.generate(shared) } else { self.route(shared) }
    }

    pub(super) fn experts(&self, shared: &Shared) -> Vec<String> {
        match &self.shown {
            Some(shown) if !shown.trace.experts.is_empty() => shown.trace.experts.to_vec(),
            _ => shared.library.iter().flat_map(|l| l.usable()).map(|e| e.name.clone()).collect(),
        }
    }

    /// The next of the routers that the key stops at; one that needs an expert takes the chosen one.
    pub(super) fn next_router(&mut self, shared: &Shared) -> Vec<Effect> {
        let names = self.experts(shared);
        let expert = self
            .expert_cursor()
            .and_then(|e| names.get(e).cloned())
            .or_else(|| shared.selected.clone().filter(|name| names.contains(name)))
            .or_else(|| names.first().cloned());
        let stops = |router: &&Router| router.cycles && (expert.is_some() || !router.names_expert());
        let now = ROUTERS.iter().position(|router| router == self.router.router).unwrap_or(0);
        let Some(next) = ROUTERS.iter().cycle().skip(now + 1).take(ROUTERS.len()).find(stops) else {
            return Vec::new();
        };
        let argument = expert.filter(|_| next.names_expert()).unwrap_or_default();
        self.change_router(shared, |router, _| router.change_to(next, argument))
    }

    /// The next value of a setting, where the router has it. Counts run from 1 to the number of experts.
    pub(super) fn change_setting(
        &mut self,
        shared: &Shared,
        setting: &'static RouterSetting,
        up: bool,
    ) -> Vec<Effect> {
        if !self.router.router.has(setting) {
            return not_this_router(setting);
        }
        let count = self.experts(shared).len().max(1);
        self.change_router(shared, |router, _| {
            let next = setting.step(router.values.get(setting), up, count);
            router.values.set(setting, next);
        })
    }

    pub(super) fn toggle_mute(&mut self, shared: &Shared) -> Vec<Effect> {
        if !self.can_mute() {
            return nobody_to_mute();
        }
        let Some(expert) = self.expert_cursor() else { return Vec::new() };
        let names = self.experts(shared);
        let Some(name) = names.get(expert) else { return Vec::new() };
        if let Some(at) = self.router.muted.iter().position(|muted| muted == name) {
            return self.change_router(shared, |router, _| drop(router.muted.remove(at)));
        }
        let left = names.iter().filter(|n| !self.router.muted.contains(n)).count();
        if left <= 1 {
            return vec![Effect::App(AppEffect::Error(
                "The last expert cannot be muted: X brings the others back.".into(),
            ))];
        }
        // The selection stays on the expert, so that the same key brings it back.
        self.expert = Some(expert);
        self.change_router(shared, |router, _| router.muted.push(name.clone()))
    }

    pub(super) fn unmute_all(&mut self, shared: &Shared) -> Vec<Effect> {
        if !self.can_mute() {
            return nobody_to_mute();
        }
        self.change_router(shared, |router, _| router.muted.clear())
    }

    pub(super) fn route_single(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(name) = self.expert_cursor().and_then(|e| self.experts(shared).get(e).cloned()) else {
            return Vec::new();
        };
        self.change_router(shared, |router, _| router.change_to(Router::single(), name))
    }

    pub(super) fn move_expert(&mut self, shared: &Shared, by: isize) -> Vec<Effect> {
        let count = self.experts(shared).len();
        if count == 0 {
            return Vec::new();
        }
        let next = match self.expert_cursor() {
            Some(now) => (now as isize + by).rem_euclid(count as isize) as usize,
            None => 0,
        };
        self.expert = Some(next);
        if self.router.router.names_expert() {
            return self.route_single(shared);
        }
        Vec::new()
    }
}
