//! A strict, bounded reader of GGUF headers: metadata, tensor names, types, shapes and offsets, never
//! the data.
//!
//! Files are untrusted: every count and length is checked against the bytes that are left before
//! anything is allocated, and memory stays within a small multiple of the header's own size. Written
//! from the format's description; versions 2 and 3, little-endian.

mod cursor;
mod kind;
#[cfg(test)]
mod tests;
mod value;

use std::fs::File;

use cursor::{Cursor, shown};
pub(crate) use kind::Kind;
pub(crate) use value::{Array, Scalar, Value};

/// The four bytes that every GGUF file starts with.
pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
const DEFAULT_ALIGNMENT: u64 = 32;
/// No real file comes near this; keeps the table of entries small beside any file.
const MAX_ENTRIES: u64 = 1 << 12;
/// Name of one byte, number of dimensions, one dimension, type, offset.
const MIN_TENSOR: u64 = 8 + 1 + 4 + 8 + 4 + 8;
/// Length of the key, one byte of it, type, one byte of value.
const MIN_ENTRY: u64 = 8 + 1 + 4 + 1;
const MAX_DIMS: usize = 4;

/// What a GGUF file says before its data.
#[derive(Debug)]
pub(crate) struct Header {
    /// Metadata in file order; look up with [`Header::get`].
    pub metadata: Vec<(String, Value)>,
    /// Tensors sorted by name; look up with [`Header::tensor`].
    pub tensors: Vec<Tensor>,
}

/// One tensor of a file. Its bytes lie wholly inside the file and belong to no other tensor.
#[derive(Clone, Debug)]
pub(crate) struct Tensor {
    pub name: String,
    pub kind: Kind,
    dims: [u64; MAX_DIMS],
    rank: u8,
    /// Counted from the start of the file.
    pub start: u64,
    pub end: u64,
}

impl Tensor {
    /// The shape with the slowest dimension first, as PyTorch has it (GGUF stores the reverse).
    pub fn shape(&self) -> &[u64] {
        self.dims.get(..usize::from(self.rank)).unwrap_or_default()
    }
}

impl Header {
    /// Reads the header of a file of `length` bytes. Of the metadata only the entries that `keep` wants
    /// are held in memory.
    ///
    /// The error is a reason for a person, without the file's name: `was cut off …`.
    pub fn read(file: &File, length: u64, keep: impl Fn(&str) -> bool) -> Result<Self, String> {
        let mut cursor = Cursor::new(file, length);
        let mut magic = [0; 4];
        cursor.fill(&mut magic, "its mark")?;
        if &magic != MAGIC {
            return Err("is not a GGUF file".into());
        }
        let version = cursor.u32("its version")?;
        match version {
            2 | 3 => {}
            0x0100_0000.. => {
                return Err("is a big-endian GGUF file: convert it again without --bigendian".into());
            }
            _ => return Err(format!("is GGUF version {version}: convert it again with a current tool")),
        }
        let tensors = cursor.u64("its number of tensors")?;
        let entries = cursor.u64("its number of metadata entries")?;
        if entries > MAX_ENTRIES.min(cursor.left() / MIN_ENTRY) {
            return Err(format!("claims {entries} metadata entries: it is damaged or was cut off"));
        }
        let (metadata, alignment) = read_metadata(&mut cursor, entries, keep)?;
        if tensors > cursor.left() / MIN_TENSOR {
            return Err(format!("claims {tensors} tensors: it is damaged or was cut off"));
        }
        let tensors = read_tensors(&mut cursor, tensors, alignment)?;
        Ok(Self { metadata, tensors })
    }

    /// The value under a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The text under a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number under a key, whatever its type.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Scalar(scalar) => Some(scalar.to_f64()),
            _ => None,
        }
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        let at = self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()?;
        self.tensors.get(at)
    }
}

fn read_metadata(
    cursor: &mut Cursor<'_>,
    count: u64,
    keep: impl Fn(&str) -> bool,
) -> Result<(Vec<(String, Value)>, u64), String> {
    let mut metadata: Vec<(String, Value)> = Vec::new();
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..count {
        let key = cursor.string("a metadata key")?;
        if key == "general.alignment" {
            alignment = match Value::read(cursor, &key)? {
                Value::Scalar(Scalar::U32(bytes)) if bytes.is_power_of_two() && bytes <= 1 << 20 => {
                    u64::from(bytes)
                }
                _ => return Err("has an impossible general.alignment: it is damaged".into()),
            };
        } else if keep(&key) {
            let value = Value::read(cursor, &key)?;
            if metadata.iter().any(|(known, _)| *known == key) {
                return Err(format!("has `{}` twice in its metadata", shown(&key)));
            }
            metadata.push((key, value));
        } else {
            Value::skip(cursor, &key)?;
        }
    }
    Ok((metadata, alignment))
}

fn read_tensors(cursor: &mut Cursor<'_>, count: u64, alignment: u64) -> Result<Vec<Tensor>, String> {
    // Fits: the file has at least `MIN_TENSOR` bytes for each.
    let mut tensors = Vec::with_capacity(count as usize);
    for _ in 0..count {
        tensors.push(read_tensor(cursor, alignment)?);
    }
    let data = cursor.at().next_multiple_of(alignment);
    for tensor in &mut tensors {
        let what = || format!("tensor `{}`", shown(&tensor.name));
        let place = |offset: u64| data.checked_add(offset);
        let (Some(start), Some(end)) = (place(tensor.start), place(tensor.end)) else {
            return Err(format!("is damaged: {} has an impossible offset", what()));
        };
        if end > cursor.length() {
            return Err(format!(
                "was cut off: {} ends at byte {end}, the file has {}",
                what(),
                cursor.length()
            ));
        }
        (tensor.start, tensor.end) = (start, end);
    }
    tensors.sort_unstable_by_key(|tensor| (tensor.start, tensor.end));
    if let Some([_, second]) = tensors.windows(2).find(|w| matches!(w, [x, y] if x.end > y.start)) {
        return Err(format!("is damaged: tensor `{}` overlaps the one before it", shown(&second.name)));
    }
    tensors.sort_unstable_by(|x, y| x.name.cmp(&y.name));
    if let Some([first, _]) = tensors.windows(2).find(|w| matches!(w, [x, y] if x.name == y.name)) {
        return Err(format!("has tensor `{}` twice", shown(&first.name)));
    }
    Ok(tensors)
}

/// One entry of the table; `start` and `end` still count from the start of the data.
fn read_tensor(cursor: &mut Cursor<'_>, alignment: u64) -> Result<Tensor, String> {
    let name = cursor.string("a tensor's name")?;
    let wrong = |problem: &str| format!("is damaged: tensor `{}` {problem}", shown(&name));
    let rank = cursor.u32("a tensor's number of dimensions")?;
    if name.is_empty() || rank == 0 || rank as usize > MAX_DIMS {
        return Err(wrong(&format!("has {rank} dimensions")));
    }
    let mut dims = [1; MAX_DIMS];
    // The file has the fastest dimension first.
    for dim in dims.iter_mut().take(rank as usize).rev() {
        *dim = cursor.u64("a tensor's shape")?;
    }
    let kind = cursor.u32("a tensor's type")?;
    let kind = Kind::new(kind).ok_or_else(|| wrong(&format!("has the unknown type {kind}")))?;
    let start = cursor.u64("a tensor's offset")?;
    if !start.is_multiple_of(alignment) {
        return Err(wrong("does not start at a multiple of the alignment"));
    }
    let row = dims.get(rank as usize - 1).copied().unwrap_or_default();
    let blocks = dims.iter().try_fold(1u64, |all, dim| all.checked_mul(*dim)).map(|all| all / kind.block());
    let size = blocks.filter(|_| row.is_multiple_of(kind.block())).and_then(|n| n.checked_mul(kind.bytes()));
    let end =
        size.and_then(|size| start.checked_add(size)).ok_or_else(|| wrong("has an impossible shape"))?;
    Ok(Tensor { name, kind, dims, rank: rank as u8, start, end })
}
