//! The forms: suggestions, choices, what is behind the fold, joint training, one expert per cluster.

use std::path::PathBuf;
use std::sync::Arc;

use crossterm::event::KeyCode;

use super::fields::Value;
use super::{Form, Tickets};
use crate::analysis::{Clustering, Similarity};
use crate::catalog::Catalog;
use crate::jobs::kinds::{self, Step};
use crate::jobs::{AnyJob, ClusterSpec};
use crate::library::{Library, Skipped};
use crate::model::Precision;
use crate::train::{ClustersPlan, ClustersSpec, Schedule, TrainRow, TrainSpec};
use crate::tui::testing::{assert_screen, ctrl, full_app, new_app, press, press_code, render_app};
use crate::tui::{
    App, AppEffect, ComputeEffect, ComputeMessage, DataEffect, DataMessage, DataSummary, Effect, JobsEffect,
    JobsMessage, KnownTask, Message, TaskExample, fixtures, screens,
};

fn down(app: &mut App, times: usize) {
    (0..times).for_each(|_| _ = press_code(app, KeyCode::Down));
}

fn found(app: &mut App, path: &str, train: usize) -> Vec<Effect> {
    let summary = DataSummary { train, validation: 8, task: String::new() };
    app.update(Message::Data(DataMessage::Checked { path: path.into(), result: Ok(summary) }))
}

/// The training form with a task that is there.
fn with_data() -> App {
    let mut app = full_app();
    press(&mut app, "t");
    press(&mut app, "tasks/gerunds");
    found(&mut app, "tasks/gerunds", 640);
    app
}

fn started(app: &mut App) -> TrainSpec {
    let effects = press_code(app, KeyCode::Enter);
    let [Effect::Jobs(JobsEffect::Start(job))] = effects.as_slice() else { panic!("{effects:?}") };
    let spec = job.job.get::<TrainSpec>().unwrap();
    spec.clone()
}

/// The line of a field.
fn line(app: &App, label: &str) -> String {
    let text = render_app(app, 80, 30);
    let is_label = |line: &&str| line.split_once('│').is_some_and(|(_, field)| field[1..].contains(label));
    let found = text.lines().find(is_label);
    found.unwrap_or_else(|| panic!("no {label} in\n{text}")).to_string()
}

#[test]
fn untouched_fields_train_by_the_defaults_of_the_command_line() {
    let mut app = with_data();
    let spec = started(&mut app);
    let expected = TrainSpec {
        library: std::path::absolute("library").unwrap(),
        data: vec![std::path::absolute("tasks/gerunds").unwrap()],
        name: "gerunds".into(),
        ..TrainSpec::default()
    };
    assert_eq!(spec, expected);
}

#[test]
fn a_typed_name_replaces_the_suggested_one() {
    let mut app = with_data();
    down(&mut app, 2);
    press(&mut app, "mine");
    assert!(line(&app, "Name").contains(" mine "), "{}", line(&app, "Name"));
    // It is the person's from now on, until it is empty.
    press_code(&mut app, KeyCode::Up);
    press_code(&mut app, KeyCode::Up);
    press(&mut app, "2");
    assert!(line(&app, "Name").contains(" mine "));
    down(&mut app, 2);
    (0..4).for_each(|_| _ = press_code(&mut app, KeyCode::Backspace));
    press_code(&mut app, KeyCode::Up);
    press_code(&mut app, KeyCode::Up);
    press(&mut app, "0");
    assert!(line(&app, "Name").contains(" gerunds20 "));
}

#[test]
fn several_tasks_make_a_joint_expert() {
    let mut app = with_data();
    assert!(line(&app, "and ").contains("another task makes a joint expert"));
    down(&mut app, 1);
    let effects = press(&mut app, "tasks/plural");
    assert_eq!(effects.last(), Some(&Effect::Data(DataEffect::Check { path: "tasks/plural".into() })));
    found(&mut app, "tasks/plural", 320);
    assert!(line(&app, "Name").contains("gerunds+plural"));
    assert!(render_app(&app, 80, 30).contains("60 steps"), "of both together");
    let spec = started(&mut app);
    assert_eq!((spec.data.len(), spec.name.as_str()), (2, "gerunds+plural"));
    // One that is emptied goes when it is left.
    let mut app = with_data();
    down(&mut app, 1);
    press(&mut app, "x");
    press_code(&mut app, KeyCode::Backspace);
    assert_eq!(started(&mut app).data.len(), 1);
}

#[test]
fn what_is_seldom_changed_is_behind_a_fold() {
    let mut app = with_data();
    assert!(!render_app(&app, 80, 40).contains("Weight decay"));
    down(&mut app, 11);
    assert!(line(&app, "More options").contains("›") || line(&app, "More options").contains("▸"));
    press(&mut app, " ");
    assert_screen!("form_train_more", render_app(&app, 80, 32));
    assert_screen!("form_train_more_40x10", render_app(&app, 40, 10));
    down(&mut app, 1);
    press(&mut app, "4");
    down(&mut app, 3);
    press(&mut app, "0.5");
    down(&mut app, 4);
    press(&mut app, "y");
    down(&mut app, 1);
    press_code(&mut app, KeyCode::Right);
    // Folded again, it says what differs from the defaults.
    (0..9).for_each(|_| _ = press_code(&mut app, KeyCode::Up));
    press(&mut app, " ");
    let text = render_app(&app, 80, 30);
    assert!(text.contains("accumulate 4 · clip norm 0.5 · checkpointing yes"), "{text}");
    press_code(&mut app, KeyCode::Up);
    press(&mut app, "b");
    press_code(&mut app, KeyCode::Up);
    press_code(&mut app, KeyCode::Left);
    assert!(render_app(&app, 80, 30).contains("10 steps"), "of four batches each");
    let spec = started(&mut app);
    assert_eq!((spec.accumulate, spec.clip, spec.checkpointing), (4, Some(0.5), true));
    assert_eq!((spec.by_length, spec.shuffle), (true, true));
    assert_eq!((spec.precision, spec.schedule), (Precision::Bf16, Schedule::Constant));
}

#[test]
fn an_error_behind_the_fold_opens_it() {
    let mut app = with_data();
    down(&mut app, 11);
    press(&mut app, " ");
    down(&mut app, 5);
    press(&mut app, "2");
    (0..5).for_each(|_| _ = press_code(&mut app, KeyCode::Up));
    press(&mut app, " ");
    assert_eq!(press_code(&mut app, KeyCode::Enter), []);
    assert!(line(&app, "› Dropout").contains("✗ a number from 0 to below 1"), "{}", line(&app, "Dropout"));
}

#[test]
fn tab_completes_every_path_and_goes_on_from_empty_ones() {
    let mut app = full_app();
    press(&mut app, "t");
    press(&mut app, "ta");
    assert_eq!(
        press_code(&mut app, KeyCode::Tab),
        [Effect::Data(DataEffect::Complete { text: "ta".into(), yaml: false })]
    );
    // An answer without anything new: what the completion interrupted is looked at again.
    let answer = Message::Data(DataMessage::Completed {
        text: "ta".into(),
        candidates: vec!["ta/".into(), "tb/".into()],
    });
    assert_eq!(app.update(answer), [Effect::Data(DataEffect::Check { path: "ta".into() })]);
    let mut app = with_data();
    down(&mut app, 1);
    assert_eq!(press_code(&mut app, KeyCode::Tab), []);
    assert!(line(&app, "› Name").contains("gerunds"));
}

#[test]
fn a_task_is_chosen_among_those_that_are_known() {
    let task = |path: &str, held_out| KnownTask {
        path: path.into(),
        held_out,
        metric: "exact_match".into(),
        counts: [Some(640), Some(80), None],
        examples: vec![TaskExample { asked: "Add\n1 \u{1b}[31m1".into(), answered: "2".into() }],
        problem: None,
    };
    let mut app = full_app();
    press(&mut app, "t");
    press(&mut app, "x");
    assert_eq!(app.update(Message::Key(ctrl('t'))), [Effect::Data(DataEffect::Tasks)]);
    assert!(render_app(&app, 80, 24).contains("looking for task folders"));
    // Keys and pasted texts stay in the list.
    assert_eq!(press(&mut app, "q"), []);
    assert_eq!(app.update(Message::Paste("y".into())), []);
    let found = vec![task("tasks/sums/add", false), task("tasks/sums/subtract", true)];
    app.update(Message::Data(DataMessage::Tasks(found)));
    press_code(&mut app, KeyCode::Down);
    assert_screen!("form_tasks_80x24", render_app(&app, 80, 24));
    for (columns, rows) in [(0, 0), (3, 2), (20, 5), (200, 60)] {
        render_app(&app, columns, rows);
    }
    assert_eq!(
        press_code(&mut app, KeyCode::Enter),
        [Effect::Data(DataEffect::Check { path: "tasks/sums/subtract".into() })]
    );
    assert!(line(&app, "Data").contains("tasks/sums/subtract"), "{}", line(&app, "Data"));
    // Closed without a choice, what was typed stays.
    app.update(Message::Key(ctrl('t')));
    press_code(&mut app, KeyCode::Esc);
    assert!(line(&app, "Data").contains("tasks/sums/subtract"));
    // Answers that come late are dropped.
    app.update(Message::Data(DataMessage::Tasks(Vec::new())));
    assert!(!render_app(&app, 80, 24).contains("0 tasks"));
}

fn plan(missing: Vec<Skipped>) -> Message {
    let row = |name: &str, members: &[&str], examples| TrainRow {
        name: name.into(),
        members: members.iter().map(|m| m.to_string()).collect(),
        data: vec![PathBuf::from("tasks")],
        examples,
        ..TrainRow::default()
    };
    let rows = vec![
        row("cluster_1", &["formal-tone", "shorter"], 1280),
        row("cluster_2", &["past-tense", "plurals", "gerunds-with-a-long-name"], 640),
        row("cluster_3", &["evil\x1b[2Jname"], 1),
    ];
    let plan =
        ClustersPlan { rows, missing, warnings: vec!["plurals was trained on another version".into()] };
    Message::Compute(ComputeMessage::ClustersPlanned { ticket: 0, result: Ok(Arc::new(plan)), out: None })
}

/// Answers the last request for a plan.
fn answer(app: &mut App, asked: &[Effect], message: Message) -> ClustersSpec {
    let Some(Effect::Compute(ComputeEffect::PlanClusters { ticket, spec })) = asked.last() else {
        panic!("asked for {asked:?}")
    };
    let Message::Compute(ComputeMessage::ClustersPlanned { result, out, .. }) = message else {
        panic!("not a plan")
    };
    app.update(Message::Compute(ComputeMessage::ClustersPlanned { ticket: *ticket, result, out }));
    (**spec).clone()
}

fn clusters_form() -> (App, Vec<Effect>) {
    let mut app = full_app();
    let asked = app.apply(vec![Effect::App(AppEffect::OpenForm(&kinds::TRAIN_CLUSTERS))]);
    (app, asked)
}

#[test]
fn one_expert_a_cluster_is_shown_with_its_data_and_started() {
    let (mut app, asked) = clusters_form();
    assert!(app.is_animating());
    let asked_for = answer(&mut app, &asked, plan(Vec::new()));
    assert!(!app.is_animating());
    assert_screen!("form_clusters_80x24", render_app(&app, 80, 24));
    assert_screen!("form_clusters_40x10", render_app(&app, 40, 10));
    // The last rows are the experts: up from the first field.
    press_code(&mut app, KeyCode::Up);
    press_code(&mut app, KeyCode::Up);
    assert_screen!("form_clusters_rows_40x10", render_app(&app, 40, 10));
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Jobs(JobsEffect::Start(job))] = effects.as_slice() else { panic!("{effects:?}") };
    let spec = job.job.get::<ClustersSpec>().unwrap();
    assert_eq!(*spec, asked_for, "what was planned is what is started");
    let expected = ClustersSpec {
        library: std::path::absolute("library").unwrap(),
        out: std::path::absolute("library-mbc-4").unwrap(),
        // As the Clusters tab shows.
        k: 4,
        ..ClustersSpec::default()
    };
    assert_eq!(*spec, expected);
    app.update(Message::Jobs(JobsMessage::Started(Ok("g".into()))));
    assert_eq!(app.tab(), screens::jobs::TAB);
}

#[test]
fn members_without_data_are_named_and_nothing_starts() {
    let (mut app, asked) = clusters_form();
    let left = |name: &str| Skipped::new(name, "its expert.toml names no dataset");
    answer(&mut app, &asked, plan(vec![left("formal-tone")]));
    // As wide as the form, so that nothing stands beside it.
    let text = render_app(&app, 76, 30);
    let words = text.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty());
    let told = words.collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("✗ no data for formal-tone (its expert.toml names no dataset); give the folder"),
        "{text}"
    );
    assert_eq!(press_code(&mut app, KeyCode::Enter), []);
    // Naming the folder asks again.
    let asked = press(&mut app, "tasks");
    let spec = answer(&mut app, &asked, plan(Vec::new()));
    assert_eq!(spec.tasks, [std::path::absolute("tasks").unwrap()]);
    assert!(matches!(press_code(&mut app, KeyCode::Enter)[..], [Effect::Jobs(JobsEffect::Start(_))]));
}

#[test]
fn what_makes_other_clusters_is_planned_again_and_stale_plans_are_dropped() {
    let (mut app, first) = clusters_form();
    let asked = press(&mut app, "2");
    let Some(Effect::Compute(ComputeEffect::PlanClusters { spec, .. })) = asked.last() else {
        panic!("{asked:?}")
    };
    assert_eq!((spec.k, spec.out.file_name()), (2, Some("library-mbc-2".as_ref())));
    answer(&mut app, &first, plan(Vec::new()));
    assert!(!render_app(&app, 80, 30).contains("cluster_1"));
    answer(&mut app, &asked, plan(Vec::new()));
    assert!(line(&app, "cluster_1").contains("1280 examples · 80 steps"), "{}", line(&app, "cluster_1"));
    // Steps follow from what is known: nothing is asked for.
    down(&mut app, 8);
    assert_eq!(press(&mut app, "7"), []);
    assert!(line(&app, "cluster_1").contains("· 7 steps"), "{}", line(&app, "cluster_1"));
    assert!(render_app(&app, 80, 30).contains("3 experts · 21 steps"));
    // A folder that cannot be used is reported beside it.
    let (mut app, asked) = clusters_form();
    let Message::Compute(ComputeMessage::ClustersPlanned { result, .. }) = plan(Vec::new()) else {
        panic!("not a plan")
    };
    let out = Some("library-mbc-4: is not empty".to_string());
    answer(&mut app, &asked, Message::Compute(ComputeMessage::ClustersPlanned { ticket: 0, result, out }));
    assert!(render_app(&app, 80, 30).contains("✗ library-mbc-4: is not empty"));
    assert_eq!(press_code(&mut app, KeyCode::Enter), []);
}

#[test]
fn the_form_of_clusters_waits_for_the_library() {
    let mut app = new_app();
    assert_eq!(app.apply(vec![Effect::App(AppEffect::OpenForm(&kinds::TRAIN_CLUSTERS))]), []);
    let asked = app.update(Message::Library(Ok(fixtures::library())));
    let spec = answer(&mut app, &asked, plan(Vec::new()));
    assert_eq!((spec.k, spec.out.file_name()), (8, Some("library-mbc-8".as_ref())));
}

#[test]
fn a_training_is_started_from_the_form() {
    let mut app = full_app();
    press(&mut app, "t");
    let effects = press(&mut app, "tasks/gerunds");
    assert_eq!(effects.last(), Some(&Effect::Data(DataEffect::Check { path: "tasks/gerunds".into() })));
    // An answer to an earlier state of the field is dropped.
    app.update(Message::Data(DataMessage::Checked {
        path: "tasks/ger".into(),
        result: Err("no such file".into()),
    }));
    assert!(!render_app(&app, 80, 24).contains("no such file"));
    let summary = DataSummary { train: 640, validation: 80, task: "gerunds".into() };
    app.update(Message::Data(DataMessage::Checked { path: "tasks/gerunds".into(), result: Ok(summary) }));
    assert_screen!("form_train", render_app(&app, 80, 24));
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Jobs(JobsEffect::Start(job))] = effects.as_slice() else { panic!("{effects:?}") };
    let spec = job.job.get::<TrainSpec>().unwrap();
    assert_eq!((spec.name.as_str(), spec.rank, spec.batch), ("gerunds", 4, 16));
    assert!(spec.library.is_absolute() && spec.data[0].ends_with("tasks/gerunds"));
    app.update(Message::Jobs(JobsMessage::Started(Ok("g".into()))));
    assert_eq!(app.tab(), screens::jobs::TAB);
    assert!(app.form.is_none());
}

#[test]
fn a_refused_job_leaves_the_form_open_with_the_reason() {
    let mut app = full_app();
    press(&mut app, "c");
    press_code(&mut app, KeyCode::Enter);
    app.update(Message::Jobs(JobsMessage::Started(Err("the library cannot be written".into()))));
    assert!(render_app(&app, 80, 24).contains("✗ the library cannot be written"));
    assert_eq!(app.tab(), screens::library::TAB);
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
        down(&mut app, 2);
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
    assert_eq!(
        press_code(&mut app, KeyCode::Tab),
        [Effect::Data(DataEffect::Complete { text: "ta".into(), yaml: false })]
    );
    let answer = |text: &str, candidates: &[&str]| {
        Message::Data(DataMessage::Completed {
            text: text.into(),
            candidates: candidates.iter().map(|c| c.to_string()).collect(),
        })
    };
    let effects = app.update(answer("ta", &["tasks/units/", "tasks/unfold/"]));
    assert_eq!(effects, [Effect::Data(DataEffect::Check { path: "tasks/un".into() })]);
    assert!(render_app(&app, 80, 24).contains("tasks/unfold/"));
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
fn the_clustering_form_starts_with_what_the_tab_shows() {
    let mut app = full_app();
    let clustering = Clustering { k: 3, seed: 45, ..(*fixtures::clustering()).clone() };
    let similarity = Similarity { sparsity: 0.35, ..(*fixtures::similarity()).clone() };
    app.update(Message::Compute(ComputeMessage::Clustering {
        ticket: 0,
        result: Ok((Arc::new(similarity), Arc::new(clustering))),
    }));
    press(&mut app, "c");
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Jobs(JobsEffect::Start(job))] = effects.as_slice() else { panic!("{effects:?}") };
    let spec = job.job.get::<ClusterSpec>().unwrap();
    assert_eq!((spec.k, spec.sparsity, spec.seed), (3, 0.35, 45));
}

#[test]
fn forms_open_over_every_tab() {
    for &kind in kinds::KINDS {
        let mut app = full_app();
        app.apply(vec![Effect::App(AppEffect::OpenForm(kind))]);
        for (width, height) in [(0, 0), (1, 1), (5, 3), (20, 6), (40, 10)] {
            render_app(&app, width, height);
        }
    }
}

#[test]
fn the_row_for_another_task_is_there_from_the_start() {
    let mut app = full_app();
    press(&mut app, "t");
    assert!(line(&app, "and ").contains("another task makes a joint expert"));
    press(&mut app, "tasks/gerunds");
    // Whether the answer comes before or after the keys, they lead to the same rows.
    for late in [false, true] {
        let mut app = full_app();
        press(&mut app, "t");
        press(&mut app, "tasks/gerunds");
        if !late {
            found(&mut app, "tasks/gerunds", 640);
        }
        down(&mut app, 2);
        if late {
            found(&mut app, "tasks/gerunds", 640);
        }
        press(&mut app, "mine");
        assert!(line(&app, "Name").contains(" mine "), "{late}: {}", line(&app, "Name"));
        assert_eq!(started(&mut app).name, "mine");
    }
}

#[test]
fn a_task_in_the_second_row_alone_is_the_first() {
    let mut app = full_app();
    press(&mut app, "t");
    down(&mut app, 1);
    press(&mut app, "tasks/plural");
    found(&mut app, "tasks/plural", 320);
    down(&mut app, 1);
    assert!(line(&app, "Data").contains("tasks/plural"), "{}", line(&app, "Data"));
    assert_eq!(started(&mut app).data, [std::path::absolute("tasks/plural").unwrap()]);
}

#[test]
fn a_library_that_cannot_be_written_says_so_before_anything_is_typed() {
    let read = |app: &mut App, read_only: Option<&str>| {
        let library = Library { experts: fixtures::library().experts.clone(), ..Library::default() };
        let mut catalog = Catalog::from(library);
        catalog.read_only = read_only.map(String::from);
        app.update(Message::Library(Ok(Arc::new(catalog))));
    };
    let mut app = full_app();
    read(&mut app, Some("permission denied"));
    assert!(render_app(&app, 100, 24).lines().next().unwrap().ends_with("10 experts · read-only"));
    assert!(render_app(&app, 80, 24).lines().next().unwrap().ends_with("read-only"));
    // It is looked at again whenever somebody wants to write into it.
    assert!(press(&mut app, "t").contains(&Effect::ReloadLibrary));
    for (width, height) in [(80, 30), (160, 48), (80, 24), (40, 24), (30, 12)] {
        let text = render_app(&app, width, height);
        let form = text.lines().skip_while(|line| !line.contains('╭')).skip(1);
        let inside: Vec<&str> = form.filter_map(|line| line.split('│').nth(1)).collect();
        assert!(height < 30 || inside[0].contains("✗ This library is read-only"), "{text}");
        let words: String =
            inside.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ");
        assert!(words.contains("(permission denied): no expert can be saved here"), "{text}");
    }
    press(&mut app, "tasks/gerunds");
    found(&mut app, "tasks/gerunds", 640);
    assert_eq!(press_code(&mut app, KeyCode::Enter), []);
    // What is written elsewhere can be.
    press_code(&mut app, KeyCode::Esc);
    press(&mut app, "c");
    assert!(!render_app(&app, 80, 24).contains("read-only ("));
    assert!(!press_code(&mut app, KeyCode::Enter).is_empty());
    // Once it can be written, the form that is open says so.
    press_code(&mut app, KeyCode::Esc);
    press(&mut app, "t");
    assert!(render_app(&app, 100, 30).contains("read-only (permission denied)"));
    read(&mut app, None);
    let text = render_app(&app, 100, 30);
    assert!(!text.contains("read-only"), "{text}");
}

#[test]
fn every_form_asks_how_many_cores_a_job_takes_and_checks_it_as_the_command_line_does() {
    let app = full_app();
    let shared = &app.shared;
    for kind in kinds::KINDS {
        let (mut form, _) = Form::open(kind, Tickets::of_form(1), shared);
        let at = form.fields.iter().position(|field| field.look().is_some_and(|look| look.id == "cores"));
        let at = at.unwrap_or_else(|| panic!("{} has no such field", kind.name));
        assert!(form.fields[at].more, "behind the fold");
        form.focus = at;
        form.on_paste("0", shared);
        assert_eq!(form.fields[at].error.as_deref(), Some("a whole number from 1 to 4096"), "{}", kind.name);
        if let Value::Text(input) = &mut form.fields[at].value {
            input.set("2");
        }
        form.edited(shared);
        assert_eq!((&form.fields[at].error, form.typed().share.cores), (&None, Some(2)), "{}", kind.name);
    }
}

#[test]
fn another_job_like_one_takes_what_that_one_took() {
    let mut app = full_app();
    let mut jobs = fixtures::jobs();
    jobs[3].share.cores = Some(3);
    let job = jobs[3].id.clone();
    app.update(Message::Jobs(JobsMessage::List(jobs)));
    let spec = serde_json::to_value(AnyJob::from(ClusterSpec { k: 4, ..ClusterSpec::default() })).unwrap();
    app.apply(vec![Effect::App(AppEffect::Follow { step: Step::Start(spec), job })]);
    let effects = press_code(&mut app, KeyCode::Enter);
    let [Effect::Jobs(JobsEffect::Start(new))] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(new.share.cores, Some(3));
}
