//! Trainings as jobs: progress, interruptions, and the same bytes in the end.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use lora_tui::jobs::{AnyJob, JobState};
use lora_tui::train::TrainSpec;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::support::BINARY;
use crate::support::bench::{Bench, eventually, stderr};
use crate::support::models::Fixture;
use crate::support::training::{entries, log_lines, quiet, random_spec, weights};

/// Enough to interfere with on any machine.
const STEPS: usize = 3000;

fn spec(bench: &Bench, name: &str) -> TrainSpec {
    TrainSpec {
        name: name.into(),
        max_steps: Some(STEPS),
        checkpoint_every: Some(20),
        log: Some(bench.library().join(format!("{name}.jsonl"))),
        ..random_spec(&Fixture::open("llama"), bench.library())
    }
}

/// A library with the short template that the tiny model's tokenizer knows.
fn bench() -> Bench {
    let bench = Bench::empty();
    let manifest = "[template]\nprompt = \"{instruction} {input} =\"\nend = \" <end>\"\n";
    std::fs::write(bench.library().join("library.toml"), manifest).unwrap();
    bench
}

#[test]
fn a_training_that_was_cancelled_and_killed_ends_with_the_same_bytes() {
    let bench = bench();
    quiet(&spec(&bench, "whole")).unwrap();
    let id = bench.jobs.start(&AnyJob::from(spec(&bench, "parts"))).unwrap();
    let state = bench.job(&id).join("state.safetensors");

    bench.wait(&id, "under way", |job| job.step >= 30);
    bench.jobs.cancel(&id).unwrap();
    let cancelled = bench.wait_state(&id, JobState::Cancelled);
    assert!(state.exists() && !bench.library().join("parts").exists());
    let log = std::fs::read_to_string(bench.job(&id).join("log.txt")).unwrap();
    assert!(log.contains("saved after step"), "{log}");

    bench.jobs.resume(&id).unwrap();
    bench.wait(&id, "further on", |job| job.step >= cancelled.step + 50);
    kill_process(bench.worker(&id), Signal::KILL).unwrap();
    bench.wait_state(&id, JobState::Failed);
    assert!(state.exists(), "what was saved before it died");

    bench.jobs.resume(&id).unwrap();
    let job = bench.wait_state(&id, JobState::Finished);
    assert_eq!((job.step, job.steps, job.error), (STEPS, STEPS, None));
    assert!(!state.exists());
    assert!(weights(bench.library(), "whole") == weights(bench.library(), "parts"));
    let losses = |name: &str| -> Vec<Value> {
        let lines = log_lines(&bench.library().join(format!("{name}.jsonl")));
        lines.iter().map(|line| line["loss"].clone()).collect()
    };
    assert_eq!(losses("whole"), losses("parts"));
    let detail = bench.jobs.detail(&id).unwrap();
    assert!(detail.progress.losses.is_sorted_by(|a, b| a.step < b.step));
    assert_eq!(detail.progress.losses.last().unwrap().step, STEPS);
}

#[test]
fn a_cancelled_training_whose_state_cannot_be_saved_says_so() {
    let bench = bench();
    let spec =
        TrainSpec { checkpoint_every: Some(1_000_000), max_steps: Some(100_000), ..spec(&bench, "lost") };
    let id = bench.jobs.start(&AnyJob::from(spec)).unwrap();
    bench.wait(&id, "under way", |job| job.step >= 3);
    let state = bench.job(&id).join("state.safetensors");
    std::fs::create_dir_all(state.join("in the way")).unwrap();
    let output = bench.cli(&["cancel", &id]);
    let said = String::from_utf8(output.stdout).unwrap();
    let words = "could not be saved, so that it begins anew when it is resumed: ";
    assert!(said.contains("is cancelled: the state after step ") && said.contains(words), "{said}");
    let job = bench.wait_state(&id, JobState::Cancelled);
    assert!(job.error.is_some_and(|error| error.contains(words)));
    let log = std::fs::read_to_string(bench.job(&id).join("log.txt")).unwrap();
    assert!(log.contains("Z cancelled: the state after step"), "{log}");
    std::fs::remove_dir_all(&state).unwrap();
    let output = bench.cli(&["resume", &id]);
    assert!(output.status.success() && stderr(&output).contains(words), "{}", stderr(&output));
    // What is saved at the end of this run leaves nothing to say.
    bench.wait(&id, "under way again", |job| job.state == JobState::Running);
    bench.jobs.cancel(&id).unwrap();
    assert_eq!(bench.wait_state(&id, JobState::Cancelled).error, None);
}

#[test]
fn a_job_is_resumed_with_settings_that_take_less_memory_and_goes_on_where_it_was() {
    let bench = bench();
    let spec = TrainSpec { log: None, ..spec(&bench, "less") };
    let step = spec.step_size();
    assert!(spec.batch > 1);
    let id = bench.jobs.start(&AnyJob::from(spec)).unwrap();
    bench.wait(&id, "under way", |job| job.step >= 30);
    bench.jobs.cancel(&id).unwrap();
    let before = bench.wait_state(&id, JobState::Cancelled);
    for (changes, said) in [
        (&["--set", "batsh=1"][..], "train has no setting batsh; there are "),
        (&["--set", "batch=0"], "batch must be a whole number from 1 to 65536, not 0"),
        (&["--set", "batch"], "a setting and its value: batch=8"),
        (&["--set", "cores=0"], "cores must be a whole number from 1 to 4096, not 0"),
    ] {
        let output = bench.cli(&[&["resume", &id][..], changes].concat());
        assert_eq!(output.status.code(), Some(2), "{changes:?}");
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    // Other steps are another training.
    let output = bench.cli(&["resume", &id, "--set", "batch=1", "--set", "accumulate=1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let failed = bench.wait_state(&id, JobState::Failed);
    assert!(failed.error.as_ref().unwrap().contains("with other settings"), "{failed:?}");
    let accumulate = format!("accumulate={step}");
    let output =
        bench.cli(&["resume", &id, "--set", "batch=1", "--set", &accumulate, "--set", "checkpointing=yes"]);
    assert!(output.status.success(), "{}", stderr(&output));
    bench.wait(&id, "further on", |job| job.step >= before.step + 10);
    bench.jobs.cancel(&id).unwrap();
    bench.wait_state(&id, JobState::Cancelled);
    let log = std::fs::read_to_string(bench.job(&id).join("log.txt")).unwrap();
    assert!(log.contains(&format!("continuing after step {}", before.step)), "{log}");
    let shown: Value = serde_json::from_slice(&bench.cli(&["show", &id, "--json"]).stdout).unwrap();
    let asked = |name: &str| shown["spec"][name].clone();
    assert_eq!((asked("batch"), asked("accumulate")), (1.into(), step.into()));
    assert_eq!((asked("checkpointing"), asked("rank")), (true.into(), 2.into()));
}

#[test]
fn a_job_whose_log_is_something_else_does_not_go_on() {
    let bench = bench();
    let _slot = bench.occupy_slot();
    let id = bench.jobs.start(&AnyJob::from(spec(&bench, "new"))).unwrap();
    kill_process(bench.worker(&id), Signal::KILL).unwrap();
    bench.wait_state(&id, JobState::Failed);
    let log = bench.library().join("new.jsonl");
    std::fs::write(&log, "precious\n").unwrap();
    let error = bench.jobs.resume(&id).unwrap_err().to_string();
    assert!(error.contains("new.jsonl: is not the log of a training"), "{error}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "precious\n");
    std::fs::remove_file(&log).unwrap();
    bench.jobs.resume(&id).unwrap();
    bench.wait_state(&id, JobState::Queued);
}

#[test]
fn an_interrupted_training_in_the_foreground_leaves_nothing() {
    let bench = bench();
    let f = Fixture::open("llama");
    let path = |path: PathBuf| path.into_os_string();
    let mut command = Command::new(BINARY);
    command.arg("train").arg(bench.library()).args(["--name", "new", "--max-steps", "100000"]);
    command.arg("--data").arg(path(f.folder.join("train.jsonl"))).arg("--base").arg(path(f.base()));
    command.arg("--log").arg(bench.library().join("log.jsonl")).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("under way", || {
        std::fs::read_to_string(bench.library().join("log.jsonl")).is_ok_and(|text| text.lines().count() > 3)
    });
    kill_process(rustix::process::Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert_eq!(entries(bench.library()), ["library.toml", "log.jsonl"]);
}

#[test]
fn saving_often_is_for_jobs() {
    let output = Command::new(BINARY)
        .args(["train", "nowhere", "--name", "a", "--data", "b", "--checkpoint-every", "5"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--background"), "{}", stderr(&output));
}
