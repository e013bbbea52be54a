//! Keys as data: handlers look a key up in the table that the footer, the `?` help and docs/keys.md are made of.

use std::borrow::Cow;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Shared;

/// A key with the modifiers that have to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chord {
    Key(KeyCode, KeyModifiers),
    /// A digit from 1 to this one.
    Digit(usize),
}

impl Chord {
    /// A character; of letters, upper and lower case are two keys.
    pub const fn char(c: char) -> Self {
        Self::code(KeyCode::Char(c))
    }

    /// Another key.
    pub const fn code(code: KeyCode) -> Self {
        Self::Key(code, KeyModifiers::NONE)
    }

    /// A character with Ctrl held.
    pub const fn ctrl(c: char) -> Self {
        Self::Key(KeyCode::Char(c), KeyModifiers::CONTROL)
    }

    /// Whether the key is this one. Shift counts where `exact`, as terminals say it of capitals in two ways.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what keys terminals know is no set of ours")]
    fn is(self, key: KeyEvent, exact: bool) -> bool {
        const SHIFT: KeyModifiers = KeyModifiers::SHIFT;
        match self {
            Self::Key(code, modifiers) => {
                let held = key.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT | SHIFT);
                let held = if exact { held } else { held - SHIFT };
                key.code == code && held == modifiers
            }
            Self::Digit(last) => {
                let number = match key.code {
                    KeyCode::Char(c) => c.to_digit(10).unwrap_or(0) as usize,
                    _ => 0,
                };
                (1..=last).contains(&number) && (key.modifiers - SHIFT).is_empty()
            }
        }
    }

    /// As shown: `↑`, `Ctrl-U`, `m`.
    #[allow(clippy::wildcard_enum_match_arm, reason = "what keys terminals know is no set of ours")]
    fn label(self) -> Cow<'static, str> {
        let (code, modifiers) = match self {
            Self::Key(code, modifiers) => (code, modifiers),
            Self::Digit(last) => return format!("1–{last}").into(),
        };
        let ctrl = modifiers.contains(KeyModifiers::CONTROL);
        let name: Cow<'static, str> = match code {
            KeyCode::Up => "↑".into(),
            KeyCode::Down => "↓".into(),
            KeyCode::Left => "←".into(),
            KeyCode::Right => "→".into(),
            KeyCode::BackTab => "Shift-Tab".into(),
            KeyCode::Char(' ') => "Space".into(),
            KeyCode::Char(c) if ctrl => c.to_ascii_uppercase().to_string().into(),
            KeyCode::Char(c) => c.to_string().into(),
            code => format!("{code:?}").into(),
        };
        if ctrl {
            format!("Ctrl-{name}").into()
        } else if modifiers.contains(KeyModifiers::ALT) {
            format!("Alt-{name}").into()
        } else if modifiers.contains(KeyModifiers::SHIFT) {
            format!("Shift-{name}").into()
        } else {
            name
        }
    }
}

pub const UP: Chord = Chord::code(KeyCode::Up);
pub const DOWN: Chord = Chord::code(KeyCode::Down);
pub const LEFT: Chord = Chord::code(KeyCode::Left);
pub const RIGHT: Chord = Chord::code(KeyCode::Right);
pub const PAGE_UP: Chord = Chord::code(KeyCode::PageUp);
pub const PAGE_DOWN: Chord = Chord::code(KeyCode::PageDown);
pub const HOME: Chord = Chord::code(KeyCode::Home);
pub const END: Chord = Chord::code(KeyCode::End);
pub const ENTER: Chord = Chord::code(KeyCode::Enter);
pub const ESC: Chord = Chord::code(KeyCode::Esc);
pub const TAB: Chord = Chord::code(KeyCode::Tab);
pub const BACK_TAB: Chord = Chord::code(KeyCode::BackTab);

/// Where to go in a list or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    First,
    Last,
}

impl Motion {
    /// The first line to show of a text, whose last useful one is `end`.
    pub fn scroll(self, now: usize, end: usize) -> usize {
        let to = match self {
            Self::Up => now.saturating_sub(1),
            Self::Down => now + 1,
            Self::PageUp => now.saturating_sub(10),
            Self::PageDown => now + 10,
            Self::HalfUp => now.saturating_sub(5),
            Self::HalfDown => now + 5,
            Self::First => 0,
            Self::Last => end,
        };
        to.min(end)
    }
}

/// The keys that move in a list, each as `$action` of its motion: those of the footer.
macro_rules! moves {
    ($action:path) => {
        &[
            ($crate::tui::keymap::UP, $action($crate::tui::keymap::Motion::Up)),
            ($crate::tui::keymap::DOWN, $action($crate::tui::keymap::Motion::Down)),
        ]
    };
}
pub(in crate::tui) use moves;

/// The other keys that move in a list.
macro_rules! more_moves {
    ($action:path) => {{
        use $crate::tui::keymap::{Chord, END, HOME, Motion, PAGE_DOWN, PAGE_UP};
        &[
            (Chord::char('j'), $action(Motion::Down)),
            (Chord::char('k'), $action(Motion::Up)),
            (PAGE_UP, $action(Motion::PageUp)),
            (PAGE_DOWN, $action(Motion::PageDown)),
            (Chord::char('g'), $action(Motion::First)),
            (Chord::char('G'), $action(Motion::Last)),
            (HOME, $action(Motion::First)),
            (END, $action(Motion::Last)),
            (Chord::ctrl('u'), $action(Motion::HalfUp)),
            (Chord::ctrl('d'), $action(Motion::HalfDown)),
        ]
    }};
}
pub(in crate::tui) use more_moves;

/// One line of a table: keys and what they do, in the state `S`.
pub struct Binding<S: 'static, A: 'static> {
    /// Those that the footer shows.
    main: &'static [(Chord, A)],
    /// Others that do the same.
    also: &'static [(Chord, A)],
    /// One or two words for the footer; empty for a line of the help only.
    short: &'static str,
    /// A sentence for the help, without a full stop.
    help: &'static str,
    /// Instead of `help`, where it follows from other tables.
    made: Option<fn() -> &'static str>,
    /// Whether the keys are offered.
    when: fn(&S, &Shared) -> bool,
    /// Where they are not offered, the handler says why instead of ignoring them.
    explains: bool,
}

impl<S, A> Binding<S, A> {
    /// Keys that always work.
    pub const fn new(main: &'static [(Chord, A)], short: &'static str, help: &'static str) -> Self {
        Self { main, also: &[], short, help, made: None, when: |_, _| true, explains: false }
    }

    /// More keys, named at the end of the help's sentence.
    pub const fn also(self, also: &'static [(Chord, A)]) -> Self {
        Self { also, ..self }
    }

    /// Offered and taken only when this holds.
    pub const fn when(self, when: fn(&S, &Shared) -> bool) -> Self {
        Self { when, ..self }
    }

    /// Taken even when not offered: the handler says why it does nothing.
    pub const fn explains(self) -> Self {
        Self { explains: true, ..self }
    }

    /// A sentence that follows from another table.
    pub const fn made(self, made: fn() -> &'static str) -> Self {
        Self { made: Some(made), ..self }
    }

    fn hint(&self) -> KeyHint {
        let sentence = self.made.map_or(self.help, |made| made());
        let help = match self.also {
            [] => sentence.to_string(),
            also => {
                let also: Vec<_> = also.iter().map(|(chord, _)| chord.label()).collect();
                format!("{sentence} (also {})", also.join(", "))
            }
        };
        KeyHint { keys: labels(self.main), short: self.short, help }
    }
}

/// Labels with blanks between them, arrows without.
fn labels<A>(chords: &[(Chord, A)]) -> String {
    let mut text = String::new();
    for (chord, _) in chords {
        let label = chord.label();
        let arrow = |c: Option<char>| c.is_some_and(|c| "↑↓←→".contains(c));
        let joined = arrow(text.chars().last()) && arrow(label.chars().next());
        if !(text.is_empty() || joined) {
            text.push(' ');
        }
        text.push_str(&label);
    }
    text
}

/// Keys and what they do, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHint {
    /// `↑↓`, `Enter`, `m`.
    pub keys: String,
    /// For the footer; empty where it stays out of it.
    pub short: &'static str,
    /// For the help.
    pub help: String,
}

/// A table as the reference shows it.
#[derive(Clone, Debug)]
pub struct KeySection {
    /// Where its keys work.
    pub title: &'static str,
    /// A line each.
    pub hints: Vec<KeyHint>,
}

/// The keys of one place: a tab, or a tab in a mode.
pub struct KeyTable<S: 'static, A: 'static> {
    pub title: &'static str,
    pub bindings: &'static [Binding<S, A>],
}

impl<S, A: Copy> KeyTable<S, A> {
    /// What a key does now; `None` when the table has no use for it.
    pub fn action(&self, key: KeyEvent, state: &S, shared: &Shared) -> Option<A> {
        let bound = |exact: bool| {
            self.bindings.iter().filter_map(move |binding| {
                let mut keys = binding.main.iter().chain(binding.also);
                let found = keys.find(|(chord, _)| chord.is(key, exact));
                found.map(|(_, action)| (binding, *action))
            })
        };
        let choose = |exact: bool| {
            let offered = bound(exact).find(|(binding, _)| (binding.when)(state, shared));
            offered.or_else(|| bound(exact).find(|(binding, _)| binding.explains)).map(|(_, action)| action)
        };
        choose(true).or_else(|| choose(false))
    }

    /// What is offered now, in the table's order.
    pub fn hints(&self, state: &S, shared: &Shared) -> Vec<KeyHint> {
        self.bindings.iter().filter(|b| (b.when)(state, shared)).map(Binding::hint).collect()
    }

    /// The line that has this action among its first keys.
    pub fn hint_of(&self, action: A) -> Option<KeyHint>
    where
        A: PartialEq,
    {
        let line = self.bindings.iter().find(|b| b.main.iter().any(|(_, a)| *a == action));
        line.map(Binding::hint)
    }

    /// The whole table.
    pub fn section(&self) -> KeySection {
        KeySection { title: self.title, hints: self.bindings.iter().map(Binding::hint).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::testing::{code, ctrl, key};

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Action {
        Move(Motion),
        Start,
        Line,
    }

    static TABLE: KeyTable<bool, Action> = KeyTable {
        title: "Test",
        bindings: &[
            Binding::new(moves!(Action::Move), "move", "Move").also(more_moves!(Action::Move)),
            Binding::new(&[(ENTER, Action::Start)], "start", "Start").when(|open, _| *open),
            Binding::new(
                &[(Chord::Key(KeyCode::Enter, KeyModifiers::SHIFT), Action::Line)],
                "line",
                "New line",
            ),
            Binding::new(&[(Chord::char('x'), Action::Start)], "", "Start anyway")
                .when(|open, _| *open)
                .explains(),
        ],
    };

    #[test]
    fn a_key_is_looked_up_by_what_holds_and_shift_only_where_it_counts() {
        let shared = Shared::default();
        let of = |key, open| TABLE.action(key, &open, &shared);
        assert_eq!(of(key('G'), false), Some(Action::Move(Motion::Last)));
        let shifted = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
        assert_eq!(of(shifted, false), Some(Action::Move(Motion::Last)));
        assert_eq!(of(ctrl('g'), false), None);
        assert_eq!(of(code(KeyCode::Enter), true), Some(Action::Start));
        assert_eq!(of(code(KeyCode::Enter), false), None);
        assert_eq!(of(KeyEvent::new(KeyCode::Enter, KeyModifiers::SHIFT), true), Some(Action::Line));
        assert_eq!(of(key('x'), false), Some(Action::Start));
    }

    #[test]
    fn what_is_shown_follows_from_the_keys() {
        let hints = TABLE.hints(&false, &Shared::default());
        assert_eq!(hints[0].keys, "↑↓");
        assert_eq!(hints[0].help, "Move (also j, k, PageUp, PageDown, g, G, Home, End, Ctrl-U, Ctrl-D)");
        assert_eq!(hints[1].keys, "Shift-Enter");
        assert_eq!(hints.len(), 2);
    }
}
