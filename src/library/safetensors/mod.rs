//! The safetensors format: a strict reader of headers, and a writer.

mod header;
mod write;

pub(crate) use header::{Dtype, Place, TensorInfo, parse_header, read_header};
pub(crate) use write::replace_safetensors;
pub use write::{NamedTensor, write_safetensors};
