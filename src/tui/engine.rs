//! The thread that owns the base model: loads it, routes prompts, generates.

use std::sync::Arc;

use super::{Effect, EngineMessage, EngineState, Message, Sender, TuiOptions};
use crate::library::Library;

/// Handle to the engine; dropping it stops the thread.
#[derive(Debug)]
pub struct Engine {
    send: Sender,
}

impl Engine {
    /// Starts an engine that has loaded nothing yet and answers to `send`.
    pub fn start(_options: &TuiOptions, send: Sender) -> Self {
        Self { send }
    }

    /// The library as it is now; called before the first effect and whenever it was read again.
    pub fn set_library(&self, _library: Arc<Library>) {}

    /// Takes `LoadEngine`, `FetchBase`, `Route`, `Generate` and `StopEngine`; returns at once.
    pub fn handle(&self, effect: Effect) {
        if matches!(effect, Effect::LoadEngine | Effect::FetchBase) {
            let error = "this build cannot load a base model".to_string();
            self.send.send(Message::Engine(EngineMessage::State(EngineState::Failed { error })));
        }
    }
}
