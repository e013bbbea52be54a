//! Datasets and LoRA training, of one expert or of one per cluster.

mod base_loss;
mod batches;
mod blend;
mod blending;
mod clusters;
mod dataset;
mod encode;
mod events;
mod example;
mod examples;
mod forecast;
mod frozen;
mod gates;
mod given;
mod identity;
mod learned;
mod log;
mod lora;
mod loss;
mod many;
mod memory_need;
mod one;
mod opening;
mod optimiser;
mod pass;
mod prepare;
mod room;
mod rows;
mod save;
mod schedule;
mod settings;
mod sources;
mod spec;
mod start;
mod state;
mod together;
#[allow(clippy::module_inception, reason = "the function of this name is looked for in it")]
mod train;
mod training;

pub use blend::{Blend, BlendModule, BlendPart};
pub use clusters::{
    CLUSTERS, ClustersPlan, ClustersReport, ClustersSpec, no_data, plan_clusters, train_clusters,
};
pub use dataset::{Dataset, TaskInfo, find_tasks, fingerprint, known_hashes, read_task};
pub use encode::{Encoded, encode};
pub use events::{Step, TrainEvent};
pub use example::Example;
pub use examples::read_examples;
pub use forecast::{Amount, amount, forecast};
pub use gates::{GATES, GateSpec, train_gates_as};
pub use given::Given;
pub use log::check_log;
pub use lora::{LoraTrainer, check_targets, initial_a, is_target};
pub use loss::{Target, cross_entropy};
pub use many::{MANY, ManyReport, ManySpec, plan_many, train_many};
pub use memory_need::Forecast;
pub use one::{Adapted, OneOf};
pub use optimiser::{AdamW, clip};
pub use rows::{RowTraining, RowsEvent, TrainRow, refuse_single, train_rows};
pub use schedule::Schedule;
pub use settings::{INIT, TRAINING};
pub use sources::{data_of_experts, dataset_places};
pub use spec::{TrainReport, TrainSpec};
pub use together::{TogetherEvent, train_together};
pub use train::train;
