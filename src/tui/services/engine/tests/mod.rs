//! The rules of the thread, with models that are as slow, as broken or as absent as each test needs.

mod loaded;
mod slow;
mod studies;
mod tiny;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use slow::{ENDLESS, OFFLINE, Slow, no_source};

use super::backend::{Backend, RoutedModel};
use super::*;
use crate::NoSource;
use crate::Result;
use crate::catalog::Catalog;
use crate::eval::{Attribution, Compared};
use crate::library::{BaseLocation, BaseSpec, Expert, FetchPhase, FetchProgress, Library, Manifest, Skipped};
use crate::model::{LoadOptions, Precision};
use crate::routing::{Part, Prompt, Session, Trace, TraceToken, Why};
use crate::tui::{Cost, FetchError, Speed};

/// Long enough for a busy machine; no test waits it out unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    engine: Engine,
    answers: UnboundedReceiver<Message>,
}

impl Bench {
    fn start(backend: impl Backend) -> Self {
        let (send, answers) = Sender::channel();
        Self { engine: Engine::start_with(backend, send), answers }
    }

    /// With a loaded model.
    fn ready(backend: Slow) -> Self {
        let mut bench = Self::start(backend);
        bench.engine.set_library(Arc::new(library("library", 1)));
        bench.engine.handle(EngineEffect::Load);
        bench.until(|m| matches!(m, EngineMessage::State(EngineState::Ready { .. })));
        bench
    }

    /// The next answer; how far a prompt is has a test of its own.
    fn next(&mut self) -> EngineMessage {
        loop {
            match self.next_of_all() {
                EngineMessage::Progress { .. } | EngineMessage::Calibrating { .. } => {}
                other => return other,
            }
        }
    }

    fn next_of_all(&mut self) -> EngineMessage {
        let begun = Instant::now();
        loop {
            match self.answers.try_recv() {
                Ok(Message::Engine(message)) => return message,
                Ok(other) => panic!("{other:?} is not the engine's"),
                Err(_) if begun.elapsed() > PATIENCE => panic!("no answer"),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// All answers up to the first that `done` likes.
    fn until(&mut self, done: impl Fn(&EngineMessage) -> bool) -> Vec<EngineMessage> {
        let mut all = Vec::new();
        loop {
            all.push(self.next());
            if all.last().is_some_and(&done) {
                return all;
            }
        }
    }

    fn route(&self, ticket: u64, prompt: &str) {
        let (prompt, router) = (prompt.to_string(), RouterConfig::default());
        self.engine.handle(EngineEffect::Route { ticket, prompt, raw: false, router });
    }

    fn compare(&self, ticket: u64, prompt: &str, routers: Vec<RouterConfig>) {
        let (prompt, reference) = (prompt.to_string(), "yes".to_string());
        let study = Study::Compare { prompt, raw: false, routers, reference, max_tokens: 2 };
        self.engine.handle(EngineEffect::Study { ticket, study });
    }

    fn attribute(&self, ticket: u64, answer: &str) {
        let (prompt, answer) = ("a".to_string(), answer.to_string());
        let router = RouterConfig::default();
        let study = Study::Attribute { prompt, raw: false, router, answer, most: 3 };
        self.engine.handle(EngineEffect::Study { ticket, study });
    }

    fn generate(&self, ticket: u64, prompt: &str, max_tokens: usize) {
        let (prompt, router) = (prompt.to_string(), RouterConfig::default());
        self.engine.handle(EngineEffect::Generate { ticket, prompt, raw: false, router, max_tokens });
    }
}

/// An engine with a real model in `dir`.
fn real(dir: &Path) -> Bench {
    let (base, library) = tiny::model_and_library(dir);
    let options = TuiOptions { base: Some(base), ..TuiOptions::default() };
    let mut bench = Bench::start(ModelBackend::new(&options));
    bench.engine.set_library(Arc::new(library));
    bench.engine.handle(EngineEffect::Load);
    bench.until(|m| match m {
        EngineMessage::State(EngineState::Failed { error }) => panic!("{error}"),
        other => matches!(other, EngineMessage::State(EngineState::Ready { .. })),
    });
    bench
}

fn library(root: &str, bytes: u64) -> Catalog {
    let expert =
        Expert { name: "a".into(), path: "a".into(), dtype: "f16".into(), bytes, ..Expert::default() };
    let manifest = Manifest::default();
    Library { root: root.into(), manifest, experts: vec![expert], ..Library::default() }.into()
}

fn wait_until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < PATIENCE, "it never happened");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn loading_goes_through_its_stages() {
    let mut bench = Bench::start(Slow::default());
    bench.engine.set_library(Arc::new(library("library", 1)));
    bench.engine.handle(EngineEffect::Load);
    let states = bench.until(|m| matches!(m, EngineMessage::State(EngineState::Ready { .. })));
    let stages: Vec<&str> = states
        .iter()
        .filter_map(|m| match m {
            EngineMessage::State(EngineState::Loading { stage }) => Some(stage.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(stages, ["looking for the base model", "experts"]);
    let Some(EngineMessage::State(EngineState::Ready { label, skipped })) = states.last() else { panic!() };
    assert_eq!((label.as_str(), skipped.len()), ("slow", 1));
}

#[test]
fn data_that_was_chosen_for_the_experts_is_told_when_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (root, tasks) = (folder.path().join("library"), folder.path().join("tasks"));
    std::fs::create_dir_all(&root).unwrap();
    std::fs::create_dir_all(tasks.join("a")).unwrap();
    std::fs::write(tasks.join("a/train.jsonl"), "").unwrap();
    let told = || {
        let mut bench = Bench::start(Slow::default());
        bench.engine.set_library(Arc::new(library(root.to_str().unwrap(), 1)));
        bench.engine.handle(EngineEffect::Load);
        let all = bench.until(|m| matches!(m, EngineMessage::Examples { .. }));
        matches!(all.last(), Some(EngineMessage::Examples { has_data: true, .. }))
    };
    assert!(!told());
    let chosen = crate::eval::ChosenPrompts::Tasks(tasks);
    chosen.remember(&library(root.to_str().unwrap(), 1).library).unwrap();
    assert!(told());
}

#[test]
fn only_the_newest_of_many_requests_is_answered() {
    let slow = Slow::default();
    let routed = slow.routed.clone();
    let mut bench = Bench::ready(slow);
    bench.route(1, ENDLESS);
    wait_until(|| routed.load(Ordering::SeqCst) == 1);
    for ticket in 2..50 {
        bench.route(ticket, ENDLESS);
    }
    bench.route(50, "two words");
    let answers = bench.until(|m| matches!(m, EngineMessage::Trace { .. }));
    let [EngineMessage::Trace { ticket: 50, trace, generating: false, .. }] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(trace.tokens.len(), 2);
    assert!(routed.load(Ordering::SeqCst) < 50, "requests that were overtaken in the slot are never begun");
}

#[test]
fn stopping_a_routing_leaves_the_engine_free() {
    let slow = Slow::default();
    let routed = slow.routed.clone();
    let mut bench = Bench::ready(slow);
    bench.route(1, ENDLESS);
    wait_until(|| routed.load(Ordering::SeqCst) == 1);
    bench.engine.handle(EngineEffect::Stop);
    wait_until(|| bench.engine.mailbox.lock().running.is_none());
    bench.route(2, "a");
    assert!(matches!(bench.next(), EngineMessage::Trace { ticket: 2, .. }));
}

#[test]
fn generation_streams_under_its_ticket_and_ends_once() {
    let mut bench = Bench::ready(Slow::default());
    bench.generate(7, "a", 3);
    let answers = bench.until(|m| matches!(m, EngineMessage::Trace { generating: false, .. }));
    let texts: Vec<(&str, bool)> = answers
        .iter()
        .filter_map(|m| match m {
            EngineMessage::Text { ticket: 7, text, done } => Some((text.as_str(), *done)),
            _ => None,
        })
        .collect();
    assert_eq!(texts, [(" 0", false), (" 0 1", false), (" 0 1 2", false), (" 0 1 2", true)]);
    let Some(EngineMessage::Trace { trace, .. }) = answers.last() else { panic!() };
    assert_eq!(trace.tokens.len(), 4);
}

#[test]
fn a_stopped_generation_keeps_what_was_written_and_typing_overtakes_it() {
    let mut bench = Bench::ready(Slow::default());
    bench.generate(1, ENDLESS, 9);
    bench.until(|m| matches!(m, EngineMessage::Text { text, .. } if text == " 0 1"));
    bench.engine.handle(EngineEffect::Stop);
    let answers = bench.until(|m| matches!(m, EngineMessage::Trace { generating: false, .. }));
    assert!(
        answers.iter().any(|m| matches!(m, EngineMessage::Text { text, done: true, .. } if text == " 0 1"))
    );
    bench.generate(2, ENDLESS, 9);
    bench.until(|m| matches!(m, EngineMessage::Text { ticket: 2, text, .. } if text == " 0 1"));
    bench.route(3, "typed meanwhile");
    bench.until(|m| matches!(m, EngineMessage::Trace { ticket: 3, .. }));
}

#[test]
fn work_asked_before_the_model_is_there_is_done_then() {
    let mut bench = Bench::start(Slow::default());
    bench.engine.set_library(Arc::new(library("library", 1)));
    bench.route(1, "early");
    bench.engine.handle(EngineEffect::Load);
    bench.until(|m| matches!(m, EngineMessage::Trace { ticket: 1, .. }));
}

#[test]
fn errors_of_a_request_are_its_own_and_those_of_loading_are_a_state() {
    let mut bench = Bench::ready(Slow::default());
    let router = RouterConfig::single("unknown");
    bench.engine.handle(EngineEffect::Route { ticket: 4, prompt: "a".into(), raw: false, router });
    let EngineMessage::Failed { ticket: 4, error, .. } = bench.next() else { panic!("no failure") };
    assert!(error.contains("unknown"));
    bench.route(5, "a");
    assert!(matches!(bench.next(), EngineMessage::Trace { ticket: 5, .. }), "the engine continues");

    let mut bench = Bench::start(Slow::default());
    bench.engine.set_library(Arc::new(library("broken", 1)));
    bench.engine.handle(EngineEffect::Load);
    let states = bench.until(|m| matches!(m, EngineMessage::State(EngineState::Failed { .. })));
    assert!(format!("{:?}", states.last()).contains("ends too early"));
}

#[test]
fn a_missing_model_is_said_fetched_and_loaded() {
    let mut bench = Bench::start(Slow { missing: true, ..Slow::default() });
    bench.engine.set_library(Arc::new(library("library", 1)));
    bench.engine.handle(EngineEffect::Load);
    let missing = EngineState::Missing { what: "a model".into(), error: None };
    bench.until(|m| matches!(m, EngineMessage::State(state) if *state == missing));
    bench.engine.handle(EngineEffect::FetchBase);
    let states = bench.until(|m| matches!(m, EngineMessage::State(EngineState::Ready { .. })));
    assert!(states.iter().any(
        |m| matches!(m, EngineMessage::State(EngineState::Fetching(progress)) if progress.source == "somewhere")
    ));
}

#[test]
fn a_download_can_be_stopped() {
    let mut bench = Bench::start(Slow { missing: true, ..Slow::default() });
    bench.engine.set_library(Arc::new(library(ENDLESS, 1)));
    bench.engine.handle(EngineEffect::FetchBase);
    bench.until(|m| matches!(m, EngineMessage::State(EngineState::Fetching(progress)) if progress.done == 1));
    bench.engine.handle(EngineEffect::Stop);
    let stopped = EngineState::Missing { what: "a model".into(), error: Some(FetchError::Stopped) };
    bench.until(|m| matches!(m, EngineMessage::State(state) if *state == stopped));
}

#[test]
fn a_fetch_that_finds_no_source_hands_on_what_was_tried() {
    let mut bench = Bench::start(Slow { missing: true, ..Slow::default() });
    bench.engine.set_library(Arc::new(library(OFFLINE, 1)));
    bench.engine.handle(EngineEffect::FetchBase);
    let states = bench.until(|m| matches!(m, EngineMessage::State(EngineState::Missing { .. })));
    let Some(EngineMessage::State(EngineState::Missing {
        error: Some(FetchError::NoSource(failure)), ..
    })) = states.last()
    else {
        panic!("{states:?}")
    };
    assert_eq!(failure, &no_source());
}

#[test]
fn a_panic_becomes_a_state_and_a_retry_works() {
    let mut bench = Bench::ready(Slow::default());
    bench.route(1, "bug");
    let answers = bench.until(|m| matches!(m, EngineMessage::State(EngineState::Failed { .. })));
    assert!(
        matches!(&answers[0], EngineMessage::Failed { ticket: 1, error, .. } if error.contains("out of bounds"))
    );
    bench.engine.handle(EngineEffect::Load);
    bench.until(|m| matches!(m, EngineMessage::State(EngineState::Ready { .. })));
    bench.route(2, "a");
    assert!(matches!(bench.next(), EngineMessage::Trace { ticket: 2, .. }));
}

#[test]
fn experts_are_read_again_only_when_they_changed() {
    let slow = Slow::default();
    let (opened, reloaded) = (slow.opened.clone(), slow.reloaded.clone());
    let mut bench = Bench::ready(slow);
    bench.engine.set_library(Arc::new(library("library", 1)));
    bench.route(1, "a");
    assert!(matches!(bench.next(), EngineMessage::Trace { .. }), "the same experts: nothing to do");
    bench.engine.set_library(Arc::new(library("library", 2)));
    bench.until(|m| matches!(m, EngineMessage::State(EngineState::Ready { .. })));
    assert_eq!((opened.load(Ordering::SeqCst), reloaded.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn dropping_the_engine_stops_the_thread() {
    let slow = Slow::default();
    let routed = slow.routed.clone();
    let bench = Bench::ready(slow);
    bench.route(1, ENDLESS);
    wait_until(|| routed.load(Ordering::SeqCst) == 1);
    let mailbox = Arc::downgrade(&bench.engine.mailbox);
    drop(bench);
    wait_until(|| mailbox.upgrade().is_none());
}

#[test]
fn asking_before_any_library_fails_with_a_line() {
    let mut bench = Bench::start(Slow::default());
    bench.engine.handle(EngineEffect::Load);
    assert!(matches!(bench.next(), EngineMessage::State(EngineState::Failed { .. })));
}
