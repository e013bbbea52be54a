//! Mean and deviation of every expert's scores at every module.

use crate::routing::scores::{SCORES, Score};
use crate::{Error, Result};

/// Keeps a division by a deviation of 0 finite.
const LEAST: f64 = 1e-6;

/// What is usual for every expert: mean and sample deviation of each score at each module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// By score of [`SCORES`] and module: (mean, deviation) of each expert.
    tables: Vec<Vec<Usual>>,
    /// Whose prompts they are.
    pub source: String,
    /// Number of prompts.
    pub prompts: usize,
    /// Tokens that were counted.
    pub tokens: usize,
}

/// What is usual at one module, by expert.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Usual {
    pub mean: Vec<f64>,
    /// Sample deviation (n − 1).
    pub deviation: Vec<f64>,
    /// mean and 1 / (deviation + 1e-6), as they are used.
    ready: Vec<(f32, f32)>,
}

impl Usual {
    pub fn new(mean: Vec<f64>, deviation: Vec<f64>) -> Self {
        let ready = mean.iter().zip(&deviation);
        let ready = ready.map(|(m, d)| (*m as f32, (1.0 / (d + LEAST)) as f32)).collect();
        Self { mean, deviation, ready }
    }
}

impl Calibration {
    /// From the tables [score][module].
    pub(super) fn new(tables: Vec<Vec<Usual>>, source: String, prompts: usize, tokens: usize) -> Self {
        Self { tables, source, prompts, tokens }
    }

    /// The same with the name of its prompts.
    #[must_use]
    pub(in crate::routing) fn named(self, source: String) -> Self {
        Self { source, ..self }
    }

    /// By module: what is usual under a score.
    pub(super) fn table(&self, score: Score) -> &[Usual] {
        self.tables.get(score.index()).map_or(&[], Vec::as_slice)
    }

    /// Turns scores [rows, experts] at a module into (score − mean) / (deviation + 1e-6).
    pub(in crate::routing) fn apply(&self, score: Score, module: usize, scores: &mut [f32]) {
        let Some(usual) = self.table(score).get(module) else { return };
        for row in scores.chunks_mut(usual.ready.len().max(1)) {
            row.iter_mut()
                .zip(&usual.ready)
                .for_each(|(score, (mean, scale))| *score = (*score - mean) * scale);
        }
    }

    /// [`Self::apply`] for one expert's score.
    pub(in crate::routing) fn of_one(&self, score: Score, module: usize, expert: usize, value: f32) -> f32 {
        let usual = self.table(score).get(module).and_then(|usual| usual.ready.get(expert));
        usual.map_or(value, |(mean, scale)| (value - mean) * scale)
    }

    /// (mean, sample deviation) of each expert's scores at a module, by its position; empty where there is none.
    pub fn usual(&self, score: Score, module: usize) -> Vec<(f64, f64)> {
        let pairs = |usual: &Usual| usual.mean.iter().copied().zip(usual.deviation.iter().copied()).collect();
        self.table(score).get(module).map_or_else(Vec::new, pairs)
    }
}

/// Means and deviations of a stream of scores, without keeping them (Welford): one value per expert a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    count: usize,
    mean: Vec<f64>,
    /// Sum of squared distances from the mean.
    squares: Vec<f64>,
}

impl Stream {
    /// Takes the scores of one row.
    pub fn add(&mut self, scores: &[f32]) {
        self.mean.resize(scores.len(), 0.0);
        self.squares.resize(scores.len(), 0.0);
        self.count += 1;
        let share = 1.0 / self.count as f64;
        for ((mean, squares), score) in self.mean.iter_mut().zip(&mut self.squares).zip(scores) {
            let score = f64::from(*score);
            let off = score - *mean;
            *mean += off * share;
            *squares += off * (score - *mean);
        }
    }

    /// What was usual.
    ///
    /// # Errors
    /// Of fewer than two values nothing is usual.
    pub fn finish(self) -> Result<Usual> {
        if self.count < 2 {
            return Err(Error::usage(
                "a calibration needs prompts with at least two tokens besides the template and the first",
            ));
        }
        let deviation = self.squares.iter().map(|s| (s / (self.count - 1) as f64).max(0.0).sqrt()).collect();
        Ok(Usual::new(self.mean, deviation))
    }
}

/// Empty streams, by score and module.
pub(super) fn streams(modules: usize) -> Vec<Vec<Stream>> {
    vec![vec![Stream::default(); modules]; SCORES.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against both passes over values that were kept, also far from zero.
        #[test]
        fn a_stream_has_the_mean_and_deviation_of_its_values(
            values in proptest::collection::vec(-10.0f32..10.0, 2..60), far in prop_oneof![Just(0.0f32), Just(1e4)],
        ) {
            let mut stream = Stream::default();
            values.iter().for_each(|v| stream.add(&[far + v, 3.0]));
            let usual = stream.finish().unwrap();
            let all: Vec<f64> = values.iter().map(|v| f64::from(far + v)).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let square = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            let deviation = (square / (all.len() - 1) as f64).sqrt();
            prop_assert!((usual.mean[0] - mean).abs() < 1e-9 * (1.0 + far as f64));
            prop_assert!((usual.deviation[0] - deviation).abs() < 1e-9 * (1.0 + far as f64));
            prop_assert_eq!((usual.mean[1], usual.deviation[1]), (3.0, 0.0));
        }
    }

    #[test]
    fn one_value_is_no_calibration() {
        let mut stream = Stream::default();
        stream.add(&[1.0]);
        assert!(stream.finish().unwrap_err().to_string().contains("at least two"));
    }
}
