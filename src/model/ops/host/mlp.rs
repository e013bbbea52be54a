//! Activation functions, alone and gated.

use super::rows::CHUNK;
use crate::model::simd::{self, multiversion};
use crate::model::spec::Activation;
use crate::model::tensor::computed;

const GELU_A: f32 = 0.797_884_6; // √(2/π)
const GELU_B: f32 = 0.044_715;

#[inline(always)]
fn activate(kind: Activation, x: f32) -> f32 {
    match kind {
        Activation::Silu => x / (1.0 + simd::exp(-x)),
        Activation::Gelu => 0.5 * x * (1.0 + simd::erf(x * std::f32::consts::FRAC_1_SQRT_2)),
        Activation::GeluTanh => 0.5 * x * (1.0 + simd::tanh(GELU_A * (x + GELU_B * x * x * x))),
        Activation::Relu => x.max(0.0),
    }
}

/// Derivative of [`activate`].
#[inline(always)]
fn slope(kind: Activation, x: f32) -> f32 {
    match kind {
        Activation::Silu => {
            let s = 1.0 / (1.0 + simd::exp(-x));
            s * (1.0 + x * (1.0 - s))
        }
        Activation::Gelu => {
            let cdf = 0.5 * (1.0 + simd::erf(x * std::f32::consts::FRAC_1_SQRT_2));
            cdf + x * simd::exp(-0.5 * x * x) * 0.398_942_3
        }
        Activation::GeluTanh => {
            let t = simd::tanh(GELU_A * (x + GELU_B * x * x * x));
            0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * GELU_A * (1.0 + 3.0 * GELU_B * x * x)
        }
        Activation::Relu => f32::from(x > 0.0),
    }
}

multiversion! {
    fn gated_chunk(kind: Activation, gate: &[f32], up: &[f32], out: &mut [f32]) {
        // One loop per kind, so that each vectorises.
        macro_rules! run { ($k:expr) => { for ((o, g), u) in out.iter_mut().zip(gate).zip(up) { *o = activate($k, *g) * u; } } }
        match kind {
            Activation::Silu => run!(Activation::Silu),
            Activation::Gelu => run!(Activation::Gelu),
            Activation::GeluTanh => run!(Activation::GeluTanh),
            Activation::Relu => run!(Activation::Relu),
        }
    }
}

multiversion! {
    fn gated_chunk_backward(kind: Activation, gate: &[f32], up: &[f32], dy: &[f32], dg: &mut [f32], du: &mut [f32]) {
        macro_rules! run { ($k:expr) => {
            for ((((dg, du), g), u), dy) in dg.iter_mut().zip(du.iter_mut()).zip(gate).zip(up).zip(dy) {
                *dg = dy * u * slope($k, *g);
                *du = dy * activate($k, *g);
            }
        } }
        match kind {
            Activation::Silu => run!(Activation::Silu),
            Activation::Gelu => run!(Activation::Gelu),
            Activation::GeluTanh => run!(Activation::GeluTanh),
            Activation::Relu => run!(Activation::Relu),
        }
    }
}

multiversion! {
    fn plain_chunk(kind: Activation, x: &[f32], out: &mut [f32]) {
        for (o, x) in out.iter_mut().zip(x) {
            *o = activate(kind, *x);
        }
    }
}

multiversion! {
    fn plain_chunk_backward(kind: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = dy * slope(kind, *x);
        }
    }
}

/// act(gate) · up.
pub fn gated(kind: Activation, gate: &[f32], up: &[f32]) -> Vec<f32> {
    let [out] = computed(gate.len(), CHUNK, |chunk, [o]| {
        gated_chunk(kind, &gate[chunk * CHUNK..], &up[chunk * CHUNK..], o);
    });
    out
}

/// Gradients of [`gated`] with respect to gate and up.
pub fn gated_backward(kind: Activation, gate: &[f32], up: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    computed(gate.len(), CHUNK, |chunk, [dg, du]| {
        let at = chunk * CHUNK;
        gated_chunk_backward(kind, &gate[at..], &up[at..], &dy[at..], dg, du);
    })
}

/// act(x).
pub fn plain(kind: Activation, x: &[f32]) -> Vec<f32> {
    let [out] = computed(x.len(), CHUNK, |chunk, [out]| plain_chunk(kind, &x[chunk * CHUNK..], out));
    out
}

/// Gradient of [`plain`].
pub fn plain_backward(kind: Activation, x: &[f32], dy: &[f32]) -> Vec<f32> {
    let [out] = computed(x.len(), CHUNK, |chunk, [out]| {
        plain_chunk_backward(kind, &x[chunk * CHUNK..], &dy[chunk * CHUNK..], out);
    });
    out
}
