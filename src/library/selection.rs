//! PEFT's rules for which modules an adapter's configuration means (`check_target_module_exists`, `_set_trainable`).

use std::collections::BTreeSet;

use super::formats::linear_layers;
use super::formats::peft::config::{Names, Selection};
use super::formats::peft::pairs::{MOST_NAMED, Pair, Parts};
use super::formats::peft::pattern::Expression;
use crate::module_path::{ModuleNames, ModulePath};

/// Why a module has no LoRA by the configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    Untargeted,
    Excluded,
    Saved,
    Layer,
}

impl Against {
    pub fn text(self) -> &'static str {
        match self {
            Self::Untargeted => "does not target",
            Self::Excluded => "excludes",
            Self::Saved => "saves as a whole (modules_to_save)",
            Self::Layer => "leaves out the layer of",
        }
    }
}

/// The rules of one adapter.
pub(super) struct Rules<'a> {
    selection: &'a Selection,
    pub targets: Option<Matcher<'a>>,
    pub excluded: Option<Matcher<'a>>,
    /// `layers_pattern`, as they end what stands before the number.
    layers: Vec<Expression>,
}

/// Patterns of layers that are read.
const MAX_PATTERNS: usize = 16;
/// Absent targets that are looked into.
const MAX_ABSENT: usize = 64;

impl<'a> Rules<'a> {
    pub fn new(selection: &'a Selection) -> Self {
        let patterns = selection.layers_pattern.iter().take(MAX_PATTERNS);
        Self {
            selection,
            targets: Matcher::new(&selection.targets),
            excluded: Matcher::new(&selection.excluded),
            layers: patterns.filter_map(|p| layers_pattern(p)).collect(),
        }
    }

    /// Why a module that has LoRA should have none, by all of its names.
    pub fn against(&self, module: ModuleNames<'_>) -> Option<Against> {
        let found = self.against_name(module.file)?;
        match module.differ() {
            true => self.against_name(module.path).map(|_| found),
            false => Some(found),
        }
    }

    /// In PEFT's order.
    pub fn against_name(&self, name: &str) -> Option<Against> {
        if self.excluded.as_ref().is_some_and(|excluded| excluded.matches(name)) {
            return Some(Against::Excluded);
        }
        if self.selection.saves.iter().take(MOST_NAMED).any(|saved| is_at_or_below(name, saved)) {
            return Some(Against::Saved);
        }
        if self.is_parameter(name) {
            return None;
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

    /// Whether a module's weights are one of `target_parameters`.
    pub fn is_parameter(&self, name: &str) -> bool {
        let owners = self.selection.parameters.iter().take(MAX_ABSENT);
        let mut owners = owners.filter_map(|parameter| parameter.strip_suffix(".weight"));
        owners.any(|owner| ModulePath::new(name).ends_with(owner))
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
    pub fn is_tied_head(&self, pair: &Pair, parts: &Parts) -> bool {
        let embedded = |other: &Pair| {
            other.embedding && (other.in_features, other.rank) == (pair.out_features, pair.rank)
        };
        self.selection.tied
            && !pair.embedding
            && ModulePath::new(&pair.module).layer().is_none()
            && parts.pairs.iter().any(embedded)
    }

    /// Whether an embedding or a head is saved because the other is, with which it is one table.
    pub fn is_saved_with_other(&self, path: &str) -> bool {
        let table = |name: &str| matches!(ModulePath::new(name).kind(), "embed_tokens" | "lm_head");
        self.selection.tied && table(path) && self.selection.saves.iter().any(|saved| table(saved))
    }

    /// Targets that PEFT would look for LoRA of, and the file has none. Without the base model that is known only of
    /// names that linear layers have beside those in the file.
    pub fn missing(&self, targets: &'a [String], parts: &Parts) -> Vec<&'a str> {
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
pub(super) fn is_at_or_below(path: &str, module: &str) -> bool {
    let ends = |at: usize| matches!(path.as_bytes().get(at), None | Some(b'.'));
    path.match_indices(module)
        .any(|(at, _)| (at == 0 || path.as_bytes().get(at - 1) == Some(&b'.')) && ends(at + module.len()))
}

/// Heads of classifiers, which trainers list whether the model has them or not.
pub(super) fn is_elsewhere(module: &str) -> bool {
    matches!(module, "classifier" | "score" | "pooler" | "qa_outputs" | "summary")
}

/// PEFT's word for every linear layer.
pub(super) fn is_shorthand(name: &str) -> bool {
    name.eq_ignore_ascii_case("all-linear")
}

/// Names of modules, ready to be compared.
pub(super) enum Matcher<'a> {
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
