//! Cross-entropy on chosen positions, without logits for the others.

use candle_core::Tensor;
use rayon::prelude::*;

use crate::Result;
use crate::model::generic;
use crate::model::simd::{self, multiversion};
use crate::model::tensor::edit;
use crate::model::{Decoder, scatter_rows, select_rows};

/// Rows of logits that exist at one time.
const ROWS: usize = 128;

multiversion! {
    // Softmax times `weight` in place; returns log Σ exp(x). Sums in blocks, so that f32 keeps its digits.
    fn softmax(row: &mut [f32], weight: f32) -> f64 {
        let mut max = f32::NEG_INFINITY;
        for v in row.iter() {
            max = if *v > max { *v } else { max };
        }
        let mut total = 0f64;
        for block in row.chunks_mut(256) {
            let mut sums = [0f32; 16];
            for part in block.chunks_mut(16) {
                for (v, sum) in part.iter_mut().zip(&mut sums) {
                    *v = simd::exp(*v - max);
                    *sum += *v;
                }
            }
            total += f64::from(sums.iter().sum::<f32>());
        }
        let inv = (f64::from(weight) / total) as f32;
        for v in row.iter_mut() {
            *v *= inv;
        }
        f64::from(max) + total.ln()
    }
}

/// Loss of `logits` [rows, vocabulary] and its gradient before the soft cap, by operations that every device
/// has.
fn there(logits: &Tensor, targets: &[(usize, u32)], weight: f32, cap: Option<f64>) -> Result<(f64, Tensor)> {
    let ids: Vec<u32> = targets.iter().map(|t| t.1).collect();
    let ids = Tensor::from_slice(&ids, (ids.len(), 1), logits.device())?;
    let high = logits.max_keepdim(1)?;
    let raised = logits.broadcast_sub(&high)?.exp()?;
    let total = raised.sum_keepdim(1)?;
    let losses = ((total.log()? + high)? - logits.gather(&ids, 1)?)?;
    let losses: Vec<f32> = losses.flatten_all()?.to_vec1()?;
    let p = (raised.broadcast_div(&total)? * f64::from(weight))?;
    let own = Tensor::full(-weight, ids.shape(), logits.device())?;
    let mut d = p.scatter_add(&ids, &own, 1)?;
    if let Some(cap) = cap {
        d = (d * (logits / cap)?.sqr()?.affine(-1.0, 1.0)?)?;
    }
    Ok((losses.iter().copied().map(f64::from).sum(), d))
}

/// Summed cross-entropy of `targets` (row of `hidden`, token id), and with `gradient` the gradient of
/// `weight` times that sum with respect to `hidden` [rows, hidden].
pub fn cross_entropy(
    decoder: &Decoder,
    hidden: &Tensor,
    targets: &[(usize, u32)],
    weight: f32,
    gradient: bool,
) -> Result<(f64, Option<Tensor>)> {
    let vocab = decoder.spec.vocab;
    let mut sum = 0f64;
    let mut parts = Vec::new();
    for chunk in targets.chunks(ROWS) {
        let rows: Vec<usize> = chunk.iter().map(|t| t.0).collect();
        let logits = decoder.logits(&select_rows(hidden, &rows)?)?;
        if generic::wanted(hidden) {
            let (loss, d) = there(&logits, chunk, weight, decoder.spec.final_softcap)?;
            sum += loss;
            if gradient {
                parts.push(decoder.head_backward(&d)?);
            }
            continue;
        }
        let losses = std::sync::Mutex::new(Vec::new());
        let cap = decoder.spec.final_softcap.map(|c| c as f32);
        edit(&logits, |values| {
            let all: Vec<f64> = values
                .par_chunks_mut(vocab)
                .zip(chunk.par_iter())
                .map(|(row, &(_, target))| {
                    let target = target as usize;
                    let logit = row[target];
                    // d(cap·tanh(l / cap)) = 1 − (capped / cap)².
                    let slopes: Option<Vec<f32>> =
                        cap.map(|cap| row.iter().map(|v| 1.0 - (v / cap) * (v / cap)).collect());
                    let log_sum = softmax(row, weight);
                    if gradient {
                        row[target] -= weight;
                        if let Some(slopes) = slopes {
                            row.iter_mut().zip(&slopes).for_each(|(v, s)| *v *= s);
                        }
                    }
                    log_sum - f64::from(logit)
                })
                .collect();
            *losses.lock().unwrap_or_else(|e| e.into_inner()) = all;
        })?;
        sum += losses.into_inner().unwrap_or_else(|e| e.into_inner()).iter().sum::<f64>();
        if gradient {
            parts.push(decoder.head_backward(&logits)?);
        }
    }
    if !gradient {
        return Ok((sum, None));
    }
    let rows: Vec<usize> = targets.iter().map(|t| t.0).collect();
    let all = Tensor::cat(&parts, 0)?;
    Ok((sum, Some(scatter_rows(&all, &rows, hidden.dim(0)?)?)))
}
