//! The keys that work everywhere, those of the help, and the reference of all keys.

use std::collections::BTreeSet;
use std::fmt::Write;

use crossterm::event::KeyCode;

use super::form;
use super::keymap::{
    BACK_TAB, Binding, Chord, DOWN, ESC, KeySection, KeyTable, Motion, PAGE_DOWN, PAGE_UP, TAB, UP,
};
use super::screens::TABS;

/// What a key does in every tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// Shows the tab of the number that was typed.
    ShowTab,
    NextTab,
    PreviousTab,
    Dismiss,
    Help,
    Redraw,
    Suspend,
    Quit,
}

/// What works in every tab, outside text fields; with Ctrl held, inside of them, too.
pub static GLOBAL: KeyTable<(), Global> = KeyTable {
    title: "Everywhere",
    bindings: &[
        Binding::new(&[(Chord::Digit(TABS.len()), Global::ShowTab)], "tabs", "Show a tab by its number"),
        Binding::new(&[(TAB, Global::NextTab)], "next", "Next tab"),
        Binding::new(&[(BACK_TAB, Global::PreviousTab)], "", "Previous tab"),
        Binding::new(&[(ESC, Global::Dismiss)], "dismiss", "Dismiss an error line, close what is open"),
        Binding::new(&[(Chord::char('?'), Global::Help)], "help", "These keys"),
        Binding::new(&[(Chord::ctrl('l'), Global::Redraw)], "redraw", "Draw the screen anew"),
        Binding::new(
            &[(Chord::ctrl('z'), Global::Suspend)],
            "suspend",
            "Suspend to the shell; `fg` comes back",
        ),
        Binding::new(&[(Chord::char('q'), Global::Quit)], "quit", "Quit; jobs continue without the screen")
            .also(&[(Chord::ctrl('c'), Global::Quit)]),
    ],
};

/// The keys of the help; any other closes it.
pub static HELP: KeyTable<(), Motion> = KeyTable {
    title: "Key help",
    bindings: &[Binding::new(
        &[(UP, Motion::Up), (DOWN, Motion::Down)],
        "scroll",
        "Scroll; any other key closes",
    )
    .also(&[
        (Chord::char('j'), Motion::Down),
        (Chord::char('k'), Motion::Up),
        (PAGE_UP, Motion::PageUp),
        (PAGE_DOWN, Motion::PageDown),
        (Chord::code(KeyCode::Char(' ')), Motion::PageDown),
    ])],
};

/// All keys of the interface as Markdown, one table for each place: what docs/keys.md has between its markers.
pub fn keys_reference() -> String {
    let tabs = TABS.iter().flat_map(|spec| (spec.keys)());
    let sections = [GLOBAL.section(), HELP.section()].into_iter().chain(tabs).chain(form::reference());
    let mut text = String::new();
    let mut written = BTreeSet::new();
    for KeySection { title, hints } in sections {
        // What several tabs ask has one table.
        if !written.insert(title) {
            continue;
        }
        let _ = write!(text, "### {title}\n\n| keys | |\n|---|---|\n");
        for hint in hints {
            let _ = writeln!(text, "| `{}` | {} |", hint.keys, hint.help.replace('|', "\\|"));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
