//! Everything that is read and checked before the base model is loaded.

use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::TrainSpec;
use super::dataset::{Dataset, content_hash, fingerprint};
use super::encode::{Encoded, encode};
use super::example::Example;
use super::examples::read_examples;
use crate::catalog::Catalog;
use crate::library::Template;
use crate::model::Tokenizer;
use crate::outside::hex;
use crate::text::counted;
use crate::{Error, Result};

/// Validation examples that are looked at, over all tasks.
const VALIDATION: usize = 200;
/// At least for each of several tasks.
pub const VALIDATION_OF_A_TASK: usize = 20;

/// One task's data.
pub(super) struct Task {
    pub id: String,
    pub family: Option<String>,
    pub train: Vec<Example>,
    pub validation: Vec<Example>,
    /// SHA-256 of the examples that those of `train` were drawn from, where they are not all.
    pub drawn_from: Option<String>,
}

/// What a training works on.
pub(super) struct Prepared {
    pub base: PathBuf,
    pub template: Template,
    pub tasks: Vec<Task>,
    /// Examples of `--validation`, instead of the tasks' own.
    pub validation: Option<Vec<Example>>,
}

/// The same in tokens.
pub(super) struct Tokens {
    /// All training examples, task after task.
    pub train: Vec<Encoded>,
    /// Where each task's examples stand in `train`.
    pub tasks: Vec<Range<usize>>,
    /// What is validated on: one set per task, or the one that was given.
    pub validation: Vec<Vec<Encoded>>,
    /// Most tokens of an example.
    pub max_length: usize,
}

impl Tokens {
    /// Length of each training example.
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.train.iter().map(Encoded::len).collect()
    }

    /// SHA-256 of all examples, those for validation too.
    pub(super) fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let sets = std::iter::once(&self.train).chain(&self.validation);
        for set in sets {
            hash.update((set.len() as u64).to_le_bytes());
            for part in set.iter().flat_map(|example| [&example.prompt, &example.output]) {
                hash.update((part.len() as u64).to_le_bytes());
                part.iter().for_each(|token| hash.update(token.to_le_bytes()));
            }
        }
        hex(&hash.finalize())
    }

    /// What was left out of examples that are too long, if any is.
    pub(super) fn cuts(&self) -> Option<String> {
        let cut = self.train.iter().filter(|example| example.cut).count();
        (cut > 0).then(|| {
            format!(
                "{cut} of {} were longer than {} tokens: they lost the start of their prompt, or the end of their output",
                counted(self.train.len(), "example"),
                self.max_length
            )
        })
    }
}

impl Prepared {
    /// Reads the data of `spec`; `base` finds the base model.
    pub(super) fn read(spec: &TrainSpec, base: impl FnOnce(&Catalog) -> Result<PathBuf>) -> Result<Self> {
        let library = Catalog::open(&spec.library, spec.base.as_deref())?;
        let (tasks, validation) = read(spec)?;
        let base = base(&library)?;
        let template = library.manifest.template.clone().unwrap_or_default();
        Ok(Self { base, template, tasks, validation })
    }

    /// Reads the data of `spec` for a library that need not be there, of this base model and template.
    pub(super) fn of(spec: &TrainSpec, base: &Path, template: &Template) -> Result<Self> {
        let (tasks, validation) = read(spec)?;
        Ok(Self { base: base.to_path_buf(), template: template.clone(), tasks, validation })
    }

    /// All training examples, task after task.
    pub(super) fn examples(&self) -> impl Iterator<Item = &Example> {
        self.tasks.iter().flat_map(|task| &task.train)
    }

    /// SHA-256 of the training examples in any order.
    pub(super) fn content_hash(&self) -> String {
        content_hash(self.examples())
    }

    /// SHA-256 of the training examples in their order.
    pub(super) fn fingerprint(&self) -> String {
        fingerprint(self.examples())
    }

    /// The tasks' ids, joined by `+`.
    pub(super) fn task(&self) -> String {
        self.tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>().join("+")
    }

    /// The family, where all tasks have the same.
    pub(super) fn family(&self) -> Option<String> {
        let first = self.tasks.first()?.family.clone();
        first.filter(|family| self.tasks.iter().all(|task| task.family.as_ref() == Some(family)))
    }

    /// Turns all examples into tokens, of a base model with this context.
    ///
    /// # Errors
    /// A length that the template alone fills.
    pub(super) fn encode(&self, spec: &TrainSpec, tokenizer: &Tokenizer, context: usize) -> Result<Tokens> {
        let frame = tokenizer.encode_start(&self.template.render("", ""))?.len();
        if spec.max_length <= frame {
            return Err(Error::usage(format!(
                "a max length of {} leaves no room for examples: the template alone has {frame} tokens",
                spec.max_length
            )));
        }
        let max = spec.max_length.min(context);
        let all = |examples: &[Example]| -> Result<Vec<Encoded>> {
            examples.iter().map(|e| encode(e, &self.template, tokenizer, max)).collect()
        };
        let mut tokens =
            Tokens { train: Vec::new(), tasks: Vec::new(), validation: Vec::new(), max_length: max };
        for task in &self.tasks {
            let start = tokens.train.len();
            tokens.train.extend(all(&task.train)?);
            tokens.tasks.push(start..tokens.train.len());
            if self.validation.is_none() {
                tokens.validation.push(all(&task.validation)?);
            }
        }
        if let Some(given) = &self.validation {
            tokens.validation.push(all(given)?);
        }
        Ok(tokens)
    }
}

fn read(spec: &TrainSpec) -> Result<(Vec<Task>, Option<Vec<Example>>)> {
    let most = (VALIDATION / spec.data.len().max(1)).max(VALIDATION_OF_A_TASK);
    let most = spec.validation_items.unwrap_or(most);
    let mut tasks = Vec::new();
    for path in &spec.data {
        let mut data = Dataset::load_for_training(path)?;
        // Which examples are held back follows from their order, all of them from nothing.
        let whole = content_hash(&data.train);
        let count = data.train.len();
        if spec.validation.is_none() {
            data.ensure_validation(spec.seed);
        }
        data.validation.truncate(most);
        let drawn_from = (spec.shots.is_some() || data.train.len() < count).then_some(whole);
        if let Some(shots) = spec.shots {
            data.draw(shots, spec.seed)?;
        }
        tasks.push(Task {
            id: data.task.id,
            family: data.task.family,
            train: data.train,
            validation: data.validation,
            drawn_from,
        });
    }
    let given = spec.validation.as_deref().map(read_examples).transpose()?;
    let given = given.map(|mut examples| {
        examples.truncate(spec.validation_items.unwrap_or(VALIDATION));
        examples
    });
    Ok((tasks, given))
}
