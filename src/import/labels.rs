//! The few answers that all rows of a task have: what it chooses from.

use std::collections::BTreeSet;

use super::record::Record;

/// Most different answers of a task that are its classes without anybody saying so.
const MOST: usize = 20;
/// Most where a metric was asked for that chooses; each has two rows then, on average and at least.
const MOST_ASKED: usize = 200;
/// Rows to each class, on average and at least.
const ROWS: u64 = 10;
/// Longest name of a class, in characters.
const LONGEST: usize = 60;

/// The different answers that were seen, as long as they may be classes.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels {
    seen: BTreeSet<String>,
    /// There are too many, too long ones, or several right ones to a row.
    none: bool,
}

impl Labels {
    /// Looks at an example.
    pub fn note(&mut self, record: &Record<'_>) {
        if self.none {
            return;
        }
        let text = record.output.trim();
        let is_label = record.references.is_empty() && record.choices.is_empty();
        if !is_label || text.chars().nth(LONGEST).is_some() {
            self.none = true;
        } else if !self.seen.contains(text) {
            self.seen.insert(text.to_string());
            self.none = self.seen.len() > MOST_ASKED;
        }
        if self.none {
            self.seen = BTreeSet::new();
        }
    }

    /// The classes of `rows` examples, in order: of numbers by size, else of the alphabet. None where answers are no
    /// classes. `asked`: a metric chooses, so that they have to be.
    pub fn classes(self, rows: u64, asked: bool) -> Vec<String> {
        let count = self.seen.len();
        let are_few = match asked {
            true => rows >= 2 * count as u64,
            false => count <= MOST && rows >= ROWS * count as u64,
        };
        if self.none || count < 2 || !are_few {
            return Vec::new();
        }
        let mut all: Vec<String> = self.seen.into_iter().collect();
        let number = |text: &String| text.parse::<i64>().ok();
        if all.iter().all(|text| number(text).is_some()) {
            all.sort_by_key(number);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(answers: impl IntoIterator<Item = impl ToString>, asked: bool) -> Vec<String> {
        let (mut labels, mut rows) = (Labels::default(), 0);
        for answer in answers {
            labels.note(&Record { output: answer.to_string().into(), ..Record::default() });
            rows += 1;
        }
        labels.classes(rows, asked)
    }

    #[test]
    fn few_answers_to_many_rows_are_classes() {
        assert_eq!(
            classes((0..40).map(|i| ["positive", "negative "][i % 2]), false),
            ["negative", "positive"]
        );
        assert_eq!(classes((0..200).map(|i| i % 11), false).join(" "), "0 1 2 3 4 5 6 7 8 9 10");
        // One answer, too few rows, too many answers, long ones.
        assert!(classes([1; 100], false).is_empty());
        assert!(classes((0..19).map(|i| i % 2), false).is_empty());
        assert!(classes((0..1000).map(|i| i % 21), false).is_empty());
        assert!(classes((0..1000).map(|i| "long ".repeat(20 + i % 2)), true).is_empty());
        // A metric that chooses needs them.
        assert_eq!(classes(["a", "b", "b", "a"], true), ["a", "b"]);
        assert!(classes(0..40, true).is_empty());
        assert!(classes(0..1000, true).is_empty());
    }
}
