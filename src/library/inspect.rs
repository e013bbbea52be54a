//! From an adapter's folder to an [`Expert`]: configuration and tensor header, never the weights.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::config::{ConfigNotes, Patterns, read_config};
use super::files::{io_reason, open_regular, read_limited};
use super::header::{parse_header, read_header, short};
use super::pairs::{Pair, Pairs, find_pairs};
use super::{AdapterConfig, Expert, ModuleShape, Provenance, Status};

/// Name of the weights file in PEFT's layout.
pub(super) const WEIGHTS: &str = "adapter_model.safetensors";
/// Name of the configuration file in PEFT's layout.
pub(super) const CONFIG: &str = "adapter_config.json";
/// Our optional provenance file.
pub(super) const PROVENANCE: &str = "expert.toml";

/// A weights file, opened, with its pairs.
pub(super) struct Weights {
    pub file: std::fs::File,
    pub pairs: Pairs,
    pub bytes: u64,
    pub modified: Option<std::time::SystemTime>,
}

/// Opens a weights file and reads its header. The error is a reason that starts with the file's name.
pub(super) fn open_weights(folder: &Path, stacked: &[String]) -> Result<Weights, String> {
    let path = folder.join(WEIGHTS);
    let (file, metadata) = open_regular(&path).map_err(|e| missing_weights(folder, &e))?;
    let bytes = metadata.len();
    let read = || -> Result<Pairs, String> {
        let header = read_header(&file, bytes)?;
        let tensors = parse_header(&header, bytes)?;
        find_pairs(&tensors, stacked)
    };
    let pairs = read().map_err(|reason| format!("{WEIGHTS} {reason}"))?;
    Ok(Weights { file, pairs, bytes, modified: metadata.modified().ok() })
}

fn missing_weights(folder: &Path, error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        if folder.join("adapter_model.bin").is_file() {
            return "has only adapter_model.bin, a pickle: re-save it with PEFT as safetensors \
                    (save_pretrained with safe_serialization=True)"
                .into();
        }
        return format!("has no {WEIGHTS}");
    }
    format!("{WEIGHTS} {}", io_reason(error))
}

/// Reads the expert in `folder`. Whatever is wrong becomes its status and reason.
pub(super) fn inspect(folder: PathBuf, name: String) -> Expert {
    let mut expert = Expert { name, path: folder, ..Expert::default() };
    match examine(&mut expert) {
        Ok(partly) if partly.is_empty() => {}
        Ok(partly) => {
            expert.status = Status::Partial;
            expert.reason = Some(partly.join("; "));
        }
        Err(reason) => {
            expert.status = Status::Bad;
            expert.reason = Some(reason);
        }
    }
    expert
}

/// Fills the expert; returns the reasons why it is only partial.
fn examine(expert: &mut Expert) -> Result<Vec<String>, String> {
    read_provenance(expert);
    let (config, notes) = read_config(&expert.path.join(CONFIG))?;
    expert.config = config;
    let weights = open_weights(&expert.path, &notes.stacked)?;
    expert.bytes = weights.bytes;
    expert.modified = weights.modified;
    let mut partly = Vec::new();
    expert.modules = shapes(&expert.config, &weights.pairs.pairs, &mut partly);
    expert.dtype = dtype(&weights.pairs.pairs);
    expert.parameters = expert
        .modules
        .iter()
        .map(|m| (m.rank as u64).saturating_mul(m.in_features as u64 + m.out_features as u64))
        .fold(0, u64::saturating_add);
    if let Some(bad) = expert.modules.iter().find(|m| !m.scale.is_finite()) {
        return Err(format!("{CONFIG} gives no finite scale for {}", short(&bad.module)));
    }
    partly.extend(not_applied(&expert.config, notes, weights.pairs.unused));
    Ok(partly)
}

fn read_provenance(expert: &mut Expert) {
    let path = expert.path.join(PROVENANCE);
    let text = match read_limited(&path, 1 << 20) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_string()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return,
        Err(e) => Err(io_reason(&e)),
    };
    match text.and_then(|text| toml::from_str::<Provenance>(&text).map_err(|e| short(e.message()))) {
        Ok(provenance) => expert.provenance = Some(provenance),
        Err(reason) => expert.warnings.push(format!("{PROVENANCE} is ignored: {reason}")),
    }
}

/// Scales per PEFT: α over the configured rank, unless the tensors have another rank.
fn shapes(config: &AdapterConfig, pairs: &[Pair], partly: &mut Vec<String>) -> Vec<ModuleShape> {
    let mut compile = |what: &str, error: String| {
        partly.push(format!("{what} `{error}` is a regular expression that cannot be read: it is ignored"));
    };
    let ranks = Patterns::new(&config.rank_pattern).unwrap_or_else(|key| {
        compile("rank_pattern", key);
        Patterns::default()
    });
    let alphas = Patterns::new(&config.alpha_pattern).unwrap_or_else(|key| {
        compile("alpha_pattern", key);
        Patterns::default()
    });
    let mut lies: Option<(usize, &Pair, usize)> = None;
    let shapes = pairs
        .iter()
        .map(|pair| {
            let said = ranks.find(&pair.module).unwrap_or(config.r);
            if said != pair.rank {
                lies = Some(lies.map_or((1, pair, said), |(count, first, said)| (count + 1, first, said)));
            }
            let alpha = alphas.find(&pair.module).unwrap_or(config.alpha);
            let rank = pair.rank as f64;
            ModuleShape {
                module: pair.module.clone(),
                rank: pair.rank,
                in_features: pair.in_features,
                out_features: pair.out_features,
                scale: if config.use_rslora { alpha / rank.sqrt() } else { alpha / rank },
            }
        })
        .collect();
    if let Some((count, pair, said)) = lies {
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        partly.push(format!(
            "the configuration says rank {said}, the tensors {} at {}{more}: the scale follows the tensors",
            pair.rank,
            short(&pair.module)
        ));
    }
    shapes
}

fn dtype(pairs: &[Pair]) -> String {
    let mut names = pairs.iter().flat_map(|pair| [pair.a.dtype, pair.b.dtype]);
    match names.next() {
        Some(first) if names.all(|other| other == first) => first.name(),
        Some(_) => "mixed".into(),
        None => String::new(),
    }
}

/// One reason that lists all that the adapter asks for and does not get.
fn not_applied(config: &AdapterConfig, notes: ConfigNotes, unused: Vec<String>) -> Option<String> {
    let mut missing: Vec<String> = unused;
    if config.use_dora && !missing.iter().any(|m| m.contains("DoRA")) {
        missing.push("DoRA".into());
    }
    let listed: BTreeSet<String> = notes.unsupported.into_iter().collect();
    missing.extend(listed);
    (!missing.is_empty()).then(|| format!("not applied: {}", missing.join(", ")))
}
