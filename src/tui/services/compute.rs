//! Comparing experts, on threads, the newest request of each kind only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::latest_task::LatestTask;
use crate::analysis::{
    self, ChosenK, Clustering, ComparisonCache, DEFAULT_SEED, Metric, PrototypeCache, Similarity,
};
use crate::catalog::Catalog;
use crate::library::{Expert, Library};
use crate::named::Named;
use crate::train::{ClustersPlan, ClustersSpec, plan_clusters};
use crate::tui::{ComputeEffect, ComputeMessage, Sender, Sweep};
use crate::{Cancel, Error, Result};

/// Clusterings kept of one library.
const KEPT_CLUSTERINGS: usize = 16;
/// How long typing must pause before a plan is made.
const PAUSE: Duration = Duration::from_millis(120);
/// Of more experts than twice this many, so many are compared first.
const SAMPLE: usize = 128;
/// Between two reports of progress.
const REPORT: Duration = Duration::from_millis(50);

/// Runs comparisons on the library that was read last.
pub struct Compute {
    send: Sender,
    library: Option<Arc<Catalog>>,
    known: Cache,
    profile: LatestTask,
    similarity: LatestTask,
    cluster: LatestTask,
    sweep: LatestTask,
    plan: LatestTask,
    pair: LatestTask,
}

impl Compute {
    pub fn new(send: Sender) -> Self {
        Self {
            send,
            library: None,
            known: Cache::default(),
            profile: LatestTask::new("profile"),
            similarity: LatestTask::new("similarity"),
            cluster: LatestTask::new("clustering"),
            sweep: LatestTask::new("sweep"),
            plan: LatestTask::new("plan"),
            pair: LatestTask::new("comparison"),
        }
    }

    /// Forgets what was computed on an earlier reading.
    pub fn set_library(&mut self, library: Arc<Catalog>) {
        self.library = Some(library);
        // A new cell: work under way on the old library fills the old one.
        self.known = Cache::default();
    }

    /// Begins one of the comparing effects.
    pub fn run(&mut self, effect: ComputeEffect) {
        let send = self.send.clone();
        let work = Work { send: send.clone(), library: self.library.clone(), known: self.known.clone() };
        match effect {
            ComputeEffect::Profile { expert } => self.profile.run(send, move |_| {
                let result = work.expert(&expert).and_then(analysis::profile);
                let result = result.map(Arc::new).map_err(|error| error.to_string());
                work.send.send(ComputeMessage::Profile { expert, result });
            }),
            ComputeEffect::Similarity { ticket, metric, sparsity } => {
                self.similarity.run(send, move |cancel| {
                    let result = work.similarity(ticket, metric, sparsity, cancel);
                    work.answer(cancel, result, |result| ComputeMessage::Similarity { ticket, result });
                })
            }
            ComputeEffect::Cluster { ticket, k, sparsity, seed } => self.cluster.run(send, move |cancel| {
                let result =
                    work.similarity(ticket, Metric::default(), sparsity, cancel).and_then(|similarity| {
                        // Experts that could not be compared may have left fewer.
                        let k = k.min(similarity.len());
                        let clustering = work.clustering(&similarity, k, seed, cancel)?;
                        Ok((similarity, clustering))
                    });
                work.answer(cancel, result, |result| ComputeMessage::Clustering { ticket, result });
            }),
            ComputeEffect::Sweep { ticket, sparsity, seed } => self.sweep.run(send, move |cancel| {
                let result =
                    work.similarity(ticket, Metric::default(), sparsity, cancel).and_then(|similarity| {
                        let map = analysis::project(&similarity, cancel);
                        let of = |chosen, more| {
                            let (experts, map) = (similarity.experts.clone(), map.clone());
                            Arc::new(Sweep { experts, chosen, more, map })
                        };
                        let mut so_far = |chosen: &ChosenK| {
                            let result = Ok(of(chosen.clone(), true));
                            work.answer(cancel, result, |result| ComputeMessage::Sweep { ticket, result });
                        };
                        let chosen = analysis::choose_k(&similarity, seed, &mut so_far, cancel)?;
                        Ok(of(chosen, false))
                    });
                work.answer(cancel, result, |result| ComputeMessage::Sweep { ticket, result });
                // Whoever routes next does not wait for them. Why there are none is said then, too.
                let _ = work.keep_prototypes(cancel);
            }),
            ComputeEffect::PlanClusters { ticket, spec } => self.plan.run(send, move |cancel| {
                std::thread::sleep(PAUSE);
                let result = work.plan(ticket, &spec, cancel);
                let out = spec.check_out().err().map(|error| error.to_string());
                work.answer(cancel, result, |result| ComputeMessage::ClustersPlanned { ticket, result, out });
            }),
            ComputeEffect::Pair { ticket, a, b } => self.pair.run(send, move |cancel| {
                let result = work.expert(&a).and_then(|a| analysis::pair(a, work.expert(&b)?)).map(Arc::new);
                work.answer(cancel, result, |result| ComputeMessage::Pair { ticket, result });
            }),
        }
    }
}

/// What was computed of one reading of the library.
#[derive(Clone, Default)]
struct Cache {
    similarities: Arc<Mutex<Vec<Arc<Similarity>>>>,
    clusterings: Arc<Mutex<Vec<(f64, Arc<Clustering>)>>>,
    /// Requests for a similarity that have no answer yet.
    waiting: Arc<Mutex<Vec<Waiting>>>,
    /// The newest sample.
    sample: Arc<Mutex<Option<Sample>>>,
}

/// A similarity of some experts, with its clusters.
type Sample = (Arc<Similarity>, Arc<Clustering>);

/// A request for a similarity.
#[derive(Clone, Copy)]
struct Waiting {
    ticket: u64,
    metric: Metric,
    sparsity: f64,
}

impl Waiting {
    fn is_for(&self, metric: Metric, sparsity: f64) -> bool {
        self.metric == metric && self.sparsity.to_bits() == metric.sparsity(sparsity).to_bits()
    }
}

/// What one request works with.
struct Work {
    send: Sender,
    library: Option<Arc<Catalog>>,
    known: Cache,
}

impl Work {
    fn library(&self) -> Result<&Library> {
        self.library
            .as_deref()
            .map(|catalog| &catalog.library)
            .ok_or_else(|| Error::msg("the library is not read yet; try again when it is"))
    }

    fn expert(&self, name: &str) -> Result<&Expert> {
        self.library()?.expert(name)
    }

    /// The similarity of all experts that can be compared, computed once per library, metric and sparsity. All who
    /// wait for it hear how far it is, and see a sample meanwhile.
    fn similarity(
        &self,
        ticket: u64,
        metric: Metric,
        sparsity: f64,
        cancel: &Cancel,
    ) -> Result<Arc<Similarity>> {
        let waiting = || self.known.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let request = Waiting { ticket, metric, sparsity: metric.sparsity(sparsity) };
        waiting().push(request);
        let sample = self.known.sample.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((similarity, clustering)) = sample
            && request.is_for(similarity.metric, similarity.sparsity)
            && self.known.similarities.try_lock().is_err()
        {
            self.send.send(ComputeMessage::Sample { ticket, similarity, clustering });
        }
        let found = self.similarity_once(metric, sparsity, cancel);
        waiting().retain(|waiting| waiting.ticket != ticket);
        found
    }

    /// The tickets that wait for a similarity.
    fn tickets(&self, metric: Metric, sparsity: f64) -> Vec<u64> {
        let waiting = self.known.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .iter()
            .filter(|waiting| waiting.is_for(metric, sparsity))
            .map(|waiting| waiting.ticket)
            .collect()
    }

    /// Compares some experts of a library that will take long, and shows them to all who wait.
    fn show_sample(
        &self,
        library: &Library,
        metric: Metric,
        sparsity: f64,
        cache: &ComparisonCache,
        cancel: &Cancel,
    ) -> Result<()> {
        let count = library.comparable().count();
        if count <= 2 * SAMPLE || analysis::is_kept(library, metric, sparsity, cache) {
            return Ok(());
        }
        let all: Vec<&Expert> = library.comparable().collect();
        let experts = (0..SAMPLE).map(|at| all[at * count / SAMPLE].clone()).collect();
        let (root, manifest) = (library.root.clone(), library.manifest.clone());
        let some = Library { root, manifest, experts, ..Library::default() };
        let similarity = analysis::similarity(&some, metric, sparsity, cache, &mut |_, _| {}, cancel)?;
        let k = analysis::default_k(similarity.len());
        let clustering = Arc::new(analysis::cluster(&similarity, k, DEFAULT_SEED, cancel)?);
        let similarity = Arc::new(similarity);
        let sample = (similarity.clone(), clustering.clone());
        *self.known.sample.lock().unwrap_or_else(PoisonError::into_inner) = Some(sample);
        for ticket in self.tickets(metric, sparsity) {
            let (similarity, clustering) = (similarity.clone(), clustering.clone());
            self.send.send(ComputeMessage::Sample { ticket, similarity, clustering });
        }
        Ok(())
    }

    fn similarity_once(&self, metric: Metric, sparsity: f64, cancel: &Cancel) -> Result<Arc<Similarity>> {
        let library = self.library()?;
        // Held while computing: who asks for the same meanwhile waits for it and finds it done.
        let mut known = self.known.similarities.lock().unwrap_or_else(PoisonError::into_inner);
        cancel.check()?;
        let same = |s: &&Arc<Similarity>| {
            s.metric == metric && s.sparsity.to_bits() == metric.sparsity(sparsity).to_bits()
        };
        if let Some(similarity) = known.iter().find(same) {
            return Ok(similarity.clone());
        }
        let cache = ComparisonCache::of(library);
        self.show_sample(library, metric, sparsity, &cache, cancel)?;
        let mut reported: Option<Instant> = None;
        let mut progress = |done: usize, total: usize| {
            if done >= total || reported.is_none_or(|at| at.elapsed() >= REPORT) {
                reported = Some(Instant::now());
                for ticket in self.tickets(metric, sparsity) {
                    self.send.send(ComputeMessage::Progress { ticket, done, total });
                }
            }
        };
        let similarity =
            Arc::new(analysis::similarity(library, metric, sparsity, &cache, &mut progress, cancel)?);
        // Whoever shows it does not wait for that.
        similarity.spread();
        // One of every metric and a second sparsity.
        if known.len() > Metric::all().len() {
            known.remove(0);
        }
        known.push(similarity.clone());
        Ok(similarity)
    }

    /// Clusters by a similarity of the default metric, once per sparsity, k and seed.
    fn clustering(
        &self,
        similarity: &Similarity,
        k: usize,
        seed: u64,
        cancel: &Cancel,
    ) -> Result<Arc<Clustering>> {
        let known = || self.known.clusterings.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |(sparsity, found): &&(f64, Arc<Clustering>)| {
            sparsity.to_bits() == similarity.sparsity.to_bits() && (found.k, found.seed) == (k, seed)
        };
        if let Some((_, clustering)) = known().iter().find(same) {
            return Ok(clustering.clone());
        }
        let clustering = Arc::new(analysis::cluster(similarity, k, seed, cancel)?);
        let mut known = known();
        if known.len() >= KEPT_CLUSTERINGS {
            known.remove(0);
        }
        known.push((similarity.sparsity, clustering.clone()));
        Ok(clustering)
    }

    /// Computes the experts' prototypes where they are not on disk.
    fn keep_prototypes(&self, cancel: &Cancel) -> Result<()> {
        let library = self.library()?;
        let known = ComparisonCache::of(library);
        analysis::keep_prototypes(library, &PrototypeCache::of(library), &known, cancel)
    }

    /// What a job of `spec` would train.
    fn plan(&self, ticket: u64, spec: &ClustersSpec, cancel: &Cancel) -> Result<Arc<ClustersPlan>> {
        cancel.check()?;
        let similarity = self.similarity(ticket, Metric::default(), spec.sparsity, cancel)?;
        let clustering = self.clustering(&similarity, spec.k, spec.training.seed, cancel)?;
        plan_clusters(spec, self.library()?, &clustering, cancel).map(Arc::new)
    }

    /// Answers, unless the request was cancelled.
    fn answer<T>(
        &self,
        cancel: &Cancel,
        result: Result<T>,
        message: impl FnOnce(Result<T, String>) -> ComputeMessage,
    ) {
        if !cancel.is_cancelled() {
            self.send.send(message(result.map_err(|error| error.to_string())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use candle_core::DType;

    use super::*;
    use crate::library::{NewAdapterConfig, NewLora, Provenance, write_adapter};
    use crate::tui::Message;

    /// So many experts that a sample comes first.
    fn library(root: &Path) -> Arc<Catalog> {
        let lora = NewLora {
            module: "model.layers.0.self_attn.q_proj".into(),
            rank: 1,
            in_features: 2,
            out_features: 2,
            a: vec![1.0, 0.5],
            b: vec![0.25, -0.5],
        };
        let config = NewAdapterConfig {
            base: "tiny".into(),
            revision: None,
            r: 1,
            alpha: 1.0,
            dropout: 0.0,
            targets: vec!["q_proj".into()],
        };
        let first = root.join("0000");
        write_adapter(&first, &[lora], &config, DType::F32, &Provenance::default()).unwrap();
        let weights = fs::read(first.join("adapter_model.safetensors")).unwrap();
        for at in 1..=2 * SAMPLE {
            let folder = root.join(format!("{at:04}"));
            fs::create_dir(&folder).unwrap();
            fs::copy(first.join("adapter_config.json"), folder.join("adapter_config.json")).unwrap();
            let mut other = weights.clone();
            let end = other.len();
            other[end - 4..].copy_from_slice(&(at as f32 * 0.01).to_le_bytes());
            fs::write(folder.join("adapter_model.safetensors"), other).unwrap();
        }
        Arc::new(Catalog::from(Library::open(root).unwrap()))
    }

    #[test]
    fn many_experts_are_shown_by_a_sample_first() {
        let root = tempfile::tempdir().unwrap();
        let (send, mut messages) = Sender::channel();
        let mut compute = Compute::new(send);
        compute.set_library(library(root.path()));
        compute.run(ComputeEffect::Cluster { ticket: 7, k: 3, sparsity: 0.5, seed: 42 });
        let (mut samples, mut progress) = (Vec::new(), 0);
        loop {
            let Some(Message::Compute(message)) = messages.blocking_recv() else { panic!("no answer") };
            match message {
                ComputeMessage::Sample { ticket, similarity, clustering } => {
                    samples.push((ticket, similarity.len(), clustering.experts.len()));
                }
                ComputeMessage::Progress { ticket: 7, done, total } => progress = 100 * done / total.max(1),
                ComputeMessage::Clustering { ticket, result } => {
                    let (similarity, clustering) = result.unwrap();
                    assert_eq!((ticket, similarity.len(), clustering.k), (7, 2 * SAMPLE + 1, 3));
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((samples, progress), (vec![(7, SAMPLE, SAMPLE)], 100));
    }
}
