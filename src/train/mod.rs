//! Datasets and LoRA training.

mod claim;
mod dataset;
mod encode;
mod lora;
mod loss;
mod run;
mod schedule;
mod spec;

pub use dataset::{Dataset, Example, TaskInfo, TaskMetric, find_tasks, read_examples, read_task};
pub use encode::{Encoded, encode};
pub use lora::{LoraTrainer, is_target};
pub use loss::cross_entropy;
pub use run::{TrainEvent, train};
pub use schedule::{AdamW, linear_schedule};
pub use spec::{TrainReport, TrainSpec};
