//! What lies in a library and looks as if it were an expert, but is none: why, in a few words.

use std::collections::BTreeMap;
use std::fs::FileType;
use std::path::Path;

use super::formats::has_extension;
use crate::outside::{open_regular, read_exact_at};

/// Names that a reason is given with.
const NAMES: usize = 3;
/// How much of a file that is no expert is looked at: of safetensors the names of tensors, before which there may be
/// a description.
const START: usize = 4096;
const HEADER: usize = 4 << 20;

/// Why an entry of a folder is neither a folder nor a file that could be read. `None` for one that is, and where the
/// file system does not say what it is.
pub(super) fn odd_entry(path: &Path, kind: FileType) -> Option<&'static str> {
    if kind.is_dir() || kind.is_file() {
        return None;
    }
    if kind.is_symlink() {
        return match std::fs::metadata(path) {
            Ok(found) if found.is_file() => None,
            Ok(found) if found.is_dir() => Some("a link to a folder above it"),
            Ok(found) => special(found.file_type()),
            Err(_) => Some("a link that leads nowhere"),
        };
    }
    special(kind)
}

#[cfg(unix)]
fn special(kind: FileType) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    Some(match kind {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_block_device() || kind.is_char_device() => "a device",
        _ => return None,
    })
}

#[cfg(not(unix))]
fn special(_: FileType) -> Option<&'static str> {
    None
}

/// Whether a file that is no expert by its name might contain LoRA all the same.
pub(super) fn may_hold_lora(path: &Path) -> bool {
    ["safetensors", "npz", "bin", "pt", "pth"].iter().any(|extension| has_extension(path, extension))
}

/// Why a file with LoRA is no expert; `None` for one without.
pub(super) fn stray_lora(path: &Path) -> Option<&'static str> {
    let (file, metadata) = open_regular(path).ok()?;
    let first = |most: usize, from: usize| {
        let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX).saturating_sub(from).min(most);
        let mut bytes = vec![0; length];
        read_exact_at(&file, &mut bytes, from as u64).ok().map(|()| bytes)
    };
    if has_extension(path, "safetensors") {
        let length = u64::from_le_bytes(first(8, 0)?.try_into().ok()?);
        return weights(&first(usize::try_from(length).unwrap_or(HEADER).min(HEADER), 8)?);
    }
    let start = first(START, 0)?;
    if !has(&start, "lora_") {
        return None;
    }
    Some(match has_extension(path, "npz") {
        true => "LoRA of MLX as .npz: save it as adapters.safetensors with its adapter_config.json",
        false => "LoRA without an adapter_config.json beside it",
    })
}

/// By the names in a header of safetensors.
fn weights(header: &[u8]) -> Option<&'static str> {
    let kohya = ["lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_transformer_"];
    if kohya.iter().any(|name| has(header, name)) {
        return Some("LoRA of an image model, as kohya's scripts write it");
    }
    if !has(header, ".lora_") && !has(header, ".lora.") {
        return None;
    }
    if [
        "\"unet.",
        "\"transformer.transformer_blocks",
        "\"transformer.single_",
        "\"text_encoder",
        "\"diffusion_model.",
    ]
    .iter()
    .any(|name| has(header, name))
    {
        return Some("LoRA of an image model, as diffusers writes it");
    }
    Some("LoRA without an adapter_config.json beside it")
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// One line for each reason, with the first names.
pub(super) fn lines(entries: &[(String, &'static str)]) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, reason) in entries {
        by_reason.entry(reason).or_default().push(name);
    }
    let line = |(reason, names): (&str, Vec<&str>)| {
        let (few, rest) = names.split_at(names.len().min(NAMES));
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        format!("left out: {}{more} ({reason})", few.join(", "))
    };
    by_reason.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_given_once() {
        let entry = |name: &str| (name.to_string(), "a pipe");
        let entries = [entry("a"), entry("b"), ("c".to_string(), "a socket"), entry("d"), entry("e")];
        assert_eq!(lines(&entries), ["left out: a, b, d and 1 more (a pipe)", "left out: c (a socket)"]);
    }

    #[test]
    fn lora_of_image_models_is_known_by_its_names() {
        for (header, expected) in [
            (r#"{"lora_unet_down_blocks_0.lora_down.weight":{}}"#, Some("kohya")),
            (r#"{"unet.down_blocks.0.attn.to_q.lora_A.weight":{}}"#, Some("diffusers")),
            (r#"{"transformer.transformer_blocks.0.attn.to_q.lora_A.weight":{}}"#, Some("diffusers")),
            (r#"{"base_model.model.model.layers.0.q.lora_A.weight":{}}"#, Some("adapter_config.json")),
            (r#"{"model.layers.0.q.weight":{}}"#, None),
        ] {
            let found = weights(header.as_bytes());
            assert_eq!(found.is_some(), expected.is_some(), "{header}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{header}: {found:?}");
        }
    }
}
