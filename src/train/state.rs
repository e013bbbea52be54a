//! A training's state between two steps: LoRA tensors, AdamW's moments, and how far it is.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use candle_core::DType;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::identity::Identity;
use super::optimiser::AdamW;
use crate::library::{NamedTensor, replace_safetensors};
use crate::outside::{hex, own, read_exact_at};
use crate::{Error, Result};

/// Key of the header in the file's metadata.
const HEADER: &str = "lora-tui.training";
/// Key of the checksum there.
const CHECKSUM: &str = "sha256";
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
    identity: Identity,
    standing: Standing,
}

/// Names of a parameter tensor and of its moments.
fn names(parameter: &str) -> [String; 3] {
    ["", ".m", ".v"].map(|moment| format!("{parameter}{moment}"))
}

/// Writes the state with these parameters by their names, as a whole or not at all.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(
    path: &Path,
    identity: &Identity,
    standing: &Standing,
    parameters: &[(String, &Vec<f32>)],
    optimiser: &AdamW,
) -> Result<()> {
    let header = Header { identity: identity.clone(), standing: standing.clone() };
    let header = serde_json::to_string(&header).map_err(|e| Error::msg(e.to_string()))?;
    let names: Vec<[String; 3]> = parameters.iter().map(|(name, _)| names(name)).collect();
    let mut tensors: Vec<(&str, [usize; 1], &[f32])> = Vec::new();
    for (i, ([name, ..], (_, values))) in names.iter().zip(parameters).enumerate() {
        tensors.push((name, [values.len()], values));
        if let Some((m, v)) = optimiser.moments().get(i) {
            tensors.push((&names[i][1], [m.len()], m));
            tensors.push((&names[i][2], [v.len()], v));
        }
    }
    let views: Vec<NamedTensor<'_>> =
        tensors.iter().map(|(name, shape, values)| NamedTensor { name, shape, values }).collect();
    let checksum = checksum(&header, tensors.iter().map(|(name, _, values)| (*name, *values)));
    replace_safetensors(path, &views, DType::F32, &[(HEADER, &header), (CHECKSUM, &checksum)])
}

/// SHA-256 of the header and of the tensors as they are stored.
fn checksum<'a>(header: &str, tensors: impl Iterator<Item = (&'a str, &'a [f32])>) -> String {
    let mut sum = Sha256::new_with_prefix(header);
    let mut bytes = Vec::with_capacity(4 * 4096);
    for (name, values) in tensors {
        sum.update(name);
        for values in values.chunks(4096) {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            sum.update(&bytes);
        }
    }
    hex(&sum.finalize())
}

/// What stands in the metadata of a safetensors file of `length` bytes; `None` where there is no such header.
fn notes(file: &File, length: u64) -> Option<HashMap<String, String>> {
    #[derive(Deserialize)]
    struct Noted {
        #[serde(default, rename = "__metadata__")]
        notes: HashMap<String, String>,
    }
    let mut size = [0; 8];
    read_exact_at(file, &mut size, 0).ok()?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER || size.checked_add(8)? > length {
        return None;
    }
    let mut text = vec![0; size as usize];
    read_exact_at(file, &mut text, 8).ok()?;
    serde_json::from_slice::<Noted>(&text).ok().map(|noted| noted.notes)
}

/// Reads a state into `parameters` and `optimiser`; `None` when there is no file.
///
/// # Errors
/// A file that is no state, is damaged, or belongs to another training: what has changed since is named.
pub(super) fn read(
    path: &Path,
    identity: &Identity,
    mut parameters: Vec<(String, &mut Vec<f32>)>,
    optimiser: &mut AdamW,
) -> Result<Option<Standing>> {
    let bad =
        |problem: String| Error::file(path, format!("{problem}: remove it to train from the beginning"));
    let Some(file) = own::open(path)? else { return Ok(None) };
    let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let count: usize = parameters.iter().map(|(_, values)| values.len()).sum();
    let most = 12 * count as u64 + MAX_HEADER;
    let notes = match notes(&file, length) {
        Some(notes) => notes,
        None if length > most => return Err(bad("is not the state of this training".into())),
        None => return Err(bad("is damaged (it has no header)".into())),
    };
    let Some(text) = notes.get(HEADER) else {
        return Err(bad("is not the state of a training".into()));
    };
    let Ok(header) = serde_json::from_str::<Header>(text) else {
        return Err(bad("was saved by another version, which noted other things about its training".into()));
    };
    if let Some(changes) = identity.changes_since(&header.identity) {
        return Err(Error::file(
            path,
            format!("was saved {changes}: put that back to resume, or remove it to train from the beginning"),
        ));
    }
    if length > most {
        return Err(bad("is not the state of this training".into()));
    }
    let Some(bytes) = own::read(path, most)? else { return Ok(None) };
    let damaged = |e: safetensors::SafeTensorError| bad(format!("is damaged ({e})"));
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
    let mut read = Vec::new();
    let all: Vec<[String; 3]> = parameters.iter().map(|(name, _)| names(name)).collect();
    for (names, (_, present)) in all.iter().zip(&parameters) {
        let length = present.len();
        read.push(values(&names[0], length)?);
        if header.standing.step > 0 {
            moments.push((values(&names[1], length)?, values(&names[2], length)?));
        }
    }
    let stored = all.into_iter().zip(&read).enumerate().flat_map(|(i, (names, values))| {
        let [name, m, v] = names;
        let moments = moments.get(i).map(|(first, second)| [(m, first), (v, second)]);
        std::iter::once((name, values)).chain(moments.into_iter().flatten())
    });
    let stored: Vec<(String, &Vec<f32>)> = stored.collect();
    let sum = checksum(text, stored.iter().map(|(name, values)| (name.as_str(), values.as_slice())));
    if notes.get(CHECKSUM) != Some(&sum) {
        return Err(bad("is damaged (its checksum is another)".into()));
    }
    for ((_, values), read) in parameters.iter_mut().zip(read) {
        **values = read;
    }
    optimiser.restore(header.standing.step, moments);
    Ok(Some(header.standing))
}
