//! Keys of the Routing tab: which ones work now, and what they do.

use std::sync::LazyLock;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::action::{Action, Look, Table};
use super::exchange::needs_retry;
use super::field_keys::{FAVOUR, REFERENCE, SEARCH, TRIED};
use super::layers::by_groups;
use super::prompt::{Edit, PromptBox};
use super::state::{Focus, RoutingScreen};
use crate::routing::{CALIBRATED, ROUTERS, TEMPERATURE, TOP_K};
use crate::tui::keymap::{
    BACK_TAB, Binding, Chord, DOWN, END, ENTER, ESC, HOME, KeyHint, KeySection, KeyTable, LEFT, Motion,
    PAGE_DOWN, PAGE_UP, RIGHT, TAB, UP, moves,
};
use crate::tui::{AppEffect, Effect, EngineEffect, EngineState, Shared};

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
        .when(shows),
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
        .when(several)
        .explains(),
        Binding::new(&[(Chord::char('/'), Action::Find)], "find", "Find an expert by its name")
            .when(several)
            .explains(),
        Binding::new(
            &[(Chord::char('x'), Action::Mute)],
            "mute",
            "Give the chosen expert no weight, or bring it back",
        )
        .when(|s: &RoutingScreen, shared| {
            s.question.can_mute() && (chosen(s, shared) || s.blamed(shared).is_some())
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

fn shows(screen: &RoutingScreen, _: &Shared) -> bool {
    screen.exchange.shown.is_some() && !screen.experiment.hides()
}

fn weighs(screen: &RoutingScreen, _: &Shared) -> bool {
    let shown = screen.exchange.shown.as_ref().filter(|_| !screen.experiment.hides());
    screen.question.router.is_weighted() && shown.is_some_and(|shown| !shown.trace.experts.is_empty())
}

/// Whether a key looks at the routing or changes the router: while answers are compared blindly, what it does would say
/// whose they are.
fn reveals(action: Action) -> bool {
    match action {
        Action::Look(_)
        | Action::NextRouter
        | Action::FewerExperts
        | Action::MoreExperts
        | Action::Sharper
        | Action::Softer
        | Action::Calibrate
        | Action::PreviousExpert
        | Action::NextExpert
        | Action::Mute
        | Action::Pin
        | Action::UnmuteAll
        | Action::Find
        | Action::Bars
        | Action::Beside
        | Action::Keep
        | Action::Reference
        | Action::Why
        | Action::Single
        | Action::Difference => true,
        Action::Fetch
        | Action::Load
        | Action::StopFetching
        | Action::Stop
        | Action::EditPrompt
        | Action::NextExample
        | Action::PreviousExample
        | Action::Generate
        | Action::KeepFound
        | Action::EndSearch
        | Action::KeepReference
        | Action::LeaveReference
        | Action::Template
        | Action::LeavePrompt
        | Action::Submit
        | Action::NewLine
        | Action::DeleteToHead
        | Action::Clear
        | Action::Undo
        | Action::Redo
        | Action::Older
        | Action::Newer
        | Action::History
        | Action::List(_)
        | Action::TakePrompt
        | Action::LeaveHistory
        | Action::Editor
        | Action::Favour
        | Action::FavourListed
        | Action::Blind => false,
    }
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

fn chosen(screen: &RoutingScreen, shared: &Shared) -> bool {
    several(screen, shared) && screen.expert().is_some()
}

/// All keys of the tab, for the reference.
pub fn reference() -> Vec<KeySection> {
    vec![PROMPT.section(), MAP.section(), SEARCH.section(), REFERENCE.section(), TRIED.section()]
}

impl RoutingScreen {
    fn table(&self) -> &'static Table {
        match self.focus {
            Focus::Map => &MAP,
            Focus::Prompt => &PROMPT,
            Focus::Search => &SEARCH,
            Focus::Reference => &REFERENCE,
            Focus::History => &TRIED,
        }
    }

    /// The keys that the footer and the help show now.
    pub(super) fn key_hints(&self, shared: &Shared) -> Vec<KeyHint> {
        self.table().hints(self, shared)
    }

    pub(super) fn take_key(&mut self, key: KeyEvent, shared: &Shared) -> Option<Vec<Effect>> {
        if let Some(action) = self.table().action(key, self, shared) {
            let mut effects = self.act(action, shared);
            // What was stopped is not begun again by the same key.
            if action != Action::Stop {
                effects.extend(self.explain(shared));
            }
            return Some(effects);
        }
        match self.focus {
            Focus::Map => None,
            Focus::Prompt => {
                let edit = self.question.prompt.on_key(key);
                self.edited(edit, shared)
            }
            Focus::Search => {
                if self.search.as_mut()?.on_key(key)? {
                    self.follow_search(shared);
                }
                Some(Vec::new())
            }
            Focus::Reference => self.reference.as_mut()?.on_key(key).map(|_| Vec::new()),
            Focus::History => {
                let (field, list) = self.history.finding.as_mut()?;
                if field.on_key(key)? {
                    list.select(0, 1);
                }
                Some(Vec::new())
            }
        }
    }

    fn edited(&mut self, edit: Edit, shared: &Shared) -> Option<Vec<Effect>> {
        match edit {
            Edit::Changed => {
                self.map.token = None;
                Some(self.route(shared))
            }
            Edit::Kept => Some(Vec::new()),
            Edit::Ignored => None,
        }
    }

    fn edit(&mut self, change: fn(&mut PromptBox) -> Edit, shared: &Shared) -> Vec<Effect> {
        let edit = change(&mut self.question.prompt);
        self.edited(edit, shared).unwrap_or_default()
    }

    /// Deletes much of the prompt, which is kept where its routing was seen.
    fn delete(&mut self, change: fn(&mut PromptBox) -> Edit, shared: &Shared) -> Vec<Effect> {
        let kept = self.keep_seen();
        let mut effects = self.edit(change, shared);
        effects.extend(kept);
        effects
    }

    fn act(&mut self, action: Action, shared: &Shared) -> Vec<Effect> {
        if self.experiment.hides() && reveals(action) {
            let why = "Answers are compared blindly: B says whose they are, then this key works again.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        match action {
            Action::Fetch => return vec![Effect::Engine(EngineEffect::FetchBase)],
            Action::Load if needs_retry(&shared.engine) => return vec![Effect::Engine(EngineEffect::Load)],
            Action::Load => {}
            Action::StopFetching => return vec![Effect::Engine(EngineEffect::Stop)],
            Action::Stop => return self.stop(),
            Action::EditPrompt => self.set_focus(Focus::Prompt),
            Action::NextExample => return self.fill_example(true, shared),
            Action::PreviousExample => return self.fill_example(false, shared),
            Action::Generate => return self.generate(shared),
            Action::Look(look) => self.look(look),
            Action::NextRouter => return self.next_router(shared),
            Action::FewerExperts => return self.step_setting(&TOP_K, false, shared),
            Action::MoreExperts => return self.step_setting(&TOP_K, true, shared),
            Action::Sharper => return self.step_setting(&TEMPERATURE, false, shared),
            Action::Softer => return self.step_setting(&TEMPERATURE, true, shared),
            Action::Calibrate => return self.step_setting(&CALIBRATED, true, shared),
            Action::PreviousExpert => return self.move_expert(-1, shared),
            Action::NextExpert => return self.move_expert(1, shared),
            Action::Mute => return self.toggle_mute(shared),
            Action::Pin => return self.toggle_pin(shared),
            Action::Find => return self.begin_search(shared),
            Action::KeepFound => self.end_search(true),
            Action::EndSearch => self.end_search(false),
            Action::Bars => return self.toggle_bars(),
            Action::Beside => return self.toggle_router(),
            Action::Keep => return self.toggle_kept(),
            Action::Reference => self.edit_reference(),
            Action::KeepReference => return self.end_reference(true),
            Action::LeaveReference => return self.end_reference(false),
            Action::Why => return self.ask_why(shared),
            Action::UnmuteAll => return self.unmute_all(shared),
            Action::Single => return self.toggle_single(shared),
            Action::Template => {
                self.question.raw = !self.question.raw;
                self.map.token = None;
                return self.route(shared);
            }
            Action::LeavePrompt => {
                self.set_focus(Focus::Map);
                let mut effects = self.remember();
                effects.extend(self.compare());
                return effects;
            }
            Action::Older => return self.step_history(true, shared),
            Action::Newer => return self.step_history(false, shared),
            Action::History => return self.find_prompt(),
            Action::List(motion) => {
                let found = self.history.found().len();
                if let Some((_, list)) = &mut self.history.finding {
                    list.go(motion, found);
                }
            }
            Action::TakePrompt => return self.end_history(true, shared),
            Action::LeaveHistory => return self.end_history(false, shared),
            Action::Favour => {
                let prompt = self.question.prompt.text();
                return self.favour(prompt);
            }
            Action::FavourListed => {
                let Some(prompt) = self.history.under_cursor() else { return Vec::new() };
                let effects = self.favour(prompt.clone());
                self.history.go_to(&prompt);
                return effects;
            }
            Action::Blind => return self.toggle_blind(shared),
            Action::Difference => return self.toggle_difference(),
            Action::Editor => return vec![Effect::Edit(self.question.prompt.text())],
            Action::Submit => {
                let effects = self.generate(shared);
                if !effects.is_empty() {
                    // Now the keys that change the router are at hand.
                    self.set_focus(Focus::Map);
                }
                return effects;
            }
            Action::NewLine => return self.edit(PromptBox::new_line, shared),
            Action::DeleteToHead => return self.delete(PromptBox::delete_to_head, shared),
            Action::Clear => return self.delete(PromptBox::clear, shared),
            Action::Undo => return self.edit(PromptBox::undo, shared),
            Action::Redo => return self.edit(PromptBox::redo, shared),
        }
        Vec::new()
    }

    /// Switches what the layers' bars are made of.
    fn toggle_bars(&mut self) -> Vec<Effect> {
        let Some(shown) = &self.exchange.shown else { return Vec::new() };
        if !self.marks.groups.divide() {
            let why = "No groups to show: the experts have neither clusters yet (tab 3) nor families.";
            return vec![Effect::App(AppEffect::Notice(why.into()))];
        }
        let groups = by_groups(self.map.bars, &shown.trace, &self.marks);
        self.map.toggle_bars(groups);
        Vec::new()
    }

    fn look(&mut self, look: Look) {
        let Some(shown) = &mut self.exchange.shown else { return };
        match look {
            Look::Token(motion) => self.map.move_token(shown, |token, last| motion.scroll(token, last)),
            Look::PreviousColumn => self.map.move_column(shown, -1),
            Look::NextColumn => self.map.move_column(shown, 1),
            Look::NextKind => self.map.next_kind(shown),
            Look::Zoom => self.map.toggle_zoom(shown),
        }
        if let (Look::NextKind | Look::Zoom, Some(kept)) = (look, &mut self.experiment.kept) {
            kept.digest = self.map.digest(&kept.trace);
        }
    }
}
