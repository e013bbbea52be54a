//! The configurations of a dataset of the hub: of several, one is asked, as the datasets library chooses it.

use std::path::Path;

use crate::outside::read_text_of;
use crate::text::{listed, short};
use crate::yaml::{self, Node};
use crate::{Error, Result};

/// What describes a dataset.
const CARD: &str = "README.md";
/// Largest one that is read.
const MAX_CARD: u64 = 16 << 20;
/// The configuration of a dataset that names none.
const DEFAULT: &str = "default";
/// Most configurations that a message names.
const NAMED: usize = 20;

/// A configuration.
#[derive(Debug, PartialEq, Eq)]
struct Configuration {
    name: String,
    /// The one that is asked where none is named.
    is_default: bool,
}

/// The configuration of the dataset in `folder` that is asked where `wanted` is named; `None` where it has none. `file` is
/// one of its files: in a cache, the card lies with these.
///
/// # Errors
/// What says which there are: a name that there is not, no name where there are several.
pub(super) fn chosen(
    folder: &Path,
    file: &Path,
    wanted: Option<&str>,
) -> Result<std::result::Result<Option<String>, String>> {
    let within = file.ancestors().skip(1).take_while(|place| place.starts_with(folder));
    let card = within.map(|place| place.join(CARD)).filter(|card| card.is_file()).last();
    Ok(choose(&card.map_or_else(|| Ok(Vec::new()), |card| read(&card))?, wanted))
}

fn read(card: &Path) -> Result<Vec<Configuration>> {
    let text = read_text_of(card, MAX_CARD)?;
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    if lines.next().is_none_or(|line| line.trim_end() != "---") {
        return Ok(Vec::new());
    }
    let front: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
    let front = yaml::parse(&front.join("\n"))
        .map_err(|problem| Error::file(card, format!("front matter, {problem}")))?;
    let one = |node: &Node| Configuration {
        name: node.get("config_name").and_then(Node::text).unwrap_or(DEFAULT).to_string(),
        is_default: node.get("default").and_then(Node::text) == Some("true"),
    };
    Ok(front.get("configs").map(Node::list).unwrap_or_default().iter().map(one).collect())
}

fn choose(all: &[Configuration], wanted: Option<&str>) -> std::result::Result<Option<String>, String> {
    let names: Vec<String> = all.iter().take(NAMED).map(|one| short(&one.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if let Some(wanted) = wanted {
        return match all.iter().any(|one| one.name == wanted) {
            true => Ok(Some(wanted.to_string())),
            false if all.is_empty() && wanted == DEFAULT => Ok(None),
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
    let default =
        all.iter().find(|one| one.is_default).or_else(|| all.iter().find(|one| one.name == DEFAULT));
    match (all, default) {
        ([], _) => Ok(None),
        ([one], _) | (_, Some(one)) => Ok(Some(one.name.clone())),
        _ => Err(format!(
            "dataset_name is missing: its data have several configurations, name one of {}",
            listed(&names, "and")
        )),
    }
}
