//! Several routers on one prompt, the run that is kept, and which experts an answer is owed to.

use super::*;
use crate::eval::{Attribution, Compared, Effect as Taken};
use crate::routing::RouterConfig;
use crate::tui::{AppEffect, Study};

/// The routers of a comparison that was asked for, with its ticket.
fn comparison(effects: &[Effect]) -> (u64, Vec<String>) {
    let engine: Vec<&Effect> = effects.iter().filter(|effect| matches!(effect, Effect::Engine(_))).collect();
    let [Effect::Engine(EngineEffect::Study { ticket, study: Study::Compare { routers, .. } })] = engine[..]
    else {
        panic!("not one comparison: {effects:?}")
    };
    (*ticket, routers.iter().map(ToString::to_string).collect())
}

fn hear(screen: &mut RoutingScreen, shared: &Shared, message: EngineMessage) -> Vec<Effect> {
    screen.on_message(&Message::Engine(message), shared)
}

/// A router's part of a comparison is answered.
fn compared(
    screen: &mut RoutingScreen,
    shared: &Shared,
    ticket: u64,
    at: usize,
    text: &str,
    log: Option<f64>,
) {
    let trace = Synthetic::default().trace(&PROMPT);
    let (router, shares) = (RouterConfig::default(), Vec::new());
    let found = Compared {
        router,
        trace,
        shares,
        effective: 1.0,
        answer: None,
        log_probability: log,
        warnings: Vec::new(),
    };
    hear(screen, shared, EngineMessage::Compared { ticket, at, result: Ok(Arc::new(found)) });
    let text = text.to_string();
    hear(screen, shared, EngineMessage::ComparedText { ticket, at, text, done: true });
}

/// Another router, whose routing arrives; what is asked for then.
fn reroute(screen: &mut RoutingScreen, shared: &Shared, c: char) -> Vec<Effect> {
    let asked = ticket(&press(screen, shared, key(c)));
    let trace = Arc::new(Synthetic { experts: 12, width: 2, ..Synthetic::default() }.trace(&PROMPT));
    hear(screen, shared, EngineMessage::Trace { ticket: asked, trace, generating: false, milliseconds: 1.0 })
}

#[test]
fn routers_stand_side_by_side_and_only_what_is_missing_is_asked() {
    let (mut screen, shared) = routed();
    let (first, routers) = comparison(&press(&mut screen, &shared, key('a')));
    assert_eq!(routers, ["arrow"]);
    compared(&mut screen, &shared, first, 0, "12000 meters", None);
    assert!(!screen.is_animating(&shared));
    // The next router is compared as soon as it is routed.
    let (second, routers) = comparison(&reroute(&mut screen, &shared, '<'));
    assert_eq!(routers, ["arrow:k=2"]);
    assert!(screen.is_animating(&shared));
    let streamed = EngineMessage::ComparedText { ticket: second, at: 0, text: "12 k".into(), done: false };
    hear(&mut screen, &shared, streamed);
    let drawn = render(&screen, &shared, 160, 46);
    for line in ["›arrow:k=2  12 k", " arrow      12000 meters"] {
        assert!(drawn.contains(line), "{line}\n{drawn}");
    }
    assert!(drawn.contains("= sets an answer"), "{drawn}");
    // An answer to a study that is over changes nothing.
    compared(&mut screen, &shared, first, 0, "old", None);
    assert!(!render(&screen, &shared, 160, 46).contains("old"));
}

#[test]
fn a_reference_answer_is_typed_and_its_probability_compared() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('a'));
    // The present answer is offered; the first letter replaces it.
    press(&mut screen, &shared, key('='));
    assert!(screen.captures_text());
    assert!(render(&screen, &shared, 80, 24).contains("reference answer: 12000 meters"));
    for c in "12 km".chars() {
        press(&mut screen, &shared, key(c));
    }
    let effects = press(&mut screen, &shared, code(KeyCode::Enter));
    let [Effect::Engine(EngineEffect::Study { study: Study::Compare { reference, .. }, .. })] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(reference, "12 km");
    compared(&mut screen, &shared, comparison(&effects).0, 0, "12000 meters", Some(-2.31));
    let (next, _) = comparison(&reroute(&mut screen, &shared, '<'));
    compared(&mut screen, &shared, next, 0, "12 km", Some(-0.11));
    for (width, height) in [(120, 36), (160, 46)] {
        let drawn = render(&screen, &shared, width, height);
        assert!(drawn.contains("log p of \"12 km\""), "{drawn}");
        assert!(drawn.contains("-2.31") && drawn.contains("-0.11"), "{drawn}");
    }
    assert_screen!("compared_160x46", render(&screen, &shared, 160, 46));
    assert_screen!("compared_80x24", render(&screen, &shared, 80, 24));
}

#[test]
fn typing_ends_a_comparison_and_nothing_is_compared_while_one_types() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('a'));
    press(&mut screen, &shared, key('i'));
    let effects = press(&mut screen, &shared, key('!'));
    let [Effect::Engine(EngineEffect::EndStudies), Effect::Engine(EngineEffect::Route { ticket, .. })] =
        effects[..]
    else {
        panic!("{effects:?}")
    };
    let trace = Arc::new(Synthetic::default().trace(&PROMPT));
    let routed = EngineMessage::Trace { ticket, trace, generating: false, milliseconds: 1.0 };
    assert_eq!(hear(&mut screen, &shared, routed), []);
    // Back on the map it is.
    let (_, routers) = comparison(&press(&mut screen, &shared, code(KeyCode::Esc)));
    assert_eq!(routers, ["arrow"]);
    // Esc ends it.
    assert!(screen.hints(&shared).iter().any(|hint| hint.keys == "Esc"));
    let effects = press(&mut screen, &shared, code(KeyCode::Esc));
    assert_eq!(effects, [Effect::Engine(EngineEffect::EndStudies)]);
    assert!(!screen.is_animating(&shared) && render(&screen, &shared, 160, 46).contains("stopped"));
}

#[test]
fn a_run_is_kept_and_compared_with_what_is_shown() {
    let (mut screen, shared) = routed();
    let (kept, _) = comparison(&press(&mut screen, &shared, key('R')));
    assert_eq!(screen.experiment.reference, "12000 meters", "its answer is the reference where none was set");
    compared(&mut screen, &shared, kept, 0, "12000 meters", Some(-0.52));
    assert!(!render(&screen, &shared, 160, 46).contains("against the run"), "that is this run");
    let (next, _) = comparison(&reroute(&mut screen, &shared, '<'));
    compared(&mut screen, &shared, next, 0, "12 km", Some(-0.11));
    let drawn = render(&screen, &shared, 160, 46);
    for line in [
        "router   arrow → arrow:k=2",
        "entropy  0.93 → ",
        "winner   negate 26% → ",
        "answer   12000 meters → 12 km",
        "log p    -0.52 → -0.11 (+0.41)",
        " tokens",
    ] {
        assert!(drawn.contains(line), "{line}\n{drawn}");
    }
    // The same key on the run that is kept lets it go.
    reroute(&mut screen, &shared, '>');
    press(&mut screen, &shared, key('R'));
    assert!(screen.experiment.kept.is_none());
}

#[test]
fn what_an_answer_owes_to_experts_stands_beside_their_shares() {
    let (mut screen, shared) = routed();
    let effects = press(&mut screen, &shared, key('e'));
    let [Effect::Engine(EngineEffect::Study { ticket, study: Study::Attribute { answer, router, .. } })] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!((answer.as_str(), router.to_string().as_str()), ("12000 meters", "arrow"));
    assert!(render(&screen, &shared, 160, 46).contains("Esc stops"));
    let taken = |expert, effect: f64, control| Taken {
        expert,
        share: 0.2,
        effect,
        by_group: vec![effect / 2.0, effect / 2.0],
        control,
        scores: Default::default(),
    };
    let found = Attribution {
        routed: -0.3,
        base: -1.3,
        groups: vec![0..15, 15..30],
        experts: vec![taken(3, 0.62, 0.04), taken(4, -0.06, 0.0)],
    };
    hear(&mut screen, &shared, EngineMessage::Attributed { ticket: *ticket, result: Ok(Arc::new(found)) });
    for (width, height) in [(120, 36), (160, 46), (80, 24)] {
        let drawn = render(&screen, &shared, width, height);
        assert!(
            drawn.contains("D kilometers") && drawn.contains("-0.62") && drawn.contains("+0.06"),
            "{drawn}"
        );
        assert!(drawn.contains("Together 56% of what routing"), "{drawn}");
    }
    let drawn = render(&screen, &shared, 160, 46);
    assert!(drawn.contains("-0.31") && drawn.contains("15–29"), "by groups of layers: {drawn}");
    // Of another router it is said to be an earlier one.
    reroute(&mut screen, &shared, '<');
    assert!(render(&screen, &shared, 160, 46).contains("earlier run"));
}

#[test]
fn without_an_answer_there_is_nothing_to_explain() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    let asked = write(&mut screen, &shared, "fox");
    answer(&mut screen, &shared, asked, Synthetic::default().trace(&PROMPT[..5]), false);
    let said = press(&mut screen, &shared, key('e'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("g generates one")));
    // At most five routers are chosen.
    for _ in 0..5 {
        press(&mut screen, &shared, key('a'));
        press(&mut screen, &shared, key('>'));
    }
    let said = press(&mut screen, &shared, key('a'));
    assert!(
        matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("5 routers")),
        "{said:?}"
    );
}
