//! Which experts an answer is owed to.

use super::comparing::reroute;
use super::*;
use crate::eval::{Attribution, Effect as Taken};
use crate::tui::{AppEffect, Study};

/// An expert whose whole effect is in the first group of layers.
fn taken((expert, effect): (usize, f64)) -> Taken {
    Taken {
        expert,
        share: 0.2,
        effect,
        by_group: vec![effect, 0.0],
        control: 0.0,
        scores: Default::default(),
    }
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
        assert!(drawn.contains("Together 56 % of what routing"), "{drawn}");
    }
    let drawn = render(&screen, &shared, 160, 46);
    assert!(drawn.contains("-0.31") && drawn.contains("15–29"), "by groups of layers: {drawn}");
    // Of another router it is said to be an earlier one.
    reroute(&mut screen, &shared, '<');
    assert!(render(&screen, &shared, 160, 46).contains("earlier run"));
}

#[test]
fn experts_without_room_are_counted_and_the_strongest_are_shown() {
    let (mut screen, shared) = routed();
    let effects = press(&mut screen, &shared, key('e'));
    let [Effect::Engine(EngineEffect::Study { ticket, .. })] = &effects[..] else { panic!("{effects:?}") };
    let effects = [(0, 0.01), (3, 15.09), (1, 0.02), (2, 0.0), (5, -0.01), (4, -7.5)];
    let found = Attribution {
        routed: -0.3,
        base: -1.3,
        groups: vec![0..15, 15..30],
        experts: effects.map(taken).to_vec(),
    };
    hear(&mut screen, &shared, EngineMessage::Attributed { ticket: *ticket, result: Ok(Arc::new(found)) });
    let drawn = render(&screen, &shared, 80, 22);
    let row =
        |text: &str| drawn.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{drawn}"));
    assert!(drawn.contains("why: 2 of 6 experts change of log p"), "{drawn}");
    assert!(row("kilometers") < row("-15.09") + 1 && row("-15.09") < row("+7.50"), "{drawn}");
    let drawn = render(&screen, &shared, 200, 60);
    assert!(drawn.contains("why change of log p of \"12000 meters\" without …"), "{drawn}");
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
fn the_smallest_screens_have_a_row_for_what_was_asked() {
    for zooms in 0..3 {
        let (mut screen, shared) = routed();
        (0..zooms).for_each(|_| drop(press(&mut screen, &shared, key('z'))));
        let effects = press(&mut screen, &shared, key('e'));
        let [Effect::Engine(EngineEffect::Study { ticket, .. })] = &effects[..] else {
            panic!("{effects:?}")
        };
        let sizes = [SMALLEST, (40, 8), (40, 10), (72, 6), (120, 7)];
        for (width, height) in sizes {
            let drawn = render(&screen, &shared, width, height);
            assert!(drawn.contains("Esc stops"), "{width}×{height}, {zooms}:\n{drawn}");
        }
        let found = Attribution {
            routed: -0.3,
            base: -1.3,
            groups: vec![0..15, 15..30],
            experts: vec![taken((4, 0.06)), taken((3, 0.62))],
        };
        hear(
            &mut screen,
            &shared,
            EngineMessage::Attributed { ticket: *ticket, result: Ok(Arc::new(found)) },
        );
        for (width, height) in sizes {
            let drawn = render(&screen, &shared, width, height);
            let row = drawn.lines().find(|line| line.contains("-0.62")).unwrap_or_default();
            assert!(row.contains("kilo"), "the strongest first, {width}×{height}, {zooms}:\n{drawn}");
            let map = zooms == 0 || drawn.contains("›«");
            assert!(map, "{width}×{height}, {zooms}:\n{drawn}");
        }
        // What was asked of an earlier run makes way.
        reroute(&mut screen, &shared, '<');
        let drawn = render(&screen, &shared, SMALLEST.0, SMALLEST.1);
        assert!(!drawn.contains("without") && !drawn.contains("-0.62"), "{zooms}:\n{drawn}");
    }
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
