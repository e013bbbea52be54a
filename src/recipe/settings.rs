//! The settings of a recipe that are no settings of its jobs.

use super::recipe::Recipe;
use crate::analysis;
use crate::field;
use crate::jobs::executors::EXECUTORS;
use crate::settings::{Kind, POSITIVE, Setting, Whole};

/// Most numbers that a list can have.
const MOST: usize = 64;

/// Before the first section.
pub(super) static HEAD: [Setting<Recipe>; 2] = [
    Setting::new("name", Kind::Text(field!(Recipe.name), |_| None))
        .flag("name", "Heading of the report")
        .unset("the name of the recipe"),
    Setting::new("executor", Kind::Text(field!(Recipe.executor), executor_problem))
        .flag("executor", "Who runs the jobs: local or slurm")
        .unset("the default executor"),
];

/// `[tasks]`.
pub(super) static TASKS: [Setting<Recipe>; 2] = [
    Setting::new("train", Kind::Paths(field!(Recipe.tasks.train), None))
        .flag(
            "train",
            "Folders of tasks to train on; tasks in them that are marked `held_out` are only asked",
        )
        .unset("what the experts of `[private] library` were trained on"),
    Setting::new("held_out", Kind::Paths(field!(Recipe.tasks.held_out), None))
        .flag("held_out", "Folders of tasks that are only asked")
        .unset("none"),
];

/// `[private]`.
pub(super) static PRIVATE: [Setting<Recipe>; 2] = [
    Setting::new("library", Kind::Path(field!(Recipe.private.library)))
        .flag("library", "A library with an expert for each task that is there already")
        .unset("one is trained"),
    Setting::new("jobs", Kind::Whole(field!(Recipe.private.jobs), Whole { low: 1, high: 4096 }))
        .flag("jobs", "Jobs among which the trainings of the tasks are divided"),
];

/// `[clusters]`.
pub(super) static CLUSTERS: [Setting<Recipe>; 4] = [
    Setting::new("k", Kind::Text(field!(Recipe.clusters.k), k_problem))
        .flag("k", "Numbers of clusters, each of which makes a library: `[4, 8]` or `\"2..8\"`")
        .unset("no library of clusters"),
    Setting::new("seeds", Kind::Text(field!(Recipe.clusters.seeds), numbers_problem))
        .flag("seeds", "Seeds of clusterings and trainings, each of which makes a library of every k"),
    Setting::new("joint_shares", Kind::Text(field!(Recipe.clusters.joint_shares), shares_problem)).flag(
        "joint_shares",
        "Percent of the steps of each task that one expert makes on all tasks, with which those of the clusters then begin: \
         `[0, 50]` makes libraries of both kinds",
    ),
    analysis::sparsity(field!(Recipe.clusters.sparsity)),
];

/// `[controls]`.
pub(super) static CONTROLS: [Setting<Recipe>; 2] = [
    Setting::new("joint", Kind::Switch(field!(Recipe.controls.joint), true))
        .flag("joint", "train one expert on all tasks [default: true]"),
    Setting::new("random", Kind::Switch(field!(Recipe.controls.random), true)).flag(
        "random",
        "beside every library of clusters, train one with random clusters of the same sizes [default: true]",
    ),
];

/// What `[evaluation]` says in its own way.
pub(super) static EVALUATED: [Setting<Recipe>; 3] = [
    Setting::new("methods", Kind::Names(field!(Recipe.evaluation.methods)))
        .flag(
            "methods",
            "Methods to ask: baselines, or routers with their settings; `LIBRARY/METHOD` asks one library",
        )
        .unset("none, and so no evaluation"),
    Setting::new(
        "limit",
        Kind::OptionalWhole(field!(Recipe.evaluation.limit), Whole { low: 1, high: u32::MAX as u64 }),
    )
    .flag("limit", "Items per task")
    .unset("all"),
    Setting::new("prompts", Kind::Path(field!(Recipe.evaluation.calibration)))
        .flag("prompts", "File of prompts with which calibrated routers are calibrated")
        .unset("validation prompts of the experts' own tasks"),
];

/// `[forecast]`.
pub(super) static FORECAST: [Setting<Recipe>; 1] =
    [Setting::new("tokens_per_second", Kind::OptionalNumber(field!(Recipe.tokens_per_second), POSITIVE))
        .flag("tokens_per_second", "Speed of a training, for the forecast")
        .unset("that of experts that are there already")];

fn executor_problem(text: &str) -> Option<&'static str> {
    let is_one = text.is_empty() || EXECUTORS.iter().any(|entry| entry.id == text);
    (!is_one).then_some("local or slurm")
}

fn numbers_problem(text: &str) -> Option<&'static str> {
    match numbers(text) {
        Some(numbers) if !numbers.is_empty() => None,
        _ => Some("whole numbers with commas between them, or a range such as 2..8"),
    }
}

fn k_problem(text: &str) -> Option<&'static str> {
    match numbers(text) {
        Some(numbers) if !numbers.contains(&0) => None,
        _ => Some("whole numbers from 1 with commas between them, or a range such as 2..8"),
    }
}

fn shares_problem(text: &str) -> Option<&'static str> {
    match numbers(text) {
        Some(shares) if !shares.is_empty() && shares.iter().all(|share| *share < 100) => None,
        _ => Some("whole numbers of percent from 0 to 99 with commas between them"),
    }
}

/// The numbers of a list such as `2, 4..6, 10` (both ends belong to a range), each once, in order; `None` where it is
/// none, or has more than 64.
pub fn numbers(text: &str) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (low, high) = match part.split_once("..") {
            Some((low, high)) => {
                (low.trim().parse().ok()?, high.trim().trim_start_matches('=').parse().ok()?)
            }
            None => (part.parse().ok()?, part.parse().ok()?),
        };
        let count: u64 = u64::checked_sub(high, low)?;
        if count >= MOST as u64 || found.len() >= MOST {
            return None;
        }
        found.extend(low..=high);
    }
    found.sort_unstable();
    found.dedup();
    (found.len() <= MOST).then_some(found)
}
