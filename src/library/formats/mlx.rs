//! Adapters of MLX-LM: `adapter_config.json` with the arguments of the training, `adapters.safetensors` with
//! `lora_a` (in × r) and `lora_b` (r × out), and a scale that is used as it is.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::format::AdapterFormat;
use super::heads::BaseTraits;
use super::keys::canonical;
use super::opened::{Files, Opened, is_matrix, targets, transposed};
use super::peft::config::{ConfigNotes, Number, Text, read_json};
use super::peft::pairs::{Parts, find_parts};
use super::peft::{self, CONFIG};
use crate::library::AdapterConfig;
use crate::library::safetensors::{TensorInfo, parse_header, read_header};
use crate::text::short;

const WEIGHTS: &str = "adapters.safetensors";
const OLD_WEIGHTS: &str = "adapters.npz";
/// The head of models whose embedding can be it too.
const HEAD: &str = "lm_head";
/// Last components of embeddings' paths.
const EMBEDDINGS: [&str; 4] = ["embed_tokens", "embed_in", "wte", "tok_embeddings"];

/// An adapter folder of MLX-LM.
pub(super) const FORMAT: AdapterFormat = AdapterFormat {
    docs: &[[
        "MLX-LM",
        "`adapter_config.json`, `adapters.safetensors`",
        "LoRA and DoRA; the scale as it is written. LoRA of the embedding also applies at the head where the base model \
         has one table for both: such an adapter waits until the base model is known",
    ]],
    marks: &[CONFIG],
    open_folder: |folder, base| is_config(folder).then(|| open(folder, base)),
    watched: &[WEIGHTS],
    ..AdapterFormat::new("mlx", "MLX-LM")
};

/// Fields that distinguish the configuration of MLX-LM from that of PEFT.
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

/// Whether a folder's configuration is one of MLX-LM. Some tools add the fields of PEFT's to it: then the weights
/// decide.
fn is_config(folder: &Path) -> bool {
    let here = || folder.join(WEIGHTS).exists() && !peft::has_weights(folder);
    read_json::<Marks>(&folder.join(CONFIG)).is_ok_and(|marks| {
        let known =
            marks.fine_tune_type.is_some() || marks.lora_parameters.is_some() || marks.lora_layers.is_some();
        known && (marks.peft_type.is_none() || here())
    })
}

/// Opens an adapter folder.
fn open(folder: &Path, base: Option<&BaseTraits>) -> Result<Opened, String> {
    let config: Config = read_json(&folder.join(CONFIG)).map_err(|reason| format!("{} {reason}", CONFIG))?;
    let wrong = |problem: &str| format!("{} {problem}", CONFIG);
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
    files.settings = Some(folder.join(CONFIG));
    let (parts, needs_base) =
        read(&mut files, length, base).map_err(|reason| format!("{WEIGHTS} {reason}"))?;
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
        targets: targets(&parts),
        ..AdapterConfig::default()
    };
    let notes = ConfigNotes { scale: Some(scale), any_rank: true, ..ConfigNotes::default() };
    Ok(Opened { warnings, needs_base, ..Opened::new(config, notes, files, parts) })
}

/// What the weights contain, or why that cannot be known before the base model is.
fn read(
    files: &mut Files,
    length: u64,
    base: Option<&BaseTraits>,
) -> Result<(Parts, Option<String>), String> {
    let header = read_header(files.file(0)?, length)?;
    let tensors = parse_header(&header, length)?;
    let mut named = Vec::with_capacity(tensors.len());
    for tensor in &tensors {
        named.push(translate(tensor, files)?);
    }
    let head = head(&tensors);
    let mut needs_base = None;
    if let Some((a, b)) = table(&head) {
        let fits = base.filter(|base| base.table.is_none_or(|table| table == (b.rows, a.columns)));
        let problem = match base {
            None => "is not known yet".to_string(),
            Some(_) => format!("does not fit: its table is not {} × {}", b.rows, a.columns),
        };
        match fits {
            Some(base) if base.tied => named.extend(head),
            Some(_) => {}
            None => {
                needs_base = Some(format!(
                    "{WEIGHTS} adapts the embedding, which may also be the head, and the base model, which decides, \
                     {problem}: give its path under [base] in library.toml, or --base"
                ));
            }
        }
    }
    Ok((find_parts(&named, &[])?, needs_base))
}

/// What LoRA of the embedding is at the head, if that is the same table: MLX-LM adds x·bᵀ·aᵀ there, so that the
/// two factors change places and lie as PEFT has them. Nothing where the head has its own LoRA, and so its own
/// table.
fn head<'a>(tensors: &[TensorInfo<'a>]) -> Vec<TensorInfo<'a>> {
    let parts = |tensor: &TensorInfo<'a>| {
        let name = canonical(&tensor.name);
        let (module, leaf) = name.rsplit_once('.')?;
        Some((module.to_string(), leaf.to_string()))
    };
    let named: Vec<_> = tensors.iter().filter_map(|tensor| Some((parts(tensor)?, tensor))).collect();
    if named.iter().any(|((module, leaf), _)| module == HEAD && leaf.starts_with("lora_")) {
        return Vec::new();
    }
    let turned = |((module, leaf), tensor): &((String, String), &TensorInfo<'a>)| {
        let factor = match leaf.as_str() {
            "lora_b" => "A",
            "lora_a" => "B",
            _ => return None,
        };
        is_embedding(module).then(|| tensor.renamed(format!("{HEAD}.lora_{factor}.weight")))
    };
    named.iter().filter_map(turned).collect()
}

/// The two factors at the head.
fn table<'t, 'a>(head: &'t [TensorInfo<'a>]) -> Option<(&'t TensorInfo<'a>, &'t TensorInfo<'a>)> {
    let find = |end: &str| head.iter().find(|tensor| tensor.name.ends_with(end));
    find(".lora_A.weight").zip(find(".lora_B.weight"))
}

fn is_embedding(module: &str) -> bool {
    EMBEDDINGS.contains(&module.rsplit('.').next().unwrap_or_default())
}

/// A tensor in PEFT's name and shape.
fn translate<'a>(tensor: &TensorInfo<'a>, files: &mut Files) -> Result<TensorInfo<'a>, String> {
    let Some((module, leaf)) = tensor.name.rsplit_once('.') else { return Ok(tensor.clone()) };
    let name = match (leaf, is_embedding(module)) {
        ("lora_a", false) => format!("{module}.lora_A.weight"),
        ("lora_b", false) => format!("{module}.lora_B.weight"),
        ("lora_a", true) => format!("{module}.lora_embedding_A"),
        ("lora_b", true) => format!("{module}.lora_embedding_B"),
        ("m", true) => {
            return Err(format!(
                "has DoRA on {}: MLX-LM scales its rows token by token, which cannot be applied; train the \
                 embedding as plain LoRA",
                short(module)
            ));
        }
        ("m", false) => {
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
