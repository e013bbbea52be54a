//! A question with choices, one of which is right.

use std::borrow::Cow;

use serde_json::Value;

use super::pair::question;
use super::roles::{Role, Roles, lacks, texts, what};
use crate::import::cell::{Cell, scalar};
use crate::import::record::{Problem, Record};
use crate::text::short;

/// The example of a question, its choices, and the number, letter, label or text of the right one.
pub(super) fn build<'a>(roles: &mut Roles<'_, '_, 'a>) -> Result<Record<'a>, Problem> {
    let (instruction, input) = question(roles)?;
    let base = roles.base();
    let cells = roles.cells(Role::Choices);
    let Choices { choices, labels } = if cells.len() > 1 { columns(cells)? } else { list(cells)? };
    if choices.len() < 2 {
        return Err(Problem::bad(format!(
            "has {}, a choice needs two",
            crate::text::counted(choices.len(), "choice")
        )));
    }
    if choices.iter().any(|choice| choice.trim().is_empty()) {
        return Err(Problem::bad("has an empty choice: write all of them"));
    }
    let answer = right(&roles.cell(Role::Answer), &choices, &labels, base)?;
    let output = choices.get(answer).cloned().unwrap_or_default();
    if choices.iter().filter(|choice| choice.trim() == output.trim()).count() > 1 {
        let output = short(&output);
        return Err(Problem::bad(format!(
            "has the right choice \"{output}\" twice: write others, or drop such rows with --skip-bad"
        )));
    }
    Ok(Record {
        instruction,
        input,
        output: Cow::Owned(output),
        choices,
        answer: Some(answer),
        references: Vec::new(),
    })
}

#[derive(Default)]
struct Choices {
    choices: Vec<String>,
    /// What the choices are called, where they are called something.
    labels: Vec<String>,
}

/// A column per choice.
fn columns(cells: Vec<Cell<'_>>) -> Result<Choices, Problem> {
    let text = |cell: &Cell<'_>| match cell {
        Cell::Missing => Err(lacks(Role::Choices)),
        other => Ok(other.scalar().map(Cow::into_owned).unwrap_or_default()),
    };
    Ok(Choices { choices: cells.iter().map(text).collect::<Result<_, _>>()?, labels: Vec::new() })
}

/// A list of texts; a list of objects with `text` and `label`; an object with the lists `text` and `label`; any of
/// them as JSON in a text.
fn list(cells: Vec<Cell<'_>>) -> Result<Choices, Problem> {
    let cell = match cells.into_iter().next().unwrap_or(Cell::Missing) {
        Cell::Text(text) => match serde_json::from_str::<Value>(&text) {
            Ok(value @ (Value::Array(_) | Value::Object(_))) => Cell::Value(value),
            _ => {
                let text = short(&text);
                return Err(Problem::bad(format!(
                    "choices are the text \"{text}\", not a list: write a JSON list, or name a column per choice with --fields choices=A+B"
                )));
            }
        },
        other => other,
    };
    if let Cell::Value(Value::Array(values)) = &cell
        && values.first().is_some_and(Value::is_object)
    {
        let part = |name: &str| -> Vec<String> {
            values.iter().filter_map(|value| value.get(name).and_then(scalar)).collect()
        };
        let (choices, labels) = (part("text"), part("label"));
        if choices.len() != values.len() {
            return Err(Problem::bad("choices are objects without \"text\""));
        }
        return Ok(Choices {
            labels: if labels.len() == choices.len() { labels } else { Vec::new() },
            choices,
        });
    }
    let labels = match &cell {
        Cell::Value(Value::Object(fields)) => match fields.get("label") {
            Some(Value::Array(labels)) => labels.iter().filter_map(scalar).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    Ok(Choices { choices: texts(Role::Choices, cell)?, labels })
}

/// Index of the right choice.
fn right(cell: &Cell<'_>, choices: &[String], labels: &[String], base: i64) -> Result<usize, Problem> {
    const NONE: &str = "has choices, but no answer: give it, or drop such rows with --skip-bad";
    let count = choices.len();
    let number = |number: i64| {
        let index = number.checked_sub(base).and_then(|index| usize::try_from(index).ok());
        index.filter(|index| *index < count).ok_or_else(|| {
            let last = base + count as i64 - 1;
            Problem::bad(format!(
                "the answer {number} is outside the {count} choices ({base} to {last}): correct it, say with --answer-base \
                 which number the first has, or drop such rows with --skip-bad"
            ))
        })
    };
    let text = match cell {
        Cell::Missing | Cell::Null => return Err(Problem::bad(NONE)),
        Cell::Text(text) if text.trim().is_empty() => return Err(Problem::bad(NONE)),
        Cell::Text(text) => text.trim(),
        Cell::Value(Value::Number(n)) => {
            return match n.as_i64() {
                Some(-1) => Err(Problem::bad(NONE)),
                Some(n) => number(n),
                None => Err(Problem::bad(format!("the answer {n} is no whole number"))),
            };
        }
        Cell::Value(Value::Bool(truth)) => return number(i64::from(*truth) + base),
        Cell::Value(other) => {
            return Err(Problem::bad(format!("the answer is {}, not one of the choices", what(other))));
        }
    };
    let among = |texts: &[String]| texts.iter().position(|other| other.trim() == text);
    if let Some(index) = among(labels).filter(|index| *index < count).or_else(|| among(choices)) {
        return Ok(index);
    }
    let mut letters = text.chars();
    if let (Some(letter @ ('A'..='Z' | 'a'..='z')), None) = (letters.next(), letters.next()) {
        let index = usize::from((letter.to_ascii_uppercase() as u8) - b'A');
        if labels.is_empty() && index < count {
            return Ok(index);
        }
    }
    match text.parse::<i64>() {
        Ok(-1) => Err(Problem::bad(NONE)),
        Ok(n) => number(n),
        Err(_) => Err(Problem::bad(format!(
            "the answer \"{}\" is none of the {count} choices: correct it, or drop such rows with --skip-bad",
            short(text)
        ))),
    }
}
