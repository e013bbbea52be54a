//! One tensor as a file holds it, and how it becomes f32 in the row order of transformers.

use std::borrow::Cow;
use std::fs::File;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use half::{bf16, f16};
use rayon::prelude::*;

use crate::library::{io_reason, read_exact_at};
use crate::{Error, Result};

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

/// Bytes that one task reads at once.
const CHUNK: usize = 1 << 20;

impl Stored<'_> {
    fn row_bytes(&self) -> usize {
        self.columns / self.kind.block_size() * self.kind.type_size()
    }

    /// Rows that lie together both in the file and in transformers.
    fn unit(&self) -> usize {
        match self.order {
            Rows::Same => (CHUNK / self.row_bytes().max(1)).clamp(1, self.rows.max(1)),
            Rows::Interleaved { heads } => self.rows / heads.max(1),
            Rows::Gathered { heads } => self.rows / (3 * heads).max(1),
        }
    }

    /// Checks that the order makes sense for the shape.
    fn check(&self) -> Result<()> {
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

    /// The bytes of unit `index`, in the file's order within the unit.
    fn unit_bytes(&self, index: usize, unit: usize, bytes: &mut [u8]) -> Result<()> {
        let place = match self.order {
            Rows::Same | Rows::Interleaved { .. } => index,
            Rows::Gathered { heads } => (index % 3) * heads + index / 3,
        };
        let from = self.start + (place * unit) as u64 * self.row_bytes() as u64;
        read_exact_at(self.file, bytes, from)
            .map_err(|e| (self.error)(format!("cannot be read: {}", io_reason(&e))))
    }

    /// All values as f32, row by row in the order of transformers. Reads piece by piece, so that next to the
    /// result there is never more than a piece for each thread.
    ///
    /// # Errors
    /// Unreadable files; values that are not finite.
    pub fn values(&self) -> Result<Vec<f32>> {
        self.check()?;
        let mut values = vec![0f32; self.rows * self.columns];
        let unit = self.unit().max(1);
        values.par_chunks_mut((unit * self.columns).max(1)).enumerate().try_for_each(|(index, out)| {
            let mut bytes = vec![0u8; out.len() / self.columns.max(1) * self.row_bytes()];
            self.unit_bytes(index, unit, &mut bytes)?;
            decode(self.kind, &bytes, out)?;
            if let Rows::Interleaved { .. } = self.order {
                part(out, self.columns);
            }
            match out.iter().find(|v| !v.is_finite()) {
                Some(v) => Err((self.error)(format!("has the value {v}: the model is damaged"))),
                None => Ok(()),
            }
        })?;
        Ok(values)
    }
}

/// Rows of one head from pairs (0, h/2), (1, h/2 + 1), … back to halves.
fn part(rows: &mut [f32], width: usize) {
    let paired = rows.to_vec();
    let half = paired.len() / width.max(1) / 2;
    for (i, pair) in paired.chunks_exact((2 * width).max(1)).enumerate() {
        let (first, second) = pair.split_at(width);
        rows[i * width..(i + 1) * width].copy_from_slice(first);
        rows[(half + i) * width..(half + i + 1) * width].copy_from_slice(second);
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
            out.copy_from_slice(&super::super::tensor::values(&dense)?);
        }
    }
    Ok(())
}
