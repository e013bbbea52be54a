//! A question with choices, one of which is right.

use std::borrow::Cow;

use serde_json::Value;

use super::answer::{Asked, Tally};
use super::pair::question;
use super::roles::{Role, Roles, lacks, texts};
use crate::import::cell::{Cell, scalar};
use crate::import::record::{Problem, Record};
use crate::text::short;

/// The example of a question, its choices, and the number, letter, label or text of the right one.
pub(super) fn build<'a>(roles: &mut Roles<'_, '_, 'a>) -> Result<Record<'a>, Problem> {
    let (instruction, input) = question(roles)?;
    let Choices { choices, labels } = Choices::of(roles)?;
    if choices.len() < 2 {
        return Err(Problem::bad(format!(
            "has {}, and a choice needs two: add the others, or drop such rows with --skip-bad",
            crate::text::counted(choices.len(), "choice")
        )));
    }
    if choices.iter().any(|choice| choice.trim().is_empty()) {
        return Err(Problem::bad("has an empty choice: write all of them"));
    }
    let (reading, base) = (roles.reading(), roles.base());
    let cell = roles.cell(Role::Answer);
    if cell == Cell::Missing {
        return Err(lacks(Role::Answer));
    }
    let answer = Asked::new(&cell, &choices, &labels, base)?.right(reading)?;
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
        ..Record::default()
    })
}

/// Counts how a row may be read; one that is no example counts nothing, and is refused where it is built.
pub(super) fn count<P>(roles: &mut Roles<'_, '_, '_>, tally: &mut Tally<P>, place: impl Fn() -> P) {
    let Ok(Choices { choices, labels }) = Choices::of(roles) else { return };
    let cell = roles.cell(Role::Answer);
    if let Ok(asked) = Asked::new(&cell, &choices, &labels, roles.base()) {
        tally.take(&asked, place);
    }
}

/// Most parts of an object that a message names.
const NAMED: usize = 6;

#[derive(Default)]
struct Choices {
    choices: Vec<String>,
    /// What the choices are called, where they are called something.
    labels: Vec<String>,
}

impl Choices {
    fn of(roles: &mut Roles<'_, '_, '_>) -> Result<Self, Problem> {
        let cells = roles.cells(Role::Choices);
        if cells.len() > 1 { columns(cells) } else { list(cells) }
    }
}

/// A column per choice.
fn columns(cells: Vec<Cell<'_>>) -> Result<Choices, Problem> {
    let text = |cell: &Cell<'_>| match cell {
        Cell::Missing => Err(lacks(Role::Choices)),
        Cell::Bad(problem) => Err(Problem::bad(problem)),
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
    if let Cell::Value(Value::Object(fields)) = &cell
        && !fields.get("text").is_some_and(Value::is_array)
    {
        let names: Vec<String> = fields.keys().take(NAMED).map(|name| short(name)).collect();
        let columns: Vec<String> = names.iter().map(|name| format!("COLUMN.{name}")).collect();
        return Err(Problem::bad(format!(
            "choices are an object with {}: name a part per choice, with --fields choices={}",
            names.join(", "),
            columns.join("+")
        )));
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
