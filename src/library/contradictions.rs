//! Where an adapter's configuration and its tensors disagree about what is adapted, by PEFT's rules
//! (`check_target_module_exists`, `_set_trainable`). The tensors decide; each contradiction is one warning.

use std::collections::BTreeSet;

use super::formats::linear_layers;
use super::formats::peft::config::{ConfigNotes, Names, Selection};
use super::formats::peft::pairs::{Pair, Parts};
use super::formats::peft::pattern::Expression;
use super::{AdapterConfig, Expert, LayerSizes};
use crate::module_path::{ModuleNames, ModulePath};
use crate::text::{natural, short};

/// The contradictions, one line each.
pub(super) fn contradictions(notes: &ConfigNotes, config: &AdapterConfig, parts: &Parts) -> Vec<String> {
    let mut found = Vec::new();
    let selection = &notes.selection;
    for (names, field) in [(&selection.targets, "target_modules"), (&selection.excluded, "exclude_modules")] {
        if let Names::Regex(text) = names
            && !is_shorthand(text)
            && Expression::whole(text).is_none()
        {
            found.push(format!("`{field}` is a regular expression that cannot be read: {}", short(text)));
        }
    }
    if matches!(selection.targets, Names::Regex(_)) && !selection.layers.is_empty() {
        found.push("PEFT refuses `layers_to_transform` beside an expression in `target_modules`".into());
    }
    let rules = Rules::new(selection);
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
    if let Names::List(names) = &selection.targets {
        let what = ABSENT.trim_start_matches("the configuration ");
        report(what, &mut rules.missing(names, parts).into_iter());
    }
    let saved = |name: &&String| {
        let is = |module: ModuleNames<'_>| module.any(|path| is_at_or_below(path, name));
        !is_elsewhere(name)
            && !parts.replacements.iter().any(|r| is(r.module()))
            && !parts.others.iter().any(|other| is_at_or_below(other, name))
    };
    let mut absent = selection.saves.iter().filter(saved).map(String::as_str);
    report("saves, but the file does not have, the module", &mut absent);

    let trains_tokens = notes.tokens.iter().any(|(_, ids)| !ids.is_empty());
    let linear = || parts.pairs.iter().filter(|pair| !pair.embedding);
    for (said, all, any, what) in [
        (
            config.use_dora,
            parts.pairs.iter().all(|p| p.magnitude.is_some()),
            parts.pairs.iter().any(|p| p.magnitude.is_some()),
            "DoRA (use_dora)",
        ),
        (
            notes.lora_bias,
            linear().all(|p| p.bias.is_some()),
            linear().any(|p| p.bias.is_some()),
            "a bias of B (lora_bias)",
        ),
        (
            trains_tokens,
            !parts.tokens.is_empty(),
            !parts.tokens.is_empty(),
            "trained tokens (trainable_token_indices)",
        ),
    ] {
        match (said, all, any) {
            (true, false, false) => {
                found.push(format!("the configuration says {what}, the tensors do not"));
            }
            (true, false, true) => {
                found.push(format!("the configuration says {what}, the tensors do so only in part"));
            }
            (false, _, true) => {
                found.push(format!("the tensors hold {what}, the configuration does not say so"));
            }
            _ => {}
        }
    }
    found
}

/// Why a module has no LoRA by the configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Against {
    Untargeted,
    Excluded,
    Saved,
    Layer,
}

impl Against {
    fn text(self) -> &'static str {
        match self {
            Self::Untargeted => "does not target",
            Self::Excluded => "excludes",
            Self::Saved => "saves as a whole (modules_to_save)",
            Self::Layer => "leaves out the layer of",
        }
    }
}

/// PEFT's rules for which modules get LoRA.
struct Rules<'a> {
    selection: &'a Selection,
    targets: Option<Matcher<'a>>,
    excluded: Option<Matcher<'a>>,
    /// `layers_pattern`, as they end what stands before the number.
    layers: Vec<Expression>,
}

/// Patterns of layers that are read.
const MAX_PATTERNS: usize = 16;
/// Absent targets that are looked into.
const MAX_ABSENT: usize = 64;

impl<'a> Rules<'a> {
    fn new(selection: &'a Selection) -> Self {
        let patterns = selection.layers_pattern.iter().take(MAX_PATTERNS);
        Self {
            selection,
            targets: Matcher::new(&selection.targets),
            excluded: Matcher::new(&selection.excluded),
            layers: patterns.filter_map(|p| layers_pattern(p)).collect(),
        }
    }

    /// Why a module that has LoRA should have none, by all of its names.
    fn against(&self, module: ModuleNames<'_>) -> Option<Against> {
        let found = self.against_name(module.file)?;
        match module.differ() {
            true => self.against_name(module.path).map(|_| found),
            false => Some(found),
        }
    }

    /// In PEFT's order.
    fn against_name(&self, name: &str) -> Option<Against> {
        if self.excluded.as_ref().is_some_and(|excluded| excluded.matches(name)) {
            return Some(Against::Excluded);
        }
        if self.selection.saves.iter().any(|saved| is_at_or_below(name, saved)) {
            return Some(Against::Saved);
        }
        match &self.targets {
            Some(targets) if !targets.matches(name) => Some(Against::Untargeted),
            // A name in full counts whatever its layer.
            Some(Matcher::List(names))
                if !names.iter().any(|whole| whole == name) && self.is_outside_layers(name) =>
            {
                Some(Against::Layer)
            }
            _ => None,
        }
    }

    /// Whether `layers_to_transform` leaves a module out. It counts for lists of targets alone.
    fn is_outside_layers(&self, name: &str) -> bool {
        let selection = self.selection;
        if selection.layers.is_empty() {
            return false;
        }
        match layer(name, &self.layers) {
            Some(layer) => !selection.layers.contains(&layer),
            None => true,
        }
    }

    /// LoRA of the head that is that of the embedding, which is the same table.
    fn is_tied_head(&self, pair: &Pair, parts: &Parts) -> bool {
        let embedded = |other: &Pair| {
            other.embedding && (other.in_features, other.rank) == (pair.out_features, pair.rank)
        };
        self.selection.tied
            && !pair.embedding
            && ModulePath::new(&pair.module).layer().is_none()
            && parts.pairs.iter().any(embedded)
    }

    /// Whether an embedding or a head is saved because the other is, with which it is one table.
    fn is_saved_with_other(&self, path: &str) -> bool {
        let table = |name: &str| matches!(ModulePath::new(name).kind(), "embed_tokens" | "lm_head");
        self.selection.tied && table(path) && self.selection.saves.iter().any(|saved| table(saved))
    }

    /// Targets that PEFT would look for LoRA of, and the file has none. Without the base model that is known only of
    /// names that linear layers have beside those in the file.
    fn missing(&self, targets: &'a [String], parts: &Parts) -> Vec<&'a str> {
        let kinds: BTreeSet<&str> =
            parts.pairs.iter().map(|pair| ModulePath::new(&pair.module).kind()).collect();
        let beside: BTreeSet<&str> = linear_layers()
            .filter(|layers| layers.iter().any(|path| kinds.contains(ModulePath::new(path).kind())))
            .flatten()
            .collect();
        let here = |target: &str| {
            parts.pairs.iter().any(|pair| pair.names().end_with(target))
                || parts.others.iter().any(|other| ModulePath::new(other).ends_with(target))
        };
        let known = |target: &str| beside.iter().any(|path| ModulePath::new(path).ends_with(target));
        let absent = targets.iter().map(String::as_str).filter(|target| known(target)).take(MAX_ABSENT);
        let absent: Vec<&str> = absent.filter(|target| !here(target)).collect();
        if absent.is_empty() {
            return absent;
        }
        let block = |pair: &Pair| {
            let (before, layer, _) = ModulePath::new(pair.names().file).in_layer()?;
            Some(format!("{before}.{layer}"))
        };
        let blocks: BTreeSet<String> = parts.pairs.iter().filter_map(block).collect();
        let wanted = |target: &str| {
            beside.iter().filter(|path| ModulePath::new(path).ends_with(target)).any(|path| {
                blocks.iter().any(|block| self.against_name(&format!("{block}.{path}")).is_none())
            })
        };
        absent.into_iter().filter(|target| wanted(target)).collect()
    }
}

/// How the warning about absent targets begins where the base model is not known.
const ABSENT: &str = "the configuration targets, but the file has no LoRA for,";
/// How it begins where it is.
const ABSENT_IN_BASE: &str = "the configuration targets, but the file has no LoRA for, the base model's";

/// Replaces what an expert's configuration was said to target in vain by what it is, now that the base model's linear
/// layers are known.
pub(super) fn compare_with_base(expert: &mut Expert, sizes: &LayerSizes) {
    let Some(selection) = expert.selection.clone() else { return };
    expert.warnings.retain(|warning| !warning.starts_with(ABSENT));
    let rules = Rules::new(&selection);
    if rules.targets.is_none() {
        return;
    }
    let renamed = expert.modules.iter().find_map(|shape| shape.names().prefixes());
    let mut absent: Vec<&str> = sizes
        .keys()
        .map(String::as_str)
        .filter(|path| {
            let file = renamed.and_then(|(from, to)| Some(format!("{to}{}", path.strip_prefix(from)?)));
            rules.against_name(file.as_deref().unwrap_or(path)).is_none()
                && !expert.modules.iter().any(|shape| shape.module == *path)
                && !rules.is_saved_with_other(path)
        })
        .collect();
    absent.sort_unstable_by(|a, b| natural(a, b));
    if let Some((first, more)) = absent.split_first() {
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        expert.warnings.push(format!("{ABSENT_IN_BASE} {}{more}; the tensors decide", short(first)));
    }
}

/// The number of a module's layer as PEFT finds it: behind one of the patterns, or in the third component or later
/// where there are none.
fn layer(name: &str, patterns: &[Expression]) -> Option<usize> {
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten();
    let parts: Vec<&str> = name.split('.').collect();
    let followed = parts.len().saturating_sub(1);
    (1..followed).find_map(|at| {
        let index = number(parts.get(at)?)?;
        let before = parts.get(..at)?.join(".");
        let fits = match patterns {
            [] => at >= 2,
            patterns => patterns.iter().any(|pattern| pattern.matches(&before)),
        };
        fits.then_some(index)
    })
}

/// A pattern of what stands before the number of a layer.
fn layers_pattern(pattern: &str) -> Option<Expression> {
    Expression::new(&format!(r"^(?:.*\.)?(?:{pattern})$"), MAX_PATTERNS)
}

/// Whether a path is `module` or below it, as PEFT matches `modules_to_save`.
fn is_at_or_below(path: &str, module: &str) -> bool {
    let ends = |at: usize| matches!(path.as_bytes().get(at), None | Some(b'.'));
    path.match_indices(module)
        .any(|(at, _)| (at == 0 || path.as_bytes().get(at - 1) == Some(&b'.')) && ends(at + module.len()))
}

/// Heads of classifiers, which trainers list whether the model has them or not.
fn is_elsewhere(module: &str) -> bool {
    matches!(module, "classifier" | "score" | "pooler" | "qa_outputs" | "summary")
}

/// PEFT's word for every linear layer.
fn is_shorthand(name: &str) -> bool {
    name.eq_ignore_ascii_case("all-linear")
}

enum Matcher<'a> {
    List(&'a [String]),
    Regex(Expression),
}

impl<'a> Matcher<'a> {
    /// `None` where nothing can be said: no names, the shorthand, or an expression that cannot be read.
    fn new(names: &'a Names) -> Option<Self> {
        match names {
            Names::None => None,
            Names::Regex(text) if is_shorthand(text) => None,
            Names::Regex(text) => Expression::whole(text).map(Self::Regex),
            Names::List(list) if list.is_empty() || list.iter().any(|name| is_shorthand(name)) => None,
            Names::List(list) => Some(Self::List(list)),
        }
    }

    fn matches(&self, module: &str) -> bool {
        match self {
            Self::List(names) => names.iter().any(|name| ModulePath::new(module).ends_with(name)),
            Self::Regex(regex) => regex.matches(module),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of `check_target_module_exists`.
    #[test]
    fn the_layer_is_the_first_number_behind_a_pattern() {
        let patterns = |list: &[&str]| list.iter().filter_map(|p| layers_pattern(p)).collect::<Vec<_>>();
        for (name, list, expected) in [
            ("model.layers.3.self_attn.q_proj", &[][..], Some(3)),
            ("model.layers.1.experts.0.up", &[], Some(1)),
            ("layers.3.q_proj", &[], None),
            ("h.3.attn", &["h"], Some(3)),
            ("model.layers.3.q", &["h"], None),
            ("model.layers.3.q", &["h", "layers"], Some(3)),
            ("model.layers.3", &["layers"], None),
            ("lm_head", &[], None),
        ] {
            assert_eq!(layer(name, &patterns(list)), expected, "{name} {list:?}");
        }
    }

    #[test]
    fn saved_modules_are_whole_components() {
        for (path, module, expected) in [
            ("model.layers.0.mlp.up_proj", "mlp", true),
            ("lm_head", "lm_head", true),
            ("model.norm", "model.norm", true),
            ("model.norms", "model.norm", false),
            ("xlm_head", "lm_head", false),
        ] {
            assert_eq!(is_at_or_below(path, module), expected, "{path} {module}");
        }
    }
}
