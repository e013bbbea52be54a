//! A task with few examples out of a library's experts: every start, learning curves, interruptions, refusals.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lora_tui::Cancel;
use lora_tui::adapt::{AdaptReport, AdaptSpec, adapt};
use lora_tui::jobs::{AnyJob, JobState};
use lora_tui::library::{Expert, Library, Provenance};
use lora_tui::routing::{RouterConfig, Session};
use lora_tui::train::{Dataset, TrainSpec};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::support::BINARY;
use crate::support::bench::{Bench, stderr, stdout};
use crate::support::models::{Fixture, cpu};
use crate::support::training::{entries, library, quiet, random_spec, task, weights};

const TARGETS: &str = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";
const MANIFEST: &str = "[template]\nprompt = \"{instruction} {input} =\"\nend = \" <end>\"\n";

fn settings(f: &Fixture, library: &Path) -> TrainSpec {
    TrainSpec {
        max_steps: Some(5),
        epochs: None,
        batch: 4,
        accumulate: 1,
        learning_rate: 2e-2,
        validation: None,
        ..random_spec(f, library)
    }
}

/// A library with three experts, and a task with all splits that none of them knows.
fn prepared(f: &Fixture, library: &Path, tasks: &Path) -> PathBuf {
    for (id, count) in [("copy", 24), ("next", 16), ("same", 12)] {
        let path = task(tasks, id, count, 4);
        let (name, data) = (id.to_string(), vec![path]);
        quiet(&TrainSpec { name, data, max_steps: Some(12), ..settings(f, library) }).unwrap();
    }
    let path = task(tasks, "swap", 20, 4);
    std::fs::copy(path.join("validation.jsonl"), path.join("test.jsonl")).unwrap();
    path
}

fn spec(f: &Fixture, library: &Path, task: &Path, from: &str) -> AdaptSpec {
    AdaptSpec {
        library: library.into(),
        data: task.into(),
        name: "new".into(),
        from: vec![from.into()],
        shots: vec![8],
        training: TrainSpec { data: Vec::new(), name: String::new(), ..settings(f, library) },
        ..AdaptSpec::default()
    }
}

fn made(spec: &AdaptSpec) -> AdaptReport {
    adapt(spec, None, &mut |_| {}, &Cancel::new()).unwrap()
}

fn provenance(library: &Path, name: &str) -> Provenance {
    Library::open(library).unwrap().expert(name).unwrap().provenance.clone().unwrap()
}

#[test]
fn an_adapted_expert_is_what_its_start_trained_on_the_shots_gives() {
    let f = Fixture::open("llama");
    let (tasks, library) = (tempfile::tempdir().unwrap(), library());
    let task = prepared(&f, library.path(), tasks.path());
    let shots = |name: &str, init: Option<PathBuf>| TrainSpec {
        data: vec![task.clone()],
        name: name.into(),
        shots: Some(8),
        init,
        ..settings(&f, library.path())
    };
    let spec =
        |name: &str, from: &str| AdaptSpec { name: name.into(), ..spec(&f, library.path(), &task, from) };

    let report = made(&spec("scratch", "scratch"));
    quiet(&shots("alone", None)).unwrap();
    assert!(weights(library.path(), "scratch") == weights(library.path(), "alone"));
    assert_eq!((report.expert.as_deref(), report.rows[0].shots), (Some("scratch"), 8));
    // Both are experts of the library now, and know the task: they take no part.
    let experts = vec!["copy,next,same".to_string()];
    let spec = |name: &str, from: &str| AdaptSpec { experts: experts.clone(), ..spec(name, from) };

    let nearest = made(&spec("nearest", "nearest")).rows.remove(0);
    let [part] = nearest.experts.as_slice() else { panic!("{:?}", nearest.experts) };
    assert_eq!((part.weight, nearest.kept), (1.0, Some(1.0)));
    quiet(&shots("further", Some(library.path().join(&part.name)))).unwrap();
    assert!(weights(library.path(), "nearest") == weights(library.path(), "further"));

    let uniform = made(&spec("uniform", "uniform")).rows.remove(0);
    let third = 1.0 / 3.0;
    assert!(uniform.experts.iter().all(|part| (part.weight - third).abs() < 1e-12));
    assert!(uniform.kept.is_some_and(|kept| kept > 0.3 && kept < 1.0), "{:?}", uniform.kept);

    let found = provenance(library.path(), "uniform");
    let adapted = found.adapted.clone().unwrap();
    let of = |name: &str| provenance(library.path(), name).dataset_sha256.unwrap();
    assert_eq!((adapted.start.as_str(), adapted.experts.len()), ("uniform", 3));
    let learned = Expert { provenance: Some(found.clone()), ..Expert::default() };
    let has = |hash: String| learned.learned().any(|one| one.dataset_sha256 == Some(&hash));
    assert!(["copy", "next", "same"].iter().all(|name| has(of(name))));
    assert_eq!(found.task.as_deref(), Some("swap"));
    assert_eq!((found.examples, found.settings.get("shots")), (Some(8), Some(&8.into())));
    assert_eq!((found.settings.get("init"), found.steps), (None, Some(5)));
    let all = Dataset::load(&task).unwrap().train;
    assert_eq!(found.drawn_from, lora_tui::train::known_hashes(&all)[..1]);
}

#[test]
fn a_router_s_start_has_the_mean_weights_of_its_tokens() {
    let f = Fixture::open("llama");
    let (tasks, library) = (tempfile::tempdir().unwrap(), library());
    let task = prepared(&f, library.path(), tasks.path());
    let row = made(&spec(&f, library.path(), &task, "arrow:k=2")).rows.remove(0);
    assert_eq!(row.start, "arrow:k=2");

    let mut data = Dataset::load(&task).unwrap();
    data.draw(8, settings(&f, library.path()).seed).unwrap();
    let before = Library::open(library.path()).unwrap();
    let before = Library {
        experts: before.experts.iter().filter(|expert| expert.name != "new").cloned().collect(),
        ..before
    };
    let mut session = Session::open(&before, &f.base(), &cpu(), &mut |_| {}, &Cancel::new()).unwrap();
    session.set_router("arrow:k=2".parse::<RouterConfig>().unwrap()).unwrap();
    let (mut sums, mut tokens) = (vec![0.0; 3], 0.0);
    for shot in &data.train {
        let prompt = session.prompt_of(&shot.instruction, &shot.input).unwrap();
        let trace = session.route_tokens(&prompt, &Cancel::new()).unwrap();
        let counted = (0..trace.tokens.len()).filter(|&token| trace.counts(token)).count() as f64;
        trace.totals(|_| true).iter().zip(&mut sums).for_each(|(total, sum)| *sum += counted * total);
        tokens += counted;
    }
    for (name, sum) in session.experts().iter().zip(sums) {
        let weight = row.experts.iter().find(|part| part.name == *name).map_or(0.0, |part| part.weight);
        assert!((weight - sum / tokens).abs() < 1e-6, "{name}: {weight} {}", sum / tokens);
    }
}

#[test]
fn weights_alone_are_learned_and_written_as_one_expert() {
    let f = Fixture::open("llama");
    let (tasks, library) = (tempfile::tempdir().unwrap(), library());
    let task = prepared(&f, library.path(), tasks.path());
    let spec = AdaptSpec {
        weight_rate: 0.5,
        training: TrainSpec { max_steps: Some(20), dropout: 0.0, ..settings(&f, library.path()) },
        ..spec(&f, library.path(), &task, "weights")
    };
    let row = made(&spec).rows.remove(0);
    // The base model's loss is that of no expert at all, as a plain training has it.
    let elsewhere = crate::support::training::library();
    let plain = TrainSpec {
        data: vec![task.clone()],
        name: "plain".into(),
        max_steps: Some(1),
        ..settings(&f, elsewhere.path())
    };
    assert_eq!(row.training.base_validation_loss, quiet(&plain).unwrap().base_validation_loss);
    let all: f64 = row.experts.iter().map(|part| part.weight).sum();
    assert!((all - 1.0).abs() < 1e-6 && row.experts.len() == 3);
    assert!(row.experts[0].weight > 0.34, "{:?}", row.experts);
    let expert = Library::open(library.path()).unwrap().expert("new").unwrap().clone();
    // Three experts of rank 2, and what they started from is the same A.
    let (_, rank) = expert.rank_range().unwrap();
    assert!((2..=6).contains(&rank), "{rank}");
    assert_eq!(expert.config.alpha, rank as f64);
    let at_first = quiet_loss(&f, library.path(), &task, "uniform");
    assert!(row.training.train_loss < at_first, "{} {at_first}", row.training.train_loss);
}

/// Training loss of the first step from a start, without dropout.
fn quiet_loss(f: &Fixture, library: &Path, task: &Path, from: &str) -> f64 {
    let training =
        TrainSpec { max_steps: Some(1), batch: 8, dropout: 0.0, rank: 8, alpha: 8.0, ..settings(f, library) };
    let experts = vec!["copy,next,same".to_string()];
    let spec = AdaptSpec { name: "first".into(), training, experts, ..spec(f, library, task, from) };
    made(&spec).rows[0].training.train_loss
}

fn command(f: &Fixture, library: &Path, task: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("adapt").arg(library).arg("--data").arg(task).arg("--base").arg(f.base());
    command.args(["--max-steps", "3", "--rank", "2", "--alpha", "4", "--batch", "4", "--device", "cpu"]);
    command.args(["--targets", TARGETS]);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

#[test]
fn curves_are_drawn_and_leave_no_expert_behind() {
    let f = Fixture::open("llama");
    let (tasks, library) = (tempfile::tempdir().unwrap(), library());
    let task = prepared(&f, library.path(), tasks.path());
    let before = entries(library.path());
    let file = |name: &str| tasks.path().join(name);
    let mut whole = command(&f, library.path(), &task);
    whole.args(["--from", "scratch,nearest,weights,arrow", "--shots", "4,8", "--json"]);
    for (flag, name) in [("--csv", "c.csv"), ("--markdown", "c.md"), ("--svg", "c.svg"), ("--png", "c.png")] {
        whole.arg(flag).arg(file(name));
    }
    let output = run(&mut whole);
    assert!(output.status.success(), "{}", stderr(&output));
    // Who waits reads what was asked for, not the names in the folder of the work.
    let said = stderr(&output);
    assert!(said.contains("asking the test split: nearest, 8 shots, before training"), "{said}");
    assert!(!said.contains("-start"), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<(&str, u64)> =
        rows.iter().map(|row| (row["start"].as_str().unwrap(), row["shots"].as_u64().unwrap())).collect();
    let of = |start: &'static str| [(start, 4), (start, 8)];
    assert_eq!(names, [of("scratch"), of("nearest"), of("weights"), of("arrow")].concat());
    for row in rows {
        for when in ["before", "after"] {
            assert!(
                row[when]["score"]["score"].is_number() && row[when]["loss"]["score"].is_number(),
                "{row}"
            );
        }
    }
    let untrained: Vec<&str> =
        report["untrained"].as_array().unwrap().iter().map(|one| one["method"].as_str().unwrap()).collect();
    assert_eq!(untrained, ["base", "arrow", "uniform"]);
    // Nothing but the base model is there before a training from scratch.
    assert_eq!(rows[0]["before"], report["untrained"][0]["scores"]);
    assert_eq!(entries(library.path()), before);
    assert_eq!(std::fs::read_dir(library.path().join(".lora-tui/adapt")).unwrap().count(), 0);
    let csv = std::fs::read_to_string(file("c.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 3 + 8, "{csv}");
    assert!(std::fs::read_to_string(file("c.svg")).unwrap().contains("nearest") && file("c.png").is_file());
    assert!(std::fs::read_to_string(file("c.md")).unwrap().contains("| scratch | 4 |"));

    let output = run(command(&f, library.path(), &task).args(["--from", "uniform", "--shots", "4"]));
    let text = stdout(&output);
    assert!(
        text.contains("swap: exact_match of 4 test items") && text.contains("uniform of 3 experts: 0.333 × "),
        "{text}"
    );
    let output = run(command(&f, library.path(), &task).args(["--name", "kept", "--shots", "4"]));
    let text = stdout(&output);
    assert!(
        text.contains("kept: 3 steps on 4 examples") && text.contains("from nearest of 1 expert: 1.000 × "),
        "{text}"
    );
}

#[test]
fn an_adaptation_that_was_cancelled_and_killed_ends_with_the_same_bytes() {
    let f = Fixture::open("llama");
    let tasks = tempfile::tempdir().unwrap();
    for from in ["uniform", "weights"] {
        let bench = Bench::empty();
        std::fs::write(bench.library().join("library.toml"), MANIFEST).unwrap();
        let task = prepared(&f, bench.library(), tasks.path());
        let long = |name: &str| AdaptSpec {
            name: name.into(),
            experts: vec!["copy,next,same".into()],
            training: TrainSpec {
                max_steps: Some(1500),
                checkpoint_every: Some(20),
                ..settings(&f, bench.library())
            },
            ..spec(&f, bench.library(), &task, from)
        };
        made(&long("whole"));
        let id = bench.jobs.start(&AnyJob::from(long("parts"))).unwrap();
        bench.wait(&id, "under way", |job| job.step >= 30);
        bench.jobs.cancel(&id).unwrap();
        let cancelled = bench.wait_state(&id, JobState::Cancelled);
        assert!(bench.job(&id).join("work/states").is_dir() && !bench.library().join("parts").exists());
        bench.jobs.resume(&id).unwrap();
        bench.wait(&id, "further on", |job| job.step >= cancelled.step + 50);
        kill_process(bench.worker(&id), Signal::KILL).unwrap();
        bench.wait_state(&id, JobState::Failed);
        bench.jobs.resume(&id).unwrap();
        let job = bench.wait_state(&id, JobState::Finished);
        assert_eq!((job.step, job.steps, job.error), (1500, 1500, None));
        assert!(weights(bench.library(), "whole") == weights(bench.library(), "parts"), "{from}");
        let weight = |name: &str| provenance(bench.library(), name).adapted;
        assert_eq!(weight("whole"), weight("parts"));
        assert!(
            !bench.job(&id).join("work/states").exists() && !bench.job(&id).join("work/experts").exists()
        );
    }
}

#[test]
fn a_curve_that_was_killed_goes_on_where_it_was() {
    let f = Fixture::open("llama");
    let tasks = tempfile::tempdir().unwrap();
    let bench = Bench::empty();
    std::fs::write(bench.library().join("library.toml"), MANIFEST).unwrap();
    let task = prepared(&f, bench.library(), tasks.path());
    let curve = AdaptSpec {
        name: String::new(),
        shots: vec![4, 8],
        training: TrainSpec {
            max_steps: Some(400),
            checkpoint_every: Some(20),
            ..settings(&f, bench.library())
        },
        ..spec(&f, bench.library(), &task, "uniform,weights")
    };
    let whole = made(&curve);
    let id = bench.jobs.start(&AnyJob::from(curve)).unwrap();
    bench.wait(&id, "under way", |job| job.step >= 300);
    kill_process(bench.worker(&id), Signal::KILL).unwrap();
    bench.wait_state(&id, JobState::Failed);
    bench.jobs.resume(&id).unwrap();
    bench.wait_state(&id, JobState::Finished);
    let detail = bench.jobs.detail(&id).unwrap();
    let result = std::fs::read(bench.job(&id).join("result.json")).unwrap();
    let result: Value = serde_json::from_slice(&result).unwrap();
    let rows = |value: &Value| -> Vec<Value> {
        let rows = value["rows"].as_array().unwrap().iter();
        rows.map(|row| serde_json::json!([row["start"], row["shots"], row["before"], row["after"]])).collect()
    };
    assert_eq!(rows(&result["result"]), rows(&serde_json::to_value(&whole).unwrap()));
    assert_eq!(detail.progress.rows.len(), 4);
    assert_eq!(entries(bench.library()), ["copy", "library.toml", "next", "same"]);
}

#[test]
fn what_cannot_be_adapted_is_refused_in_one_line() {
    let f = Fixture::open("llama");
    let (tasks, library, empty) =
        (tempfile::tempdir().unwrap(), library(), crate::support::training::library());
    let task = prepared(&f, library.path(), tasks.path());
    let before = entries(library.path());
    let untested = crate::support::training::task(tasks.path(), "untested", 6, 2);
    let refused = |library: &Path, task: &Path, arguments: &[&str]| {
        let output = run(command(&f, library, task).args(arguments));
        assert!(!output.status.success(), "{arguments:?}");
        let text = stderr(&output);
        let last = text.lines().last().unwrap_or_default().to_string();
        (output.status.code(), last, text)
    };
    for (arguments, code, said) in [
        (&["--from", "nearst", "--shots", "4"][..], 2, "there is no start \"nearst\"; did you mean nearest?"),
        (
            &["--shots", "21", "--name", "x"],
            1,
            "has 20 training examples: --shots must be from 1 to that, not 21",
        ),
        (&["--shots", "0", "--name", "x"], 2, "whole numbers from 1"),
        (&["--from", "base"], 2, "base uses no expert"),
        (&["--name", "copy"], 1, "exists already: choose another name"),
        (&["--name", "x", "--from", "nearest,uniform"], 2, "--name keeps one expert"),
        (&["--name", "x", "--experts", "copi"], 1, "no expert is called `copi`; did you mean copy?"),
        (&["--name", "x", "--csv", "c.csv"], 2, "cannot be used with"),
    ] {
        let (found, _, text) = refused(library.path(), &task, arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
    let (_, last, _) = refused(empty.path(), &task, &["--name", "x", "--from", "nearest"]);
    assert!(last.contains("has no expert that can be adapted"), "{last}");
    let other = Fixture::open("gpt_neox");
    let (_, last, text) = {
        let mut command = command(&other, library.path(), &task);
        let output = run(command.args(["--name", "x", "--from", "uniform"]));
        (
            output.status.code(),
            stderr(&output).lines().last().unwrap_or_default().to_string(),
            stderr(&output),
        )
    };
    assert!(last.contains("has no expert that can be adapted; copy: "), "{text}");
    // From scratch, it takes none.
    assert!(
        run(command(&f, empty.path(), &task).args(["--name", "x", "--from", "scratch"])).status.success()
    );
    // Without a test split nothing can be compared, but an expert can be made.
    let (_, last, _) = refused(library.path(), &untested, &["--shots", "4,6"]);
    assert!(last.contains("has no test items: put them into test.jsonl"), "{last}");
    let damaged = library.path().join("next/adapter_model.safetensors");
    let whole = std::fs::read(&damaged).unwrap();
    let mut bytes = whole.clone();
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&half::f16::NAN.to_le_bytes());
    std::fs::write(&damaged, &bytes).unwrap();
    let (_, last, text) = refused(library.path(), &untested, &["--name", "x", "--from", "uniform"]);
    assert!(last.contains("next") && last.contains("has NaN or infinite weights"), "{text}");
    std::fs::write(&damaged, &whole).unwrap();
    assert_eq!(entries(library.path()), before);
    assert!(
        run(command(&f, library.path(), &untested).args(["--name", "x", "--shots", "4"])).status.success()
    );
}
