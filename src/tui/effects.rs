//! Carries effects out on other threads and answers with messages.

use std::path::{Path, PathBuf};

use super::engine::Engine;
use super::{Effect, Sender, TuiOptions};

/// Where stderr goes while the screen is ours.
pub fn log_path(library: &Path) -> PathBuf {
    library.join(".lora-tui").join("stderr.log")
}

/// Everything that runs outside the interface.
pub struct Effects {
    engine: Engine,
}

impl Effects {
    /// Nothing runs yet; answers go to `send`.
    pub fn new(_library: PathBuf, options: TuiOptions, send: Sender) -> Self {
        Self { engine: Engine::start(&options, send) }
    }

    /// Whether somebody looks at the jobs or one is alive, so that they are read twice a second.
    pub fn watch_jobs_closely(&mut self, _closely: bool) {}

    /// Begins an effect; returns at once.
    pub fn run(&mut self, effect: Effect) {
        if let Effect::LoadEngine
        | Effect::FetchBase
        | Effect::Route { .. }
        | Effect::Generate { .. }
        | Effect::StopEngine = effect
        {
            self.engine.handle(effect);
        }
    }
}
