//! `eval`: methods × tasks, and who wins the routing.

mod routing;
mod text;

use std::path::{Path, PathBuf};

use super::files::Files;
use super::options::{AS_JOB, JobArgs, RouterArgs};
use super::output::Output;
use super::route::notes;
use crate::catalog::Catalog;
use crate::eval::{EvalEvent, EvalReport, EvalSpec, NamedLibrary, contenders, settings_of};
use crate::jobs::kinds::Around;
use crate::jobs::{AnyJob, evaluate_in_foreground};
use crate::library::Skipped;
use crate::{Error, Result};

/// Score methods on tasks, or count who wins the routing
#[derive(Clone, Debug, clap::Args)]
pub struct EvalArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(flatten)]
    pub job: JobArgs<EvalSpec>,
    /// Another library, whose methods are written NAME/METHOD
    #[arg(long = "library", id = "others", value_name = "NAME=PATH")]
    pub others: Vec<String>,
    /// Count which expert wins every (prompt token, module) pair instead of scoring answers
    #[arg(long, conflicts_with_all = ["methods", AS_JOB])]
    pub routing: bool,
    #[command(flatten)]
    pub router: RouterArgs,
    #[command(flatten)]
    pub files: Files<EvalReport>,
}

impl EvalArgs {
    /// Fills in what options say that are no settings of the job.
    fn complete(&self, spec: &mut EvalSpec) -> Result<()> {
        spec.libraries = self.others.iter().map(|text| NamedLibrary::read(text)).collect::<Result<_>>()?;
        let main = Catalog::open(&self.library, spec.base.as_deref())?;
        let mut others = Vec::new();
        // A job that this one waits for may make a library: until then this one's experts stand for those to come.
        let waits = !self.job.given.after.is_empty() || !self.job.given.after_any.is_empty();
        for other in &spec.libraries {
            let is_to_come = waits && !other.path.exists();
            let path = if is_to_come { &self.library } else { &other.path };
            others.push((other.name.clone(), Catalog::open(path, spec.base.as_deref())?));
        }
        let named: Vec<_> = others.iter().map(|(name, library)| (name.clone(), &**library)).collect();
        let methods = contenders(&spec.methods.join(","), &main, &named)?;
        let routers = methods.iter().filter_map(|contender| contender.method.router());
        let config = self.router.among(routers).config(&main)?;
        spec.router = config.head();
        spec.settings = settings_of(&config.values);
        (spec.muted, spec.pinned, spec.general) = (config.muted, config.pinned, config.general);
        spec.calibration.clone_from(&self.router.calibration);
        Ok(())
    }
}

/// Runs the command.
pub fn run(args: &EvalArgs, output: &Output) -> Result<()> {
    args.router.overruled().iter().for_each(|line| output.note_once(line));
    if args.job.background {
        let change = |job: &mut AnyJob| {
            let mut spec = job.get::<EvalSpec>().cloned().ok_or_else(|| Error::msg("is no evaluation"))?;
            args.complete(&mut spec)?;
            *job = AnyJob::from(spec);
            Ok(())
        };
        return super::jobs::start_changed(&args.library, &args.job.given, &change, output);
    }
    let mut spec = args.job.spec(&Around { library: Path::new(&args.library), ..Around::default() })?;
    if args.routing {
        return routing::run(args, &spec, output);
    }
    spec.library.clone_from(&args.library);
    args.complete(&mut spec)?;
    let catalog = Catalog::open(&args.library, spec.base.as_deref())?;
    output.library_notes(&catalog);
    let mut progress = output.progress();
    let mut events = |event| match event {
        EvalEvent::Stage(text) => progress.update(&text),
        EvalEvent::Note(text) => output.note(&text),
        EvalEvent::Planned(_) => {}
        EvalEvent::Progress(at) => {
            let (done, all) = at.all;
            progress.stage(&format!("{}: {}", at.method, at.task));
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
    args.files.write(&report, output)?;
    match output.is_json() {
        true => output.document(&report),
        false => output.text(&text::table(&report)),
    }
}
