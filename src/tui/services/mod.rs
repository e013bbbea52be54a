//! Carries effects out on other threads and answers with messages.

mod compute;
mod data;
mod engine;
mod evaluations;
mod latest_task;
mod prompts;
mod tasks;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::compute::Compute;
use self::engine::Engine;
use self::evaluations::Evaluations;
use self::latest_task::LatestTask;
use self::watch::{Watch, WatchCommand};
use super::{
    DataEffect, DataMessage, Effect, JobsEffect, JobsMessage, Message, PromptsEffect, Sender, TuiOptions,
};
use crate::catalog::{Catalog, Source};
use crate::jobs::{Jobs, NewJob};
use crate::library::Library;
use crate::text::counted;
use crate::{Error, Result};

/// Where stderr goes while the screen is ours; `None` when there is no place for it.
pub fn log_path(library: &Path) -> Option<PathBuf> {
    Some(crate::library::state_dir(library).ok()?.join("stderr.log"))
}

/// What became of several jobs, where that is not what was asked for.
fn all_done(results: Vec<(String, Result<()>)>, done: &str) -> Result<()> {
    let all = results.len();
    let mut failed: Vec<Error> = results.into_iter().filter_map(|(_, done)| done.err()).collect();
    match (failed.len(), all) {
        (0, _) => Ok(()),
        (1, 1) => failed.pop().map_or(Ok(()), Err),
        (some, _) => {
            let one = failed.first().map_or(String::new(), ToString::to_string);
            Err(Error::msg(format!("{some} of {} were not {done}, such as: {one}", counted(all, "job"))))
        }
    }
}

/// Reads the library.
fn read(source: &Arc<Source>) -> Result<Arc<Catalog>, String> {
    Catalog::look(source).map(Arc::new).map_err(|error| error.to_string())
}

/// Everything that runs outside the interface.
pub struct Services {
    source: Arc<Source>,
    send: Sender,
    engine: Engine,
    compute: Compute,
    watch: Watch,
    jobs: Option<Jobs>,
    evaluations: Evaluations,
    reload: LatestTask,
    data: LatestTask,
    closely: (bool, bool),
}

impl Services {
    /// Nothing runs yet; answers go to `send`.
    pub fn new(root: PathBuf, options: TuiOptions, send: Sender) -> Self {
        let engine = Engine::start(&options, send.clone());
        let source = Arc::new(Source { root, base: options.base });
        Self {
            engine,
            compute: Compute::new(send.clone()),
            watch: Watch::start(source.clone(), send.clone()),
            jobs: None,
            evaluations: Evaluations::new(send.clone()),
            reload: LatestTask::new("library"),
            data: LatestTask::new("data"),
            closely: (false, false),
            source,
            send,
        }
    }

    /// Takes a new reading of the library, so that what follows works on it.
    pub fn library_read(&mut self, library: &Arc<Catalog>) {
        self.engine.set_library(library.clone());
        self.compute.set_library(library.clone());
        if self.jobs.is_none() {
            match Jobs::open(library) {
                Ok(jobs) => {
                    self.jobs = Some(jobs.clone());
                    self.evaluations.set_jobs(jobs.clone());
                    self.watch.order(WatchCommand::Jobs(jobs));
                }
                Err(error) => self.send.send(Message::Error(error.to_string())),
            }
        }
    }

    /// Whether the jobs are shown, and the machine with them; and whether they are shown or one is alive, so that they
    /// are read twice a second.
    pub fn watch_jobs_closely(&mut self, shown: bool, closely: bool) {
        if self.closely != (shown, closely) {
            self.closely = (shown, closely);
            self.watch.order(WatchCommand::Closely { shown, closely });
        }
    }

    /// Begins an effect; returns at once.
    pub fn run(&mut self, effect: Effect) {
        match effect {
            Effect::ReloadLibrary => self.reload_library(),
            Effect::Data(effect) => self.look_at_data(effect),
            Effect::Compute(effect) => self.compute.run(effect),
            Effect::Engine(effect) => self.engine.handle(effect),
            Effect::Jobs(effect) => self.change_jobs(effect),
            Effect::Eval(effect) => self.evaluations.run(effect),
            Effect::Prompts(effect) => self.prompts(effect),
            // The application and the event loop have taken these.
            Effect::App(_)
            | Effect::Notify(_)
            | Effect::Suspend
            | Effect::Redraw
            | Effect::OpenLibrary(_)
            | Effect::Edit(_) => {}
        }
    }

    /// Reads the prompts that were tried, or keeps one more. Without a home directory there are none.
    fn prompts(&self, effect: PromptsEffect) {
        let Some(path) = prompts::place() else { return };
        let send = self.send.clone();
        latest_task::spawn("prompts", self.send.clone(), move || {
            let found = match effect {
                PromptsEffect::Read => prompts::read(&path),
                PromptsEffect::Remember(prompt) => prompts::remember(&path, &prompt),
                PromptsEffect::Favour { prompt, favourite } => prompts::favour(&path, &prompt, favourite),
            };
            send.send(match found {
                Ok(prompts) => Message::Prompts(prompts),
                Err(error) => Message::Notice(error.to_string()),
            });
        });
    }

    fn look_at_data(&mut self, effect: DataEffect) {
        let send = self.send.clone();
        match effect {
            DataEffect::Check { path } => {
                self.data.run(self.send.clone(), move |cancel| data::check(path, &send, cancel));
            }
            DataEffect::Complete { text, yaml } => self.data.run(self.send.clone(), move |_| {
                let candidates = data::complete(&text, yaml);
                send.send(DataMessage::Completed { text, candidates });
            }),
            DataEffect::Tasks => {
                let library = self.source.root.clone();
                self.data.run(self.send.clone(), move |cancel| {
                    let found = tasks::known(Some(&library), cancel);
                    if !cancel.is_cancelled() {
                        send.send(DataMessage::Tasks(found));
                    }
                });
            }
        }
    }

    fn change_jobs(&self, effect: JobsEffect) {
        match effect {
            JobsEffect::Start(NewJob { job, share }) => self.with_jobs(
                move |jobs| {
                    let started = jobs.clone().with_share(share).start(&job);
                    Some(JobsMessage::Started(started.map_err(|error| error.to_string())).into())
                },
                |error| JobsMessage::Started(Err(error)).into(),
            ),
            JobsEffect::Cancel { id } => self.with_jobs(
                move |jobs| jobs.cancel(&id).err().map(|error| Message::Error(error.to_string())),
                Message::Error,
            ),
            JobsEffect::Resume { id } => self.with_jobs(
                move |jobs| jobs.resume(&id).err().map(|error| Message::Error(error.to_string())),
                Message::Error,
            ),
            JobsEffect::CancelMany { ids } => self.change(move |jobs| jobs.cancel_many(&ids)),
            JobsEffect::ResumeMany { ids } => {
                self.change(move |jobs| all_done(jobs.resume_many(&ids, false)?, "resumed"))
            }
            JobsEffect::Remove { ids } => {
                self.change(move |jobs| all_done(jobs.remove_many(&ids)?, "removed"))
            }
            JobsEffect::Hold { ids, held } => self
                .change(move |jobs| all_done(jobs.hold(&ids, held)?, if held { "held" } else { "released" })),
            JobsEffect::Reorder { id, to } => self.change(move |jobs| jobs.reorder(&id, to)),
            JobsEffect::Curves { ids } => self.watch.order(WatchCommand::Curves(ids)),
            JobsEffect::Watch { id } => self.watch.order(WatchCommand::Follow(id)),
        }
    }

    /// Changes jobs; what stands in the way is shown.
    fn change(&self, work: impl FnOnce(&Jobs) -> Result<()> + Send + 'static) {
        self.with_jobs(
            move |jobs| work(jobs).err().map(|error| Message::Error(error.to_string())),
            Message::Error,
        );
    }

    fn reload_library(&mut self) {
        let source = self.source.clone();
        let (send, watch) = (self.send.clone(), self.watch.handle());
        self.reload.run(self.send.clone(), move |cancel| {
            // Before the reading, so that what changes meanwhile is noticed later.
            let fingerprint = Library::fingerprint(&source.root);
            let result = read(&source);
            if !cancel.is_cancelled() {
                watch.order(WatchCommand::Library(fingerprint));
                send.send(Message::Library(result));
            }
        });
    }

    /// Runs something short on the jobs' directory, off this thread; then has the jobs looked at.
    fn with_jobs(
        &self,
        work: impl FnOnce(&Jobs) -> Option<Message> + Send + 'static,
        refuse: impl FnOnce(String) -> Message,
    ) {
        let Some(jobs) = self.jobs.clone() else {
            self.send.send(refuse("the library is not read yet; try again when it is".into()));
            return;
        };
        let (send, watch) = (self.send.clone(), self.watch.handle());
        latest_task::spawn("jobs", self.send.clone(), move || {
            let answer = work(&jobs);
            watch.order(WatchCommand::Look);
            if let Some(message) = answer {
                send.send(message);
            }
        });
    }
}
