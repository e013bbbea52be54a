//! The thread that owns the base model: finds it, loads it, routes prompts, generates.
//!
//! Requests never queue up. There is one slot for work, the newest request overwrites it and raises the
//! cancel flag of what runs; loading and fetching are flags. So typing costs one routing at a time, and
//! the answer that arrives last is always to the newest request.

mod backend;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use self::backend::{Backend, ModelBackend};
use crate::catalog::Catalog;
use crate::routing::RouterConfig;
use crate::tui::{EngineEffect, EngineMessage, EngineState, Message, Sender, TuiOptions};
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

/// What the thread is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Loading,
    Fetching,
    Working,
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

    fn ask(&mut self, work: Work) {
        self.work = Some(work);
        self.cancel(|activity| activity == Activity::Working);
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
                pending.cancel(|activity| activity != Activity::Loading);
            }
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
