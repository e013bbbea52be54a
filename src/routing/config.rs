//! Which router, with which settings.

use serde::Serialize;

use crate::named::{Named, by_name};

/// How the chosen experts' LoRA are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mix {
    /// Σ wₑ sₑ Bₑ Aₑ x (PEFT).
    #[default]
    Outputs,
    /// (Σ wₑ Bₑ)(Σ wₑ Aₑ) x (mttl); needs equal ranks and scales.
    Factors,
}

impl Named for Mix {
    const KIND: &'static str = "way to mix";

    fn all() -> &'static [Self] {
        &[Self::Outputs, Self::Factors]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Outputs => "outputs",
            Self::Factors => "factors",
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Outputs => "Σ wₑ sₑ Bₑ Aₑ x (PEFT)",
            Self::Factors => "(Σ wₑ Bₑ)(Σ wₑ Aₑ) x (mttl); needs equal ranks and scales",
        }
    }
}
by_name!(Mix);

/// The routers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum RouterKind {
    /// Per token and module, softmax over the top k of |x · prototype|.
    #[default]
    Arrow,
    /// Mean of the experts' ΔW.
    Uniform,
    /// Mean of the experts' A and of their B, apart.
    UniformFactors,
    /// One expert everywhere, by name.
    Single(String),
    /// The base model alone.
    Base,
}

/// A router with its settings. Compare for equality to know whether a trace is still good.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouterConfig {
    pub kind: RouterKind,
    /// 0 means all; more than there are candidates means all of them.
    pub top_k: usize,
    /// Positive.
    pub temperature: f64,
    pub mix: Mix,
    /// Names of experts that get no weight.
    pub muted: Vec<String>,
    /// Names of experts that are always among the top k, whatever their scores.
    pub pinned: Vec<String>,
    /// Names of experts whose mean A and mean B are taken out of the A and B of all others before anything
    /// else (GenKnowSub). They get no weight themselves.
    pub general: Vec<String>,
    /// q, k and v that share one A share one prototype (mttl); else each module has its own (PEFT).
    pub tied: bool,
}

impl RouterConfig {
    /// Whether every token and module has weights of its own.
    pub fn is_routed(&self) -> bool {
        self.kind == RouterKind::Arrow
    }
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            kind: RouterKind::Arrow,
            top_k: 3,
            temperature: 1.0,
            mix: Mix::Outputs,
            muted: Vec::new(),
            pinned: Vec::new(),
            general: Vec::new(),
            tied: false,
        }
    }
}
