//! What is found out beside the routing: several routers on one prompt, a run that is kept to compare with, and which
//! experts an answer is owed to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::digest::{Cell, Digest, stretch};
use super::exchange::Shown;
use super::question::{Asked, is_same_router};
use crate::eval::{Attribution, Compared};
use crate::routing::{Part, RouterConfig, Trace};
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
    pub trace: Arc<Trace>,
    /// Of the trace, for the modules that the map shows.
    pub digest: Digest,
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
        Self {
            asked: shown.asked.clone(),
            trace: shown.trace.clone(),
            digest: shown.digest.clone(),
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
        let now = self.same_tokens(shown)?;
        let differs = |&at: &usize| {
            name(&shown.trace.experts, shown.digest.token(at))
                != name(&self.trace.experts, self.digest.token(at))
        };
        let moved = now.iter().copied().filter(differs).map(|at| shown.trace.tokens[at].text.clone());
        Some((moved.collect(), now.len()))
    }

    /// The tokens of the prompt that count; `None` where the prompt is another.
    fn same_tokens(&self, shown: &Shown) -> Option<Vec<usize>> {
        let counted = |trace: &Trace| -> Vec<usize> {
            let counts = |&at: &usize| trace.tokens[at].part == Part::Prompt && trace.counts(at);
            (0..trace.tokens.len()).filter(counts).collect()
        };
        let (now, then) = (counted(&shown.trace), counted(&self.trace));
        let same = |&at: &usize| shown.trace.tokens[at].id == self.trace.tokens[at].id;
        (now == then && now.iter().all(same)).then_some(now)
    }

    /// The share of choices, one per token and module, that have another heaviest expert now, and the layers
    /// in which the most have; `None` where the prompt is another.
    pub fn moved_layers(&self, shown: &Shown) -> Option<MovedLayers> {
        let tokens = self.same_tokens(shown)?;
        if self.trace.modules != shown.trace.modules || self.trace.experts != shown.trace.experts {
            return None;
        }
        let mut layers: Vec<(f32, usize)> = Vec::new();
        for column in &shown.digest.columns {
            if column.starts_layer {
                layers.push((0.0, 0));
            }
            let Some((moved, all)) = layers.last_mut() else { continue };
            for &module in &column.modules {
                let top = |trace: &Trace, token| trace.top(token, module).map(|(expert, _)| expert);
                let differs = |&&token: &&usize| top(&shown.trace, token) != top(&self.trace, token);
                *moved += tokens.iter().filter(differs).count() as f32;
                *all += tokens.len();
            }
        }
        let moved: f32 = layers.iter().map(|layer| layer.0).sum();
        let all: usize = layers.iter().map(|layer| layer.1).sum();
        let shares: Vec<f32> = layers.iter().map(|(moved, all)| moved / (*all).max(1) as f32).collect();
        let most = stretch(&shares).map(|(from, to)| {
            let label =
                |at: usize| shown.digest.layers.get(at).map_or(String::new(), |layer| layer.label.clone());
            let share = shares[from..=to].iter().sum::<f32>() / (to - from + 1) as f32;
            (label(from), label(to), f64::from(share))
        });
        Some(MovedLayers { share: f64::from(moved) / all.max(1) as f64, most })
    }
}

/// In which layers experts are others than in a run that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct MovedLayers {
    /// Of all choices.
    pub share: f64,
    /// The first and the last layer of those that moved more than others, and their share.
    pub most: Option<(String, String, f64)>,
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
    /// A prompt, and the answer to it whose probability all rows have.
    reference: Option<(String, String)>,
    pub rows: Vec<Row>,
    /// Which router gave which answer is hidden; the number says in which order they stand.
    blind: Option<u64>,
    comparing: Option<Comparing>,
    pub why: Option<Why>,
    pub kept: Option<Kept>,
}

impl Experiment {
    /// Whether answers stand side by side without the names of their routers.
    pub fn hides(&self) -> bool {
        self.blind.is_some() && !self.rows.is_empty()
    }

    /// Hides which router gave which answer, or shows it again. The lot says in which order they stand: each as likely
    /// as any other, the present one too, since an order that is never the old one would say something.
    pub fn toggle_blind(&mut self, lot: u64) {
        self.blind = if self.blind.is_some() { None } else { Some(lot) };
    }

    /// The rows as they are listed: while names are hidden in an order that says nothing of the routers.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        if let Some(lot) = self.blind {
            let key = |&row: &usize| {
                let mut hasher = DefaultHasher::new();
                let Asked { prompt, router, .. } = &self.rows[row].asked;
                (lot, prompt, router.to_string()).hash(&mut hasher);
                (&router.muted, &router.pinned, &router.general).hash(&mut hasher);
                hasher.finish()
            };
            order.sort_by_cached_key(key);
        }
        order
    }

    /// Whether all answers are complete, or there will be no more of them.
    pub fn are_over(&self) -> bool {
        self.rows.iter().all(Row::is_over)
    }

    /// The answer whose probability is compared while `now` is asked; empty for none. It belongs to a prompt.
    pub fn reference(&self, now: &Asked) -> &str {
        self.reference.as_ref().filter(|(prompt, _)| *prompt == now.prompt).map_or("", |(_, answer)| answer)
    }

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
        let kept = self.kept.as_ref().filter(|kept| kept.asked.is_same_prompt(now));
        // The run that is kept is compared by its answer, where it has one.
        let answered = kept.is_some_and(|kept| kept.answer.is_some());
        if self.routers.is_empty() && self.reference(now).is_empty() && !answered {
            return Vec::new();
        }
        let kept = kept.map(|kept| &kept.asked.router);
        let all = std::iter::once(&now.router).chain(kept).chain(&self.routers);
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
        let reference = self.reference(now);
        let has = |asked: Asked| {
            self.rows.iter().any(|row| row.asked.is_same_run(&asked) && row.reference == reference)
        };
        self.wanted(now).into_iter().any(|router| !has(asked(router)))
    }

    /// Asks what is missing of the rows, which are those for `now` afterwards.
    pub fn compare(&mut self, now: &Asked, ticket: u64) -> Vec<Effect> {
        let mut old = std::mem::take(&mut self.rows);
        let reference = self.reference(now).to_string();
        for router in self.wanted(now) {
            let asked = Asked { router, ..now.clone() };
            let known = |row: &Row| row.asked.is_same_run(&asked) && row.reference == reference && row.done;
            let row = match old.iter().position(known) {
                Some(at) => old.swap_remove(at),
                None => Row::new(asked, &reference),
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
            reference,
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

    /// Another answer to a prompt whose probability is asked for; none where it is empty.
    pub fn set_reference(&mut self, prompt: &str, answer: &str) {
        let answer = answer.trim().to_string();
        self.reference = (!answer.is_empty()).then(|| (prompt.to_string(), answer));
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

    /// What was stopped or failed is asked again with the next comparison.
    pub fn retry(&mut self) {
        self.rows.retain(|row| row.error.is_none());
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
        self.blind = None;
    }
}
