//! The Jobs tab: what it shows, cancelling and resuming.

use std::sync::Arc;

use crossterm::event::KeyCode;

use crate::devices::Gpu;
use crate::jobs::kinds::{AnyReport, CLUSTER, KINDS, Kind, Measure, TRAIN, TRAIN_CLUSTERS, report_of};
use crate::jobs::{
    ClusterReport, ClusterSpec, Figures, JobDetail, JobRow, JobState, JobSummary, Point, Progress, QueueMove,
    Usage,
};
use crate::library::Skipped;
use crate::machine::{Load, Taken};
use crate::train::{ClustersReport, ClustersSpec};
use crate::tui::testing::{SIZES, assert_screen, code, full_app, jobs_app, press, press_code, render_app};
use crate::tui::{
    App, ComputeEffect, Effect, JobsEffect, JobsMessage, MachineView, Message, fixtures, screens,
};

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
    assert!(text.contains("│ ✓ cluster_1  90/90  0.250  val 0.250"), "{text}");
    let text = render_app(&app, 80, 40);
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
    assert!(render_app(&app, 160, 40).contains("│ ✗ assets/tasks/plurals/train.jsonl: line 3"));
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
    assert!(unwrapped(&render_app(&app, 120, 30)).contains("Cancel all 4 of 8 jobs that have not ended?"));
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

/// The array with losses and results: the later, the better.
fn measured(count: usize) -> Vec<JobSummary> {
    let mut jobs = array(count);
    for job in &mut jobs {
        let number: f64 = job.name[5..].parse().unwrap();
        let loss = 1.0 - 0.01 * number;
        let measure =
            Measure::loss("loss", Some(loss), Some(2.5)).filter(|_| job.state == JobState::Finished);
        job.figures =
            Figures { loss: Some(loss), validation_loss: Some(loss + 0.1), measure, ..Figures::default() };
    }
    jobs
}

fn measured_app(count: usize) -> App {
    let mut app = full_app();
    press(&mut app, "6");
    let mut jobs = fixtures::jobs();
    jobs.splice(1..1, measured(count));
    app.update(Message::Jobs(JobsMessage::List(jobs)));
    app
}

/// Curves of a job that fall to its loss.
fn curves(ids: &[String]) -> Message {
    let progress = |number: usize| {
        let point = |step: usize| {
            let value = 0.2 * (number + 1) as f64 + 2.0 / step as f64;
            Point { step, seconds: 2.0 * step as f64, value }
        };
        let validation = vec![point(50), point(100)];
        Arc::new(Progress { losses: (1..=100).map(point).collect(), validation, ..Progress::default() })
    };
    let all = ids.iter().enumerate().map(|(number, id)| (id.clone(), progress(number)));
    Message::Jobs(JobsMessage::Curves(all.collect()))
}

/// The jobs whose curves are asked for.
fn asked(effects: &[Effect]) -> Option<Vec<String>> {
    effects.iter().find_map(|effect| match effect {
        Effect::Jobs(JobsEffect::Curves { ids }) => Some(ids.clone()),
        _ => None,
    })
}

#[test]
fn columns_are_kept_by_what_they_are_worth() {
    let app = measured_app(8);
    for (width, wanted, left_out) in [
        (30, &["State"][..], &["Result", "Left", "Kind"][..]),
        (40, &["State"], &["Kind", "Step"]),
        (80, &["State", "Progress", "Val", "Left", "Result"], &["Tokens/s"]),
        (120, &["Kind", "State", "Progress", "Step", "Loss", "Val", "Left", "Started", "Result"], &[]),
        (200, &["Kind", "State", "Progress", "Step", "Loss", "Val", "Left", "Started", "Result"], &[]),
    ] {
        let text = render_app(&app, width, 24);
        let header = text.lines().find(|line| line.contains("Job ")).unwrap();
        assert!(wanted.iter().all(|title| header.contains(title)), "{width}:\n{text}");
        assert!(!left_out.iter().any(|title| header.contains(title)), "{width}:\n{text}");
    }
    let mut app = measured_app(8);
    press(&mut app, "j");
    press_code(&mut app, KeyCode::Enter);
    assert_screen!("jobs_results", render_app(&app, 160, 40));
}

#[test]
fn a_group_names_its_best_and_its_worst_and_its_curves_are_laid_over_each_other() {
    let mut app = measured_app(8);
    let ids = asked(&press(&mut app, "j")).unwrap();
    assert_eq!(ids.len(), 8);
    app.update(curves(&ids));
    let text = render_app(&app, 160, 48);
    assert!(text.contains("best: task_00007, loss 2.500 → 0.930"), "{text}");
    assert!(text.contains("worst: task_00003, loss 2.500 → 0.970"), "{text}");
    assert!(text.contains("Curves  8 of the group"), "{text}");
    assert_screen!("jobs_curves", text);
    // Away from the group, its curves are not asked for any more.
    assert_eq!(asked(&press(&mut app, "j")), Some(Vec::new()));
}

#[test]
fn of_many_jobs_the_curves_reach_from_the_best_to_the_worst() {
    let mut app = measured_app(100);
    let ids = asked(&press(&mut app, "j")).unwrap();
    assert_eq!(ids.len(), 12);
    let (first, last) = (ids.first().unwrap(), ids.last().unwrap());
    // Those with results are measured by them, the others by their validation losses.
    assert_eq!((first.as_str(), last.as_str()), ("array-00099", "array-00000"));
    app.update(curves(&ids));
    assert!(render_app(&app, 160, 48).contains("12 of 100 of the group"));
}

#[test]
fn marked_jobs_are_read_at_one_step() {
    let mut app = measured_app(8);
    press(&mut app, "j");
    press_code(&mut app, KeyCode::Enter);
    press(&mut app, "j ");
    let ids = asked(&press(&mut app, " ")).unwrap();
    assert_eq!(ids, ["array-00004", "array-00000"]);
    app.update(curves(&ids));
    let at = |app: &App| unwrapped(&render_app(app, 160, 48));
    assert!(at(&app).contains("Curves 2 marked"), "{}", at(&app));
    assert!(at(&app).contains("A task_00004 0.220 • 0.220"), "{}", at(&app));
    // From the beginning: the last point at or before the cursor.
    (0..3).for_each(|_| drop(press_code(&mut app, KeyCode::Right)));
    let text = at(&app);
    assert!(text.contains("at step 2"), "{text}");
    assert!(text.contains("A task_00004 1.200 ") && !text.contains("A task_00004 1.200 •"), "{text}");
    press(&mut app, "b");
    assert!(at(&app).contains("by time") && !at(&app).contains("at step"));
    press_code(&mut app, KeyCode::Left);
    assert!(at(&app).contains("at 3m"), "{}", at(&app));
    press_code(&mut app, KeyCode::Esc);
    assert!(!at(&app).contains("at 3m"));
    press(&mut app, "lev");
    assert!(at(&app).contains("log scale · smoothed, EMA 0.6 · training only · by time"), "{}", at(&app));
    press(&mut app, "p");
    assert!(!at(&app).contains("Started"), "the curves have the tab");
    press_code(&mut app, KeyCode::Esc);
    press(&mut app, "u");
    assert!(!at(&app).contains("marked"));
}

#[test]
fn a_filter_finds_jobs_inside_closed_groups_and_the_order_brings_up_what_matters() {
    let mut app = measured_app(8);
    press(&mut app, "/");
    press(&mut app, "failed 4");
    let text = render_app(&app, 120, 40);
    assert!(text.contains("/ failed 4") && text.contains("1 of 14"), "{text}");
    assert!(text.contains("1 found of 8 jobs"), "{text}");
    assert!(!text.contains("past-tense"), "{text}");
    press_code(&mut app, KeyCode::Enter);
    assert_eq!(press(&mut app, "x"), []);
    press(&mut app, "n");
    press_code(&mut app, KeyCode::Esc);
    assert!(render_app(&app, 120, 40).contains("14 jobs"));
    let rows = |app: &App| -> Vec<String> {
        let text = render_app(app, 120, 40);
        text.lines()
            .skip(3)
            .take(4)
            .map(|line| line.chars().skip(2).take(10).collect::<String>().trim().into())
            .collect()
    };
    press(&mut app, "O");
    // The group has failures; the newest first among equals.
    assert_eq!(rows(&app)[..2], ["▸ 8 jobs t", "plurals\\u{"].map(String::from));
    press(&mut app, "O");
    assert_eq!(rows(&app)[0], "▸ 8 jobs t");
    press_code(&mut app, KeyCode::Enter);
    assert_eq!(rows(&app)[1..3], ["task_000", "task_000"]);
    let text = render_app(&app, 120, 40);
    let (best, next) = (text.find("task_00007").unwrap(), text.find("task_00003").unwrap());
    assert!(best < next, "{text}");
}

#[test]
fn a_waiting_job_is_put_elsewhere_in_the_queue() {
    let mut app = full_app();
    press(&mut app, "6");
    assert!(render_app(&app, 80, 24).contains("queued 1"));
    let moved = |to| Effect::Jobs(JobsEffect::Reorder { id: "f".into(), to });
    assert_eq!(press(&mut app, "f"), [moved(QueueMove::First)]);
    assert_eq!(press(&mut app, "K"), [moved(QueueMove::Earlier)]);
    assert_eq!(press(&mut app, "J"), [moved(QueueMove::Later)]);
    // One that runs has no turn.
    press(&mut app, "j");
    assert_eq!(press(&mut app, "fKJ"), []);
}

#[test]
fn what_can_follow_a_job_comes_from_its_kind() {
    let report = serde_json::json!({
        "expert": "topic", "path": "/lib/topic", "steps": 200, "train_loss": 0.3, "validation_loss": 0.4,
        "base_validation_loss": 2.9, "seconds": 312.4, "tokens_per_second": 930.6,
    });
    let finished = || {
        let mut app = full_app();
        press(&mut app, "6jjj");
        let mut detail = (*fixtures::job_detail()).clone();
        detail.summary = fixtures::jobs()[3].clone();
        detail.outcome = Some(TRAIN.report(report.clone()).map_err(|error| error.to_string()));
        app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail))));
        press(&mut app, "n");
        app
    };
    let text = render_app(&finished(), 100, 30);
    for words in [
        "What next",
        "Show the expert",
        "Compare it",
        "Route a prompt",
        "Evaluate it beside",
        "Start another",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let choose = |at: usize| {
        let mut app = finished();
        press(&mut app, &"j".repeat(at));
        press_code(&mut app, KeyCode::Enter);
        app
    };
    let app = choose(0);
    assert_eq!((app.tab(), app.shared().selected.as_deref()), (screens::library::TAB, Some("topic")));
    assert_eq!(choose(1).tab(), screens::similarity::TAB);
    assert_eq!(choose(2).tab(), screens::routing::TAB);
    let text = render_app(&choose(3), 100, 40);
    assert!(text.contains(" Evaluate methods on tasks ─") && text.contains("base,single:topic"), "{text}");
    let text = render_app(&choose(4), 100, 40);
    assert!(
        text.contains(" Train a new expert ─") && text.contains("assets/tasks/inflection/past-tense"),
        "{text}"
    );
    // One that runs has nothing that follows.
    let mut app = jobs_app();
    press(&mut app, "n");
    assert!(render_app(&app, 80, 24).contains("once the job has ended"));
}

#[test]
fn the_machine_and_what_jobs_take_of_it_show_where_there_is_room() {
    let mut app = jobs_app();
    let usage = |device: Option<&str>| Usage {
        process: 7,
        taken: Taken { cores: Some(1.9), memory: 1_200_000_000 },
        device: device.map(String::from),
    };
    let load = Load {
        cores: 2,
        busy: Some(0.96),
        memory: Some((8_100_000_000, 23_500_000_000)),
        disk: Some(62_000_000_000),
    };
    let jobs = vec![("past-tense".into(), usage(None)), ("evil\x1b[2J".into(), usage(Some("cuda:1")))];
    let gpu = Gpu { free: 20_000_000_000, total: 150_000_000_000, load: Some(93), ..Gpu::default() };
    let machine = MachineView { load, slots: Some(1), gpus: vec![gpu], jobs };
    app.update(Message::Jobs(JobsMessage::Machine(Arc::new(machine))));
    let text = render_app(&app, 160, 48);
    for words in [
        "Machine  2 cores · 1 job at a time",
        "96 %",
        "8.1 GB of 23.5 GB",
        "62.0 GB free",
        "130 GB of 150 GB, 93 %",
        "▸ past-tense  1.9 cores, 1.2 GB",
        "1.9 cores, 1.2 GB, cuda:1",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    for (width, height) in SIZES {
        render_app(&app, width, height);
    }
}
