//! `[executor]`: what executors are asked for, in the user's configuration and in `library.toml`.

use std::path::{Path, PathBuf};

use crate::library::{Manifest, small_toml};
use crate::outside::read_limited;
use crate::settings::Setting;
use crate::{Error, Result};

/// Largest configuration that is read.
const MAX_SIZE: u64 = 1 << 20;

/// The user's configuration, `~/.config/lora-tui/config.toml`.
pub fn user_file() -> Option<PathBuf> {
    let directories = directories::ProjectDirs::from("", "", "lora-tui")?;
    Some(directories.config_dir().join("config.toml"))
}

/// `[executor]` of the user's configuration, with where it stands; nothing where there is none.
///
/// # Errors
/// A file that cannot be read or is no TOML.
fn of_user() -> Result<Option<(PathBuf, toml::Table)>> {
    let Some(path) = user_file() else { return Ok(None) };
    let bytes = match read_limited(&path, MAX_SIZE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, error)),
    };
    let all: toml::Table = small_toml::parse(&bytes).map_err(|problem| Error::file(&path, problem))?;
    match all.get("executor") {
        None => Ok(None),
        Some(toml::Value::Table(table)) => Ok(Some((path, table.clone()))),
        Some(_) => Err(Error::file(path, "[executor] must be a table")),
    }
}

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
    let user = user_file();
    for (path, all) in tables(library)? {
        let fail = |problem: String| Error::file(&path, format!("[executor.{executor}] {problem}"));
        let given = match all.get(executor) {
            None => continue,
            Some(toml::Value::Table(given)) => given,
            Some(_) => return Err(fail("must be a table".into())),
        };
        for (id, value) in given {
            let Some(setting) = table.iter().find(|setting| setting.id == id) else {
                let known: Vec<&str> = table.iter().map(|setting| setting.id).collect();
                return Err(fail(format!("has no setting {id:?}; there are {}", known.join(", "))));
            };
            if commands.contains(&id.as_str()) && Some(&path) != user.as_ref() {
                let place =
                    user.as_ref().map_or("your configuration".into(), |path| path.display().to_string());
                return Err(fail(format!(
                    "{id} names commands, which no library may: write it into {place}"
                )));
            }
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(on) => if *on { "yes" } else { "no" }.into(),
                _ => return Err(fail(format!("{id} must be a text or a number"))),
            };
            setting.set(&mut settings, &text).map_err(|wanted| fail(format!("{id} must be {wanted}")))?;
        }
    }
    Ok(settings)
}

/// The `[executor]` tables that there are, with where they stand, the one that others override first.
fn tables(library: Option<&Path>) -> Result<Vec<(PathBuf, toml::Table)>> {
    let mut found: Vec<_> = of_user()?.into_iter().collect();
    if let Some(library) = library {
        let table = Manifest::read(library)?.executor;
        if !table.is_empty() {
            found.push((library.join(Manifest::FILE), table));
        }
    }
    Ok(found)
}
