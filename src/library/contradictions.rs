//! Where an adapter's configuration and its tensors disagree about what is adapted, by PEFT's rules
//! (`super::selection`). The tensors decide; each contradiction is one warning.

use super::AdapterConfig;
use super::formats::peft::config::{ConfigNotes, Names};
use super::formats::peft::pairs::{Pair, Parts};
use super::selection::{Against, Rules, is_shorthand};
use crate::text::short;

/// The contradictions, one line each.
pub(super) fn contradictions(
    notes: &ConfigNotes,
    config: &AdapterConfig,
    parts: &Parts,
    rules: &Rules<'_>,
) -> Vec<String> {
    let mut found = Vec::new();
    let selection = &notes.selection;
    for (names, read, field) in [
        (&selection.targets, rules.targets.is_some(), "target_modules"),
        (&selection.excluded, rules.excluded.is_some(), "exclude_modules"),
    ] {
        if let Names::Regex(text) = names
            && !read
            && !is_shorthand(text)
        {
            found.push(format!("`{field}` is a regular expression that cannot be read: {}", short(text)));
        }
    }
    if matches!(selection.targets, Names::Regex(_)) && !selection.layers.is_empty() {
        found.push("PEFT refuses `layers_to_transform` beside an expression in `target_modules`".into());
    }
    let mut report = |what: &str, all: &mut dyn Iterator<Item = &str>| {
        if let Some(first) = all.next() {
            let more = match all.count() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            found.push(format!("the configuration {what} {}{more}; the tensors decide", short(first)));
        }
    };
    let against: Vec<(Against, &Pair)> = parts
        .pairs
        .iter()
        .filter(|pair| !rules.is_tied_head(pair, parts))
        .filter_map(|pair| Some((rules.against(pair.names())?, pair)))
        .collect();
    for kind in [Against::Untargeted, Against::Excluded, Against::Saved, Against::Layer] {
        let mut modules =
            against.iter().filter(|(why, _)| *why == kind).map(|(_, pair)| pair.module.as_str());
        report(kind.text(), &mut modules);
    }
    for (said, said_by_tensors, what) in [
        (config.use_dora, parts.pairs.iter().any(|p| p.magnitude.is_some()), "DoRA (use_dora)"),
        (notes.lora_bias, parts.pairs.iter().any(|p| p.bias.is_some()), "a bias of B (lora_bias)"),
        (
            notes.tokens.iter().any(|(_, ids)| !ids.is_empty()),
            !parts.tokens.is_empty(),
            "trained tokens (trainable_token_indices)",
        ),
    ] {
        if said_by_tensors && !said {
            found.push(format!("the tensors have {what}, the configuration does not say so"));
        }
    }
    found
}
