//! Experts and libraries on disk: read, check, write; where the base model comes from.
//!
//! Opening a library reads configurations and tensor headers only; weights are read on demand.

mod adapter;
mod adapter_config;
mod base;
mod base_consistency;
mod base_shape;
mod claim;
mod content;
mod contradictions;
mod declared;
mod expert;
mod facts;
mod formats;
pub(crate) mod gguf;
mod inspect;
mod left_out;
// The type and its module share their name, as the folder does.
#[allow(clippy::module_inception)]
mod library;
mod manifest;
mod moved;
mod not_finite;
mod provenance;
mod safetensors;
mod scan;
mod selection;
mod shortfall;
mod skipped;
pub(crate) mod small_toml;
mod stamp;
mod state_dir;
mod template;
mod write;

pub(crate) use adapter::FactorPlaces;
pub use adapter::{Adapter, LoraModule, Stored, StoredRows};
pub use adapter_config::AdapterConfig;
pub(crate) use base::check_model;
pub(crate) use base::verified_sha256 as file_sha256;
pub use base::{
    BaseLocation, FetchPhase, FetchProgress, fetch_base, hub_cache, locate_base, locate_described, names_base,
};
pub(crate) use base_consistency::fit_base;
pub use base_shape::{BaseShape, LayerSizes};
pub use claim::Claim;
pub(crate) use content::{content_sha256, tokenizer_sha256};
pub use expert::{Expert, ModuleShape, ReplacedShape, Standing, Status, TokensShape};
pub use facts::kind_order;
pub(crate) use formats::keys::{language_tensor, without_wrappers};
pub use formats::{BaseTraits, FORMATS, Format, Heads, Selection, formats_table, variants_table};
pub use library::Library;
pub use manifest::{BaseSpec, CalibrationDefaults, Manifest, RouterDefaults, Template};
pub(crate) use moved::{moved, real_of, relative};
pub use provenance::{AdaptedFrom, Learned, MergeProvenance, MergedExpert, Provenance, SeenTask, TaskRecord};
pub(crate) use safetensors::replace_safetensors;
pub(crate) use safetensors::{Dtype, parse_header, read_header};
pub use safetensors::{NamedTensor, write_safetensors};
pub use scan::Fingerprint;
pub use shortfall::{Lacks, Shortfall};
pub use skipped::Skipped;
pub(crate) use stamp::Stamp;
pub(crate) use state_dir::existing_state_dir;
pub use state_dir::{StatePlace, state_dir, state_place};
pub use template::Stretch;
pub use write::{NewAdapterConfig, NewLora, check_new_name, expert_path, write_adapter};
pub(crate) use write::{exists, says_exists};

#[cfg(test)]
mod tests;
