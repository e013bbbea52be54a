//! Keys: which ones work now, and what they do.

use std::sync::LazyLock;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::prompt::Edit;
use super::{Focus, RoutingScreen, needs_retry};
use crate::routing::{ROUTERS, TEMPERATURE, TOP_K};
use crate::tui::{Binding, Effect, EngineEffect, EngineState, Shared};

/// What the key for the next router does: it goes round these.
fn next_router() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let titles: Vec<&str> = ROUTERS.iter().filter(|r| r.cycles).map(|r| r.title).collect();
        format!("Next router: {}.", titles.join(", "))
    });
    &TEXT
}

/// The keys that work now, the most wanted first.
pub fn bindings(screen: &RoutingScreen, shared: &Shared) -> Vec<Binding> {
    let key = |keys, short, help| Binding { keys, short, help };
    let mut keys = Vec::new();
    let stop = key("Esc", "stop", "Stop routing or generating; what is there stays.");
    if screen.focus == Focus::Prompt {
        if screen.is_long(shared) {
            keys.push(stop);
        } else {
            keys.push(key("Esc", "to the map", "Leave the prompt for the map."));
        }
        if screen.can_generate(shared) {
            keys.push(key("Enter", "generate", "Let the routed model continue the prompt."));
        }
        keys.push(key("Alt-Enter", "new line", "Start a new line in the prompt (Ctrl-J does, too)."));
        if screen.can_fill_example() {
            keys.push(key("Tab", "example", "Fill in the next example prompt (Ctrl-N and Ctrl-P, too)."));
        }
        if !screen.prompt.is_blank() {
            keys.push(key("Ctrl-U", "clear to the left", "Delete back to the head of the line."));
        }
        return keys;
    }
    match &shared.engine {
        EngineState::Missing { .. } => {
            keys.push(key("f", "fetch", "Download the base model, check it and load it."));
            keys.push(key("R", "look again", "Look for the base model again."));
        }
        EngineState::Failed { .. } => keys.push(key("R", "try again", "Load the model again.")),
        EngineState::Fetching { .. } => keys.push(key("Esc", "stop", "Stop the download.")),
        _ => {}
    }
    if screen.is_long(shared) {
        keys.push(stop);
    }
    keys.push(key("i", "prompt", "Edit the prompt (Enter does, too)."));
    if screen.can_fill_example() {
        keys.push(key("n", "example", "Fill in the next example prompt."));
    }
    if screen.can_generate(shared) {
        keys.push(key("g", "generate", "Let the routed model continue the prompt."));
    }
    let Some(shown) = &screen.shown else { return keys };
    let weighs = screen.router.is_weighted() && !shown.trace.experts.is_empty();
    let several = weighs && shown.trace.experts.len() > 1;
    let chosen = several && screen.expert_cursor().is_some();
    let has = |setting| several && screen.router.router.has(setting);
    let shares = several && screen.can_mute();
    let all = [
        (true, key("↑↓", "token", "Choose a token; PgUp, PgDn, Home and End go further.")),
        (weighs, key("←→", "layer", "Choose a layer, or a module when zoomed in.")),
        (weighs, key("m", "modules", "Show one kind of module: all, q, k, v …")),
        (weighs, key("z", "zoom", "One column per module instead of one per layer, and back.")),
        (true, key("r", "router", next_router())),
        (has(&TOP_K), key("< >", "top k", "Keep fewer or more experts per token and module.")),
        (
            has(&TEMPERATURE),
            key("T t", "temperature", "Lower the temperature (sharper) or raise it (softer)."),
        ),
        (several, key("[ ]", "expert", "Choose an expert; its cells stand out on the map.")),
        (chosen && shares, key("x", "mute", "Give the chosen expert no weight, or bring it back.")),
        (!screen.muted().is_empty(), key("X", "unmute all", "Bring all muted experts back.")),
        (chosen && shares, key("s", "single", "Route everything through the chosen expert.")),
        (true, key("w", "template", "Put the prompt into the chat template, or send it raw.")),
    ];
    // Keys without a use in the present router are left out.
    keys.extend(all.into_iter().filter_map(|(useful, key)| useful.then_some(key)));
    keys
}

impl RoutingScreen {
    pub(super) fn on_prompt_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        match self.prompt.on_key(key) {
            Edit::Changed => {
                self.token = None;
                Some(self.route(shared))
            }
            Edit::Kept => Some(Vec::new()),
            Edit::Submit => {
                let effects = self.generate(shared);
                if !effects.is_empty() {
                    // Now the keys that change the router are at hand.
                    self.set_focus(Focus::Map);
                }
                Some(effects)
            }
            Edit::Leave if self.is_long(shared) => Some(self.stop()),
            Edit::Leave => {
                self.set_focus(Focus::Map);
                Some(Vec::new())
            }
            Edit::Example { forward } if self.can_fill_example() => Some(self.next_example(shared, forward)),
            // Tab goes to the next tab then.
            Edit::Example { .. } if matches!(key.code, KeyCode::Tab | KeyCode::BackTab) => None,
            Edit::Example { forward } => Some(self.next_example(shared, forward)),
            Edit::Ignored => None,
        }
    }

    pub(super) fn on_map_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return match key.code {
                KeyCode::Char('n') => Some(self.next_example(shared, true)),
                KeyCode::Char('p') => Some(self.next_example(shared, false)),
                _ => None,
            };
        }
        let effects = match key.code {
            KeyCode::Char('f') if matches!(shared.engine, EngineState::Missing { .. }) => {
                vec![Effect::Engine(EngineEffect::FetchBase)]
            }
            KeyCode::Char('R') if needs_retry(&shared.engine) => vec![Effect::Engine(EngineEffect::Load)],
            KeyCode::Esc if matches!(shared.engine, EngineState::Fetching { .. }) => {
                vec![Effect::Engine(EngineEffect::Stop)]
            }
            KeyCode::Esc if self.pending.is_some() => self.stop(),
            KeyCode::Char('i') | KeyCode::Enter => {
                self.set_focus(Focus::Prompt);
                Vec::new()
            }
            KeyCode::Char('g') => self.generate(shared),
            KeyCode::Char('n') => self.next_example(shared, true),
            KeyCode::Char('r') => self.next_router(shared),
            KeyCode::Char('<') => self.change_setting(shared, &TOP_K, false),
            KeyCode::Char('>') => self.change_setting(shared, &TOP_K, true),
            KeyCode::Char('t') => self.change_setting(shared, &TEMPERATURE, true),
            KeyCode::Char('T') => self.change_setting(shared, &TEMPERATURE, false),
            KeyCode::Char('x') => self.toggle_mute(shared),
            KeyCode::Char('X') => self.unmute_all(shared),
            KeyCode::Char('s') => self.route_single(shared),
            KeyCode::Char('[') => self.move_expert(shared, -1),
            KeyCode::Char(']') => self.move_expert(shared, 1),
            KeyCode::Char('w') => {
                self.raw = !self.raw;
                self.token = None;
                self.route(shared)
            }
            _ => return self.on_move_key(key.code).then(Vec::new),
        };
        Some(effects)
    }

    /// Keys that only change what is looked at.
    fn on_move_key(&mut self, code: KeyCode) -> bool {
        match code {
            KeyCode::Char('m') => self.next_kind(),
            KeyCode::Char('z') => self.toggle_zoom(),
            KeyCode::Up | KeyCode::Char('k') => self.move_token(|t, _| t.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.move_token(|t, _| t + 1),
            KeyCode::PageUp => self.move_token(|t, _| t.saturating_sub(10)),
            KeyCode::PageDown => self.move_token(|t, _| t + 10),
            KeyCode::Home => self.move_token(|_, _| 0),
            KeyCode::End => self.move_token(|_, last| last),
            KeyCode::Left | KeyCode::Char('h') => self.move_column(-1),
            KeyCode::Right | KeyCode::Char('l') => self.move_column(1),
            _ => return false,
        }
        true
    }
}
