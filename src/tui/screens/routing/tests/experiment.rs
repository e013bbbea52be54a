//! Several routers on one prompt, the run that is kept, and which experts an answer is owed to.

use super::*;
use crate::eval::{Attribution, Compared, Effect as Taken};
use crate::routing::{RouterConfig, Why, WhyExpert, WhyModule};
use crate::tui::{AppEffect, Cost, Speed, Study};

/// The routers of a comparison that was asked for, with its ticket.
fn comparison(effects: &[Effect]) -> (u64, Vec<String>) {
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
fn reasons(token: usize, score: f32) -> Arc<Why> {
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
        assert!(drawn.contains("1.234") && drawn.contains("40%") && drawn.contains("0.80"), "{drawn}");
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
            let said = |effect: &Effect| matches!(effect, Effect::App(AppEffect::Notice(text)) if text.contains("compared blindly"));
            assert!(effects.is_none_or(|effects| effects.iter().any(said)), "{c}");
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
fn what_was_asked_stands_below_the_map_too() {
    let (mut screen, shared) = routed();
    for zoom in ["layers", "modules"] {
        press(&mut screen, &shared, key('z'));
        press(&mut screen, &shared, key('e'));
        for (width, height) in [(80, 24), (120, 36), (160, 46), (200, 60), (60, 20)] {
            let drawn = render(&screen, &shared, width, height);
            assert!(drawn.contains("taking experts out") && drawn.contains("Esc stops"), "{zoom}\n{drawn}");
            assert!(drawn.contains("›«·kilom"), "{drawn}");
        }
    }
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
fn what_moved_against_the_run_kept_is_a_map_and_a_line() {
    let (mut screen, shared) = routed();
    let said = press(&mut screen, &shared, key('d'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("R keeps this one")));
    press(&mut screen, &shared, key('R'));
    let asked = ticket(&press(&mut screen, &shared, key('<')));
    // One choice of one layer is another: the leader of " kilometers" in the first layer's modules.
    let before = Synthetic::default().trace(&PROMPT);
    let mut now = Trace::new(before.modules.clone(), before.experts.clone(), 3);
    for (t, token) in before.tokens.iter().enumerate() {
        let mut entries: Vec<(u32, f32)> = Vec::new();
        for module in 0..before.modules.len() {
            match t == 6 && module < 4 {
                true => entries.extend([(11, 1.0), (0, 0.0), (0, 0.0)]),
                false => entries.extend_from_slice(before.weights(t, module)),
            }
        }
        now.push(token.clone(), &entries);
    }
    answer(&mut screen, &shared, asked, now, false);
    let drawn = render(&screen, &shared, 160, 46);
    assert!(drawn.contains("have another winner, 12% in layer 0"), "{drawn}");
    assert!(drawn.contains("d maps it"), "{drawn}");
    press(&mut screen, &shared, key('d'));
    let drawn = render(&screen, &shared, 160, 46);
    let row = |word: &str| drawn.lines().find(|line| line.contains(word)).unwrap().to_string();
    let cells = |row: &str| -> String {
        let map = row.split('»').nth(1).unwrap().chars().take(30 * 2);
        map.filter(|c| !c.is_whitespace()).collect()
    };
    assert!(cells(&row("«·kilometers»")).starts_with("L··"), "{drawn}");
    assert!(cells(&row("«·into»")).starts_with("···"), "{drawn}");
    assert!(drawn.contains("· as under arrow") && drawn.contains("what moved"), "{drawn}");
    // The same key, or the whole again, ends it.
    press(&mut screen, &shared, key('d'));
    assert!(!render(&screen, &shared, 160, 46).contains("what moved"));
    // With another prompt there is nothing to compare.
    press(&mut screen, &shared, key('i'));
    screen.on_paste("?", &shared);
    press(&mut screen, &shared, code(KeyCode::Esc));
    let asked = screen.exchange.ticket;
    answer(&mut screen, &shared, asked, Synthetic::default().trace(&PROMPT[..5]), false);
    let said = press(&mut screen, &shared, key('d'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("another prompt")));
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
        assert!(row.contains("0.0%") && !row.contains("›·"), "{drawn}");
    }
    // Back at the strongest with the key that goes round.
    press(&mut screen, &shared, key(']'));
    assert!(render(&screen, &shared, 80, 24).contains("more with"));
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
    // An answer to a study that has ended changes nothing.
    compared(&mut screen, &shared, first, 0, "too late", None);
    assert!(!render(&screen, &shared, 160, 46).contains("too late"));
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
fn a_run_is_kept_and_compared_with_what_is_shown() {
    let (mut screen, shared) = routed();
    let (kept, _) = comparison(&press(&mut screen, &shared, key('R')));
    let now = screen.question.asked();
    assert_eq!(screen.experiment.reference(&now), "", "an answer is no right one because it was kept");
    compared(&mut screen, &shared, kept, 0, "12000 meters", None);
    press(&mut screen, &shared, key('='));
    let (kept, _) = comparison(&press(&mut screen, &shared, code(KeyCode::Enter)));
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
    let later = Shared { now: shared.now + 51.0, ..shared };
    for (width, height) in [(80, 24), (120, 36), (160, 46)] {
        let drawn = render(&screen, &later, width, height);
        assert!(drawn.contains("51s · Esc stops") && drawn.contains("taking experts out"), "{drawn}");
    }
    let shared = later;
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
