//! Checkpoints of mttl: a PyTorch file with `lora_a` (in × r) and `lora_b` (r × out) under transformers
//! paths, and what they were trained with beside them. Three layouts: a checkpoint of a training
//! (`state_dict`, `hyper_parameters`, `expert_info`), a member of a library (`NAME.ckpt` with the tensors,
//! `NAME.meta` with the rest), and a folder with `mttl_config.json` and `mttl_weights.bin`.

use std::path::Path;

use serde::Deserialize;

use super::format::{AdapterFile, AdapterFormat};
use super::keys::canonical;
use super::opened::{Files, Opened, file_name, is_matrix, targets, transposed};
use super::peft::config::{ConfigNotes, Number, Text, read_json};
use super::peft::pairs::find_parts;
use super::torch::TorchFile;
use super::torch::pickle::{Pickle, Value};
use super::view::View;
use crate::library::AdapterConfig;
use crate::library::safetensors::TensorInfo;
use crate::outside::{io_reason, open_regular};
use crate::text::short;

const CONFIG: &str = "mttl_config.json";
const WEIGHTS: &str = "mttl_weights.bin";
/// What a library keeps about a member, beside its checkpoint.
const META: &str = "meta";
/// A checkpoint of mttl or a member of one of its libraries.
pub(super) const FORMAT: AdapterFormat = AdapterFormat {
    docs: &[[
        "mttl",
        "`NAME.ckpt` with or without `NAME.meta`; `mttl_config.json`, `mttl_weights.bin`",
        "libraries, checkpoints of trainings, one A for q, k and v, `skilled_lora` of one skill, and the older Phi-2 with \
         its fused projection",
    ]],
    marks: &[CONFIG, WEIGHTS],
    // A folder with PEFT's configuration is PEFT's.
    open_folder: |folder, _| {
        let is_peft = std::fs::symlink_metadata(folder.join(super::peft::CONFIG)).is_ok();
        (!is_peft).then(|| open_folder(folder))
    },
    watched: &[CONFIG, WEIGHTS],
    file: Some(AdapterFile {
        extension: "ckpt",
        companion: Some(META),
        is_adapter: |_| Ok(true),
        open: |path, _| open_file(path),
    }),
    ..AdapterFormat::new("mttl", "mttl")
};

/// α of mttl where nothing says another.
const DEFAULT_ALPHA: f64 = 16.0;

/// What is known about an expert beside its tensors.
#[derive(Debug, Default)]
struct Facts {
    alpha: Option<f64>,
    dropout: Option<f64>,
    base: Option<String>,
    task: Option<String>,
}

impl Facts {
    /// Takes from `other` what is not known yet.
    fn or(self, other: Self) -> Self {
        Self {
            alpha: self.alpha.or(other.alpha),
            dropout: self.dropout.or(other.dropout),
            base: self.base.or(other.base),
            task: self.task.or(other.task),
        }
    }

    /// From a dictionary of settings or a description of an expert, as mttl nests them.
    fn read(pickle: &Pickle<'_>, map: Value, depth: usize) -> Self {
        let text = |key: &str| {
            let found = pickle.get(map, key).and_then(|value| pickle.text(value))?;
            Some(short(found)).filter(|found| !found.is_empty())
        };
        let number = |key: &str| pickle.get(map, key).and_then(|value| pickle.number(value));
        let mut facts = Self {
            alpha: number("lora_alpha"),
            dropout: number("lora_dropout"),
            base: text("expert_model").or_else(|| text("model")),
            task: text("expert_task_name").or_else(|| text("finetune_task_name")),
        };
        if depth > 0 {
            for key in ["expert_info", "expert_config", "training_config", "hyper_parameters"] {
                if let Some(inner) = pickle.get(map, key) {
                    facts = facts.or(Self::read(pickle, inner, depth - 1));
                }
            }
        }
        facts
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JsonConfig {
    base_model: Text,
    task_name: Text,
    modifier_config: Modifier,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Modifier {
    lora_alpha: Number,
    lora_dropout: Number,
}

/// Opens a checkpoint.
fn open_file(path: &Path) -> Result<Opened, String> {
    let (files, length) = Files::one(path)?;
    let name = file_name(path);
    let beside = path.with_extension(META);
    let mut warnings = Vec::new();
    let facts = match std::fs::symlink_metadata(&beside) {
        Ok(_) => read_meta(&beside).unwrap_or_else(|reason| {
            warnings.push(format!("{} is ignored: it {reason}", file_name(&beside)));
            Facts::default()
        }),
        Err(_) => Facts::default(),
    };
    let mut opened = read(files, length, facts).map_err(|reason| format!("{name} {reason}"))?;
    opened.files.settings = Some(beside).filter(|path| path.is_file());
    Ok(Opened { warnings, ..opened })
}

/// Opens a folder with a configuration and weights.
fn open_folder(folder: &Path) -> Result<Opened, String> {
    let config: JsonConfig =
        read_json(&folder.join(CONFIG)).map_err(|reason| format!("{CONFIG} {reason}"))?;
    let facts = Facts {
        alpha: config.modifier_config.lora_alpha.0,
        dropout: config.modifier_config.lora_dropout.0,
        base: config.base_model.0,
        task: config.task_name.0.map(|task| short(&task)),
    };
    let (mut files, length) = Files::one(&folder.join(WEIGHTS))?;
    files.settings = Some(folder.join(CONFIG));
    read(files, length, facts).map_err(|reason| format!("{WEIGHTS} {reason}"))
}

/// A library's description of a member.
fn read_meta(path: &Path) -> Result<Facts, String> {
    let (file, metadata) = open_regular(path).map_err(|e| io_reason(&e))?;
    let torch = TorchFile::open(&file, metadata.len())?;
    let pickle = torch.read()?;
    Ok(Facts::read(&pickle, pickle.root, 2))
}

fn read(mut files: Files, length: u64, beside: Facts) -> Result<Opened, String> {
    let torch = TorchFile::open(files.file(0)?, length)?;
    let pickle = torch.read()?;
    let root = pickle.root;
    let inner = ["state_dict", "module", "expert_weights"].iter().find_map(|key| pickle.get(root, key));
    let facts = match inner {
        Some(_) => beside.or(Facts::read(&pickle, root, 3)),
        None => beside,
    };
    let mut tensors = Vec::new();
    for tensor in torch.tensors(&pickle, inner.unwrap_or(root), one_skill, &mut files.views)? {
        let tensor = tensor.renamed(canonical(&tensor.name).into_owned());
        for tensor in modern(tensor, &mut files)? {
            tensors.push(translate(tensor, &mut files)?);
        }
    }
    tie(&mut tensors);
    let parts = find_parts(&tensors, &[])?;
    let mut notes = ConfigNotes { any_rank: true, ..ConfigNotes::default() };
    let alpha = facts.alpha.unwrap_or_else(|| {
        notes.doubts.push(format!("its α is not recorded: {DEFAULT_ALPHA}, mttl's default, is assumed"));
        DEFAULT_ALPHA
    });
    if !alpha.is_finite() {
        return Err("has a `lora_alpha` that is not a number".into());
    }
    let config = AdapterConfig {
        base: facts.base,
        r: parts.pairs.iter().map(|pair| pair.rank).max().unwrap_or(0),
        alpha,
        dropout: facts.dropout.filter(|dropout| dropout.is_finite()).unwrap_or(0.0),
        targets: targets(&parts),
        ..AdapterConfig::default()
    };
    Ok(Opened { task: facts.task, ..Opened::new(config, notes, files, parts) })
}

/// The dimensions of `skilled_lora`'s factors that are a plain LoRA's where there is one skill and one split: it
/// keeps A as skills × splits × in / splits × r, and B as skills × r × splits × out / splits.
fn one_skill(name: &str, shape: &[u64]) -> Result<Option<[usize; 2]>, String> {
    let (module, skills, splits, kept) = match (name.rsplit_once('.'), shape) {
        (Some((module, "lora_a")), [skills, splits, _, _]) => (module, skills, splits, [2, 3]),
        (Some((module, "lora_b")), [skills, _, splits, _]) => (module, skills, splits, [1, 3]),
        _ => return Ok(None),
    };
    if (*skills, *splits) == (1, 1) {
        return Ok(Some(kept));
    }
    let counted = crate::text::counted;
    let size = |n: &u64| usize::try_from(*n).unwrap_or(usize::MAX);
    Err(format!(
        "has {} and {} at {}: only one skill without splits is a LoRA; with one split, mttl's \
         SkilledLoRA.to_loras() separates the skills",
        counted(size(skills), "skill"),
        counted(size(splits), "split"),
        short(module)
    ))
}

/// The tensors that one of the older Phi-2 stands for, whose layers count from 1 and whose q, k and v are one
/// `mixer.Wqkv`: they share its A and have a third of its B each. Others stay as they are.
fn modern<'a>(tensor: TensorInfo<'a>, files: &mut Files) -> Result<Vec<TensorInfo<'a>>, String> {
    const NAMES: [&str; 3] = ["q_proj", "k_proj", "v_proj"];
    let old = tensor.name.strip_prefix("layers.").and_then(|rest| rest.split_once('.'));
    let old =
        old.and_then(|(layer, rest)| Some((layer.parse::<u32>().ok()?.checked_sub(1)?, rest.to_string())));
    let Some((layer, rest)) = old else { return Ok(vec![tensor]) };
    let path = format!("model.layers.{layer}");
    let Some(part) = rest.strip_prefix("mixer.") else {
        return Ok(vec![tensor.renamed(format!("{path}.{rest}"))]);
    };
    match part {
        "Wqkv.lora_a" => {
            Ok(NAMES.map(|name| tensor.renamed(format!("{path}.self_attn.{name}.lora_a"))).to_vec())
        }
        "Wqkv.lora_b" if is_matrix(&tensor) && tensor.columns.is_multiple_of(3) => {
            let size = |v: u64| usize::try_from(v).map_err(|_| "is too large for this machine".to_string());
            let (rows, columns) = (size(tensor.rows)?, size(tensor.columns / 3)?);
            let steps = match files.view(tensor.place) {
                Some(View::Steps { steps, .. }) => steps,
                Some(_) => return Err("has an order of values that cannot be split".into()),
                None => (size(tensor.columns)?, 1),
            };
            let width = tensor.dtype.bits() / 8;
            let place = files.place(tensor.place.file, View::Steps { rows, columns, steps })?;
            // Each part starts that many values further on; where it ends its view knows.
            let part = |(i, name): (u64, &str)| {
                let shift = i * (columns as u64).saturating_mul(steps.1 as u64).saturating_mul(width);
                let extent = (tensor.start.saturating_add(shift).min(tensor.end), tensor.end);
                let shape = [tensor.rows, tensor.columns / 3];
                let name = format!("{path}.self_attn.{name}.lora_b");
                TensorInfo::new(name, tensor.dtype, &shape, extent, place)
            };
            Ok((0..).zip(NAMES).map(part).collect())
        }
        "Wqkv.lora_b" => Err(format!("has a lora_b of {} that is not q, k and v", short(&tensor.name))),
        other => {
            let other = other.replace("out_proj", "dense");
            Ok(vec![tensor.renamed(format!("{path}.self_attn.{other}"))])
        }
    }
}

/// A tensor in PEFT's name and shape.
fn translate<'a>(tensor: TensorInfo<'a>, files: &mut Files) -> Result<TensorInfo<'a>, String> {
    let (module, letter) = match tensor.name.rsplit_once('.') {
        Some((module, "lora_a")) => (module, 'A'),
        Some((module, "lora_b")) => (module, 'B'),
        _ => return Ok(tensor),
    };
    let name = format!("{module}.lora_{letter}.weight");
    if tensor.dims > 2 {
        let (letter, dims) = (letter.to_ascii_lowercase(), tensor.dims);
        return Err(format!(
            "has a lora_{letter} of {dims} dimensions at {}: no LoRA of mttl",
            short(module)
        ));
    }
    match is_matrix(&tensor) {
        true => transposed(&tensor, name, files),
        false => Ok(tensor.renamed(name)),
    }
}

/// q, k and v of a layer may share one A, of which mttl then keeps one: the others get it too.
fn tie(tensors: &mut Vec<TensorInfo<'_>>) {
    const NAMES: [&str; 3] = ["q_proj", "k_proj", "v_proj"];
    const A: &str = ".lora_A.weight";
    const B: &str = ".lora_B.weight";
    tensors.sort_unstable_by(|x, y| x.name.cmp(&y.name));
    let find = |name: &str| tensors.binary_search_by(|tensor| (*tensor.name).cmp(name)).ok();
    let mut tied = Vec::new();
    for module in tensors.iter().filter_map(|tensor| tensor.name.strip_suffix(B)) {
        let Some((parent, name)) = module.rsplit_once('.') else { continue };
        if !NAMES.contains(&name) || find(&format!("{module}{A}")).is_some() {
            continue;
        }
        let kept = NAMES.iter().filter_map(|name| find(&format!("{parent}.{name}{A}")));
        let mut kept = kept.filter_map(|index| tensors.get(index));
        // Taken only where there is no doubt which: one, or several names of the same bytes.
        let Some(first) = kept.next() else { continue };
        if kept.all(|other| (other.start, other.end) == (first.start, first.end)) {
            tied.push(first.renamed(format!("{module}{A}")));
        }
    }
    tensors.extend(tied);
}
