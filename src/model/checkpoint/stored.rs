//! One tensor as a file stores it, and how it becomes f32 in the row order of transformers.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use half::{bf16, f16};

use crate::outside::{io_reason, read_exact_at, read_text_of};
use crate::{Error, Result};

/// Tokenizers of large vocabularies have some ten million bytes.
const TEXT_LIMIT: u64 = 64 << 20;

/// Text of a small file that belongs to a model.
///
/// # Errors
/// When it cannot be read, is too large or is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    read_text_of(path, TEXT_LIMIT)
}

/// What is wrong with a tensor of shape `found`, after its name.
pub(crate) fn shape_problem(found: &[usize], wanted: &[usize]) -> String {
    format!("is {found:?}, the configuration wants {wanted:?}: they belong to different models")
}

/// How the rows of a matrix are ordered in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// As in transformers.
    Same,
    /// Each head's rows as pairs (0, h/2), (1, h/2 + 1), … (llama.cpp for q and k of Llama).
    Interleaved { heads: usize },
    /// All q, then all k, then all v, where transformers has q, k and v head by head (GPT-NeoX).
    Gathered { heads: usize },
}

/// A tensor in a file.
pub(crate) struct Stored<'a> {
    pub file: &'a File,
    /// Where its first byte lies.
    pub start: u64,
    pub kind: GgmlDType,
    /// Number of rows and their width; a vector is one row.
    pub rows: usize,
    pub columns: usize,
    pub order: Rows,
    /// Makes an error about this tensor.
    pub error: Box<dyn Fn(String) -> Error + Send + Sync + 'a>,
}

impl Stored<'_> {
    fn row_bytes(&self) -> usize {
        self.columns / self.kind.block_size() * self.kind.type_size()
    }

    /// Checks that the order makes sense for the shape.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self) -> Result<()> {
        let groups = match self.order {
            Rows::Same => 1,
            Rows::Interleaved { heads } => 2 * heads,
            Rows::Gathered { heads } => 3 * heads,
        };
        if groups == 0 || !self.rows.is_multiple_of(groups) {
            return Err((self.error)(format!("{} rows do not fit the attention heads", self.rows)));
        }
        if !self.columns.is_multiple_of(self.kind.block_size()) {
            return Err((self.error)(format!("rows of {} do not fit its type", self.columns)));
        }
        Ok(())
    }

    /// Where a row of transformers stands in the file.
    fn place(&self, row: usize) -> usize {
        // Sizes of groups are not zero where the order makes sense.
        let split = |groups: usize| {
            let size = (self.rows / groups.max(1)).max(1);
            (row / size, row % size, size)
        };
        match self.order {
            Rows::Same => row,
            Rows::Interleaved { heads } => {
                let (head, at, size) = split(heads);
                head * size + if at < size / 2 { 2 * at } else { 2 * (at - size / 2) + 1 }
            }
            Rows::Gathered { heads } => {
                let (group, at, size) = split(3 * heads);
                ((group % 3) * heads + group / 3) * size + at
            }
        }
    }

    /// Writes rows, by their numbers in transformers, as f32 into `out`, which has room for just these. The
    /// tensor must have passed [`Self::check`].
    ///
    /// # Errors
    /// Unreadable files; values that are not finite.
    pub fn read(&self, rows: impl IntoIterator<Item = usize>, out: &mut [f32]) -> Result<()> {
        let width = self.row_bytes();
        let mut bytes = vec![0u8; out.len() / self.columns.max(1) * width];
        let mut left = bytes.as_mut_slice();
        let mut places = rows.into_iter().map(|row| self.place(row)).peekable();
        while let Some(first) = places.next() {
            // What lies together in the file is read together.
            let mut count = 1;
            while places.next_if_eq(&(first + count)).is_some() {
                count += 1;
            }
            let (part, rest) = left.split_at_mut(count * width);
            left = rest;
            read_exact_at(self.file, part, self.start + (first * width) as u64)
                .map_err(|e| (self.error)(format!("cannot be read: {}", io_reason(&e))))?;
        }
        decode(self.kind, &bytes, out)?;
        // Looks at all values, so that it compiles to vector code.
        if out.iter().fold(true, |finite, v| finite & v.is_finite()) {
            return Ok(());
        }
        let bad = out.iter().find(|v| !v.is_finite()).copied().unwrap_or(f32::NAN);
        Err((self.error)(format!("has the value {bad}: the model is damaged")))
    }

    /// By how much values of a row may differ from what they were before they were stored.
    pub fn rounding(&self, row: &[f32]) -> Vec<f32> {
        let relative = match self.kind {
            GgmlDType::F32 => 0.0,
            GgmlDType::F16 => 1.0 / 1024.0,
            GgmlDType::BF16 => 1.0 / 128.0,
            kind => {
                // A block has whole numbers of so many bits for its largest value.
                let bits = (8 * kind.type_size() / kind.block_size()).clamp(2, 8);
                let largest = row.iter().fold(0f32, |most, v| most.max(v.abs()));
                return vec![largest / ((1u32 << (bits - 1)) - 1) as f32; row.len()];
            }
        };
        row.iter().map(|v| relative * v.abs()).collect()
    }

    /// Whether another tensor of the same shape has the same values.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn equals(&self, other: &Self) -> Result<bool> {
        self.check()?;
        other.check()?;
        let rows = (1usize << 18).div_ceil(self.columns.max(1));
        let (mut a, mut b) = (vec![0f32; rows * self.columns], vec![0f32; rows * self.columns]);
        for first in (0..self.rows).step_by(rows) {
            let range = first..self.rows.min(first + rows);
            let length = range.len() * self.columns;
            self.read(range.clone(), &mut a[..length])?;
            other.read(range, &mut b[..length])?;
            if a[..length] != b[..length] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All values as f32, row by row in the order of transformers.
    ///
    /// # Errors
    /// As [`Self::read`]; an order that does not fit the shape.
    pub fn values(&self) -> Result<Vec<f32>> {
        self.check()?;
        let mut values = vec![0f32; self.rows * self.columns];
        self.read(0..self.rows, &mut values)?;
        Ok(values)
    }
}

/// Values of `bytes`; as many as `out` has room for.
fn decode(kind: GgmlDType, bytes: &[u8], out: &mut [f32]) -> Result<()> {
    let two = |bytes: &[u8]| [bytes[0], bytes[1]];
    match kind {
        GgmlDType::F32 => {
            for (v, b) in out.iter_mut().zip(bytes.chunks_exact(4)) {
                *v = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
        GgmlDType::F16 => {
            for (v, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                *v = f16::from_le_bytes(two(b)).to_f32();
            }
        }
        GgmlDType::BF16 => {
            for (v, b) in out.iter_mut().zip(bytes.chunks_exact(2)) {
                *v = bf16::from_le_bytes(two(b)).to_f32();
            }
        }
        _ => {
            let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, kind)?;
            let dense = QTensor::new(storage, out.len())?.dequantize(&Device::Cpu)?;
            out.copy_from_slice(&crate::model::tensor::values(&dense)?);
        }
    }
    Ok(())
}
