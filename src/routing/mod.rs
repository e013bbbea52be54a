//! Arrow and the other routers over a library's experts, and the record of what they chose.

mod apply;
mod ballot;
mod calibration;
mod calibrator;
mod config;
mod device;
mod device_stack;
mod experts;
mod general;
mod hook;
mod knockout;
mod learner;
mod load;
mod lora;
mod mix;
mod overlay;
mod own_data;
mod prepare;
mod preparing;
mod probe;
mod prompt;
mod replaced;
mod resolved;
mod routers;
mod rows;
mod run;
mod scores;
mod session;
mod sharpness;
mod speakers;
mod spectra;
mod survey;
mod surveyor;
mod tap;
mod tensor_cache;
mod tied;
mod together;
mod trace;
mod verdict;
mod warnings;
mod watch;
mod why;

pub use calibration::{Calibration, CalibrationPrompts, CalibrationText, general, read_prompts};
pub use calibrator::PromptSource;
pub use config::RouterConfig;
pub use experts::ExpertSet;
pub use hook::RoutedHook;
pub use knockout::Knockout;
pub use learner::{OWN_PROMPTS, unknown_data};
pub use mix::Mix;
pub use own_data::{GateJob, GateTrainer, Gates, Known, OwnAnswer, OwnData, OwnPrompts, OwnSource};
pub use preparing::{CalibrationStep, Preparation, Preparing};
pub use prompt::Prompt;
pub use resolved::{Findings, Prepared, ResolvedRouter, check_speakers};
pub use routers::{
    Argument, CALIBRATED, Domain, Effect, MIX, PRIOR, ROUTERS, Request, Resolved, Router, RouterSetting,
    Rule, SCORE, SHARPNESS, Scope, SettingValue, SettingValues, Shorthand, StateWeigher, TEMPERATURE, TIED,
    TOP_K, Weighing, reference, settings, titles,
};
pub use rows::{ModuleRows, Sequences};
pub use scores::{Measure, Needs, SCORES, Score, ScoreSpec};
pub use session::{GenerateOptions, Session};
pub use sharpness::{Sharpness, UsualSpread};
pub use speakers::Speakers;
pub use survey::{Reach, Reasons, Seen, Survey, Surveyed};
pub use trace::{Part, Trace, TraceToken};
pub use verdict::{Certainty, Lead, verdict};
pub use warnings::RouteWarning;
pub use why::{MeanScores, Why, WhyExpert, WhyModule, WhySequence, WhyShare};
