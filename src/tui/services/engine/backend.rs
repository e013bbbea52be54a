//! What the thread needs of the layers below: the base model's file, and a session over it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::catalog::Catalog;
use crate::eval::{Attribution, Compared, attribute, compare, own_source, prompt_source};
use crate::library::{BaseLocation, FetchProgress, Library, Skipped};
use crate::model::{LoadOptions, Precision};
use crate::routing::{GenerateOptions, Preparing, Prompt, RouterConfig, Session, Trace, Why};
use crate::tui::{Cost, Speed, TuiOptions};
use crate::{Cancel, Error, Result};

/// Where models come from.
pub trait Backend: Send + 'static {
    type Session: RoutedModel;

    /// Finds the base model without downloading.
    fn locate(&mut self, catalog: &Catalog) -> Result<BaseLocation>;

    /// Downloads and checks the base model.
    fn fetch(
        &mut self,
        catalog: &Catalog,
        progress: &mut dyn FnMut(FetchProgress),
        cancel: &Cancel,
    ) -> Result<PathBuf>;

    /// Loads the base model and the experts.
    fn open(
        &mut self,
        library: &Library,
        base: &Path,
        stage: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<Self::Session>;
}

/// A base model with its routed experts.
pub trait RoutedModel {
    fn label(&self) -> String;
    fn skipped(&self) -> Vec<Skipped>;
    /// Reads the experts again for the same base model; the router may become another one.
    fn reload(&mut self, library: &Library, cancel: &Cancel) -> Result<()>;
    /// `calibrating` hears how far what the router needs first is, if it has to be made.
    fn set_router(
        &mut self,
        router: RouterConfig,
        calibrating: &mut dyn FnMut(Preparing),
        cancel: &Cancel,
    ) -> Result<()>;
    /// `progress` hears how many of how many tokens are done.
    fn route(
        &mut self,
        prompt: &str,
        raw: bool,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Trace>;
    fn generate(
        &mut self,
        prompt: &str,
        raw: bool,
        max_tokens: usize,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
        on_token: &mut dyn FnMut(&Trace, &str) -> ControlFlow<()>,
    ) -> Result<String>;
    /// What the present router makes of a prompt, without an answer of its own; `reference` is one whose probability is
    /// asked for, empty for none.
    fn compare(&mut self, prompt: &str, raw: bool, reference: &str, cancel: &Cancel) -> Result<Compared>;
    /// Which experts of the present router an answer is owed to; `most` with the most weight are looked at.
    fn attribute(
        &mut self,
        prompt: &str,
        raw: bool,
        answer: &str,
        most: usize,
        cancel: &Cancel,
    ) -> Result<Attribution>;
    /// Why the experts of one token have their weights under the present router; about `most` experts per module.
    fn explain(&mut self, prompt: &Prompt, token: usize, most: usize, cancel: &Cancel) -> Result<Why>;
    /// How long a prompt and the first tokens of its answer take under the present router and without experts. Where it
    /// fails, the router may be another one.
    fn cost(&mut self, prompt: &str, raw: bool, cancel: &Cancel) -> Result<Cost>;
}

/// The real one.
pub struct ModelBackend {
    options: LoadOptions,
}

impl ModelBackend {
    /// Takes device and precision of the command line.
    pub fn new(options: &TuiOptions) -> Self {
        let device = if options.device.is_empty() { "auto".into() } else { options.device.clone() };
        let precision = options.precision.unwrap_or(Precision::Q8);
        Self { options: LoadOptions { device, precision } }
    }
}

impl Backend for ModelBackend {
    type Session = Session;

    fn locate(&mut self, catalog: &Catalog) -> Result<BaseLocation> {
        catalog.base()
    }

    fn fetch(
        &mut self,
        catalog: &Catalog,
        progress: &mut dyn FnMut(FetchProgress),
        cancel: &Cancel,
    ) -> Result<PathBuf> {
        catalog.base_fetched(progress, cancel)
    }

    fn open(
        &mut self,
        library: &Library,
        base: &Path,
        stage: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<Session> {
        // Every request brings its router.
        let mut session = Session::open_unrouted(library, base, &self.options, stage, cancel)?;
        session.calibrate_with(prompt_source(library, None));
        session.learn_from(own_source(library, None));
        Ok(session)
    }
}

impl RoutedModel for Session {
    fn label(&self) -> String {
        Session::label(self)
    }

    fn skipped(&self) -> Vec<Skipped> {
        Session::skipped(self).to_vec()
    }

    fn reload(&mut self, library: &Library, cancel: &Cancel) -> Result<()> {
        self.calibrate_with(prompt_source(library, None));
        self.learn_from(own_source(library, None));
        self.reload_experts(library, cancel)
    }

    fn set_router(
        &mut self,
        router: RouterConfig,
        calibrating: &mut dyn FnMut(Preparing),
        cancel: &Cancel,
    ) -> Result<()> {
        self.set_router_with(router, &mut |step| calibrating(step.at), cancel)
    }

    fn route(
        &mut self,
        prompt: &str,
        raw: bool,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Trace> {
        Session::route(self, prompt, raw, progress, cancel)
    }

    fn generate(
        &mut self,
        prompt: &str,
        raw: bool,
        max_tokens: usize,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
        on_token: &mut dyn FnMut(&Trace, &str) -> ControlFlow<()>,
    ) -> Result<String> {
        // Temperature 0 is greedy: the same prompt always gets the same answer on the screen.
        let options = GenerateOptions { max_tokens, seed: 42, temperature: 0.0 };
        Session::generate(self, prompt, raw, &options, progress, cancel, on_token)
    }

    fn compare(&mut self, prompt: &str, raw: bool, reference: &str, cancel: &Cancel) -> Result<Compared> {
        let prompt = self.prompt(prompt, raw)?;
        let reference = answer_tokens(self, reference)?;
        let router = self.router().clone();
        let found = compare(self, &prompt, &[router], (&reference, 0), &mut |_| {}, cancel)?;
        found.into_iter().next().ok_or_else(|| Error::msg("nothing was compared"))
    }

    fn attribute(
        &mut self,
        prompt: &str,
        raw: bool,
        answer: &str,
        most: usize,
        cancel: &Cancel,
    ) -> Result<Attribution> {
        let prompt = self.prompt(prompt, raw)?;
        let answer = answer_tokens(self, answer)?;
        attribute(self, &prompt, &answer, most, cancel)
    }

    fn explain(&mut self, prompt: &Prompt, token: usize, most: usize, cancel: &Cancel) -> Result<Why> {
        self.why(prompt, token, most, cancel)
    }

    fn cost(&mut self, prompt: &str, raw: bool, cancel: &Cancel) -> Result<Cost> {
        let prompt = self.prompt(prompt, raw)?;
        let router = self.router().clone();
        // Another router also makes the session forget what it knows of the prompt.
        self.set_router_with(RouterConfig::base(), &mut |_| {}, cancel)?;
        let base = speed(self, &prompt, cancel)?;
        self.set_router_with(router, &mut |_| {}, cancel)?;
        let routed = speed(self, &prompt, cancel)?;
        Ok(Cost { tokens: prompt.ids.len(), routed, base, memory: crate::memory::used() })
    }
}

/// Tokens of an answer that are timed.
const TIMED: usize = 9;

/// How long a prompt takes, which the session has forgotten, and the first tokens of its answer.
fn speed(session: &mut Session, prompt: &Prompt, cancel: &Cancel) -> Result<Speed> {
    let milliseconds = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64() * 1e3;
    let begun = Instant::now();
    session.route_tokens(prompt, cancel)?;
    let routed = milliseconds(begun, Instant::now());
    let mut times = Vec::with_capacity(TIMED);
    let options = GenerateOptions { max_tokens: TIMED, ..GenerateOptions::default() };
    session.generate_tokens(prompt, &options, cancel, &mut |_, _| {
        times.push(Instant::now());
        ControlFlow::Continue(())
    })?;
    // The middle one of the times between tokens: one that another program delayed is none of the model's.
    let mut gaps: Vec<f64> = times.windows(2).map(|pair| milliseconds(pair[0], pair[1])).collect();
    gaps.sort_by(f64::total_cmp);
    let token = gaps.get(gaps.len() / 2).copied().filter(|_| gaps.len() > 1);
    Ok(Speed { prompt: routed, token })
}

/// The tokens of an answer as a person reads it.
fn answer_tokens(session: &Session, answer: &str) -> Result<Vec<u32>> {
    if answer.is_empty() { Ok(Vec::new()) } else { session.model().tokenizer()?.encode(answer) }
}
