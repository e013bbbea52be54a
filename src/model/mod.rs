//! The base model: one decoder driven by a specification, its weights, tokenizer and cache.

mod attention;
mod backward;
mod cache;
mod chat;
mod checkpoint;
mod config;
mod decoder;
mod device;
pub(crate) mod dot_rows;
mod families;
mod fit;
pub(crate) mod generic;
mod linear;
mod load;
pub mod memory;
mod ops;
mod packed;
mod precision;
mod rope;
mod row;
pub(crate) mod simd;
mod spec;
pub(crate) mod tensor;
mod tensor_list;
mod tokenizer;

pub use attention::Segment;
pub use cache::KvCache;
pub use chat::ChatTemplate;
pub use decoder::{Decoder, ForwardPass, LinearHook, NoHook, Tape, scatter_rows, select_rows};
pub use device::{choose_device, compiled_for, device_details, device_name, is_device, open_device};
pub use fit::{layer_sizes, open_library, sizes};
pub use generic::with_generic_operations;
pub use linear::Linear;
pub use load::{LoadOptions, Model, ModelFiles};
pub(crate) use ops::Norm;
pub use packed::multiplies_tiles;
pub use precision::Precision;
pub use spec::{BlockKind, DecoderSpec, MlpLayout};
pub use tensor::keep_freed_memory;
pub use tokenizer::Tokenizer;

/// The decoder that the fields of a `config.json` describe.
#[cfg(test)]
pub(crate) fn described(fields: serde_json::Value) -> DecoderSpec {
    families::spec(&config::Config::new(std::path::Path::new("config.json"), fields).unwrap()).unwrap()
}
