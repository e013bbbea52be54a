//! What the interface is started with.

use std::path::PathBuf;

use super::Notify;
use crate::colours::Ground;
use crate::model::Precision;

/// What the command line says about the model and the screen.
#[derive(Clone, Debug, Default)]
pub struct TuiOptions {
    /// Base model given by the person; else the library's.
    pub base: Option<PathBuf>,
    /// `auto`, `cpu`, `cuda:N`, `metal`.
    pub device: String,
    /// `None` is q8, which prefills as fast as bf16, decodes faster and takes the least memory.
    pub precision: Option<Precision>,
    /// For which ground colours are chosen.
    pub theme: Ground,
    /// How the end of a job is reported to somebody who looks elsewhere.
    pub notify: Notify,
}
