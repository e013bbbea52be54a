//! What a list of jobs says of those that wait, what it refuses, and what is removed from it.

use std::path::Path;
use std::process::{Command, Stdio};

use lora_tui::jobs::JobState;
use serde_json::{Value, json};

use crate::support::BINARY;
use crate::support::bench::{Bench, stderr, stdout};
use crate::support::models::Fixture;
use crate::support::training::task;

fn listed(bench: &Bench) -> Vec<Value> {
    let output = bench.cli(&["ls", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["jobs"].as_array().unwrap().clone()
}

fn row(bench: &Bench, id: &str) -> Value {
    listed(bench).into_iter().find(|job| job["id"] == id).unwrap()
}

fn refused(bench: &Bench, arguments: &[&str], words: &str) {
    let output = bench.cli(arguments);
    let errors = stderr(&output);
    assert!(!output.status.success() && errors.lines().count() == 1, "{arguments:?}: {errors}");
    assert!(errors.contains(words), "{arguments:?}: {errors}");
}

#[test]
fn a_job_that_waits_says_why_and_where_wherever_it_is_shown() {
    let bench = Bench::small();
    let slot = bench.occupy_slot();
    let (first, second) = (bench.start(2), bench.start(3));
    let child = bench.jobs.start_after(&bench.clustering(4), std::slice::from_ref(&first)).unwrap();
    let turn = "waits for its turn";
    bench.wait(&second, "waiting for its turn", |job| job.waits.as_deref() == Some(turn));
    let job = row(&bench, &second);
    assert_eq!((&job["waits"], &job["turn"]), (&json!(turn), &json!(2)));
    let shown: Value = serde_json::from_slice(&bench.cli(&["show", &second, "--json"]).stdout).unwrap();
    assert_eq!((&shown["waits"], &shown["turn"]), (&json!(turn), &json!(2)));
    for words in [&["ls"][..], &["show", &second]] {
        let text = stdout(&bench.cli(words));
        assert!(text.contains("waits for its turn; place 2 in the queue"), "{words:?}: {text}");
    }
    // Held, and waiting for another, which is held no less for that.
    assert!(stdout(&bench.cli(&["hold", &child])).contains("is held"));
    let both = format!("is held; waits for {first}");
    let job = row(&bench, &child);
    assert_eq!((&job["waits"], &job["held"]), (&json!(both), &json!(true)));
    for words in [&["ls"][..], &["show", &child]] {
        let text = stdout(&bench.cli(words));
        assert!(text.contains(&format!("{both}; place 3 in the queue")), "{words:?}: {text}");
    }
    assert!(bench.cli(&["release", &child]).status.success());
    drop(slot);
    bench.wait_state(&child, JobState::Finished);
    let job = row(&bench, &child);
    assert!(job.get("waits").is_none() && job.get("turn").is_none() && job.get("held").is_none(), "{job}");
    assert!(!bench.job(&second).join("waits").exists());
}

#[test]
fn what_has_ended_is_not_held_and_is_removed() {
    let bench = Bench::small();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Finished);
    let only = format!("job {id} has ended (finished): only jobs that wait");
    for verb in ["hold", "release", "first"] {
        refused(&bench, &[verb, &id], &only);
    }
    assert!(row(&bench, &id).get("held").is_none());
    let slot = bench.occupy_slot();
    let (waits, other) = (bench.start(3), bench.start(4));
    let output = bench.cli(&["hold", &id, &waits]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains(&format!("{waits} is held")), "{}", stdout(&output));
    assert!(stderr(&output).contains("1 of 2 jobs were not held"), "{}", stderr(&output));
    refused(&bench, &["rm", &waits], &format!("job {waits} waits: cancel it first"));
    // What another waits for stays; so does what is not named.
    let child = bench.jobs.start_after(&bench.clustering(5), std::slice::from_ref(&other)).unwrap();
    bench.jobs.cancel(&other).unwrap();
    bench.wait_state(&other, JobState::Cancelled);
    refused(&bench, &["rm", &other], &format!("job {child} waits for job {other}"));
    assert!(stdout(&bench.cli(&["rm", &id])).contains(&format!("{id} is removed")));
    assert!(!bench.job(&id).exists());
    assert!(std::fs::read_dir(bench.jobs.dir()).unwrap().all(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        !name.starts_with(".tmp-") && !name.starts_with(".new-")
    }));
    bench.cli(&["cancel", "--all"]);
    drop(slot);
    for id in [&waits, &child] {
        bench.wait_state(id, JobState::Cancelled);
    }
    assert!(bench.cli(&["rm", "--all"]).status.success());
    assert_eq!(listed(&bench), Vec::<Value>::new());
    assert_eq!(std::fs::read_dir(bench.library()).unwrap().count(), 7, "the experts and the state");
}

#[test]
fn a_folder_that_is_no_job_is_none_and_doctor_names_it() {
    let bench = Bench::small();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Finished);
    let stray = bench.jobs.dir().join("slot.7");
    std::fs::create_dir(&stray).unwrap();
    let ids: Vec<Value> = listed(&bench).into_iter().map(|job| job["id"].clone()).collect();
    assert_eq!(ids, [json!(id)]);
    assert!(bench.jobs.detail("slot.7").is_err() && bench.jobs.resolve("slot").is_err());
    let output = Command::new(BINARY).arg("doctor").arg(bench.library()).output().unwrap();
    let text = stdout(&output);
    assert!(
        text.lines().any(|line| line.starts_with("! jobs") && line.contains("slot.7 is no job")),
        "{text}"
    );
}

/// `start train --each` over these tasks.
fn each<'a>(tasks: &'a Path, base: &'a str) -> Vec<&'a str> {
    let tasks = tasks.to_str().unwrap();
    vec!["start", "train", "--each", "--data", tasks, "--base", base, "--max-steps", "1", "--device", "cpu"]
}

#[test]
fn experts_that_are_there_are_left_out_and_no_two_jobs_write_the_same() {
    let bench = Bench::empty();
    let _slot = bench.occupy_slot();
    let place = tempfile::tempdir().unwrap();
    for id in ["copy", "next", "swap"] {
        task(place.path(), id, 8, 2);
    }
    let base = Fixture::open("llama").base().to_string_lossy().into_owned();
    let words = each(place.path(), &base);
    // A plan names no job that there will not be.
    let output = bench.cli(&[&words[..], &["--dry-run"]].concat());
    let plan = stdout(&output);
    assert!(plan.contains("jobs/ID-train-copy") && !plan.contains("jobs/2"), "{plan}{}", stderr(&output));
    let log = place.path().join("steps.jsonl").to_string_lossy().into_owned();
    refused(&bench, &[&words[..], &["--log", &log]].concat(), "is what two of these jobs would write");
    assert!(listed(&bench).is_empty());
    // One is there, one is being made.
    bench.write("swap", 8, |i| i as f32);
    let one = place.path().join("next").to_string_lossy().into_owned();
    let one = ["start", "train", "--data", &one, "--name", "next", "--base", &base, "--log", &log];
    assert!(bench.cli(&one).status.success());
    refused(
        &bench,
        &words,
        "2 of 3 new experts are there already, or being made (next, swap): --skip-existing leaves them out",
    );
    let copy = place.path().join("copy").to_string_lossy().into_owned();
    let again = ["start", "train", "--data", &copy, "--name", "a", "--base", &base, "--log", &log];
    refused(&bench, &again, "is what job ");
    let output = bench.cli(&[&words[..], &["--skip-existing", "--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("left out 2 of 3 datasets"), "{}", stderr(&output));
    let mut names: Vec<String> =
        listed(&bench).iter().map(|job| job["name"].as_str().unwrap().to_string()).collect();
    names.sort();
    assert_eq!(names, ["copy", "next"]);
    bench.cli(&["cancel", "--all"]);
}

#[test]
fn two_starts_at_once_make_each_job_once() {
    let bench = Bench::empty();
    let place = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        task(place.path(), name, 8, 2);
    }
    let base = Fixture::open("llama").base().to_string_lossy().into_owned();
    let words = [&each(place.path(), &base)[..], &["--skip-existing"]].concat();
    let slot = bench.occupy_slot();
    let starts: Vec<_> = (0..3)
        .map(|_| {
            let mut command = bench.command(&words);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for start in starts {
        let output = start.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let mut names: Vec<String> =
        listed(&bench).iter().map(|job| job["name"].as_str().unwrap().to_string()).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f", "g", "h"]);
    bench.cli(&["cancel", "--all"]);
    drop(slot);
}
