//! A library together with its base model: the one way to open a library for work.
//!
//! The base model is looked for when it is first asked for, and kept once it is found: functions below take the
//! catalog, not the path of a base model.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::library::{
    BaseLocation, BaseSpec, Expert, FetchProgress, Library, fetch_base, locate_base, locate_described,
    names_base,
};
use crate::model::{ModelFiles, base_shape};
use crate::outside::write_refusal;
use crate::{Cancel, Error, Result};

/// What a catalog is read from, once or whenever it changes on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The library's folder.
    pub root: PathBuf,
    /// The base model that the person chose (`--base`).
    pub base: Option<PathBuf>,
}

/// A library whose experts are judged by its base model, and where that base model is.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The library.
    pub library: Library,
    /// Why no expert can be written into it, where that is known.
    pub read_only: Option<String>,
    source: Arc<Source>,
    /// The base model, once it was found.
    found: Mutex<Option<(PathBuf, String)>>,
}

impl Deref for Catalog {
    type Target = Library;

    fn deref(&self) -> &Library {
        &self.library
    }
}

/// A library as it is, without a chosen base model.
impl From<Library> for Catalog {
    fn from(library: Library) -> Self {
        Self { library, ..Self::default() }
    }
}

impl Catalog {
    /// Opens a library for a base model: the one that is given (`--base`), else the one of `library.toml` where the
    /// experts contradict each other and it is on this machine, else the one that most experts agree on (see
    /// [`Library::open`]). Experts that do not fit have their [`crate::library::Expert::misfit`].
    ///
    /// # Errors
    /// As [`Library::open`]; when the given base is no readable model.
    pub fn open(path: &Path, base: Option<&Path>) -> Result<Self> {
        Self::read(Arc::new(Source { root: path.to_path_buf(), base: base.map(Path::to_path_buf) }))
    }

    fn read(source: Arc<Source>) -> Result<Self> {
        let library = Library::open(&source.root)?;
        let mut catalog = Self { source, ..Self::from(library) };
        catalog.judge()?;
        Ok(catalog)
    }

    /// Opens a library to be looked at, also when a given base model cannot be read. What is wrong with the base model
    /// is reported when it is asked for.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn look(source: &Arc<Source>) -> Result<Self> {
        let mut catalog = Self::read(source.clone()).or_else(|_| {
            let catalog = Self::open(&source.root, None)?;
            Ok::<_, Error>(Self { source: source.clone(), ..catalog })
        })?;
        catalog.read_only = write_refusal(&source.root);
        Ok(catalog)
    }

    /// Looks at the experts with the base model in mind, where it was chosen or they need it.
    fn judge(&mut self) -> Result<()> {
        let library = &self.library;
        if self.source.base.is_none() && library.experts.iter().any(Expert::depends_on_base) {
            // Which one it is follows from the other experts: it is not settled before these are judged.
            if let Ok(BaseLocation::Found { path, .. }) = self.locate() {
                self.library.use_base(&path);
            }
        }
        let contested = self.library.is_mixed() && self.library.manifest.base.is_some();
        if self.source.base.is_none() && !contested {
            return Ok(());
        }
        let judged = match self.base() {
            Ok(BaseLocation::Found { path, label }) => {
                self.library.use_base(&path);
                base_shape(&path).map(|shape| self.library.keep_to(&shape, &label))
            }
            Ok(BaseLocation::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        };
        // Not readable: unless it was asked for, a matter of whoever runs it, not of looking at experts.
        if self.source.base.is_some() { judged } else { Ok(()) }
    }

    /// Compares the experts with the base model that they would run on, where it is on this machine and can be read: those
    /// that do not fit have their [`crate::library::Expert::misfit`], and what only the base model shows of the others is
    /// said. Opening with a given base model has done it.
    pub fn compare_with_base(&mut self) {
        if self.source.base.is_none()
            && let Ok(BaseLocation::Found { path, label }) = self.base()
            && let Ok(shape) = base_shape(&path)
        {
            self.library.use_base(&path);
            self.library.keep_to(&shape, &label);
        }
    }

    /// Compares the copies of the base model's weights that experts have with these, where the base model is on this
    /// machine and can be read; an expert whose copies differ says so, and one whose copies cannot be read is bad.
    /// Reads the copies of the experts that `wanted` says, which opening does not.
    pub fn compare_copies(&mut self, wanted: impl Fn(&Expert) -> bool) {
        let copied = |expert: &Expert| {
            expert.is_usable() && expert.replaced.iter().any(|replaced| replaced.copy) && wanted(expert)
        };
        if !self.library.experts.iter().any(copied) {
            return;
        }
        let Ok(files) = self.base_here().and_then(|path| ModelFiles::open(&path)) else { return };
        for expert in self.library.experts.iter_mut().filter(|expert| copied(expert)) {
            match differing(expert, &files) {
                Ok(copies) => expert.set_differing(&copies),
                Err(error) => expert.set_unreadable(error),
            }
        }
    }

    /// Whether an expert names the base model of the library, which is on this machine, as its own.
    pub fn is_base_of(&self, expert: &Expert) -> bool {
        let named = |path: &Path| names_base(expert, &self.library.root, path);
        self.base_here().is_ok_and(|path| named(&path))
    }

    fn locate(&self) -> Result<BaseLocation> {
        let Library { root, manifest, experts, .. } = &self.library;
        locate_base(root, manifest.base.as_ref(), experts, self.source.base.as_deref())
    }

    /// The base model that the person chose, if one was: what commands and jobs pass on as `--base`.
    pub fn chosen_base(&self) -> Option<&Path> {
        self.source.base.as_deref()
    }

    /// The base model, looked for without touching the network. Once found it stays; a missing one is looked for
    /// again, since it may have been fetched meanwhile.
    ///
    /// # Errors
    /// As [`locate_base`].
    pub fn base(&self) -> Result<BaseLocation> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, label)) = found.clone() {
            return Ok(BaseLocation::Found { path, label });
        }
        let location = self.locate()?;
        if let BaseLocation::Found { path, label } = &location {
            *found = Some((path.clone(), label.clone()));
        }
        Ok(location)
    }

    /// The base model's name for people, on this machine or not; nothing where none fits.
    pub fn base_label(&self) -> Option<String> {
        match self.base().ok()? {
            BaseLocation::Found { label, .. } | BaseLocation::Missing { label, .. } => Some(label),
        }
    }

    /// Where the base model is on this machine.
    ///
    /// # Errors
    /// As [`Self::base`]; when it is not on this machine.
    pub fn base_here(&self) -> Result<PathBuf> {
        match self.base()? {
            BaseLocation::Found { path, .. } => Ok(path),
            BaseLocation::Missing { label, .. } => {
                Err(Error::msg(format!("{label} is not on this machine yet")))
            }
        }
    }

    /// Where the base model is; one that is not on this machine is fetched. `progress` hears how far that is.
    ///
    /// # Errors
    /// As [`Self::base`] and [`fetch_base`].
    pub fn base_fetched(&self, progress: &mut dyn FnMut(FetchProgress), cancel: &Cancel) -> Result<PathBuf> {
        match self.base()? {
            BaseLocation::Found { path, .. } => Ok(path),
            BaseLocation::Missing { spec, .. } => fetch_base(&spec, &self.library.root, progress, cancel),
        }
    }

    /// [`Self::base_fetched`] with the progress in words, few enough for a log.
    ///
    /// # Errors
    /// As [`Self::base_fetched`].
    pub fn base_fetched_with_words(&self, stage: &mut dyn FnMut(String), cancel: &Cancel) -> Result<PathBuf> {
        let label = self.base_label().unwrap_or_default();
        let mut reported = String::new();
        let mut report = |progress: FetchProgress| {
            let mut text = format!("fetching {label}: {} {}", progress.phase.name(), progress.source);
            if let Some(total) = progress.total.filter(|total| *total > 0) {
                // Tens of percents are enough for a log.
                text += &format!(", {} %", progress.done.min(total) * 10 / total * 10);
            }
            if text != reported {
                reported.clone_from(&text);
                stage(text);
            }
        };
        self.base_fetched(&mut report, cancel)
    }

    /// Whether a model on this machine is the default base model, which needs no mention in a `library.toml`.
    pub fn is_default_base(&self, path: &Path) -> bool {
        let default = locate_described(&BaseSpec::smollm2(), &self.library.root);
        matches!(default, Ok(BaseLocation::Found { path: default, .. }) if default == path)
    }
}

/// The copies of the base model's weights in an expert that differ from these, in words.
///
/// # Errors
/// Of the expert: unreadable files, values that are no numbers. What cannot be read of the base model is a matter of
/// whoever runs it.
fn differing(expert: &Expert, base: &ModelFiles) -> Result<Vec<String>> {
    let adapter = expert.load()?;
    let mut found = Vec::new();
    for stored in adapter.replaced.iter().filter(|stored| stored.copy) {
        let values = stored.values()?;
        if let Ok(Some(difference)) = base.difference(stored, &values) {
            found.push(stored.differing(difference));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::outside::sha256_file;

    #[test]
    fn a_missing_base_is_looked_for_again_and_a_found_one_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let model = root.path().join("m.gguf");
        fs::write(&model, b"GGUF rest").unwrap();
        let digest = sha256_file(&model).unwrap();
        fs::remove_file(&model).unwrap();
        let manifest = format!(
            "[base]\npath = \"m.gguf\"\nhub = \"no/where\"\nfile = \"m.gguf\"\nsha256 = \"{digest}\""
        );
        fs::write(root.path().join("library.toml"), manifest).unwrap();
        let catalog = Catalog::open(root.path(), None).unwrap();
        assert!(matches!(catalog.base().unwrap(), BaseLocation::Missing { .. }));
        assert!(catalog.base_here().unwrap_err().to_string().contains("not on this machine"));
        fs::write(&model, b"GGUF rest").unwrap();
        assert_eq!(catalog.base_here().unwrap(), model);
        assert_eq!(catalog.base_label().as_deref(), Some("m.gguf"));
        fs::remove_file(&model).unwrap();
        assert_eq!(catalog.base_here().unwrap(), model);
    }

    #[test]
    fn a_chosen_base_that_cannot_be_read_is_an_error_but_not_for_looking() {
        let root = tempfile::tempdir().unwrap();
        let absent = root.path().join("absent");
        assert!(Catalog::open(root.path(), Some(&absent)).is_err());
        let source = Source { root: root.path().to_path_buf(), base: Some(absent.clone()) };
        let catalog = Catalog::look(&Arc::new(source)).unwrap();
        assert_eq!(catalog.chosen_base(), Some(absent.as_path()));
        assert!(catalog.base().unwrap_err().to_string().contains("there is no such base model"));
    }
}
