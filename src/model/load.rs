//! Building a model from its files.

use std::cell::OnceCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chat::ChatTemplate;
use super::checkpoint::{Checkpoint, read_text};
use super::config::Config;
use super::decoder::{Decoder, Layer, MlpIn, Qkv};
use super::device::{device_name, open_ops};
use super::families;
use super::linear::Linear;
use super::memory;
use super::ops::{Norm, Ops};
use super::precision::Precision;
use super::rope::Rope;
use super::spec::{BlockKind, DecoderSpec, MlpLayout, NormKind, QkvLayout};
use super::tokenizer::{Legacy, SideFiles, Tokenizer};
use crate::library::Stored;
use crate::memory::{available, size};
use crate::{Cancel, Error, Result};

/// How to load a model.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// `auto`, `cpu`, `cuda:N` or `metal`.
    pub device: String,
    /// Of the base model's weights.
    pub precision: Precision,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { device: "auto".into(), precision: Precision::F32 }
    }
}

/// A base model: decoder and, where the files have one, tokenizer.
#[derive(Debug)]
pub struct Model {
    /// The network.
    pub decoder: Decoder,
    /// `None` where the files have none.
    pub tokenizer: Option<Tokenizer>,
    /// Why there is no tokenizer.
    no_tokenizer: String,
    /// The model's own chat template, where its files have one.
    pub chat: Option<ChatTemplate>,
    /// Where it was loaded from.
    pub path: PathBuf,
    /// Of its weights.
    pub precision: Precision,
    /// What is odd about its files, for the person.
    pub warnings: Vec<String>,
}

/// Reads named tensors of one model.
struct Builder<'a> {
    weights: &'a Checkpoint,
    spec: &'a DecoderSpec,
    precision: Precision,
    ops: &'a dyn Ops,
}

impl Builder<'_> {
    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.weights.tensor(self.spec, name, shape)?.values()
    }

    fn norm(&self, name: &str, width: usize, kind: NormKind) -> Result<Norm> {
        let mut weight = self.read(&format!("{name}.weight"), &[width])?;
        if kind == (NormKind::Rms { unit_offset: true }) && !self.weights.offset_norms() {
            weight.iter_mut().for_each(|w| *w += 1.0);
        }
        let bias = match kind {
            NormKind::Layer => Some(self.read(&format!("{name}.bias"), &[width])?.into()),
            NormKind::Rms { .. } => None,
        };
        let eps = self.spec.norm_eps as f32;
        Ok(Norm { name: name.to_string(), kind, eps, weight: weight.into(), bias })
    }

    fn linear(
        &self,
        module: String,
        shape: (usize, usize),
        bias: bool,
        order: Option<Arc<Vec<u32>>>,
    ) -> Result<Linear> {
        let bias = if bias { Some(self.read(&format!("{module}.bias"), &[shape.0])?) } else { None };
        let stored = self.weights.tensor(self.spec, &format!("{module}.weight"), &[shape.0, shape.1])?;
        stored.check()?;
        let read = |rows: Range<usize>, out: &mut [f32]| match &order {
            None => stored.read(rows, out),
            Some(order) => stored.read(order[rows].iter().map(|&row| row as usize), out),
        };
        let weight = self.ops.load_weight(self.precision, shape, &read)?;
        Ok(Linear::new(module, shape, weight, bias, order.clone()))
    }

    /// The embedding as a layer called `module`.
    fn table(&self, module: &str) -> Result<Linear> {
        let shape = (self.spec.vocab, self.spec.hidden);
        let name = format!("{}.weight", self.spec.names.embed);
        let stored = self.weights.tensor(self.spec, &name, &[shape.0, shape.1])?;
        stored.check()?;
        let weight = self.ops.load_weight(self.precision, shape, &|rows, out| stored.read(rows, out))?;
        Ok(Linear::new(module.to_string(), shape, weight, None, None))
    }

    fn layer(&self, index: usize, per_head: &Option<Arc<Vec<u32>>>) -> Result<Layer> {
        let (s, n) = (self.spec, &self.spec.names);
        let prefix = n.layer.replace("{}", &index.to_string());
        let path = |name: &str| format!("{prefix}{name}");
        let (hidden, qw, kw) = (s.hidden, s.q_width(), s.kv_width());
        let optional = |wanted: bool, name: &str| -> Result<Option<Norm>> {
            if wanted { self.norm(&path(name), hidden, s.norm).map(Some) } else { Ok(None) }
        };
        let head = |name: &str| -> Result<Option<Norm>> {
            s.qk_norm.map(|kind| self.norm(&path(name), s.head_dim, kind)).transpose()
        };
        let qkv = match s.qkv {
            QkvLayout::Split => {
                let one = |i: usize, width| self.linear(path(n.qkv[i]), (width, hidden), s.bias.qkv, None);
                Qkv::Split(Box::new([one(0, qw)?, one(1, kw)?, one(2, kw)?]))
            }
            QkvLayout::Fused | QkvLayout::FusedPerHead => {
                let shape = (qw + 2 * kw, hidden);
                Qkv::Fused(Box::new(self.linear(path(n.qkv[0]), shape, s.bias.qkv, per_head.clone())?))
            }
        };
        let mlp = |i: usize, width| self.linear(path(n.mlp_in[i]), (width, hidden), s.bias.mlp, None);
        let mlp_in = match s.mlp {
            MlpLayout::Gated => MlpIn::Gated(Box::new([mlp(0, s.intermediate)?, mlp(1, s.intermediate)?])),
            MlpLayout::GatedFused => MlpIn::Fused(Box::new(mlp(0, 2 * s.intermediate)?)),
            MlpLayout::Plain => MlpIn::Plain(Box::new(mlp(0, s.intermediate)?)),
        };
        let shared = s.block == BlockKind::Parallel { shared_norm: true };
        Ok(Layer {
            attn_norm: self.norm(&path(n.attn_norm), hidden, s.norm)?,
            mlp_norm: optional(!shared, n.mlp_norm)?,
            post_attn_norm: optional(s.post_norms, n.post_attn_norm)?,
            post_mlp_norm: optional(s.post_norms, n.post_mlp_norm)?,
            q_norm: head(n.q_norm)?,
            k_norm: head(n.k_norm)?,
            qkv,
            o: self.linear(path(n.o), (hidden, qw), s.bias.o, None)?,
            mlp_in,
            mlp_out: self.linear(path(n.mlp_out), (hidden, s.intermediate), s.bias.mlp, None)?,
        })
    }
}

/// Row order that turns [head][q, k, v] into all q, then all k, then all v.
fn per_head_order(spec: &DecoderSpec) -> Arc<Vec<u32>> {
    let d = spec.head_dim;
    let row = |part: usize, head: usize, i: usize| (head * 3 * d + part * d + i) as u32;
    Arc::new(
        (0..3)
            .flat_map(|part| (0..spec.heads).flat_map(move |h| (0..d).map(move |i| row(part, h, i))))
            .collect(),
    )
}

/// A base model's files, opened and checked but for their tensors' values.
pub struct ModelFiles {
    path: PathBuf,
    weights: Checkpoint,
    config: Config,
    /// What the configuration describes.
    pub spec: DecoderSpec,
    /// What is odd about the files, for the person.
    pub warnings: Vec<String>,
    /// The tokenizer, once it was asked for, or why there is none.
    tokenizer: OnceCell<Result<Tokenizer, String>>,
}

impl ModelFiles {
    /// Opens a transformers folder or a `.gguf` file.
    ///
    /// # Errors
    /// Everything about configuration and headers, naming the file.
    pub fn open(path: &Path) -> Result<Self> {
        let (weights, config) = Checkpoint::open(path)?;
        let mut spec = families::spec(&config)?;
        let mut warnings = weights.warnings().to_vec();
        if spec.tied && !weights.is_tied(&spec)? {
            spec.tied = false;
            warnings.push(format!(
                "{}: its config.json ties the head to the embedding, but the file has a head of its own, which is used \
                 as in transformers",
                path.display()
            ));
        }
        // Only names and shapes: what is wrong with them shows before anything long begins.
        for (name, shape) in spec.tensors() {
            weights.tensor(&spec, &name, &shape)?;
        }
        Ok(Self { path: path.to_path_buf(), weights, config, spec, warnings, tokenizer: OnceCell::new() })
    }

    /// How much a copy of one of its tensors differs from it: see [`Stored::difference`]. `values` are the copy's, as
    /// [`Stored::values`] gives them. `None` too for a tensor that it does not have.
    ///
    /// # Errors
    /// Unreadable files; values that are not finite.
    pub fn difference(&self, copy: &Stored, values: &[f32]) -> Result<Option<f64>> {
        let spec = &self.spec;
        let name = match copy.name.rsplit_once('.') {
            Some((owner, leaf)) if spec.tied && owner == spec.names.head => {
                format!("{}.{leaf}", spec.names.embed)
            }
            _ => copy.name.clone(),
        };
        let Ok(tensor) = self.weights.tensor(spec, &name, &copy.shape) else { return Ok(None) };
        let base = tensor.values()?;
        let held = |row: &[f32]| tensor.rounding(row);
        Ok(copy.difference(values, &base, tensor.columns, held))
    }

    fn read_tokenizer(&self) -> Result<Tokenizer, String> {
        load_tokenizer(&self.path, &self.weights, &self.config, self.spec.vocab).map_err(|e| e.to_string())
    }

    /// The tokenizer, before the tensors are read.
    ///
    /// # Errors
    /// When there is none, or it is damaged.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.get_or_init(|| self.read_tokenizer()).as_ref().map_err(Error::msg)
    }

    /// What loading takes: `543 MB as f32, 23.4 GB of memory free`.
    pub fn forecast(&self, precision: Precision, ops: &dyn Ops) -> String {
        let weights = size(memory::need(&self.spec, precision).weights);
        match available().filter(|_| ops.device().is_cpu()) {
            Some(free) => format!("{weights} as {precision}, {} of memory free", size(free)),
            None => format!("{weights} as {precision}"),
        }
    }

    /// Reads the tensors, one by one, into a model that runs with `ops`. `progress` gets (blocks done, blocks in all).
    ///
    /// # Errors
    /// Too little memory (with a way out); missing, misshapen or damaged tensors; a raised `cancel`.
    pub fn load(
        mut self,
        precision: Precision,
        ops: Arc<dyn Ops>,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Model> {
        if ops.device().is_cpu() {
            memory::check(&self.path, &self.spec, precision, available())?;
        }
        // Token ids work without one.
        let (tokenizer, no_tokenizer) = match self.tokenizer.take().unwrap_or_else(|| self.read_tokenizer()) {
            Ok(tokenizer) => (Some(tokenizer), String::new()),
            Err(reason) => (None, reason),
        };
        let Self { path, weights, config, spec, warnings, .. } = self;
        let n = spec.names.clone();
        let builder = Builder { weights: &weights, spec: &spec, precision, ops: &*ops };
        // Some files keep a copy of the embedding as head; one that says "tied" means the embedding.
        let embedding = if spec.tied { None } else { Some(builder.table(n.embed)?) };
        let order = (spec.qkv == QkvLayout::FusedPerHead).then(|| per_head_order(&spec));
        let mut layers = Vec::with_capacity(spec.layers.min(1024));
        for index in 0..spec.layers {
            cancel.check()?;
            progress(index, spec.layers);
            layers.push(builder.layer(index, &order)?);
        }
        let final_norm = builder.norm(n.final_norm, spec.hidden, spec.norm)?;
        let head = if spec.tied {
            builder.table(n.head)?
        } else {
            builder.linear(n.head.to_string(), (spec.vocab, spec.hidden), spec.bias.head, None)?
        };
        progress(spec.layers, spec.layers);
        let rope = Rope::new(&spec.rope, spec.head_dim);
        let slots = layers.first().map_or(0, |l: &Layer| l.linears().len());
        let decoder = Decoder { ops, spec, embedding, layers, final_norm, head, rope, slots };
        let chat = load_chat(&path, &weights, &config, tokenizer.as_ref());
        Ok(Model { decoder, tokenizer, no_tokenizer, chat, path, precision, warnings })
    }
}

impl Model {
    /// Loads a transformers folder or a `.gguf` file. `progress` gets (blocks done, blocks in all).
    ///
    /// # Errors
    /// An unknown or absent device; as [`ModelFiles::open`] and [`ModelFiles::load`].
    pub fn load(
        path: &Path,
        options: &LoadOptions,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Self> {
        ModelFiles::open(path)?.load(options.precision, open_ops(&options.device)?, progress, cancel)
    }

    /// Where it runs: `cpu`, `cuda:N` or `metal`.
    pub fn device_name(&self) -> String {
        device_name(self.decoder.ops().device())
    }

    /// Settings of its `generation_config.json` that change which token is the likeliest, and are not followed. How
    /// tokens are drawn is said elsewhere.
    pub fn unfollowed_settings(&self) -> Vec<String> {
        let path = self.path.join("generation_config.json");
        let text = read_text(&path).unwrap_or_default();
        let Ok(config) = Config::parse(&path, &text) else { return Vec::new() };
        UNFOLLOWED
            .iter()
            .filter(|(key, plain)| config.says_other(key, plain))
            .map(|(key, _)| key.to_string())
            .collect()
    }

    /// The tokenizer, or an error that says what is missing.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().ok_or_else(|| {
            Error::msg(format!("{} (without a tokenizer only --tokens works)", self.no_tokenizer))
        })
    }
}

/// Settings of generation that change logits, with the number that changes nothing.
const UNFOLLOWED: [(&str, f64); 13] = [
    ("repetition_penalty", 1.0),
    ("encoder_repetition_penalty", 1.0),
    ("no_repeat_ngram_size", 0.0),
    ("min_length", 0.0),
    ("min_new_tokens", 0.0),
    ("num_beams", 1.0),
    ("penalty_alpha", 0.0),
    ("guidance_scale", 1.0),
    ("bad_words_ids", 0.0),
    ("sequence_bias", 0.0),
    ("suppress_tokens", 0.0),
    ("begin_suppress_tokens", 0.0),
    ("forced_bos_token_id", -1.0),
];

fn load_tokenizer(path: &Path, weights: &Checkpoint, config: &Config, vocab: usize) -> Result<Tokenizer> {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let file = folder.map(|f| f.join("tokenizer.json")).filter(|f| f.exists());
    let from_json = |file: &Path, end_ids| {
        let side = SideFiles::read(file.parent().unwrap_or(Path::new(".")))?;
        Tokenizer::from_file(file, &side, end_ids)
    };
    let tokenizer = match (weights.gguf(), file) {
        // A file beside a GGUF may belong to another model: the GGUF's own comes first.
        (Some(gguf), file) => Tokenizer::from_gguf(gguf.file(), vocab).or_else(|reason| match file {
            Some(file) => from_json(&file, config.ids("eos_token_id")),
            None => Err(reason),
        }),
        (None, Some(file)) => from_json(&file, end_ids(path, config)?),
        (None, None) => Tokenizer::from_legacy(&legacy(path, config)?, end_ids(path, config)?),
    }?;
    tokenizer.check_size(path, vocab)?;
    Ok(tokenizer)
}

/// The tokens that end a text: those of `generation_config.json`, where it names any, else the configuration's.
fn end_ids(folder: &Path, config: &Config) -> Result<Vec<u32>> {
    let generation = folder.join("generation_config.json");
    let ids = match generation.exists() {
        true => Config::parse(&generation, &read_text(&generation)?)?.ids("eos_token_id"),
        false => Vec::new(),
    };
    Ok(if ids.is_empty() { config.ids("eos_token_id") } else { ids })
}

/// The tokenizer of a folder without `tokenizer.json`.
fn legacy(folder: &Path, config: &Config) -> Result<Legacy> {
    let registered =
        families::tokenizer_class(config.wrapper().or(config.text("model_type")).unwrap_or_default());
    Legacy::read(folder, config.text("tokenizer_class"), registered)
}

/// The chat template of a GGUF file, or of a folder.
fn load_chat(
    path: &Path,
    weights: &Checkpoint,
    config: &Config,
    tokenizer: Option<&Tokenizer>,
) -> Option<ChatTemplate> {
    let Some(gguf) = weights.gguf() else {
        let side = match path.join("tokenizer.json").exists() {
            true => SideFiles::read(path).ok()?,
            false => {
                legacy(path, config).map(|legacy| legacy.side).or_else(|_| SideFiles::read(path)).ok()?
            }
        };
        return ChatTemplate::of_folder(path, &side);
    };
    let source = gguf.file().text("tokenizer.chat_template")?.to_string();
    let token = |name: &str, key: &str| {
        let id =
            u32::try_from(gguf.file().scalar(&format!("tokenizer.ggml.{key}_token_id"))?.as_u64()?).ok()?;
        Some((format!("{name}_token"), tokenizer?.decode(&[id], false).ok()?))
    };
    let keys = [
        ("bos", "bos"),
        ("eos", "eos"),
        ("unk", "unknown"),
        ("sep", "seperator"),
        ("pad", "padding"),
        ("mask", "mask"),
    ];
    let named = keys.into_iter().filter_map(|(name, key)| token(name, key));
    Some(ChatTemplate::new(source, named.collect()))
}
