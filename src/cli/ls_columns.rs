//! The columns of `ls`: those of the Library tab in its order, and more that have to be asked for.

use std::fmt;
use std::time::SystemTime;

use super::compared::Compared;
use super::expert_row::{ExpertRow, count};
use super::table::{Align, Table};
use crate::analysis::cluster_number;
use crate::library::{Expert, Format, Status};
use crate::named::{Named, by_name};
use crate::text::{age, brief, exact, loss_text};

/// What a cell is made of.
pub(super) struct Listed<'a> {
    pub experts: &'a [Expert],
    /// What is known of the experts together.
    pub compared: Option<&'a Compared>,
    pub now: SystemTime,
}

/// A column.
pub(super) struct ColumnSpec {
    /// For `--columns`.
    id: &'static str,
    help: &'static str,
    title: &'static str,
    align: Align,
    /// Shown without being asked for, where any expert has something in it.
    usual: bool,
    /// Whether it needs the experts compared.
    compares: bool,
    cell: fn(&Expert, &Listed<'_>) -> String,
}

/// One of the columns.
#[derive(Clone, Copy)]
pub struct Column(&'static ColumnSpec);

/// A column that has to be asked for.
const fn column(
    id: &'static str,
    title: &'static str,
    align: Align,
    help: &'static str,
    cell: fn(&Expert, &Listed<'_>) -> String,
) -> ColumnSpec {
    ColumnSpec { id, help, title, align, usual: false, compares: false, cell }
}

impl ColumnSpec {
    /// One of the tab, which is shown without being asked for.
    const fn usual(self) -> Self {
        Self { usual: true, ..self }
    }

    /// One that needs the experts compared.
    const fn compares(self) -> Self {
        Self { compares: true, ..self }
    }
}

static NAME: ColumnSpec =
    column("name", "NAME", Align::Left, "Name of the expert", |e, _| e.name.clone()).usual();
static STATUS: ColumnSpec =
    column("status", "STATUS", Align::Left, "ok, partial or bad", |e, _| ExpertRow::from(e).status_text())
        .usual();
static TASK: ColumnSpec = column("task", "TASK", Align::Left, "Task that it was trained on", |e, _| {
    e.provenance.as_ref().and_then(|p| p.task.clone()).unwrap_or_default()
})
.usual();
static FAMILY: ColumnSpec = column("family", "FAMILY", Align::Left, "Family of its task", |e, _| {
    e.provenance.as_ref().and_then(|p| p.family.clone()).unwrap_or_default()
})
.usual();
static CLUSTER: ColumnSpec = column("cluster", "CL", Align::Right, "Number of its MBC cluster", |e, of| {
    of.compared
        .and_then(|compared| compared.cluster(e))
        .map(|c| cluster_number(c).to_string())
        .unwrap_or_default()
})
.usual()
.compares();
static RANK: ColumnSpec =
    column("rank", "RANK", Align::Right, "Smallest and largest rank", |e, _| ExpertRow::from(e).rank_text())
        .usual();
static LOSS: ColumnSpec =
    column("loss", "LOSS", Align::Right, "Validation loss, else training loss", |e, _| {
        e.loss().map(loss_text).unwrap_or_default()
    })
    .usual();
static AGE: ColumnSpec = column("age", "AGE", Align::Right, "Time since it was made", |e, of| {
    let since = |then| of.now.duration_since(then).map_or(0.0, |since| since.as_secs_f64());
    e.created().map(|then| age(since(then))).unwrap_or_default()
})
.usual();
static PARAMETERS: ColumnSpec = column("params", "PARAMS", Align::Right, "Number of parameters", |e, _| {
    if e.parameters > 0 { count(e.parameters) } else { String::new() }
})
.usual();
static DTYPE: ColumnSpec =
    column("dtype", "DTYPE", Align::Left, "Type of the weights, and their format", |e, _| {
        match e.format.name() {
            _ if e.format == Format::default() => e.dtype.clone(),
            name if e.dtype.is_empty() => name.into(),
            name => format!("{}, {name}", e.dtype),
        }
    })
    .usual();
static TARGETS: ColumnSpec =
    column("targets", "TARGETS", Align::Left, "Kinds of layers that have LoRA", |e, _| {
        short(&e.kinds_text())
    })
    .usual();
static NORM: ColumnSpec = column("norm", "NORM", Align::Right, "‖ΔW‖ over all modules", |e, of| {
    of.compared.and_then(|compared| compared.norm(e)).map(brief).unwrap_or_default()
})
.compares();
static NEAREST: ColumnSpec =
    column("nearest", "NEAREST", Align::Left, "The most similar other expert (MBC)", |e, of| {
        let nearest = of.compared.and_then(|compared| compared.nearest(e));
        nearest.map(|(name, value)| format!("{name} {value:.2}")).unwrap_or_default()
    })
    .compares();
static HEALTH: ColumnSpec =
    column("health", "HEALTH", Align::Left, "Whether it was hardly trained", |e, of| {
        of.compared.and_then(|compared| compared.health(e)).unwrap_or_default()
    })
    .usual()
    .compares();
static ALPHA: ColumnSpec = column("alpha", "ALPHA", Align::Right, "α", |e, _| {
    if e.config.r > 0 { exact(e.config.alpha) } else { String::new() }
});
static SIZE: ColumnSpec =
    column("size", "SIZE", Align::Right, "Bytes of its weights", |e, _| match e.bytes {
        0 => String::new(),
        bytes => format!("{:.1}M", bytes as f64 / 1e6),
    });
static FORMAT: ColumnSpec =
    column("format", "FORMAT", Align::Left, "How it is stored", |e, _| e.format.name().into());
static PATH: ColumnSpec =
    column("path", "PATH", Align::Left, "Its folder or file", |e, _| e.path.to_string_lossy().into_owned());

/// All columns; those of the Library tab first, in its order.
static COLUMNS: &[Column] = &[
    Column(&NAME),
    Column(&STATUS),
    Column(&TASK),
    Column(&FAMILY),
    Column(&CLUSTER),
    Column(&RANK),
    Column(&LOSS),
    Column(&AGE),
    Column(&PARAMETERS),
    Column(&DTYPE),
    Column(&TARGETS),
    Column(&HEALTH),
    Column(&NORM),
    Column(&NEAREST),
    Column(&ALPHA),
    Column(&SIZE),
    Column(&FORMAT),
    Column(&PATH),
];

impl Column {
    /// Whether it needs the experts compared.
    pub fn compares(self) -> bool {
        self.0.compares
    }

    /// Ids with what they are, for help.
    pub fn list() -> String {
        let one = |column: &Column| format!("- {}: {}", column.0.id, column.0.help);
        COLUMNS.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

/// The experts as lines; the usual columns where none are given.
pub(super) fn table(listed: &Listed<'_>, columns: &[Column]) -> String {
    let cells = |column: &Column| -> Vec<String> {
        listed.experts.iter().map(|expert| (column.0.cell)(expert, listed)).collect()
    };
    let wanted: Vec<(Column, Vec<String>)> = match columns {
        [] => {
            let usual = COLUMNS.iter().filter(|column| column.0.usual).map(|column| (*column, cells(column)));
            // A task that is called as its expert says nothing new.
            let names: Vec<&str> = listed.experts.iter().map(|expert| expert.name.as_str()).collect();
            let says = |(column, cells): &(Column, Vec<String>)| {
                column.0.id == NAME.id
                    || cells
                        .iter()
                        .zip(&names)
                        .any(|(cell, name)| !cell.is_empty() && (column.0.id != TASK.id || cell != name))
            };
            usual.filter(says).collect()
        }
        some => some.iter().map(|column| (*column, cells(column))).collect(),
    };
    let reason_of = |expert| ExpertRow::from(expert).reason().filter(|_| columns.is_empty());
    let mut head: Vec<(&str, Align)> =
        wanted.iter().map(|(column, _)| (column.0.title, column.0.align)).collect();
    if listed.experts.iter().any(|expert| reason_of(expert).is_some()) {
        head.push(("REASON", Align::Left));
    }
    let mut table = Table::new(&head);
    for (at, expert) in listed.experts.iter().enumerate() {
        let row: Vec<String> = wanted.iter().map(|(_, cells)| cells[at].clone()).collect();
        // The reason takes the place of the columns that a broken expert cannot fill.
        match reason_of(expert) {
            Some(reason) if expert.status_here() == Status::Bad => {
                let kept =
                    wanted.iter().take_while(|(column, _)| [NAME.id, STATUS.id].contains(&column.0.id));
                let kept = kept.count();
                table.row(row.into_iter().take(kept).chain([reason.to_string()]));
            }
            Some(reason) => table.row(row.into_iter().chain([reason.to_string()])),
            None => table.row(row),
        }
    }
    table.render()
}

/// The first of many targets, as many as fit a column.
fn short(targets: &str) -> String {
    const WIDTH: usize = 48;
    match targets.char_indices().nth(WIDTH) {
        Some(_) => format!("{}…", targets.chars().take(WIDTH - 1).collect::<String>()),
        None => targets.into(),
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id)
    }
}

impl Named for Column {
    const KIND: &'static str = "column";

    fn all() -> &'static [Self] {
        COLUMNS
    }

    fn name(&self) -> &'static str {
        self.0.id
    }

    fn help(&self) -> &'static str {
        self.0.help
    }
}

by_name!(Column);
