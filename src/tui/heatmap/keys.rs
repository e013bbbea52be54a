//! The keys that move over a heatmap and zoom it, for the key tables of tabs.

/// The keys that move the cursor by an entry, with what the help says of them.
macro_rules! map_steps {
    ($action:path, $help:expr) => {{
        use $crate::tui::heatmap::MapMove;
        use $crate::tui::keymap::{Binding, Chord, DOWN, LEFT, RIGHT, UP};
        Binding::new(
            &[
                (LEFT, $action(MapMove::Left)),
                (DOWN, $action(MapMove::Down)),
                (UP, $action(MapMove::Up)),
                (RIGHT, $action(MapMove::Right)),
            ],
            "move",
            $help,
        )
        .also(&[
            (Chord::char('h'), $action(MapMove::Left)),
            (Chord::char('j'), $action(MapMove::Down)),
            (Chord::char('k'), $action(MapMove::Up)),
            (Chord::char('l'), $action(MapMove::Right)),
        ])
    }};
}
pub(in crate::tui) use map_steps;

/// The keys that move the cursor far.
macro_rules! map_leaps {
    ($action:path) => {{
        use $crate::tui::heatmap::MapMove;
        use $crate::tui::keymap::{Binding, Chord, PAGE_DOWN, PAGE_UP};
        Binding::new(
            &[
                (Chord::char('H'), $action(MapMove::FarLeft)),
                (Chord::char('J'), $action(MapMove::FarDown)),
                (Chord::char('K'), $action(MapMove::FarUp)),
                (Chord::char('L'), $action(MapMove::FarRight)),
            ],
            "",
            "Move far",
        )
        .also(&[(PAGE_UP, $action(MapMove::FarUp)), (PAGE_DOWN, $action(MapMove::FarDown))])
    }};
}
pub(in crate::tui) use map_leaps;

/// The keys that move the cursor to a corner.
macro_rules! map_corners {
    ($action:path) => {{
        use $crate::tui::heatmap::MapMove;
        use $crate::tui::keymap::{Binding, Chord, END, HOME};
        Binding::new(
            &[(Chord::char('g'), $action(MapMove::First)), (Chord::char('G'), $action(MapMove::Last))],
            "",
            "To the first corner, to the last",
        )
        .also(&[(HOME, $action(MapMove::First)), (END, $action(MapMove::Last))])
    }};
}
pub(in crate::tui) use map_corners;

/// The keys that zoom, with what the help says of them.
macro_rules! map_zoom {
    ($action:path, $help:expr) => {{
        use $crate::tui::heatmap::MapMove;
        use $crate::tui::keymap::{Binding, Chord};
        Binding::new(
            &[
                (Chord::char('+'), $action(MapMove::Closer)),
                (Chord::char('-'), $action(MapMove::Wider)),
                (Chord::char('0'), $action(MapMove::Whole)),
            ],
            "zoom",
            $help,
        )
        .also(&[(Chord::char('='), $action(MapMove::Closer)), (Chord::char('_'), $action(MapMove::Wider))])
    }};
}
pub(in crate::tui) use map_zoom;
