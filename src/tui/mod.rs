//! The terminal interface: pure state, messages and views; effects run elsewhere.
//!
//! [`App::update`] takes a [`Message`] and returns [`Effect`]s; `App::view` draws. `runtime` owns the
//! terminal and the clock, `effects` carries effects out on other threads and answers with messages.

mod app;
mod chrome;
mod effect;
mod effects;
mod engine;
pub mod fit;
#[cfg(test)]
pub mod fixtures;
mod form;
mod frames;
pub mod heatmap;
mod input;
mod keymap;
mod letters;
mod list;
mod message;
mod runtime;
mod screen;
pub mod screens;
mod stderr;
mod terminal;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod theme;

pub use app::App;
pub use chrome::centered;
pub use effect::{Effect, Tickets};
pub use form::FormKind;
pub use input::Input;
pub use keymap::Binding;
pub use letters::Letters;
pub use list::List;
pub use message::{DataSummary, EngineMessage, EngineState, FetchError, Message, Sender, Sweep};
pub use runtime::{TuiOptions, run};
pub use screen::{Screen, Shared, Tab};
pub use theme::{Depth, Theme};
