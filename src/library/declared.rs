//! What an adapter's configuration declares and its file does not have. It keeps its initial values, as in PEFT, which
//! warns of missing keys: zero for A, B and the bias of B, the base model's for all else.

use std::collections::HashSet;

use super::formats::peft::config::{ConfigNotes, Names, Selection, TrainedBiases};
use super::formats::peft::pairs::{Pair, Parts};
use super::formats::peft::tied::{alone, is_table};
use super::selection::{Rules, is_at_or_below, is_elsewhere, is_shorthand};
use super::{AdapterConfig, BaseShape, Expert};
use crate::module_path::{ModuleNames, ModulePath};
use crate::text::{natural, short};

/// Saved modules and targeted parameters that are looked for.
const MAX_SAVED: usize = 64;

/// How a line about modules continues.
const UNTARGETED: &str = "nothing is added, as in PEFT";
/// The same where B does not start at zero either.
const RANDOM: &str =
    "nothing is added, while PEFT fills it at random (init_lora_weights is false), differently each time";
/// The same of modules that are saved as a whole.
const UNSAVED: &str = "what the base model has is used, while PEFT refuses to load the file";

/// A name, and how many more there are.
fn some<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut names = names.into_iter();
    let first = short(names.next()?);
    Some(match names.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

/// Where a vector is missing that all pairs should have: at all of them, or at some.
fn without<'a>(all: impl Iterator<Item = &'a Pair>, has: impl Fn(&Pair) -> bool) -> Option<String> {
    let (with, without): (Vec<&Pair>, Vec<&Pair>) = all.partition(|pair| has(pair));
    let names = some(without.iter().map(|pair| pair.module.as_str()))?;
    Some(if with.is_empty() { String::new() } else { format!(" at {names}") })
}

/// What is missing whatever the base model is, one line each.
pub(super) fn absent(notes: &ConfigNotes, config: &AdapterConfig, parts: &Parts) -> Vec<String> {
    let mut lines = Vec::new();
    if config.use_dora
        && let Some(at) = without(parts.pairs.iter(), |pair| pair.magnitude.is_some())
    {
        lines.push(format!(
            "the configuration says DoRA (use_dora), and the file has no magnitudes{at}: the lengths of the base model's \
             weights are used, as in PEFT"
        ));
    }
    if notes.lora_bias
        && let Some(at) = without(parts.pairs.iter().filter(|pair| !pair.embedding), |p| p.bias.is_some())
    {
        lines.push(format!(
            "the configuration says a bias of B (lora_bias), and the file has none{at}: it is zero, as in PEFT"
        ));
    }
    let shared = notes.selection.shared_tokens.as_deref();
    let absent = |(key, ids): &&(Option<String>, Vec<u32>)| {
        !ids.is_empty() && !has_rows(parts, key.as_deref()) && (key.is_none() || key.as_deref() != shared)
    };
    let tokens = notes.tokens.iter().filter(absent);
    if let Some(names) = some(tokens.map(|(key, _)| key.as_deref().unwrap_or("the embedding"))) {
        lines.push(untrained(&names));
    }
    lines
}

/// Whether the file has rows of what `trainable_token_indices` calls so, or of anything where it names nothing.
fn has_rows(parts: &Parts, key: Option<&str>) -> bool {
    let is = |name: &str| parts.tokens.iter().any(|rows| rows.names().end_with(name));
    key.map_or(!parts.tokens.is_empty(), is)
}

/// The head whose tokens may be those of the embedding: see [`super::formats::peft::config::Selection`].
pub(super) fn shared_tokens(notes: &ConfigNotes, parts: &Parts) -> Option<String> {
    let keys = || notes.tokens.iter().filter_map(|(key, ids)| Some((key.as_deref()?, ids)));
    let is = |key: &str, kind: &str| ModulePath::new(key).kind() == kind;
    let (_, trained) = keys().find(|(key, _)| is(key, "embed_tokens") && has_rows(parts, Some(key)))?;
    let same =
        |(key, ids): &(&str, &Vec<u32>)| is(key, "lm_head") && *ids == trained && !has_rows(parts, Some(key));
    keys().find(same).map(|(key, _)| key.to_string())
}

/// What seems to be missing as long as the base model is not known.
pub(super) fn supposed(notes: &ConfigNotes, parts: &Parts, rules: &Rules<'_>) -> Vec<String> {
    let selection = &notes.selection;
    let mut lines = Vec::new();
    let alone = alone(selection, parts);
    if let Names::List(names) = &selection.targets
        && let Some(names) =
            some(rules.missing(names, parts).into_iter().filter(|name| alone.is_none() || !is_table(name)))
    {
        lines.push(untargeted(&names, selection));
    }
    if let Some((pair, other)) = alone {
        lines.push(format!(
            "the configuration ties the head to the embedding (ensure_weight_tying), and the file has LoRA of {} alone: if \
             they are one table in the base model, {other} gets the same, as in PEFT",
            pair.module
        ));
    }
    let absent = |name: &&String| {
        let is = |module: ModuleNames<'_>| module.any(|path| is_at_or_below(path, name));
        !is_elsewhere(name)
            && !parts.replacements.iter().any(|r| is(r.module()))
            && !parts.others.iter().any(|other| is_at_or_below(other, name))
    };
    let saved = selection.saves.iter().filter(absent);
    lines.extend(some(saved.map(String::as_str)).map(|names| unsaved(&names)));
    lines
}

/// What is missing of what the configuration means in this base model.
pub(super) fn absent_in_base(expert: &Expert, base: &BaseShape) -> Vec<String> {
    let Some(selection) = expert.selection.as_deref() else { return Vec::new() };
    let rules = Rules::new(selection);
    let renamed = expert.modules.iter().find_map(|shape| shape.names().prefixes());
    // What the file would call a module of the base model.
    let in_file =
        |path: &str| renamed.and_then(|(from, to)| Some(format!("{to}{}", path.strip_prefix(from)?)));
    let has_lora = |path: &str| expert.modules.binary_search_by(|shape| natural(&shape.module, path)).is_ok();
    let mut lines = Vec::new();
    // PEFT's shorthand leaves the head out.
    let every = matches!(&selection.targets, Names::Regex(text) if is_shorthand(text));
    if rules.targets.is_some() || every || !selection.parameters.is_empty() {
        let means = |path: &&str| {
            let file = in_file(path);
            let name = file.as_deref().unwrap_or(path);
            let linear = every && *path != base.embedding && *path != base.head;
            (rules.targets.is_some() || linear || rules.is_parameter(name))
                && rules.against_name(name).is_none()
                && !has_lora(path)
                && !rules.is_saved_with_other(path)
        };
        let absent = sorted(base.layers.keys().map(String::as_str).filter(means));
        lines.extend(some(absent).map(|names| untargeted(&names, selection)));
    }
    let named = |parameter: &String| {
        base.parameters.keys().any(|name| {
            ModulePath::new(name).ends_with(parameter)
                || in_file(name).is_some_and(|file| ModulePath::new(&file).ends_with(parameter))
        })
    };
    if !selection.parameters.is_empty() && !selection.parameters.iter().take(MAX_SAVED).any(named) {
        let names = some(selection.parameters.iter().map(String::as_str)).unwrap_or_default();
        lines.push(format!("the base model has no parameter {names} (target_parameters)"));
    }
    let replaced: HashSet<&str> = expert.replaced.iter().map(|replaced| replaced.name.as_str()).collect();
    let there = |name: &str| !name.ends_with(".bias") || base.biases.contains(name);
    // PEFT ties the two whichever is saved, and looks for both in the file.
    let tied = selection.tied && base.tied && selection.saves.iter().any(|saved| is_table(saved));
    let tables = [base.embedding, base.head];
    let saved = |name: &&str| {
        let owner = name.rsplit_once('.').map_or(*name, |(owner, _)| owner);
        let file = in_file(owner);
        let means = |saved: &String| {
            !is_elsewhere(saved)
                && (is_at_or_below(owner, saved)
                    || file.as_deref().is_some_and(|file| is_at_or_below(file, saved)))
        };
        let means = tied && tables.contains(&owner) || selection.saves.iter().take(MAX_SAVED).any(means);
        means && there(name) && !replaced.contains(name)
    };
    let absent = sorted(base.parameters.keys().map(String::as_str).filter(saved));
    lines.extend(some(absent).map(|names| unsaved(&names)));

    lines.extend(selection.shared_tokens.as_deref().filter(|_| !base.tied).map(untrained));
    let trained = |name: &&str| match selection.biases {
        TrainedBiases::None => false,
        TrainedBiases::All => true,
        TrainedBiases::Own => name.strip_suffix(".bias").is_some_and(has_lora),
    };
    let absent = base.biases.iter().map(String::as_str).filter(trained);
    let absent = sorted(absent.filter(|name| !replaced.contains(name)));
    if let Some(names) = some(absent) {
        lines.push(format!(
            "the configuration trains biases (bias: {}), and the file does not have {names}: the base model's are used, as \
             in PEFT",
            selection.biases.name()
        ));
    }
    lines
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable_by(|a, b| natural(a, b));
    names
}

fn untrained(names: &str) -> String {
    format!(
        "the configuration says trained tokens (trainable_token_indices) of {names}, and the file has none: {UNSAVED}"
    )
}

fn untargeted(names: &str, selection: &Selection) -> String {
    let then = if selection.random { RANDOM } else { UNTARGETED };
    format!("the configuration targets {names}, and the file has no LoRA there: {then}")
}

fn unsaved(names: &str) -> String {
    format!("the configuration saves {names} (modules_to_save), and the file does not have it: {UNSAVED}")
}
