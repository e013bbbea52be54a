//! Datasets and LoRA training.

mod spec;

pub use spec::{TrainReport, TrainSpec};
