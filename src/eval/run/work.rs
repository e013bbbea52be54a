//! One player answers items of several tasks, many at once.

use super::judge::{Matching, best_match, chosen, is_right, told};
use super::pass::{Asked, Fed, Player};
use super::request::Asking;
use crate::Result;
use crate::eval::asked_task::AskedTask;
use crate::eval::generate::generate_batch;
use crate::eval::store::{Cell, Record};
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
    task: &'a AskedTask,
    item: &'a Example,
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
        for of_cell in work.chunk_by(|a, b| a.cell == b.cell) {
            let task = &tasks[open[of_cell[0].cell].task];
            let room = self.room(task)?;
            let mut new = Vec::with_capacity(of_cell.len());
            for &work in of_cell {
                self.asking.evaluation.cancel.check()?;
                let item = &task.asked()[work.item];
                new.push(Pending { work, task, item, texts: self.texts(task, item, room)?, room });
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
    fn texts(&self, task: &AskedTask, item: &Example, room: usize) -> Result<Vec<Asked>> {
        let scoring = &self.asking.scoring;
        let asked = |texts: Vec<&str>, ends: bool| -> Result<Vec<Asked>> {
            texts.into_iter().map(|text| self.asking.asked(item, text, ends)).collect()
        };
        match scoring.asks(&task.info.metric) {
            Asks::Answer { hope: Some(_), .. } if self.may_be_known() => {
                asked(item.right().collect(), scoring.ends_references)
            }
            Asks::Answer { .. } => {
                let prompt = self.asking.prompt(item, room)?;
                Ok(vec![Asked { prompt, text: Vec::new() }])
            }
            Asks::Options(_) => {
                let (options, _) = item.options(&task.info.options).map_err(crate::Error::msg)?;
                asked(options.iter().map(String::as_str).collect(), scoring.ends_options)
            }
            Asks::Reference(_) => asked(item.right().collect(), scoring.ends_references),
        }
    }

    /// Whether it can be known without an answer that it would be right.
    fn may_be_known(&self) -> bool {
        let scoring = &self.asking.scoring;
        !self.answers && scoring.stop.is_none() && scoring.answers == Answers::InTemplate
    }

    /// Most tokens of an answer.
    fn room(&self, task: &AskedTask) -> Result<usize> {
        let Asks::Answer { .. } = self.asking.scoring.asks(&task.info.metric) else { return Ok(0) };
        if let Some(most) = self.asking.scoring.max_tokens {
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

    /// How the texts of each item fare.
    fn feed(&self, pending: &[Pending]) -> Result<Vec<Vec<(usize, Fed)>>> {
        let asked: Vec<Asked> =
            pending.iter().flat_map(|p| &p.texts).filter(|asked| !asked.text.is_empty()).cloned().collect();
        let fed = if asked.is_empty() { Vec::new() } else { self.player().feed(&asked)? };
        let mut rest = asked.iter().zip(fed).map(|(asked, fed)| (asked.text.len(), fed));
        let of = |p: &Pending| {
            let count = p.texts.iter().filter(|asked| !asked.text.is_empty()).count();
            rest.by_ref().take(count).collect()
        };
        Ok(pending.iter().map(of).collect())
    }

    /// The record of an item, where what was fed in says it.
    fn judged(&self, pending: &Pending, fed: &[(usize, Fed)]) -> Result<Option<Record>> {
        let Pending { task, item, texts, .. } = pending;
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
        let (mut prompts, mut rooms): (Vec<Prompt>, Vec<usize>) = (Vec::new(), Vec::new());
        for &at in unknown {
            let Pending { item, room, .. } = &pending[at];
            prompts.push(self.asking.prompt(item, *room)?);
            rooms.push(*room);
        }
        let most = rooms.iter().copied().max().unwrap_or(0);
        let routed = Some((self.experts, self.router));
        let answers = generate_batch(model, routed, &prompts, most, &ends, self.asking.evaluation.cancel)?;
        for ((&at, room), mut answer) in unknown.iter().zip(rooms).zip(answers) {
            let Pending { task, item, .. } = &pending[at];
            answer.truncate(room);
            let mut text = tokenizer.decode(&answer, true)?;
            if let Some(end) = self.asking.scoring.stop.and_then(|stop| text.find(stop)) {
                text.truncate(end);
            }
            let Asks::Answer { score, .. } = self.asking.scoring.asks(&task.info.metric) else { continue };
            let log_probability = fed[at].first().map(|(_, fed)| fed.log_probability);
            let score = best_match(&text, item, score);
            records[at] = Some(Record { score, log_probability, answer: Some(text) });
        }
        Ok(())
    }
}

/// By what items are sorted.
fn key<'p>(pending: &'p Pending) -> &'p [u32] {
    pending.texts.first().map_or(&[], |asked| &asked.prompt.ids)
}
