//! What keys ask for, and what stands in the prompt box.

use super::reasons::explained;
use super::routers::to;
use super::*;
use crate::routing::{TEMPERATURE, titles};
use crate::tui::testing::ctrl;
use crate::tui::{AppEffect, PromptsEffect, TriedPrompt};

#[test]
fn every_change_asks_anew_and_old_answers_are_dropped() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    assert!(screen.captures_text());
    let first = ticket(&press(&mut screen, &shared, key('a')));
    let second = ticket(&press(&mut screen, &shared, key('b')));
    assert!(second > first);
    assert!(screen.is_animating(&shared));
    answer(&mut screen, &shared, first, Synthetic::default().trace(&PROMPT[..3]), false);
    assert!(screen.exchange.shown.is_none(), "a stale answer is not shown");
    answer(&mut screen, &shared, second, Synthetic::default().trace(&PROMPT[..5]), false);
    assert_eq!(screen.exchange.shown.as_ref().map(|s| s.trace.tokens.len()), Some(5));
    assert!(!screen.is_animating(&shared));
    let third = press(&mut screen, &shared, key('c'));
    assert!(matches!(&third[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == "abc"));
    assert!(screen.exchange.is_stale());
    assert!(render(&screen, &shared, 80, 24).contains("updating"));
}

#[test]
fn keys_that_move_ask_for_reasons_at_most_and_keys_that_route_do() {
    let (mut screen, shared) = routed();
    for c in "hjklmz[]".chars() {
        let effects = press(&mut screen, &shared, key(c));
        assert!(effects.iter().all(|effect| explained(effect).is_some()), "{c}: {effects:?}");
    }
    for c in "rtTxXw<>".chars() {
        let (mut screen, shared) = routed();
        if c == 'X' {
            press(&mut screen, &shared, key('x'));
        }
        let effects = press(&mut screen, &shared, key(c));
        assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Route { .. })]), "{c}: {effects:?}");
    }
    assert!(screen.on_key(key('Q'), &shared).is_none());
}

#[test]
fn keys_without_a_use_are_not_offered() {
    let (mut screen, shared) = routed();
    let offered = |screen: &RoutingScreen| -> Vec<String> {
        let footer = screen.hints(&shared).into_iter().filter(|hint| !hint.short.is_empty());
        footer.map(|hint| hint.keys).collect()
    };
    let has = |screen: &RoutingScreen, keys: &str| offered(screen).iter().any(|k| k == keys);
    assert!(has(&screen, "t T") && !has(&screen, "X"));
    press(&mut screen, &shared, key('x'));
    assert!(has(&screen, "X"));
    to(&mut screen, &shared, "uniform");
    assert_eq!(screen.question.router.head(), "uniform");
    assert!(!has(&screen, "t T") && has(&screen, "x"));
    let said = press(&mut screen, &shared, key('t'));
    let [Effect::App(AppEffect::Notice(text))] = &said[..] else { panic!("{said:?}") };
    let who = titles(|router| router.has(&TEMPERATURE));
    assert!(who.starts_with("Arrow, subspace, ") && !who.contains("uniform"), "{who}");
    assert_eq!(*text, format!("Temperature applies to {who} only (press r)."));
    to(&mut screen, &shared, "base");
    assert_eq!(screen.question.router.head(), "base");
    assert!(!["t T", "[ ]", "x", "s", "←→"].iter().any(|keys| has(&screen, keys)));
    assert!(offered(&RoutingScreen::new()).iter().all(|keys| ["i", "n", "Ctrl-G"].contains(&keys.as_str())));
}

#[test]
fn an_empty_prompt_stops_what_runs_and_clears_the_map() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, key('a'));
    assert_eq!(press(&mut screen, &shared, code(KeyCode::Backspace)), [Effect::Engine(EngineEffect::Stop)]);
    assert!(screen.exchange.shown.is_none() && !screen.is_animating(&shared));
    assert_eq!(press(&mut screen, &shared, code(KeyCode::Enter)), [], "nothing to generate from");
}

#[test]
fn failures_are_a_line_and_the_next_change_clears_them() {
    let (mut screen, shared) = routed();
    let ticket = ticket(&press(&mut screen, &shared, key('w')));
    let error = "the prompt has 9000 tokens, the context 8192: shorten it".to_string();
    screen.on_message(&Message::Engine(EngineMessage::Failed { ticket, error, blamed: None }), &shared);
    assert!(render(&screen, &shared, 80, 24).contains("shorten it"));
    press(&mut screen, &shared, key('w'));
    assert!(!render(&screen, &shared, 80, 24).contains("shorten it"));
}

#[test]
fn an_expert_that_keeps_a_prompt_from_being_routed_can_be_muted() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    let asked = write(&mut screen, &shared, "fox");
    let error =
        "the expert past-tense makes values that are no numbers: at q its score overflows; leave it out";
    // Who is to blame is said beside the words, which may be any.
    let failed =
        EngineMessage::Failed { ticket: asked, error: error.into(), blamed: Some("past-tense".into()) };
    hear(&mut screen, &shared, failed);
    for (width, height) in SIZES {
        let drawn = render(&screen, &shared, width, height);
        assert!(height < 20 || drawn.contains("leave it out: x mutes it"), "{drawn}");
    }
    assert!(screen.hints(&shared).iter().any(|hint| hint.keys == "x"));
    // The experts of the library can be looked for, and no letter of what is typed is a command.
    press(&mut screen, &shared, key('/'));
    for c in "xnot".chars() {
        assert_eq!(press(&mut screen, &shared, key(c)), []);
    }
    assert!(screen.captures_text() && screen.question.muted().is_empty());
    (0..4).for_each(|_| _ = press(&mut screen, &shared, code(KeyCode::Backspace)));
    for c in "nym".chars() {
        press(&mut screen, &shared, key(c));
    }
    for (width, height) in SIZES.into_iter().chain([SMALLEST]) {
        let drawn = render(&screen, &shared, width, height);
        assert!(drawn.contains("1 of 12 found") || height < 12, "{drawn}");
    }
    let drawn = render(&screen, &shared, 80, 24);
    assert!(drawn.contains("/ nym") && drawn.contains("›antonym"), "{drawn}");
    press(&mut screen, &shared, code(KeyCode::Enter));
    assert!(render(&screen, &shared, 80, 24).contains("chosen: antonym"));
    let effects = press(&mut screen, &shared, key('x'));
    assert!(
        matches!(&effects[..], [Effect::Engine(EngineEffect::Route { router, .. })] if router.muted == ["antonym"]),
        "{effects:?}"
    );
    press(&mut screen, &shared, key('x'));
    // Who was chosen is no longer, and who is to blame is next.
    press(&mut screen, &shared, key('/'));
    press(&mut screen, &shared, code(KeyCode::Esc));
    let asked = screen.exchange.ticket;
    let failed =
        EngineMessage::Failed { ticket: asked, error: error.into(), blamed: Some("past-tense".into()) };
    hear(&mut screen, &shared, failed);
    let effects = press(&mut screen, &shared, key('x'));
    let [Effect::Engine(EngineEffect::Route { router, .. })] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(router.muted, ["past-tense"]);
    // Another failure leaves a way to bring it back.
    let ticket = ticket(&effects);
    hear(&mut screen, &shared, EngineMessage::Failed { ticket, error: "no".into(), blamed: None });
    let effects = press(&mut screen, &shared, key('X'));
    assert!(
        matches!(&effects[..], [Effect::Engine(EngineEffect::Route { router, .. })] if router.muted.is_empty()),
        "{effects:?}"
    );
}

#[test]
fn what_is_typed_after_a_key_that_opens_no_line_is_no_command() {
    let shared = shared(ready());
    let typed = |screen: &mut RoutingScreen, opens: KeyEvent, why: &str| {
        let (router, prompt) = (screen.question.router.clone(), screen.question.prompt.text());
        assert_eq!(press(screen, &shared, opens), []);
        for c in "Rxsrng/=[".chars() {
            assert_eq!(press(screen, &shared, key(c)), [], "{c} after {opens:?}");
        }
        assert_eq!(screen.on_paste("text", &shared), []);
        assert!(screen.captures_text());
        for (width, height) in SIZES.into_iter().chain([SMALLEST]) {
            let drawn = render(screen, &shared, width, height);
            assert!(drawn.contains(&format!("Esc: {why}")[..24.min(why.len() + 5)]), "{drawn}");
        }
        assert!(screen.hints(&shared).iter().any(|hint| hint.keys == "Esc" && hint.short == "back"));
        press(screen, &shared, code(KeyCode::Esc));
        assert!(!screen.captures_text());
        assert_eq!((&screen.question.router, screen.question.prompt.text()), (&router, prompt));
    };
    // Before there is anything: no routing, no prompt that was tried.
    let mut screen = RoutingScreen::new();
    // From the prompt box one comes back into it.
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, ctrl('r'));
    press(&mut screen, &shared, code(KeyCode::Esc));
    assert_eq!(press(&mut screen, &shared, key('q')).len(), 1, "it is routed");
    assert_eq!(screen.question.prompt.text(), "q");
    press(&mut screen, &shared, code(KeyCode::Backspace));
    press(&mut screen, &shared, code(KeyCode::Esc));
    typed(&mut screen, key('='), "There is no routing yet");
    typed(&mut screen, ctrl('r'), "No prompt was tried yet");
    to(&mut screen, &shared, "base");
    typed(&mut screen, key('/'), "No experts are listed here");
    // While answers are compared blindly.
    let (mut screen, shared_of_routed) = routed();
    press(&mut screen, &shared_of_routed, key('a'));
    press(&mut screen, &shared_of_routed, key('B'));
    for opens in ['/', '='] {
        typed(&mut screen, key(opens), "Answers are compared blindly");
    }
}

#[test]
fn the_rest_of_a_prompt_is_no_command_where_the_model_fails_meanwhile() {
    let mut shared = shared(EngineState::Loading { stage: "s".into() });
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, key('a'));
    let failed = EngineState::Failed { error: "ends in the middle of a tensor".into() };
    shared.engine = failed.clone();
    hear(&mut screen, &shared, EngineMessage::State(failed));
    press(&mut screen, &shared, key('R'));
    assert!(screen.captures_text() && screen.question.prompt.text() == "aR");
    press(&mut screen, &shared, code(KeyCode::Esc));
    assert_eq!(press(&mut screen, &shared, key('R')), [Effect::Engine(EngineEffect::Load)]);
}

#[test]
fn examples_never_replace_what_a_person_wrote() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    screen.on_message(
        &Message::Engine(EngineMessage::Examples {
            prompts: vec!["Plural of fox?".into(), "Sum 1 2".into()],
            has_data: true,
        }),
        &shared,
    );
    let effects = press(&mut screen, &shared, key('n'));
    assert!(
        matches!(&effects[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == "Plural of fox?")
    );
    press(&mut screen, &shared, key('i'));
    let effects = press(&mut screen, &shared, code(KeyCode::Tab));
    assert!(
        matches!(&effects[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == "Sum 1 2")
    );
    press(&mut screen, &shared, key('!'));
    // Tab stays in the box, so that nothing that is typed next is a command of another tab.
    for tab in [KeyCode::Tab, KeyCode::BackTab] {
        let said = press(&mut screen, &shared, code(tab));
        assert!(
            matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.ends_with("the box, Esc leaves it.")),
            "{said:?}"
        );
        assert!(screen.captures_text());
    }
    press(&mut screen, &shared, code(KeyCode::Esc));
    for key in [ctrl('n'), key('n')] {
        let said = press(&mut screen, &shared, key);
        assert!(
            matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("empties the box")),
            "{said:?}"
        );
        assert!(!screen.hints(&shared).iter().any(|binding| binding.keys == "n"));
    }
    assert_eq!(screen.question.prompt.text(), "Sum 1 2!");
}

fn tried(text: &str) -> TriedPrompt {
    TriedPrompt { text: text.into(), favourite: false }
}

#[test]
fn a_favourite_is_marked_listed_first_and_kept() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    let said = press(&mut screen, &shared, key('*'));
    assert!(matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("no prompt")));
    screen.on_message(&Message::Prompts(["newest", "middle", "oldest"].map(tried).to_vec()), &shared);
    // In the list, on the one under the cursor, which it takes along.
    press(&mut screen, &shared, ctrl('r'));
    press(&mut screen, &shared, code(KeyCode::Down));
    press(&mut screen, &shared, code(KeyCode::Down));
    let favour =
        |prompt: &str, favourite| Effect::Prompts(PromptsEffect::Favour { prompt: prompt.into(), favourite });
    assert_eq!(press(&mut screen, &shared, key('*'))[0], favour("oldest", true));
    let drawn = render(&screen, &shared, 80, 24);
    let rows: Vec<&str> =
        drawn.lines().filter(|line| line.contains("est") || line.contains("middle")).collect();
    assert!(rows[0].starts_with("›* oldest") && rows[1].contains("newest"), "{drawn}");
    assert_eq!(press(&mut screen, &shared, key('*'))[0], favour("oldest", false));
    press(&mut screen, &shared, code(KeyCode::Esc));
    // On the map, the prompt that is in the box.
    let asked = write(&mut screen, &shared, "a new one");
    answer(&mut screen, &shared, asked, Synthetic::default().trace(&PROMPT), false);
    assert_eq!(press(&mut screen, &shared, key('*'))[0], favour("a new one", true));
    let drawn = render(&screen, &shared, 160, 46);
    assert!(drawn.contains("›* a new one"), "{drawn}");
}

#[test]
fn prompts_that_were_tried_are_kept_and_come_back() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    assert_eq!(press(&mut screen, &shared, ctrl('r')), []);
    assert!(render(&screen, &shared, 80, 24).contains("Esc: No prompt was tried"));
    press(&mut screen, &shared, code(KeyCode::Esc));
    screen.on_message(&Message::Prompts(["an older one", "the oldest\x1b"].map(tried).to_vec()), &shared);
    // Kept when it is left, once; an answer to the same prompt keeps nothing twice.
    press(&mut screen, &shared, key('i'));
    screen.on_paste("mine", &shared);
    let remember = Effect::Prompts(PromptsEffect::Remember("mine".into()));
    assert_eq!(press(&mut screen, &shared, code(KeyCode::Esc)), [remember]);
    let effects = press(&mut screen, &shared, key('g'));
    assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Generate { .. })]), "{effects:?}");
    // Up and down lead through them.
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, key('!'));
    render(&screen, &shared, 80, 24);
    for (at, expected) in [
        (KeyCode::Up, "mine"),
        (KeyCode::Up, "an older one"),
        (KeyCode::Down, "mine"),
        (KeyCode::Down, "mine!"),
    ] {
        let effects = press(&mut screen, &shared, code(at));
        assert_eq!(screen.question.prompt.text(), expected);
        assert!(
            matches!(&effects[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == expected)
        );
        render(&screen, &shared, 80, 24);
    }
    // The list finds one by its words; Esc leaves the box as it was.
    press(&mut screen, &shared, ctrl('r'));
    assert!(screen.captures_text());
    for c in "old".chars() {
        press(&mut screen, &shared, key(c));
    }
    for (width, height) in SIZES.into_iter().chain([SMALLEST]) {
        let drawn = render(&screen, &shared, width, height);
        assert!(drawn.contains("2 of 3") && drawn.contains("›an older one"), "{drawn}");
        assert!(!drawn.contains('\x1b'), "{drawn}");
    }
    press(&mut screen, &shared, code(KeyCode::Esc));
    assert_eq!(screen.question.prompt.text(), "mine!");
    press(&mut screen, &shared, ctrl('r'));
    press(&mut screen, &shared, code(KeyCode::Down));
    press(&mut screen, &shared, code(KeyCode::Enter));
    assert_eq!(screen.question.prompt.text(), "an older one");
    // What was there before comes back.
    let undo = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::ALT);
    press(&mut screen, &shared, undo);
    assert_eq!(screen.question.prompt.text(), "mine!");
}

#[test]
fn prompts_whose_routing_was_seen_are_kept() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    let remember = |text: &str| Effect::Prompts(PromptsEffect::Remember(text.into()));
    let show = |screen: &mut RoutingScreen| {
        let trace = Arc::new(Synthetic::default().trace(&PROMPT));
        let ticket = screen.exchange.ticket;
        hear(screen, &shared, EngineMessage::Trace { ticket, trace, generating: false, milliseconds: 1.0 })
    };
    press(&mut screen, &shared, key('i'));
    screen.on_paste("never seen", &shared);
    assert!(!press(&mut screen, &shared, ctrl('x')).contains(&remember("never seen")));
    // In the box, when it is emptied.
    screen.on_paste("seen", &shared);
    assert!(!show(&mut screen).contains(&remember("seen")), "more may be typed");
    assert!(press(&mut screen, &shared, ctrl('x')).contains(&remember("seen")));
    // And when an older one takes its place: one comes back to it.
    screen.on_paste("another", &shared);
    show(&mut screen);
    render(&screen, &shared, 80, 24);
    assert!(press(&mut screen, &shared, code(KeyCode::Up)).contains(&remember("another")));
    assert_eq!(screen.question.prompt.text(), "seen");
    render(&screen, &shared, 80, 24);
    press(&mut screen, &shared, code(KeyCode::Down));
    assert_eq!(screen.question.prompt.text(), "another");
    // From the editor, as soon as its routing is there.
    press(&mut screen, &shared, code(KeyCode::Esc));
    screen.on_message(&Message::Edited(Ok("edited".into())), &shared);
    assert!(show(&mut screen).contains(&remember("edited")));
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, ctrl('x'));
    render(&screen, &shared, 80, 24);
    press(&mut screen, &shared, code(KeyCode::Up));
    assert_eq!(screen.question.prompt.text(), "edited");
}

#[test]
fn the_editor_gets_the_prompt_and_gives_it_back() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    write(&mut screen, &shared, "a fox");
    for focus in ['i', 'x'] {
        if focus == 'i' {
            press(&mut screen, &shared, key('i'));
        }
        assert_eq!(press(&mut screen, &shared, ctrl('g')), [Effect::Edit("a fox".into())]);
        press(&mut screen, &shared, code(KeyCode::Esc));
    }
    assert_eq!(screen.on_message(&Message::Edited(Ok("a fox".into())), &shared), [], "nothing was changed");
    // The model gets what was written, to the character; the screen shows it escaped.
    let written = "two\tfoxes\r\nand \u{202e}\u{200b}one\x07";
    let effects = screen.on_message(&Message::Edited(Ok(written.into())), &shared);
    assert!(
        matches!(&effects[..], [Effect::Engine(EngineEffect::Route { prompt, .. })] if prompt == written),
        "{effects:?}"
    );
    for (width, height) in SIZES {
        let drawn = render(&screen, &shared, width, height);
        assert!(drawn.contains(r"and \u{202e}\u{200b}one\u{7}"), "{drawn}");
        assert!(height < 20 || drawn.contains(r"two\tfoxes\r"), "{drawn}");
    }
    // One key takes it back.
    let undo = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::ALT);
    press(&mut screen, &shared, undo);
    assert_eq!(screen.question.prompt.text(), "a fox");
}

#[test]
fn a_prompt_that_is_too_long_is_never_cut_silently() {
    let shared = shared(ready());
    let said = |effects: Vec<Effect>| {
        let cut = |effect: &Effect| matches!(effect, Effect::App(AppEffect::Notice(text)) if text.starts_with("5 characters left out"));
        assert!(effects.iter().any(cut), "{}", effects.len());
    };
    let long = "é".repeat(64 * 1024 + 5);
    let mut screen = RoutingScreen::new();
    said(screen.on_message(&Message::Edited(Ok(long.clone())), &shared));
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    said(screen.on_paste(&long, &shared));
    let mut screen = RoutingScreen::new();
    screen.on_message(&Message::Prompts(vec![tried(&long)]), &shared);
    press(&mut screen, &shared, ctrl('r'));
    said(press(&mut screen, &shared, code(KeyCode::Enter)));
}

#[test]
fn what_is_looked_for_has_a_row_on_the_smallest_screens() {
    let sizes = [SMALLEST, (40, 8), (72, 6)];
    for zooms in 0..3 {
        let (mut screen, shared) = routed();
        (0..zooms).for_each(|_| drop(press(&mut screen, &shared, key('z'))));
        press(&mut screen, &shared, key('/'));
        "cels".chars().for_each(|c| drop(press(&mut screen, &shared, key(c))));
        for (width, height) in sizes {
            let drawn = render(&screen, &shared, width, height);
            assert!(drawn.contains("/ cels") && drawn.contains("celsius"), "{width}×{height}:\n{drawn}");
        }
        press(&mut screen, &shared, code(KeyCode::Esc));
        press(&mut screen, &shared, ctrl('r'));
        for (width, height) in sizes {
            let drawn = render(&screen, &shared, width, height);
            let chosen = drawn.lines().any(|line| line.starts_with("›Convert 12 kilometers"));
            assert!(chosen && drawn.contains("find:"), "{width}×{height}:\n{drawn}");
        }
    }
}
