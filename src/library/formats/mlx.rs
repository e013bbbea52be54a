//! Adapters of MLX-LM: `adapter_config.json` with the arguments of the training, `adapters.safetensors` with
//! `lora_a` (in × r) and `lora_b` (r × out), and a scale that is used as it is.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Files, Format, Opened, canonical, is_matrix, transposed};
use crate::library::AdapterConfig;
use crate::library::config::{ConfigNotes, Number, Text, read_json};
use crate::library::header::{TensorInfo, parse_header, read_header, short};
use crate::library::pairs::find_parts;

pub(super) const WEIGHTS: &str = "adapters.safetensors";
const OLD_WEIGHTS: &str = "adapters.npz";
/// Last components of embeddings' paths.
const EMBEDDINGS: [&str; 4] = ["embed_tokens", "embed_in", "wte", "tok_embeddings"];

/// What tells the configuration of MLX-LM from that of PEFT.
#[derive(Deserialize)]
struct Marks {
    peft_type: Option<IgnoredAny>,
    fine_tune_type: Option<IgnoredAny>,
    lora_parameters: Option<IgnoredAny>,
    lora_layers: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    fine_tune_type: Text,
    model: Text,
    lora_parameters: Parameters,
    num_layers: Number,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    rank: Number,
    scale: Number,
    alpha: Number,
    dropout: Number,
}

/// Whether a configuration is one of MLX-LM.
pub(super) fn is_config(path: &Path) -> bool {
    read_json::<Marks>(path).is_ok_and(|marks| {
        marks.peft_type.is_none()
            && (marks.fine_tune_type.is_some()
                || marks.lora_parameters.is_some()
                || marks.lora_layers.is_some())
    })
}

/// Opens an adapter folder.
pub(super) fn open(folder: &Path) -> Result<Opened, String> {
    let config: Config = read_json(&folder.join(super::peft::CONFIG))
        .map_err(|reason| format!("{} {reason}", super::peft::CONFIG))?;
    let wrong = |problem: &str| format!("{} {problem}", super::peft::CONFIG);
    let dora = match config.fine_tune_type.0.as_deref().unwrap_or("lora") {
        "lora" => false,
        "dora" => true,
        "full" => return Err(wrong("says `full`: all weights were trained, that is no adapter")),
        other => {
            return Err(wrong(&format!(
                "has the fine_tune_type {}: only lora and dora can be used",
                short(other)
            )));
        }
    };
    let Parameters { rank, scale, alpha, dropout } = config.lora_parameters;
    let scale = scale.0.ok_or_else(|| wrong("has no `scale` in lora_parameters"))?;
    // Before it had `num_layers`, MLX-LM multiplied by α / r too.
    let factor = match (config.num_layers.0, alpha.0, rank.0) {
        (None, Some(alpha), Some(rank)) if rank > 0.0 => alpha / rank,
        _ => 1.0,
    };
    let scale = scale * factor;
    if !scale.is_finite() {
        return Err(wrong("has a `scale` that is not a number"));
    }
    let path = folder.join(WEIGHTS);
    if !path.exists() && folder.join(OLD_WEIGHTS).exists() {
        return Err(format!("has only {OLD_WEIGHTS}, which MLX-LM no longer writes: save it as {WEIGHTS}"));
    }
    if !path.exists() {
        return Err(format!("has no {WEIGHTS}"));
    }
    let (mut files, length) = Files::one(&path)?;
    let parts = read(&mut files, length).map_err(|reason| format!("{WEIGHTS} {reason}"))?;
    let rank = parts.pairs.iter().map(|pair| pair.rank).max().unwrap_or(0);
    let mut warnings = Vec::new();
    if factor == 1.0 && alpha.0.is_some() {
        warnings.push(format!(
            "lora_parameters has an `alpha`, which MLX-LM no longer uses: the scale is {scale}"
        ));
    }
    let config = AdapterConfig {
        base: config.model.0.filter(|base| !base.is_empty()),
        r: rank,
        alpha: scale * rank as f64,
        dropout: dropout.0.filter(|dropout| dropout.is_finite()).unwrap_or(0.0),
        use_dora: dora,
        targets: super::targets(&parts),
        ..AdapterConfig::default()
    };
    let notes = ConfigNotes { scale: Some(scale), ..ConfigNotes::default() };
    Ok(Opened { format: Format::Mlx, warnings, ..Opened::new(config, notes, files, parts) })
}

fn read(files: &mut Files, length: u64) -> Result<crate::library::pairs::Parts, String> {
    let header = read_header(files.file(0)?, length)?;
    let tensors = parse_header(&header, length)?;
    let mut named = Vec::with_capacity(tensors.len());
    for tensor in &tensors {
        named.push(translate(tensor, files)?);
    }
    find_parts(&named, &[])
}

/// A tensor in PEFT's name and shape.
fn translate<'a>(tensor: &TensorInfo<'a>, files: &mut Files) -> Result<TensorInfo<'a>, String> {
    let name = canonical(&tensor.name);
    let Some((module, leaf)) = name.rsplit_once('.') else { return Ok(tensor.clone()) };
    let embedding = EMBEDDINGS.contains(&module.rsplit('.').next().unwrap_or_default());
    let name = match (leaf, embedding) {
        ("lora_a", false) => format!("{module}.lora_A.weight"),
        ("lora_b", false) => format!("{module}.lora_B.weight"),
        ("lora_a", true) => format!("{module}.lora_embedding_A"),
        ("lora_b", true) => format!("{module}.lora_embedding_B"),
        ("m", _) => {
            return Ok(tensor.renamed(format!("{module}.lora_magnitude_vector")));
        }
        _ => return Ok(tensor.clone()),
    };
    match is_matrix(tensor) {
        true => transposed(tensor, name, files),
        // Stacks of experts of a mixture, or a type that is refused by its name.
        false => Ok(tensor.renamed(name)),
    }
}
