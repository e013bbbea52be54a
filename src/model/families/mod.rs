//! The model families: each a short function from its configuration to a [`DecoderSpec`].

mod family;
mod gemma2;
mod gpt_neox;
mod llama;
mod mistral;
mod phi;
mod phi3;
mod qwen2;
mod qwen3;
mod wrapper;

pub(crate) use self::wrapper::language_model;

use self::family::Family;
use super::checkpoint::gguf::Conventions;
use super::config::Config;
use super::spec::{DecoderSpec, RopeScaling};
use super::tokenizer::Registered;
use crate::Result;
use crate::text::short;

static FAMILIES: &[Family] = &[
    gemma2::FAMILY,
    gpt_neox::FAMILY,
    llama::FAMILY,
    mistral::FAMILY,
    phi::FAMILY,
    phi3::FAMILY,
    qwen2::FAMILY,
    qwen3::FAMILY,
];

/// The families as a Markdown table, for docs/base-model.md.
pub fn families_table() -> String {
    let mut table = String::from("| models | `model_type` | architecture in GGUF |\n|---|---|---|\n");
    for Family { name, models, gguf, .. } in FAMILIES {
        let architecture = match gguf {
            Some(conventions) => format!("`{}`", conventions.architecture),
            None => "another family's".into(),
        };
        table += &format!("| {models} | `{name}` | {architecture} |\n");
    }
    table
        + &format!(
            "\nOf models that also see or hear, the language model is read where it is of one of these families: {}. Adapters \
             of the whole apply, and what they change elsewhere is reported. An architecture around them that is not listed \
             is refused.\n",
            wrapper::wrappers()
        )
}

/// `model_type` and GGUF conventions of an architecture.
pub(crate) fn of_gguf(architecture: &str) -> Option<(&'static str, &'static Conventions)> {
    FAMILIES.iter().find_map(|family| {
        let gguf = family.gguf.as_ref()?;
        (gguf.architecture == architecture).then_some((family.name, gguf))
    })
}

/// The architecture that llama.cpp has for a family.
pub(crate) fn architecture(model_type: &str) -> Option<&'static str> {
    let family = FAMILIES.iter().find(|family| family.name == model_type)?;
    // A family without one is kept as Llama is.
    family.gguf.as_ref().or(llama::FAMILY.gguf.as_ref()).map(|gguf| gguf.architecture)
}

/// The architectures that [`of_gguf`] knows, for messages.
pub(crate) fn gguf_architectures() -> String {
    let known: Vec<&str> = FAMILIES.iter().filter_map(|f| Some(f.gguf.as_ref()?.architecture)).collect();
    known.join(", ")
}

/// The class that transformers has for the tokenizer of an architecture.
pub(crate) fn tokenizer_class(model_type: &str) -> Registered {
    let family = || FAMILIES.iter().find(|family| family.name == model_type).map(|family| family.tokenizer);
    wrapper::tokenizer(model_type).or_else(family).unwrap_or(Registered::Nothing)
}

/// The names of the families, for messages.
fn known() -> String {
    FAMILIES.iter().map(|f| f.name).collect::<Vec<_>>().join(", ")
}

/// The decoder that a configuration describes.
///
/// # Errors
/// Unknown `model_type` (the known ones are named), missing or wrong fields.
pub fn spec(config: &Config) -> Result<DecoderSpec> {
    let Some(kind) = config.text("model_type") else {
        return Err(config.error(format!("lacks \"model_type\" (known: {})", known())));
    };
    let Some(family) = FAMILIES.iter().find(|f| f.name == kind) else {
        let kind = short(kind);
        let inner = ["text_config", "llm_config", "language_config"].into_iter();
        let inner = inner.filter_map(|key| config.inner_text(key, "model_type"));
        if let Some(family) = inner.filter_map(|inner| FAMILIES.iter().find(|f| f.name == inner)).next() {
            return Err(config.error(format!(
                "architecture \"{kind}\" is not supported; the language model in it is of architecture \"{}\", which \
                 is: save that alone",
                family.name
            )));
        }
        return Err(config.error(format!("architecture \"{kind}\" is not supported (known: {})", known())));
    };
    let config = &config.with_defaults(family.defaults);
    let mut spec = (family.spec)(config)?;
    check(config, &spec)?;
    spec.context = spec.rope.scaling.reach(spec.context);
    Ok(spec)
}

/// What must hold in every family.
fn check(config: &Config, spec: &DecoderSpec) -> Result<()> {
    if !spec.heads.is_multiple_of(spec.kv_heads) {
        return Err(config.error(format!(
            "{} attention heads cannot share {} key heads: \"num_key_value_heads\" must divide \
                 \"num_attention_heads\"",
            spec.heads, spec.kv_heads
        )));
    }
    if spec.head_dim == 0 {
        let (hidden, heads) = (spec.hidden, spec.heads);
        return Err(config.error(format!("{heads} attention heads do not fit a hidden size of {hidden}")));
    }
    if !(spec.norm_eps > 0.0 && spec.norm_eps.is_finite()) {
        return Err(config.error("the norm's epsilon must be a positive number"));
    }
    if !(spec.attention_scale > 0.0 && spec.attention_scale.is_finite()) {
        return Err(config.error("the attention's scale must be a positive number"));
    }
    if matches!(spec.rope.scaling, RopeScaling::Dynamic { .. }) && spec.rope.dim <= 2 {
        return Err(config.error("dynamic rope scaling needs more than two rotating dimensions"));
    }
    if let RopeScaling::Yarn { attention, .. } | RopeScaling::Long { attention, .. } = &spec.rope.scaling
        && !(*attention > 0.0 && attention.is_finite())
    {
        return Err(config.error("the rope scaling's lengths and factor give no attention factor"));
    }
    let caps = [spec.attention_softcap, spec.final_softcap];
    if caps.into_iter().flatten().any(|cap| !(cap > 0.0 && cap.is_finite())) {
        return Err(config.error("soft caps must be positive numbers"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::described;

    #[test]
    fn a_language_model_in_another_is_named() {
        let fields = json!({ "model_type": "paligemma", "text_config": { "model_type": "gemma2" } });
        let config = super::Config::new("config.json".as_ref(), fields).unwrap();
        let error = super::spec(&config).unwrap_err().to_string();
        assert!(
            error.contains("\"paligemma\" is not supported; the language model in it")
                && error.contains("gemma2"),
            "{error}"
        );
    }

    /// Made by `tests/fixtures/make_side_files.py`.
    #[test]
    fn what_a_configuration_lacks_is_what_transformers_takes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/side_files/cases.json");
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let families = cases["defaults"].as_object().unwrap();
        assert_eq!(families.len(), super::FAMILIES.len());
        for (name, wanted) in families {
            let spec = described(wanted["fields"].clone());
            let windows: Vec<_> = (0..spec.layers).map(|layer| spec.window(layer)).collect();
            let found = json!({
                "fields": wanted["fields"], "kv_heads": spec.kv_heads, "head_dim": spec.head_dim, "context": spec.context,
                "tied": spec.tied, "norm_eps": spec.norm_eps, "windows": windows,
                "attention_softcap": spec.attention_softcap, "final_softcap": spec.final_softcap,
                "theta": spec.rope.theta, "share": spec.rope.dim as f64 / spec.head_dim as f64,
            });
            assert_eq!(&found, wanted, "{name}");
        }
    }
}
