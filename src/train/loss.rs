//! Cross-entropy on chosen positions, without logits for the others.

use crate::Result;
use crate::model::{Activations, Decoder};

/// Rows of logits that exist at one time.
const ROWS: usize = 128;

/// A position whose next token is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Of the hidden states; none has two targets.
    pub row: usize,
    /// Id of the right token.
    pub token: u32,
    /// What its loss counts in the gradient.
    pub weight: f32,
}

/// Cross-entropy in nats of each target, and with `gradient` the gradient of their weighted sum with respect to
/// `hidden` [rows, hidden].
///
/// # Errors
/// Those of the device.
pub fn cross_entropy(
    decoder: &Decoder,
    hidden: &Activations,
    targets: &[Target],
    gradient: bool,
) -> Result<(Vec<f64>, Option<Activations>)> {
    let ops = decoder.ops();
    let softcap = decoder.spec.final_softcap.map(|c| c as f32);
    let mut d_hidden = if gradient { Some(ops.zeros(hidden.rows(), hidden.width())?) } else { None };
    let mut losses = Vec::with_capacity(targets.len());
    for chunk in targets.chunks(ROWS) {
        let rows: Vec<usize> = chunk.iter().map(|target| target.row).collect();
        let tokens: Vec<u32> = chunk.iter().map(|target| target.token).collect();
        let weights: Vec<f32> = chunk.iter().map(|target| target.weight).collect();
        let mut logits = decoder.logits(&ops.select_rows(hidden, &rows)?)?;
        losses.extend(ops.cross_entropy(&mut logits, &tokens, &weights, softcap, gradient)?);
        if let Some(d_hidden) = &mut d_hidden {
            ops.put_rows(d_hidden, &decoder.head_backward(&logits)?, &rows)?;
        }
    }
    Ok((losses, d_hidden))
}
