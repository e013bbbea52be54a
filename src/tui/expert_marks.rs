//! Which letter and colour an expert has.

use std::borrow::Cow;
use std::collections::HashMap;

/// Numbers of experts for [`Theme::mark`](super::Theme::mark) and its colours: given once by name and kept
/// while the interface runs, so that an expert looks the same after others came or went.
#[derive(Clone, Debug, Default)]
pub struct ExpertMarks(HashMap<String, usize>);

impl ExpertMarks {
    /// Gives numbers to the names that have none, in their order.
    pub fn learn<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if !self.0.contains_key(name) {
                self.0.insert(name.to_string(), self.0.len());
            }
        }
    }

    /// These letters, and some for those of `names` that have none yet.
    pub fn with(&self, names: &[String]) -> Cow<'_, Self> {
        if names.iter().all(|name| self.0.contains_key(name)) {
            return Cow::Borrowed(self);
        }
        let mut more = self.clone();
        more.learn(names.iter().map(String::as_str));
        Cow::Owned(more)
    }

    /// Number of an expert; the next one that will be given for a name never seen.
    pub fn of(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_kept_when_others_come_and_go() {
        let mut marks = ExpertMarks::default();
        marks.learn(["plurals", "topic"]);
        marks.learn(["gerunds", "topic"]);
        assert_eq!(["plurals", "topic", "gerunds"].map(|name| marks.of(name)), [0, 1, 2]);
        assert_eq!(marks.of("never seen"), 3);
        assert_eq!(marks.with(&["gerunds".into(), "other".into()]).of("other"), 3);
    }
}
