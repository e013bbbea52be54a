//! Libraries that came from others, that moved, and that lost their state folder: nothing of anybody's is written
//! over, and what happened is reported.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use lora_tui::jobs::{AnyJob, ClusterSpec, JobState};
use lora_tui::train::TrainSpec;
use rustix::process::{Signal, kill_process};
use serde_json::json;

use crate::support::BINARY;
use crate::support::bench::{Bench, eventually, stderr};
use crate::support::models::Fixture;
use crate::support::training::{library, quiet, spec};

/// A job that somebody wrote into the library's state folder.
fn planted(bench: &Bench, spec: &serde_json::Value) -> String {
    let id = "20260101-000000-train-new";
    let job = bench.job(id);
    std::fs::create_dir_all(&job).unwrap();
    std::fs::write(job.join("spec.json"), spec.to_string()).unwrap();
    std::fs::write(job.join("lock"), "").unwrap();
    std::fs::write(job.join("result.json"), r#"{"state":"cancelled"}"#).unwrap();
    id.into()
}

/// Deletes a folder into which a worker writes: what came while it was emptied goes, too.
fn delete(folder: &Path) {
    while let Err(error) = std::fs::remove_dir_all(folder) {
        assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty, "{error}");
    }
}

#[test]
fn a_job_that_came_along_is_shown_and_not_resumed_unasked() {
    let bench = Bench::small();
    let (elsewhere, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = other.path().join("log.jsonl");
    let spec = json!({
        "kind": "train", "library": elsewhere.path(), "name": "new", "data": ["/etc/passwd"], "log": log,
    });
    let id = planted(&bench, &spec);
    let error = bench.jobs.resume(&id).unwrap_err().to_string();
    let home = bench.library().canonicalize().unwrap();
    for words in [
        "was not started by you on this machine",
        "/etc/passwd",
        &log.display().to_string(),
        &home.display().to_string(),
        "--trust",
    ] {
        assert!(error.contains(words), "{words}: {error}");
    }
    // Whoever trusts it: it works on the library in which it lies, and on no other.
    let error = bench.jobs.resume_trusted(&id).map(|()| bench.wait(&id, "over", |job| job.state.is_over()));
    println!("{error:?}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    // One's own needs no such word.
    let mine = bench.start(2);
    bench.wait_state(&mine, JobState::Finished);
    let output =
        Command::new(BINARY).arg("jobs").arg(bench.library()).args(["show", &mine]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("library") && text.contains(&home.display().to_string()), "{text}");
}

#[test]
fn a_job_of_a_library_that_moved_is_resumed_where_it_is() {
    let outer = tempfile::tempdir().unwrap();
    let old = outer.path().join("old");
    let bench = Bench::of(&old);
    std::fs::create_dir(&old).unwrap();
    (0..6).for_each(|expert| bench.add_expert(expert));
    let slot = bench.occupy_slot();
    let id = bench.start(2);
    bench.worker(&id);
    bench.jobs.cancel(&id).unwrap();
    bench.wait_state(&id, JobState::Cancelled);
    drop(slot);

    let new = outer.path().join("new");
    std::fs::rename(&old, &new).unwrap();
    let moved = Bench::of(&new);
    moved.jobs.resume(&id).unwrap();
    moved.wait_state(&id, JobState::Finished);
    let detail = moved.jobs.detail(&id).unwrap();
    let job = detail.job.unwrap();
    assert_eq!(job.get::<ClusterSpec>().unwrap().library, new.canonicalize().unwrap());
    assert!(!old.exists());
}

#[test]
fn a_worker_whose_directory_is_deleted_ends_and_leaves_a_trace() {
    let bench = Bench::endless();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Running);
    let worker = bench.worker(&id);
    delete(&bench.library().join(".lora-tui"));
    eventually("noticed", || bench.job(&id).join("result.json").exists());
    let job = bench.jobs.get(&id).unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert!(job.error.unwrap().starts_with("its directory was deleted or moved while it worked"));
    eventually("ended", || kill_process(worker, Signal::CONT).is_err());
    // It can begin again.
    bench.jobs.resume(&id).unwrap();
    bench.wait_state(&id, JobState::Running);
    bench.jobs.cancel(&id).unwrap();
    bench.wait_state(&id, JobState::Cancelled);
}

#[test]
fn nothing_comes_back_where_the_whole_library_was_deleted() {
    let bench = Bench::endless();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Running);
    let worker = bench.worker(&id);
    delete(bench.library());
    eventually("ended", || kill_process(worker, Signal::CONT).is_err());
    assert!(!bench.library().exists());
}

#[test]
fn the_reason_of_a_worker_without_a_result_is_the_end_of_its_log() {
    let bench = Bench::small();
    let _slot = bench.occupy_slot();
    let id = bench.start(2);
    kill_process(bench.worker(&id), Signal::KILL).unwrap();
    let job = bench.wait_state(&id, JobState::Failed);
    assert!(job.error.unwrap().contains("worker died"));
    let log = bench.job(&id).join("log.txt");
    let text = std::fs::read_to_string(&log).unwrap();
    let now = lora_tui::clock::now_rfc3339();
    let lines = format!(
        "{text}2020-01-01T00:00:00Z failed: before\n{now} failed: the disk is full\nlora-tui: it is\n"
    );
    std::fs::write(&log, lines).unwrap();
    assert_eq!(bench.jobs.get(&id).unwrap().error.as_deref(), Some("the disk is full"));
}

#[test]
fn a_training_writes_through_no_link_that_its_library_brings() {
    let f = Fixture::open("llama");
    let dir = library();
    let precious = dir.path().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    let training = dir.path().join(".lora-tui/training");
    std::fs::create_dir_all(&training).unwrap();
    symlink(&precious, training.join("new.lock")).unwrap();
    symlink(&precious, dir.path().join(".lora-tui/.gitignore")).unwrap();
    let error = quiet(&spec(&f, dir.path())).unwrap_err().to_string();
    assert!(error.contains("new.lock: is a link, not a regular file; remove it"), "{error}");
    std::fs::remove_file(training.join("new.lock")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let pipe = training.join("new.lock");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let error = quiet(&spec(&f, dir.path())).unwrap_err().to_string();
    assert!(error.contains("new.lock: is a pipe or a device"), "{error}");
    std::fs::remove_file(&pipe).unwrap();
    quiet(&spec(&f, dir.path())).unwrap();
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn a_state_folder_that_is_a_link_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let [library, elsewhere, home] = ["library", "elsewhere", "home"].map(|name| dir.path().join(name));
    [&library, &elsewhere, &home].iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    symlink(&elsewhere, library.join(".lora-tui")).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(arguments).env("HOME", &home).env_remove("XDG_STATE_HOME").output().unwrap()
    };
    let output = run(&["jobs", &library.display().to_string()]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    let found = found_below(&home);
    assert!(found.iter().any(|path| path.ends_with("libraries")), "{found:?}");
}

fn found_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(found_below(&path));
        }
        found.push(path);
    }
    found
}

#[test]
fn settings_that_make_no_sense_are_refused_and_printed_shortly() {
    let bench = Bench::small();
    for (option, value, words) in [
        ("--alpha", "1e300", "a number above 0, at most 1000000"),
        ("--max-steps", "18446744073709551615", "a whole number from 1 to 1000000000"),
        ("--epochs", "1e18", "at most 1000000"),
    ] {
        let output = Command::new(BINARY)
            .arg("train")
            .arg(bench.library())
            .args(["--name", "new", "--data", "nowhere", option, value])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    let mut job = AnyJob::from(TrainSpec { alpha: 1e300, ..TrainSpec::default() });
    assert_eq!(job.text("alpha"), "1e300");
    assert!(job.set("alpha", "1e300").is_err());
}
