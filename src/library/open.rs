//! A directory of experts of one base model.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::files::{builder, hex};
use super::scan::{fingerprint, scan};
use super::{Expert, Manifest, nearest};
use crate::{Error, Result};

/// Folder for derived data inside a library.
pub(super) const STATE: &str = ".lora-tui";

/// A directory of experts of one base model.
#[derive(Clone, Debug, Default)]
pub struct Library {
    pub root: PathBuf,
    /// `library.toml`, or defaults.
    pub manifest: Manifest,
    /// Sorted by the bytes of their names; bad ones are here too, with their reason.
    pub experts: Vec<Expert>,
    /// Things worth knowing about the library as a whole, each one line, untrusted.
    pub warnings: Vec<String>,
}

impl Library {
    /// Reads a library: every folder at depth ≤ 3 with an `adapter_config.json`. A folder that is itself
    /// an adapter is a library of one. Only configurations and tensor headers are read.
    ///
    /// # Errors
    /// When `path` is no folder or cannot be listed, or `library.toml` is wrong. A bad expert is no
    /// error but an expert with [`super::Status::Bad`].
    pub fn open(path: &Path) -> Result<Self> {
        let mut found = scan(path)?;
        let manifest = Manifest::read(path)?;
        let mut warnings = found.warnings;
        warnings.extend(mark_misfits(&mut found.experts));
        Ok(Self { root: path.to_path_buf(), manifest, experts: found.experts, warnings })
    }

    /// The experts that can be used, wholly or in part.
    pub fn usable(&self) -> impl Iterator<Item = &Expert> {
        self.experts.iter().filter(|expert| expert.is_usable())
    }

    /// The expert with this name, which may be bad.
    ///
    /// # Errors
    /// For an unknown name, with the nearest known ones.
    pub fn expert(&self, name: &str) -> Result<&Expert> {
        let trimmed = name.trim_end_matches('/');
        let found = self.experts.iter().find(|expert| expert.name == name || expert.name == trimmed);
        found.ok_or_else(|| {
            let near = nearest(name, self.experts.iter().map(|expert| expert.name.as_str()), 3);
            let hint = match near.as_slice() {
                [] => format!("`lora-tui ls {}` lists them", self.root.display()),
                near => format!("did you mean {}?", near.join(", ")),
            };
            Error::msg(format!("{}: no expert is called `{name}`; {hint}", self.root.display()))
        })
    }

    /// Name for people: the manifest's, else the folder's.
    pub fn title(&self) -> String {
        if let Some(name) = &self.manifest.name {
            return name.clone();
        }
        let real = fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        real.file_name().map_or_else(|| self.root.display().to_string(), |n| n.to_string_lossy().into_owned())
    }

    /// Where derived data and jobs live: `.lora-tui` in the library, or, when the library cannot be
    /// written, a folder of its own under the user's state directory. Created when missing.
    ///
    /// # Errors
    /// When neither can be created.
    pub fn state_dir(&self) -> Result<PathBuf> {
        state_dir(&self.root)
    }

    /// [`Self::state_dir`] of the library at `root`, without reading it.
    ///
    /// # Errors
    /// As [`Self::state_dir`].
    pub fn state_dir_at(root: &Path) -> Result<PathBuf> {
        state_dir(root)
    }

    /// Whether new experts can be written into the library.
    pub fn is_writable(&self) -> bool {
        can_write(&self.root)
    }

    /// A number that changes when the library changes on disk: from names, sizes and times only.
    pub fn fingerprint(path: &Path) -> u64 {
        fingerprint(path)
    }
}

fn can_write(folder: &Path) -> bool {
    builder(".tmp-", 0o600).tempfile_in(folder).is_ok()
}

fn state_dir(root: &Path) -> Result<PathBuf> {
    let inside = root.join(STATE);
    if fs::create_dir_all(&inside).is_ok() && can_write(&inside) {
        // Derived data has no place in version control. Without the file all else works.
        let ignore = inside.join(".gitignore");
        if !ignore.exists() {
            let _ = fs::write(&ignore, "*\n");
        }
        return Ok(inside);
    }
    let directories = directories::ProjectDirs::from("", "", "lora-tui").ok_or_else(|| {
        Error::file(root, "cannot be written, and there is no home directory to keep jobs and caches in")
    })?;
    let state = directories.state_dir().unwrap_or_else(|| directories.data_local_dir());
    let real = fs::canonicalize(root).map_err(|e| Error::io(root, e))?;
    let mut key = {
        use sha2::{Digest, Sha256};
        hex(&Sha256::digest(real.as_os_str().as_encoded_bytes()))
    };
    key.truncate(16);
    let folder = state.join("libraries").join(key);
    fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
    Ok(folder)
}

/// (in, out) features of a module.
type Size = (usize, usize);

/// Compares the sizes of the layers between the experts: those that differ from more than half of the
/// experts at some module get their [`Expert::misfit`]. The answer names all that differ from the most
/// common size, also where no size has a majority.
fn mark_misfits(experts: &mut [Expert]) -> Option<String> {
    let mut votes: HashMap<String, Vec<(Size, usize)>> = HashMap::new();
    for module in experts.iter().filter(|e| e.is_usable()).flat_map(|e| &e.modules) {
        let size = (module.in_features, module.out_features);
        match votes.get_mut(&module.module) {
            None => _ = votes.insert(module.module.clone(), vec![(size, 1)]),
            Some(sizes) => match sizes.iter_mut().find(|(known, _)| *known == size) {
                Some((_, count)) => *count += 1,
                None => sizes.push((size, 1)),
            },
        }
    }
    votes.retain(|_, sizes| sizes.len() > 1);
    // The first seen wins a tie, so that the answer does not depend on chance.
    let common: HashMap<String, (Size, bool)> = votes
        .into_iter()
        .filter_map(|(module, sizes)| {
            let all: usize = sizes.iter().map(|(_, count)| count).sum();
            let (size, count) =
                sizes.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
            Some((module, (size, 2 * count > all)))
        })
        .collect();
    let mut odd = Vec::new();
    for expert in experts.iter_mut().filter(|expert| expert.is_usable()) {
        let mut differing = expert.modules.iter().filter_map(|m| {
            let &(size, majority) = common.get(&m.module)?;
            (size != (m.in_features, m.out_features)).then_some((m, size, majority))
        });
        let Some(first) = differing.next() else { continue };
        odd.push(expert.name.clone());
        let outvoted = std::iter::once(first).chain(differing).find(|(_, _, majority)| *majority);
        expert.misfit = outvoted.map(|(m, (most_in, most_out), _)| {
            format!(
                "made for another base model than most of this library: {} is {} → {} here, {most_in} → {most_out} in most",
                m.module, m.in_features, m.out_features
            )
        });
    }
    let (first, rest) = odd.split_at(odd.len().min(3));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let shown = first.join(", ");
    (!odd.is_empty())
        .then(|| format!("made for another base model than most (layer sizes differ): {shown}{more}"))
}
