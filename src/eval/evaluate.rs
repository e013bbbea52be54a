//! An evaluation from its specification to its report: libraries one after the other, each with its methods.

use super::asked_task::AskedTask;
use super::calibration::{ChosenPrompts, own_source, prompt_source};
use super::contender::{
    Contender, OF, against, against_problem, contenders, libraries_problem, of_libraries_problem,
};
use super::evaluation::Evaluation;
use super::methods::Method;
use super::omitted::{left_out, partial};
use super::report::{CalibratedWith, EvalReport, Failure, ReportedTask};
use super::run::{Order, Progress};
use super::seen::{Acquaintance, Leak, known_by};
use super::spec::EvalSpec;
use super::store::Store;
use super::summary::{ItemScores, summarise};
use super::tasks::{ToAsk, asked_tasks};
use super::usable::{beyond, check_router};
use crate::catalog::Catalog;
use crate::library::{Library, Skipped};
use crate::model::LoadOptions;
use crate::named::find_name;
use crate::routing::{RouterConfig, Session, SettingValues, settings};
use crate::{Cancel, Error, Result};

/// What an evaluation reports while it runs.
#[derive(Clone, Debug)]
pub enum EvalEvent {
    /// What it is doing; untrusted.
    Stage(String),
    /// What a person should know; untrusted.
    Note(String),
    /// What will be computed, with nothing yet but where results are kept: what is known at any time can be read there.
    Planned(Box<EvalReport>),
    /// How far it is.
    Progress(EvalProgress),
}

/// How far an evaluation is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EvalProgress {
    /// Label of the method that is at work; untrusted.
    pub method: String,
    /// The task; untrusted.
    pub task: String,
    /// Items of both that are known, and all of them.
    pub items: (usize, usize),
    /// The same of the method over all tasks.
    pub of_method: (usize, usize),
    /// The same over everything.
    pub all: (usize, usize),
}

impl std::fmt::Display for EvalProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, task, items: (done, items), .. } = self;
        write!(f, "{method}: {task}, {done} of {items}")
    }
}

/// Settings as texts, for a specification.
pub fn settings_of(values: &SettingValues) -> Vec<(String, String)> {
    let given = |name: &'static str, value: Option<crate::routing::SettingValue>| {
        Some((name.into(), value?.to_string()))
    };
    settings().into_iter().filter_map(|setting| given(setting.name, values.given(setting))).collect()
}

/// The router whose settings methods take that they do not give.
fn router_of(spec: &EvalSpec, library: &Library, is_main: bool) -> Result<RouterConfig> {
    let mut config = match spec.router.as_str() {
        "" => RouterConfig::base(),
        text => text.parse()?,
    };
    for (name, value) in &spec.settings {
        let setting = settings().into_iter().find(|setting| setting.name == *name);
        let setting =
            setting.ok_or_else(|| Error::usage(format!("there is no setting of routers called {name}")))?;
        config.values.set(setting, setting.parse(Some(value))?);
    }
    config.fill_from(&library.manifest);
    if is_main {
        let names = |typed: &[String]| -> Result<Vec<String>> {
            let all = || library.experts.iter().map(|e| e.name.as_str());
            typed
                .iter()
                .map(|name| match find_name(all(), name) {
                    Some(at) => Ok(library.experts[at].name.clone()),
                    None => library.expert(name).map(|e| e.name.clone()),
                })
                .collect()
        };
        (config.muted, config.pinned, config.general) =
            (names(&spec.muted)?, names(&spec.pinned)?, names(&spec.general)?);
    }
    Ok(config)
}

/// The router through which a method of an evaluation, by its label, answers the items of one of its tasks, with all settings that
/// the evaluation gave: so that an item can be asked again.
///
/// # Errors
/// A usage error that says why nothing can be asked: a method of another library, or no router.
pub fn router_again(
    spec: &EvalSpec,
    library: &Library,
    label: &str,
    task: &ReportedTask,
) -> Result<RouterConfig> {
    if let Some((name, _)) = label.split_once(OF)
        && let Some(other) = spec.libraries.iter().find(|other| other.name == name)
    {
        let path = other.path.display();
        return Err(Error::usage(format!("{label} belongs to another library: open {path} to ask it")));
    }
    let method: Method = label.parse()?;
    let mut config = method.routed(library, &task.info()).ok_or_else(|| {
        let task = &task.task;
        Error::usage(format!("{label} is no router here, so there is nothing to route {task} with"))
    })?;
    let own = router_of(spec, library, true)?;
    config.values.fill(&own.values);
    (config.muted, config.pinned, config.general) = (own.muted, own.pinned, own.general);
    Ok(config)
}

/// A library under evaluation.
struct Side {
    /// Empty for the main one.
    name: String,
    catalog: Catalog,
}

impl Side {
    /// A name of its own, with that of the library before it.
    fn named(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_string() } else { format!("{}/{name}", self.name) }
    }
}

/// Opens a library's session with the settings of an evaluation.
fn open_session(
    spec: &EvalSpec,
    side: &Side,
    stage: &mut dyn FnMut(String),
    cancel: &Cancel,
) -> Result<Session> {
    let catalog = &side.catalog;
    let is_main = side.name.is_empty();
    let config = router_of(spec, catalog, is_main)?;
    let chosen = spec.calibration.clone().map(ChosenPrompts::Prompts);
    if let Some(chosen) = &chosen {
        chosen.read()?;
    }
    let base = catalog.base_fetched_with_words(stage, cancel)?;
    let options = LoadOptions { device: spec.device.clone(), precision: spec.precision };
    let mut session =
        Session::open_unrouted(catalog, &base, &options, &mut |text| stage(side.named(text)), cancel)?;
    session.learn_from(own_source(catalog, None));
    session.calibrate_with(prompt_source(catalog, chosen));
    session.set_router_with(config, &mut |step| stage(step.to_string()), cancel)?;
    Ok(session)
}

/// What an evaluation begins with, before anything is loaded.
struct Beginning {
    sides: Vec<Side>,
    contenders: Vec<Contender>,
    against: Option<usize>,
    tasks: Vec<AskedTask>,
    /// Of each task, whether an expert was trained on it.
    known: Vec<bool>,
    leaks: Vec<Leak>,
}

impl Beginning {
    /// Opens the libraries and reads the tasks.
    fn of(spec: &EvalSpec, events: &mut dyn FnMut(EvalEvent), cancel: &Cancel) -> Result<Self> {
        let mut sides =
            vec![Side { name: String::new(), catalog: Catalog::open(&spec.library, spec.base.as_deref())? }];
        if let Some(problem) = libraries_problem(spec) {
            return Err(Error::usage(problem));
        }
        for other in &spec.libraries {
            let catalog = Catalog::open(&other.path, spec.base.as_deref())?;
            sides.push(Side { name: other.name.clone(), catalog });
        }
        let others: Vec<(String, &Library)> =
            sides[1..].iter().map(|side| (side.name.clone(), &*side.catalog)).collect();
        let contenders = contenders(&spec.methods.join(","), &sides[0].catalog, &others)?;
        for Contender { library, method, .. } in &contenders {
            if let Some(router) = method.router() {
                let side = &sides[*library];
                let own = router_of(spec, &side.catalog, *library == 0)?;
                let RouterConfig { muted, pinned, general, values, .. } = own;
                let mut router = RouterConfig { muted, pinned, general, ..router.clone() };
                router.values.fill(&values);
                check_router(&side.catalog, &router, None)?;
                beyond(&side.catalog, &router).into_iter().for_each(|line| events(EvalEvent::Note(line)));
            }
        }
        let against = against(spec, &contenders)?;
        let tasks = tasks_of(spec, &sides, events, cancel)?;
        let (mut known, mut leaks) = (vec![false; tasks.len()], Vec::new());
        for side in &sides {
            for (task, known) in tasks.iter().zip(&mut known) {
                for (expert, how) in known_by(&side.catalog, task) {
                    *known |= how >= Acquaintance::Named;
                    if let Some(reason) = how.leak(task.info.held_out).filter(|_| !task.again) {
                        leaks.push(Leak {
                            task: task.info.id.clone(),
                            expert: side.named(expert),
                            reason: reason.into(),
                        });
                    }
                }
            }
        }
        let (tasks, known): (Vec<AskedTask>, Vec<bool>) =
            tasks.into_iter().zip(known).filter(|(_, known)| !spec.held_out || !known).unzip();
        if tasks.is_empty() {
            return Err(Error::usage(
                "experts were trained on all of these tasks: leave out --held-out, or name others",
            ));
        }
        Ok(Self { sides, contenders, against, tasks, known, leaks })
    }
}

/// Whether an evaluation can begin, before there is a job for it: what [`evaluate`] finds out before it loads anything.
/// One that `waits` for other jobs may need libraries that these make; it is looked at without them.
///
/// # Errors
/// As [`evaluate`], with the setting that is wrong.
pub fn check(spec: &EvalSpec, waits: bool) -> std::result::Result<(), Unfit> {
    let of = |setting: &'static str| move |error: Error| Unfit { setting, error };
    let problems = [
        ("libraries", libraries_problem(spec)),
        ("methods", of_libraries_problem(spec)),
        ("against", against_problem(spec)),
    ];
    for (setting, problem) in problems {
        problem.map_or(Ok(()), |problem| Err(Unfit { setting, error: Error::usage(problem) }))?;
    }
    if let Some(prompts) = &spec.calibration {
        ChosenPrompts::Prompts(prompts.clone()).read().map_err(of("prompts"))?;
    }
    if !waits {
        return Beginning::of(spec, &mut |_| {}, &Cancel::new()).map(drop).map_err(of("methods"));
    }
    // Of tasks that are there, what is asked of them is all that can be wrong with it.
    let setting = match (spec.metric.is_some(), spec.num_fewshot.is_some_and(|shots| shots > 0)) {
        (true, _) => "metric",
        (false, true) => "num_fewshot",
        (false, false) => return Ok(()),
    };
    tasks_of(spec, &[], &mut |_| {}, &Cancel::new()).map(drop).map_err(of(setting))
}

/// Why an evaluation cannot begin.
#[derive(Debug)]
pub struct Unfit {
    /// The setting that is wrong, as recipes name it.
    pub setting: &'static str,
    /// What is wrong.
    pub error: Error,
}

/// Does what `spec` asks for. Results that were found out before are not computed again, and those of an evaluation
/// that is stopped are kept.
///
/// # Errors
/// What is wrong with the specification, its libraries or its tasks; a base model that is not there; a raised `cancel`.
pub fn evaluate(spec: &EvalSpec, events: &mut dyn FnMut(EvalEvent), cancel: &Cancel) -> Result<EvalReport> {
    let Beginning { sides, contenders, against, tasks, known, leaks } = Beginning::of(spec, events, cancel)?;
    let labels: Vec<String> = contenders.iter().map(|contender| contender.label.clone()).collect();
    for Leak { task, expert, reason } in &leaks {
        events(EvalEvent::Note(format!("warning: leak of {task}: {expert}: {reason}")));
    }
    let row = |(task, known): (&AskedTask, &bool)| ReportedTask {
        task: task.label.clone(),
        yaml: task.is_yaml().then(|| task.info.id.clone()),
        family: task.group.clone().unwrap_or_default(),
        held_out: !known,
        items: task.items,
        shots: task.shots.count(),
        again: task.again,
        metric: task.info.metric,
    };
    let metrics: Vec<_> = tasks.iter().map(|task| task.info.metric).collect();
    let mut report = EvalReport {
        metric: metrics.first().copied().filter(|first| metrics.iter().all(|metric| metric == first)),
        metrics,
        measured: spec.metric,
        split: spec.split,
        scoring: spec.scoring,
        precision: Some(spec.precision),
        tasks: tasks.iter().zip(&known).map(row).collect(),
        kept: vec![vec![None; labels.len()]; tasks.len()],
        methods: labels,
        leaks,
        ..EvalReport::default()
    };
    let items: ItemScores = run(spec, (&sides, &contenders, &tasks), &mut report, events, cancel)?;
    let is_oracle = |c: &Contender| c.library == 0 && c.method.to_string() == "expert";
    let oracle = contenders.iter().position(is_oracle);
    events(EvalEvent::Stage("summing up".into()));
    summarise(&mut report, &items, against, oracle);
    Ok(report)
}

/// Lets every library's methods answer.
fn run(
    spec: &EvalSpec,
    (sides, contenders, tasks): (&[Side], &[Contender], &[AskedTask]),
    report: &mut EvalReport,
    events: &mut dyn FnMut(EvalEvent),
    cancel: &Cancel,
) -> Result<ItemScores> {
    let mut items: ItemScores = tasks.iter().map(|_| vec![None; contenders.len()]).collect();
    let order = Order { scoring: spec.scoring, fresh: spec.fresh, answers: spec.answers };
    let of_one: usize = tasks.iter().map(|task| task.items).sum();
    let mut before = 0;
    for (number, side) in sides.iter().enumerate() {
        let own: Vec<usize> = (0..contenders.len()).filter(|&at| contenders[at].library == number).collect();
        if own.is_empty() {
            continue;
        }
        let session = open_session(spec, side, &mut |text| events(EvalEvent::Stage(text)), cancel)?;
        let warnings = session.model().warnings.iter().map(|warning| format!("warning: {warning}"));
        warnings.for_each(|warning| events(EvalEvent::Note(warning)));
        let store = Store::of(&side.catalog.root)?;
        let evaluation = Evaluation { library: &side.catalog, session: &session, cancel };
        let methods: Vec<Method> = own.iter().map(|&at| contenders[at].method.clone()).collect();
        let after = of_one * contenders.iter().filter(|contender| contender.library > number).count();
        let (mut all, mut planned) = (0, false);
        let mut progress = |progress: &Progress| {
            all = progress.all.1;
            if !std::mem::replace(&mut planned, true) {
                put(&mut report.kept, &own, progress.kept.iter().cloned());
                events(EvalEvent::Planned(Box::new(report.clone())));
            }
            if progress.cell.1 == 0 {
                return events(EvalEvent::Stage(progress.names.0.to_string()));
            }
            events(EvalEvent::Progress(EvalProgress {
                method: contenders[own[progress.method]].label.clone(),
                task: progress.names.1.to_string(),
                items: progress.cell,
                of_method: progress.of_method,
                all: (before + progress.all.0, before + progress.all.1 + after),
            }));
        };
        let answered = evaluation.answer(&store, (tasks, &methods), &order, &mut progress)?;
        before += all;
        if answered.cut > 0 {
            events(EvalEvent::Note(format!(
                "warning: {} longer than the base model's context of {} tokens, and asked without the beginning",
                if answered.cut == 1 {
                    "1 request was".to_string()
                } else {
                    format!("{} requests were", answered.cut)
                },
                session.model().decoder.spec.context
            )));
        }
        report.cut += answered.cut;
        put(&mut report.kept, &own, answered.kept);
        put(&mut items, &own, answered.scores);
        report.failed.extend(
            answered
                .failed
                .into_iter()
                .map(|failed| Failure { method: side.named(&failed.name), reason: failed.reason }),
        );
        if side.name.is_empty() {
            let RouterConfig { muted, pinned, general, .. } = session.router().clone();
            (report.muted, report.pinned, report.general) = (muted, pinned, general);
        }
        let named = |skipped: Skipped| Skipped::new(side.named(&skipped.name), skipped.reason);
        report.skipped.extend(left_out(&side.catalog, &session).into_iter().map(named));
        report.partial.extend(partial(&side.catalog, &session).into_iter().map(named));
        let router = |&at: &usize| {
            let Contender { label, method, .. } = &contenders[at];
            Some((label.clone(), evaluation.completed(method.router()?.clone())))
        };
        let routers: Vec<(String, RouterConfig)> = own.iter().filter_map(router).collect();
        let used = session.last_calibration().and_then(|calibration| {
            CalibratedWith::of(&calibration, routers.iter().map(|(label, config)| (label.clone(), config)))
        });
        if let Some(used) = used {
            report.add_calibration(used);
        }
    }
    Ok(items)
}

/// Puts what belongs to the methods `own` of a library into the rows of all methods.
fn put<T>(rows: &mut [Vec<T>], own: &[usize], of_own: impl IntoIterator<Item = Vec<T>>) {
    for (row, values) in rows.iter_mut().zip(of_own) {
        own.iter().zip(values).for_each(|(&at, value)| row[at] = value);
    }
}

/// The tasks that are asked.
fn tasks_of(
    spec: &EvalSpec,
    sides: &[Side],
    events: &mut dyn FnMut(EvalEvent),
    cancel: &Cancel,
) -> Result<Vec<AskedTask>> {
    let experts = sides.iter().flat_map(|side| side.catalog.usable());
    let how = ToAsk {
        split: spec.split,
        limit: spec.limit,
        shots: spec.num_fewshot,
        metric: spec.metric,
        seeds: experts.filter_map(|expert| expert.provenance.as_ref()?.seed).collect(),
    };
    asked_tasks(&spec.tasks, &how, &mut |text| events(EvalEvent::Note(text)), cancel)
}
