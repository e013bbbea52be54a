//! The command line: one file per command; prints text or JSON.
//!
//! Exit status: 0 done, 1 failed with one clear line on stderr, 2 wrong usage, 130 interrupted, 143
//! terminated, 129 where the terminal went away.

mod adapt;
mod attribute;
mod calibrate;
mod cluster;
mod compare;
mod compared;
mod completions;
mod configured;
mod default_library;
mod doctor;
mod eval;
mod expert_row;
mod fetch;
mod files;
mod generate;
mod grouping;
mod import;
mod jobs;
mod ls;
mod ls_columns;
mod merge;
mod mistyped;
mod options;
mod output;
mod pair;
mod project;
mod prototypes;
mod route;
mod run;
mod show;
mod similarity;
mod starting;
mod sweep_k;
mod table;
mod to_start;
mod train;
mod train_clusters;
mod train_many;
mod transfer;
mod tune;
mod worker;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use fetch::fetch_with_progress;
pub use options::{BaseArgs, LibraryArgs, RouterArgs, RunArgs};
pub use output::{Output, Progress, save_tensors};
pub use table::{Align, Table};

use crate::Result;
use crate::colours::Ground;
use crate::model::base_shape;

use default_library::DEFAULT_LIBRARY;

/// A terminal workbench for libraries of LoRA experts.
#[derive(Debug, Parser)]
#[command(
    name = "lora-tui",
    version,
    about,
    args_conflicts_with_subcommands = true,
    infer_subcommands = false,
    after_help = "Without a command the library opens in the terminal. A library is a folder of PEFT \
                  adapters of one base model.\nWrite ./ls for a folder that has the name of a command."
)]
struct Cli {
    /// Folder of adapters [default: ./library]
    library: Option<PathBuf>,
    #[command(flatten)]
    base: BaseArgs,
    /// Colours of the workbench
    #[arg(long, env = "LORA_TUI_THEME", value_parser = options::choice::<Ground>(), default_value_t)]
    theme: Ground,
    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Ls(ls::LsArgs),
    Show(show::ShowArgs),
    Similarity(similarity::SimilarityArgs),
    Pair(pair::PairArgs),
    Cluster(cluster::ClusterArgs),
    Project(project::ProjectArgs),
    Prototypes(prototypes::PrototypesArgs),
    Calibrate(calibrate::CalibrateArgs),
    Compare(compare::CompareArgs),
    Attribute(attribute::AttributeArgs),
    Route(route::RouteArgs),
    Generate(generate::GenerateArgs),
    Train(train::TrainArgs),
    TrainMany(train_many::TrainManyArgs),
    TrainClusters(train_clusters::TrainClustersArgs),
    Adapt(adapt::AdaptArgs),
    Merge(merge::MergeArgs),
    Eval(eval::EvalArgs),
    Tune(tune::TuneArgs),
    Run(run::RunArgs),
    SweepK(sweep_k::SweepKArgs),
    Transfer(transfer::TransferArgs),
    Import(import::ImportArgs),
    Jobs(jobs::JobsArgs),
    Fetch(fetch::FetchArgs),
    Doctor(doctor::DoctorArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
}

/// Opens a library in the terminal, with the base model and the colours that the command line names.
pub type Workbench = fn(PathBuf, BaseArgs, Ground) -> Result<()>;

/// Runs the command line of this process; `workbench` is what a command line without a command opens.
pub fn main(workbench: Workbench) -> ExitCode {
    start(std::env::args_os().collect(), workbench)
}

/// The definition of the command line, from which `--help`, completions and the pages of commands are made.
pub fn command() -> clap::Command {
    Cli::command()
}

fn start(arguments: Vec<OsString>, workbench: Workbench) -> ExitCode {
    if let Err(error) = crate::cpu::check().and_then(|()| mistyped::check(&arguments)) {
        return output::finish(Err(error));
    }
    match parse(&arguments) {
        Ok(cli) => output::finish(dispatch(cli, workbench)),
        Err(error) => {
            // Help and version go to stdout with status 0; a closed pipe is no error.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        }
    }
}

/// Reads the arguments; a command without its library means ./library, where that is there.
fn parse(arguments: &[OsString]) -> std::result::Result<Cli, clap::Error> {
    let with_default = default_library::inserted(arguments, &|path| path.is_dir());
    if let Some((with_default, true)) = &with_default {
        return Cli::try_parse_from(with_default);
    }
    Cli::try_parse_from(arguments).or_else(|error| match (with_default, error.use_stderr()) {
        (Some((with_default, _)), true) => Cli::try_parse_from(with_default).map_err(|_| error),
        _ => Err(error),
    })
}

fn dispatch(cli: Cli, workbench: Workbench) -> Result<()> {
    let output = Output::new(cli.json);
    if cli.command.is_some() {
        crate::threads::compute_here();
    }
    // A list for a shell has no place for it, a worker's log is read by nobody who could mend it, and `doctor` says more.
    if !matches!(cli.command, Some(Command::Completions(_) | Command::Worker(_) | Command::Doctor(_))) {
        configured::note(&output);
    }
    match cli.command {
        None => open(cli.library, cli.base, cli.theme, workbench, &output),
        Some(Command::Ls(args)) => ls::run(&args, &output),
        Some(Command::Show(args)) => show::run(&args, &output),
        Some(Command::Similarity(args)) => similarity::run(&args, &output),
        Some(Command::Pair(args)) => pair::run(&args, &output),
        Some(Command::Cluster(args)) => cluster::run(&args, &output),
        Some(Command::Project(args)) => project::run(&args, &output),
        Some(Command::Prototypes(args)) => prototypes::run(&args, &output),
        Some(Command::Calibrate(args)) => calibrate::run(&args, &output),
        Some(Command::Attribute(args)) => attribute::run(&args, &output),
        Some(Command::Compare(args)) => compare::run(&args, &output),
        Some(Command::Route(args)) => route::run(&args, &output),
        Some(Command::Generate(args)) => generate::run(&args, &output),
        Some(Command::Train(args)) => train::run(&args, &output),
        Some(Command::TrainMany(args)) => train_many::run(&args, &output),
        Some(Command::TrainClusters(args)) => train_clusters::run(&args, &output),
        Some(Command::Adapt(args)) => adapt::run(&args, &output),
        Some(Command::Merge(args)) => merge::run(&args, &output),
        Some(Command::Eval(args)) => eval::run(&args, &output),
        Some(Command::Tune(args)) => tune::run(&args, &output),
        Some(Command::Run(args)) => run::run(&args, &output),
        Some(Command::SweepK(args)) => sweep_k::run(&args, &output),
        Some(Command::Transfer(args)) => transfer::run(&args, &output),
        Some(Command::Import(args)) => import::run(&args, &output),
        Some(Command::Jobs(args)) => jobs::run(&args, &output),
        Some(Command::Fetch(args)) => fetch::run(&args, &output),
        Some(Command::Doctor(args)) => doctor::run(&args, &output),
        Some(Command::Completions(args)) => completions::run(&args, &output),
        Some(Command::Worker(args)) => worker::run(&args, &output),
    }
}

/// The terminal interface, or what can be said without a terminal.
fn open(
    library: Option<PathBuf>,
    base: BaseArgs,
    theme: Ground,
    workbench: Workbench,
    output: &Output,
) -> Result<()> {
    let path = library.unwrap_or_else(|| PathBuf::from(DEFAULT_LIBRARY));
    let missing = no_screen();
    if !output.is_json() && missing.is_none() {
        check_library(&path)?;
        if let Some(base) = &base.base {
            // Before the screen is taken over: a wrong path is reported at once.
            base_shape(&crate::library::check_model(base)?)?;
        }
        return workbench(path, base, theme);
    }
    let args = LibraryArgs { library: path.clone(), base: base.base };
    ls::list(&args, output)?;
    if let Some((why, place)) = missing.filter(|_| !output.is_json()) {
        let path = crate::text::typed_path(&path);
        output.note(&format!(
            "{why}, so this is the list. In {place} `lora-tui {path}` opens the workbench; \
             `lora-tui show {path} NAME`, `similarity`, `cluster`, `route` and others work \
             without one: see `lora-tui --help`."
        ));
    }
    Ok(())
}

/// Why the interface cannot be shown here, and where it can; `None` when it can.
fn no_screen() -> Option<(&'static str, &'static str)> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Some(("There is no terminal here", "a terminal"));
    }
    // Elsewhere terminals do not say what they are.
    let term = cfg!(unix).then(|| std::env::var_os("TERM").unwrap_or_default())?;
    if term == "dumb" {
        Some(("This terminal cannot show a screen (TERM is dumb)", "another terminal"))
    } else if term.is_empty() {
        Some(("Nothing says what this terminal can do (TERM is not set)", "another terminal"))
    } else {
        None
    }
}

/// One clear line before the screen is taken over.
fn check_library(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            crate::Error::file(path, "there is no such folder; give one: lora-tui FOLDER")
        }
        _ => crate::Error::io(path, e),
    })?;
    match metadata.is_dir() {
        true => std::fs::read_dir(path).map(|_| ()).map_err(|e| crate::Error::io(path, e)),
        false => Err(crate::Error::file(path, "is not a folder: a library is a folder of adapters")),
    }
}
