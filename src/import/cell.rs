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
            Self::Missing | Self::Null => return None,
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
            Self::Missing | Self::Null => None,
        }
    }

    /// The part of it that a path of names leads to.
    pub fn part(&self, path: &[String]) -> Cell<'static> {
        let Self::Value(mut value) = self.clone() else {
            return if matches!(self, Self::Null) { Cell::Null } else { Cell::Missing };
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
        Cell::Value(_) => false,
    }
}

/// A whole number, also one that is kept as a number with a fraction: what has gaps is so in pandas.
pub fn whole(value: &Value) -> Option<i64> {
    /// Above this, not every whole number is one with a fraction.
    const LARGEST: f64 = 1e15;
    let of = |number: f64| (number.fract() == 0.0 && number.abs() < LARGEST).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().filter(|_| value.is_f64()).and_then(of))
}

/// A text, a number or a truth value as a text, the same whatever kind of file it is in: whole numbers have no fraction.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            Some(whole(value).map_or_else(|| number.to_string(), |whole| whole.to_string()))
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
