//! Experts and libraries on disk: read, check, write; where the base model comes from.
//!
//! Opening a library reads configurations and tensor headers only; weights are read on demand.

mod adapter;
mod base;
mod claim;
mod config;
mod contradictions;
mod expert;
mod files;
mod formats;
pub(crate) mod gguf;
mod header;
mod inspect;
mod manifest;
mod misfit;
mod open;
mod pairs;
mod scan;
mod small_toml;
mod template;
mod tensors;
mod write;

pub use adapter::{Adapter, LoraModule, Stored, StoredRows};
pub(crate) use base::check_model;
pub use base::{BaseLocation, FetchPhase, FetchProgress, base_at_hand, fetch_base, locate_base};
pub use claim::Claim;
pub use expert::{
    AdapterConfig, Expert, MergeProvenance, MergedExpert, ModuleShape, Provenance, Status, TaskRecord,
};
pub use files::{atomic_write, atomic_write_with, sha256_file};
pub(crate) use files::{hex, io_reason, open_regular, read_exact_at, read_limited, write_unsynced};
pub use formats::{BaseTraits, Format, Heads};
pub(crate) use header::{Dtype, parse_header, read_header, short};
pub use manifest::{BaseSpec, Manifest, RouterDefaults, Template};
pub use misfit::LayerSizes;
pub use open::Library;
pub use pairs::natural;
pub use scan::Fingerprint;
pub use template::Stretch;
pub use tensors::{NamedTensor, write_safetensors};
pub use write::{NewAdapterConfig, NewLora, check_new_name, write_adapter};

#[cfg(test)]
mod tests;
