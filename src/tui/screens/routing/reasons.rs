//! Why the experts of the token under the cursor have their weights: asked in the background as the cursor moves.

use std::sync::Arc;

use super::exchange::Shown;
use super::question::Asked;
use crate::routing::{Prompt, Scope, Why, WhySequence};
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
pub struct Reasons {
    last: Option<Reason>,
    /// What was found of a whole prompt last, of so many tokens: it holds for all of them.
    whole: Option<(Asked, usize, Arc<Why>)>,
}

#[derive(Debug)]
struct Reason {
    asked: Asked,
    /// How many the routing has.
    tokens: usize,
    token: usize,
    ticket: u64,
    result: Option<Result<Arc<Why>, String>>,
}

impl Reasons {
    /// What is known of a token of the routing that is shown: nothing of any other token, prompt or router.
    pub fn of(&self, shown: &Shown, token: usize) -> Option<&Result<Arc<Why>, String>> {
        let same = |reason: &&Reason| reason.token == token && reason.asked == shown.asked;
        self.last.as_ref().filter(same).filter(|_| !shown.outdated)?.result.as_ref()
    }

    /// What was found of the whole prompt of the routing that is shown, whichever of its tokens was asked about.
    pub fn sequence(&self, shown: &Shown) -> Option<&WhySequence> {
        let same = |(asked, tokens, _): &&(Asked, usize, Arc<Why>)| {
            *asked == shown.asked && *tokens == shown.trace.tokens.len() && !shown.outdated
        };
        self.whole.as_ref().filter(same)?.2.sequence.as_ref()
    }

    /// By expert: its share of the votes, where these decide once for the whole prompt; else nothing.
    pub fn votes(&self, shown: &Shown) -> &[f64] {
        let once = shown.asked.router.router.scope == Scope::Sequence && self.sequence(shown).is_some();
        let why = self.whole.as_ref().filter(|_| once).map(|(_, _, why)| why);
        why.map_or(&[], |why| why.votes.as_slice())
    }

    /// Whether a token's reasons are still to be asked for: there are some, and it is not what was asked last.
    pub fn lack(&self, shown: &Shown, token: usize) -> bool {
        let last =
            self.last.as_ref().is_some_and(|reason| reason.token == token && reason.asked == shown.asked);
        chooses(shown) && !shown.outdated && !last && token < shown.trace.tokens.len()
    }

    /// Asks why the experts of a token have their weights.
    pub fn ask(&mut self, shown: &Shown, token: usize, ticket: u64) -> Vec<Effect> {
        let (tokens, router) = (&shown.trace.tokens, &shown.asked.router);
        let prompt = Prompt {
            ids: tokens.iter().map(|token| token.id).collect(),
            parts: tokens.iter().map(|token| token.part).collect(),
        };
        let (asked, tokens) = (shown.asked.clone(), shown.trace.tokens.len());
        self.last = Some(Reason { asked, tokens, token, ticket, result: None });
        let study = Study::Explain { prompt, router: router.clone(), token, most: EXPLAINED };
        vec![Effect::Engine(EngineEffect::Study { ticket, study })]
    }

    /// Takes the answer to what was asked last.
    pub fn take(&mut self, ticket: u64, result: &Result<Arc<Why>, String>) {
        if let Some(reason) = self.last.as_mut().filter(|reason| reason.ticket == ticket) {
            if let Ok(why) = result {
                self.whole = Some((reason.asked.clone(), reason.tokens, why.clone()));
            }
            reason.result = Some(result.clone());
        }
    }

    /// Studies were ended: what has no answer gets none.
    pub fn end(&mut self) {
        self.last.take_if(|reason| reason.result.is_none());
    }

    /// The experts are others.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}
