//! `ls`: the experts of a library.

use std::time::SystemTime;

use serde::Serialize;

use super::compared::Compared;
use super::expert_row::ExpertRow;
use super::ls_columns::{Column, Listed, table};
use super::options::LibraryArgs;
use super::output::Output;
use crate::catalog::Catalog;
use crate::library::{BaseLocation, Expert, Skipped, Status};
use crate::text::{counted, printable};
use crate::{Cancel, Error, Result};

/// List the experts of a library
#[derive(Clone, Debug, clap::Args)]
pub struct LsArgs {
    #[command(flatten)]
    pub library: LibraryArgs,
    /// Read all weights too, and fail if any expert is bad
    #[arg(long)]
    pub check: bool,
    /// Columns to print, with commas between [default: those of the Library tab]
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        value_parser = |text: &str| text.trim().parse::<Column>(),
        long_help = format!("Columns to print, with commas between [default: those of the Library tab]\n\n{}", Column::list())
    )]
    pub columns: Vec<Column>,
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
    let mut catalog = args.library.open_compared()?;
    if args.check {
        catalog.library.check_weights(&Cancel::new())?;
        catalog.compare_copies(|_| true);
    }
    let compared = match args.columns.iter().any(|column| column.compares()) {
        true => {
            let mut progress = output.progress();
            let mut on_step = |done: usize, total: usize| {
                progress.update(&format!("comparing the experts: {} %", 100 * done / total.max(1)));
            };
            Some(Compared::new(&catalog, &mut on_step, output.cancel())?)
        }
        false => Compared::known(&catalog),
    };
    print(&catalog, compared.as_ref(), &args.columns, output)?;
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
    let catalog = args.open_compared()?;
    print(&catalog, Compared::known(&catalog).as_ref(), &[], output)
}

fn print(catalog: &Catalog, compared: Option<&Compared>, columns: &[Column], output: &Output) -> Result<()> {
    let library = &catalog.library;
    let path = &library.root;
    if output.is_json() {
        return output.document(&Document {
            library: path.to_string_lossy().into_owned(),
            base: catalog.base_label(),
            experts: library.experts.iter().map(|expert| ExpertRow::compared(expert, compared)).collect(),
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
    let listed = Listed { experts: &library.experts, compared, now: SystemTime::now() };
    output.text(&table(&listed, columns))?;
    output.line(&summary(catalog))
}

fn summary(catalog: &Catalog) -> String {
    let library = &catalog.library;
    let count = |status| library.experts.iter().filter(|e| e.status_here() == status).count();
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
