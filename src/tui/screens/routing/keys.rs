//! Keys of the Routing tab: which ones work now, and what they do.

use std::sync::LazyLock;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::prompt::Edit;
use super::{Focus, RoutingScreen, needs_retry};
use crate::routing::{ROUTERS, TEMPERATURE, TOP_K};
use crate::tui::keymap::{
    BACK_TAB, Binding, Chord, END, ENTER, ESC, HOME, KeyHint, KeySection, KeyTable, LEFT, Motion, PAGE_DOWN,
    PAGE_UP, RIGHT, TAB, moves,
};
use crate::tui::{Effect, EngineEffect, EngineState, Shared};

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Fetch,
    Load,
    StopFetching,
    Stop,
    EditPrompt,
    NextExample,
    PreviousExample,
    Generate,
    MoveToken(Motion),
    PreviousColumn,
    NextColumn,
    NextKind,
    Zoom,
    NextRouter,
    FewerExperts,
    MoreExperts,
    Sharper,
    Softer,
    PreviousExpert,
    NextExpert,
    Mute,
    UnmuteAll,
    Single,
    Template,
    LeavePrompt,
    Submit,
    NewLine,
    DeleteToHead,
}

/// What the key for the next router does: it goes round these.
fn next_router() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let titles: Vec<&str> = ROUTERS.iter().filter(|r| r.cycles).map(|r| r.title).collect();
        format!("Next router: {}", titles.join(", "))
    });
    &TEXT
}

type Table = KeyTable<RoutingScreen, Action>;

const STOP: Binding<RoutingScreen, Action> =
    Binding::new(&[(ESC, Action::Stop)], "stop", "Stop routing or generating; what is there stays");

/// The keys of the map, the most wanted first.
static MAP: Table = KeyTable {
    title: "Routing, on the map",
    bindings: &[
        Binding::new(
            &[(Chord::char('f'), Action::Fetch)],
            "fetch",
            "Download the base model, check it and load it",
        )
        .when(|_, shared| matches!(shared.engine, EngineState::Missing { .. })),
        Binding::new(&[(Chord::char('R'), Action::Load)], "look again", "Look for the base model again")
            .when(|_, shared| matches!(shared.engine, EngineState::Missing { .. })),
        Binding::new(&[(Chord::char('R'), Action::Load)], "try again", "Load a model that failed again")
            .when(|_, shared| matches!(shared.engine, EngineState::Failed { .. })),
        Binding::new(&[(ESC, Action::StopFetching)], "stop", "Stop the download")
            .when(|_, shared| matches!(shared.engine, EngineState::Fetching { .. })),
        STOP.when(|s: &RoutingScreen, shared| s.is_long(shared)).explains(),
        Binding::new(&[(Chord::char('i'), Action::EditPrompt)], "prompt", "Edit the prompt")
            .also(&[(ENTER, Action::EditPrompt)]),
        Binding::new(
            &[(Chord::char('n'), Action::NextExample)],
            "example",
            "Fill in the next example prompt",
        )
        .also(&[(Chord::ctrl('n'), Action::NextExample)])
        .when(|s: &RoutingScreen, _| s.can_fill_example())
        .explains(),
        Binding::new(
            &[(Chord::ctrl('p'), Action::PreviousExample)],
            "",
            "Fill in the previous example prompt",
        )
        .when(|s: &RoutingScreen, _| s.can_fill_example())
        .explains(),
        Binding::new(
            &[(Chord::char('g'), Action::Generate)],
            "generate",
            "Let the routed model continue the prompt",
        )
        .when(|s: &RoutingScreen, shared| s.can_generate(shared))
        .explains(),
        Binding::new(moves!(Action::MoveToken), "token", "Choose a token")
            .also(&[
                (Chord::char('j'), Action::MoveToken(Motion::Down)),
                (Chord::char('k'), Action::MoveToken(Motion::Up)),
                (PAGE_UP, Action::MoveToken(Motion::PageUp)),
                (PAGE_DOWN, Action::MoveToken(Motion::PageDown)),
                (HOME, Action::MoveToken(Motion::First)),
                (END, Action::MoveToken(Motion::Last)),
            ])
            .when(shows)
            .explains(),
        Binding::new(
            &[(LEFT, Action::PreviousColumn), (RIGHT, Action::NextColumn)],
            "layer",
            "Choose a layer, or a module when zoomed in",
        )
        .also(&[(Chord::char('h'), Action::PreviousColumn), (Chord::char('l'), Action::NextColumn)])
        .when(weighs)
        .explains(),
        Binding::new(
            &[(Chord::char('m'), Action::NextKind)],
            "modules",
            "Show one kind of module: all, q, k, v …",
        )
        .when(weighs)
        .explains(),
        Binding::new(
            &[(Chord::char('z'), Action::Zoom)],
            "zoom",
            "One column per module instead of one per layer, and back",
        )
        .when(weighs)
        .explains(),
        Binding::new(&[(Chord::char('r'), Action::NextRouter)], "router", "")
            .made(next_router)
            .when(shows)
            .explains(),
        Binding::new(
            &[(Chord::char('<'), Action::FewerExperts), (Chord::char('>'), Action::MoreExperts)],
            "top k",
            "Keep fewer or more experts per token and module",
        )
        .when(|s: &RoutingScreen, shared| several(s, shared) && s.router.router.has(&TOP_K))
        .explains(),
        Binding::new(
            &[(Chord::char('T'), Action::Sharper), (Chord::char('t'), Action::Softer)],
            "temperature",
            "Lower the temperature (sharper) or raise it (softer)",
        )
        .when(|s: &RoutingScreen, shared| several(s, shared) && s.router.router.has(&TEMPERATURE))
        .explains(),
        Binding::new(
            &[(Chord::char('['), Action::PreviousExpert), (Chord::char(']'), Action::NextExpert)],
            "expert",
            "Choose an expert; its cells stand out on the map",
        )
        .when(several)
        .explains(),
        Binding::new(
            &[(Chord::char('x'), Action::Mute)],
            "mute",
            "Give the chosen expert no weight, or bring it back",
        )
        .when(|s: &RoutingScreen, shared| chosen(s, shared) && s.can_mute())
        .explains(),
        Binding::new(&[(Chord::char('X'), Action::UnmuteAll)], "unmute all", "Bring all muted experts back")
            .when(|s: &RoutingScreen, shared| shows(s, shared) && !s.muted().is_empty())
            .explains(),
        Binding::new(
            &[(Chord::char('s'), Action::Single)],
            "single",
            "Route everything through the chosen expert",
        )
        .when(|s: &RoutingScreen, shared| chosen(s, shared) && s.can_mute())
        .explains(),
        Binding::new(
            &[(Chord::char('w'), Action::Template)],
            "template",
            "Put the prompt into the chat template, or send it raw",
        )
        .when(shows)
        .explains(),
    ],
};

/// The keys of the prompt box; what is not bound edits its text.
static PROMPT: Table = KeyTable {
    title: "Routing, in the prompt",
    bindings: &[
        STOP.when(|s: &RoutingScreen, shared| s.is_long(shared)),
        Binding::new(&[(ESC, Action::LeavePrompt)], "to the map", "Leave the prompt for the map")
            .when(|s: &RoutingScreen, shared| !s.is_long(shared)),
        Binding::new(&[(ENTER, Action::Submit)], "generate", "Let the routed model continue the prompt")
            .when(|s: &RoutingScreen, shared| s.can_generate(shared))
            .explains(),
        Binding::new(
            &[(Chord::Key(KeyCode::Enter, KeyModifiers::ALT), Action::NewLine)],
            "new line",
            "Start a new line in the prompt",
        )
        .also(&[
            (Chord::ctrl('j'), Action::NewLine),
            (Chord::Key(KeyCode::Enter, KeyModifiers::SHIFT), Action::NewLine),
            (Chord::Key(KeyCode::Enter, KeyModifiers::CONTROL), Action::NewLine),
        ]),
        // Where no example can be filled in, Tab goes to the next tab.
        Binding::new(&[(TAB, Action::NextExample)], "example", "Fill in the next example prompt")
            .when(|s: &RoutingScreen, _| s.can_fill_example()),
        Binding::new(&[(BACK_TAB, Action::PreviousExample)], "", "Fill in the previous example prompt")
            .when(|s: &RoutingScreen, _| s.can_fill_example()),
        Binding::new(
            &[(Chord::ctrl('n'), Action::NextExample), (Chord::ctrl('p'), Action::PreviousExample)],
            "",
            "Fill in the next or the previous example prompt",
        )
        .when(|s: &RoutingScreen, _| s.can_fill_example())
        .explains(),
        Binding::new(
            &[(Chord::ctrl('u'), Action::DeleteToHead)],
            "clear to the left",
            "Delete back to the head of the line",
        )
        .when(|s: &RoutingScreen, _| !s.prompt.is_blank())
        .explains(),
    ],
};

fn shows(screen: &RoutingScreen, _: &Shared) -> bool {
    screen.shown.is_some()
}

fn weighs(screen: &RoutingScreen, _: &Shared) -> bool {
    screen.router.is_weighted() && screen.shown.as_ref().is_some_and(|shown| !shown.trace.experts.is_empty())
}

fn several(screen: &RoutingScreen, shared: &Shared) -> bool {
    weighs(screen, shared) && screen.shown.as_ref().is_some_and(|shown| shown.trace.experts.len() > 1)
}

fn chosen(screen: &RoutingScreen, shared: &Shared) -> bool {
    several(screen, shared) && screen.expert_cursor().is_some()
}

/// All keys of the tab, for the reference.
pub fn reference() -> Vec<KeySection> {
    vec![PROMPT.section(), MAP.section()]
}

impl RoutingScreen {
    fn table(&self) -> &'static Table {
        match self.focus {
            Focus::Map => &MAP,
            Focus::Prompt => &PROMPT,
        }
    }

    /// The keys that the footer and the help show now.
    pub(super) fn key_hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.table().hints(self, shared)
    }

    pub(super) fn take_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if let Some(action) = self.table().action(key, self, shared) {
            return Some(self.act(action, shared));
        }
        if self.focus == Focus::Map {
            return None;
        }
        let edit = self.prompt.on_key(key);
        self.edited(edit, shared)
    }

    fn edited(&mut self, edit: Edit, shared: &Shared) -> Option<Vec<Effect>> {
        match edit {
            Edit::Changed => {
                self.token = None;
                Some(self.route(shared))
            }
            Edit::Kept => Some(Vec::new()),
            Edit::Ignored => None,
        }
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        match action {
            Action::Fetch => return vec![Effect::Engine(EngineEffect::FetchBase)],
            Action::Load if needs_retry(&shared.engine) => return vec![Effect::Engine(EngineEffect::Load)],
            Action::Load => {}
            Action::StopFetching => return vec![Effect::Engine(EngineEffect::Stop)],
            Action::Stop => return self.stop(),
            Action::EditPrompt => self.set_focus(Focus::Prompt),
            Action::NextExample => return self.next_example(shared, true),
            Action::PreviousExample => return self.next_example(shared, false),
            Action::Generate => return self.generate(shared),
            Action::MoveToken(motion) => self.move_token(|token, last| motion.scroll(token, last)),
            Action::PreviousColumn => self.move_column(-1),
            Action::NextColumn => self.move_column(1),
            Action::NextKind => self.next_kind(),
            Action::Zoom => self.toggle_zoom(),
            Action::NextRouter => return self.next_router(shared),
            Action::FewerExperts => return self.change_setting(shared, &TOP_K, false),
            Action::MoreExperts => return self.change_setting(shared, &TOP_K, true),
            Action::Sharper => return self.change_setting(shared, &TEMPERATURE, false),
            Action::Softer => return self.change_setting(shared, &TEMPERATURE, true),
            Action::PreviousExpert => return self.move_expert(shared, -1),
            Action::NextExpert => return self.move_expert(shared, 1),
            Action::Mute => return self.toggle_mute(shared),
            Action::UnmuteAll => return self.unmute_all(shared),
            Action::Single => return self.route_single(shared),
            Action::Template => {
                self.raw = !self.raw;
                self.token = None;
                return self.route(shared);
            }
            Action::LeavePrompt => self.set_focus(Focus::Map),
            Action::Submit => {
                let effects = self.generate(shared);
                if !effects.is_empty() {
                    // Now the keys that change the router are at hand.
                    self.set_focus(Focus::Map);
                }
                return effects;
            }
            Action::NewLine => {
                let edit = self.prompt.new_line();
                return self.edited(edit, shared).unwrap_or_default();
            }
            Action::DeleteToHead => {
                let edit = self.prompt.delete_to_head();
                return self.edited(edit, shared).unwrap_or_default();
            }
        }
        Vec::new()
    }
}
