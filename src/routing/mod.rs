//! Arrow and the other routers over a library's experts, and the record of what they chose.

mod apply;
mod config;
mod device;
mod device_stack;
mod experts;
mod general;
mod hook;
mod load;
mod lora;
mod mix;
mod overlay;
mod replaced;
mod resolved;
mod routers;
mod scores;
mod session;
mod tied;
mod trace;

pub use config::RouterConfig;
pub use experts::ExpertSet;
pub use hook::RoutedHook;
pub use mix::Mix;
pub use resolved::ResolvedRouter;
pub use routers::{
    Argument, Domain, MIX, ROUTERS, Request, Resolved, Router, RouterSetting, Rule, Scope, SettingValue,
    SettingValues, Shorthand, Speakers, TEMPERATURE, TIED, TOP_K, reference, settings, titles,
};
pub use scores::ModuleRows;
pub use session::{GenerateOptions, Prompt, Session};
pub use trace::{Part, Trace, TraceToken};
