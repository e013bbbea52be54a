//! `[executor]`: what executors are asked for, in the user's configuration and in `library.toml`.

use std::path::{Path, PathBuf};

use crate::configuration;
use crate::library::Manifest;
use crate::settings::Setting;
use crate::{Error, Result};

/// The name of the executor that new jobs get where none is chosen: `default` of `[executor]`, the library's before
/// the user's.
///
/// # Errors
/// A file that cannot be read, or a name that is no text.
pub fn default_name(library: Option<&Path>) -> Result<Option<(String, PathBuf)>> {
    for (path, table) in tables(library)?.into_iter().rev() {
        match table.get("default") {
            None => {}
            Some(toml::Value::String(name)) => return Ok(Some((name.clone(), path))),
            Some(_) => return Err(Error::file(path, "[executor] default must be the name of an executor")),
        }
    }
    Ok(None)
}

/// The settings of an executor: the defaults, the user's configuration over them, the library's `library.toml` over
/// that. What is in `commands` is not taken from a library, which may come from anybody.
///
/// # Errors
/// A file that cannot be read, a setting that there is not, or a value that it cannot have, with the file's name.
pub fn settings<S: Default>(
    library: Option<&Path>,
    executor: &str,
    table: &'static [Setting<S>],
    commands: &[&str],
) -> Result<S> {
    let mut settings = S::default();
    let user = configuration::file();
    for (path, all) in tables(library)? {
        let fail = |problem: String| Error::file(&path, format!("[executor.{executor}] {problem}"));
        let given = match all.get(executor) {
            None => continue,
            Some(toml::Value::Table(given)) => given,
            Some(_) => return Err(fail("must be a table".into())),
        };
        let allowed = |id: &str| {
            if !commands.contains(&id) || Some(&path) == user.as_ref() {
                return Ok(());
            }
            let place = user.as_ref().map_or("your configuration".into(), |path| path.display().to_string());
            Err(format!("{id} names commands, which no library may: write it into {place}"))
        };
        configuration::take(&mut settings, table, given, allowed).map_err(fail)?;
    }
    Ok(settings)
}

/// The `[executor]` tables that there are, with where they stand, the one that others override first.
fn tables(library: Option<&Path>) -> Result<Vec<(PathBuf, toml::Table)>> {
    let mut found: Vec<_> = configuration::table("executor")?.into_iter().collect();
    if let Some(library) = library {
        let table = Manifest::read(library)?.executor;
        if !table.is_empty() {
            found.push((library.join(Manifest::FILE), table));
        }
    }
    Ok(found)
}
