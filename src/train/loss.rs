//! Cross-entropy on chosen positions, without logits for the others.

use crate::Result;
use crate::model::{Activations, Decoder};

/// Rows of logits that exist at one time.
const ROWS: usize = 128;

/// Summed cross-entropy of `targets` (row of `hidden`, token id; no row twice), and with `gradient` the gradient of
/// `weight` times that sum with respect to `hidden` [rows, hidden].
pub fn cross_entropy(
    decoder: &Decoder,
    hidden: &Activations,
    targets: &[(usize, u32)],
    weight: f32,
    gradient: bool,
) -> Result<(f64, Option<Activations>)> {
    let ops = decoder.ops();
    let softcap = decoder.spec.final_softcap.map(|c| c as f32);
    let mut d_hidden = if gradient { Some(ops.zeros(hidden.rows(), hidden.width())?) } else { None };
    let mut sum = 0f64;
    for chunk in targets.chunks(ROWS) {
        let (rows, ids): (Vec<usize>, Vec<u32>) = chunk.iter().copied().unzip();
        let mut logits = decoder.logits(&ops.select_rows(hidden, &rows)?)?;
        sum += ops.cross_entropy(&mut logits, &ids, weight, softcap, gradient)?;
        if let Some(d_hidden) = &mut d_hidden {
            ops.put_rows(d_hidden, &decoder.head_backward(&logits)?, &rows)?;
        }
    }
    Ok((sum, d_hidden))
}
