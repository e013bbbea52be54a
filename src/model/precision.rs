//! How the weights of a model are held.

/// How weights are held while the model runs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
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

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Q8 => "q8",
        })
    }
}
