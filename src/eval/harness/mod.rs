//! Tasks of lm-evaluation-harness, as their YAML files describe them: multiple choice, and answers in words that are
//! compared, over local files of data. Nothing in a file is run.

mod card;
mod config;
mod literal;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use config::{Config, Source};
use words::{Problem, Rows};

use super::asked_task::AskedTask;
use super::digest::digest_of;
use super::shots::{self, Draw, Shots};
use super::split::Split;
use super::wording::Wording;
use crate::import::{self, Row};
use crate::library::hub_cache;
use crate::outside::hex;
use crate::text::{printable, short};
use crate::train::{Example, TaskInfo, known_hashes};
use crate::{Error, Result};

/// How deep folders are looked into.
const DEPTH: usize = 3;

/// Whether a path is named as such a file is.
pub(super) fn is_named_so(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// The files at or below a folder that describe one task each, sorted, and those that name groups of others.
///
/// # Errors
/// A folder that cannot be read; a file that is no YAML.
pub(super) fn find(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut tasks, mut groups) = (Vec::new(), Vec::new());
    visit(folder, DEPTH, &mut |path| {
        let fields = config::fields(path)?;
        let has = |key: &str| fields.iter().find(|(name, _)| name == key).map(|(_, node)| node);
        match (has("task").and_then(crate::yaml::Node::text), has("group")) {
            (_, Some(_)) => groups.push(path.to_path_buf()),
            (Some(_), None) => tasks.push(path.to_path_buf()),
            // What others include, and what is something else.
            (None, None) => {}
        }
        Ok(())
    })?;
    Ok((tasks, groups))
}

fn visit(folder: &Path, depth: usize, found: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|e| e.path())).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            if depth > 0 {
                visit(&path, depth - 1, found)?;
            }
        } else if is_named_so(&path) {
            found(&path)?;
        }
    }
    Ok(())
}

/// Rows, and where they are.
#[derive(Debug, Default)]
struct Read {
    rows: Vec<Row>,
    /// Files, each with the number of rows before it.
    files: Vec<(usize, PathBuf)>,
}

impl Read {
    /// What is wrong with a row, by its number from 1, or with all of them, as the file at `path` describes them.
    fn fail(&self, path: &Path, (row, problem): Problem) -> Error {
        let of = |row: usize| self.files.iter().rev().find(|(before, _)| *before < row);
        match row.and_then(|row| Some((row, of(row)?))) {
            // Both may be wrong: what the file makes of the row, and the row.
            Some((row, (before, file))) => {
                Error::file(path, format!("row {} of {}: {problem}", row - before, shown(file)))
            }
            None => Error::file(path, problem),
        }
    }
}

/// The data of a task by the names of its splits.
struct Data<'c> {
    config: &'c Config,
}

impl Data<'_> {
    fn folder(&self) -> &Path {
        self.config.path.parent().unwrap_or(Path::new(""))
    }

    /// The rows of a split, with their fields sorted by name.
    fn rows(&self, split: &str) -> Result<Read> {
        let config = self.config;
        let lacks = |names: String| {
            Error::file(&config.path, format!("has no split \"{split}\" in its data; there is {names}"))
        };
        let files: Vec<PathBuf> = match &config.source {
            Source::Files(splits) => {
                let files = splits.iter().find(|(name, _)| name == split).map(|(_, files)| files);
                let names = || splits.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                files.ok_or_else(|| lacks(names()))?.iter().map(|file| self.placed(file)).collect()
            }
            Source::Folder(path) => {
                let folder = self.folder_of(path, hub_cache().as_deref())?;
                // Of a cache, others than the one that is asked may not be there.
                let chosen = card::chosen(&folder, config.config_name.as_deref())?;
                let chosen = chosen.map_err(|problem| Error::file(&config.path, problem))?;
                let files = import::files_of(&folder, chosen.as_deref(), split)?;
                if files.is_empty() {
                    return Err(lacks("none of that name among its files".into()));
                }
                files
            }
        };
        let mut read = Read::default();
        for file in files {
            let rows = import::rows(&file)?;
            read.files.push((read.rows.len(), file));
            read.rows.extend(rows);
        }
        read.rows.iter_mut().for_each(|row| row.sort_by(|a, b| a.0.cmp(&b.0)));
        Ok(read)
    }

    /// The folder that `dataset_path` names: a local one, else the data set of that name in the `cache` of the hub.
    ///
    /// # Errors
    /// Where it is neither: nothing is fetched.
    fn folder_of(&self, path: &str, cache: Option<&Path>) -> Result<PathBuf> {
        let placed = self.placed(path);
        if placed.exists() {
            return Ok(placed);
        }
        let cached = cache.map(|cache| cache.join(format!("datasets--{}", path.replace('/', "--"))));
        if let Some(cached) = cached.as_ref().filter(|cached| is_repository(path) && cached.is_dir()) {
            return Ok(cached.clone());
        }
        let name = short(path);
        let looked = cache.map_or(String::new(), |cache| format!(" and not in {}", cache.display()));
        Err(Error::file(
            &self.config.path,
            format!(
                "dataset_path {name} is no folder here{looked}, and nothing is fetched: get it with hf download \
                 --repo-type dataset {name}, or name local files in dataset_kwargs.data_files"
            ),
        ))
    }

    /// A path of the file: beside it, else from where the program was started, as the datasets library has it.
    fn placed(&self, path: &str) -> PathBuf {
        let beside = self.folder().join(path);
        let here = PathBuf::from(path);
        if !beside.exists() && here.exists() { here } else { beside }
    }
}

/// Whether a text may name a repository of the hub: `NAME` or `OWNER/NAME`.
fn is_repository(text: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    text.split('/').count() <= 2 && text.split('/').all(is_plain)
}

/// The task that a file describes, once for each of its metrics, of whose items `limit` are asked at most. `shots`: how
/// many examples stand before each, where the file does not say 0.
///
/// # Errors
/// A file that is not understood, data that are not there, rows that are no items.
pub(super) fn load(path: &Path, split: Split, limit: usize, shots: Option<usize>) -> Result<Vec<AskedTask>> {
    let config = Config::read(path)?;
    let data = Data { config: &config };
    let of_split = match split {
        Split::Test => config.test.as_ref().or(config.validation.as_ref()),
        Split::Validation => config.validation.as_ref(),
    };
    let Some(asked) = of_split else {
        let key = if split == Split::Test { "test_split" } else { "validation_split" };
        return Err(Error::file(path, format!("{key} is missing: it names the data that are asked")));
    };
    let read = data.rows(asked)?;
    let rows = &read.rows;
    let features = rows.first().cloned().unwrap_or_default();
    let asked_rows = Rows::new(rows, &features);
    let (all, contexts) = asked_rows.items(&config, None).map_err(|problem| read.fail(path, problem))?;
    let before = asked_rows.descriptions(&config).map_err(|problem| read.fail(path, problem))?;
    let items = all.len().min(limit);
    let count = match (config.shots.count, shots) {
        (Some(0), _) => 0,
        (own, shots) => shots.or(own).unwrap_or(0),
    };
    let shots = match count {
        0 => Shots::default(),
        count => {
            let pool = pool(&config, &data, asked)?;
            let drawn = drawn(&config, &pool, rows.get(..items).unwrap_or_default(), count);
            let drawn =
                drawn.map_err(|problem| Error::file(path, format!("its examples: the split {problem}")))?;
            let examples = Rows::new(&pool.read.rows, &features).items(&config, Some(contexts));
            let examples = examples.map_err(|problem| pool.read.fail(path, problem))?.0;
            Shots::new(&examples, drawn, pool.draw(&config))
        }
    };
    let known = |split: &Option<String>| known(split.as_deref(), (&config, &data), &features, contexts);
    let trained: BTreeSet<String> = known(&config.training);
    // What is asked is there already.
    let others = [&config.validation, &config.test].into_iter().filter(|split| split.as_ref() != Some(asked));
    let other_splits: BTreeSet<String> = others.flat_map(known).chain(known_hashes(&all)).collect();
    // Where a file lies says nothing of whose task it is.
    let group = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let one = |(at, measure): (usize, config::Measure)| {
        let mut wording = Wording {
            before: before.clone(),
            blank: config.blank.clone(),
            between: config.between.clone(),
            contexts,
            stops: Some(config.stops.clone()),
            max_tokens: config.max_tokens,
            matching: measure.matching,
            identity: String::new(),
        };
        wording.identity = identity(&wording);
        let info = TaskInfo { id: config.task.clone(), metric: measure.scorer, ..TaskInfo::default() };
        AskedTask {
            label: match config.measures.len() {
                1 => config.task.clone(),
                _ => format!("{} ({})", config.task, measure.name),
            },
            group: group.clone(),
            again: at > 0,
            digest: digest_of(&all, &info.options),
            info,
            split,
            items,
            all: all.clone(),
            shots: shots.clone(),
            wording,
            majority: None,
            trained: trained.clone(),
            other_splits: other_splits.clone(),
        }
    };
    Ok(config.measures.clone().into_iter().enumerate().map(one).collect())
}

/// A path within a message.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}

/// A hash of how items are put into words.
fn identity(wording: &Wording) -> String {
    hex(&Sha256::digest(format!("{wording:?}")))
}

/// What a split is known by, where there is one.
fn known(
    split: Option<&str>,
    (config, data): (&Config, &Data),
    features: &Row,
    contexts: bool,
) -> BTreeSet<String> {
    let rows = split.and_then(|split| data.rows(split).ok());
    let items = rows.and_then(|read| Rows::new(&read.rows, features).items(config, Some(contexts)).ok());
    items.iter().flat_map(|(items, _)| known_hashes(items as &[Example])).collect()
}

/// Rows that examples are drawn from.
struct Pool {
    read: Read,
    /// Whether they are what is asked, so that one more is drawn and the item left out.
    same: bool,
    /// Whether the file lists them itself.
    listed: bool,
}

impl Pool {
    /// How examples are chosen from it.
    fn draw(&self, config: &Config) -> Draw {
        match (config.shots.first, self.same) {
            (true, _) => Draw::First,
            (false, true) => Draw::Same,
            (false, false) => Draw::Others,
        }
    }
}

/// What examples are drawn from, by the rules of `fewshot_docs`.
fn pool(config: &Config, data: &Data, asked: &str) -> Result<Pool> {
    // lm-eval compares the names, and of two that are missing says that they are the same.
    let same = config.shots.split == config.test;
    if let Some(samples) = &config.shots.samples {
        let read = Read { rows: samples.clone(), files: vec![(0, config.path.clone())] };
        return Ok(Pool { read, same, listed: true });
    }
    let split = config.shots.split.as_ref().or(config.training.as_ref()).or(config.validation.as_ref());
    let read = data.rows(split.map_or(asked, String::as_str))?;
    Ok(Pool { read, same, listed: false })
}

/// The examples before each of the rows.
fn drawn(
    config: &Config,
    pool: &Pool,
    rows: &[Row],
    count: usize,
) -> std::result::Result<Vec<Vec<usize>>, String> {
    // Examples that a file lists are meant for every item.
    let known = |row| (!pool.listed || pool.same).then_some(row);
    let (from, items): (Vec<_>, Vec<_>) =
        (pool.read.rows.iter().map(Some).collect(), rows.iter().map(known).collect());
    shots::draw(&from, &items, count, pool.draw(config))
}
