//! Which experts every token used at every module: tokens × modules × experts, sparse.

use std::sync::Arc;

use serde::Serialize;

/// What a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Added by the prompt template.
    Template,
    /// Typed by a person.
    Prompt,
    /// Sampled from the model.
    Generated,
}

/// One token of a traced sequence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceToken {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Decoded text, untrusted: make it printable before showing it.
    pub text: String,
    /// What it belongs to.
    pub part: Part,
}

/// Routing weights of a sequence. Per (token, module) at most `width` experts have weight.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Module paths in the order of the network.
    pub modules: Arc<Vec<String>>,
    /// Names of the experts that were routed over.
    pub experts: Arc<Vec<String>>,
    /// The sequence.
    pub tokens: Vec<TraceToken>,
    width: usize,
    /// `[token][module][width]`: (expert index, weight), heaviest first, padded with weight 0.
    entries: Vec<(u32, f32)>,
}

impl Trace {
    /// An empty trace that keeps up to `width` experts per token and module.
    pub fn new(modules: Arc<Vec<String>>, experts: Arc<Vec<String>>, width: usize) -> Self {
        Self { modules, experts, tokens: Vec::new(), width: width.max(1), entries: Vec::new() }
    }

    /// Appends one token with its weights: `modules × width` entries, heaviest first per module.
    ///
    /// # Panics
    /// If the number of entries is not `modules × width` (a bug in the caller, not bad input).
    pub fn push(&mut self, token: TraceToken, entries: &[(u32, f32)]) {
        assert_eq!(entries.len(), self.modules.len() * self.width);
        self.tokens.push(token);
        self.entries.extend_from_slice(entries);
    }

    /// Keeps the first `tokens` tokens.
    pub fn truncate(&mut self, tokens: usize) {
        self.tokens.truncate(tokens);
        self.entries.truncate(tokens * self.modules.len() * self.width);
    }

    /// Entries kept per token and module.
    pub fn width(&self) -> usize {
        self.width
    }

    /// (expert index, weight > 0) of one token at one module, heaviest first; empty out of range.
    pub fn weights(&self, token: usize, module: usize) -> &[(u32, f32)] {
        if token >= self.tokens.len() || module >= self.modules.len() {
            return &[];
        }
        let start = (token * self.modules.len() + module) * self.width;
        let row = &self.entries[start..start + self.width];
        let used = row.iter().position(|&(_, w)| w <= 0.0).unwrap_or(row.len());
        &row[..used]
    }

    /// The heaviest expert of one token at one module.
    pub fn top(&self, token: usize, module: usize) -> Option<(u32, f32)> {
        self.weights(token, module).first().copied()
    }

    /// Whether a token counts in totals: neither template nor position 0 (an attention sink).
    pub fn counts(&self, token: usize) -> bool {
        token > 0 && self.tokens.get(token).is_some_and(|t| t.part != Part::Template)
    }

    /// Mean routing weight per expert over counted tokens and the modules that `keep` admits.
    /// Sums to 1 when anything counts, all zeros otherwise.
    pub fn totals(&self, keep: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut totals = vec![0.0; self.experts.len()];
        for token in (0..self.tokens.len()).filter(|&t| self.counts(t)) {
            for module in (0..self.modules.len()).filter(|&m| keep(m)) {
                for &(expert, weight) in self.weights(token, module) {
                    totals[expert as usize] += f64::from(weight);
                }
            }
        }
        let sum: f64 = totals.iter().sum();
        if sum > 0.0 {
            totals.iter_mut().for_each(|t| *t /= sum);
        }
        totals
    }

    /// Entropy in nats of the weights of one token at one module.
    pub fn entropy(&self, token: usize, module: usize) -> f64 {
        self.weights(token, module)
            .iter()
            .map(|&(_, w)| f64::from(w))
            .filter(|&w| w > 0.0)
            .map(|w| -w * w.ln())
            .sum()
    }
}
