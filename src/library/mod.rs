//! Experts and libraries on disk: read, check, write; where the base model comes from.
//!
//! Opening a library reads configurations and tensor headers only; weights are mapped on demand.

mod expert;
mod manifest;

pub use expert::{AdapterConfig, Expert, ModuleShape, Provenance, Status};
pub use manifest::{BaseSpec, Manifest, RouterDefaults, Template};

/// A directory of experts of one base model.
#[derive(Clone, Debug)]
pub struct Library {
    pub root: std::path::PathBuf,
    /// `library.toml`, or defaults.
    pub manifest: Manifest,
    /// Sorted by the bytes of their names; bad ones are here too, with their reason.
    pub experts: Vec<Expert>,
}
