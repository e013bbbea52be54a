//! Rotary position embedding, half-split layout, with the rescalings that published models use.

use std::sync::OnceLock;

use candle_core::Tensor;
use rayon::prelude::*;

use super::generic;
use super::spec::{RopeScaling, RopeSpec};
use super::tensor::edit;
use crate::Result;

/// Frequencies of a model's rotary embedding.
#[derive(Clone, Debug)]
pub struct Rope {
    spec: RopeSpec,
    head_dim: usize,
}

/// cos and sin of one forward pass: made once, used by every layer.
#[derive(Debug)]
pub struct RopeTable {
    /// Half the number of rotating dimensions.
    half: usize,
    head_dim: usize,
    /// [rows, half].
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// The same on another device, once a layer asked for them.
    there: OnceLock<(Tensor, Tensor)>,
}

/// Inverse frequencies [dim / 2] and the factor on cos and sin, as transformers computes them.
fn frequencies(spec: &RopeSpec, positions: usize) -> (Vec<f32>, f64) {
    let half = spec.dim / 2;
    let base: Vec<f64> = (0..half).map(|i| spec.theta.powf(-2.0 * i as f64 / spec.dim as f64)).collect();
    let (values, attention): (Vec<f64>, f64) = match &spec.scaling {
        RopeScaling::None => (base, 1.0),
        RopeScaling::Linear { factor } => (base.iter().map(|f| f / factor).collect(), 1.0),
        RopeScaling::Llama3 { factor, low, high, original } => {
            let scale = |f: &f64| {
                let wavelength = 2.0 * std::f64::consts::PI / f;
                if wavelength < original / high {
                    *f
                } else if wavelength > original / low {
                    f / factor
                } else {
                    let smooth = (original / wavelength - low) / (high - low);
                    (1.0 - smooth) * f / factor + smooth * f
                }
            };
            (base.iter().map(scale).collect(), 1.0)
        }
        RopeScaling::Yarn { factor, original, beta_fast, beta_slow, attention, truncate } => {
            // The dimension whose wavelength makes `turns` turns over the original context.
            let dim_of = |turns: f64| {
                spec.dim as f64 * (original / (turns * 2.0 * std::f64::consts::PI)).ln()
                    / (2.0 * spec.theta.ln())
            };
            let (mut low, mut high) = (dim_of(*beta_fast), dim_of(*beta_slow));
            if *truncate {
                (low, high) = (low.floor(), high.ceil());
            }
            let (low, high) = (low.max(0.0), high.min(spec.dim as f64 - 1.0));
            let span = if high == low { 0.001 } else { high - low };
            let ramp = |i: usize| ((i as f64 - low) / span).clamp(0.0, 1.0);
            let values = base.iter().enumerate().map(|(i, f)| f * (1.0 - ramp(i)) + f / factor * ramp(i));
            (values.collect(), *attention)
        }
        RopeScaling::Long { short, long, original, attention } => {
            let divisors = if positions > *original { long } else { short };
            (base.iter().zip(divisors).map(|(f, d)| f / d).collect(), *attention)
        }
    };
    (values.into_iter().map(|f| f as f32).collect(), attention)
}

impl Rope {
    /// A rotary embedding for heads of `head_dim` dimensions, of which `spec.dim` rotate.
    pub fn new(spec: &RopeSpec, head_dim: usize) -> Self {
        Self { spec: spec.clone(), head_dim }
    }

    /// The angles of rows at `positions`.
    pub fn table(&self, positions: &[usize]) -> RopeTable {
        let longest = positions.iter().max().map_or(0, |p| p + 1);
        let (inverse, attention) = frequencies(&self.spec, longest);
        let half = inverse.len();
        // transformers multiplies position and frequency in f32.
        let angles = positions.iter().flat_map(|&p| inverse.iter().map(move |&f| f64::from(p as f32 * f)));
        let (sin, cos) = angles.map(|a| ((a.sin() * attention) as f32, (a.cos() * attention) as f32)).unzip();
        RopeTable { half, head_dim: self.head_dim, cos, sin, there: OnceLock::new() }
    }
}

impl RopeTable {
    /// Rotates every head of `x` [rows, heads · head_dim] in place. `sign` is 1, or −1 for the backward
    /// pass (the transpose).
    pub fn apply(&self, x: &Tensor, sign: f32) -> Result<()> {
        let (half, head_dim) = (self.half, self.head_dim);
        if half == 0 {
            return Ok(());
        }
        if generic::wanted(x) {
            if self.there.get().is_none() {
                let there = |v: &[f32]| generic::upload(v, (v.len() / half, half), x);
                let _ = self.there.set((there(&self.cos)?, there(&self.sin)?));
            }
            let Some((cos, sin)) = self.there.get() else { return Ok(()) };
            return generic::rotate(x, head_dim, cos, sin, sign);
        }
        let width = x.dim(1)?;
        edit(x, |values| {
            values
                .par_chunks_mut(width)
                .zip(self.cos.par_chunks(half).zip(self.sin.par_chunks(half)))
                .with_min_len(8)
                .for_each(|(row, (cos, sin))| {
                    for head in row.chunks_mut(head_dim) {
                        let (first, rest) = head.split_at_mut(half);
                        for (((a, b), c), s) in first.iter_mut().zip(rest).zip(cos).zip(sin) {
                            let (x, y, s) = (*a, *b, s * sign);
                            *a = x * c - y * s;
                            *b = y * c + x * s;
                        }
                    }
                });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tensor::from_vec;
    use super::*;

    #[test]
    fn rotation_keeps_length_and_its_inverse_undoes_it() {
        let spec = RopeSpec { theta: 10_000.0, dim: 4, scaling: RopeScaling::None };
        let rope = Rope::new(&spec, 6).table(&[3, 31]);
        let values: Vec<f32> = (0..24).map(|i| (i as f32).sin()).collect();
        let x = from_vec(values.clone(), (2, 12)).unwrap();
        rope.apply(&x, 1.0).unwrap();
        let turned = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>();
        assert!((length(&turned) - length(&values)).abs() < 1e-4);
        assert_eq!(turned[4..6], values[4..6], "dimensions past the rotary ones stay");
        let other = from_vec(values.clone(), (2, 12)).unwrap();
        generic::with_generic_operations(|| rope.apply(&other, 1.0)).unwrap();
        let other = other.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(other.iter().zip(&turned).all(|(a, b)| (a - b).abs() < 1e-6), "other devices differ");
        rope.apply(&x, -1.0).unwrap();
        let back = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(back.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn llama3_keeps_short_wavelengths_and_stretches_long_ones() {
        let scaling = RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        let plain = frequencies(&RopeSpec { theta: 500_000.0, dim: 128, scaling: RopeScaling::None }, 1).0;
        let scaled = frequencies(&RopeSpec { theta: 500_000.0, dim: 128, scaling }, 1).0;
        assert_eq!(plain[0], scaled[0]);
        assert!((plain[63] / scaled[63] - 8.0).abs() < 1e-4);
    }
}
