//! Scoring methods on tasks, and how legible routing is.

mod asked_task;
mod attribute;
mod calibration;
mod compare;
mod contender;
mod digest;
mod evaluate;
mod evaluation;
mod forced;
mod generate;
mod harness;
mod legibility;
mod look;
mod methods;
mod omitted;
mod own_expert;
mod report;
mod run;
mod seen;
mod shots;
mod spec;
mod split;
mod statistics;
mod store;
mod summary;
mod tables;
mod tasks;
mod transfer;
mod tune;
mod usable;
mod wording;

pub use asked_task::{AskedTask, Question};
pub use attribute::{Attribution, Effect, attribute, check_attributed};
pub use calibration::{ChosenPrompts, has_own_data, own_source, prompt_source};
pub use compare::{Compared, StudyEvent, compare, differing};
pub use contender::{
    Contender, LIBRARY_WANTED, against_problem, contenders, libraries_problem, methods_problem,
    of_libraries_problem,
};
pub use evaluate::{EvalEvent, EvalProgress, Unfit, check, evaluate, router_again, settings_of};
pub use evaluation::{Answering, Evaluation};
pub use forced::{Forced, forced};
pub use generate::generate_batch;
pub use legibility::{TaskRouting, routing_of_tasks};
pub use look::{AskedAgain, Seen, TaskItems, differences};
pub use methods::{BASELINES, Baseline, Method, default_methods, reference};
pub use omitted::{left_out, partial};
pub use own_expert::own_expert;
pub use report::{
    CalibratedWith, Difference, EvalReport, Failure, Group, GroupDifference, OracleGap, ReportedTask,
};
pub use run::{Answered, Order, Progress};
pub use seen::Leak;
pub use shots::Shots;
pub use spec::{EvalSpec, NamedLibrary};
pub use split::Split;
pub use statistics::{Mean, RESAMPLES, interval_of_mean, interval_over_tasks, quantile};
pub use store::{Cell, Known, Origin, Record, Store};
pub use tables::{Line, lines, mean_text};
pub use tasks::{TASKS_HELP, ToAsk, asked_tasks};
pub use transfer::{Predictor, Transfer, spearman};
pub use tune::{CANDIDATES, Tuned, comment_of_default, is_noise, unfit_as_default, with_default};
pub use usable::{beyond, check_router};
pub use wording::{Filter, Matching, Wording};
