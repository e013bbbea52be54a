//! How many jobs of a library work at once on this machine.

use std::ffi::OsStr;

use crate::{Error, Result};

/// How many jobs work at once, unless `LORA_TUI_JOB_SLOTS` says otherwise.
const SLOTS: usize = 1;
const SLOTS_VARIABLE: &str = "LORA_TUI_JOB_SLOTS";

/// How many jobs may work at once.
pub fn slots() -> Result<usize> {
    slots_of(std::env::var_os(SLOTS_VARIABLE).as_deref())
}

fn slots_of(value: Option<&OsStr>) -> Result<usize> {
    let Some(text) = value.filter(|text| !text.is_empty()) else { return Ok(SLOTS) };
    match text.to_str().and_then(|text| text.parse().ok()) {
        Some(slots @ 1..=64) => Ok(slots),
        _ => Err(Error::usage(format!(
            "{SLOTS_VARIABLE} is {:?}; it has to be a number from 1 to 64",
            text.to_string_lossy()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_slots_is_a_small_number() {
        for (value, slots) in [(None, 1), (Some(""), 1), (Some("1"), 1), (Some("8"), 8)] {
            assert_eq!(slots_of(value.map(OsStr::new)).unwrap(), slots);
        }
        for value in ["0", "65", "-1", "two", "1.5"] {
            let error = slots_of(Some(OsStr::new(value))).unwrap_err().to_string();
            assert!(error.contains("LORA_TUI_JOB_SLOTS") && error.contains(value), "{error}");
        }
    }
}
