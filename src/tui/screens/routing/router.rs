//! Changes of the router; every one routes the prompt again.

use super::RoutingScreen;
use crate::routing::{RouterConfig, RouterKind};
use crate::tui::{Effect, Shared};

/// Steps of the temperature keys.
const TEMPERATURES: [f64; 11] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0];

/// Said instead of a change that would show nothing.
fn only_arrow() -> Vec<Effect> {
    vec![Effect::Notice("Only the Arrow router has a top k and a temperature: r chooses it.".into())]
}

/// Said instead of a mute that would change nothing.
fn nobody_to_mute() -> Vec<Effect> {
    vec![Effect::Notice("Only Arrow and uniform mix experts, so that one can be muted: r chooses.".into())]
}

impl RoutingScreen {
    /// Whether the router mixes experts, so that one of them can be left out.
    pub(super) fn can_mute(&self) -> bool {
        !matches!(self.router.kind, RouterKind::Single(_) | RouterKind::Base)
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

    /// Arrow → uniform → single → base → Arrow.
    pub(super) fn next_router(&mut self, shared: &Shared) -> Vec<Effect> {
        let names = self.experts(shared);
        let single = self
            .expert_cursor()
            .and_then(|e| names.get(e).cloned())
            .or_else(|| shared.selected.clone().filter(|name| names.contains(name)))
            .or_else(|| names.first().cloned());
        self.change_router(shared, |router, _| {
            router.kind = match &router.kind {
                RouterKind::Arrow => RouterKind::Uniform,
                RouterKind::Uniform | RouterKind::UniformFactors => {
                    single.map_or(RouterKind::Base, RouterKind::Single)
                }
                RouterKind::Single(_) => RouterKind::Base,
                RouterKind::Base => RouterKind::Arrow,
            }
        })
    }

    /// Experts kept per token and module: 1, 2, … and then all of them, which is 0.
    pub(super) fn change_top_k(&mut self, shared: &Shared, up: bool) -> Vec<Effect> {
        if self.router.kind != RouterKind::Arrow {
            return only_arrow();
        }
        let count = self.experts(shared).len().max(1);
        self.change_router(shared, |router, _| {
            router.top_k = match (router.top_k, up) {
                (0, true) => 0,
                (0, false) => count.saturating_sub(1).max(1),
                (k, true) if k + 1 >= count => 0,
                (k, true) => k + 1,
                (k, false) => k.min(count).saturating_sub(1).max(1),
            }
        })
    }

    pub(super) fn change_temperature(&mut self, shared: &Shared, up: bool) -> Vec<Effect> {
        if self.router.kind != RouterKind::Arrow {
            return only_arrow();
        }
        self.change_router(shared, |router, _| {
            let now = router.temperature;
            let next = if up {
                TEMPERATURES.iter().find(|&&t| t > now * 1.001)
            } else {
                TEMPERATURES.iter().rev().find(|&&t| t < now * 0.999)
            };
            router.temperature = next.copied().unwrap_or(now);
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
            return vec![Effect::Error("The last expert cannot be muted: X brings the others back.".into())];
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
        self.change_router(shared, |router, _| router.kind = RouterKind::Single(name))
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
        if matches!(self.router.kind, RouterKind::Single(_)) {
            return self.route_single(shared);
        }
        Vec::new()
    }
}
