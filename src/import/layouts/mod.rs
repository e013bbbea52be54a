//! Layouts of sources: which files of a folder have rows, and what their places say. A table of them.

mod cache;
mod card;
mod found;
mod glob;
mod plain;
mod saved;
mod walk;

use std::path::Path;

use card::configurations;

pub use card::Configuration;
pub use found::{Found, Piece};

use crate::named::{Named, by_name};
use crate::outside::io_reason;
use crate::text::short;
use crate::{Error, Result};

/// A layout.
#[derive(Clone, Copy)]
pub struct Layout {
    name: &'static str,
    help: &'static str,
    /// Whether a folder has it.
    is: fn(&Path) -> bool,
    /// What is in such a folder, of these configurations; of all where none is named.
    find: fn(&Path, &[String]) -> Result<Found>,
}

/// Every layout of folders, in the order in which they are tried.
pub static LAYOUTS: &[Layout] = &[saved::DICT, saved::ONE, cache::LAYOUT, card::LAYOUT, plain::LAYOUT];

impl Named for Layout {
    const KIND: &'static str = "layout";

    fn all() -> &'static [Self] {
        LAYOUTS
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}
by_name!(Layout);

/// The files of a source, a file or a folder; of these configurations, where some are named.
///
/// # Errors
/// A source that is not there or has no rows' files; what is wrong with what describes it.
pub fn find(source: &Path, configs: &[String]) -> Result<Found> {
    let metadata = std::fs::metadata(source)
        .map_err(|e| Error::file(source, format!("{}: give a file or a folder of rows", io_reason(&e))))?;
    let mut found = if metadata.is_file() { plain::one(source)? } else { in_folder(source, configs)? };
    if found.pieces.is_empty() && !found.empty.is_empty() {
        let names: Vec<String> = found.empty.iter().map(|name| short(name)).collect();
        return Err(Error::file(source, format!("has no rows: its splits are empty ({})", names.join(", "))));
    }
    if found.pieces.is_empty() {
        let endings: Vec<&str> = super::kinds::KINDS.iter().flat_map(|kind| kind.endings).copied().collect();
        let unread = found.unread.first().map(|unread| format!("; {}", short(unread))).unwrap_or_default();
        let endings = endings.join(", ");
        return Err(Error::file(source, format!("has no files of rows: they end in {endings}{unread}")));
    }
    if found.origin.is_none()
        && let Some((named, is_all)) = cache::snapshot_of(source)
    {
        // A file that says no more than a split is named after the dataset, too.
        if is_all || metadata.is_file() && found.name.is_empty() {
            found.name = named.name;
        }
        found.origin = Some(named.origin);
    }
    if found.name.is_empty() {
        found.name = found::name_of(source);
    }
    Ok(found)
}

/// The configurations that the card of a dataset describes, which may lie in a cache; `None` where there is no card.
///
/// # Errors
/// A card that cannot be read, or whose front matter is no YAML; a cache without the snapshot that it names.
pub fn configurations_of(source: &Path) -> Result<Option<Vec<Configuration>>> {
    match (cache::LAYOUT.is)(source) {
        true => configurations(&cache::snapshot(source)?),
        false => configurations(source),
    }
}

/// What a folder contains.
fn in_folder(folder: &Path, configs: &[String]) -> Result<Found> {
    match LAYOUTS.iter().find(|layout| (layout.is)(folder)) {
        Some(layout) => (layout.find)(folder, configs),
        None => Err(Error::file(folder, "is neither a file nor a folder")),
    }
}
