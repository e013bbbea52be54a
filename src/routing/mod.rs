//! Arrow and the other routers over a library's experts, and the record of what they chose.

mod apply;
mod config;
mod experts;
mod general;
mod hook;
mod load;
mod lora;
mod replaced;
mod router;
mod session;
mod there;
mod tied;
mod trace;

pub use config::{Mix, RouterConfig, RouterKind};
pub use experts::ExpertSet;
pub use hook::RoutedHook;
pub use router::Router;
pub use session::{GenerateOptions, Prompt, Session};
pub use trace::{Part, Trace, TraceToken};
