//! Tensors of a file that `torch.save` wrote: a ZIP of raw storages and a pickle that describes them.

pub(super) mod pickle;
mod zip;

use std::fs::File;

use self::pickle::{Global, Object, Pickle, Tensor, Value};
use self::zip::{Entry, find, read_entries};
use super::view::View;
use crate::library::safetensors::{Dtype, Place, TensorInfo};
use crate::outside::read_exact_at;
use crate::text::short;

/// More dimensions than any tensor of an adapter has.
const MAX_DIMS: usize = 8;

/// The parts of such a file that describe its tensors.
pub(super) struct TorchFile {
    /// Name of the folder inside the ZIP that all entries are in, with its slash.
    folder: String,
    entries: Vec<Entry>,
    pickle: Vec<u8>,
    length: u64,
}

impl TorchFile {
    /// Opens a file of `length` bytes. The error is a reason without the file's name.
    pub fn open(file: &File, length: u64) -> Result<Self, String> {
        let mut prefix = [0u8; 8];
        let known = usize::try_from(length.min(8)).unwrap_or(8);
        read_exact_at(file, &mut prefix[..known], 0).map_err(|e| format!("cannot be read: {e}"))?;
        if !prefix.starts_with(b"PK\x03\x04") {
            return Err(no_zip(&prefix[..known]).into());
        }
        let entries = read_entries(file, length)?;
        let mut pickles = entries.iter().filter(|entry| entry.name.ends_with("/data.pkl"));
        let pickle = pickles.next().ok_or("is a ZIP file without tensors of PyTorch (no data.pkl)")?;
        if pickles.next().is_some() {
            return Err("is a damaged PyTorch file: it has more than one data.pkl".into());
        }
        let folder = pickle.name.trim_end_matches("data.pkl").to_string();
        if let Some(order) = find(&entries, &format!("{folder}byteorder"))
            && bytes(file, order, 16)? != b"little"
        {
            return Err("has its numbers in big-endian order: save the adapter again as safetensors".into());
        }
        let pickle = bytes(file, pickle, u64::MAX)?;
        Ok(Self { folder, entries, pickle, length })
    }

    /// What the file describes.
    pub fn read(&self) -> Result<Pickle<'_>, String> {
        Pickle::read(&self.pickle, self.length)
    }

    /// The tensors of a dictionary in the pickle, by their keys. What is no tensor comes along by its name
    /// and without values, so that it is reported. For a tensor with more than two dimensions, `matrix` names
    /// the two that make a matrix of it, by its name and shape; all others are 1.
    pub fn tensors<'a>(
        &self,
        pickle: &Pickle<'a>,
        map: Value,
        matrix: impl Fn(&str, &[u64]) -> Result<Option<[usize; 2]>, String>,
        views: &mut Vec<View>,
    ) -> Result<Vec<TensorInfo<'a>>, String> {
        let map = pickle.map(map).ok_or("has no dictionary of tensors")?;
        let tensors = map.iter().filter_map(|(key, value)| match value {
            Value::None => None,
            Value::Object(index) => match pickle.object(*index) {
                Some(Object::Tensor(tensor)) => Some((*key, Some(*tensor))),
                _ => Some((*key, None)),
            },
            _ => Some((*key, None)),
        });
        // Each takes far more room in the pickle than this.
        if tensors.clone().count() > 1024 + self.pickle.len() / 64 {
            return Err("is damaged: it claims more tensors than it has room for".into());
        }
        let mut named: Vec<(&str, Option<Tensor>)> = tensors
            .map(|(key, tensor)| Some((pickle.text(key)?, tensor)))
            .collect::<Option<_>>()
            .ok_or("has a tensor without a name")?;
        named.sort_by(|x, y| x.0.cmp(y.0));
        if let Some([(name, _), _]) = named.windows(2).find(|pair| matches!(pair, [x, y] if x.0 == y.0)) {
            return Err(format!("has tensor `{}` twice", short(name)));
        }
        let read = |(name, tensor): (&'a str, Option<Tensor>)| match tensor {
            Some(tensor) => self.tensor(pickle, name, tensor, &matrix, views),
            None => Ok(TensorInfo::new(name, Dtype::Other("OBJECT", 0), &[], (0, 0), Place::default())),
        };
        named.into_iter().map(read).collect()
    }

    fn tensor<'a>(
        &self,
        pickle: &Pickle<'a>,
        name: &'a str,
        tensor: Tensor,
        matrix: &impl Fn(&str, &[u64]) -> Result<Option<[usize; 2]>, String>,
        views: &mut Vec<View>,
    ) -> Result<TensorInfo<'a>, String> {
        let wrong = |problem: &str| format!("is damaged: tensor `{}` {problem}", short(name));
        let Some(&Object::Storage { kind, key, elements }) = pickle.object(tensor.storage) else {
            return Err(wrong("has no storage"));
        };
        let dtype = match kind {
            Global::F64 => Dtype::F64,
            Global::F32 => Dtype::F32,
            Global::F16 => Dtype::F16,
            Global::Bf16 => Dtype::Bf16,
            Global::Whole(8) => Dtype::Other("I64", 64),
            Global::Whole(4) => Dtype::Other("I32", 32),
            Global::Whole(2) => Dtype::Other("I16", 16),
            Global::Whole(_) => Dtype::Other("I8", 8),
            _ => return Err(wrong("has a storage of no known type")),
        };
        let width = dtype.bits() / 8;
        let key = pickle.span(key).ok_or_else(|| wrong("has no storage"))?;
        let entry = find(&self.entries, &format!("{}data/{key}", self.folder))
            .ok_or_else(|| wrong("has its data missing"))?;
        let elements =
            u64::try_from(elements).ok().filter(|n| n.checked_mul(width) == Some(entry.end - entry.start));
        let elements = elements.ok_or_else(|| wrong("has another number of bytes than it says"))?;

        let numbers = |index: u32| whole(pickle, index);
        let mut shape = numbers(tensor.shape).ok_or_else(|| wrong("has an impossible shape"))?;
        let mut strides = numbers(tensor.strides).ok_or_else(|| wrong("has impossible strides"))?;
        let offset = u64::try_from(tensor.offset).map_err(|_| wrong("starts before its storage"))?;
        if shape.len() > MAX_DIMS || shape.len() != strides.len() {
            return Err(wrong("has an impossible shape"));
        }
        if let Some(kept) = matrix(name, &shape)? {
            for dims in [&mut shape, &mut strides] {
                *dims = kept.iter().filter_map(|&dim| dims.get(dim).copied()).collect();
            }
        }
        let count = shape.iter().try_fold(1u64, |all, dim| all.checked_mul(*dim));
        // Values that stand for several places would make more of the file than it is.
        let count = count.filter(|count| *count <= elements).ok_or_else(|| {
            match shape.iter().zip(&strides).any(|(dim, stride)| *dim > 1 && *stride == 0) {
                true => format!(
                    "has tensor `{}` that is larger than its storage: its values stand for several places (stride 0, as \
                     torch's `expand` makes it); save it after `.contiguous()`",
                    short(name)
                ),
                false => wrong("is larger than its storage"),
            }
        })?;
        let span = match count {
            0 => Some(0),
            _ => shape
                .iter()
                .zip(&strides)
                .try_fold(1u64, |end, (dim, stride)| end.checked_add((dim - 1).checked_mul(*stride)?)),
        };
        let end = span.and_then(|span| offset.checked_add(span)).filter(|end| *end <= elements);
        let end = end.ok_or_else(|| wrong("reaches beyond its storage"))?;
        let mut place = Place::default();
        if !is_contiguous(&shape, &strides) {
            // Only factors are read, and these have at most two dimensions.
            let view = strided(&shape, &strides).ok_or_else(|| wrong("has strides that cannot be read"))?;
            views.push(view);
            place.view = u32::try_from(views.len()).map_err(|_| wrong("is one of too many"))?;
        }
        Ok(TensorInfo::new(
            name,
            dtype,
            &shape,
            (entry.start + offset * width, entry.start + end * width),
            place,
        ))
    }
}

/// Why a file that should be a ZIP is none.
fn no_zip(prefix: &[u8]) -> &'static str {
    match prefix {
        [0x80, 1..=5, ..] | [b'}' | b'(' | b'c', ..] => {
            "was saved by a PyTorch older than 1.6 or by plain pickle: open it where you trust it, then save it \
             as safetensors (or with torch.save of a newer PyTorch)"
        }
        [] => "is empty",
        _ if prefix.starts_with(b"version ") => "is a Git LFS pointer, not the weights: run `git lfs pull`",
        _ => "is no file of PyTorch: it was cut off or is something else",
    }
}

fn bytes(file: &File, entry: &Entry, limit: u64) -> Result<Vec<u8>, String> {
    let length = usize::try_from((entry.end - entry.start).min(limit))
        .map_err(|_| "is too large for this machine".to_string())?;
    let mut bytes = vec![0; length];
    read_exact_at(file, &mut bytes, entry.start).map_err(|e| format!("cannot be read: {e}"))?;
    Ok(bytes)
}

/// A tuple of whole numbers that are not negative.
fn whole(pickle: &Pickle<'_>, index: u32) -> Option<Vec<u64>> {
    let items = pickle.items(Value::Object(index)).filter(|items| items.len() <= 2 * MAX_DIMS)?;
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    items.iter().map(number).collect()
}

/// Whether values lie row after row. Strides of dimensions of size 1 say nothing.
fn is_contiguous(shape: &[u64], strides: &[u64]) -> bool {
    let mut expected = 1u64;
    shape.iter().zip(strides).rev().all(|(dim, stride)| {
        let fits = *dim == 1 || *stride == expected;
        expected = expected.saturating_mul(*dim);
        fits
    })
}

fn strided(shape: &[u64], strides: &[u64]) -> Option<View> {
    let size = |value: u64| usize::try_from(value).ok();
    match (shape, strides) {
        ([rows], [down]) => Some(View::Steps { rows: size(*rows)?, columns: 1, steps: (size(*down)?, 1) }),
        ([rows, columns], [down, right]) => Some(View::Steps {
            rows: size(*rows)?,
            columns: size(*columns)?,
            steps: (size(*down)?, size(*right)?),
        }),
        // Never read: convolutions are not applied.
        _ => Some(View::Steps { rows: 0, columns: 0, steps: (0, 0) }),
    }
}
