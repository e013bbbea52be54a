//! Why the experts of the token under the cursor have their weights: asked in the background as the cursor moves.

use std::sync::Arc;

use super::exchange::Shown;
use super::question::Asked;
use crate::routing::{Prompt, Why};
use crate::tui::{Effect, EngineEffect, Study};

/// Experts per module about which something is said.
pub const EXPLAINED: usize = 5;

/// Whether the router of a routing chooses among experts, so that there are reasons.
pub fn chooses(shown: &Shown) -> bool {
    let router = &shown.asked.router;
    router.is_weighted() && !router.router.names_expert() && !shown.trace.experts.is_empty()
}

/// What was asked last, and perhaps answered.
#[derive(Debug, Default)]
pub struct Reasons(Option<Reason>);

#[derive(Debug)]
struct Reason {
    asked: Asked,
    token: usize,
    ticket: u64,
    result: Option<Result<Arc<Why>, String>>,
}

impl Reasons {
    /// What is known of a token of the routing that is shown: nothing of any other token, prompt or router.
    pub fn of(&self, shown: &Shown, token: usize) -> Option<&Result<Arc<Why>, String>> {
        let same = |reason: &&Reason| reason.token == token && reason.asked == shown.asked;
        self.0.as_ref().filter(same).filter(|_| !shown.outdated)?.result.as_ref()
    }

    /// Whether a token's reasons are still to be asked for: there are some, and it is not what was asked last.
    pub fn lack(&self, shown: &Shown, token: usize) -> bool {
        let last = self.0.as_ref().is_some_and(|reason| reason.token == token && reason.asked == shown.asked);
        chooses(shown) && !shown.outdated && !last && token < shown.trace.tokens.len()
    }

    /// Asks why the experts of a token have their weights.
    pub fn ask(&mut self, shown: &Shown, token: usize, ticket: u64) -> Vec<Effect> {
        let (tokens, router) = (&shown.trace.tokens, &shown.asked.router);
        let prompt = Prompt {
            ids: tokens.iter().map(|token| token.id).collect(),
            parts: tokens.iter().map(|token| token.part).collect(),
        };
        self.0 = Some(Reason { asked: shown.asked.clone(), token, ticket, result: None });
        let study = Study::Explain { prompt, router: router.clone(), token, most: EXPLAINED };
        vec![Effect::Engine(EngineEffect::Study { ticket, study })]
    }

    /// Takes the answer to what was asked last.
    pub fn take(&mut self, ticket: u64, result: &Result<Arc<Why>, String>) {
        if let Some(reason) = self.0.as_mut().filter(|reason| reason.ticket == ticket) {
            reason.result = Some(result.clone());
        }
    }

    /// Studies were ended: what has no answer gets none.
    pub fn end(&mut self) {
        self.0.take_if(|reason| reason.result.is_none());
    }

    /// The experts are others.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}
