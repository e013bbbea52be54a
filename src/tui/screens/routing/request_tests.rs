//! Requests under way: how far they are, how they end, and what stays on the screen meanwhile.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::RoutingScreen;
use super::answer::MAX_NEW_TOKENS;
use super::testing::{PROMPT, Synthetic};
use super::tests::{answer, letter, press, ready, routed, shared, text, ticket, write};
use crate::routing::{Part, TEMPERATURE, TOP_K};
use crate::tui::testing::{assert_cell, assert_screen, assert_text, buffer, code, ctrl, key, render};
use crate::tui::theme::CARET;
use crate::tui::{
    AppEffect, Depth, Effect, EngineEffect, EngineMessage, EngineState, Message, Screen, Theme,
};

#[test]
fn an_answer_stays_while_one_types_and_says_that_it_is_old() {
    let (mut screen, shared) = routed();
    assert!(render(&screen, &shared, 80, 24).contains("╭ answer ─"));
    press(&mut screen, &shared, key('i'));
    let effects = press(&mut screen, &shared, key('!'));
    assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Route { .. })]));
    let shown = render(&screen, &shared, 80, 24);
    assert!(shown.contains("12000 meters") && shown.contains("answer to an earlier prompt"), "{shown}");
    let small = render(&screen, &shared, 40, 10);
    assert!(small.contains("‹ earlier prompt: 12000 meters"), "{small}");
    // Back at the prompt that it answers, it is no longer old.
    press(&mut screen, &shared, code(KeyCode::Backspace));
    assert!(render(&screen, &shared, 80, 24).contains("╭ answer ─"));
    press(&mut screen, &shared, ctrl('u'));
    let shown = render(&screen, &shared, 80, 24);
    assert!(screen.question.prompt.is_blank() && shown.contains("12000 meters"), "{shown}");
    screen.on_paste("new", &shared);
    press(&mut screen, &shared, code(KeyCode::Enter));
    assert!(!render(&screen, &shared, 80, 24).contains("12000 meters"), "a new answer begins");
}

#[test]
fn typing_stops_an_answer_and_keeps_its_beginning() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    write(&mut screen, &shared, "fox");
    let generated = ticket(&press(&mut screen, &shared, key('g')));
    text(&mut screen, &shared, generated, "foxes and", false);
    let small = render(&screen, &shared, 40, 10);
    assert!(small.contains("‹ foxes and"), "{small}");
    press(&mut screen, &shared, key('i'));
    press(&mut screen, &shared, key('!'));
    text(&mut screen, &shared, generated, "foxes and more", true);
    let answer = screen.exchange.answer.as_ref().unwrap();
    assert_eq!((answer.text.as_str(), answer.done, answer.stopped), ("foxes and", true, true));
    press(&mut screen, &shared, code(KeyCode::Backspace));
    let small = render(&screen, &shared, 40, 10);
    assert!(small.contains("‹ stopped: foxes and"), "{small}");
}

#[test]
fn an_answer_of_full_length_says_that_it_was_cut() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    write(&mut screen, &shared, "count");
    let generated = ticket(&press(&mut screen, &shared, key('g')));
    let tokens: Vec<(&str, Part)> =
        (0..=MAX_NEW_TOKENS).map(|i| ("a", if i == 0 { Part::Prompt } else { Part::Generated })).collect();
    let trace = Synthetic { layers: 2, ..Synthetic::default() }.trace(&tokens);
    answer(&mut screen, &shared, generated, trace, true);
    text(&mut screen, &shared, generated, "a a a", true);
    let shown = render(&screen, &shared, 80, 24);
    assert!(shown.contains("answer · cut at 128 tokens"), "{shown}");
}

/// What answers another question is dim at 80 × 24, and what is under way is shown as a warning.
fn assert_receded(drawn: &Buffer) {
    let theme = Theme::new(Depth::True);
    for text in ["routing 512 of 4003 tokens", "1m12s", "Esc stops", "dimmed: out of date"] {
        assert_text(drawn, text, theme.warning());
    }
    let cursor = (31, 16);
    for at in (9..17).flat_map(|y| (16..46).map(move |x| (x, y))).filter(|at| *at != cursor) {
        assert_cell(drawn, at, theme.category_faint(letter(drawn, at)));
        assert_eq!(drawn[at].bg, Color::Reset, "{at:?}");
    }
    assert_cell(drawn, cursor, theme.cursor());
    for text in ["12000 meters", "«·into»", "«.»", "negate", "5.1 %"] {
        assert_text(drawn, text, theme.dim());
    }
    // The prompt has the focus and its cursor.
    assert_cell(drawn, (0, 0), theme.border_focused());
    assert_text(drawn, " prompt ", theme.accent());
    let cursor = |y: u16| (1..39).any(|x| drawn[(x, y)].modifier.contains(CARET));
    assert!((1..5).any(cursor));
}

#[test]
fn a_long_prompt_says_how_far_it_is_and_how_to_stop_it() {
    let (mut screen, mut shared) = routed();
    shared.now = 100.0;
    press(&mut screen, &shared, key('z'));
    press(&mut screen, &shared, key('i'));
    let asked = ticket(&screen.on_paste(&" word".repeat(3000), &shared));
    let progress = EngineMessage::Progress { ticket: asked, done: 512, total: 4003 };
    screen.on_message(&Message::Engine(progress), &shared);
    assert!(!screen.exchange.is_faded(&shared) && render(&screen, &shared, 80, 24).contains("updating"));
    shared.now = 172.0;
    assert!(screen.exchange.is_faded(&shared));
    let shown = render(&screen, &shared, 80, 24);
    assert!(
        shown.contains("routing 512 of 4003 tokens · 1m12s · Esc stops · dimmed: out of date"),
        "{shown}"
    );
    let small = render(&screen, &shared, 40, 10);
    assert!(small.contains("512/4003 tokens · 1m12s · Esc stops"), "{small}");
    assert_receded(&buffer(&screen, &shared, 80, 24, Depth::True));
    // From the prompt, Esc stops first and leaves then.
    assert!(screen.hints(&shared).iter().any(|b| b.keys == "Esc" && b.short == "stop"));
    assert_eq!(press(&mut screen, &shared, code(KeyCode::Esc)), [Effect::Engine(EngineEffect::Stop)]);
    assert!(screen.captures_text() && !screen.is_animating(&shared));
    let shown = render(&screen, &shared, 80, 24);
    assert!(shown.contains("stopped · dimmed: out of date") && shown.contains("12000 meters"), "{shown}");
    let left = press(&mut screen, &shared, code(KeyCode::Esc));
    assert!(matches!(&left[..], [Effect::Prompts(_)]), "what was tried is kept: {left:?}");
    assert!(!screen.captures_text());
}

#[test]
fn the_first_long_prompt_has_a_bar_instead_of_a_map() {
    let mut shared = shared(ready());
    let mut screen = RoutingScreen::new();
    let asked = ticket(&screen.on_paste("many words", &shared));
    let progress = EngineMessage::Progress { ticket: asked, done: 128, total: 512 };
    screen.on_message(&Message::Engine(progress), &shared);
    shared.now = 9.0;
    assert_screen!("long_first", render(&screen, &shared, 80, 20));
    press(&mut screen, &shared, code(KeyCode::Esc));
    assert!(render(&screen, &shared, 80, 20).contains("Stopped before the prompt was routed."));
}

#[test]
fn changed_experts_are_said_and_routed_over_and_nothing_is_dropped() {
    let (mut screen, shared) = routed();
    let ready = Message::Engine(EngineMessage::State(ready()));
    let effects = screen.on_message(&ready, &shared);
    let [Effect::Engine(EngineEffect::Route { ticket, .. }), Effect::App(AppEffect::Notice(notice))] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert!(notice.contains("experts changed"), "{notice}");
    assert!(screen.exchange.is_stale());
    let shown = render(&screen, &shared, 80, 24);
    assert!(shown.contains("12000 meters") && shown.contains("with the earlier experts"), "{shown}");
    assert!(shown.contains("layers share of"), "the picture stays: {shown}");
    // A second reading while the first is being answered asks nothing twice.
    let again = screen.on_message(&ready, &shared);
    assert!(matches!(&again[..], [Effect::App(AppEffect::Notice(_))]), "{again:?}");
    // The chosen expert is found again by its name, wherever it stands now.
    screen.map.expert = Some(4);
    let fewer = Synthetic { experts: 30, ..Synthetic::default() };
    let name = fewer.experts()[4].clone();
    let mut trace = fewer.trace(&PROMPT);
    let mut names = trace.experts.to_vec();
    names.swap(4, 20);
    trace.experts = Arc::new(names);
    answer(&mut screen, &shared, *ticket, trace, false);
    assert!(!screen.exchange.is_stale());
    assert_eq!(screen.exchange.shown.as_ref().unwrap().trace.experts[screen.map.expert.unwrap()], name);
}

#[test]
fn a_model_that_comes_back_is_no_change_of_experts() {
    let (mut screen, mut shared) = routed();
    let failed = EngineState::Failed { error: "a bug".into() };
    shared.engine = failed.clone();
    screen.on_message(&Message::Engine(EngineMessage::State(failed)), &shared);
    shared.engine = ready();
    let effects = screen.on_message(&Message::Engine(EngineMessage::State(ready())), &shared);
    assert!(matches!(&effects[..], [Effect::Engine(EngineEffect::Route { .. })]), "{effects:?}");
}

#[test]
fn generation_streams_and_stops() {
    let shared = shared(ready());
    let mut screen = RoutingScreen::new();
    press(&mut screen, &shared, key('i'));
    screen.on_paste("two\nlines", &shared);
    let effects = press(&mut screen, &shared, code(KeyCode::Enter));
    let [Effect::Engine(EngineEffect::Generate { ticket, prompt, max_tokens, .. }), Effect::Prompts(_)] =
        &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(prompt, "two\nlines");
    assert!(*max_tokens > 0);
    answer(&mut screen, &shared, *ticket, Synthetic::default().trace(&PROMPT[..14]), true);
    text(&mut screen, &shared, *ticket, "twelve\nthousand\x1b[2J", false);
    assert!(screen.exchange.is_generating());
    let shown = render(&screen, &shared, 80, 24);
    assert!(shown.contains("generating") && shown.contains("thousand\\u{1b}[2J"), "{shown}");
    // The map has the focus, so that another router is one key away: the answer starts anew with it.
    assert!(!screen.captures_text());
    let again = press(&mut screen, &shared, key('>'));
    let [Effect::Engine(EngineEffect::Generate { ticket, router, .. })] = &again[..] else {
        panic!("{again:?}")
    };
    assert_eq!(router.values.count(&TOP_K), 4);
    assert_eq!(press(&mut screen, &shared, code(KeyCode::Esc)), [Effect::Engine(EngineEffect::Stop)]);
    // The engine's last words still belong to the request.
    text(&mut screen, &shared, *ticket, "twelve thousand", true);
    let shown = render(&screen, &shared, 80, 24);
    assert!(shown.contains("twelve thousand") && shown.contains("stopped"), "{shown}");
    // What was stopped stays and says so; a finished answer says whose it is.
    let route = press(&mut screen, &shared, key('>'));
    assert!(matches!(&route[..], [Effect::Engine(EngineEffect::Route { .. })]), "{route:?}");
    let shown = render(&screen, &shared, 80, 24);
    assert!(shown.contains("twelve thousand") && shown.contains("with the earlier router"), "{shown}");
}

#[test]
fn a_refused_prompt_keeps_the_old_answer_and_shows_its_text() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('i'));
    screen.on_paste(&"line of a long prompt\n".repeat(600), &shared);
    let asked = ticket(&press(&mut screen, &shared, code(KeyCode::Enter)));
    render(&screen, &shared, 120, 40);
    let error = "the prompt has 9000 tokens, the context 8192: shorten it".to_string();
    screen
        .on_message(&Message::Engine(EngineMessage::Failed { ticket: asked, error, blamed: None }), &shared);
    for (width, height) in [(120, 40), (80, 24), (160, 48)] {
        let shown = render(&screen, &shared, width, height);
        assert!(shown.contains("shorten it") && shown.contains("12000 meters"), "{shown}");
        assert!(shown.contains("answer to an earlier prompt"), "{shown}");
        // All rows of the box but the last, where the cursor stands, have text.
        let inside = shown.lines().skip(1).take_while(|line| line.starts_with('│')).count();
        let text = shown.lines().filter(|line| line.starts_with("│ line of a long prompt")).count();
        assert_eq!(text, inside - 1, "{shown}");
    }
}

#[test]
fn one_key_empties_the_prompt_box_and_one_brings_the_text_back() {
    let (mut screen, shared) = routed();
    screen.on_paste(&"line\n".repeat(600), &shared);
    let long = screen.question.prompt.text();
    press(&mut screen, &shared, ctrl('x'));
    assert!(screen.question.prompt.is_blank());
    press(&mut screen, &shared, KeyEvent::new(KeyCode::Char('z'), KeyModifiers::ALT));
    assert_eq!(screen.question.prompt.text(), long);
    // From the map, too, where the text stands in the way of an example.
    press(&mut screen, &shared, code(KeyCode::Esc));
    let said = press(&mut screen, &shared, key('n'));
    assert!(
        matches!(&said[..], [Effect::App(AppEffect::Notice(text))] if text.contains("Ctrl-X")),
        "{said:?}"
    );
    press(&mut screen, &shared, ctrl('x'));
    assert!(matches!(
        &press(&mut screen, &shared, key('n'))[..],
        [Effect::Engine(EngineEffect::Route { .. })]
    ));
}

#[test]
fn one_expert_for_all_is_left_by_the_key_that_chose_it() {
    let (mut screen, shared) = routed();
    press(&mut screen, &shared, key('<'));
    press(&mut screen, &shared, key('x'));
    let before = screen.question.router.clone();
    let single = ticket(&press(&mut screen, &shared, key('s')));
    assert!(screen.question.router.head().starts_with("single:"));
    let alone = Synthetic { experts: 12, width: 1, uniform: true, ..Synthetic::default() }.trace(&PROMPT);
    answer(&mut screen, &shared, single, alone, false);
    // Every weight is 1: bars with gaps, no row of numbers.
    press(&mut screen, &shared, key('z'));
    let drawn = render(&screen, &shared, 160, 40);
    assert!(!drawn.contains("100100") && drawn.contains("██ ██ "), "{drawn}");
    press(&mut screen, &shared, key('s'));
    assert_eq!(screen.question.router, before);
}

#[test]
fn the_capital_raises_the_temperature() {
    let (mut screen, shared) = routed();
    let at = |screen: &RoutingScreen| screen.question.router.values.number(&TEMPERATURE);
    let first = at(&screen);
    press(&mut screen, &shared, key('T'));
    assert!(at(&screen) > first);
    press(&mut screen, &shared, key('t'));
    press(&mut screen, &shared, key('t'));
    assert!(at(&screen) < first);
}

#[test]
fn no_letter_stands_for_two_experts_and_signs_are_explained() {
    let shared = shared(ready());
    for experts in [13, 1000] {
        let mut screen = RoutingScreen::new();
        let asked = write(&mut screen, &shared, "fox");
        let mut tokens = PROMPT.to_vec();
        tokens[9] = ("", Part::Prompt);
        let trace = Synthetic { experts, layers: 30, width: 6, uniform: false }.trace(&tokens);
        let names = trace.experts.to_vec();
        answer(&mut screen, &shared, asked, trace, false);
        let mut owners: std::collections::HashMap<char, &String> = std::collections::HashMap::new();
        for name in &names {
            let letter = screen.marks.of(name).letter;
            if letter != '·' {
                assert_eq!(owners.insert(letter, name), None, "{letter}");
            }
        }
        assert_eq!(owners.len(), if experts == 13 { 13 } else { 40 });
        let drawn = render(&screen, &shared, 160, 60);
        assert!(drawn.contains("∅ a part of a character"), "{drawn}");
        assert_eq!(drawn.contains("· an expert with less weight"), experts == 1000, "{drawn}");
    }
}
