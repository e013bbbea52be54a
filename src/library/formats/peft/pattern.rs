//! Expressions over the names of modules, as Python's `re` reads them, and the patterns that PEFT makes of them.

use std::cell::Cell;

use regex::bytes::{Regex, RegexBuilder};

use crate::module_path::ModuleNames;
use crate::text::short;

/// Steps that one match may take back where an expression looks ahead or back.
const MAX_STEPS: usize = 20_000;
/// Names that one such expression is tried on.
const MAX_TRIES: u32 = 50_000;
/// Length of an expression: what a parser makes of it takes some hundred times as much memory.
const MAX_LENGTH: usize = 32 << 10;
/// Keys with more than letters, digits and dots.
const MAX_EXPRESSIONS: usize = 128;

/// An expression over names. Names are ASCII: classes of all of Unicode would cost memory out of proportion.
pub(in crate::library) enum Expression {
    /// What finite automata can match.
    Regular(Box<Regex>),
    /// What looks ahead or back, or refers to groups. The number of tries that are left: 0 also where one took too
    /// many steps.
    Backtracking(Box<fancy_regex::Regex>, Cell<u32>),
}

impl Expression {
    /// Compiles an expression. It may take 256 KiB divided by `share`, but 8 KiB in any case; `None` where it is
    /// none, or too large.
    pub fn new(text: &str, share: usize) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let limit = ((256 << 10) / share.max(1)).max(8 << 10);
        if let Ok(regex) = RegexBuilder::new(text).unicode(false).size_limit(limit).build() {
            return Some(Self::Regular(Box::new(regex)));
        }
        let regex = fancy_regex::RegexBuilder::new(text)
            .backtrack_limit(MAX_STEPS)
            .delegate_size_limit(limit)
            .delegate_dfa_size_limit(limit)
            .build();
        Some(Self::Backtracking(Box::new(regex.ok()?), Cell::new(MAX_TRIES)))
    }

    /// An expression for whole names, as `re.fullmatch`.
    pub fn whole(text: &str) -> Option<Self> {
        Self::new(&format!("^(?:{text})$"), 1)
    }

    /// Whether it matches; not where that would take too long.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Regular(regex) => regex.is_match(name.as_bytes()),
            Self::Backtracking(regex, left) => {
                let Some(fewer) = left.get().checked_sub(1) else { return false };
                let found = regex.is_match(name);
                left.set(if found.is_ok() { fewer } else { 0 });
                found.unwrap_or(false)
            }
        }
    }
}

/// The entries of `rank_pattern` or `alpha_pattern`. PEFT applies to a module the first key, in file order, for which
/// Python's `re.match` finds `(.*\.)?(KEY)$` in the module's name.
pub(in crate::library) struct Patterns<T>(Vec<(Matcher, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

enum Matcher {
    /// Letters, digits, `_`, `-` and `.` (which matches any character, as in a regular expression).
    Plain(Vec<char>),
    Expression(Expression),
}

/// What [`Patterns`] say about modules.
pub(in crate::library) struct Resolved<T> {
    /// One for each module.
    pub values: Vec<Option<T>>,
    /// Indices of the keys that match no module.
    pub unmatched: Vec<usize>,
}

impl<T: Copy> Patterns<T> {
    /// Compiles the keys. The error names the key that is no regular expression we can read.
    pub fn new(entries: &[(String, T)]) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let expressions = entries.iter().filter(|(key, _)| !key.chars().all(plain)).count();
        if expressions > MAX_EXPRESSIONS {
            return Err(format!("{expressions} expressions: at most {MAX_EXPRESSIONS} are read"));
        }
        entries
            .iter()
            .map(|(key, value)| {
                if key.chars().all(plain) {
                    return Ok((Matcher::Plain(key.chars().collect()), *value));
                }
                Expression::new(&format!(r"^(.*\.)?({key})$"), expressions)
                    .map(|expression| (Matcher::Expression(expression), *value))
                    .ok_or_else(|| short(key))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The values for modules. Keys mean the names in the file; one that matches none of them, nor of `others`, the
    /// file's modules that are not applied, means the paths in the language model.
    pub fn resolve<'a>(
        &self,
        modules: impl Iterator<Item = ModuleNames<'a>> + Clone,
        others: &[String],
    ) -> Resolved<T> {
        let mut found = vec![false; self.0.len()];
        let mut first: Vec<Option<usize>> = modules.clone().map(|m| self.mark(m.file, &mut found)).collect();
        for (hit, (matcher, _)) in found.iter_mut().zip(&self.0) {
            *hit = *hit || others.iter().any(|name| matcher.matches(name));
        }
        let by_path: Vec<bool> = found.iter().map(|hit| !hit).collect();
        if by_path.contains(&true) {
            for (first, module) in first.iter_mut().zip(modules).filter(|(_, module)| module.differ()) {
                let keys = self.0.iter().enumerate().filter(|(at, _)| by_path.get(*at) == Some(&true));
                for (at, _) in keys.filter(|(_, (matcher, _))| matcher.matches(module.path)) {
                    found[at] = true;
                    *first = Some(first.map_or(at, |before| before.min(at)));
                }
            }
        }
        let value = |at: Option<usize>| at.and_then(|at| self.0.get(at)).map(|(_, value)| *value);
        Resolved {
            values: first.into_iter().map(value).collect(),
            unmatched: found.iter().enumerate().filter(|(_, hit)| !**hit).map(|(at, _)| at).collect(),
        }
    }

    /// The first key that matches a name. All that match it are marked as found.
    fn mark(&self, name: &str, found: &mut [bool]) -> Option<usize> {
        let mut first = None;
        for (at, ((matcher, _), found)) in self.0.iter().zip(found).enumerate() {
            // What is known and comes too late need not be tried.
            if (first.is_none() || !*found) && matcher.matches(name) {
                *found = true;
                first.get_or_insert(at);
            }
        }
        first
    }
}

impl Matcher {
    fn matches(&self, module: &str) -> bool {
        match self {
            Self::Expression(expression) => expression.matches(module),
            Self::Plain(key) => {
                let mut path = module.chars().rev();
                for &expected in key.iter().rev() {
                    match path.next() {
                        Some(c) if expected == '.' && c != '\n' || c == expected => {}
                        _ => return false,
                    }
                }
                matches!(path.next(), None | Some('.'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: &str = "model.layers.0.self_attn.q_proj";
    const WRAPPED: &str = "model.language_model.layers.0.self_attn.q_proj";

    /// What one key gives for modules of these names.
    fn hits(key: &str, names: &[ModuleNames<'_>]) -> Option<Vec<bool>> {
        let resolved = Patterns::new(&[(key.to_string(), ())]).ok()?.resolve(names.iter().copied(), &[]);
        assert_eq!(resolved.unmatched.is_empty(), resolved.values.iter().any(Option::is_some), "{key}");
        Some(resolved.values.iter().map(Option::is_some).collect())
    }

    /// Expected values are those of `re.match(rf"(.*\.)?({key})$", name)`.
    #[test]
    fn keys_are_python_s_expressions() {
        let other = "model.layers.1.self_attn.q_proj";
        let names = [ModuleNames::new(Q, None), ModuleNames::new(other, None)];
        for (key, expected) in [
            ("q_proj", [true, true]),
            ("proj", [false, false]),
            ("^q_proj", [false, false]),
            (r"layers\.0\..*", [true, false]),
            (r"(?!.*layers\.0\.).*q_proj", [true, true]),
            (r"^(?!.*layers\.0\.).*q_proj", [false, true]),
            (r"(?<=self_attn\.)q_proj", [true, true]),
            (r"(?<=mlp\.)q_proj", [false, false]),
            (r"layers\.(?P<n>\d)\.self_attn\.q_proj", [true, true]),
            (r"(?i:Q_PROJ)", [true, true]),
            (r"q_proj\Z", [true, true]),
        ] {
            assert_eq!(hits(key, &names).unwrap(), expected, "{key}");
        }
        for broken in ["(q", "q)", "*q", "(?<n"] {
            assert!(hits(broken, &names).is_none(), "{broken}");
        }
    }

    #[test]
    fn keys_mean_the_file_s_names_and_else_the_paths() {
        let names = [ModuleNames::new(Q, Some(WRAPPED))];
        for (key, expected) in [
            (r".*language_model.*layers\.0\..*q_proj", true),
            ("model.layers.0.self_attn.q_proj", true),
            (r"^model\.layers\.0\..*", true),
            (r"^model\.layers\.1\..*", false),
            ("qproj", false),
        ] {
            assert_eq!(hits(key, &names).unwrap(), [expected], "{key}");
        }
        // A key for another part of the model does not mean the language model under its short name.
        let keys = [(r"^(?!.*language_model).*q_proj".to_string(), 1)];
        let vision = ["model.visual.blocks.0.attn.q_proj".to_string()];
        let resolved = Patterns::new(&keys).unwrap().resolve(names.into_iter(), &vision);
        assert_eq!((resolved.values, resolved.unmatched), (vec![None], vec![]));
    }

    #[test]
    fn an_expression_that_takes_too_long_matches_nothing() {
        let expression = Expression::new(r"^(?=(a+)+$)\1*b$", 1).unwrap();
        assert!(!expression.matches(&"a".repeat(200)));
        assert!(!expression.matches("aab"));
        // What is large, in itself or once it is written out, ends too.
        for text in [
            "(?:(?:(?=a)b){1000}){1000}".to_string(),
            r"(?=\w{1000})(?:\w{1000}){1000}".into(),
            format!("{}(?=a){}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("(?=a){}", "b?".repeat(20_000)),
        ] {
            if let Some(expression) = Expression::new(&text, 1) {
                expression.matches(&"ab".repeat(100));
            }
        }
        let cheap = Expression::new(r"^(?!x)ab$", 1).unwrap();
        assert!(cheap.matches("ab") && !cheap.matches("xab"));
    }
}
