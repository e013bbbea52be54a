//! `train`: one new expert from one task or several.

use std::path::PathBuf;
use std::sync::LazyLock;

use super::{
    AnyJob, Around, Findings, Job, JobContext, Kind, Made, Measure, Next, Use, absolute, make_real, real,
    real_if_there,
};
use crate::eval::EvalSpec;
use crate::field;
use crate::library::{check_new_name, expert_path};
use crate::outside::own;
use crate::routing::RouterConfig;
use crate::settings::{Entry, Kind as Of, Role, Setting};
use crate::text::{counted, duration, number};
use crate::train::{self, TRAINING, TrainReport, TrainSpec};
use crate::{Error, Result};

/// Trainings of one expert.
pub static TRAIN: Kind = Kind::of::<TrainSpec>();

static DATA: Setting<TrainSpec> =
    Setting::new("data", Of::Paths(field!(TrainSpec.data), Some("name a task folder or a .jsonl file")))
        .flag("data", "Task folder or .jsonl file; several make a joint expert")
        .value("DIR_OR_FILE")
        .form("Data", "task folder or .jsonl file; Tab completes")
        .role(Role::Data);
static NAME: Setting<TrainSpec> = Setting::new("name", Of::Text(field!(TrainSpec.name), name_problem))
    .flag("name", "Name of the new expert")
    .value("NAME")
    .form("Name", "folder of the new expert")
    .role(Role::NewExpert);

static SETTINGS: LazyLock<Vec<Box<dyn Entry<TrainSpec>>>> = LazyLock::new(|| {
    let all = [&DATA, &NAME].into_iter().chain(TRAINING);
    all.map(|setting| Box::new(setting) as Box<dyn Entry<TrainSpec>>).collect()
});

fn name_problem(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("name the new expert"),
        "." | ".." => Some("one plain folder name, without / or \\"),
        _ if name.contains(['/', '\\']) => Some("one plain folder name, without / or \\"),
        _ => None,
    }
}

impl Job for TrainSpec {
    const KIND: &'static str = "train";
    const HEADING: &'static str = "Train a new expert";
    const RESUMES: bool = true;
    const UNIQUE: Option<&'static str> = Some("training");
    const EACH: Option<&'static str> = Some("name");
    type Report = TrainReport;

    fn settings() -> &'static [Box<dyn Entry<Self>>] {
        &SETTINGS
    }

    fn fresh(around: &Around<'_>) -> Self {
        Self { library: absolute(around.library), ..training(around) }
    }

    fn suggest(&self, id: &str, _around: &Around<'_>) -> Option<String> {
        let name = |path: &std::path::PathBuf| {
            let text = path.to_string_lossy();
            let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_string();
            let name = last.strip_suffix(".jsonl").unwrap_or(&last).to_string();
            (!matches!(name.as_str(), "" | "." | ".." | "~")).then_some(name)
        };
        (id == NAME.id).then(|| self.data.iter().filter_map(name).collect::<Vec<_>>().join("+"))
    }

    /// A folder that is no task itself stands for those below it that have training examples.
    fn each(&self) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for path in &self.data {
            let is_task = !path.is_dir() || path.join("train.jsonl").is_file();
            let tasks = if is_task { vec![path.clone()] } else { train::find_tasks(path)? };
            let trained =
                tasks.into_iter().filter(|task| !task.is_dir() || task.join("train.jsonl").is_file());
            let before = all.len();
            for task in trained {
                if task.is_dir() && train::read_task(&task)?.held_out {
                    continue;
                }
                let mut one = Self { data: vec![task], ..self.clone() };
                one.name = one.suggest(NAME.id, &Around::default()).unwrap_or_default();
                all.push(one);
            }
            if all.len() == before {
                return Err(Error::file(path, "has no tasks with training examples (train.jsonl) below it"));
            }
        }
        Ok(all)
    }

    fn title(&self) -> String {
        self.name.clone()
    }

    fn prepare(&mut self) -> Result<()> {
        self.library = real(&self.library)?;
        self.check()?;
        self.given.note_here();
        for path in self.data.iter_mut().chain(&mut self.validation) {
            make_real(path, &mut self.given)?;
        }
        make_start_real(self);
        for path in &self.data {
            train::Dataset::load_for_training(path)?;
        }
        if let Some(log) = &mut self.log {
            *log = std::path::absolute(&*log).map_err(|error| Error::io(&*log, error))?;
        }
        Ok(())
    }

    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
        visit(&mut self.library, Use::Library);
        paths_of_training(self, visit);
    }

    fn check_new(&self) -> Result<()> {
        check_new_name(&self.library, &self.name).map(drop)
    }

    fn estimate(&mut self) {
        // Why there is none, the worker will say.
        self.forecast = train::forecast(self).ok();
    }

    fn is_made(&self) -> bool {
        expert_path(&self.library, &self.name).is_ok_and(|path| own::is_taken(&path))
    }

    fn check_resumed(&self) -> Result<()> {
        // No file but an earlier log is written over.
        self.log.as_deref().map_or(Ok(()), train::check_log)
    }

    fn run(&self, context: &mut JobContext<'_>) -> Result<TrainReport> {
        let events = &mut *context.events;
        train::train(self, Some(context.state), &mut |event| events.training(event), context.cancel)
    }

    fn facts(&self) -> Vec<String> {
        let mut facts = crate::settings::facts(training_settings(), self);
        facts.extend(self.data.iter().map(|path| path.display().to_string()));
        facts
    }

    fn findings(report: &TrainReport) -> Findings {
        let steps = counted(report.steps, "step");
        let time = Some(report.seconds).filter(|seconds| seconds.is_finite()).map(duration);
        let finite = |loss: Option<f64>| loss.filter(|loss| loss.is_finite());
        let speed = Some(report.tokens_per_second).filter(|speed| speed.is_finite());
        let base = finite(report.base_validation_loss);
        let loss = |name: &str, loss: Option<f64>| finite(loss).map(|loss| format!("{name} {loss:.2}"));
        let losses = [loss("validation", report.validation_loss), loss("base", report.base_validation_loss)];
        let losses: Vec<String> = losses.into_iter().flatten().collect();
        let losses = if losses.is_empty() { String::new() } else { format!(": {}", losses.join(", ")) };
        let facts = [
            Some(time.map_or(steps.clone(), |time| format!("{steps} in {time}"))),
            speed.map(|speed| format!("{speed:.0} tokens/s")),
            finite(Some(report.train_loss)).map(|loss| format!("training loss {}", number(loss, 3))),
            finite(report.validation_loss).map(|loss| {
                let base = base.map_or(String::new(), |base| format!(", base {}", number(base, 3)));
                format!("validation loss {}{base}", number(loss, 3))
            }),
            Some(format!("saved in {}", report.path.display())),
        ];
        Findings {
            headline: format!("{} is trained{losses}", report.expert),
            made: Some(Made::Expert(report.expert.clone())),
            measure: Measure::of_training(report),
            facts: facts.into_iter().flatten().collect(),
            ..Findings::default()
        }
    }

    fn trained(report: &TrainReport) -> Vec<(&str, Option<&TrainReport>)> {
        vec![(report.expert.as_str(), Some(report))]
    }

    fn next(&self, report: &TrainReport) -> Vec<Next> {
        let mut all = Next::of_expert(&report.expert);
        // What is evaluated are folders.
        if self.data.iter().all(|path| path.extension().is_none()) {
            let methods = [RouterConfig::base(), RouterConfig::single(&report.expert)];
            let methods = methods.iter().map(RouterConfig::to_string).collect();
            let eval = EvalSpec {
                library: self.library.clone(),
                base: self.base.clone(),
                tasks: self.data.clone(),
                methods,
                device: self.device.clone(),
                ..EvalSpec::default()
            };
            all.extend(
                AnyJob::from(eval).start("Evaluate it beside the base model on what it was trained for"),
            );
        }
        all
    }

    fn training(&self) -> Option<&TrainSpec> {
        Some(self)
    }
}

/// Makes whole paths of the base model and of the adapter to start from, which need not be there yet.
pub(super) fn make_start_real(spec: &mut TrainSpec) {
    if let Some(init) = &mut spec.init {
        let real = real_if_there(init);
        spec.given.note(&real, init);
        *init = real;
    }
    spec.base = spec.base.as_deref().map(real_if_there);
}

/// Paths that a training reads and writes, beside its library.
pub(super) fn paths_of_training(spec: &mut TrainSpec, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
    let read = spec.data.iter_mut().chain(&mut spec.validation).chain(&mut spec.init).chain(&mut spec.base);
    read.for_each(|path| visit(path, Use::Reads));
    spec.log.iter_mut().for_each(|path| visit(path, Use::Writes));
}

/// The settings below data and name.
fn training_settings() -> &'static [Box<dyn Entry<TrainSpec>>] {
    SETTINGS.get(2..).unwrap_or_default()
}

/// A training with the defaults, on the base and the device that were chosen.
pub(super) fn training(around: &Around<'_>) -> TrainSpec {
    let mut spec = TrainSpec { base: around.base.map(absolute), ..TrainSpec::default() };
    if !around.device.is_empty() {
        spec.device = around.device.into();
    }
    spec
}
