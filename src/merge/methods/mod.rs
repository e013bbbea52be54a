//! Ways to merge: a file each, a table of them, and one place that everything else asks.
//!
//! A method is a [`MethodSpec`] in a file of its own and a line in [`METHODS`]. Command line values and help,
//! which options are refused, JSON and the reference page follow from the table.

mod cat;
mod dare;
mod decompose;
mod entrywise;
mod linear;
mod spec;
mod svd;
mod ties;

use std::ops::Deref;

pub(super) use self::spec::{Combined, ModulePart, ModuleParts, Recipe};
pub use self::spec::{MergeOption, MethodSpec};
use crate::named::{Named, by_name};

/// Every method.
static METHODS: &[MergeMethod] =
    &[MergeMethod::LINEAR, MergeMethod::CAT, MergeMethod::SVD, MergeMethod::TIES, MergeMethod::DARE];

/// How experts become one: one of a closed set, described by its [`MethodSpec`].
#[derive(Clone, Copy)]
pub struct MergeMethod(&'static MethodSpec);

impl MergeMethod {
    /// The exact sum at its own rank.
    pub const LINEAR: Self = Self(&linear::METHOD);
    /// All factors stacked.
    pub const CAT: Self = Self(&cat::METHOD);
    /// The best approximation at a rank.
    pub const SVD: Self = Self(&svd::METHOD);
    /// TIES.
    pub const TIES: Self = Self(&ties::METHOD);
    /// DARE.
    pub const DARE: Self = Self(&dare::METHOD);

    /// Whether it has an option.
    pub fn has(self, option: MergeOption) -> bool {
        self.options.contains(&option)
    }

    /// The names of the methods for which `holds`, with `or` between.
    pub(super) fn ids(holds: impl Fn(Self) -> bool) -> String {
        let ids: Vec<&str> =
            METHODS.iter().filter(|method| holds(**method)).map(|method| method.id).collect();
        match ids.as_slice() {
            [some @ .., last] if !some.is_empty() => format!("{} or {last}", some.join(", ")),
            ids => ids.concat(),
        }
    }

    /// The table of the reference page, in Markdown.
    pub fn markdown() -> String {
        let mut out = String::from("| `--method` | what it does | formula | options |\n|---|---|---|---|\n");
        for method in METHODS {
            let options: Vec<String> = method.options.iter().map(|o| format!("`{}`", o.flag())).collect();
            let options = if options.is_empty() { "–".into() } else { options.join(", ") };
            let MethodSpec { id, help, formula, .. } = **method;
            out.push_str(&format!("| `{id}` | {help} | {formula} | {options} |\n"));
        }
        out
    }
}

/// 1/n: the mean of the experts.
fn mean_weight(experts: usize) -> f64 {
    1.0 / experts as f64
}

impl Deref for MergeMethod {
    type Target = MethodSpec;

    fn deref(&self) -> &MethodSpec {
        self.0
    }
}

impl PartialEq for MergeMethod {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for MergeMethod {}

impl std::fmt::Debug for MergeMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl Named for MergeMethod {
    const KIND: &'static str = "merge method";

    fn all() -> &'static [Self] {
        METHODS
    }

    fn name(&self) -> &'static str {
        self.id
    }

    fn help(&self) -> &'static str {
        self.help
    }
}

by_name!(MergeMethod);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_the_reference_table_has_a_line_each() {
        for method in METHODS {
            assert_eq!(MergeMethod::named(method.id).unwrap(), method);
        }
        let table = MergeMethod::markdown();
        assert_eq!(table.lines().count(), 2 + METHODS.len(), "{table}");
        assert!(
            table.lines().all(|line| line.split(" | ").count() == 4 || line.starts_with("|-")),
            "{table}"
        );
    }

    #[test]
    fn methods_with_something_in_common_are_listed() {
        assert_eq!(MergeMethod::ids(|m| m.has(MergeOption::Density)), "ties or dare");
        assert_eq!(MergeMethod::ids(|m| m.has(MergeOption::Rank)), "svd");
        assert_eq!(MergeMethod::ids(|m| !m.entrywise), "linear, cat or svd");
    }
}
