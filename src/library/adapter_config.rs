//! What an adapter's configuration says, in PEFT's words.

/// The fields of PEFT's `adapter_config.json` that matter here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdapterConfig {
    /// `base_model_name_or_path`.
    pub base: Option<String>,
    /// `revision` of the base model's repository.
    pub revision: Option<String>,
    /// Rank, where no pattern says otherwise.
    pub r: usize,
    /// `lora_alpha`, where no pattern says otherwise.
    pub alpha: f64,
    /// `lora_dropout`, of trainings only.
    pub dropout: f64,
    /// Whether the scale is α/√r.
    pub use_rslora: bool,
    /// Whether magnitudes belong to it.
    pub use_dora: bool,
    /// Whether the base stores these weights as (in, out).
    pub fan_in_fan_out: bool,
    /// `target_modules`, sorted; a regular expression is kept as its one element.
    pub targets: Vec<String>,
    /// `rank_pattern` and `alpha_pattern` in file order.
    pub rank_pattern: Vec<(String, usize)>,
    /// As `rank_pattern`, for α.
    pub alpha_pattern: Vec<(String, f64)>,
}
