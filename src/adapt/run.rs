//! An adaptation from its specification to its report.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::DType;
use sha2::{Digest, Sha256};

use super::beginning::{Beginning, beginning, blend};
use super::bench::{Bench, open_library, stages};
use super::curve::Asked;
use super::report::{AdaptReport, AdaptRow, Part, Scores, Untrained};
use super::spec::AdaptSpec;
use super::starts::{Chosen, Mixture};
use super::work::{Work, made_before, start_name};
use crate::catalog::Catalog;
use crate::eval::Method;
use crate::library::{
    AdaptedFrom, Expert, LayerSizes, Library, NewAdapterConfig, Provenance, SeenTask, check_new_name,
    content_sha256, state_dir, write_adapter,
};
use crate::model::{LoadOptions, base_shape};
use crate::outside::{hex, own};
use crate::routing::{RouterConfig, Session};
use crate::text::counted;
use crate::train::{
    Adapted, Blend, Dataset, Example, RowTraining, RowsEvent, TrainReport, TrainRow, TrainSpec, known_hashes,
    train_rows,
};
use crate::{Cancel, Error, Result};

/// A start with a number of examples.
struct Pair {
    chosen: Chosen,
    /// As given; `None` means all.
    asked: Option<usize>,
    shots: Vec<Example>,
    /// In the folder of the work.
    name: String,
}

impl Pair {
    /// Its name for those who wait.
    fn shown(&self) -> String {
        format!("{}, {}", self.chosen.text, counted(self.shots.len(), "shot"))
    }
}

/// What a pair begins with, once that is known.
struct Begun {
    from: AdaptedFrom,
    /// What that has learned.
    seen: Vec<SeenTask>,
    /// Of the training; those that were asked for, and those that the experts have.
    targets: Vec<String>,
    /// The adapter to start from.
    start: Option<PathBuf>,
}

/// Adapts the experts of a library to a task: one expert that is kept, where the specification names it; else one for each
/// start and number of examples, which are asked the test split and removed. `place` is the folder of the work while it is
/// done; without one, it lies in the library's folder for derived data. What was interrupted resumes when it is asked for
/// again.
///
/// # Errors
/// Bad specification, data, experts or base model; a name that is taken; a task without a test split where experts are
/// compared; trainings that failed; a raised `cancel`.
pub fn adapt(
    spec: &AdaptSpec,
    place: Option<&Path>,
    events: &mut dyn FnMut(RowsEvent),
    cancel: &Cancel,
) -> Result<AdaptReport> {
    spec.check()?;
    let began = std::time::Instant::now();
    let is_kept = !spec.name.is_empty();
    let own_place = match place {
        Some(place) => place.to_path_buf(),
        None => default_place(spec)?,
    };
    if is_kept && !own::is_taken(&own_place) {
        // Before anything is read.
        check_new_name(&spec.library, &spec.name)?;
    }
    events(RowsEvent::Stage("reading the task".into()));
    let (data, pairs) = pairs(spec)?;
    let asked = if is_kept { None } else { Some(Asked::open(spec, &spec.library)?) };
    let (catalog, skipped) = open_library(spec)?;
    if catalog.experts.is_empty() && pairs.iter().any(|pair| pair.chosen.start.uses_experts) {
        let problem = match skipped.first() {
            Some(skipped) => format!("has no expert that can be adapted; {skipped}"),
            None => "has no expert that can be adapted: train one, or begin with --from scratch".into(),
        };
        return Err(Error::file(&catalog.root, problem));
    }
    let work = Work::open(&own_place)?;
    if let Some(report) = work.report() {
        return Ok(report);
    }
    let mut report = AdaptReport {
        task: data.task.id.clone(),
        metric: asked.as_ref().and_then(Asked::metric),
        items: asked.as_ref().map_or(0, Asked::items),
        warnings: knowing(&catalog, &data),
        skipped,
        ..AdaptReport::default()
    };
    let mut job = Job { spec, catalog: &catalog, work: &work, events, cancel };
    let (begun, blend) = job.begin(&pairs, asked.as_ref(), &mut report)?;
    let trained = job.train(&pairs, &begun, blend)?;
    for ((pair, begun), training) in pairs.iter().zip(begun).zip(trained) {
        report.rows.push(job.row(pair, begun, training)?);
    }
    if let Some(asked) = &asked {
        job.compare(&pairs, asked, &mut report)?;
    }
    if let Some(row) = report.rows.first().filter(|_| is_kept) {
        (report.expert, report.path) = (Some(spec.name.clone()), Some(row.training.path.clone()));
    }
    report.seconds = began.elapsed().as_secs_f64();
    work.finish(&report)?;
    drop(work);
    if place.is_none() {
        let _ = own::remove_folder(&own_place);
    }
    Ok(report)
}

/// The settings that decide what is made.
fn deciding(spec: &AdaptSpec) -> Result<Vec<u8>> {
    let mut deciding = spec.clone();
    deciding.library = PathBuf::new();
    deciding.training =
        TrainSpec { checkpoint_every: None, given: Default::default(), forecast: None, ..deciding.training };
    serde_json::to_vec(&deciding).map_err(|e| Error::msg(e.to_string()))
}

/// The folder for the work of a specification in its library's folder for derived data.
fn default_place(spec: &AdaptSpec) -> Result<PathBuf> {
    let name = hex(&Sha256::digest(deciding(spec)?));
    Ok(state_dir(&spec.library)?.join("adapt").join(name.get(..16).unwrap_or(&name)))
}

/// SHA-256 of what all that is made follows from but its examples: settings, library, experts and the base model at `base`.
fn origin_of_all(spec: &AdaptSpec, catalog: &Catalog, base: &Path) -> Result<Vec<u8>> {
    let mut all = Sha256::new();
    all.update(deciding(spec)?);
    all.update(serde_json::to_vec(&catalog.manifest).map_err(|e| Error::msg(e.to_string()))?);
    for (name, path) in
        catalog.experts.iter().map(|e| (e.name.as_str(), e.path.as_path())).chain([("", base)])
    {
        all.update((name.len() as u64).to_le_bytes());
        all.update(name);
        all.update(content_sha256(path)?);
    }
    Ok(all.finalize().to_vec())
}

/// The same with the examples of a pair.
fn made_of(all: &[u8], pair: &Pair) -> Result<String> {
    let shots = serde_json::to_vec(&pair.shots).map_err(|e| Error::msg(e.to_string()))?;
    Ok(hex(&Sha256::new().chain_update(all).chain_update(&pair.chosen.text).chain_update(shots).finalize()))
}

/// Experts that were trained on the task themselves, in words: what they are compared with is not new to them.
fn knowing(library: &Library, data: &Dataset) -> Vec<String> {
    let split = known_hashes(&data.train);
    let knows = |expert: &&Expert| {
        expert.learned().any(|learned| {
            learned.task == Some(&data.task.id)
                || learned.dataset_sha256.is_some_and(|hash| split.iter().any(|known| known == hash))
        })
    };
    let knowing = library.experts.iter().filter(knows);
    knowing.map(|expert| format!("{} was trained on {} itself", expert.name, data.task.id)).collect()
}

/// The task with the examples that can be drawn, and every start with every number of examples, start by start.
fn pairs(spec: &AdaptSpec) -> Result<(Dataset, Vec<Pair>)> {
    let mut data = Dataset::load_for_training(&spec.data)?;
    data.ensure_validation(spec.training.seed);
    let mut pairs = Vec::new();
    for (number, chosen) in spec.starts()?.into_iter().enumerate() {
        for asked in spec.numbers() {
            let mut drawn =
                Dataset { path: spec.data.clone(), train: data.train.clone(), ..Dataset::default() };
            // All of them too are drawn: more are then the same with others behind them.
            drawn.draw(asked.unwrap_or(data.train.len()), spec.training.seed)?;
            let (chosen, name) = (chosen.clone(), format!("s{number}-{}", drawn.train.len()));
            pairs.push(Pair { chosen, asked, shots: drawn.train, name });
        }
    }
    Ok((data, pairs))
}

/// An adaptation under way.
struct Job<'a> {
    spec: &'a AdaptSpec,
    catalog: &'a Catalog,
    work: &'a Work,
    events: &'a mut dyn FnMut(RowsEvent),
    cancel: &'a Cancel,
}

impl Job<'_> {
    fn base(&mut self) -> Result<PathBuf> {
        let events = &mut *self.events;
        self.catalog.base_fetched_with_words(&mut |text| events(RowsEvent::Stage(text)), self.cancel)
    }

    fn library(&self) -> Result<PathBuf> {
        self.work.library(self.catalog.manifest.template.clone())
    }

    /// What every pair begins with: what was made before is read. Where experts are compared, what the library knows
    /// without training is asked first, as long as the model is there.
    fn begin(
        &mut self,
        pairs: &[Pair],
        asked: Option<&Asked>,
        report: &mut AdaptReport,
    ) -> Result<(Vec<Begun>, Option<Arc<Blend>>)> {
        let base = self.base()?;
        let layers = base_shape(&base)?.layers;
        let library = self.library()?;
        let Self { spec, catalog, cancel, .. } = *self;
        let events = RefCell::new(&mut *self.events);
        let stage = |text: String| (events.borrow_mut())(RowsEvent::Stage(text));
        let needs_experts = pairs.iter().any(|pair| pair.chosen.start.uses_experts);
        let mut bench = None;
        if needs_experts || !catalog.experts.is_empty() && asked.is_some() {
            let opened = Bench::open(catalog, &base, spec, &stage, cancel)?;
            report.warnings.extend(opened.merging.warnings().iter().cloned());
            bench = Some(opened);
        }
        let origin = origin_of_all(spec, catalog, &base)?;
        let mut begun = Vec::with_capacity(pairs.len());
        for pair in pairs {
            cancel.check()?;
            self.work.keep_same(&pair.name, &made_of(&origin, pair)?)?;
            let path = library.join(start_name(&pair.name));
            begun.push(match made_before(&path) {
                Some((from, seen, targets)) => Begun { from, seen, targets, start: Some(path) },
                None => make(spec, pair, bench.as_mut(), &layers, &path, cancel)?,
            });
        }
        let learns = pairs.iter().any(|pair| pair.chosen.start.learns_weights);
        let weighed = bench.as_ref().filter(|_| learns);
        let blend = weighed
            .map(|bench| blend(&bench.merging, &layers, bench.names.len(), spec.weight_rate, cancel))
            .transpose()?
            .map(Arc::new);
        if let Some(asked) = asked {
            report.untrained = match &mut bench {
                Some(bench) => untrained(bench, pairs, asked, cancel)?,
                None => {
                    let options = options(spec);
                    let mut hear = stages(&stage);
                    let session = Session::open_unrouted(catalog, &base, &options, &mut hear, cancel)?;
                    let methods = [BASE.to_string()];
                    ask(asked, (catalog, &session), &methods, &stage, cancel)?
                }
            };
        }
        Ok((begun, blend))
    }

    /// Trains every pair; their reports in order.
    fn train(
        &mut self,
        pairs: &[Pair],
        begun: &[Begun],
        blend: Option<Arc<Blend>>,
    ) -> Result<Vec<TrainReport>> {
        let (base, library) = (self.base()?, self.library()?);
        let is_kept = !self.spec.name.is_empty();
        let mut rows: Vec<TrainRow> = Vec::new();
        let mut all: Vec<RowTraining> = Vec::new();
        for (number, (pair, begun)) in pairs.iter().zip(begun).enumerate() {
            let learns_weights = pair.chosen.start.learns_weights;
            let mut training = TrainSpec {
                data: vec![self.spec.data.clone()],
                shots: pair.asked,
                targets: begun.targets.clone(),
                init: begun.start.clone().filter(|_| !learns_weights),
                ..self.spec.training()
            };
            training.given.note_here();
            (training.library, training.name, training.base) = match is_kept {
                true => (self.spec.library.clone(), self.spec.name.clone(), training.base),
                false => (library.clone(), pair.name.clone(), Some(base.clone())),
            };
            rows.push(TrainRow {
                name: match is_kept {
                    true => self.spec.name.clone(),
                    false => pair.shown(),
                },
                data: training.data.clone(),
                examples: pair.shots.len(),
                steps: training.steps(pair.shots.len()),
                ..TrainRow::default()
            });
            let blend = blend.clone().filter(|_| learns_weights);
            let adapted = Some(Adapted { from: begun.from.clone(), seen: begun.seen.clone(), blend });
            all.push(RowTraining { number, spec: training, state: self.work.state(&pair.name)?, adapted });
        }
        (self.events)(RowsEvent::Rows(rows));
        let mut made: Vec<Option<TrainReport>> = pairs.iter().map(|_| None).collect();
        let mut take = |row: usize, report: TrainReport| {
            made[row] = Some(report);
            None
        };
        train_rows(&all, None, &mut take, &mut |_, _| false, self.events, self.cancel)?;
        let all: Option<Vec<TrainReport>> = made.into_iter().collect();
        all.ok_or_else(|| Error::msg("a training did not end"))
    }

    /// What is reported of a pair, before anything is asked.
    fn row(&self, pair: &Pair, begun: Begun, training: TrainReport) -> Result<AdaptRow> {
        let mut from = begun.from;
        if pair.chosen.start.learns_weights {
            // The expert has those that were learned.
            let made = Library::open(&training.path)?;
            let provenance = made.experts.first().and_then(|expert| expert.provenance.as_ref());
            if let Some(learned) = provenance.and_then(|provenance| provenance.adapted.clone()) {
                from = learned;
            }
        }
        let mut experts: Vec<Part> = from
            .experts
            .into_iter()
            .map(|expert| Part { name: expert.name, weight: expert.weight })
            .collect();
        experts.retain(|part| part.weight != 0.0);
        experts.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.name.cmp(&b.name)));
        Ok(AdaptRow {
            start: pair.chosen.text.clone(),
            shots: pair.shots.len(),
            experts,
            kept: from.kept,
            before: Scores::default(),
            after: Scores::default(),
            training,
        })
    }

    /// Asks all that was made.
    fn compare(&mut self, pairs: &[Pair], asked: &Asked, report: &mut AdaptReport) -> Result<()> {
        let (base, path) = (self.base()?, self.library()?);
        let catalog = Catalog::open(&path, Some(&base))?;
        let events = RefCell::new(&mut *self.events);
        let stage = |text: String| (events.borrow_mut())(RowsEvent::Stage(text));
        let options = options(self.spec);
        let mut hear = stages(&stage);
        let session = Session::open_unrouted(&catalog, &base, &options, &mut hear, self.cancel)?;
        let single = |name: &str| Method::Routed(RouterConfig::single(name));
        let mut methods: Vec<(String, Method)> = Vec::new();
        for pair in pairs {
            methods.push((pair.shown(), single(&pair.name)));
            if has_adapter(&pair.chosen) {
                let start = single(&start_name(&pair.name));
                methods.push((format!("{}, before training", pair.shown()), start));
            }
        }
        let scores = asked.scores((&catalog, &session), &methods, &mut |text| stage(text), self.cancel)?;
        let mut scores = scores.into_iter();
        let known = |untrained: &[Untrained], method: &str| {
            untrained.iter().find(|one| one.method == method).map_or(Scores::default(), |one| one.scores)
        };
        for (pair, row) in pairs.iter().zip(&mut report.rows) {
            row.after = scores.next().unwrap_or_default();
            row.before = match has_adapter(&pair.chosen) {
                true => scores.next().unwrap_or_default(),
                false if pair.chosen.start.learns_weights => known(&report.untrained, MEAN),
                false => known(&report.untrained, BASE),
            };
        }
        Ok(())
    }
}

/// The base model alone, and the mean of all experts, as methods.
const BASE: &str = "base";
const MEAN: &str = "uniform";

fn options(spec: &AdaptSpec) -> LoadOptions {
    LoadOptions { device: spec.training.device.clone(), precision: spec.training.precision }
}

/// Whether a start is an adapter of the training's rank.
fn has_adapter(chosen: &Chosen) -> bool {
    chosen.start.uses_experts && !chosen.start.learns_weights
}

/// Makes what a pair begins with; the adapter, where it is one, at `path`.
fn make(
    spec: &AdaptSpec,
    pair: &Pair,
    bench: Option<&mut Bench<'_, '_>>,
    layers: &LayerSizes,
    path: &Path,
    cancel: &Cancel,
) -> Result<Begun> {
    let start = pair.chosen.text.clone();
    let training = &spec.training;
    let none = || Begun {
        from: AdaptedFrom { start: start.clone(), ..AdaptedFrom::default() },
        seen: Vec::new(),
        targets: training.targets.clone(),
        start: None,
    };
    let Some(bench) = bench else { return Ok(none()) };
    let Some(mixture) = (pair.chosen.start.weigh)(bench, &pair.chosen.text, &pair.shots)? else {
        return Ok(none());
    };
    let (mut from, seen) = origin(bench, &mixture, start);
    if pair.chosen.start.learns_weights {
        return Ok(Begun { from, seen, targets: training.targets.clone(), start: None });
    }
    let Beginning { loras, targets, kept } = beginning(&bench.merging, layers, &mixture, training, cancel)?;
    from.kept = Some(kept);
    let (base, revision) = bench.merging.base();
    let config = NewAdapterConfig {
        revision: revision.map(String::from),
        base: base.unwrap_or_default().into(),
        r: training.rank,
        alpha: training.alpha,
        dropout: 0.0,
        targets: loras.iter().map(|lora| lora.module.clone()).collect(),
    };
    let provenance =
        Provenance { adapted: Some(from.clone()), seen_before: seen.clone(), ..Provenance::default() };
    write_adapter(path, &loras, &config, DType::F32, &provenance)?;
    Ok(Begun { from, seen, targets, start: Some(path.to_path_buf()) })
}

/// What a mixture of experts is made of, and what these have learned.
fn origin(bench: &Bench<'_, '_>, mixture: &Mixture, start: String) -> (AdaptedFrom, Vec<SeenTask>) {
    let mut experts = bench.merging.experts(&mixture.means());
    let all = bench.catalog.experts.iter().zip(&experts).filter(|(_, part)| part.weight != 0.0);
    let seen = Expert::learned_by(all.map(|(expert, _)| expert));
    experts.retain(|expert| expert.weight != 0.0);
    (AdaptedFrom { start, kept: None, experts }, seen)
}

/// Asks what the library knows without training: the base model, its own router, routers that are starts, and the mean of
/// its experts where their weights are learned.
fn untrained(
    bench: &mut Bench<'_, '_>,
    pairs: &[Pair],
    asked: &Asked,
    cancel: &Cancel,
) -> Result<Vec<Untrained>> {
    let manifest = &bench.catalog.manifest;
    let named = manifest.router.default.clone();
    let mut methods = vec![BASE.to_string(), named.unwrap_or_else(|| RouterConfig::default().to_string())];
    // What a method does not say itself is as the library has it.
    let own = RouterConfig::of_library(manifest, true)?;
    methods
        .extend(pairs.iter().filter(|pair| pair.chosen.start.is_router).map(|pair| pair.chosen.text.clone()));
    if pairs.iter().any(|pair| pair.chosen.start.learns_weights) {
        methods.push(MEAN.into());
    }
    let mut once: Vec<String> = Vec::new();
    methods.into_iter().for_each(|method| {
        if !once.contains(&method) {
            once.push(method);
        }
    });
    bench.session()?.set_router_with(own, &mut |_| {}, cancel)?;
    let (catalog, stage) = (bench.catalog, bench.stage);
    ask(asked, (catalog, bench.session()?), &once, stage, cancel)
}

/// Asks methods by their names.
fn ask(
    asked: &Asked,
    (catalog, session): (&Catalog, &Session),
    names: &[String],
    stage: &dyn Fn(String),
    cancel: &Cancel,
) -> Result<Vec<Untrained>> {
    let one = |name: &String| Ok((name.clone(), name.parse()?));
    let methods: Vec<(String, Method)> = names.iter().map(one).collect::<Result<_>>()?;
    let scores = asked.scores((catalog, session), &methods, &mut |text| stage(text), cancel)?;
    let one = |(method, scores): (&String, Scores)| Untrained { method: method.clone(), scores };
    Ok(names.iter().zip(scores).map(one).collect())
}
