//! Mean and deviation of every expert's scores at every module.

use crate::routing::experts::ExpertSet;
use crate::routing::scores::{SCORES, Score};
use crate::routing::tensor_cache::{Counts, Found, Kept, TensorCache, Wanted};
use crate::routing::watch::no_numbers;
use crate::{Error, Result};

/// Keeps a division by a deviation of 0 finite.
pub(in crate::routing) const LEAST: f64 = 1e-6;

/// What is usual for every expert: mean and sample deviation of each score at each module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// By score of [`SCORES`] and module: (mean, deviation) of each expert; none for a score that was not measured.
    tables: Vec<Vec<Usual>>,
    /// Mean states [prompts, hidden] in the middle of the network of the first prompts.
    states: Vec<f32>,
    /// Whose prompts they are.
    pub source: String,
    /// Number of prompts.
    pub prompts: usize,
    /// Tokens that were counted.
    pub tokens: usize,
}

/// What is usual at one module, or of whole prompts, by expert.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::routing) struct Usual {
    mean: Vec<f64>,
    /// Sample deviation (n − 1).
    deviation: Vec<f64>,
    /// mean and 1 / (deviation + 1e-6), as they are used.
    ready: Vec<(f32, f32)>,
}

impl Usual {
    pub fn new(mean: Vec<f64>, deviation: Vec<f64>) -> Self {
        let ready = mean.iter().zip(&deviation);
        let ready = ready.map(|(m, d)| (*m as f32, (1.0 / (d + LEAST)) as f32)).collect();
        Self { mean, deviation, ready }
    }

    /// What is usual among rows of one value per expert.
    ///
    /// # Errors
    /// Of fewer than two rows nothing is usual.
    pub(in crate::routing) fn of<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Result<Self> {
        let mut stream = Stream::default();
        rows.for_each(|row| stream.add(row));
        stream.finish()
    }

    /// Turns scores [rows, experts] into (score − mean) / (deviation + 1e-6).
    pub(in crate::routing) fn apply(&self, scores: &mut [f32]) {
        for row in scores.chunks_mut(self.ready.len().max(1)) {
            row.iter_mut()
                .zip(&self.ready)
                .for_each(|(score, (mean, scale))| *score = (*score - mean) * scale);
        }
    }
}

impl Calibration {
    /// From the tables [score][module], and the mean states of prompts.
    ///
    /// # Errors
    /// States that are not finite: then the base model's values are no numbers. Of experts they may be none
    /// ([`Self::broken`]).
    pub(super) fn new(
        tables: Vec<Vec<Usual>>,
        states: Vec<f32>,
        source: String,
        (prompts, tokens): (usize, usize),
    ) -> Result<Self> {
        match states.iter().all(|v| v.is_finite()) {
            true => Ok(Self { tables, states, source, prompts, tokens }),
            false => Err(no_numbers()),
        }
    }

    /// Experts whose scores at a module were no numbers, each with the module's position.
    pub(in crate::routing) fn broken(&self, score: Score) -> impl Iterator<Item = (usize, usize)> {
        self.table(score).iter().enumerate().flat_map(|(position, usual)| {
            let pairs = usual.mean.iter().zip(&usual.deviation).enumerate();
            pairs.filter(|(_, (m, d))| !(m.is_finite() && d.is_finite())).map(move |(e, _)| (e, position))
        })
    }

    /// Whether a score was measured.
    pub fn has(&self, score: Score) -> bool {
        !self.table(score).is_empty()
    }

    /// Mean states of the first prompts, each of so many numbers.
    pub(in crate::routing) fn states(&self, hidden: usize) -> impl Iterator<Item = &[f32]> {
        self.states.chunks(hidden.max(1))
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
        if let Some(usual) = self.table(score).get(module) {
            usual.apply(scores);
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

/// What is kept of a calibration of these scores for `experts`, with so many states of so many numbers.
fn wanted(scores: &[Score], experts: &ExpertSet, states: (usize, usize)) -> Vec<Wanted> {
    let shape = (experts.modules.len(), experts.len());
    let names =
        scores.iter().flat_map(|score| ["mean", "deviation"].map(|what| format!("{}.{what}", score.id)));
    let mut all: Vec<Wanted> = names.map(|name| Wanted::f64(name, shape)).collect();
    all.push(Wanted::f32("states".into(), states));
    all
}

impl Calibration {
    /// The calibration of this key, which has these scores and a state of `hidden` numbers for `states` prompts. Whose
    /// prompts they are is not in the file.
    pub(in crate::routing) fn kept(
        cache: &TensorCache,
        key: &str,
        scores: &[Score],
        experts: &ExpertSet,
        states: (usize, usize),
    ) -> Option<Self> {
        let found: Found = cache.read(key, &wanted(scores, experts, states))?;
        let count = |name: &str| found.counts.get(name).copied();
        let mut tables = vec![Vec::new(); SCORES.len()];
        for (at, score) in scores.iter().enumerate() {
            let (mean, deviation) = (found.f64(2 * at)?, found.f64(2 * at + 1)?);
            let width = experts.len().max(1);
            let modules = mean.chunks(width).zip(deviation.chunks(width));
            *tables.get_mut(score.index())? =
                modules.map(|(m, d)| Usual::new(m.to_vec(), d.to_vec())).collect();
        }
        let states = found.last_f32()?;
        Self::new(tables, states, String::new(), (count("prompts")?, count("tokens")?)).ok()
    }

    /// Keeps it under this key.
    pub(in crate::routing) fn keep(&self, cache: &TensorCache, key: &str, hidden: usize) {
        let mut tensors = Vec::new();
        for score in SCORES.iter().filter(|score| self.has(**score)) {
            let table = self.table(*score);
            let columns: [(&str, fn(&Usual) -> &Vec<f64>); 2] =
                [("mean", |usual| &usual.mean), ("deviation", |usual| &usual.deviation)];
            for (what, column) in columns {
                let values = table.iter().flat_map(column).copied();
                tensors.push((Kept::f64(format!("{}.{what}", score.id), values), table.len()));
            }
        }
        tensors.push((Kept::f32("states".into(), &self.states), self.states.len() / hidden.max(1)));
        let counts = [("prompts", self.prompts), ("tokens", self.tokens)];
        let counts: Counts = counts.map(|(name, count)| (name.to_string(), count)).into();
        cache.keep(key, &tensors, &counts);
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

    /// Those whose values were not all numbers.
    pub fn broken(&self) -> impl Iterator<Item = usize> {
        self.mean.iter().enumerate().filter(|(_, mean)| !mean.is_finite()).map(|(at, _)| at)
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

/// Empty streams, by score of the table and module; none for scores that are not among `scores`.
pub(super) fn streams(scores: &[Score], modules: usize) -> Vec<Vec<Stream>> {
    let of = |score| vec![Stream::default(); if scores.contains(score) { modules } else { 0 }];
    SCORES.iter().map(of).collect()
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
