//! The user's configuration, `~/.config/lora-tui/config.toml`: a table for each part of the program.

mod known;
mod notify;

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::library::small_toml;
use crate::outside::read_limited;
use crate::settings::Setting;
use crate::{Error, Result};

pub use known::{Doubt, Section, Settings, doubts, take_one};
pub use notify::{NOTIFY, Notify};

/// Largest configuration that is read.
const MAX_SIZE: u64 = 1 << 20;

/// Where it is; `None` without a home directory.
pub fn file() -> Option<PathBuf> {
    let directories = directories::ProjectDirs::from("", "", "lora-tui")?;
    Some(directories.config_dir().join("config.toml"))
}

/// All of it, with where it stands; nothing where there is none.
///
/// # Errors
/// A file that cannot be read or is no TOML.
pub fn read() -> Result<Option<(PathBuf, toml::Table)>> {
    let Some(path) = file() else { return Ok(None) };
    let bytes = match read_limited(&path, MAX_SIZE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, error)),
    };
    let all = small_toml::parse(&bytes).map_err(|problem| Error::file(&path, problem))?;
    Ok(Some((path, all)))
}

/// The table of this name, with where it stands; nothing where there is none.
///
/// # Errors
/// As [`read`]; a table that is something else.
pub fn table(name: &str) -> Result<Option<(PathBuf, toml::Table)>> {
    let Some((path, mut all)) = read()? else { return Ok(None) };
    match all.remove(name) {
        None => Ok(None),
        Some(toml::Value::Table(table)) => Ok(Some((path, table))),
        Some(_) => Err(Error::file(path, format!("[{name}] must be a table"))),
    }
}

/// Takes the settings that a table gives.
///
/// # Errors
/// A setting that there is not, one that `allowed` refuses, or a value that it cannot have, to be put behind the
/// table's name.
pub fn take<S>(
    settings: &mut S,
    table: &'static [Setting<S>],
    given: &toml::Table,
    allowed: impl Fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    given.iter().try_for_each(|(id, value)| {
        if table.iter().any(|setting| setting.id == id) {
            allowed(id)?;
        }
        take_one(settings, table, id, value)
    })
}
