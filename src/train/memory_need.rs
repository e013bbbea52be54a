//! What a training needs of memory, in numbers and words.

use serde::{Deserialize, Serialize};

use crate::memory::size;

/// Memory in bytes, by what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// The frozen base model.
    pub weights: u64,
    /// LoRA with its gradients and AdamW's moments.
    pub lora: u64,
    /// What the backward pass of the largest batch needs of the forward pass.
    pub activations: u64,
    /// What comes and goes within a layer and at the head.
    pub working: u64,
    /// On top of the weights while they are read, when there is nothing else yet.
    pub loading: u64,
}

impl Forecast {
    /// The most that is in use at any time.
    pub fn peak(&self) -> u64 {
        self.weights + self.loading.max(self.lora + self.activations + self.working)
    }

    /// `1.0 GB of memory (weights 538 MB, activations 430 MB, LoRA 7 MB, working 80 MB)`.
    pub fn text(&self) -> String {
        format!(
            "{} of memory (weights {}, activations {}, LoRA {}, working {})",
            size(self.peak()),
            size(self.weights),
            size(self.activations),
            size(self.lora),
            size(self.working)
        )
    }
}
