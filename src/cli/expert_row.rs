//! One expert as `ls` and `show` give it.

use serde::Serialize;

use super::compared::Compared;
use crate::clock::rfc3339;
use crate::library::{Expert, Format, Status};

/// One expert as `ls --json` and `show --json` give it.
#[derive(Debug, Serialize)]
pub(super) struct ExpertRow<'a> {
    name: &'a str,
    status: Status,
    reason: Option<&'a str>,
    /// Smallest and largest rank.
    rank: Option<[usize; 2]>,
    alpha: Option<f64>,
    targets: &'a [String],
    dtype: Option<&'a str>,
    /// How it is stored: `peft`, `peft-bin`, `mlx`, `mttl` or `gguf`.
    format: Format,
    parameters: u64,
    task: Option<&'a str>,
    family: Option<&'a str>,
    /// Validation loss, else training loss.
    loss: Option<f64>,
    /// RFC 3339, UTC: as it says itself, else when its weights were written.
    created: Option<String>,
    /// Bytes of the weights.
    bytes: u64,
    /// Number of its MBC cluster, where the experts were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<usize>,
    /// ‖ΔW‖, where the experts were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    norm: Option<f64>,
    /// Why it says little although it is sound, where the experts were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<String>,
}

impl<'a> From<&'a Expert> for ExpertRow<'a> {
    fn from(expert: &'a Expert) -> Self {
        let provenance = expert.provenance.as_ref();
        Self {
            name: &expert.name,
            status: expert.status_here(),
            reason: expert.reason_here(),
            rank: expert.rank_range().map(|(low, high)| [low, high]),
            // A configuration that could not be read has rank 0.
            alpha: (expert.config.r > 0).then_some(expert.config.alpha),
            targets: &expert.config.targets,
            dtype: Some(expert.dtype.as_str()).filter(|dtype| !dtype.is_empty()),
            format: expert.format,
            parameters: expert.parameters,
            task: provenance.and_then(|p| p.task.as_deref()),
            family: provenance.and_then(|p| p.family.as_deref()),
            loss: expert.loss(),
            created: expert.created().map(rfc3339),
            bytes: expert.bytes,
            cluster: None,
            norm: None,
            health: None,
        }
    }
}

impl<'a> ExpertRow<'a> {
    /// With what is known from comparing it with the others.
    pub fn compared(expert: &'a Expert, compared: Option<&Compared>) -> Self {
        Self {
            cluster: compared.and_then(|compared| compared.cluster(expert)),
            norm: compared.and_then(|compared| compared.norm(expert)),
            health: compared.and_then(|compared| compared.health(expert)),
            ..Self::from(expert)
        }
    }

    /// Why it is partial or bad.
    pub fn reason(&self) -> Option<&'a str> {
        self.reason
    }

    /// `ok`, `partial` or `bad`.
    pub fn status_text(&self) -> String {
        match self.status {
            Status::Ok => "ok".into(),
            Status::Partial => "partial".into(),
            Status::Bad => "bad".into(),
        }
    }

    /// `4`, `2-8`, or nothing.
    pub fn rank_text(&self) -> String {
        match self.rank {
            Some([low, high]) if low == high => low.to_string(),
            Some([low, high]) => format!("{low}-{high}"),
            None => String::new(),
        }
    }
}

/// A number of parameters in few characters: `921.6K`.
pub(super) fn count(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1}K", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", number as f64 / 1e6),
        _ => format!("{:.1}B", number as f64 / 1e9),
    }
}
