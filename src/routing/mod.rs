//! Arrow and the other routers over a library's experts, and the record of what they chose.

mod config;
mod trace;

pub use config::{Mix, RouterConfig, RouterKind};
pub use trace::{Part, Trace, TraceToken};
