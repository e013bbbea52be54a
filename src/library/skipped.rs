//! An expert that a result leaves out, and why.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::text::printable;

/// An expert that a result leaves out, wholly or in part. Its `Display` is one printable line, `name: reason`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Of the expert, untrusted.
    pub name: String,
    /// One line, untrusted.
    pub reason: String,
}

impl Skipped {
    /// The expert of this name, left out for this reason.
    pub fn new(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { name: name.into(), reason: reason.into() }
    }
}

impl Display for Skipped {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", printable(&self.name), printable(&self.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_printable_line_and_an_object_of_two_fields() {
        let skipped = Skipped::new("a\x1b[2J", "NaN\nin lora_A");
        assert_eq!(skipped.to_string(), "a\\u{1b}[2J: NaN\\nin lora_A");
        let json = serde_json::json!({ "name": "a\x1b[2J", "reason": "NaN\nin lora_A" });
        assert_eq!(serde_json::to_value(&skipped).unwrap(), json);
    }
}
