//! Cross-entropy.

use rayon::prelude::*;

use crate::model::simd::{self, multiversion};

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

/// How the gradient is wanted: before the soft cap, where there is one.
#[derive(Clone, Copy)]
pub struct Gradient {
    pub softcap: Option<f32>,
}

/// Cross-entropy of rows of `vocab` logits; they become its gradient, times the row's weight, or are used up.
pub fn cross_entropy(
    logits: &mut [f32],
    vocab: usize,
    targets: &[u32],
    weights: &[f32],
    gradient: Option<Gradient>,
) -> Vec<f64> {
    logits
        .par_chunks_mut(vocab)
        .zip(targets.par_iter().zip(weights))
        .map(|(row, (&target, &weight))| {
            let target = target as usize;
            let logit = row[target];
            // d(cap·tanh(l / cap)) = 1 − (capped / cap)².
            let cap = gradient.and_then(|gradient| gradient.softcap);
            let slopes: Option<Vec<f32>> =
                cap.map(|cap| row.iter().map(|v| 1.0 - (v / cap) * (v / cap)).collect());
            let log_sum = softmax(row, weight);
            if gradient.is_some() {
                row[target] -= weight;
                if let Some(slopes) = slopes {
                    row.iter_mut().zip(&slopes).for_each(|(v, s)| *v *= s);
                }
            }
            log_sum - f64::from(logit)
        })
        .collect()
}
