//! One player answers items of several tasks, many at once.

use std::collections::HashMap;

use super::judge::{Matching, best_match, chosen, is_right, told};
use super::pass::{Asked, Fed, Player};
use super::request::{Asking, Said};
use crate::Result;
use crate::eval::asked_task::{AskedTask, Question};
use crate::eval::generate::{Limits, generate_until};
use crate::eval::store::{Cell, Record};
use crate::model::Tokenizer;
use crate::routing::{ExpertSet, Prompt, ResolvedRouter};
use crate::scorers::{Answers, Asks};
use crate::train::Example;

/// Tokens that go through the network together, about: more would only take more memory.
const TOKENS: usize = 4096;
/// Texts, at most.
const TEXTS: usize = 64;
/// Tokens that an answer may have more than the longest right one: what runs on is wrong anyway.
const LONGER: usize = 8;

/// Results that are wanted: of a method on a task.
pub(super) struct Open {
    pub cell: Cell,
    /// Number of the task.
    pub task: usize,
    /// Of the first method that needs it.
    pub method: usize,
}

/// An item of a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub cell: usize,
    pub item: usize,
}

/// Answers items.
pub(super) struct Worker<'a> {
    pub asking: Asking<'a>,
    pub experts: &'a ExpertSet,
    pub router: &'a ResolvedRouter,
    /// Whether answers themselves are wanted.
    pub answers: bool,
}

/// An item with the texts that are fed in for it.
struct Pending<'a> {
    work: Work,
    question: Question<'a>,
    texts: Vec<Asked>,
    /// Most tokens of an answer.
    room: usize,
}

impl Pending<'_> {
    fn tokens(&self) -> usize {
        self.texts.iter().map(Asked::len).sum()
    }
}

impl<'a> Worker<'a> {
    fn player(&self) -> Player<'a> {
        let evaluation = &self.asking.evaluation;
        Player {
            model: evaluation.session.model(),
            experts: self.experts,
            router: self.router,
            cancel: evaluation.cancel,
        }
    }

    /// Answers `work`, in the order of its cells; `done` hears of each cell that got results, and how many.
    ///
    /// # Errors
    /// As [`crate::model::Decoder::forward`]; results that cannot be kept; a raised cancellation.
    pub fn run(
        &self,
        tasks: &[AskedTask],
        open: &mut [Open],
        work: &[Work],
        done: &mut dyn FnMut(&Open, usize),
    ) -> Result<()> {
        let mut pending: Vec<Pending> = Vec::new();
        let task_of = |work: &Work, open: &[Open]| &tasks[open[work.cell].task];
        // A task that stands there several times, with other metrics, is asked the same.
        let same: Vec<usize> = (0..work.len())
            .scan(0, |number, at| {
                let again = at > 0 && {
                    let (before, this) = (&work[at - 1], &work[at]);
                    before.cell == this.cell || task_of(this, open).repeats(task_of(before, open))
                };
                *number += usize::from(!again);
                Some(*number)
            })
            .collect();
        let mut rest = work;
        for numbers in same.chunk_by(|a, b| a == b) {
            let (of_task, others) = rest.split_at(numbers.len());
            rest = others;
            let mut new = Vec::with_capacity(of_task.len());
            let mut room: Option<(usize, usize)> = None;
            for &work in of_task {
                self.asking.evaluation.cancel.check()?;
                let task = task_of(&work, open);
                let room = match room {
                    Some((cell, room)) if cell == work.cell => room,
                    _ => room.insert((work.cell, self.room(task)?)).1,
                };
                let Some(question) = task.question(work.item) else { continue };
                new.push(Pending { work, question, texts: self.texts(&question, room)?, room });
            }
            // Side by side, those that begin alike are computed once.
            new.sort_by(|a, b| key(a).cmp(key(b)).then(a.work.item.cmp(&b.work.item)));
            for item in new {
                let together = pending.iter().map(Pending::tokens).sum::<usize>() + item.tokens();
                let texts = pending.iter().map(|p| p.texts.len()).sum::<usize>() + item.texts.len();
                let full = together > TOKENS || texts > TEXTS || !self.player().runs_together();
                if full && !pending.is_empty() {
                    self.flush(&mut pending, open, done)?;
                }
                pending.push(item);
            }
        }
        self.flush(&mut pending, open, done)
    }

    /// What is fed in for an item; the prompt alone where its answer is to be generated.
    fn texts(&self, question: &Question, room: usize) -> Result<Vec<Asked>> {
        let Question { task, item, .. } = *question;
        let said = Said::from(*question);
        let scoring = &self.asking.scoring;
        let asked = |texts: Vec<&str>, ends: bool| -> Result<Vec<Asked>> {
            texts.into_iter().map(|text| self.asking.asked(&said, text, ends)).collect()
        };
        match scoring.asks(&task.info.metric) {
            Asks::Answer { hope: Some(_), .. } if self.may_be_known(task) => {
                asked(item.right().collect(), scoring.ends_references)
            }
            Asks::Answer { .. } => {
                let prompt = self.asking.prompt(&said, room)?;
                Ok(vec![Asked { prompt, text: Vec::new() }])
            }
            Asks::Options(_) => {
                let (options, _) = item.options(&task.info.options).map_err(crate::Error::msg)?;
                if task.wording.contexts {
                    let one = |context: &String| {
                        let said = Said { question: *question, context: Some(context) };
                        self.asking.asked(&said, &item.output, scoring.ends_options)
                    };
                    return options.iter().map(one).collect();
                }
                asked(options.iter().map(String::as_str).collect(), scoring.ends_options)
            }
            Asks::Reference(_) => asked(item.right().collect(), scoring.ends_references),
        }
    }

    /// Whether it can be known without an answer that it would be right.
    fn may_be_known(&self, task: &AskedTask) -> bool {
        let scoring = &self.asking.scoring;
        let wording = &task.wording;
        let stops = scoring.stop.is_some() || wording.stops.is_some();
        !self.answers && !stops && wording.matching.is_plain() && scoring.answers == Answers::InTemplate
    }

    /// Most tokens of an answer.
    fn room(&self, task: &AskedTask) -> Result<usize> {
        let Asks::Answer { .. } = self.asking.scoring.asks(&task.info.metric) else { return Ok(0) };
        if let Some(most) = task.wording.max_tokens.or(self.asking.scoring.max_tokens) {
            // Half of a short context is left to the prompt.
            return Ok(most.min(self.asking.evaluation.model().decoder.spec.context / 2));
        }
        // Of the whole split, so that it is the same however many items are asked.
        let tokenizer = self.asking.evaluation.model().tokenizer()?;
        let mut lengths = task
            .all
            .iter()
            .flat_map(Example::right)
            .map(|right| tokenizer.encode(right).map(|ids| ids.len()));
        Ok(lengths.try_fold(0, |most, length| Ok::<_, crate::Error>(most.max(length?)))? + LONGER)
    }

    /// Answers what is pending and keeps the results.
    fn flush(
        &self,
        pending: &mut Vec<Pending>,
        open: &mut [Open],
        done: &mut dyn FnMut(&Open, usize),
    ) -> Result<()> {
        let fed = self.feed(pending)?;
        let mut records: Vec<Option<Record>> = Vec::with_capacity(pending.len());
        let mut unknown: Vec<usize> = Vec::new();
        for (at, (pending, fed)) in pending.iter().zip(&fed).enumerate() {
            let record = self.judged(pending, fed)?;
            if record.is_none() {
                unknown.push(at);
            }
            records.push(record);
        }
        self.generate(pending, &unknown, &fed, &mut records)?;
        let mut by_cell: Vec<(usize, Vec<(usize, Record)>)> = Vec::new();
        for (pending, record) in pending.drain(..).zip(records) {
            let Some(record) = record else { continue };
            let Work { cell, item } = pending.work;
            match by_cell.iter_mut().find(|(known, _)| *known == cell) {
                Some((_, new)) => new.push((item, record)),
                None => by_cell.push((cell, vec![(item, record)])),
            }
        }
        for (cell, new) in by_cell {
            let count = new.len();
            open[cell].cell.append(new)?;
            done(&open[cell], count);
        }
        Ok(())
    }

    /// How the texts of each item fare; those that are asked several times are fed in once.
    fn feed(&self, pending: &[Pending]) -> Result<Vec<Vec<(usize, Fed)>>> {
        let mut asked: Vec<Asked> = Vec::new();
        let mut known: HashMap<(&[u32], &[u32]), usize> = HashMap::new();
        let mut places: Vec<Vec<usize>> = Vec::with_capacity(pending.len());
        for pending in pending {
            let texts = pending.texts.iter().filter(|asked| !asked.text.is_empty());
            let mut place = |text: &Asked| {
                asked.push(text.clone());
                asked.len() - 1
            };
            places.push(
                texts
                    .map(|text| *known.entry((&text.prompt.ids, &text.text)).or_insert_with(|| place(text)))
                    .collect(),
            );
        }
        let fed = if asked.is_empty() { Vec::new() } else { self.player().feed(&asked)? };
        let one = |&at: &usize| Some((asked.get(at)?.text.len(), *fed.get(at)?));
        Ok(places.iter().map(|places| places.iter().filter_map(one).collect()).collect())
    }

    /// The record of an item, where what was fed in says it.
    fn judged(&self, pending: &Pending, fed: &[(usize, Fed)]) -> Result<Option<Record>> {
        let Pending { question: Question { task, item, .. }, texts, .. } = pending;
        match self.asking.scoring.asks(&task.info.metric) {
            Asks::Answer { score, hope: Some(hope) } if !fed.is_empty() => {
                let matching = Matching { score, hope };
                let evaluation = &self.asking.evaluation;
                let (tokenizer, ends) =
                    (evaluation.session.model().tokenizer()?, evaluation.session.end_ids());
                let mut right = Some(false);
                for ((asked, (_, fed)), reference) in texts.iter().zip(fed).zip(item.right()) {
                    match is_right(tokenizer, &ends, (&asked.text, fed), (reference, matching))? {
                        Some(true) => right = Some(true),
                        None if right != Some(true) => right = None,
                        _ => {}
                    }
                }
                let log_probability = fed.first().map(|(_, fed)| fed.log_probability);
                let score = right.map(|right| f64::from(u8::from(right)));
                Ok(score.map(|score| Record { score, log_probability, answer: None }))
            }
            Asks::Answer { .. } => Ok(None),
            Asks::Options(value) => chosen(item, &task.info.options, fed, value).map(Some),
            Asks::Reference(score) => Ok(Some(told(item, fed, score))),
        }
    }

    /// Lets the model answer the `unknown` ones in its own words.
    fn generate(
        &self,
        pending: &[Pending],
        unknown: &[usize],
        fed: &[Vec<(usize, Fed)>],
        records: &mut [Option<Record>],
    ) -> Result<()> {
        if unknown.is_empty() {
            return Ok(());
        }
        let session = self.asking.evaluation.session;
        let (model, ends) = (session.model(), session.end_ids());
        let tokenizer = model.tokenizer()?;
        let (mut prompts, mut enough): (Vec<Prompt>, Vec<Enough>) = (Vec::new(), Vec::new());
        // Of each unknown one, which of the prompts is its.
        let mut places: Vec<usize> = Vec::with_capacity(unknown.len());
        for &at in unknown {
            let Pending { question, room, .. } = &pending[at];
            let prompt = self.asking.prompt(&Said::from(*question), *room)?;
            let enough_of = Enough { room: *room, stops: self.stops(question.task) };
            let known = prompts.iter().zip(&enough).position(|known| known == (&prompt, &enough_of));
            places.push(known.unwrap_or(prompts.len()));
            if known.is_none() {
                prompts.push(prompt);
                enough.push(enough_of);
            }
        }
        let most = enough.iter().map(|enough| enough.room).max().unwrap_or(0);
        let routed = Some((self.experts, self.router));
        let is_enough = |at: usize, answer: &[u32]| enough[at].is_met(answer, tokenizer);
        let answers = generate_until(
            model,
            routed,
            &prompts,
            &Limits { max_tokens: most, ends: &ends, is_enough: &is_enough },
            self.asking.evaluation.cancel,
        )?;
        for (&at, place) in unknown.iter().zip(places) {
            let Question { task, item, .. } = pending[at].question;
            let Enough { room, stops } = &enough[place];
            let answer = &answers[place];
            let mut text = tokenizer.decode(&answer[..answer.len().min(*room)], true)?;
            if let Some(end) = stops.iter().filter_map(|stop| text.find(*stop)).min() {
                text.truncate(end);
            }
            let Asks::Answer { score, .. } = self.asking.scoring.asks(&task.info.metric) else { continue };
            let log_probability = fed[at].first().map(|(_, fed)| fed.log_probability);
            let score = best_match(&text, item, (&task.wording.matching, score))?;
            records[at] = Some(Record { score, log_probability, answer: Some(text) });
        }
        Ok(())
    }

    /// The texts that end the answers of a task.
    fn stops(&self, task: &'a AskedTask) -> Vec<&'a str> {
        let of_task = task.wording.stops.iter().flatten().map(String::as_str);
        let of_rules = self.asking.scoring.stop.filter(|_| task.wording.stops.is_none());
        of_task.chain(of_rules).filter(|stop| !stop.is_empty()).collect()
    }
}

/// When an answer is long enough.
#[derive(PartialEq)]
struct Enough<'a> {
    /// Most tokens.
    room: usize,
    /// Texts that end it.
    stops: Vec<&'a str>,
}

impl Enough<'_> {
    fn is_met(&self, answer: &[u32], tokenizer: &Tokenizer) -> bool {
        if answer.len() >= self.room || self.stops.is_empty() {
            return answer.len() >= self.room;
        }
        // What cannot be decoded now is said where the whole is.
        let text = tokenizer.decode(answer, true).unwrap_or_default();
        self.stops.iter().any(|stop| text.contains(stop))
    }
}

/// By what items are sorted.
fn key<'p>(pending: &'p Pending) -> &'p [u32] {
    pending.texts.first().map_or(&[], |asked| &asked.prompt.ids)
}
