//! A base model known again by what it makes of a few tokens.

use sha2::{Digest, Sha256};

use crate::model::{ForwardPass, Model, NoHook};
use crate::{Cancel, Result};

/// Tokens that are looked at, of those that are given.
pub(super) const PROBE: usize = 16;

/// Adds the base model's states of the first of these tokens to `hash`.
///
/// # Errors
/// As [`crate::model::Decoder::forward`].
pub(super) fn probe(model: &Model, tokens: &[u32], hash: &mut Sha256, cancel: &Cancel) -> Result<()> {
    let tokens = &tokens[..tokens.len().min(PROBE).min(model.decoder.spec.context)];
    let seen = model.decoder.forward(tokens, &[tokens.len()], ForwardPass::new(&mut NoHook, cancel))?;
    seen.values()?.iter().for_each(|value| hash.update(value.to_bits().to_le_bytes()));
    Ok(())
}
