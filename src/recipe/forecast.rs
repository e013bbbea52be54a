//! What a recipe will take: tokens, time, memory and disk.

use std::path::{Path, PathBuf};

use super::laid_out::{LaidOut, Standing};
use crate::catalog::Catalog;
use crate::library::{BaseLocation, BaseSpec, Library, Manifest, Template, locate_described};
use crate::outside::{UnfinishedFolder, own};
use crate::train::{self, Amount, TrainSpec, amount};
use crate::{Cancel, Error, Result};

/// Examples of each task whose length is looked at.
const SAMPLE: usize = 50;
/// Characters of a token, and tokens of a template, where the base model is not here.
const CHARACTERS: f64 = 4.0;
const TEMPLATE: f64 = 14.0;
/// How many times faster a token is asked than trained on: measured, SmolLM2-135M in f32 on two cores, routed.
const ASKING: f64 = 3.0;
/// Steps by which the speed is measured.
const STEPS: usize = 3;
/// Beginning of the name of the folder in which it is.
const UNFINISHED: &str = "lora-tui-measure-";

/// How fast a training is.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// Forward and backward.
    pub tokens_per_second: f64,
    /// How that is known.
    pub source: String,
}

/// What a node will take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeForecast {
    /// Tokens that go through the model.
    pub tokens: f64,
    /// Seconds, where the speed is known.
    pub seconds: Option<f64>,
    /// Bytes on the disk.
    pub disk: u64,
}

/// What all that is still to be done will take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecast {
    /// Of every node; nothing for what is done.
    pub nodes: Vec<NodeForecast>,
    /// How fast a training is, where that is known.
    pub speed: Option<Speed>,
    /// Seconds, one job after another.
    pub seconds: Option<f64>,
    /// Seconds where every job begins as soon as it can.
    pub longest: Option<f64>,
    /// Bytes of memory of a training at its peak; `None` where the base model is not here.
    pub memory: Option<u64>,
    /// Bytes on the disk.
    pub disk: u64,
    /// Bytes that are free there, where that is known.
    pub free: Option<u64>,
}

/// The base model of a recipe on this machine, and the template of its libraries.
fn base_of(laid: &LaidOut) -> Result<(Option<PathBuf>, Template)> {
    let given = laid.graph.libraries.first().filter(|library| library.given);
    if let Some(private) = given {
        let catalog = Catalog::open(&private.path, None)?;
        return Ok((catalog.base_here().ok(), catalog.manifest.template.clone().unwrap_or_default()));
    }
    let spec = laid.base()?.unwrap_or_else(BaseSpec::smollm2);
    let elsewhere = spec.hub.is_some() || spec.package.is_some();
    if let Some(path) = spec.path.as_ref().filter(|path| !elsewhere && !path.exists()) {
        let problem = format!("there is no such base model: {}", path.display());
        return Err(laid.recipe.fail("base", "path", problem));
    }
    let base = match locate_described(&spec, &laid.root)? {
        BaseLocation::Found { path, .. } => Some(path),
        BaseLocation::Missing { .. } => None,
    };
    Ok((base, laid.recipe.template.clone().unwrap_or_default()))
}

/// Refuses a base model that is not where the recipe says, and layers to train that it does not have. One that is not on
/// this machine may be on those that train.
///
/// # Errors
/// The place without a model; the layers that there are, with the line of the recipe.
pub fn check_base(laid: &LaidOut) -> Result<()> {
    let (Some(base), _) = base_of(laid)? else { return Ok(()) };
    let recipe = &laid.recipe;
    train::check_targets(&base, &recipe.training.targets)
        .map_err(|error| recipe.fail("training", "targets", error))
}

/// A training on all tasks.
fn on_all(laid: &LaidOut) -> TrainSpec {
    TrainSpec {
        data: laid.tasks.train.iter().map(|task| task.path.clone()).collect(),
        ..laid.recipe.training.clone()
    }
}

/// What is still to be done of a recipe, by the speed that was given, that of experts that are there, or `measured`.
///
/// # Errors
/// A base model or data that cannot be read.
pub fn forecast(laid: &LaidOut, measured: Option<Speed>) -> Result<Forecast> {
    let (base, template) = base_of(laid)?;
    let amount = match &base {
        Some(base) => Some(amount(&on_all(laid), base, &template, SAMPLE)?),
        None => None,
    };
    let tokens = amount.map_or_else(|| guessed(laid), |amount| amount.tokens);
    let speed = measured.or_else(|| known_speed(laid));
    let mut forecast = Forecast { memory: amount.map(|amount| amount.memory), ..Forecast::default() };
    let mut ends: Vec<f64> = Vec::new();
    for ((node, standing), look) in laid.graph.nodes.iter().zip(&laid.standing).zip(laid.looks()?) {
        let mut of = NodeForecast::default();
        if *standing != Standing::Done {
            // A job that goes on has some of it behind it.
            let left = match (standing, look.steps) {
                (Standing::Stopped | Standing::UnderWay, (done, all)) if all > 0 => {
                    1.0 - (done as f64 / all as f64).min(1.0)
                }
                _ => 1.0,
            };
            let (trained, asked) = (left * node.trained as f64 * tokens, left * node.answers as f64 * tokens);
            of.tokens = trained + asked;
            of.seconds = speed.as_ref().map(|speed| (trained + asked / ASKING) / speed.tokens_per_second);
            of.disk = node.adapters as u64 * amount.map_or(0, |Amount { adapter, .. }| adapter);
        }
        forecast.disk += of.disk;
        let begin = node.after.iter().map(|&parent| ends[parent]).fold(0.0, f64::max);
        ends.push(begin + of.seconds.unwrap_or(0.0));
        forecast.nodes.push(of);
    }
    if speed.is_some() {
        forecast.seconds = Some(forecast.nodes.iter().filter_map(|node| node.seconds).sum());
        forecast.longest = Some(ends.into_iter().fold(0.0, f64::max));
    }
    forecast.speed = speed;
    forecast.free = free_disk(&laid.root);
    Ok(forecast)
}

/// Tokens of an example by its characters.
fn guessed(laid: &LaidOut) -> f64 {
    let examples: usize = laid.tasks.train.iter().map(|task| task.examples).sum();
    let characters: usize = laid.tasks.train.iter().map(|task| task.characters).sum();
    characters as f64 / CHARACTERS / examples.max(1) as f64 + TEMPLATE
}

/// The speed that the recipe gives, else that of experts of its libraries.
fn known_speed(laid: &LaidOut) -> Option<Speed> {
    if let Some(tokens_per_second) = laid.recipe.tokens_per_second {
        return Some(Speed { tokens_per_second, source: "as the recipe says".into() });
    }
    for library in &laid.graph.libraries {
        let Ok(opened) = Library::open(&library.path) else { continue };
        let of = |expert: &crate::library::Expert| expert.provenance.as_ref()?.tokens_per_second;
        let mut speeds: Vec<f64> = opened.usable().filter_map(of).filter(|speed| *speed > 0.0).collect();
        speeds.sort_by(f64::total_cmp);
        if let Some(&median) = speeds.get(speeds.len() / 2) {
            let source = format!("as the experts of {} were trained", library.name);
            return Some(Speed { tokens_per_second: median, source });
        }
    }
    None
}

/// Trains a few steps on the first task, in a folder that is gone afterwards.
///
/// # Errors
/// No base model here; what a training says.
pub fn measure(laid: &LaidOut, cancel: &Cancel) -> Result<Speed> {
    let (base, template) = base_of(laid)?;
    let base =
        base.ok_or_else(|| Error::msg("the base model is not on this machine, so nothing can be measured"))?;
    let place = std::env::temp_dir();
    let folder = UnfinishedFolder::new_in(&place, UNFINISHED).map_err(|error| Error::io(&place, error))?;
    let manifest = Manifest { template: Some(template), ..Manifest::default() };
    let text = toml::to_string(&manifest).map_err(|error| Error::msg(error.to_string()))?;
    own::create(&folder.path().join(Manifest::FILE), text.as_bytes())?;
    let spec = TrainSpec {
        library: folder.path().to_path_buf(),
        data: laid.tasks.train.iter().take(1).map(|task| task.path.clone()).collect(),
        name: "measured".into(),
        max_steps: Some(STEPS),
        base: Some(base),
        ..laid.recipe.training.clone()
    };
    let report = train::train(&spec, None, &mut |_| {}, cancel)?;
    Ok(Speed { tokens_per_second: report.tokens_per_second, source: format!("measured over {STEPS} steps") })
}

/// Bytes that this user can still write where a folder is or will be.
#[cfg(unix)]
fn free_disk(path: &Path) -> Option<u64> {
    let place = path.ancestors().find(|place| place.is_dir())?;
    let found = rustix::fs::statvfs(place).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_disk(_path: &Path) -> Option<u64> {
    None
}
