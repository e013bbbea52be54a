//! Environment variables of huggingface_hub, read as it reads them (`constants.py`): where its cache and its token
//! are, and whether it may use the network.

use std::path::{Path, PathBuf};

use crate::outside::read_limited;

/// No token comes near this.
const MAX_TOKEN: u64 = 1 << 16;

/// The environment, and the user's home folder.
pub(super) struct Environment<'a> {
    /// The value of a variable.
    get: &'a dyn Fn(&str) -> Option<String>,
    home: Option<PathBuf>,
}

/// Calls `f` with the environment of this process.
pub(super) fn with_environment<T>(f: impl FnOnce(&Environment<'_>) -> T) -> T {
    let get = |name: &str| std::env::var(name).ok();
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_path_buf());
    f(&Environment { get: &get, home })
}

/// Where repositories of the hub are kept on this machine, by the variables of huggingface_hub; it need not be there.
pub fn hub_cache() -> Option<PathBuf> {
    with_environment(|environment| environment.hub_cache())
}

impl Environment<'_> {
    /// A variable that is set and not empty.
    fn set(&self, name: &str) -> Option<String> {
        (self.get)(name).filter(|value| !value.is_empty())
    }

    /// The folder of a variable, with `~` and `$NAME` in it replaced.
    fn path(&self, name: &str) -> Option<PathBuf> {
        self.set(name).map(|value| self.expanded(&value))
    }

    /// The cache of repositories: `HF_HUB_CACHE`, the older `HUGGINGFACE_HUB_CACHE`, or `hub` in the home of
    /// huggingface_hub.
    pub fn hub_cache(&self) -> Option<PathBuf> {
        let named = self.path("HF_HUB_CACHE").or_else(|| self.path("HUGGINGFACE_HUB_CACHE"));
        named.or_else(|| Some(self.hub_home()?.join("hub")))
    }

    /// `HF_HOME`, or `huggingface` in the user's folder for caches.
    fn hub_home(&self) -> Option<PathBuf> {
        self.path("HF_HOME").or_else(|| {
            let caches = self.path("XDG_CACHE_HOME").or_else(|| Some(self.home.as_ref()?.join(".cache")));
            Some(caches?.join("huggingface"))
        })
    }

    /// The token that requests carry: `HF_TOKEN`, the older `HUGGING_FACE_HUB_TOKEN`, or that of the file
    /// `HF_TOKEN_PATH`; none with `HF_HUB_DISABLE_IMPLICIT_TOKEN`.
    pub fn token(&self) -> Option<String> {
        if self.is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return None;
        }
        let named = self.set("HF_TOKEN").or_else(|| self.set("HUGGING_FACE_HUB_TOKEN"));
        let stored = || {
            let path = self.path("HF_TOKEN_PATH").or_else(|| Some(self.hub_home()?.join("token")))?;
            String::from_utf8(read_limited(&path, MAX_TOKEN).ok()?).ok()
        };
        named.or_else(stored).map(|token| token.trim().to_string()).filter(|token| !token.is_empty())
    }

    /// Whether the network is not to be used.
    pub fn offline(&self) -> bool {
        match self.set("HF_HUB_OFFLINE") {
            Some(_) => self.is_true("HF_HUB_OFFLINE"),
            None => self.is_true("TRANSFORMERS_OFFLINE"),
        }
    }

    /// The hub.
    pub fn endpoint(&self) -> String {
        self.set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into())
    }

    fn is_true(&self, name: &str) -> bool {
        let value = self.set(name).unwrap_or_default().to_ascii_uppercase();
        ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
    }

    /// A path with the home folder for `~`, and variables for `$NAME` and `${NAME}`; what is not set stays as it is.
    fn expanded(&self, text: &str) -> PathBuf {
        let text = self.with_variables(text);
        let text = match self.home.as_deref().and_then(Path::to_str) {
            Some(home) if text == "~" || text.starts_with("~/") => format!("{home}{}", &text[1..]),
            _ => text,
        };
        PathBuf::from(text)
    }

    fn with_variables(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let after = &from[1..];
            let (name, end) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                Some((name, _)) => (name, name.len() + 3),
                None => {
                    let length = after.find(|c| !word(c)).unwrap_or(after.len());
                    (&after[..length], length + 1)
                }
            };
            match (self.get)(name).filter(|_| !name.is_empty()) {
                Some(value) => out.push_str(&value),
                None => out.push_str(&from[..end]),
            }
            rest = &from[end..];
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an environment of these variables, with the home `/home/me`, gives.
    fn with<T>(variables: &[(&str, &str)], f: impl FnOnce(&Environment<'_>) -> T) -> T {
        let get = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        };
        f(&Environment { get: &get, home: Some("/home/me".into()) })
    }

    /// Expected values are those of huggingface_hub's `constants.HF_HUB_CACHE`.
    #[test]
    fn every_variable_that_moves_the_cache_counts() {
        for (variables, expected) in [
            (&[][..], "/home/me/.cache/huggingface/hub"),
            (&[("HF_HOME", "/hf")][..], "/hf/hub"),
            (&[("HF_HOME", "~/hf")][..], "/home/me/hf/hub"),
            (&[("HF_HOME", "$DATA/hf"), ("DATA", "/data")][..], "/data/hf/hub"),
            (&[("HF_HOME", "${DATA}x/$NONE"), ("DATA", "/data")][..], "/datax/$NONE/hub"),
            (&[("HF_HOME", "")][..], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/caches")][..], "/caches/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "~/c"), ("HF_HOME", "/hf")][..], "/hf/hub"),
            (&[("HUGGINGFACE_HUB_CACHE", "~/old")][..], "/home/me/old"),
            (&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "$A/new"), ("A", "/a")][..], "/a/new"),
            (&[("HF_HUB_CACHE", "~"), ("HF_HOME", "/hf")][..], "/home/me"),
            (&[("HF_HUB_CACHE", "~other/x")][..], "~other/x"),
            (&[("HF_HUB_CACHE", "/a/${unclosed")][..], "/a/${unclosed"),
            (&[("TRANSFORMERS_CACHE", "/gone")][..], "/home/me/.cache/huggingface/hub"),
        ] {
            let found = with(variables, |environment| environment.hub_cache());
            assert_eq!(found.as_deref(), Some(Path::new(expected)), "{variables:?}");
        }
    }

    #[test]
    fn tokens_come_from_variables_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("token"), " stored\n").unwrap();
        std::fs::write(folder.path().join("other"), "other").unwrap();
        for (variables, expected) in [
            (&[("HF_HOME", home)][..], Some("stored")),
            (&[("HF_HOME", home), ("HF_TOKEN", "a")][..], Some("a")),
            (&[("HF_HOME", home), ("HUGGING_FACE_HUB_TOKEN", "b\n")][..], Some("b")),
            (&[("T", home), ("HF_TOKEN_PATH", "$T/other")][..], Some("other")),
            (&[("HF_TOKEN", "a"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")][..], None),
            (&[("HF_TOKEN_PATH", "/nowhere/token")][..], None),
        ] {
            assert_eq!(with(variables, |e| e.token()).as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn the_network_is_off_where_either_library_says_so() {
        for (variables, expected) in [
            (&[][..], false),
            (&[("HF_HUB_OFFLINE", "1")][..], true),
            (&[("HF_HUB_OFFLINE", "yes")][..], true),
            (&[("HF_HUB_OFFLINE", "off")][..], false),
            (&[("TRANSFORMERS_OFFLINE", "TRUE")][..], true),
            (&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")][..], false),
        ] {
            assert_eq!(with(variables, |e| e.offline()), expected, "{variables:?}");
        }
    }
}
