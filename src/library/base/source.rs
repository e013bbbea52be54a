//! What a source of base models has to do.

use super::progress::Reporter;
use super::sink::Sink;
use crate::library::BaseSpec;
use crate::{Cancel, Result};

/// A file of a base model at a place that it can be downloaded from.
pub(super) trait Source {
    /// The source for people: `hub owner/name`.
    fn name(&self) -> String;

    /// Downloads the file into `sink`, which checks it.
    ///
    /// # Errors
    /// The reason why the source does not have the file or does not answer within seconds; a raised `cancel`, soon
    /// after.
    fn download(&self, sink: &mut Sink, report: &mut Reporter<'_>, cancel: &Cancel) -> Result<()>;
}

/// Finds the source of a kind that a description names; `None` where it names none of that kind.
pub(super) type FindSource = fn(&BaseSpec) -> Option<Box<dyn Source>>;
