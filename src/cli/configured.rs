//! What in configurations has no effect: commands say it once, `doctor` lists it.

use std::path::Path;

use super::output::Output;
use crate::configuration::{self, Doubt, NOTIFY, Section};
use crate::jobs::executors;

/// Every table that the user's configuration may have.
fn sections() -> Vec<Section> {
    executors::sections().into_iter().chain([NOTIFY]).collect()
}

/// What in the user's configuration means nothing, or cannot be taken.
pub fn doubts() -> Vec<Doubt> {
    match configuration::read() {
        Ok(None) => Vec::new(),
        Ok(Some((path, given))) => configuration::doubts(&path, &given, &sections()),
        Err(error) => vec![Doubt { says: error.to_string(), refused: true }],
    }
}

/// Says on stderr what is ignored in the user's configuration. What is refused, whoever needs it says.
pub fn note(output: &Output) {
    say(&doubts(), output);
}

/// The same of what a library says of its jobs.
pub fn note_library(library: &Path, output: &Output) {
    say(&executors::doubts_of_library(library), output);
}

fn say(doubts: &[Doubt], output: &Output) {
    doubts
        .iter()
        .filter(|doubt| !doubt.refused)
        .for_each(|doubt| output.note_once(&format!("warning: {}", doubt.says)));
}
