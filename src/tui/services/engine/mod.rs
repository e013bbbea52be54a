//! The thread that owns the base model: finds it, loads it, routes prompts, generates.
//!
//! Requests never queue up. There is one slot for work, the newest request overwrites it and raises the
//! cancel flag of what runs; loading and fetching are flags. So typing costs one routing at a time, and
//! the answer that arrives last is always to the newest request.
//!
//! Studies, which take longer, are done in parts while there is no work: work interrupts a part, which is begun again
//! afterwards.

mod backend;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use self::backend::{Backend, ModelBackend};
use crate::catalog::Catalog;
use crate::routing::RouterConfig;
use crate::tui::{EngineEffect, EngineMessage, EngineState, Message, Sender, Study, TuiOptions};
use crate::{Cancel, Error};

/// Handle to the engine; dropping it stops the thread.
#[derive(Debug)]
pub struct Engine {
    mailbox: Arc<Mailbox>,
}

/// A prompt to route, or to continue.
#[derive(Clone, Debug, PartialEq)]
struct Work {
    ticket: u64,
    prompt: String,
    raw: bool,
    router: RouterConfig,
    /// Continue the prompt by so many tokens; only route it for `None`.
    max_tokens: Option<usize>,
}

/// A study that is not finished.
#[derive(Clone, Debug, PartialEq)]
struct Studying {
    ticket: u64,
    study: Study,
    /// Parts of it that are done.
    done: usize,
}

impl Studying {
    /// How many parts it has.
    fn parts(&self) -> usize {
        match &self.study {
            Study::Compare { routers, .. } => routers.len(),
            Study::Attribute { .. } | Study::Explain { .. } | Study::Cost { .. } => 1,
        }
    }

    /// What takes longest comes last.
    fn rank(&self) -> usize {
        match &self.study {
            Study::Explain { .. } => 0,
            Study::Compare { .. } => 1,
            Study::Cost { .. } => 2,
            Study::Attribute { .. } => 3,
        }
    }
}

/// What the thread is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Loading,
    Fetching,
    Working,
    Studying,
}

/// What is asked of the thread. Everything newer overwrites what is older.
#[derive(Debug, Default)]
struct Pending {
    library: Option<Arc<Catalog>>,
    /// The library was read again since it was last taken.
    library_changed: bool,
    load: bool,
    fetch: bool,
    work: Option<Work>,
    /// What is found out while there is no work.
    studies: Vec<Studying>,
    quit: bool,
    running: Option<(Activity, Cancel)>,
}

#[derive(Debug, Default)]
struct Mailbox {
    pending: Mutex<Pending>,
    changed: Condvar,
}

impl Mailbox {
    /// A panic of the thread is caught before it can leave the pending half-changed, so poison means nothing.
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Pending)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }
}

impl Pending {
    fn cancel(&self, which: impl Fn(Activity) -> bool) {
        if let Some((activity, cancel)) = &self.running
            && which(*activity)
        {
            cancel.cancel();
        }
    }

    fn is_running(&self, activity: Activity) -> bool {
        self.running.as_ref().is_some_and(|(running, _)| *running == activity)
    }

    /// Takes work, for which a study makes way.
    fn ask(&mut self, work: Work) {
        self.work = Some(work);
        self.cancel(|activity| matches!(activity, Activity::Working | Activity::Studying));
    }

    /// Takes a study in place of an older one of its kind.
    fn begin(&mut self, ticket: u64, study: Study) {
        let kind = std::mem::discriminant(&study);
        self.studies.retain(|other| std::mem::discriminant(&other.study) != kind);
        self.cancel(|activity| activity == Activity::Studying);
        self.studies.push(Studying { ticket, study, done: 0 });
        self.studies.sort_by_key(Studying::rank);
    }

    /// Another part of a study is done.
    fn advance(&mut self, ticket: u64) {
        self.studies.retain_mut(|studying| {
            studying.done += usize::from(studying.ticket == ticket);
            studying.done < studying.parts()
        });
    }

    fn end_studies(&mut self) {
        self.studies.clear();
        self.cancel(|activity| activity == Activity::Studying);
    }
}

impl Engine {
    /// Starts an engine that has loaded nothing yet and answers to `send`.
    pub fn start(options: &TuiOptions, send: Sender) -> Self {
        Self::start_with(ModelBackend::new(options), send)
    }

    fn start_with(backend: impl Backend, send: Sender) -> Self {
        let mailbox = Arc::new(Mailbox::default());
        let (theirs, answers) = (mailbox.clone(), send.clone());
        let spawned = std::thread::Builder::new().name("engine".into()).spawn(move || {
            crate::threads::compute_here();
            worker::Worker::new(backend, &theirs, answers).run();
        });
        if let Err(error) = spawned {
            let error = format!("the model's thread cannot be started: {error}");
            send.send(Message::Engine(EngineMessage::State(EngineState::Failed { error })));
        }
        Self { mailbox }
    }

    /// The library as it is now; called before the first effect and whenever it was read again.
    pub fn set_library(&self, library: Arc<Catalog>) {
        self.mailbox.change(|pending| {
            pending.library = Some(library);
            pending.library_changed = true;
        });
    }

    /// Takes an effect; returns at once.
    pub fn handle(&self, effect: EngineEffect) {
        self.mailbox.change(|pending| match effect {
            EngineEffect::Load => pending.load |= !pending.is_running(Activity::Loading),
            EngineEffect::FetchBase => pending.fetch |= !pending.is_running(Activity::Fetching),
            EngineEffect::Route { ticket, prompt, raw, router } => {
                pending.ask(Work { ticket, prompt, raw, router, max_tokens: None });
            }
            EngineEffect::Generate { ticket, prompt, raw, router, max_tokens } => {
                pending.ask(Work { ticket, prompt, raw, router, max_tokens: Some(max_tokens) });
            }
            EngineEffect::Stop => {
                pending.work = None;
                // Loading continues: nothing could be shown without it.
                pending.cancel(|activity| matches!(activity, Activity::Working | Activity::Fetching));
            }
            EngineEffect::Study { ticket, study } => pending.begin(ticket, study),
            EngineEffect::EndStudies => pending.end_studies(),
        });
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.mailbox.change(|pending| {
            pending.quit = true;
            pending.cancel(|_| true);
        });
    }
}

/// One line about an error.
fn line(error: &Error) -> String {
    error.to_string()
}
