use std::cell::Cell;

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::*;
use crate::analysis::value_range;
use crate::tui::testing::{assert_cell, assert_screen, assert_text, find, text};
use crate::tui::{Depth, Theme};

/// Steps in short: as their keys on the Similarity tab.
fn step(c: char) -> MapMove {
    match c {
        'h' => MapMove::Left,
        'j' => MapMove::Down,
        'k' => MapMove::Up,
        'l' => MapMove::Right,
        'H' => MapMove::FarLeft,
        'J' => MapMove::FarDown,
        'K' => MapMove::FarUp,
        'L' => MapMove::FarRight,
        'g' => MapMove::First,
        'G' => MapMove::Last,
        '+' => MapMove::Closer,
        '-' => MapMove::Wider,
        _ => MapMove::Whole,
    }
}

/// A square matrix with everything a [`Heatmap`] borrows.
struct Square {
    n: usize,
    values: Vec<f32>,
    order: Vec<usize>,
    groups: Vec<usize>,
    /// How many labels and ticks were made.
    named: Cell<usize>,
}

impl Square {
    /// Values fall with distance from the diagonal; three groups.
    fn new(n: usize) -> Self {
        let near = |i: usize| 1.0 - (i / n.max(1)).abs_diff(i % n.max(1)) as f32 / n.max(1) as f32;
        Self {
            n,
            values: (0..n * n).map(near).collect(),
            order: (0..n).collect(),
            groups: (0..n).map(|i| 3 * i / n.max(1)).collect(),
            named: Cell::new(0),
        }
    }

    fn draw(&self, state: &HeatmapState, area: Rect, depth: Depth) -> Buffer {
        let mut buf = Buffer::empty(area);
        self.draw_into(state, &mut buf, &Theme::new(depth));
        buf
    }

    fn draw_into(&self, state: &HeatmapState, buf: &mut Buffer, theme: &Theme) {
        let count = || self.named.update(|count| count + 1);
        let tick = |at: usize| {
            count();
            (at + 1).to_string()
        };
        let label = |at: usize| {
            count();
            format!("{:>2} expert {at}", at + 1)
        };
        Heatmap {
            values: &self.values,
            stride: self.n,
            row_order: &self.order,
            column_order: &self.order,
            version: 1,
            range: value_range(&self.values, self.n, true).unwrap_or((0.0, 1.0)),
            skip_diagonal: true,
            row_label: &label,
            label_width: 12,
            row_tick: &tick,
            column_tick: &tick,
            first_tick: 1,
            groups: &self.groups,
            note: "off-diagonal",
            readout: Line::raw("readout"),
        }
        .render(*buf.area(), buf, state, theme);
    }
}

#[test]
fn colour_shows_numbers_where_entries_have_room() {
    assert_screen!(
        "colour_shows_numbers_where_entries_have_room",
        text(&Square::new(9).draw(&HeatmapState::default(), Rect::new(0, 0, 70, 16), Depth::True))
    );
}

#[test]
fn without_colour_values_are_glyphs_and_no_half_blocks() {
    let mut square = Square::new(24);
    square.values[5 * 24 + 9] = f32::NAN;
    let drawn = text(&square.draw(&HeatmapState::default(), Rect::new(0, 0, 60, 30), Depth::Plain));
    assert!(!drawn.contains(['▀', '▄', '█']), "{drawn}");
    assert_screen!("without_colour_values_are_glyphs_and_no_half_blocks", drawn);
}

#[test]
fn without_colour_maps_numbers_are_shown_wherever_three_cells_are_free() {
    let square = Square::new(9);
    let state = HeatmapState::default();
    let coloured = text(&square.draw(&state, Rect::new(0, 0, 60, 14), Depth::True));
    for depth in [Depth::Basic, Depth::Plain] {
        for width in [52, 60, 90] {
            let drawn = text(&square.draw(&state, Rect::new(0, 0, width, 14), depth));
            for value in ["1.0", ".89", ".44", ".11"] {
                assert!(drawn.contains(value), "{value} at {width}:\n{drawn}");
            }
            let map: Vec<&str> = drawn.lines().take(11).collect();
            assert!(!map.join("").contains(['@', '=', '*']), "{drawn}");
        }
        // Zoomed out, there is the ramp.
        let drawn = text(&Square::new(24).draw(&state, Rect::new(0, 0, 60, 30), depth));
        assert!(drawn.contains("@@") && !drawn.contains(".89"), "{drawn}");
    }
    assert!(coloured.contains(".44"), "{coloured}");
}

#[test]
fn the_cursor_is_framed_and_groups_have_gaps_where_there_is_room() {
    let mut state = HeatmapState::default();
    state.set_cursor(4, 2);
    let square = Square::new(9);
    let theme = Theme::new(Depth::True);
    let drawn = square.draw(&state, Rect::new(0, 0, 80, 24), Depth::True);
    let shown = text(&drawn);
    let (x, y) = find(&drawn, "[0.78]");
    // The entry that has the same value has the same colour.
    let (other_x, other_y) = find(&drawn, "0.78");
    assert_eq!(drawn[(x + 1, y)].bg, drawn[(other_x, other_y)].bg, "{shown}");
    assert_ne!(drawn[(x + 1, y)].bg, theme.cursor().bg.unwrap());
    // The row is marked on both sides.
    let row = shown.lines().nth(y.into()).unwrap();
    assert!(row.contains('▸') && row.contains('◂'), "{row}");
    // Groups begin at 3 and 6: the cell before them has no colour, the one before any other entry has one.
    let factor = state.last.get().geometry.x.factor as u16;
    let left = x - 2 * factor - (factor - 6) / 2;
    let ground = |column: u16| drawn[(left + column * factor, y)].bg;
    assert_eq!([3, 6].map(ground), [Color::Reset; 2], "{shown}");
    assert!([0, 1, 2, 4, 5, 7, 8].into_iter().all(|column| ground(column) != Color::Reset), "{shown}");
}

#[test]
fn crowded_rows_share_lines_and_keep_ticks() {
    let mut state = HeatmapState::default();
    state.set_cursor(17, 17);
    assert_screen!(
        "crowded_rows_share_lines_and_keep_ticks",
        text(&Square::new(30).draw(&state, Rect::new(0, 0, 80, 20), Depth::True))
    );
}

#[test]
fn colours_say_values_groups_and_where_the_cursor_is() {
    let mut square = Square::new(3);
    square.values[2] = f32::NAN;
    let drawn = square.draw(&HeatmapState::default(), Rect::new(0, 0, 24, 8), Depth::True);
    let theme = Theme::new(Depth::True);
    let cell = |row: u16, column: u16| (10 + 4 * column, 1 + row);
    assert_cell(&drawn, cell(0, 0), theme.cursor());
    // The row and the column of the cursor have the legend's colours.
    assert_cell(&drawn, cell(0, 1), theme.on_sequential(1.0));
    assert_cell(&drawn, cell(2, 0), theme.on_sequential(0.0));
    assert_cell(&drawn, cell(1, 1), theme.on_sequential(1.0));
    assert_cell(&drawn, cell(0, 2), theme.dim());
    assert_eq!(drawn[cell(0, 2)].bg, Color::Reset, "a missing value has no place on the scale");
    assert_text(&drawn, "1 e…t 0", theme.accent());
    assert_text(&drawn, "2 e…t 1", theme.dim());
    for (group, mark) in ["1", "2", "3"].into_iter().enumerate() {
        let at = (9, 1 + group as u16);
        assert_eq!(drawn[at].symbol(), mark);
        assert_cell(&drawn, at, theme.category(group));
    }
    // The legend runs over the whole scale.
    assert_eq!((drawn[(5, 7)].bg, drawn[(14, 7)].bg), (theme.sequential(0.0), theme.sequential(1.0)));
}

#[test]
fn a_missing_half_is_a_dot_on_the_colour_of_the_other() {
    let mut square = Square::new(20);
    square.values[6 * 20 + 9] = f32::NAN;
    square.values[11 * 20 + 9] = f32::NAN;
    let drawn = text(&square.draw(&HeatmapState::default(), Rect::new(0, 0, 60, 15), Depth::True));
    assert!(drawn.contains('˙') && drawn.contains(".."), "{drawn}");
}

#[test]
fn averages_leave_out_missing_values_and_the_diagonal() {
    let square = Square { values: vec![9.0, 0.25, f32::NAN, 9.0], ..Square::new(2) };
    let geometry = Geometry {
        x: Axis { first: 0, shown: 2, pixels: 1, factor: 0 },
        y: Axis { first: 0, shown: 2, pixels: 1, factor: 0 },
        per_row: 2,
    };
    let tick = |at: usize| at.to_string();
    let map = Heatmap {
        values: &square.values,
        stride: 2,
        row_order: &square.order,
        column_order: &square.order,
        version: 0,
        range: (0.0, 1.0),
        skip_diagonal: true,
        row_label: &tick,
        label_width: 1,
        row_tick: &tick,
        column_tick: &tick,
        first_tick: 0,
        groups: &[],
        note: "",
        readout: Line::default(),
    };
    assert_eq!(map.levels(geometry), [(0.25 * f32::from(TOP)).round() as u8]);
}

#[test]
fn range_of_a_square_matrix_ignores_its_diagonal_and_missing_values() {
    let values = [1.0, 0.2, f32::NAN, 1.0];
    assert_eq!(value_range(&values, 2, true), Some((0.2, 0.2)));
    assert_eq!(value_range(&values, 2, false), Some((0.2, 1.0)));
    assert_eq!(value_range(&[f32::NAN], 1, false), None);
    assert_eq!(value_range(&[], 0, true), None);
}

#[test]
fn zoom_in_and_out_comes_back_to_the_whole_matrix() {
    let square = Square::new(200);
    let area = Rect::new(0, 0, 100, 30);
    let mut state = HeatmapState::default();
    let mut seen = vec![];
    loop {
        square.draw(&state, area, Depth::True);
        let shown = state.last.get().geometry.y.shown;
        if seen.last() == Some(&shown) {
            break;
        }
        seen.push(shown);
        state.go(MapMove::Closer, 200, 200);
    }
    assert!(seen.len() >= 5 && seen[0] == 200 && seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    for _ in 0..3 * seen.len() {
        square.draw(&state, area, Depth::True);
        state.go(MapMove::Wider, 200, 200);
    }
    assert!(!state.is_zoomed());
}

#[test]
fn the_cached_picture_equals_a_fresh_one() {
    let square = Square::new(300);
    let area = Rect::new(0, 0, 90, 40);
    let mut state = HeatmapState::default();
    for c in "++jJLl-0G+hhK".chars() {
        square.draw(&state, area, Depth::True);
        state.go(step(c), 300, 300);
        let cached = square.draw(&state, area, Depth::True);
        state.cache.borrow_mut().take();
        assert_eq!(cached, square.draw(&state, area, Depth::True), "after {c}");
    }
}

#[test]
fn a_frame_costs_what_the_screen_shows_and_not_what_the_matrix_has() {
    let square = Square::new(1000);
    let mut state = HeatmapState::default();
    let theme = Theme::new(Depth::True);
    let mut buf = Buffer::empty(Rect::new(0, 0, 200, 60));
    for c in "++jlJ-0LK0j+l".chars() {
        state.go(step(c), 1000, 1000);
        square.named.set(0);
        square.draw_into(&state, &mut buf, &theme);
        assert!(square.named.get() <= 2 * (200 + 60), "{c}: {} labels and ticks", square.named.get());
        // Two pixels per cell at most, and a bounded number of entries behind each.
        let Geometry { x, y, .. } = state.last.get().geometry;
        assert!(x.pixels <= 200 && y.pixels <= 2 * 60, "{c}: {x:?} {y:?}");
        let most = |axis: Axis| (0..axis.pixels).map(|pixel| sampled(axis.entries(pixel)).count()).max();
        assert!(most(x) <= Some(SAMPLES) && most(y) <= Some(SAMPLES), "{c}: {x:?} {y:?}");
    }
}

#[test]
fn a_moving_cursor_averages_nothing_anew() {
    let square = Square::new(1000);
    let area = Rect::new(0, 0, 200, 60);
    let mut state = HeatmapState::default();
    square.draw(&state, area, Depth::True);
    let levels = |state: &HeatmapState| state.cache.borrow().as_ref().map(|cache| cache.levels.as_ptr());
    let first = levels(&state);
    for c in "jlJLkhKHGg".chars() {
        state.go(step(c), 1000, 1000);
        square.draw(&state, area, Depth::True);
        assert_eq!(levels(&state), first, "after {c}");
    }
    state.go(step('+'), 1000, 1000);
    square.draw(&state, area, Depth::True);
    assert_ne!(levels(&state), first);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn never_panics_and_keeps_the_cursor_inside(
        n in 0usize..70, width in 0u16..120, height in 0u16..50, x in 0u16..5, y in 0u16..5,
        keys in proptest::collection::vec(proptest::sample::select("hjklHJKLgG+-0".chars().collect::<Vec<_>>()), 0..12),
        plain: bool,
    ) {
        let square = Square::new(n);
        let mut state = HeatmapState::default();
        let depth = if plain { Depth::Plain } else { Depth::Indexed };
        for c in keys {
            square.draw(&state, Rect::new(x, y, width, height), depth);
            state.go(step(c), n, n);
            let (row, column) = state.cursor();
            prop_assert!(row < n.max(1) && column < n.max(1));
        }
        square.draw(&state, Rect::new(x, y, width, height), depth);
    }
}
