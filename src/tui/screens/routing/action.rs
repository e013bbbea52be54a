//! What keys of the Routing tab do.

use super::state::RoutingScreen;
use crate::tui::keymap::{KeyTable, Motion};

/// Keys of the tab.
pub type Table = KeyTable<RoutingScreen, Action>;

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
    Look(Look),
    NextRouter,
    FewerExperts,
    MoreExperts,
    Sharper,
    Softer,
    Calibrate,
    PreviousExpert,
    NextExpert,
    Mute,
    Pin,
    UnmuteAll,
    Find,
    KeepFound,
    EndSearch,
    Bars,
    Beside,
    Keep,
    Reference,
    KeepReference,
    LeaveReference,
    LeaveRefused,
    Why,
    Single,
    Template,
    LeavePrompt,
    Submit,
    NewLine,
    DeleteToHead,
    Clear,
    Undo,
    Redo,
    Older,
    Newer,
    History,
    List(Motion),
    TakePrompt,
    LeaveHistory,
    Editor,
    Favour,
    FavourListed,
    Blind,
    Difference,
}

/// What moves over the map or changes its columns, and asks nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Token(Motion),
    PreviousColumn,
    NextColumn,
    NextKind,
    Zoom,
}
