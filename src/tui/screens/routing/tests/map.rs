//! The map and the experts: colours, letters, what is chosen.

use ratatui::buffer::Cell;
use ratatui::style::Modifier;

use super::*;
use crate::tui::testing::{assert_cell, assert_colourless, assert_text, find};
use crate::tui::{AppEffect, Theme};

/// Cells of the map at 60 × 20: place, token and column.
fn map() -> impl Iterator<Item = ((u16, u16), usize, usize)> {
    (0..6u16).flat_map(|row| {
        (0..30u16).map(move |column| ((16 + column, 9 + row), 3 + usize::from(row), usize::from(column)))
    })
}

/// Where the cursor of [`routed`] is on it.
const CURSOR: (u16, u16) = (31, 12);

/// Whether a cell has another ground than the rest of the screen.
fn is_filled(drawn: &Buffer, at: (u16, u16)) -> bool {
    drawn[at].bg != Cell::EMPTY.bg
}

#[test]
fn cells_are_filled_with_their_experts_colour_the_fuller_the_more_weight() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('z'));
    let drawn = buffer(&screen, &shared, 60, 20, Depth::True);
    let theme = Theme::new(Depth::True);
    let digest = &screen.exchange.shown.as_ref().unwrap().digest;
    // How full a cell of an expert's colour is.
    const STEPS: usize = 10_000;
    let fullness = |expert: usize, at: (u16, u16)| {
        let shade = |step: &usize| theme.categorical_faded(expert, *step as f32 / STEPS as f32);
        (0..=STEPS).find(|step| shade(step) == drawn[at].bg)
    };
    let mut fills: Vec<(usize, f32, usize)> = Vec::new();
    for (at, token, column) in map().filter(|(at, ..)| *at != CURSOR) {
        let (expert, cell) = (letter(&drawn, at), digest.cell(token, column));
        assert_eq!(cell.expert, Some(expert as u32), "{at:?}");
        let full = fullness(expert, at).unwrap_or_else(|| panic!("{at:?}: {:?}", drawn[at]));
        fills.push((expert, cell.weight, full));
    }
    fills.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap());
    for pair in fills.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert!(pair[0].2 <= pair[1].2, "{pair:?}");
    }
    assert_cell(&drawn, CURSOR, theme.cursor());
    assert_text(&drawn, "«·kilometers»", theme.selection());
    // Below the map every expert has its mark and its bars in its colour, under the cursor's column.
    let (x, y) = find(&drawn, "E negate  ");
    assert_cell(&drawn, (x, y), theme.category_cell(4, 1.0));
    assert_cell(&drawn, (16, y), theme.category(4));
    assert_cell(&drawn, (CURSOR.0, y), theme.selection_unfocused());
}

#[test]
fn the_cells_of_a_chosen_expert_stand_out_with_and_without_colour() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('z'));
    // The next by share.
    press(&mut screen, &shared, key(']'));
    let chosen = 3;
    let drawn = buffer(&screen, &shared, 60, 20, Depth::True);
    let theme = Theme::new(Depth::True);
    for (at, ..) in map().filter(|(at, ..)| *at != CURSOR) {
        match letter(&drawn, at) {
            expert if expert == chosen => assert!(is_filled(&drawn, at), "{at:?}"),
            expert => {
                assert_cell(&drawn, at, theme.category_faint(expert));
                assert!(!is_filled(&drawn, at), "{at:?}");
            }
        }
    }
    let drawn = buffer(&screen, &shared, 60, 20, Depth::Plain);
    assert_colourless(&drawn);
    for (at, ..) in map().filter(|(at, ..)| *at != CURSOR) {
        let dim = drawn[at].modifier.contains(Modifier::DIM);
        assert_eq!(dim, letter(&drawn, at) != chosen, "{at:?}");
    }
    for at in [CURSOR, find(&drawn, "«·kilometers»")] {
        assert!(drawn[at].modifier.contains(Modifier::REVERSED), "{at:?}");
    }
}

/// A routing over so many experts, of which one has the most weight.
fn large(experts: usize) -> (RoutingScreen, Shared) {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    let asked = write(&mut screen, &shared, "Convert 12 kilometers");
    answer(&mut screen, &shared, asked, Synthetic { experts, ..Synthetic::default() }.trace(&PROMPT), false);
    (screen, shared)
}

#[test]
fn the_winner_is_named_at_every_size_however_many_experts_there_are() {
    for experts in [12, 256, 1000] {
        let (screen, shared) = large(experts);
        let shown = screen.exchange.shown.as_ref().unwrap();
        let winner = &shown.trace.experts[shown.digest.order()[0]];
        for (width, height) in SIZES.into_iter().chain([SMALLEST]) {
            let drawn = render(&screen, &shared, width, height);
            let sentence = drawn.lines().find(|line| line.contains("lead") || line.contains("decides"));
            assert!(sentence.is_some_and(|line| line.contains(winner)), "{experts}\n{drawn}");
        }
    }
}

#[test]
fn letters_in_the_text_are_those_of_the_list_beside_it() {
    let (screen, shared) = large(1000);
    let drawn = buffer(&screen, &shared, 80, 24, Depth::True);
    let (x, top) = find(&drawn, "share of");
    let listed: Vec<&str> =
        (top + 1..24).map(|y| drawn[(x + 1, y)].symbol()).filter(|s| !s.trim().is_empty()).collect();
    assert!(listed.len() > 3, "{listed:?}");
    let (left, heading) = find(&drawn, "text ─");
    let (_, end) = find(&drawn, "layers");
    for y in (heading + 2..end).step_by(2) {
        for x in left..x - 2 {
            let letter = drawn[(x, y)].symbol();
            assert!(matches!(letter, " " | "·" | "=") || listed.contains(&letter), "{letter} at {x}, {y}");
        }
    }
}

#[test]
fn an_expert_is_found_by_its_name() {
    let (mut screen, shared) = large(1000);
    press(&mut screen, &shared, key('/'));
    assert!(screen.captures_text());
    for c in "spam-7".chars() {
        assert_eq!(press(&mut screen, &shared, key(c)), []);
    }
    let drawn = render(&screen, &shared, 80, 24);
    // spam-7 and spam-70 to spam-79.
    assert!(drawn.contains("/ spam-7") && drawn.contains("11 found") && drawn.contains("spam-7"), "{drawn}");
    press(&mut screen, &shared, code(KeyCode::Down));
    press(&mut screen, &shared, code(KeyCode::Enter));
    let name = &screen.exchange.shown.as_ref().unwrap().trace.experts[screen.expert().unwrap()];
    assert!(name.starts_with("spam-7") && !screen.captures_text(), "{name}");
    assert_eq!(screen.order(&shared).len(), 1000);
    press(&mut screen, &shared, key('/'));
    press(&mut screen, &shared, key('~'));
    assert!(render(&screen, &shared, 80, 24).contains("no expert has such a name"));
    // What is not found is not chosen: the line stays open, so that no letter is a command.
    let said = press(&mut screen, &shared, code(KeyCode::Enter));
    assert!(
        matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("No expert has such a name")),
        "{said:?}"
    );
    assert!(screen.captures_text());
    press(&mut screen, &shared, code(KeyCode::Esc));
    assert_eq!(screen.map.expert, None);
}

#[test]
fn bars_are_of_families_where_there_are_more_experts_than_colours() {
    let experts = 40;
    let names = Synthetic { experts, ..Synthetic::default() }.experts();
    let family = |i: usize| if i % 4 == 3 { "units" } else { "language" };
    let mut sorted: Vec<(usize, String)> = names.iter().cloned().enumerate().collect();
    sorted.sort_by(|a, b| a.1.cmp(&b.1));
    let made =
        sorted.iter().map(|(i, name)| crate::tui::fixtures::expert(*i, name, "task", family(*i))).collect();
    let library = crate::tui::fixtures::with_experts(made);
    let shared = Shared { library: Some(library), engine: ready(), ..Shared::default() };
    let mut screen = RoutingScreen::new();
    let asked = write(&mut screen, &shared, "Convert 12 kilometers");
    answer(&mut screen, &shared, asked, Synthetic { experts, ..Synthetic::default() }.trace(&PROMPT), false);
    let drawn = render(&screen, &shared, 120, 36);
    assert!(drawn.contains("layers by family") && drawn.contains("u units "), "{drawn}");
    press(&mut screen, &shared, key('b'));
    let drawn = render(&screen, &shared, 120, 36);
    assert!(drawn.contains("layers share of") && !drawn.contains("by family"), "{drawn}");
}
