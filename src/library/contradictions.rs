//! Where an adapter's configuration and its tensors disagree about what is adapted. The tensors decide;
//! each contradiction is one warning.

use regex::bytes::Regex;

use super::AdapterConfig;
use super::formats::peft::config::{ConfigNotes, Names, expression};
use super::formats::peft::pairs::Parts;
use crate::module_path::ModulePath;
use crate::text::short;

/// The contradictions, one line each.
pub(super) fn contradictions(notes: &ConfigNotes, config: &AdapterConfig, parts: &Parts) -> Vec<String> {
    let mut found = Vec::new();
    let mut report = |count: usize, first: Option<&str>, what: &str| {
        if let Some(first) = first {
            let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            found.push(format!("the configuration {what} {}{more}; the tensors decide", short(first)));
        }
    };
    let modules = || parts.pairs.iter().map(|pair| pair.module.as_str());
    let selection = &notes.selection;
    let targets = Matcher::new(&selection.targets);
    let mut extra = modules().filter(|module| targets.as_ref().is_some_and(|t| !t.matches(module)));
    let first = extra.next();
    report(1 + extra.count(), first, "does not target");
    if let Names::List(names) = &selection.targets {
        let mut absent = names.iter().filter(|name| {
            !is_shorthand(name) && !modules().any(|module| ModulePath::new(module).ends_with(name))
        });
        let first = absent.next();
        report(1 + absent.count(), first.map(String::as_str), "targets, but the file has no LoRA for,");
    }
    if let Some(excluded) = Matcher::new(&selection.excluded) {
        let mut against = modules().filter(|module| excluded.matches(module));
        let first = against.next();
        report(1 + against.count(), first, "excludes");
    }
    if !selection.layers.is_empty() {
        let outside = |module: &&str| {
            ModulePath::new(module).layer().is_some_and(|layer| !selection.layers.contains(&layer))
        };
        let mut against = modules().filter(outside);
        let first = against.next();
        report(1 + against.count(), first, "leaves out the layer of");
    }
    let saved = |name: &&String| {
        let owner =
            |parameter: &str| parameter.rsplit_once('.').map_or(String::new(), |(o, _)| o.to_string());
        !parts.replacements.iter().any(|r| ModulePath::new(&owner(&r.name)).ends_with(name))
            && !parts.pairs.iter().any(|pair| ModulePath::new(&pair.module).ends_with(name))
    };
    let mut absent = notes.saves.iter().filter(saved);
    let first = absent.next();
    report(1 + absent.count(), first.map(String::as_str), "saves, but the file does not have, the module");
    for (said, has, what) in [
        (config.use_dora, parts.pairs.iter().any(|p| p.magnitude.is_some()), "DoRA (use_dora)"),
        (notes.lora_bias, parts.pairs.iter().any(|p| p.bias.is_some()), "a bias of B (lora_bias)"),
        (!notes.tokens.is_empty(), !parts.tokens.is_empty(), "trained tokens (trainable_token_indices)"),
    ] {
        match (said, has) {
            (true, false) => found.push(format!("the configuration says {what}, the tensors do not")),
            (false, true) => {
                found.push(format!("the tensors hold {what}, the configuration does not say so"))
            }
            _ => {}
        }
    }
    found
}

/// PEFT's word for every linear layer.
fn is_shorthand(name: &str) -> bool {
    name.eq_ignore_ascii_case("all-linear")
}

enum Matcher<'a> {
    List(&'a [String]),
    Regex(Box<Regex>),
}

impl<'a> Matcher<'a> {
    /// `None` where nothing can be said: no names, the shorthand, or an expression that only Python reads.
    fn new(names: &'a Names) -> Option<Self> {
        match names {
            Names::None => None,
            Names::Regex(text) if is_shorthand(text) => None,
            Names::Regex(text) => {
                let whole = expression(&format!("^(?:{text})$"), 1);
                whole.ok().map(|regex| Self::Regex(Box::new(regex)))
            }
            Names::List(list) if list.is_empty() || list.iter().any(|name| is_shorthand(name)) => None,
            Names::List(list) => Some(Self::List(list)),
        }
    }

    fn matches(&self, module: &str) -> bool {
        match self {
            Self::List(names) => names.iter().any(|name| ModulePath::new(module).ends_with(name)),
            Self::Regex(regex) => regex.is_match(module.as_bytes()),
        }
    }
}
