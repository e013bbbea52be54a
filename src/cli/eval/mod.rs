//! `eval`: methods × tasks, and who wins the routing.

mod routing;
mod text;

use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Args, Command, FromArgMatches};

use super::files::Files;
use super::options::{AS_JOB, GivenJob, JobArgs, More, RouterArgs};
use super::output::Output;
use super::route::notes;
use super::starting::start_changed;
use crate::catalog::Catalog;
use crate::eval::{EvalEvent, EvalReport, EvalSpec, contenders, settings_of};
use crate::jobs::kinds::{Around, Job};
use crate::jobs::{AnyJob, evaluate_in_foreground};
use crate::library::Skipped;
use crate::{Error, Result};

/// Score methods on tasks, or count who wins the routing
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("router", |router| router.help(
    "The router of --routing; with methods, settings that they do not give, as a router has them: arrow:calibrated"
)))]
pub struct EvalArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub job: JobArgs<EvalSpec>,
    /// Count which expert wins every (prompt token, module) pair instead of scoring answers
    #[arg(long, conflicts_with_all = ["methods", AS_JOB])]
    pub routing: bool,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub files: Files<EvalReport>,
}

/// What options say that are no settings of the job.
pub const MORE: More = More {
    kind: EvalSpec::KIND,
    augment: RouterArgs::augment_args,
    is_given: |matches| {
        let own = RouterArgs::augment_args(Command::new("eval"));
        own.get_arguments().any(|arg| {
            matches.try_contains_id(arg.get_id().as_str()).unwrap_or(false)
                && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
        })
    },
    complete: |matches, given, library, job, output| {
        let router =
            RouterArgs::from_arg_matches(matches).map_err(|error| Error::usage(error.to_string()))?;
        router.overruled().iter().for_each(|line| output.note_once(line));
        change(job, |spec| complete(spec, library, given, &router))
    },
};

/// Changes a job that is an evaluation.
fn change(job: &mut AnyJob, change: impl FnOnce(&mut EvalSpec) -> Result<()>) -> Result<()> {
    let mut spec = job.get::<EvalSpec>().cloned().ok_or_else(|| Error::msg("is no evaluation"))?;
    change(&mut spec)?;
    *job = AnyJob::from(spec);
    Ok(())
}

/// Fills in what options say that are no settings of the job.
fn complete(spec: &mut EvalSpec, library: &Path, given: &GivenJob, router: &RouterArgs) -> Result<()> {
    let main = Catalog::open(library, spec.base.as_deref())?;
    let mut others = Vec::new();
    // A job that this one waits for may make a library: until then this one's experts stand for those to come.
    let waits = !given.after.is_empty() || !given.after_any.is_empty();
    for other in &spec.libraries {
        let is_to_come = waits && !other.path.exists();
        let path = if is_to_come { library } else { &other.path };
        others.push((other.name.clone(), Catalog::open(path, spec.base.as_deref())?));
    }
    let named: Vec<_> = others.iter().map(|(name, library)| (name.clone(), &**library)).collect();
    let methods = contenders(&spec.methods.join(","), &main, &named)?;
    let routers = methods.iter().filter_map(|contender| contender.method.router());
    let config = router.among(routers).config(&main)?;
    spec.router = config.head();
    spec.settings = settings_of(&config.values);
    (spec.muted, spec.pinned, spec.general) = (config.muted, config.pinned, config.general);
    spec.calibration.clone_from(&router.calibration);
    Ok(())
}

/// Runs the command.
pub fn run(args: &EvalArgs, output: &Output) -> Result<()> {
    args.router.overruled().iter().for_each(|line| output.note_once(line));
    if args.job.background {
        let given = &args.job.given;
        let change =
            |job: &mut AnyJob| change(job, |spec| complete(spec, &args.library, given, &args.router));
        return start_changed(&args.library, given, &change, output);
    }
    let mut spec = args.job.spec(&Around { library: Path::new(&args.library), ..Around::default() })?;
    if args.routing {
        return routing::run(args, &spec, output);
    }
    args.files.check()?;
    spec.library.clone_from(&args.library);
    complete(&mut spec, &args.library, &args.job.given, &args.router)?;
    let catalog = Catalog::open(&args.library, spec.base.as_deref())?;
    output.library_notes(&catalog);
    let mut progress = output.progress();
    let mut last = String::new();
    let mut events = |event| match event {
        EvalEvent::Stage(text) => progress.update(&text),
        EvalEvent::Note(text) => output.note(&text),
        EvalEvent::Planned(_) => {}
        EvalEvent::Progress(at) => {
            let (done, all) = at.all;
            let cell = format!("{}: {}", at.method, at.task);
            if cell != last {
                progress.stage(&format!("{cell} ({done} of {all} in all)"));
                last = cell;
            }
            progress.update(&format!("{at} ({} of {all} in all)", done));
        }
    };
    let report = evaluate_in_foreground(&spec, &mut events, output.cancel())?;
    drop(progress);
    report.calibration_lines().iter().for_each(|line| output.note(line));
    if !output.is_json() {
        // What was wrong with the library alone was said when it was opened.
        let said = catalog.bad();
        let skipped: Vec<&Skipped> =
            report.skipped.iter().filter(|skipped| !said.contains(skipped)).collect();
        notes(skipped.iter().map(|skipped| format!("skipped {skipped}")), output);
        notes(report.partial.iter().map(|partial| format!("partly applied: {partial}")), output);
    }
    for failed in &report.failed {
        output.note(&format!("warning: no scores of {}: {}", failed.method, failed.reason));
    }
    // A disk that is full takes nothing of what was found out.
    let written = args.files.write(&report, output);
    match output.is_json() {
        true => output.document(&report)?,
        false => output.text(&text::table(&report))?,
    }
    written.map(drop)
}
