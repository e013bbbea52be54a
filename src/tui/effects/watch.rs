//! One thread that looks at the disk: for jobs that go on, and for a library that changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::latest::spawn;
use crate::jobs::Jobs;
use crate::library::Library;
use crate::tui::{Message, Sender};

/// Between two looks at the jobs while somebody watches or one is alive.
const JOBS: Duration = Duration::from_millis(500);
/// Between two looks at the library's folders.
const LIBRARY: Duration = Duration::from_secs(2);
/// A look may take this share of the time at most: large libraries on slow disks are looked at less often.
const SHARE: u32 = 30;

/// What the watcher is told.
#[derive(Debug)]
pub enum Order {
    /// The jobs to look at.
    Jobs(Jobs),
    /// Whether to look at the jobs regularly.
    Closely(bool),
    /// Whose details to send, now and whenever they change.
    Follow(Option<String>),
    /// Look at the jobs now.
    Look,
    /// The library was read when it had this fingerprint.
    Library(u64),
}

/// Tells the watcher what to do.
#[derive(Clone, Debug)]
pub struct Watch(mpsc::Sender<Order>);

impl Watch {
    /// Starts the thread; it ends when all handles are gone.
    pub fn start(root: PathBuf, base: Option<PathBuf>, send: Sender) -> Self {
        let (orders, receive) = mpsc::channel();
        let watcher = Watcher {
            root,
            base,
            send: send.clone(),
            jobs: None,
            closely: false,
            follow: None,
            seen: None,
            error: None,
            library: None,
            next_jobs: None,
            next_library: None,
        };
        spawn("watch", send, move || watcher.run(&receive));
        Self(orders)
    }

    /// Another handle.
    pub fn handle(&self) -> Self {
        self.clone()
    }

    /// Gives an order; returns at once.
    pub fn order(&self, order: Order) {
        // A watcher that is gone has said why.
        let _ = self.0.send(order);
    }
}

struct Watcher {
    root: PathBuf,
    base: Option<PathBuf>,
    send: Sender,
    jobs: Option<Jobs>,
    closely: bool,
    follow: Option<String>,
    /// Fingerprint of the jobs that were sent last.
    seen: Option<u64>,
    /// The error of the last look, so that it is said once.
    error: Option<String>,
    /// Fingerprint of the library as it was read.
    library: Option<u64>,
    /// When to look next; `None` while there is no reason to.
    next_jobs: Option<Instant>,
    next_library: Option<Instant>,
}

impl Watcher {
    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let next = [self.next_jobs, self.next_library].into_iter().flatten().min();
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
        }
    }

    fn obey(&mut self, order: Order) {
        let now = Some(Instant::now());
        match order {
            Order::Jobs(jobs) => {
                self.jobs = Some(jobs);
                self.seen = None;
                self.next_jobs = now;
            }
            Order::Closely(closely) => {
                self.closely = closely;
                if closely {
                    self.next_jobs = now;
                }
            }
            Order::Follow(job) => {
                if self.follow != job {
                    self.follow = job;
                    // Nothing may have changed but the question.
                    self.seen = None;
                    self.next_jobs = now;
                }
            }
            Order::Look => self.next_jobs = now,
            Order::Library(fingerprint) => {
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
                        self.send.send(Message::Jobs(list));
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
                    self.send.send(Message::JobDetail(Arc::new(detail)));
                }
                self.seen = Some(fingerprint);
            }
        }
        self.next_jobs = self.closely.then(|| Instant::now() + JOBS.max(begun.elapsed() * SHARE));
    }

    fn look_at_library(&mut self) {
        let begun = Instant::now();
        let fingerprint = Library::fingerprint(&self.root);
        if self.library.is_some_and(|read| read != fingerprint) {
            let changed = super::read_library(&self.root, self.base.as_deref());
            self.library = Some(fingerprint);
            self.send.send(Message::Library(changed));
        }
        self.next_library = Some(Instant::now() + LIBRARY.max(begun.elapsed() * SHARE));
    }
}
