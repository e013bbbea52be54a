//! Cross-entropy on chosen positions, without logits for the others.

use crate::Result;
use crate::model::{Activations, Decoder, FEW_ROWS};

/// Rows of logits that exist at one time.
const ROWS: usize = 128;

/// Rows at least: with fewer, sums would round otherwise, and so depend on what else is in a pass.
const LEAST: usize = FEW_ROWS + 1;

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
        // The first again, which counts nothing, as often as it takes.
        let again = chunk.iter().take(1).cycle().take(LEAST.saturating_sub(chunk.len()));
        let all = || chunk.iter().chain(again.clone());
        let rows: Vec<usize> = all().map(|target| target.row).collect();
        let tokens: Vec<u32> = all().map(|target| target.token).collect();
        let weights: Vec<f32> = all()
            .enumerate()
            .map(|(at, target)| if at < chunk.len() { target.weight } else { 0.0 })
            .collect();
        let mut logits = decoder.logits(&ops.select_rows(hidden, &rows)?)?;
        let found = ops.cross_entropy(&mut logits, &tokens, &weights, softcap, gradient)?;
        losses.extend(found.into_iter().take(chunk.len()));
        if let Some(d_hidden) = &mut d_hidden {
            let mut part = decoder.head_backward(&logits)?;
            if chunk.len() < rows.len() {
                part = ops.select_rows(&part, &(0..chunk.len()).collect::<Vec<_>>())?;
            }
            ops.put_rows(d_hidden, &part, &rows[..chunk.len()])?;
        }
    }
    Ok((losses, d_hidden))
}
