//! Recipes are read: a file, or one that comes along, into settings that were checked, or one line that says what is
//! wrong and where.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::built_in::BUILT_IN;
use super::recipe::Recipe;
use super::sections::{SECTIONS, Section};
use crate::library::{Manifest, small_toml};
use crate::named::{nearest, unknown};
use crate::outside::read_limited;
use crate::settings::{Refusal, Takes};
use crate::text::exact;
use crate::{Error, Result};

/// Largest recipe that is read.
const MAX_RECIPE: u64 = 1 << 20;
/// Sections that are those of `library.toml`.
const OF_LIBRARY: [&str; 2] = ["base", "template"];
/// Of files with recipes.
const ENDING: &str = ".toml";

/// The recipe in a file, or one that comes along, by its name.
///
/// # Errors
/// A name that is neither; what [`parse`] says.
pub fn open(name: &Path) -> Result<Recipe> {
    let known = BUILT_IN.iter().find(|recipe| Path::new(recipe.name) == name);
    if let Some(recipe) = known.filter(|_| !name.exists()) {
        return parse(recipe.text, Path::new(&format!("{}{ENDING}", recipe.name)), Path::new(""));
    }
    let text = name.to_string_lossy();
    if !name.exists() && !text.ends_with(ENDING) && !text.contains(['/', '\\']) {
        let names = || BUILT_IN.iter().map(|recipe| recipe.name);
        let choices = format!("{}, or give a file", names().collect::<Vec<_>>().join(", "));
        return Err(unknown("recipe", text, names(), &choices));
    }
    let bytes = read_limited(name, MAX_RECIPE).map_err(|error| Error::io(name, error))?;
    let text = String::from_utf8(bytes).map_err(|_| Error::file(name, "is not UTF-8"))?;
    parse(&text, name, name.parent().unwrap_or(Path::new("")))
}

/// The recipe of this text. `file` is what errors name, and paths are relative to `folder`.
///
/// # Errors
/// What is wrong with it, with its line.
pub fn parse(text: &str, file: &Path, folder: &Path) -> Result<Recipe> {
    let at = Place { file, text };
    let table: Table = small_toml::parse(text.as_bytes()).map_err(|problem| Error::file(file, problem))?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut recipe = Recipe { file: file.into(), text: text.into(), name: stem, ..Recipe::default() };
    for (key, value) in &table {
        match value {
            Value::Table(_) if OF_LIBRARY.contains(&key.as_str()) => {}
            Value::Table(inside) => {
                let section = SECTIONS.iter().find(|section| section.name == key && !key.is_empty());
                let section = section.ok_or_else(|| at.fail(key, "", no_section(key)))?;
                inside
                    .iter()
                    .try_for_each(|(id, value)| set(&mut recipe, section, id, value, (&at, folder)))?;
            }
            _ => set(&mut recipe, &SECTIONS[0], key, value, (&at, folder))?,
        }
    }
    of_library(&mut recipe, &table, (&at, folder))?;
    Ok(recipe)
}

fn no_section(name: &str) -> String {
    let names =
        || SECTIONS.iter().map(|section| section.name).filter(|name| !name.is_empty()).chain(OF_LIBRARY);
    match nearest(name, names(), 1).as_slice() {
        [near] => format!("there is no section [{name}]; did you mean [{near}]?"),
        _ => format!("there is no section [{name}]: there are {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// Where errors are.
pub(super) struct Place<'a> {
    pub file: &'a Path,
    pub text: &'a str,
}

impl Place<'_> {
    /// An error about a setting, or about a whole section.
    pub fn fail(&self, section: &str, id: &str, problem: impl std::fmt::Display) -> Error {
        let line = line_of(self.text, section, id).map_or(String::new(), |line| format!("line {line}: "));
        Error::file(self.file, format!("{line}{problem}"))
    }
}

impl Recipe {
    /// An error about a setting of this recipe, with its line.
    pub fn fail(&self, section: &str, id: &str, problem: impl std::fmt::Display) -> Error {
        Place { file: &self.file, text: &self.text }.fail(section, id, problem)
    }
}

/// The line on which a setting stands, counted from 1: that of its section where it is not found.
fn line_of(text: &str, section: &str, id: &str) -> Option<usize> {
    let (mut inside, mut heading) = (section.is_empty(), None);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.trim() == section;
            if inside {
                heading = Some(number + 1);
            }
        } else if inside && !id.is_empty() {
            let key = line.split('=').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            if key == id && line.contains('=') {
                return Some(number + 1);
            }
        }
    }
    heading
}

/// Takes a value of the file for a setting.
fn set(
    recipe: &mut Recipe,
    section: &Section,
    id: &str,
    value: &Value,
    (at, folder): (&Place<'_>, &Path),
) -> Result<()> {
    let shown = if section.name.is_empty() { id.to_string() } else { format!("[{}] {id}", section.name) };
    let known = section.entries().iter().find(|entry| entry.id() == id);
    let Some((entry, option)) = known.and_then(|entry| Some((entry, entry.option()?))) else {
        let names = || section.entries().iter().map(|entry| entry.id());
        let near = match nearest(id, names(), 1).as_slice() {
            [near] => format!("; did you mean {near}?"),
            _ => format!(": there are {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(at.fail(section.name, id, format!("there is no setting {shown}{near}")));
    };
    let fail = |wanted: &str| at.fail(section.name, id, format!("{shown} must be {wanted}"));
    let refused = |refusal: &Refusal, given: &str| at.fail(section.name, id, refusal.of(&shown, given));
    match option.takes {
        // TOML has words of its own for these.
        Takes::Nothing(_) if !value.is_bool() => return Err(fail("true or false")),
        Takes::Path | Takes::Paths => {
            let paths = texts(value).ok_or_else(|| fail("a path, or a list of paths"))?;
            let paths: Vec<PathBuf> =
                paths.iter().map(|path| folder.join(crate::settings::path_of(path))).collect();
            entry.set_paths(recipe, paths);
        }
        Takes::Names => {
            let names = texts(value).ok_or_else(|| fail("a list of names"))?;
            entry.set(recipe, &names.join(",")).map_err(|refusal| refused(&refusal, ""))?;
        }
        _ => {
            let text = text_of(value).ok_or_else(|| fail("one value"))?;
            let shown = value.as_str().map_or_else(|| value.to_string(), String::from);
            entry.set(recipe, &text).map_err(|refusal| refused(&refusal, &shown))?;
        }
    }
    Ok(())
}

/// One text, or several.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => values.iter().map(|value| value.as_str().map(String::from)).collect(),
        _ => None,
    }
}

/// A value as it would be typed.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(exact(*number)),
        Value::Boolean(on) => Some(if *on { "yes" } else { "no" }.into()),
        Value::Array(values) => {
            let texts: Option<Vec<String>> = values.iter().map(text_of).collect();
            Some(texts?.join(", "))
        }
        _ => None,
    }
}

/// Takes `[base]` and `[template]`, which are checked as those of a library.
fn of_library(recipe: &mut Recipe, table: &Table, (at, folder): (&Place<'_>, &Path)) -> Result<()> {
    for section in OF_LIBRARY {
        let Some(value) = table.get(section) else { continue };
        let alone = Table::from_iter([(section.to_string(), value.clone())]);
        let text = toml::to_string(&alone).map_err(|error| at.fail(section, "", error))?;
        let manifest = Manifest::parse(&text).map_err(|error| {
            // Its line would be one of that text.
            let said = error.to_string();
            let problem =
                said.strip_prefix(Manifest::FILE).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&said);
            let problem = match problem.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
                Some((_, problem)) => format!("[{section}] {problem}"),
                None => problem.to_string(),
            };
            at.fail(section, "", problem)
        })?;
        recipe.base = manifest.base.or(recipe.base.take());
        recipe.template = manifest.template.or(recipe.template.take());
    }
    if let Some(path) = recipe.base.as_mut().and_then(|base| base.path.as_mut()) {
        *path = folder.join(&*path);
    }
    Ok(())
}

/// The text of a recipe with whole paths, so that it means the same from anywhere.
///
/// # Errors
/// When there is no working directory.
pub(super) fn with_whole_paths(recipe: &Recipe) -> Result<String> {
    let mut table: Table =
        small_toml::parse(recipe.text.as_bytes()).map_err(|problem| Error::file(&recipe.file, problem))?;
    let is_file = recipe.file.is_file();
    let folder = recipe.file.parent().filter(|_| is_file).unwrap_or(Path::new("")).to_path_buf();
    let whole = |text: &mut String| -> Result<()> {
        let path = folder.join(crate::settings::path_of(text));
        let path = std::path::absolute(&path).map_err(|error| Error::io(&path, error))?;
        *text = path.canonicalize().unwrap_or(path).display().to_string();
        Ok(())
    };
    for section in SECTIONS.iter().filter(|section| !section.name.is_empty()) {
        let Some(Value::Table(inside)) = table.get_mut(section.name) else { continue };
        let options = section.entries().iter().filter_map(|entry| Some((entry.id(), entry.option()?)));
        for (id, _) in options.filter(|(_, option)| matches!(option.takes, Takes::Path | Takes::Paths)) {
            match inside.get_mut(id) {
                Some(Value::String(text)) => whole(text)?,
                Some(Value::Array(values)) => values.iter_mut().try_for_each(|value| match value {
                    Value::String(text) => whole(text),
                    _ => Ok(()),
                })?,
                _ => {}
            }
        }
    }
    if let Some(Value::String(text)) = table.get_mut("base").and_then(|base| base.get_mut("path")) {
        whole(text)?;
    }
    toml::to_string(&table).map_err(|error| Error::msg(error.to_string()))
}
