//! The configurations of a dataset of the hub: of several, one is asked, as the datasets library chooses it.

use std::path::Path;

use crate::Result;
use crate::import::{Configuration, configurations_of};
use crate::text::{listed, short};

/// Most configurations that a message names.
const NAMED: usize = 20;

/// The configuration of the dataset in `folder` that is asked where `wanted` is named; `None` where it has none.
///
/// # Errors
/// What says which there are: a name that there is not, no name where there are several.
pub(super) fn chosen(
    folder: &Path,
    wanted: Option<&str>,
) -> Result<std::result::Result<Option<String>, String>> {
    Ok(choose(&configurations_of(folder)?.unwrap_or_default(), wanted))
}

fn choose(all: &[Configuration], wanted: Option<&str>) -> std::result::Result<Option<String>, String> {
    let names: Vec<String> = all.iter().take(NAMED).map(|one| short(&one.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if let Some(wanted) = wanted {
        return match all.iter().any(|one| one.name == wanted) {
            true => Ok(Some(wanted.to_string())),
            false if all.is_empty() && wanted == Configuration::DEFAULT => Ok(None),
            false if all.is_empty() => Err(format!(
                "dataset_name {} is none of its data: they have no configurations, leave it out",
                short(wanted)
            )),
            false => Err(format!(
                "dataset_name {} is none of its data: there is {}",
                short(wanted),
                listed(&names, "and")
            )),
        };
    }
    let default = all
        .iter()
        .find(|one| one.is_default)
        .or_else(|| all.iter().find(|one| one.name == Configuration::DEFAULT));
    match (all, default) {
        ([], _) => Ok(None),
        ([one], _) | (_, Some(one)) => Ok(Some(one.name.clone())),
        _ => Err(format!(
            "dataset_name is missing: its data have several configurations, name one of {}",
            listed(&names, "and")
        )),
    }
}
