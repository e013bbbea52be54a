//! An expert's weights, read module by module.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use sha2::{Digest, Sha256};

use super::formats::peft::pairs::{Parts, Slot};
use super::formats::{self, Files, Opened, View};
use super::inspect::{replaced, tokens};
use super::safetensors::Dtype;
use super::stamp::{self, FileStamp};
use super::{Expert, ModuleShape, TokensShape};
use crate::memory::{check_room, with_room};
use crate::outside::{hex, read_exact_at, sha256_file};
use crate::text::natural;
use crate::{Error, Result};

/// The LoRA weights of one expert. Cheap to clone; keeps its file open but no weights in memory.
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
    /// Parameters of the base model that the expert replaces, by transformers name
    /// (`modules_to_save`, `bias`).
    pub replaced: Vec<Stored>,
    /// Rows of an embedding or a head that were trained for single tokens.
    pub tokens: Vec<StoredRows>,
    source: Arc<Source>,
}

/// A and B of one module, and what else belongs to them.
#[derive(Clone, Debug)]
pub struct LoraModule {
    /// Path, rank and sizes.
    pub shape: ModuleShape,
    source: Arc<Source>,
    a: Slot,
    b: Slot,
    bias: Option<Slot>,
    magnitude: Option<Slot>,
}

/// A tensor that takes the place of a parameter of the base model.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The parameter's transformers name: `lm_head.weight`.
    pub name: String,
    /// One or two dimensions.
    pub shape: Vec<usize>,
    /// PEFT writes the base model's embedding along when it is adapted: usually nothing was changed.
    pub copy: bool,
    source: Arc<Source>,
    slot: Slot,
}

/// Rows for single tokens.
#[derive(Clone, Debug)]
pub struct StoredRows {
    /// Transformers path of the embedding or head.
    pub module: String,
    /// The tokens, one per row.
    pub ids: Vec<u32>,
    /// Length of a row.
    pub width: usize,
    source: Arc<Source>,
    slot: Slot,
}

/// What messages call values.
const PARAMETER: &str = "the parameter";
const TOKENS: &str = "the trained tokens";
/// Bytes that are looked at together: whole elements, and whole blocks, of each type.
const PIECE: usize = 34 * 32_768;

#[derive(Debug)]
struct Source(Files);

/// Where the factors of an expert's modules lie, while its files are closed: what reads the weights of thousands of
/// experts piece by piece keeps of each. Headers are not read again.
#[derive(Debug)]
pub(crate) struct FactorPlaces {
    name: String,
    files: Vec<(PathBuf, FileStamp)>,
    views: Vec<View>,
    /// A and B of each module, in the order of [`Adapter::modules`].
    slots: Vec<[Slot; 2]>,
}

/// The factors of an expert, its files open.
pub(crate) struct OpenFactors<'a> {
    places: &'a FactorPlaces,
    source: Source,
}

impl FactorPlaces {
    /// Opens the files.
    ///
    /// # Errors
    /// When one cannot be opened or is no longer what it was.
    pub(crate) fn open(&self) -> Result<OpenFactors<'_>> {
        let mut files = Files { views: self.views.clone(), ..Files::default() };
        for (at, (path, stamp)) in self.files.iter().enumerate() {
            files.add(path.clone()).map_err(|e| Error::io(path, e))?;
            let now = files.files.get(at).and_then(|(_, file)| stamp::of_file(file));
            if now.as_ref() != Some(stamp) {
                return Err(self.changed());
            }
        }
        Ok(OpenFactors { places: self, source: Source(files) })
    }

    fn changed(&self) -> Error {
        Error::msg(format!("expert '{}' changed on disk while it was read; try again", self.name))
    }
}

impl OpenFactors<'_> {
    /// A and B of the module with this number and shape, as [`LoraModule::a`] and [`LoraModule::b`] give them.
    ///
    /// # Errors
    /// As these; when there is no such module.
    pub(crate) fn factors(&self, number: usize, shape: &ModuleShape) -> Result<(Vec<f32>, Vec<f32>)> {
        let &[a, b] = self.places.slots.get(number).ok_or_else(|| self.places.changed())?;
        let (a, b) =
            (self.source.read(a, "lora_A", &shape.module)?, self.source.read(b, "lora_B", &shape.module)?);
        let fits = a.len() == shape.rank * shape.in_features && b.len() == shape.rank * shape.out_features;
        if fits { Ok((a, b)) } else { Err(self.places.changed()) }
    }
}

impl Expert {
    /// Opens the weights. They are read module by module, when asked for.
    ///
    /// # Errors
    /// For a bad expert its reason; when the file changed since the library was opened; I/O.
    pub fn load(&self) -> Result<Adapter> {
        Adapter::open(self)
    }
}

impl Adapter {
    pub(super) fn open(expert: &Expert) -> Result<Self> {
        if !expert.is_usable() {
            let reason = expert.reason().unwrap_or("cannot be used");
            return Err(Error::file(&expert.path, reason));
        }
        let (_, opened) = formats::open(&expert.path, expert.base.as_ref())
            .map_err(|reason| Error::file(&expert.path, reason))?;
        let Opened { notes, files, parts, .. } = opened;
        let path = files.files.first().map_or_else(|| expert.path.clone(), |(path, _)| path.clone());
        let (new_replaced, new_tokens) = (replaced(&parts), tokens(&notes, &parts));
        let Parts { pairs, replacements, tokens, .. } = parts;
        let same = pairs.len() == expert.modules.len()
            && pairs.iter().zip(&expert.modules).all(|(pair, shape)| {
                pair.module == shape.module
                    && (pair.rank, pair.in_features, pair.out_features)
                        == (shape.rank, shape.in_features, shape.out_features)
            })
            && new_replaced == expert.replaced
            && new_tokens == expert.tokens;
        if !same {
            return Err(Error::file(path, "was changed after the library was read: open the library again"));
        }
        let source = Arc::new(Source(files));
        let modules = pairs
            .into_iter()
            .zip(&expert.modules)
            .map(|(pair, shape)| LoraModule {
                shape: shape.clone(),
                source: Arc::clone(&source),
                a: pair.a,
                b: pair.b,
                bias: pair.bias,
                magnitude: pair.magnitude,
            })
            .collect();
        let replaced = replacements
            .into_iter()
            .map(|r| Stored {
                name: r.name,
                shape: r.shape,
                copy: r.copy,
                source: Arc::clone(&source),
                slot: r.slot,
            })
            .collect();
        let tokens = new_tokens
            .into_iter()
            .filter_map(|TokensShape { module, ids, width }| {
                let slot = tokens.iter().find(|rows| rows.module == module)?.slot;
                Some(StoredRows { module, ids, width, source: Arc::clone(&source), slot })
            })
            .collect();
        Ok(Self { name: expert.name.clone(), path, modules, replaced, tokens, source })
    }

    /// Where its factors lie. `None` where a file cannot be looked at.
    pub(crate) fn places(&self) -> Option<FactorPlaces> {
        let Files { files, views, .. } = &self.source.0;
        let files = files.iter().map(|(path, file)| Some((path.clone(), stamp::of_file(file)?)));
        Some(FactorPlaces {
            name: self.name.clone(),
            files: files.collect::<Option<_>>()?,
            views: views.clone(),
            slots: self.modules.iter().map(|module| [module.a, module.b]).collect(),
        })
    }

    /// SHA-256 of the weights file; of several files, that of their digests one after the other.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        match self.source.0.files.as_slice() {
            [(path, _)] => sha256_file(path),
            files => {
                let digests = files.iter().map(|(path, _)| sha256_file(path)).collect::<Result<Vec<_>>>()?;
                Ok(hex(&Sha256::digest(digests.concat())))
            }
        }
    }

    /// SHA-256 of the file with the settings: that of the weights where these contain them too.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn settings_sha256(&self) -> Result<String> {
        match &self.source.0.settings {
            Some(path) => sha256_file(path),
            None => self.sha256(),
        }
    }

    /// The module with this path.
    pub fn module(&self, path: &str) -> Option<&LoraModule> {
        let at = self.modules.binary_search_by(|m| natural(&m.shape.module, path)).ok()?;
        self.modules.get(at)
    }

    /// Reads all weights once, a piece at a time.
    ///
    /// # Errors
    /// Names the file and the first module with NaN or infinite weights, or with a product of them that may be
    /// infinite, or what kept them from being read.
    pub fn check_finite(&self) -> Result<()> {
        let largest = |values: &[f32]| values.iter().fold(0f32, |most, v| most.max(v.abs()));
        for module in &self.modules {
            let (a, b) = (f64::from(largest(&module.a()?)), f64::from(largest(&module.b()?)));
            let ModuleShape { module: name, rank, scale, .. } = &module.shape;
            if a * b * *rank as f64 * scale.abs() > f64::from(f32::MAX) {
                let problem = format!(
                    "makes a ΔW beyond the range of f32 at {name}: its weights or its scale are too large, leave it out"
                );
                return Err(Error::file(module.path(), problem));
            }
        }
        self.check_others()
    }

    /// The same of all but A and B.
    ///
    /// # Errors
    /// As [`Self::check_finite`].
    pub fn check_others(&self) -> Result<()> {
        for module in &self.modules {
            module.bias()?;
            module.magnitude()?;
        }
        let check = |slot, what, place: &str| self.source.check(slot, what, place);
        self.replaced.iter().try_for_each(|stored| check(stored.slot, PARAMETER, &stored.name))?;
        self.tokens.iter().try_for_each(|rows| check(rows.slot, TOKENS, &rows.module))
    }
}

impl LoraModule {
    /// A as f32, row-major `rank × in_features`.
    ///
    /// # Errors
    /// When the file cannot be read or contains NaN or infinite values here.
    pub fn a(&self) -> Result<Vec<f32>> {
        self.source.read(self.a, "lora_A", &self.shape.module)
    }

    /// B as f32, row-major `out_features × rank`.
    ///
    /// # Errors
    /// When the file cannot be read or contains NaN or infinite values here.
    pub fn b(&self) -> Result<Vec<f32>> {
        self.source.read(self.b, "lora_B", &self.shape.module)
    }

    /// A and B as [`Self::a`] and [`Self::b`] give them. `hash` gets all that they follow from: the module's
    /// path and sizes, and the stored bytes with their types and orders.
    ///
    /// # Errors
    /// When the file cannot be read or contains NaN or infinite values here.
    pub(crate) fn factors(&self, hash: &mut Sha256) -> Result<(Vec<f32>, Vec<f32>)> {
        let ModuleShape { module, rank, in_features, out_features, .. } = &self.shape;
        hash.update(format!("{} {module} {rank} {in_features} {out_features} ", module.len()));
        let a = self.source.read_into(self.a, "lora_A", module, Some(hash))?;
        let b = self.source.read_into(self.b, "lora_B", module, Some(hash))?;
        Ok((a, b))
    }

    /// Bias of B, `out_features` values, which the scale multiplies too.
    ///
    /// # Errors
    /// When the file cannot be read or contains NaN or infinite values here.
    pub fn bias(&self) -> Result<Option<Vec<f32>>> {
        self.bias.map(|slot| self.source.read(slot, "the bias of lora_B", &self.shape.module)).transpose()
    }

    /// DoRA's magnitude m, `out_features` values: the layer is (m / n) · (W x + s·B·A x) with n the length
    /// of the rows of W + s·B·A, plus W's bias.
    ///
    /// # Errors
    /// When the file cannot be read or contains NaN or infinite values here.
    pub fn magnitude(&self) -> Result<Option<Vec<f32>>> {
        self.magnitude.map(|slot| self.source.read(slot, "the magnitude", &self.shape.module)).transpose()
    }

    /// Whether it is DoRA, perhaps with the magnitude that it had before the training.
    pub fn has_magnitude(&self) -> bool {
        self.magnitude.is_some() || self.shape.initial_magnitude
    }

    /// Whether there is nothing but A and B.
    pub fn is_plain(&self) -> bool {
        self.bias.is_none() && !self.has_magnitude()
    }

    /// The weights file.
    pub fn path(&self) -> &Path {
        let file = self.source.0.files.get(self.a.place.file as usize);
        file.map_or(Path::new(""), |(path, _)| path)
    }
}

impl Stored {
    /// The values as f32, row-major.
    ///
    /// # Errors
    /// When the file cannot be read or contains NaN or infinite values here.
    pub fn values(&self) -> Result<Vec<f32>> {
        self.source.read(self.slot, PARAMETER, &self.name)
    }

    /// ‖copy − base‖ / ‖base‖ of its values and the base model's, both row-major with rows of `width`; `None` where
    /// they differ by rounding alone: that of its own type, and what `held` says for the values of a row of the base
    /// model.
    pub fn difference(
        &self,
        copy: &[f32],
        base: &[f32],
        width: usize,
        held: impl Fn(&[f32]) -> Vec<f32>,
    ) -> Option<f64> {
        let same = copy.chunks(width.max(1)).zip(base.chunks(width.max(1))).all(|(copy, base)| {
            let near = |((c, b), held): ((&f32, &f32), f32)| {
                (c - b).abs() <= self.rounding() * (b.abs() + held) + held + 1e-7
            };
            copy.iter().zip(base).zip(held(base)).all(near)
        });
        if same {
            return None;
        }
        let square = |v: &mut dyn Iterator<Item = f32>| v.map(|v| f64::from(v) * f64::from(v)).sum::<f64>();
        let apart = square(&mut copy.iter().zip(base).map(|(c, b)| c - b));
        Some((apart / square(&mut base.iter().copied()).max(f64::MIN_POSITIVE)).sqrt())
    }

    /// What a copy that differs is called, by what [`Self::difference`] says.
    pub fn differing(&self, difference: f64) -> String {
        format!(
            "its copy of {}, which differs from the base model's by {:.1} %",
            self.name,
            100.0 * difference
        )
    }

    /// Relative rounding error of the stored type.
    pub fn rounding(&self) -> f32 {
        match self.slot.dtype {
            Dtype::F16 => 1.0 / 1024.0,
            Dtype::Bf16 => 1.0 / 128.0,
            Dtype::Q8 => 1.0 / 127.0,
            _ => 1e-6,
        }
    }
}

impl StoredRows {
    /// The rows as f32, row-major `ids × width`.
    ///
    /// # Errors
    /// When the file cannot be read or contains NaN or infinite values here.
    pub fn values(&self) -> Result<Vec<f32>> {
        self.source.read(self.slot, TOKENS, &self.module)
    }
}

impl Source {
    fn read(&self, slot: Slot, what: &str, place: &str) -> Result<Vec<f32>> {
        self.read_into(slot, what, place, None)
    }

    /// The values as f32; `hash` gets what they follow from.
    fn read_into(&self, slot: Slot, what: &str, place: &str, hash: Option<&mut Sha256>) -> Result<Vec<f32>> {
        let Some((path, file)) = self.0.files.get(slot.place.file as usize) else {
            return Err(Error::msg(format!("{what} of {place} lies in no file")));
        };
        // The extent was checked against the file's size when it was opened.
        let length = usize::try_from(slot.end - slot.start)
            .map_err(|_| Error::file(path, "is too large for this machine"))?;
        let view = self.0.view(slot.place);
        // Its bytes, its values, and again where they are put in order; and as much for what is made of them.
        let values = (length as u64).saturating_mul(8) / slot.dtype.bits().max(1);
        let large = |problem: String| Error::file(path, format!("{what} of {place} {problem}"));
        check_room((length as u64).saturating_add(values.saturating_mul(16))).map_err(large)?;
        let mut bytes = with_room(length).map_err(large)?;
        bytes.resize(length, 0u8);
        read_exact_at(file, &mut bytes, slot.start).map_err(|e| Error::io(path, e))?;
        if let Some(hash) = hash {
            hash.update(format!("{:?} {view:?} {length} ", slot.dtype));
            hash.update(&bytes);
        }
        let stored = to_f32(&bytes, slot.dtype);
        drop(bytes);
        let values = match view {
            None => stored,
            Some(view) => view.apply(&stored).ok_or_else(|| {
                Error::file(path, format!("{what} of {place} has fewer values than its shape"))
            })?,
        };
        finite(&values, path, what, place)?;
        Ok(values)
    }

    /// Looks at the values without keeping them: those of a saved head may be as large as a model.
    fn check(&self, slot: Slot, what: &str, place: &str) -> Result<()> {
        let Some((path, file)) = self.0.files.get(slot.place.file as usize) else {
            return Err(Error::msg(format!("{what} of {place} lies in no file")));
        };
        if self.0.view(slot.place).is_some() {
            return self.read(slot, what, place).map(drop);
        }
        let (mut at, mut bytes) = (slot.start, Vec::new());
        while at < slot.end {
            let length = usize::try_from(slot.end - at).unwrap_or(PIECE).min(PIECE);
            bytes.resize(length, 0u8);
            read_exact_at(file, &mut bytes, at).map_err(|e| Error::io(path, e))?;
            finite(&to_f32(&bytes, slot.dtype), path, what, place)?;
            at += length as u64;
        }
        Ok(())
    }
}

/// An error where values are no numbers.
fn finite(values: &[f32], path: &Path, what: &str, place: &str) -> Result<()> {
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(()),
        false => {
            let problem =
                format!("{what} of {place} has NaN or infinite weights: train the expert again or remove it");
            Err(Error::NotFinite { path: path.to_path_buf(), problem })
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
        // A block is its scale in f16 and 32 whole numbers.
        Dtype::Q8 => elements(bytes, |block: [u8; 34]| {
            let [low, high, values @ ..] = block;
            let scale = half::f16::from_le_bytes([low, high]).to_f32();
            values.map(|value| scale * f32::from(value as i8))
        })
        .flatten()
        .collect(),
        // Refused when the header was read.
        Dtype::Other(..) => Vec::new(),
    }
}

fn elements<T, const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    bytes.as_chunks::<N>().0.iter().map(move |&chunk| convert(chunk))
}
