//! Keys that change the router, and who takes part.

use super::*;
use crate::catalog::Catalog;
use crate::routing::{Needs, Preparation, Preparing, ROUTERS, Router, RouterConfig, TOP_K};
use crate::tui::AppEffect;

/// Presses the key for the next router until it is this one; what the last one did.
pub fn to(screen: &mut RoutingScreen, shared: &Shared, id: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for _ in ROUTERS {
        if screen.question.router.head() == id {
            break;
        }
        effects = press(screen, shared, key('r'));
    }
    effects
}

#[test]
fn scores_are_calibrated_and_taken_as_they_are_by_one_key() {
    let (mut screen, shared) = routed();
    let effects = press(&mut screen, &shared, key('c'));
    assert!(screen.question.router.needs_calibration());
    let asked = ticket(&effects);
    let at = |done| Preparing { what: Preparation::Calibration, done, all: 264, left: None };
    let step = |done| EngineMessage::Calibrating { ticket: asked, step: at(done) };
    screen.on_message(&Message::Engine(step(12)), &shared);
    assert_eq!(screen.exchange.pending.unwrap().calibration, Some(at(12)));
    let later = Shared { now: shared.now + 2.0, ..shared };
    let drawn = render(&screen, &later, 120, 40);
    assert!(drawn.contains("calibrating 12 of 264 prompts") && drawn.contains("· calibrated"), "{drawn}");
    // The answer that is shown is that before: there is nothing of this one.
    press(&mut screen, &later, key('g'));
    let later = Shared { now: later.now + 2.0, ..later };
    let drawn = render(&screen, &later, 120, 40);
    assert!(drawn.contains("preparing") && !drawn.contains("generating"), "{drawn}");
    let asked = screen.exchange.ticket;
    let step = |done| EngineMessage::Calibrating { ticket: asked, step: at(done) };
    screen.on_message(&Message::Engine(step(83)), &later);
    assert!(render(&screen, &later, 120, 40).contains("calibrating 83 of 264 prompts"));
    screen.on_message(&Message::Engine(step(264)), &later);
    assert_eq!(screen.exchange.pending.unwrap().calibration, None);
    press(&mut screen, &later, key('c'));
    assert!(!screen.question.router.needs_calibration());
    to(&mut screen, &later, "uniform");
    let said = press(&mut screen, &later, key('c'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(_))]), "{said:?}");
}

#[test]
fn the_router_cycles_through_all_that_can_be_used() {
    let (mut screen, shared) = routed();
    let needs_data = |router: &Router| {
        RouterConfig::of(ROUTERS.iter().find(|r| *r == router).unwrap()).needs() >= Needs::OwnData
    };
    let all: Vec<&Router> = ROUTERS.iter().filter(|router| router.cycles).collect();
    assert!(all.len() > 12 && all.iter().any(|router| needs_data(router)));
    // Without data of the experts' own, those that need it are passed over, and it is said.
    let mut said = Vec::new();
    for router in all.iter().skip(1).chain(all.first()).copied().filter(|router| !needs_data(router)) {
        said.extend(press(&mut screen, &shared, key('r')));
        assert_eq!(screen.question.router.router, router);
    }
    let reason =
        |effect: &Effect| matches!(effect, Effect::App(AppEffect::Notice(text)) if text.contains("centroid"));
    assert!(said.iter().any(reason), "{said:?}");
    // With it, every one of them.
    let examples = EngineMessage::Examples { prompts: Vec::new(), has_data: true };
    screen.on_message(&Message::Engine(examples), &shared);
    for router in all.iter().skip(1).chain(all.first()) {
        let effects = press(&mut screen, &shared, key('r'));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::App(_))), "{effects:?}");
        let config = &screen.question.router;
        assert_eq!(config.router, *router);
        config.check().unwrap();
        let names_one = Synthetic::default().experts().contains(&config.argument);
        assert_eq!(router.names_expert(), names_one, "{}", config.head());
    }
}

#[test]
fn after_the_last_router_comes_the_library_s_own_again() {
    let (mut screen, shared) = routed();
    let own: RouterConfig = "norm:k=3:temperature=0.3:calibrated:prior=8".parse().unwrap();
    screen.question.router = own.clone();
    let texts: Vec<String> = (0..2)
        .flat_map(|_| {
            let mut round = Vec::new();
            loop {
                press(&mut screen, &shared, key('r'));
                round.push(screen.question.router.to_string());
                if screen.question.router == own {
                    break round;
                }
                assert!(round.len() < 40, "{round:?}");
            }
        })
        .collect();
    // Twice the same round, which begins with plain Arrow.
    let (one, two) = texts.split_at(texts.len() / 2);
    assert_eq!(one, two);
    assert_eq!(one[0], "arrow");
    assert!(one.len() > 8, "{one:?}");
}

#[test]
fn a_router_is_what_a_command_has_that_names_it() {
    let (mut screen, shared) = routed();
    let mut library = library(&Synthetic::default().experts());
    library.manifest.router.default = Some("norm:k=3:temperature=0.3:calibrated:prior=8".into());
    (library.manifest.router.top_k, library.manifest.router.temperature) = (2, 0.1);
    let read: Arc<Catalog> = Arc::new(library.into());
    let shared = Shared { library: Some(read.clone()), ..shared };
    screen.on_message(&Message::Library(Ok(read)), &shared);
    let default = screen.question.router.to_string();
    assert_eq!(default, "norm:k=3:temperature=0.3:calibrated:prior=8");
    let mut seen = Vec::new();
    loop {
        press(&mut screen, &shared, key('r'));
        let router = &screen.question.router;
        if router.to_string() == default {
            break;
        }
        // As `--router ID` fills it from library.toml.
        let mut named: RouterConfig = router.head().parse().unwrap();
        named.fill_from(&shared.library.as_ref().unwrap().manifest);
        assert_eq!(*router, named);
        seen.push(router.to_string());
        assert!(seen.len() < 40, "{seen:?}");
    }
    assert_eq!(seen[0], "arrow:k=2:temperature=0.1");
    // What a person chose stays.
    press(&mut screen, &shared, key('r'));
    press(&mut screen, &shared, key('>'));
    press(&mut screen, &shared, key('r'));
    assert_eq!(screen.question.router.values.count(&TOP_K), 3);
    assert!((screen.question.router.values.number(&crate::routing::TEMPERATURE) - 0.1).abs() < 1e-12);
}

#[test]
fn top_k_runs_from_one_to_all() {
    let (mut screen, shared) = routed();
    for _ in 0..5 {
        press(&mut screen, &shared, key('<'));
    }
    assert_eq!(screen.question.router.values.count(&TOP_K), 1);
    for _ in 0..20 {
        press(&mut screen, &shared, key('>'));
    }
    assert_eq!(screen.question.router.values.count(&TOP_K), 0, "all");
    press(&mut screen, &shared, key('<'));
    assert_eq!(screen.question.router.values.count(&TOP_K), 11);
}

#[test]
fn a_muted_expert_stays_chosen_so_that_the_same_key_brings_it_back() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('x'));
    let muted = screen.question.router.muted.clone();
    assert_eq!(muted.len(), 1);
    assert!(render(&screen, &shared, 80, 24).contains("1 muted"));
    press(&mut screen, &shared, key('x'));
    assert!(screen.question.router.muted.is_empty());
    for _ in 0..11 {
        press(&mut screen, &shared, key('x'));
        press(&mut screen, &shared, key(']'));
    }
    let last = press(&mut screen, &shared, key('x'));
    // A notice, which the next key takes away.
    let stays =
        |effect: &Effect| matches!(effect, Effect::App(AppEffect::Notice(text)) if text.contains("last"));
    assert!(last.iter().any(stays), "somebody must stay: {last:?}");
    assert_eq!(screen.question.router.muted.len(), 11);
}

#[test]
fn routers_that_do_not_mix_say_nothing_of_muted_experts() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('x'));
    let muted = screen.question.router.muted.clone();
    for router in ["single", "base"] {
        match router {
            "single" => press(&mut screen, &shared, key('s')),
            other => to(&mut screen, &shared, other),
        };
        let drawn = render(&screen, &shared, 120, 40);
        assert!(!drawn.contains("muted"), "{drawn}");
        assert!(!screen.hints(&shared).iter().any(|binding| matches!(binding.keys.as_str(), "x" | "X")));
        for c in ['x', 'X'] {
            let said = press(&mut screen, &shared, key(c));
            assert!(
                matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.starts_with("Muting needs Arrow, ") && text.ends_with(" or random (press r).")),
                "{said:?}"
            );
        }
    }
    to(&mut screen, &shared, "arrow");
    assert_eq!(screen.question.router.head(), "arrow");
    assert_eq!(screen.question.router.muted, muted, "kept for the routers that mix");
    assert!(render(&screen, &shared, 120, 40).contains("1 muted"));
}

#[test]
fn routers_without_a_choice_are_shown_as_what_they_are() {
    let (mut screen, shared) = routed();
    let next = ticket(&to(&mut screen, &shared, "uniform"));
    let uniform = Synthetic { width: 12, uniform: true, ..Synthetic::default() }.trace(&PROMPT);
    answer(&mut screen, &shared, next, uniform, false);
    assert!(render(&screen, &shared, 120, 40).contains("nothing is chosen"));
    press(&mut screen, &shared, key('z'));
    let shown = render(&screen, &shared, 120, 40);
    assert!(
        shown.contains("same weight everywhere") && shown.contains("===") | shown.contains("= = ="),
        "{shown}"
    );
    let next = ticket(&to(&mut screen, &shared, "base"));
    let base = Trace::new(Arc::default(), Arc::default(), 1);
    answer(&mut screen, &shared, next, base, false);
    assert!(render(&screen, &shared, 120, 40).contains("no experts"));
}

#[test]
fn a_library_that_lost_an_expert_routes_without_it() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('x'));
    assert_eq!(screen.question.router.muted.len(), 1);
    let smaller: Arc<Catalog> = Arc::new(library(&["sum".to_string(), "spam".to_string()]).into());
    let shared = Shared { library: Some(smaller.clone()), ..shared };
    let effects = screen.on_message(&Message::Library(Ok(smaller)), &shared);
    assert!(screen.question.router.muted.is_empty());
    assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Route { .. })]));
}

#[test]
fn experts_that_are_left_alone_and_muted_speak_again() {
    let (mut screen, shared) = routed();
    screen.question.router.muted = vec!["sum".into(), "spam".into()];
    let both = Arc::new(library(&["sum".to_string(), "spam".to_string()]).into());
    screen.on_message(&Message::Library(Ok(both)), &shared);
    assert!(screen.question.router.muted.is_empty());
}

#[test]
fn a_pinned_expert_is_chosen_everywhere_until_the_same_key_lets_it_go() {
    let (mut screen, shared) = routed();
    let effects = press(&mut screen, &shared, key('p'));
    let pinned = screen.question.router.pinned.clone();
    assert_eq!(pinned, ["negate"]);
    assert!(
        matches!(&effects[..], [Effect::Engine(EngineEffect::Route { router, .. })] if router.pinned == pinned)
    );
    let drawn = render(&screen, &shared, 160, 46);
    assert!(drawn.contains("1 pinned") && drawn.contains(" pinned "), "{drawn}");
    press(&mut screen, &shared, key('p'));
    assert!(screen.question.router.pinned.is_empty());
    // Who is muted cannot be pinned, and a pinned one that is muted is let go.
    press(&mut screen, &shared, key('p'));
    press(&mut screen, &shared, key('x'));
    assert!(screen.question.router.pinned.is_empty());
    let said = press(&mut screen, &shared, key('p'));
    assert!(
        matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("muted")),
        "{said:?}"
    );
    to(&mut screen, &shared, "uniform");
    let said = press(&mut screen, &shared, key('p'));
    assert!(
        matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.starts_with("Pinning needs Arrow")),
        "{said:?}"
    );
}
