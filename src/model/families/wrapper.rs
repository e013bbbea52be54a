//! Language models inside models that also see or hear: of such a folder the language model is read, and no more.

use super::family::{Config, Registered, Result};
use super::{FAMILIES, known};
use crate::text::short;

/// A model around a language model.
struct Wrapper {
    /// `model_type` of transformers.
    name: &'static str,
    /// Architecture of the language model where the configuration does not say.
    text: &'static str,
    /// Where it is said whether the head is the embedding.
    tied: Tied,
    tokenizer: Registered,
}

/// Where a wrapper's configuration says whether the head is the embedding.
#[derive(Clone, Copy)]
enum Tied {
    /// At the top; this holds where it does not say.
    Top(bool),
    /// At the top or within the language model's part: either is enough.
    Either,
}

const GENERAL: Registered = Registered::GENERAL;
const QWEN: Registered = Registered::Default("Qwen2Tokenizer");
const NONE: Registered = Registered::Nothing;

static WRAPPERS: &[Wrapper] = &[
    Wrapper { name: "got_ocr2", text: "qwen2", tied: Tied::Top(true), tokenizer: GENERAL },
    Wrapper { name: "idefics3", text: "llama", tied: Tied::Top(false), tokenizer: NONE },
    Wrapper { name: "internvl", text: "qwen2", tied: Tied::Top(true), tokenizer: QWEN },
    Wrapper { name: "llava", text: "llama", tied: Tied::Either, tokenizer: GENERAL },
    Wrapper { name: "llava_next", text: "llama", tied: Tied::Top(false), tokenizer: GENERAL },
    Wrapper { name: "llava_next_video", text: "llama", tied: Tied::Either, tokenizer: NONE },
    Wrapper { name: "llava_onevision", text: "qwen2", tied: Tied::Either, tokenizer: NONE },
    Wrapper { name: "mistral3", text: "mistral", tied: Tied::Top(true), tokenizer: GENERAL },
    Wrapper { name: "qwen2_5_vl", text: "qwen2_5_vl_text", tied: Tied::Either, tokenizer: QWEN },
    Wrapper { name: "qwen2_vl", text: "qwen2_vl_text", tied: Tied::Either, tokenizer: QWEN },
    Wrapper { name: "qwen3_vl", text: "qwen3_vl_text", tied: Tied::Top(false), tokenizer: QWEN },
    Wrapper { name: "smolvlm", text: "llama", tied: Tied::Top(false), tokenizer: GENERAL },
    Wrapper { name: "video_llava", text: "llama", tied: Tied::Top(false), tokenizer: NONE },
    Wrapper { name: "vipllava", text: "llama", tied: Tied::Top(false), tokenizer: GENERAL },
];

/// Language models that have a name of their own inside a wrapper: with text alone, the three positions of every
/// token are one, and they are models of a family. Each with what transformers takes where its configuration lacks it.
static INNER: &[(&str, &str, &[(&str, f64)])] = &[
    ("qwen2_vl_text", "qwen2", QWEN_VL),
    ("qwen2_5_vl_text", "qwen2", QWEN_VL),
    (
        "qwen3_vl_text",
        "qwen3",
        &[
            ("vocab_size", 151_936.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 22_016.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
            ("max_position_embeddings", 128_000.0),
        ],
    ),
];

const QWEN_VL: &[(&str, f64)] = &[
    ("vocab_size", 152_064.0),
    ("hidden_size", 8192.0),
    ("intermediate_size", 29_568.0),
    ("num_hidden_layers", 80.0),
    ("num_attention_heads", 64.0),
    ("num_key_value_heads", 8.0),
    ("rms_norm_eps", 1e-5),
];

/// The sizes that a family's model has where a wrapper leaves them out, as those of LLaVA do.
static SIZES: &[(&str, &[(&str, f64)])] = &[
    (
        "llama",
        &[
            ("vocab_size", 32_000.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 11_008.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
        ],
    ),
    (
        "mistral",
        &[
            ("vocab_size", 32_000.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 14_336.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
        ],
    ),
    (
        "qwen2",
        &[
            ("vocab_size", 151_936.0),
            ("hidden_size", 4096.0),
            ("intermediate_size", 22_016.0),
            ("num_hidden_layers", 32.0),
            ("num_attention_heads", 32.0),
        ],
    ),
];

/// The models around language models, for docs/base-model.md: `idefics3`, `llava`, …
pub(super) fn wrappers() -> String {
    let names: Vec<String> = WRAPPERS.iter().map(|wrapper| format!("`{}`", wrapper.name)).collect();
    names.join(", ")
}

/// The tokenizer's class of a wrapper.
pub(super) fn tokenizer(model_type: &str) -> Option<Registered> {
    WRAPPERS.iter().find(|wrapper| wrapper.name == model_type).map(|wrapper| wrapper.tokenizer)
}

/// The configuration of the language model that a configuration describes: of wrappers the one inside, which then
/// knows in what it was; of others itself.
///
/// # Errors
/// A wrapper around a language model of no known family.
pub(crate) fn language_model(config: Config) -> Result<Config> {
    let name = config.text("model_type").unwrap_or_default();
    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == name) else { return Ok(config) };
    let inside = config.inner_text("text_config", "model_type").unwrap_or(wrapper.text);
    let alias = INNER.iter().find(|(alias, ..)| *alias == inside);
    let family = alias.map_or(inside, |(_, family, _)| family);
    if !FAMILIES.iter().any(|known| known.name == family) {
        return Err(config.error(format!(
            "the language model in \"{name}\" is of architecture \"{}\", which is not supported (known: {})",
            short(inside),
            known()
        )));
    }
    let sizes = SIZES.iter().find(|(name, _)| *name == family).map(|(_, sizes)| *sizes);
    let defaults = alias.map(|(.., defaults)| *defaults).or(sizes).unwrap_or_default();
    let outside = config.flag("tie_word_embeddings", matches!(wrapper.tied, Tied::Top(true)))?;
    let inner = config.unwrapped("text_config", family);
    let tied = match wrapper.tied {
        Tied::Top(_) => outside,
        Tied::Either => outside || inner.flag("tie_word_embeddings", false)?,
    };
    Ok(inner.with_defaults(defaults).with("tie_word_embeddings", tied.into()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::spec::DecoderSpec;

    fn spec(fields: Value) -> crate::Result<DecoderSpec> {
        let config = Config::new(Path::new("config.json"), fields).unwrap();
        crate::model::families::spec(&language_model(config)?)
    }

    #[test]
    fn what_a_wrapper_leaves_out_is_as_in_transformers() {
        // As of llava-hf/llava-1.5-7b-hf and llava-v1.6-mistral-7b-hf.
        let vicuna = spec(json!({ "model_type": "llava", "text_config": {
            "model_type": "llama", "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "vocab_size": 32064 } })).unwrap();
        assert_eq!(
            (vicuna.vocab, vicuna.hidden, vicuna.intermediate, vicuna.layers),
            (32064, 4096, 11008, 32)
        );
        assert_eq!(
            (vicuna.family.as_str(), vicuna.heads, vicuna.kv_heads, vicuna.tied),
            ("llama", 32, 32, false)
        );
        let mistral = spec(json!({ "model_type": "llava_next", "text_config": { "model_type": "mistral",
            "intermediate_size": 14336, "num_key_value_heads": 8, "sliding_window": null, "vocab_size": 32064 } })).unwrap();
        assert_eq!((mistral.hidden, mistral.kv_heads, mistral.sliding_window), (4096, 8, None));
        let tied = |fields: Value| spec(fields).unwrap().tied;
        assert!(tied(json!({ "model_type": "internvl" })) && tied(json!({ "model_type": "mistral3" })));
        assert!(tied(json!({ "model_type": "llava", "text_config": { "tie_word_embeddings": true } })));
        assert!(!tied(json!({ "model_type": "llava_next", "text_config": { "tie_word_embeddings": true } })));
        let flat = spec(json!({ "model_type": "qwen2_vl", "hidden_size": 1536, "tie_word_embeddings": true,
            "num_attention_heads": 12, "num_key_value_heads": 2, "num_hidden_layers": 28, "intermediate_size": 8960,
            "rope_scaling": { "type": "mrope", "mrope_section": [16, 24, 24] }, "rms_norm_eps": 1e-6 })).unwrap();
        assert_eq!(
            (flat.family.as_str(), flat.hidden, flat.tied, flat.norm_eps),
            ("qwen2", 1536, true, 1e-6)
        );
    }

    #[test]
    fn a_wrapper_around_another_family_is_refused() {
        let error =
            spec(json!({ "model_type": "llava", "text_config": { "model_type": "opt" } })).unwrap_err();
        assert!(
            error.to_string().contains("the language model in \"llava\" is of architecture \"opt\""),
            "{error}"
        );
    }
}
