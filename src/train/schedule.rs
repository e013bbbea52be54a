//! The learning rate over the steps.

use crate::named::{Named, by_name};

/// How the learning rate changes after the warm-up; the factors are those of transformers' schedulers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// In a straight line down to 0.
    #[default]
    Linear,
    /// Half a cosine down to 0.
    Cosine,
    /// Stays at its peak.
    Constant,
}

impl Named for Schedule {
    const KIND: &'static str = "schedule";

    fn all() -> &'static [Self] {
        &[Self::Linear, Self::Cosine, Self::Constant]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::Constant => "constant",
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Linear => "In a straight line down to 0",
            Self::Cosine => "Half a cosine down to 0",
            Self::Constant => "Stays at its peak",
        }
    }
}
by_name!(Schedule);

impl Schedule {
    /// The factor on the peak rate at `step`, counted from 0, of `steps`. It rises in a straight line over the
    /// first `warmup × steps` (rounded up): the first step has rate 0 when there is a warm-up, as in
    /// transformers.
    pub fn factor(self, step: usize, steps: usize, warmup: f64) -> f64 {
        // A single step would have no rate at all.
        let rising = if steps > 1 { (steps as f64 * warmup).ceil() as usize } else { 0 };
        if step < rising {
            return step as f64 / rising as f64;
        }
        let left = steps.saturating_sub(step) as f64 / steps.saturating_sub(rising).max(1) as f64;
        match self {
            Self::Linear => left,
            Self::Cosine => 0.5 * (1.0 - (std::f64::consts::PI * left).cos()),
            Self::Constant => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule) -> Vec<f64> {
        (0..=100).map(|step| schedule.factor(step, 100, 0.06)).collect()
    }

    #[test]
    fn the_rate_rises_then_falls_to_nothing() {
        for schedule in [Schedule::Linear, Schedule::Cosine] {
            let rates = rates(schedule);
            assert_eq!((rates[0], rates[3], rates[6], rates[100]), (0.0, 0.5, 1.0, 0.0));
            assert!(rates[6..].windows(2).all(|w| w[0] > w[1]), "{schedule:?}");
        }
        assert_eq!(rates(Schedule::Linear)[53], 0.5);
        // Flat at both ends, steeper in between.
        let cosine = rates(Schedule::Cosine);
        assert!((cosine[53] - 0.5).abs() < 1e-12 && cosine[20] > 0.94 && cosine[90] < 0.03);
    }

    #[test]
    fn a_constant_rate_stays_and_one_step_is_at_the_peak() {
        let rates = rates(Schedule::Constant);
        assert_eq!((rates[3], rates[6], rates[99]), (0.5, 1.0, 1.0));
        for schedule in [Schedule::Linear, Schedule::Cosine, Schedule::Constant] {
            assert_eq!(schedule.factor(0, 1, 0.06), 1.0);
            assert_eq!(schedule.factor(0, 10, 0.0), 1.0);
            assert_eq!(schedule.factor(9, 10, 1.0), 0.9);
        }
    }
}
