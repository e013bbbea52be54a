//! Keys of the Routing tab while a line of text is typed: what is looked for, and the reference answer; and where one
//! would be typed if there were anything to type it for.

use super::action::{Action, Table};
use crate::tui::keymap::{Binding, Chord, DOWN, ENTER, ESC, KeyTable, Motion, PAGE_DOWN, PAGE_UP, UP, moves};

/// Makes a prompt a favourite.
pub const FAVOUR: Chord = Chord::char('*');

/// The list of prompts that were tried; what is not bound is text to look for.
pub static TRIED: Table = KeyTable {
    title: "Routing, among the prompts tried",
    bindings: &[
        Binding::new(&[(ENTER, Action::TakePrompt)], "take", "Put the prompt into the box and route it"),
        Binding::new(&[(ESC, Action::LeaveHistory)], "back", "Go back, the prompt as it was"),
        Binding::new(
            &[(FAVOUR, Action::FavourListed)],
            "favourite",
            "Make the prompt a favourite, which is listed first, or no longer",
        ),
        Binding::new(moves!(Action::List), "prompt", "Choose a prompt")
            .also(&[(PAGE_UP, Action::List(Motion::PageUp)), (PAGE_DOWN, Action::List(Motion::PageDown))]),
    ],
};

/// While an expert is looked for; what is not bound is text.
pub static SEARCH: Table = KeyTable {
    title: "Routing, looking for an expert",
    bindings: &[
        Binding::new(&[(ENTER, Action::KeepFound)], "choose", "Choose the expert and go back"),
        Binding::new(&[(ESC, Action::EndSearch)], "back", "Go back without choosing"),
        Binding::new(
            &[(UP, Action::PreviousExpert), (DOWN, Action::NextExpert)],
            "expert",
            "Another one of those that were found",
        ),
    ],
};

/// Where a key that opens a line of text led nowhere: the text that follows it is no command.
pub static REFUSED: Table = KeyTable {
    title: "Routing, where there is nothing to type for",
    bindings: &[Binding::new(&[(ESC, Action::LeaveRefused)], "back", "Go back")
        .also(&[(ENTER, Action::LeaveRefused)])],
};

/// While the answer whose probability is compared is typed; what is not bound is text.
pub static REFERENCE: Table = KeyTable {
    title: "Routing, typing the reference answer",
    bindings: &[
        Binding::new(
            &[(ENTER, Action::KeepReference)],
            "set",
            "Compare the probability of this answer; of none, where it is empty",
        ),
        Binding::new(&[(ESC, Action::LeaveReference)], "back", "Leave it as it was"),
    ],
};
