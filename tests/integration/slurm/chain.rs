//! The whole pipeline, handed over at once: an expert for each task, their clusters, an expert for each cluster, and an
//! evaluation of those, each step after the one before it. On this machine and on a private Slurm.

use std::path::PathBuf;

use super::Place;
use super::real::{Cluster, finished};
use crate::support::BINARY;
use crate::support::models::Fixture;

/// Tasks, of two kinds.
const TASKS: usize = 4;

/// The folder of the tasks, two of which get other data.
fn two_kinds(place: &Place) -> PathBuf {
    let tasks = place.path().join("tasks");
    for task in ["t01", "t03"] {
        let path = tasks.join(task).join("train.jsonl");
        let text = std::fs::read_to_string(&path).unwrap();
        let half: Vec<&str> = text.lines().skip(text.lines().count() / 2).collect();
        std::fs::write(&path, half.join("\n")).unwrap();
    }
    tasks
}

/// Hands the chain over and waits for its end; checks what came of it.
fn runs(place: &Place, executor: &str) {
    let tasks = two_kinds(place);
    let base = Fixture::open("llama").base().to_string_lossy().into_owned();
    let tasks = tasks.to_string_lossy().into_owned();
    let out = place.path().join("mbc").to_string_lossy().into_owned();
    let training = ["--base", &base, "--rank", "2", "--batch", "2", "--max-steps", "40", "--device", "cpu"];
    let by = ["--executor", executor];
    let step = |words: &[&str], after: &[String]| -> String {
        let after = after.join(",");
        let started = place.json(&[&["start"], words, &by[..], &["--after", &after]].concat());
        started["job"].as_str().unwrap().into()
    };
    let started = place.json(&[&["start", "train", "--each", "--data", &tasks][..], &training, &by].concat());
    let private: Vec<String> =
        started["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap().into()).collect();
    assert_eq!(private.len(), TASKS);
    let clusters = step(&["cluster", "--k", "2"], &private);
    let mbc = step(
        &[&["train-clusters", "--k", "2", "--out", &out][..], &training].concat(),
        std::slice::from_ref(&clusters),
    );
    let output = place
        .program(BINARY)
        .arg("eval")
        .arg(place.library())
        .args([
            "--tasks",
            &tasks,
            "--methods",
            "base,uniform,mbc/uniform",
            "--library",
            &format!("mbc={out}"),
        ])
        .args(["--base", &base, "--split", "validation", "--limit", "2", "--device", "cpu", "--json"])
        .args(["--after", &mbc])
        .args(by)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let started: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let evaluation = started["job"].as_str().unwrap().to_string();

    let mut all = private.clone();
    all.extend([clusters.clone(), mbc.clone(), evaluation.clone()]);
    place.until("the whole chain finished", |jobs| {
        let failed = jobs.iter().find(|job| job["state"] == "failed");
        assert!(failed.is_none(), "{failed:#?}");
        finished(jobs, &all)
    });
    // Each has begun after the end of what it waits for.
    let result = |id: &str| place.json(&["show", id])["result"].clone();
    let trained = result(&mbc);
    let members: usize = trained["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["members"].as_array().unwrap().len())
        .sum();
    assert_eq!(members, TASKS, "{trained}");
    assert_eq!(result(&clusters)["labels"].as_array().unwrap().len(), TASKS);
    let report = result(&evaluation);
    assert_eq!(report["methods"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(report["tasks"].as_array().unwrap().len(), TASKS, "{report}");
    let scores = report["scores"].as_array().unwrap();
    assert!(scores.iter().flat_map(|row| row.as_array().unwrap()).all(|score| !score.is_null()), "{report}");
}

#[test]
fn a_chain_runs_by_dependencies_on_this_machine() {
    runs(&Place::new(TASKS, "", &[("LORA_TUI_JOB_SLOTS", "2")]), "local");
}

#[test]
fn a_chain_runs_by_dependencies_on_slurm() {
    let Some(cluster) = Cluster::start(26_930, false, &[]) else { return };
    runs(&cluster.place(TASKS, ""), "slurm");
}

#[test]
fn an_experiment_from_a_recipe_runs_on_slurm() {
    let Some(cluster) = Cluster::start(26_970, false, &[]) else { return };
    let place = cluster.place(TASKS, "");
    two_kinds(&place);
    let base = Fixture::open("llama").base();
    let recipe = format!(
        "executor = \"slurm\"\n[base]\npath = {base:?}\n[template]\nprompt = \"{{instruction}} {{input}} =\"\n\
         end = \" <end>\"\n[tasks]\ntrain = [\"tasks\"]\n[training]\nmax_steps = 4\nrank = 2\nbatch = 2\n\
         device = \"cpu\"\n[private]\njobs = 2\n[clusters]\nk = [2]\n[evaluation]\nmethods = [\"base\", \"uniform\"]\n\
         split = \"validation\"\nlimit = 2\ndevice = \"cpu\"\n"
    );
    std::fs::write(place.path().join("recipe.toml"), recipe).unwrap();
    let out = place.path().join("out");
    let mut command = place.program(BINARY);
    let output =
        command.arg("run").arg(place.path().join("recipe.toml")).arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    for part in
        ["| private | 4 | 32 |", "| joint | 1 | 32 |", "| random-k2-s42 | 2 | 32 |", "mbc-k2-s42/uniform"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let jobs = std::fs::read_dir(out.join(".lora-tui/jobs")).unwrap().filter_map(Result::ok);
    let handles = jobs.filter_map(|job| std::fs::read_to_string(job.path().join("executor.json")).ok());
    let handles: Vec<String> = handles.collect();
    assert!(handles.len() == 10 && handles.iter().all(|handle| handle.contains("slurm")), "{handles:?}");
}
