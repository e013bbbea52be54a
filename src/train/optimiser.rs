//! AdamW and the clipping of gradients.

use crate::{Error, Result};

/// First and second moment of one parameter tensor.
pub type Moments = (Vec<f32>, Vec<f32>);

/// AdamW: β = (0.9, 0.999), ε = 1e-8, bias-corrected, with decoupled weight decay.
#[derive(Clone, Debug, Default)]
pub struct AdamW {
    weight_decay: f64,
    moments: Vec<Moments>,
    step: i32,
}

impl AdamW {
    /// An optimiser at its first step. Each step shrinks the parameters by `rate × weight_decay` first.
    pub fn new(weight_decay: f64) -> Self {
        Self { weight_decay, ..Self::default() }
    }

    /// Both moments of every parameter tensor, in the order of [`Self::step`]; empty before the first step.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    /// Goes on after `step` steps that left these moments.
    pub fn restore(&mut self, step: usize, moments: Vec<Moments>) {
        (self.step, self.moments) = (step.min(i32::MAX as usize) as i32, moments);
    }

    /// One step over all parameters; `parameters` and `gradients` stand in the same order every time.
    ///
    /// # Errors
    /// A gradient that is not finite, so that a run that diverges ends with a message.
    pub fn step(&mut self, parameters: &mut [&mut Vec<f32>], gradients: &[&[f32]], rate: f64) -> Result<()> {
        const BETA1: f32 = 0.9;
        const BETA2: f32 = 0.999;
        const EPS: f32 = 1e-8;
        // Before anything changes: what is saved then is what the last step left.
        if gradients.iter().any(|g| g.iter().any(|v| !v.is_finite())) {
            return Err(Error::msg(
                "training diverged (a gradient is not a number): lower the learning rate",
            ));
        }
        if self.moments.is_empty() {
            self.moments = gradients.iter().map(|g| (vec![0.0; g.len()], vec![0.0; g.len()])).collect();
        }
        self.step += 1;
        let c1 = 1.0 - f64::from(BETA1).powi(self.step);
        let c2 = 1.0 - f64::from(BETA2).powi(self.step);
        let kept = (1.0 - rate * self.weight_decay) as f32;
        let (rate, root) = ((rate / c1) as f32, c2.sqrt() as f32);
        for ((p, g), (m, v)) in parameters.iter_mut().zip(gradients).zip(&mut self.moments) {
            for (((p, g), m), v) in p.iter_mut().zip(*g).zip(m).zip(v) {
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                *p = kept * *p - rate * *m / (v.sqrt() / root + EPS);
            }
        }
        Ok(())
    }
}

/// Scales all gradients so that their common L2 norm is at most `limit`, as PyTorch's `clip_grad_norm_`
/// does; gives the norm before.
pub fn clip(gradients: &mut [&mut [f32]], limit: f64) -> f64 {
    let squares = |g: &[f32]| g.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
    let norm = gradients.iter().map(|g| squares(g)).sum::<f64>().sqrt();
    let factor = (limit / (norm + 1e-6)) as f32;
    if factor < 1.0 {
        gradients.iter_mut().for_each(|g| g.iter_mut().for_each(|v| *v *= factor));
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_moves_by_the_rate_whatever_the_gradient_s_size() {
        for size in [1e-3f32, 1e3] {
            let mut p = vec![1.0f32];
            AdamW::new(0.0).step(&mut [&mut p], &[&[size]], 0.1).unwrap();
            assert!((p[0] - 0.9).abs() < 1e-4);
        }
        let mut p = vec![1.0f32];
        let mut diverged = AdamW::new(0.0);
        assert!(diverged.step(&mut [&mut p], &[&[f32::NAN]], 0.1).is_err());
        assert!(p[0] == 1.0 && diverged.moments().is_empty(), "nothing has changed");
    }

    #[test]
    fn weight_decay_shrinks_without_a_gradient() {
        let mut p = vec![2.0f32];
        AdamW::new(0.5).step(&mut [&mut p], &[&[0.0]], 0.1).unwrap();
        assert!((p[0] - 1.9).abs() < 1e-6, "{p:?}");
    }

    #[test]
    fn gradients_keep_their_direction_when_they_are_clipped() {
        let (mut a, mut b) = (vec![3.0f32, 0.0], vec![4.0f32]);
        assert_eq!(clip(&mut [&mut a, &mut b], 1.0), 5.0);
        assert!((a[0] - 0.6).abs() < 1e-6 && (b[0] - 0.8).abs() < 1e-6);
        let before = (a.clone(), b.clone());
        clip(&mut [&mut a, &mut b], 1.5);
        assert_eq!((a, b), before);
    }
}
