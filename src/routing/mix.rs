//! How the chosen experts' LoRA are put together.

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
