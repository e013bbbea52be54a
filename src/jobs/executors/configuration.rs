//! `[executor]`: what executors are asked for, in the user's configuration and in `library.toml`.

use std::path::{Path, PathBuf};

use crate::configuration::{self, Doubt, Section};
use crate::library::Manifest;
use crate::settings::{Kind, Setting};
use crate::{Error, Result, field};

/// What stands in `[executor]` itself.
#[derive(Debug, Default)]
struct Chosen {
    default: String,
}

static CHOSEN: &[Setting<Chosen>] = &[Setting::new("default", Kind::Text(field!(Chosen.default), |_| None))];

/// `[executor]` without the tables in it.
pub static EXECUTOR: Section = Section { name: "executor", settings: &CHOSEN };

/// The name of the executor that new jobs get where none is chosen, and where that stands: `default` of `[executor]`, the
/// library's before the user's.
///
/// # Errors
/// A file that cannot be read, or a name that is no text.
pub fn default_name(library: Option<&Path>) -> Result<Option<(String, PathBuf)>> {
    for (path, table) in tables(library)?.into_iter().rev() {
        let [default] = CHOSEN else { continue };
        let Some(value) = table.get(default.id) else { continue };
        let mut chosen = Chosen::default();
        configuration::take_one(&mut chosen, CHOSEN, default.id, value)
            .map_err(|problem| Error::file(&path, format!("[{}] {problem}", EXECUTOR.name)))?;
        return Ok(Some((chosen.default, path)));
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

/// What in a library's `[executor]` is not among `sections`, or cannot be taken.
pub fn doubts_of_library(library: &Path, sections: &[Section]) -> Vec<Doubt> {
    // What else is wrong with the file, whoever reads the library says.
    let table = Manifest::read(library).map(|manifest| manifest.executor).unwrap_or_default();
    let given = toml::Table::from_iter([(EXECUTOR.name.to_string(), toml::Value::Table(table))]);
    configuration::doubts(&library.join(Manifest::FILE), &given, sections)
}

/// The `[executor]` tables that there are, with where they stand, the one that others override first.
fn tables(library: Option<&Path>) -> Result<Vec<(PathBuf, toml::Table)>> {
    let mut found: Vec<_> = configuration::table(EXECUTOR.name)?.into_iter().collect();
    if let Some(library) = library {
        let table = Manifest::read(library)?.executor;
        if !table.is_empty() {
            found.push((library.join(Manifest::FILE), table));
        }
    }
    Ok(found)
}
