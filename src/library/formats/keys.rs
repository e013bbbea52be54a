//! The many ways in which tools spell the names of the same tensors.

use std::borrow::Cow;

/// Components that wrappers of PyTorch leave anywhere in a path.
const WRAPPERS: [&str; 5] =
    ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_fpw_module"];
/// What a causal language model of transformers starts with below its own name.
const TOPS: [&str; 4] = ["model", "lm_head", "embed_out", "gpt_neox"];
/// What lies directly in its body.
const BODY: [&str; 4] = ["layers", "embed_tokens", "norm", "final_layernorm"];

/// A tensor's name without what wrappers, trainers and multimodal models put around the path:
/// `module.base_model.model.model.layers.0.…` and `model.language_model.layers.0.…` become
/// `model.layers.0.…`.
pub(in crate::library) fn canonical(name: &str) -> Cow<'_, str> {
    let mut name = without_wrappers(name);
    let from = start(&name);
    if from > 0 {
        name = match name {
            Cow::Borrowed(text) => text[from..].into(),
            Cow::Owned(mut text) => {
                text.drain(..from);
                text.into()
            }
        };
    }
    match text_part(&name, 3) {
        Some(short) => short.into(),
        None => name,
    }
}

/// A path without the components that wrappers of PyTorch leave in it.
pub(crate) fn without_wrappers(path: &str) -> Cow<'_, str> {
    match path.split('.').any(|part| WRAPPERS.contains(&part)) {
        true => {
            let kept: Vec<&str> = path.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
            kept.join(".").into()
        }
        false => path.into(),
    }
}

/// A tensor of a larger model under the name that the language model inside has for it; `None` for tensors of other
/// parts.
pub(crate) fn language_tensor(name: &str) -> Option<Cow<'_, str>> {
    (!is_other_part(name)).then(|| canonical(name))
}

/// What PEFT's file calls the module or parameter of a tensor: all behind its own prefix, wrappers included.
pub(in crate::library) fn in_file(name: &str) -> &str {
    let at = name.match_indices(PEFT).map(|(at, _)| at).find(|&at| at == 0 || name[..at].ends_with('.'));
    at.map_or(name, |at| &name[at + PEFT.len()..])
}

/// Parts of multimodal models beside the language model, as components of paths.
const OTHER_PARTS: &[&str] = &[
    "visual",
    "vision",
    "vision_tower",
    "vision_model",
    "vision_encoder",
    "vision_projection",
    "vision_embed_tokens",
    "vision_backbone",
    "vision_language_adapter",
    "vision_adapter",
    "vit",
    "vpm",
    "img_processor",
    "image_encoder",
    "image_newline",
    "embed_vision",
    "embed_audio",
    "audio_tower",
    "audio_model",
    "audio_encoder",
    "audio_projection",
    "audio_embed",
    "speech_encoder",
    "apm",
    "resampler",
    "multi_modal_projector",
    "multimodal_projector",
    "mm_projector",
    "mlp_AR",
    "aligner",
    "connector",
    "patch_embed",
    "image_tower",
    "video_tower",
    "vision_tokenizer",
    "projector",
    "language_projection",
    "resampler_model",
    "qformer",
    "merger",
    "talker",
    "token2wav",
    "code2wav",
];

/// Whether a path is of a part of a multimodal model that is not its language model.
pub(in crate::library) fn is_other_part(path: &str) -> bool {
    path.split('.').any(|part| OTHER_PARTS.contains(&part))
}

/// PEFT's own prefix.
const PEFT: &str = "base_model.model.";

/// Where the path in the base model starts.
fn start(name: &str) -> usize {
    let mut from = match name.rfind(PEFT) {
        Some(at) if at == 0 || name[..at].ends_with('.') => at + PEFT.len(),
        _ => 0,
    };
    while let Some(rest) = name[from..].strip_prefix("module.") {
        from = name.len() - rest.len();
    }
    // A model inside a model inside a trainer.
    while let Some(rest) = name[from..].strip_prefix("model.") {
        let next = rest.split('.').next().unwrap_or_default();
        if !TOPS.contains(&next) {
            break;
        }
        from = name.len() - rest.len();
    }
    from
}

/// What larger models call the language model inside them.
const CONTAINERS: [&str; 9] = [
    "language_model",
    "text_model",
    "llm",
    "vlm",
    "thinker",
    // Not multimodal, but a model around a model: value heads of TRL, and what people write themselves.
    "pretrained_model",
    "transformer",
    "backbone",
    "policy",
];

/// The path of the language model's part of a larger model in the language model alone; `nested` more models may lie
/// around it.
fn text_part(name: &str, nested: u8) -> Option<String> {
    let first = |rest: &str, known: &[&str]| known.contains(&rest.split('.').next().unwrap_or_default());
    let inside = name.strip_prefix("model.").filter(|rest| first(rest, &CONTAINERS));
    let below = inside.is_some();
    let (_, rest) =
        inside.unwrap_or(name).split_once('.').filter(|(container, _)| CONTAINERS.contains(container))?;
    match rest.strip_prefix("model.") {
        // `model.language_model.model.layers` is what `language_model.model.layers` is.
        Some(inner) if below => first(inner, &BODY).then(|| rest.to_string()),
        _ if !below && first(rest, &TOPS) => Some(rest.to_string()),
        _ if first(rest, &CONTAINERS) => text_part(rest, nested.checked_sub(1)?),
        _ => first(rest, &BODY).then(|| format!("model.{rest}")),
    }
}

/// Whether a file's name is of the language model inside a larger model.
pub(in crate::library) fn is_inside(name: &str) -> bool {
    name.split('.').any(|part| CONTAINERS.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_and_prefixes_fall_away() {
        let q = "model.layers.0.self_attn.q_proj.lora_A.weight";
        for name in [
            q,
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "module.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "_orig_mod.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "_forward_module.module.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "_fsdp_wrapped_module.base_model.model.model.layers.0._fsdp_wrapped_module.\
             _checkpoint_wrapped_module.self_attn.q_proj.lora_A._fsdp_wrapped_module.weight",
            "model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "model.model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "model.language_model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.transformer.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.llm.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.thinker.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.model.text_model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.text_model.model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.model.vlm.language_model.layers.0.self_attn.q_proj.lora_A.weight",
            "base_model.model.pretrained_model.model.layers.0.self_attn.q_proj.lora_A.weight",
        ] {
            assert_eq!(canonical(name), q, "{name}");
        }
        assert_eq!(
            canonical("base_model.model.language_model.lm_head.lora_B.weight"),
            "lm_head.lora_B.weight"
        );
        let neox = "gpt_neox.layers.1.attention.dense.lora_B.weight";
        assert_eq!(canonical(&format!("base_model.model.{neox}")), neox);
    }

    #[test]
    fn a_file_names_what_stands_behind_peft_s_prefix() {
        for (name, module) in [
            ("base_model.model.model.language_model.layers.0.q", "model.language_model.layers.0.q"),
            ("module.base_model.model.model.layers.0.q", "model.layers.0.q"),
            ("base_model.model._orig_mod.model.layers.0.q", "_orig_mod.model.layers.0.q"),
            ("base_model.model.base_model.model.model.q", "base_model.model.model.q"),
            ("model.layers.0.q", "model.layers.0.q"),
            ("xbase_model.model.fc", "xbase_model.model.fc"),
        ] {
            assert_eq!(in_file(name), module, "{name}");
        }
    }

    /// Names of linear layers of transformers' multimodal models beside the language model.
    #[test]
    fn other_parts_of_multimodal_models_are_known() {
        for path in [
            "model.vision_tower.encoder.layers.0.self_attn.q_proj",
            "model.visual.blocks.0.attn.qkv",
            "model.connector.modality_projection.proj",
            "model.multi_modal_projector.linear_1",
            "model.audio_tower.layers.0.self_attn.q_proj",
            "model.vision_embed_tokens",
            "model.projector.linear_1",
            "model.merger.mlp.0",
            "multi_modal_projector.linear_1",
            "talker.model.layers.0.self_attn.q_proj",
        ] {
            assert!(is_other_part(path), "{path}");
        }
        for path in ["model.layers.0.self_attn.q_proj", "lm_head", "gpt_neox.layers.0.attention.dense"] {
            assert!(!is_other_part(path), "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_a_wrapper_stays() {
        for name in [
            "model.visual.blocks.0.attn.qkv.lora_A.weight",
            "transformer.h.0.module.lora_A.weight",
            "model.decoder.layers.0.fc1.lora_A.weight",
            "language_model.encoder.fc1.lora_A.weight",
            "xbase_model.model.fc.lora_A.weight",
            "base_model.modelx.fc",
            "",
            "model.",
        ] {
            assert_eq!(canonical(name), name, "{name}");
        }
    }
}
