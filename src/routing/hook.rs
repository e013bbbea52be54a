//! Routing inside a forward pass.

use super::apply::{ChosenLora, Tokens};
use super::experts::{ExpertSet, StackedModule};
use super::resolved::ResolvedRouter;
use super::scores::ModuleRows;
use super::trace::{Part, Trace, TraceToken};
use crate::Result;
use crate::model::{Activations, LinearHook};

/// Routes at every module of a forward pass and keeps what was chosen.
#[derive(Debug)]
pub struct RoutedHook<'a> {
    experts: &'a ExpertSet,
    router: &'a ResolvedRouter,
    width: usize,
    /// Per routed module: [rows, width]. Empty until the first module chose.
    chosen: Vec<Vec<(u32, f32)>>,
}

impl<'a> RoutedHook<'a> {
    /// A hook for one pass or several.
    pub fn new(experts: &'a ExpertSet, router: &'a ResolvedRouter) -> Self {
        Self { experts, router, width: router.width(), chosen: Vec::new() }
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

impl LinearHook for RoutedHook<'_> {
    fn apply(&mut self, linear: usize, x: &Activations, y: &mut Activations) -> Result<()> {
        if let Some(module) = self.module(linear) {
            let ops = &*self.router.ops;
            let chosen = self.router.choose(&ModuleRows::hidden(ops, module, x), self.width)?;
            ops.add_delta(&self.lora(module, &chosen), x, y)?;
            // The head sees only some rows: what all of them chose was noted before.
            if linear != self.head() {
                self.note(module.position, chosen);
            }
        }
        match &self.router.overlay {
            Some(overlay) => overlay.apply(&*self.router.ops, linear, x, y),
            None => Ok(()),
        }
    }

    fn embed(&mut self, tokens: &[u32], x: &mut Activations) -> Result<()> {
        if let Some(module) = self.experts.embedding.as_ref().filter(|_| self.width > 0) {
            let chosen = self.router.choose(&ModuleRows::tokens(module, tokens), self.width)?;
            let input = Tokens { ids: tokens, vocab: module.in_features };
            let lora = self.lora(module, &chosen);
            x.edit(|x| lora.add(&input, x))?;
            self.note(module.position, chosen);
        }
        match &self.router.overlay {
            Some(overlay) => overlay.embed(tokens, x),
            None => Ok(()),
        }
    }

    fn norm(&mut self, name: &str, x: &Activations, y: &mut Activations) -> Result<()> {
        match &self.router.overlay {
            Some(overlay) => overlay.norm_output(&*self.router.ops, name, x, y),
            None => Ok(()),
        }
    }

    fn hidden(&mut self, hidden: &Activations) -> Result<()> {
        if let Some(module) = self.module(self.head()) {
            let rows = ModuleRows::hidden(&*self.router.ops, module, hidden);
            let chosen = self.router.choose(&rows, self.width)?;
            self.note(module.position, chosen);
        }
        Ok(())
    }
}
