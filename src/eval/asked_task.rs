//! A task whose items are asked.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::split::Split;
use crate::outside::hex;
use crate::train::{Dataset, Example, TaskInfo, fingerprint};
use crate::{Error, Result};

/// A task whose items are asked: of its splits that one only, and of its training split what follows from it.
#[derive(Clone, Debug)]
pub struct AskedTask {
    /// `task.toml`.
    pub info: TaskInfo,
    /// Which split is asked.
    pub split: Split,
    /// How many of its items are asked, from the first on.
    pub items: usize,
    /// All items of the split, also those that are not asked.
    pub all: Vec<Example>,
    /// A hash of the whole split, with the options of the task.
    pub digest: String,
    /// The most frequent training output, if there are any.
    pub majority: Option<String>,
    /// Hashes by which experts name what they were trained on, where that is this task's training split.
    pub trained: BTreeSet<String>,
    /// The same where it is one of its other splits.
    pub other_splits: BTreeSet<String>,
}

impl AskedTask {
    /// Reads the task at `path`, of whose items `limit` are asked at most. `seeds` are those of trainings that hold a
    /// share of the training split back where a task has no validation split.
    ///
    /// # Errors
    /// As [`Dataset::load`]; a split without items.
    pub fn load(path: &Path, split: Split, limit: usize, seeds: &BTreeSet<u64>) -> Result<Self> {
        let mut data = Dataset::load(path)?;
        let items = split.items(&data, limit, path)?.len();
        let of = |examples: &[Example]| (!examples.is_empty()).then(|| fingerprint(examples));
        let mut trained: BTreeSet<String> = of(&data.train).into_iter().collect();
        if data.validation.is_empty() {
            for seed in seeds {
                let mut held = Dataset { train: data.train.clone(), ..Dataset::default() };
                held.ensure_validation(*seed);
                trained.extend(of(&held.train));
            }
        }
        let other_splits = [&data.validation, &data.test].into_iter().filter_map(|split| of(split)).collect();
        let all = std::mem::take(match split {
            Split::Validation => &mut data.validation,
            Split::Test => &mut data.test,
        });
        let mut hash = Sha256::new();
        for example in &all {
            hash.update(serde_json::to_string(example).map_err(|e| Error::msg(e.to_string()))?);
            hash.update("\n");
        }
        hash.update(format!("{:?}", data.task.options));
        Ok(Self {
            majority: majority(&data.train),
            info: data.task,
            split,
            items,
            all,
            digest: hex(&hash.finalize()),
            trained,
            other_splits,
        })
    }

    /// The items that are asked.
    pub fn asked(&self) -> &[Example] {
        self.all.get(..self.items).unwrap_or_default()
    }
}

/// The most frequent output; of equals the first in the alphabet.
fn majority(examples: &[Example]) -> Option<String> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    examples.iter().for_each(|e| *counts.entry(&e.output).or_default() += 1);
    counts.iter().rev().max_by_key(|(_, n)| **n).map(|(label, _)| (*label).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_is_the_most_frequent_output() {
        let e = |o: &str| Example { instruction: "i".into(), output: o.into(), ..Example::default() };
        assert_eq!(majority(&[e("b"), e("a"), e("b")]).as_deref(), Some("b"));
        assert_eq!(majority(&[e("b"), e("a")]).as_deref(), Some("a"));
        assert_eq!(majority(&[]), None);
    }

    #[test]
    fn a_task_knows_its_training_split_by_every_name_that_experts_have_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let lines = |from: usize, count: usize| -> String {
            let line =
                |i| format!("{{\"instruction\":\"add one\",\"input\":\"{i}\",\"output\":\"{}\"}}\n", i + 1);
            (from..from + count).map(line).collect()
        };
        std::fs::write(dir.path().join("train.jsonl"), lines(0, 40)).unwrap();
        std::fs::write(dir.path().join("test.jsonl"), lines(90, 3)).unwrap();
        let data = Dataset::load(dir.path()).unwrap();
        let mut held = data.clone();
        held.ensure_validation(7);
        let task = AskedTask::load(dir.path(), Split::Test, 2, &BTreeSet::from([7])).unwrap();
        let expected = BTreeSet::from([fingerprint(&data.train), fingerprint(&held.train)]);
        assert_eq!((task.items, task.asked().len(), task.all.len()), (2, 2, 3));
        assert_eq!((&task.trained, task.other_splits.contains(&fingerprint(&data.test))), (&expected, true));
    }
}
