//! Example prompts, one after the other.

use super::prompt::PromptBox;
use crate::tui::examples;

/// Prompts to begin with.
#[derive(Debug)]
pub struct Suggestions {
    pub prompts: Vec<String>,
    /// The one that fills the prompt box.
    pub at: Option<usize>,
}

impl Default for Suggestions {
    fn default() -> Self {
        Self { prompts: examples::defaults(), at: None }
    }
}

impl Suggestions {
    /// Takes prompts that fit the experts better.
    pub fn take(&mut self, prompts: &[String]) {
        if !prompts.is_empty() {
            *self = Self { prompts: prompts.to_vec(), at: None };
        }
    }

    /// Whether one may fill the box: examples never replace what a person wrote.
    pub fn may_fill(&self, prompt: &PromptBox) -> bool {
        !self.prompts.is_empty() && (prompt.is_blank() || self.prompts.contains(&prompt.text()))
    }

    /// The next one or the one before, round and round.
    pub fn step(&mut self, forward: bool) -> Option<&str> {
        let count = self.prompts.len();
        let next = match (self.at, forward) {
            (None, true) => 0,
            (None, false) => count.checked_sub(1)?,
            (Some(i), true) => (i + 1) % count.max(1),
            (Some(i), false) => (i + count).checked_sub(1)? % count.max(1),
        };
        self.at = Some(next);
        self.prompts.get(next).map(String::as_str)
    }
}
