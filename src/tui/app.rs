//! The whole interface as data: tabs, what they share, and the lines around them.

use std::collections::HashSet;
use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::form::{Form, FormOutcome};
use super::global_keys::{GLOBAL, Global, HELP};
use super::screens::{self, TABS};
use super::{
    AppEffect, ComputeMessage, Effect, EngineMessage, EngineState, JobsMessage, KeyHint, Message, Screen,
    Shared, Tab, Tickets, Wanted,
};
use crate::analysis::Metric;
use crate::jobs::kinds::{AnyReport, Findings, Made, Step};
use crate::jobs::{AnyJob, JobDetail, JobState, JobSummary, NewJob};
use crate::text::{counted, printable};

/// The interface. [`App::update`] changes it, `App::view` draws it; neither waits for anything.
pub struct App {
    pub(super) shared: Shared,
    pub(super) tab: Tab,
    pub(super) screens: Vec<Box<dyn Screen>>,
    /// First line shown of the key help, while it is open.
    pub(super) help: Option<u16>,
    pub(super) notice: Option<Notice>,
    pub(super) form: Option<Form>,
    /// Forms opened so far.
    forms: u32,
    /// Groups of jobs whose end was reported.
    reported: HashSet<String>,
    quit: bool,
}

/// A line above the footer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notice {
    /// Printable.
    pub text: String,
    pub is_error: bool,
    /// What Enter shows, where the line speaks of something.
    pub shows: Vec<AppEffect>,
}

impl Notice {
    /// Whether it speaks of a job that was removed since, or that goes on, itself or as another of its name.
    fn is_past(&self, jobs: &[JobSummary]) -> bool {
        self.shows.iter().any(|shown| {
            let (AppEffect::ShowJob { id } | AppEffect::Open { made: Made::Scores, job: id }) = shown else {
                return false;
            };
            let Some(job) = jobs.iter().find(|job| job.id == *id) else { return true };
            let is_same = |other: &&JobSummary| (other.kind, &other.name) == (job.kind, &job.name);
            let mut same = jobs.iter().filter(is_same);
            same.any(|job| !job.state.is_over())
        })
    }
}

impl App {
    /// An interface before any data, for the library at `root`.
    pub fn new(root: PathBuf, device: String) -> Self {
        Self {
            shared: Shared { root, device, ..Shared::default() },
            tab: TABS[0].tab,
            screens: TABS.iter().map(|spec| (spec.new)()).collect(),
            help: None,
            notice: None,
            form: None,
            forms: 0,
            reported: HashSet::new(),
            quit: false,
        }
    }

    /// What to ask for once the first frame is on the screen.
    pub fn start(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::ReloadLibrary];
        let shown = self.screens[screens::index(self.tab)].on_show(&self.shared);
        effects.extend(self.apply(shown));
        effects
    }

    /// Says what time it is, in seconds since the epoch.
    pub fn set_time(&mut self, now: f64) {
        self.shared.now = now;
    }

    /// Whether the person asked to leave.
    pub fn should_quit(&self) -> bool {
        self.quit
    }

    /// What the tabs share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The visible tab.
    pub fn tab(&self) -> Tab {
        self.tab
    }

    pub(super) fn screen(&self) -> &dyn Screen {
        self.screens[screens::index(self.tab)].as_ref()
    }

    /// Whether the visible part of the interface changes with time, so that ticks are needed.
    pub fn is_animating(&self) -> bool {
        let loading = self.shared.library.is_none() && self.shared.library_error.is_none();
        let engine = matches!(self.shared.engine, EngineState::Fetching { .. } | EngineState::Loading { .. });
        let waiting = self.form.as_ref().is_some_and(Form::is_waiting);
        loading || engine || waiting || self.screen().is_animating(&self.shared)
    }

    /// Whether the visible tab shows the jobs.
    pub fn shows_jobs(&self) -> bool {
        self.screen().watches_jobs()
    }

    /// Whether the jobs on disk should be looked at often.
    pub fn wants_jobs(&self) -> bool {
        self.shows_jobs() || self.live_jobs() > 0
    }

    /// Jobs that are queued, running or being cancelled.
    pub fn live_jobs(&self) -> usize {
        self.shared.live_jobs()
    }

    /// Takes in what happened and says what is to be done outside.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let effects = match &message {
            Message::Key(key) => self.on_key(*key),
            Message::Paste(text) => {
                if let Some(form) = &mut self.form {
                    form.on_paste(text, &self.shared)
                } else if self.help.is_some() {
                    Vec::new()
                } else {
                    self.screens[screens::index(self.tab)].on_paste(text, &self.shared)
                }
            }
            Message::Tick
            | Message::Library(_)
            | Message::Compute(_)
            | Message::Jobs(_)
            | Message::Data(_)
            | Message::Engine(_)
            | Message::Eval(_)
            | Message::Prompts(_)
            | Message::Edited(_)
            | Message::Notice(_)
            | Message::Error(_) => {
                self.absorb(&message);
                let shared = &self.shared;
                let shown = screens::index(self.tab);
                // What a tab that is not shown remarks by itself is of no interest elsewhere, and what speaks of
                // something stays.
                let speaks = self.notice.as_ref().is_some_and(|notice| !notice.shows.is_empty());
                let heard = |at: usize, effect: &Effect| {
                    !matches!(effect, Effect::App(AppEffect::Notice(_))) || (at == shown && !speaks)
                };
                let screens = self.screens.iter_mut().enumerate();
                let mut effects: Vec<Effect> = screens
                    .flat_map(|(at, screen)| {
                        let asked = screen.on_message(&message, shared);
                        asked.into_iter().filter(move |effect| heard(at, effect)).collect::<Vec<_>>()
                    })
                    .collect();
                if let Message::Jobs(JobsMessage::Ended(job)) = &message
                    && findings(job).is_some_and(|found| matches!(found.made, Some(Made::Expert(_))))
                {
                    effects.push(Effect::ReloadLibrary);
                }
                if let Message::Jobs(JobsMessage::Ended(job)) = &message {
                    effects.extend(self.notification(job).map(Effect::Notify));
                }
                if let Some(form) = &mut self.form {
                    let outcome = form.on_message(&message, &self.shared);
                    effects.extend(self.finish_form(outcome));
                }
                effects
            }
        };
        self.apply(effects)
    }

    /// Updates what the tabs share.
    fn absorb(&mut self, message: &Message) {
        match message {
            Message::Tick => self.shared.tick = self.shared.tick.wrapping_add(1),
            Message::Library(Ok(library)) => {
                let known = self.shared.library.as_ref().map(|library| library.warnings.clone());
                if !library.warnings.is_empty() && known.as_ref() != Some(&library.warnings) {
                    self.say(&library.warnings.join("; "), false);
                }
                self.shared.library = Some(library.clone());
                // It can be read again: the error about that no longer applies.
                let over = self.shared.library_error.take();
                let over = over.as_deref().map(printable);
                self.notice.take_if(|notice| Some(notice.text.as_str()) == over.as_deref());
            }
            Message::Library(Err(error)) => {
                self.shared.library_error = Some(error.clone());
                if self.shared.library.is_some() {
                    self.say(error, true);
                }
            }
            Message::Compute(message) => self.absorb_comparison(message),
            Message::Jobs(JobsMessage::List(jobs)) => {
                self.shared.jobs.clone_from(jobs);
                self.notice.take_if(|notice| notice.is_past(jobs));
            }
            Message::Jobs(
                JobsMessage::Detail(_)
                | JobsMessage::Curves(_)
                | JobsMessage::Machine(_)
                | JobsMessage::Started(_),
            ) => {}
            Message::Jobs(JobsMessage::Ended(job)) => self.say_ended(job),
            Message::Engine(message) => {
                if let EngineMessage::State(state) = message {
                    self.shared.engine = state.clone();
                }
            }
            Message::Notice(text) => self.say(text, false),
            Message::Error(text) => self.say(text, true),
            Message::Edited(Err(error)) => self.say(error, true),
            Message::Key(_)
            | Message::Paste(_)
            | Message::Data(_)
            | Message::Eval(_)
            | Message::Prompts(_)
            | Message::Edited(Ok(_)) => {}
        }
    }

    /// Keeps the newest comparison for all tabs.
    fn absorb_comparison(&mut self, message: &ComputeMessage) {
        match message {
            ComputeMessage::Similarity { result: Ok(similarity), .. } => {
                if similarity.metric == Metric::default() {
                    self.shared.set_similarity(similarity);
                }
            }
            ComputeMessage::Clustering { result: Ok((similarity, clustering)), .. } => {
                self.shared.set_similarity(similarity);
                self.shared.clustering = Some(clustering.clone());
            }
            ComputeMessage::Similarity { result: Err(_), .. }
            | ComputeMessage::Clustering { result: Err(_), .. }
            | ComputeMessage::Sample { .. }
            | ComputeMessage::Sweep { .. }
            | ComputeMessage::Pair { .. }
            | ComputeMessage::Progress { .. }
            | ComputeMessage::Profile { .. }
            | ComputeMessage::ClustersPlanned { .. } => {}
        }
    }

    fn say(&mut self, text: &str, is_error: bool) {
        self.notice = Some(Notice { text: printable(text).into_owned(), is_error, shows: Vec::new() });
    }

    /// What is said of a job that has ended to somebody who looks elsewhere; of jobs that were started together once,
    /// when the last has ended.
    fn notification(&mut self, job: &JobDetail) -> Option<String> {
        let Some(group) = &job.summary.group else { return ended_text(job, findings(job).as_ref()) };
        let mut jobs = self.shared.jobs.iter().filter(|other| other.group.as_ref() == Some(group));
        if jobs.clone().any(|other| !other.state.is_over()) {
            self.reported.remove(group);
            return None;
        }
        if !self.reported.insert(group.clone()) {
            return None;
        }
        let failed = jobs.clone().filter(|other| other.state == JobState::Failed).count();
        let all = counted(jobs.by_ref().count(), "job");
        Some(if failed > 0 {
            format!("{all} have ended, {failed} failed")
        } else {
            format!("{all} have ended")
        })
    }

    /// Says what became of a job; nothing where a person ended it.
    fn say_ended(&mut self, job: &JobDetail) {
        let summary = &job.summary;
        let findings = findings(job);
        let Some(text) = ended_text(job, findings.as_ref()) else { return };
        let id = summary.id.clone();
        let shows = vec![match findings.and_then(|found| found.made) {
            Some(made) => AppEffect::Open { made, job: id },
            None => AppEffect::ShowJob { id },
        }];
        self.say(&text, summary.state == JobState::Failed);
        if let Some(notice) = &mut self.notice {
            notice.shows = shows;
        }
    }

    fn on_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let global = GLOBAL.action(key, &(), &self.shared);
        if key.modifiers.contains(KeyModifiers::CONTROL)
            && let Some(global) = global
        {
            return self.act(global, key).unwrap_or_default();
        }
        let free = self.help.is_none() && !self.captures_text();
        match &self.notice {
            Some(notice) if free && !notice.shows.is_empty() && key.code == KeyCode::Enter => {
                let shows = std::mem::take(&mut self.notice).map(|notice| notice.shows).unwrap_or_default();
                return shows.into_iter().map(Effect::App).collect();
            }
            Some(notice) if !notice.is_error => self.notice = None,
            Some(_) if global == Some(Global::Dismiss) => {
                self.notice = None;
                return Vec::new();
            }
            _ => {}
        }
        if let Some(offset) = self.help {
            let motion = HELP.action(key, &(), &self.shared);
            self.help = motion.map(|motion| motion.scroll(offset.into(), u16::MAX.into()) as u16);
            return Vec::new();
        }
        if let Some(form) = &mut self.form {
            let outcome = form.on_key(key, &self.shared);
            return self.finish_form(outcome);
        }
        let capturing = self.screen().captures_text();
        if !capturing && let Some(effects) = global.and_then(|global| self.act(global, key)) {
            return effects;
        }
        let screen = &mut self.screens[screens::index(self.tab)];
        match screen.on_key(key, &self.shared) {
            Some(effects) => effects,
            None if capturing => global.and_then(|global| self.act(global, key)).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// What a key of [`GLOBAL`] does; `None` when it has no use now, so that the screen may have one.
    fn act(&mut self, global: Global, key: KeyEvent) -> Option<Vec<Effect>> {
        let step = |by: usize| TABS[(screens::index(self.tab) + by) % TABS.len()].tab;
        let show = |tab| Some(vec![Effect::App(AppEffect::Show(tab))]);
        match global {
            Global::ShowTab => {
                let number = key.code.as_char().and_then(|c| c.to_digit(10))? as usize;
                show(TABS.get(number.checked_sub(1)?)?.tab)
            }
            Global::NextTab => show(step(1)),
            Global::PreviousTab => show(step(TABS.len() - 1)),
            // Errors are dismissed before the key comes here; what else is open knows how to close.
            Global::Dismiss => None,
            Global::Help => {
                self.help = Some(0);
                Some(Vec::new())
            }
            Global::Redraw => Some(vec![Effect::Redraw]),
            Global::Suspend => Some(vec![Effect::Suspend]),
            Global::Quit => Some(vec![Effect::App(AppEffect::Quit)]),
        }
    }

    fn finish_form(&mut self, outcome: FormOutcome) -> Vec<Effect> {
        match outcome {
            FormOutcome::Open(effects) => effects,
            FormOutcome::Closed => {
                self.form = None;
                Vec::new()
            }
            FormOutcome::Started => {
                let form = self.form.take();
                match form.is_some_and(|form| self.screen().follows(form.kind())) {
                    true => Vec::new(),
                    false => vec![Effect::App(AppEffect::Show(screens::jobs::TAB))],
                }
            }
        }
    }

    /// Whether typed characters are text now.
    pub(super) fn captures_text(&self) -> bool {
        self.form.is_some() || self.screen().captures_text()
    }

    /// The keys of what has the focus.
    pub(super) fn hints(&self) -> Vec<KeyHint> {
        match &self.form {
            Some(form) => form.hints(&self.shared),
            None => self.screen().hints(&self.shared),
        }
    }

    /// Shows something in a tab.
    fn lead_to(&mut self, tab: Tab, wanted: Wanted) -> Vec<Effect> {
        self.tab = tab;
        self.shared.wanted = Some(wanted);
        let asked = self.screens[screens::index(tab)].on_show(&self.shared);
        self.shared.wanted = None;
        asked
    }

    /// Does what was chosen to follow a job.
    fn follow(&mut self, step: Step, job: String) -> Vec<Effect> {
        match step {
            Step::Open(made) => vec![Effect::App(AppEffect::Open { made, job })],
            Step::Compare(expert) => self.lead_to(screens::similarity::TAB, Wanted::Compared(expert)),
            Step::Route(expert) => {
                self.shared.selected = Some(expert);
                vec![Effect::App(AppEffect::Show(screens::routing::TAB))]
            }
            Step::Start(spec) => match AnyJob::read(spec.to_string().as_bytes()) {
                Ok(like) => {
                    // It takes what the other one took.
                    let one = self.shared.jobs.iter().find(|one| one.id == job);
                    let share = one.map(|one| one.share).unwrap_or_default();
                    self.forms = self.forms.wrapping_add(1);
                    let (form, asked) =
                        Form::of(NewJob { job: like, share }, Tickets::of_form(self.forms), &self.shared);
                    self.form = Some(form);
                    asked
                }
                Err(error) => vec![Effect::App(AppEffect::Error(format!("the job {error}")))],
            },
        }
    }

    /// Leaves the library for another one; what to ask for then.
    pub fn reopen(&mut self, root: PathBuf) -> Vec<Effect> {
        let now = self.shared.now;
        *self = Self::new(root, std::mem::take(&mut self.shared.device));
        self.set_time(now);
        self.start()
    }

    /// Carries out the effects that concern the interface itself and returns the others.
    pub(super) fn apply(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut outside = Vec::new();
        let mut queue: std::collections::VecDeque<Effect> = effects.into();
        while let Some(effect) = queue.pop_front() {
            let effect = match effect {
                Effect::App(effect) => effect,
                Effect::Notify(_)
                | Effect::Suspend
                | Effect::Redraw
                | Effect::ReloadLibrary
                | Effect::OpenLibrary(_)
                | Effect::Edit(_)
                | Effect::Prompts(_)
                | Effect::Data(_)
                | Effect::Compute(_)
                | Effect::Engine(_)
                | Effect::Jobs(_)
                | Effect::Eval(_) => {
                    outside.push(effect);
                    continue;
                }
            };
            match effect {
                AppEffect::Quit => self.quit = true,
                AppEffect::Show(tab) => {
                    if tab != self.tab {
                        self.tab = tab;
                        queue.extend(self.screens[screens::index(tab)].on_show(&self.shared));
                    }
                }
                AppEffect::OpenForm(kind) => {
                    self.forms = self.forms.wrapping_add(1);
                    let (form, asked) = Form::open(kind, Tickets::of_form(self.forms), &self.shared);
                    self.form = Some(form);
                    queue.extend(asked);
                }
                AppEffect::Follow { step, job } => queue.extend(self.follow(step, job)),
                AppEffect::Select { expert } => self.shared.selected = Some(expert),
                AppEffect::ShowJob { id } => {
                    queue.extend(self.lead_to(screens::jobs::TAB, Wanted::Job(id)));
                }
                AppEffect::Lead { tab, wanted } => queue.extend(self.lead_to(tab, wanted)),
                AppEffect::Open { made: Made::Expert(expert), .. } => {
                    self.shared.selected = Some(expert);
                    // Also where that is the visible tab: the cursor is to move.
                    self.tab = screens::library::TAB;
                    queue.extend(self.screens[screens::index(self.tab)].on_show(&self.shared));
                }
                AppEffect::Open { made: Made::Clusters { k, seed, sparsity }, .. } => {
                    let wanted = Wanted::Clusters { k, seed, sparsity };
                    queue.extend(self.lead_to(screens::clusters::TAB, wanted));
                }
                AppEffect::Open { made: Made::Library(root), .. } => outside.push(Effect::OpenLibrary(root)),
                AppEffect::Open { made: Made::Scores, job } => {
                    queue.extend(self.lead_to(screens::eval::TAB, Wanted::Evaluation(job)));
                }
                AppEffect::Notice(text) => self.say(&text, false),
                AppEffect::Error(text) => self.say(&text, true),
            }
        }
        outside
    }
}

/// What became of a job, in a line; nothing where a person ended it.
fn ended_text(job: &JobDetail, findings: Option<&Findings>) -> Option<String> {
    let summary = &job.summary;
    let name = format!("{} {}", summary.kind_name(), summary.name);
    match (summary.state, findings.map(|found| found.headline.as_str())) {
        (JobState::Finished, Some(headline)) if !headline.is_empty() => Some(headline.to_string()),
        (JobState::Finished, _) => Some(format!("{name} has finished")),
        (JobState::Failed, _) => {
            let why = summary.error.as_ref().map(|error| format!(": {error}"));
            Some(format!("{name} has failed{}", why.unwrap_or_default()))
        }
        (JobState::Queued | JobState::Running | JobState::Cancelling | JobState::Cancelled, _) => None,
    }
}

/// What a job found out, if it is finished.
fn findings(job: &JobDetail) -> Option<Findings> {
    job.outcome.as_ref()?.as_ref().ok().map(AnyReport::findings)
}
