//! Comparing experts, on threads, the newest request of each kind only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::latest::Latest;
use crate::analysis::{self, Metric, Similarity};
use crate::library::{Expert, Library};
use crate::tui::{Effect, Message, Sender, Sweep};
use crate::{Cancel, Error, Result};

/// Similarities kept of one library: the three metrics and a second sparsity.
const KEPT: usize = 4;
/// Between two reports of progress.
const REPORT: Duration = Duration::from_millis(50);

/// Runs comparisons on the library that was read last.
pub struct Compute {
    send: Sender,
    library: Option<Arc<Library>>,
    known: Arc<Mutex<Vec<Arc<Similarity>>>>,
    profile: Latest,
    similarity: Latest,
    cluster: Latest,
    sweep: Latest,
    pair: Latest,
}

impl Compute {
    pub fn new(send: Sender) -> Self {
        Self {
            send,
            library: None,
            known: Arc::default(),
            profile: Latest::new("profile"),
            similarity: Latest::new("similarity"),
            cluster: Latest::new("clustering"),
            sweep: Latest::new("sweep"),
            pair: Latest::new("comparison"),
        }
    }

    /// Forgets what was computed on an earlier reading.
    pub fn set_library(&mut self, library: Arc<Library>) {
        self.library = Some(library);
        // A new cell: work under way on the old library fills the old one.
        self.known = Arc::default();
    }

    /// Begins one of the comparing effects.
    pub fn run(&mut self, effect: Effect) {
        let send = self.send.clone();
        let work = Work { send: send.clone(), library: self.library.clone(), known: self.known.clone() };
        match effect {
            Effect::Profile { expert } => self.profile.run(send, move |_| {
                let result = work.expert(&expert).and_then(analysis::profile);
                let result = result.map(Arc::new).map_err(|error| error.to_string());
                work.send.send(Message::Profile { expert, result });
            }),
            Effect::Similarity { ticket, metric, sparsity } => self.similarity.run(send, move |cancel| {
                let result = work.similarity(ticket, metric, sparsity, cancel);
                work.answer(cancel, result, |result| Message::Similarity { ticket, result });
            }),
            Effect::Cluster { ticket, k, sparsity, seed } => self.cluster.run(send, move |cancel| {
                let result = work.similarity(ticket, Metric::Mbc, sparsity, cancel).and_then(|similarity| {
                    // Experts that could not be compared may have left fewer.
                    let k = k.min(similarity.len());
                    let clustering = analysis::cluster(&similarity, k, seed, cancel)?;
                    Ok((similarity, Arc::new(clustering)))
                });
                work.answer(cancel, result, |result| Message::Clustering { ticket, result });
            }),
            Effect::Sweep { ticket, max_k, sparsity, seed } => self.sweep.run(send, move |cancel| {
                let result = work.similarity(ticket, Metric::Mbc, sparsity, cancel).and_then(|similarity| {
                    let ks = analysis::sweep(&similarity, 2..=max_k, seed, cancel)?;
                    let map = analysis::project(&similarity, cancel);
                    Ok(Arc::new(Sweep { experts: similarity.experts.clone(), ks, map }))
                });
                work.answer(cancel, result, |result| Message::Sweep { ticket, result });
            }),
            Effect::Pair { ticket, a, b } => self.pair.run(send, move |cancel| {
                let result = work.expert(&a).and_then(|a| analysis::pair(a, work.expert(&b)?)).map(Arc::new);
                work.answer(cancel, result, |result| Message::Pair { ticket, result });
            }),
            _ => {}
        }
    }
}

/// What one request works with.
struct Work {
    send: Sender,
    library: Option<Arc<Library>>,
    known: Arc<Mutex<Vec<Arc<Similarity>>>>,
}

impl Work {
    fn library(&self) -> Result<&Library> {
        self.library.as_deref().ok_or_else(|| Error::msg("the library is not read yet; try again when it is"))
    }

    fn expert(&self, name: &str) -> Result<&Expert> {
        self.library()?.expert(name)
    }

    /// The similarity of all usable experts, computed once per library, metric and sparsity.
    fn similarity(
        &self,
        ticket: u64,
        metric: Metric,
        sparsity: f64,
        cancel: &Cancel,
    ) -> Result<Arc<Similarity>> {
        let experts: Vec<&Expert> = self.library()?.usable().collect();
        // Held while computing: who asks for the same meanwhile waits for it and finds it done.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        cancel.check()?;
        let same = |s: &&Arc<Similarity>| {
            s.metric == metric && (metric != Metric::Mbc || s.sparsity.to_bits() == sparsity.to_bits())
        };
        if let Some(similarity) = known.iter().find(same) {
            return Ok(similarity.clone());
        }
        let mut reported: Option<Instant> = None;
        let mut progress = |done: usize, total: usize| {
            if done >= total || reported.is_none_or(|at| at.elapsed() >= REPORT) {
                reported = Some(Instant::now());
                self.send.send(Message::Progress { ticket, done, total });
            }
        };
        let similarity = Arc::new(analysis::similarity(&experts, metric, sparsity, &mut progress, cancel)?);
        if known.len() >= KEPT {
            known.remove(0);
        }
        known.push(similarity.clone());
        Ok(similarity)
    }

    /// Answers, unless nobody wants the answer any more.
    fn answer<T>(
        &self,
        cancel: &Cancel,
        result: Result<T>,
        message: impl FnOnce(Result<T, String>) -> Message,
    ) {
        if !cancel.is_cancelled() {
            self.send.send(message(result.map_err(|error| error.to_string())));
        }
    }
}
