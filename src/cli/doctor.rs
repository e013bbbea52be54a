//! `doctor`: what this machine and this library offer, for people and for bug reports.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use super::configured;
use super::output::Output;
use crate::Result;
use crate::catalog::Catalog;
use crate::colours::Depth;
use crate::configuration;
use crate::cpu;
use crate::devices::{self, Gpu};
use crate::jobs::executors::{EXECUTORS, Entry, doubts_of_library};
use crate::jobs::{Jobs, default_executor};
use crate::library::{BaseLocation, Expert, StatePlace, Status, state_place};
use crate::memory::{available, size};
use crate::model::{ModelFiles, Precision, choose_device, compiled_for, device_details, device_name, memory};
use crate::named::Named;
use crate::outside::NO_LOCKS;
use crate::text::{printable, typed_path};

/// Check devices, terminal, base model and library
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: Option<PathBuf>,
    /// Base model: a .gguf file or a transformers folder [default: the library's]
    #[arg(long, value_name = "PATH")]
    pub base: Option<PathBuf>,
}

#[derive(Serialize)]
struct Fact {
    what: &'static str,
    /// Whether something does not work.
    problem: bool,
    says: String,
}

/// Runs the command. Problems are reported; they do not make it fail.
pub fn run(args: &DoctorArgs, output: &Output) -> Result<()> {
    let mut facts = vec![
        fact("version", format!("lora-tui {}", env!("CARGO_PKG_VERSION"))),
        fact("system", format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
        cpu(),
        devices(),
    ];
    facts.extend(gpus());
    facts.extend([free_memory(), terminal(), colours(), python()]);
    facts.extend(configuration());
    let default = PathBuf::from(super::default_library::DEFAULT_LIBRARY);
    let place = args.library.clone().or_else(|| default.is_dir().then_some(default));
    match &place {
        Some(path) => library(path, args.base.as_deref(), &mut facts),
        None => facts.push(fact("library", "none given, and no ./library here".into())),
    }
    let found = executors(place.as_deref(), &facts);
    facts.extend(found);
    if let Some(path) = &args.base {
        facts.extend(base(path, path.display().to_string()));
    }
    if output.is_json() {
        return output.document(&serde_json::json!({ "checks": facts }));
    }
    for fact in &facts {
        let mark = if fact.problem { "!" } else { " " };
        output.line(&format!("{mark} {:<10}{}", fact.what, printable(&fact.says)))?;
    }
    Ok(())
}

fn fact(what: &'static str, says: String) -> Fact {
    Fact { what, problem: false, says }
}

fn problem(what: &'static str, says: String) -> Fact {
    Fact { what, problem: true, says }
}

fn cpu() -> Fact {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (level, highest) = (cpu::level(), cpu::offered());
    let mut parts = vec![format!("{cores} {}", if cores == 1 { "core" } else { "cores" })];
    parts.push(match level == highest {
        true => format!("level {}", level.name()),
        false => format!("level {} by LORA_TUI_CPU instead of {}", level.name(), highest.name()),
    });
    let features = cpu::features();
    parts.push(if features.is_empty() { "no special instructions".into() } else { features.join(" ") });
    fact("cpu", parts.join(", "))
}

/// What the build carries and what `--device auto` takes here.
fn devices() -> Fact {
    let (device, passed_over) = choose_device();
    let mut says = format!("built for {}; --device auto is {}", compiled_for(), device_name(&device));
    if let Some(details) = device_details(&device) {
        says.push_str(&format!(" ({details})"));
    }
    if passed_over.is_empty() {
        return fact("devices", says);
    }
    problem("devices", format!("{says}; {}", passed_over.join("; ")))
}

/// A line for each GPU of the machine, also where this build cannot use it.
fn gpus() -> Vec<Fact> {
    let visible = devices::visible_gpus();
    let line = |gpu: Gpu| {
        let number = visible.iter().position(|one| one.uuid == gpu.uuid);
        let called =
            number.map_or("hidden by CUDA_VISIBLE_DEVICES".into(), |number| format!("cuda:{number}"));
        fact("gpu", format!("{called}: {}", gpu.text()))
    };
    devices::gpus().into_iter().map(line).collect()
}

fn free_memory() -> Fact {
    match available() {
        Some(bytes) => fact("memory", format!("{} free", size(bytes))),
        None => fact("memory", "the free memory is unknown".into()),
    }
}

/// What the base model takes in memory.
fn sizes(files: &ModelFiles) -> String {
    let of = |p: Precision| format!("{} as {p}", size(memory::need(&files.spec, p).weights));
    [Precision::F32, Precision::Bf16, Precision::Q8].map(of).join(", ")
}

fn terminal() -> Fact {
    let kind = std::env::var("TERM").unwrap_or_else(|_| "not set".into());
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return fact("terminal", format!("none (input or output is redirected); TERM is {kind}"));
    }
    match crossterm::terminal::size() {
        Ok((columns, rows)) if columns < 40 || rows < 10 => {
            problem("terminal", format!("{columns} × {rows} is too small: 40 × 10 at least; TERM is {kind}"))
        }
        Ok((columns, rows)) => fact("terminal", format!("{columns} × {rows}; TERM is {kind}")),
        Err(e) => problem("terminal", format!("its size is unknown ({e}); TERM is {kind}")),
    }
}

fn colours() -> Fact {
    let says = match Depth::detect() {
        Depth::True => "16 million",
        Depth::Indexed => "256",
        Depth::Basic => "16",
        Depth::Plain if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) => {
            "off: NO_COLOR is set"
        }
        Depth::Plain => "none",
    };
    fact("colours", says.into())
}

/// Only needed when the hub cannot be reached.
fn python() -> Fact {
    for program in ["python3", "python"] {
        let answer = Command::new(program)
            .args(["-m", "pip", "--version"])
            // Python would import modules from the current folder.
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        if let Ok(answer) = answer
            && answer.status.success()
        {
            let text = String::from_utf8_lossy(&answer.stdout);
            let version = text.split(" from ").next().unwrap_or_default().trim();
            return fact("python", format!("{program} with {version} (second source of the base model)"));
        }
    }
    fact("python", "none with pip: the base model can come from the hub or a file only".into())
}

/// Where the user's configuration is, and what in it has no effect or cannot be taken.
fn configuration() -> Vec<Fact> {
    let Some(path) = configuration::file() else { return Vec::new() };
    let doubts = configured::doubts();
    match () {
        () if !doubts.is_empty() => doubts.into_iter().map(|doubt| problem("config", doubt.says)).collect(),
        () if path.exists() => vec![fact("config", path.display().to_string())],
        () => vec![fact("config", format!("none: {} is not there, so defaults hold", path.display()))],
    }
}

/// Whether jobs can be handed over to others than this machine, and what a library says of that to no effect, where it is
/// not among what is `known`.
fn executors(library: Option<&Path>, known: &[Fact]) -> Vec<Fact> {
    let place = library.map(Path::to_path_buf);
    let default = default_executor(place.clone());
    let look = |entry: &'static Entry| {
        let is_default = default.as_ref().is_ok_and(|default| default.id() == entry.id);
        Some(match (entry.make)(place.clone()).health(is_default)? {
            Ok(says) => fact(entry.id, says),
            Err(says) => problem(entry.id, says),
        })
    };
    let stray = library.map(doubts_of_library).unwrap_or_default();
    let unknown = default.as_ref().err().map(|error| problem("executor", error.to_string()));
    let stray = stray.into_iter().map(|doubt| problem("library", doubt.says));
    let said = stray.chain(unknown).filter(|found| !known.iter().any(|fact| fact.says == found.says));
    said.chain(EXECUTORS.iter().filter_map(look)).collect()
}

/// Whether a base model can be read, and what it takes.
fn base(path: &Path, called: String) -> Vec<Fact> {
    let files = match ModelFiles::open(path) {
        Ok(files) => files,
        Err(e) => return vec![problem("base", e.to_string())],
    };
    let mut facts = vec![fact("base", format!("{called} ({})", sizes(&files)))];
    facts.extend(files.warnings.iter().map(|warning| problem("base", warning.clone())));
    facts.extend(files.tokenizer().err().map(|e| problem("tokenizer", e.to_string())));
    facts
}

/// Lines about single experts; more than these are counted.
const MOST_LINES: usize = 20;

/// What is wrong with experts, and what else is worth knowing of them, one line each.
fn experts(library: &Catalog) -> Vec<Fact> {
    let about = |expert: &Expert| -> Vec<Fact> {
        let line = |text: &str| format!("{}: {text}", expert.name);
        // What Arrow cannot mix is as it should be.
        let wrong = expert.status_here() == Status::Bad || expert.not_applied(false).is_some();
        let say = if wrong { problem } else { fact };
        let reason = expert.reason_here().map(|reason| say("expert", line(reason)));
        reason.into_iter().chain(expert.warnings.iter().map(|text| problem("expert", line(text)))).collect()
    };
    let mut facts: Vec<Fact> = library.experts.iter().flat_map(about).collect();
    if facts.len() > MOST_LINES {
        let more = facts.len() - MOST_LINES;
        facts.truncate(MOST_LINES);
        let all =
            format!("{more} more lines: `lora-tui ls {}`, and `show` for each", typed_path(&library.root));
        facts.push(problem("expert", all));
    }
    facts
}

/// Where experts, jobs and caches of a library go.
fn writing(library: &Catalog) -> Vec<Fact> {
    let StatePlace { folder, why, locks } = match state_place(&library.root) {
        Ok(place) => place,
        Err(e) => return vec![problem("writing", e.to_string())],
    };
    let since = why.map(|why| format!(", since {why}")).unwrap_or_default();
    let state = format!("jobs and caches in {}{since}", folder.display());
    let mut facts = vec![match library.is_writable() {
        true => fact("writing", format!("allowed; {state}")),
        false => problem("writing", format!("no new experts here; {state}")),
    }];
    let strays = Jobs::of_folder(&library.root).and_then(|jobs| jobs.strays()).unwrap_or_default();
    facts.extend(strays.iter().map(|path| {
        problem("jobs", format!("{} is no job (it has no spec.json): move it away", path.display()))
    }));
    if !locks {
        facts.push(problem("locks", format!("{}: {NO_LOCKS}", folder.display())));
    }
    facts
}

/// What can be said of a library, for the base model that was given, else its own.
fn library(path: &Path, other_base: Option<&Path>, facts: &mut Vec<Fact>) {
    // What is wrong with a given base model is a line of its own.
    let opened = Catalog::open(path, other_base).or_else(|_| Catalog::open(path, None));
    let mut library = match opened {
        Ok(library) => library,
        Err(e) => return facts.push(problem("library", e.to_string())),
    };
    library.compare_with_base();
    library.compare_copies(|_| true);
    let bad = library.experts.iter().filter(|expert| expert.status_here() == Status::Bad).count();
    let count = library.experts.len();
    let noun = if count == 1 { "expert" } else { "experts" };
    let says = format!("{}: {count} {noun}, {bad} bad", path.display());
    facts.push(if bad > 0 { problem("library", says) } else { fact("library", says) });
    for warning in &library.warnings {
        facts.push(problem("library", warning.clone()));
    }
    facts.extend(experts(&library));
    facts.extend(writing(&library));
    if other_base.is_some() {
        return;
    }
    facts.extend(match library.base() {
        Ok(BaseLocation::Found { path, label }) => base(&path, format!("{label} at {}", path.display())),
        Ok(BaseLocation::Missing { label, .. }) => {
            let get = format!("lora-tui fetch {}", typed_path(&library.root));
            vec![problem("base", format!("{label} is not on this machine: `{get}` gets it"))]
        }
        Err(e) => vec![problem("base", e.to_string())],
    });
}
