//! The Jobs tab: what it shows, cancelling and resuming.

mod after;
mod groups;
mod results;

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
    app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail.clone()))));
    let text = render_app(&app, 160, 60);
    assert!(text.contains("20 of 40 experts are done") && text.contains("cluster_20"), "{text}");
    assert!(!text.contains("cluster_00") && !text.contains("cluster_39"), "{text}");
    // Some were there before, between those that are to be made, and several are made at once.
    let step = |at: usize| [0, 90, 90, 12][at % 4];
    detail.progress.rows = (0..20).map(|at| row(&format!("c_{at:02}"), step(at), None, &[])).collect();
    app.update(Message::Jobs(JobsMessage::Detail(Arc::new(detail))));
    let text = render_app(&app, 160, 60);
    assert!(text.contains("10 of 20 experts are done"), "{text}");
    for line in ["· c_00  0/90", "✓ c_01  90/90", "✓ c_02  90/90", "▸ c_03  12/90", "▸ c_07  12/90"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
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
        assert!(squeezed.contains("Canceltrainpast-tense?") && squeezed.contains("ycancel"), "{text}");
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
