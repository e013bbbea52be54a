//! Paths of modules: `model.layers.3.self_attn.q_proj` is `q_proj` of layer 3.

use std::fmt;

/// The transformers path of a module. Paths come from files: any text is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModulePath<'a>(&'a str);

impl<'a> ModulePath<'a> {
    /// Takes any text as a path.
    pub fn new(path: &'a str) -> Self {
        Self(path)
    }

    /// The whole path.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The number of the layer (of the block): the first component that is a number. `None` for the embedding, the
    /// head and whatever else stands outside the layers.
    pub fn layer(self) -> Option<usize> {
        self.in_layer().map(|(_, layer, _)| layer)
    }

    /// The path around the layer's number: `("model.layers", 3, "self_attn.q_proj")`. Either end may be empty.
    pub fn in_layer(self) -> Option<(&'a str, usize, &'a str)> {
        let mut from = 0;
        for component in self.0.split('.') {
            let end = from + component.len();
            if let Some(layer) = number(component) {
                let before = self.0.get(..from.saturating_sub(1)).unwrap_or_default();
                let within = self.0.get(end + 1..).unwrap_or_default();
                return Some((before, layer, within));
            }
            from = end + 1;
        }
        None
    }

    /// What kind of module it is: the last component, `q_proj`.
    pub fn kind(self) -> &'a str {
        self.0.rsplit('.').next().unwrap_or(self.0)
    }

    /// [`Self::kind`] as screens with little room show it: `q` for `q_proj`.
    pub fn short_kind(self) -> &'a str {
        let kind = self.kind();
        kind.strip_suffix("_proj").filter(|short| !short.is_empty()).unwrap_or(kind)
    }

    /// The path without the layer's number, the same in every layer: `model.layers.self_attn.q_proj`.
    pub fn without_layer(self) -> String {
        match self.in_layer() {
            Some((before, _, within)) if before.is_empty() || within.is_empty() => {
                format!("{before}{within}")
            }
            Some((before, _, within)) => format!("{before}.{within}"),
            None => self.0.to_string(),
        }
    }

    /// Whether `end` is the path, or its last components, as PEFT's `target_modules` name modules.
    pub fn ends_with(self, end: &str) -> bool {
        self.0.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }
}

/// What one module is called: by its path in the language model, and by the file that names it, where wrappers and
/// multimodal models put more around the path (`model.language_model.layers.0.…`).
///
/// What people and configurations write may mean either: it is matched against both, the file's name first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleNames<'a> {
    /// Path in the language model.
    pub path: &'a str,
    /// Name in the file.
    pub file: &'a str,
}

impl<'a> ModuleNames<'a> {
    /// A module with this path; `file` is what the file calls it, where that is another name.
    pub fn new(path: &'a str, file: Option<&'a str>) -> Self {
        Self { path, file: file.unwrap_or(path) }
    }

    /// Whether the file's name is another than the path.
    pub fn differ(self) -> bool {
        self.file != self.path
    }

    /// What stands before the components that both names end with: of the path and of the file's name. `None` where
    /// they are one name.
    pub fn prefixes(self) -> Option<(&'a str, &'a str)> {
        let end = self.path.split('.').rev().zip(self.file.split('.').rev()).take_while(|(a, b)| a == b);
        let length: usize = end.map(|(part, _)| part.len() + 1).sum();
        let before = |name: &'a str| name.get(..(name.len() + 1).saturating_sub(length));
        self.differ().then(|| Some((before(self.path)?, before(self.file)?))).flatten()
    }

    /// Whether one of the names has a property.
    pub fn any(self, has: impl Fn(&'a str) -> bool) -> bool {
        has(self.file) || self.differ() && has(self.path)
    }

    /// Whether one of the names is `end` or ends with these components.
    pub fn end_with(self, end: &str) -> bool {
        self.any(|name| ModulePath::new(name).ends_with(end))
    }
}

impl fmt::Display for ModulePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// The kinds of some modules, each once, in the order in which they come.
pub fn kinds<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    distinct(paths.into_iter().map(|path| ModulePath::new(path).kind()))
}

/// [`kinds`], as [`ModulePath::short_kind`] shortens them.
pub fn short_kinds<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    distinct(paths.into_iter().map(|path| ModulePath::new(path).short_kind()))
}

fn distinct<'a>(kinds: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for kind in kinds {
        if !found.contains(&kind) {
            found.push(kind);
        }
    }
    found
}

/// The number that a component is. Signs are none.
fn number(component: &str) -> Option<usize> {
    component.bytes().all(|b| b.is_ascii_digit()).then(|| component.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_layer_and_a_kind() {
        let q = ModulePath::new("model.layers.12.self_attn.q_proj");
        assert_eq!((q.layer(), q.kind(), q.short_kind()), (Some(12), "q_proj", "q"));
        assert_eq!(q.in_layer(), Some(("model.layers", 12, "self_attn.q_proj")));
        assert_eq!(q.without_layer(), "model.layers.self_attn.q_proj");
        let neox = ModulePath::new("gpt_neox.layers.0.attention.query_key_value");
        assert_eq!((neox.layer(), neox.short_kind()), (Some(0), "query_key_value"));
    }

    #[test]
    fn any_text_is_a_path() {
        for (path, layer, kind, without) in [
            ("lm_head", None, "lm_head", "lm_head"),
            ("", None, "", ""),
            ("0", Some(0), "0", ""),
            ("3.mlp", Some(3), "mlp", "mlp"),
            ("h.3", Some(3), "3", "h"),
            ("a.+3._proj", None, "_proj", "a.+3._proj"),
            ("a.99999999999999999999999.2.b", Some(2), "b", "a.99999999999999999999999.b"),
            ("..", None, "", ".."),
            ("é.7.ß", Some(7), "ß", "é.ß"),
        ] {
            let module = ModulePath::new(path);
            assert_eq!(
                (module.layer(), module.kind(), module.without_layer().as_str()),
                (layer, kind, without),
                "{path:?}"
            );
        }
        assert_eq!(ModulePath::new("x._proj").short_kind(), "_proj");
    }

    #[test]
    fn either_name_of_a_module_counts() {
        let wrapped = ModuleNames::new("model.layers.0.q", Some("model.language_model.layers.0.q"));
        assert_eq!(wrapped.prefixes(), Some(("model.", "model.language_model.")));
        assert_eq!(ModuleNames::new("a.q", None).prefixes(), None);
        assert_eq!(
            ModuleNames::new("a.q", Some("language_model.a.q")).prefixes(),
            Some(("", "language_model."))
        );
        assert!(wrapped.differ() && !ModuleNames::new("a.q", None).differ());
        for end in ["q", "layers.0.q", "model.layers.0.q", "language_model.layers.0.q", wrapped.file] {
            assert!(wrapped.end_with(end), "{end}");
        }
        for end in ["odel.layers.0.q", "x.q", "language_model.layers.0"] {
            assert!(!wrapped.end_with(end), "{end}");
        }
    }

    #[test]
    fn targets_name_the_end_of_a_path() {
        let q = ModulePath::new("model.layers.1.self_attn.q_proj");
        for end in ["q_proj", "self_attn.q_proj", "1.self_attn.q_proj", q.as_str()] {
            assert!(q.ends_with(end), "{end}");
        }
        for end in ["proj", "kq_proj", "attn.q_proj", "layers.1"] {
            assert!(!q.ends_with(end), "{end}");
        }
    }
}
