//! Calibration: how high each expert's scores usually are, so that an expert is compared with itself before it is
//! compared with others.

mod collect;
mod prompts;
mod statistics;

pub(super) use collect::{LONGEST, Partial, STATES, collect};
pub use prompts::{CalibrationPrompts, CalibrationText, general, read_prompts};
pub use statistics::Calibration;
pub(super) use statistics::{LEAST, Usual};
