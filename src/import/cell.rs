//! What stands in one cell of a dataset, whatever kind of file it is in.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

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

/// A text, a number or a truth value as a text.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
