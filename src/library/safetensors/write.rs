//! Writing safetensors files.

use std::io::{self, Write};
use std::path::Path;

use candle_core::DType;

use crate::outside::{atomic_write_with, own};
use crate::{Error, Result};

/// A tensor to write: its name, shape and row-major values.
#[derive(Clone, Copy, Debug)]
pub struct NamedTensor<'a> {
    /// Its key in the file.
    pub name: &'a str,
    /// Its dimensions.
    pub shape: &'a [usize],
    /// Row-major.
    pub values: &'a [f32],
}

/// Writes a safetensors file that a person named, as a whole or not at all, in f16, bf16 or f32.
///
/// # Errors
/// When a shape does not match its values, a value is not finite in `dtype`, `dtype` is another one,
/// or the file cannot be written.
pub fn write_safetensors(
    path: &Path,
    tensors: &[NamedTensor<'_>],
    dtype: DType,
    metadata: &[(&str, &str)],
) -> Result<()> {
    let header = header(tensors, dtype, metadata).map_err(|problem| Error::file(path, problem))?;
    atomic_write_with(path, |file| write_all(file, &header, tensors, dtype))
}

/// [`write_safetensors`] for a file that the program named: no link is followed.
pub(crate) fn replace_safetensors(
    path: &Path,
    tensors: &[NamedTensor<'_>],
    dtype: DType,
    metadata: &[(&str, &str)],
) -> Result<()> {
    let header = header(tensors, dtype, metadata).map_err(|problem| Error::file(path, problem))?;
    own::replace_with(path, |file| write_all(file, &header, tensors, dtype))
}

fn write_all(
    file: &mut impl Write,
    header: &[u8],
    tensors: &[NamedTensor<'_>],
    dtype: DType,
) -> io::Result<()> {
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    tensors.iter().try_for_each(|tensor| write_values(file, tensor.values, dtype))
}

fn header(
    tensors: &[NamedTensor<'_>],
    dtype: DType,
    metadata: &[(&str, &str)],
) -> std::result::Result<Vec<u8>, String> {
    let (name, size) = match dtype {
        DType::F32 => ("F32", 4),
        DType::F16 => ("F16", 2),
        DType::BF16 => ("BF16", 2),
        other => return Err(format!("cannot be written as {}", other.as_str())),
    };
    let mut map = serde_json::Map::new();
    if !metadata.is_empty() {
        let entries = metadata.iter().map(|(key, value)| ((*key).to_string(), (*value).into())).collect();
        map.insert("__metadata__".into(), serde_json::Value::Object(entries));
    }
    let mut at = 0usize;
    for tensor in tensors {
        if tensor.shape.iter().product::<usize>() != tensor.values.len() {
            return Err(format!(
                "tensor {} has {} values, not its shape's",
                tensor.name,
                tensor.values.len()
            ));
        }
        if !tensor.values.iter().all(|&value| fits(value, dtype)) {
            return Err(format!(
                "tensor {} has values that are not finite as {}",
                tensor.name,
                dtype.as_str()
            ));
        }
        let end = at + tensor.values.len() * size;
        let entry = serde_json::json!({"dtype": name, "shape": tensor.shape, "data_offsets": [at, end]});
        if map.insert(tensor.name.into(), entry).is_some() {
            return Err(format!("tensor {} is given twice", tensor.name));
        }
        at = end;
    }
    let mut header = serde_json::to_vec(&map).map_err(|e| e.to_string())?;
    // The data starts at a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

fn fits(value: f32, dtype: DType) -> bool {
    match dtype {
        DType::F16 => half::f16::from_f32(value).is_finite(),
        DType::BF16 => half::bf16::from_f32(value).is_finite(),
        _ => value.is_finite(),
    }
}

fn write_values(file: &mut impl Write, values: &[f32], dtype: DType) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * 4096);
    for chunk in values.chunks(4096) {
        bytes.clear();
        match dtype {
            DType::F16 => bytes.extend(chunk.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes())),
            DType::BF16 => bytes.extend(chunk.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes())),
            _ => bytes.extend(chunk.iter().flat_map(|v| v.to_le_bytes())),
        }
        file.write_all(&bytes)?;
    }
    Ok(())
}
