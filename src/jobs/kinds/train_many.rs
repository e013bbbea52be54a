//! `train-many`: an expert for each of several tasks.

use std::path::PathBuf;
use std::sync::LazyLock;

use super::rows::RowsProgress;
use super::train::{make_start_real, paths_of_training, training};
use super::{
    AnyJob, Around, Findings, Job, JobContext, Kind, Made, Measure, Next, Use, absolute, make_real, real,
    tasks_title,
};
use crate::Result;
use crate::eval::EvalSpec;
use crate::field;
use crate::settings::{Entry, Setting, Within};
use crate::text::{counted, duration};
use crate::train::{self, MANY, ManyReport, ManySpec, TRAINING, TrainReport, TrainRow, TrainSpec};

/// Trainings of an expert for each of several tasks.
pub static TRAIN_MANY: Kind = Kind::of::<ManySpec>();

static SETTINGS: LazyLock<Vec<Box<dyn Entry<ManySpec>>>> = LazyLock::new(|| {
    let own = |setting: &'static Setting<ManySpec>| Box::new(setting) as Box<dyn Entry<ManySpec>>;
    let shared = TRAINING.iter().filter(|setting| !setting.single).map(|setting| {
        Box::new(Within { setting, part: field!(ManySpec.training), hint: None }) as Box<dyn Entry<ManySpec>>
    });
    MANY.iter().map(own).chain(shared).collect()
});

impl Job for ManySpec {
    const KIND: &'static str = "train-many";
    const HEADING: &'static str = "Train one expert for each task";
    const RESUMES: bool = true;
    type Report = ManyReport;

    fn settings() -> &'static [Box<dyn Entry<Self>>] {
        &SETTINGS
    }

    fn fresh(around: &Around<'_>) -> Self {
        Self { library: absolute(around.library), training: training(around), ..Self::default() }
    }

    fn title(&self) -> String {
        tasks_title(&self.tasks)
    }

    fn prepare(&mut self) -> Result<()> {
        self.library = real(&self.library)?;
        self.check()?;
        self.training.given.note_here();
        for path in &mut self.tasks {
            make_real(path, &mut self.training.given)?;
        }
        make_start_real(&mut self.training);
        Ok(())
    }

    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
        visit(&mut self.library, Use::Library);
        self.tasks.iter_mut().for_each(|path| visit(path, Use::Reads));
        paths_of_training(&mut self.training, visit);
    }

    fn run(&self, context: &mut JobContext<'_>) -> Result<ManyReport> {
        let (events, mut progress) = (&mut *context.events, RowsProgress::default());
        let made = train::train_many(self, &mut |event| progress.take(event, events), context.cancel)?;
        made.skipped.iter().for_each(|skipped| events.log(&format!("skipped {skipped}")));
        Ok(made)
    }

    fn findings(report: &ManyReport) -> Findings {
        let count = counted(report.experts.len(), "expert");
        let verb = if report.experts.len() == 1 { "is" } else { "are" };
        let steps = report.experts.iter().map(|row| row.steps).sum::<usize>();
        let time = Some(report.seconds).filter(|seconds| seconds.is_finite()).map(duration);
        let steps = counted(steps, "step");
        let facts = vec![
            count.clone(),
            time.map_or(steps.clone(), |time| format!("{steps} in {time}")),
            format!("saved in {}", report.library.display()),
        ];
        let made = match report.experts.as_slice() {
            [one] => Made::Expert(one.name.clone()),
            _ => Made::Library(report.library.clone()),
        };
        Findings {
            headline: format!("{count} {verb} trained"),
            made: Some(made),
            measure: Measure::of_trainings(&report.experts),
            facts,
            left_out: report.skipped.clone(),
            ..Findings::default()
        }
    }

    fn trained(report: &ManyReport) -> Vec<(&str, Option<&TrainReport>)> {
        report.experts.iter().map(TrainRow::trained).collect()
    }

    fn next(&self, report: &ManyReport) -> Vec<Next> {
        let mut all = match report.experts.as_slice() {
            [one] => Next::of_expert(&one.name),
            _ => vec![Next::open(
                "Open the library with the new experts",
                Made::Library(report.library.clone()),
            )],
        };
        let eval = EvalSpec {
            library: report.library.clone(),
            base: self.training.base.clone(),
            tasks: self.tasks.clone(),
            device: self.training.device.clone(),
            ..EvalSpec::default()
        };
        all.extend(AnyJob::from(eval).start("Evaluate the library on these tasks"));
        all
    }

    fn training(&self) -> Option<&TrainSpec> {
        Some(&self.training)
    }
}
