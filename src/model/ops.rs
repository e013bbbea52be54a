//! Element-wise and row-wise parts of a decoder, each with its backward pass. All tensors are f32,
//! contiguous, of shape [rows, width]. Here are the kernels for the CPU; other devices go through
//! [`super::generic`].

use candle_core::Tensor;
use rayon::prelude::*;

use super::generic;
use super::row::Row;
use super::simd::{self, multiversion};
use super::spec::{Activation, NormKind};
use super::tensor::{computed, edit, from_vec, values as values_of};
use crate::Result;

/// Rows worked on by one task: enough to pay for the hand-over.
const ROWS: usize = 8;

/// Weights of a normalisation.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Path in transformers: `model.layers.3.input_layernorm`.
    pub name: String,
    pub kind: NormKind,
    pub eps: f32,
    /// [width]; `unit_offset` is already added.
    pub weight: Row,
    /// [width], for [`NormKind::Layer`].
    pub bias: Option<Row>,
}

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

impl Norm {
    /// The weight as files store it.
    pub(crate) fn stored_weight(&self) -> Vec<f32> {
        let offset = if self.kind == (NormKind::Rms { unit_offset: true }) { 1.0 } else { 0.0 };
        self.weight.iter().map(|w| w - offset).collect()
    }

    /// Mean (0 for RMS) and 1 / deviation of a row.
    fn statistics(&self, x: &[f32]) -> (f32, f32) {
        let n = x.len() as f32;
        match self.kind {
            NormKind::Rms { .. } => (0.0, 1.0 / (simd::dot(x, x) / n + self.eps).sqrt()),
            NormKind::Layer => {
                let mean = sum(x) / n;
                // Two passes: the one-pass formula cancels when the mean is large.
                let variance = x.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
                (mean, 1.0 / (variance + self.eps).sqrt())
            }
        }
    }

    /// Normalises each row of `x`, or each stretch of `weight.len()` values in it (q/k norms).
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if generic::wanted(x) {
            return generic::norm(self.kind, self.eps, &self.weight, self.bias.as_ref(), x);
        }
        let values = values_of(x)?;
        let width = self.weight.len();
        let [out] = computed(values.len(), width * ROWS, |chunk, [out]| {
            let x = &values[chunk * width * ROWS..];
            for (y, x) in out.chunks_mut(width).zip(x.chunks(width)) {
                let (mean, inv) = self.statistics(x);
                norm_row(x, mean, inv, &self.weight, y);
                if let Some(bias) = &self.bias {
                    simd::axpy(1.0, bias, y);
                }
            }
        });
        from_vec(out, x.shape())
    }

    /// Gradient with respect to `x`, given that of the output. The weights are frozen.
    pub fn backward(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        if generic::wanted(x) {
            return generic::norm_backward(self.kind, self.eps, &self.weight, x, dy);
        }
        let (values, grads) = (values_of(x)?, values_of(dy)?);
        let width = self.weight.len();
        let centred = self.kind == NormKind::Layer;
        let [out] = computed(values.len(), width * ROWS, |chunk, [out]| {
            let (x, dy) = (&values[chunk * width * ROWS..], &grads[chunk * width * ROWS..]);
            for ((dx, x), dy) in out.chunks_mut(width).zip(x.chunks(width)).zip(dy.chunks(width)) {
                let (mean, inv) = self.statistics(x);
                norm_row_backward(x, mean, inv, &self.weight, dy, centred, dx);
            }
        });
        from_vec(out, x.shape())
    }
}

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

const CHUNK: usize = 8192;

/// act(gate) · up.
pub fn gated(kind: Activation, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if generic::wanted(gate) {
        return generic::gated(kind, gate, up);
    }
    let (g, u) = (values_of(gate)?, values_of(up)?);
    let [out] = computed(g.len(), CHUNK, |chunk, [o]| {
        gated_chunk(kind, &g[chunk * CHUNK..], &u[chunk * CHUNK..], o);
    });
    from_vec(out, gate.shape())
}

/// Gradients of [`gated`] with respect to gate and up.
pub fn gated_backward(kind: Activation, gate: &Tensor, up: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)> {
    if generic::wanted(gate) {
        return generic::gated_backward(kind, gate, up, dy);
    }
    let (g, u, d) = (values_of(gate)?, values_of(up)?, values_of(dy)?);
    let [dg, du] = computed(g.len(), CHUNK, |chunk, [dg, du]| {
        let at = chunk * CHUNK;
        gated_chunk_backward(kind, &g[at..], &u[at..], &d[at..], dg, du);
    });
    Ok((from_vec(dg, gate.shape())?, from_vec(du, gate.shape())?))
}

/// act(x).
pub fn plain(kind: Activation, x: &Tensor) -> Result<Tensor> {
    if generic::wanted(x) {
        return generic::plain(kind, x);
    }
    let v = values_of(x)?;
    let [out] = computed(v.len(), CHUNK, |chunk, [out]| plain_chunk(kind, &v[chunk * CHUNK..], out));
    from_vec(out, x.shape())
}

/// Gradient of [`plain`].
pub fn plain_backward(kind: Activation, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
    if generic::wanted(x) {
        return generic::plain_backward(kind, x, dy);
    }
    let (v, d) = (values_of(x)?, values_of(dy)?);
    let [out] = computed(v.len(), CHUNK, |chunk, [out]| {
        plain_chunk_backward(kind, &v[chunk * CHUNK..], &d[chunk * CHUNK..], out);
    });
    from_vec(out, x.shape())
}

/// y += x, in place.
pub fn add_assign(y: &Tensor, x: &Tensor) -> Result<()> {
    if generic::wanted(y) {
        return generic::add_assign(y, x);
    }
    let x = values_of(x)?;
    edit(y, |y| {
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| simd::axpy(1.0, x, y));
    })
}

/// Adds a row vector to every row, in place.
pub fn add_bias(y: &Tensor, bias: &Row) -> Result<()> {
    if generic::wanted(y) {
        return generic::assign(y, &y.broadcast_add(&bias.on_device_of(y)?)?);
    }
    let bias: &[f32] = bias;
    edit(y, |y| {
        y.par_chunks_mut(bias.len() * ROWS).for_each(|rows| {
            for row in rows.chunks_mut(bias.len()) {
                simd::axpy(1.0, bias, row);
            }
        });
    })
}

/// s → cap · tanh(s / cap), in place.
pub fn softcap(y: &Tensor, cap: f32) -> Result<()> {
    if generic::wanted(y) {
        return generic::softcap(y, cap);
    }
    edit(y, |y| {
        y.par_chunks_mut(CHUNK).for_each(|c| c.iter_mut().for_each(|v| *v = cap * simd::tanh(*v / cap)));
    })
}

/// Columns `start .. start + width` of a [rows, total] tensor, as a tensor of their own.
pub fn columns(x: &Tensor, start: usize, width: usize) -> Result<Tensor> {
    Ok(x.narrow(1, start, width)?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Central differences of `f` against `backward` for a loss Σ f(x) · c.
    fn check(f: impl Fn(&Tensor) -> Tensor, backward: impl Fn(&Tensor, &Tensor) -> Tensor) {
        let n = 2 * 24;
        let x: Vec<f32> = (0..n).map(|i| ((i * 37 % 19) as f32 - 9.0) * 0.21).collect();
        let c: Vec<f32> = (0..n).map(|i| ((i * 53 % 23) as f32 - 11.0) * 0.1).collect();
        let t = |v: &[f32]| from_vec(v.to_vec(), (2, 24)).unwrap();
        let grad = backward(&t(&x), &t(&c)).flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let loss = |x: &[f32]| -> f64 {
            let y = f(&t(x)).flatten_all().unwrap().to_vec1::<f32>().unwrap();
            y.iter().zip(&c).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        for i in 0..n {
            let h = 4e-3;
            let (mut hi, mut lo) = (x.clone(), x.clone());
            hi[i] += h;
            lo[i] -= h;
            let want = (loss(&hi) - loss(&lo)) / f64::from(hi[i] - lo[i]);
            assert!(
                (f64::from(grad[i]) - want).abs() < 2e-3 * (1.0 + want.abs()),
                "{i}: {} vs {want}",
                grad[i]
            );
        }
    }

    fn some_norm(kind: NormKind) -> Norm {
        Norm {
            name: "norm".into(),
            kind,
            eps: 1e-5,
            weight: (0..24).map(|i| 0.5 + 0.05 * i as f32).collect::<Vec<f32>>().into(),
            bias: (kind == NormKind::Layer).then(|| vec![0.3; 24].into()),
        }
    }

    /// The operations for other devices give the same as the kernels.
    fn alike(f: impl Fn() -> Tensor) {
        let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (kernels, operations) = (flat(f()), flat(generic::with_generic_operations(&f)));
        assert_eq!(kernels.len(), operations.len());
        for (a, b) in kernels.iter().zip(&operations) {
            assert!((a - b).abs() < 2e-6 * (1.0 + a.abs()), "{a} and {b}");
        }
    }

    fn wave(rows: usize, width: usize, speed: f32) -> Tensor {
        let values = (0..rows * width).map(|i| (i as f32 * speed).sin() * 3.0).collect();
        from_vec(values, (rows, width)).unwrap()
    }

    #[test]
    fn other_devices_compute_the_same() {
        let (x, y, dy) = (wave(3, 48, 0.37), wave(3, 48, 0.11), wave(3, 48, 0.71));
        for kind in [NormKind::Rms { unit_offset: false }, NormKind::Layer] {
            let mut norm = some_norm(kind);
            alike(|| norm.forward(&x).unwrap());
            alike(|| norm.backward(&x, &dy).unwrap());
            norm.bias = None;
            alike(|| norm.forward(&x).unwrap());
        }
        for kind in [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            alike(|| plain(kind, &x).unwrap());
            alike(|| plain_backward(kind, &x, &dy).unwrap());
            alike(|| gated(kind, &x, &y).unwrap());
            alike(|| gated_backward(kind, &x, &y, &dy).unwrap().0);
            alike(|| gated_backward(kind, &x, &y, &dy).unwrap().1);
        }
        let changed = |f: &dyn Fn(&Tensor)| {
            let copy = x.copy().unwrap();
            f(&copy);
            copy
        };
        alike(|| changed(&|x| add_assign(x, &y).unwrap()));
        alike(|| changed(&|x| add_bias(x, &vec![0.5; 48].into()).unwrap()));
        alike(|| changed(&|x| softcap(x, 2.0).unwrap()));
    }

    #[test]
    fn norms_have_exact_gradients() {
        for kind in [NormKind::Rms { unit_offset: false }, NormKind::Layer] {
            let norm = some_norm(kind);
            check(|x| norm.forward(x).unwrap(), |x, dy| norm.backward(x, dy).unwrap());
        }
    }

    #[test]
    fn activations_have_exact_gradients() {
        for kind in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
            check(|x| plain(kind, x).unwrap(), |x, dy| plain_backward(kind, x, dy).unwrap());
            let other = from_vec((0..48).map(|i| (i as f32) * 0.1 - 2.0).collect(), (2, 24)).unwrap();
            check(
                |x| gated(kind, x, &other).unwrap(),
                |x, dy| gated_backward(kind, x, &other, dy).unwrap().0,
            );
            check(
                |x| gated(kind, &other, x).unwrap(),
                |x, dy| gated_backward(kind, &other, x, dy).unwrap().1,
            );
        }
    }
}
