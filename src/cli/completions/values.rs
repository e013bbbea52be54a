//! What the values of an option are, by the name that `--help` gives them: one line per kind.

use std::path::{Path, PathBuf};

use super::candidate::{Candidate, Paths};
use crate::eval::BASELINES;
use crate::jobs::Jobs;
use crate::library::{Expert, Library};
use crate::routing::ROUTERS;

/// Where values come from.
#[derive(Clone, Copy)]
pub enum Values {
    /// The shell finds them.
    Paths(Paths),
    /// They are looked up, some of them in the library that the line names.
    Found(fn(&str) -> Vec<Candidate>),
}

/// Names a folder of adapters; others are looked up there.
pub const LIBRARY: &str = "LIBRARY";

const TABLE: &[(&str, Values)] = &[
    (LIBRARY, Values::Paths(Paths::Folders)),
    ("DIR", Values::Paths(Paths::Folders)),
    ("ADAPTER", Values::Paths(Paths::Files)),
    ("DIR_OR_FILE", Values::Paths(Paths::Files)),
    ("FILE", Values::Paths(Paths::Files)),
    ("FILE.jsonl", Values::Paths(Paths::Files)),
    ("PATH", Values::Paths(Paths::Files)),
    ("EXPERT", Values::Found(experts)),
    ("EXPERTS", Values::Found(experts)),
    ("ID", Values::Found(jobs)),
    ("ROUTER", Values::Found(routers)),
    ("METHODS", Values::Found(methods)),
    ("DEVICE", Values::Found(|_| words(&["auto", "cpu"]))),
    ("auto|N", Values::Found(|_| words(&["auto"]))),
];

/// Where values of that name come from; `None` where the definition of the option says them, if anything does.
pub fn of(value_name: &str) -> Option<Values> {
    TABLE.iter().find(|(name, _)| *name == value_name).map(|(_, values)| *values)
}

fn words(words: &[&str]) -> Vec<Candidate> {
    words.iter().map(|word| candidate(word, "")).collect()
}

fn candidate(text: &str, help: &str) -> Candidate {
    Candidate { text: text.to_string(), help: help.to_string() }
}

fn experts(library: &str) -> Vec<Candidate> {
    let Ok(library) = Library::open(&path(library)) else { return Vec::new() };
    let task = |expert: &Expert| expert.provenance.as_ref().and_then(|known| known.task.clone());
    let all = library.experts.iter();
    all.map(|expert| candidate(&expert.name, &task(expert).unwrap_or_default())).collect()
}

fn jobs(library: &str) -> Vec<Candidate> {
    let jobs = Jobs::of_folder(&path(library)).and_then(|jobs| jobs.list()).unwrap_or_default();
    let help =
        |job: &crate::jobs::JobSummary| format!("{} {}, {}", job.kind_name(), job.name, job.state.name());
    jobs.iter().map(|job| candidate(&job.id, &help(job))).collect()
}

/// Every router; those that name an expert once with each.
fn routers(library: &str) -> Vec<Candidate> {
    let mut all = Vec::new();
    for router in ROUTERS {
        if router.argument.as_ref().is_some_and(|argument| argument.names_expert) {
            let named = experts(library).into_iter();
            all.extend(named.map(|expert| candidate(&format!("{}:{}", router.id, expert.text), router.help)));
        } else {
            all.push(candidate(router.id, router.help));
        }
    }
    all
}

/// Routers, and what answers in an evaluation without one.
fn methods(library: &str) -> Vec<Candidate> {
    let mut all = routers(library);
    all.extend(BASELINES.iter().map(|baseline| candidate(baseline.name, baseline.help)));
    all
}

/// A folder as it was typed, `~` the person's home.
fn path(typed: &str) -> PathBuf {
    let home = typed.strip_prefix("~/").zip(std::env::var_os("HOME"));
    home.map_or_else(|| Path::new(typed).to_path_buf(), |(rest, home)| Path::new(&home).join(rest))
}
