//! Keys of the Routing tab, and when they work.

use std::sync::LazyLock;

use crossterm::event::{KeyCode, KeyModifiers};

use super::action::{Action, Look, Table};
use super::field_keys::{FAVOUR, REFERENCE, REFUSED, SEARCH, TRIED};
use super::state::{Focus, RoutingScreen};
use crate::routing::{CALIBRATED, ROUTERS, TEMPERATURE, TOP_K};
use crate::tui::keymap::{
    BACK_TAB, Binding, Chord, DOWN, END, ENTER, ESC, HOME, KeyHint, KeySection, KeyTable, LEFT, Motion,
    PAGE_DOWN, PAGE_UP, RIGHT, TAB, UP, moves,
};
use crate::tui::{EngineState, Shared};

/// A move to another token.
const fn token(motion: Motion) -> Action {
    Action::Look(Look::Token(motion))
}

/// What the key for the next router does: it goes round these.
fn next_router() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let titles: Vec<&str> = ROUTERS.iter().filter(|r| r.cycles).map(|r| r.title).collect();
        format!("Next router: {}", titles.join(", "))
    });
    &TEXT
}

const STOP: Binding<RoutingScreen, Action> =
    Binding::new(&[(ESC, Action::Stop)], "stop", "Stop routing or generating; what is there stays");

const CLEAR: Binding<RoutingScreen, Action> = Binding::new(
    &[(Chord::ctrl('x'), Action::Clear)],
    "clear",
    "Empty the prompt box; Alt-z brings the text back",
)
.when(|s: &RoutingScreen, _| !s.question.prompt.is_blank())
.explains();
const UNDO: Binding<RoutingScreen, Action> = Binding::new(
    &[
        (Chord::Key(KeyCode::Char('z'), KeyModifiers::ALT), Action::Undo),
        (Chord::Key(KeyCode::Char('y'), KeyModifiers::ALT), Action::Redo),
    ],
    "",
    "Take the last change of the prompt back, make it again",
);

const HISTORY: Binding<RoutingScreen, Action> =
    Binding::new(&[(Chord::ctrl('r'), Action::History)], "history", "Find a prompt that was tried before")
        .when(|s: &RoutingScreen, _| !s.history.is_empty())
        .explains();
const EDITOR: Binding<RoutingScreen, Action> = Binding::new(
    &[(Chord::ctrl('g'), Action::Editor)],
    "editor",
    "Edit the prompt in the editor that VISUAL or EDITOR names",
);

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
        STOP.when(|s: &RoutingScreen, shared| s.exchange.is_long(shared) || s.experiment.is_running())
            .explains(),
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
        Binding::new(moves!(token), "token", "Choose a token")
            .also(&[
                (Chord::char('j'), token(Motion::Down)),
                (Chord::char('k'), token(Motion::Up)),
                (PAGE_UP, token(Motion::PageUp)),
                (PAGE_DOWN, token(Motion::PageDown)),
                (HOME, token(Motion::First)),
                (END, token(Motion::Last)),
            ])
            .when(shows)
            .explains(),
        Binding::new(
            &[(LEFT, Action::Look(Look::PreviousColumn)), (RIGHT, Action::Look(Look::NextColumn))],
            "layer",
            "Choose a layer, or a module when zoomed in",
        )
        .also(&[
            (Chord::char('h'), Action::Look(Look::PreviousColumn)),
            (Chord::char('l'), Action::Look(Look::NextColumn)),
        ])
        .when(weighs)
        .explains(),
        Binding::new(
            &[(Chord::char('m'), Action::Look(Look::NextKind))],
            "modules",
            "Show one kind of module: all, q, k, v …",
        )
        .when(weighs)
        .explains(),
        Binding::new(
            &[(Chord::char('z'), Action::Look(Look::Zoom))],
            "map",
            "A row for each token, by layers; again, by modules; again, the whole",
        )
        .when(weighs)
        .explains(),
        Binding::new(
            &[(Chord::char('b'), Action::Bars)],
            "bars",
            "Bars of clusters or families instead of experts, and back",
        )
        .when(|s: &RoutingScreen, shared| several(s, shared) && s.marks.groups.divide())
        .explains(),
        Binding::new(&[(Chord::char('r'), Action::NextRouter)], "router", "")
            .made(next_router)
            .when(shows)
            .explains(),
        Binding::new(
            &[(Chord::char('a'), Action::Beside)],
            "beside",
            "Put this router with its settings beside others on the same prompt, or take it away",
        )
        .when(shows)
        .explains(),
        Binding::new(
            &[(Chord::char('e'), Action::Why)],
            "why",
            "How much less likely the answer is without each of the strongest experts",
        )
        .when(weighs)
        .explains(),
        Binding::new(
            &[(Chord::char('R'), Action::Keep)],
            "keep",
            "Keep this run to compare others with, or let it go",
        )
        .when(shows),
        Binding::new(
            &[(Chord::char('d'), Action::Difference)],
            "difference",
            "The map of what moved against the run that is kept, and back",
        )
        .when(differs)
        .explains(),
        Binding::new(
            &[(Chord::char('B'), Action::Blind)],
            "blind",
            "Hide which router gave which answer, in an order drawn by lot, and show it again",
        )
        .when(|s: &RoutingScreen, _| !s.experiment.rows.is_empty())
        .explains(),
        Binding::new(
            &[(Chord::char('='), Action::Reference)],
            "answer",
            "Set the reference answer, whose probability is compared",
        )
        .when(shows)
        .explains(),
        Binding::new(
            &[(Chord::char('<'), Action::FewerExperts), (Chord::char('>'), Action::MoreExperts)],
            "top k",
            "Keep fewer or more experts per token and module",
        )
        .when(|s: &RoutingScreen, shared| several(s, shared) && s.question.router.router.has(&TOP_K))
        .explains(),
        Binding::new(
            &[(Chord::char('t'), Action::Sharper), (Chord::char('T'), Action::Softer)],
            "temperature",
            "Lower the temperature (sharper) or raise it (softer)",
        )
        .when(|s: &RoutingScreen, shared| several(s, shared) && s.question.router.router.has(&TEMPERATURE))
        .explains(),
        Binding::new(
            &[(Chord::char('c'), Action::Calibrate)],
            "calibrated",
            "Compare each expert's scores with what is usual for it, or take them as they are",
        )
        .when(|s: &RoutingScreen, shared| several(s, shared) && s.question.router.router.has(&CALIBRATED))
        .explains(),
        Binding::new(
            &[(Chord::char('['), Action::PreviousExpert), (Chord::char(']'), Action::NextExpert)],
            "expert",
            "Choose an expert in the order of the shares; its tokens stand out",
        )
        .when(finds)
        .explains(),
        Binding::new(&[(Chord::char('/'), Action::Find)], "find", "Find an expert by its name")
            .when(finds)
            .explains(),
        Binding::new(
            &[(Chord::char('x'), Action::Mute)],
            "mute",
            "Give the chosen expert no weight, or bring it back",
        )
        .when(|s: &RoutingScreen, shared| {
            let before = s.exchange.shown.is_none() && s.target(shared).is_some();
            s.question.can_mute() && (chosen(s, shared) || before)
        })
        .explains(),
        Binding::new(
            &[(Chord::char('p'), Action::Pin)],
            "pin",
            "Keep the chosen expert among the chosen ones whatever its scores, or no longer",
        )
        .when(|s: &RoutingScreen, shared| chosen(s, shared) && s.question.router.router.pins)
        .explains(),
        Binding::new(&[(Chord::char('X'), Action::UnmuteAll)], "unmute all", "Bring all muted experts back")
            .when(|s: &RoutingScreen, shared| {
                !s.question.muted().is_empty() && (shows(s, shared) || s.exchange.error.is_some())
            })
            .explains(),
        Binding::new(
            &[(Chord::char('s'), Action::Single)],
            "single",
            "Route everything through the chosen expert, and back",
        )
        .when(|s: &RoutingScreen, shared| {
            chosen(s, shared) && (s.question.can_mute() || s.question.router.router.names_expert())
        })
        .explains(),
        Binding::new(
            &[(Chord::char('w'), Action::Template)],
            "template",
            "Put the prompt into the chat template, or send it raw",
        )
        .when(shows)
        .explains(),
        HISTORY,
        Binding::new(
            &[(FAVOUR, Action::Favour)],
            "favourite",
            "Make the prompt a favourite, which the history lists first, or no longer",
        )
        .when(|s: &RoutingScreen, _| !s.question.prompt.is_blank())
        .explains(),
        EDITOR,
        CLEAR,
        UNDO,
    ],
};

/// The keys of the prompt box; what is not bound edits its text.
static PROMPT: Table = KeyTable {
    title: "Routing, in the prompt",
    bindings: &[
        STOP.when(|s: &RoutingScreen, shared| s.exchange.is_long(shared)),
        Binding::new(&[(ESC, Action::LeavePrompt)], "to the map", "Leave the prompt for the map")
            .when(|s: &RoutingScreen, shared| !s.exchange.is_long(shared)),
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
        // Never to another tab: what is typed next would be taken for commands there.
        Binding::new(&[(TAB, Action::NextExample)], "example", "Fill in the next example prompt")
            .when(|s: &RoutingScreen, _| s.can_fill_example())
            .explains(),
        Binding::new(&[(BACK_TAB, Action::PreviousExample)], "", "Fill in the previous example prompt")
            .when(|s: &RoutingScreen, _| s.can_fill_example())
            .explains(),
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
        .when(|s: &RoutingScreen, _| !s.question.prompt.is_blank())
        .explains(),
        HISTORY,
        EDITOR,
        Binding::new(&[(UP, Action::Older)], "", "In the first row: the prompt that was tried before")
            .when(|s: &RoutingScreen, _| s.question.prompt.is_at_top() && !s.history.is_empty()),
        Binding::new(&[(DOWN, Action::Newer)], "", "At the end of the text: the one after it")
            .when(|s: &RoutingScreen, _| s.question.prompt.is_at_end() && !s.history.is_empty()),
        CLEAR,
        UNDO,
    ],
};

/// Whether there is a routing to look at.
pub fn shows(screen: &RoutingScreen, _: &Shared) -> bool {
    screen.exchange.shown.is_some() && !screen.experiment.hides()
}

fn weighs(screen: &RoutingScreen, _: &Shared) -> bool {
    let shown = screen.exchange.shown.as_ref().filter(|_| !screen.experiment.hides());
    screen.question.router.is_weighted() && shown.is_some_and(|shown| !shown.trace.experts.is_empty())
}

/// Whether there is a run of the same prompt to compare the present one with.
fn differs(screen: &RoutingScreen, shared: &Shared) -> bool {
    let kept = screen.experiment.kept.as_ref();
    let shown = screen.exchange.shown.as_ref();
    let same = kept.zip(shown).is_some_and(|(kept, shown)| kept.asked.is_same_prompt(&shown.asked));
    weighs(screen, shared) && (same || screen.map.difference)
}

fn several(screen: &RoutingScreen, shared: &Shared) -> bool {
    let shown = screen.exchange.shown.as_ref();
    weighs(screen, shared) && shown.is_some_and(|shown| shown.trace.experts.len() > 1)
}

/// Whether experts can be chosen among: those of the routing or, where a prompt cannot be routed, of the library.
fn finds(screen: &RoutingScreen, shared: &Shared) -> bool {
    let failed = screen.exchange.shown.is_none() && screen.exchange.error.is_some();
    several(screen, shared) || failed && !screen.order(shared).is_empty()
}

fn chosen(screen: &RoutingScreen, shared: &Shared) -> bool {
    several(screen, shared) && screen.expert().is_some()
}

/// All keys of the tab, for the reference.
pub fn reference() -> Vec<KeySection> {
    vec![
        PROMPT.section(),
        MAP.section(),
        SEARCH.section(),
        REFERENCE.section(),
        TRIED.section(),
        REFUSED.section(),
    ]
}

impl RoutingScreen {
    /// The keys of what has the focus.
    pub(super) fn table(&self) -> &'static Table {
        match self.focus {
            Focus::Map => &MAP,
            Focus::Prompt => &PROMPT,
            Focus::Search => &SEARCH,
            Focus::Reference => &REFERENCE,
            Focus::History => &TRIED,
            Focus::Refused => &REFUSED,
        }
    }

    /// The keys that the footer and the help show now.
    pub(super) fn key_hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.table().hints(self, shared)
    }
}
