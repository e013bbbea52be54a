//! The report of an experiment: a page, its tables and figures, and the recipe that makes it again.

mod figures;
mod found;
mod page;

use std::path::PathBuf;

use found::Found;

use super::laid_out::LaidOut;
use super::read::with_whole_paths;
use crate::eval::EvalReport;
use crate::export::{Content, Export};
use crate::outside::{atomic_write, make_folders, own};
use crate::{Cancel, Result};

/// The page, in the folder of the experiment.
const PAGE: &str = "report.md";
/// The folder of its tables and figures, beside it.
const FOLDER: &str = "report";

/// Tables that are written where there is something for them, beside those of scores.
const TABLES: [&str; 3] = ["clusters.csv", "k.csv", "seeds.csv"];
/// Figures likewise, each as PNG and SVG.
const FIGURES: [&str; 3] = ["scores", "k", "similarity"];

/// A report that was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// What is worth knowing of the libraries, each one line; untrusted.
    pub warnings: Vec<String>,
}

/// Writes the report of an experiment whose jobs are all finished.
///
/// # Errors
/// A job without a result; a library that cannot be compared; files that cannot be written. A raised `cancel`.
pub fn write_report(laid: &LaidOut, cancel: &Cancel) -> Result<Written> {
    let found = Found::of(laid)?;
    let folder = laid.root.join(FOLDER);
    make_folders(&folder)?;
    let mut files = Vec::new();
    let mut write = |name: &str, text: &str| {
        files.push(name.to_string());
        atomic_write(&folder.join(name), text.as_bytes())
    };
    write("recipe.toml", &with_whole_paths(&laid.recipe)?)?;
    write("libraries.csv", &page::libraries_csv(&found))?;
    if !found.by_k.is_empty() {
        write("clusters.csv", &page::clusters_csv(&found))?;
        write("k.csv", &page::k_csv(&found))?;
    }
    if !found.over_seeds.is_empty() {
        write("seeds.csv", &page::seeds_csv(&found))?;
    }
    if let Some(report) = &found.evaluation {
        for format in EvalReport::FORMATS {
            if let Content::Text(text) = format.content {
                write(&format!("scores.{}", format.ending), &text(report))?;
            }
        }
    }
    let drawn = figures::write(laid, &found, &folder, cancel)?;
    files.extend(drawn.iter().cloned());
    // What an earlier run of the recipe has written and this one has not would be believed.
    let tables = TABLES.iter().map(ToString::to_string);
    let scores = EvalReport::FORMATS.iter().map(|format| format!("scores.{}", format.ending));
    let figures = FIGURES.iter().flat_map(|name| [format!("{name}.png"), format!("{name}.svg")]);
    let is_written = |name: &String| files.contains(name) || files.contains(&name.replace(".svg", ".png"));
    for name in tables.chain(scores).chain(figures).filter(|name| !is_written(name)) {
        own::remove(&folder.join(name))?;
    }
    let path = laid.root.join(PAGE);
    atomic_write(&path, page::page(laid, &found, (FOLDER, &drawn, &files)).as_bytes())?;
    let warnings =
        found.warnings().map(|(library, warning)| format!("warning: {library}: {warning}")).collect();
    Ok(Written { page: path, warnings })
}
