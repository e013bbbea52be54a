//! Scoring methods on tasks, and how legible routing is.

mod calibration;
mod evaluation;
mod generate;
mod legibility;
mod methods;
mod own_expert;
mod score;
mod split;

pub use calibration::{ChosenPrompts, prompt_source};
pub use evaluation::{Evaluation, Questions};
pub use generate::generate_batch;
pub use legibility::{TaskRouting, routing_of_tasks};
pub use methods::{BASELINES, Baseline, Method, default_methods, reference};
pub use score::{ScoredTask, Scores};
pub use split::Split;
