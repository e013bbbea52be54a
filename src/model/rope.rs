//! Rotary position embedding, half-split layout, with the rescalings that published models use.

use std::ops::Range;

use super::constant::DeviceConst;
use super::spec::{RopeScaling, RopeSpec};

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
    pub(super) half: usize,
    pub(super) head_dim: usize,
    /// [rows, half].
    pub(super) cos: DeviceConst,
    pub(super) sin: DeviceConst,
}

/// Inverse frequencies [dim / 2] of a sequence of `length` tokens, and the factor on cos and sin, as transformers
/// computes them.
fn frequencies(spec: &RopeSpec, length: usize) -> (Vec<f32>, f64) {
    let half = spec.dim / 2;
    let powers = |theta: f64| (0..half).map(move |i| theta.powf(-2.0 * i as f64 / spec.dim as f64));
    let base: Vec<f64> = powers(spec.theta).collect();
    let (values, attention): (Vec<f64>, f64) = match &spec.scaling {
        RopeScaling::None => (base, 1.0),
        RopeScaling::Linear { factor, .. } => (base.iter().map(|f| f / factor).collect(), 1.0),
        RopeScaling::Dynamic { factor, original } => {
            let stretch = factor * length.max(*original) as f64 / *original as f64 - (factor - 1.0);
            let exponent = spec.dim as f64 / (spec.dim as f64 - 2.0);
            (powers(spec.theta * stretch.powf(exponent)).collect(), 1.0)
        }
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
            let divisors = if length > *original { long } else { short };
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

    /// A number that lengths of sequences share if, and only if, they have the same frequencies.
    pub fn length_class(&self, length: usize) -> usize {
        match &self.spec.scaling {
            RopeScaling::Long { original, .. } => usize::from(length > *original),
            RopeScaling::Dynamic { original, .. } if length > *original => length,
            _ => 0,
        }
    }

    /// The angles of the rows of several sequences: the positions of each, and the length that it will have.
    pub fn table(&self, sequences: &[(Range<usize>, usize)]) -> RopeTable {
        let half = self.spec.dim / 2;
        let rows: usize = sequences.iter().map(|(positions, _)| positions.len()).sum();
        let (mut sin, mut cos) = (Vec::with_capacity(rows * half), Vec::with_capacity(rows * half));
        let mut known: Option<(usize, (Vec<f32>, f64))> = None;
        for (positions, length) in sequences {
            let class = self.length_class(*length);
            let known = match &mut known {
                Some((of, known)) if *of == class => known,
                known => &mut known.insert((class, frequencies(&self.spec, *length))).1,
            };
            let (inverse, attention) = &*known;
            for position in positions.clone() {
                // transformers multiplies position and frequency in f32.
                let angles = inverse.iter().map(|&f| f64::from(position as f32 * f));
                for angle in angles {
                    sin.push((angle.sin() * attention) as f32);
                    cos.push((angle.cos() * attention) as f32);
                }
            }
        }
        RopeTable { half, head_dim: self.head_dim, cos: cos.into(), sin: sin.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_keeps_short_wavelengths_and_stretches_long_ones() {
        let scaling = RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        let plain = frequencies(&RopeSpec { theta: 500_000.0, dim: 128, scaling: RopeScaling::None }, 1).0;
        let scaled = frequencies(&RopeSpec { theta: 500_000.0, dim: 128, scaling }, 1).0;
        assert_eq!(plain[0], scaled[0]);
        assert!((plain[63] / scaled[63] - 8.0).abs() < 1e-4);
    }
    #[test]
    fn only_lengths_with_other_frequencies_are_told_apart() {
        let rope = |scaling| Rope::new(&RopeSpec { theta: 10_000.0, dim: 8, scaling }, 8);
        let dynamic = rope(RopeScaling::Dynamic { factor: 4.0, original: 64 });
        assert_eq!([1, 64, 65, 66].map(|n| dynamic.length_class(n)), [0, 0, 65, 66]);
        assert_eq!(frequencies(&dynamic.spec, 10), frequencies(&rope(RopeScaling::None).spec, 10));
        // 100 tokens: θ · (4 · 100/64 − 3)^(8/6), the slowest frequency its power of −6/8.
        let theta = 10_000.0f64 * (4.0f64 * 100.0 / 64.0 - 3.0).powf(8.0 / 6.0);
        let slowest = frequencies(&dynamic.spec, 100).0[3];
        assert!((f64::from(slowest) / theta.powf(-0.75) - 1.0).abs() < 1e-6);
        // Sequences of one pass do not change each other.
        let (short, long) = ((0..3, 3), (0..70, 70));
        let both = dynamic.table(&[long.clone(), short.clone()]);
        let alone = dynamic.table(&[short]);
        let (RopeTable { cos: both, .. }, RopeTable { cos: alone, .. }) = (both, alone);
        assert_eq!(both[70 * 4..], alone[..]);
    }
}
