//! Tasks on disk: `{"instruction","input","output"}` lines, split into train, validation and test.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::example::Example;
use super::examples::{read_checked, read_examples};
use crate::outside::{hex, read_limited};
use crate::scorers::Scorer;
use crate::text::counted;
use crate::{Error, Result};

/// Largest `task.toml` that is read.
const MAX_TASK: u64 = 1 << 20;

/// `task.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskInfo {
    /// One word.
    pub id: String,
    /// Group of related tasks.
    pub family: Option<String>,
    /// The main phrasing.
    pub instruction: Option<String>,
    /// How outputs are scored.
    pub metric: Scorer,
    /// The labels, for label tasks.
    pub options: Vec<String>,
    /// Whether the task is for evaluation alone: no expert should be trained on it.
    pub held_out: bool,
    /// Where the data come from.
    pub source: Option<String>,
    /// Under which terms the data may be used.
    pub licence: Option<String>,
    /// Prompts to try.
    pub examples: Vec<String>,
}

/// A task with its examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// Its folder or file.
    pub path: PathBuf,
    /// `task.toml`, or what follows from the path.
    pub task: TaskInfo,
    /// Training split; empty where the task is for evaluation alone.
    pub train: Vec<Example>,
    /// Validation split.
    pub validation: Vec<Example>,
    /// Test split; may be empty.
    pub test: Vec<Example>,
}

impl Dataset {
    /// A task folder (`train.jsonl`, optional `validation.jsonl`, `test.jsonl`, `task.toml`), or one `.jsonl`
    /// file of training examples. A folder with a test split needs no training examples.
    ///
    /// # Errors
    /// I/O; neither of the two; a broken example, by file and line.
    pub fn load(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::file(path, "does not exist: give a task folder or a .jsonl file"));
        }
        let stem = |p: &Path| p.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() {
            let task = TaskInfo { id: stem(path), ..TaskInfo::default() };
            return Ok(Self { path: path.into(), task, train: read_examples(path)?, ..Self::default() });
        }
        if !path.is_dir() {
            return Err(Error::file(path, "is neither a task folder nor a .jsonl file"));
        }
        let task = read_task(path)?;
        let (train, test) = (path.join("train.jsonl"), path.join("test.jsonl"));
        if !train.exists() && !test.exists() {
            return Err(Error::file(path, "is not a task folder: it has neither train.jsonl nor test.jsonl"));
        }
        // What is asked has to fit how answers are scored.
        let check = |example: &Example| match task.metric.chooses() {
            true => example.options(&task.options).map(drop),
            false => Ok(()),
        };
        let asked = |file: &Path| match read_checked(file, &check) {
            Ok(examples) if examples.is_empty() => Err(Error::file(file, "has no examples")),
            read => read,
        };
        let optional = |file: &Path| if file.exists() { asked(file) } else { Ok(Vec::new()) };
        let trained = match (train.exists(), test.exists()) {
            (false, _) => Vec::new(),
            (true, true) => read_checked(&train, &|_| Ok(()))?,
            (true, false) => read_examples(&train)?,
        };
        let (validation, test) = (optional(&path.join("validation.jsonl"))?, optional(&test)?);
        Ok(Self { path: path.into(), train: trained, validation, test, task })
    }

    /// As [`Dataset::load`], for training.
    ///
    /// # Errors
    /// As there; a task without training examples.
    pub fn load_for_training(path: &Path) -> Result<Self> {
        let data = Self::load(path)?;
        if data.train.is_empty() {
            let problem = "is a task for evaluation alone: it has no training examples (train.jsonl)";
            return Err(Error::file(path, problem));
        }
        Ok(data)
    }

    /// Where there is no validation split, takes a seeded 5 % of the training examples (one at least) for
    /// it, as long as two are left to train on.
    pub fn ensure_validation(&mut self, seed: u64) {
        if !self.validation.is_empty() || self.train.len() < 3 {
            return;
        }
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let held = (self.train.len() / 20).max(1);
        let taken: std::collections::HashSet<usize> = order.into_iter().take(held).collect();
        let (mut train, mut validation) = (Vec::new(), Vec::new());
        for (i, example) in self.train.drain(..).enumerate() {
            if taken.contains(&i) { validation.push(example) } else { train.push(example) }
        }
        (self.train, self.validation) = (train, validation);
    }

    /// Keeps `count` training examples: the first after a shuffle by `seed`, so that fewer are among more.
    ///
    /// # Errors
    /// Fewer examples than that, or none asked for.
    pub fn draw(&mut self, count: usize, seed: u64) -> Result<()> {
        if count == 0 || count > self.train.len() {
            let all = counted(self.train.len(), "training example");
            return Err(Error::file(
                &self.path,
                format!("has {all}: --shots must be from 1 to that, not {count}"),
            ));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Another stream than that of examples that are held back.
        rng.set_stream(1);
        self.train.shuffle(&mut rng);
        self.train.truncate(count);
        Ok(())
    }
}

/// `task.toml` of a folder; its name is the id where there is none.
pub fn read_task(folder: &Path) -> Result<TaskInfo> {
    let path = folder.join("task.toml");
    let mut task = match read_limited(&path, MAX_TASK) {
        Ok(bytes) => toml::from_str::<TaskInfo>(&String::from_utf8_lossy(&bytes))
            .map_err(|e| Error::file(&path, e.message().replace('\n', " ")))?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => TaskInfo::default(),
        Err(e) => return Err(Error::io(&path, e)),
    };
    if task.id.is_empty() {
        let real = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        task.id = real.file_name().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    }
    Ok(task)
}

/// How many folders below the one that is named tasks are found.
pub const TASKS_DEPTH: usize = 3;

/// Task folders at or below `path` (those with a `test.jsonl` or `train.jsonl`), sorted by path.
pub fn find_tasks(path: &Path) -> Result<Vec<PathBuf>> {
    fn visit(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
        if folder.join("train.jsonl").is_file() || folder.join("test.jsonl").is_file() {
            found.push(folder.to_path_buf());
            return Ok(());
        }
        if depth == 0 {
            return Ok(());
        }
        let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(|e| Error::io(folder, e))?
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.is_dir())
            .collect();
        entries.sort();
        entries.iter().try_for_each(|p| visit(p, depth - 1, found))
    }
    if !path.is_dir() {
        let problem = if path.exists() { "is not a folder" } else { "does not exist" };
        return Err(Error::file(path, format!("{problem}: give a folder of task folders")));
    }
    let mut found = Vec::new();
    visit(path, TASKS_DEPTH, &mut found)?;
    if found.is_empty() {
        return Err(Error::file(path, "has no task: a task folder has train.jsonl or test.jsonl"));
    }
    Ok(found)
}

/// SHA-256, in hex, of the examples in their order: what a training follows from, and what earlier versions knew data
/// by.
pub fn fingerprint<'a>(examples: impl IntoIterator<Item = &'a Example>) -> String {
    let mut hash = Sha256::new();
    examples.into_iter().for_each(|example| add(&mut hash, example));
    hex(&hash.finalize())
}

/// SHA-256, in hex, of the examples in any order: what data are known by.
pub fn content_hash<'a>(examples: impl IntoIterator<Item = &'a Example>) -> String {
    let of_one = |example| {
        let mut hash = Sha256::new();
        add(&mut hash, example);
        <[u8; 32]>::from(hash.finalize())
    };
    let mut all: Vec<[u8; 32]> = examples.into_iter().map(of_one).collect();
    all.sort_unstable();
    let mut hash = Sha256::new_with_prefix("examples in any order");
    all.iter().for_each(|one| hash.update(one));
    hex(&hash.finalize())
}

/// The hashes by which provenances may name these examples: the one that is written now, and that of earlier versions.
pub fn known_hashes<'a, E>(examples: E) -> [String; 2]
where
    E: IntoIterator<Item = &'a Example> + Clone,
{
    [content_hash(examples.clone()), fingerprint(examples)]
}

fn add(hash: &mut Sha256, example: &Example) {
    for text in [&example.instruction, &example.input, &example.output] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_validation_split_a_seeded_share_is_held_back() {
        let example = |i: usize| Example {
            instruction: "i".into(),
            input: i.to_string(),
            output: "o".into(),
            ..Example::default()
        };
        let all: Vec<Example> = (0..100).map(example).collect();
        let split = |seed| {
            let mut d = Dataset { train: all.clone(), ..Dataset::default() };
            d.ensure_validation(seed);
            d
        };
        let (a, b, c) = (split(1), split(1), split(2));
        assert_eq!((a.train.len(), a.validation.len()), (95, 5));
        assert_eq!(a, b);
        assert_ne!(a.validation, c.validation);
        assert!(a.validation.iter().all(|v| !a.train.contains(v)));
    }

    #[test]
    fn the_hash_of_content_does_not_depend_on_the_order() {
        let example = |i: usize| Example { input: i.to_string(), output: "o".into(), ..Example::default() };
        let all: Vec<Example> = (0..20).map(example).collect();
        let turned: Vec<Example> = all.iter().rev().cloned().collect();
        assert_eq!(content_hash(&all), content_hash(&turned));
        assert_ne!(fingerprint(&all), fingerprint(&turned));
        // What is there twice counts twice.
        let twice: Vec<Example> = all.iter().chain(&all[..1]).cloned().collect();
        assert_ne!(content_hash(&all), content_hash(&twice));
        assert_eq!(known_hashes(&all), [content_hash(&all), fingerprint(&all)]);
    }

    #[test]
    fn shots_are_drawn_by_the_seed_and_fewer_are_among_more() {
        let example = |i: usize| Example { input: i.to_string(), output: "o".into(), ..Example::default() };
        let all: Vec<Example> = (0..50).map(example).collect();
        let draw = |count, seed| {
            let mut d = Dataset { path: "t".into(), train: all.clone(), ..Dataset::default() };
            d.draw(count, seed).map(|()| d.train).map_err(|error| error.to_string())
        };
        let (few, many) = (draw(4, 1).unwrap(), draw(20, 1).unwrap());
        assert_eq!((few.len(), &few[..]), (4, &many[..4]));
        assert_ne!(draw(4, 2).unwrap(), few);
        assert_eq!(draw(50, 1).unwrap().len(), 50);
        assert_eq!(
            draw(51, 1).unwrap_err(),
            "t: has 50 training examples: --shots must be from 1 to that, not 51"
        );
        assert!(draw(0, 1).is_err());
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
        dir
    }

    const LINE: &str = "{\"instruction\":\"Add\",\"input\":\"1 1\",\"output\":\"2\"}\n";

    #[test]
    fn a_task_with_a_test_split_alone_can_be_asked_and_not_be_trained_on() {
        for files in [&[("test.jsonl", LINE)][..], &[("test.jsonl", LINE), ("train.jsonl", "\n")]] {
            let place = folder(files);
            let data = Dataset::load(place.path()).unwrap();
            assert_eq!((data.train.len(), data.test.len()), (0, 1));
            let refused = Dataset::load_for_training(place.path()).unwrap_err().to_string();
            assert!(refused.contains("is a task for evaluation alone"), "{refused}");
            assert_eq!(find_tasks(place.path()).unwrap(), [place.path()]);
        }
        for (files, said) in [
            (&[("train.jsonl", "")][..], "train.jsonl: has no examples"),
            (&[("train.jsonl", LINE), ("test.jsonl", "")], "test.jsonl: has no examples"),
            (&[("validation.jsonl", LINE)], "has neither train.jsonl nor test.jsonl"),
        ] {
            let place = folder(files);
            let error = Dataset::load(place.path()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_choice_needs_options_that_have_the_right_one() {
        let task = |options: &str, test: &str| {
            let toml = format!("metric = \"choice_norm\"\nheld_out = true\nlicence = \"MIT\"\n{options}");
            let place = folder(&[("task.toml", &toml), ("test.jsonl", test)]);
            Dataset::load(place.path()).map_err(|error| error.to_string())
        };
        let options = "options = [\"2\", \"3\"]";
        let data = task(options, LINE).unwrap();
        assert_eq!(data.test[0].options(&data.task.options).unwrap().1, 0);
        assert!(data.task.held_out && data.task.licence.as_deref() == Some("MIT"));
        let error = task(options, &format!("{LINE}{}", LINE.replace('2', "4"))).unwrap_err();
        assert!(
            error.contains("test.jsonl: line 2: \"output\" is \"4\", none of the task's options: 2, 3"),
            "{error}"
        );
        let error = task("", LINE).unwrap_err();
        assert!(error.contains("test.jsonl: line 1: has no \"choices\", and its task no options"), "{error}");
        // Choices of its own come before those of the task.
        let own = LINE.replace("}", ",\"choices\":[\"7\",\"2\"],\"answer\":1}");
        assert_eq!(task(options, &own).unwrap().test[0].options(&["2".into()]).unwrap().1, 1);
    }
}
