//! What starts are made with: the experts, opened for merging, and the base model, loaded once somebody asks it.

use std::path::{Path, PathBuf};

use super::spec::AdaptSpec;
use crate::catalog::Catalog;
use crate::eval::{own_source, prompt_source};
use crate::library::{Expert, Skipped, fit_base};
use crate::merge::Merging;
use crate::model::{ForwardPass, LoadOptions, base_shape};
use crate::named::{find_name, split_names};
use crate::routing::{RoutedHook, RouterConfig, Session};
use crate::text::counted;
use crate::train::{Encoded, Example, Target, cross_entropy, encode};
use crate::{Cancel, Error, Result};

/// Tokens of a batch of examples.
const TOKENS: usize = 1024;

/// The experts of a library while starts are made of them.
pub struct Bench<'a, 'e> {
    /// The library with these experts alone.
    pub catalog: &'a Catalog,
    /// Names of the experts, in the order of weights.
    pub names: Vec<String>,
    /// The experts.
    pub merging: Merging<'a>,
    spec: &'a AdaptSpec,
    base: PathBuf,
    session: Option<Session>,
    /// By expert and example: summed loss and output tokens.
    losses: Vec<Vec<(f64, usize)>>,
    pub(super) stage: &'e dyn Fn(String),
    cancel: &'e Cancel,
}

/// Opens the library with the experts that are asked for alone, or with all that fit its base model.
///
/// # Errors
/// As [`Catalog::open`]; an unknown expert, with the nearest names; one that was asked for and does not fit.
pub(super) fn open_library(spec: &AdaptSpec) -> Result<(Catalog, Vec<Skipped>)> {
    let mut catalog = Catalog::open(&spec.library, spec.training.base.as_deref())?;
    catalog.compare_with_base();
    let skipped = if spec.experts.is_empty() { catalog.incomparable() } else { Vec::new() };
    let names: Vec<String> = match spec.experts.is_empty() {
        true => catalog.comparable().map(|expert| expert.name.clone()).collect(),
        false => named(&catalog, &spec.experts.join(","))?,
    };
    catalog.library.experts.retain(|expert| names.contains(&expert.name));
    Ok((catalog, skipped))
}

/// The experts in a list with commas between.
fn named(catalog: &Catalog, text: &str) -> Result<Vec<String>> {
    let all = || catalog.experts.iter().map(|expert| expert.name.as_str());
    let one = |name: &str| -> Result<String> {
        let expert: &Expert = catalog.expert(name)?;
        match expert.incomparable() {
            Some(reason) => Err(Error::file(&expert.path, reason)),
            None => Ok(expert.name.clone()),
        }
    };
    split_names(text, |name| find_name(all(), name).is_some()).into_iter().map(one).collect()
}

impl<'a, 'e> Bench<'a, 'e> {
    /// With the experts of `catalog`, on the model at `base`.
    ///
    /// # Errors
    /// Experts that cannot be merged, or do not fit the model.
    pub fn open(
        catalog: &'a Catalog,
        base: &Path,
        spec: &'a AdaptSpec,
        stage: &'e dyn Fn(String),
        cancel: &'e Cancel,
    ) -> Result<Self> {
        let names: Vec<String> = catalog.experts.iter().map(|expert| expert.name.clone()).collect();
        let merging = Merging::open(catalog, &names).map_err(|error| match error {
            Error::Cancelled => error,
            error => Error::msg(format!("{error} (--experts names those to adapt)")),
        })?;
        let shape = base_shape(base)?;
        for expert in &catalog.experts {
            fit_base(expert, &shape).map_err(|why| {
                Error::file(&expert.path, format!("does not fit the base model {}: {why}", base.display()))
            })?;
        }
        let base = base.to_path_buf();
        Ok(Self { catalog, names, merging, spec, base, session: None, losses: Vec::new(), stage, cancel })
    }

    /// The base model with these experts.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn session(&mut self) -> Result<&mut Session> {
        if self.session.is_none() {
            let training = &self.spec.training;
            let options = LoadOptions { device: training.device.clone(), precision: training.precision };
            let mut stage = stages(self.stage);
            let mut session =
                Session::open_unrouted(self.catalog, &self.base, &options, &mut stage, self.cancel)?;
            session.learn_from(own_source(self.catalog, None));
            session.calibrate_with(prompt_source(self.catalog, None));
            self.session = Some(session);
        }
        self.session.as_mut().ok_or_else(|| Error::msg("the base model could not be loaded"))
    }

    /// The mean loss of each expert per output token of these examples, which are the first of those of other calls.
    ///
    /// # Errors
    /// Those of the model; an expert that it does not run; a raised `cancel`.
    pub fn losses(&mut self, shots: &[Example]) -> Result<Vec<f64>> {
        let known = self.losses.first().map_or(0, Vec::len);
        if known < shots.len() {
            let names = self.names.clone();
            let (cancel, longest) = (self.cancel, self.spec.training.max_length);
            (self.stage)(format!(
                "asking {} the {}",
                counted(names.len(), "expert"),
                counted(shots.len(), "example")
            ));
            let session = self.session()?;
            let model = session.model();
            let (tokenizer, longest) = (model.tokenizer()?, longest.min(model.decoder.spec.context));
            let encoded: Vec<Encoded> = shots
                .iter()
                .map(|shot| encode(shot, session.template(), tokenizer, longest))
                .collect::<Result<_>>()?;
            let one = |name: &String| losses_of(session, name, &encoded, cancel);
            self.losses = names.iter().map(one).collect::<Result<_>>()?;
        }
        let mean = |of: &Vec<(f64, usize)>| {
            let (sum, count) =
                of.iter().take(shots.len()).fold((0.0, 0), |(sum, count), one| (sum + one.0, count + one.1));
            sum / count.max(1) as f64
        };
        Ok(self.losses.iter().map(mean).collect())
    }

    /// By module and expert: the mean of the weights that a router gives over the tokens of the examples' prompts. What the
    /// template adds and the first token do not count, unless there is nothing else.
    ///
    /// # Errors
    /// A router that cannot be prepared; a raised `cancel`.
    pub fn routed(&mut self, config: RouterConfig, shots: &[Example]) -> Result<Vec<Vec<f64>>> {
        let (cancel, names) = (self.cancel, self.names.clone());
        (self.stage)(format!("routing the prompts of {} by {config}", counted(shots.len(), "example")));
        let modules: Vec<String> = self.merging.modules().keys().cloned().collect();
        let session = self.session()?;
        session.set_router_with(config, &mut |_| {}, cancel)?;
        let place = |all: &[String], name: &String| all.iter().position(|other| other == name);
        let rows: Vec<Option<usize>> = session.modules().iter().map(|name| place(&modules, name)).collect();
        let columns: Vec<Option<usize>> = session.experts().iter().map(|name| place(&names, name)).collect();
        let mut sums = vec![vec![0.0; names.len()]; modules.len()];
        let mut tokens = 0usize;
        for shot in shots {
            let prompt = session.prompt_of(&shot.instruction, &shot.input)?;
            let trace = session.route_tokens(&prompt, cancel)?;
            let all = 0..trace.tokens.len();
            let counted: Vec<usize> = all.clone().filter(|&token| trace.counts(token)).collect();
            let counted = if counted.is_empty() { all.collect() } else { counted };
            tokens += counted.len();
            for token in counted {
                for (module, row) in rows.iter().enumerate() {
                    let Some(sums) = row.and_then(|row| sums.get_mut(row)) else { continue };
                    for &(expert, weight) in trace.weights(token, module) {
                        if let Some(at) = columns.get(expert as usize).copied().flatten() {
                            sums[at] += f64::from(weight);
                        }
                    }
                }
            }
        }
        sums.iter_mut().flatten().for_each(|sum| *sum /= tokens.max(1) as f64);
        Ok(sums)
    }
}

/// Says what is loaded once, and not how far that is: each block of the model would be a line.
pub(super) fn stages(stage: &dyn Fn(String)) -> impl FnMut(&str) {
    let mut last = String::new();
    move |text| {
        let what = text.split_once(": ").map_or(text, |(what, _)| what);
        if what != last {
            last = what.to_string();
            stage(what.to_string());
        }
    }
}

/// Summed loss and output tokens of each example under one expert.
fn losses_of(
    session: &Session,
    name: &str,
    examples: &[Encoded],
    cancel: &Cancel,
) -> Result<Vec<(f64, usize)>> {
    let (experts, router) = session.resolve(&RouterConfig::single(name), &mut |_| {}, cancel)?;
    let decoder = &session.model().decoder;
    let mut all = Vec::with_capacity(examples.len());
    let mut rest = examples;
    while !rest.is_empty() {
        let mut size = 0;
        let fits = rest.iter().take_while(|example| {
            size += example.len();
            size <= TOKENS
        });
        let (batch, after) = rest.split_at(fits.count().max(1));
        rest = after;
        let (mut tokens, mut lengths, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for example in batch {
            let first = tokens.len() + example.prompt.len() - 1;
            tokens.extend_from_slice(&example.prompt);
            tokens.extend_from_slice(&example.output[..example.output.len() - 1]);
            lengths.push(example.len());
            let target = |(at, &token): (usize, &u32)| Target { row: first + at, token, weight: 0.0 };
            targets.extend(example.output.iter().enumerate().map(target));
        }
        let mut hook = RoutedHook::new(&experts, &router);
        let hidden = decoder.forward(&tokens, &lengths, ForwardPass::new(&mut hook, cancel))?;
        let (losses, _) = cross_entropy(decoder, &hidden, &targets, false)?;
        let mut losses = losses.as_slice();
        for example in batch {
            let (own, others) = losses.split_at(example.output.len());
            all.push((own.iter().sum(), own.len()));
            losses = others;
        }
    }
    Ok(all)
}
