//! A base model with its experts, ready for prompts: routing as one types, generation, traces.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;
use candle_transformers::generation::{LogitsProcessor, Sampling};

use super::calibration::CalibrationText;
use super::calibrator::Calibrator;
use super::config::RouterConfig;
use super::experts::ExpertSet;
use super::hook::RoutedHook;
use super::learner::Learner;
use super::preparing::CalibrationStep;
use super::prompt::Prompt;
use super::resolved::{Findings, Prepared, ResolvedRouter, speakers};
use super::routers::TIED;
use super::run::Run;
use super::scores::{Measure, Needs};
use super::surveyor::Surveyor;
use super::trace::{Part, Trace};
use crate::analysis::PrototypeCache;
use crate::library::{Expert, Library, Skipped, Stretch, Template};
use crate::model::{Activations, Decoder, LoadOptions, Model, ModelFiles, open_ops};
use crate::{Cancel, Error, Result};

/// Tokens of a prompt that go through the network together: few enough that one sees how far it is.
const PIECE: usize = 128;

/// How to continue a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Stop after so many.
    pub max_tokens: usize,
    /// Of the sampling.
    pub seed: u64,
    /// 0 picks the likeliest token.
    pub temperature: f64,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self { max_tokens: 128, seed: 42, temperature: 0.0 }
    }
}

/// Model, experts and the sequence that was looked at last, with its cache: an edited prompt is computed
/// only from its first changed token.
#[derive(Debug)]
pub struct Session {
    pub(super) model: Model,
    template: Template,
    /// As the library has them.
    pub(super) all: Arc<ExpertSet>,
    /// The same, or with the router's general experts taken out and its prototypes tied.
    pub(super) experts: Arc<ExpertSet>,
    pub(super) config: RouterConfig,
    pub(super) router: ResolvedRouter,
    pub(super) run: Run,
    /// What the router has to know of the sequence.
    pub(super) surveyor: Surveyor,
    pub(super) calibrator: Calibrator,
    pub(super) learner: Learner,
}

/// The experts as `config` wants them. `present` is used where it is as `config` wants.
fn prepare(
    config: &RouterConfig,
    all: &Arc<ExpertSet>,
    present: &Arc<ExpertSet>,
    decoder: &Decoder,
    cancel: &Cancel,
) -> Result<Arc<ExpertSet>> {
    let tied = config.values.flag(&TIED);
    let as_wanted = |set: &Arc<ExpertSet>| (&set.general, set.tied) == (&config.general, tied);
    if as_wanted(present) {
        return Ok(Arc::clone(present));
    }
    if as_wanted(all) {
        return Ok(Arc::clone(all));
    }
    let mut set = all.without_general(&config.general, decoder, cancel)?;
    if tied {
        set = set.with_tied_prototypes(decoder, cancel)?;
    }
    Ok(Arc::new(set))
}

/// The experts of `library` that fit the decoder.
/// `progress` gets (experts done, experts in all).
fn load_experts(
    library: &Library,
    decoder: &Decoder,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<Arc<ExpertSet>> {
    let usable: Vec<&Expert> = library.usable().collect();
    let cache = PrototypeCache::of(library);
    let mut set = ExpertSet::load(&usable, decoder, &cache, progress, cancel)?;
    set.unreadable = library.bad();
    let not_finite = usable.into_iter().filter(|expert| set.not_finite.contains(&expert.name));
    library.remember_not_finite(&not_finite.collect::<Vec<_>>());
    Ok(Arc::new(set))
}

impl Session {
    /// Loads the base model at `base` and the library's experts that fit it, and sets the library's router. `stage`
    /// hears what is loaded.
    pub fn open(
        library: &Library,
        base: &Path,
        options: &LoadOptions,
        stage: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut session = Self::open_unrouted(library, base, options, stage, cancel)?;
        let config = RouterConfig::of_library(&library.manifest, !session.all.is_empty())?;
        session.set_router_with(config, &mut |step| stage(&step.to_string()), cancel)?;
        Ok(session)
    }

    /// [`Self::open`] with the base model's router, for those who set another one anyway.
    pub fn open_unrouted(
        library: &Library,
        base: &Path,
        options: &LoadOptions,
        stage: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<Self> {
        stage("loading the base model");
        let ops = open_ops(&options.device)?;
        let files = ModelFiles::open(base)?;
        let forecast = files.forecast(options.precision, &*ops);
        stage(&format!("loading the base model: {forecast}"));
        let model = files.load(
            options.precision,
            ops,
            &mut |done, all| stage(&format!("loading the base model: block {done} of {all}")),
            cancel,
        )?;
        stage(&format!("loading {}", crate::text::counted(library.usable().count(), "expert")));
        let mut loaded = |done, all| stage(&format!("loading experts: {done} of {all}"));
        let experts = load_experts(library, &model.decoder, &mut loaded, cancel)?;
        let template = library.manifest.template.clone().unwrap_or_default();
        let config = RouterConfig::base();
        let router = ResolvedRouter::new(&config, &experts, &model.decoder)?;
        let (run, surveyor) = (Run::new(&model.decoder), Surveyor::new(&model.decoder));
        let mut session = Self {
            model,
            template,
            all: Arc::clone(&experts),
            experts,
            config,
            router,
            run,
            surveyor,
            calibrator: Calibrator::of(&library.root),
            learner: Learner::of(&library.root),
        };
        session.forget();
        Ok(session)
    }

    /// Reads the library's experts again, for the same base model.
    pub fn reload_experts(&mut self, library: &Library, cancel: &Cancel) -> Result<()> {
        let all = load_experts(library, &self.model.decoder, &mut |_, _| {}, cancel)?;
        self.template = library.manifest.template.clone().unwrap_or_default();
        (self.all, self.experts) = (Arc::clone(&all), all);
        let config = std::mem::replace(&mut self.config, RouterConfig::base());
        self.router = ResolvedRouter::new(&self.config, &self.experts, &self.model.decoder)?;
        self.forget();
        match self.set_router_with(config, &mut |_| {}, cancel) {
            Err(Error::Cancelled) => Err(Error::Cancelled),
            // An expert that the router names may be gone.
            Err(_) if !self.all.is_empty() => self.set_router(RouterConfig::default()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Base file, precision and device, for people.
    pub fn label(&self) -> String {
        let name = self.model.path.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| self.model.path.display().to_string());
        format!("{name} · {} · {}", self.model.precision, self.model.device_name())
    }

    /// The base model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The template that prompts are filled into.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Names of the experts that are routed over.
    pub fn experts(&self) -> &[String] {
        &self.experts.names
    }

    /// Routed modules, in the order of the network.
    pub fn modules(&self) -> &[String] {
        &self.experts.modules
    }

    /// Experts left out, with the reason.
    pub fn skipped(&self) -> &[Skipped] {
        &self.experts.skipped
    }

    /// What of the experts the present router leaves out, as far as only the base model shows it, with the
    /// expert's name. [`Expert::not_applied`] says the rest.
    pub fn not_applied(&self) -> Vec<Skipped> {
        let mut all = self.experts.partial.clone();
        if self.config.is_routed() {
            let title = self.config.router.title;
            let unrouted = self.experts.unrouted.iter();
            all.extend(unrouted.map(|Skipped { name, reason }| {
                Skipped::new(name, format!("not applied by {title}: {reason}"))
            }));
            // Who is muted or general has no weight anyway.
            let Self { config: RouterConfig { muted, general, .. }, experts, .. } = self;
            let silent =
                experts.without_candidacy().filter(|name| ![muted, general].iter().any(|l| l.contains(name)));
            all.extend(
                silent.map(|name| Skipped::new(name, format!("its ΔW is zero: no candidate for {title}"))),
            );
        }
        all
    }

    /// The present router.
    pub fn router(&self) -> &RouterConfig {
        &self.config
    }

    /// Changes the router; what was computed with another one is forgotten.
    ///
    /// # Errors
    /// As [`ResolvedRouter::new`] and, for a router that is calibrated, as [`Self::calibrate`].
    pub fn set_router(&mut self, config: RouterConfig) -> Result<()> {
        self.set_router_with(config, &mut |_| {}, &Cancel::new())
    }

    /// [`Self::set_router`]; `step` hears how far a calibration is. One that is cancelled is resumed the next time.
    ///
    /// # Errors
    /// As there; a raised `cancel`.
    pub fn set_router_with(
        &mut self,
        config: RouterConfig,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<()> {
        if config != self.config {
            (self.experts, self.router) = self.resolve(&config, step, cancel)?;
            self.config = config;
            self.forget();
        }
        Ok(())
    }

    /// Whether anybody may have weight among those who are not muted or general, whatever the router.
    ///
    /// # Errors
    /// Names that are unknown or cannot be used; nobody.
    pub fn require_speakers(&self, config: &RouterConfig) -> Result<()> {
        speakers(config, &self.all)?.require_any()
    }

    /// The experts as `config` wants them, and its router, without changing the present one.
    ///
    /// # Errors
    /// As [`Self::set_router_with`].
    pub fn resolve(
        &self,
        config: &RouterConfig,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<(Arc<ExpertSet>, ResolvedRouter)> {
        let decoder = &self.model.decoder;
        let experts = prepare(config, &self.all, &self.experts, decoder, cancel)?;
        let (needs, asks) = (config.needs(), config.needs_calibration());
        if asks || needs > Needs::Spectra {
            // Everything else is looked at first: it takes no time.
            config.check()?;
            experts.require_any()?;
        }
        let speakers = speakers(config, &experts)?;
        let known = self.known(needs, (&experts, &speakers), step, cancel)?;
        let measured =
            asks.then(|| self.calibration_of((&experts, &speakers), &known, step, cancel)).transpose()?;
        let calibration = measured.filter(|_| config.is_calibrated());
        let usual_spread = match config.score().filter(|_| config.needs_usual_spread()) {
            Some(score) => {
                let measure = Measure { score, known: known.clone(), calibration: calibration.clone() };
                let encode = |text: &CalibrationText| self.encode(text);
                let network = (&*experts, &self.model);
                Some(self.calibrator.usual_spread(network, &measure, &encode, step, cancel)?)
            }
            None => None,
        };
        let prepared = Prepared { calibration, known, usual_spread };
        let router = ResolvedRouter::prepared(config, &experts, decoder, &prepared)?;
        Ok((experts, router))
    }

    fn forget(&mut self) {
        self.surveyor.forget();
        self.forget_routed();
    }

    /// Forgets what was computed with experts.
    fn forget_routed(&mut self) {
        self.run.restart(&self.experts, self.router.width());
    }

    /// Tokens of `text`, filled into the template as its instruction unless `raw`.
    pub fn prompt(&self, text: &str, raw: bool) -> Result<Prompt> {
        if text.trim().is_empty() {
            return Err(Error::usage("the prompt is empty"));
        }
        let stretches = if raw {
            vec![Stretch { text: text.to_string(), typed: true }]
        } else {
            self.template.fill(text, "")
        };
        self.tokens_of(&stretches)
    }

    /// Tokens of an instruction with its input, filled into the template.
    pub fn prompt_of(&self, instruction: &str, input: &str) -> Result<Prompt> {
        self.tokens_of(&self.template.fill(instruction, input))
    }

    fn tokens_of(&self, stretches: &[Stretch]) -> Result<Prompt> {
        let tokenizer = self.model.tokenizer()?;
        let whole: String = stretches.iter().map(|s| s.text.as_str()).collect();
        let (ids, spans) = tokenizer.encode_start_spans(&whole)?;
        let parts = spans
            .iter()
            .map(|&(from, to)| {
                let mut at = 0;
                let typed = stretches.iter().any(|s| {
                    let (start, end) = (at, at + s.text.len());
                    at = end;
                    s.typed && from < end && to > start
                });
                if typed { Part::Prompt } else { Part::Template }
            })
            .collect();
        Ok(Prompt { ids, parts })
    }

    /// Routes passes of the present sequence.
    pub(super) fn hook(&self) -> RoutedHook<'_> {
        RoutedHook::new(&self.experts, &self.router).informed(self.surveyor.findings())
    }

    /// Tokens that went through the base model alone so far, for routers that ask something of whole prompts.
    pub fn surveyed(&self) -> usize {
        self.surveyor.tokens()
    }

    /// The present router over its experts, and what it found of the prompt that was routed last.
    pub fn routed(&self) -> (&ExpertSet, &ResolvedRouter, &Findings) {
        (&self.experts, &self.router, self.surveyor.findings())
    }

    /// Makes the cached sequence equal to `prompt`, computing from the first token that differs, and at least
    /// the last `least` tokens. Returns hidden states of the last of those it computed, at least `least`.
    ///
    /// A long prompt goes through in pieces: `progress` hears (tokens done, tokens in all) between them, and
    /// what is done when `cancel` is raised need not be done again.
    pub(super) fn bring_to(
        &mut self,
        prompt: &Prompt,
        least: usize,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Option<Activations>> {
        let (total, context) = (prompt.ids.len(), self.model.decoder.spec.context);
        if total > context {
            return Err(Error::usage(format!(
                "the prompt has {total} tokens, {} more than the base model's context of {context}: \
                 shorten it",
                total - context
            )));
        }
        let (network, survey) = ((&*self.experts, &self.model.decoder), &self.router);
        if self.surveyor.look_at(survey, network, prompt, &mut || progress(0, total), cancel)? {
            self.forget_routed();
        }
        let Self { model, experts, router, surveyor, run, .. } = self;
        let decoder = &model.decoder;
        let same = run.ids.iter().zip(&prompt.ids).take_while(|(a, b)| a == b).count();
        decoder.plan(&mut run.cache, total);
        let keep = same.min(prompt.ids.len().saturating_sub(least)).min(run.cache.len());
        run.truncate(keep);
        for (token, part) in run.trace.tokens.iter_mut().zip(&prompt.parts) {
            token.part = *part;
        }
        if keep == prompt.ids.len() {
            return Ok(None);
        }
        let mut hook = RoutedHook::new(experts, router).informed(surveyor.findings());
        let mut done = keep;
        loop {
            progress(done, total);
            let left = total - done;
            let end = if left > PIECE.max(least) { done + PIECE } else { total };
            let piece = (&prompt.ids[done..end], &prompt.parts[done..end]);
            let hidden = run.extend(&mut hook, decoder, piece, cancel)?;
            // From `keep` on, because one character may be spread over tokens of two pieces.
            run.name_tokens(model.tokenizer.as_ref(), keep);
            done = end;
            if done == total {
                progress(done, total);
                return Ok(Some(hidden));
            }
        }
    }

    /// Routes a prompt. A pass that is cancelled leaves the session usable.
    /// `progress` hears how many of how many tokens are done.
    pub fn route(
        &mut self,
        text: &str,
        raw: bool,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Trace> {
        let prompt = self.prompt(text, raw)?;
        self.bring_to(&prompt, 0, progress, cancel)?;
        Ok(self.run.trace.clone())
    }

    /// [`Self::route`] for a prompt in tokens.
    pub fn route_tokens(&mut self, prompt: &Prompt, cancel: &Cancel) -> Result<Trace> {
        self.bring_to(prompt, 0, &mut |_, _| {}, cancel)?;
        Ok(self.run.trace.clone())
    }

    /// Logits [tokens, vocabulary] at every position of `prompt`, and its trace.
    pub fn logits(&mut self, prompt: &Prompt, cancel: &Cancel) -> Result<(Tensor, Trace)> {
        if prompt.ids.is_empty() {
            return Err(Error::usage("the prompt is empty"));
        }
        let hidden = self.bring_to(prompt, prompt.ids.len(), &mut |_, _| {}, cancel)?;
        let hidden = hidden.ok_or_else(|| Error::msg("nothing was computed"))?;
        Ok((self.hook().logits(&self.model.decoder, &hidden)?.into_tensor()?, self.run.trace.clone()))
    }

    /// Continues a prompt until its end token, `max_tokens`, the end of the context, or `Break`. `on_token`
    /// gets the trace so far and the whole generated text. Returns that text. `progress` is of the prompt, as
    /// in [`Self::route`].
    ///
    /// # Errors
    /// Also when the prompt fills the context, so that nothing can follow.
    pub fn generate(
        &mut self,
        text: &str,
        raw: bool,
        options: &GenerateOptions,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
        on_token: &mut dyn FnMut(&Trace, &str) -> ControlFlow<()>,
    ) -> Result<String> {
        let prompt = self.prompt(text, raw)?;
        self.bring_to(&prompt, 0, progress, cancel)?;
        self.generate_tokens(&prompt, options, cancel, on_token)
    }

    /// [`Self::generate`] for a prompt in tokens. Without a tokenizer the text stays empty.
    pub fn generate_tokens(
        &mut self,
        prompt: &Prompt,
        options: &GenerateOptions,
        cancel: &Cancel,
        on_token: &mut dyn FnMut(&Trace, &str) -> ControlFlow<()>,
    ) -> Result<String> {
        let context = self.model.decoder.spec.context;
        if prompt.ids.len() == context {
            return Err(Error::usage(format!(
                "the prompt fills the base model's context of {context} tokens: shorten it, so that an \
                 answer has room"
            )));
        }
        let hidden = self.bring_to(prompt, 1, &mut |_, _| {}, cancel)?;
        let mut hidden = hidden.ok_or_else(|| Error::msg("nothing was computed"))?;
        let sampling = match options.temperature {
            t if t <= 0.0 => Sampling::ArgMax,
            temperature => Sampling::All { temperature },
        };
        let mut sampler = LogitsProcessor::from_sampling(options.seed, sampling);
        let ends = self.end_ids();
        let Self { model, experts, router, surveyor, run, .. } = self;
        let (decoder, tokenizer) = (&model.decoder, model.tokenizer.as_ref());
        let mut hook = RoutedHook::new(experts, router).informed(surveyor.findings());
        let start = run.ids.len();
        let mut generated = String::new();
        let mut named = start;
        for _ in 0..options.max_tokens {
            cancel.check()?;
            let last = decoder.ops().select_rows(&hidden, &[hidden.rows() - 1])?;
            let logits = hook.logits(decoder, &last)?.into_tensor()?.squeeze(0)?;
            let token = sampler.sample(&logits)?;
            if ends.contains(&token) || run.ids.len() >= context {
                break;
            }
            hidden = run.extend(&mut hook, decoder, (&[token], &[Part::Generated]), cancel)?;
            run.name_tokens(tokenizer, named);
            // A character that is not finished is named anew with its rest.
            let is_whole = |text: &str| !text.is_empty() && !text.ends_with('\u{fffd}');
            if run.trace.tokens.last().is_some_and(|token| is_whole(&token.text)) {
                named = run.ids.len();
            }
            if let Some(tokenizer) = tokenizer {
                generated = tokenizer.decode(&run.ids[start..], true)?;
            }
            if on_token(&run.trace, &generated).is_break() {
                break;
            }
        }
        Ok(generated)
    }

    /// Ids that end a generation: the model's and the template's.
    pub fn end_ids(&self) -> Vec<u32> {
        let Some(tokenizer) = &self.model.tokenizer else { return Vec::new() };
        let mut ends = tokenizer.end_ids.clone();
        ends.extend(tokenizer.id(&self.template.end));
        ends
    }
}
