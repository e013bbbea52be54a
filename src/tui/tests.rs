//! The whole interface: keys, messages and effects, at every size.

mod forms;
mod jobs;

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent};
use proptest::prelude::*;

use super::fixtures::{self, NOW};
use super::testing::{buffer_app, code, ctrl, key, render_app};
use super::{App, DataSummary, Depth, Effect, EngineMessage, EngineState, FormKind, Message, Tab};
use crate::analysis::{Clustering, Similarity};
use crate::jobs::{JobSpec, JobState};
use crate::library::{FetchPhase, FetchProgress};

/// An interface that has heard nothing yet.
fn new_app() -> App {
    let mut app = App::new("library".into(), None, "auto".into());
    app.set_time(NOW);
    app.start();
    app
}

/// An interface with everything read.
fn full_app() -> App {
    let mut app = new_app();
    for message in everything() {
        app.update(message);
    }
    app
}

fn everything() -> Vec<Message> {
    vec![
        Message::Library(Ok(fixtures::library())),
        Message::Profile { expert: "formal-tone".into(), result: Ok(fixtures::profile("formal-tone")) },
        Message::Clustering { ticket: 0, result: Ok((fixtures::similarity(), fixtures::clustering())) },
        Message::Jobs(fixtures::jobs()),
    ]
}

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| app.update(Message::Key(key(c)))).collect()
}

fn press_code(app: &mut App, key: KeyCode) -> Vec<Effect> {
    app.update(Message::Key(code(key)))
}

/// The Library tab with a selected good expert whose profile is known.
fn library_app() -> App {
    let mut app = full_app();
    // Bad names sort first here: the third row is good.
    let position = fixtures::library().experts.iter().position(|e| e.name == "formal-tone").unwrap();
    press(&mut app, &"j".repeat(position));
    app
}

fn jobs_app() -> App {
    let mut app = full_app();
    press(&mut app, "5j");
    app.update(Message::JobDetail(fixtures::job_detail()));
    app
}

const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (200, 60)];

#[test]
fn library_looks_right_at_every_size() {
    let app = library_app();
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("library_{width}x{height}"), render_app(&app, width, height));
    }
}

#[test]
fn jobs_look_right_at_every_size() {
    let app = jobs_app();
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("jobs_{width}x{height}"), render_app(&app, width, height));
    }
}

#[test]
fn styles_of_the_library() {
    let app = library_app();
    insta::assert_debug_snapshot!("library_styles", buffer_app(&app, 80, 24, Depth::Indexed));
    insta::assert_debug_snapshot!("library_styles_plain", buffer_app(&app, 80, 24, Depth::Plain));
}

#[test]
fn first_frame_empty_library_and_library_that_cannot_be_read() {
    let mut app = new_app();
    insta::assert_snapshot!("first_frame", render_app(&app, 80, 24));
    app.update(Message::Library(Err("library: there is no such folder; give one: lora-tui FOLDER".into())));
    insta::assert_snapshot!("no_library", render_app(&app, 80, 24));
    app.update(Message::Library(Ok(fixtures::with_experts(Vec::new()))));
    insta::assert_snapshot!("empty_library", render_app(&app, 80, 24));
}

#[test]
fn help_lists_the_keys_of_the_tab_and_of_all_tabs() {
    let mut app = library_app();
    press(&mut app, "?");
    insta::assert_snapshot!("help", render_app(&app, 80, 24));
    press_code(&mut app, KeyCode::Esc);
    assert!(app.help.is_none());
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
fn without_colour_bad_rows_states_and_the_selection_still_show() {
    use ratatui::style::Modifier;
    let app = library_app();
    let text = render_app(&app, 120, 40);
    assert!(text.lines().any(|line| line.contains("✗ broken") && line.contains("header ends")));
    let buffer = buffer_app(&app, 120, 40, Depth::Plain);
    let reversed = |y: u16| buffer[(4, y)].modifier.contains(Modifier::REVERSED);
    assert_eq!((2..39).filter(|&y| reversed(y)).count(), 1);
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
fn sorting_moves_the_cursor_with_its_expert() {
    let mut app = library_app();
    assert_eq!(app.shared().selected.as_deref(), Some("formal-tone"));
    let before = render_app(&app, 80, 24);
    press(&mut app, "sssS");
    assert_ne!(render_app(&app, 80, 24), before);
    // Another key finds the cursor where it was left, on the same expert.
    press(&mut app, "jk");
    assert_eq!(app.shared().selected.as_deref(), Some("formal-tone"));
}

#[test]
fn filter_narrows_selects_and_is_cleared_by_escape() {
    let mut app = library_app();
    press(&mut app, "/");
    let effects = press(&mut app, "senti");
    assert!(effects.contains(&Effect::Profile { expert: "sentiment".into() }), "{effects:?}");
    assert_eq!(app.shared().selected.as_deref(), Some("sentiment"));
    let text = render_app(&app, 80, 24);
    assert!(text.contains("1 of 10"), "{text}");
    // `q` is text here, not the end.
    press(&mut app, "q");
    assert!(!app.should_quit());
    assert!(render_app(&app, 80, 24).contains("nothing matches"));
    press_code(&mut app, KeyCode::Esc);
    assert!(!render_app(&app, 80, 24).contains("nothing matches"));
}

#[test]
fn selecting_elsewhere_moves_the_library_cursor() {
    let mut app = full_app();
    press(&mut app, "5");
    app.shared.selected = Some("topic".into());
    let effects = press(&mut app, "1");
    assert!(effects.contains(&Effect::Profile { expert: "topic".into() }), "{effects:?}");
}

#[test]
fn keys_change_tabs() {
    let mut app = full_app();
    for (i, tab) in Tab::ALL.into_iter().enumerate() {
        press(&mut app, "1");
        app.update(Message::Key(key(char::from(b'1' + i as u8))));
        assert_eq!(app.tab(), tab);
    }
    press_code(&mut app, KeyCode::Tab);
    assert_eq!(app.tab(), Tab::Library);
    press_code(&mut app, KeyCode::BackTab);
    assert_eq!(app.tab(), Tab::Jobs);
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
fn a_training_is_started_from_the_form() {
    let mut app = full_app();
    press(&mut app, "t");
    let effects = press(&mut app, "tasks/gerunds");
    assert_eq!(effects.last(), Some(&Effect::CheckData { path: "tasks/gerunds".into() }));
    // An answer to an earlier state of the field is dropped.
    app.update(Message::DataChecked { path: "tasks/ger".into(), result: Err("no such file".into()) });
    assert!(!render_app(&app, 80, 24).contains("no such file"));
    let summary = DataSummary { train: 640, validation: 80, task: "gerunds".into() };
    app.update(Message::DataChecked { path: "tasks/gerunds".into(), result: Ok(summary) });
    insta::assert_snapshot!("form_train", render_app(&app, 80, 24));
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::StartJob(JobSpec::Train(spec))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((spec.name.as_str(), spec.rank, spec.batch), ("gerunds", 4, 16));
    assert!(spec.library.is_absolute() && spec.data[0].ends_with("tasks/gerunds"));
    app.update(Message::JobStarted(Ok("g".into())));
    assert_eq!(app.tab(), Tab::Jobs);
    assert!(app.form.is_none());
}

#[test]
fn a_refused_job_leaves_the_form_open_with_the_reason() {
    let mut app = full_app();
    press(&mut app, "c");
    press_code(&mut app, KeyCode::Enter);
    app.update(Message::JobStarted(Err("the library cannot be written".into())));
    assert!(render_app(&app, 80, 24).contains("✗ the library cannot be written"));
    assert_eq!(app.tab(), Tab::Library);
}

#[test]
fn wrong_fields_say_why_and_start_nothing() {
    let mut app = full_app();
    press(&mut app, "t");
    assert_eq!(press_code(&mut app, KeyCode::Enter), []);
    let text = render_app(&app, 100, 30);
    assert!(
        text.contains("name a task folder or a .jsonl file") && text.contains("name the new expert"),
        "{text}"
    );
    for (name, problem) in
        [("topic", "exists already"), ("..", "one plain folder name"), ("a/b", "without /")]
    {
        let mut app = full_app();
        press(&mut app, "t");
        press_code(&mut app, KeyCode::Down);
        press(&mut app, name);
        let text = render_app(&app, 100, 30);
        assert!(text.contains(problem), "{name}: {text}");
    }
    let mut app = full_app();
    press(&mut app, "c");
    press_code(&mut app, KeyCode::Backspace);
    press(&mut app, "99");
    assert_eq!(press_code(&mut app, KeyCode::Enter), []);
    assert!(render_app(&app, 80, 24).contains("from 1 to 8"));
}

#[test]
fn tab_completes_the_path() {
    let mut app = full_app();
    press(&mut app, "t");
    press(&mut app, "ta");
    assert_eq!(press_code(&mut app, KeyCode::Tab), [Effect::CompletePath { text: "ta".into() }]);
    let answer = |text: &str, candidates: &[&str]| Message::PathCompleted {
        text: text.into(),
        candidates: candidates.iter().map(|c| c.to_string()).collect(),
    };
    let effects = app.update(answer("ta", &["tasks/units/", "tasks/unfold/"]));
    assert_eq!(effects, [Effect::CheckData { path: "tasks/un".into() }]);
    assert!(render_app(&app, 80, 24).contains("tasks/unfold/"));
}

#[test]
fn experts_of_another_base_are_bad_rows_with_the_reason() {
    let mut experts = fixtures::library().experts.clone();
    let position = experts.iter().position(|e| e.name == "plurals").unwrap();
    experts[position].misfit =
        Some("made for another base model than most of this library: v is 8 → 8".into());
    let mut app = new_app();
    app.update(Message::Library(Ok(fixtures::with_experts(experts))));
    let text = render_app(&app, 120, 40);
    assert!(
        text.lines().any(|line| line.contains("✗ plurals") && line.contains("made for another")),
        "{text}"
    );
    // Its weights can be looked at even so.
    let mut effects = Vec::new();
    for _ in 0..position {
        effects = press(&mut app, "j");
    }
    assert!(effects.contains(&Effect::Profile { expert: "plurals".into() }), "{effects:?}");
    let text = render_app(&app, 120, 40);
    assert!(text.contains("rank 4") && text.contains("8 of 10 experts"), "{text}");
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
    assert!(text.lines().next().is_some_and(|bar| bar.ends_with("3 of 10")), "{text}");
}

#[test]
fn hints_and_errors_of_forms_are_whole_or_absent() {
    let mut app = new_app();
    app.update(Message::Library(Ok(fixtures::with_experts(Vec::new()))));
    press(&mut app, "t");
    for (width, height) in [(40, 10), (80, 24)] {
        for _ in 0..11 {
            let text = render_app(&app, width, height);
            assert!(!text.contains('…'), "{text}");
            press_code(&mut app, KeyCode::Down);
        }
    }
}

#[test]
fn clustering_is_offered_only_where_there_is_something_to_cluster() {
    for n in [0, 1] {
        let experts = (0..n).map(|i| fixtures::expert(i, &format!("e{i}"), "task", "family")).collect();
        let mut app = new_app();
        app.update(Message::Library(Ok(fixtures::with_experts(experts))));
        app.update(Message::Jobs(Vec::new()));
        for tab in ["1", "5"] {
            press(&mut app, tab);
            assert!(!render_app(&app, 100, 24).lines().last().unwrap_or_default().contains("cluster"));
            press(&mut app, "c");
            assert!(app.form.is_none());
            assert!(render_app(&app, 100, 24).contains("needs at least two usable experts"));
        }
    }
}

#[test]
fn a_library_that_can_be_read_again_ends_the_complaint() {
    let mut app = full_app();
    app.update(Message::Library(Err("library: there is no such folder".into())));
    assert!(render_app(&app, 80, 24).contains("✗ library: there is no such folder"));
    app.update(Message::Library(Ok(fixtures::library())));
    assert!(!render_app(&app, 80, 24).contains("no such folder"));
}

#[test]
fn the_clustering_form_starts_with_what_the_tab_shows() {
    let mut app = full_app();
    let clustering = Clustering { k: 3, seed: 45, ..(*fixtures::clustering()).clone() };
    let similarity = Similarity { sparsity: 0.35, ..(*fixtures::similarity()).clone() };
    app.update(Message::Clustering { ticket: 0, result: Ok((Arc::new(similarity), Arc::new(clustering))) });
    press(&mut app, "c");
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::StartJob(JobSpec::Cluster(spec))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((spec.k, spec.sparsity, spec.seed), (3, 0.35, 45));
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
    calm.update(Message::Jobs(over));
    assert!(!calm.wants_jobs());
    press(&mut calm, "5");
    assert!(calm.wants_jobs() && !calm.is_animating());
}

#[test]
fn ten_thousand_experts_are_drawn_and_moved_through_quickly() {
    let experts = (0..10_000).map(|i| fixtures::expert(i % 14, &format!("expert-{i:05}"), "task", "family"));
    let library = fixtures::with_experts(experts.collect());
    let mut app = new_app();
    app.update(Message::Library(Ok(library)));
    press(&mut app, "G");
    assert!(render_app(&app, 120, 40).contains("expert-09999"));
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        press(&mut app, "k");
        render_app(&app, 120, 40);
    }
    // Generous for busy machines: drawing all rows would take a minute.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
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
        Message::Profile { expert: "topic".into(), result: Ok(fixtures::profile("topic")) },
        Message::Profile { expert: "topic".into(), result: Ok(Arc::default()) },
        Message::Profile { expert: "broken".into(), result: Err("bad".into()) },
        Message::Similarity { ticket: 1, result: Ok(fixtures::similarity()) },
        Message::Clustering { ticket: 1, result: Ok((fixtures::similarity(), fixtures::clustering())) },
        Message::Jobs(Vec::new()),
        Message::Jobs(fixtures::jobs()),
        Message::JobDetail(fixtures::job_detail()),
        Message::JobDetail(fixtures::cluster_detail()),
        Message::JobStarted(Err("no".into())),
        Message::JobStarted(Ok("e".into())),
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
fn forms_open_over_every_tab() {
    for kind in [FormKind::Train, FormKind::Cluster, FormKind::TrainClusters] {
        let mut app = full_app();
        app.apply(vec![Effect::OpenForm(kind)]);
        for (width, height) in [(0, 0), (1, 1), (5, 3), (20, 6), (40, 10)] {
            render_app(&app, width, height);
        }
    }
}
