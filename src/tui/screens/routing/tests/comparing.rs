//! Several routers on one prompt: their answers, compared blindly and with a reference.

use super::reasons::explained;
use super::*;
use crate::eval::Compared;
use crate::routing::RouterConfig;
use crate::tui::{AppEffect, Study};

/// The routers of a comparison that was asked for, with its ticket.
pub fn comparison(effects: &[Effect]) -> (u64, Vec<String>) {
    let engine: Vec<&Effect> = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Engine(_)) && explained(effect).is_none())
        .collect();
    let [Effect::Engine(EngineEffect::Study { ticket, study: Study::Compare { routers, .. } })] = engine[..]
    else {
        panic!("not one comparison: {effects:?}")
    };
    (*ticket, routers.iter().map(ToString::to_string).collect())
}

/// A router's part of a comparison is answered.
pub fn compared(
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
pub fn reroute(screen: &mut RoutingScreen, shared: &Shared, c: char) -> Vec<Effect> {
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
    // An answer to a study that has ended changes nothing.
    compared(&mut screen, &shared, first, 0, "too late", None);
    assert!(!render(&screen, &shared, 160, 46).contains("too late"));
}

#[test]
fn answers_are_compared_blindly() {
    let (mut screen, shared) = routed();
    let said = press(&mut screen, &shared, key('B'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("side by side")));
    let (first, _) = comparison(&press(&mut screen, &shared, key('a')));
    compared(&mut screen, &shared, first, 0, "12000 meters", Some(-2.31));
    let (second, _) = comparison(&reroute(&mut screen, &shared, '<'));
    compared(&mut screen, &shared, second, 0, "12 km", Some(-0.11));
    assert!(render(&screen, &shared, 160, 46).contains("arrow:k=2"));
    press(&mut screen, &shared, key('B'));
    for (width, height) in [(80, 24), (160, 46), (200, 60)] {
        let drawn = render(&screen, &shared, width, height);
        assert!(!drawn.contains("arrow:k=2") && !drawn.contains("-0.11"), "{drawn}");
        assert!(!drawn.contains("╭ answer"), "the box would say which one it is: {drawn}");
        for text in ["answers, blind", "answer 1", "answer 2", "12000 meters", "12 km"] {
            assert!(drawn.contains(text), "{text}\n{drawn}");
        }
    }
    press(&mut screen, &shared, key('B'));
    assert!(render(&screen, &shared, 160, 46).contains("arrow:k=2"));
}

#[test]
fn nothing_says_whose_the_answers_are_while_they_are_compared_blindly() {
    let (mut screen, shared) = routed();
    let (first, _) = comparison(&press(&mut screen, &shared, key('a')));
    compared(&mut screen, &shared, first, 0, "twelve thousand", Some(-2.31));
    let (second, _) = comparison(&reroute(&mut screen, &shared, '<'));
    compared(&mut screen, &shared, second, 0, "12 km", Some(-0.11));
    for map in [false, true] {
        if map {
            press(&mut screen, &shared, key('z'));
        }
        press(&mut screen, &shared, key('B'));
        for (width, height) in SIZES.into_iter().chain([SMALLEST]) {
            let drawn = render(&screen, &shared, width, height);
            // The router, what it found, and its own answer, which stands in the routing's text.
            for text in ["top 2", "Arrow", "arrow", "negate", "kilometers»", "12000", "layers", "cost"] {
                assert!(!drawn.contains(text), "{text}\n{drawn}");
            }
            assert!(height < 10 || drawn.contains("answer 2"), "{drawn}");
        }
        // Keys that look at the routing or change the router say why they do nothing, and are not offered.
        for c in "rtTc<>aeRdxXps[]/mzb=hjkl".chars() {
            let router = screen.question.router.clone();
            let effects = screen.on_key(key(c), &shared);
            // Where a line of text would open, it is said there, until one goes back.
            if matches!(c, '/' | '=') {
                assert!(screen.captures_text() && effects.is_some_and(|effects| effects.is_empty()), "{c}");
                assert!(render(&screen, &shared, 80, 24).contains("Esc: Answers are compared blindly"));
                press(&mut screen, &shared, code(KeyCode::Esc));
            } else {
                let said = |effect: &Effect| matches!(effect, Effect::App(AppEffect::Notice(text)) if text.contains("compared blindly"));
                assert!(effects.is_none_or(|effects| effects.iter().any(said)), "{c}");
            }
            assert_eq!(screen.question.router, router);
            assert!(!screen.hints(&shared).iter().any(|hint| hint.keys == c.to_string()), "{c}");
        }
        press(&mut screen, &shared, key('B'));
    }
    // When an answer comes says whose it is, so that they come together.
    let (third, _) = comparison(&reroute(&mut screen, &shared, '<'));
    press(&mut screen, &shared, key('B'));
    assert!(!render(&screen, &shared, 160, 46).contains("twelve thousand"));
    compared(&mut screen, &shared, third, 0, "1.2e4", None);
    let drawn = render(&screen, &shared, 160, 46);
    assert!(["twelve thousand", "1.2e4"].iter().all(|text| drawn.contains(text)), "{drawn}");
}

#[test]
fn blind_answers_stand_in_an_order_drawn_by_lot() {
    let (mut screen, mut shared) = routed();
    let (first, _) = comparison(&press(&mut screen, &shared, key('a')));
    compared(&mut screen, &shared, first, 0, "one", None);
    let (second, _) = comparison(&reroute(&mut screen, &shared, '<'));
    compared(&mut screen, &shared, second, 0, "two", None);
    press(&mut screen, &shared, key('a'));
    let (third, _) = comparison(&reroute(&mut screen, &shared, '<'));
    compared(&mut screen, &shared, third, 0, "three", None);
    let shown = screen.experiment.order();
    assert_eq!(shown, [0, 1, 2]);
    let mut orders = Vec::new();
    for time in 0..600 {
        shared.now = 1.7e9 + f64::from(time) * 0.37;
        press(&mut screen, &shared, key('B'));
        orders.push(screen.experiment.order());
        // It stays while it is looked at.
        shared.now += 5.0;
        assert_eq!(orders.last(), Some(&screen.experiment.order()));
        press(&mut screen, &shared, key('B'));
    }
    orders.sort();
    let counts: Vec<usize> = orders.chunk_by(|a, b| a == b).map(<[_]>::len).collect();
    // Each of the six about as often as any other.
    assert!(counts.len() == 6 && counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
}

#[test]
fn a_reference_belongs_to_its_prompt() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('='));
    for c in "12 km".chars() {
        press(&mut screen, &shared, key(c));
    }
    press(&mut screen, &shared, code(KeyCode::Enter));
    let now = screen.question.asked();
    assert_eq!(screen.experiment.reference(&now), "12 km");
    // Under another prompt there is none, and the present answer is offered; back at this one it is there again.
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, key('!'));
    press(&mut screen, &shared, code(KeyCode::Esc));
    assert_eq!(screen.experiment.reference(&screen.question.asked()), "");
    assert!(!render(&screen, &shared, 160, 46).contains("log p of"));
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, code(KeyCode::Backspace));
    press(&mut screen, &shared, code(KeyCode::Esc));
    assert_eq!(screen.experiment.reference(&screen.question.asked()), "12 km");
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
fn an_answer_of_several_lines_is_taken_whole() {
    let (mut screen, shared) = routed();
    screen.exchange.answer.as_mut().unwrap().text = "one\n\ttwo".into();
    press(&mut screen, &shared, key('='));
    press(&mut screen, &shared, code(KeyCode::Enter));
    assert_eq!(screen.experiment.reference(&screen.question.asked()), "one\n\ttwo");
}

#[test]
fn an_old_answer_makes_way_for_that_among_the_compared() {
    let (mut screen, shared) = routed();
    let (first, _) = comparison(&press(&mut screen, &shared, key('a')));
    compared(&mut screen, &shared, first, 0, "12000 meters", None);
    press(&mut screen, &shared, key('i'));
    let effects = press(&mut screen, &shared, key('!'));
    press(&mut screen, &shared, code(KeyCode::Esc));
    assert!(render(&screen, &shared, 160, 46).contains("answer to an earlier prompt"));
    let (asked, trace) = (ticket(&effects), Arc::new(Synthetic::default().trace(&PROMPT)));
    let routed = EngineMessage::Trace { ticket: asked, trace, generating: false, milliseconds: 1.0 };
    let (next, _) = comparison(&hear(&mut screen, &shared, routed));
    compared(&mut screen, &shared, next, 0, "13000 meters", None);
    let drawn = render(&screen, &shared, 160, 46);
    assert!(drawn.contains("13000 meters") && !drawn.contains("answer to an earlier prompt"), "{drawn}");
}

#[test]
fn names_of_routers_take_what_answers_leave() {
    let (mut screen, shared) = routed();
    screen.question.router = "norm:k=3:temperature=0.3:calibrated:prior=8".parse().unwrap();
    let asked = ticket(&press(&mut screen, &shared, key('w')));
    let trace = Arc::new(Synthetic::default().trace(&PROMPT));
    hear(
        &mut screen,
        &shared,
        EngineMessage::Trace { ticket: asked, trace, generating: false, milliseconds: 1.0 },
    );
    let (first, _) = comparison(&press(&mut screen, &shared, key('a')));
    compared(&mut screen, &shared, first, 0, "12 km", None);
    let drawn = render(&screen, &shared, 160, 46);
    assert!(drawn.contains("›norm:k=3:temperature=0.3:calibrated:prior=8  12 km"), "{drawn}");
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
    let effects = hear(&mut screen, &shared, routed);
    assert!(effects.iter().all(|effect| explained(effect).is_some()), "{effects:?}");
    // Back on the map it is.
    let (_, routers) = comparison(&press(&mut screen, &shared, code(KeyCode::Esc)));
    assert_eq!(routers, ["arrow"]);
    // Esc ends it.
    assert!(screen.hints(&shared).iter().any(|hint| hint.keys == "Esc"));
    let effects = press(&mut screen, &shared, code(KeyCode::Esc));
    assert_eq!(effects, [Effect::Engine(EngineEffect::EndStudies)]);
    assert!(!screen.is_animating(&shared) && render(&screen, &shared, 160, 46).contains("stopped"));
    // The next answer brings it along.
    press(&mut screen, &shared, key('g'));
    let asked = screen.exchange.ticket;
    let trace = Arc::new(Synthetic::default().trace(&PROMPT));
    let done = EngineMessage::Trace { ticket: asked, trace, generating: false, milliseconds: 1.0 };
    let effects = hear(&mut screen, &shared, done);
    assert!(
        effects.iter().any(|effect| {
            matches!(effect, Effect::Engine(EngineEffect::Study { study: Study::Compare { .. }, .. }))
        }),
        "{effects:?}"
    );
}

#[test]
fn the_smallest_screens_have_a_row_for_the_present_router() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('a'));
    for _ in 0..4 {
        reroute(&mut screen, &shared, '>');
        press(&mut screen, &shared, key('a'));
    }
    for (width, height) in [SMALLEST, (40, 8), (72, 6), (120, 7)] {
        let drawn = render(&screen, &shared, width, height);
        let present = drawn.lines().any(|line| line.starts_with("›arrow"));
        assert!(present, "{width}×{height}:\n{drawn}");
        let counted = drawn.lines().any(|line| line.starts_with("›arrow") && line.contains(" +"))
            || drawn.contains("more: they need");
        let all = drawn.lines().filter(|line| line.contains("arrow:k=")).count() >= 5;
        assert!(counted != all, "who has no row is counted, {width}×{height}:\n{drawn}");
    }
    press(&mut screen, &shared, key('B'));
    let drawn = render(&screen, &shared, SMALLEST.0, SMALLEST.1);
    assert!(drawn.contains("answer 1") && drawn.contains("more: they need more rows"), "{drawn}");
}
