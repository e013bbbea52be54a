//! What columns are for, and which column of a file has which role.

use std::borrow::Cow;

use serde_json::Value;

use super::Shape;
use super::answer::Reading;
use crate::import::cell::{Cell, class_of, scalar, what};
use crate::import::kinds::Columns;
use crate::import::record::Problem;
use crate::named::{Named, by_name};

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What is asked.
    Instruction,
    /// What it is asked about.
    Input,
    /// The right answer, or a list of right answers.
    Output,
    /// What may be chosen.
    Choices,
    /// The right choice.
    Answer,
    /// Turns of a conversation.
    Messages,
    /// What stands before a conversation or an instruction.
    System,
}

impl Role {
    /// Whether it is a text that is asked.
    fn is_asked(self) -> bool {
        matches!(self, Self::Instruction | Self::Input | Self::System)
    }
}

impl Named for Role {
    const KIND: &'static str = "field";

    fn all() -> &'static [Self] {
        use Role::{Answer, Choices, Input, Instruction, Messages, Output, System};
        &[Instruction, Input, Output, Choices, Answer, Messages, System]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Instruction => "instruction",
            Self::Input => "input",
            Self::Output => "output",
            Self::Choices => "choices",
            Self::Answer => "answer",
            Self::Messages => "messages",
            Self::System => "system",
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Instruction => "What is asked",
            Self::Input => "What it is asked about",
            Self::Output => "The right answer; of a list, the first is trained on and all count",
            Self::Choices => "What may be chosen: a list, or several columns with + between",
            Self::Answer => "The right choice: its number, its letter, its label or its text",
            Self::Messages => "Turns of a conversation",
            Self::System => "What stands before the instruction",
        }
    }
}
by_name!(Role);

/// A column of a row that is read, and the path within it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    column: usize,
    path: Vec<String>,
    /// Names of classes, where its numbers stand for them and it is no answer.
    classes: Option<Vec<String>>,
}

/// Which wanted columns of a file have which roles.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    sources: Vec<(Role, Vec<Source>)>,
    /// The number of the first choice.
    pub base: i64,
    /// How answers name the right choice, where that is known of their column.
    pub reading: Option<&'static Reading>,
    /// Names of classes, where the output is a number of one.
    pub classes: Option<Vec<String>>,
    /// Whether all cells are texts, numbers too.
    pub untyped: bool,
}

/// The place of a column among those that are wanted, which gets it where it is not yet.
pub fn place(wanted: &mut Vec<String>, name: &str) -> usize {
    wanted.iter().position(|other| other == name).unwrap_or_else(|| {
        wanted.push(name.to_string());
        wanted.len() - 1
    })
}

/// A column, or the path of names into one: `answers.text`.
pub fn find(columns: &Columns, name: &str) -> Option<(String, Vec<String>)> {
    let is_column = |name: &str| columns.names.iter().any(|other| other == name);
    if is_column(name) {
        return Some((name.to_string(), Vec::new()));
    }
    let dots = name.match_indices('.').map(|(at, _)| at);
    dots.filter_map(|at| Some((name.get(..at)?, name.get(at + 1..)?)))
        .find(|(column, _)| is_column(column))
        .map(|(column, path)| (column.to_string(), path.split('.').map(String::from).collect()))
}

impl Mapping {
    /// The columns that a shape finds in a file; `None` where it lacks one that it needs. Where rows may have other columns
    /// than the first, those of all names of a role that need not be there: the first that a row has counts.
    pub fn of_shape(shape: &Shape, columns: &Columns, wanted: &mut Vec<String>) -> Option<Self> {
        let mut mapping = Self { base: shape.base, ..Self::default() };
        let mut new = wanted.clone();
        for field in shape.fields {
            let parts = |name: &'static str| name.split('+').collect::<Vec<_>>();
            let there = |name: &&&'static str| parts(name).iter().all(|part| find(columns, part).is_some());
            let found = field.names.iter().find(there);
            match found {
                Some(name) => mapping.add(field.role, &parts(name), columns, &mut new),
                None if field.required => return None,
                None => {}
            }
            // Rows may have it under any of its names, though none of the first has.
            for name in
                field.names.iter().filter(|name| columns.open && !field.required && Some(*name) != found)
            {
                mapping.add(field.role, &parts(name), columns, &mut new);
            }
        }
        *wanted = new;
        Some(mapping)
    }

    /// The columns that a person named, in the same way.
    ///
    /// # Errors
    /// The first that is not there.
    pub fn of_names<'n>(
        names: &'n [(Role, Vec<String>)],
        columns: &Columns,
        wanted: &mut Vec<String>,
    ) -> Result<Self, &'n str> {
        let mut mapping = Self::default();
        for (role, names) in names {
            if let Some(name) = names.iter().find(|name| find(columns, name).is_none()) {
                return Err(name);
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            mapping.add(*role, &names, columns, wanted);
        }
        Ok(mapping)
    }

    /// The wanted columns of some roles, each once.
    pub fn columns_of(&self, roles: &[Role]) -> Vec<usize> {
        let of = self.sources.iter().filter(|(role, _)| roles.contains(role));
        let mut columns: Vec<usize> =
            of.flat_map(|(_, sources)| sources).map(|source| source.column).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Whether a wanted column has a role.
    pub fn uses(&self, column: usize) -> bool {
        self.sources.iter().flat_map(|(_, sources)| sources).any(|source| source.column == column)
    }

    fn add(&mut self, role: Role, names: &[&str], columns: &Columns, wanted: &mut Vec<String>) {
        let source = |name: &&str| {
            let (column, path) = find(columns, name).unwrap_or_else(|| (name.to_string(), Vec::new()));
            if role == Role::Output && path.is_empty() {
                self.classes = columns.classes.get(&column).cloned();
            }
            let names = columns.classes.get(&column).filter(|_| path.is_empty() && role.is_asked());
            Source { column: place(wanted, &column), classes: names.cloned(), path }
        };
        let sources = names.iter().map(source).collect();
        self.sources.push((role, sources));
    }
}

/// The cells of a row by their roles.
pub struct Roles<'m, 'c, 'a> {
    mapping: &'m Mapping,
    cells: &'c mut [Cell<'a>],
}

impl<'m, 'c, 'a> Roles<'m, 'c, 'a> {
    /// Of the wanted cells of a row.
    pub fn new(mapping: &'m Mapping, cells: &'c mut [Cell<'a>]) -> Self {
        Self { mapping, cells }
    }

    /// The number of the first choice.
    pub fn base(&self) -> i64 {
        self.mapping.base
    }

    /// How answers name the right choice, where that is known of their column.
    pub fn reading(&self) -> Option<&'static Reading> {
        self.mapping.reading
    }

    /// Whether the cell of a role is a list.
    pub fn is_list(&self, role: Role) -> bool {
        let found = self.mapping.sources.iter().find(|(other, _)| *other == role);
        let source = found.and_then(|(_, sources)| sources.first()).filter(|source| source.path.is_empty());
        let cell = source.and_then(|source| self.cells.get(source.column));
        matches!(cell, Some(Cell::Value(Value::Array(_))))
    }

    /// Names of classes, where the output is a number of one.
    pub fn classes(&self) -> Option<&'m [String]> {
        self.mapping.classes.as_deref()
    }

    /// Whether all cells are texts, numbers too.
    pub fn untyped(&self) -> bool {
        self.mapping.untyped
    }

    /// The columns of a role: of several ways to have it, the first that the row has.
    fn found(&self, role: Role) -> Option<&'m (Role, Vec<Source>)> {
        let all = || self.mapping.sources.iter().filter(|(other, _)| *other == role);
        let has = |(_, sources): &&(Role, Vec<Source>)| {
            sources.iter().all(|source| {
                !matches!(self.cells.get(source.column), None | Some(Cell::Missing | Cell::Null))
            })
        };
        all().find(has).or_else(|| all().next())
    }

    /// Every cell of a role: one for each of its columns.
    pub fn cells(&mut self, role: Role) -> Vec<Cell<'a>> {
        let mapping = self.mapping;
        let found = mapping.sources.iter().find(|(other, _)| *other == role);
        let sources = found.map_or(&[][..], |(_, sources)| sources);
        sources.iter().map(|source| self.source(source)).collect()
    }

    fn source(&mut self, source: &Source) -> Cell<'a> {
        let used = |other: &Source| other.column == source.column;
        let uses = self.mapping.sources.iter().flat_map(|(_, sources)| sources).filter(|s| used(s)).count();
        match self.cells.get_mut(source.column) {
            Some(cell) if !source.path.is_empty() => cell.part(&source.path),
            Some(cell) if uses > 1 => cell.clone(),
            Some(cell) => std::mem::replace(cell, Cell::Missing),
            None => Cell::Missing,
        }
    }

    /// The cell of a role.
    pub fn cell(&mut self, role: Role) -> Cell<'a> {
        let found = self.found(role);
        found.and_then(|(_, sources)| sources.first()).map_or(Cell::Missing, |source| self.source(source))
    }

    /// The text of a role; nothing of null.
    ///
    /// # Errors
    /// A list or an object; a field that the row lacks, where it is required.
    pub fn text(&mut self, role: Role, required: bool) -> Result<Option<Cow<'a, str>>, Problem> {
        let mapping = self.mapping;
        let found = self.found(role);
        let classes = found.and_then(|(_, sources)| sources.first()?.classes.as_deref());
        let cell = self.cell(role);
        if let Some(name) = classes.and_then(|classes| class_of(&cell, classes, mapping.untyped)) {
            return Ok(Some(Cow::Owned(name.to_string())));
        }
        match cell {
            Cell::Text(text) => Ok(Some(text)),
            Cell::Null => Ok(None),
            Cell::Missing if required => Err(lacks(role)),
            Cell::Missing => Ok(None),
            Cell::Bad(problem) => Err(Problem::Bad(problem)),
            Cell::Value(value) => match scalar(&value) {
                Some(text) => Ok(Some(Cow::Owned(text))),
                None => Err(Problem::bad(format!("{role} is {}, not a text", what(&value)))),
            },
        }
    }
}

/// That a row lacks the field of a role.
pub fn lacks(role: Role) -> Problem {
    Problem::bad(format!("lacks the field for {role}: add it, or name another with --fields {role}=COLUMN"))
}

/// The texts of a list, or of one text; of an object with a list `text` that list, as SQuAD has it.
///
/// # Errors
/// What is no list of texts.
pub fn texts(role: Role, cell: Cell<'_>) -> Result<Vec<String>, Problem> {
    /// More answers or choices than this are no question's.
    const MOST: usize = 1000;
    let value = match cell {
        Cell::Missing => return Err(lacks(role)),
        Cell::Null => return Ok(Vec::new()),
        Cell::Bad(problem) => return Err(Problem::Bad(problem)),
        Cell::Text(text) => return Ok(vec![text.into_owned()]),
        Cell::Value(value) => value,
    };
    let listed = match &value {
        Value::Object(fields) => fields.get("text").filter(|inner| inner.is_array()),
        Value::Array(_) => Some(&value),
        other => return Ok(scalar(other).into_iter().collect()),
    };
    let Some(Value::Array(values)) = listed else {
        return Err(Problem::bad(format!("{role} is {}, not a text or a list of texts", what(&value))));
    };
    if values.len() > MOST {
        return Err(Problem::bad(format!("{role} has {} values, at most {MOST} make sense", values.len())));
    }
    let text = |inner: &Value| {
        scalar(inner).ok_or_else(|| {
            let what = if inner.is_array() {
                "a nested list".to_string()
            } else {
                format!("a list with {} in it", what(inner))
            };
            Problem::bad(format!(
                "{role} is {what}, not a list of texts: flatten it, or name another column with --fields"
            ))
        })
    };
    let kind = |value: &Value| scalar(value).and_then(|_| Cell::of(value.clone()).kind());
    let mut kinds = values.iter().filter_map(kind);
    if let Some(first) = kinds.next()
        && let Some(other) = kinds.find(|other| *other != first)
    {
        let (first, other) = (first.words(), other.words());
        return Err(Problem::bad(format!(
            "{role} is a list with {first} and {other} in it: write all of them alike"
        )));
    }
    // A choice that is left out would be in the place of the next one.
    if role == Role::Choices && values.iter().any(Value::is_null) {
        return Err(Problem::bad("has a choice that is null: write all of them"));
    }
    values.iter().filter(|inner| !inner.is_null()).map(text).collect()
}
