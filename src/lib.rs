//! A terminal workbench for libraries of LoRA experts.
//!
//! Modules are layered; each uses only those below it:
//! `cli`, `tui` → `jobs` → `train`, `eval` → `routing`, `merge` → `analysis`, `plot` → `model` → `library`
//! → `settings`, `named`, `error`, `text`, `threads`, `cancel`.

pub mod analysis;
pub mod cancel;
pub mod cli;
pub mod error;
pub mod eval;
pub mod jobs;
pub mod library;
pub mod merge;
pub mod model;
pub mod named;
pub mod plot;
pub mod routing;
pub mod settings;
pub mod text;
pub mod threads;
pub mod train;
pub mod tui;

pub use cancel::Cancel;
pub use error::{Error, NoSource, Result};
