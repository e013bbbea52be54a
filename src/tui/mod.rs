//! The terminal interface: pure state, messages and views; effects run elsewhere.
//!
//! [`App::update`] takes a [`Message`] and returns [`Effect`]s; `App::view` draws. `runtime` owns the
//! terminal and the clock, `services` carry effects out on other threads and answers with messages.

// A new message, effect or state has to be thought of wherever its set is matched; tests name the one they expect.
#![cfg_attr(not(test), warn(clippy::wildcard_enum_match_arm))]

mod app;
mod cancelling;
mod chrome;
mod cluster_mark;
#[cfg(unix)]
mod crash;
mod editor;
mod effect;
mod evaluated;
mod examples;
#[cfg(test)]
pub mod fixtures;
mod form;
mod format;
mod frame_limiter;
mod global_keys;
pub mod heatmap;
mod input;
mod keymap;
mod list;
mod message;
mod notify;
mod options;
mod owned;
mod rows;
mod runtime;
mod screen;
pub mod screens;
mod services;
mod shared;
mod stderr;
mod tab;
mod terminal;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod text_field;
pub mod text_width;
mod theme;
#[cfg(test)]
mod walk_tests;
mod widgets;

pub use app::App;
pub use effect::{
    AppEffect, ComputeEffect, DataEffect, Effect, EngineEffect, EvalEffect, JobsEffect, PromptsEffect, Study,
    Tickets,
};
pub use evaluated::Evaluated;
pub use global_keys::keys_reference;
pub use keymap::{KeyHint, KeySection};
pub use list::List;
pub use message::{
    ComputeMessage, Cost, DataMessage, DataSummary, EngineMessage, EngineState, EvalMessage, FetchError,
    JobsMessage, KnownTask, MachineView, Message, Sender, Speed, Sweep, TaskExample, TriedPrompt, Unsaved,
};
pub use notify::Notify;
pub use options::TuiOptions;
pub use runtime::run;
pub use screen::{Screen, TabSpec};
pub use shared::{Shared, Wanted, WantedPrompt};
pub use tab::Tab;
pub use text_field::TextField;
pub use theme::{Depth, Ground, Theme};
pub use widgets::centered;
