//! The loop of the engine's thread.

use std::any::Any;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::backend::{Backend, RoutedModel};
use super::{Activity, Mailbox, Pending, Studying, Work, line};
use crate::catalog::Catalog;
use crate::eval::has_own_data;
use crate::library::{BaseLocation, FetchPhase, Library};
use crate::routing::{Preparing, RouterConfig, Trace};
use crate::tui::examples;
use crate::tui::{EngineMessage, EngineState, FetchError, Message, Sender, Study};
use crate::{Cancel, Error, Result};

/// Progress of a download is reported at most this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// The first stage of loading: reading a large file for its digest takes a while.
const LOOKING: &str = "looking for the base model";

/// What to do next.
enum Step {
    Load(Arc<Catalog>),
    Fetch(Arc<Catalog>),
    Work(Work),
    Study(Studying),
    /// A model was asked for, but no library was read yet.
    NoLibrary,
    Quit,
}

/// What a session was opened over: another one is opened when this changes.
type Contents = Vec<(String, u64, Option<SystemTime>)>;

/// The thread's own state.
pub struct Worker<'a, B: Backend> {
    backend: B,
    mailbox: &'a Mailbox,
    send: Sender,
    session: Option<B::Session>,
    /// The model of the session.
    base: PathBuf,
    /// The router that the session has now.
    router: Option<RouterConfig>,
    contents: Contents,
}

impl<'a, B: Backend> Worker<'a, B> {
    /// A worker without a model.
    pub fn new(backend: B, mailbox: &'a Mailbox, send: Sender) -> Self {
        Self {
            backend,
            mailbox,
            send,
            session: None,
            base: PathBuf::new(),
            router: None,
            contents: Contents::new(),
        }
    }

    /// Works until the engine is dropped.
    pub fn run(mut self) {
        loop {
            let (step, cancel) = self.next();
            let ticket = match &step {
                Step::Work(work) => Some(work.ticket),
                Step::Study(studying) => Some(studying.ticket),
                Step::Load(_) | Step::Fetch(_) | Step::NoLibrary | Step::Quit => None,
            };
            let outcome = catch_unwind(AssertUnwindSafe(|| match step {
                Step::Quit => ControlFlow::Break(()),
                Step::NoLibrary => {
                    self.fail("the library has not been read yet: try again in a moment".into());
                    ControlFlow::Continue(())
                }
                Step::Load(library) => {
                    self.load(&library, &cancel);
                    ControlFlow::Continue(())
                }
                Step::Fetch(library) => {
                    self.fetch(&library, &cancel);
                    ControlFlow::Continue(())
                }
                Step::Work(work) => {
                    self.work(&work, &cancel);
                    ControlFlow::Continue(())
                }
                Step::Study(studying) => {
                    self.study(&studying, &cancel);
                    ControlFlow::Continue(())
                }
            }));
            self.mailbox.lock().running = None;
            match outcome {
                Ok(ControlFlow::Break(())) => return,
                Ok(ControlFlow::Continue(())) => {}
                Err(panic) => self.recover(&*panic, ticket),
            }
        }
    }

    /// Waits for something to do and marks it as running.
    fn next(&mut self) -> (Step, Cancel) {
        let mut pending = self.mailbox.lock();
        loop {
            if let Some(step) = self.choose(&mut pending) {
                let cancel = Cancel::new();
                let activity = match step {
                    Step::Work(_) => Activity::Working,
                    Step::Study(_) => Activity::Studying,
                    Step::Fetch(_) => Activity::Fetching,
                    Step::Load(_) | Step::NoLibrary | Step::Quit => Activity::Loading,
                };
                pending.running = Some((activity, cancel.clone()));
                return (step, cancel);
            }
            pending = self.mailbox.changed.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn choose(&self, pending: &mut Pending) -> Option<Step> {
        if pending.quit {
            return Some(Step::Quit);
        }
        let asked = pending.load || pending.fetch;
        let Some(library) = pending.library.clone() else {
            pending.load = false;
            pending.fetch = false;
            return asked.then_some(Step::NoLibrary);
        };
        if std::mem::take(&mut pending.fetch) {
            pending.load = false;
            pending.library_changed = false;
            return Some(Step::Fetch(library));
        }
        let reread = std::mem::take(&mut pending.library_changed);
        let reopen = reread && self.session.is_some() && contents(&library) != self.contents;
        if std::mem::take(&mut pending.load) || reopen {
            return Some(Step::Load(library));
        }
        // Without a session, work waits for one: it is what to show as soon as the model is there.
        self.session.as_ref()?;
        let work = pending.work.take().map(Step::Work);
        work.or_else(|| pending.studies.first().cloned().map(Step::Study))
    }

    fn report(&self, message: EngineMessage) {
        self.send.send(Message::Engine(message));
    }

    fn state(&self, state: EngineState) {
        self.report(EngineMessage::State(state));
    }

    fn fail(&self, error: String) {
        self.state(EngineState::Failed { error });
    }

    fn load(&mut self, catalog: &Catalog, cancel: &Cancel) {
        self.state(EngineState::Loading { stage: LOOKING.into() });
        match self.backend.locate(catalog) {
            Ok(BaseLocation::Found { path, .. }) => self.open(catalog, path, cancel),
            Ok(BaseLocation::Missing { label, .. }) => {
                self.session = None;
                self.state(EngineState::Missing { what: label, error: None });
            }
            Err(error) => {
                self.session = None;
                self.fail(line(&error));
            }
        }
    }

    /// Opens a session, or brings the present one up to date when only the experts changed.
    fn open(&mut self, library: &Library, base: PathBuf, cancel: &Cancel) {
        self.router = None;
        self.contents = contents(library);
        // What was asked about other experts is asked anew, if it is still wanted.
        self.mailbox.lock().studies.clear();
        let send = self.send.clone();
        let mut stage = |stage: &str| {
            let state = EngineState::Loading { stage: stage.to_string() };
            send.send(Message::Engine(EngineMessage::State(state)));
        };
        let opened = match self.session.take().filter(|_| self.base == base) {
            Some(mut session) => {
                stage("reading the experts again");
                session.reload(library, cancel).map(|()| session)
            }
            None => self.backend.open(library, &base, &mut stage, cancel),
        };
        self.base = base;
        match opened {
            Ok(session) => {
                let (label, skipped) = (session.label(), session.skipped());
                self.session = Some(session);
                let (prompts, has_data) = (examples::of_tasks(library), has_own_data(library));
                self.report(EngineMessage::Examples { prompts, has_data });
                self.state(EngineState::Ready { label, skipped });
            }
            Err(Error::Cancelled) => self.state(EngineState::Unloaded),
            Err(error) => self.fail(line(&error)),
        }
        // What an earlier reading took is free now.
        crate::threads::give_back_freed_memory();
    }

    fn fetch(&mut self, catalog: &Catalog, cancel: &Cancel) {
        self.state(EngineState::Loading { stage: LOOKING.into() });
        let label = match self.backend.locate(catalog) {
            Ok(BaseLocation::Missing { label, .. }) => label,
            Ok(BaseLocation::Found { path, .. }) => return self.open(catalog, path, cancel),
            Err(error) => return self.fail(line(&error)),
        };
        match self.download(catalog, cancel) {
            Ok(path) => {
                // From here on, Esc no longer stops: it is a load.
                let cancel = Cancel::new();
                self.mailbox.lock().running = Some((Activity::Loading, cancel.clone()));
                self.open(catalog, path, &cancel);
            }
            Err(error) => {
                let error = match error {
                    Error::Cancelled => FetchError::Stopped,
                    Error::NoSource(failure) => FetchError::NoSource(*failure),
                    Error::Io { .. }
                    | Error::File { .. }
                    | Error::NotFinite { .. }
                    | Error::Expert { .. }
                    | Error::Usage(_)
                    | Error::Message(_)
                    | Error::OutOfMemory => FetchError::Other(line(&error)),
                };
                self.state(EngineState::Missing { what: label, error: Some(error) });
            }
        }
    }

    fn download(&mut self, catalog: &Catalog, cancel: &Cancel) -> Result<PathBuf> {
        let send = self.send.clone();
        let mut last: Option<(Instant, String, FetchPhase)> = None;
        self.backend.fetch(
            catalog,
            &mut |progress| {
                let news = last.as_ref().is_none_or(|(at, source, phase)| {
                    at.elapsed() >= PROGRESS_EVERY || *source != progress.source || *phase != progress.phase
                });
                if news {
                    last = Some((Instant::now(), progress.source.clone(), progress.phase));
                    send.send(Message::Engine(EngineMessage::State(EngineState::Fetching(progress))));
                }
            },
            cancel,
        )
    }

    /// Gives the session a router, unless it has it.
    fn set_router(&mut self, ticket: u64, router: &RouterConfig, cancel: &Cancel) -> Result<()> {
        if self.router.as_ref() == Some(router) {
            return Ok(());
        }
        self.router = None;
        let (Some(session), send) = (&mut self.session, &self.send) else { return Ok(()) };
        let mut calibrating =
            |step: Preparing| send.send(Message::Engine(EngineMessage::Calibrating { ticket, step }));
        session.set_router(router.clone(), &mut calibrating, cancel)?;
        self.router = Some(router.clone());
        Ok(())
    }

    /// Does the next part of a study.
    fn study(&mut self, studying: &Studying, cancel: &Cancel) {
        let (ticket, at) = (studying.ticket, studying.done);
        let failure = |error: Error| match &studying.study {
            Study::Compare { .. } => EngineMessage::Compared { ticket, at, result: Err(line(&error)) },
            Study::Attribute { .. } => EngineMessage::Attributed { ticket, result: Err(line(&error)) },
            Study::Explain { .. } => EngineMessage::Explained { ticket, result: Err(line(&error)) },
            Study::Cost { .. } => EngineMessage::Costed { ticket, result: Err(line(&error)) },
        };
        match self.find_out(studying, cancel) {
            // Whoever raised the flag ended the study, or it continues after the work that came between.
            Err(Error::Cancelled) => return,
            Ok(()) => {}
            Err(error) => self.report(failure(error)),
        }
        self.mailbox.lock().advance(ticket);
    }

    fn find_out(&mut self, studying: &Studying, cancel: &Cancel) -> Result<()> {
        let (ticket, at) = (studying.ticket, studying.done);
        let router = match &studying.study {
            Study::Compare { routers, .. } => routers.get(at),
            Study::Attribute { router, .. } | Study::Explain { router, .. } | Study::Cost { router, .. } => {
                Some(router)
            }
        };
        let Some(router) = router else { return Ok(()) };
        self.set_router(ticket, router, cancel)?;
        let Some(session) = &mut self.session else { return Ok(()) };
        let report = |message| self.send.send(Message::Engine(message));
        match &studying.study {
            Study::Compare { prompt, raw, reference, max_tokens, .. } => {
                let found = session.compare(prompt, *raw, reference, cancel)?;
                report(EngineMessage::Compared { ticket, at, result: Ok(Arc::new(found)) });
                let mut on_token = |_: &Trace, text: &str| {
                    report(EngineMessage::ComparedText { ticket, at, text: text.into(), done: false });
                    if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let text =
                    session.generate(prompt, *raw, *max_tokens, &mut |_, _| {}, cancel, &mut on_token)?;
                cancel.check()?;
                report(EngineMessage::ComparedText { ticket, at, text, done: true });
            }
            Study::Attribute { prompt, raw, answer, most, .. } => {
                let found = session.attribute(prompt, *raw, answer, *most, cancel)?;
                report(EngineMessage::Attributed { ticket, result: Ok(Arc::new(found)) });
            }
            Study::Explain { prompt, token, most, .. } => {
                let found = session.explain(prompt, *token, *most, cancel)?;
                report(EngineMessage::Explained { ticket, result: Ok(Arc::new(found)) });
            }
            Study::Cost { prompt, raw, .. } => {
                // Meanwhile the session has another router, and keeps it where this ends early.
                self.router = None;
                let found = session.cost(prompt, *raw, cancel)?;
                report(EngineMessage::Costed { ticket, result: Ok(found) });
            }
        }
        Ok(())
    }

    fn work(&mut self, work: &Work, cancel: &Cancel) {
        let ticket = work.ticket;
        match self.answer(work, cancel) {
            // Whoever raised the flag no longer wants an answer.
            Ok(()) | Err(Error::Cancelled) => {}
            Err(error) => {
                let (line, blamed) = (line(&error), error.blamed().map(String::from));
                self.report(EngineMessage::Failed { ticket, error: line, blamed });
            }
        }
    }

    fn answer(&mut self, work: &Work, cancel: &Cancel) -> Result<()> {
        self.set_router(work.ticket, &work.router, cancel)?;
        let Some(session) = &mut self.session else { return Ok(()) };
        let ticket = work.ticket;
        let report = |message| self.send.send(Message::Engine(message));
        // When the prompt was done, which is what the time of the answer's tokens counts from.
        let begun = Cell::new(Instant::now());
        let milliseconds = || begun.get().elapsed().as_secs_f64() * 1e3;
        let mut progress = |done: usize, total: usize| {
            if work.max_tokens.is_some() {
                begun.set(Instant::now());
            }
            report(EngineMessage::Progress { ticket, done, total });
        };
        let Some(max_tokens) = work.max_tokens else {
            let trace = Arc::new(session.route(&work.prompt, work.raw, &mut progress, cancel)?);
            cancel.check()?;
            let milliseconds = milliseconds();
            report(EngineMessage::Trace { ticket, trace, generating: false, milliseconds });
            return Ok(());
        };
        let mut newest: (Option<Arc<Trace>>, String) = (None, String::new());
        let mut on_token = |trace: &Trace, text: &str| {
            let trace = Arc::new(trace.clone());
            newest = (Some(trace.clone()), text.to_string());
            let milliseconds = milliseconds();
            report(EngineMessage::Trace { ticket, trace, generating: true, milliseconds });
            report(EngineMessage::Text { ticket, text: text.to_string(), done: false });
            if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let result =
            session.generate(&work.prompt, work.raw, max_tokens, &mut progress, cancel, &mut on_token);
        let (trace, written) = newest;
        let (text, failure) = match result {
            Ok(text) => (text, None),
            // What was written before a stop stays.
            Err(Error::Cancelled) => (written, None),
            Err(error) => (written, Some(error)),
        };
        report(EngineMessage::Text { ticket, text, done: true });
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some(trace) = trace {
            let milliseconds = milliseconds();
            report(EngineMessage::Trace { ticket, trace, generating: false, milliseconds });
        }
        Ok(())
    }

    /// After a panic nothing of the session can be trusted.
    fn recover(&mut self, panic: &(dyn Any + Send), ticket: Option<u64>) {
        let text = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown reason".into());
        self.session = None;
        self.router = None;
        {
            let mut pending = self.mailbox.lock();
            pending.work = None;
            pending.studies.clear();
        }
        let error = format!("the model stopped because of a bug: {text}");
        if let Some(ticket) = ticket {
            self.report(EngineMessage::Failed { ticket, error: error.clone(), blamed: None });
        }
        self.fail(error);
    }
}

/// What identifies the usable experts of a library: a reload that changes none of it keeps the session.
fn contents(library: &Library) -> Contents {
    library.usable().map(|e| (e.name.clone(), e.bytes, e.modified)).collect()
}
