//! The Routing tab: a prompt, and which experts every one of its tokens uses in every layer.

mod answer;
mod cursor;
mod digest;
mod empty_state;
mod experts;
mod keys;
mod map;
mod paint;
mod prompt;
mod requests;
mod router;
mod status;
mod view;

#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crossterm::event::KeyEvent;
use ratatui::Frame;
use ratatui::layout::Rect;

use self::answer::Answer;
use self::digest::Digest;
use self::prompt::{Edit, PromptBox};
use crate::routing::{RouterConfig, Trace};
use crate::text::counted;
use crate::tui::examples;
use crate::tui::{
    AppEffect, Effect, EngineEffect, EngineState, KeyHint, Message, Screen, Shared, Tab, Theme, Tickets,
    screen::TabSpec,
};

/// Tokens that `g` adds at most.
const MAX_NEW_TOKENS: usize = 128;

/// What keys act on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Map,
    Prompt,
}

/// What was asked of the model.
#[derive(Clone, Debug, Default, PartialEq)]
struct Asked {
    prompt: String,
    raw: bool,
    router: RouterConfig,
}

/// A request that has not been answered in full.
#[derive(Clone, Copy, Debug)]
struct Pending {
    generating: bool,
    /// `Shared::now` when it was asked.
    since: f64,
    /// Tokens of the prompt that are done, and all of them, once the engine said so.
    progress: Option<(usize, usize)>,
}

/// The newest routing that arrived.
#[derive(Clone, Debug)]
struct Shown {
    asked: Asked,
    /// The experts are others now.
    outdated: bool,
    trace: Arc<Trace>,
    digest: Digest,
    milliseconds: f64,
}

/// The Routing tab.
pub const TAB: Tab = Tab("Routing");

/// Its line in the table of tabs.
pub(super) const SPEC: TabSpec =
    TabSpec { tab: TAB, keys: keys::reference, new: || Box::new(RoutingScreen::new()) };

/// State of the Routing tab.
#[derive(Debug)]
pub struct RoutingScreen {
    prompt: PromptBox,
    focus: Focus,
    router: RouterConfig,
    /// Whether a person changed the router, so that the library's defaults no longer apply.
    router_touched: bool,
    /// The prompt goes to the model as it is, without the template.
    raw: bool,
    /// Kind of modules on the map (`q`, `v` …); all of them for `None`.
    kind: Option<String>,
    /// One column a module instead of one a layer.
    by_module: bool,
    tickets: Tickets,
    /// Number of the newest request; answers to older ones are dropped.
    ticket: u64,
    /// What the newest request asks: what is shown is old when it answers another question.
    asked: Asked,
    pending: Option<Pending>,
    shown: Option<Shown>,
    answer: Option<Answer>,
    /// Why the newest request has no answer.
    error: Option<String>,
    /// Token under the cursor; `None` follows the last one that counts.
    token: Option<usize>,
    column: usize,
    /// Expert chosen with `[` and `]`; `None` follows the leader of the cell under the cursor.
    expert: Option<usize>,
    examples: Vec<String>,
    /// The example that fills the prompt box.
    example: Option<usize>,
    /// The tab was looked at, so the model is to be loaded as soon as there is a library.
    wanted: bool,
    /// The model was there and is no more, so that the next one is not a change of experts.
    lost: bool,
}

impl Default for RoutingScreen {
    fn default() -> Self {
        Self::new()
    }
}

impl RoutingScreen {
    /// A screen before any data.
    pub fn new() -> Self {
        Self {
            prompt: PromptBox::default(),
            focus: Focus::default(),
            router: RouterConfig::default(),
            router_touched: false,
            raw: false,
            kind: None,
            by_module: false,
            tickets: Tickets::of(TAB),
            ticket: 0,
            asked: Asked::default(),
            pending: None,
            shown: None,
            answer: None,
            error: None,
            token: None,
            column: 0,
            expert: None,
            examples: examples::defaults(),
            example: None,
            wanted: false,
            lost: false,
        }
    }

    fn set_focus(&mut self, focus: Focus) {
        self.focus = focus;
        self.prompt.set_focus(focus == Focus::Prompt);
    }
}

/// Whether the engine waits for a person to do something.
fn needs_retry(state: &EngineState) -> bool {
    matches!(state, EngineState::Missing { .. } | EngineState::Failed { .. })
}

fn is_ready(shared: &Shared) -> bool {
    matches!(shared.engine, EngineState::Ready { .. })
}

impl Screen for RoutingScreen {
    fn hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.key_hints(shared)
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        self.take_key(key, shared)
    }

    fn captures_text(&self) -> bool {
        self.focus == Focus::Prompt
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.wanted = true;
        match shared.engine {
            EngineState::Unloaded if shared.library.is_some() => vec![Effect::Engine(EngineEffect::Load)],
            _ => Vec::new(),
        }
    }

    fn on_paste(&mut self, text: &str, shared: &Shared) -> Vec<Effect> {
        let (edit, dropped) = self.prompt.insert(text);
        let mut effects = Vec::new();
        if edit == Edit::Changed {
            self.set_focus(Focus::Prompt);
            self.token = None;
            effects = self.route(shared);
        }
        if dropped > 0 {
            let text = format!("{} left out of the paste", counted(dropped, "character"));
            effects.push(Effect::App(AppEffect::Notice(text)));
        }
        effects
    }

    fn is_animating(&self, _shared: &Shared) -> bool {
        self.pending.is_some()
    }

    fn on_message(&mut self, message: &Message, shared: &Shared) -> Vec<Effect> {
        match message {
            Message::Engine(message) => self.on_engine(message, shared),
            Message::Library(Ok(library)) => self.on_library(library, shared),
            _ => Vec::new(),
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        view::draw(self, frame, area, shared, theme);
    }
}
