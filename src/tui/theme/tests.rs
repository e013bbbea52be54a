use std::collections::HashSet;

use ratatui::buffer::Cell;

use super::ramp::rgb_of_indexed;
use super::*;
use crate::colours::contrast;

const DEPTHS: [Depth; 4] = [Depth::True, Depth::Indexed, Depth::Basic, Depth::Plain];

fn themes() -> impl Iterator<Item = Theme> {
    let grounds = [Ground::Dark, Ground::Light];
    DEPTHS.into_iter().flat_map(move |depth| grounds.map(|ground| Theme::on(depth, ground)))
}

fn rgb(color: Option<Color>) -> [u8; 3] {
    match color {
        Some(Color::Rgb(r, g, b)) => [r, g, b],
        Some(Color::Indexed(entry)) => rgb_of_indexed(entry),
        other => panic!("no colour: {other:?}"),
    }
}

#[test]
fn text_can_be_read_on_its_ground() {
    let grounds = [
        (Ground::Dark, &[[0, 0, 0], [30, 30, 30]][..]),
        (Ground::Light, &[[255, 255, 255], [238, 238, 238], [253, 246, 227]]),
    ];
    for (ground, backgrounds) in grounds {
        for depth in [Depth::True, Depth::Indexed] {
            let theme = Theme::on(depth, ground);
            let named = [
                ("dim", theme.dim()),
                ("accent", theme.accent()),
                ("error", theme.error()),
                ("warning", theme.warning()),
                ("ok", theme.ok()),
                ("header", theme.header()),
                ("key", theme.key()),
                ("matched", theme.matched()),
            ];
            let categories = (0..12).map(|i| ("category", theme.category(i)));
            for (name, style) in named.into_iter().chain(categories) {
                for &background in backgrounds {
                    let found = contrast(rgb(style.fg), background);
                    assert!(found >= 4.5, "{ground} {depth:?} {name} {style:?} on {background:?}: {found}");
                }
            }
            let filled = [theme.selection(), theme.selection_unfocused(), theme.cursor()].into_iter();
            let cells = (0..12).flat_map(|i| (0..=10).map(move |part| (i, part as f32 / 10.0)));
            let cells = cells.map(|(i, part)| theme.category_cell(i, part));
            for style in filled.chain(cells) {
                let found = contrast(rgb(style.fg), rgb(style.bg));
                assert!(found >= 4.0, "{ground} {depth:?} {style:?}: {found}");
            }
        }
    }
}

#[test]
fn maps_survive_any_number() {
    for theme in themes() {
        for t in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 0.0, 1.0, 7.0] {
            assert_eq!(theme.has_gradient() && !t.is_nan(), theme.sequential(t) != Color::Reset);
            assert_eq!(theme.glyph(t).chars().count(), 1);
            theme.categorical_faded(99, t);
            theme.category_cell(99, t);
        }
    }
}

#[test]
fn plain_has_no_colour_anywhere() {
    let theme = Theme::new(Depth::Plain);
    let styles = [
        theme.text(),
        theme.dim(),
        theme.accent(),
        theme.error(),
        theme.warning(),
        theme.ok(),
        theme.header(),
        theme.key(),
        theme.border(),
        theme.border_focused(),
        theme.selection(),
        theme.selection_unfocused(),
        theme.matched(),
        theme.cursor(),
        theme.category(3),
        theme.category_cell(3, 1.0),
    ];
    let none = |color: Option<Color>| color.is_none_or(|color| color == Color::Reset);
    assert!(styles.iter().all(|style| none(style.fg) && none(style.bg)));
}

#[test]
fn low_values_are_seen_and_differ_from_missing_ones() {
    let theme = Theme::new(Depth::Plain);
    assert!(theme.glyph_ramp().iter().all(|glyph| !glyph.trim().is_empty() && *glyph != "?"));
    assert_eq!((theme.glyph(0.0), theme.glyph(1.0), theme.glyph(f32::NAN)), ("·", "@", "?"));
}

#[test]
fn what_is_selected_is_not_dim_and_has_one_colour() {
    for theme in themes() {
        for style in [theme.selection(), theme.selection_unfocused(), theme.cursor()] {
            let seen = |before: Style| {
                let mut cell = Cell::default();
                cell.set_style(before).set_style(style);
                assert!(!cell.modifier.contains(Modifier::DIM), "{theme:?}");
                (cell.fg, cell.bg)
            };
            let spans = [theme.text(), theme.dim(), theme.ok(), theme.error(), theme.category(3)];
            let colours: HashSet<_> = spans.into_iter().map(seen).collect();
            assert_eq!(colours.len(), 1, "{:?}: a patchwork", theme.depth());
        }
    }
}

#[test]
fn twelve_categories_are_distinct_wherever_there_is_colour() {
    for theme in themes().filter(Theme::has_color) {
        let styles: HashSet<_> = (0..12).map(|i| theme.category(i)).collect();
        assert_eq!(styles.len(), 12, "{:?}", theme.depth());
    }
    let theme = Theme::new(Depth::Basic);
    let marks: HashSet<_> = (0..62).map(|i| theme.mark(i)).collect();
    assert_eq!(marks.len(), 62);
}
