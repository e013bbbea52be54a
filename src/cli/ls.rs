//! `ls`: the experts of a library.

use serde::Serialize;

use super::options::LibraryArgs;
use super::output::Output;
use super::table::{Align, Table};
use crate::catalog::Catalog;
use crate::library::{BaseLocation, Expert, Format, Skipped, Status};
use crate::text::{counted, exact, printable};
use crate::{Cancel, Error, Result};

/// List the experts of a library
#[derive(Clone, Debug, clap::Args)]
pub struct LsArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Read all weights too, and fail if any expert is bad
    #[arg(long)]
    pub check: bool,
}

/// One expert as `ls --json` and `show --json` give it.
#[derive(Debug, Serialize)]
pub(super) struct ExpertRow<'a> {
    name: &'a str,
    status: Status,
    reason: Option<&'a str>,
    /// Smallest and largest rank.
    rank: Option<[usize; 2]>,
    alpha: Option<f64>,
    targets: &'a [String],
    dtype: Option<&'a str>,
    /// How it is stored: `peft`, `peft-bin`, `mlx`, `mttl` or `gguf`.
    format: Format,
    parameters: u64,
    task: Option<&'a str>,
    family: Option<&'a str>,
}

impl<'a> From<&'a Expert> for ExpertRow<'a> {
    fn from(expert: &'a Expert) -> Self {
        let provenance = expert.provenance.as_ref();
        Self {
            name: &expert.name,
            status: expert.status_here(),
            reason: expert.reason_here(),
            rank: expert.rank_range().map(|(low, high)| [low, high]),
            // A configuration that could not be read has rank 0.
            alpha: (expert.config.r > 0).then_some(expert.config.alpha),
            targets: &expert.config.targets,
            dtype: Some(expert.dtype.as_str()).filter(|dtype| !dtype.is_empty()),
            format: expert.format,
            parameters: expert.parameters,
            task: provenance.and_then(|p| p.task.as_deref()),
            family: provenance.and_then(|p| p.family.as_deref()),
        }
    }
}

impl<'a> ExpertRow<'a> {
    /// Why it is partial or bad.
    pub fn reason(&self) -> Option<&'a str> {
        self.reason
    }

    /// `ok`, `partial` or `bad`.
    pub fn status_text(&self) -> String {
        match self.status {
            Status::Ok => "ok".into(),
            Status::Partial => "partial".into(),
            Status::Bad => "bad".into(),
        }
    }

    /// `4`, `2-8`, or nothing.
    pub fn rank_text(&self) -> String {
        match self.rank {
            Some([low, high]) if low == high => low.to_string(),
            Some([low, high]) => format!("{low}-{high}"),
            None => String::new(),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    library: String,
    base: Option<String>,
    experts: Vec<ExpertRow<'a>>,
    skipped: Vec<Skipped>,
    warnings: &'a [String],
}

/// Runs the command.
pub fn run(args: &LsArgs, output: &Output) -> Result<()> {
    let mut catalog = args.library.open()?;
    if args.check {
        catalog.library.check_weights(&Cancel::new())?;
    }
    print(&catalog, output)?;
    let bad: Vec<&Expert> = catalog.experts.iter().filter(|expert| !expert.is_usable()).collect();
    if !args.check || bad.is_empty() {
        return Ok(());
    }
    if !output.is_json() {
        for expert in &bad {
            let reason = expert.reason().unwrap_or("cannot be used");
            output.note(&format!("{}: {reason}", expert.path.display()));
        }
    }
    let (bad, all) = (bad.len(), catalog.experts.len());
    Err(Error::file(&catalog.root, format!("{bad} of its {} cannot be used", counted(all, "expert"))))
}

/// Lists the experts of a library.
pub(super) fn list(args: &LibraryArgs, output: &Output) -> Result<()> {
    print(&args.open()?, output)
}

fn print(catalog: &Catalog, output: &Output) -> Result<()> {
    let library = &catalog.library;
    let path = &library.root;
    if output.is_json() {
        return output.document(&Document {
            library: path.to_string_lossy().into_owned(),
            base: catalog.base_label(),
            experts: library.experts.iter().map(ExpertRow::from).collect(),
            skipped: library.incomparable(),
            warnings: &library.warnings,
        });
    }
    for warning in &library.warnings {
        output.note(&format!("warning: {warning}"));
    }
    if library.experts.is_empty() {
        output.note(&format!(
            "{}: no experts here yet: copy adapters into it, or make one with `lora-tui train`",
            path.display()
        ));
        return Ok(());
    }
    output.text(&table(&library.experts))?;
    output.line(&summary(catalog))
}

fn table(experts: &[Expert]) -> String {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("NAME", Left),
        ("STATUS", Left),
        ("RANK", Right),
        ("ALPHA", Right),
        ("TYPE", Left),
        ("PARAMS", Right),
        ("TARGETS", Left),
        ("TASK", Left),
        ("FAMILY", Left),
    ]);
    for expert in experts {
        let row = ExpertRow::from(expert);
        let mut cells = vec![
            expert.name.clone(),
            row.status_text(),
            row.rank_text(),
            row.alpha.map(exact).unwrap_or_default(),
            kind(expert, row.dtype.unwrap_or_default()),
            if row.parameters > 0 { count(row.parameters) } else { String::new() },
        ];
        match row.reason {
            // The reason takes the place of the columns that a broken expert cannot fill.
            Some(reason) if row.status == Status::Bad => cells.push(reason.into()),
            Some(reason) => cells.extend([
                targets(row.targets),
                row.task.unwrap_or_default().into(),
                format!("{}  {reason}", row.family.unwrap_or_default()).trim().into(),
            ]),
            None => cells.extend([
                targets(row.targets),
                row.task.unwrap_or_default().into(),
                row.family.unwrap_or_default().into(),
            ]),
        }
        table.row(cells);
    }
    table.render()
}

/// The type of the weights, and how they are stored where that is not PEFT's usual way.
fn kind(expert: &Expert, dtype: &str) -> String {
    match expert.format.name() {
        _ if expert.format == Format::default() => dtype.into(),
        name if dtype.is_empty() => name.into(),
        name => format!("{dtype}, {name}"),
    }
}

/// The first targets, as many as fit a column.
fn targets(targets: &[String]) -> String {
    const WIDTH: usize = 48;
    let all = targets.join(",");
    if all.chars().count() <= WIDTH {
        return all;
    }
    let kept: String = all.chars().take(WIDTH - 1).collect();
    format!("{kept}…")
}

fn summary(catalog: &Catalog) -> String {
    let library = &catalog.library;
    let count = |status| library.experts.iter().filter(|e| ExpertRow::from(*e).status == status).count();
    let (partial, bad) = (count(Status::Partial), count(Status::Bad));
    let mut line = match library.experts.len() {
        1 => "1 expert".to_string(),
        n => format!("{n} experts"),
    };
    if partial > 0 {
        line.push_str(&format!(", {partial} partial"));
    }
    if bad > 0 {
        line.push_str(&format!(", {bad} bad"));
    }
    let base = match catalog.base() {
        Ok(BaseLocation::Found { label, .. }) => format!("base {label}"),
        Ok(BaseLocation::Missing { label, .. }) => format!("base {label}, not yet on this machine"),
        Err(_) => "base unknown".into(),
    };
    let text = format!("{line} in {}; {base}", library.root.to_string_lossy());
    printable(&text).into_owned()
}

/// A number of parameters in few characters: `921.6K`.
pub(super) fn count(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1}K", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", number as f64 / 1e6),
        _ => format!("{:.1}B", number as f64 / 1e9),
    }
}
