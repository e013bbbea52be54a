//! Models that lie in several files, as `llama-gguf-split` and llama.cpp's converter write them:
//! `NAME-00001-of-00003.gguf` and so on. The first part has all metadata; each has `split.no`, counted from 0,
//! `split.count` and `split.tensors.count`, and some of the tensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{GgufFile, Part};
use crate::outside::io_reason;
use crate::text::short;
use crate::{Error, Result};

/// The name of a part, parsed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PartName {
    stem: String,
    /// Counted from 1.
    number: u64,
    count: u64,
}

impl PartName {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| {
            let plain = text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        };
        let (number, count) = (digits(number)?, digits(count)?);
        (1..=count).contains(&number).then(|| Self { stem: stem.to_string(), number, count })
    }

    fn file_name(&self, number: u64) -> String {
        format!("{}-{number:05}-of-{:05}.gguf", self.stem, self.count)
    }
}

/// The first part of the model that a file is a part of by its name, if it is there; else the file.
pub(crate) fn first_part(path: &Path) -> PathBuf {
    let first = PartName::of(path).map(|name| path.with_file_name(name.file_name(1)));
    first.filter(|first| first.is_file()).unwrap_or_else(|| path.to_path_buf())
}

/// All parts of the model that a file is a part of by its name, if they are there; else the file.
pub(crate) fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = PartName::of(path)
        .map(|name| (1..=name.count).map(|n| path.with_file_name(name.file_name(n))).collect::<Vec<_>>());
    parts.filter(|parts| parts.iter().all(|part| part.is_file())).unwrap_or_else(|| vec![path.to_path_buf()])
}

/// The GGUF model in a folder: its file, or the first of its parts; `None` where there is none.
///
/// # Errors
/// Where there are several.
pub(crate) fn model_in(folder: &Path) -> Result<Option<PathBuf>> {
    // By stem and count for parts, so that those of one model are one entry.
    let mut models: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".gguf") || name.starts_with('.') || !path.is_file() {
            continue;
        }
        let key = PartName::of(&path).map_or(name, |part| part.file_name(1));
        models.entry(key).and_modify(|known| *known = path.clone().min(known.clone())).or_insert(path);
    }
    if models.len() > 1 {
        let some: Vec<String> = models.keys().take(3).map(|name| short(name)).collect();
        let more = if models.len() > some.len() { ", …" } else { "" };
        let problem = format!("has several .gguf models ({}{more}): give one of them", some.join(", "));
        return Err(Error::file(folder, problem));
    }
    Ok(models.into_values().next())
}

impl GgufFile {
    /// Reads the headers of a model: of one file, or of all parts if the file is one of several. The metadata
    /// are the first part's.
    ///
    /// # Errors
    /// As [`GgufFile::open`]; parts that are missing, damaged, or of another model.
    pub fn open_model(path: &Path) -> Result<Self> {
        let given = Self::open(path)?;
        let Some((number, count)) = given.part_number()? else { return Ok(given) };
        let Some(name) = PartName::of(path).filter(|n| (n.number, n.count) == (number, count)) else {
            return Err(given.error(format!(
                "is part {number} of {count} of a model, so its name must end in \
                 -{number:05}-of-{count:05}.gguf, and so must the others': give them their names back"
            )));
        };
        let total = given.scalar("split.tensors.count").and_then(|n| n.as_u64());
        let open = |wanted: u64| {
            let path = path.with_file_name(name.file_name(wanted));
            if let Err(e) = std::fs::metadata(&path) {
                let reason = io_reason(&e);
                let problem = format!(
                    "{reason}, but is part {wanted} of {count} of the model: fetch it, and put it beside the others"
                );
                return Err(Error::file(&path, problem));
            }
            let part = Self::open(&path)?;
            match part.part_number()? == Some((wanted, count)) {
                true => Ok(part),
                false => {
                    let problem =
                        format!("is not part {wanted} of {count}, as its name says: fetch it again");
                    Err(part.error(problem))
                }
            }
        };
        let mut model = if number == 1 { given } else { open(1)? };
        for wanted in 2..=count {
            model.add(open(wanted)?);
        }
        model.tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let mut pairs = model.tensors.iter().zip(model.tensors.iter().skip(1));
        if let Some((a, b)) = pairs.find(|(a, b)| a.name == b.name) {
            let other = model.part(a).path.display();
            let problem =
                format!("has tensor {}, which {other} has too: fetch the model again", short(&a.name));
            return Err(Error::file(&model.part(b).path, problem));
        }
        let found = model.tensors.len() as u64;
        if let Some(total) = total.filter(|&total| total != found) {
            return Err(model.error(format!(
                "and the other parts have {found} tensors, split.tensors.count says {total}: fetch the model again"
            )));
        }
        Ok(model)
    }

    /// (number from 1, count), if it is a part of a model.
    fn part_number(&self) -> Result<Option<(u64, u64)>> {
        let number = |key: &str| self.scalar(key).and_then(|n| n.as_u64());
        match (number("split.no"), number("split.count")) {
            (_, None | Some(0 | 1)) => Ok(None),
            (Some(no), Some(count)) if no < count => Ok(Some((no + 1, count))),
            (_, Some(count)) => {
                let problem =
                    format!("is damaged: it says that it is one of {count} parts, but not which one");
                Err(self.error(problem))
            }
        }
    }

    /// Takes over a part's tensors.
    fn add(&mut self, part: Self) {
        let Self { first, tensors, .. } = part;
        self.others.push(Part { path: first.path, file: first.file });
        let index = self.others.len() as u32;
        self.tensors.extend(tensors.into_iter().map(|tensor| super::GgufTensor { part: index, ..tensor }));
    }
}
