//! How the weights of a model are stored.

use crate::named::{Named, by_name};

/// How weights are stored while the model runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats, dequantised from the file if need be.
    #[default]
    F32,
    /// bf16 weights and inputs, f32 sums: twice the speed of f32 and more where the CPU multiplies bf16.
    Bf16,
    /// 8-bit blocks of 32 with a scale (Q8_0), a third of the memory traffic of f32; inputs in 8 to 16 bits where
    /// the CPU has AVX-512 VNNI, else, in training and for many rows with AMX in bf16.
    Q8,
}

impl Named for Precision {
    const KIND: &'static str = "precision";

    fn all() -> &'static [Self] {
        &[Self::F32, Self::Bf16, Self::Q8]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Q8 => "q8",
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::F32 => "32-bit floats, dequantised from the file if need be",
            Self::Bf16 => "bf16 weights and inputs, f32 sums",
            Self::Q8 => "8-bit blocks of 32 with a scale (Q8_0)",
        }
    }
}
by_name!(Precision);
