//! Scoring methods on tasks, and how legible routing is.

mod generate;
mod routing;
mod score;

pub use generate::generate_batch;
pub use routing::{TaskRouting, routing_of_tasks};
pub use score::{Method, Scores, Split, correct, score_tasks};
