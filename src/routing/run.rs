//! The sequence that a session is at, as far as it was computed with experts.

use std::sync::Arc;

use super::experts::ExpertSet;
use super::hook::RoutedHook;
use super::trace::{Part, Trace};
use crate::model::{Activations, Decoder, KvCache, Tokenizer};
use crate::{Cancel, Result};

/// Tokens with their keys and values and with what was chosen for them.
#[derive(Debug)]
pub(super) struct Run {
    /// Of the tokens.
    pub cache: KvCache,
    /// The tokens.
    pub ids: Vec<u32>,
    /// What was chosen for them.
    pub trace: Trace,
}

impl Run {
    /// No token yet.
    pub fn new(decoder: &Decoder) -> Self {
        Self { cache: decoder.cache(), ids: Vec::new(), trace: Trace::default() }
    }

    /// Begins again, with these experts and so many of them per token and module.
    pub fn restart(&mut self, experts: &ExpertSet, width: usize) {
        self.cache.truncate(0);
        self.ids.clear();
        self.trace = Trace::new(Arc::clone(&experts.modules), Arc::clone(&experts.names), width);
    }

    /// Keeps the first tokens only.
    pub fn truncate(&mut self, tokens: usize) {
        self.cache.truncate(tokens);
        self.ids.truncate(tokens);
        self.trace.truncate(tokens);
    }

    /// Runs `tokens` after those that are here; the hidden states of the new ones.
    ///
    /// # Errors
    /// As [`RoutedHook::forward`].
    pub fn extend(
        &mut self,
        hook: &mut RoutedHook,
        decoder: &Decoder,
        (tokens, parts): (&[u32], &[Part]),
        cancel: &Cancel,
    ) -> Result<Activations> {
        let hidden = hook.forward(decoder, tokens, &[tokens.len()], &mut [&mut self.cache], cancel)?;
        hook.record(tokens, parts, &mut self.trace);
        self.ids.extend_from_slice(tokens);
        Ok(hidden)
    }

    /// Fills in the text of tokens from `from` on.
    pub fn name_tokens(&mut self, tokenizer: Option<&Tokenizer>, from: usize) {
        let Some(tokenizer) = tokenizer else { return };
        let pieces = tokenizer.pieces(&self.ids, from);
        for (token, text) in self.trace.tokens[from..].iter_mut().zip(pieces) {
            token.text = text;
        }
    }
}
