//! Normalisations.

use crate::model::ops::Norm;
use crate::model::simd::{self, multiversion};
use crate::model::spec::NormKind;
use crate::model::tensor::computed;

/// Stretches worked on by one task: enough to pay for the hand-over.
const ROWS: usize = 8;

multiversion! {
    fn sum(x: &[f32]) -> f32 {
        let mut sums = [0f32; 16];
        let chunks = x.chunks_exact(16);
        let tail: f32 = chunks.remainder().iter().sum();
        for c in chunks {
            for i in 0..16 {
                sums[i] += c[i];
            }
        }
        sums.iter().sum::<f32>() + tail
    }
}

multiversion! {
    fn norm_row(x: &[f32], mean: f32, inv: f32, w: &[f32], y: &mut [f32]) {
        for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
            *y = (x - mean) * inv * w;
        }
    }
}

multiversion! {
    // dx = inv · (dy·w − mean(dy·w) − x̂ · mean(dy·w·x̂)); the first mean only for layer norm.
    fn norm_row_backward(x: &[f32], mean: f32, inv: f32, w: &[f32], dy: &[f32], centred: bool, dx: &mut [f32]) {
        let (mut s1, mut s2) = (0f32, 0f32);
        for ((x, w), dy) in x.iter().zip(w).zip(dy) {
            let g = dy * w;
            s1 += g;
            s2 += g * (x - mean) * inv;
        }
        let n = x.len() as f32;
        let m1 = if centred { s1 / n } else { 0.0 };
        let m2 = s2 / n;
        for (((dx, x), w), dy) in dx.iter_mut().zip(x).zip(w).zip(dy) {
            *dx = inv * (dy * w - m1 - (x - mean) * inv * m2);
        }
    }
}

/// 1 / √square. One that overflowed is no number, for 0 would pass values off as none.
fn inverse(square: f32) -> f32 {
    if square == f32::INFINITY { f32::NAN } else { 1.0 / square.sqrt() }
}

/// Mean (0 for RMS) and 1 / deviation of a stretch.
fn statistics(norm: &Norm, x: &[f32]) -> (f32, f32) {
    let n = x.len() as f32;
    match norm.kind {
        NormKind::Rms { .. } => (0.0, inverse(simd::dot(x, x) / n + norm.eps)),
        NormKind::Layer => {
            let mean = sum(x) / n;
            // Two passes: the one-pass formula cancels when the mean is large.
            let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
            (mean, inverse(variance + norm.eps))
        }
    }
}

/// Normalises each stretch as long as the weight.
pub fn forward(norm: &Norm, values: &[f32]) -> Vec<f32> {
    let width = norm.weight.len();
    let [out] = computed(values.len(), width * ROWS, |chunk, [out]| {
        let x = &values[chunk * width * ROWS..];
        for (y, x) in out.chunks_mut(width).zip(x.chunks(width)) {
            let (mean, inv) = statistics(norm, x);
            norm_row(x, mean, inv, &norm.weight, y);
            if let Some(bias) = &norm.bias {
                simd::axpy(1.0, bias, y);
            }
        }
    });
    out
}

/// Gradient of [`forward`] with respect to the values.
pub fn backward(norm: &Norm, values: &[f32], grads: &[f32]) -> Vec<f32> {
    let width = norm.weight.len();
    let centred = norm.kind == NormKind::Layer;
    let [out] = computed(values.len(), width * ROWS, |chunk, [out]| {
        let (x, dy) = (&values[chunk * width * ROWS..], &grads[chunk * width * ROWS..]);
        for ((dx, x), dy) in out.chunks_mut(width).zip(x.chunks(width)).zip(dy.chunks(width)) {
            let (mean, inv) = statistics(norm, x);
            norm_row_backward(x, mean, inv, &norm.weight, dy, centred, dx);
        }
    });
    out
}
