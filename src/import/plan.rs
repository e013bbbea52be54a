//! How each file of a source is read: its shape, and the columns that are wanted of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::cell::{Cell, class_of};
use super::kinds::Columns;
use super::layouts::{Found, Piece};
use super::shapes::{Mapping, Role, SHAPES, Shape, find, place};
use super::spec::{ImportSpec, NO_COLUMN};
use super::splits::Split;
use crate::text::short;
use crate::{Error, Result};

/// Columns that name tasks, where none is named.
const TASK_COLUMNS: [&str; 3] = ["task_name", "task", "task_id"];
/// The column that says splits, where none is named.
const SPLIT_COLUMN: &str = "split";
/// Columns of identifiers.
const ID_COLUMNS: [&str; 2] = ["id", "idx"];
/// Most columns that a message lists.
const LISTED: usize = 12;

/// How a file is read.
#[derive(Clone, Debug)]
pub(super) struct FilePlan {
    pub piece: Piece,
    pub shape: &'static Shape,
    pub mapping: Mapping,
    /// Columns that are read.
    pub wanted: Vec<String>,
    /// Names of classes, where the numbers of such a column stand for them.
    pub classes: Vec<Option<Vec<String>>>,
    /// Those that the file has beside them.
    pub unread: Vec<String>,
    /// Places among them, where there are such columns.
    pub task: Option<usize>,
    pub split: Option<usize>,
    pub family: Option<usize>,
    pub id: Option<usize>,
    /// Place, and the values of which it must have one.
    pub filters: Vec<(usize, Vec<String>)>,
    /// The task of its rows, where no column says it.
    pub task_name: String,
    /// The split of its rows, where no column says it.
    pub split_name: Option<Split>,
}

impl FilePlan {
    /// The text of the cell of a wanted column: the name of its class, where its numbers stand for classes.
    pub fn text<'c>(&self, place: usize, cells: &'c [Cell<'_>]) -> Option<Cow<'c, str>> {
        let cell = cells.get(place)?;
        let classes = self.classes.get(place).and_then(Option::as_deref);
        let name = classes.and_then(|classes| class_of(cell, classes, self.piece.kind.untyped));
        name.map(|name| Cow::Owned(name.to_string())).or_else(|| cell.scalar())
    }
}

/// How all files are read.
///
/// # Errors
/// A file that cannot be read; one that has no known shape, or lacks a column that was named. Beside files of other
/// kinds, JSON is often something else than rows: such files are left out, with a line each in `warnings`.
pub(super) fn plan(
    spec: &ImportSpec,
    found: &Found,
    name: &str,
    warnings: &mut Vec<String>,
) -> Result<Vec<FilePlan>> {
    let groups: HashSet<Option<&str>> = found.pieces.iter().map(|piece| piece.group.as_deref()).collect();
    let several = groups.len() > 1;
    let extra = |piece: &Piece| {
        let others = found.pieces.iter().any(|other| other.kind.name != piece.kind.name);
        others && piece.path.extension().is_some_and(|end| end == "json")
    };
    let mut plans = Vec::with_capacity(found.pieces.len());
    for piece in &found.pieces {
        match of_file(spec, piece, name, several) {
            Ok(plan) => plans.push(plan),
            Err(error) if extra(piece) => warnings.push(format!("left out: {error}")),
            Err(error) => return Err(error),
        }
    }
    Ok(plans)
}

fn of_file(spec: &ImportSpec, piece: &Piece, name: &str, several: bool) -> Result<FilePlan> {
    let mut columns = piece.kind.columns(&piece.path)?;
    for (column, names) in &piece.classes {
        columns.classes.entry(column.clone()).or_insert_with(|| names.clone());
    }
    if columns.open {
        let named = spec.fields.iter().flat_map(|(_, names)| names).map(String::as_str);
        let missing: BTreeSet<&str> = named.filter(|name| find(&columns, name).is_none()).collect();
        columns.names.extend(later(piece, &missing)?);
    }
    let columns = columns;
    let broken = |problem: String| Error::file(&piece.path, problem);
    let missing = |name: &str, what: &str| {
        broken(format!("has no column \"{}\" {what}; it has {}", short(name), listed(&columns)))
    };
    let mut wanted = Vec::new();
    let (shape, mut mapping) = shape(spec, &columns, &mut wanted).map_err(broken)?;
    mapping.untyped = piece.kind.untyped;
    if let Some(base) = spec.answer_base {
        mapping.base = base;
    }
    let mut column = |name: Option<&str>, what: &str| match name {
        None => Ok(None),
        Some(name) if columns.names.iter().any(|other| other == name) => Ok(Some(place(&mut wanted, name))),
        Some(name) => Err(missing(name, what)),
    };
    let known = |names: &[&'static str]| -> Option<&str> {
        names.iter().copied().find(|name| columns.names.iter().any(|other| other == name))
    };
    let task = match spec.task_column.as_deref() {
        Some(NO_COLUMN) => None,
        Some(named) => Some(named),
        None => known(&TASK_COLUMNS),
    };
    let task = column(task, "for tasks")?;
    let split = match spec.split_column.as_deref().filter(|_| spec.split_rule.column) {
        None if spec.split_rule.column => known(&[SPLIT_COLUMN]),
        named => named,
    };
    if split.is_none() && spec.split_rule.needs_column() {
        let rule = spec.split_rule;
        let problem = format!(
            "has no column \"{SPLIT_COLUMN}\", and --split-rule {rule} takes splits from a column alone: name it with \
             --split-column, or choose another --split-rule; it has {}",
            listed(&columns)
        );
        return Err(broken(problem));
    }
    let split = column(split, "for splits")?;
    let family = column(spec.family_column.as_deref(), "for families")?;
    let id = column(known(&ID_COLUMNS), "")?;
    let mut filters: Vec<(usize, Vec<String>)> = Vec::new();
    for (name, value) in &spec.filters {
        let Some(at) = column(Some(name), "to choose rows by")? else { continue };
        match filters.iter_mut().find(|(other, _)| *other == at) {
            Some((_, values)) => values.push(value.clone()),
            None => filters.push((at, vec![value.clone()])),
        }
    }
    let config = piece.config.as_deref().filter(|config| *config != "default");
    let parts: Vec<&str> = config.into_iter().chain(piece.group.as_deref().filter(|_| several)).collect();
    let task_name = if parts.is_empty() { name.to_string() } else { parts.join("_") };
    let unread = columns.names.iter().filter(|name| !wanted.contains(name)).cloned().collect();
    let classes = wanted.iter().map(|name| columns.classes.get(name).cloned()).collect();
    Ok(FilePlan {
        piece: piece.clone(),
        shape,
        mapping,
        classes,
        wanted,
        unread,
        task,
        split,
        family,
        id,
        filters,
        task_name,
        split_name: piece.split.filter(|_| spec.split_rule.names),
    })
}

/// The columns that names lead to in rows behind those by which the columns of a file are known.
fn later(piece: &Piece, names: &BTreeSet<&str>) -> Result<BTreeSet<String>> {
    if names.is_empty() {
        return Ok(BTreeSet::new());
    }
    let ways = |name| std::iter::once(name).chain(str::match_indices(name, '.').map(|(at, _)| &name[..at]));
    let wanted: BTreeSet<&str> = names.iter().flat_map(|name| ways(*name)).collect();
    let wanted: Vec<String> = wanted.into_iter().map(String::from).collect();
    let mut found = BTreeMap::new();
    let read = piece.kind.read(&piece.path, &wanted, &mut |_, cells| {
        let is_there = |column: &&str| {
            let cell = wanted.iter().position(|other| other == column).and_then(|at| cells.get(at));
            cell.is_some_and(|cell| !matches!(cell, Cell::Missing | Cell::Bad(_)))
        };
        let missing: Vec<&str> = names.iter().copied().filter(|name| !found.contains_key(name)).collect();
        for name in missing {
            if let Some(column) = ways(name).find(is_there) {
                found.insert(name, column.to_string());
            }
        }
        if found.len() == names.len() { Err(Error::msg("all are there")) } else { Ok(()) }
    });
    if found.len() < names.len() {
        read?;
    }
    Ok(found.into_values().collect())
}

/// The shape of a file, and where its columns are.
fn shape(
    spec: &ImportSpec,
    columns: &Columns,
    wanted: &mut Vec<String>,
) -> std::result::Result<(&'static Shape, Mapping), String> {
    let has = listed(columns);
    if !spec.fields.is_empty() {
        let given = |role: Role| spec.fields.iter().any(|(other, _)| *other == role);
        let shape = Shape::of_roles(given);
        let mapping = Mapping::of_names(&spec.fields, columns, wanted).map_err(|name| {
            let missing: Vec<&str> =
                spec.fields.iter().flat_map(|(_, names)| names).map(String::as_str).collect();
            let all = if missing.len() > 1 { " of those that --fields names" } else { "" };
            format!("has no column \"{}\"{all}; it has {has}", short(name))
        })?;
        return Ok((shape, mapping));
    }
    if let Some(named) = &spec.shape {
        let shape = SHAPES.iter().find(|shape| shape.name == named.name).unwrap_or(&SHAPES[0]);
        let mapping = Mapping::of_shape(shape, columns, wanted).ok_or_else(|| {
            let needs: Vec<String> =
                shape.fields.iter().filter(|f| f.required).map(|f| f.names.join(" or ")).collect();
            format!("is not of the shape {}, which needs {}; it has {has}", shape.name, needs.join(", "))
        })?;
        return Ok((shape, mapping));
    }
    let is_other =
        |shape: &Shape| shape.without.iter().any(|name| columns.names.iter().any(|other| other == name));
    for shape in SHAPES.iter().filter(|shape| !is_other(shape)) {
        if let Some(mapping) = Mapping::of_shape(shape, columns, wanted) {
            return Ok((shape, mapping));
        }
    }
    if columns.names.is_empty() {
        return Err("has no rows with fields".into());
    }
    Err(format!(
        "has columns of no known shape ({has}): say which are what with --fields instruction=COLUMN,output=COLUMN"
    ))
}

fn listed(columns: &Columns) -> String {
    if columns.names.is_empty() {
        return "no columns".into();
    }
    let mut names: Vec<String> = columns.names.iter().take(LISTED).map(|name| short(name)).collect();
    if columns.names.len() > LISTED {
        names.push(format!("{} more", columns.names.len() - LISTED));
    }
    names.join(", ")
}
