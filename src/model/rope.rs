//! Rotary position embedding, half-split layout, with the rescalings that published models use.

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
        let (sin, cos): (Vec<f32>, Vec<f32>) =
            angles.map(|a| ((a.sin() * attention) as f32, (a.cos() * attention) as f32)).unzip();
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
}
