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

pub use self::spec::MethodSpec;
pub(super) use self::spec::{Combined, ModulePart, ModuleParts};
use super::options::{MERGE_OPTIONS, MergeOption};
use crate::named::{Named, by_name};
use crate::text::listed;

/// Every method.
static METHODS: &[MergeMethod] = &[
    MergeMethod(&linear::METHOD),
    MergeMethod(&cat::METHOD),
    MergeMethod(&svd::METHOD),
    MergeMethod(&ties::METHOD),
    MergeMethod(&dare::METHOD),
];

/// How experts become one: one of a closed set, described by its [`MethodSpec`].
#[derive(Clone, Copy)]
pub struct MergeMethod(&'static MethodSpec);

/// Names for code that means one method; a new one needs none.
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
}

impl MergeMethod {
    /// Whether each expert has the weight 1 where none is given, rather than its share of 1.
    pub fn weighs_one(self) -> bool {
        (self.default_weight)(2) == 1.0
    }

    /// Whether it has an option.
    pub fn has(self, option: &MergeOption) -> bool {
        self.options.contains(&option)
    }

    /// The names of the methods for which `holds`, with `or` between.
    pub fn ids(holds: impl Fn(Self) -> bool) -> String {
        let ids: Vec<&str> =
            METHODS.iter().filter(|method| holds(**method)).map(|method| method.id).collect();
        listed(&ids, "or")
    }

    /// The tables of the reference page, in Markdown: of the methods, and of their options.
    pub fn markdown() -> String {
        let mut out = String::from(
            "| `--method` | what it does | formula | rank of the result | may experts differ in rank | options |\n\
             |---|---|---|---|---|---|\n",
        );
        for method in METHODS {
            let options: Vec<String> = method.options.iter().map(|o| format!("`{}`", o.flag())).collect();
            let options = if options.is_empty() { "–".into() } else { options.join(", ") };
            let differ = if method.entrywise { "no" } else { "yes" };
            let MethodSpec { id, help, formula, rank, .. } = **method;
            out.push_str(&format!("| `{id}` | {help} | {formula} | {rank} | {differ} | {options} |\n"));
        }
        out.push_str("\n| option | default | value | what it is |\n|---|---|---|---|\n");
        for option in MERGE_OPTIONS {
            let (wanted, help) = (option.setting.kind.wanted(), option.setting.help);
            out.push_str(&format!("| `{}` | {} | {wanted} | {help} |\n", option.flag(), option.fallback()));
        }
        out
    }
}

/// 1/n: the mean of the experts.
fn mean_weight(experts: usize) -> f64 {
    1.0 / experts as f64
}

impl Default for MergeMethod {
    fn default() -> Self {
        METHODS[0]
    }
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
        let page = MergeMethod::markdown();
        let (table, options) = page.split_once("\n\n").unwrap();
        for (table, lines, columns) in [(table, METHODS.len(), 6), (options, MERGE_OPTIONS.len(), 4)] {
            assert_eq!(table.lines().count(), 2 + lines, "{table}");
            let right = |line: &str| line.split(" | ").count() == columns || line.starts_with("|-");
            assert!(table.lines().all(right), "{table}");
        }
    }

    #[test]
    fn methods_with_something_in_common_are_listed() {
        for option in MERGE_OPTIONS {
            let text = MergeMethod::ids(|method| method.has(option));
            let listed: Vec<&str> = text.split(", ").flat_map(|part| part.split(" or ")).collect();
            let have: Vec<&str> = METHODS.iter().filter(|m| m.has(option)).map(|m| m.id).collect();
            assert_eq!(listed, have);
        }
        assert_eq!(MergeMethod::ids(|_| false), "");
    }
}
