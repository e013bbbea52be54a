//! The base model: one decoder driven by a specification, its weights, tokenizer and cache.

mod backward;
mod base_shape;
mod chat;
mod checkpoint;
mod config;
mod constant;
mod decoder;
mod device;
pub(crate) mod dot_rows;
mod families;
mod kv_cache;
mod linear;
mod load;
pub mod memory;
pub(crate) mod ops;
mod packed;
mod precision;
mod rope;
pub(crate) mod simd;
mod spec;
pub(crate) mod template;
pub(crate) mod tensor;
mod tensor_list;
mod tokenizer;

pub use base_shape::base_shape;
pub use chat::ChatTemplate;
pub(crate) use constant::DeviceConst;
pub use decoder::{Decoder, ForwardPass, LinearHook, NoHook, Tape};
pub use device::{
    choose_device, compiled_for, device_details, device_name, device_room, is_device, open_ops,
};
pub use families::families_table;
pub use kv_cache::KvCache;
pub use linear::Linear;
pub use load::{LoadOptions, Model, ModelFiles};
pub use ops::{Activations, Ops, Segment};
pub(crate) use ops::{Delta, Dropout, LoraFactors, LoraGradients, LoraPart, Norm, spread_bits};
pub(crate) use packed::FEW_ROWS;
pub use precision::Precision;
pub use spec::{BlockKind, DecoderSpec, MlpLayout};
pub use tensor::keep_freed_memory;
pub use tokenizer::Tokenizer;

/// The decoder that the fields of a `config.json` describe.
#[cfg(test)]
pub(crate) fn described(fields: serde_json::Value) -> DecoderSpec {
    families::spec(&config::Config::new(std::path::Path::new("config.json"), fields).unwrap()).unwrap()
}
