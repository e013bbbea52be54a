//! LoRA files of llama.cpp (`convert_lora_to_gguf.py`): tensors `blk.N.attn_q.weight.lora_a` (r × in) and
//! `.lora_b` (out × r) under GGUF's names, with α in the metadata; the scale is α / r, and 1 without α.
//! `use_rslora` and `alpha_pattern` of a PEFT adapter are lost on conversion, as they are for llama.cpp.
//!
//! The converter reorders rows of B as it does rows of W: for Llama those of q and k, for GPT-NeoX those of
//! the fused projection. The order depends on the heads, which only the base model states, not this file.

use std::fs;
use std::path::{Path, PathBuf};

use super::format::{AdapterFile, AdapterFormat};
use super::heads::{BaseTraits, Heads};
use super::opened::{Files, Opened, file_name, has_extension, is_matrix, targets, transposed};
use super::peft;
use super::peft::config::{ConfigNotes, read_config};
use super::peft::pairs::{Parts, find_parts};
use super::view::View;
use crate::Error;
use crate::library::AdapterConfig;
use crate::library::gguf::{GgufFile, GgufTensor};
use crate::library::safetensors::{Dtype, Place, TensorInfo};
use crate::outside::{io_reason, open_regular, read_exact_at};
use crate::text::short;

/// Extension of llama.cpp's files.
const EXTENSION: &str = "gguf";

/// A LoRA file of llama.cpp, alone or in a folder with PEFT's configuration.
pub(super) const FORMAT: AdapterFormat = AdapterFormat {
    docs: &[[
        "llama.cpp",
        "`NAME.gguf` with LoRA, in f32, f16, bf16 or Q8_0",
        "Llama, Qwen 2 and 3, Gemma, Phi-2, Phi-3, GPT-NeoX. Rows of q and k of Llama, and of q, k and v of GPT-NeoX, are \
         reordered by heads, which the file does not describe: such an adapter waits until the base model is known \
         (`library.toml`, `--base`). llama.cpp's converter keeps one α and neither `use_rslora` nor `alpha_pattern`: what \
         is read is what llama.cpp applies, which then differs from PEFT",
    ]],
    marks: &[peft::CONFIG],
    open_folder,
    shards: &[EXTENSION],
    file: Some(AdapterFile { extension: EXTENSION, companion: None, is_adapter, open }),
    ..AdapterFormat::new("gguf", "llama.cpp GGUF")
};

/// Names inside a block and their transformers names.
type Names = &'static [(&'static str, &'static str)];

/// An architecture by its GGUF name.
struct Architecture {
    name: &'static str,
    /// Path of the list of layers, of the embedding and of the head.
    layers: &'static str,
    embedding: &'static str,
    head: &'static str,
    names: Names,
}

const ATTENTION: Names = &[
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
const PHI2: Names = &[
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.dense"),
    ("ffn_up", "mlp.fc1"),
    ("ffn_down", "mlp.fc2"),
];
const PHI3: Names = &[
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_up", "mlp.gate_up_proj"),
    ("ffn_down", "mlp.down_proj"),
];
const NEOX: Names = &[
    ("attn_qkv", "attention.query_key_value"),
    ("attn_output", "attention.dense"),
    ("ffn_up", "mlp.dense_h_to_4h"),
    ("ffn_down", "mlp.dense_4h_to_h"),
];

const fn usual(name: &'static str, names: Names) -> Architecture {
    Architecture { name, layers: "model.layers", embedding: "model.embed_tokens", head: "lm_head", names }
}

const LLAMA: &str = "llama";
const GPT_NEOX: &str = "gptneox";
const ARCHITECTURES: [Architecture; 9] = [
    usual(LLAMA, ATTENTION),
    usual("qwen2", ATTENTION),
    usual("qwen3", ATTENTION),
    usual("gemma", ATTENTION),
    usual("gemma2", ATTENTION),
    usual("gemma3", ATTENTION),
    usual("phi2", PHI2),
    usual("phi3", PHI3),
    Architecture {
        name: GPT_NEOX,
        layers: "gpt_neox.layers",
        embedding: "gpt_neox.embed_in",
        head: "embed_out",
        names: NEOX,
    },
];

/// The paths of a block's linear layers, for each architecture.
pub(in crate::library) fn linear_layers() -> impl Iterator<Item = Vec<&'static str>> {
    [ATTENTION, PHI2, PHI3, NEOX].into_iter().map(|names| names.iter().map(|(_, path)| *path).collect())
}

/// Whether a file says that it is an adapter; the error is a reason without the file's name.
fn is_adapter(path: &Path) -> Result<bool, String> {
    // The converter says it at the start, so that damage further on is the adapter's.
    const SAYS: &[u8] = b"general.type\x08\0\0\0\x07\0\0\0\0\0\0\0adapter";
    let (file, metadata) = open_regular(path).map_err(|e| io_reason(&e))?;
    let mut start = [0; 512];
    let known = usize::try_from(metadata.len()).unwrap_or(start.len()).min(start.len());
    read_exact_at(&file, &mut start[..known], 0).map_err(|e| io_reason(&e))?;
    if start.starts_with(b"GGUF") && start[..known].windows(SAYS.len()).any(|window| window == SAYS) {
        return Ok(true);
    }
    GgufFile::open(path).map(|header| header.text("general.type") == Some("adapter")).map_err(reason)
}

/// What is wrong with a file, without its name.
fn reason(error: Error) -> String {
    match error {
        Error::File { problem, .. } => problem,
        other => other.to_string(),
    }
}

/// Opens a file.
fn open(path: &Path, base: Option<&BaseTraits>) -> Result<Opened, String> {
    let (mut files, _) = Files::one(path)?;
    let wrong = |reason: String| format!("{} {reason}", file_name(path));
    let header = read_header(path).map_err(wrong)?;
    let architecture = architecture(&header).map_err(wrong)?;
    let own = Heads::of_header(&header);
    let mut translation = Translation {
        architecture,
        heads: own.as_ref().or(base.and_then(|base| base.heads.as_ref())),
        needs_base: None,
        files: &mut files,
    };
    let mut tensors = Vec::with_capacity(header.tensors().len());
    for tensor in header.tensors() {
        tensors.push(translation.translate(tensor).map_err(wrong)?);
    }
    let needs_base = translation.needs_base.map(wrong);
    let mut parts = find_parts(&tensors, &[]).map_err(wrong)?;
    // Dots were taken out of names that mean nothing here.
    parts.unused.iter_mut().for_each(|line| *line = line.replace('/', "."));
    let (config, notes) = configuration(&header, &parts).map_err(wrong)?;
    let architecture = Some(architecture.name);
    Ok(Opened { needs_base, architecture, ..Opened::new(config, notes, files, parts) })
}

/// Opens a folder with PEFT's configuration and one file of llama.cpp instead of PEFT's weights.
fn open_folder(folder: &Path, base: Option<&BaseTraits>) -> Option<Result<Opened, String>> {
    if peft::has_weights(folder) {
        return None;
    }
    let settings = folder.join(peft::CONFIG);
    let (config, _) = read_config(&settings).ok()?;
    let path = only_file(folder)?;
    Some(open(&path, base).map(|mut opened| {
        opened.config.base = config.base.or(opened.config.base);
        opened.files.settings = Some(settings);
        opened
    }))
}

/// The one file of llama.cpp in a folder.
fn only_file(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut found = entries.flatten().map(|entry| entry.path()).filter(|path| has_extension(path, EXTENSION));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn read_header(path: &Path) -> Result<GgufFile, String> {
    let header = GgufFile::open(path).map_err(reason)?;
    match header.text("general.type") {
        Some("adapter") => {}
        Some(other) => return Err(format!("is a {}, not an adapter", short(other))),
        None => return Err("does not say that it is an adapter (general.type)".into()),
    }
    match header.text("adapter.type") {
        Some("lora") => Ok(header),
        Some(other) => Err(format!("is an adapter of the type {}: only lora can be used", short(other))),
        None => Err("does not say which adapter it is (adapter.type)".into()),
    }
}

fn architecture(header: &GgufFile) -> Result<&'static Architecture, String> {
    let name = header.text("general.architecture").ok_or("does not name its architecture")?;
    ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| {
        let known = ARCHITECTURES.map(|known| known.name).join(", ");
        format!("is for the architecture {}, whose names are not known here (known: {known})", short(name))
    })
}

fn configuration(header: &GgufFile, parts: &Parts) -> Result<(AdapterConfig, ConfigNotes), String> {
    let alpha = header.scalar("adapter.lora.alpha").map_or(0.0, |alpha| alpha.as_f64());
    if !alpha.is_finite() {
        return Err("has an α that is not a number".into());
    }
    let rank = parts.pairs.iter().map(|pair| pair.rank).max().unwrap_or(0);
    let config = AdapterConfig {
        base: base_name(header),
        r: rank,
        // llama.cpp takes the factors as they are when there is no α.
        alpha: if alpha == 0.0 { rank as f64 } else { alpha },
        targets: targets(parts),
        ..AdapterConfig::default()
    };
    if header.get("adapter.alora.invocation_tokens").is_some()
        && let Some(refusal) = peft::variants::refused_field("alora_invocation_tokens")
    {
        return Err(refusal);
    }
    let mut notes = ConfigNotes { any_rank: true, ..ConfigNotes::default() };
    if alpha == 0.0 {
        notes.scale = Some(1.0);
    }
    Ok((config, notes))
}

/// The base model's repository, where the file names it.
fn base_name(header: &GgufFile) -> Option<String> {
    let url = header.text("general.base_model.0.repo_url")?;
    let repository = url.trim_end_matches('/').strip_prefix("https://huggingface.co/")?;
    (repository.split('/').count() == 2).then(|| repository.to_string())
}

struct Translation<'a> {
    architecture: &'static Architecture,
    heads: Option<&'a Heads>,
    needs_base: Option<String>,
    files: &'a mut Files,
}

impl Translation<'_> {
    /// A tensor in PEFT's name, shape and order of rows.
    fn translate(&mut self, tensor: &GgufTensor) -> Result<TensorInfo<'static>, String> {
        let dtype = match tensor.kind().name {
            "F32" => Dtype::F32,
            "F16" => Dtype::F16,
            "BF16" => Dtype::Bf16,
            "F64" => Dtype::F64,
            "Q8_0" => Dtype::Q8,
            other => Dtype::Other(other, 0),
        };
        let shape: Vec<u64> = tensor.shape().iter().map(|&dim| dim as u64).collect();
        // The reader checked that the file has it.
        let extent = (tensor.start, tensor.start.saturating_add(tensor.length));
        let plain = |name: String| TensorInfo::new(name, dtype, &shape, extent, Place::default());
        let Some((parameter, factor)) = tensor.name.rsplit_once('.') else {
            return Ok(plain(tensor.name.clone()));
        };
        let module = parameter.strip_suffix(".weight").and_then(|path| self.module(path));
        let (Some((path, module)), "lora_a" | "lora_b") = (module, factor) else {
            // Without its last component the name means nothing: it is reported as left over.
            return Ok(plain(tensor.name.trim_end_matches(".weight").replace('.', "/")));
        };
        let letter = if factor == "lora_a" { 'A' } else { 'B' };
        if path == "token_embd" {
            let name = format!("{module}.lora_embedding_{letter}");
            let info = plain(name.clone());
            // A is stored vocabulary × r, to be looked up by rows.
            return if letter == 'A' && is_matrix(&info) {
                transposed(&info, name, self.files)
            } else {
                Ok(info)
            };
        }
        let mut info = plain(format!("{module}.lora_{letter}.weight"));
        if letter == 'B' && is_matrix(&info) {
            info.place = self.rows(path, &info)?;
        }
        Ok(info)
    }

    /// GGUF's name inside its block and the transformers path of the layer.
    fn module<'n>(&self, path: &'n str) -> Option<(&'n str, String)> {
        match path {
            "token_embd" => return Some((path, self.architecture.embedding.into())),
            "output" => return Some((path, self.architecture.head.into())),
            _ => {}
        }
        let (layer, short) = path.strip_prefix("blk.")?.split_once('.')?;
        if layer.is_empty() || layer.len() > 6 || !layer.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        let (_, name) = self.architecture.names.iter().find(|(known, _)| *known == short)?;
        Some((short, format!("{}.{layer}.{name}", self.architecture.layers)))
    }

    /// Where the rows of B lie that the converter reordered.
    fn rows(&mut self, name: &str, b: &TensorInfo<'_>) -> Result<Place, String> {
        let count = |heads: &Heads| match (self.architecture.name, name) {
            (LLAMA, "attn_q") => Some(heads.query),
            (LLAMA, "attn_k") => Some(heads.key_value),
            (GPT_NEOX, "attn_qkv") => Some(heads.query.saturating_mul(3)),
            _ => None,
        };
        let any = Heads { query: 1, key_value: 1, size: 1 };
        if count(&any).is_none() {
            return Ok(Place::default());
        }
        let fits = self.heads.filter(|heads| {
            let rows = count(heads).and_then(|count| count.checked_mul(heads.size));
            heads.size.is_multiple_of(2) && rows == Some(b.rows)
        });
        let Some(heads) = fits else {
            let problem = match self.heads {
                None => "is not known yet".to_string(),
                Some(heads) => format!(
                    "does not fit: {name} has {} rows, that model {} heads of {}",
                    b.rows, heads.query, heads.size
                ),
            };
            self.needs_base.get_or_insert(format!(
                "has reordered attention rows, and the base model, which defines their order, {problem}: give \
                 its path under [base] in library.toml, or --base"
            ));
            return Ok(Place::default());
        };
        let size =
            |value: u64| usize::try_from(value).map_err(|_| "is too large for this machine".to_string());
        let (columns, head) = (size(b.columns)?, size(heads.size)?);
        let view = match self.architecture.name {
            LLAMA => View::Interleaved { columns, head },
            _ => View::Separated { columns, head },
        };
        self.files.place(0, view)
    }
}
