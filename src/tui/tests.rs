//! The whole interface: keys, messages and effects, at every size.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use proptest::prelude::*;

use super::fixtures;
use super::screens::{self, TABS};
use super::testing::{
    assert_screen, assert_text, buffer_app, code, ctrl, full_app, jobs_app, key, library_app, new_app, press,
    press_code, render_app, text,
};
use super::{
    ComputeMessage, Depth, Effect, EngineEffect, EngineMessage, EngineState, JobsMessage, KeySection,
    Message, Tickets,
};
use crate::jobs::kinds::report_of;
use crate::jobs::{JobState, JobSummary};
use crate::library::{FetchPhase, FetchProgress};
use crate::routing::Trace;
use crate::train::{TrainReport, TrainSpec};

#[test]
fn help_lists_the_keys_of_the_tab_and_of_all_tabs() {
    let mut app = library_app();
    press(&mut app, "?");
    assert_screen!("help", render_app(&app, 80, 24));
    press_code(&mut app, KeyCode::Esc);
    assert!(app.help.is_none());
}

#[test]
fn help_has_all_keys_of_the_tab_whole_and_dims_those_that_do_nothing_now() {
    for (width, height) in [(40, 10), (80, 24), (160, 48)] {
        // Nothing can be cancelled or resumed on an empty list.
        let mut app = full_app();
        app.update(Message::Jobs(JobsMessage::List(Vec::new())));
        press(&mut app, "6?");
        let mut seen = String::new();
        for _ in 0..80 {
            let drawn = buffer_app(&app, width, height, Depth::True);
            let text = text(&drawn);
            assert!(!text.contains('…'), "{text}");
            seen += &text
                .split(|c: char| c.is_whitespace() || "│╭╮╰╯─".contains(c))
                .collect::<Vec<_>>()
                .join(" ");
            press(&mut app, "j");
        }
        let words = seen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("Cancel the selected job"), "{words}");
        assert!(words.contains("Resume the selected job"), "{words}");
    }
    let mut app = full_app();
    app.update(Message::Jobs(JobsMessage::List(Vec::new())));
    press(&mut app, "6?");
    let drawn = buffer_app(&app, 160, 60, Depth::True);
    let theme = super::Theme::new(Depth::True);
    assert_text(&drawn, "Cancel the selected job", theme.dim());
    assert_text(&drawn, "Train a new expert", theme.text());
}

#[test]
fn no_colour_reaches_a_terminal_that_must_not_have_it() {
    use ratatui::style::Color;
    for app in [library_app(), jobs_app(), full_app(), new_app()] {
        for cell in &buffer_app(&app, 120, 40, Depth::Plain).content {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
        }
    }
}

#[test]
fn hostile_names_are_escaped() {
    let app = jobs_app();
    let text = render_app(&app, 200, 60);
    assert!(text.contains("plurals\\u{1b}[31m") && !text.contains('\x1b'));
    let text = render_app(&library_app(), 200, 60);
    assert!(text.contains("evil\\u{1b}[2Jname"));
}

#[test]
fn keys_change_tabs() {
    let mut app = full_app();
    for (i, tab) in TABS.iter().map(|spec| spec.tab).enumerate() {
        press(&mut app, "1");
        app.update(Message::Key(key(char::from(b'1' + i as u8))));
        assert_eq!(app.tab(), tab);
    }
    press_code(&mut app, KeyCode::Tab);
    assert_eq!(app.tab(), screens::library::TAB);
    press_code(&mut app, KeyCode::BackTab);
    assert_eq!(app.tab(), screens::jobs::TAB);
}

#[test]
fn errors_stay_until_escape_and_notices_until_the_next_key() {
    let mut app = full_app();
    app.update(Message::Error("out\x1b[2J of disk".into()));
    press(&mut app, "j");
    assert!(render_app(&app, 80, 24).contains("✗ out\\u{1b}[2J of disk"));
    press_code(&mut app, KeyCode::Esc);
    assert!(!render_app(&app, 80, 24).contains("of disk"));
    app.update(Message::Notice("saved".into()));
    assert!(render_app(&app, 80, 24).contains("● saved"));
    press(&mut app, "j");
    assert!(!render_app(&app, 80, 24).contains("saved"));
}

#[test]
fn control_c_quits_from_anywhere() {
    for keys in ["", "/", "t", "?", "4"] {
        let mut app = full_app();
        press(&mut app, keys);
        app.update(Message::Key(ctrl('c')));
        assert!(app.should_quit(), "after {keys:?}");
    }
}

#[test]
fn control_l_draws_anew_from_anywhere() {
    for keys in ["", "/", "t", "?", "4i"] {
        let mut app = full_app();
        press(&mut app, keys);
        assert_eq!(app.update(Message::Key(ctrl('l'))), [Effect::Redraw], "after {keys:?}");
    }
}

#[test]
fn nothing_in_the_bar_is_cut() {
    let mut app = full_app();
    for (state, words) in [
        (
            EngineState::Loading { stage: "loading the base model".into() },
            ["loading the base model", "loading"],
        ),
        (
            EngineState::Fetching(FetchProgress {
                source: "the hub, second try".into(),
                phase: FetchPhase::Downloading,
                done: 12,
                total: Some(100),
            }),
            ["downloading 12 %: the hub, second try", "12 %"],
        ),
    ] {
        app.update(Message::Engine(EngineMessage::State(state)));
        for width in 0..100 {
            let text = render_app(&app, width, 6);
            let bar = text.lines().next().unwrap_or_default();
            assert!(!bar.contains('…'), "{bar}");
            if width >= 80 {
                assert!(words.iter().any(|words| bar.ends_with(words)), "{bar}");
            }
        }
    }
    let text = render_app(&library_app(), 40, 10);
    assert!(text.lines().next().is_some_and(|bar| bar.ends_with("10 experts")), "{text}");
}

#[test]
fn clustering_is_offered_only_where_there_is_something_to_cluster() {
    for n in [0, 1] {
        let experts = (0..n).map(|i| fixtures::expert(i, &format!("e{i}"), "task", "family")).collect();
        let mut app = new_app();
        app.update(Message::Library(Ok(fixtures::with_experts(experts))));
        app.update(Message::Jobs(JobsMessage::List(Vec::new())));
        for tab in ["1", "6"] {
            press(&mut app, tab);
            assert!(!render_app(&app, 100, 24).lines().last().unwrap_or_default().contains("cluster"));
            press(&mut app, "c");
            assert!(app.form.is_none());
            assert!(render_app(&app, 100, 24).contains("needs at least two usable experts"));
        }
    }
}

#[test]
fn ticks_are_wanted_only_while_something_moves() {
    let mut app = new_app();
    assert!(app.is_animating());
    let mut calm = library_app();
    assert!(!calm.is_animating());
    app.update(Message::Library(Err("gone".into())));
    assert!(!app.is_animating());
    assert!(calm.wants_jobs());
    let mut over = fixtures::jobs();
    over.iter_mut().for_each(|job| job.state = JobState::Finished);
    calm.update(Message::Jobs(JobsMessage::List(over)));
    assert!(!calm.wants_jobs());
    press(&mut calm, "6");
    assert!(calm.wants_jobs() && !calm.is_animating());
}

/// A training that ended.
fn trained(state: JobState) -> Message {
    let mut detail = (*fixtures::job_detail()).clone();
    (detail.summary.state, detail.summary.name) = (state, "money_2".into());
    if state == JobState::Failed {
        detail.summary.error = Some("no expert can be written here: permission denied".into());
    } else {
        detail.outcome = Some(Ok(report_of::<TrainSpec>(TrainReport {
            expert: "topic".into(),
            path: "library/topic".into(),
            steps: 200,
            examples: 1600,
            train_loss: 0.4,
            validation_loss: Some(0.512),
            base_validation_loss: Some(2.049),
            seconds: 312.0,
            tokens_per_second: 930.0,
            tasks: Vec::new(),
        })));
    }
    Message::Jobs(JobsMessage::Ended(Arc::new(detail)))
}

#[test]
fn a_training_that_finished_says_what_came_out_and_enter_shows_it() {
    let mut app = full_app();
    let ready = || {
        let state = EngineState::Ready { label: "a model".into(), skipped: Vec::new() };
        Message::Engine(EngineMessage::State(state))
    };
    app.update(ready());
    // The Routing tab has a routing, which other experts would make an old one.
    press(&mut app, "4i");
    let asked = app.update(Message::Paste("fox".into()));
    let Some(Effect::Engine(EngineEffect::Route { ticket, .. })) = asked.first() else { panic!("{asked:?}") };
    let trace = Arc::new(Trace::new(Arc::default(), Arc::default(), 1));
    let routed = EngineMessage::Trace { ticket: *ticket, trace, generating: false, milliseconds: 1.0 };
    app.update(Message::Engine(routed));
    press_code(&mut app, KeyCode::Esc);
    press(&mut app, "6");
    assert!(app.update(trained(JobState::Finished)).contains(&Effect::ReloadLibrary));
    let said = "● topic is trained: validation 0.51, base 2.05 · Enter shows it";
    assert!(render_app(&app, 80, 24).contains(said), "{}", render_app(&app, 80, 24));
    // The Routing tab, which nobody looks at, has nothing to say about the experts that it reads again.
    app.update(ready());
    assert!(render_app(&app, 80, 24).contains(said), "{}", render_app(&app, 80, 24));
    press_code(&mut app, KeyCode::Enter);
    assert_eq!((app.tab(), app.shared().selected.as_deref()), (screens::library::TAB, Some("topic")));
    assert!(!render_app(&app, 80, 24).contains("is trained"));
    // In a text field, Enter belongs to it.
    press(&mut app, "4i");
    app.update(trained(JobState::Finished));
    assert!(!render_app(&app, 80, 24).contains("Enter shows it"));
    press_code(&mut app, KeyCode::Enter);
    assert_eq!(app.tab(), screens::routing::TAB);
}

#[test]
fn a_job_that_failed_says_why_and_enter_shows_it_among_the_jobs() {
    let mut app = full_app();
    app.update(trained(JobState::Failed));
    let text = render_app(&app, 120, 24);
    assert!(
        text.contains("✗ train money_2 has failed: no expert can be written here: permission denied"),
        "{text}"
    );
    press_code(&mut app, KeyCode::Enter);
    assert_eq!(app.tab(), screens::jobs::TAB);
    assert!(render_app(&app, 120, 40).contains("past-tense"));
    // One that a person ended needs no words.
    let mut app = full_app();
    app.update(trained(JobState::Cancelled));
    assert!(app.notice.is_none());
}

#[test]
fn what_is_said_of_a_job_that_failed_goes_with_the_job_and_when_it_goes_on() {
    let id = fixtures::job_detail().summary.id.clone();
    let list = |state: Option<JobState>| {
        let mut jobs = fixtures::jobs();
        match state {
            Some(state) => jobs.iter_mut().filter(|job| job.id == id).for_each(|job| job.state = state),
            None => jobs.retain(|job| job.id != id),
        }
        Message::Jobs(JobsMessage::List(jobs))
    };
    use JobState::{Failed, Queued, Running};
    for (state, stays) in [(Some(Failed), true), (Some(Queued), false), (Some(Running), false), (None, false)]
    {
        let mut app = full_app();
        app.update(list(Some(Failed)));
        app.update(trained(Failed));
        app.update(list(state));
        assert_eq!(app.notice.is_some(), stays, "{state:?}");
        press_code(&mut app, KeyCode::Enter);
        assert_eq!(app.tab() == screens::jobs::TAB, stays, "{state:?}");
    }
}

#[test]
fn what_is_said_of_a_job_that_failed_goes_when_another_of_its_name_is_at_work() {
    let failed = fixtures::job_detail().summary.id.clone();
    let list = |state: JobState| {
        let mut jobs = fixtures::jobs();
        jobs.iter_mut().filter(|job| job.id == failed).for_each(|job| job.state = JobState::Failed);
        let again = jobs.iter().find(|job| job.id == failed).unwrap().clone();
        jobs.insert(0, JobSummary { id: "again".into(), state, ..again });
        Message::Jobs(JobsMessage::List(jobs))
    };
    for (state, stays) in [(JobState::Failed, true), (JobState::Running, false)] {
        let mut app = full_app();
        app.update(list(JobState::Failed));
        app.update(trained(JobState::Failed));
        app.update(list(state));
        assert_eq!(app.notice.is_some(), stays, "{state:?}");
    }
}

#[test]
fn the_end_of_a_job_is_told_and_that_of_jobs_started_together_once() {
    let told = |effects: Vec<Effect>| {
        effects.into_iter().find_map(|effect| match effect {
            Effect::Notify(text) => Some(text),
            _ => None,
        })
    };
    let mut app = full_app();
    let text = told(app.update(trained(JobState::Finished)));
    assert_eq!(text.as_deref(), Some("topic is trained: validation 0.51, base 2.05"));
    assert_eq!(told(app.update(trained(JobState::Cancelled))), None);
    let list = |states: [JobState; 3]| {
        let job = |(number, state): (usize, JobState)| {
            let mut job = fixtures::jobs().remove(1);
            (job.id, job.state, job.group) = (format!("g{number}"), state, Some("g0".into()));
            job
        };
        Message::Jobs(JobsMessage::List(states.into_iter().enumerate().map(job).collect()))
    };
    let ended = || {
        let mut detail = (*fixtures::job_detail()).clone();
        (detail.summary.state, detail.summary.group) = (JobState::Failed, Some("g0".into()));
        Message::Jobs(JobsMessage::Ended(Arc::new(detail)))
    };
    use JobState::{Failed, Finished, Running};
    app.update(list([Finished, Failed, Running]));
    assert_eq!(told(app.update(ended())), None, "one of them runs");
    app.update(list([Finished, Failed, Finished]));
    assert_eq!(told(app.update(ended())).as_deref(), Some("3 jobs have ended, 1 failed"));
    assert_eq!(told(app.update(ended())), None, "it was reported");
}

fn any_key() -> impl Strategy<Value = KeyEvent> {
    prop_oneof![
        6 => "[ -~é日]".prop_map(|text| key(text.chars().next().unwrap_or('x'))),
        3 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up, KeyCode::Down,
            KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::PageDown,
            KeyCode::Backspace, KeyCode::Delete, KeyCode::F(1),
        ]).prop_map(code),
        1 => "[a-z]".prop_map(|text| ctrl(text.chars().next().unwrap_or('x'))),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let fixed = vec![
        Message::Tick,
        Message::Library(Ok(fixtures::library())),
        Message::Library(Ok(fixtures::with_experts(Vec::new()))),
        Message::Library(Err("gone".into())),
        Message::Compute(ComputeMessage::Profile {
            expert: "topic".into(),
            result: Ok(fixtures::profile("topic")),
        }),
        Message::Compute(ComputeMessage::Profile { expert: "topic".into(), result: Ok(Arc::default()) }),
        Message::Compute(ComputeMessage::Profile { expert: "broken".into(), result: Err("bad".into()) }),
        Message::Compute(ComputeMessage::Similarity { ticket: 1, result: Ok(fixtures::similarity()) }),
        Message::Compute(ComputeMessage::Clustering {
            ticket: 1,
            result: Ok((fixtures::similarity(), fixtures::clustering())),
        }),
        Message::Jobs(JobsMessage::List(Vec::new())),
        Message::Jobs(JobsMessage::List(fixtures::jobs())),
        Message::Jobs(JobsMessage::Detail(fixtures::job_detail())),
        Message::Jobs(JobsMessage::Detail(fixtures::cluster_detail())),
        Message::Jobs(JobsMessage::Started(Err("no".into()))),
        Message::Jobs(JobsMessage::Started(Ok("e".into()))),
        Message::Engine(EngineMessage::State(EngineState::Loading { stage: "reading".into() })),
        Message::Engine(EngineMessage::State(EngineState::Fetching(FetchProgress {
            source: "hub".into(),
            phase: FetchPhase::Downloading,
            done: 1,
            total: Some(0),
        }))),
        Message::Notice("note".into()),
        Message::Error("a long error ".repeat(20)),
        Message::Paste("pasted\n\x1b[2J".into()),
    ];
    prop_oneof![4 => any_key().prop_map(Message::Key), 1 => prop::sample::select(fixed)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_size_and_no_order_of_events_panics(
        messages in prop::collection::vec((any_message(), 0u16..60, 0u16..30), 0..40),
        full in any::<bool>(),
    ) {
        let mut app = if full { full_app() } else { new_app() };
        for (message, width, height) in messages {
            app.update(message);
            render_app(&app, width, height);
        }
    }
}

#[test]
fn no_two_tabs_share_their_tickets() {
    let first: std::collections::HashSet<u64> =
        TABS.iter().map(|spec| Tickets::of(spec.tab).issue()).chain([Tickets::of_form(1).issue()]).collect();
    assert_eq!(first.len(), TABS.len() + 1);
}

#[test]
fn every_line_of_help_is_one_sentence_without_a_full_stop() {
    let tabs = TABS.iter().flat_map(|spec| (spec.keys)());
    for KeySection { title, hints } in tabs {
        for hint in hints {
            let ends = hint.help.ends_with('.') && !hint.help.ends_with("..");
            assert!(!ends && !hint.help.is_empty(), "{title}, {}: {}", hint.keys, hint.help);
            assert!(
                hint.help.starts_with(|c: char| !c.is_lowercase()),
                "{title}, {}: {}",
                hint.keys,
                hint.help
            );
        }
    }
}
