//! What decides a training: where any of it differs, another expert would come out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::one::{Adapted, OneOf};
use super::prepare::{Prepared, Tokens};
use super::{TRAINING, TrainSpec};
use crate::library::{Template, content_sha256};
use crate::outside::hex;
use crate::text::short;
use crate::{Error, Result};

/// What has to be the same for a saved state to be used, and for an expert to be the one that was asked for. Digests
/// are SHA-256.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// Content of the base model's files.
    base: String,
    /// Prompt and end of the template.
    template: String,
    /// The training examples.
    data: String,
    /// All examples in tokens, those for validation too.
    tokens: String,
    /// Content of the adapter that the training starts from, if it was there; or of those whose weights are learned.
    init: Option<String>,
    /// Every setting that decides something, by its field.
    settings: Map<String, Value>,
}

impl Identity {
    /// Of a training on data that was read and encoded. Reads the base model's files, if they were not read before.
    ///
    /// # Errors
    /// A base model that cannot be read.
    pub(super) fn new(one: &OneOf, prepared: &Prepared, tokens: &Tokens) -> Result<Self> {
        let spec = one.spec;
        let blended =
            one.adapted.and_then(|adapted| Some(blend_sha256(adapted, adapted.blend.as_ref()?.rate)));
        Ok(Self {
            base: content_sha256(&prepared.base)?,
            template: template_sha256(&prepared.template),
            data: prepared.fingerprint(),
            tokens: tokens.sha256(),
            // What is wrong with it is reported by whoever starts from it.
            init: blended.or_else(|| content_sha256(spec.init.as_deref()?).ok()),
            settings: settings(spec)?,
        })
    }

    /// SHA-256 of all of it.
    ///
    /// # Errors
    /// Never for what was made here.
    pub(super) fn sha256(&self) -> Result<String> {
        let text = serde_json::to_vec(self).map_err(|e| Error::msg(e.to_string()))?;
        Ok(hex(&Sha256::digest(text)))
    }

    /// How `saved` differs from this one so that it cannot resume, in words; nothing where it can. How the examples of a
    /// step are portioned, and where it is computed, changes roundings alone.
    pub(super) fn changes_since(&self, saved: &Self) -> Option<String> {
        let mut changes = Vec::new();
        let mut settings: Vec<String> = Vec::new();
        // As many examples make a step, in other portions.
        let step = |of: &Self| {
            let number = |name: &str| of.settings.get(name)?.as_u64();
            Some((number("batch")?, number("accumulate")?))
        };
        let product = |of: &Self| step(of).map(|(batch, accumulate)| batch.saturating_mul(accumulate));
        let same_steps = product(self).is_some() && product(self) == product(saved);
        let names = saved
            .settings
            .keys()
            .chain(self.settings.keys().filter(|key| !saved.settings.contains_key(*key)));
        for name in names {
            let (before, now) = (saved.settings.get(name), self.settings.get(name));
            let stays = match name.as_str() {
                "batch" | "accumulate" => same_steps,
                // Computes the same, with other memory.
                "checkpointing" | "device" => true,
                _ => false,
            };
            if before != now && !stays {
                let text = |value: Option<&Value>| match value {
                    None | Some(Value::Null) => "unset".to_string(),
                    Some(Value::String(text)) => short(text),
                    Some(other) => short(&other.to_string()),
                };
                settings.push(format!("{} {}, not {}", name.replace('_', " "), text(before), text(now)));
            }
        }
        if !settings.is_empty() {
            changes.push(format!("with other settings ({})", settings.join("; ")));
        }
        let parts = [
            ("with another base model", &self.base, &saved.base),
            ("with another template", &self.template, &saved.template),
            ("before the training data changed", &self.data, &saved.data),
        ];
        changes.extend(
            parts.iter().filter(|(_, now, before)| now != before).map(|(words, ..)| (*words).to_string()),
        );
        if self.init != saved.init {
            changes.push("with another adapter to start from".into());
        }
        // The same follows from most of the above.
        if changes.is_empty() && self.tokens != saved.tokens {
            changes.push("with another tokenizer or other validation examples".into());
        }
        (!changes.is_empty()).then(|| changes.join(" and "))
    }
}

/// SHA-256 of the experts whose weights are learned, and of how fast.
fn blend_sha256(adapted: &Adapted, rate: f64) -> String {
    let mut text = Sha256::new_with_prefix(format!("weights {rate}"));
    for expert in &adapted.from.experts {
        text.update(format!(" {} {}", expert.sha256, expert.config_sha256));
    }
    hex(&text.finalize())
}

/// SHA-256 of a template's prompt and end.
pub(super) fn template_sha256(template: &Template) -> String {
    let mut text = Sha256::new();
    for part in [&template.prompt, &template.end] {
        text.update((part.len() as u64).to_le_bytes());
        text.update(part.as_bytes());
    }
    hex(&text.finalize())
}

/// The settings by field. Where things are, and what decides nothing, is left out.
fn settings(spec: &TrainSpec) -> Result<Map<String, Value>> {
    let value = serde_json::to_value(spec).map_err(|e| Error::msg(e.to_string()))?;
    let Value::Object(fields) = value else { return Err(Error::msg("settings are an object")) };
    // Paths decide by what lies there.
    let paths = ["library", "data", "name", "base", "init", "validation", "given", "forecast"];
    let decides = |id: &String| {
        !paths.contains(&id.as_str()) && TRAINING.iter().all(|setting| setting.decides || setting.id != id)
    };
    Ok(fields.into_iter().filter(|(id, _)| decides(id)).collect())
}
