//! An expert for each of several tasks with one command, and as a job.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lora_tui::jobs::JobState;
use lora_tui::library::Library;
use serde_json::Value;

use crate::support::BINARY;
use crate::support::bench::{Bench, stderr, stdout};
use crate::support::models::Fixture;
use crate::support::training::{entries, library, quiet, random_spec, task, weights};

const TASKS: [(&str, usize); 4] = [("copy", 24), ("next", 16), ("same", 12), ("swap", 20)];

/// Tasks in a folder of their own.
fn tasks(place: &Path) -> PathBuf {
    for (id, count) in TASKS {
        task(place, id, count, 4);
    }
    place.to_path_buf()
}

/// The command with the settings of [`random_spec`] over `tasks` into `library`.
fn command(f: &Fixture, library: &Path, tasks: &Path) -> Command {
    let mut command = with_settings("train-many", f, library);
    command.arg("--tasks").arg(tasks);
    command
}

/// Any command that trains, with these settings.
fn with_settings(name: &str, f: &Fixture, library: &Path) -> Command {
    let mut command = Command::new(BINARY);
    let targets = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj";
    command.arg(name).arg(library).arg("--base").arg(f.base());
    command.args(["--max-steps", "6", "--rank", "2", "--alpha", "4", "--dropout", "0.1", "--batch", "4"]);
    command.args(["--targets", targets, "--device", "cpu"]);
    command
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

#[test]
fn each_task_gets_the_expert_that_a_training_of_its_own_gives() {
    let f = Fixture::open("llama");
    let (place, many, apart) = (tempfile::tempdir().unwrap(), library(), library());
    let tasks = tasks(place.path());
    // For evaluation alone.
    let held = task(&tasks, "held", 9, 3);
    std::fs::write(held.join("task.toml"), "id = \"held\"\nheld_out = true\n").unwrap();
    let output = run(command(&f, many.path(), &tasks).arg("--json"));
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let experts = document["experts"].as_array().unwrap();
    assert_eq!(document["skipped"][0]["name"], "held");
    assert_eq!(entries(many.path()), ["copy", "library.toml", "next", "same", "swap"]);
    for ((id, count), row) in TASKS.iter().zip(experts) {
        assert_eq!(
            (&row["name"], &row["examples"], &row["steps"]),
            (&(*id).into(), &(*count).into(), &6.into())
        );
        assert_eq!(row["report"]["expert"], *id);
        let library = Library::open(many.path()).unwrap();
        let provenance = library.expert(id).unwrap().provenance.clone().unwrap();
        assert_eq!((provenance.task.as_deref(), provenance.examples), (Some(*id), Some(*count)));
        let mut alone = random_spec(&f, apart.path());
        (alone.name, alone.data, alone.validation) = ((*id).into(), vec![tasks.join(id)], None);
        (alone.max_steps, alone.epochs, alone.batch, alone.accumulate) = (Some(6), None, 4, 1);
        (alone.learning_rate, alone.schedule, alone.warmup) = (1e-3, Default::default(), 0.06);
        (alone.weight_decay, alone.clip, alone.seed) = (0.0, None, 42);
        quiet(&alone).unwrap();
        assert!(weights(many.path(), id) == weights(apart.path(), id), "{id}");
    }
    // Again it finds all of them made, and makes nothing anew.
    let again = run(&mut command(&f, many.path(), &tasks));
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(stdout(&again).contains("4 experts"), "{}", stdout(&again));
    assert!(stderr(&again).contains("the expert was finished by an earlier run"), "{}", stderr(&again));
}

#[test]
fn batches_of_one_short_answer_give_the_same_bytes_beside_others_as_alone() {
    let f = Fixture::open("llama");
    let (place, many, apart) = (tempfile::tempdir().unwrap(), library(), library());
    // One or two targets in a batch.
    let line =
        |at: usize| format!("{{\"instruction\":\"copy\",\"input\":\"w{at}\",\"output\":\"w{}\"}}\n", at % 7);
    let names: Vec<String> = (0..6).map(|at| format!("t{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        let folder = place.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("train.jsonl"), (at..at + 8).map(line).collect::<String>()).unwrap();
        std::fs::write(folder.join("validation.jsonl"), line(at)).unwrap();
    }
    let train = |name: &str, library: &Path, more: &[&str]| {
        let base = f.base().to_string_lossy().into_owned();
        let mut command = Command::new(BINARY);
        command.arg(name).arg(library).args([
            "--base",
            &base,
            "--max-steps",
            "6",
            "--rank",
            "2",
            "--batch",
            "1",
        ]);
        let output = command.args(["--precision", "f32", "--device", "cpu"]).args(more).output().unwrap();
        let text = stderr(&output);
        assert!(output.status.success(), "{text}");
    };
    let tasks = place.path().to_string_lossy().into_owned();
    train("train-many", many.path(), &["--tasks", &tasks, "--at-once", "6"]);
    for name in &names {
        train("train", apart.path(), &["--data", &format!("{tasks}/{name}"), "--name", name]);
        assert!(weights(many.path(), name) == weights(apart.path(), name), "{name}");
    }
}

#[test]
fn what_is_there_is_left_out_where_that_is_asked_for() {
    let f = Fixture::open("llama");
    let (place, library) = (tempfile::tempdir().unwrap(), library());
    let tasks = tasks(place.path());
    std::fs::create_dir(library.path().join("next")).unwrap();
    let output = run(&mut command(&f, library.path(), &tasks));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--skip-existing leaves out those that exist"), "{}", stderr(&output));
    // Those that it made itself are its own.
    let output = run(command(&f, library.path(), &tasks).args(["--skip-existing", "--json"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["experts"].as_array().unwrap().len(), 3, "{document}");
    assert_eq!(document["skipped"][0]["name"], "next");
    assert!(document["skipped"][0]["reason"].as_str().unwrap().contains("there already"), "{document}");
}

#[test]
fn what_fails_is_told_and_made_when_it_is_asked_for_again() {
    let f = Fixture::open("llama");
    let (place, library) = (tempfile::tempdir().unwrap(), library());
    let tasks = tasks(place.path());
    // Somebody's own.
    std::fs::create_dir(library.path().join("next")).unwrap();
    let output = run(&mut command(&f, library.path(), &tasks));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("1 of 4 trainings failed: next: ") && text.contains("exists already"), "{text}");
    let made = weights(library.path(), "swap");
    std::fs::remove_dir(library.path().join("next")).unwrap();
    let output = run(&mut command(&f, library.path(), &tasks));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(made == weights(library.path(), "swap"));
    assert_eq!(entries(library.path()), ["copy", "library.toml", "next", "same", "swap"]);
}

#[test]
fn it_is_one_job_with_a_row_an_expert() {
    let f = Fixture::open("llama");
    let (place, library) = (tempfile::tempdir().unwrap(), library());
    let tasks = tasks(place.path());
    let bench = Bench::of(library.path());
    let output = run(command(&f, library.path(), &tasks).args(["--background", "--json"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let started: Value = serde_json::from_slice(&output.stdout).unwrap();
    bench.wait_state(started["job"].as_str().unwrap(), JobState::Finished);
    let detail = bench.jobs.detail(started["job"].as_str().unwrap()).unwrap();
    let rows: Vec<(&str, usize, usize)> =
        detail.progress.rows.iter().map(|row| (row.name.as_str(), row.step, row.steps)).collect();
    assert_eq!(rows, TASKS.map(|(id, _)| (id, 6, 6)));
    assert_eq!((detail.progress.step, detail.progress.steps), (24, 24));
}

#[test]
fn an_expert_names_its_data_as_they_were_given_also_where_a_job_made_it() {
    let f = Fixture::open("llama");
    let place = tempfile::tempdir().unwrap();
    for task in ["copy", "next"] {
        crate::support::training::task(&place.path().join("work/tasks"), task, 8, 2);
    }
    crate::support::training::task(&place.path().join("other"), "swap", 8, 2);
    let named = |library: &Path, name: &str| {
        let library = Library::open(library).unwrap();
        library.expert(name).unwrap().provenance.clone().unwrap().dataset.unwrap()
    };
    for background in [false, true] {
        let library = library();
        let finish = |mut command: Command, of: &Path| {
            command.current_dir(place.path().join("work"));
            if background {
                command.args(["--background", "--json"]);
            }
            let output = run(&mut command);
            assert!(output.status.success(), "{}", stderr(&output));
            if background {
                let started: Value = serde_json::from_slice(&output.stdout).unwrap();
                Bench::of(of).wait_state(started["job"].as_str().unwrap(), JobState::Finished);
            }
        };
        let mut one = with_settings("train", &f, library.path());
        one.args(["--name", "one", "--data", "tasks/copy", "--data", "../other/swap"]);
        finish(one, library.path());
        assert_eq!(named(library.path(), "one"), "tasks/copy, ../other/swap");
        finish(command(&f, library.path(), Path::new("tasks")), library.path());
        assert_eq!(named(library.path(), "next"), "tasks/next");
        let beside = tempfile::tempdir().unwrap();
        let out = beside.path().join("mbc");
        let mut clusters = with_settings("train-clusters", &f, library.path());
        clusters.args(["--k", "1", "--out"]).arg(&out);
        finish(clusters, library.path());
        let other = place.path().join("other/swap").canonicalize().unwrap();
        let data = named(&out, "cluster_1");
        let mut data: Vec<&str> = data.split(", ").collect();
        data.sort_unstable();
        assert_eq!(data, [other.to_str().unwrap(), "tasks/copy", "tasks/next"]);
    }
}

#[test]
fn tasks_that_make_no_library_are_refused_before_anything_runs() {
    let f = Fixture::open("llama");
    let (place, library) = (tempfile::tempdir().unwrap(), library());
    let refused = |tasks: &Path| {
        let output = run(&mut command(&f, library.path(), tasks));
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    let two = place.path().join("two");
    for (folder, id) in [("a", "same"), ("b", "same")] {
        let folder = two.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        task(&folder, id, 5, 2);
    }
    assert!(refused(&two).contains("is called same, as the task in"), "{}", refused(&two));
    let odd = task(place.path(), "odd", 5, 2);
    std::fs::write(odd.join("task.toml"), "id = \"a/b\"\n").unwrap();
    assert!(refused(&odd).contains("`a/b` cannot be the name of an expert"), "{}", refused(&odd));
    std::fs::write(odd.join("task.toml"), "id = \"odd\"\nheld_out = true\n").unwrap();
    assert!(refused(&odd).contains("all are for evaluation alone"), "{}", refused(&odd));
    assert_eq!(entries(library.path()), ["library.toml"]);
}
