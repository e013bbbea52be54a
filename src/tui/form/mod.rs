//! Forms that start jobs: fields checked while typing, errors beside them.

mod fields;
mod job;
mod keys;
mod picker;
mod view;

use std::sync::Arc;

use self::fields::{Field, Id, Value};
use self::job::around;
pub use self::keys::reference;
use self::picker::Picker;
use super::{
    ComputeEffect, ComputeMessage, DataEffect, DataMessage, Effect, JobsEffect, JobsMessage, Message, Shared,
    Tickets,
};
use crate::jobs::NewJob;
use crate::jobs::kinds::Kind;
use crate::settings::Role;
use crate::text::{counted, printable};
use crate::train::ClustersPlan;

/// What became of a form.
#[derive(Debug)]
pub enum FormOutcome {
    Open(Vec<Effect>),
    Closed,
    /// Its job was started.
    Started,
}

/// State of an open form.
#[derive(Debug)]
pub struct Form {
    /// The job with the defaults.
    fresh: NewJob,
    fields: Vec<Field>,
    focus: usize,
    /// Candidates for the path under the cursor.
    candidates: Vec<String>,
    /// The list of tasks, while it is open.
    picker: Option<Picker>,
    /// What would be trained for each cluster.
    plan: Option<Arc<ClustersPlan>>,
    /// Why the new library cannot be where it was asked for.
    out: Option<String>,
    tickets: Tickets,
    /// The plan that is awaited.
    planning: Option<u64>,
    /// Errors of empty fields show once a start was tried.
    tried: bool,
    /// The job was asked for.
    waiting: bool,
    refused: Option<String>,
}

impl Form {
    /// A form with the defaults of the command line, and what it asks for at once. `tickets` are its own.
    pub fn open(kind: &Kind, tickets: Tickets, shared: &Shared) -> (Self, Vec<Effect>) {
        Self::of(kind.fresh(&around(shared)).into(), tickets, shared)
    }

    /// A form that says what `fresh` does, and what it asks for at once. `tickets` are its own.
    pub fn of(fresh: NewJob, tickets: Tickets, shared: &Shared) -> (Self, Vec<Effect>) {
        let mut form = Self {
            fields: fields::fields(&fresh, shared),
            fresh,
            focus: 0,
            candidates: Vec::new(),
            picker: None,
            plan: None,
            out: None,
            tickets,
            planning: None,
            tried: false,
            waiting: false,
            refused: None,
        };
        form.tidy_data(false);
        form.check(shared);
        let mut effects: Vec<Effect> = form.ask_plan(shared).into_iter().collect();
        // What kept it from being written may be gone by now.
        effects.extend(form.closed(shared).map(|_| Effect::ReloadLibrary));
        effects.extend(form.check_data());
        (form, effects)
    }

    /// Why nothing that it asks for can be written, before anything is typed; `None` where it can.
    fn closed(&self, shared: &Shared) -> Option<String> {
        let makes_expert = self.fields.iter().any(|field| field.role() == Role::NewExpert);
        let why = shared.library.as_ref()?.read_only.as_ref().filter(|_| makes_expert)?;
        Some(format!(
            "This library is read-only ({why}): no expert can be saved here. Copy it into a folder of yours, and \
             open that: lora-tui FOLDER"
        ))
    }

    /// The kind of job that it starts.
    pub fn kind(&self) -> &'static Kind {
        self.fresh.job.kind()
    }

    /// Whether an answer is awaited.
    pub fn is_waiting(&self) -> bool {
        self.waiting || self.planning.is_some()
    }

    /// Whether a field can be seen: those behind the fold only when it is open.
    fn is_visible(&self, at: usize) -> bool {
        let open = || self.fields.iter().any(|field| matches!(field.value, Value::Fold { open: true }));
        self.fields.get(at).is_some_and(|field| !field.more || open())
    }

    /// Moves to the next or the previous field that can be seen.
    fn go(&mut self, forward: bool) {
        self.candidates.clear();
        let n = self.fields.len();
        let by = if forward { 1 } else { n.saturating_sub(1) };
        let mut to = self.focus;
        loop {
            to = (to + by) % n.max(1);
            if to == self.focus || self.is_visible(to) {
                break;
            }
        }
        self.focus = to;
        self.tidy_data(true);
    }

    /// Takes pasted text.
    pub fn on_paste(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        match &mut self.fields[self.focus].value {
            Value::Text(input) if !self.waiting && self.picker.is_none() => input.insert(text.trim()),
            Value::Text(_) | Value::Choice { .. } | Value::Fold { .. } | Value::Shown => return Vec::new(),
        }
        self.edited(shared)
    }

    /// Takes what arrived from outside.
    pub fn on_message(&mut self, message: &Message, shared: &Shared) -> FormOutcome {
        let mut effects = Vec::new();
        match message {
            Message::Jobs(message) => match message {
                JobsMessage::Started(result) if self.waiting => {
                    self.waiting = false;
                    match result {
                        Ok(_) => return FormOutcome::Started,
                        Err(error) => self.refused = Some(error.clone()),
                    }
                }
                JobsMessage::Started(_)
                | JobsMessage::List(_)
                | JobsMessage::Detail(_)
                | JobsMessage::Curves(_)
                | JobsMessage::Machine(_)
                | JobsMessage::Ended(_) => {}
            },
            Message::Data(DataMessage::Checked { path, result }) => {
                for field in self.fields.iter_mut().filter(|f| f.role() == Role::Data && f.text() == *path) {
                    field.data = Some(result.clone());
                }
                self.check(shared);
                effects.extend(self.check_data());
            }
            Message::Data(DataMessage::Completed { text, candidates }) => {
                let field = &self.fields[self.focus];
                if field.is_path() && field.text() == *text {
                    effects = self.complete(candidates, shared);
                }
            }
            Message::Data(DataMessage::Tasks(tasks)) => {
                if let Some(picker) = &mut self.picker {
                    picker.take(tasks);
                }
            }
            Message::Compute(message) => {
                if let ComputeMessage::ClustersPlanned { ticket, result, out } = message
                    && self.planning == Some(*ticket)
                {
                    self.planning = None;
                    self.out.clone_from(out);
                    self.take_plan(result, shared);
                }
            }
            Message::Library(Ok(_)) => {
                self.suggest(shared, true);
                self.check(shared);
                effects.extend(self.ask_plan(shared));
            }
            Message::Library(Err(_))
            | Message::Key(_)
            | Message::Paste(_)
            | Message::Tick
            | Message::Prompts(_)
            | Message::Edited(_)
            | Message::Engine(_)
            | Message::Eval(_)
            | Message::Notice(_)
            | Message::Error(_) => {}
        }
        FormOutcome::Open(effects)
    }

    /// Puts what follows from the other fields into those that nobody has touched, but for the one in work; with
    /// `all` also what follows from the library.
    fn suggest(&mut self, shared: &Shared, all: bool) {
        let around = around(shared);
        for at in 0..self.fields.len() {
            let field = &self.fields[at];
            let Some(look) = field.look() else { continue };
            let follows = matches!(look.role, Role::NewExpert | Role::NewLibrary);
            if !all && (at == self.focus || !follows) {
                continue;
            }
            let Some(text) = self.typed().job.suggest(look.id, &around) else { continue };
            let hint = fields::hint(look.role, shared);
            let field = &mut self.fields[at];
            if let Some(hint) = hint {
                field.hint = hint;
            }
            if let Value::Text(input) = &mut field.value
                && (input.is_suggestion() || input.is_empty())
            {
                *input = super::TextField::suggestion(&text);
                field.default = field.text();
            }
        }
    }

    /// After the focused field was changed by hand.
    fn edited(&mut self, shared: &Shared) -> Vec<Effect> {
        self.refused = None;
        self.candidates.clear();
        let mut effects = Vec::new();
        if self.fields[self.focus].role() == Role::Data {
            self.fields[self.focus].data = None;
            let path = self.fields[self.focus].text();
            if !path.is_empty() {
                effects.push(Effect::Data(DataEffect::Check { path }));
            }
        }
        self.suggest(shared, false);
        self.tidy_data(false);
        self.check(shared);
        if self.fields[self.focus].decides_plan() {
            effects.extend(self.ask_plan(shared));
        } else {
            self.show_experts();
        }
        effects
    }

    /// Keeps an empty row below the tasks, from the start, so that no row comes while somebody is on the way to
    /// another one: it follows from what is typed alone. With `all`, empty rows between tasks go.
    fn tidy_data(&mut self, all: bool) {
        let tasks = |fields: &[Field]| fields.iter().take_while(|field| field.role() == Role::Data).count();
        let mut at = 0;
        while all && at + 1 < tasks(&self.fields) && tasks(&self.fields) > 2 {
            if at != self.focus && self.fields[at].text().is_empty() {
                self.fields.remove(at);
                self.focus = self.focus.saturating_sub(usize::from(self.focus > at));
            } else {
                at += 1;
            }
        }
        let count = tasks(&self.fields);
        let last = count.checked_sub(1).and_then(|last| self.fields.get(last));
        if let Some(last) = last
            && let Some(look) = last.look()
            && (count == 1 || !last.text().is_empty())
        {
            self.fields.insert(count, Field::another(look.clone()));
            self.focus += usize::from(self.focus >= count);
        }
        if let Some(first) = self.fields.first_mut().filter(|first| first.role() == Role::Data) {
            first.make_first();
        }
    }

    /// Asks for what is not known of a task that was typed.
    fn check_data(&self) -> Option<Effect> {
        let unknown = |f: &&Field| f.role() == Role::Data && f.data.is_none() && !f.text().is_empty();
        self.fields.iter().find(unknown).map(|field| Effect::Data(DataEffect::Check { path: field.text() }))
    }

    /// Puts the task that was chosen into the focused field; without one, goes back to what was interrupted.
    fn picked(&mut self, path: Option<&str>, shared: &Shared) -> Vec<Effect> {
        let Some(path) = path else { return self.check_data().into_iter().collect() };
        if let Some(Value::Text(input)) = self.fields.get_mut(self.focus).map(|field| &mut field.value) {
            input.set(path);
        }
        self.edited(shared)
    }

    /// Puts in what all candidates share; with nothing to add, shows them, or continues when it is complete.
    fn complete(&mut self, candidates: &[String], shared: &Shared) -> Vec<Effect> {
        let text = self.fields[self.focus].text();
        let common = common_prefix(candidates);
        if common.len() > text.len() {
            if let Value::Text(input) = &mut self.fields[self.focus].value {
                input.set(&common);
            }
            let effects = self.edited(shared);
            if candidates.len() > 1 {
                self.candidates = candidates.to_vec();
            }
            return effects;
        }
        if matches!(self.fields[self.focus].data, Some(Ok(_))) || candidates.is_empty() {
            self.go(true);
        } else {
            self.candidates = candidates.to_vec();
        }
        // Looking for paths gave up looking at the data.
        self.check_data().into_iter().collect()
    }

    /// Brings the errors up to date.
    fn check(&mut self, shared: &Shared) {
        let found = self.plan.as_ref().and_then(|plan| fields::missing(&plan.missing));
        let mut first = true;
        let typed = self.typed().job;
        let any_data = self.fields.iter().any(|f| f.role() == Role::Data && !f.text().is_empty());
        for field in &mut self.fields {
            let given_others = || typed.problem(field.look()?.id);
            let problem = fields::problem(field, &self.fresh, shared).or_else(given_others);
            field.error = match field.role() {
                // One task has to be there.
                Role::Data if field.text().is_empty() && (any_data || !first) => None,
                Role::Tasks => problem.or_else(|| found.clone()),
                Role::NewLibrary => problem.or_else(|| self.out.clone()),
                Role::Plain | Role::Plan | Role::Data | Role::NewExpert | Role::Clusters => problem,
            };
            first &= field.role() != Role::Data;
        }
    }

    /// Asks which expert would be trained on what.
    fn ask_plan(&mut self, shared: &Shared) -> Option<Effect> {
        self.fresh.job.clusters()?;
        self.plan = None;
        self.out = None;
        self.planning = None;
        self.check(shared);
        self.show_experts();
        // Without an output folder there is still something to show.
        let wrong = |f: &Field| f.error.is_some() && f.decides_plan() && f.role() != Role::NewLibrary;
        if shared.library.is_none() || self.fields.iter().any(wrong) {
            return None;
        }
        let spec = Box::new(self.job()?.job.clusters()?.clone());
        let ticket = self.tickets.issue();
        self.planning = Some(ticket);
        Some(Effect::Compute(ComputeEffect::PlanClusters { ticket, spec }))
    }

    fn take_plan(&mut self, result: &Result<Arc<ClustersPlan>, String>, shared: &Shared) {
        match result {
            Ok(plan) => self.plan = Some(plan.clone()),
            Err(error) => self.refused = Some(error.clone()),
        }
        self.check(shared);
        self.show_experts();
    }

    /// A row for each expert that would be trained.
    fn show_experts(&mut self) {
        self.fields.retain(|field| !matches!(field.id, Id::Expert(_)));
        if let Some(plan) = &self.plan {
            let job = self.job();
            let training = job.as_ref().and_then(|new| new.job.training());
            let rows = plan.rows.iter().enumerate().map(|(i, row)| {
                let examples = counted(row.examples, "example");
                let steps = training.map(|spec| counted(spec.steps(row.examples), "step"));
                let facts = [Some(examples), steps, Some(row.members.join(", "))];
                let facts: Vec<String> = facts.into_iter().flatten().collect();
                Field::expert(i, &row.name, printable(&facts.join(" · ")).into_owned())
            });
            let rows: Vec<Field> = rows.collect();
            self.fields.extend(rows);
        }
        self.focus = self.focus.min(self.fields.len().saturating_sub(1));
    }

    fn start(&mut self, shared: &Shared) -> Vec<Effect> {
        self.tried = true;
        self.check(shared);
        if self.closed(shared).is_some() {
            return Vec::new();
        }
        if let Some(wrong) = self.fields.iter().position(|f| f.error.is_some()) {
            if self.fields[wrong].more {
                for field in &mut self.fields {
                    if let Value::Fold { open } = &mut field.value {
                        *open = true;
                    }
                }
            }
            self.focus = wrong;
            return Vec::new();
        }
        match self.job() {
            Some(job) => {
                self.waiting = true;
                self.refused = None;
                vec![Effect::Jobs(JobsEffect::Start(job))]
            }
            None => Vec::new(),
        }
    }

    /// How many steps the training will have, when that is known.
    fn steps(&self) -> Option<usize> {
        let NewJob { job, .. } = self.job()?;
        let spec = job.training()?;
        if job.clusters().is_some() {
            return Some(self.plan.as_ref()?.rows.iter().map(|row| spec.steps(row.examples)).sum());
        }
        let known = |f: &Field| f.data.as_ref().and_then(|data| data.as_ref().ok()).map(|data| data.train);
        let tasks = self.fields.iter().filter(|f| f.role() == Role::Data && !f.text().is_empty());
        let sizes: Vec<Option<usize>> = tasks.map(known).collect();
        let all = sizes.iter().copied().sum::<Option<usize>>()?;
        (!sizes.is_empty()).then(|| spec.steps(all))
    }
}

fn common_prefix(texts: &[String]) -> String {
    let Some(first) = texts.first() else { return String::new() };
    let mut end = first.len();
    for text in &texts[1..] {
        let same = first.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        end = end.min(same);
    }
    while !first.is_char_boundary(end) {
        end -= 1;
    }
    first[..end].to_string()
}

#[cfg(test)]
mod tests;
