//! GGUF metadata as the configuration that transformers would have.

use serde_json::{Map, Value, json};

use super::Gguf;
use crate::Result;
use crate::library::gguf::GgufTensor;

/// A configuration in the making.
pub(crate) type Fields = Map<String, Value>;

/// Longest list of rotary factors that a head could need.
const MAX_FACTORS: u64 = 4 * 4096;

impl Gguf {
    /// The full name of an architecture's key.
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.conventions.architecture)
    }

    /// The number under `<architecture>.<key>`.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>> {
        let key = self.key(key);
        let Some(value) = self.file.scalar(&key).map(|s| s.as_f64()) else { return Ok(None) };
        if !value.is_finite() {
            return Err(self.error(format!("\"{key}\" is {value}: the model is damaged")));
        }
        // The file's f32 has rounding noise where transformers has a short decimal.
        Ok(Some(format!("{value:.6e}").parse().unwrap_or(value)))
    }

    /// The truth value under `<architecture>.<key>`.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        Some(self.file.scalar(&self.key(key))?.as_f64() != 0.0)
    }

    /// The text under `<architecture>.<key>`.
    fn text(&self, key: &str) -> Option<&str> {
        self.file.text(&self.key(key))
    }

    /// The whole number under `<architecture>.<key>`; `None` also where it is 0.
    pub(crate) fn whole(&self, key: &str) -> Option<u64> {
        self.file.scalar(&self.key(key))?.as_u64().filter(|&n| n > 0)
    }

    /// A positive whole number that must be there.
    fn size(&self, key: &str) -> Result<u64> {
        self.whole(key).ok_or_else(|| {
            let key = self.key(key);
            match self.file.get(&key) {
                Some(_) => self.error(format!("\"{key}\" must be one positive whole number")),
                None => self.error(format!("lacks \"{key}\": it is no complete model")),
            }
        })
    }

    /// Whether there is a tensor of this GGUF name.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.file.tensor(name).is_some()
    }
}

/// What every family's configuration has, and what only this one has.
pub(super) fn transformers(gguf: &Gguf) -> Result<Value> {
    if gguf.whole("expert_count").is_some() {
        return Err(gguf.error("is a mixture-of-experts model, which is not supported"));
    }
    let (hidden, heads) = (gguf.size("embedding_length")?, gguf.size("attention.head_count")?);
    let head = gguf.whole("attention.key_length").unwrap_or(hidden / heads);
    if gguf.whole("attention.value_length").is_some_and(|value| value != head) {
        return Err(gguf.error("has keys and values of different widths, which is not supported"));
    }
    let kv_heads = match gguf.file.get(&gguf.key("attention.head_count_kv")) {
        Some(_) => gguf.size("attention.head_count_kv")?,
        None => heads,
    };
    let embedding = gguf.file.tensor("token_embd.weight").map(GgufTensor::shape);
    let vocab = embedding.and_then(|shape| shape.first().copied());
    let mut fields = Fields::new();
    let mut set = |key: &str, value: Value| {
        fields.insert(key.into(), value);
    };
    set("model_type", gguf.model_type.into());
    set("vocab_size", vocab.ok_or_else(|| gguf.error("has no tensor token_embd.weight"))?.into());
    set("hidden_size", hidden.into());
    set("num_hidden_layers", gguf.size("block_count")?.into());
    set("num_attention_heads", heads.into());
    set("num_key_value_heads", kv_heads.into());
    set("head_dim", head.into());
    set("intermediate_size", gguf.size("feed_forward_length")?.into());
    set("max_position_embeddings", gguf.size("context_length")?.into());
    set("tie_word_embeddings", (!gguf.holds("output.weight")).into());
    for (ours, theirs) in [
        ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
        ("layer_norm_eps", "attention.layer_norm_epsilon"),
    ] {
        if let Some(eps) = gguf.number(theirs)? {
            set(ours, json!(eps));
        }
    }
    if let Some(original) = gguf.whole("rope.scaling.original_context_length") {
        set("original_max_position_embeddings", original.into());
    }
    set("rope_parameters", rope(gguf, head)?);
    (gguf.conventions.extra)(gguf, &mut fields)?;
    Ok(Value::Object(fields))
}

/// Rotary settings.
fn rope(gguf: &Gguf, head: u64) -> Result<Value> {
    let mut rope = Fields::new();
    rope.insert("rope_theta".into(), json!(gguf.number("rope.freq_base")?.unwrap_or(10_000.0)));
    if let Some(dim) = gguf.whole("rope.dimension_count") {
        // A quarter more, so that multiplying by the head's width and rounding down gives `dim` again.
        let share = if dim == head { 1.0 } else { (dim as f64 + 0.25) / head as f64 };
        rope.insert("partial_rotary_factor".into(), json!(share));
    }
    let original = gguf.whole("rope.scaling.original_context_length");
    if let Some(original) = original {
        rope.insert("original_max_position_embeddings".into(), original.into());
    }
    let attention = gguf.number("rope.scaling.attn_factor")?;
    // Divisors of the frequencies, whatever rule made them (Llama 3's).
    if let Some(factors) = factors(gguf, "rope_freqs.weight")? {
        rope.insert("rope_type".into(), "longrope".into());
        rope.insert("short_factor".into(), factors.clone());
        rope.insert("long_factor".into(), factors);
        rope.insert("attention_factor".into(), json!(1.0));
        return Ok(Value::Object(rope));
    }
    if let Some(long) = factors(gguf, "rope_factors_long.weight")? {
        let short = factors(gguf, "rope_factors_short.weight")?;
        let short = short.ok_or_else(|| gguf.error("has no tensor rope_factors_short.weight"))?;
        rope.insert("rope_type".into(), "longrope".into());
        rope.insert("short_factor".into(), short);
        rope.insert("long_factor".into(), long);
        if let Some(attention) = attention {
            rope.insert("attention_factor".into(), json!(attention));
        }
        return Ok(Value::Object(rope));
    }
    let kind = gguf.text("rope.scaling.type").unwrap_or("none");
    let factor = gguf.number("rope.scaling.factor")?.filter(|&f| f > 0.0);
    match (kind, factor) {
        ("none", _) | ("linear", None) => {}
        ("linear", Some(factor)) => {
            rope.insert("rope_type".into(), "linear".into());
            rope.insert("factor".into(), json!(factor));
            // The length of the file is the stretched one.
            let context = gguf.size("context_length")?;
            let original = original.map_or(context as f64 / factor, |n| n as f64);
            rope.insert("original_max_position_embeddings".into(), json!(original.max(1.0)));
        }
        ("yarn", Some(factor)) => {
            rope.insert("rope_type".into(), "yarn".into());
            rope.insert("factor".into(), json!(factor));
            for (ours, theirs) in [("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")] {
                if let Some(beta) = gguf.number(&format!("rope.scaling.{theirs}"))? {
                    rope.insert(ours.into(), json!(beta));
                }
            }
            // llama.cpp multiplies it with YaRN's own.
            if let Some(attention) = attention {
                let own = if factor <= 1.0 { 1.0 } else { 0.1 * factor.ln() + 1.0 };
                rope.insert("attention_factor".into(), json!(attention * own));
            }
        }
        (kind, _) => {
            // Config knows which kinds there are.
            rope.insert("rope_type".into(), kind.into());
        }
    }
    Ok(Value::Object(rope))
}

/// A vector of rotary factors.
fn factors(gguf: &Gguf, name: &str) -> Result<Option<Value>> {
    let Some(tensor) = gguf.file.tensor(name) else { return Ok(None) };
    if tensor.kind().name != "F32" || tensor.length > MAX_FACTORS {
        return Err(gguf.error(format!("tensor {name} is no list of rotary factors")));
    }
    let mut bytes = vec![0; tensor.length as usize];
    gguf.file.read_at(tensor, 0, &mut bytes)?;
    let (numbers, _) = bytes.as_chunks::<4>();
    Ok(Some(numbers.iter().map(|&b| json!(f32::from_le_bytes(b))).collect()))
}
