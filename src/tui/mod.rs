//! The terminal interface: pure state, messages and views; effects run elsewhere.

mod effect;
mod keymap;
mod message;
mod screen;
mod theme;

pub use effect::{Effect, Tickets};
pub use keymap::Binding;
pub use message::{EngineMessage, EngineState, Message};
pub use screen::{Screen, Shared, Tab};
pub use theme::Theme;
