//! The Jobs tab: what it shows, cancelling and resuming.

use std::sync::Arc;

use crossterm::event::KeyCode;

use crate::jobs::kinds::{AnyReport, CLUSTER, KINDS, Kind, TRAIN, TRAIN_CLUSTERS, report_of};
use crate::jobs::{ClusterReport, ClusterSpec, JobDetail, JobRow, JobState, JobSummary, Progress};
use crate::library::Skipped;
use crate::train::{ClustersReport, ClustersSpec};
use crate::tui::testing::{SIZES, assert_screen, code, full_app, jobs_app, press, press_code, render_app};
use crate::tui::{App, ComputeEffect, Effect, JobsEffect, JobsMessage, Message, fixtures, screens};

/// The words of a screen with one blank between them.
fn unwrapped(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn jobs_look_right_at_every_size() {
    let app = jobs_app();
    for (width, height) in SIZES {
        assert_screen!(format!("jobs_{width}x{height}"), render_app(&app, width, height));
    }
}

#[test]
fn cancelling_asks_first_and_finished_jobs_cannot_be_cancelled() {
    let mut app = jobs_app();
    assert_eq!(press(&mut app, "x"), []);
    let text = render_app(&app, 80, 24);
    let row = text.lines().position(|line| line.contains("past-tense") && line.contains("running"));
    let question = text.lines().position(|line| line.contains("Cancel train past-tense?"));
    assert_eq!(question, row.map(|row| row + 2), "right below its row, but for the border:\n{text}");
    assert_eq!(press(&mut app, "q"), []);
    assert!(!app.should_quit());
    assert_eq!(press(&mut app, "n"), []);
    assert_eq!(press(&mut app, "xy"), [Effect::Jobs(JobsEffect::Cancel { id: "e".into() })]);
    press(&mut app, "jjx");
    assert!(render_app(&app, 80, 24).contains("has already ended"));
}

#[test]
fn every_kind_of_job_is_started_from_one_key() {
    for (at, kind) in KINDS.iter().enumerate() {
        let mut app = jobs_app();
        assert_eq!(press(&mut app, "s"), []);
        let text = render_app(&app, 80, 24);
        assert!(
            text.contains("Start a job") && KINDS.iter().all(|kind| text.contains(kind.heading)),
            "{text}"
        );
        press(&mut app, "q");
        assert!(!app.should_quit());
        press(&mut app, &"j".repeat(at));
        press_code(&mut app, KeyCode::Enter);
        let text = render_app(&app, 80, 24);
        assert!(!text.contains("Start a job"), "{text}");
        assert!(text.contains(&format!(" {} ─", kind.heading)), "{text}");
        for (width, height) in [(0, 0), (1, 1), (5, 3), (20, 6)] {
            let mut app = jobs_app();
            press(&mut app, "s");
            render_app(&app, width, height);
        }
    }
    let mut app = jobs_app();
    press(&mut app, "s");
    press_code(&mut app, KeyCode::Esc);
    assert!(!render_app(&app, 80, 24).contains("Start a job"));
}

#[test]
fn the_cancel_question_says_what_becomes_of_the_work() {
    let with = |kind: &'static Kind| {
        let mut jobs = fixtures::jobs();
        jobs[1].kind = Some(kind);
        let mut app = full_app();
        app.update(Message::Jobs(JobsMessage::List(jobs)));
        press(&mut app, "6jx");
        render_app(&app, 120, 40)
    };
    for (kind, then) in [
        (&TRAIN, ["saved:", "resumes from there."]),
        (&TRAIN_CLUSTERS, ["saved:", "resumes from there."]),
        (&CLUSTER, ["lost:", "starts it again."]),
    ] {
        let text = with(kind);
        assert!(then.iter().all(|part| text.contains(part)), "{text}");
    }
}

#[test]
fn a_job_shows_what_it_does_before_its_first_step() {
    let mut jobs = fixtures::jobs();
    (jobs[1].step, jobs[1].steps) = (0, 0);
    let stage = "fetching SmolLM2-135M-Instruct.Q4_1.gguf: downloading hub owner/a-model, 30 %";
    let detail = JobDetail {
        summary: jobs[1].clone(),
        progress: Progress { stage: Some(stage.into()), ..Progress::default() },
        ..(*fixtures::job_detail()).clone()
    };
    let mut app = full_app();
    press(&mut app, "6j");
    app.update(Message::Jobs(JobsMessage::List(jobs)));
    app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail))));
    let text = unwrapped(&render_app(&app, 80, 24));
    assert!(text.contains(stage), "{text}");
}

#[test]
fn what_was_cancelled_or_failed_goes_on() {
    let mut app = full_app();
    press(&mut app, "6");
    let offered = |app: &App| app.hints().iter().any(|binding| binding.keys == "r");
    for state in ["queued", "running", "cancelling", "finished"] {
        assert!(!offered(&app), "{state}");
        assert_eq!(press(&mut app, "r"), []);
        assert!(render_app(&app, 80, 24).contains("only cancelled or failed jobs can be resumed"), "{state}");
        press(&mut app, "j");
    }
    for id in ["b", "a"] {
        assert!(offered(&app), "{id}");
        assert_eq!(press(&mut app, "r"), [Effect::Jobs(JobsEffect::Resume { id: id.into() })]);
        press(&mut app, "j");
    }
    assert_screen!("jobs_resume", render_app(&app, 80, 24));
    // Beside the log, too.
    press_code(&mut app, KeyCode::Enter);
    assert!(offered(&app));
    assert_eq!(press(&mut app, "r"), [Effect::Jobs(JobsEffect::Resume { id: "a".into() })]);
}

#[test]
fn a_job_of_several_experts_shows_a_row_for_each() {
    let mut app = jobs_app();
    let mut detail = (*fixtures::job_detail()).clone();
    let row = |name: &str, step, loss, members: &[&str]| JobRow {
        name: name.into(),
        members: members.iter().map(|m| m.to_string()).collect(),
        step,
        steps: 90,
        loss,
        validation_loss: loss.filter(|_| step == 90),
    };
    detail.progress.rows = vec![
        row("cluster_1", 90, Some(0.25), &["past-tense", "plurals"]),
        row("cluster_2", 12, Some(1.5), &["topic"]),
        row("cluster_3", 0, None, &["spam\x1b[31m"]),
    ];
    app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail.clone()))));
    let text = render_app(&app, 160, 40);
    assert!(
        text.contains("✓ cluster_1     90 / 90     loss 0.250  validation 0.250  past-tense, plurals"),
        "{text}"
    );
    assert!(text.contains("▸ cluster_2     12 / 90     loss 1.500  topic"), "{text}");
    assert!(text.contains("· cluster_3      0 / 90     spam"), "{text}");
    // Of many, those around the one in work.
    detail.progress.rows =
        (0..40).map(|i| row(&format!("cluster_{i:02}"), if i < 20 { 90 } else { 0 }, None, &[])).collect();
    app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail))));
    let text = render_app(&app, 160, 60);
    assert!(text.contains("20 of 40 experts are done") && text.contains("cluster_20"), "{text}");
    assert!(!text.contains("cluster_00") && !text.contains("cluster_39"), "{text}");
}

#[test]
fn other_keys_work_while_a_cancel_is_asked_about() {
    let asked = || {
        let mut app = jobs_app();
        press(&mut app, "x");
        app
    };
    for (keys, tab) in [("1", screens::library::TAB), ("3", screens::clusters::TAB)] {
        let mut app = asked();
        press(&mut app, keys);
        assert_eq!(app.tab(), tab);
        press(&mut app, "6");
        assert!(!render_app(&app, 80, 24).contains("Cancel train"), "the question is gone");
    }
    let mut app = asked();
    assert_eq!(press(&mut app, "j"), [Effect::Jobs(JobsEffect::Watch { id: Some("d".into()) })]);
    assert!(!render_app(&app, 80, 24).contains("Cancel train"));
    let mut app = asked();
    press(&mut app, "?");
    assert!(app.help.is_some());
}

#[test]
fn the_cancel_question_stays_inside_any_screen() {
    let mut app = jobs_app();
    press(&mut app, "x");
    for (width, height) in SIZES {
        let text = render_app(&app, width, height);
        let squeezed: String = text.split(|c: char| c.is_whitespace() || c == '│').collect();
        assert!(squeezed.contains("Canceltrainpast-tense?") && squeezed.contains("cancelit"), "{text}");
    }
}

#[test]
fn the_cursor_stays_on_its_job_when_new_ones_come() {
    let mut app = jobs_app();
    let mut jobs = fixtures::jobs();
    let mut new = jobs[0].clone();
    new.id = "g".into();
    jobs.insert(0, new);
    assert_eq!(app.update(Message::Jobs(JobsMessage::List(jobs))), []);
    assert_eq!(press(&mut app, "xy"), [Effect::Jobs(JobsEffect::Cancel { id: "e".into() })]);
}

#[test]
fn a_finished_clustering_shows_its_result_and_a_failed_job_its_error() {
    let mut app = full_app();
    press(&mut app, "6jjj");
    app.update(Message::Jobs(JobsMessage::Detail(fixtures::cluster_detail())));
    let text = render_app(&app, 120, 40);
    assert!(text.contains("4 clusters of 3 experts · inertia 1.520"), "{text}");
    press(&mut app, "j");
    assert!(render_app(&app, 120, 40).contains("✗ assets/tasks/plurals/train.jsonl: line 3"));
}

#[test]
fn a_job_that_was_just_started_is_the_selected_one_from_wherever_it_was_started() {
    for start in ["1", "3", "5jjj"] {
        let mut app = full_app();
        press(&mut app, start);
        press(&mut app, "1t");
        press(&mut app, "tasks/gerunds");
        let watched = app.update(Message::Jobs(JobsMessage::Started(Ok("g".into()))));
        app.update(Message::Key(code(KeyCode::Esc)));
        press(&mut app, "6");
        assert!(watched.contains(&Effect::Jobs(JobsEffect::Watch { id: Some("g".into()) })), "{watched:?}");
        // Before the list has it, keys do nothing to another job.
        assert_eq!(press(&mut app, "xy"), [], "from {start}");
        let mut jobs = fixtures::jobs();
        let mut new = jobs[1].clone();
        (new.id, new.name) = ("g".into(), "gerunds".into());
        jobs.insert(0, new);
        app.update(Message::Jobs(JobsMessage::List(jobs)));
        assert!(render_app(&app, 120, 40).contains("train gerunds"), "its details");
        assert_eq!(press(&mut app, "xy"), [Effect::Jobs(JobsEffect::Cancel { id: "g".into() })]);
    }
}

#[test]
fn long_lines_of_the_log_and_of_the_result_are_wrapped() {
    let mut app = jobs_app();
    let mut detail = (*fixtures::job_detail()).clone();
    let words: Vec<String> = (0..60).map(|i| format!("word{i}")).collect();
    detail.log = vec![words.join(" ")];
    app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail.clone()))));
    let all = |app: &App, end: &str| {
        let text = unwrapped(&render_app(app, 120, 40));
        assert!(
            words.iter().all(|word| text.contains(&format!("{word} ")) || text.ends_with(word)),
            "{text}"
        );
        assert!(text.contains(end), "{text}");
    };
    all(&app, "word59");
    // What was left out, whose reason is as long, can be read by scrolling.
    detail.outcome = Some(Ok(report_of::<ClusterSpec>(ClusterReport {
        k: 1,
        labels: vec![0],
        experts: vec![words.join("_")],
        skipped: vec![Skipped::new("odd", words.join(" "))],
        ..ClusterReport::default()
    })));
    app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail))));
    press_code(&mut app, KeyCode::Enter);
    let mut seen = String::new();
    for _ in 0..40 {
        seen += &unwrapped(&render_app(&app, 80, 24));
        press(&mut app, "k");
    }
    for _ in 0..80 {
        seen += &unwrapped(&render_app(&app, 80, 24));
        press(&mut app, "j");
    }
    for word in ["left out: odd: word0", "word58 word59", "Log"] {
        assert!(seen.contains(word), "{word}");
    }
}

#[test]
fn what_a_job_made_is_one_key_away() {
    let finished = |outcome: AnyReport| {
        let mut app = full_app();
        press(&mut app, "6jjj");
        let mut detail = (*fixtures::cluster_detail()).clone();
        detail.outcome = Some(Ok(outcome));
        app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail))));
        app
    };
    let clusters = ClusterReport { k: 3, seed: 7, sparsity: 0.25, ..ClusterReport::default() };
    let mut app = finished(report_of::<ClusterSpec>(clusters));
    let asked = press(&mut app, "o");
    assert_eq!(app.tab(), screens::clusters::TAB);
    assert!(
        matches!(asked[..], [Effect::Compute(ComputeEffect::Cluster { k: 3, seed: 7, sparsity: 0.25, .. })]),
        "{asked:?}"
    );
    let library: ClustersReport = serde_json::from_value(serde_json::json!({
        "library": "/lib/mbc", "k": 2, "seed": 42, "sparsity": 0.5, "silhouette": 0.25,
        "clusters": [], "warnings": [], "skipped": [],
    }))
    .unwrap();
    let mut app = finished(report_of::<ClustersSpec>(library));
    assert_eq!(press(&mut app, "o"), [Effect::OpenLibrary("/lib/mbc".into())]);
    // The event loop does it: everything begins anew there.
    let asked = app.reopen("/lib/mbc".into());
    assert!(asked.contains(&Effect::ReloadLibrary), "{asked:?}");
    assert_eq!((app.tab(), app.shared().root.as_path()), (screens::library::TAB, "/lib/mbc".as_ref()));
    assert!(app.shared().library.is_none() && app.shared().jobs.is_empty());
    // One that runs has made nothing.
    let mut app = jobs_app();
    press(&mut app, "o");
    assert!(render_app(&app, 80, 24).contains("has made nothing"));
}

/// A group of so many trainings, newest first: in turns failed, running, queued and finished.
fn array(count: usize) -> Vec<JobSummary> {
    let states = [JobState::Failed, JobState::Running, JobState::Queued, JobState::Finished];
    let model = fixtures::jobs().remove(1);
    let job = |n: usize| {
        let state = states[n % 4];
        JobSummary {
            id: format!("array-{n:05}"),
            name: format!("task_{n:05}"),
            state,
            step: if state == JobState::Finished { 200 } else { 50 * (n % 4) },
            error: (state == JobState::Failed).then(|| format!("Slurm job 7_{n} on n1 lost its node")),
            waits: (state == JobState::Queued).then(|| "waits for free resources".into()),
            place: (state == JobState::Running).then(|| format!("Slurm job 7_{n} on n2")),
            group: Some("array-00000".into()),
            ..model.clone()
        }
    };
    (0..count).rev().map(job).collect()
}

fn array_app(count: usize) -> App {
    let mut app = full_app();
    press(&mut app, "6");
    let mut jobs = fixtures::jobs();
    jobs.splice(1..1, array(count));
    app.update(Message::Jobs(JobsMessage::List(jobs)));
    press(&mut app, "j");
    app
}

#[test]
fn jobs_that_were_started_together_are_one_row_that_opens_with_what_failed_first() {
    let mut app = array_app(8);
    assert_screen!("jobs_group", render_app(&app, 120, 30));
    let text = unwrapped(&render_app(&app, 120, 30));
    assert!(
        text.contains("2 failed 2 running 2 queued 2 finished") || text.contains("2 failed · 2 running"),
        "{text}"
    );
    assert!(text.contains("✗ task_00000: Slurm job 7_0 on n1 lost its node"), "{text}");
    assert!(text.contains("○ 2: waits for free resources"), "{text}");
    press_code(&mut app, KeyCode::Enter);
    let text = render_app(&app, 120, 30);
    let rows: Vec<usize> = ["task_00000", "task_00004", "task_00001", "task_00002", "task_00003"]
        .iter()
        .map(|name| {
            text.lines().position(|line| line.chars().take(60).collect::<String>().contains(name)).unwrap()
        })
        .collect();
    assert!(rows.is_sorted(), "{rows:?}\n{text}");
    // The cursor stays on its job when the list comes again.
    press(&mut app, "jj");
    let mut jobs = fixtures::jobs();
    jobs.splice(1..1, array(8));
    jobs.remove(0);
    app.update(Message::Jobs(JobsMessage::List(jobs)));
    assert_eq!(press(&mut app, "r"), [Effect::Jobs(JobsEffect::Resume { id: "array-00004".into() })]);
    press(&mut app, "kk");
    press_code(&mut app, KeyCode::Enter);
    assert!(!render_app(&app, 120, 30).contains("  task_00004 "));
}

#[test]
fn all_of_a_group_are_cancelled_and_held_and_what_failed_is_resumed() {
    let mut app = array_app(8);
    let ids = |numbers: &[usize]| numbers.iter().map(|n| format!("array-{n:05}")).collect::<Vec<_>>();
    assert_eq!(press(&mut app, "R"), [Effect::Jobs(JobsEffect::ResumeMany { ids: ids(&[0, 4]) })]);
    assert_eq!(press(&mut app, "h"), [Effect::Jobs(JobsEffect::Hold { ids: ids(&[2, 6]), held: true })]);
    press(&mut app, "x");
    assert!(unwrapped(&render_app(&app, 120, 30)).contains("Cancel all 4 of 8 jobs that are not over?"));
    assert_eq!(press(&mut app, "y"), [Effect::Jobs(JobsEffect::CancelMany { ids: ids(&[1, 5, 2, 6]) })]);
    // A job that was asked about elsewhere shows, also where its group is closed.
    let mut app = array_app(8);
    app.update(Message::Jobs(JobsMessage::Started(Ok("array-00003".into()))));
    assert!(render_app(&app, 120, 30).contains("task_00003"));
}

#[test]
fn ten_thousand_jobs_of_a_group_scroll() {
    let mut app = array_app(10_000);
    press_code(&mut app, KeyCode::Enter);
    press(&mut app, "G");
    assert!(render_app(&app, 160, 48).contains("sentiment"));
    press(&mut app, "kkkkk");
    let text = render_app(&app, 160, 48);
    // The last that are finished.
    assert!(text.contains("task_09999") && text.contains("10006 jobs"), "{text}");
}
