//! Which expert helps with which task, and whether the similarity of experts says so beforehand.

use serde::{Deserialize, Serialize};

use super::report::EvalReport;
use super::statistics::{Mean, interval_of_mean};
use crate::analysis::Similarity;

/// Seed of the intervals.
const SEED: u64 = 42;
/// Fewer other experts than these have no order to speak of.
const FEWEST: usize = 3;

/// How well a metric of similarity says which experts help.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    /// The metric, with its settings.
    pub metric: String,
    /// Mean over tasks of Spearman's rank correlation between the similarity of the other experts to the task's own and
    /// their scores on the task; `None` where no task has one.
    pub correlation: Option<f64>,
    /// The 95 % interval of that mean over tasks.
    pub interval: Option<[f64; 2]>,
    /// Tasks over which it is a mean: those with an own expert, and others that do not all score the same.
    pub tasks: usize,
    /// Share of these tasks on which the most similar other expert is (one of) the best.
    pub nearest_is_best: Option<f64>,
    /// Mean score of that expert over these tasks; losses count as negative.
    pub nearest: Option<f64>,
}

/// Experts × tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Names of the experts; untrusted.
    pub experts: Vec<String>,
    /// Names of the tasks; untrusted.
    pub tasks: Vec<String>,
    /// The expert of each task, by its place.
    pub own: Vec<Option<usize>>,
    /// Whether a task is the one before it once more, with another metric: then it predicts nothing more.
    #[serde(default)]
    pub again: Vec<bool>,
    /// Score of the base model on each task; losses are negative, so that more is better everywhere.
    pub base: Vec<Option<f64>>,
    /// Score of each expert alone, by task; likewise.
    pub scores: Vec<Vec<Option<f64>>>,
    /// How well similarities predict it, the best first.
    pub predictors: Vec<Predictor>,
}

impl Transfer {
    /// Out of an evaluation of `base` and of `single:NAME` for all `experts` (its methods from the second on). `own` names
    /// the expert of each task.
    pub fn of(report: &EvalReport, experts: &[String], own: Vec<Option<usize>>) -> Self {
        let sign = |task: usize| if report.tasks[task].metric.is_loss() { -1.0 } else { 1.0 };
        let score = |task: usize, method: usize| -> Option<f64> {
            let mean: Option<Mean> = report.scores.get(task)?.get(method).copied().flatten();
            Some(sign(task) * mean?.score)
        };
        let tasks = 0..report.tasks.len();
        Self {
            experts: experts.to_vec(),
            tasks: report.tasks.iter().map(|task| task.task.clone()).collect(),
            own,
            again: report.tasks.iter().map(|task| task.again).collect(),
            base: tasks.clone().map(|task| score(task, 0)).collect(),
            scores: tasks.map(|task| (1..=experts.len()).map(|at| score(task, at)).collect()).collect(),
            predictors: Vec::new(),
        }
    }

    /// Whether what is known of a task are losses.
    pub fn has_losses(&self, task: usize) -> bool {
        let scores = self.scores.get(task).into_iter().flatten();
        scores.chain(self.base.get(task)).flatten().any(|score| *score < 0.0)
    }

    /// Adds what a similarity of the experts predicts; keeps the best first.
    pub fn predict(&mut self, similarity: &Similarity) {
        let place = |name: &String| similarity.experts.iter().position(|other| other == name);
        let places: Vec<Option<usize>> = self.experts.iter().map(place).collect();
        let (mut correlations, mut best, mut nearest) = (Vec::new(), Vec::new(), Vec::new());
        for (task, own) in self.own.iter().enumerate() {
            let Some(own) = own.filter(|_| !self.again.get(task).is_some_and(|again| *again)) else {
                continue;
            };
            let Some(of_own) = places[own] else { continue };
            let pairs: Vec<(f64, f64)> = (0..self.experts.len())
                .filter(|&at| at != own)
                .filter_map(|at| {
                    let likeness = f64::from(similarity.get(of_own, places[at]?));
                    Some((likeness, self.scores[task][at]?))
                })
                .collect();
            if pairs.len() < FEWEST {
                continue;
            }
            let (alike, scores): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
            let Some(correlation) = spearman(&alike, &scores) else { continue };
            correlations.push(correlation);
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let closest = pairs.iter().copied().reduce(|a, b| if b.0 > a.0 { b } else { a });
            if let Some((_, score)) = closest {
                best.push(f64::from(u8::from(score >= most)));
                nearest.push(score);
            }
        }
        let mean = |values: &[f64]| Mean::of(values).map(|mean| mean.score);
        self.predictors.push(Predictor {
            metric: similarity.settings(),
            correlation: mean(&correlations),
            interval: (correlations.len() > 1).then(|| interval_of_mean(&correlations, SEED)),
            tasks: correlations.len(),
            nearest_is_best: mean(&best),
            nearest: mean(&nearest),
        });
        let rank = |predictor: &Predictor| predictor.correlation.unwrap_or(f64::NEG_INFINITY);
        self.predictors.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    }
}

/// Ranks from 1, equal values sharing the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let same = order[from..].iter().take_while(|&&at| values[at] == values[order[from]]).count().max(1);
        let rank = from as f64 + (same as f64 + 1.0) / 2.0;
        order[from..from + same].iter().for_each(|&at| ranks[at] = rank);
        from += same;
    }
    ranks
}

/// Spearman's rank correlation (C. Spearman, 1904): Pearson's of the ranks, equal values sharing theirs. `None` where one
/// side has no two different values.
pub fn spearman(one: &[f64], other: &[f64]) -> Option<f64> {
    let (one, other) = (ranks(one), ranks(other));
    let mean = (one.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let spread = product(&one, &one) * product(&other, &other);
    (one.len() == other.len() && spread > 0.0).then(|| product(&one, &other) / spread.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Metric;

    #[test]
    fn correlations_are_scipys() {
        // scipy.stats.spearmanr
        let (a, b) = ([1.0, 2.0, 2.0, 4.0, 7.0], [0.5, 0.25, 0.75, 0.75, 1.0]);
        assert!((spearman(&a, &b).unwrap() - 0.763_157_894_736_842).abs() < 1e-12, "{:?}", spearman(&a, &b));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[9.0, 4.0, 1.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn the_metric_that_knows_who_helps_comes_first() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(String::from).to_vec();
        let similarity = |metric: Metric, matrix: [f32; 16]| Similarity {
            metric,
            sparsity: 0.0,
            experts: names.clone(),
            matrix: matrix.to_vec(),
            warnings: vec![],
            skipped: vec![],
            strength: Vec::new(),
            known_spread: Default::default(),
            origin: Default::default(),
        };
        let good = [1.0, 0.9, 0.2, 0.1, 0.9, 1.0, 0.3, 0.2, 0.2, 0.3, 1.0, 0.8, 0.1, 0.2, 0.8, 1.0];
        let mut bad = good;
        bad.iter_mut().for_each(|value| *value = 1.0 - *value);
        let row = |scores: [f64; 4]| scores.map(Some).to_vec();
        let mut transfer = Transfer {
            experts: names.clone(),
            tasks: ["a", "c", "new"].map(String::from).to_vec(),
            own: vec![Some(0), Some(2), None],
            again: Vec::new(),
            base: vec![Some(0.0); 3],
            scores: vec![row([1.0, 0.5, 0.2, 0.1]), row([0.1, 0.2, 0.9, 0.4]), row([0.0; 4])],
            predictors: Vec::new(),
        };
        transfer.predict(&similarity(Metric::DELTA, bad));
        transfer.predict(&similarity(Metric::MBC, good));
        let found: Vec<_> =
            transfer.predictors.iter().map(|p| (p.correlation, p.tasks, p.nearest_is_best)).collect();
        assert_eq!(found, [(Some(1.0), 2, Some(1.0)), (Some(-1.0), 2, Some(0.0))]);
        assert!(transfer.predictors[0].metric.starts_with("mbc"));
        // The same task with another metric predicts nothing more.
        transfer.again = vec![false, true, false];
        transfer.predict(&similarity(Metric::MBC, good));
        assert_eq!(transfer.predictors.iter().map(|p| p.tasks).min(), Some(1));
    }
}
