//! The thread with a real model, a tiny one.

use super::*;

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
    let EngineMessage::Failed { ticket: 7, error, .. } = bench.next() else {
        panic!("too long, yet no failure")
    };
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
