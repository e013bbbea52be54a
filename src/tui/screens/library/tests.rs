//! The Library tab: what it shows at every size, its cursor, filter and order.

use std::sync::Arc;

use crossterm::event::KeyCode;
use ratatui::style::Modifier;

use super::LibraryScreen;
use crate::analysis::Strength;
use crate::library::Skipped;
use crate::tui::testing::{
    SIZES, assert_cell, assert_colourless, assert_screen, assert_text, buffer_app, find, full_app, key,
    library_app, new_app, press, press_code, render, render_app, shows,
};
use crate::tui::{
    App, ComputeEffect, ComputeMessage, Depth, Effect, Message, Screen, Shared, Theme, fixtures,
};

#[test]
fn library_looks_right_at_every_size() {
    let app = library_app();
    for (width, height) in SIZES {
        assert_screen!(format!("library_{width}x{height}"), render_app(&app, width, height));
    }
}

#[test]
fn states_clusters_and_the_selection_have_their_colours() {
    let drawn = buffer_app(&library_app(), 80, 24, Depth::Indexed);
    let theme = Theme::new(Depth::Indexed);
    let (_, selected) = find(&drawn, "✓ formal-tone");
    for x in 0..80 {
        assert_cell(&drawn, (x, selected), theme.selection());
    }
    assert_text(&drawn, " 1 Library ", theme.selection());
    assert!(!shows(&drawn[find(&drawn, "2 Similarity")], theme.selection()));
    assert_text(&drawn, "✗ broken", theme.error());
    assert_text(&drawn, "adapter_model.safetensors: the header", theme.error());
    assert_cell(&drawn, find(&drawn, "✓ metric-length"), theme.ok());
    assert_cell(&drawn, find(&drawn, "! metric-weight"), theme.warning());
    for (cluster, name) in [(1, "metric-length"), (0, "passive-voice"), (2, "plurals"), (3, "topic")] {
        let (_, row) = find(&drawn, name);
        assert_eq!(drawn[(34, row)].symbol(), "●");
        assert_cell(&drawn, (34, row), theme.category(cluster));
        assert_cell(&drawn, (35, row), theme.category(cluster));
    }
    assert_text(&drawn, "Name▲", theme.header());
    assert_text(&drawn, "units", theme.dim());
    // The details are those of the selected expert.
    assert_cell(&drawn, (0, 13), theme.ok());
    assert_cell(&drawn, (2, 13), theme.accent());
}

#[test]
fn without_colour_states_and_the_selection_are_bold_dim_and_reversed() {
    let drawn = buffer_app(&library_app(), 80, 24, Depth::Plain);
    let theme = Theme::new(Depth::Plain);
    assert_colourless(&drawn);
    let (_, selected) = find(&drawn, "✓ formal-tone");
    let (x, y) = find(&drawn, " 1 Library ");
    let tab = (x..x + 11).map(|x| (x, y));
    let reversed: Vec<(u16, u16)> = tab.chain((0..80).map(|x| (x, selected))).collect();
    for at in drawn.area.positions().map(|at| (at.x, at.y)) {
        assert_eq!(drawn[at].modifier.contains(Modifier::REVERSED), reversed.contains(&at), "{at:?}");
    }
    assert_text(&drawn, "✗ broken", theme.error());
    assert_text(&drawn, "units", theme.dim());
    assert_text(&drawn, "Name▲", theme.header());
}

#[test]
fn first_frame_empty_library_and_library_that_cannot_be_read() {
    let mut app = new_app();
    assert_screen!("first_frame", render_app(&app, 80, 24));
    app.update(Message::Library(Err("library: there is no such folder; give one: lora-tui FOLDER".into())));
    assert_screen!("no_library", render_app(&app, 80, 24));
    app.update(Message::Library(Ok(fixtures::with_experts(Vec::new()))));
    assert_screen!("empty_library", render_app(&app, 80, 24));
}

#[test]
fn without_colour_bad_rows_states_and_the_selection_still_show() {
    let app = library_app();
    let text = render_app(&app, 120, 40);
    assert!(text.lines().any(|line| line.contains("✗ broken") && line.contains("header ends")));
    let buffer = buffer_app(&app, 120, 40, Depth::Plain);
    let reversed = |y: u16| buffer[(4, y)].modifier.contains(Modifier::REVERSED);
    assert_eq!((2..39).filter(|&y| reversed(y)).count(), 1);
}

#[test]
fn sorting_moves_the_cursor_with_its_expert() {
    let mut app = library_app();
    assert_eq!(app.shared().selected.as_deref(), Some("formal-tone"));
    let before = render_app(&app, 80, 24);
    press(&mut app, "sssS");
    assert_ne!(render_app(&app, 80, 24), before);
    // Another key finds the cursor where it was left, on the same expert.
    press(&mut app, "jk");
    assert_eq!(app.shared().selected.as_deref(), Some("formal-tone"));
}

#[test]
fn filter_narrows_selects_and_is_cleared_by_escape() {
    let mut app = library_app();
    press(&mut app, "/");
    let effects = press(&mut app, "senti");
    assert!(
        effects.contains(&Effect::Compute(ComputeEffect::Profile { expert: "sentiment".into() })),
        "{effects:?}"
    );
    assert_eq!(app.shared().selected.as_deref(), Some("sentiment"));
    let text = render_app(&app, 80, 24);
    assert!(text.contains("1 of 10"), "{text}");
    // `q` is text here, not the end.
    press(&mut app, "q");
    assert!(!app.should_quit());
    assert!(render_app(&app, 80, 24).contains("nothing matches"));
    press_code(&mut app, KeyCode::Esc);
    assert!(!render_app(&app, 80, 24).contains("nothing matches"));
}

#[test]
fn selecting_elsewhere_moves_the_library_cursor() {
    let mut app = full_app();
    press(&mut app, "6");
    app.shared.selected = Some("topic".into());
    let effects = press(&mut app, "1");
    assert!(
        effects.contains(&Effect::Compute(ComputeEffect::Profile { expert: "topic".into() })),
        "{effects:?}"
    );
}

#[test]
fn experts_of_another_base_are_bad_rows_with_the_reason() {
    let mut experts = fixtures::library().experts.clone();
    let position = experts.iter().position(|e| e.name == "plurals").unwrap();
    experts[position]
        .set_misfit(Some("made for another base model than most of this library: v is 8 → 8".into()));
    let mut app = new_app();
    app.update(Message::Library(Ok(fixtures::with_experts(experts))));
    let text = render_app(&app, 120, 40);
    assert!(
        text.lines().any(|line| line.contains("✗ plurals") && line.contains("made for another")),
        "{text}"
    );
    // Its weights can be looked at even so.
    let mut effects = Vec::new();
    for _ in 0..position {
        effects = press(&mut app, "j");
    }
    assert!(
        effects.contains(&Effect::Compute(ComputeEffect::Profile { expert: "plurals".into() })),
        "{effects:?}"
    );
    let text = render_app(&app, 120, 40);
    assert!(text.contains("rank 4") && text.contains("10 experts"), "{text}");
}

#[test]
fn a_library_that_can_be_read_again_ends_the_complaint() {
    let mut app = full_app();
    app.update(Message::Library(Err("library: there is no such folder".into())));
    assert!(render_app(&app, 80, 24).contains("✗ library: there is no such folder"));
    app.update(Message::Library(Ok(fixtures::library())));
    assert!(!render_app(&app, 80, 24).contains("no such folder"));
}

#[test]
fn of_ten_thousand_experts_only_the_visible_rows_are_looked_at() {
    let experts = (0..10_000).map(|i| fixtures::expert(i % 14, &format!("expert-{i:05}"), "task", "family"));
    let library = fixtures::with_experts(experts.collect());
    let shared = Shared { library: Some(library.clone()), ..Shared::default() };
    let mut screen = LibraryScreen::new();
    screen.on_message(&Message::Library(Ok(library)), &shared);
    screen.on_key(key('G'), &shared);
    assert!(render(&screen, &shared, 120, 40).contains("expert-09999"));
    screen.rows.looked_at.set(0);
    for _ in 0..100 {
        screen.on_key(key('k'), &shared);
        render(&screen, &shared, 120, 40);
    }
    // The rows on the screen, and a few times the selected one.
    let per_frame = screen.rows.looked_at.get() / 100;
    assert!((20..60).contains(&per_frame), "{per_frame}");
}

#[test]
fn clusters_and_nearest_experts_have_their_place_before_they_are_known() {
    let mut app = new_app();
    let asked = app.update(Message::Library(Ok(fixtures::library())));
    let is_cluster = |effect: &Effect| matches!(effect, Effect::Compute(ComputeEffect::Cluster { .. }));
    assert!(asked.iter().any(is_cluster), "{asked:?}");
    press(&mut app, "jj");
    let drawn = render_app(&app, 120, 40);
    assert!(drawn.contains(" Cl ") && drawn.contains("Nearest experts"), "{drawn}");
    let named = drawn.lines().find(|line| line.starts_with("✓ formal-tone")).unwrap().to_string();
    assert!(named.contains("…"), "{named}");
    // Where there can be none, nobody waits for them.
    let Some(Effect::Compute(ComputeEffect::Cluster { ticket, .. })) = asked.into_iter().find(is_cluster)
    else {
        panic!("it was there")
    };
    app.update(Message::Compute(ComputeMessage::Clustering { ticket, result: Err("ranks differ".into()) }));
    let drawn = render_app(&app, 120, 40);
    assert!(!drawn.contains(" Cl ") && !drawn.contains("Nearest experts"), "{drawn}");
}

#[test]
fn sorting_works_under_a_filter_and_by_match_is_one_of_its_ways() {
    let mut app = library_app();
    press(&mut app, "/");
    press(&mut app, "me");
    press_code(&mut app, KeyCode::Enter);
    let text = render_app(&app, 200, 24);
    assert!(text.contains("/ me") && text.contains("of 10 · by match · Esc ends"), "{text}");
    assert!(!text.contains(['▲', '▼']), "{text}");
    let names = |app: &App| -> Vec<String> {
        let text = render_app(app, 200, 24);
        let rows = text.lines().skip(3).take_while(|line| line.starts_with(['✓', '!', '✗']));
        rows.filter_map(|row| row.split_whitespace().nth(1).map(String::from)).collect()
    };
    let mut seen = Vec::new();
    for _ in 0..12 {
        press(&mut app, "s");
        let text = render_app(&app, 200, 24);
        let header = text.lines().nth(2).unwrap_or_default().to_string();
        match header.split_whitespace().find(|title| title.contains('▲')) {
            Some(title) => seen.push(title.to_string()),
            None => {
                assert!(text.contains("by match"), "{text}");
                seen.push("by match".into());
            }
        }
        if header.contains("Name▲") {
            let mut sorted = names(&app);
            sorted.sort();
            assert_eq!(names(&app), sorted);
            press(&mut app, "S");
            sorted.reverse();
            assert_eq!(names(&app), sorted);
            press(&mut app, "S");
        }
    }
    assert!(seen.contains(&"by match".into()) && seen.contains(&"Name▲".into()), "{seen:?}");
    // Without the filter, the order is one that it has then.
    press_code(&mut app, KeyCode::Esc);
    assert!(!render_app(&app, 80, 24).contains("by match"));
}

#[test]
fn a_filter_gives_the_order_before_it_back() {
    let mut app = library_app();
    press(&mut app, "sS");
    let before = render_app(&app, 80, 24);
    press(&mut app, "/");
    press(&mut app, "plur");
    press_code(&mut app, KeyCode::Esc);
    press(&mut app, "gG");
    press(&mut app, "g");
    let after = render_app(&app, 80, 24);
    assert_eq!(before.lines().nth(1), after.lines().nth(1));
}

#[test]
fn the_title_counts_and_the_edge_of_a_long_list_says_where_it_is() {
    let app = library_app();
    let title = |app: &App| render_app(app, 100, 24).lines().next().unwrap_or_default().to_string();
    assert!(title(&app).ends_with("10 experts"), "{}", title(&app));
    assert!(!render_app(&app, 100, 24).contains('▐'), "all are on the screen");
    let experts = (0..300).map(|i| fixtures::expert(i % 14, &format!("expert-{i:03}"), "task", "family"));
    let mut app = new_app();
    app.update(Message::Library(Ok(fixtures::with_experts(experts.collect()))));
    let rows = |app: &App| -> Vec<usize> {
        let text = render_app(app, 80, 24);
        text.lines().enumerate().filter(|(_, line)| line.contains('▐')).map(|(row, _)| row).collect()
    };
    let top = rows(&app);
    press(&mut app, "G");
    let end = rows(&app);
    assert!(!top.is_empty() && top.len() < 4 && top[0] < end[0], "{top:?} {end:?}");
    press(&mut app, "/");
    press(&mut app, "expert-01");
    assert!(title(&app).contains(" of 300 experts found"), "{}", title(&app));
}

#[test]
fn norms_are_a_column_and_what_is_hardly_trained_is_marked_in_its_row() {
    let mut app = library_app();
    let mut similarity = (*fixtures::similarity()).clone();
    let norm = |name: &String| if name == "plurals" { 0.013 } else { 12.4 };
    let strength = |name: &String| Strength { norm: norm(name), gap: Some(0.4) };
    similarity.strength = similarity.experts.iter().map(strength).collect();
    // Who reads the weights finds more than who lists the experts.
    let skipped =
        Skipped::new("sentiment", "adapter_model.safetensors: lora_B of q has NaN or infinite weights");
    similarity.skipped.push(skipped);
    let result = Ok((Arc::new(similarity), fixtures::clustering()));
    app.update(Message::Compute(ComputeMessage::Clustering { ticket: 0, result }));
    let text = render_app(&app, 160, 48);
    let row = |name: &str| text.lines().find(|line| line.contains(name)).unwrap_or_default().to_string();
    assert!(text.contains("‖ΔW‖"), "{text}");
    assert!(row("plurals").starts_with("! plurals") && row("plurals").contains("0.013"), "{text}");
    assert!(row("topic").starts_with("✓ topic") && row("topic").contains("12.4"), "{text}");
    assert!(row("sentiment").starts_with("✗ sentiment"), "{text}");
    // The details say why.
    press(&mut app, "G");
    while app.shared().selected.as_deref() != Some("plurals") {
        press(&mut app, "k");
    }
    assert!(render_app(&app, 160, 48).contains("barely trained"));
}

#[test]
fn reading_again_by_hand_says_what_it_brought() {
    let mut app = library_app();
    assert!(press(&mut app, "r").contains(&Effect::ReloadLibrary));
    app.update(Message::Library(Ok(fixtures::library())));
    assert!(render_app(&app, 80, 24).contains("● Read again: nothing changed."));
    press(&mut app, "r");
    let mut experts = fixtures::library().experts.clone();
    experts.retain(|expert| expert.name != "topic");
    experts[3].bytes += 1;
    experts.push(fixtures::expert(9, "zebra", "task", "family"));
    app.update(Message::Library(Ok(fixtures::with_experts(experts))));
    assert!(render_app(&app, 80, 24).contains("● Read again: 1 new, 1 gone, 1 changed."));
    // What the watcher finds needs no words.
    press(&mut app, "j");
    app.update(Message::Library(Ok(fixtures::library())));
    assert!(!render_app(&app, 80, 24).contains("Read again"));
}

#[test]
fn details_that_are_read_are_a_card() {
    let mut app = library_app();
    let edge = |app: &App, width: u16| {
        let text = render_app(app, width, 48);
        let line = text.lines().nth(4).unwrap_or_default().to_string();
        line.chars().position(|c| c == '│').unwrap_or_else(|| panic!("{text}"))
    };
    let before = [120, 160, 200].map(|width| edge(&app, width));
    press_code(&mut app, KeyCode::Enter);
    assert_eq!([120, 160, 200].map(|width| edge(&app, width)), [40; 3]);
    assert!(before.iter().all(|&edge| edge > 60), "{before:?}");
    // Two columns: what it is at the left, how large it is at the right.
    let text = render_app(&app, 160, 48);
    let line = text.lines().find(|line| line.contains("‖ΔW‖ by layer")).unwrap();
    assert!(line.contains("formal-tone"), "{text}");
    press_code(&mut app, KeyCode::Esc);
    assert_eq!([120, 160, 200].map(|width| edge(&app, width)), before);
}
