//! Studies: what is found out while there is no work.

use super::*;

#[test]
fn routers_are_compared_one_after_the_other_and_one_that_fails_keeps_no_other_back() {
    let mut bench = Bench::ready(Slow::default());
    bench.compare(5, "a b", vec![RouterConfig::default(), RouterConfig::single("x"), RouterConfig::base()]);
    let is_last = |m: &EngineMessage| matches!(m, EngineMessage::ComparedText { at: 2, done: true, .. });
    let said: Vec<String> = bench
        .until(is_last)
        .iter()
        .map(|m| match m {
            EngineMessage::Compared { ticket: 5, at, result: Ok(found) } => {
                format!("{at} {} {:?}", found.trace.tokens.len(), found.log_probability)
            }
            EngineMessage::Compared { ticket: 5, at, result: Err(error) } => format!("{at} {error}"),
            EngineMessage::ComparedText { ticket: 5, at, text, done } => format!("{at}{text} {done}"),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        "0 2 Some(-1.0)",
        "0 0 false",
        "0 0 1 false",
        "0 0 1 true",
        "1 there is no expert x",
        "2 2 Some(-1.0)",
        "2 0 false",
        "2 0 1 false",
        "2 0 1 true",
    ];
    assert_eq!(said, expected);
    wait_until(|| bench.engine.mailbox.lock().studies.is_empty());
}

#[test]
fn work_interrupts_a_study_which_goes_on_afterwards() {
    let slow = Slow::default();
    let studied = slow.studied.clone();
    let mut bench = Bench::ready(slow);
    bench.attribute(5, ENDLESS);
    wait_until(|| studied.load(Ordering::SeqCst) == 1);
    bench.route(6, "typed meanwhile");
    let answers = bench.until(|m| matches!(m, EngineMessage::Attributed { ticket: 5, result: Ok(_) }));
    assert!(
        matches!(answers[0], EngineMessage::Trace { ticket: 6, .. }),
        "the work comes first: {answers:?}"
    );
    assert_eq!(studied.load(Ordering::SeqCst), 2);
}

#[test]
fn studies_end_when_nobody_wants_them_and_a_newer_one_takes_the_place_of_its_kind() {
    let slow = Slow::default();
    let studied = slow.studied.clone();
    let mut bench = Bench::ready(slow);
    bench.attribute(5, ENDLESS);
    wait_until(|| studied.load(Ordering::SeqCst) == 1);
    bench.engine.handle(EngineEffect::EndStudies);
    wait_until(|| bench.engine.mailbox.lock().running.is_none());
    bench.attribute(6, "old");
    bench.attribute(7, "new");
    bench.until(|m| matches!(m, EngineMessage::Attributed { ticket: 7, .. }));
    // What stops routing leaves studies alone.
    bench.engine.handle(EngineEffect::Stop);
    bench.attribute(8, "yes");
    bench.until(|m| matches!(m, EngineMessage::Attributed { ticket: 8, .. }));
}

#[test]
fn a_real_model_compares_routers_and_says_which_experts_an_answer_is_owed_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = real(dir.path());
    let uniform: RouterConfig = "uniform".parse().unwrap();
    bench.compare(5, "fox", vec![RouterConfig::default(), uniform.clone(), RouterConfig::base()]);
    let answers = bench.until(|m| matches!(m, EngineMessage::ComparedText { at: 2, done: true, .. }));
    let found: Vec<&Compared> = answers
        .iter()
        .filter_map(|m| match m {
            EngineMessage::Compared { result, .. } => Some(&**result.as_ref().unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(found.len(), 3);
    let weighed = |one: &&Compared| one.shares.iter().filter(|share| **share > 0.0).count();
    assert_eq!(found.iter().map(weighed).collect::<Vec<_>>(), [3, 3, 0]);
    let logs: Vec<f64> = found.iter().map(|one| one.log_probability.unwrap()).collect();
    assert!(logs.iter().all(|log| *log < 0.0) && logs[0] != logs[1] && logs[1] != logs[2], "{logs:?}");
    // The prompt alone was routed, and is as routed as by typing it.
    bench.route(6, "fox");
    let answers = bench.until(|m| matches!(m, EngineMessage::Trace { ticket: 6, .. }));
    let Some(EngineMessage::Trace { trace, .. }) = answers.last() else { panic!() };
    assert_eq!(trace.tokens.len(), found[0].trace.tokens.len());
    assert_eq!(trace.weights(2, 1), found[0].trace.weights(2, 1));

    let (prompt, answer) = ("fox".to_string(), "yes".to_string());
    let study = Study::Attribute { prompt, raw: false, router: uniform, answer, most: 2 };
    bench.engine.handle(EngineEffect::Study { ticket: 7, study });
    let answers = bench.until(|m| matches!(m, EngineMessage::Attributed { ticket: 7, .. }));
    let Some(EngineMessage::Attributed { result: Ok(found), .. }) = answers.last() else {
        panic!("{answers:?}")
    };
    // The same answer under the same router.
    assert!(
        (found.routed - logs[1]).abs() < 1e-3 && (found.base - logs[2]).abs() < 1e-3,
        "{found:?} {logs:?}"
    );
    assert_eq!(found.experts.len(), 2);

    // One token's reasons have the weights of its routing.
    let tokens = found_tokens(trace);
    let token = tokens.ids.len() - 1;
    let study = Study::Explain { prompt: tokens, router: RouterConfig::default(), token, most: 3 };
    bench.engine.handle(EngineEffect::Study { ticket: 8, study });
    let answers = bench.until(|m| matches!(m, EngineMessage::Explained { ticket: 8, .. }));
    let Some(EngineMessage::Explained { result: Ok(why), .. }) = answers.last() else {
        panic!("{answers:?}")
    };
    assert_eq!(why.modules.len(), trace.modules.len());
    for (module, one) in why.modules.iter().enumerate() {
        let weights: Vec<(u32, f32)> =
            one.experts.iter().filter(|e| e.weight > 0.0).map(|e| (e.expert as u32, e.weight)).collect();
        assert_eq!(weights.len(), trace.weights(token, module).len(), "{one:?}");
        for (found, expected) in weights.iter().zip(trace.weights(token, module)) {
            assert!(found.0 == expected.0 && (found.1 - expected.1).abs() < 1e-6, "{one:?}");
        }
    }

    let (prompt, router) = ("fox".to_string(), RouterConfig::default());
    let study = Study::Cost { prompt, raw: false, router };
    bench.engine.handle(EngineEffect::Study { ticket: 9, study });
    let answers = bench.until(|m| matches!(m, EngineMessage::Costed { ticket: 9, .. }));
    let Some(EngineMessage::Costed { result: Ok(cost), .. }) = answers.last() else { panic!("{answers:?}") };
    assert_eq!(cost.tokens, trace.tokens.len());
    assert!(cost.routed.prompt > 0.0 && cost.base.prompt > 0.0, "{cost:?}");
    // The session has its router again.
    bench.route(10, "fox");
    let answers = bench.until(|m| matches!(m, EngineMessage::Trace { ticket: 10, .. }));
    let Some(EngineMessage::Trace { trace: again, .. }) = answers.last() else { panic!() };
    assert_eq!(again.weights(token, 0), trace.weights(token, 0));
}

fn found_tokens(trace: &Trace) -> crate::routing::Prompt {
    crate::routing::Prompt {
        ids: trace.tokens.iter().map(|token| token.id).collect(),
        parts: trace.tokens.iter().map(|token| token.part).collect(),
    }
}
