//! A directory of experts of one base model.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::base_consistency;
use super::formats::BaseTraits;
use super::inspect::inspect;
use super::scan::{Fingerprint, fingerprint, scan};
use super::state_dir::{can_write, state_dir};
use super::{BaseShape, Expert, Manifest, Skipped};
use crate::named::{find_name, nearest};
use crate::text::typed_path;
use crate::{Cancel, Error, Result};

/// A directory of experts of one base model.
#[derive(Clone, Debug, Default)]
pub struct Library {
    /// Its folder.
    pub root: PathBuf,
    /// `library.toml`, or defaults.
    pub manifest: Manifest,
    /// Sorted by the bytes of their names; bad ones are here too, with their reason.
    pub experts: Vec<Expert>,
    /// Things worth knowing about the library as a whole, each one line, untrusted.
    pub warnings: Vec<String>,
    /// The one of the warnings that says which experts were made for another base model than the others.
    pub misfits: Option<String>,
}

impl Library {
    /// Reads a library: every adapter at depth ≤ 3, a folder with an `adapter_config.json` (PEFT, MLX-LM) or
    /// an `mttl_config.json`, or a file `*.gguf` (llama.cpp's LoRA) or `*.ckpt` (mttl). A folder that is
    /// itself an adapter is a library of one, and so is such a file; folders of adapters directly below an adapter count
    /// too. Only configurations and tensor headers are read.
    ///
    /// Experts that need their base model wait for [`Self::use_base`]: [`crate::catalog::Catalog`] finds it.
    ///
    /// Where the sizes of the experts' layers contradict each other, those of the fewest get their
    /// [`Expert::misfit`]; of equally many those whose base model is at hand stay, else the first.
    ///
    /// # Errors
    /// When `path` is no folder or cannot be listed, or `library.toml` is wrong. A bad expert is no
    /// error but an expert with [`super::Status::Bad`].
    pub fn open(path: &Path) -> Result<Self> {
        let found = scan(path)?;
        let manifest = if path.is_file() { Manifest::default() } else { Manifest::read(path)? };
        let mut library = Self {
            root: path.to_path_buf(),
            manifest,
            experts: found.experts,
            warnings: found.warnings,
            misfits: None,
        };
        library.recall_not_finite();
        library.agree_on_base();
        Ok(library)
    }

    /// Compares the sizes of the experts' layers with each other: those of the fewest get their misfit.
    fn agree_on_base(&mut self) {
        self.forget_misfits();
        let base = self.manifest.base.as_ref();
        self.misfits = base_consistency::keep_majority(&mut self.experts, &self.root, base);
        self.warnings.extend(self.misfits.clone());
    }

    fn forget_misfits(&mut self) {
        let before = self.misfits.take();
        self.warnings.retain(|warning| Some(warning) != before.as_ref());
        self.experts.iter_mut().for_each(|expert| {
            expert.set_misfit(None);
            expert.set_lacking(None);
        });
    }

    /// Looks again at the experts that depend on the base model, now that this one is chosen: on its heads, by
    /// which llama.cpp reorders attention rows, or on whether its head is its embedding, which MLX-LM's LoRA of
    /// the embedding then adapts too, and PEFT's with `ensure_weight_tying`.
    pub fn use_base(&mut self, base: &Path) {
        if !self.experts.iter().any(Expert::depends_on_base) {
            return;
        }
        let base = BaseTraits::of(base);
        for expert in self.experts.iter_mut().filter(|expert| expert.depends_on_base()) {
            *expert = inspect(expert.path.clone(), expert.name.clone(), base);
        }
        self.recall_not_finite();
        self.agree_on_base();
    }

    /// Reads all weights of the usable experts, which opening leaves to those who need them: what cannot be read,
    /// or is NaN or infinite, makes an expert bad. Several experts are read at once, one module of each.
    ///
    /// # Errors
    /// Only a raised `cancel`.
    pub fn check_weights(&mut self, cancel: &Cancel) -> Result<()> {
        let usable = self.experts.par_iter().enumerate().filter(|(_, expert)| expert.is_usable());
        let checked = usable.map(|(at, expert)| {
            cancel.check()?;
            Ok(expert.load().and_then(|adapter| adapter.check_finite()).err().map(|error| (at, error)))
        });
        let found: Vec<(usize, Error)> = checked.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        let not_finite = found.iter().filter(|(_, error)| matches!(error, Error::NotFinite { .. }));
        let not_finite: Vec<&Expert> = not_finite.filter_map(|(at, _)| self.experts.get(*at)).collect();
        self.remember_not_finite(&not_finite);
        for (at, error) in found {
            if let Some(expert) = self.experts.get_mut(at) {
                expert.set_unreadable(error);
            }
        }
        Ok(())
    }

    /// The experts that can be used, wholly or in part.
    pub fn usable(&self) -> impl Iterator<Item = &Expert> {
        self.experts.iter().filter(|expert| expert.is_usable())
    }

    /// The bad experts, with their reason.
    pub fn bad(&self) -> Vec<Skipped> {
        let bad = self.experts.iter().filter(|expert| !expert.is_usable());
        bad.map(|expert| Skipped::new(&expert.name, expert.reason().unwrap_or_default())).collect()
    }

    /// Whether the experts contradict each other about the sizes of the base model's layers.
    pub fn is_mixed(&self) -> bool {
        self.misfits.is_some()
    }

    /// Keeps to one base model: the experts that do not fit its layers and parameters, and only those, get their
    /// [`Expert::misfit`]. Of the others is said what only the base model shows. `label` names the base model.
    pub fn keep_to(&mut self, base: &BaseShape, label: &str) {
        self.forget_misfits();
        self.misfits = base_consistency::keep_fitting(&mut self.experts, base, label);
        self.warnings.extend(self.misfits.clone());
    }

    /// The experts that belong together: usable, and made for the same base model.
    pub fn comparable(&self) -> impl Iterator<Item = &Expert> {
        self.experts.iter().filter(|expert| expert.incomparable().is_none())
    }

    /// The experts that are bad or made for another base model than the others.
    pub fn incomparable(&self) -> Vec<Skipped> {
        let row = |expert: &Expert| Some(Skipped::new(&expert.name, expert.incomparable()?));
        self.experts.iter().filter_map(row).collect()
    }

    /// The expert with this name, which may be bad. A name may also be written as it is printed, with its
    /// control characters escaped.
    ///
    /// # Errors
    /// For an unknown name, with the nearest known ones.
    pub fn expert(&self, name: &str) -> Result<&Expert> {
        let trimmed = name.trim_end_matches('/');
        let names = || self.experts.iter().map(|expert| expert.name.as_str());
        let found = find_name(names(), name).or_else(|| find_name(names(), trimmed));
        found.and_then(|at| self.experts.get(at)).ok_or_else(|| {
            let near = nearest(name, names(), 3);
            let hint = match near.as_slice() {
                [] => format!("`lora-tui ls {}` lists them", typed_path(&self.root)),
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

    /// Where its derived data and jobs live: see [`state_dir`].
    ///
    /// # Errors
    /// As [`state_dir`].
    pub fn state_dir(&self) -> Result<PathBuf> {
        state_dir(&self.root)
    }

    /// Whether new experts can be written into the library.
    pub fn is_writable(&self) -> bool {
        can_write(&self.root)
    }

    /// How the library at `path` stands on disk: from names, sizes and times only.
    pub fn fingerprint(path: &Path) -> Fingerprint {
        fingerprint(path)
    }
}
