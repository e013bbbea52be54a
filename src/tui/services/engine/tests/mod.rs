//! The rules of the thread, with models that are as slow, as broken or as absent as each test needs.

mod studies;
mod tiny;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

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

/// A library whose base model no source has.
const OFFLINE: &str = "offline";

fn no_source() -> NoSource {
    let tried = vec![("hub a/b".to_string(), "cannot be reached".to_string())];
    NoSource { what: "a model".into(), tried, place: "cache/model".into() }
}

/// A prompt that is routed until it is cancelled.
const ENDLESS: &str = "endless";

#[derive(Clone, Default)]
struct Slow {
    /// Not on this machine until it was fetched.
    missing: bool,
    opened: Arc<AtomicUsize>,
    reloaded: Arc<AtomicUsize>,
    routed: Arc<AtomicUsize>,
    /// Studies of an answer that were begun.
    studied: Arc<AtomicUsize>,
}

fn trace(prompt: &str) -> Trace {
    let mut trace = Trace::new(Arc::new(vec!["q".into()]), Arc::new(vec!["a".into()]), 1);
    for (i, word) in prompt.split(' ').enumerate() {
        let token = TraceToken { id: i as u32, text: word.into(), part: Part::Prompt };
        trace.push(token, &[(0, 1.0)]);
    }
    trace
}

fn wait_for_cancel(cancel: &Cancel) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        cancel.check()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it was not cancelled");
}

impl Backend for Slow {
    type Session = Slow;

    fn locate(&mut self, _catalog: &Catalog) -> Result<BaseLocation> {
        if self.missing {
            return Ok(BaseLocation::Missing { spec: BaseSpec::default(), label: "a model".into() });
        }
        Ok(BaseLocation::Found { path: "model".into(), label: "a model".into() })
    }

    fn fetch(
        &mut self,
        library: &Catalog,
        progress: &mut dyn FnMut(FetchProgress),
        cancel: &Cancel,
    ) -> Result<PathBuf> {
        let (source, phase) = ("somewhere".to_string(), FetchPhase::Downloading);
        progress(FetchProgress { source, phase, done: 1, total: Some(2) });
        if library.root == Path::new(OFFLINE) {
            return Err(Error::NoSource(Box::new(no_source())));
        }
        if library.root == Path::new(ENDLESS) {
            wait_for_cancel(cancel)?;
        }
        self.missing = false;
        Ok("model".into())
    }

    fn open(
        &mut self,
        library: &Library,
        _base: &Path,
        stage: &mut dyn FnMut(&str),
        _cancel: &Cancel,
    ) -> Result<Slow> {
        stage("experts");
        if library.root == Path::new("broken") {
            return Err(Error::file("model", "ends too early"));
        }
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(self.clone())
    }
}

impl RoutedModel for Slow {
    fn label(&self) -> String {
        "slow".into()
    }

    fn skipped(&self) -> Vec<Skipped> {
        vec![Skipped::new("x", "too wide")]
    }

    fn reload(&mut self, _library: &Library, _cancel: &Cancel) -> Result<()> {
        self.reloaded.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn set_router(
        &mut self,
        router: RouterConfig,
        _calibrating: &mut dyn FnMut(crate::routing::Preparing),
        _cancel: &Cancel,
    ) -> Result<()> {
        match router.router.names_expert() {
            true => Err(Error::usage(format!("there is no expert {}", router.argument))),
            false => Ok(()),
        }
    }

    fn route(
        &mut self,
        prompt: &str,
        _raw: bool,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Trace> {
        self.routed.fetch_add(1, Ordering::SeqCst);
        progress(0, prompt.split(' ').count());
        match prompt {
            ENDLESS => wait_for_cancel(cancel).map(|()| Trace::default()),
            "bug" => panic!("index out of bounds"),
            _ => Ok(trace(prompt)),
        }
    }

    fn generate(
        &mut self,
        prompt: &str,
        _raw: bool,
        max_tokens: usize,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
        on_token: &mut dyn FnMut(&Trace, &str) -> ControlFlow<()>,
    ) -> Result<String> {
        progress(0, prompt.split(' ').count());
        let mut text = String::new();
        for i in 0..max_tokens {
            cancel.check()?;
            text.push_str(&format!(" {i}"));
            if on_token(&trace(&format!("{prompt}{text}")), &text).is_break() {
                break;
            }
            if prompt == ENDLESS && i == 1 {
                wait_for_cancel(cancel)?;
            }
        }
        Ok(text)
    }

    fn compare(&mut self, prompt: &str, _raw: bool, reference: &str, _cancel: &Cancel) -> Result<Compared> {
        let log_probability = (!reference.is_empty()).then_some(-1.0);
        let trace = trace(prompt);
        let router = RouterConfig::default();
        Ok(Compared {
            router,
            trace,
            shares: vec![1.0],
            effective: 1.0,
            answer: None,
            log_probability,
            warnings: Vec::new(),
        })
    }

    fn attribute(
        &mut self,
        _prompt: &str,
        _raw: bool,
        answer: &str,
        _most: usize,
        cancel: &Cancel,
    ) -> Result<Attribution> {
        // The second time it is quicker.
        if self.studied.fetch_add(1, Ordering::SeqCst) == 0 && answer == ENDLESS {
            wait_for_cancel(cancel)?;
        }
        Ok(Attribution { routed: -1.0, base: -2.0, groups: Vec::new(), experts: Vec::new() })
    }

    fn explain(&mut self, prompt: &Prompt, token: usize, _most: usize, _cancel: &Cancel) -> Result<Why> {
        match token < prompt.ids.len() {
            true => Ok(Why {
                token,
                decided: "The highest scores".into(),
                score: Some("arrow"),
                decider: None,
                votes: Vec::new(),
                sequence: None,
                modules: Vec::new(),
            }),
            false => Err(Error::usage("there is no such token")),
        }
    }

    fn cost(&mut self, _prompt: &str, _raw: bool, cancel: &Cancel) -> Result<Cost> {
        cancel.check()?;
        let speed = Speed { prompt: 1.0, token: None };
        Ok(Cost { tokens: 1, routed: speed, base: speed, memory: None })
    }
}

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
    let EngineMessage::Failed { ticket: 4, error } = bench.next() else { panic!("no failure") };
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
        matches!(&answers[0], EngineMessage::Failed { ticket: 1, error } if error.contains("out of bounds"))
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

#[test]
fn a_real_model_routes_and_generates_and_says_what_is_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = real(dir.path());
    // As typed: every prompt is one more letter than the last.
    for end in 1..=5 {
        bench.route(end as u64, &"plural"[..end]);
    }
    let answers = bench.until(|m| matches!(m, EngineMessage::Trace { ticket: 5, .. }));
    let Some(EngineMessage::Trace { trace, milliseconds, .. }) = answers.last() else { panic!() };
    let typed: String =
        trace.tokens.iter().filter(|t| t.part == Part::Prompt).map(|t| t.text.as_str()).collect();
    assert_eq!(typed, "plura");
    assert_eq!((trace.experts.len(), trace.modules.len()), (3, 2));
    assert!(*milliseconds > 0.0);
    let sum: f32 = trace.weights(2, 1).iter().map(|&(_, w)| w).sum();
    assert!((sum - 1.0).abs() < 1e-5);

    bench.generate(6, "fox", 4);
    let answers = bench.until(|m| matches!(m, EngineMessage::Trace { ticket: 6, generating: false, .. }));
    let Some(EngineMessage::Trace { trace, .. }) = answers.last() else { panic!() };
    assert_eq!(trace.tokens.iter().filter(|t| t.part == Part::Generated).count(), 4);

    // A long prompt says how far it is.
    let long = "a ".repeat(200);
    bench.route(6, &long);
    let mut seen = Vec::new();
    loop {
        match bench.next_of_all() {
            EngineMessage::Progress { ticket: 6, done, total } => seen.push((done, total)),
            EngineMessage::Trace { trace, .. } => {
                assert_eq!(seen.last(), Some(&(trace.tokens.len(), trace.tokens.len())));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.len() > 3 && seen.is_sorted(), "{seen:?}");

    bench.route(7, &"long ".repeat(2000));
    let EngineMessage::Failed { ticket: 7, error } = bench.next() else { panic!("too long, yet no failure") };
    assert!(
        error.contains("tokens, ") && error.contains("more than the base model's context of 512"),
        "{error}"
    );
    bench.route(8, "short");
    assert!(matches!(bench.next(), EngineMessage::Trace { ticket: 8, .. }));
}

#[test]
fn a_prompt_in_pieces_is_routed_as_in_one_and_goes_on_after_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (base, library) = tiny::model_and_library(dir.path());
    let options = LoadOptions { device: "cpu".into(), precision: Precision::F32 };
    let open = || Session::open(&library, &base, &options, &mut |_| {}, &Cancel::new()).unwrap();
    let text = "a long prompt ".repeat(24);
    let mut whole = open();
    let prompt = whole.prompt(&text, true).unwrap();
    // Logits are wanted of every token, so all of them go through together.
    let (_, expected) = whole.logits(&prompt, &Cancel::new()).unwrap();
    let mut session = open();
    let cancel = Cancel::new();
    let mut stop = |done: usize, _: usize| {
        if done > 0 {
            cancel.cancel();
        }
    };
    assert!(matches!(session.route(&text, true, &mut stop, &cancel), Err(Error::Cancelled)));
    let mut seen = Vec::new();
    let trace = session.route(&text, true, &mut |done, _| seen.push(done), &Cancel::new()).unwrap();
    assert!(seen[0] > 0 && seen.len() > 2, "what was done is not done again: {seen:?}");
    assert_eq!(trace.tokens, expected.tokens);
    for (token, module) in (0..trace.tokens.len()).flat_map(|t| (0..trace.modules.len()).map(move |m| (t, m)))
    {
        let (got, wanted) = (trace.weights(token, module), expected.weights(token, module));
        for (got, wanted) in got.iter().zip(wanted) {
            assert!((got.1 - wanted.1).abs() < 1e-4, "token {token}, module {module}: {got:?} {wanted:?}");
        }
    }
}
