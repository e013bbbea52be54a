//! What is said where no expert is left to compare.

use crate::Error;
use crate::library::Skipped;
use crate::text::counted;

/// That no expert can be used, with the reasons of the first three.
pub(super) fn nothing_left(skipped: &[Skipped]) -> Error {
    let reasons: Vec<String> = skipped.iter().take(3).map(Skipped::to_string).collect();
    match skipped.len() {
        0 => Error::msg("there are no experts"),
        n => Error::msg(format!("none of the {} can be used; {}", counted(n, "expert"), reasons.join("; "))),
    }
}
