//! One pass over all rows of a source.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::cell::{At, Cell, Type};
use super::plan::FilePlan;
use super::record::{Problem, Record};
use super::shapes::Roles;
use super::spec::ImportSpec;
use super::splits::Split;
use super::write::shown;
use crate::text::short;
use crate::{Cancel, Error, Result};

/// Rows after which a stop is looked for.
const CHECKED: u64 = 1024;

/// A row, as far as it is known before its task is.
pub(super) struct Scanned<'r, 'a> {
    pub plan: &'r FilePlan,
    pub at: At,
    pub task: Cow<'r, str>,
    pub family: Option<Cow<'r, str>>,
    pub split: Split,
    pub id: Option<Cow<'r, str>>,
    /// `None` for a row that is dropped, with why.
    pub record: Result<Record<'a>, Dropped>,
}

/// Why a row is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It has no question or no answer.
    Empty,
    /// It is longer than examples may be.
    Long,
    /// It is no example (`--skip-bad`).
    Bad,
    /// It is there already, or its prompt is in a split that goes first.
    Duplicate,
    /// There are more rows than are kept.
    Over,
}

impl Dropped {
    /// All of them, as they are numbered, with their names in JSON and in words.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Empty, "empty", "empty"),
        (Self::Long, "long", "too long"),
        (Self::Bad, "bad", "no examples"),
        (Self::Duplicate, "duplicate", "duplicates"),
        (Self::Over, "over", "over the cap"),
    ];
}

/// What a pass saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// All rows.
    pub rows: u64,
    /// Those that are no examples and of which it is not known to what task they belong.
    pub homeless: u64,
}

/// Passes over all rows that the filters let through.
///
/// # Errors
/// What is wrong with a file or a row; what `on` returns; a stop.
pub(super) fn scan(
    spec: &ImportSpec,
    plans: &[FilePlan],
    cancel: &Cancel,
    progress: &mut dyn FnMut(u64),
    on: &mut dyn FnMut(Scanned<'_, '_>) -> Result<()>,
) -> Result<Passed> {
    let Passed { mut rows, mut homeless } = Passed::default();
    let mut firsts: HashMap<ColumnName<'_>, First<'_>> = HashMap::new();
    for plan in plans {
        // Files of one task have the same columns; those without types of their own say nothing of the others'.
        let name = |column: &str| (plan.task_name.as_str(), column.to_string(), plan.piece.kind.untyped);
        let mut types: Vec<Option<First<'_>>> =
            plan.wanted.iter().map(|column| firsts.get(&name(column)).copied()).collect();
        plan.piece.kind.read(&plan.piece.path, &plan.wanted, &mut |at, cells| {
            rows += 1;
            if rows % CHECKED == 0 {
                cancel.check()?;
                progress(rows);
            }
            if let Some(problem) = unreadable(plan, cells) {
                if !spec.skip_bad {
                    return Err(Error::file(&plan.piece.path, format!("{at}: {problem}")));
                }
                if plan.task.or(plan.family).is_some() {
                    homeless += 1;
                    return Ok(());
                }
                let task = Cow::Borrowed(plan.task_name.as_str());
                let split = plan.split_name.unwrap_or(Split::Train);
                return on(Scanned {
                    plan,
                    at,
                    task,
                    family: None,
                    split,
                    id: None,
                    record: Err(Dropped::Bad),
                });
            }
            if !passes(plan, cells) {
                return Ok(());
            }
            row(spec, plan, at, cells, &mut types, on)
        })?;
        for (column, first) in plan.wanted.iter().zip(types) {
            if let Some(first) = first {
                firsts.entry(name(column)).or_insert(first);
            }
        }
    }
    Ok(Passed { rows, homeless })
}

/// A column of a task: the task's name, its own, and whether its file has no types.
type ColumnName<'p> = (&'p str, String, bool);

/// The first value of a column, with which no other kind is mixed.
#[derive(Clone, Copy)]
struct First<'p> {
    kind: Type,
    at: At,
    file: &'p Path,
}

/// What is wrong with a cell that decides where a row belongs, and whether it is looked at.
fn unreadable<'c>(plan: &FilePlan, cells: &'c [Cell<'_>]) -> Option<&'c str> {
    let filters = plan.filters.iter().map(|(place, _)| *place);
    let mut places = filters.chain([plan.task, plan.split, plan.family].into_iter().flatten());
    places.find_map(|place| match cells.get(place) {
        Some(Cell::Bad(problem)) => Some(problem.as_str()),
        _ => None,
    })
}

/// Whether the filters let a row through: by the text of a cell, or by the number of its class.
pub(super) fn passes(plan: &FilePlan, cells: &[Cell<'_>]) -> bool {
    plan.filters.iter().all(|(place, values)| {
        let text = plan.text(*place, cells).unwrap_or_default();
        let number = cells.get(*place).and_then(Cell::scalar).unwrap_or_default();
        values.iter().any(|value| *value == text || *value == number)
    })
}

fn row<'p>(
    spec: &ImportSpec,
    plan: &'p FilePlan,
    at: At,
    cells: &mut [Cell<'_>],
    types: &mut [Option<First<'p>>],
    on: &mut dyn FnMut(Scanned<'_, '_>) -> Result<()>,
) -> Result<()> {
    let broken = |problem: &str| Error::file(&plan.piece.path, format!("{at}: {problem}"));
    let owned = |place: Option<usize>| -> Option<Cow<'_, str>> {
        plan.text(place?, cells).map(|text| Cow::Owned(text.into_owned()))
    };
    let (task, family, id) = (owned(plan.task), owned(plan.family), owned(plan.id));
    let mixed = mixed(plan, cells, at, types);
    let split = match (plan.split, owned(plan.split)) {
        (Some(_), Some(name)) => Split::of_word(&name).ok_or_else(|| {
            broken(&format!(
                "the split \"{}\" is none of train, validation and test: name another column with --split-column, or \
                 leave out such rows with --where",
                short(&name)
            ))
        })?,
        (Some(place), None) => {
            let name = plan.wanted.get(place).map_or("", String::as_str);
            return Err(broken(&format!("has no split in the column \"{}\"", short(name))));
        }
        (None, _) => plan.split_name.unwrap_or(Split::Train),
    };
    let task = match (plan.task, task) {
        (Some(_), Some(name)) if !name.trim().is_empty() => name,
        (Some(place), _) => {
            let name = plan.wanted.get(place).map_or("", String::as_str);
            return Err(broken(&format!(
                "has no task in the column \"{}\": name another one with --task-column, or none",
                short(name)
            )));
        }
        (None, _) => Cow::Borrowed(plan.task_name.as_str()),
    };
    if plan.family.is_some() && family.as_ref().is_none_or(|name| name.trim().is_empty()) {
        return Err(broken("has no family in the column that --family-column names"));
    }
    let record = match mixed {
        Some(problem) => Err(Problem::Bad(problem)),
        None => plan.shape.record(&mut Roles::new(&plan.mapping, cells)),
    };
    let record = match record {
        Ok(record) if record.length() > spec.max_chars => Err(Dropped::Long),
        Ok(record) => Ok(record),
        Err(Problem::Empty) => Err(Dropped::Empty),
        Err(Problem::Bad(_)) if spec.skip_bad => Err(Dropped::Bad),
        Err(Problem::Bad(problem)) => return Err(broken(&problem)),
    };
    on(Scanned { plan, at, task, family, split, id, record })
}

/// What is wrong where a column mixes kinds of values.
fn mixed<'p>(
    plan: &'p FilePlan,
    cells: &[Cell<'_>],
    at: At,
    types: &mut [Option<First<'p>>],
) -> Option<String> {
    let mut problem = None;
    for (column, (cell, first)) in cells.iter().zip(types).enumerate() {
        let Some(kind) = cell.kind().filter(|_| plan.mapping.uses(column)) else { continue };
        // Numbers of classes are written as their names.
        let kind = match plan.classes.get(column) {
            Some(Some(_)) if kind == Type::Number => Type::Text,
            _ => kind,
        };
        match first {
            None => *first = Some(First { kind, at, file: &plan.piece.path }),
            Some(before) if before.kind != kind && problem.is_none() => {
                let file = match before.file == plan.piece.path {
                    true => String::new(),
                    false => format!("{}, ", shown(before.file)),
                };
                problem = Some(format!(
                    "\"{}\" is {}, but {} in {file}{}: write all of them alike, or drop such rows with --skip-bad",
                    short(plan.wanted.get(column).map_or("", String::as_str)),
                    kind.words(),
                    before.kind.words(),
                    before.at
                ));
            }
            Some(_) => {}
        }
    }
    problem
}
