//! What is found out beside the routing: several routers on one prompt, a run that is kept to compare with, and which
//! experts an answer is owed to.

use std::sync::Arc;

use super::digest::Cell;
use super::exchange::Shown;
use super::question::{Asked, is_same_router};
use crate::eval::{Attribution, Compared};
use crate::routing::{Part, RouterConfig};
use crate::tui::{Effect, EngineEffect, Study};

/// Routers side by side, at most.
pub const MOST: usize = 5;

/// Tokens that an answer beside others has at most.
const ANSWER: usize = 48;

/// Experts that are taken out, at most.
const TAKEN_OUT: usize = 8;

/// What one router makes of the prompt.
#[derive(Clone, Debug)]
pub struct Row {
    pub asked: Asked,
    /// The answer whose probability was asked for.
    reference: String,
    pub compared: Option<Arc<Compared>>,
    /// Its answer so far, untrusted.
    pub text: String,
    pub done: bool,
    /// Why there is no answer, or no more of it.
    pub error: Option<String>,
}

impl Row {
    fn new(asked: Asked, reference: &str) -> Self {
        let reference = reference.to_string();
        Self { asked, reference, compared: None, text: String::new(), done: false, error: None }
    }

    /// Log-probability of the reference answer in nats.
    pub fn log_probability(&self) -> Option<f64> {
        self.compared.as_ref()?.log_probability
    }

    fn is_over(&self) -> bool {
        self.done || self.error.is_some()
    }
}

/// Which experts an answer is owed to, asked and perhaps answered.
#[derive(Clone, Debug)]
pub struct Why {
    pub asked: Asked,
    /// Untrusted.
    pub answer: String,
    /// `Shared::now` when it was asked.
    pub since: f64,
    /// Names of the experts, by number.
    pub experts: Arc<Vec<String>>,
    pub result: Option<Result<Arc<Attribution>, String>>,
    ticket: u64,
}

/// A run that others are compared with.
#[derive(Clone, Debug)]
pub struct Kept {
    pub asked: Asked,
    pub experts: Arc<Vec<String>>,
    /// Texts of the prompt's tokens with their leaders.
    tokens: Vec<(String, Cell)>,
    /// The expert with the most weight and its share.
    pub winner: Option<(usize, f64)>,
    pub entropy: f64,
    /// Untrusted.
    pub answer: Option<String>,
    pub log_probability: Option<f64>,
}

impl Kept {
    /// The run that is shown, with its answer where it has one.
    pub fn new(shown: &Shown, answer: Option<String>) -> Self {
        let tokens = prompt_tokens(shown);
        Self {
            asked: shown.asked.clone(),
            experts: shown.trace.experts.clone(),
            tokens: tokens.map(|(text, cell)| (text.to_string(), cell)).collect(),
            winner: winner(shown),
            entropy: shown.digest.entropy,
            answer,
            log_probability: None,
        }
    }

    /// The tokens whose leader is another now, and how many there are; `None` where the prompt is another.
    pub fn moved(&self, shown: &Shown) -> Option<(Vec<String>, usize)> {
        let name = |experts: &[String], cell: Cell| -> Option<String> {
            experts.get(cell.expert.filter(|_| !cell.tie)? as usize).cloned()
        };
        let now: Vec<(&str, Cell)> = prompt_tokens(shown).collect();
        if now.len() != self.tokens.len() || now.iter().zip(&self.tokens).any(|(now, then)| now.0 != then.0) {
            return None;
        }
        let differs = |(now, then): &(&(&str, Cell), &(String, Cell))| {
            name(&shown.trace.experts, now.1) != name(&self.experts, then.1)
        };
        let moved = now.iter().zip(&self.tokens).filter(differs).map(|(now, _)| now.0.to_string());
        Some((moved.collect(), now.len()))
    }
}

/// The tokens of the prompt that count, with their leaders.
fn prompt_tokens(shown: &Shown) -> impl Iterator<Item = (&str, Cell)> {
    let tokens = shown.trace.tokens.iter().enumerate();
    tokens
        .filter(|(at, token)| token.part == Part::Prompt && shown.trace.counts(*at))
        .map(|(at, token)| (token.text.as_str(), shown.digest.token(at)))
}

/// The expert with the most weight and its share.
pub fn winner(shown: &Shown) -> Option<(usize, f64)> {
    let first = *shown.digest.order().first()?;
    let share = shown.digest.totals[first];
    (share > 0.0).then_some((first, share))
}

/// A comparison under way: its ticket, and the rows that it fills.
#[derive(Clone, Debug)]
struct Comparing {
    ticket: u64,
    rows: Vec<usize>,
}

/// The studies of the tab and what they found.
#[derive(Debug, Default)]
pub struct Experiment {
    /// The routers that a person put side by side.
    pub routers: Vec<RouterConfig>,
    /// The answer whose probability all rows have; empty for none.
    pub reference: String,
    pub rows: Vec<Row>,
    comparing: Option<Comparing>,
    pub why: Option<Why>,
    pub kept: Option<Kept>,
}

impl Experiment {
    /// Whether a study is under way.
    pub fn is_running(&self) -> bool {
        self.comparing.is_some() || self.is_asking_why()
    }

    /// Whether it is being found out which experts an answer is owed to.
    pub fn is_asking_why(&self) -> bool {
        self.why.as_ref().is_some_and(|why| why.result.is_none())
    }

    /// The routers that belong side by side while `now` is asked: the present one, that of the run that is kept, and
    /// those that were chosen. None while nobody compares.
    fn wanted(&self, now: &Asked) -> Vec<RouterConfig> {
        if self.routers.is_empty() && self.reference.is_empty() {
            return Vec::new();
        }
        let kept = self.kept.as_ref().map(|kept| &kept.asked).filter(|kept| kept.is_same_prompt(now));
        let all = std::iter::once(&now.router).chain(kept.map(|kept| &kept.router)).chain(&self.routers);
        let mut wanted: Vec<RouterConfig> = Vec::new();
        for router in all {
            if !wanted.iter().any(|other| is_same_router(other, router)) {
                wanted.push(router.clone());
            }
        }
        wanted.truncate(MOST);
        wanted
    }

    /// Whether rows are missing or out of date while `now` is asked.
    pub fn is_stale(&self, now: &Asked) -> bool {
        let asked = |router: RouterConfig| Asked { router, ..now.clone() };
        let has = |asked: Asked| {
            self.rows.iter().any(|row| row.asked.is_same_run(&asked) && row.reference == self.reference)
        };
        self.wanted(now).into_iter().any(|router| !has(asked(router)))
    }

    /// Asks what is missing of the rows, which are those for `now` afterwards.
    pub fn compare(&mut self, now: &Asked, ticket: u64) -> Vec<Effect> {
        let mut old = std::mem::take(&mut self.rows);
        for router in self.wanted(now) {
            let asked = Asked { router, ..now.clone() };
            let known =
                |row: &Row| row.asked.is_same_run(&asked) && row.reference == self.reference && row.done;
            let row = match old.iter().position(known) {
                Some(at) => old.swap_remove(at),
                None => Row::new(asked, &self.reference),
            };
            self.rows.push(row);
        }
        let missing: Vec<usize> = (0..self.rows.len()).filter(|&row| !self.rows[row].is_over()).collect();
        if missing.is_empty() {
            self.comparing = None;
            return Vec::new();
        }
        let routers = missing.iter().map(|&row| self.rows[row].asked.router.clone()).collect();
        self.comparing = Some(Comparing { ticket, rows: missing });
        let study = Study::Compare {
            prompt: now.prompt.clone(),
            raw: now.raw,
            routers,
            reference: self.reference.clone(),
            max_tokens: ANSWER,
        };
        vec![Effect::Engine(EngineEffect::Study { ticket, study })]
    }

    /// The row that part `at` of a study is about, while that study is the newest.
    fn row(&mut self, ticket: u64, at: usize) -> Option<&mut Row> {
        let comparing = self.comparing.as_ref().filter(|comparing| comparing.ticket == ticket)?;
        let row = *comparing.rows.get(at)?;
        self.rows.get_mut(row)
    }

    /// Takes what a router makes of the prompt.
    pub fn take_compared(&mut self, ticket: u64, at: usize, result: &Result<Arc<Compared>, String>) {
        let Some(row) = self.row(ticket, at) else { return };
        match result {
            Ok(compared) => row.compared = Some(compared.clone()),
            Err(error) => row.error = Some(error.clone()),
        }
        let (asked, found) = (row.asked.clone(), row.log_probability());
        if let Some(kept) = self.kept.as_mut().filter(|kept| kept.asked.is_same_run(&asked)) {
            kept.log_probability = found;
        }
        self.settle();
    }

    /// Takes what a router answers so far.
    pub fn take_text(&mut self, ticket: u64, at: usize, text: &str, done: bool) {
        let Some(row) = self.row(ticket, at) else { return };
        row.text = text.to_string();
        row.done = done;
        self.settle();
    }

    fn settle(&mut self) {
        let rows = &self.rows;
        self.comparing.take_if(|comparing| comparing.rows.iter().all(|&row| rows[row].is_over()));
    }

    /// Puts a router beside the others, or takes it away again; false where there are enough.
    pub fn toggle(&mut self, router: &RouterConfig) -> bool {
        if let Some(at) = self.routers.iter().position(|other| is_same_router(other, router)) {
            self.routers.remove(at);
            return true;
        }
        if self.routers.len() >= MOST {
            return false;
        }
        self.routers.push(router.clone());
        true
    }

    /// Another answer whose probability is asked for.
    pub fn set_reference(&mut self, answer: &str) {
        self.reference = answer.trim().to_string();
        if let Some(kept) = &mut self.kept {
            kept.log_probability = None;
        }
    }

    /// Asks which experts an answer is owed to.
    pub fn ask_why(&mut self, shown: &Shown, answer: String, now: f64, ticket: u64) -> Vec<Effect> {
        let asked = shown.asked.clone();
        let study = Study::Attribute {
            prompt: asked.prompt.clone(),
            raw: asked.raw,
            router: asked.router.clone(),
            answer: answer.clone(),
            most: TAKEN_OUT,
        };
        let experts = shown.trace.experts.clone();
        self.why = Some(Why { asked, answer, since: now, experts, result: None, ticket });
        vec![Effect::Engine(EngineEffect::Study { ticket, study })]
    }

    /// Takes which experts an answer is owed to.
    pub fn take_why(&mut self, ticket: u64, result: &Result<Arc<Attribution>, String>) {
        if let Some(why) = self.why.as_mut().filter(|why| why.ticket == ticket) {
            why.result = Some(result.clone());
        }
    }

    /// Ends what is under way; what was found stays.
    pub fn stop(&mut self) -> Vec<Effect> {
        if !self.is_running() {
            return Vec::new();
        }
        self.comparing = None;
        for row in self.rows.iter_mut().filter(|row| !row.is_over()) {
            row.error = Some("stopped".into());
        }
        self.why.take_if(|why| why.result.is_none());
        vec![Effect::Engine(EngineEffect::EndStudies)]
    }

    /// Ends what is under way for another prompt.
    pub fn leave(&mut self, now: &Asked) -> Vec<Effect> {
        let comparing =
            self.comparing.is_some() && self.rows.iter().any(|row| !row.asked.is_same_prompt(now));
        let asking =
            self.is_asking_why() && self.why.as_ref().is_some_and(|why| !why.asked.is_same_prompt(now));
        if comparing || asking { self.stop() } else { Vec::new() }
    }

    /// The experts are others: what was found is of no use any more. The engine has ended its studies.
    pub fn forget(&mut self) {
        (self.rows, self.comparing, self.why, self.kept) = (Vec::new(), None, None, None);
    }
}
