use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::RoutingScreen;
use super::testing::{PROMPT, Synthetic};
use crate::NoSource;
use crate::catalog::Catalog;
use crate::library::{Expert, FetchPhase, FetchProgress, Library, Manifest, Skipped};
use crate::routing::{ROUTERS, Router, TOP_K, Trace};
use crate::tui::testing::{
    assert_cell, assert_colourless, assert_screen, assert_text, buffer, code, ctrl, find, key, render,
};
use crate::tui::{
    AppEffect, Depth, Effect, EngineEffect, EngineMessage, EngineState, FetchError, Message, Screen, Shared,
    Theme,
};

const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (200, 60)];

fn library(names: &[String]) -> Library {
    let expert = |name: &String| Expert {
        name: name.clone(),
        path: name.into(),
        dtype: "f16".into(),
        ..Expert::default()
    };
    Library {
        root: "library".into(),
        manifest: Manifest::default(),
        experts: names.iter().map(expert).collect(),
        ..Library::default()
    }
}

pub fn ready() -> EngineState {
    EngineState::Ready { label: "SmolLM2-135M-Instruct, f32, cpu".into(), skipped: Vec::new() }
}

/// What the engine says when no source has the base model.
fn offline() -> EngineState {
    let what = "SmolLM2-135M-Instruct.Q4_1.gguf".to_string();
    let tried = [
        ("hub owner/SmolLM2-135M-Instruct-GGUF", "cannot be reached (unknown host: is there a network?)"),
        ("Python package a-model==1.0", "pip cannot reach its package index"),
    ];
    let tried = tried.map(|(source, reason)| (source.to_string(), reason.to_string())).to_vec();
    let place = format!("/elsewhere/base/{}/model.gguf", "0123456789abcdef".repeat(4)).into();
    EngineState::Missing {
        what: what.clone(),
        error: Some(FetchError::NoSource(NoSource { what, tried, place })),
    }
}

pub fn shared(state: EngineState) -> Shared {
    let library = library(&Synthetic::default().experts());
    Shared { library: Some(Arc::new(library.into())), engine: state, ..Shared::default() }
}

pub fn ticket(effects: &[Effect]) -> u64 {
    match effects {
        [
            Effect::Engine(EngineEffect::Route { ticket, .. })
            | Effect::Engine(EngineEffect::Generate { ticket, .. }),
        ] => *ticket,
        other => panic!("not one request: {other:?}"),
    }
}

pub fn press(screen: &mut RoutingScreen, shared: &Shared, key: KeyEvent) -> Vec<Effect> {
    screen.on_key(key, shared).expect("the key has a use")
}

/// Types `text` into the box and returns the last request's ticket.
pub fn write(screen: &mut RoutingScreen, shared: &Shared, text: &str) -> u64 {
    press(screen, shared, key('i'));
    let effects = screen.on_paste(text, shared);
    press(screen, shared, code(KeyCode::Esc));
    ticket(&effects)
}

pub fn answer(screen: &mut RoutingScreen, shared: &Shared, ticket: u64, trace: Trace, generating: bool) {
    let trace = Arc::new(trace);
    let message = EngineMessage::Trace { ticket, trace, generating, milliseconds: 34.2 };
    screen.on_message(&Message::Engine(message), shared);
}

pub fn text(screen: &mut RoutingScreen, shared: &Shared, ticket: u64, text: &str, done: bool) {
    let message = EngineMessage::Text { ticket, text: text.into(), done };
    screen.on_message(&Message::Engine(message), shared);
}

/// A routed prompt with some generated tokens, the cursor on `kilometers`.
pub fn routed() -> (RoutingScreen, Shared) {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    write(&mut screen, &shared, "Convert 12 kilometers into 日本 meters.");
    let generated = ticket(&press(&mut screen, &shared, key('g')));
    answer(&mut screen, &shared, generated, Synthetic::default().trace(&PROMPT), false);
    text(&mut screen, &shared, generated, "12000 meters", true);
    for _ in 0..8 {
        press(&mut screen, &shared, code(KeyCode::Up));
    }
    (screen, shared)
}

#[test]
fn a_routed_prompt_at_all_sizes() {
    let (screen, shared) = routed();
    for (width, height) in SIZES {
        assert_screen!(format!("routed_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

/// The expert of a cell of the map, by the letter in it.
pub fn letter(drawn: &Buffer, at: (u16, u16)) -> usize {
    usize::from(drawn[at].symbol().as_bytes()[0] - b'A')
}

/// Cells of the map at 60 × 20: place, token and column.
fn map() -> impl Iterator<Item = ((u16, u16), usize, usize)> {
    (0..6u16).flat_map(|row| {
        (0..30u16).map(move |column| ((16 + column, 8 + row), 3 + usize::from(row), usize::from(column)))
    })
}

/// Where the cursor of [`routed`] is on it.
const CURSOR: (u16, u16) = (31, 11);

#[test]
fn cells_are_filled_with_their_experts_colour_the_fuller_the_more_weight() {
    let (screen, shared) = routed();
    let drawn = buffer(&screen, &shared, 60, 20, Depth::True);
    let theme = Theme::new(Depth::True);
    let digest = &screen.exchange.shown.as_ref().unwrap().digest;
    let mut fills: Vec<(usize, f32, Color)> = Vec::new();
    for (at, token, column) in map().filter(|(at, ..)| *at != CURSOR) {
        let (expert, cell) = (letter(&drawn, at), digest.cell(token, column));
        assert_eq!(cell.expert, Some(expert as u32), "{at:?}");
        let shades = (0..=10_000).map(|i| theme.categorical_faded(expert, i as f32 / 10_000.0));
        assert!(shades.into_iter().any(|shade| shade == drawn[at].bg), "{at:?}: {:?}", drawn[at]);
        fills.push((expert, cell.weight, drawn[at].bg));
    }
    let bright = |color: Color| match color {
        Color::Rgb(r, g, b) => u32::from(r) + u32::from(g) + u32::from(b),
        other => panic!("not a 24-bit colour: {other:?}"),
    };
    fills.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).unwrap());
    for pair in fills.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert!(bright(pair[0].2) <= bright(pair[1].2), "{pair:?}");
    }
    assert_cell(&drawn, CURSOR, theme.cursor());
    assert_text(&drawn, "«·kilometers»", theme.selection());
    // Below the map every expert has its mark and its bars in its colour, under the cursor's column.
    let (x, y) = find(&drawn, "E negate");
    assert_cell(&drawn, (x, y), theme.category_cell(4, 1.0));
    assert_cell(&drawn, (16, y), theme.category(4));
    assert_cell(&drawn, (CURSOR.0, y), theme.selection_unfocused());
}

#[test]
fn the_cells_of_a_chosen_expert_stand_out_with_and_without_colour() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('['));
    let chosen = 3;
    let drawn = buffer(&screen, &shared, 60, 20, Depth::True);
    let theme = Theme::new(Depth::True);
    for (at, ..) in map().filter(|(at, ..)| *at != CURSOR) {
        match letter(&drawn, at) {
            expert if expert == chosen => assert_ne!(drawn[at].bg, Color::Reset, "{at:?}"),
            expert => {
                assert_cell(&drawn, at, theme.category_faint(expert));
                assert_eq!(drawn[at].bg, Color::Reset, "{at:?}");
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

#[test]
fn zoomed_to_modules() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('z'));
    assert_screen!("zoomed_to_modules", render(&screen, &shared, 160, 30));
}

#[test]
fn before_the_first_prompt() {
    for (width, height) in SIZES {
        let screen = RoutingScreen::new();
        let rendered = render(&screen, &shared(ready()), width, height);
        assert_screen!(format!("empty_{width}x{height}"), rendered);
    }
}

#[test]
fn every_state_of_the_engine_says_what_it_is() {
    let states = [
        ("unloaded", EngineState::Unloaded),
        ("loading", EngineState::Loading { stage: "prototypes 7 of 12".into() }),
        (
            "fetching",
            EngineState::Fetching(FetchProgress {
                source: "hub owner/SmolLM2-135M-Instruct-GGUF".into(),
                phase: FetchPhase::Downloading,
                done: 40_000_000,
                total: Some(98_000_000),
            }),
        ),
        (
            "connecting",
            EngineState::Fetching(FetchProgress {
                source: "Python package a-model==1.0".into(),
                phase: FetchPhase::Connecting,
                done: 0,
                total: None,
            }),
        ),
        ("missing", EngineState::Missing { what: "SmolLM2-135M-Instruct.Q4_1.gguf".into(), error: None }),
        ("stopped", EngineState::Missing { what: "a.gguf".into(), error: Some(FetchError::Stopped) }),
        ("offline", offline()),
        ("failed", EngineState::Failed { error: "base.gguf: ends in the middle of a tensor".into() }),
        (
            "skipped",
            EngineState::Ready {
                label: "SmolLM2".into(),
                skipped: vec![Skipped::new("evil\x1b[2J", "made for another base")],
            },
        ),
    ];
    for (name, state) in states {
        let screen = RoutingScreen::new();
        assert_screen!(format!("engine_{name}"), render(&screen, &shared(state), 80, 20));
    }
}

#[test]
fn every_change_asks_anew_and_old_answers_are_dropped() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    assert!(screen.captures_text());
    let first = ticket(&press(&mut screen, &shared, key('a')));
    let second = ticket(&press(&mut screen, &shared, key('b')));
    assert!(second > first);
    assert!(screen.is_animating(&shared));
    answer(&mut screen, &shared, first, Synthetic::default().trace(&PROMPT[..3]), false);
    assert!(screen.exchange.shown.is_none(), "a stale answer is not shown");
    answer(&mut screen, &shared, second, Synthetic::default().trace(&PROMPT[..5]), false);
    assert_eq!(screen.exchange.shown.as_ref().map(|s| s.trace.tokens.len()), Some(5));
    assert!(!screen.is_animating(&shared));
    let third = press(&mut screen, &shared, key('c'));
    assert!(matches!(&third[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == "abc"));
    assert!(screen.exchange.is_stale());
    assert!(render(&screen, &shared, 80, 24).contains("updating"));
}

#[test]
fn keys_that_move_ask_nothing_and_keys_that_route_do() {
    let (mut screen, shared) = routed();
    for c in "hjklmz[]".chars() {
        assert_eq!(press(&mut screen, &shared, key(c)), [], "{c}");
    }
    for c in "rtTxXw<>".chars() {
        let (mut screen, shared) = routed();
        if c == 'X' {
            press(&mut screen, &shared, key('x'));
        }
        let effects = press(&mut screen, &shared, key(c));
        assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Route { .. })]), "{c}: {effects:?}");
    }
    assert!(screen.on_key(key('Q'), &shared).is_none());
}

/// Presses the key for the next router until it is uniform; what the last one did.
fn to_uniform(screen: &mut RoutingScreen, shared: &Shared) -> Vec<Effect> {
    let mut effects = Vec::new();
    for _ in ROUTERS {
        if screen.question.router.head() == "uniform" {
            break;
        }
        effects = press(screen, shared, key('r'));
    }
    effects
}

#[test]
fn scores_are_calibrated_and_taken_as_they_are_by_one_key() {
    let (mut screen, shared) = routed();
    let effects = press(&mut screen, &shared, key('c'));
    assert!(screen.question.router.needs_calibration());
    let asked = ticket(&effects);
    let step = |done| EngineMessage::Calibrating { ticket: asked, done, total: 264 };
    screen.on_message(&Message::Engine(step(12)), &shared);
    assert_eq!(screen.exchange.pending.unwrap().calibration, Some((12, 264)));
    let later = Shared { now: shared.now + 2.0, ..shared };
    let drawn = render(&screen, &later, 120, 40);
    assert!(drawn.contains("calibrating 12 of 264 prompts") && drawn.contains("· calibrated"), "{drawn}");
    screen.on_message(&Message::Engine(step(264)), &later);
    assert_eq!(screen.exchange.pending.unwrap().calibration, None);
    press(&mut screen, &later, key('c'));
    assert!(!screen.question.router.needs_calibration());
    to_uniform(&mut screen, &later);
    let said = press(&mut screen, &later, key('c'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(_))]), "{said:?}");
}

#[test]
fn the_router_cycles_through_its_kinds() {
    let (mut screen, shared) = routed();
    let all: Vec<&Router> = ROUTERS.iter().filter(|router| router.cycles).collect();
    // It begins with the first.
    for router in all.iter().skip(1).chain(all.first()) {
        press(&mut screen, &shared, key('r'));
        let config = &screen.question.router;
        assert_eq!(config.router, *router);
        let names_one = Synthetic::default().experts().contains(&config.argument);
        assert_eq!(router.names_expert(), names_one, "{}", config.head());
    }
}

#[test]
fn top_k_runs_from_one_to_all() {
    let (mut screen, shared) = routed();
    for _ in 0..5 {
        press(&mut screen, &shared, key('<'));
    }
    assert_eq!(screen.question.router.values.count(&TOP_K), 1);
    for _ in 0..20 {
        press(&mut screen, &shared, key('>'));
    }
    assert_eq!(screen.question.router.values.count(&TOP_K), 0, "all");
    press(&mut screen, &shared, key('<'));
    assert_eq!(screen.question.router.values.count(&TOP_K), 11);
}

#[test]
fn a_muted_expert_stays_chosen_so_that_the_same_key_brings_it_back() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('x'));
    let muted = screen.question.router.muted.clone();
    assert_eq!(muted.len(), 1);
    assert!(render(&screen, &shared, 80, 24).contains("1 muted"));
    press(&mut screen, &shared, key('x'));
    assert!(screen.question.router.muted.is_empty());
    for _ in 0..11 {
        press(&mut screen, &shared, key('x'));
        press(&mut screen, &shared, key(']'));
    }
    let last = press(&mut screen, &shared, key('x'));
    assert!(matches!(&last[..], [Effect::App(AppEffect::Error(_))]), "somebody must stay: {last:?}");
    assert_eq!(screen.question.router.muted.len(), 11);
}

#[test]
fn the_place_for_the_file_is_whole_at_every_size() {
    let place = "/elsewhere/base/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/model.gguf";
    // 40 × 8 is what a terminal of 40 × 10 leaves.
    for (width, height) in SIZES.into_iter().chain([(40, 8)]) {
        let shown = render(&RoutingScreen::new(), &shared(offline()), width, height);
        let joined: String = shown.lines().map(str::trim).collect();
        assert!(joined.contains(place) && joined.contains("No source has"), "{shown}");
    }
}

#[test]
fn keys_without_a_use_are_not_offered() {
    let (mut screen, shared) = routed();
    let offered = |screen: &RoutingScreen| -> Vec<String> {
        let footer = screen.hints(&shared).into_iter().filter(|hint| !hint.short.is_empty());
        footer.map(|hint| hint.keys).collect()
    };
    let has = |screen: &RoutingScreen, keys: &str| offered(screen).iter().any(|k| k == keys);
    assert!(has(&screen, "t T") && !has(&screen, "X"));
    press(&mut screen, &shared, key('x'));
    assert!(has(&screen, "X"));
    to_uniform(&mut screen, &shared);
    assert_eq!(screen.question.router.head(), "uniform");
    assert!(!has(&screen, "t T") && has(&screen, "x"));
    let notice = Effect::App(AppEffect::Notice(
        "Temperature applies to Arrow, subspace or norm only (press r).".into(),
    ));
    assert_eq!(press(&mut screen, &shared, key('t')), [notice]);
    press(&mut screen, &shared, key('r'));
    press(&mut screen, &shared, key('r'));
    assert_eq!(screen.question.router.head(), "base");
    assert!(!["t T", "[ ]", "x", "s", "←→"].iter().any(|keys| has(&screen, keys)));
    assert!(offered(&RoutingScreen::new()).iter().all(|keys| ["i", "n"].contains(&keys.as_str())));
}

#[test]
fn an_empty_prompt_stops_what_runs_and_clears_the_map() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, key('a'));
    assert_eq!(press(&mut screen, &shared, code(KeyCode::Backspace)), [Effect::Engine(EngineEffect::Stop)]);
    assert!(screen.exchange.shown.is_none() && !screen.is_animating(&shared));
    assert_eq!(press(&mut screen, &shared, code(KeyCode::Enter)), [], "nothing to generate from");
}

#[test]
fn failures_are_a_line_and_the_next_change_clears_them() {
    let (mut screen, shared) = routed();
    let ticket = ticket(&press(&mut screen, &shared, key('w')));
    let error = "the prompt has 9000 tokens, the context 8192: shorten it".to_string();
    screen.on_message(&Message::Engine(EngineMessage::Failed { ticket, error }), &shared);
    assert!(render(&screen, &shared, 80, 24).contains("shorten it"));
    press(&mut screen, &shared, key('w'));
    assert!(!render(&screen, &shared, 80, 24).contains("shorten it"));
}

#[test]
fn a_prompt_written_before_the_engine_is_ready_is_routed_then() {
    let mut shared = shared(EngineState::Unloaded);
    let mut screen = RoutingScreen::new();
    assert_eq!(screen.on_show(&shared), [Effect::Engine(EngineEffect::Load)]);
    press(&mut screen, &shared, key('i'));
    assert_eq!(press(&mut screen, &shared, key('a')), []);
    shared.engine = ready();
    let effects = screen.on_message(&Message::Engine(EngineMessage::State(ready())), &shared);
    assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == "a"));
}

#[test]
fn a_tab_shown_before_the_library_was_read_loads_the_model_then() {
    let mut shared = Shared::default();
    let mut screen = RoutingScreen::new();
    assert_eq!(screen.on_show(&shared), []);
    let library: Arc<Catalog> = Arc::new(library(&["sum".to_string()]).into());
    shared.library = Some(library.clone());
    assert_eq!(
        screen.on_message(&Message::Library(Ok(library.clone())), &shared),
        [Effect::Engine(EngineEffect::Load)]
    );
    let mut unseen = RoutingScreen::new();
    assert_eq!(unseen.on_message(&Message::Library(Ok(library)), &shared), []);
}

#[test]
fn a_missing_model_can_be_fetched_even_after_typing() {
    let missing = EngineState::Missing { what: "a model".into(), error: None };
    let shared = shared(missing.clone());
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    screen.on_message(&Message::Engine(EngineMessage::State(missing)), &shared);
    assert_eq!(press(&mut screen, &shared, key('f')), [Effect::Engine(EngineEffect::FetchBase)]);
    assert_eq!(press(&mut screen, &shared, key('R')), [Effect::Engine(EngineEffect::Load)]);
}

#[test]
fn examples_never_replace_what_a_person_wrote() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    screen.on_message(
        &Message::Engine(EngineMessage::Examples(vec!["Plural of fox?".into(), "Sum 1 2".into()])),
        &shared,
    );
    let effects = press(&mut screen, &shared, key('n'));
    assert!(
        matches!(&effects[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == "Plural of fox?")
    );
    press(&mut screen, &shared, key('i'));
    let effects = press(&mut screen, &shared, code(KeyCode::Tab));
    assert!(
        matches!(&effects[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == "Sum 1 2")
    );
    press(&mut screen, &shared, key('!'));
    assert!(screen.on_key(code(KeyCode::Tab), &shared).is_none(), "Tab is free to change tabs");
    press(&mut screen, &shared, code(KeyCode::Esc));
    for key in [ctrl('n'), key('n')] {
        let said = press(&mut screen, &shared, key);
        assert!(
            matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("empties the box")),
            "{said:?}"
        );
        assert!(!screen.hints(&shared).iter().any(|binding| binding.keys == "n"));
    }
    assert_eq!(screen.question.prompt.text(), "Sum 1 2!");
}

#[test]
fn routers_that_do_not_mix_say_nothing_of_muted_experts() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('x'));
    let muted = screen.question.router.muted.clone();
    for router in ["single", "base"] {
        match router {
            "single" => press(&mut screen, &shared, key('s')),
            _ => press(&mut screen, &shared, key('r')),
        };
        let drawn = render(&screen, &shared, 120, 40);
        assert!(!drawn.contains("muted"), "{drawn}");
        assert!(!screen.hints(&shared).iter().any(|binding| matches!(binding.keys.as_str(), "x" | "X")));
        for c in ['x', 'X'] {
            let said = press(&mut screen, &shared, key(c));
            assert!(
                matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.starts_with("Muting needs Arrow, ") && text.ends_with(" or uniform (press r).")),
                "{said:?}"
            );
        }
    }
    press(&mut screen, &shared, key('r'));
    assert_eq!(screen.question.router.head(), "arrow");
    assert_eq!(screen.question.router.muted, muted, "kept for the routers that mix");
    assert!(render(&screen, &shared, 120, 40).contains("1 muted"));
}

#[test]
fn routers_without_a_choice_are_shown_as_what_they_are() {
    let (mut screen, shared) = routed();
    let next = ticket(&to_uniform(&mut screen, &shared));
    let uniform = Synthetic { width: 12, uniform: true, ..Synthetic::default() }.trace(&PROMPT);
    answer(&mut screen, &shared, next, uniform, false);
    let shown = render(&screen, &shared, 120, 40);
    assert!(
        shown.contains("same weight everywhere") && shown.contains("===") | shown.contains("= = ="),
        "{shown}"
    );
    press(&mut screen, &shared, key('r'));
    let next = ticket(&press(&mut screen, &shared, key('r')));
    let base = Trace::new(Arc::default(), Arc::default(), 1);
    answer(&mut screen, &shared, next, base, false);
    assert!(render(&screen, &shared, 120, 40).contains("no experts"));
}

#[test]
fn a_library_that_lost_an_expert_routes_without_it() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('x'));
    assert_eq!(screen.question.router.muted.len(), 1);
    let smaller: Arc<Catalog> = Arc::new(library(&["sum".to_string(), "spam".to_string()]).into());
    let shared = Shared { library: Some(smaller.clone()), ..shared };
    let effects = screen.on_message(&Message::Library(Ok(smaller)), &shared);
    assert!(screen.question.router.muted.is_empty());
    assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Route { .. })]));
}

#[test]
fn experts_that_are_left_alone_and_muted_speak_again() {
    let (mut screen, shared) = routed();
    screen.question.router.muted = vec!["sum".into(), "spam".into()];
    let both = Arc::new(library(&["sum".to_string(), "spam".to_string()]).into());
    screen.on_message(&Message::Library(Ok(both)), &shared);
    assert!(screen.question.router.muted.is_empty());
}

fn any_key() -> impl Strategy<Value = KeyEvent> {
    let codes = prop_oneof![
        4 => any::<char>().prop_map(KeyCode::Char),
        8 => proptest::sample::select("hjklmzrtTxXsw<>[]ginRf".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
        6 => proptest::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up, KeyCode::Down,
            KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::PageDown,
            KeyCode::Backspace, KeyCode::Delete, KeyCode::F(3),
        ]),
    ];
    (codes, proptest::sample::select(vec![0u8, 0, 0, 1, 2, 4]))
        .prop_map(|(code, bits)| KeyEvent::new(code, KeyModifiers::from_bits_truncate(bits)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Keys at any time, answers of any shape, any size: nothing panics.
    #[test]
    fn nothing_panics(
        keys in proptest::collection::vec(any_key(), 0..40),
        sizes in proptest::collection::vec((0u16..130, 0u16..45), 40),
        tokens in 0usize..=PROMPT.len(),
        experts in 0usize..30,
        layers in 0usize..6,
        start in 0usize..3,
    ) {
        let shared = shared(match start {
            0 => ready(),
            1 => EngineState::Missing { what: "m".into(), error: None },
            _ => EngineState::Loading { stage: "s".into() },
        });
        let mut screen = RoutingScreen::new();
        for (i, &key) in keys.iter().enumerate() {
            screen.on_key(key, &shared);
            if i % 3 == 0 {
                let shape = Synthetic { experts, layers, width: 3, uniform: i % 2 == 0 };
                let last = screen.exchange.ticket;
                answer(&mut screen, &shared, last, shape.trace(&PROMPT[..tokens]), i % 2 == 0);
                text(&mut screen, &shared, last, "日本\nx\x1b", i % 2 == 1);
            }
            let (width, height) = sizes[i];
            render(&screen, &shared, width, height);
            buffer(&screen, &shared, width, height, Depth::Plain);
            screen.hints(&shared);
        }
    }
}
