//! `eval`: methods on tasks.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::{
    Around, Findings, Job, JobContext, Kind, Made, Measure, Next, Parts, Use, absolute, real, real_if_there,
    tasks_title,
};
use crate::eval::{
    self, EvalEvent, EvalProgress, EvalReport, EvalSpec, LIBRARY_WANTED, NamedLibrary, Split, TASKS_HELP,
    against_problem, evaluate, libraries_problem, mean_text, methods_problem, of_libraries_problem,
};
use crate::jobs::event::JobRow;
use crate::jobs::events::EventLog;
use crate::jobs::layout::OUTLINE;
use crate::model::{Precision, is_device};
use crate::named::Named;
use crate::outside::own;
use crate::scorers::{Scorer, Scoring};
use crate::settings::{self, Entry, Kind as Of, Role, Setting, Whole, Word, path_of, words};
use crate::text::counted;
use crate::train::Step;
use crate::{Error, Result, field, named_setting};

/// Evaluations.
pub static EVAL: Kind = Kind::of::<EvalSpec>();

/// Most examples before an item.
const MAX_SHOTS: u64 = 1000;

/// How often the state of each method is written down.
const BETWEEN_ROWS: Duration = Duration::from_secs(2);

/// The other libraries as a form shows them.
fn libraries_text(spec: &EvalSpec) -> String {
    let one = |library: &NamedLibrary| format!("{}={}", library.name, library.path.display());
    spec.libraries.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Takes other libraries, with commas between.
fn set_libraries(spec: &mut EvalSpec, text: &str) -> Result<(), String> {
    let mut each: Vec<String> = Vec::new();
    for part in text.split(',') {
        match each.last_mut() {
            // What names no library is the rest of a path with a comma.
            Some(before) if !part.contains('=') && !part.trim().is_empty() => *before += &format!(",{part}"),
            _ if part.trim().is_empty() => {}
            _ => each.push(part.trim().into()),
        }
    }
    let read = |text: &String| {
        let library = NamedLibrary::read(text).map_err(|_| LIBRARY_WANTED.to_string())?;
        Ok(NamedLibrary { path: path_of(&library.path.to_string_lossy()), ..library })
    };
    spec.libraries = each.iter().map(read).collect::<Result<_, String>>()?;
    Ok(())
}

/// What stands for the metric that a task names.
const OWN: &str = "own";

fn metrics() -> Vec<Word> {
    let own = Word { word: OWN, help: "That of each task" };
    std::iter::once(own).chain(words::<Scorer>()).collect()
}

fn metric_name(spec: &EvalSpec) -> &'static str {
    spec.metric.map_or(OWN, |metric| metric.name)
}

fn set_metric(spec: &mut EvalSpec, name: &str) -> bool {
    let metric = (name != OWN).then(|| Scorer::named(name).copied()).transpose();
    metric.map(|metric| spec.metric = metric).is_ok()
}

/// The settings of an evaluation.
pub static EVALUATION: &[Setting<EvalSpec>] = &[
    Setting::new("tasks", Of::Paths(field!(EvalSpec.tasks), Some("name a folder of tasks")))
        .flag("tasks", TASKS_HELP)
        .value("PATH")
        .form("Tasks", "task folders, or YAML of lm-eval: Ctrl-T lists them")
        .role(Role::Tasks),
    Setting::new("methods", Of::CheckedNames(field!(EvalSpec.methods), methods_problem))
        .flag(
            "methods",
            "Methods to compare: baselines, or routers with their settings; NAME/METHOD is one of another library",
        )
        .value("METHODS")
        .form("Methods", "baselines, or routers with their settings")
        .among(of_libraries_problem),
    Setting::new("libraries", Of::Written { get: libraries_text, set: set_libraries })
        .flag("library", "Another library, whose methods are written NAME/METHOD")
        .value("NAME=PATH")
        .unset("none")
        .several()
        .form("Libraries", "others, as NAME=PATH: their methods are NAME/METHOD")
        .among(libraries_problem),
    Setting::new("split", named_setting!(Split, EvalSpec.split))
        .flag("split", "Split to use: choose settings on validation, report scores on test")
        .value("SPLIT")
        .form("Split", "choose settings on validation, report scores on test"),
    Setting::new("limit", Of::OptionalWhole(field!(EvalSpec.limit), Whole { low: 1, high: u32::MAX as u64 }))
        .flag("limit", "Items per task")
        .value("N")
        .unset("all; 20 with --routing")
        .form("Items", "per task; empty: all"),
    Setting::new(
        "num_fewshot",
        Of::OptionalWhole(field!(EvalSpec.num_fewshot), Whole { low: 0, high: MAX_SHOTS }),
    )
    .flag("num-fewshot", "Examples before each item, drawn from the training split as lm-eval does")
    .value("N")
    .unset("0, or what a task's YAML says")
    .form("Examples", "before each item; empty: none")
    .advanced(),
    Setting::new("scoring", named_setting!(Scoring, EvalSpec.scoring))
        .flag("scoring", "Rules by which items are asked and scored; scores of different ones do not compare")
        .value("RULES")
        .form("Rules", "by which items are asked and scored")
        .advanced(),
    Setting::new("metric", Of::Choice { words: metrics, get: metric_name, set: set_metric })
        .flag("metric", "How every task is scored, in place of its own metric")
        .value("METRIC")
        .form("Metric", "of every task; own: that of each")
        .advanced(),
    Setting::new("held_out", Of::Switch(field!(EvalSpec.held_out), true))
        .flag("held-out", "Only tasks that no expert was trained on")
        .form("Held out", "only tasks that no expert was trained on"),
    Setting::new("against", Of::Text(field!(EvalSpec.against), |_| None))
        .flag("against", "Method that the others are compared with")
        .value("METHOD")
        .unset("base, else the first")
        .form("Against", "method that others are compared with; empty: base")
        .advanced()
        .among(against_problem),
    Setting::new("answers", Of::Switch(field!(EvalSpec.answers), true))
        .flag("answers", "Keep answers, also where their scores can be known without")
        .form("Answers", "keep them, also where scores are known without")
        .advanced(),
    Setting::new("fresh", Of::Switch(field!(EvalSpec.fresh), true))
        .flag("fresh", "Compute again what earlier evaluations found out")
        .form("Fresh", "compute again what is known")
        .advanced(),
    Setting::new("precision", named_setting!(Precision, EvalSpec.precision))
        .flag("precision", "Precision of the base model's weights")
        .value("PRECISION")
        .form("Precision", "of the base model's weights"),
    Setting::new("base", Of::Path(field!(EvalSpec.base)))
        .flag("base", "Base model: a .gguf file or a transformers folder")
        .value("PATH")
        .unset("the library's"),
    Setting::new("device", Of::Text(field!(EvalSpec.device), device_problem))
        .flag("device", "Where to compute: auto, cpu, cuda:N or metal")
        .value("DEVICE"),
];

fn device_problem(text: &str) -> Option<&'static str> {
    (!is_device(text)).then_some("auto, cpu, cuda:N or metal")
}

static SETTINGS: LazyLock<Vec<Box<dyn Entry<EvalSpec>>>> =
    LazyLock::new(|| EVALUATION.iter().map(|setting| Box::new(setting) as Box<dyn Entry<_>>).collect());

/// Writes down what will be reported, beside the state of the job.
fn keep_outline(state: &Path, report: &EvalReport) -> Result<()> {
    let path = state.with_file_name(OUTLINE);
    let text = serde_json::to_vec(report).map_err(|error| Error::file(&path, error.to_string()))?;
    own::replace(&path, &text)
}

/// How far each method is, as rows of a job.
struct Rows {
    rows: Vec<JobRow>,
    written: Option<Instant>,
}

impl Rows {
    /// Takes in how far a method is on a task; the rows, where it is time to write them.
    fn take(&mut self, progress: &EvalProgress) -> Option<Vec<JobRow>> {
        let at = self.rows.iter().position(|row| row.name == progress.method).unwrap_or_else(|| {
            self.rows.push(JobRow { name: progress.method.clone(), ..JobRow::default() });
            self.rows.len() - 1
        });
        let row = &mut self.rows[at];
        row.members = vec![progress.task.clone()];
        (row.step, row.steps) = progress.of_method;
        let due = self.written.is_none_or(|written| written.elapsed() >= BETWEEN_ROWS);
        (due || progress.items.0 == progress.items.1).then(|| {
            self.written = Some(Instant::now());
            self.rows.clone()
        })
    }
}

/// What was heard of an evaluation so far, as events of its job.
pub(in crate::jobs) struct Heard {
    began: Instant,
    /// Items that were known before.
    first: Option<usize>,
    rows: Rows,
    stage: String,
}

impl Heard {
    /// The evaluation begins.
    pub fn new() -> Self {
        let rows = Rows { rows: Vec::new(), written: None };
        Self { began: Instant::now(), first: None, rows, stage: String::new() }
    }

    /// Writes down what is heard, where readers of the job look for it; `state` is where the job keeps its own.
    pub fn take(&mut self, event: &EvalEvent, state: &Path, events: &mut EventLog) {
        match event {
            EvalEvent::Stage(text) => {
                // How far it is changes many times a second: the log says once what is done.
                let what = text.rsplit_once(": ").map_or(text.as_str(), |(what, _)| what);
                if what == self.stage {
                    return events.doing(text.clone());
                }
                self.stage = what.to_string();
                events.stage(text);
            }
            EvalEvent::Note(text) => events.log(text),
            // Without it the work is the same; only those who look at it have to wait.
            EvalEvent::Planned(report) => {
                if let Err(error) = keep_outline(state, report) {
                    events.log(&format!("how far it is cannot be shown: {error}"));
                }
            }
            EvalEvent::Progress(progress) => {
                let (step, steps) = progress.all;
                let first = *self.first.get_or_insert(step);
                let pace = self.began.elapsed().as_secs_f64() / (step - first).max(1) as f64;
                let left = (step > first).then(|| pace * steps.saturating_sub(step) as f64);
                if let Some(rows) = self.rows.take(progress) {
                    events.rows(rows);
                }
                events.doing(progress.to_string());
                events.step(Step { step, steps, eta_seconds: left, ..Step::default() }, None);
            }
        }
    }
}

impl Job for EvalSpec {
    const KIND: &'static str = "eval";
    const HEADING: &'static str = "Evaluate methods on tasks";
    const RESUMES: bool = true;
    const PARTS: Parts = Parts { one: "method", many: "methods", unit: "item", of: "now on" };
    type Report = EvalReport;

    fn settings() -> &'static [Box<dyn Entry<Self>>] {
        &SETTINGS
    }

    fn fresh(around: &Around<'_>) -> Self {
        let default = Self::default();
        let device = if around.device.is_empty() { default.device.clone() } else { around.device.into() };
        Self { library: absolute(around.library), base: around.base.map(absolute), device, ..default }
    }

    fn title(&self) -> String {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        format!("{} on {}", name(&self.library), tasks_title(&self.tasks))
    }

    fn prepare(&mut self) -> Result<()> {
        self.library = real(&self.library)?;
        settings::check(EVALUATION, self)?;
        for path in self.tasks.iter_mut().chain(&mut self.calibration) {
            *path = real(path)?;
        }
        for library in &mut self.libraries {
            // A job before this one may make it: the worker says what is not there.
            library.path = real_if_there(&absolute(&library.path));
        }
        self.base = self.base.as_deref().map(real_if_there);
        Ok(())
    }

    fn check_begin(&self, waits: bool) -> Result<()> {
        eval::check(self, waits).map_err(|unfit| unfit.error)
    }

    fn paths(&mut self, visit: &mut dyn FnMut(&mut PathBuf, Use)) {
        visit(&mut self.library, Use::Library);
        let others = self.libraries.iter_mut().map(|library| &mut library.path);
        let all = self.tasks.iter_mut().chain(others).chain(&mut self.base).chain(&mut self.calibration);
        all.for_each(|path| visit(path, Use::Reads));
    }

    fn run(&self, context: &mut JobContext<'_>) -> Result<EvalReport> {
        let mut heard = Heard::new();
        let mut report = |event: EvalEvent| heard.take(&event, context.state, context.events);
        evaluate(self, &mut report, context.cancel)
    }

    fn next(&self, _report: &EvalReport) -> Vec<Next> {
        vec![Next::open("Show the scores in the Eval tab", Made::Scores)]
    }

    fn findings(report: &EvalReport) -> Findings {
        let mean = report.means.first();
        let score = |at: usize| {
            mean_text(mean.and_then(|m| m.scores.get(at)?.as_ref()), mean.is_some_and(|m| m.is_loss), " ± ")
        };
        let sign = if mean.is_some_and(|mean| mean.is_loss) { -1.0 } else { 1.0 };
        let scores = mean.map_or(&[][..], |mean| &mean.scores);
        let known =
            scores.iter().enumerate().filter_map(|(at, mean)| Some((at, sign * mean.as_ref()?.score)));
        // Among own experts, which know the task, the best is no surprise: the Eval tab names the same.
        let is_own = |at: usize| report.methods.get(at).is_some_and(|label| label == "expert");
        let known = known.filter(|(at, _)| !is_own(*at) || report.methods.len() == 1);
        let best = known.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let measure = best.and_then(|(_, rank)| match mean?.is_loss {
            true => Measure::loss("best loss", Some(-rank), None),
            false => Measure::more("best score", Some(100.0 * rank), 1),
        });
        let best =
            best.and_then(|(at, _)| Some(format!(", best {}: {}", report.methods.get(at)?, score(at))));
        let size =
            format!("{} on {}", counted(report.methods.len(), "method"), counted(report.tasks.len(), "task"));
        let of_methods =
            report.methods.iter().enumerate().map(|(at, method)| format!("{method}: {}", score(at)));
        Findings {
            headline: format!("{size}{}", best.unwrap_or_default()),
            made: Some(Made::Scores),
            measure,
            facts: std::iter::once(size.clone()).chain(of_methods).collect(),
            clusters: Vec::new(),
            left_out: report.skipped.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::AnyJob;

    #[test]
    fn other_libraries_are_written_as_on_the_command_line() {
        let mut job = AnyJob::from(EvalSpec::default());
        job.set("libraries", "mbc=/data/mbc, own = other ").unwrap();
        let spec = job.get::<EvalSpec>().unwrap();
        let found: Vec<(&str, &Path)> =
            spec.libraries.iter().map(|library| (library.name.as_str(), library.path.as_path())).collect();
        assert_eq!(found, [("mbc", Path::new("/data/mbc")), ("own", Path::new("other"))]);
        assert_eq!(job.text("libraries"), "mbc=/data/mbc, own=other");
        job.set("libraries", "mbc=/data/a, b,own=other").unwrap();
        let paths = &job.get::<EvalSpec>().unwrap().libraries;
        assert_eq!((paths.len(), paths[0].path.as_path()), (2, Path::new("/data/a, b")));
        assert!(job.set("libraries", "mbc").unwrap_err().to_string().contains("NAME=PATH"));
        job.set("libraries", "").unwrap();
        assert!(job.get::<EvalSpec>().unwrap().libraries.is_empty());
    }

    #[test]
    fn methods_that_there_are_not_are_refused_before_anything_starts() {
        let mut job = AnyJob::from(EvalSpec::default());
        assert!(
            job.set("methods", "base, arow")
                .unwrap_err()
                .of("methods", "x")
                .starts_with("methods: there is no method \"arow\"; did you mean arrow")
        );
        // What is of another library, or of an expert whose name has a comma, is looked at when that library is open.
        job.set("methods", "base,mbc/arrow:k=1,single:a,b,expert").unwrap();
        let place = tempfile::tempdir().unwrap();
        let spec = EvalSpec {
            library: place.path().into(),
            tasks: vec![place.path().into()],
            methods: vec!["mbc/arow".into()],
            ..EvalSpec::default()
        };
        assert!(AnyJob::from(spec).prepare().unwrap_err().to_string().contains("did you mean arrow"));
    }

    #[test]
    fn what_the_worker_would_refuse_at_once_never_becomes_a_job() {
        let place = tempfile::tempdir().unwrap();
        let task = place.path().join("t");
        std::fs::create_dir_all(&task).unwrap();
        let line = r#"{"instruction":"i","output":"o"}"#;
        std::fs::write(task.join("test.jsonl"), line).unwrap();
        std::fs::write(task.join("task.toml"), "id = \"t\"\n").unwrap();
        let library = place.path().join("library");
        std::fs::create_dir(&library).unwrap();
        let jobs = crate::jobs::Jobs::of_folder(&library).unwrap();
        let refusal = |change: &dyn Fn(&mut EvalSpec)| {
            let mut spec = EvalSpec {
                library: library.clone(),
                tasks: vec![task.clone()],
                methods: vec!["base".into()],
                ..EvalSpec::default()
            };
            change(&mut spec);
            let refused = jobs.start_many(&[(AnyJob::from(spec), Vec::new())]).map(drop);
            refused.unwrap_err().to_string()
        };
        let choice = Scorer::named("choice").copied().unwrap();
        for (said, found) in [
            ("no method to compare with \"lag\"", refusal(&|spec| spec.against = "lag".into())),
            ("item 1 of the test split, by choice", refusal(&|spec| spec.metric = Some(choice))),
            ("validation", refusal(&|spec| spec.split = Split::Validation)),
            ("--library mbc=PATH", refusal(&|spec| spec.methods = vec!["mbc/arrow".into()])),
            ("no expert is called `a`", refusal(&|spec| spec.methods = vec!["single:a".into()])),
        ] {
            assert!(found.contains(said), "{found}");
        }
        assert_eq!(jobs.ids().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn many_tasks_are_a_number_in_the_title() {
        let of = |tasks: usize| EvalSpec {
            library: "/data/private".into(),
            tasks: (0..tasks).map(|task| PathBuf::from(format!("/tasks/t{task}"))).collect(),
            ..EvalSpec::default()
        };
        assert_eq!(of(2).title(), "private on t0, t1");
        assert_eq!(of(44).title(), "private on 44 tasks");
    }

    #[test]
    fn a_job_of_an_evaluation_shows_its_scores() {
        let findings = EvalSpec::findings(&EvalReport::default());
        assert_eq!(findings.made, Some(Made::Scores));
    }
}
