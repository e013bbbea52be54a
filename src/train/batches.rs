//! Which examples each step learns from: a function of the seed and the step alone.

use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::TrainSpec;

/// Steps whose examples are sorted by length together.
const SORTED_TOGETHER: usize = 50;

/// Changes the seed of the order where a training starts from an adapter.
const CONTINUED: u64 = 1 << 63;

/// The examples of every step. Nothing of it has to be kept to resume at a later step.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    /// Where each task's examples stand.
    tasks: Vec<Range<usize>>,
    /// Length of each example in tokens.
    lengths: Vec<usize>,
    /// Examples per step.
    size: usize,
    seed: u64,
    shuffle: bool,
    by_length: bool,
    /// The epoch that was asked for last, and its order.
    present: Option<(usize, Vec<usize>)>,
}

impl Batches {
    /// `lengths` of all examples, task after task; `tasks` says where each begins and ends.
    pub(super) fn new(spec: &TrainSpec, tasks: Vec<Range<usize>>, lengths: Vec<usize>) -> Self {
        Self {
            tasks,
            lengths,
            size: spec.step_size(),
            // What continues does not see first what it has seen before by the same seed.
            seed: spec.seed ^ spec.init.as_ref().map_or(0, |_| CONTINUED),
            shuffle: spec.shuffle,
            by_length: spec.by_length,
            present: None,
        }
    }

    /// Steps per epoch; the last one has what is left.
    pub(super) fn per_epoch(&self) -> usize {
        self.lengths.len().div_ceil(self.size).max(1)
    }

    /// Numbers of the examples of `step`, counted from 0 over all epochs.
    pub(super) fn of(&mut self, step: usize) -> Vec<usize> {
        let (epoch, within) = (step / self.per_epoch(), step % self.per_epoch());
        if self.present.as_ref().is_none_or(|(known, _)| *known != epoch) {
            self.present = Some((epoch, self.order(epoch)));
        }
        let order = self.present.as_ref().map_or(&[][..], |(_, order)| order);
        order.chunks(self.size).nth(within).unwrap_or_default().to_vec()
    }

    /// The order of an epoch: as given, or shuffled. Several tasks are mixed so that every stretch has each
    /// in proportion to its size.
    fn order(&self, epoch: usize) -> Vec<usize> {
        if !self.shuffle {
            return (0..self.lengths.len()).collect();
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch as u64);
        let mut placed: Vec<(f64, usize)> = Vec::with_capacity(self.lengths.len());
        for task in &self.tasks {
            let mut examples: Vec<usize> = task.clone().collect();
            examples.shuffle(&mut rng);
            // The k-th of n stands at (k + start) / n of the epoch.
            let start: f64 = rng.random();
            let n = examples.len() as f64;
            placed.extend(examples.into_iter().enumerate().map(|(k, e)| ((k as f64 + start) / n, e)));
        }
        placed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut order: Vec<usize> = placed.into_iter().map(|(_, example)| example).collect();
        if self.by_length {
            self.group(&mut order, &mut rng);
        }
        order
    }

    /// Sorts stretches of the order by length, then shuffles their batches.
    fn group(&self, order: &mut [usize], rng: &mut ChaCha8Rng) {
        for stretch in order.chunks_mut(self.size.saturating_mul(SORTED_TOGETHER)) {
            stretch.sort_by_key(|&example| self.lengths[example]);
            // Only whole batches change places, so that all of them stay whole.
            let whole = stretch.len() / self.size;
            for i in (1..whole).rev() {
                let j = rng.random_range(0..=i);
                for k in 0..self.size {
                    stretch.swap(i * self.size + k, j * self.size + k);
                }
            }
        }
    }
}

/// Examples that go through the model in so many steps of `size` over so many of them, each as often as it comes: the
/// last step of an epoch has what is left.
pub fn examples_in(steps: usize, size: usize, examples: usize) -> usize {
    let per_epoch = examples.div_ceil(size.max(1)).max(1);
    let (whole, rest) = (steps / per_epoch, steps % per_epoch);
    let within = rest.saturating_mul(size).min(examples);
    whole.saturating_mul(examples).saturating_add(within)
}

impl TrainSpec {
    /// Examples that the training takes out of so many, each as often as it comes.
    pub fn trained(&self, examples: usize) -> usize {
        examples_in(self.steps(examples), self.step_size(), examples)
    }

    /// Steps that the training takes on so many examples.
    pub fn steps(&self, examples: usize) -> usize {
        let per_epoch = examples.div_ceil(self.step_size().max(1)).max(1);
        let of_epochs = |n: f64| (per_epoch as f64 * n).ceil().min(1e9) as usize;
        match (self.epochs, self.max_steps) {
            (None, Some(most)) => most,
            (epochs, most) => of_epochs(epochs.unwrap_or(1.0)).min(most.unwrap_or(usize::MAX)),
        }
        .max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(sizes: &[usize], change: impl Fn(&mut TrainSpec)) -> Batches {
        let mut spec = TrainSpec { batch: 8, ..TrainSpec::default() };
        change(&mut spec);
        let mut tasks = Vec::new();
        for size in sizes {
            let start = tasks.last().map_or(0, |task: &Range<usize>| task.end);
            tasks.push(start..start + size);
        }
        let lengths = (0..sizes.iter().sum()).map(|i| 10 + (i * 37) % 101).collect();
        Batches::new(&spec, tasks, lengths)
    }

    fn epoch(batches: &mut Batches, epoch: usize) -> Vec<Vec<usize>> {
        let n = batches.per_epoch();
        (epoch * n..(epoch + 1) * n).map(|step| batches.of(step)).collect()
    }

    #[test]
    fn what_is_counted_is_what_the_steps_take() {
        for (sizes, steps) in [(&[19][..], 1), (&[19], 4), (&[19, 5], 7), (&[3], 5), (&[16, 16], 4)] {
            let mut batches = batches(sizes, |_| {});
            let taken: usize = (0..steps).map(|step| batches.of(step).len()).sum();
            assert_eq!(examples_in(steps, 8, sizes.iter().sum()), taken, "{sizes:?} {steps}");
        }
        let spec = TrainSpec { max_steps: Some(4), batch: 16, ..TrainSpec::default() };
        assert_eq!((spec.trained(19), spec.trained(100), spec.trained(0)), (38, 64, 0));
    }

    #[test]
    fn every_epoch_has_every_example_once_in_an_order_of_its_own() {
        for by_length in [false, true] {
            let mut batches = batches(&[300, 45], |s| s.by_length = by_length);
            let (first, second) = (epoch(&mut batches, 0), epoch(&mut batches, 1));
            assert_ne!(first, second);
            for epoch in [&first, &second] {
                let mut all = epoch.concat();
                all.sort_unstable();
                assert_eq!(all, (0..345).collect::<Vec<_>>());
                assert!(epoch[..43].iter().all(|batch| batch.len() == 8) && epoch[43].len() == 1);
            }
        }
    }

    #[test]
    fn the_batch_of_a_step_depends_on_seed_and_step_alone() {
        let mut one = batches(&[100], |s| s.seed = 7);
        let (a, b) = (epoch(&mut one, 0), one.of(30));
        let mut other = batches(&[100], |s| s.seed = 7);
        assert_eq!(other.of(30), b);
        assert_eq!(epoch(&mut other, 0), a);
        assert_ne!(batches(&[100], |s| s.seed = 8).of(30), b);
    }

    #[test]
    fn without_shuffling_the_order_is_that_of_the_data() {
        let mut batches = batches(&[9, 3], |s| s.shuffle = false);
        let whole = [(0..8).collect::<Vec<_>>(), (8..12).collect()];
        assert_eq!(epoch(&mut batches, 0), whole);
        assert_eq!(epoch(&mut batches, 5), whole);
    }

    #[test]
    fn every_batch_has_the_tasks_in_proportion() {
        let mut batches = batches(&[500, 250, 250], |_| ());
        for batch in epoch(&mut batches, 0) {
            let of = |range: Range<usize>| batch.iter().filter(|e| range.contains(e)).count() as i32;
            let (a, b, c) = (of(0..500), of(500..750), of(750..1000));
            assert!((a - 4).abs() <= 1 && (b - 2).abs() <= 1 && (c - 2).abs() <= 1, "{a} {b} {c}");
        }
    }

    #[test]
    fn batches_by_length_are_of_one_length_and_come_in_any_order() {
        let spread = |by_length| {
            let mut batches = batches(&[400], |s| s.by_length = by_length);
            let lengths = batches.lengths.clone();
            let firsts: Vec<usize> = (0..50).map(|step| lengths[batches.of(step)[0]]).collect();
            let widest = (0..50)
                .map(|step| {
                    let all = batches.of(step).into_iter().map(|e| lengths[e]);
                    all.clone().max().unwrap() - all.min().unwrap()
                })
                .max();
            (widest.unwrap(), firsts.is_sorted())
        };
        assert!(spread(false).0 > 60);
        let (widest, sorted) = spread(true);
        assert!(widest <= 4 && !sorted, "{widest}");
    }

    #[test]
    fn what_continues_sees_the_examples_in_another_order() {
        let order = |init: Option<&str>| {
            let mut batches = batches(&[40], |spec| spec.init = init.map(Into::into));
            (0..5).flat_map(|step| batches.of(step)).collect::<Vec<_>>()
        };
        let (first, second) = (order(None), order(Some("start")));
        assert_ne!(first, second);
        let sorted = |mut all: Vec<usize>| {
            all.sort_unstable();
            all
        };
        assert_eq!(sorted(first), sorted(second));
    }

    #[test]
    fn steps_come_from_epochs_and_the_most_that_is_allowed() {
        let steps = |epochs, max_steps, accumulate| {
            let spec = TrainSpec { epochs, max_steps, batch: 10, accumulate, ..TrainSpec::default() };
            spec.steps(95)
        };
        assert_eq!(
            (steps(None, None, 1), steps(Some(2.5), None, 1), steps(Some(2.0), Some(7), 1)),
            (10, 25, 7)
        );
        assert_eq!(
            (steps(None, Some(1000), 1), steps(None, None, 4), steps(Some(0.001), None, 1)),
            (1000, 3, 1)
        );
    }
}
