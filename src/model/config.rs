//! Reading a transformers `config.json`, old style and new, with errors that name the field.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::spec::{RopeScaling, RopeSpec};
use crate::outside::read_text_of;
use crate::text::{printable, short};
use crate::{Error, Result};

/// No configuration is larger.
const MAX_BYTES: u64 = 1 << 20;

/// A configuration and the file it came from.
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    value: Value,
    /// `model_type` of the model around this one, where there is one.
    wrapper: Option<String>,
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    short(&value.to_string())
}

impl Config {
    /// Reads a file. Real ones have some thousand bytes: a limit bounds the memory of what they say.
    pub fn open(path: &Path) -> Result<Self> {
        Self::parse(path, &read_text_of(path, MAX_BYTES)?)
    }

    /// Parses `text`, which came from `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let value: Value =
            serde_json::from_str(text).map_err(|e| Error::file(path, format!("is not valid JSON: {e}")))?;
        Self::new(path, value)
    }

    /// A configuration from its parsed form.
    pub fn new(path: &Path, value: Value) -> Result<Self> {
        if !value.is_object() {
            return Err(Error::file(path, "is not a JSON object"));
        }
        Ok(Self { path: path.to_path_buf(), value, wrapper: None })
    }

    /// The same with these numbers where it has no such fields. A field that is there and null stays so.
    pub(super) fn with_defaults(&self, defaults: &[(&str, f64)]) -> Self {
        let mut complete = self.clone();
        if let Some(fields) = complete.value.as_object_mut() {
            let heads = fields.get("num_attention_heads").and_then(Value::as_u64).unwrap_or(u64::MAX);
            for (key, number) in defaults {
                // transformers would make a model that cannot be; as many as there are heads can.
                if *key == "num_key_value_heads" && *number as u64 > heads {
                    continue;
                }
                let value =
                    if number.fract() == 0.0 { Value::from(*number as u64) } else { Value::from(*number) };
                fields.entry(*key).or_insert(value);
            }
        }
        complete
    }

    /// The configuration of the model inside this one, which is of the architecture `model_type`: that under `key`, or
    /// this one where there is no such key. What concerns the files as a whole is taken along.
    pub(super) fn unwrapped(&self, key: &str, model_type: &str) -> Self {
        let inner = self.get(key).and_then(Value::as_object);
        let mut fields = inner.or_else(|| self.value.as_object()).cloned().unwrap_or_default();
        for key in ["eos_token_id", "tokenizer_class", "quantization_config", "compression_config"] {
            if let Some(value) = self.get(key) {
                fields.insert(key.into(), value.clone());
            }
        }
        let wrapper = self.text("model_type").map(String::from);
        let inner = Self { path: self.path.clone(), value: fields.into(), wrapper };
        inner.with("model_type", model_type.into())
    }

    /// The same with another value of a field.
    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        if let Some(fields) = self.value.as_object_mut() {
            fields.insert(key.into(), value);
        }
        self
    }

    /// `model_type` of the model that this one is part of, where it is.
    pub fn wrapper(&self) -> Option<&str> {
        self.wrapper.as_deref()
    }

    /// An error about this configuration.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::file(&self.path, problem)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.value.get(key).filter(|v| !v.is_null())
    }

    /// A positive whole number that must be there.
    pub fn size(&self, key: &str) -> Result<usize> {
        self.size_or(key, None)
    }

    /// A positive whole number, or `default` where it is missing.
    pub fn size_or(&self, key: &str, default: impl Into<Option<usize>>) -> Result<usize> {
        match self.get(key) {
            Some(v) => match v.as_u64() {
                // 2^31 is far above any size of a real model and keeps products within usize.
                Some(n) if n > 0 && n < 1 << 31 => Ok(n as usize),
                _ => Err(self
                    .error(format!("\"{key}\" must be a positive whole number below 2³¹, not {}", shown(v)))),
            },
            None => default.into().ok_or_else(|| self.error(format!("lacks \"{key}\""))),
        }
    }

    /// Whether a field is there and says something else than this number, or than nothing.
    pub fn says_other(&self, key: &str, plain: &f64) -> bool {
        match self.get(key) {
            None => false,
            Some(Value::Array(list)) => !list.is_empty(),
            Some(value) => value.as_f64() != Some(*plain),
        }
    }

    /// A number, if it is there.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.get(key) {
            Some(v) => v
                .as_f64()
                .map(Some)
                .ok_or_else(|| self.error(format!("\"{key}\" must be a number, not {}", shown(v)))),
            None => Ok(None),
        }
    }

    /// A truth value, or `default`.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            Some(v) => v
                .as_bool()
                .ok_or_else(|| self.error(format!("\"{key}\" must be true or false, not {}", shown(v)))),
            None => Ok(default),
        }
    }

    /// A text of a configuration in this one, if it is there.
    pub fn inner_text(&self, inner: &str, key: &str) -> Option<&str> {
        self.get(inner)?.get(key)?.as_str()
    }

    /// A text, if it is there.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// A token id or a list of them.
    pub fn ids(&self, key: &str) -> Vec<u32> {
        let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        match self.get(key) {
            Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
            Some(one) => id(one).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The way in which the weights are quantised, where they are.
    pub fn quantised(&self) -> Option<String> {
        let fields =
            self.get("quantization_config").or_else(|| self.get("compression_config"))?.as_object()?;
        let method = fields.get("quant_method").and_then(Value::as_str).filter(|m| !m.is_empty());
        Some(method.map_or_else(|| "an unnamed method".into(), |m| short(&printable(m))))
    }

    /// `sliding_window`, unless the configuration says that it is not used.
    pub fn window(&self) -> Result<Option<usize>> {
        if self.get("sliding_window").is_none() || !self.flag("use_sliding_window", true)? {
            return Ok(None);
        }
        self.size("sliding_window").map(Some)
    }

    /// Which layers slide, from `layer_types`; `None` when it is missing.
    pub fn sliding_layers(&self, layers: usize) -> Result<Option<Vec<bool>>> {
        let Some(types) = self.get("layer_types") else { return Ok(None) };
        let types = types.as_array().ok_or_else(|| self.error("\"layer_types\" must be a list"))?;
        if types.len() != layers {
            let found = types.len();
            return Err(self.error(format!("\"layer_types\" has {found} entries for {layers} layers")));
        }
        types
            .iter()
            .map(|t| match t.as_str() {
                Some("sliding_attention") => Ok(true),
                Some("full_attention") => Ok(false),
                _ => Err(self.error(format!("layer type {} is unknown", shown(t)))),
            })
            .collect::<Result<_>>()
            .map(Some)
    }

    /// Rotary settings from `rope_parameters` (transformers 5), or `rope_theta`, `rope_scaling` and the
    /// partial factors of older files. `partial` is the family's default share of rotating dimensions.
    ///
    /// Where both are there, transformers takes `rope_scaling`.
    pub fn rope(&self, head_dim: usize, context: usize, partial: f64) -> Result<RopeSpec> {
        let filled = |v: &&Value| v.as_object().is_some_and(|fields| !fields.is_empty());
        let fields = match self.get("rope_scaling").filter(filled).or_else(|| self.get("rope_parameters")) {
            Some(fields) => self.rope_of_all_layers(fields)?,
            None => None,
        };
        let inner = |key: &str| fields.and_then(|p| p.get(key)).filter(|v| !v.is_null());
        let number = |v: &Value, key: &str| {
            v.as_f64()
                .filter(|n| n.is_finite() && *n > 0.0)
                .ok_or_else(|| self.error(format!("\"{key}\" must be a positive number, not {}", shown(v))))
        };
        let pick = |keys: &[&str], default: f64| -> Result<f64> {
            for key in keys {
                if let Some(v) = inner(key).or_else(|| self.get(key)) {
                    return number(v, key);
                }
            }
            Ok(default)
        };
        let theta = pick(&["rope_theta", "rotary_emb_base"], 10_000.0)?;
        let share = pick(&["partial_rotary_factor", "rotary_pct"], partial)?;
        let dim = (head_dim as f64 * share) as usize;
        if dim > head_dim {
            return Err(self.error(format!(
                "{dim} dimensions would rotate of the {head_dim} that a head has: \"partial_rotary_factor\" (in a \
                 GGUF file, \"rope.dimension_count\") is too large, or the heads are too many"
            )));
        }
        if dim % 2 == 1 {
            return Err(self.error(format!(
                "{dim} of the {head_dim} dimensions of a head would rotate (\"partial_rotary_factor\", in a GGUF file \
                 \"rope.dimension_count\"): pairs of dimensions rotate together, so that their number must be even"
            )));
        }
        let scaling = match fields {
            Some(s) => self.scaling(s, dim, context)?,
            None => RopeScaling::None,
        };
        Ok(RopeSpec { theta, dim, scaling })
    }

    /// The rotary settings that all layers have; they may stand separately for each type of layer.
    fn rope_of_all_layers<'a>(&self, fields: &'a Value) -> Result<Option<&'a Value>> {
        let kinds = ["full_attention", "sliding_attention"];
        let mut of_kinds = kinds.iter().filter_map(|kind| fields.get(kind)).filter(|v| !v.is_null());
        let Some(first) = of_kinds.next() else { return Ok(Some(fields)) };
        match of_kinds.all(|other| other == first) {
            true => Ok(Some(first)),
            false => {
                Err(self
                    .error("\"rope_parameters\" differ between the types of layers, which is not supported"))
            }
        }
    }

    fn scaling(&self, s: &Value, dim: usize, context: usize) -> Result<RopeScaling> {
        let kind = s.get("rope_type").or_else(|| s.get("type")).and_then(Value::as_str).unwrap_or("default");
        let optional = |key: &str| -> Result<Option<f64>> {
            match s.get(key).filter(|v| !v.is_null()) {
                Some(v) => v.as_f64().filter(|n| n.is_finite() && *n > 0.0).map(Some).ok_or_else(|| {
                    self.error(format!("rope \"{key}\" must be a positive number, not {}", shown(v)))
                }),
                None => Ok(None),
            }
        };
        let required = |key: &str| {
            optional(key)?.ok_or_else(|| self.error(format!("rope scaling \"{kind}\" lacks \"{key}\"")))
        };
        // The one beside the rotary settings comes first, as in transformers.
        let original = || -> Result<f64> {
            Ok(
                match (
                    self.get("original_max_position_embeddings"),
                    optional("original_max_position_embeddings")?,
                ) {
                    (None, Some(n)) => n,
                    _ => self.size_or("original_max_position_embeddings", context)? as f64,
                },
            )
        };
        match kind {
            "default" | "mrope" => Ok(RopeScaling::None),
            // transformers has no other context of training for these two; a length that is stretched already has.
            "dynamic" => Ok(RopeScaling::Dynamic { factor: required("factor")?, original: context }),
            "linear" => {
                let original = optional("original_max_position_embeddings")?.map_or(context, |n| n as usize);
                Ok(RopeScaling::Linear { factor: required("factor")?, original })
            }
            "llama3" => Ok(RopeScaling::Llama3 {
                factor: required("factor")?,
                low: required("low_freq_factor")?,
                high: required("high_freq_factor")?,
                original: original()?,
            }),
            "yarn" => {
                let original = original()?;
                let factor = optional("factor")?.unwrap_or(context as f64 / original);
                let scale = |m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
                let attention =
                    match (optional("attention_factor")?, optional("mscale")?, optional("mscale_all_dim")?) {
                        (Some(a), _, _) => a,
                        (None, Some(m), Some(all)) => scale(m) / scale(all),
                        _ => scale(1.0),
                    };
                Ok(RopeScaling::Yarn {
                    factor,
                    original,
                    beta_fast: optional("beta_fast")?.unwrap_or(32.0),
                    beta_slow: optional("beta_slow")?.unwrap_or(1.0),
                    attention,
                    truncate: s.get("truncate").and_then(Value::as_bool).unwrap_or(true),
                })
            }
            "longrope" | "su" => {
                let list = |key: &str| -> Result<Vec<f64>> {
                    let values: Option<Vec<f64>> = s
                        .get(key)
                        .and_then(Value::as_array)
                        .and_then(|a| a.iter().map(|v| v.as_f64().filter(|n| *n > 0.0)).collect());
                    values.filter(|v| v.len() == dim / 2).ok_or_else(|| {
                        self.error(format!("rope \"{key}\" must be {} positive numbers", dim / 2))
                    })
                };
                let original = original()?;
                let factor = optional("factor")?.unwrap_or(context as f64 / original);
                let attention = match optional("attention_factor")? {
                    Some(a) => a,
                    None if factor <= 1.0 => 1.0,
                    None => (1.0 + factor.ln() / original.ln()).sqrt(),
                };
                let (short, long) = (list("short_factor")?, list("long_factor")?);
                Ok(RopeScaling::Long { short, long, original: original as usize, attention })
            }
            other => Err(self.error(format!(
                "rope type \"{}\" is unknown (known: default, linear, dynamic, llama3, yarn, longrope)",
                short(other)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_rotate_in_pairs() {
        let rope = |head_dim: usize, share: f64| {
            let fields = serde_json::json!({ "partial_rotary_factor": share });
            Config::new(Path::new("config.json"), fields).unwrap().rope(head_dim, 100, 1.0)
        };
        assert_eq!(rope(24, 0.25).unwrap().dim, 6);
        // Half a dimension is rounded down, as in transformers.
        assert_eq!(rope(26, 0.25).unwrap().dim, 6);
        let error = rope(28, 0.25).unwrap_err().to_string();
        assert!(
            error.starts_with("config.json: 7 of the 28 dimensions") && error.ends_with("must be even"),
            "{error}"
        );
        assert!(rope(8, 1e300).unwrap_err().to_string().contains("is too large"));
    }
}
