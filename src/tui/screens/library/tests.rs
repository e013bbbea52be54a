//! The Library tab: what it shows at every size, its cursor, filter and order.

use crossterm::event::KeyCode;

use crate::tui::testing::{
    SIZES, assert_screen, buffer_app, full_app, library_app, new_app, press, press_code, render_app,
};
use crate::tui::{ComputeEffect, Depth, Effect, Message, fixtures};

#[test]
fn library_looks_right_at_every_size() {
    let app = library_app();
    for (width, height) in SIZES {
        assert_screen!(format!("library_{width}x{height}"), render_app(&app, width, height));
    }
}

#[test]
fn styles_of_the_library() {
    let app = library_app();
    assert_screen!("library_styles", format!("{:#?}", buffer_app(&app, 80, 24, Depth::Indexed)));
    assert_screen!("library_styles_plain", format!("{:#?}", buffer_app(&app, 80, 24, Depth::Plain)));
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
    use ratatui::style::Modifier;
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
    press(&mut app, "5");
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
    assert!(text.contains("rank 4") && text.contains("8 of 10 experts"), "{text}");
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
fn ten_thousand_experts_are_drawn_and_moved_through_quickly() {
    let experts = (0..10_000).map(|i| fixtures::expert(i % 14, &format!("expert-{i:05}"), "task", "family"));
    let library = fixtures::with_experts(experts.collect());
    let mut app = new_app();
    app.update(Message::Library(Ok(library)));
    press(&mut app, "G");
    assert!(render_app(&app, 120, 40).contains("expert-09999"));
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        press(&mut app, "k");
        render_app(&app, 120, 40);
    }
    // Generous for busy machines: drawing all rows would take a minute.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}
