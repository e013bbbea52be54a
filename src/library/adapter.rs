//! An expert's weights, read module by module.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;

use super::config::read_config;
use super::files::read_exact_at;
use super::header::Dtype;
use super::inspect::{CONFIG, WEIGHTS, open_weights};
use super::pairs::{Slot, natural};
use super::{Expert, ModuleShape};
use crate::{Error, Result};

/// The LoRA weights of one expert. Cheap to clone; holds its file open but no weights in memory.
///
/// The file is read, not mapped: a trainer that rewrites it in place then causes an error here
/// and not a signal that kills the process.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The expert's name.
    pub name: String,
    /// The weights file.
    pub path: PathBuf,
    /// Sorted by module path, layer numbers in natural order.
    pub modules: Vec<LoraModule>,
}

/// A and B of one module.
#[derive(Clone, Debug)]
pub struct LoraModule {
    pub shape: ModuleShape,
    source: Arc<Source>,
    a: Slot,
    b: Slot,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    file: File,
}

impl Adapter {
    pub(super) fn open(expert: &Expert) -> Result<Self> {
        if !expert.is_usable() {
            let reason = expert.reason.as_deref().unwrap_or("cannot be used");
            return Err(Error::file(&expert.path, reason));
        }
        let (_, notes) =
            read_config(&expert.path.join(CONFIG)).map_err(|reason| Error::file(&expert.path, reason))?;
        let weights =
            open_weights(&expert.path, &notes.stacked).map_err(|reason| Error::file(&expert.path, reason))?;
        let path = expert.path.join(WEIGHTS);
        let pairs = weights.pairs.pairs;
        let same = pairs.len() == expert.modules.len()
            && pairs.iter().zip(&expert.modules).all(|(pair, shape)| {
                pair.module == shape.module
                    && (pair.rank, pair.in_features, pair.out_features)
                        == (shape.rank, shape.in_features, shape.out_features)
            });
        if !same {
            return Err(Error::file(path, "was changed after the library was read: open the library again"));
        }
        let source = Arc::new(Source { path: path.clone(), file: weights.file });
        let modules = pairs
            .into_iter()
            .zip(&expert.modules)
            .map(|(pair, shape)| LoraModule {
                shape: shape.clone(),
                source: Arc::clone(&source),
                a: pair.a,
                b: pair.b,
            })
            .collect();
        Ok(Self { name: expert.name.clone(), path, modules })
    }

    /// The module with this path.
    pub fn module(&self, path: &str) -> Option<&LoraModule> {
        let at = self.modules.binary_search_by(|m| natural(&m.shape.module, path)).ok()?;
        self.modules.get(at)
    }

    /// Reads all weights once.
    ///
    /// # Errors
    /// Names the file and the first module with NaN or infinite weights, or what kept them from being read.
    pub fn check_finite(&self) -> Result<()> {
        for module in &self.modules {
            module.a()?;
            module.b()?;
        }
        Ok(())
    }
}

impl LoraModule {
    /// A as f32, row-major `rank × in_features`.
    ///
    /// # Errors
    /// When the file cannot be read or holds NaN or infinite values here.
    pub fn a(&self) -> Result<Vec<f32>> {
        self.read(self.a, "lora_A")
    }

    /// B as f32, row-major `out_features × rank`.
    ///
    /// # Errors
    /// When the file cannot be read or holds NaN or infinite values here.
    pub fn b(&self) -> Result<Vec<f32>> {
        self.read(self.b, "lora_B")
    }

    /// The weights file.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    fn read(&self, slot: Slot, what: &str) -> Result<Vec<f32>> {
        let Source { path, file } = &*self.source;
        // The extent was checked against the file's size when it was opened.
        let length = usize::try_from(slot.end - slot.start)
            .map_err(|_| Error::file(path, "is too large for this machine"))?;
        let mut bytes = vec![0u8; length];
        read_exact_at(file, &mut bytes, slot.start).map_err(|e| Error::io(path, e))?;
        let values = to_f32(&bytes, slot.dtype);
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => {
                let problem = format!(
                    "{what} of {} has NaN or infinite weights: train the expert again or remove it",
                    self.shape.module
                );
                Err(Error::file(path, problem))
            }
        }
    }
}

/// Little-endian elements as f32. f64 beyond the range of f32 becomes infinite.
fn to_f32(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    match dtype {
        Dtype::F32 => elements(bytes, f32::from_le_bytes).collect(),
        Dtype::F64 => elements(bytes, f64::from_le_bytes).map(|v| v as f32).collect(),
        Dtype::F16 => {
            let bits: Vec<u16> = elements(bytes, u16::from_le_bytes).collect();
            let mut values = vec![0.0; bits.len()];
            half::slice::HalfBitsSliceExt::reinterpret_cast::<half::f16>(&bits[..])
                .convert_to_f32_slice(&mut values);
            values
        }
        Dtype::Bf16 => {
            elements(bytes, u16::from_le_bytes).map(|v| f32::from_bits(u32::from(v) << 16)).collect()
        }
        // Refused when the header was read.
        Dtype::Other(..) => Vec::new(),
    }
}

fn elements<T, const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    bytes.as_chunks::<N>().0.iter().map(move |&chunk| convert(chunk))
}
