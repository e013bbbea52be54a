//! Ways in which the answers of a column name the right choice: one for all of its rows.

use std::borrow::Cow;

use serde_json::Value;

use crate::import::cell::{Cell, is_blank, scalar, what, whole};
use crate::import::record::Problem;
use crate::text::short;

/// A way in which an answer names the right choice.
#[derive(Debug)]
pub struct Reading {
    /// What the answers are, in words: `letters`.
    pub name: &'static str,
    /// What one answer is, in words.
    one: &'static str,
    find: fn(&Asked<'_>) -> Option<usize>,
}

/// How many readings there are.
pub const COUNT: usize = 4;

/// Every reading. Where several fit every row of a column and say the same, the first is named.
pub static READINGS: [Reading; COUNT] = [
    Reading { name: "labels", one: "the label of a choice", find: |asked| asked.among(asked.labels) },
    Reading { name: "texts", one: "the text of a choice", find: |asked| asked.among(asked.choices) },
    Reading { name: "letters", one: "the letter of a choice", find: |asked| asked.letter() },
    Reading { name: "numbers", one: "the number of a choice", find: |asked| asked.numbered() },
];
/// Labels are there to be named: where they fit, nothing else is meant.
const LABELS: usize = 0;
const NUMBERS: usize = 3;

/// The answer of a row, and what it may name.
pub struct Asked<'r> {
    text: Cow<'r, str>,
    is_text: bool,
    /// It says true or false, which is no number, and written in many ways.
    is_truth: bool,
    number: Option<i64>,
    choices: &'r [String],
    labels: &'r [String],
    base: i64,
}

impl<'r> Asked<'r> {
    /// The answer in a cell; `base` is the number of the first choice.
    ///
    /// # Errors
    /// No answer, which may be none on purpose, as in the test data of a contest; a list or an object.
    pub fn new(
        cell: &'r Cell<'_>,
        choices: &'r [String],
        labels: &'r [String],
        base: i64,
    ) -> Result<Self, Problem> {
        let (text, is_text, number): (Cow<'r, str>, _, Option<i64>) = match cell {
            cell if is_blank(cell) => return Err(Problem::Empty),
            Cell::Text(text) => {
                // Whole numbers of a column with gaps have a fraction, as pandas writes them.
                let text = text.trim();
                (text.into(), true, text.strip_suffix(".0").unwrap_or(text).parse().ok())
            }
            Cell::Value(value @ (Value::Number(_) | Value::Bool(_))) => {
                (scalar(value).unwrap_or_default().into(), false, whole(value))
            }
            Cell::Value(other) => {
                return Err(Problem::bad(format!("the answer is {}, not one of the choices", what(other))));
            }
            Cell::Missing | Cell::Null => return Err(Problem::Empty),
            Cell::Bad(problem) => return Err(Problem::bad(problem)),
        };
        let is_truth = ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
        Ok(Self { text, is_text, is_truth, number, choices, labels, base })
    }

    fn among(&self, texts: &[String]) -> Option<usize> {
        let found = texts.iter().position(|other| other.trim() == self.text);
        let alike = |other: &String| other.trim().eq_ignore_ascii_case(&self.text);
        let found = found.or_else(|| self.is_truth.then(|| texts.iter().position(alike)).flatten());
        found.filter(|index| *index < self.choices.len())
    }

    fn letter(&self) -> Option<usize> {
        let mut letters = self.text.chars();
        match (letters.next(), letters.next()) {
            (Some(letter @ ('A'..='Z' | 'a'..='z')), None) if self.is_text && self.labels.is_empty() => {
                let index = usize::from((letter.to_ascii_uppercase() as u8) - b'A');
                (index < self.choices.len()).then_some(index)
            }
            _ => None,
        }
    }

    fn numbered(&self) -> Option<usize> {
        let index = usize::try_from(self.number?.checked_sub(self.base)?).ok()?;
        (index < self.choices.len()).then_some(index)
    }

    /// What each reading finds.
    fn all(&self) -> [Option<usize>; COUNT] {
        READINGS.each_ref().map(|reading| (reading.find)(self))
    }

    /// Index of the right choice: by the reading of the column, where it has one.
    ///
    /// # Errors
    /// An answer that names none of the choices, or names one in another way than the column.
    pub fn right(&self, reading: Option<&Reading>) -> Result<usize, Problem> {
        let all = self.all();
        let found = match reading {
            Some(reading) => (reading.find)(self),
            None => all.iter().flatten().next().copied(),
        };
        found.ok_or_else(|| {
            let other = READINGS.iter().zip(all).find(|(_, found)| found.is_some());
            match (reading, other) {
                (Some(reading), Some((other, _))) => Problem::bad(format!(
                    "the answer \"{}\" is {}, where those of other rows are {}: write all of them alike, or drop such rows \
                     with --skip-bad",
                    short(&self.text),
                    other.one,
                    reading.name
                )),
                // As the hub marks rows whose answer nobody is told.
                _ if self.number == Some(-1) => Problem::Empty,
                _ => self.none(),
            }
        })
    }

    /// That it names no choice.
    fn none(&self) -> Problem {
        let count = self.choices.len();
        Problem::bad(match self.number {
            Some(number) => {
                let (base, last) = (self.base, self.base.saturating_add(count as i64 - 1));
                format!(
                    "the answer {number} is outside the {count} choices ({base} to {last}): correct it, say with --answer-base \
                     which number the first has, or drop such rows with --skip-bad"
                )
            }
            None if self.is_truth && !self.is_text => format!(
                "the answer {} is none of the {count} choices, and no number of one: write the text or the number of the \
                 right choice, or drop such rows with --skip-bad",
                self.text
            ),
            None if !self.is_text => format!(
                "the answer {} is no whole number: correct it, or drop such rows with --skip-bad",
                self.text
            ),
            None => format!(
                "the answer \"{}\" is none of the {count} choices: correct it, or drop such rows with --skip-bad",
                short(&self.text)
            ),
        })
    }
}

/// How often each reading fits the rows of a column, and where two of them say something else.
#[derive(Debug)]
pub struct Tally<P> {
    fits: [u64; COUNT],
    differ: [[Option<P>; COUNT]; COUNT],
}

/// Two readings fit all rows of a column, and one of them is not what is meant.
#[derive(Debug, PartialEq)]
pub struct Unclear<P> {
    /// Where they first say something else.
    pub place: P,
    /// What is wrong there, and what to do.
    pub problem: String,
}

impl<P> Default for Tally<P> {
    fn default() -> Self {
        Self { fits: [0; COUNT], differ: Default::default() }
    }
}

impl<P> Tally<P> {
    /// A row. `place` says where it is, where that has to be known.
    pub fn take(&mut self, asked: &Asked<'_>, place: impl Fn() -> P) {
        let found = asked.all();
        for one in 0..COUNT {
            self.fits[one] += u64::from(found[one].is_some());
            for other in one + 1..COUNT {
                if let (Some(a), Some(b)) = (found[one], found[other])
                    && a != b
                    && self.differ[one][other].is_none()
                {
                    self.differ[one][other] = Some(place());
                }
            }
        }
    }

    /// The reading that fits most rows; none where none fits any. Of those that fit equally many, numbers where
    /// `numbers` is said, else the first.
    ///
    /// # Errors
    /// Two that fit equally many and do not say the same.
    pub fn reading(mut self, numbers: bool) -> Result<Option<&'static Reading>, Unclear<P>> {
        let most = self.fits.into_iter().max().unwrap_or_default();
        let best: Vec<usize> = (0..COUNT).filter(|&at| self.fits[at] == most && most > 0).collect();
        let Some(&first) = best.first() else { return Ok(None) };
        if first == LABELS {
            return Ok(Some(&READINGS[first]));
        }
        if numbers && best.contains(&NUMBERS) {
            return Ok(Some(&READINGS[NUMBERS]));
        }
        for &other in &best[1..] {
            if let Some(place) = self.differ[first][other].take() {
                let (one, other) = (&READINGS[first], &READINGS[other]);
                let problem = format!(
                    "the answer may be {} or {}, which are not the same one, and no other row says which is meant: say with \
                     --answer-base that it is a number, or write numbers",
                    one.one, other.one
                );
                return Err(Unclear { place, problem });
            }
        }
        Ok(Some(&READINGS[first]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The name of the reading of a column of answers with their choices and labels.
    fn reading(rows: &[(Value, &[&str], &[&str])], numbers: bool) -> Result<Option<&'static str>, String> {
        let mut tally = Tally::default();
        for (at, (answer, choices, labels)) in rows.iter().enumerate() {
            let texts = |list: &[&str]| list.iter().map(|text| (*text).to_string()).collect::<Vec<_>>();
            let (choices, labels) = (texts(choices), texts(labels));
            let cell = Cell::of(answer.clone());
            let Ok(asked) = Asked::new(&cell, &choices, &labels, 0) else { continue };
            tally.take(&asked, || at);
        }
        let found = tally.reading(numbers).map(|reading| reading.map(|reading| reading.name));
        found.map_err(|unclear| format!("row {}: {}", unclear.place, unclear.problem))
    }

    #[test]
    fn a_column_is_read_in_one_way() {
        let named: &[&str] = &["x", "y", "z"];
        let letters: &[&str] = &["C", "A", "B", "D"];
        let numbers: &[&str] = &["2", "3", "4", "5"];
        // One row could be read in two ways, the others say which.
        assert_eq!(
            reading(&[(json!("B"), named, &[]), (json!("A"), letters, &[])], false),
            Ok(Some("letters"))
        );
        assert_eq!(
            reading(&[(json!("1"), named, &[]), (json!("2"), numbers, &[])], false),
            Ok(Some("numbers"))
        );
        assert_eq!(
            reading(&[(json!("5"), numbers, &[]), (json!("2"), numbers, &[])], false),
            Ok(Some("texts"))
        );
        assert_eq!(reading(&[(json!(1), named, &[]), (json!(2), numbers, &[])], false), Ok(Some("numbers")));
        // Labels are meant where there are some, numbers too.
        let labels: &[&str] = &["1", "2", "3"];
        assert_eq!(reading(&[(json!(1), named, labels)], false), Ok(Some("labels")));
        assert_eq!(reading(&[(json!("A"), letters, &["A", "B", "C", "D"])], false), Ok(Some("labels")));
        // No other row says it.
        let unclear = reading(&[(json!("C"), letters, &[]), (json!("A"), letters, &[])], false).unwrap_err();
        assert!(
            unclear.starts_with("row 0: the answer may be the text of a choice or the letter"),
            "{unclear}"
        );
        assert!(reading(&[(json!("2"), numbers, &[])], false).is_err());
        assert_eq!(reading(&[(json!("2"), numbers, &[])], true), Ok(Some("numbers")));
        // True and false are texts, however they are written.
        for choices in [["True", "False"], ["false", "TRUE"], ["true", "false"]] {
            for truth in [true, false] {
                assert_eq!(reading(&[(json!(truth), &choices, &[])], true), Ok(Some("texts")));
                let choices = choices.map(String::from);
                for answer in
                    [json!(truth), json!(truth.to_string()), json!(truth.to_string().to_uppercase())]
                {
                    let cell = Cell::of(answer);
                    let right = Asked::new(&cell, &choices, &[], 1).unwrap().right(None).unwrap();
                    assert_eq!(choices[right].to_lowercase(), truth.to_string());
                }
            }
        }
        // It does not matter.
        assert_eq!(reading(&[(json!("b"), &["a", "b"], &[])], false), Ok(Some("texts")));
        assert_eq!(reading(&[(json!("w"), named, &[]), (json!(null), named, &[])], false), Ok(None));
    }

    #[test]
    fn a_row_that_names_its_choice_in_another_way_is_refused() {
        let choices = ["x", "y", "z"].map(String::from);
        let right = |answer: Value, reading| {
            let cell = Cell::of(answer);
            let found = Asked::new(&cell, &choices, &[], 0).and_then(|asked| asked.right(reading));
            found.map_err(|problem| match problem {
                Problem::Bad(problem) => problem,
                Problem::Empty => String::new(),
            })
        };
        assert_eq!(right(json!("C"), Some(&READINGS[2])), Ok(2));
        let error = right(json!("x"), Some(&READINGS[2])).unwrap_err();
        assert!(
            error.contains("\"x\" is the text of a choice, where those of other rows are letters"),
            "{error}"
        );
        assert!(right(json!("D"), Some(&READINGS[2])).unwrap_err().contains("none of the 3 choices"));
        assert_eq!(right(json!(2.0), None), Ok(2));
        // True and false are no numbers.
        assert!(
            right(json!(true), None).unwrap_err().contains("true is none of the 3 choices, and no number")
        );
        assert!(right(json!(1.5), None).unwrap_err().contains("1.5 is no whole number"));
    }
}
