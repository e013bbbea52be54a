//! What lists say of an expert.

use std::time::SystemTime;

use super::Expert;
use crate::module_path::{ModulePath, kinds};

impl Expert {
    /// Its loss on the validation split, else over the last steps of its training.
    pub fn loss(&self) -> Option<f64> {
        let provenance = self.provenance.as_ref()?;
        provenance.validation_loss.or(provenance.train_loss).filter(|loss| loss.is_finite())
    }

    /// When it was made, as it says itself, else when its weights were written.
    pub fn created(&self) -> Option<SystemTime> {
        let stated = self.provenance.as_ref().and_then(|provenance| provenance.created.as_deref());
        stated.and_then(|text| humantime::parse_rfc3339_weak(text).ok()).or(self.modified)
    }

    /// The kinds of layers that have LoRA, in the order of the network and short: `q k v o`; as configured where tensors
    /// say nothing. Not yet printable.
    pub fn kinds_text(&self) -> String {
        let mut found = kinds(self.modules.iter().map(|shape| shape.module.as_str()));
        if found.is_empty() {
            found = self.config.targets.iter().map(String::as_str).collect();
        }
        found.sort_by_key(|kind| kind_order(kind));
        let short: Vec<&str> = found.iter().map(|kind| ModulePath::new(kind).short_kind()).collect();
        short.join(" ")
    }
}

/// Sorts kinds of layers as the network applies them; unknown ones come last, by name.
pub fn kind_order(kind: &str) -> (usize, &str) {
    const USUAL: [&str; 12] = [
        "qkv_proj",
        "query_key_value",
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "dense",
        "gate_up_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
        "lm_head",
    ];
    (USUAL.iter().position(|usual| *usual == kind).unwrap_or(USUAL.len()), kind)
}
