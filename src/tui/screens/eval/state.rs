//! What the Eval tab knows: the evaluation that is shown, the cursor in its table, what was asked.

use std::path::PathBuf;
use std::sync::Arc;

use super::TAB;
use super::chooser::{Chooser, evaluations};
use super::differences::{Differences, Found};
use super::items::Items;
use super::lines::{Lines, TableLine};
use super::saving::Saving;
use super::transfer::Transfer;
use crate::eval::{TaskItems, router_again};
use crate::jobs::kinds::{EVAL, Step};
use crate::jobs::{AnyJob, JobState, JobSummary};
use crate::routing::Router;
use crate::tui::screens::routing;
use crate::tui::{
    AppEffect, Effect, EvalEffect, Evaluated, List, Shared, Tickets, Unsaved, Wanted, WantedPrompt,
};

/// State of the Eval tab.
#[derive(Debug)]
pub struct EvalScreen {
    pub(super) tickets: Tickets,
    /// The tab was looked at, so results are wanted.
    pub(super) wanted: bool,
    /// Jobs were listed at least once.
    pub(super) listed: bool,
    /// The evaluation that was chosen by hand; else the newest is shown.
    pub(super) chosen: Option<String>,
    /// The job that was started last: the evaluation that is shown then, if it is one.
    pub(super) awaited: Option<String>,
    /// What is being read: number and job.
    pub(super) reading: Option<(u64, String)>,
    pub(super) shown: Option<Shown>,
    /// Why the newest reading has no answer.
    pub(super) error: Option<String>,
    /// Cursors in the lines and in the columns of the table.
    pub(super) line: List,
    pub(super) column: List,
    /// The items of a task, while they are looked at.
    pub(super) items: Option<Items>,
    /// Differences, while they are looked at.
    pub(super) differences: Option<Differences>,
    /// Experts × tasks, while that is looked at.
    pub(super) transfer: Option<Transfer>,
    /// Under which name the table is saved, while that is asked.
    pub(super) saving: Option<Saving>,
    /// The list of evaluations, while it is open.
    pub(super) choosing: Option<Chooser>,
    /// The evaluation that `c` asked about.
    pub(super) confirming: Option<String>,
}

/// An evaluation with its table.
#[derive(Debug)]
pub struct Shown {
    pub evaluated: Arc<Evaluated>,
    pub lines: Lines,
}

impl Default for EvalScreen {
    fn default() -> Self {
        Self::new()
    }
}

impl EvalScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self {
            tickets: Tickets::of(TAB),
            wanted: false,
            listed: false,
            chosen: None,
            awaited: None,
            reading: None,
            shown: None,
            error: None,
            line: List::default(),
            column: List::default(),
            items: None,
            differences: None,
            transfer: None,
            saving: None,
            choosing: None,
            confirming: None,
        }
    }

    /// The job of the evaluation that is to be shown.
    pub(super) fn job<'a>(&self, shared: &'a Shared) -> Option<&'a JobSummary> {
        let chosen = || evaluations(shared).find(|job| Some(&job.id) == self.chosen.as_ref());
        chosen().or_else(|| evaluations(shared).next())
    }

    /// The evaluation that is shown.
    pub(super) fn evaluated(&self) -> Option<&Evaluated> {
        self.shown.as_ref().map(|shown| &*shown.evaluated)
    }

    /// The line under the cursor.
    pub(super) fn table_line(&self) -> Option<&TableLine> {
        self.shown.as_ref()?.lines.get(self.line.cursor())
    }

    /// Whether what is shown is finished.
    pub(super) fn is_finished(&self) -> bool {
        self.evaluated().is_some_and(|evaluated| evaluated.known.is_none())
    }

    /// Whether the evaluation that is to be shown still works.
    pub(super) fn is_live(&self, shared: &Shared) -> bool {
        self.job(shared).is_some_and(|job| !job.state.is_over())
    }

    /// Whether the job can be cancelled.
    pub(super) fn can_cancel(&self, shared: &Shared) -> bool {
        self.job(shared).is_some_and(|job| matches!(job.state, JobState::Queued | JobState::Running))
    }

    /// Asks for the evaluation that is to be shown, where what is shown is another one or an older state of it.
    pub(super) fn follow(&mut self, shared: &Shared) -> Vec<Effect> {
        let started = evaluations(shared).find(|job| Some(&job.id) == self.awaited.as_ref());
        if let Some(started) = started {
            (self.chosen, self.awaited) = (Some(started.id.clone()), None);
        }
        if !self.wanted {
            return Vec::new();
        }
        let is_open = self.saving.is_some()
            || self.items.is_some()
            || self.differences.is_some()
            || self.transfer.is_some();
        let shown = self.evaluated().map(|evaluated| evaluated.job.id.clone());
        let Some(job) = self.job(shared) else {
            self.shown = None;
            self.leave();
            return Vec::new();
        };
        // What somebody looks at stays, whatever was started meanwhile elsewhere.
        if is_open && self.chosen.is_none() && shown.is_some_and(|shown| shown != job.id) {
            return Vec::new();
        }
        let known = self.evaluated().filter(|evaluated| evaluated.job.id == job.id);
        let is_news = known.is_none_or(|known| !job.state.is_over() || known.job.state != job.state);
        // One at a time: what takes long is not asked for again before it is there.
        let asked = self.reading.as_ref().is_some_and(|(_, id)| *id == job.id);
        if asked || !is_news {
            return Vec::new();
        }
        self.read(job.id.clone())
    }

    fn read(&mut self, id: String) -> Vec<Effect> {
        let ticket = self.tickets.issue();
        self.reading = Some((ticket, id.clone()));
        vec![Effect::Eval(EvalEffect::Read { ticket, id })]
    }

    /// Back to the table.
    fn leave(&mut self) {
        (self.items, self.differences, self.transfer) = (None, None, None);
    }

    /// Opens the differences over the line under the cursor, to the method that the evaluation compared with or to the
    /// one that is chosen.
    pub(super) fn compare(&mut self, chosen: Option<usize>) -> Vec<Effect> {
        let (Some(shown), Some(line)) = (&self.shown, self.table_line().cloned()) else { return Vec::new() };
        let evaluated = shown.evaluated.clone();
        if evaluated.known.is_some() {
            let why = "Differences are known when the evaluation has finished.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        let report = &evaluated.report;
        let own = report.differences.first().map_or(Router::base().id, |found| found.against.as_str());
        let own = || report.methods.iter().position(|label| label == own).unwrap_or(0);
        let before = self.differences.as_ref();
        let against = chosen.or(before.map(|before| before.against)).unwrap_or_else(own);
        let cursor = before.map_or(self.column.cursor(), Differences::method);
        let (tasks, group) = (line.tasks.clone(), line.group.clone());
        let mut differences = Differences::of(&evaluated, line, against, cursor);
        let mut effects = Vec::new();
        if differences.is_unknown() {
            let ticket = self.tickets.issue();
            differences.ticket = Some(ticket);
            effects.push(Effect::Eval(EvalEffect::Compare { ticket, evaluated, tasks, group, against }));
        }
        self.differences = Some(differences);
        effects
    }

    /// Takes differences that were found.
    pub(super) fn take_differences(&mut self, ticket: u64, result: &Result<Found, String>) {
        if let Some(differences) = self.differences.as_mut().filter(|found| found.ticket == Some(ticket)) {
            differences.take(result);
        }
    }

    /// Opens experts × tasks.
    pub(super) fn open_transfer(&mut self) -> Vec<Effect> {
        let Some(shown) = &self.shown else { return Vec::new() };
        self.transfer = Transfer::of(&shown.evaluated);
        if self.transfer.is_some() {
            return Vec::new();
        }
        let why = "No expert was asked alone here: methods like single:NAME of a new evaluation (n) do that.";
        vec![Effect::App(AppEffect::Notice(why.into()))]
    }

    /// Opens the items of the task and the expert under the cursor of experts × tasks.
    pub(super) fn open_transfer_items(&mut self) -> Vec<Effect> {
        let Some((task, method)) = self.transfer.as_ref().and_then(Transfer::cursor) else {
            return Vec::new();
        };
        self.open_items(task, method)
    }

    /// Asks under which name the table is saved.
    pub(super) fn ask_name(&mut self) -> Vec<Effect> {
        let Some(shown) = &self.shown else { return Vec::new() };
        let evaluated = &shown.evaluated;
        if evaluated.known.is_some() {
            let why = "The table can be saved when the evaluation has finished.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        let (name, evaluated) = (format!("{}.md", evaluated.job.id), shown.evaluated.clone());
        self.saving = Some(Saving::of(&name, evaluated));
        Vec::new()
    }

    /// Asks for the table in a file.
    pub(super) fn save(&mut self, mut saving: Saving, path: String, over: bool) -> Vec<Effect> {
        let ticket = self.tickets.issue();
        saving.ticket = Some(ticket);
        let evaluated = saving.evaluated.clone();
        self.saving = Some(saving);
        vec![Effect::Eval(EvalEffect::Save { ticket, evaluated, path, over })]
    }

    /// Takes what became of it.
    pub(super) fn take_saved(&mut self, ticket: u64, result: &Result<PathBuf, Unsaved>) -> Vec<Effect> {
        let Some(saving) = self.saving.as_mut().filter(|saving| saving.ticket == Some(ticket)) else {
            return Vec::new();
        };
        match result {
            Ok(path) => {
                self.saving = None;
                vec![Effect::App(AppEffect::Notice(format!("saved as {}", path.display())))]
            }
            Err(why) => {
                saving.refuse(why);
                Vec::new()
            }
        }
    }

    /// Opens the items of the task under the cursor, or folds where there are several.
    pub(super) fn open(&mut self) -> Vec<Effect> {
        let Some(shown) = &mut self.shown else { return Vec::new() };
        let Some(line) = shown.lines.get(self.line.cursor()) else { return Vec::new() };
        let Some(task) = line.task() else {
            let to = shown.lines.toggle(self.line.cursor());
            self.line.select(to, shown.lines.len());
            return Vec::new();
        };
        self.open_items(task, self.column.cursor())
    }

    fn open_items(&mut self, task: usize, method: usize) -> Vec<Effect> {
        let Some(shown) = &self.shown else { return Vec::new() };
        let ticket = self.tickets.issue();
        self.items = Some(Items::of(task, method, ticket));
        vec![Effect::Eval(EvalEffect::Items { ticket, evaluated: shown.evaluated.clone(), task })]
    }

    /// Takes the items that were read.
    pub(super) fn take_items(&mut self, ticket: u64, result: &Result<Arc<TaskItems>, String>) {
        if let Some(items) = self.items.as_mut().filter(|items| items.ticket == ticket) {
            items.take(result);
        }
    }

    /// Leads to the Routing tab with the item under the cursor, asked through the method under the cursor.
    pub(super) fn route_item(&self, shared: &Shared) -> Vec<Effect> {
        let (Some(evaluated), Some(items), Some(library)) = (self.evaluated(), &self.items, &shared.library)
        else {
            return Vec::new();
        };
        let report = &evaluated.report;
        let (Some((at, item)), Some(label), Some(task)) =
            (items.item(), report.methods.get(items.method), report.tasks.get(items.task))
        else {
            return Vec::new();
        };
        let router = match router_again(&evaluated.spec, library, label, task) {
            Ok(router) => router,
            Err(error) => return vec![Effect::App(AppEffect::Notice(error.to_string()))],
        };
        let template = library.manifest.template.clone().unwrap_or_default();
        let Some(asked) = items.asked_again(at, &template, &report.scoring) else { return Vec::new() };
        let wanted =
            WantedPrompt { prompt: asked.prompt, raw: asked.raw, router, reference: item.output.clone() };
        vec![Effect::App(AppEffect::Lead { tab: routing::TAB, wanted: Wanted::Prompt(Box::new(wanted)) })]
    }

    /// The form for a new evaluation: empty, or what the one that is shown was to do where it has failed.
    pub(super) fn form(&self) -> AppEffect {
        let failed = self.evaluated().filter(|evaluated| evaluated.job.state == JobState::Failed);
        let again = failed.and_then(|evaluated| {
            let spec = serde_json::to_value(AnyJob::from(evaluated.spec.clone())).ok()?;
            Some(AppEffect::Follow { step: Step::Start(spec), job: evaluated.job.id.clone() })
        });
        again.unwrap_or(AppEffect::OpenForm(&EVAL))
    }

    /// Chooses an evaluation by hand.
    pub(super) fn choose(&mut self, id: &str, shared: &Shared) -> Vec<Effect> {
        self.chosen = Some(id.to_string());
        self.error = None;
        self.follow(shared)
    }

    /// Takes what was read.
    pub(super) fn take(
        &mut self,
        ticket: u64,
        result: &Result<Arc<Evaluated>, String>,
        shared: &Shared,
    ) -> Vec<Effect> {
        if self.reading.as_ref().is_none_or(|(asked, _)| *asked != ticket) {
            return Vec::new();
        }
        self.reading = None;
        match result {
            Ok(evaluated) => {
                self.error = None;
                let same = self.evaluated().is_some_and(|old| old.job.id == evaluated.job.id);
                let before = self.shown.take();
                let before = before.as_ref().filter(|_| same);
                let lines = Lines::of(evaluated, before.map(|shown| &shown.lines));
                if !same {
                    self.leave();
                    (self.line, self.column) = (List::default(), List::default());
                }
                self.line.select(self.line.cursor(), lines.len());
                self.column.select(self.column.cursor(), evaluated.report.methods.len());
                if let Some(transfer) = &mut self.transfer {
                    transfer.take(evaluated);
                }
                let grown = before.is_some_and(|before| before.evaluated.known != evaluated.known);
                self.shown = Some(Shown { evaluated: evaluated.clone(), lines });
                // Its answers come while somebody looks at them.
                if let Some(items) = self.items.as_mut().filter(|items| grown && !items.is_waiting()) {
                    items.ticket = self.tickets.issue();
                    let (ticket, task) = (items.ticket, items.task);
                    return vec![Effect::Eval(EvalEffect::Items {
                        ticket,
                        evaluated: evaluated.clone(),
                        task,
                    })];
                }
                // It may have gone on meanwhile.
                if self.job(shared).is_some_and(|job| job.state != evaluated.job.state && job.state.is_over())
                {
                    return self.follow(shared);
                }
            }
            Err(error) => {
                self.error = Some(error.clone());
                self.shown = None;
                self.leave();
            }
        }
        Vec::new()
    }
}
