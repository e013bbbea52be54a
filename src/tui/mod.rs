//! The terminal interface: pure state, messages and views; effects run elsewhere.
//!
//! [`App::update`] takes a [`Message`] and returns [`Effect`]s; `App::view` draws. `runtime` owns the
//! terminal and the clock, `services` carry effects out on other threads and answers with messages.

mod app;
mod chrome;
mod effect;
mod expert_marks;
#[cfg(test)]
pub mod fixtures;
mod form;
mod format;
mod frame_limiter;
pub mod heatmap;
mod keymap;
mod list;
mod message;
mod runtime;
mod screen;
pub mod screens;
mod services;
mod stderr;
mod terminal;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod text_field;
pub mod text_width;
mod theme;
mod widgets;

pub use app::App;
pub use chrome::centered;
pub use effect::{AppEffect, ComputeEffect, DataEffect, Effect, EngineEffect, JobsEffect, Tickets};
pub use expert_marks::ExpertMarks;
pub use keymap::Binding;
pub use list::List;
pub use message::{DataSummary, EngineMessage, EngineState, FetchError, Message, Sender, Sweep};
pub use runtime::{TuiOptions, run};
pub use screen::{Screen, Shared, Tab, TabSpec};
pub use text_field::TextField;
pub use theme::{Depth, Theme};
