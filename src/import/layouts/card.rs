//! A dataset of the hub: its card, `README.md`, names configurations and patterns of files for their splits.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::found::{Found, Piece, name_of};
use super::walk::{self, Below};
use super::{Layout, glob, plain};
use crate::import::splits::Split;
use crate::outside::read_text_of;
use crate::text::{counted, printable, short};
use crate::yaml::{self, Node};
use crate::{Error, Result};

pub(super) const LAYOUT: Layout = Layout {
    name: "dataset card",
    help: "A dataset of the hub: `configs` in the front matter of `README.md`, else the names of its files",
    is: |folder| folder.join(CARD).is_file(),
    find,
};

const CARD: &str = "README.md";
/// Longest card.
const MAX_CARD: u64 = 16 << 20;
/// Most configurations that a message names.
const NAMED: usize = 20;
/// Longest front matter.
const MAX_FRONT: usize = 1 << 20;

fn find(folder: &Path, configs: &[String]) -> Result<Found> {
    let path = folder.join(CARD);
    let text = read_text_of(&path, MAX_CARD)?;
    let front = front_matter(&text).map_err(|problem| Error::file(&path, problem))?;
    let walked = walk::walk(folder)?;
    let files = walked.files;
    let mut found =
        Found { name: name_of(folder), licence: licence(&front), unread: walked.unread, ..Found::default() };
    let described = front.get("configs").map(Node::list).unwrap_or_default();
    let unknown =
        |name: &&String| !described.is_empty() && described.iter().all(|other| config_name(other) != **name);
    if let Some(name) = configs.iter().find(unknown) {
        let names: Vec<String> =
            described.iter().take(NAMED).map(|config| short(config_name(config))).collect();
        let problem = format!("has no configuration \"{}\"; it has {}", short(name), names.join(", "));
        return Err(Error::file(&path, problem));
    }
    let wanted =
        |config: &&Node| configs.is_empty() || configs.iter().any(|name| name == config_name(config));
    for config in described.iter().filter(wanted) {
        let pieces = pieces(config, &files).map_err(|problem| Error::file(&path, problem))?;
        found.pieces.extend(pieces);
    }
    if !described.is_empty() && configs.is_empty() {
        let named: HashSet<&Path> = found.pieces.iter().map(|piece| piece.path.as_path()).collect();
        let others: Vec<&Below> = files.iter().filter(|file| !named.contains(file.path.as_path())).collect();
        let why = "no configuration of the card names it: add it there, or import it by itself";
        let one = |file: &&Below| format!("not read: {}: {why}", printable(&file.path.to_string_lossy()));
        found.unread.extend(others.iter().take(NAMED).map(one));
        let more = others.len().saturating_sub(NAMED);
        found
            .unread
            .extend((more > 0).then(|| format!("not read: {} more like that", counted(more, "file"))));
    }
    if described.is_empty() {
        found.pieces = files.iter().map(plain::piece).collect::<Result<_>>()?;
    }
    for piece in &mut found.pieces {
        piece.classes = classes(&front, piece.config.as_deref().or(piece.group.as_deref()));
    }
    Ok(found)
}

/// A configuration that a card describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Of one that has none, [`Self::DEFAULT`].
    pub name: String,
    /// Whether it is the one that is read where none is named.
    pub is_default: bool,
}

impl Configuration {
    /// The one that has no name.
    pub const DEFAULT: &str = "default";
}

/// The configurations that the card in `folder` describes, in its order; `None` where there is no card.
///
/// # Errors
/// A card that cannot be read, or whose front matter is no YAML.
pub fn configurations(folder: &Path) -> Result<Option<Vec<Configuration>>> {
    if !(LAYOUT.is)(folder) {
        return Ok(None);
    }
    let path = folder.join(CARD);
    let front =
        front_matter(&read_text_of(&path, MAX_CARD)?).map_err(|problem| Error::file(&path, problem))?;
    let one = |config: &Node| Configuration {
        name: config_name(config).to_string(),
        is_default: config.get("default").and_then(Node::text) == Some("true"),
    };
    Ok(Some(front.get("configs").map(Node::list).unwrap_or_default().iter().map(one).collect()))
}

/// What stands between the first two lines of `---`.
fn front_matter(text: &str) -> std::result::Result<Node, String> {
    let text = text.trim_start_matches('\u{feff}');
    let lines: Vec<&str> = text.lines().collect();
    if lines.first().is_none_or(|line| line.trim_end() != "---") {
        return Ok(Node::Map(Vec::new()));
    }
    let end = lines.iter().skip(1).position(|line| line.trim_end() == "---");
    let end = end.ok_or("the front matter has no end: close it with a line of ---")?;
    let front = lines.get(1..=end).unwrap_or_default().join("\n");
    if front.len() > MAX_FRONT {
        return Err("the front matter is longer than 1 MiB".into());
    }
    yaml::parse(&front).map_err(|problem| format!("front matter, {problem}"))
}

fn licence(front: &Node) -> Option<String> {
    let node = front.get("license")?;
    let texts: Vec<&str> =
        node.list().iter().filter_map(Node::text).filter(|text| !text.is_empty()).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// The names of classes by column that `dataset_info` has for a configuration; one that is described alone is meant
/// whatever it is called. `features` is a list of `{name: COLUMN, dtype: {class_label: {names: {"0": …, "1": …}}}}`.
fn classes(front: &Node, config: Option<&str>) -> HashMap<String, Vec<String>> {
    let infos = front.get("dataset_info").map(Node::list).unwrap_or_default();
    let info = match infos {
        [only] => Some(only),
        several => several.iter().find(|info| config_name(info) == config.unwrap_or(Configuration::DEFAULT)),
    };
    let features = info.and_then(|info| info.get("features")).map(Node::list).unwrap_or_default();
    let of = |feature: &Node| -> Option<(String, Vec<String>)> {
        let column = feature.get("name")?.text()?.to_string();
        let names = feature.get("dtype")?.get("class_label")?.get("names")?;
        let Node::Map(fields) = names else {
            let names: Option<Vec<String>> =
                names.list().iter().map(|name| name.text().map(String::from)).collect();
            return Some((column, names?));
        };
        let mut numbered: Vec<(usize, String)> = fields
            .iter()
            .map(|(number, name)| Some((number.parse().ok()?, name.text()?.to_string())))
            .collect::<Option<_>>()?;
        numbered.sort();
        let is_whole = numbered.iter().enumerate().all(|(at, (number, _))| at == *number);
        is_whole.then(|| (column, numbered.into_iter().map(|(_, name)| name).collect()))
    };
    features.iter().filter_map(of).collect()
}

fn config_name(config: &Node) -> &str {
    config.get("config_name").and_then(Node::text).unwrap_or(Configuration::DEFAULT)
}

/// The files of a configuration: `data_files` is a pattern, a list of them, a list of splits with `path`, or a map from
/// splits to patterns; `data_dir` is a folder of files.
fn pieces(config: &Node, files: &[Below]) -> std::result::Result<Vec<Piece>, String> {
    let name = config_name(config).to_string();
    let shown = short(&name);
    let under = config.get("data_dir").and_then(Node::text).map(|dir| dir.trim_matches('/').to_string());
    let mut groups: Vec<(Option<String>, Vec<String>)> = Vec::new();
    let texts = |node: &Node| node.list().iter().filter_map(Node::text).map(String::from).collect::<Vec<_>>();
    match config.get("data_files") {
        Some(Node::Map(splits)) => {
            groups.extend(splits.iter().map(|(split, node)| (Some(split.clone()), texts(node))))
        }
        Some(node) => {
            for entry in node.list() {
                let split = entry.get("split").and_then(Node::text).map(String::from);
                match entry.get("path") {
                    Some(paths) => groups.push((split, texts(paths))),
                    None => groups.push((None, texts(entry))),
                }
            }
        }
        None => groups.push((None, vec!["**".into()])),
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for (split_name, patterns) in groups {
        for text in patterns {
            let full = match under.as_deref().filter(|dir| !dir.is_empty()) {
                Some(dir) => format!("{dir}/{text}"),
                None => text.clone(),
            };
            let pattern = glob::pattern(&full).map_err(|problem| {
                format!("configuration \"{shown}\": the pattern \"{}\" {problem}", short(&text))
            })?;
            let (before, mut is_there) = (pieces.len(), false);
            for file in files.iter().filter(|file| pattern.is_match(&file.relative())) {
                is_there = true;
                if pieces.iter().any(|piece| piece.path == file.path) {
                    continue;
                }
                let mut piece = plain::piece(file).map_err(|e| e.to_string())?;
                piece.config = Some(name.clone());
                piece.group = None;
                if let Some(name) = &split_name {
                    piece.split = Split::in_name(name);
                    piece.split_names = vec![name.clone()];
                    // A split of its own is a task of its own.
                    piece.group = piece.split.is_none().then(|| name.clone());
                }
                pieces.push(piece);
            }
            if pieces.len() == before {
                let text = short(&text);
                if is_there {
                    return Err(format!(
                        "configuration \"{shown}\": all files that \"{text}\" matches belong to what stands before it: \
                         name each file for one split"
                    ));
                }
                return Err(format!(
                    "configuration \"{shown}\": no file of a known kind matches \"{text}\": download them, or choose \
                     others with --config"
                ));
            }
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(card: &str, files: &[&str]) -> (tempfile::TempDir, Result<Found>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CARD), card).unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{\"prompt\":\"a\",\"completion\":\"b\"}\n").unwrap();
        }
        let found = find(folder.path(), &[]);
        (folder, found)
    }

    fn listed(found: &Found) -> Vec<(Option<&str>, Option<Split>, Option<&str>)> {
        found.pieces.iter().map(|p| (p.config.as_deref(), p.split, p.group.as_deref())).collect()
    }

    #[test]
    fn configurations_name_files_by_split() {
        let card = "---\nlicense:\n- mit\n- apache-2.0\nconfigs:\n- config_name: en\n  data_files:\n  - split: train\n    path: en/train-*\n  - split: dev\n    path: [en/dev.jsonl]\n- config_name: fr\n  data_files: \"fr/*.jsonl\"\n- config_name: maps\n  data_files:\n    test: maps/a.jsonl\n    extra: maps/b.jsonl\n---\n# Text\n";
        let files = [
            "en/train-0.jsonl",
            "en/dev.jsonl",
            "fr/test.jsonl",
            "maps/a.jsonl",
            "maps/b.jsonl",
            "other.jsonl",
        ];
        let (_folder, found) = dataset(card, &files);
        let found = found.unwrap();
        assert_eq!(found.licence.as_deref(), Some("mit, apache-2.0"));
        let (train, validation, test) = (Some(Split::Train), Some(Split::Validation), Some(Split::Test));
        let expected = [
            (Some("en"), train, None),
            (Some("en"), validation, None),
            (Some("fr"), test, None),
            (Some("maps"), test, None),
            (Some("maps"), None, Some("extra")),
        ];
        assert_eq!(listed(&found), expected);
        // What no configuration has is said.
        let unread = &found.unread;
        assert!(unread.len() == 1 && unread[0].contains("other.jsonl: no configuration"), "{unread:?}");
    }

    #[test]
    fn classes_have_their_names() {
        let of = |front: &str, config: Option<&str>| {
            let node = yaml::parse(front).unwrap();
            let mut found: Vec<_> = classes(&node, config).into_iter().collect();
            found.sort();
            found
                .into_iter()
                .map(|(column, names)| format!("{column}={}", names.join("|")))
                .collect::<Vec<_>>()
        };
        let feature = |pad: &str, names: &str| {
            format!(
                "{pad}features:\n{pad}- name: text\n{pad}  dtype: string\n{pad}- name: label\n{pad}  dtype:\n{pad}    class_label:\n{pad}      names:\n{names}"
            )
        };
        let numbered = feature("  ", "          '1': pos\n          '0': neg\n");
        assert_eq!(of(&format!("dataset_info:\n{numbered}"), Some("any")), ["label=neg|pos"]);
        let listed = feature("  ", "        - neg\n        - pos\n");
        assert_eq!(of(&format!("dataset_info:\n{listed}"), None), ["label=neg|pos"]);
        let two = format!("dataset_info:\n- config_name: a\n{numbered}- config_name: b\n");
        assert_eq!(of(&two, Some("a")), ["label=neg|pos"]);
        assert!(of(&two, Some("b")).is_empty() && of(&two, None).is_empty());
        // A number without a name.
        let gap = feature("  ", "          '0': neg\n          '2': pos\n");
        assert!(of(&format!("dataset_info:\n{gap}"), None).is_empty());
    }

    #[test]
    fn without_configurations_names_count() {
        for card in ["# Only text\n", "---\nlicense: mit\n---\n"] {
            let (_folder, found) = dataset(card, &["a_train.jsonl", "a_test.jsonl"]);
            assert_eq!(listed(&found.unwrap()).len(), 2);
        }
    }

    #[test]
    fn what_is_wrong_with_a_card_is_said() {
        let problem = |front: &str| {
            let (_folder, found) = dataset(&format!("---\n{front}\n---\n"), &["a.jsonl"]);
            found.unwrap_err().to_string()
        };
        assert!(problem("configs:\n- data_files: ../x.jsonl").contains("leads out"));
        assert!(problem("configs:\n- data_files: b.jsonl").contains("matches \"b.jsonl\""));
        let twice =
            "configs:\n- data_files:\n  - split: train\n    path: a.jsonl\n  - split: test\n    path: \"a*\"";
        assert!(problem(twice).contains("\"a*\" matches belong to what stands before it"));
        assert!(problem("a: [").contains("front matter, line"));
        let (_folder, found) = dataset("---\na: b\n", &["a.jsonl"]);
        assert!(found.unwrap_err().to_string().contains("no end"));
    }
}
