//! One thread that looks at the disk: for jobs that run, and for a library that changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::latest_task::spawn;
use super::read;
use crate::catalog::Source;
use crate::devices::gpus;
use crate::jobs::executors::{Executor, Slots};
use crate::jobs::{JobState, JobSummary, Jobs, Local, Progress};
use crate::library::{Fingerprint, Library};
use crate::machine::Gauge;
use crate::tui::{JobsMessage, MachineView, Message, Sender};

/// Between two looks at the jobs while they are shown or one is alive.
const JOBS: Duration = Duration::from_millis(500);
/// Between two looks at the library: experts that come and go, and the manifest, show after this time.
const LIBRARY: Duration = Duration::from_secs(2);
/// Between two looks at the machine while the jobs are shown.
const MACHINE: Duration = Duration::from_secs(2);
/// A job that came and ended between two looks is spoken of if it ended within this time: not one that somebody brought here.
const NEWS: Duration = Duration::from_secs(30);
/// A look at the jobs may take this share of the time at most.
const JOBS_SHARE: u32 = 30;
/// A look at the library may take this share of the time at most. Where a look at every expert's files takes more
/// than [`LIBRARY`] allows for, a changed file shows after so many times what the look takes: 15 s where that is
/// 60 ms.
const LIBRARY_SHARE: u32 = 250;

/// Commands to the watcher.
#[derive(Debug)]
pub enum WatchCommand {
    /// The jobs to look at.
    Jobs(Jobs),
    /// Whether to look at the jobs regularly; and at the machine, while they are shown.
    Closely {
        /// They are shown.
        shown: bool,
        /// They are shown, or one is alive.
        closely: bool,
    },
    /// Whose details to send, now and whenever they change.
    Follow(Option<String>),
    /// Whose curves to send, now and whenever they change.
    Curves(Vec<String>),
    /// Look at the jobs now.
    Look,
    /// The library was read when it had this fingerprint.
    Library(Fingerprint),
}

/// Tells the watcher what to do.
#[derive(Clone, Debug)]
pub struct Watch(mpsc::Sender<WatchCommand>);

impl Watch {
    /// Starts the thread; it ends when all handles are gone.
    pub fn start(source: Arc<Source>, send: Sender) -> Self {
        let (orders, receive) = mpsc::channel();
        let watcher = Watcher::new(source, send.clone());
        spawn("watch", send, move || watcher.run(&receive));
        Self(orders)
    }

    /// Another handle.
    pub fn handle(&self) -> Self {
        self.clone()
    }

    /// Gives an order; returns at once.
    pub fn order(&self, order: WatchCommand) {
        // A watcher that is gone has said why.
        let _ = self.0.send(order);
    }
}

/// How a job stands: its state, and when it ended.
type Stood = (JobState, Option<SystemTime>);

fn stand(job: &JobSummary) -> Stood {
    (job.state, job.figures.ended)
}

/// Whether a job has ended since it stood like this; `None` where it was not there. Between two looks it may have begun, or
/// begun again, as well.
fn has_ended(job: &JobSummary, before: Option<&Stood>, now: SystemTime) -> bool {
    let age = |ended: SystemTime| now.duration_since(ended).or_else(|_| ended.duration_since(now));
    let is_news = job.figures.ended.is_none_or(|ended| age(ended).is_ok_and(|age| age < NEWS));
    job.state.is_over()
        && match before {
            None => is_news,
            Some((state, _)) if !state.is_over() => true,
            Some(stood) => *stood != stand(job) && is_news,
        }
}

struct Watcher {
    source: Arc<Source>,
    send: Sender,
    jobs: Option<Jobs>,
    closely: bool,
    follow: Option<String>,
    /// Curves that are asked for, as they were sent last.
    curves: Vec<(String, Option<Arc<Progress>>)>,
    /// Fingerprint of the jobs that were sent last.
    seen: Option<u64>,
    /// How they stood then; `None` before the first look.
    stood: Option<HashMap<String, Stood>>,
    /// The error of the last look, so that it is said once.
    error: Option<String>,
    /// Fingerprint of the library as it was read.
    library: Option<Fingerprint>,
    /// When to look next; `None` while there is no reason to.
    next_jobs: Option<Instant>,
    next_library: Option<Instant>,
    next_machine: Option<Instant>,
    gauge: Gauge,
    /// Ids and names of the jobs that ran at the last look.
    running: Vec<(String, String)>,
    /// The machine as it was sent last.
    machine: MachineView,
    /// When to look at every expert's files.
    next_files: Instant,
}

impl Watcher {
    fn new(source: Arc<Source>, send: Sender) -> Self {
        Self {
            source,
            send,
            jobs: None,
            closely: false,
            follow: None,
            curves: Vec::new(),
            seen: None,
            stood: None,
            error: None,
            library: None,
            next_jobs: None,
            next_library: None,
            next_machine: None,
            gauge: Gauge::default(),
            running: Vec::new(),
            machine: MachineView::default(),
            next_files: Instant::now(),
        }
    }

    fn run(mut self, orders: &Receiver<WatchCommand>) {
        loop {
            let next = [self.next_jobs, self.next_library, self.next_machine].into_iter().flatten().min();
            let order = match next {
                Some(next) => orders.recv_timeout(next.saturating_duration_since(Instant::now())),
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(order) => self.obey(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if self.next_jobs.is_some_and(|next| next <= now) {
                self.look_at_jobs();
            }
            if self.next_library.is_some_and(|next| next <= now) {
                self.look_at_library();
            }
            if self.next_machine.is_some_and(|next| next <= now) {
                self.look_at_machine();
            }
        }
    }

    fn obey(&mut self, order: WatchCommand) {
        let now = Some(Instant::now());
        match order {
            WatchCommand::Jobs(jobs) => {
                self.jobs = Some(jobs);
                self.seen = None;
                self.next_jobs = now;
            }
            WatchCommand::Closely { shown, closely } => {
                self.closely = closely;
                self.next_machine = shown.then(Instant::now);
                if closely {
                    self.next_jobs = now;
                }
            }
            WatchCommand::Follow(job) => {
                if self.follow != job {
                    self.follow = job;
                    // Nothing may have changed but the question.
                    self.seen = None;
                    self.next_jobs = now;
                }
            }
            WatchCommand::Curves(ids) => {
                let kept = |id: String| {
                    let known = self.curves.iter().find(|(other, _)| *other == id);
                    let sent = known.and_then(|(_, sent)| sent.clone());
                    (id, sent)
                };
                self.curves = ids.into_iter().map(kept).collect();
                self.seen = None;
                self.next_jobs = now;
            }
            WatchCommand::Look => self.next_jobs = now,
            WatchCommand::Library(fingerprint) => {
                self.library = Some(fingerprint);
                self.next_library = Some(Instant::now() + LIBRARY);
            }
        }
    }

    fn look_at_jobs(&mut self) {
        let begun = Instant::now();
        if let Some(jobs) = &self.jobs {
            // Before the reading, so that what changes meanwhile is noticed at the next look.
            let fingerprint = jobs.fingerprint();
            if self.seen != Some(fingerprint) {
                match jobs.list() {
                    Ok(list) => {
                        let now = SystemTime::now();
                        let over = list.iter().filter(|job| {
                            self.stood.as_ref().is_some_and(|stood| has_ended(job, stood.get(&job.id), now))
                        });
                        // One that vanished meanwhile has nothing to say.
                        let ended: Vec<_> = over.filter_map(|job| jobs.detail(&job.id).ok()).collect();
                        self.stood = Some(list.iter().map(|job| (job.id.clone(), stand(job))).collect());
                        // Those of another machine say where they run.
                        let here =
                            list.iter().filter(|job| job.state == JobState::Running && job.place.is_none());
                        self.running = here.map(|job| (job.id.clone(), job.name.clone())).collect();
                        self.send.send(JobsMessage::List(list));
                        ended.into_iter().for_each(|job| self.send.send(JobsMessage::Ended(Arc::new(job))));
                        self.error = None;
                    }
                    Err(error) => {
                        let text = error.to_string();
                        if self.error.as_ref() != Some(&text) {
                            self.send.send(Message::Error(text.clone()));
                        }
                        self.error = Some(text);
                    }
                }
                // A job that vanished is missing from the list: no need to say more.
                if let Some(Ok(detail)) = self.follow.as_deref().map(|id| jobs.detail(id)) {
                    self.send.send(JobsMessage::Detail(Arc::new(detail)));
                }
                let mut changed = Vec::new();
                for (id, sent) in &mut self.curves {
                    let Ok(progress) = jobs.progress(id) else { continue };
                    if sent.as_deref() != Some(&progress) {
                        let progress = Arc::new(progress);
                        changed.push((id.clone(), progress.clone()));
                        *sent = Some(progress);
                    }
                }
                if !changed.is_empty() {
                    self.send.send(JobsMessage::Curves(changed));
                }
                self.seen = Some(fingerprint);
            }
        }
        self.next_jobs = self.closely.then(|| Instant::now() + JOBS.max(begun.elapsed() * JOBS_SHARE));
    }

    fn look_at_machine(&mut self) {
        self.next_machine = Some(Instant::now() + MACHINE);
        let mut taken = Vec::new();
        if let Some(jobs) = &self.jobs {
            for (id, name) in &self.running {
                taken.extend(jobs.usage(id, &mut self.gauge).map(|usage| (name.clone(), usage)));
            }
        }
        self.gauge.keep(&taken.iter().map(|(_, usage)| usage.process).collect::<Vec<_>>());
        let slots = match Local::current().slots() {
            Ok(Slots::Library(slots)) => Some(slots),
            Ok(Slots::Executor) | Err(_) => None,
        };
        let load = self.gauge.load(&self.source.root);
        let view = MachineView { load, slots, gpus: gpus(), jobs: taken };
        if view != self.machine {
            self.send.send(JobsMessage::Machine(Arc::new(view.clone())));
            self.machine = view;
        }
    }

    /// At a glance whenever it is time, at every file when that shows something or has not been done for long.
    fn look_at_library(&mut self) {
        let Some(known) = &self.library else { return };
        let begun = Instant::now();
        let differs = known.differs_at_a_glance();
        let now = Instant::now();
        self.next_library = Some(now + LIBRARY.max((now - begun) * LIBRARY_SHARE));
        if !differs && now < self.next_files {
            return;
        }
        let found = Library::fingerprint(&self.source.root);
        self.next_files = Instant::now() + LIBRARY.max(now.elapsed() * LIBRARY_SHARE);
        if *known != found {
            self.send.send(Message::Library(read(&self.source)));
            // This thread continues, unlike those of other work.
            crate::threads::give_back_freed_memory();
        }
        self.library = Some(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the watcher would send at a look.
    fn looks(watcher: &mut Watcher, sent: &mut tokio::sync::mpsc::UnboundedReceiver<Message>) -> bool {
        watcher.look_at_library();
        matches!(sent.try_recv(), Ok(Message::Library(_)))
    }

    #[test]
    fn the_end_of_a_job_is_sent_also_where_it_began_and_ended_between_two_looks() {
        use crate::jobs::{AnyJob, ClusterSpec};
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<String> = ["old", "brought", "quick"].map(String::from).into();
        let end = |id: &String, ago: u64| {
            let folder = dir.path().join(id);
            std::fs::create_dir_all(&folder).unwrap();
            let spec = AnyJob::from(ClusterSpec { library: "/lib".into(), ..ClusterSpec::default() });
            std::fs::write(folder.join("spec.json"), serde_json::to_vec(&spec).unwrap()).unwrap();
            let ended = crate::clock::rfc3339(SystemTime::now() - Duration::from_secs(ago));
            let result = serde_json::json!({ "state": "failed", "error": "no", "ended": ended });
            std::fs::write(folder.join("result.json"), result.to_string()).unwrap();
        };
        let (send, mut sent) = Sender::channel();
        let mut watcher = Watcher::new(Arc::new(Source { root: dir.path().to_path_buf(), base: None }), send);
        watcher.jobs = Some(Jobs::at(dir.path().into(), Arc::new(Local::new("/bin/true"))));
        let mut told = || {
            watcher.look_at_jobs();
            let mut told = Vec::new();
            while let Ok(message) = sent.try_recv() {
                if let Message::Jobs(JobsMessage::Ended(job)) = message {
                    told.push(job.summary.id.clone());
                }
            }
            told
        };
        end(&ids[0], 5);
        assert!(told().is_empty(), "it had ended before anybody looked");
        end(&ids[1], 3600);
        assert!(told().is_empty(), "somebody brought it");
        end(&ids[2], 0);
        assert_eq!(told(), ["quick"]);
        assert!(told().is_empty());
        // It was resumed, and ended at once.
        end(&ids[0], 0);
        assert_eq!(told(), ["old"]);
    }

    #[test]
    fn a_glance_sees_experts_come_and_the_long_look_sees_their_files() {
        let root = tempfile::tempdir().unwrap();
        let add = |name: &str| {
            let folder = root.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("adapter_config.json"), "{}").unwrap();
            std::fs::write(folder.join("adapter_model.safetensors"), "x").unwrap();
            folder
        };
        let first = add("first");
        let (send, mut sent) = Sender::channel();
        let mut watcher =
            Watcher::new(Arc::new(Source { root: root.path().to_path_buf(), base: None }), send);
        watcher.library = Some(Library::fingerprint(root.path()));
        assert!(!looks(&mut watcher, &mut sent));
        // The long look is far away now.
        watcher.next_files = Instant::now() + Duration::from_secs(1000);
        add("second");
        assert!(looks(&mut watcher, &mut sent), "an expert came");
        watcher.next_files = Instant::now() + Duration::from_secs(1000);
        std::fs::write(first.join("adapter_config.json"), "{\"r\": 4}").unwrap();
        assert!(!looks(&mut watcher, &mut sent), "a file of an expert waits");
        watcher.next_files = Instant::now();
        assert!(looks(&mut watcher, &mut sent), "for the long look");
        assert!(!looks(&mut watcher, &mut sent));
        // What has no weights yet is looked at closely.
        let third = root.path().join("third");
        std::fs::create_dir(&third).unwrap();
        assert!(looks(&mut watcher, &mut sent));
        watcher.next_files = Instant::now() + Duration::from_secs(1000);
        std::fs::write(third.join("adapter_config.json"), "{}").unwrap();
        assert!(looks(&mut watcher, &mut sent), "its configuration came");
    }
}
