//! Which results an evaluation needs, which of them are known, and who computes the rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::request::Asking;
use super::work::{Open, Work, Worker};
use crate::Result;
use crate::eval::asked_task::AskedTask;
use crate::eval::evaluation::{Answering, Evaluation};
use crate::eval::methods::Method;
use crate::eval::store::{Origin, Record, Store};
use crate::library::{Skipped, content_sha256, tokenizer_sha256};
use crate::routing::{CalibrationStep, ExpertSet, ResolvedRouter, RouterConfig};
use crate::scorers::{Asks, Scoring};

/// How items are asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    /// By which rules.
    pub scoring: Scoring,
    /// Whether what is known is computed again.
    pub fresh: bool,
    /// Whether the answers themselves are wanted, where their scores could be known without.
    pub answers: bool,
}

/// How far an evaluation is.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// Number of the method that is at work, and of the task.
    pub method: usize,
    /// Of the task.
    pub task: usize,
    /// Their names.
    pub names: (&'a str, &'a str),
    /// Items of them that are known, and all that are asked.
    pub cell: (usize, usize),
    /// The same of the method over all tasks.
    pub of_method: (usize, usize),
    /// The same over all methods and tasks.
    pub all: (usize, usize),
    /// Per task and method, under which name the results are kept, where they are.
    pub kept: &'a [Vec<Option<String>>],
}

/// The scores of methods on tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answered {
    /// Per task and method, of each item; `None` where a method does not apply.
    pub scores: Vec<Vec<Option<Vec<f64>>>>,
    /// The same: the name under which the results are kept ([`Store::kept`]), where they are.
    pub kept: Vec<Vec<Option<String>>>,
    /// Methods that could not answer a task, with the reason, once for each.
    pub failed: Vec<Skipped>,
    /// Requests of those that were computed now whose beginning did not fit into the model's context.
    pub cut: usize,
}

/// A method on a task.
enum Place {
    /// It does not apply, or cannot answer.
    None,
    /// The scores, and the name under which they are kept.
    Known(Vec<f64>, String),
    /// Number of the cell.
    Cell(usize),
}

/// Items that one player has to answer.
struct Group {
    config: RouterConfig,
    chat: bool,
    work: Vec<Work>,
}

impl Evaluation<'_> {
    /// The scores of `methods` on `tasks`: those that `store` has, and the rest, which is computed and kept there.
    ///
    /// # Errors
    /// A router that cannot be resolved; results that cannot be kept; a raised cancellation. What was found out until
    /// then is kept.
    pub fn answer(
        &self,
        store: &Store,
        (tasks, methods): (&[AskedTask], &[Method]),
        order: &Order,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Answered> {
        let mut failed: Vec<Skipped> = Vec::new();
        let cut = AtomicUsize::new(0);
        let mut known: HashMap<Origin, usize> = HashMap::new();
        let (mut open, mut groups): (Vec<Open>, Vec<Group>) = (Vec::new(), Vec::new());
        let base = [content_sha256(&self.model().path)?, tokenizer_sha256(&self.model().path)?].concat();
        // By router: its prompts are not read again for every task.
        let mut origins: Vec<(RouterConfig, String)> = Vec::new();
        let mut places: Vec<Vec<Place>> = tasks.iter().map(|_| Vec::with_capacity(methods.len())).collect();
        for (m, method) in methods.iter().enumerate() {
            for ((t, task), row) in tasks.iter().enumerate().zip(&mut places) {
                self.cancel.check()?;
                let (config, chat) = match method.answering(self, task) {
                    None => {
                        row.push(Place::None);
                        continue;
                    }
                    Some(Answering::Text(text)) => {
                        row.push(match of_text(task, &text, &order.scoring)? {
                            Some(scores) => {
                                let name = keep_text(store, task, &text, &scores, order)?;
                                Place::Known(scores, name)
                            }
                            None => Place::None,
                        });
                        continue;
                    }
                    Some(Answering::Model { config, chat }) => (config, chat),
                };
                if let Err(reason) = self.check_prompts(task, chat, order) {
                    let failure = Skipped::new(method.to_string(), reason.to_string());
                    if !failed.contains(&failure) {
                        failed.push(failure);
                    }
                    row.push(Place::None);
                    continue;
                }
                let of_config = match origins.iter().find(|(of, _)| *of == config) {
                    Some((_, origin)) => origin.clone(),
                    None => {
                        let origin = self.session.origin(&config)?;
                        origins.push((config.clone(), origin.clone()));
                        origin
                    }
                };
                let origin = self.origin(&base, task, (of_config, chat), order);
                if let Some(&at) = known.get(&origin) {
                    row.push(Place::Cell(at));
                    continue;
                }
                let mut cell = store.cell(&origin, task.items)?;
                if order.fresh {
                    cell.forget();
                }
                let at = open.len();
                let lacks_answer = order.answers && is_answered(task, &order.scoring);
                let missing = |i: &usize| match cell.known().get(*i).copied().flatten() {
                    None => true,
                    Some(known) => lacks_answer && !known.is_answered,
                };
                let work = (0..task.items).filter(missing).map(|item| Work { cell: at, item });
                match groups.iter_mut().find(|group| (&group.config, group.chat) == (&config, chat)) {
                    Some(group) => group.work.extend(work),
                    None => groups.push(Group { work: work.collect(), config, chat }),
                }
                open.push(Open { cell, task: t, method: m });
                known.insert(origin, at);
                row.push(Place::Cell(at));
            }
        }
        let names: Vec<String> = methods.iter().map(Method::to_string).collect();
        let all = open.iter().map(|open| open.cell.known().len()).sum::<usize>();
        let mut by_method = vec![(0, 0); methods.len()];
        for open in &open {
            let known = open.cell.known();
            by_method[open.method].0 += known.iter().flatten().count();
            by_method[open.method].1 += known.len();
        }
        let name = |place: &Place| match place {
            Place::Cell(at) => open.get(*at).map(|open| open.cell.name()),
            Place::Known(_, name) => Some(name.clone()),
            Place::None => None,
        };
        let kept: Vec<Vec<Option<String>>> =
            places.iter().map(|row| row.iter().map(name).collect()).collect();
        let mut done = all - groups.iter().map(|group| group.work.len()).sum::<usize>();
        let resolve = |group: &Group, done: usize, progress: &mut dyn FnMut(&Progress)| {
            let mut step = |step: CalibrationStep| progress(&stage(&step.to_string(), (done, all), &kept));
            self.session.resolve(&group.config, &mut step, self.cancel)
        };
        // Whoever asks first about a prompt asks for all that answer it.
        let mut asking: Vec<Option<(Arc<ExpertSet>, ResolvedRouter)>> = Vec::with_capacity(groups.len());
        for group in &groups {
            let asks = group.config.asks_prompts() && !group.work.is_empty();
            asking.push(asks.then(|| resolve(group, done, progress)).transpose()?);
        }
        for chat in [false, true] {
            let same = groups.iter().zip(&mut asking).filter(|(group, _)| group.chat == chat);
            let same = same.filter_map(|(_, resolved)| resolved.as_mut());
            ResolvedRouter::survey_together(same.map(|(experts, router)| (&*experts, router)));
        }
        for (group, resolved) in groups.iter().zip(asking) {
            // A calibrated router is resolved in any case, for it says what it was calibrated with.
            if group.work.is_empty() && !group.config.needs_calibration() {
                continue;
            }
            let resolved = match resolved {
                Some(resolved) => resolved,
                None => resolve(group, done, progress)?,
            };
            if group.work.is_empty() {
                continue;
            }
            let (scoring, chat) = (order.scoring, group.chat);
            let asking = Asking { evaluation: *self, scoring, chat, cut: Some(&cut) };
            let worker = Worker { asking, experts: &resolved.0, router: &resolved.1, answers: order.answers };
            worker.run(tasks, &mut open, &group.work, &mut |open, new| {
                done += new;
                let of_cell = open.cell.known();
                let of_method = &mut by_method[open.method];
                of_method.0 = (of_method.0 + new).min(of_method.1);
                progress(&Progress {
                    method: open.method,
                    task: open.task,
                    names: (&names[open.method], &tasks[open.task].label),
                    cell: (of_cell.iter().flatten().count(), of_cell.len()),
                    of_method: *of_method,
                    all: (done, all),
                    kept: &kept,
                });
            })?;
        }
        let score = |place: Place| match place {
            Place::None => None,
            Place::Known(scores, _) => Some(scores),
            Place::Cell(at) => {
                let known = open.get(at).map_or(&[][..], |open| open.cell.known());
                known.iter().map(|known| known.map(|known| known.score)).collect()
            }
        };
        let scores = places.into_iter().map(|row| row.into_iter().map(score).collect()).collect();
        Ok(Answered { scores, kept, failed, cut: cut.into_inner() })
    }

    /// Whether the prompts of a task can be made: a chat template can fail, which is no other method's matter.
    fn check_prompts(&self, task: &AskedTask, chat: bool, order: &Order) -> Result<()> {
        if chat {
            let asking = Asking { evaluation: *self, scoring: order.scoring, chat, cut: None };
            for question in task.questions() {
                self.cancel.check()?;
                asking.prompt(&question.into(), 1)?;
            }
        }
        Ok(())
    }

    /// Everything that the results of a router on a task follow from.
    fn origin(&self, base: &str, task: &AskedTask, (router, chat): (String, bool), order: &Order) -> Origin {
        let (model, scoring, metric) = (self.model(), &order.scoring, task.info.metric);
        let template = self.template();
        let prompts = match chat {
            true => format!("chat {:?}", model.chat),
            false => format!("{:?} {:?}", template.prompt, template.end),
        };
        let origin = Origin::default()
            .with("method", router)
            .with("base", format!("{base} {} {}", model.precision, model.device_name()))
            .with("template", prompts)
            .with("task", task.info.id.clone())
            .with("split", split_of(task))
            .with("scorer", format!("{metric} {} {scoring} {}", metric.version, scoring.version));
        let origin = match task.wording.identity.as_str() {
            "" => origin,
            identity => origin.with("wording", identity),
        };
        match task.shots.count() {
            0 => origin,
            _ => origin.with("shots", task.shots.identity()),
        }
    }
}

/// Whether an answer is part of what is asked.
fn is_answered(task: &AskedTask, scoring: &Scoring) -> bool {
    matches!(scoring.asks(&task.info.metric), Asks::Answer { .. })
}

/// The scores of one text as the answer to every item; none where likelihoods are asked for.
fn of_text(task: &AskedTask, text: &str, scoring: &Scoring) -> Result<Option<Vec<f64>>> {
    let one = |item| {
        Ok(match scoring.asks(&task.info.metric) {
            Asks::Answer { score, .. } => {
                Some(super::judge::best_match(text, item, (&task.wording.matching, score))?)
            }
            Asks::Options(_) => item.options(&task.info.options).ok().and_then(|(options, right)| {
                Some(f64::from(u8::from(options.get(right)?.trim() == text.trim())))
            }),
            Asks::Reference(_) => None,
        })
    };
    task.asked().iter().map(one).collect()
}

/// Keeps what one text as the answer to every item is worth; under which name. It follows from the items alone.
fn keep_text(store: &Store, task: &AskedTask, text: &str, scores: &[f64], order: &Order) -> Result<String> {
    let (scoring, metric) = (&order.scoring, task.info.metric);
    let origin = Origin::default()
        .with("text", text)
        .with("task", task.info.id.clone())
        .with("split", split_of(task))
        .with("scorer", format!("{metric} {} {scoring} {}", metric.version, scoring.version));
    let mut cell = store.cell(&origin, task.items)?;
    let missing: Vec<usize> =
        (0..task.items).filter(|at| cell.known().get(*at).copied().flatten().is_none()).collect();
    if !missing.is_empty() {
        let record = |at: usize| {
            let score = scores.get(at).copied().unwrap_or_default();
            (at, Record { score, log_probability: None, answer: Some(text.to_string()) })
        };
        cell.append(missing.into_iter().map(record).collect())?;
    }
    Ok(cell.name())
}

/// The split that is asked, with a hash of its content.
pub(in crate::eval) fn split_of(task: &AskedTask) -> String {
    format!("{} {}", task.split, task.digest)
}

/// What is done before any item is asked.
fn stage<'a>(text: &'a str, all: (usize, usize), kept: &'a [Vec<Option<String>>]) -> Progress<'a> {
    Progress { method: 0, task: 0, names: (text, ""), cell: (0, 0), of_method: (0, 0), all, kept }
}
