//! Scoring methods on tasks, and how legible routing is.

mod attribute;
mod calibration;
mod compare;
mod evaluation;
mod forced;
mod generate;
mod legibility;
mod methods;
mod own_expert;
mod score;
mod split;
mod tune;

pub use attribute::{Attribution, Effect, attribute};
pub use calibration::{ChosenPrompts, own_source, prompt_source};
pub use compare::{Compared, compare, differing};
pub use evaluation::{Evaluation, Questions};
pub use forced::{Forced, forced};
pub use generate::generate_batch;
pub use legibility::{TaskRouting, routing_of_tasks};
pub use methods::{BASELINES, Baseline, Method, default_methods, reference};
pub use score::{ScoredTask, Scores};
pub use split::Split;
pub use tune::{CANDIDATES, Tuned, is_noise, with_default};
