//! `adapt`: a new task with few examples, out of a library's experts.

use std::path::PathBuf;
use std::sync::LazyLock;

use super::rows::RowsProgress;
use super::train::{paths_of_training, training};
use super::{
    AnyJob, Around, Findings, Job, JobContext, Kind, Made, Measure, Next, Parts, Use, absolute, make_real,
    real, real_if_there,
};
use crate::adapt::{self, ADAPTATION, AdaptReport, AdaptSpec};
use crate::eval::EvalSpec;
use crate::library::check_new_name;
use crate::settings::{Entry, Setting, Within};
use crate::text::{counted, number};
use crate::train::{self, INIT, TRAINING, TrainReport, TrainSpec};
use crate::{Result, field};

/// Adaptations to a task.
pub static ADAPT: Kind = Kind::of::<AdaptSpec>();

/// Folder of the work, in a job's directory.
const WORK: &str = "work";

static SETTINGS: LazyLock<Vec<Box<dyn Entry<AdaptSpec>>>> = LazyLock::new(|| {
    let own = |setting: &'static Setting<AdaptSpec>| Box::new(setting) as Box<dyn Entry<AdaptSpec>>;
    // What training begins with is its own setting.
    let shared = TRAINING.iter().filter(|setting| !setting.single && setting.id != INIT).map(|setting| {
        Box::new(Within { setting, part: field!(AdaptSpec.training), hint: None })
            as Box<dyn Entry<AdaptSpec>>
    });
    ADAPTATION.iter().map(own).chain(shared).collect()
});

impl Job for AdaptSpec {
    const KIND: &'static str = "adapt";
    const HEADING: &'static str = "Learn a task with few examples from the library";
    const RESUMES: bool = true;
    const PARTS: Parts = Parts { one: "start", many: "starts", unit: "step", of: "made for" };
    type Report = AdaptReport;

    fn settings() -> &'static [Box<dyn Entry<Self>>] {
        &SETTINGS
    }

    fn fresh(around: &Around<'_>) -> Self {
        Self { library: absolute(around.library), training: training(around), ..Self::default() }
    }

    fn title(&self) -> String {
        if !self.name.is_empty() {
            return self.name.clone();
        }
        let task = self.data.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        format!("{task} from {}", self.from.join(", "))
    }

    fn prepare(&mut self) -> Result<()> {
        self.library = real(&self.library)?;
        self.check()?;
        self.training.given.note_here();
        make_real(&mut self.data, &mut self.training.given)?;
        self.training.base = self.training.base.as_deref().map(real_if_there);
        let data = train::Dataset::load_for_training(&self.data)?;
        for shots in &self.shots {
            data.clone().draw(*shots, self.training.seed)?;
        }
        Ok(())
    }

    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
        visit(&mut self.library, Use::Library);
        visit(&mut self.data, Use::Reads);
        paths_of_training(&mut self.training, visit);
    }

    fn check_new(&self) -> Result<()> {
        match self.name.is_empty() {
            true => Ok(()),
            false => check_new_name(&self.library, &self.name).map(drop),
        }
    }

    fn estimate(&mut self) {
        let spec = TrainSpec {
            library: self.library.clone(),
            data: vec![self.data.clone()],
            ..self.training.clone()
        };
        // Why there is none, the worker will say.
        self.training.forecast = train::forecast(&spec).ok();
    }

    fn run(&self, context: &mut JobContext<'_>) -> Result<AdaptReport> {
        let (events, mut progress) = (&mut *context.events, RowsProgress::default());
        let place = context.state.with_file_name(WORK);
        let made =
            adapt::adapt(self, Some(&place), &mut |event| progress.take(event, events), context.cancel)?;
        made.warnings.iter().for_each(|warning| events.log(warning));
        Ok(made)
    }

    fn findings(report: &AdaptReport) -> Findings {
        let rows = report.rows.iter().map(|row| {
            let kept = row.kept.filter(|kept| *kept < 1.0);
            let kept = kept.map_or(String::new(), |kept| format!(", {:.1} % of ‖ΔW‖² kept", 100.0 * kept));
            let score = row.after.score.map(|mean| mean.score);
            let is_loss = report.metric.is_some_and(|metric| metric.is_loss());
            let score = score.map_or(String::new(), |score| match is_loss {
                true => format!(": loss {}", number(score, 3)),
                false => format!(": {} %", number(100.0 * score, 1)),
            });
            format!("{}, {}{score}{kept}", row.start, counted(row.shots, "shot"))
        });
        let facts: Vec<String> = rows.collect();
        let (headline, made, measure) = match (&report.expert, report.rows.as_slice()) {
            (Some(name), [row]) => (
                format!("{name} is adapted from {} with {}", row.start, counted(row.shots, "shot")),
                Some(Made::Expert(name.clone())),
                Measure::of_training(&row.training),
            ),
            _ => (format!("{} compared on {}", counted(report.rows.len(), "start"), report.task), None, None),
        };
        Findings { headline, made, measure, facts, left_out: report.skipped.clone(), ..Findings::default() }
    }

    fn trained(report: &AdaptReport) -> Vec<(&str, Option<&TrainReport>)> {
        let kept = report.expert.as_deref().zip(report.rows.first());
        kept.map(|(name, row)| (name, Some(&row.training))).into_iter().collect()
    }

    fn next(&self, report: &AdaptReport) -> Vec<Next> {
        let Some(name) = &report.expert else { return Vec::new() };
        let mut all = Next::of_expert(name);
        if self.data.extension().is_none() {
            let eval = EvalSpec {
                library: self.library.clone(),
                base: self.training.base.clone(),
                tasks: vec![self.data.clone()],
                methods: vec!["base".into(), format!("single:{name}")],
                device: self.training.device.clone(),
                ..EvalSpec::default()
            };
            all.extend(AnyJob::from(eval).start("Evaluate it beside the base model on its task"));
        }
        all
    }

    fn training(&self) -> Option<&TrainSpec> {
        Some(&self.training)
    }
}
