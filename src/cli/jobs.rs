//! `jobs`: what runs in the background.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::configured;
use super::options::choice;
use super::output::Output;
use super::starting::follow_it;
use super::table::{Align, Table};
use super::to_start::JobToStart;
use crate::analysis::cluster_name;
use crate::jobs::executors::{Entry as Executor, executor_named};
use crate::jobs::kinds::{self, Findings, Parts, Use};
use crate::jobs::{AnyJob, JobDetail, JobRow, JobState, JobSummary, Jobs, Point, QueueMove, time_text};
use crate::library::state_place;
use crate::text::{counted, number, printable};
use crate::{Error, Result};

/// How often a followed log is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// How long `cancel` waits for the worker's answer.
const CANCEL_PATIENCE: Duration = Duration::from_secs(3);

/// List, start, show, follow, cancel and resume background jobs
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "The jobs of a library run one at a time, in the order they were started. Set LORA_TUI_JOB_SLOTS \
                  to a number up to 64 to run more at once; each takes the memory that `train` says it needs."
)]
pub struct JobsArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
    #[command(subcommand)]
    pub action: Option<JobsAction>,
}

/// What to do with jobs; listing them when nothing is said.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum JobsAction {
    /// List the jobs, newest first
    Ls,
    /// Start a job of any kind and return at once
    #[command(
        subcommand_value_name = "KIND",
        subcommand_help_heading = "Kinds",
        disable_help_subcommand = true
    )]
    Start {
        /// What to do.
        #[command(subcommand)]
        job: JobToStart,
    },
    /// Show one job: progress, losses, result
    Show {
        /// Job ID or unique prefix
        id: String,
    },
    /// Ask jobs to stop
    Cancel(Chosen),
    /// Resume cancelled, failed or crashed jobs
    Resume {
        #[command(flatten)]
        chosen: Chosen,
        /// All jobs that have failed, and nothing else
        #[arg(long, conflicts_with_all = ["ids", "group", "all"])]
        failed: bool,
        /// Resume them also if you did not start them on this machine
        #[arg(long)]
        trust: bool,
        /// Other settings, such as batch=8 and accumulate=2: a training resumes as long as its steps stay the same
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = changed)]
        changes: Vec<(String, String)>,
        /// Who does them [default: whoever did before]
        #[arg(long, value_name = "EXECUTOR", value_parser = choice::<Executor>())]
        executor: Option<Executor>,
    },
    /// Keep jobs that wait from beginning
    Hold(Chosen),
    /// Let jobs go that are held
    Release(Chosen),
    /// Put a job that waits on this machine before all others
    First {
        /// Job ID or unique prefix
        id: String,
    },
    /// Remove jobs that have ended from the list; what they wrote elsewhere stays
    Rm {
        #[command(flatten)]
        chosen: Chosen,
        /// All jobs that have failed, and nothing else
        #[arg(long, conflicts_with_all = ["ids", "group", "all"])]
        failed: bool,
    },
    /// Print a job's log
    Log {
        /// Job ID or unique prefix
        id: String,
        /// Continue until the job has ended
        #[arg(long, short)]
        follow: bool,
    },
}

/// `NAME=VALUE`.
fn changed(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().into(), value.trim().into())),
        _ => Err("has to be a setting and its value: batch=8".into()),
    }
}

/// Which jobs are meant.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Chosen {
    /// Job IDs or unique prefixes
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// All jobs that were started together with this one
    #[arg(long, value_name = "ID", conflicts_with_all = ["ids", "all"])]
    pub group: Option<String>,
    /// All jobs of the library that this can be done with
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
}

impl Chosen {
    /// The ids; of groups and of all jobs those that `fits`.
    fn ids(&self, jobs: &Jobs, fits: impl Fn(&JobSummary) -> bool) -> Result<Vec<String>> {
        let group = match &self.group {
            None if !self.all && self.ids.is_empty() => {
                return Err(Error::usage("name jobs by their ids, or take those of --group ID or --all"));
            }
            None if !self.all => return self.ids.iter().map(|id| jobs.resolve(id)).collect(),
            None => None,
            Some(id) => {
                let id = jobs.resolve(id)?;
                Some(jobs.get(&id)?.group.unwrap_or(id))
            }
        };
        let fits = |job: &JobSummary| {
            let of_group = |group: &String| job.group.as_ref() == Some(group) || job.id == *group;
            group.as_ref().is_none_or(of_group) && fits(job)
        };
        // The oldest first, as they were started.
        Ok(jobs.list()?.into_iter().rev().filter(fits).map(|job| job.id).collect())
    }
}

impl Chosen {
    /// The ids, or those of all jobs that have failed.
    fn ids_or_failed(
        &self,
        failed: bool,
        jobs: &Jobs,
        fits: impl Fn(&JobSummary) -> bool,
    ) -> Result<Vec<String>> {
        match failed {
            true => Self { all: true, ..self.clone() }.ids(jobs, |job| job.state == JobState::Failed),
            false => self.ids(jobs, fits),
        }
    }
}

/// Runs the command.
pub fn run(args: &JobsArgs, output: &Output) -> Result<()> {
    let jobs = Jobs::of_folder(&args.library)?;
    configured::note_library(&args.library, output);
    match &args.action {
        None | Some(JobsAction::Ls) => list(&args.library, &jobs, output),
        Some(JobsAction::Start { job }) => job.start(&args.library, output),
        Some(JobsAction::Show { id }) => show(&jobs, &jobs.resolve(id)?, output),
        Some(JobsAction::Cancel(chosen)) => {
            cancel(&jobs, &chosen.ids(&jobs, |job| !job.state.is_over())?, chosen, output)
        }
        Some(JobsAction::Resume { chosen, failed, trust, changes, executor }) => {
            let ids = chosen.ids_or_failed(*failed, &jobs, |job| job.state.can_resume())?;
            let jobs = match executor {
                None => jobs,
                Some(executor) => {
                    let executor = executor_named(executor.id, Some(args.library.clone()))?;
                    jobs.with_executor(executor)
                }
            };
            note_lost(&jobs, &ids, output)?;
            let results = jobs.resume_changed(&ids, *trust, changes)?;
            resumed(args, &jobs, &ids, results, output)
        }
        Some(JobsAction::Hold(chosen)) => hold(&jobs, chosen, true, output),
        Some(JobsAction::Release(chosen)) => hold(&jobs, chosen, false, output),
        Some(JobsAction::First { id }) => {
            let id = jobs.resolve(id)?;
            jobs.reorder(&id, QueueMove::First)?;
            say(&[(id, "is first".into())], output)
        }
        Some(JobsAction::Rm { chosen, failed }) => {
            let ids = chosen.ids_or_failed(*failed, &jobs, |job| job.state.is_over())?;
            became(jobs.remove_many(&ids)?, ("is removed", "removed"), output)
        }
        Some(JobsAction::Log { id, follow }) => log(&jobs, &jobs.resolve(id)?, *follow, output),
    }
}

fn list(library: &Path, jobs: &Jobs, output: &Output) -> Result<()> {
    let list = jobs.list()?;
    let place = state_place(library)?;
    if let Some((others, why)) = place.left_behind(library) {
        output.note(&format!("those in {} are not listed, since {why}: see `doctor`", others.display()));
    }
    if output.is_json() {
        return output.document(&json!({ "jobs": list }));
    }
    if list.is_empty() {
        output.note("no jobs yet: start one in the Jobs tab, or with `lora-tui jobs LIBRARY start KIND`");
        return Ok(());
    }
    let columns = ["ID", "KIND", "NAME", "STATE", "STEP", "STARTED", "WHY"];
    let mut table =
        Table::new(&columns.map(|name| (name, if name == "STEP" { Align::Right } else { Align::Left })));
    for job in &list {
        table.row([
            job.id.as_str(),
            job.kind_name(),
            &job.name,
            job.state.name(),
            &steps(job),
            &time_text(job.started),
            &job.why().unwrap_or_default(),
        ]);
    }
    output.text(&table.render())
}

fn steps(job: &JobSummary) -> String {
    match (job.step, job.steps) {
        (0, 0) => String::new(),
        (step, 0) => step.to_string(),
        (step, steps) => format!("{step}/{steps}"),
    }
}

fn show(jobs: &Jobs, id: &str, output: &Output) -> Result<()> {
    let mut detail = jobs.detail(id)?;
    // Only among the others it has a place.
    detail.summary.turn = jobs.list()?.into_iter().find(|job| job.id == id).and_then(|job| job.turn);
    if output.is_json() {
        let mut document = serde_json::to_value(&detail.summary).map_err(|e| Error::msg(e.to_string()))?;
        document["stage"] = json!(detail.progress.stage);
        document["tokens_per_second"] = json!(detail.progress.tokens_per_second);
        document["eta_seconds"] = json!(detail.progress.eta_seconds);
        document["rows"] = json!(detail.progress.rows);
        document["measure"] = json!(detail.summary.figures.measure);
        document["ended"] = json!(detail.ended.map(|ended| time_text(Some(ended))));
        let curve = |points: &[Point]| json!(points.iter().map(|at| (at.step, at.value)).collect::<Vec<_>>());
        document["losses"] = curve(&detail.progress.losses);
        document["validation"] = curve(&detail.progress.validation);
        document["spec"] = json!(detail.job);
        document["result"] = jobs.outcome(id)?.unwrap_or_default();
        return output.document(&document);
    }
    output.text(&describe(&detail))?;
    match (&detail.outcome, jobs.outcome(id)?) {
        (Some(Ok(report)), _) => {
            output.line("")?;
            output.line(&found(&report.findings()))
        }
        // Of a kind, or a version, that this one does not know.
        (_, Some(result)) => {
            output.line("")?;
            output.line(&printed(&result))
        }
        (_, None) => Ok(()),
    }
}

fn describe(detail: &JobDetail) -> String {
    let JobDetail { summary, progress, .. } = detail;
    let mut table = Table::new(&[("JOB", Align::Left), (&summary.id, Align::Left)]);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            table.row([name, &value]);
        }
    };
    row("kind", Some(summary.kind_name().into()));
    row("name", Some(summary.name.clone()));
    row("state", Some(summary.state.name().into()));
    row("error", summary.error.clone());
    row("waits", summary.why_queued());
    row("runs as", summary.place.clone());
    row("known", summary.unseen.clone());
    row("takes", Some(summary.share.facts().join(" · ")));
    row("after", Some(summary.after.join(", ")));
    let uses = detail.job.as_ref().map(AnyJob::uses).unwrap_or_default();
    let named = |wanted: Use| {
        let paths = uses.iter().filter(|(how, _)| *how == wanted).map(|(_, path)| path.display().to_string());
        Some(paths.collect::<Vec<_>>().join(", "))
    };
    row("library", named(Use::Library));
    row("reads", named(Use::Reads));
    row("writes", named(Use::Writes));
    row("asked", detail.job.as_ref().map(|job| job.facts().join(" · ")));
    row("started", Some(time_text(summary.started)));
    row("stage", progress.stage.clone().filter(|_| !summary.state.is_over()));
    row("step", Some(steps(summary)));
    let last =
        |curve: &[Point]| curve.last().map(|at| format!("{} at step {}", number(at.value, 4), at.step));
    row("loss", last(&progress.losses));
    row("validation loss", last(&progress.validation));
    row("tokens/s", progress.tokens_per_second.map(|speed| format!("{speed:.0}")));
    row("time left", progress.eta_seconds.and_then(time_left));
    let mut text = table.render();
    if !progress.rows.is_empty() {
        text.push('\n');
        let words = summary.kind.map_or(kinds::TRAIN.parts, |kind| kind.parts);
        text += &parts(&progress.rows, words);
    }
    text
}

/// The parts of a job that has several, in columns that something stands in.
fn parts(rows: &[JobRow], words: Parts) -> String {
    let loss = |loss: Option<f64>| loss.map_or(String::new(), |loss| number(loss, 4));
    let columns = [
        (words.one, Align::Left, rows.iter().map(|row| row.name.clone()).collect()),
        (words.unit, Align::Right, rows.iter().map(|row| format!("{}/{}", row.step, row.steps)).collect()),
        ("loss", Align::Right, rows.iter().map(|row| loss(row.loss)).collect()),
        ("validation", Align::Right, rows.iter().map(|row| loss(row.validation_loss)).collect()),
        (words.of, Align::Left, rows.iter().map(|row| row.members.join(", ")).collect::<Vec<String>>()),
    ];
    let used: Vec<_> =
        columns.into_iter().filter(|(.., cells)| cells.iter().any(|cell| !cell.is_empty())).collect();
    let titles: Vec<String> = used.iter().map(|(title, ..)| title.to_uppercase()).collect();
    let heads: Vec<(&str, Align)> =
        titles.iter().zip(&used).map(|(title, (_, align, _))| (title.as_str(), *align)).collect();
    let mut table = Table::new(&heads);
    for at in 0..rows.len() {
        table.row(used.iter().filter_map(|(.., cells)| cells.get(at).cloned()));
    }
    table.render()
}

/// Whole seconds as `1h 2m 3s`; nothing for times that make no sense.
fn time_left(seconds: f64) -> Option<String> {
    let time = Duration::try_from_secs_f64(seconds.round()).ok()?;
    Some(humantime::format_duration(time).to_string())
}

/// What a job found out, a fact, a cluster and an expert that was left out on a line each.
fn found(findings: &Findings) -> String {
    let clusters = findings
        .clusters
        .iter()
        .map(|(label, names)| format!("{}: {}", cluster_name(*label), names.join(", ")));
    let left_out = findings.left_out.iter().map(|skipped| format!("left out: {skipped}"));
    let lines: Vec<String> = findings.facts.iter().cloned().chain(clusters).chain(left_out).collect();
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

/// A result, each key on a line; lists of experts are long.
fn printed(result: &serde_json::Value) -> String {
    let Some(object) = result.as_object() else { return printable(&result.to_string()).into_owned() };
    let lines: Vec<String> =
        object.iter().map(|(key, value)| printable(&format!("{key}: {value}")).into_owned()).collect();
    lines.join("\n")
}

fn cancel(jobs: &Jobs, ids: &[String], chosen: &Chosen, output: &Output) -> Result<()> {
    match (ids, chosen.ids.is_empty()) {
        ([id], false) => jobs.cancel(id)?,
        _ => jobs.cancel_many(ids)?,
    }
    let began = Instant::now();
    let states = || ids.iter().map(|id| jobs.get(id)).collect::<Result<Vec<JobSummary>>>();
    let mut found = states()?;
    while found.iter().any(|job| !job.state.is_over()) && began.elapsed() < CANCEL_PATIENCE {
        output.cancel().check()?;
        std::thread::sleep(BETWEEN_LOOKS / 4);
        found = states()?;
    }
    if let [job] = found.as_slice() {
        if output.is_json() {
            return output.document(&json!({ "id": job.id, "state": job.state, "error": job.error }));
        }
        return output.line(&format!("{} is {}", job.id, stopped(job)));
    }
    say(&found.iter().map(|job| (job.id.clone(), stopped(job))).collect::<Vec<_>>(), output)
}

/// How it stands with a job that was cancelled, and what is lost of it.
fn stopped(job: &JobSummary) -> String {
    match (job.state, &job.error) {
        (JobState::Cancelling, _) => "cancelling: it stops after the step that it is in".into(),
        (JobState::Cancelled, Some(lost)) => printable(&format!("cancelled: {lost}")).into_owned(),
        (state, _) => state.name().into(),
    }
}

/// Says of jobs that are to be resumed what of them could not be saved when they were cancelled.
fn note_lost(jobs: &Jobs, ids: &[String], output: &Output) -> Result<()> {
    for job in ids.iter().map(|id| jobs.get(id)) {
        let JobSummary { id, state, error, .. } = job?;
        if let (JobState::Cancelled, Some(lost)) = (state, error) {
            output.note(&printable(&format!("{id}: {lost}")));
        }
    }
    Ok(())
}

/// What became of some jobs, a line each.
fn say(jobs: &[(String, String)], output: &Output) -> Result<()> {
    if output.is_json() {
        let rows: Vec<_> = jobs.iter().map(|(id, says)| json!({ "id": id, "says": says })).collect();
        return output.document(&json!({ "jobs": rows }));
    }
    if jobs.is_empty() {
        output.note("there are no such jobs");
    }
    jobs.iter().try_for_each(|(id, says)| output.line(&format!("{id} {says}")))
}

fn hold(jobs: &Jobs, chosen: &Chosen, held: bool, output: &Output) -> Result<()> {
    let ids = chosen.ids(jobs, |job| job.state == JobState::Queued && job.held != held)?;
    let words = if held { ("is held", "held") } else { ("may begin", "released") };
    became(jobs.hold(&ids, held)?, words, output)
}

/// Says what became of jobs that were to be changed, a line each; of a single one that was not, why. `words` are those behind
/// its id, and for what was done.
fn became(results: Vec<(String, Result<()>)>, (says, done): (&str, &str), output: &Output) -> Result<()> {
    if let [(_, Err(error))] = results.as_slice() {
        return Err(match error {
            Error::Usage(text) => Error::usage(text),
            error => Error::msg(error.to_string()),
        });
    }
    let failed = results.iter().filter(|(_, done)| done.is_err()).count();
    let count = results.len();
    let words = |(id, result): (String, Result<()>)| {
        (id, result.map_or_else(|error| format!("is not {done}: {error}"), |()| says.into()))
    };
    say(&results.into_iter().map(words).collect::<Vec<_>>(), output)?;
    match failed {
        0 => Ok(()),
        failed => Err(Error::msg(format!("{failed} of {} were not {done}", counted(count, "job")))),
    }
}

/// Says which jobs were resumed.
fn resumed(
    args: &JobsArgs,
    jobs: &Jobs,
    ids: &[String],
    results: Vec<(String, Result<()>)>,
    output: &Output,
) -> Result<()> {
    if let ([_], [(id, Ok(()))]) = (ids, results.as_slice()) {
        if output.is_json() {
            return output.document(&json!({ "id": id, "state": jobs.get(id)?.state }));
        }
        return follow_it(&args.library, id, output);
    }
    became(results, ("is resumed", "resumed"), output)
}

fn log(jobs: &Jobs, id: &str, follow: bool, output: &Output) -> Result<()> {
    let mut log = jobs.follow_log(id)?;
    if output.is_json() {
        if follow {
            return Err(Error::usage("--follow prints lines, so it cannot go with --json"));
        }
        let mut lines = Vec::new();
        log.rest(|line| lines.push(line))?;
        return output.document(&json!({ "id": id, "log": lines }));
    }
    let cancel = output.cancel();
    loop {
        // The state before the lines: a job that has ended has written its last line.
        let over = !follow || jobs.get(id)?.state.is_over();
        let mut printed = Ok(());
        let mut print = |line: String| {
            if printed.is_ok() {
                printed = output.line(&printable(&line));
            }
        };
        if over {
            log.rest(&mut print)?
        } else {
            log.lines(&mut print)?
        }
        printed?;
        if over {
            return Ok(());
        }
        cancel.check()?;
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_make_no_sense_are_left_out() {
        assert_eq!(time_left(3723.4).unwrap(), "1h 2m 3s");
        assert!(time_left(-5.0).is_none() && time_left(f64::NAN).is_none() && time_left(1e300).is_none());
    }

    #[test]
    fn parts_of_a_job_are_called_what_they_are_and_have_the_columns_that_there_is_something_in() {
        let row = |name: &str, loss, members: &[&str]| JobRow {
            name: name.into(),
            members: members.iter().map(ToString::to_string).collect(),
            step: 3,
            steps: 4,
            loss,
            validation_loss: None,
        };
        let head = |rows: &[JobRow], parts| {
            let text = self::parts(rows, parts);
            text.lines()
                .next()
                .unwrap()
                .split("  ")
                .map(str::trim)
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join("|")
        };
        assert_eq!(
            head(&[row("arrow", None, &["t"]), row("base", None, &[])], kinds::EVAL.parts),
            "METHOD|ITEM|NOW ON"
        );
        assert_eq!(
            head(&[row("a", Some(0.5), &["t"])], kinds::TRAIN_MANY.parts),
            "EXPERT|STEP|LOSS|MADE FOR"
        );
        assert_eq!(head(&[row("a", None, &[])], kinds::ADAPT.parts), "START|STEP");
    }

    #[test]
    fn results_are_printed_safely() {
        let text = printed(&json!({ "k": 2, "experts": ["a", "b\u{1b}[2J"] }));
        assert_eq!(text, "k: 2\nexperts: [\"a\",\"b\\u001b[2J\"]");
        assert_eq!(printed(&json!("x\u{202e}")), "\"x\\u{202e}\"");
    }
}
