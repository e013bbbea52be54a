//! Routing inside a forward pass.

use std::cell::Cell;

use super::apply::{ChosenLora, Tokens};
use super::experts::{ExpertSet, StackedModule};
use super::knockout::{Knockout, Taken, add_random, take};
use super::overlay::Overlay;
use super::own_data::Known;
use super::resolved::{Findings, ResolvedRouter};
use super::rows::{ModuleRows, Sequences};
use super::scores::{Measure, Needs, Score};
use super::tap::{Seen, Tap};
use super::trace::{Part, Trace, TraceToken};
use super::watch::{Watch, is_finite};
use crate::model::{Activations, Decoder, ForwardPass, KvCache, LinearHook};
use crate::module_path::ModulePath;
use crate::{Cancel, Error, Result};

/// Routes at every module of a forward pass and keeps what was chosen.
#[derive(Debug)]
pub struct RoutedHook<'a> {
    experts: &'a ExpertSet,
    router: &'a ResolvedRouter,
    width: usize,
    /// Per routed module: [rows, width]. Empty until the first module chose.
    chosen: Vec<Vec<(u32, f32)>>,
    findings: Option<&'a Findings>,
    /// By row of the pass: its sequence among those of the findings; empty where there is one only.
    of_row: Vec<u32>,
    /// Whether nothing could be chosen: of values that are no numbers, say.
    stopped: Cell<bool>,
    /// Looks at every addition.
    watch: Option<Watch>,
    /// By sequence: what is taken out of it.
    knockouts: &'a [Option<Knockout>],
    /// By module: its layer; filled where something is taken out.
    layers: Vec<usize>,
    /// Sees all scores.
    tap: Option<&'a mut dyn Tap>,
}

impl<'a> RoutedHook<'a> {
    /// A hook for one pass or several.
    pub fn new(experts: &'a ExpertSet, router: &'a ResolvedRouter) -> Self {
        Self {
            experts,
            router,
            width: router.width(),
            chosen: Vec::new(),
            findings: None,
            of_row: Vec::new(),
            stopped: Cell::new(false),
            watch: None,
            knockouts: &[],
            layers: Vec::new(),
            tap: None,
        }
    }

    /// The same with something that sees the scores of every module, the last pass's last. What scores are made from is
    /// prepared first, for a router may choose without some that are shown.
    ///
    /// # Errors
    /// Those of the device; a raised `cancel`.
    pub(super) fn tapped(mut self, tap: &'a mut dyn Tap, decoder: &Decoder, cancel: &Cancel) -> Result<Self> {
        let deciding = self.router.decider().filter(|_| tap.sees_deciding());
        let mut shown = deciding.into_iter().chain([self.measure()]);
        if shown.any(|measure| measure.score.needs == Needs::Spectra) {
            self.experts.prepare_spectra(decoder, cancel)?;
        }
        self.tap = Some(tap);
        Ok(self)
    }

    /// What the router scores experts by; Arrow's score where it scores none.
    pub(super) fn measure(&self) -> Measure {
        self.router.measure().cloned().unwrap_or(Measure {
            score: Score::arrow(),
            known: Known::default(),
            calibration: None,
        })
    }

    /// Shows what was scored at a module, and what was chosen.
    fn show(&mut self, rows: &ModuleRows, chosen: &[(u32, f32)]) -> Result<()> {
        let Some(sees_deciding) = self.tap.as_ref().map(|tap| tap.sees_deciding()) else { return Ok(()) };
        let measure = self.measure();
        let (raw, used) = (measure.raw(rows)?, measure.of(rows)?);
        let decider = self.router.decider().filter(|_| sees_deciding);
        let deciding = decider.map(|decider| decider.of(rows)).transpose()?;
        let deciding = deciding.as_deref();
        let (position, candidate, width) = (rows.position(), rows.candidates(), self.width);
        if let Some(tap) = &mut self.tap {
            tap.see(&Seen { position, candidate, raw: &raw, used: &used, deciding, chosen, width });
        }
        Ok(())
    }

    /// The same with what was found out about the sequences of the pass ([`ResolvedRouter::survey`]).
    #[must_use]
    pub fn informed(mut self, findings: &'a Findings) -> Self {
        self.findings = Some(findings);
        self
    }

    /// The same with an expert taken out of some of the sequences that [`Self::set_rows`] distinguishes.
    #[must_use]
    pub fn without(mut self, knockouts: &'a [Option<Knockout>]) -> Self {
        self.knockouts = knockouts;
        let layer = |module: &String| ModulePath::new(module).layer().unwrap_or(0);
        self.layers = self.experts.modules.iter().map(layer).collect();
        self
    }

    /// Says which sequence of the findings each row of the next pass, or of its head, belongs to.
    pub fn set_rows(&mut self, of_row: Vec<u32>) {
        self.of_row = of_row;
    }

    fn choose(&self, rows: &ModuleRows) -> Result<Vec<(u32, f32)>> {
        let found = self.findings.map_or(&[][..], |findings| &findings.found);
        if self.router.has_survey() && found.is_empty() {
            return Err(Error::msg("the router was not given what it has to know of the sequence"));
        }
        let chosen = self.router.choose(rows, self.width, Sequences { found, of_row: &self.of_row });
        chosen.inspect_err(|_| self.stopped.set(true))
    }

    /// Takes out of what was chosen at a module what the sequences are to do without.
    fn take(&self, position: usize, chosen: &mut [(u32, f32)]) -> Vec<Taken> {
        match self.layers.get(position) {
            Some(&layer) => take(self.knockouts, &self.of_row, (layer, position), chosen, self.width),
            None => Vec::new(),
        }
    }

    /// What the chosen experts replace in the base model.
    fn overlay(&self) -> Option<&'a Overlay> {
        let of_sequence = self.findings.and_then(|findings| findings.overlay.as_deref());
        of_sequence.or(self.router.overlay.as_deref())
    }

    /// Hidden states of tokens, as [`Decoder::forward`], which are numbers.
    ///
    /// # Errors
    /// As there; values that are no numbers, with the expert and the module that they come from. The caches then have
    /// what they had before.
    pub fn forward(
        &mut self,
        decoder: &Decoder,
        tokens: &[u32],
        lengths: &[usize],
        caches: &mut [&mut KvCache],
        cancel: &Cancel,
    ) -> Result<Activations> {
        let before: Vec<usize> = caches.iter().map(|cache| cache.len()).collect();
        self.stopped.set(false);
        let pass = ForwardPass::new(self, cancel).cached(caches.iter_mut().map(|cache| &mut **cache));
        let error = match decoder.forward(tokens, lengths, pass) {
            Ok(hidden) if is_finite(&hidden.values()?) => return Ok(hidden),
            Ok(_) => not_finite(),
            Err(error) if self.stopped.get() => error,
            Err(error) => return Err(error),
        };
        let back = |caches: &mut [&mut KvCache]| {
            caches.iter_mut().zip(&before).for_each(|(cache, &len)| cache.truncate(len));
        };
        back(caches);
        self.watch = Some(Watch::default());
        let pass = ForwardPass::new(self, cancel).cached(caches.iter_mut().map(|cache| &mut **cache));
        // It goes wrong again; what came before was seen.
        let _ = decoder.forward(tokens, lengths, pass);
        back(caches);
        cancel.check()?;
        Err(self.watch.take().and_then(|watch| watch.verdict(self.experts)).unwrap_or(error))
    }

    /// Logits of hidden states that are numbers, as [`Decoder::logits_with`].
    ///
    /// # Errors
    /// As there; values that are no numbers, with the expert that they come from.
    pub fn logits(&mut self, decoder: &Decoder, hidden: &Activations) -> Result<Activations> {
        let logits = decoder.logits_with(hidden, self)?;
        if is_finite(&logits.values()?) {
            return Ok(logits);
        }
        self.watch = Some(Watch::default());
        decoder.logits_with(hidden, self)?;
        Err(self.watch.take().and_then(|watch| watch.verdict(self.experts)).unwrap_or_else(not_finite))
    }

    /// Keeps what a module chose.
    fn note(&mut self, position: usize, chosen: Vec<(u32, f32)>) {
        if self.chosen.is_empty() {
            self.chosen.resize_with(self.experts.modules.len(), Vec::new);
        }
        self.chosen[position] = chosen;
    }

    /// Appends the tokens of the pass to `trace`, with what the modules chose for them.
    pub(super) fn record(&self, tokens: &[u32], parts: &[Part], trace: &mut Trace) {
        let mut row = Vec::with_capacity(self.experts.modules.len() * trace.width());
        for (t, (&id, &part)) in tokens.iter().zip(parts).enumerate() {
            row.clear();
            for module in &self.chosen {
                row.extend_from_slice(&module[t * self.width..(t + 1) * self.width]);
            }
            // Where nothing was chosen, no expert has weight.
            row.resize(trace.modules.len() * trace.width(), (0, 0.0));
            trace.push(TraceToken { id, text: String::new(), part }, &row);
        }
    }

    /// The stack at a linear layer, where one is routed.
    fn module(&self, linear: usize) -> Option<&'a StackedModule> {
        self.experts.linears.get(linear).and_then(Option::as_ref).filter(|_| self.width > 0)
    }

    /// What the experts that were chosen add at a module.
    fn lora<'c>(&self, module: &'c StackedModule, chosen: &'c [(u32, f32)]) -> ChosenLora<'c> {
        ChosenLora { module, mix: self.router.mix, chosen, width: self.width }
    }

    /// The number that the head has.
    fn head(&self) -> usize {
        self.experts.linears.len().saturating_sub(1)
    }
}

/// What is said where no expert is to blame.
fn not_finite() -> Error {
    Error::msg(
        "the base model gives values that are no numbers: it is damaged, or they overflow on this prompt",
    )
}

/// The path of a module that is routed.
fn name_of<'a>(experts: &'a ExpertSet, module: &StackedModule) -> &'a str {
    experts.modules.get(module.position).map_or("a linear layer", String::as_str)
}

impl LinearHook for RoutedHook<'_> {
    fn apply(&mut self, linear: usize, x: &Activations, y: &mut Activations) -> Result<()> {
        if let Some(module) = self.module(linear) {
            let ops = &*self.router.ops;
            let rows = ModuleRows::hidden(ops, module, x);
            if let Some(watch) = &mut self.watch
                && let Some(expert) = self.router.broken_score(&rows)?
            {
                watch.found(expert, module.position);
            }
            let mut chosen = self.choose(&rows)?;
            // The head sees only some rows; all of them are shown as hidden states.
            if linear != self.head() {
                self.show(&rows, &chosen)?;
            }
            let taken = self.take(module.position, &mut chosen);
            let lora = self.lora(module, &chosen);
            ops.add_delta(&lora, x, y)?;
            if let Some(watch) = &mut self.watch {
                watch.saw(&lora, &x.values()?, name_of(self.experts, module));
            }
            if taken.iter().any(|taken| taken.seed.is_some()) {
                let norms = rows.norms()?;
                let out = y.width();
                y.edit(|y| {
                    for Taken { row, expert, weight, seed } in taken {
                        let length = weight * norms.of(row, expert as usize);
                        if let Some(seed) = seed {
                            add_random(seed, length, &mut y[row * out..(row + 1) * out]);
                        }
                    }
                })?;
            }
            // The head sees only some rows: what all of them chose was noted before.
            if linear != self.head() {
                self.note(module.position, chosen);
            }
        }
        let Some(overlay) = self.overlay() else { return Ok(()) };
        let Some(watch) = &mut self.watch else { return overlay.apply(&*self.router.ops, linear, x, y) };
        let before = y.values()?.into_owned();
        overlay.apply(&*self.router.ops, linear, x, y)?;
        let module = self.experts.linears.get(linear).and_then(Option::as_ref);
        let name = module.map_or("a linear layer", |module| name_of(self.experts, module));
        watch.moved(&before, &y.values()?, name);
        Ok(())
    }

    fn embed(&mut self, tokens: &[u32], x: &mut Activations) -> Result<()> {
        if let Some(module) = self.experts.embedding.as_ref().filter(|_| self.width > 0) {
            let rows = ModuleRows::tokens(module, tokens);
            let mut chosen = self.choose(&rows)?;
            self.show(&rows, &chosen)?;
            self.take(module.position, &mut chosen);
            let input = Tokens { ids: tokens, vocab: module.in_features };
            let lora = self.lora(module, &chosen);
            x.edit(|x| lora.add(&input, x))?;
            self.note(module.position, chosen);
        }
        match self.overlay() {
            Some(overlay) => overlay.embed(tokens, x),
            None => Ok(()),
        }
    }

    fn norm(&mut self, name: &str, x: &Activations, y: &mut Activations) -> Result<()> {
        match self.overlay() {
            Some(overlay) => overlay.norm_output(&*self.router.ops, name, x, y),
            None => Ok(()),
        }
    }

    fn hidden(&mut self, hidden: &Activations) -> Result<()> {
        if let Some(module) = self.module(self.head()) {
            let rows = ModuleRows::hidden(&*self.router.ops, module, hidden);
            let chosen = self.choose(&rows)?;
            self.show(&rows, &chosen)?;
            self.note(module.position, chosen);
        }
        Ok(())
    }
}
