//! A task whose items are asked.

use std::collections::BTreeSet;
use std::path::Path;

use super::digest::digest_of;
use super::shots::{self, Draw, Shots};
use super::split::Split;
use super::wording::Wording;
use crate::library::Template;
use crate::scorers::Scorer;
use crate::train::{Dataset, Example, TaskInfo, known_hashes};
use crate::{Error, Result};

/// A task whose items are asked: of its splits that one only, and of its training split what follows from it.
#[derive(Clone, Debug)]
pub struct AskedTask {
    /// `task.toml`.
    pub info: TaskInfo,
    /// What it is called in tables: its id, with the metric where it has several.
    pub label: String,
    /// The family that it stands under in tables.
    pub group: Option<String>,
    /// Whether it is the task before it once more, with another metric.
    pub again: bool,
    /// Which split is asked.
    pub split: Split,
    /// How many of its items are asked, from the first on.
    pub items: usize,
    /// All items of the split, also those that are not asked.
    pub all: Vec<Example>,
    /// A hash of the whole split, with the options of the task.
    pub digest: String,
    /// The examples that stand before each item that is asked.
    pub shots: Shots,
    /// How they are put into words.
    pub wording: Wording,
    /// The most frequent training output, if there are any.
    pub majority: Option<String>,
    /// Hashes by which experts name what they were trained on, where that is this task's training split.
    pub trained: BTreeSet<String>,
    /// The same where it is one of its other splits.
    pub other_splits: BTreeSet<String>,
}

impl AskedTask {
    /// Reads the task at `path`, of whose items `limit` are asked at most, each behind `shots` examples. `seeds` are those
    /// of trainings that hold a share of the training split back where a task has no validation split.
    ///
    /// # Errors
    /// As [`Dataset::load`]; a split without items; too few examples to draw from.
    pub fn load(
        path: &Path,
        split: Split,
        limit: usize,
        shots: usize,
        seeds: &BTreeSet<u64>,
    ) -> Result<Self> {
        let mut data = Dataset::load(path)?;
        let items = split.items(&data, limit, path)?.len();
        let shots = shots_of(&data, split, items, shots).map_err(|problem| Error::file(path, problem))?;
        let of = |examples: &[Example]| {
            let hashes = (!examples.is_empty()).then(|| known_hashes(examples));
            hashes.into_iter().flatten().collect::<Vec<String>>()
        };
        let mut trained: BTreeSet<String> = of(&data.train).into_iter().collect();
        if data.validation.is_empty() {
            for seed in seeds {
                let mut held = Dataset { train: data.train.clone(), ..Dataset::default() };
                held.ensure_validation(*seed);
                trained.extend(of(&held.train));
            }
        }
        let other_splits = [&data.validation, &data.test].into_iter().flat_map(|split| of(split)).collect();
        let all = std::mem::take(match split {
            Split::Validation => &mut data.validation,
            Split::Test => &mut data.test,
        });
        Ok(Self {
            label: data.task.id.clone(),
            group: data.task.family.clone(),
            again: false,
            wording: Wording::default(),
            digest: digest_of(&all, &data.task.options),
            majority: majority(&data.train),
            info: data.task,
            split,
            items,
            all,
            shots,
            trained,
            other_splits,
        })
    }

    /// The tasks of one file or folder with another metric than their own, each once.
    ///
    /// # Errors
    /// A metric that chooses, and an item of `path` that has nothing to choose from.
    pub fn measured_by(
        mut tasks: Vec<Self>,
        metric: Option<Scorer>,
        split: Split,
        path: &Path,
    ) -> Result<Vec<Self>> {
        let Some(metric) = metric else { return Ok(tasks) };
        tasks.retain(|task| !task.again);
        for task in &mut tasks {
            task.info.metric = metric;
            task.label.clone_from(&task.info.id);
            if !metric.chooses() {
                continue;
            }
            for (at, item) in task.asked().iter().enumerate() {
                item.options(&task.info.options).map_err(|problem| {
                    let item = format!("item {} of the {split} split, by {metric}", at + 1);
                    Error::file(path, format!("{item}: {problem}"))
                })?;
            }
        }
        Ok(tasks)
    }

    /// Whether a YAML file describes it, which alone has words of its own.
    pub fn is_yaml(&self) -> bool {
        !self.wording.identity.is_empty()
    }

    /// The items that are asked.
    pub fn asked(&self) -> &[Example] {
        self.all.get(..self.items).unwrap_or_default()
    }

    /// Whether it is the same as another task but for its metric.
    pub fn repeats(&self, other: &Self) -> bool {
        self.again && (&self.info.id, &self.digest) == (&other.info.id, &other.digest)
    }

    /// The items that are asked, with what belongs to each.
    pub fn questions(&self) -> impl Iterator<Item = Question<'_>> {
        (0..self.items).filter_map(|at| self.question(at))
    }

    /// One of the items that are asked.
    pub fn question(&self, at: usize) -> Option<Question<'_>> {
        Some(Question { task: self, item: self.asked().get(at)?, at })
    }
}

/// An item of a task, with what belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Its task.
    pub task: &'a AskedTask,
    /// The item.
    pub item: &'a Example,
    /// Its number.
    pub at: usize,
}

impl<'a> Question<'a> {
    /// What is asked as bare text, behind what stands before it; `context` is the choice that is asked, where choices
    /// are.
    pub fn text(&self, template: &Template, context: Option<&str>) -> String {
        let said =
            Said { wording: &self.task.wording, shots: &self.task.shots, item: self.item, at: self.at };
        said.bare(template, context)
    }

    /// The examples that stand before it.
    pub fn shots(&self) -> impl Iterator<Item = &'a Example> {
        self.task.shots.of(self.at)
    }
}

/// An item with what stands before it, to be put into words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'a> {
    pub wording: &'a Wording,
    pub shots: &'a Shots,
    pub item: &'a Example,
    pub at: usize,
}

impl Said<'_> {
    /// As bare text; `context` is the choice that is asked, where choices are.
    pub fn bare(&self, template: &Template, context: Option<&str>) -> String {
        let Self { wording, item, at, .. } = *self;
        let content = |item: &Example, context: Option<&str>| {
            let (instruction, input) = wording.asked(item, context);
            template.content(instruction, input)
        };
        let mut text = wording.before(at).to_string();
        for shot in self.shots.of(at) {
            let content = content(shot, None);
            text.extend([content.as_str(), &wording.blank, &shot.output, &wording.between]);
        }
        text.push_str(&content(item, context));
        text
    }

    /// In the library's template, each example a turn of its own.
    pub fn in_template(&self, template: &Template) -> String {
        let Self { wording, item, at, .. } = *self;
        let mut before = wording.before(at);
        let mut turn = |item: &Example| {
            let (instruction, input) = wording.asked(item, None);
            template.render(&format!("{}{instruction}", std::mem::take(&mut before)), input)
        };
        let mut text = String::new();
        for shot in self.shots.of(at) {
            text.push_str(&turn(shot));
            text.extend([shot.output.as_str(), &end_of_turn(wording, template)]);
        }
        text.push_str(&turn(item));
        text
    }

    /// Whether anything stands before it.
    pub fn has_before(&self) -> bool {
        !self.wording.before(self.at).is_empty() || self.shots.of(self.at).next().is_some()
    }
}

/// What stands behind the answer of an example in a template.
pub(super) fn end_of_turn(wording: &Wording, template: &Template) -> String {
    match template.end.as_str() {
        "" => wording.between.clone(),
        end if end.ends_with(char::is_whitespace) => end.to_string(),
        end => format!("{end}\n"),
    }
}

/// The examples before the items of a split: drawn from the training split, where there is one, else from the validation
/// split, else from the test split.
fn shots_of(data: &Dataset, split: Split, items: usize, count: usize) -> std::result::Result<Shots, String> {
    let asked = match split {
        Split::Validation => &data.validation,
        Split::Test => &data.test,
    };
    let (pool, of) = match (data.train.is_empty(), data.validation.is_empty()) {
        (false, _) => (&data.train, None),
        (true, false) => (&data.validation, Some(Split::Validation)),
        (true, true) => (&data.test, Some(Split::Test)),
    };
    let how = if of == Some(split) { Draw::Same } else { Draw::Others };
    let drawn = shots::draw(pool, asked.get(..items).unwrap_or_default(), count, how)?;
    Ok(Shots::new(pool, drawn, how))
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
        let task = AskedTask::load(dir.path(), Split::Test, 2, 0, &BTreeSet::from([7])).unwrap();
        let expected: BTreeSet<String> =
            [known_hashes(&data.train), known_hashes(&held.train)].into_iter().flatten().collect();
        assert_eq!((task.items, task.asked().len(), task.all.len()), (2, 2, 3));
        assert_eq!(
            (&task.trained, task.other_splits.contains(&known_hashes(&data.test)[1])),
            (&expected, true)
        );
        // The same rows in another order are the same data, under any name.
        let turned: String = lines(0, 40).lines().rev().map(|line| format!("{line}\n")).collect();
        std::fs::write(dir.path().join("train.jsonl"), turned).unwrap();
        let other = AskedTask::load(dir.path(), Split::Test, 2, 0, &BTreeSet::new()).unwrap();
        assert!(other.trained.contains(&known_hashes(&data.train)[0]));
    }
}
