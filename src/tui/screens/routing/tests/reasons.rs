//! Why experts have their weights at the token under the cursor, and what routing costs.

use super::*;
use crate::routing::{Why, WhyExpert, WhyModule};
use crate::tui::{Cost, Speed, Study};

/// The ticket and the token of a request for reasons.
pub fn explained(effect: &Effect) -> Option<(u64, usize)> {
    match effect {
        Effect::Engine(EngineEffect::Study { ticket, study: Study::Explain { token, .. } }) => {
            Some((*ticket, *token))
        }
        _ => None,
    }
}

/// Reasons for a token of the fixture, whose scores are all `score`.
pub fn reasons(token: usize, score: f32) -> Arc<Why> {
    let trace = Synthetic::default().trace(&PROMPT);
    let expert = |&(expert, weight): &(u32, f32)| WhyExpert {
        expert: expert as usize,
        weight,
        score,
        calibrated: None,
        deciding: None,
        first_share: 0.4,
        gap: 0.8,
    };
    let module = |m: usize| WhyModule {
        module: trace.modules[m].clone(),
        experts: trace.weights(token, m).iter().map(expert).collect(),
    };
    let modules = (0..trace.modules.len()).map(module).collect();
    let (decided, score) = ("The highest scores".to_string(), Some("arrow"));
    Arc::new(Why { token, decided, score, decider: None, votes: Vec::new(), sequence: None, modules })
}

#[test]
fn reasons_are_those_of_the_token_under_the_cursor_and_never_older_ones() {
    let (mut screen, shared) = routed();
    let effects = press(&mut screen, &shared, code(KeyCode::Down));
    let (first, token) = explained(&effects[0]).expect("they are asked for");
    assert_eq!(token, 7);
    let pending = render(&screen, &shared, 80, 24);
    assert!(pending.contains('…') && pending.contains("next"), "{pending}");
    let result = Ok(reasons(7, 1.234));
    hear(&mut screen, &shared, EngineMessage::Explained { ticket: first, result });
    for (width, height) in [(80, 24), (120, 36), (160, 46), (200, 60)] {
        let drawn = render(&screen, &shared, width, height);
        assert!(drawn.contains("1.234") && drawn.contains("0.40") && drawn.contains("0.80"), "{drawn}");
    }
    // Another layer of the same token needs nothing; another token has none of these numbers.
    assert_eq!(press(&mut screen, &shared, code(KeyCode::Right)), []);
    assert!(render(&screen, &shared, 80, 24).contains("1.234"));
    let effects = press(&mut screen, &shared, code(KeyCode::Up));
    let (second, token) = explained(&effects[0]).expect("they are asked for");
    assert_eq!(token, 6);
    assert!(!render(&screen, &shared, 80, 24).contains("1.234"));
    // What comes late is of no use.
    hear(&mut screen, &shared, EngineMessage::Explained { ticket: first, result: Ok(reasons(7, 1.234)) });
    assert!(!render(&screen, &shared, 80, 24).contains("1.234"));
    hear(&mut screen, &shared, EngineMessage::Explained { ticket: second, result: Ok(reasons(6, 2.345)) });
    assert!(render(&screen, &shared, 80, 24).contains("2.345"));
    // Of another router they are none either, and a single expert has none.
    let asked = ticket(&press(&mut screen, &shared, key('<')));
    answer(&mut screen, &shared, asked, Synthetic { width: 2, ..Synthetic::default() }.trace(&PROMPT), false);
    assert!(!render(&screen, &shared, 80, 24).contains("2.345"));
    press(&mut screen, &shared, key('s'));
    assert!(press(&mut screen, &shared, code(KeyCode::Up)).iter().all(|e| explained(e).is_none()));
}

#[test]
fn reasons_come_while_one_types() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    let asked = ticket(&press(&mut screen, &shared, key('a')));
    let trace = Arc::new(Synthetic::default().trace(&PROMPT[..7]));
    let routed = EngineMessage::Trace { ticket: asked, trace, generating: false, milliseconds: 1.0 };
    let effects = hear(&mut screen, &shared, routed);
    let (ticket, token) = effects.iter().find_map(explained).expect("they are asked for");
    hear(&mut screen, &shared, EngineMessage::Explained { ticket, result: Ok(reasons(token, 1.234)) });
    for (width, height) in [(80, 24), (100, 30), (160, 46)] {
        assert!(render(&screen, &shared, width, height).contains("1.234"));
    }
}

#[test]
fn an_expert_far_down_is_shown_when_it_is_found() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    let asked = write(&mut screen, &shared, "fox");
    let trace = Synthetic { experts: 600, layers: 4, ..Synthetic::default() }.trace(&PROMPT);
    let digest = super::super::digest::Digest::new(&trace, None, false);
    let last = *digest.order().last().unwrap();
    let name = trace.experts[last].clone();
    answer(&mut screen, &shared, asked, trace, false);
    press(&mut screen, &shared, key('/'));
    for c in name.chars() {
        press(&mut screen, &shared, key(c));
    }
    press(&mut screen, &shared, code(KeyCode::Enter));
    for (width, height) in [(80, 24), (120, 36), (160, 46), (200, 60), (40, 20)] {
        let drawn = render(&screen, &shared, width, height);
        let row =
            drawn.lines().find(|line| line.contains(&name) && line.contains('›')).expect("it has a row");
        assert!(row.contains("0 %") && !row.contains("›·"), "{drawn}");
    }
    // Back at the strongest with the key that goes round.
    press(&mut screen, &shared, key(']'));
    assert!(render(&screen, &shared, 80, 24).contains("more with"));
}

#[test]
fn what_routing_costs_is_measured_after_an_answer() {
    let (mut screen, shared) = routed();
    assert!(render(&screen, &shared, 160, 46).contains("measuring …"));
    let asked = ticket(&press(&mut screen, &shared, key('g')));
    let trace = Arc::new(Synthetic::default().trace(&PROMPT));
    let done = EngineMessage::Trace { ticket: asked, trace, generating: false, milliseconds: 40.0 };
    let effects = hear(&mut screen, &shared, done);
    assert!(
        !effects
            .iter()
            .any(|e| matches!(e, Effect::Engine(EngineEffect::Study { study: Study::Cost { .. }, .. }))),
        "the same run is being measured: {effects:?}"
    );
    let asked = ticket(&press(&mut screen, &shared, key('<')));
    let trace = Arc::new(Synthetic { width: 2, ..Synthetic::default() }.trace(&PROMPT));
    let routed =
        EngineMessage::Trace { ticket: asked, trace: trace.clone(), generating: false, milliseconds: 1.0 };
    hear(&mut screen, &shared, routed);
    assert!(render(&screen, &shared, 160, 46).contains("g answers, and measures it"));
    let asked = ticket(&press(&mut screen, &shared, key('g')));
    let done = EngineMessage::Trace { ticket: asked, trace, generating: false, milliseconds: 40.0 };
    let effects = hear(&mut screen, &shared, done);
    let cost = effects.iter().find_map(|effect| match effect {
        Effect::Engine(EngineEffect::Study { ticket, study: Study::Cost { router, .. } }) => {
            Some((*ticket, router.to_string()))
        }
        _ => None,
    });
    let (ticket, router) = cost.expect("it is measured");
    assert_eq!(router, "arrow:k=2");
    let speed = |prompt, token| Speed { prompt, token: Some(token) };
    let found =
        Cost { tokens: 15, routed: speed(45.0, 31.0), base: speed(30.0, 26.0), memory: Some(412_000_000) };
    hear(&mut screen, &shared, EngineMessage::Costed { ticket, result: Ok(found) });
    let drawn = render(&screen, &shared, 160, 46);
    for text in ["45 ms, 30 without experts; +1.0 ms per token", "32 tokens/s, 38 without", "412 MB in use"] {
        assert!(drawn.contains(text), "{text}\n{drawn}");
    }
    // In few rows, one line of it.
    assert!(render(&screen, &shared, 80, 24).contains("50 tokens/s · routing +5.0 ms"));
}
