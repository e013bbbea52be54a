//! What every tab is: data that keys and messages change, and a view that only reads.

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use super::keymap::{KeyHint, KeySection};
use super::{
    ComputeMessage, Effect, EngineMessage, EvalMessage, JobsMessage, Message, Shared, Tab, Theme, TriedPrompt,
};
use crate::catalog::Catalog;
use crate::jobs::kinds::Kind;

/// What a tab is to the rest of the interface.
pub struct TabSpec {
    /// Its place in the table.
    pub tab: Tab,
    /// All its keys.
    pub keys: fn() -> Vec<KeySection>,
    /// Its screen, before any data.
    pub new: fn() -> Box<dyn Screen>,
}

/// A tab. Its handlers of keys and messages are fast and pure: whatever takes time is an [`Effect`].
pub trait Screen {
    /// The keys that work in the present state, for the footer and the help.
    fn hints(&self, shared: &Shared) -> Vec<KeyHint>;

    /// Whether typed characters belong to a text field now, so that global keys (`q`, `?`, digits) are text.
    fn captures_text(&self) -> bool {
        false
    }

    /// What its list has, for the title: a number, or `3 of 12` under a filter, and the noun; `None` where it lists
    /// nothing but the library's experts.
    fn count(&self, _shared: &Shared) -> Option<(String, &'static str)> {
        None
    }

    /// What stands behind its title in the tab bar; `None` for nothing.
    fn badge(&self, _shared: &Shared) -> Option<String> {
        None
    }

    /// Whether it shows what a job of this kind does that is started from here, so that the Jobs tab need not.
    fn follows(&self, _kind: &Kind) -> bool {
        false
    }

    /// Whether it shows the jobs, so that they are to be read often while it is the visible one.
    fn watches_jobs(&self) -> bool {
        false
    }

    /// Called when the tab becomes the visible one.
    fn on_show(&mut self, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// A key that no global binding took; while [`Screen::captures_text`], every key but Ctrl-C and Ctrl-Z.
    /// Returns `None` when the screen has no use for it: global keys then still do what they do.
    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>>;

    /// Text pasted while this screen is visible, untrusted and possibly of many lines.
    fn on_paste(&mut self, _text: &str, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// Whether something on this screen moves by itself now (a spinner), so that it is drawn on every tick.
    fn is_animating(&self, _shared: &Shared) -> bool {
        false
    }

    /// The library was read (again).
    fn on_library(&mut self, _library: &Arc<Catalog>, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// Something was computed of the experts' weights, for whichever screen.
    fn on_compute(&mut self, _message: &ComputeMessage, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// The jobs changed.
    fn on_jobs(&mut self, _message: &JobsMessage, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// The model has something to say.
    fn on_engine(&mut self, _message: &EngineMessage, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// Something was read of an evaluation.
    fn on_evaluation(&mut self, _message: &EvalMessage, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// The prompts that were tried were read, the newest first, untrusted.
    fn on_prompts(&mut self, _prompts: &[TriedPrompt]) {}

    /// A text comes back from the person's editor, untrusted. Only the visible screen has lent one.
    fn on_edited(&mut self, _text: &str, _shared: &Shared) -> Vec<Effect> {
        Vec::new()
    }

    /// Every message but keys and pastes reaches every screen, after `shared` was updated from it: those of a service
    /// through the function for it, in which a screen matches all of them.
    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        match message {
            Message::Library(Ok(library)) => self.on_library(library, shared),
            Message::Compute(message) => self.on_compute(message, shared),
            Message::Jobs(message) => self.on_jobs(message, shared),
            Message::Engine(message) => self.on_engine(message, shared),
            Message::Eval(message) => self.on_evaluation(message, shared),
            Message::Prompts(prompts) => {
                self.on_prompts(prompts);
                Vec::new()
            }
            Message::Edited(Ok(text)) => self.on_edited(text, shared),
            // The application and the form have taken these.
            Message::Library(Err(_))
            | Message::Edited(Err(_))
            | Message::Data(_)
            | Message::Key(_)
            | Message::Paste(_)
            | Message::Tick
            | Message::Notice(_)
            | Message::Error(_) => Vec::new(),
        }
    }

    /// Draws itself into `area`, which may be of any size, 0 × 0 included.
    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme);
}
