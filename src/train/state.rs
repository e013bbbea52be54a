//! A training's state between two steps: LoRA tensors, AdamW's moments, and how far it is.

use std::path::Path;

use candle_core::DType;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lora::LoraTrainer;
use super::optimiser::AdamW;
use super::{TRAINING, TrainSpec};
use crate::library::{NamedTensor, replace_safetensors};
use crate::outside::{hex, own};
use crate::{Error, Result};

/// Key of the header in the file's metadata.
const HEADER: &str = "lora-tui.training";
/// What stands before the tensors is far smaller.
const MAX_HEADER: u64 = 16 << 20;

/// Losses on the validation sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Validation {
    /// Mean per output token over all sets; `None` without examples.
    pub all: Option<f64>,
    pub sets: Vec<Option<f64>>,
}

/// How far a training is. The order of the data and the dropout depend on the seed and the step alone, so
/// this and the tensors are all there is to keep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Steps that have finished.
    pub step: usize,
    pub train_loss: Option<f64>,
    /// Before the first step.
    pub base: Validation,
    /// The last one, and after which step it was made.
    pub validation: Validation,
    pub validated_at: usize,
    /// Tokens so far, and the seconds that their steps took.
    pub tokens: usize,
    pub busy: f64,
    /// Seconds in all.
    pub seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    /// Of the settings and of the training examples: with others, going on would give another expert.
    settings: String,
    data: String,
    standing: Standing,
}

/// What has to be the same for a state to be used.
pub(super) struct Identity {
    settings: String,
    data: String,
}

impl Identity {
    /// Of `spec` on training examples with the fingerprint `data`.
    pub(super) fn new(spec: &TrainSpec, data: String) -> Result<Self> {
        // Where things are and how often they are saved changes nothing.
        let mut deciding = TrainSpec {
            library: Default::default(),
            data: Vec::new(),
            name: String::new(),
            forecast: None,
            ..spec.clone()
        };
        let default = TrainSpec::default();
        for setting in TRAINING.iter().filter(|setting| !setting.decides) {
            setting.copy(&mut deciding, &default);
        }
        let text = serde_json::to_vec(&deciding).map_err(|e| Error::msg(e.to_string()))?;
        let settings = hex(&Sha256::digest(text));
        Ok(Self { settings, data })
    }
}

/// Names of one parameter tensor and of its moments.
fn names(lora: &LoraTrainer) -> Vec<[String; 3]> {
    let of = |module: &str, factor: &str| ["", ".m", ".v"].map(|moment| format!("{module}.{factor}{moment}"));
    lora.modules.iter().flat_map(|m| [of(&m.module, "lora_A"), of(&m.module, "lora_Bt")]).collect()
}

/// Writes the state, as a whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(
    path: &Path,
    identity: &Identity,
    standing: &Standing,
    lora: &LoraTrainer,
    optimiser: &AdamW,
) -> Result<()> {
    let header = Header {
        settings: identity.settings.clone(),
        data: identity.data.clone(),
        standing: standing.clone(),
    };
    let header = serde_json::to_string(&header).map_err(|e| Error::msg(e.to_string()))?;
    let names = names(lora);
    let values = lora.modules.iter().flat_map(|m| [&m.a, &m.bt]);
    let mut tensors: Vec<(&str, [usize; 1], &[f32])> = Vec::new();
    for (([name, ..], values), i) in names.iter().zip(values).zip(0..) {
        tensors.push((name, [values.len()], values));
        if let Some((m, v)) = optimiser.moments().get(i) {
            tensors.push((&names[i][1], [m.len()], m));
            tensors.push((&names[i][2], [v.len()], v));
        }
    }
    let views: Vec<NamedTensor<'_>> =
        tensors.iter().map(|(name, shape, values)| NamedTensor { name, shape, values }).collect();
    replace_safetensors(path, &views, DType::F32, &[(HEADER, &header)])
}

/// Reads a state into `lora` and `optimiser`; `None` when there is no file.
///
/// # Errors
/// A file that is no state, is damaged, or belongs to other settings or other data.
pub(super) fn read(
    path: &Path,
    identity: &Identity,
    lora: &mut LoraTrainer,
    optimiser: &mut AdamW,
) -> Result<Option<Standing>> {
    let bad =
        |problem: String| Error::file(path, format!("{problem}: remove it to train from the beginning"));
    let most = 12 * lora.parameters() as u64 + MAX_HEADER;
    let Some(file) = own::open(path)? else { return Ok(None) };
    if file.metadata().map_err(|e| Error::io(path, e))?.len() > most {
        return Err(bad("is not the state of this training".into()));
    }
    let Some(bytes) = own::read(path, most)? else { return Ok(None) };
    let damaged = |e: safetensors::SafeTensorError| bad(format!("is damaged ({e})"));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let text = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
    let header: Option<Header> = text.and_then(|text| serde_json::from_str(text).ok());
    let Some(header) = header else { return Err(bad("is not the state of a training".into())) };
    if header.settings != identity.settings {
        return Err(bad("was saved with other settings".into()));
    }
    if header.data != identity.data {
        return Err(bad("was saved before the training data changed".into()));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let values = |name: &str, length: usize| -> Result<Vec<f32>> {
        let tensor = tensors.tensor(name).map_err(|_| bad(format!("lacks the tensor {name}")))?;
        if tensor.dtype() != Dtype::F32 || tensor.data().len() != 4 * length {
            return Err(bad(format!("has another shape at {name}")));
        }
        let values: Vec<f32> =
            tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(bad(format!("has a value at {name} that is not finite"))),
        }
    };
    let mut moments = Vec::new();
    let mut parameters = Vec::new();
    let lengths = lora.modules.iter().flat_map(|m| [m.a.len(), m.bt.len()]);
    for (names, length) in names(lora).iter().zip(lengths) {
        parameters.push(values(&names[0], length)?);
        if header.standing.step > 0 {
            moments.push((values(&names[1], length)?, values(&names[2], length)?));
        }
    }
    let mut parameters = parameters.into_iter();
    for module in &mut lora.modules {
        if let (Some(a), Some(bt)) = (parameters.next(), parameters.next()) {
            (module.a, module.bt) = (a, bt);
        }
    }
    optimiser.restore(header.standing.step, moments);
    Ok(Some(header.standing))
}
