//! The Routing tab: a prompt, and which experts every one of its tokens uses in every layer.

mod digest;
mod examples;
mod experts;
mod map;
mod paint;
mod prompt;
mod status;
mod view;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::Frame;
use ratatui::layout::Rect;

use self::digest::Digest;
use self::prompt::{Edit, PromptBox};
use crate::library::Library;
use crate::routing::{RouterConfig, RouterKind, Trace};
use crate::tui::{
    Binding, Effect, EngineMessage, EngineState, Message, Screen, Shared, Tab, Theme, Tickets, plural,
};

/// Tokens that `g` adds at most.
const MAX_NEW_TOKENS: usize = 128;

/// Steps of the temperature keys.
const TEMPERATURES: [f64; 11] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0];

/// What keys act on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Map,
    Prompt,
}

/// A request that has not been answered in full.
#[derive(Clone, Copy, Debug)]
struct Pending {
    generating: bool,
    /// `Shared::tick` when it was asked; old pictures fade only when the answer takes long.
    since: u64,
}

/// The newest routing that arrived.
#[derive(Clone, Debug)]
struct Shown {
    /// The request that it answers.
    ticket: u64,
    trace: Arc<Trace>,
    digest: Digest,
    milliseconds: f64,
}

/// What the model wrote.
#[derive(Clone, Debug)]
struct Answer {
    text: String,
    done: bool,
    /// Why it is not simply the present router's answer.
    note: Option<&'static str>,
}

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
            tickets: Tickets::of(Tab::Routing),
            ticket: 0,
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
        }
    }

    /// Whether what is shown answers another question than the one on the screen.
    fn is_stale(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| shown.ticket != self.ticket)
    }

    /// Examples never replace what a person wrote.
    fn can_fill_example(&self) -> bool {
        !self.examples.is_empty() && (self.prompt.is_blank() || self.examples.contains(&self.prompt.text()))
    }

    fn token_cursor(&self) -> usize {
        let Some(Shown { trace, .. }) = &self.shown else { return 0 };
        let last = trace.tokens.len().saturating_sub(1);
        // What the template puts behind the prompt is of less interest than the prompt's end.
        let followed = || (0..=last).rev().find(|&token| trace.counts(token)).unwrap_or(last);
        self.token.map_or_else(followed, |token| token.min(last))
    }

    fn column_cursor(&self) -> usize {
        let columns = self.shown.as_ref().map_or(0, |s| s.digest.columns.len());
        self.column.min(columns.saturating_sub(1))
    }

    /// The expert that `x` and `s` act on.
    fn expert_cursor(&self) -> Option<usize> {
        let shown = self.shown.as_ref()?;
        let leader = || {
            let cell = shown.digest.cell(self.token_cursor(), self.column_cursor());
            cell.expert.filter(|_| !cell.tie).map(|e| e as usize)
        };
        self.expert.or_else(leader).filter(|&e| e < shown.trace.experts.len())
    }

    /// Asks for the routing of what is in the box now; the engine drops whatever it was doing.
    fn route(&mut self, shared: &Shared) -> Vec<Effect> {
        self.answer = None;
        self.request(shared, false)
    }

    fn request(&mut self, shared: &Shared, generating: bool) -> Vec<Effect> {
        self.ticket = self.tickets.issue();
        self.error = None;
        if self.prompt.is_blank() {
            self.shown = None;
            self.token = None;
            return self.stop();
        }
        if !matches!(shared.engine, EngineState::Ready { .. }) {
            // Asked again as soon as the engine is ready.
            self.pending = None;
            return Vec::new();
        }
        let (ticket, prompt, raw, router) = (self.ticket, self.prompt.text(), self.raw, self.router.clone());
        self.pending = Some(Pending { generating, since: shared.tick });
        vec![if generating {
            Effect::Generate { ticket, prompt, raw, router, max_tokens: MAX_NEW_TOKENS }
        } else {
            Effect::Route { ticket, prompt, raw, router }
        }]
    }

    fn generate(&mut self, shared: &Shared) -> Vec<Effect> {
        if self.prompt.is_blank() || !matches!(shared.engine, EngineState::Ready { .. }) {
            return Vec::new();
        }
        self.answer = Some(Answer { text: String::new(), done: false, note: None });
        self.token = None;
        self.request(shared, true)
    }

    fn stop(&mut self) -> Vec<Effect> {
        let generating = self.is_generating();
        if let Some(answer) = &mut self.answer {
            answer.done = true;
            if generating {
                answer.note = Some("stopped");
            }
        }
        if self.pending.take().is_some() { vec![Effect::StopEngine] } else { Vec::new() }
    }

    fn is_generating(&self) -> bool {
        self.pending.is_some_and(|p| p.generating)
    }

    fn set_focus(&mut self, focus: Focus) {
        self.focus = focus;
        self.prompt.set_focus(focus == Focus::Prompt);
    }

    fn change_router(
        &mut self,
        shared: &Shared,
        change: impl FnOnce(&mut RouterConfig, &mut Self),
    ) -> Vec<Effect> {
        let mut router = self.router.clone();
        change(&mut router, self);
        self.router_touched = true;
        if router == self.router {
            return Vec::new();
        }
        self.router = router;
        // Live: an answer under way starts anew, a finished one stays as what the earlier router gave.
        if self.is_generating() {
            return self.generate(shared);
        }
        if let Some(answer) = &mut self.answer {
            answer.note.get_or_insert("earlier router");
        }
        self.request(shared, false)
    }

    fn experts(&self, shared: &Shared) -> Vec<String> {
        match &self.shown {
            Some(shown) if !shown.trace.experts.is_empty() => shown.trace.experts.to_vec(),
            _ => shared.library.iter().flat_map(|l| l.usable()).map(|e| e.name.clone()).collect(),
        }
    }

    /// Arrow → uniform → single → base → Arrow.
    fn next_router(&mut self, shared: &Shared) -> Vec<Effect> {
        let names = self.experts(shared);
        let single = self
            .expert_cursor()
            .and_then(|e| names.get(e).cloned())
            .or_else(|| shared.selected.clone().filter(|name| names.contains(name)))
            .or_else(|| names.first().cloned());
        self.change_router(shared, |router, _| {
            router.kind = match &router.kind {
                RouterKind::Arrow => RouterKind::Uniform,
                RouterKind::Uniform | RouterKind::UniformFactors => {
                    single.map_or(RouterKind::Base, RouterKind::Single)
                }
                RouterKind::Single(_) => RouterKind::Base,
                RouterKind::Base => RouterKind::Arrow,
            }
        })
    }

    /// Experts kept per token and module: 1, 2, … and then all of them, which is 0.
    fn change_top_k(&mut self, shared: &Shared, up: bool) -> Vec<Effect> {
        let count = self.experts(shared).len().max(1);
        self.change_router(shared, |router, _| {
            router.top_k = match (router.top_k, up) {
                (0, true) => 0,
                (0, false) => count.saturating_sub(1).max(1),
                (k, true) if k + 1 >= count => 0,
                (k, true) => k + 1,
                (k, false) => k.min(count).saturating_sub(1).max(1),
            }
        })
    }

    fn change_temperature(&mut self, shared: &Shared, up: bool) -> Vec<Effect> {
        self.change_router(shared, |router, _| {
            let now = router.temperature;
            let next = if up {
                TEMPERATURES.iter().find(|&&t| t > now * 1.001)
            } else {
                TEMPERATURES.iter().rev().find(|&&t| t < now * 0.999)
            };
            router.temperature = next.copied().unwrap_or(now);
        })
    }

    fn toggle_mute(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(expert) = self.expert_cursor() else { return Vec::new() };
        let names = self.experts(shared);
        let Some(name) = names.get(expert) else { return Vec::new() };
        if let Some(at) = self.router.muted.iter().position(|muted| muted == name) {
            return self.change_router(shared, |router, _| drop(router.muted.remove(at)));
        }
        let left = names.iter().filter(|n| !self.router.muted.contains(n)).count();
        if left <= 1 {
            return vec![Effect::Error("The last expert cannot be muted: X brings the others back.".into())];
        }
        // The selection stays on the expert, so that the same key brings it back.
        self.expert = Some(expert);
        self.change_router(shared, |router, _| router.muted.push(name.clone()))
    }

    fn route_single(&mut self, shared: &Shared) -> Vec<Effect> {
        let Some(name) = self.expert_cursor().and_then(|e| self.experts(shared).get(e).cloned()) else {
            return Vec::new();
        };
        self.change_router(shared, |router, _| router.kind = RouterKind::Single(name))
    }

    fn move_expert(&mut self, shared: &Shared, by: isize) -> Vec<Effect> {
        let count = self.experts(shared).len();
        if count == 0 {
            return Vec::new();
        }
        let next = match self.expert_cursor() {
            Some(now) => (now as isize + by).rem_euclid(count as isize) as usize,
            None => 0,
        };
        self.expert = Some(next);
        if matches!(self.router.kind, RouterKind::Single(_)) {
            return self.route_single(shared);
        }
        Vec::new()
    }

    fn move_token(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let Some(shown) = &self.shown else { return };
        let last = shown.trace.tokens.len().saturating_sub(1);
        self.token = Some(to(self.token_cursor(), last).min(last));
        self.expert = None;
    }

    fn move_column(&mut self, by: isize) {
        let Some(shown) = &self.shown else { return };
        let last = shown.digest.columns.len().saturating_sub(1);
        self.column = self.column_cursor().saturating_add_signed(by).min(last);
        self.expert = None;
    }

    fn next_kind(&mut self) {
        let Some(shown) = &self.shown else { return };
        let kinds = digest::kinds(&shown.trace.modules);
        let at = self.kind.as_ref().and_then(|kind| kinds.iter().position(|k| k == kind));
        self.kind = match at {
            None => kinds.first().cloned(),
            Some(i) => kinds.get(i + 1).cloned(),
        };
        self.redigest();
    }

    /// Switches between layers and modules, keeping the cursor on the same layer.
    fn toggle_zoom(&mut self) {
        let here = self.shown.as_ref().and_then(|shown| {
            shown.digest.columns.get(self.column_cursor()).and_then(|c| c.modules.first().copied())
        });
        self.by_module = !self.by_module;
        self.redigest();
        if let (Some(module), Some(shown)) = (here, &self.shown) {
            self.column =
                shown.digest.columns.iter().position(|c| c.modules.contains(&module)).unwrap_or_default();
        }
    }

    fn redigest(&mut self) {
        if let Some(shown) = &mut self.shown {
            shown.digest = Digest::new(&shown.trace, self.kind.as_deref(), self.by_module);
        }
    }

    fn next_example(&mut self, shared: &Shared, forward: bool) -> Vec<Effect> {
        if !self.can_fill_example() {
            return Vec::new();
        }
        let count = self.examples.len();
        let next = match (self.example, forward) {
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(i), true) => (i + 1) % count,
            (Some(i), false) => (i + count - 1) % count,
        };
        self.example = Some(next);
        self.prompt.set_text(&self.examples[next], self.focus == Focus::Prompt);
        self.token = None;
        self.route(shared)
    }

    fn on_prompt_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
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
            Edit::Leave if self.is_generating() => Some(self.stop()),
            Edit::Leave => {
                self.set_focus(Focus::Map);
                Some(Vec::new())
            }
            Edit::Example { forward } if self.can_fill_example() => Some(self.next_example(shared, forward)),
            Edit::Example { .. } => None,
            Edit::Ignored => None,
        }
    }

    fn on_map_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return match key.code {
                KeyCode::Char('n') => Some(self.next_example(shared, true)),
                KeyCode::Char('p') => Some(self.next_example(shared, false)),
                _ => None,
            };
        }
        let effects = match key.code {
            KeyCode::Char('f') if matches!(shared.engine, EngineState::Missing { .. }) => {
                vec![Effect::FetchBase]
            }
            KeyCode::Char('R') if needs_retry(&shared.engine) => vec![Effect::LoadEngine],
            KeyCode::Esc if matches!(shared.engine, EngineState::Fetching { .. }) => vec![Effect::StopEngine],
            KeyCode::Esc if self.pending.is_some() => self.stop(),
            KeyCode::Char('i') | KeyCode::Enter => {
                self.set_focus(Focus::Prompt);
                Vec::new()
            }
            KeyCode::Char('g') => self.generate(shared),
            KeyCode::Char('n') => self.next_example(shared, true),
            KeyCode::Char('r') => self.next_router(shared),
            KeyCode::Char('<') => self.change_top_k(shared, false),
            KeyCode::Char('>') => self.change_top_k(shared, true),
            KeyCode::Char('t') => self.change_temperature(shared, true),
            KeyCode::Char('T') => self.change_temperature(shared, false),
            KeyCode::Char('x') => self.toggle_mute(shared),
            KeyCode::Char('X') => self.change_router(shared, |router, _| router.muted.clear()),
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

    fn on_engine(&mut self, message: &EngineMessage, shared: &Shared) -> Vec<Effect> {
        match message {
            EngineMessage::State(state) => return self.on_state(state, shared),
            EngineMessage::Trace { ticket, trace, generating, milliseconds } if *ticket == self.ticket => {
                let digest = Digest::new(trace, self.kind.as_deref(), self.by_module);
                if self.shown.is_none() {
                    // The middle of the network says more than its first layer.
                    self.column = digest.columns.len() / 2;
                }
                let (ticket, trace, milliseconds) = (*ticket, trace.clone(), *milliseconds);
                self.shown = Some(Shown { ticket, trace, digest, milliseconds });
                self.error = None;
                if !generating {
                    self.pending = None;
                }
            }
            EngineMessage::Text { ticket, text, done } if *ticket == self.ticket => {
                // The last words of one that was stopped keep the mark.
                let note = self.answer.as_ref().and_then(|answer| answer.note);
                self.answer = Some(Answer { text: text.clone(), done: *done, note });
            }
            EngineMessage::Failed { ticket, error } if *ticket == self.ticket => {
                self.pending = None;
                self.error = Some(error.clone());
                if let Some(answer) = &mut self.answer {
                    answer.done = true;
                }
            }
            EngineMessage::Examples(examples) if !examples.is_empty() => {
                self.examples = examples.clone();
                self.example = None;
            }
            _ => {}
        }
        Vec::new()
    }

    fn on_state(&mut self, state: &EngineState, shared: &Shared) -> Vec<Effect> {
        match state {
            EngineState::Ready { .. } if !self.prompt.is_blank() => self.route(shared),
            EngineState::Ready { .. } | EngineState::Loading { .. } | EngineState::Fetching { .. } => {
                Vec::new()
            }
            EngineState::Missing { .. } | EngineState::Failed { .. } | EngineState::Unloaded => {
                self.pending = None;
                // Keys such as `f` must not be typed into the box.
                if needs_retry(state) {
                    self.set_focus(Focus::Map);
                }
                Vec::new()
            }
        }
    }

    fn on_library(&mut self, library: &Library, shared: &Shared) -> Vec<Effect> {
        if !self.router_touched {
            self.router.top_k = library.manifest.router.top_k;
            self.router.temperature = library.manifest.router.temperature;
            // Without experts only the base model can answer.
            let nobody = library.usable().next().is_none();
            self.router.kind = if nobody { RouterKind::Base } else { RouterKind::Arrow };
        }
        let known = |name: &String| library.usable().any(|e| &e.name == name);
        let before = self.router.clone();
        self.router.muted.retain(known);
        if matches!(&self.router.kind, RouterKind::Single(name) if !known(name)) {
            self.router.kind = RouterKind::Arrow;
        }
        if self.wanted && shared.engine == EngineState::Unloaded {
            return vec![Effect::LoadEngine];
        }
        if before != self.router && self.shown.is_some() { self.route(shared) } else { Vec::new() }
    }
}

/// Whether the engine waits for a person to do something.
fn needs_retry(state: &EngineState) -> bool {
    matches!(state, EngineState::Missing { .. } | EngineState::Failed { .. })
}

impl Screen for RoutingScreen {
    fn bindings(&self, shared: &Shared) -> Vec<Binding> {
        status::bindings(self, shared)
    }

    fn captures_text(&self) -> bool {
        self.focus == Focus::Prompt
    }

    fn on_show(&mut self, shared: &Shared) -> Vec<Effect> {
        self.wanted = true;
        match shared.engine {
            EngineState::Unloaded if shared.library.is_some() => vec![Effect::LoadEngine],
            _ => Vec::new(),
        }
    }

    fn on_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        match self.focus {
            Focus::Prompt => self.on_prompt_key(key, shared),
            Focus::Map => self.on_map_key(key, shared),
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
            let text = format!("{} left out of the paste", plural(dropped, "character"));
            effects.push(Effect::Notice(text));
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
