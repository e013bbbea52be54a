//! What stands in one cell of a dataset, whatever kind of file it is in.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::text::{counted, short};

/// The value of one column in one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// The row has no such field.
    Missing,
    /// Null.
    Null,
    /// A text.
    Text(Cow<'a, str>),
    /// A number, a truth value, a list or an object: never a text, never null.
    Value(Value),
    /// What cannot be read, in words: wrong where it is asked for, and nothing where it is not.
    Bad(String),
}

/// Where a row stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Line of a text file, from 1.
    Line(u64),
    /// Row of a table, from 1.
    Row(u64),
    /// Element of the one array of a JSON file, from 1.
    Element(u64),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Row(n) => write!(f, "row {n}"),
            Self::Element(n) => write!(f, "example {n} of the array"),
        }
    }
}

/// Kinds of values, none of which is mixed with another in one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Truth,
    /// A list.
    List,
    /// An object.
    Object,
}

impl Type {
    /// In words, with an article.
    pub fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Truth => "true or false",
            Self::List => "a list",
            Self::Object => "an object",
        }
    }
}

impl Cell<'_> {
    /// The value of a JSON document.
    pub fn of(value: Value) -> Cell<'static> {
        match value {
            Value::Null => Cell::Null,
            Value::String(text) => Cell::Text(Cow::Owned(text)),
            other => Cell::Value(other),
        }
    }

    /// What kind of value it is; nothing of what is not there.
    pub fn kind(&self) -> Option<Type> {
        Some(match self {
            Self::Missing | Self::Null | Self::Bad(_) => return None,
            Self::Text(_) => Type::Text,
            Self::Value(Value::Number(_)) => Type::Number,
            Self::Value(Value::Bool(_)) => Type::Truth,
            Self::Value(Value::Array(_)) => Type::List,
            Self::Value(_) => Type::Object,
        })
    }

    /// A text, a number or a truth value as a text; nothing of all else.
    pub fn scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Value(value) => scalar(value).map(Cow::Owned),
            Self::Missing | Self::Null | Self::Bad(_) => None,
        }
    }

    /// The part of it that a path of names leads to.
    pub fn part(&self, path: &[String]) -> Cell<'static> {
        let Self::Value(mut value) = self.clone() else {
            return match self {
                Self::Null => Cell::Null,
                Self::Bad(problem) => Cell::Bad(problem.clone()),
                _ => Cell::Missing,
            };
        };
        for name in path {
            match value.get_mut(name.as_str()) {
                Some(inner) => value = inner.take(),
                None => return Cell::Missing,
            }
        }
        Cell::of(value)
    }
}

/// Whether a cell says nothing.
pub fn is_blank(cell: &Cell<'_>) -> bool {
    match cell {
        Cell::Missing | Cell::Null => true,
        Cell::Text(text) => text.trim().is_empty(),
        Cell::Value(_) | Cell::Bad(_) => false,
    }
}

/// The name of the class that a cell stands for: by its number, as the datasets library keeps classes, or by its name.
/// `untyped`: all cells of the file are texts, numbers too.
pub fn class_of<'c>(cell: &Cell<'_>, classes: &'c [String], untyped: bool) -> Option<&'c str> {
    let text = cell.scalar()?;
    let text = text.trim();
    let named = || classes.iter().find(|name| name.as_str() == text);
    // Whole numbers of a column with gaps have a fraction, as pandas writes them.
    let whole = if untyped { text.strip_suffix(".0").unwrap_or(text) } else { text };
    let numbered = || classes.get(whole.parse::<usize>().ok()?);
    let found = match cell {
        Cell::Text(_) if untyped => numbered().or_else(named),
        Cell::Text(_) => named().or_else(numbered),
        _ => numbered(),
    };
    found.map(String::as_str)
}

/// A whole number, also one that is kept as a number with a fraction: what has gaps is so in pandas.
pub fn whole(value: &Value) -> Option<i64> {
    /// 2^53: above this, not every whole number is one with a fraction.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let of = |number: f64| (number.fract() == 0.0 && number.abs() <= LARGEST).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().filter(|_| value.is_f64()).and_then(of))
}

/// A text, a number or a truth value as a text, the same whatever kind of file it is in: whole numbers have no fraction.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            let text = || {
                let text = number.to_string();
                text.strip_suffix(".0").map(String::from).unwrap_or(text)
            };
            Some(whole(value).map_or_else(text, |whole| whole.to_string()))
        }
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value in a few words.
pub fn what(value: &Value) -> String {
    match value {
        Value::Array(values) if values.iter().any(Value::is_array) => "a nested list".into(),
        Value::Array(values) => format!("a list of {}", counted(values.len(), "value")),
        Value::Object(_) => "an object".into(),
        other => short(&other.to_string()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_have_no_fraction() {
        for (value, text) in [
            (json!(3.0), "3"),
            (json!(-0.0), "0"),
            (json!(2.5), "2.5"),
            (json!(1e15), "1000000000000000"),
            (json!(9_007_199_254_740_992.0), "9007199254740992"),
            (json!(9.5e15), "9500000000000000"),
            (json!(1e16), "1e+16"),
            (json!(1e-7), "1e-7"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(scalar(&value).as_deref(), Some(text));
        }
    }

    #[test]
    fn classes_are_found_by_number_and_by_name() {
        let classes = ["1", "2", "x"].map(String::from);
        let of = |value: Value, untyped| class_of(&Cell::of(value), &classes, untyped);
        assert_eq!(
            (of(json!(1), false), of(json!(1.0), false), of(json!(3), false)),
            (Some("2"), Some("2"), None)
        );
        // A text is a name, where texts are not all that there is.
        assert_eq!((of(json!("1"), false), of(json!("1"), true)), (Some("1"), Some("2")));
        assert_eq!(
            (of(json!("x"), true), of(json!("y"), true), of(json!("0"), false)),
            (Some("x"), None, Some("1"))
        );
    }
}
