//! Splits, and the rules by which rows get theirs. A table of them.

use serde::Serialize;

use crate::mersenne::first_double;
use crate::named::{Named, by_name};

/// A split of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose by.
    Validation,
    /// To measure with.
    Test,
}

impl Split {
    /// All of them, as they are numbered.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Its number.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// Its file in a task's folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Train => "train.jsonl",
            Self::Validation => "validation.jsonl",
            Self::Test => "test.jsonl",
        }
    }

    /// The split that a word names, as the datasets library knows them.
    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word.to_lowercase().as_str() {
            "train" | "training" => Self::Train,
            "validation" | "valid" | "val" | "dev" => Self::Validation,
            "test" | "testing" | "eval" | "evaluation" => Self::Test,
            _ => return None,
        })
    }

    /// The split that one of a name's words names.
    pub fn in_name(name: &str) -> Option<Self> {
        name.split(|c: char| !c.is_alphanumeric()).find_map(Self::of_word)
    }
}

/// A rule by which rows get their splits.
#[derive(Clone, Copy, Debug)]
pub struct SplitRule {
    name: &'static str,
    help: &'static str,
    /// Whether a column says it.
    pub column: bool,
    /// Whether names of files, folders and the splits of a dataset card say it.
    pub names: bool,
    /// The split by the number of a row in its task, where that decides: then the first rows are kept.
    pub by_number: Option<fn(u64) -> Split>,
}

impl SplitRule {
    /// Whether nothing but a column says splits, so that there must be one.
    pub fn needs_column(&self) -> bool {
        self.column && !self.names
    }
}

/// A column, then names, as far as there are some; what is missing is taken out of the training rows.
pub const GIVEN: SplitRule = SplitRule {
    name: "given",
    help: "What the split column says, else the names of files; a split that there is none of is taken out of the \
           training rows by seed",
    column: true,
    names: true,
    by_number: None,
};
const COLUMN: SplitRule = SplitRule {
    name: "column",
    help: "What the split column says; names of files say nothing",
    column: true,
    names: false,
    by_number: None,
};
const FILE: SplitRule = SplitRule {
    name: "file",
    help: "What names of files and folders and the splits of a dataset card say",
    column: false,
    names: true,
    by_number: None,
};
const SEEDED: SplitRule = SplitRule {
    name: "seeded",
    help: "By seed alone, whatever the source says: all of its rows are drawn from",
    column: false,
    names: false,
    by_number: None,
};
const MTTL: SplitRule = SplitRule {
    name: "mttl",
    help: "As mttl splits Flan: row i of a task, in the source's order, by numpy's RandomState(i).rand(): below 0.8 \
           training, below 0.9 validation, else test; of more rows than the cap, the first",
    column: false,
    names: false,
    by_number: Some(|row| match first_double(row as u32) {
        u if u < 0.8 => Split::Train,
        u if u < 0.9 => Split::Validation,
        _ => Split::Test,
    }),
};

/// Every rule.
pub static SPLIT_RULES: &[SplitRule] = &[GIVEN, COLUMN, FILE, SEEDED, MTTL];

impl Named for SplitRule {
    const KIND: &'static str = "split rule";

    fn all() -> &'static [Self] {
        SPLIT_RULES
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}
by_name!(SplitRule);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_name_splits() {
        assert_eq!(Split::of_word("Dev"), Some(Split::Validation));
        assert_eq!(Split::in_name("auxiliary_train"), Some(Split::Train));
        assert_eq!(Split::in_name("unsupervised"), None);
        assert!(Split::ALL.iter().enumerate().all(|(i, split)| split.index() == i));
    }
}
