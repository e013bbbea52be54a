//! Experts whose weights are to be learned, while their factors stay as they are.

/// What one expert has at a module.
#[derive(Clone, Debug, PartialEq)]
pub struct BlendPart {
    /// Which of the experts.
    pub expert: usize,
    /// Rows of A.
    pub rank: usize,
    /// [rank, in].
    pub a: Vec<f32>,
    /// [out, rank], times the expert's scale.
    pub b: Vec<f32>,
}

/// What the experts have at a module.
#[derive(Clone, Debug, PartialEq)]
pub struct BlendModule {
    /// Path in transformers.
    pub module: String,
    /// What the result's file calls it, where that is another name.
    pub file_name: Option<Box<str>>,
    /// Width of the layer's input.
    pub in_features: usize,
    /// Width of its output.
    pub out_features: usize,
    /// Of the experts that have it.
    pub parts: Vec<BlendPart>,
}

/// Experts whose weights are learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Blend {
    /// How many experts there are.
    pub experts: usize,
    /// Every module that one of them has.
    pub modules: Vec<BlendModule>,
    /// Highest learning rate of the weights' logits θ.
    pub rate: f64,
}
