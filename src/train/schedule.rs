//! Learning rate and optimiser.

use crate::{Error, Result};

/// Share of the steps over which the rate rises.
const WARMUP: f64 = 0.06;

/// Linear warm-up over 6 % of the steps, then linear decay to 0: the factor on the peak rate at `step`,
/// counted from 0, of `steps`. The first step has rate 0 when there is a warm-up, as in transformers.
pub fn linear_schedule(step: usize, steps: usize) -> f64 {
    // A single step would have no rate at all.
    let warmup = if steps > 1 { (steps as f64 * WARMUP).ceil() as usize } else { 0 };
    if step < warmup {
        step as f64 / warmup as f64
    } else {
        steps.saturating_sub(step) as f64 / (steps - warmup).max(1) as f64
    }
}

/// AdamW without weight decay: β = (0.9, 0.999), ε = 1e-8, bias-corrected.
#[derive(Clone, Debug, Default)]
pub struct AdamW {
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    step: i32,
}

impl AdamW {
    /// One step over all parameters; `parameters` and `gradients` stand in the same order every time.
    ///
    /// # Errors
    /// A gradient that is not finite, so that a run that diverges ends with a message.
    pub fn step(&mut self, parameters: &mut [&mut Vec<f32>], gradients: &[&[f32]], rate: f64) -> Result<()> {
        const BETA1: f32 = 0.9;
        const BETA2: f32 = 0.999;
        const EPS: f32 = 1e-8;
        if self.moments.is_empty() {
            self.moments = gradients.iter().map(|g| (vec![0.0; g.len()], vec![0.0; g.len()])).collect();
        }
        if gradients.iter().any(|g| g.iter().any(|v| !v.is_finite())) {
            return Err(Error::msg(
                "training diverged (a gradient is not a number): lower the learning rate",
            ));
        }
        self.step += 1;
        let c1 = 1.0 - f64::from(BETA1).powi(self.step);
        let c2 = 1.0 - f64::from(BETA2).powi(self.step);
        let (rate, root) = ((rate / c1) as f32, c2.sqrt() as f32);
        for ((p, g), (m, v)) in parameters.iter_mut().zip(gradients).zip(&mut self.moments) {
            for (((p, g), m), v) in p.iter_mut().zip(*g).zip(m).zip(v) {
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                *p -= rate * *m / (v.sqrt() / root + EPS);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_then_falls_to_nothing() {
        let rates: Vec<f64> = (0..100).map(|s| linear_schedule(s, 100)).collect();
        assert_eq!((rates[0], rates[3], rates[6]), (0.0, 0.5, 1.0));
        assert!(rates[6..].windows(2).all(|w| w[0] > w[1]));
        assert!(rates[99] > 0.0 && linear_schedule(100, 100) == 0.0);
        assert_eq!(linear_schedule(0, 1), 1.0);
    }

    #[test]
    fn adam_moves_by_the_rate_whatever_the_gradient_s_size() {
        for size in [1e-3f32, 1e3] {
            let mut p = vec![1.0f32];
            AdamW::default().step(&mut [&mut p], &[&[size]], 0.1).unwrap();
            assert!((p[0] - 0.9).abs() < 1e-4);
        }
        let mut p = vec![1.0f32];
        assert!(AdamW::default().step(&mut [&mut p], &[&[f32::NAN]], 0.1).is_err());
        assert_eq!(p[0], 1.0);
    }
}
