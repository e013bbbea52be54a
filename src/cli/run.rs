//! `run`: an experiment from a recipe.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::output::Output;
use super::{Align, Table};
use crate::jobs::JobState;
use crate::jobs::executors::EXECUTORS;
use crate::memory::size;
use crate::recipe::{self, Forecast, LaidOut, Look, Recipe, Speed, Standing, Tasks, Written, write_report};
use crate::text::{counted, duration, printable, typed_path};
use crate::{Error, Result};

/// How often jobs are looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(400);
/// How long jobs that left no result have to look as if they had failed before that is believed: longer than between two
/// questions to a scheduler, which may not know yet what it has just been given.
const DOUBT: Duration = Duration::from_secs(20);
/// How long a cancelled run waits for its jobs to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Run an experiment: train, cluster, compare and report as a recipe says; again, to resume it
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// A recipe, or the name of one that comes along: laptop, flan
    pub recipe: PathBuf,
    #[command(flatten)]
    pub how: HowToRun,
    /// Print the recipe and do nothing
    #[arg(long, conflicts_with_all = ["dry_run", "detach", "out"])]
    pub print: bool,
}

/// How a recipe is run.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct HowToRun {
    /// Folder for its libraries, jobs and report: new, or one that the recipe began [default: the recipe's name]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Who runs the jobs [default: as the recipe says, else the default executor]
    #[arg(long, value_name = "NAME", value_parser = executor())]
    pub executor: Option<String>,
    /// Show the jobs and what they will take; start nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Train a few steps now, to know the speed for the forecast
    #[arg(long, requires = "dry_run")]
    pub measure: bool,
    /// Start the jobs and do not wait for them; run it again for the report
    #[arg(long, conflicts_with = "dry_run")]
    pub detach: bool,
}

fn executor() -> clap::builder::PossibleValuesParser {
    EXECUTORS.iter().map(|entry| entry.id).collect::<Vec<_>>().into()
}

/// Runs the command.
pub fn run(args: &RunArgs, output: &Output) -> Result<()> {
    let recipe = recipe::open(&args.recipe)?;
    if args.print {
        return output.text(&recipe.text);
    }
    run_recipe(recipe, &args.how, output)
}

/// Runs a recipe, shows what it would do, or starts its jobs.
///
/// # Errors
/// What is wrong with it or its folder; jobs that failed; files that cannot be written.
pub(super) fn run_recipe(recipe: Recipe, how: &HowToRun, output: &Output) -> Result<()> {
    let root = how.out.clone().unwrap_or_else(|| default_folder(&recipe));
    let mut progress = output.progress();
    progress.update("reading the tasks");
    let tasks = Tasks::read(&recipe, output.cancel())?;
    let mut laid = LaidOut::look(recipe, tasks, &root)?;
    recipe::check_base(&laid)?;
    if how.dry_run {
        let measured = match how.measure {
            true => {
                progress.update("measuring the speed");
                Some(recipe::measure(&laid, output.cancel())?)
            }
            false => None,
        };
        drop(progress);
        return show_plan(&laid, measured, output);
    }
    check_room(&laid)?;
    drop(progress);
    laid.take(how.executor.as_deref())?;
    laid.start()?;
    if how.detach {
        let open = laid.standing.iter().filter(|standing| **standing != Standing::Done).count();
        if output.is_json() {
            return output.document(&json!({ "folder": laid.root, "jobs": rows(&laid) }));
        }
        output.line(&format!("{} of {} under way", open, counted(laid.graph.nodes.len(), "job")))?;
        output.note(&format!("see them with `lora-tui jobs {}`", typed_path(&laid.root)));
        return Ok(());
    }
    wait(&laid, output)?;
    let Written { page, warnings } = write_report(&laid, output.cancel())?;
    if output.is_json() {
        return output.document(
            &json!({ "folder": laid.root, "report": page, "jobs": rows(&laid), "warnings": warnings }),
        );
    }
    warnings.iter().for_each(|warning| output.note(warning));
    output.line(&printable(&page.display().to_string()))
}

/// A folder of the recipe's name where the command is run.
fn default_folder(recipe: &Recipe) -> PathBuf {
    PathBuf::from(recipe.file.file_stem().unwrap_or_else(|| "experiment".as_ref()))
}

fn rows(laid: &LaidOut) -> Vec<serde_json::Value> {
    let row = |at: usize| {
        let node = &laid.graph.nodes[at];
        json!({ "name": node.name, "kind": node.job.kind().name, "job": laid.job(at) })
    };
    (0..laid.graph.nodes.len()).map(row).collect()
}

/// Refuses what will not fit on the disk.
fn check_room(laid: &LaidOut) -> Result<()> {
    // What cannot be known beforehand, the jobs will say.
    let Ok(Forecast { disk, free: Some(free), .. }) = recipe::forecast(laid, None) else { return Ok(()) };
    if disk <= free {
        return Ok(());
    }
    let problem = format!(
        "the experts will take {}, and {} are free there: free some, or choose another disk (--out)",
        size(disk),
        size(free)
    );
    Err(Error::file(&laid.root, problem))
}

/// Waits until all jobs are finished.
fn wait(laid: &LaidOut, output: &Output) -> Result<()> {
    let mut progress = output.progress();
    let mut before: Vec<Option<JobState>> = vec![None; laid.graph.nodes.len()];
    let mut settled: Option<Instant> = None;
    loop {
        if output.cancel().check().is_err() {
            drop(progress);
            return stop(laid, output);
        }
        let looks = laid.looks()?;
        for (at, look) in looks.iter().enumerate() {
            let is_new = before[at] != Some(look.state);
            // What was finished when this began says nothing new, and what failed is said at the end.
            let says = match look.state {
                JobState::Running => is_new,
                JobState::Finished => is_new && before[at].is_some(),
                _ => false,
            };
            if says {
                progress.stage(&format!("{} is {}", laid.graph.nodes[at].name, look.state.name()));
            }
            before[at] = Some(look.state);
        }
        if looks.iter().all(|look| look.state == JobState::Finished) {
            return Ok(());
        }
        if looks.iter().all(|look| look.state.is_over() || look.blocked) {
            let since = settled.get_or_insert_with(Instant::now);
            if since.elapsed() >= DOUBT || laid.have_ended(&looks) {
                drop(progress);
                return ended(laid, &looks);
            }
        } else {
            settled = None;
        }
        progress.update(&line(laid, &looks));
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// `3 of 9 finished; joint: step 120 of 900`.
fn line(laid: &LaidOut, looks: &[Look]) -> String {
    let finished = looks.iter().filter(|look| look.state == JobState::Finished).count();
    let working = looks.iter().enumerate().filter(|(_, look)| look.state == JobState::Running);
    let working = working.map(|(at, look)| match look.steps {
        (_, 0) => laid.graph.nodes[at].name.clone(),
        (step, steps) => format!("{}: step {step} of {steps}", laid.graph.nodes[at].name),
    });
    let working: Vec<String> = working.collect();
    let now = if working.is_empty() { "waiting".to_string() } else { working.join(", ") };
    format!("{finished} of {} finished; {now}", looks.len())
}

/// Asks the jobs to stop, which keep what they have done.
fn stop(laid: &LaidOut, output: &Output) -> Result<()> {
    laid.cancel()?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE && laid.looks()?.iter().any(|look| !look.state.is_over()) {
        std::thread::sleep(BETWEEN_LOOKS / 4);
    }
    output.note("stopped; run the same command again to resume");
    Err(Error::Cancelled)
}

/// What became of the jobs, none of which will change any more.
fn ended(laid: &LaidOut, looks: &[Look]) -> Result<()> {
    let failed: Vec<(usize, &Look)> = looks
        .iter()
        .enumerate()
        .filter(|(_, look)| look.state.is_over() && look.state != JobState::Finished)
        .collect();
    // What waits for them would wait for ever.
    laid.cancel()?;
    let say = |(at, look): &(usize, &Look)| {
        let why = look.error.clone().unwrap_or_else(|| look.state.name().into());
        format!("{}: {why}", laid.graph.nodes[*at].name)
    };
    let names: Vec<String> = failed.iter().map(say).collect();
    Err(Error::msg(format!(
        "{} of {} not finished: {}; mend that, and run the same command again",
        failed.len(),
        counted(looks.len(), "job"),
        names.join("; ")
    )))
}

/// The jobs and what they will take.
fn show_plan(laid: &LaidOut, measured: Option<Speed>, output: &Output) -> Result<()> {
    let forecast = recipe::forecast(laid, measured)?;
    if output.is_json() {
        return output.document(&plan_json(laid, &forecast));
    }
    let mut table = Table::new(&[
        ("job", Align::Left),
        ("kind", Align::Left),
        ("state", Align::Left),
        ("tokens", Align::Right),
        ("time", Align::Right),
        ("disk", Align::Right),
        ("after", Align::Left),
    ]);
    for (at, node) in laid.graph.nodes.iter().enumerate() {
        let of = &forecast.nodes[at];
        let after: Vec<&str> = node.after.iter().map(|&at| laid.graph.nodes[at].name.as_str()).collect();
        table.row([
            node.name.clone(),
            node.job.kind().name.to_string(),
            state(&laid.standing[at]).to_string(),
            if of.tokens > 0.0 { millions(of.tokens) } else { String::new() },
            of.seconds.filter(|seconds| *seconds > 0.0).map_or(String::new(), duration),
            if of.disk > 0 { size(of.disk) } else { String::new() },
            shortened(&after),
        ]);
    }
    let mut text = table.render();
    text.push_str(&format!(
        "\n{} to train on, {} held out; {}\n",
        counted(laid.tasks.train.len(), "task"),
        laid.tasks.held_out.len(),
        laid.root.display()
    ));
    match (&forecast.speed, forecast.seconds, forecast.longest) {
        (Some(speed), Some(all), Some(longest)) => text.push_str(&format!(
            "time: about {} one after another, {} with all side by side ({:.0} tokens/s, {})\n",
            duration(all),
            duration(longest),
            speed.tokens_per_second,
            speed.source
        )),
        _ => text.push_str(
            "time: not known; --measure trains a few steps, and tokens_per_second in [forecast] gives the speed\n",
        ),
    }
    match forecast.memory {
        Some(bytes) => text.push_str(&format!("memory: {} per training\n", size(bytes))),
        None => text.push_str("memory: not known, since the base model is not on this machine\n"),
    }
    let free = forecast.free.map_or(String::new(), |free| format!(", {} are free there", size(free)));
    text.push_str(&format!("disk: {} for experts{free}\n", size(forecast.disk)));
    output.text(&printable_lines(&text))
}

fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line).into_owned() + "\n").collect()
}

fn state(standing: &Standing) -> &'static str {
    match standing {
        Standing::Done => "done",
        Standing::New => "new",
        Standing::Stopped => "resumes",
        Standing::UnderWay => "under way",
    }
}

fn millions(tokens: f64) -> String {
    if tokens < 1e5 { format!("{tokens:.0}") } else { format!("{:.1} M", tokens / 1e6) }
}

fn shortened(names: &[&str]) -> String {
    const NAMED: usize = 2;
    match names.len() {
        0..=NAMED => names.join(", "),
        all => format!("{} and {} more", names[..NAMED].join(", "), all - NAMED),
    }
}

fn plan_json(laid: &LaidOut, forecast: &Forecast) -> serde_json::Value {
    let nodes: Vec<_> = laid
        .graph
        .nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            let after: Vec<&str> = node.after.iter().map(|&at| laid.graph.nodes[at].name.as_str()).collect();
            let of = &forecast.nodes[at];
            json!({
                "name": node.name, "kind": node.job.kind().name, "after": after,
                "state": state(&laid.standing[at]), "tokens": of.tokens, "seconds": of.seconds, "disk": of.disk,
            })
        })
        .collect();
    let speed = forecast.speed.as_ref();
    json!({
        "folder": laid.root, "nodes": nodes, "seconds": forecast.seconds, "longest": forecast.longest,
        "tokens_per_second": speed.map(|speed| speed.tokens_per_second), "memory": forecast.memory,
        "disk": forecast.disk, "free": forecast.free,
    })
}
