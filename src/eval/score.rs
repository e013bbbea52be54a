//! Methods × tasks: the share of items that a method gets right.

use std::path::Path;

use super::generate::generate_batch;
use crate::library::{Expert, Library, Provenance, Template};
use crate::model::Model;
use crate::named::{Named, by_name};
use crate::routing::{ExpertSet, ResolvedRouter, Router, RouterConfig};
use crate::train::{Dataset, Example, TaskMetric};
use crate::{Cancel, Error, Result};

/// A way to answer a task's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// Always the most frequent training output (label tasks only).
    Majority,
    /// The base model with the library's template.
    Base,
    /// The base model with its own chat template.
    BaseChat,
    /// The expert that was trained on the task.
    Expert,
    /// Arrow over all experts.
    Arrow,
    /// The mean of all experts.
    Uniform,
}

impl Method {
    /// All of them, in the order of a table.
    pub const ALL: [Method; 6] =
        [Method::Majority, Method::Base, Method::BaseChat, Method::Expert, Method::Arrow, Method::Uniform];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Method::Majority => "majority",
            Method::Base => "base",
            Method::BaseChat => "base-chat",
            Method::Expert => "expert",
            Method::Arrow => "arrow",
            Method::Uniform => "uniform",
        }
    }
}

/// Which examples of a task are asked. Settings are chosen on the validation split; scores are reported on
/// the test split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// `validation.jsonl`.
    Validation,
    /// `test.jsonl`.
    #[default]
    Test,
}

impl Named for Split {
    const KIND: &'static str = "split";

    fn all() -> &'static [Self] {
        &[Self::Validation, Self::Test]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Validation => "`validation.jsonl`",
            Self::Test => "`test.jsonl`",
        }
    }
}
by_name!(Split);

impl Split {
    /// The first `limit` items of this split of the task at `path`.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn items<'a>(self, data: &'a Dataset, limit: usize, path: &Path) -> Result<&'a [Example]> {
        let all = match self {
            Split::Validation => &data.validation,
            Split::Test => &data.test,
        };
        match &all[..all.len().min(limit)] {
            [] => {
                let name = self.name();
                Err(Error::file(path, format!("has no {name} items: put them into {name}.jsonl")))
            }
            items => Ok(items),
        }
    }
}

/// Shares of correct answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    pub methods: Vec<Method>,
    /// Task, its family, number of items.
    pub tasks: Vec<(String, String, usize)>,
    /// [task][method], 0–1; `None` where a method does not apply.
    pub scores: Vec<Vec<Option<f64>>>,
}

/// Whether `answer` is right. Label tasks forgive case and a full stop, so that a base model that answers
/// in a sentence's form is not counted wrong for it.
pub fn correct(metric: TaskMetric, answer: &str, reference: &str) -> bool {
    let (answer, reference) = (answer.trim(), reference.trim());
    match metric {
        TaskMetric::ExactMatch => answer == reference,
        TaskMetric::Accuracy => {
            answer.trim_end_matches('.').to_lowercase() == reference.trim_end_matches('.').to_lowercase()
        }
    }
}

/// Scores `methods` on the first `limit` items of a split of every task folder; `settings` are those of the routers,
/// whatever its kind. `progress` gets a line.
///
/// # Errors
/// Tasks without items in that split; a library without experts when a method needs them.
#[allow(clippy::too_many_arguments)]
pub fn score_tasks(
    library: &Library,
    model: &Model,
    experts: &ExpertSet,
    tasks: &[std::path::PathBuf],
    methods: &[Method],
    settings: &RouterConfig,
    split: Split,
    limit: usize,
    progress: &mut dyn FnMut(&str),
    cancel: &Cancel,
) -> Result<Scores> {
    let template = library.manifest.template.clone().unwrap_or_default();
    let mut table = Scores { methods: methods.to_vec(), ..Scores::default() };
    for path in tasks {
        let data = Dataset::load(path)?;
        let items = split.items(&data, limit, path)?;
        let mut row = Vec::with_capacity(methods.len());
        for &method in methods {
            cancel.check()?;
            progress(&format!("{}: {}", data.task.id, method.name()));
            row.push(score(library, model, experts, &template, &data, items, method, settings, cancel)?);
        }
        let family = data.task.family.clone().unwrap_or_default();
        table.tasks.push((data.task.id.clone(), family, items.len()));
        table.scores.push(row);
    }
    Ok(table)
}

/// The expert of a task: the one of the same name, else of those that were trained on it the one with the lowest
/// validation loss.
pub(super) fn expert_of<'a>(library: &'a Library, task: &str) -> Option<&'a str> {
    let named = library.usable().find(|e| e.name == task);
    let trained = || {
        let on_task = |e: &'a Expert| e.provenance.as_ref().filter(|p| p.task.as_deref() == Some(task));
        let loss = |p: &Provenance| p.validation_loss.unwrap_or(f64::INFINITY);
        library
            .usable()
            .filter_map(|e| Some((e, loss(on_task(e)?))))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(e, _)| e)
    };
    named.or_else(trained).map(|e| e.name.as_str())
}

#[allow(clippy::too_many_arguments)]
fn score(
    library: &Library,
    model: &Model,
    experts: &ExpertSet,
    template: &Template,
    data: &Dataset,
    items: &[Example],
    method: Method,
    settings: &RouterConfig,
    cancel: &Cancel,
) -> Result<Option<f64>> {
    let share = |right: usize| Some(right as f64 / items.len() as f64);
    let metric = data.task.metric;
    let router = |id: &str, argument: &str| {
        let mut config = settings.clone();
        config.change_to(Router::named(id)?, argument.to_string());
        ResolvedRouter::new(&config, experts, &model.decoder)
    };
    let router = match method {
        Method::Majority => {
            return Ok(if data.task.options.is_empty() {
                None
            } else {
                let label = majority(&data.train);
                share(items.iter().filter(|e| correct(metric, label, &e.output)).count())
            });
        }
        Method::Base | Method::BaseChat => None,
        Method::Expert => match expert_of(library, &data.task.id) {
            Some(name) => Some(router("single", name)?),
            None => return Ok(None),
        },
        Method::Arrow => Some(router("arrow", "")?),
        Method::Uniform => Some(router("uniform", "")?),
    };
    let tokenizer = model.tokenizer()?;
    let prompts = items
        .iter()
        .map(|e| {
            let text = match method {
                Method::BaseChat => match &model.chat {
                    Some(chat) => chat.user(template.content(&e.instruction, &e.input).trim())?,
                    None => return Ok(None),
                },
                _ => template.render(&e.instruction, &e.input),
            };
            tokenizer.encode_start(&text).map(Some)
        })
        .collect::<Result<Option<Vec<_>>>>()?;
    let Some(prompts) = prompts else { return Ok(None) };
    let longest = items.iter().map(|e| tokenizer.encode(&e.output).map_or(0, |ids| ids.len())).max();
    // Room for an answer that is longer than the right one; what runs on is wrong anyway.
    let max_tokens = longest.unwrap_or(0) + 8;
    let mut ends = tokenizer.end_ids.clone();
    ends.extend(tokenizer.id(&template.end));
    let routed = router.as_ref().map(|r| (experts, r));
    let answers = generate_batch(model, routed, &prompts, max_tokens, &ends, cancel)?;
    let mut right = 0;
    for (answer, item) in answers.iter().zip(items) {
        right += usize::from(correct(metric, &tokenizer.decode(answer, true)?, &item.output));
    }
    Ok(share(right))
}

/// The most frequent output; of equals the first in the alphabet.
fn majority(examples: &[Example]) -> &str {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    examples.iter().for_each(|e| *counts.entry(&e.output).or_default() += 1);
    counts.iter().rev().max_by_key(|(_, n)| **n).map_or("", |(label, _)| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_match_is_strict_and_labels_forgive_form() {
        assert!(correct(TaskMetric::ExactMatch, " 3:00 pm\n", "3:00 pm"));
        assert!(!correct(TaskMetric::ExactMatch, "3:00 PM", "3:00 pm"));
        assert!(correct(TaskMetric::Accuracy, "Positive.", "positive"));
        assert!(!correct(TaskMetric::Accuracy, "It is positive", "positive"));
    }

    #[test]
    fn the_majority_is_the_most_frequent_output() {
        let e = |o: &str| Example { instruction: "i".into(), input: String::new(), output: o.into() };
        assert_eq!(majority(&[e("b"), e("a"), e("b")]), "b");
        assert_eq!(majority(&[e("b"), e("a")]), "a");
    }
}
