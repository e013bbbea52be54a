//! Shapes of records: which columns a dataset has, and how its rows become examples. A table of them.

mod answer;
mod choice;
mod messages;
mod pair;
mod roles;
mod table;

pub use answer::{Tally, Unclear};
pub use roles::{Mapping, Role, Roles, find, place};
pub use table::SHAPES;

use super::record::{Problem, Record};
use crate::named::{Named, by_name};

/// A shape of records.
#[derive(Clone, Copy)]
pub struct Shape {
    /// One word.
    pub name: &'static str,
    /// What it is, for help and documentation.
    pub help: &'static str,
    /// Its columns.
    pub fields: &'static [Field],
    /// The number of the first choice, where answers are numbers.
    pub base: i64,
    /// Columns with which a dataset is of another shape, unless somebody says this one.
    pub without: &'static [&'static str],
    build: for<'a> fn(&mut Roles<'_, '_, 'a>) -> Result<Record<'a>, Problem>,
}

/// A column of a shape.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What it is for.
    pub role: Role,
    /// Names that it may have, the first of which is taken that is there. A `+` stands between columns that are
    /// needed together.
    pub names: &'static [&'static str],
    /// Whether a dataset without it is of another shape.
    pub required: bool,
}

const fn needs(role: Role, names: &'static [&'static str]) -> Field {
    Field { role, names, required: true }
}

const fn may(role: Role, names: &'static [&'static str]) -> Field {
    Field { role, names, required: false }
}

impl Shape {
    /// The example that a row is.
    ///
    /// # Errors
    /// Why it is none.
    pub fn record<'a>(&self, roles: &mut Roles<'_, '_, 'a>) -> Result<Record<'a>, Problem> {
        let record = (self.build)(roles)?;
        if record.is_empty() { Err(Problem::Empty) } else { Ok(record) }
    }

    /// Counts in which ways the answer of a row may name its choice.
    pub fn count_readings<P>(roles: &mut Roles<'_, '_, '_>, tally: &mut Tally<P>, place: impl Fn() -> P) {
        choice::count(roles, tally, place);
    }

    /// The shape that columns were named for.
    pub fn of_roles(given: impl Fn(Role) -> bool) -> &'static Self {
        match () {
            () if given(Role::Messages) => &messages::MESSAGES,
            () if given(Role::Choices) => &table::NAMED_CHOICES,
            () => &table::NAMED_PAIR,
        }
    }
}

impl Named for Shape {
    const KIND: &'static str = "shape";

    fn all() -> &'static [Self] {
        SHAPES
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}
by_name!(Shape);

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The shapes with their columns, for the documentation.
pub fn shapes_table() -> String {
    let mut out = String::from("| shape | columns | what it is |\n|---|---|---|\n");
    for shape in SHAPES {
        let columns: Vec<String> = shape
            .fields
            .iter()
            .map(|field| {
                let names: Vec<String> = field.names.iter().map(|name| format!("`{name}`")).collect();
                format!("{}{}", names.join(" or "), if field.required { "" } else { " (optional)" })
            })
            .collect();
        out.push_str(&format!("| `{}` | {} | {} |\n", shape.name, columns.join(", "), shape.help));
    }
    out
}
