//! Which examples of a task are asked.

use std::path::Path;

use crate::named::{Named, by_name};
use crate::train::{Dataset, Example};
use crate::{Error, Result};

/// Which examples of a task are asked. Settings are chosen on the validation split; scores are reported on
/// the test split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// `validation.jsonl`.
    Validation,
    /// `test.jsonl`.
    #[default]
    Test,
}

impl Named for Split {
    const KIND: &'static str = "split";

    fn all() -> &'static [Self] {
        &[Self::Validation, Self::Test]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Validation => "`validation.jsonl`",
            Self::Test => "`test.jsonl`",
        }
    }
}
by_name!(Split);

impl Split {
    /// The first `limit` items of this split of the task at `path`.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn items<'a>(self, data: &'a Dataset, limit: usize, path: &Path) -> Result<&'a [Example]> {
        let all = match self {
            Split::Validation => &data.validation,
            Split::Test => &data.test,
        };
        match &all[..all.len().min(limit)] {
            [] => {
                let name = self.name();
                Err(Error::file(path, format!("has no {name} items: put them into {name}.jsonl")))
            }
            items => Ok(items),
        }
    }
}
