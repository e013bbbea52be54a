//! `fetch`: gets the library's base model.

use std::path::PathBuf;

use serde::Serialize;

use super::output::Output;
use crate::catalog::Catalog;
use crate::library::{BaseLocation, FetchProgress};
use crate::outside::sha256_file;
use crate::text::printable;
use crate::{Cancel, Result};

/// Get the library's base model
#[derive(Clone, Debug, clap::Args)]
pub struct FetchArgs {
    /// Folder of adapters [default: ./library, if it is there]
    pub library: PathBuf,
}

#[derive(Serialize)]
struct Document {
    base: String,
    path: PathBuf,
    sha256: Option<String>,
    /// Whether it had to be fetched.
    fetched: bool,
}

/// Runs the command.
pub fn run(args: &FetchArgs, output: &Output) -> Result<()> {
    let catalog = Catalog::open(&args.library, None)?;
    let (base, path, fetched) = match catalog.base()? {
        BaseLocation::Found { path, label } => (label, path, false),
        BaseLocation::Missing { label, .. } => {
            let path = fetch_with_progress(&catalog, output, output.cancel())?;
            (label, path, true)
        }
    };
    if output.is_json() {
        let sha256 = if path.is_file() { Some(sha256_file(&path)?) } else { None };
        return output.document(&Document { base, path, sha256, fetched });
    }
    let what = if fetched { "fetched" } else { "already here" };
    output.note(&format!("{base}: {what}"));
    output.line(&printable(&path.to_string_lossy()))
}

/// Fetches with a progress bar on stderr. For every command that needs the base model.
///
/// # Errors
/// As [`Catalog::base_fetched`].
pub fn fetch_with_progress(catalog: &Catalog, output: &Output, cancel: &Cancel) -> Result<PathBuf> {
    let label = catalog.base_label().unwrap_or_default();
    let mut line = output.progress();
    let mut source = String::new();
    catalog.base_fetched(
        &mut |progress| {
            if progress.source != source {
                source.clone_from(&progress.source);
                line.stage(&format!("{label}: from {source}"));
            }
            line.update(&bar(&progress));
        },
        cancel,
    )
}

/// `hub owner/name  downloading  [######----]  48.2 of 98.7 MB`.
fn bar(progress: &FetchProgress) -> String {
    const WIDTH: usize = 24;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let (source, phase) = (&progress.source, progress.phase.name());
    match progress.total {
        Some(total) if total > 0 => {
            let filled = (progress.done.min(total) as f64 / total as f64 * WIDTH as f64) as usize;
            let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH - filled.min(WIDTH)));
            format!("{source}  {phase}  [{bar}]  {:.1} of {:.1} MB", mb(progress.done), mb(total))
        }
        _ if progress.done == 0 => format!("{source}  {phase}"),
        _ => format!("{source}  {phase}  {:.1} MB", mb(progress.done)),
    }
}
