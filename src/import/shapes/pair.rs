//! A text and its answer.

use std::borrow::Cow;

use super::roles::{Role, Roles, lacks, texts};
use crate::import::cell::{Cell, class_of, is_blank};
use crate::import::record::{Problem, Record};
use crate::text::short;

/// The example of a text, what belongs to it, and its answer or answers.
pub(super) fn build<'a>(roles: &mut Roles<'_, '_, 'a>) -> Result<Record<'a>, Problem> {
    let (instruction, input) = question(roles)?;
    let mut record = Record { instruction, input, ..Record::default() };
    if let Some(classes) = roles.classes() {
        record.output = class(&roles.cell(Role::Output), classes, roles.untyped())?;
        return Ok(record);
    }
    match roles.cell(Role::Output) {
        Cell::Text(text) => record.output = text,
        Cell::Null => return Err(Problem::Empty),
        Cell::Bad(problem) => return Err(Problem::Bad(problem)),
        cell => {
            let mut answers = Vec::new();
            for answer in texts(Role::Output, cell)? {
                if !answer.trim().is_empty() && !answers.contains(&answer) {
                    answers.push(answer);
                }
            }
            record.output = Cow::Owned(answers.first().cloned().unwrap_or_default());
            if answers.len() > 1 {
                record.references = answers;
            }
        }
    }
    Ok(record)
}

/// The instruction, with the system's text before it, and the input.
pub(super) fn question<'a>(roles: &mut Roles<'_, '_, 'a>) -> Result<(Cow<'a, str>, Cow<'a, str>), Problem> {
    let mut instruction = roles.text(Role::Instruction, true)?.unwrap_or_default();
    let input = roles.text(Role::Input, false)?.unwrap_or_default();
    let system = roles.text(Role::System, false)?.filter(|text| !text.trim().is_empty());
    if let Some(system) = system {
        instruction = Cow::Owned(if instruction.trim().is_empty() {
            system.into()
        } else {
            format!("{system}\n\n{instruction}")
        });
    }
    Ok((instruction, input))
}

/// The name of a class; nobody knows that of −1.
fn class<'a>(cell: &Cell<'a>, classes: &[String], untyped: bool) -> Result<Cow<'a, str>, Problem> {
    if *cell == Cell::Missing {
        return Err(lacks(Role::Output));
    }
    if let Cell::Bad(problem) = cell {
        return Err(Problem::bad(problem));
    }
    let text = cell.scalar().unwrap_or_default();
    if is_blank(cell) || text.trim() == "-1" {
        return Err(Problem::Empty);
    }
    class_of(cell, classes, untyped).map(|name| Cow::Owned(name.to_string())).ok_or_else(|| {
        let (count, last) = (classes.len(), classes.len().saturating_sub(1));
        let text = short(&text);
        Problem::bad(format!("the label {text} is outside the {count} classes (0 to {last}): correct it"))
    })
}
