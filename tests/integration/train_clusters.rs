//! One expert per cluster: the MBC library, made, interrupted, refused, and as a job.

use std::path::{Path, PathBuf};
use std::process::Command;

use lora_tui::jobs::{AnyJob, JobState};
use lora_tui::library::{Library, Manifest, SeenTask};
use lora_tui::train::{ClustersReport, ClustersSpec, RowsEvent, Step, TrainEvent, TrainSpec, train_clusters};
use lora_tui::{Cancel, Error, Result};
use serde_json::Value;

use crate::support::BINARY;
use crate::support::bench::{Bench, stderr, stdout};
use crate::support::models::Fixture;
use crate::support::pty::Session;
use crate::support::training::{entries, quiet, random_spec, task, weights};

const TASKS: [(&str, usize); 4] = [("copy", 24), ("next", 16), ("same", 12), ("swap", 20)];

/// A folder with `tasks/`, one for each private expert of `library/`, and a base model beside them.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir };
        let f = Fixture::open("llama");
        let base = place.path("base");
        std::fs::create_dir(&base).unwrap();
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            std::fs::copy(f.base().join(file), base.join(file)).unwrap();
        }
        std::fs::create_dir(place.library()).unwrap();
        let manifest = "name = \"private\"\n[base]\npath = \"../base\"\n[template]\nprompt = \"{instruction} {input} =\"\nend = \" <end>\"\n[router]\ntop_k = 2\ntemperature = 0.5\n";
        std::fs::write(place.library().join("library.toml"), manifest).unwrap();
        for (id, count) in TASKS {
            let data = task(&place.path("tasks"), id, count, 4);
            let spec = TrainSpec {
                name: id.into(),
                data: vec![data],
                validation: None,
                base: None,
                ..random_spec(&f, &place.library())
            };
            quiet(&spec).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn library(&self) -> PathBuf {
        self.path("library")
    }

    fn spec(&self, out: &str) -> ClustersSpec {
        let f = Fixture::open("llama");
        let training = TrainSpec {
            data: Vec::new(),
            validation: None,
            base: None,
            max_steps: Some(6),
            ..random_spec(&f, Path::new(""))
        };
        ClustersSpec {
            library: self.library(),
            out: self.path(out),
            k: 2,
            // One after the other, so that it is known what is interrupted.
            at_once: Some(1),
            training,
            ..ClustersSpec::default()
        }
    }
}

fn quietly(spec: &ClustersSpec) -> Result<ClustersReport> {
    train_clusters(spec, &mut |_| {}, &Cancel::new())
}

fn refused(spec: &ClustersSpec) -> String {
    quietly(spec).unwrap_err().to_string()
}

#[test]
fn a_cluster_s_expert_learns_the_data_of_all_members() {
    let place = Place::new();
    let before = entries(&place.library());
    let report = quietly(&place.spec("mbc")).unwrap();
    assert_eq!(entries(&place.library()), before);
    assert_eq!(entries(&place.path("mbc")), ["cluster_1", "cluster_2", "library.toml"]);

    let mut members: Vec<&str> =
        report.clusters.iter().flat_map(|r| &r.members).map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, TASKS.map(|(id, _)| id));
    let library = Library::open(&place.path("mbc")).unwrap();
    for row in &report.clusters {
        let provenance = library.expert(&row.name).unwrap().provenance.clone().unwrap();
        let examples: usize =
            TASKS.iter().filter(|(id, _)| row.members.iter().any(|m| m == id)).map(|(_, n)| n).sum();
        assert_eq!((provenance.task.unwrap(), provenance.examples), (row.members.join("+"), Some(examples)));
        assert_eq!((row.examples, row.steps, provenance.steps), (examples, 6, Some(6)));
        assert!(row.report.as_ref().unwrap().validation_loss.unwrap() > 0.0);
    }
    let (old, new) = (Manifest::read(&place.library()).unwrap(), library.manifest);
    assert_eq!((&new.template, &new.router), (&old.template, &old.router));
    assert_eq!(new.base.unwrap().path.unwrap(), place.path("base").canonicalize().unwrap());
    assert_eq!(new.name.as_deref(), Some("private, 2 clusters"));

    // Asking again changes nothing and reports the same.
    let bytes = weights(&place.path("mbc"), "cluster_2");
    assert_eq!(quietly(&place.spec("mbc")).unwrap(), report);
    assert!(bytes == weights(&place.path("mbc"), "cluster_2"));
}

#[test]
fn experts_of_clusters_start_from_an_adapter_that_fits() {
    let place = Place::new();
    let with = |out: &str, init: PathBuf| {
        let mut spec = place.spec(out);
        spec.training.init = Some(init);
        spec
    };
    // What cannot be started from leaves nothing behind.
    let broken = place.path("broken");
    crate::support::copy_folder(&place.library().join("copy"), &broken);
    let file = broken.join("adapter_model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    // The last value, of f16, is no number.
    std::fs::write(&file, [&bytes[..bytes.len() - 2], &[0xff, 0x7f]].concat()).unwrap();
    for (out, init, change, said) in [
        ("no", place.path("nowhere"), 0, "nowhere: "),
        ("several", place.library(), 0, "is not one adapter"),
        ("rank", place.library().join("copy"), 1, "the training wants rank"),
        ("nan", broken.clone(), 0, "NaN or infinite"),
    ] {
        let mut spec = with(out, init);
        spec.training.rank += change;
        let error = refused(&spec);
        assert!(error.contains(said) && !place.path(out).exists(), "{error}");
    }
    let start = place.library().join("copy");
    let spec = with("mbc", start.clone());
    quietly(&spec).unwrap();
    let known = Library::open(&place.library()).unwrap().expert("copy").unwrap().provenance.clone().unwrap();
    let library = Library::open(&place.path("mbc")).unwrap();
    for expert in &library.experts {
        let provenance = expert.provenance.clone().unwrap();
        let before = SeenTask {
            task: Some("copy".into()),
            family: known.family.clone(),
            dataset_sha256: known.dataset_sha256.clone(),
        };
        assert_eq!(provenance.seen_before, [before], "{}", expert.name);
        assert!(expert.learned().any(|one| one.dataset_sha256 == known.dataset_sha256.as_deref()));
    }
    // Each is what a training of its own from there would be.
    let row = &quietly(&spec).unwrap().clusters[0];
    let alone = TrainSpec {
        library: place.path("alone"),
        name: row.name.clone(),
        data: row.data.clone(),
        ..spec.training.clone()
    };
    crate::support::copy_folder(&place.path("mbc"), &place.path("alone"));
    std::fs::remove_dir_all(place.path("alone").join(&row.name)).unwrap();
    quiet(&alone).unwrap();
    let first = weights(&place.path("mbc"), &row.name);
    assert!(first == weights(&place.path("alone"), &row.name));
    assert!(refused(&place.spec("mbc")).contains("other settings"));
    // An expert that is lost is made again, from the same start alone.
    std::fs::remove_dir_all(place.path("mbc").join(&row.name)).unwrap();
    let file = start.join("adapter_model.safetensors");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, weights(&place.library(), "next")).unwrap();
    assert!(refused(&spec).contains("was begun with another adapter to start from"));
    std::fs::write(&file, whole).unwrap();
    quietly(&spec).unwrap();
    assert!(first == weights(&place.path("mbc"), &row.name));
}

#[test]
fn experts_dealt_out_at_random_make_clusters_of_the_same_sizes() {
    let place = Place::new();
    let members = |report: &ClustersReport| -> Vec<Vec<String>> {
        report.clusters.iter().map(|row| row.members.clone()).collect()
    };
    let sizes = |of: &[Vec<String>]| of.iter().map(Vec::len).collect::<Vec<_>>();
    let mbc = members(&quietly(&place.spec("mbc")).unwrap());
    let dealt: Vec<_> = (0..4)
        .map(|seed| {
            let spec = ClustersSpec { random: Some(seed), ..place.spec(&format!("random-{seed}")) };
            let report = quietly(&spec).unwrap();
            assert_eq!((report.random, report.silhouette), (Some(seed), None));
            assert!(refused(&ClustersSpec { random: Some(seed + 1), ..spec }).contains("other settings"));
            members(&report)
        })
        .collect();
    assert!(dealt.iter().all(|one| sizes(one) == sizes(&mbc)), "{mbc:?} {dealt:?}");
    assert!(dealt.iter().any(|one| *one != mbc) && dealt.iter().any(|one| *one != dealt[0]), "{dealt:?}");
}

#[test]
fn what_was_interrupted_goes_on_to_the_same_bytes() {
    let place = Place::new();
    quietly(&place.spec("whole")).unwrap();
    let spec = place.spec("parts");
    let cancel = Cancel::new();
    let mut stop = |event: RowsEvent| {
        if matches!(event, RowsEvent::Training { row: 1, event: TrainEvent::Step(Step { step: 3, .. }) }) {
            cancel.cancel();
        }
    };
    assert!(matches!(train_clusters(&spec, &mut stop, &cancel), Err(Error::Cancelled)));
    assert_eq!(entries(&spec.out), ["cluster_1", "library.toml"]);

    // All experts of a library have one template and one base model.
    for (file, changed) in
        [(spec.out.join("library.toml"), "template"), (place.path("base/model.safetensors"), "base model")]
    {
        let good = std::fs::read(&file).unwrap();
        let mut other = good.clone();
        match other.windows(4).position(|window| window == b"<end") {
            Some(at) => other[at + 1] = b'E',
            None => *other.last_mut().unwrap() ^= 1,
        }
        std::fs::write(&file, other).unwrap();
        let told = refused(&spec);
        assert!(told.contains(&format!("was begun with another {changed}: put that back")), "{told}");
        std::fs::write(&file, good).unwrap();
    }

    // As if it had died before it could say that the first one is done.
    let plan = spec.out.join(".lora-tui/clusters/plan.json");
    let mut value: Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    value["rows"][0]["report"] = Value::Null;
    std::fs::write(&plan, value.to_string()).unwrap();
    let mut started = Vec::new();
    let mut look = |event| {
        if let RowsEvent::Training { row, event: TrainEvent::Started { step, .. } } = event {
            started.push((row, step));
        }
    };
    let report = train_clusters(&spec, &mut look, &Cancel::new()).unwrap();
    assert_eq!(started, [(1, 3)], "one is done, the other continues");
    assert!(report.clusters.iter().all(|row| row.report.is_some()));
    for name in ["cluster_1", "cluster_2"] {
        assert!(weights(&place.path("whole"), name) == weights(&place.path("parts"), name), "{name}");
    }
}

#[test]
fn nothing_is_begun_where_it_cannot_end_well() {
    let place = Place::new();
    let spec = place.spec("mbc");
    let out = |out: PathBuf| ClustersSpec { out, ..spec.clone() };
    assert!(refused(&out(place.path("tasks"))).contains("is not empty"));
    assert!(refused(&out(place.path("base/config.json"))).contains("is not a folder"));
    for inside in [place.library().join("mbc"), place.library(), place.dir.path().to_path_buf()] {
        assert!(refused(&out(inside)).contains("beside the old one"));
    }
    assert!(refused(&ClustersSpec { k: 5, ..spec.clone() }).contains("more than there are experts"));
    assert!(refused(&ClustersSpec { k: 0, ..spec.clone() }).contains("k must be a whole number from 1"));
    assert!(refused(&ClustersSpec { sparsity: 1.0, ..spec.clone() }).contains("below 1"));

    // Data that has changed or is gone; a folder with the tasks helps.
    std::fs::rename(place.path("tasks/copy"), place.path("moved")).unwrap();
    std::fs::copy(place.path("tasks/next/train.jsonl"), place.path("tasks/same/train.jsonl")).unwrap();
    let error = refused(&spec);
    assert!(error.contains("no data for copy (") && error.contains("is not there"), "{error}");
    assert!(
        error.contains("same (") && error.contains("has changed since") && error.contains("--tasks"),
        "{error}"
    );
    assert!(!spec.out.exists(), "nothing is made before all is found");
    let tasks = vec![place.path("moved"), place.path("tasks")];
    let report = quietly(&ClustersSpec { tasks: tasks.clone(), ..spec.clone() }).unwrap();
    assert_eq!(report.warnings, ["same was trained on another version of this data"]);

    let other = ClustersSpec { k: 3, tasks, ..spec };
    assert!(refused(&other).contains("begun with other settings"));
}

/// Steps of one expert: enough to interfere with on any machine.
const STEPS: usize = 2500;

#[test]
fn it_is_one_job_with_a_row_an_expert() {
    let place = Place::new();
    let bench = Bench::of(&place.library());
    let mut spec = place.spec("mbc");
    spec.training.max_steps = Some(STEPS);
    let id = bench.jobs.start(&AnyJob::from(spec.clone())).unwrap();
    bench.wait(&id, "at the second expert", |job| job.step > STEPS + 20);
    bench.jobs.cancel(&id).unwrap();
    bench.wait_state(&id, JobState::Cancelled);
    let rows = bench.jobs.detail(&id).unwrap().progress.rows;
    assert_eq!((rows[0].step, rows[0].steps, rows[1].steps), (STEPS, STEPS, STEPS));
    assert!(rows[1].step > 0 && rows[1].step < STEPS && rows[0].validation_loss.is_some(), "{rows:?}");

    assert_eq!(stdout(&bench.cli(&["resume", &id])).trim(), id);
    let job = bench.wait_state(&id, JobState::Finished);
    assert_eq!((job.kind_name(), job.name.as_str()), ("train-clusters", "mbc, k = 2"));
    assert_eq!((job.step, job.steps), (2 * STEPS, 2 * STEPS));
    let shown: Value = serde_json::from_slice(&bench.cli(&["show", &id, "--json"]).stdout).unwrap();
    assert_eq!(shown["rows"][1]["name"], "cluster_2");
    assert_eq!((&shown["rows"][1]["step"], &shown["rows"][1]["steps"]), (&STEPS.into(), &STEPS.into()));
    assert_eq!(shown["result"]["clusters"][0]["report"]["steps"], STEPS);
    let text = stdout(&bench.cli(&["show", &id]));
    assert!(text.contains(&format!("cluster_1  {STEPS}/{STEPS}")) && text.contains("MADE FOR"), "{text}");

    // The same from the command line, which finds it done.
    let output = Command::new(BINARY)
        .arg("train-clusters")
        .arg(place.library())
        .args(["--k", "2", "--max-steps", &STEPS.to_string(), "--rank", "2", "--alpha", "4", "--batch", "4"])
        .arg("--out")
        .arg(place.path("mbc"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("begun with other settings"), "{}", stderr(&output));
}

#[test]
fn it_is_started_from_the_screen_and_seen_there() {
    let place = Place::new();
    let _bench = Bench::of(&place.library());
    let mut session = Session::open_with(&place.library(), &["--device".as_ref(), "cpu".as_ref()]);
    session.see("swap");
    session.press("3");
    session.see("k = 2");
    // What is trained on is not there; where it is now is reported.
    std::fs::rename(place.path("tasks"), place.path("moved")).unwrap();
    session.press("t");
    session.see("✗ no data for copy");
    session.press("\x1b[B\x1b[B\x1b[B");
    session.press(place.path("moved").to_str().unwrap());
    session.see("2 experts");
    // Five fields below are the most steps.
    session.press(&"\x1b[B".repeat(5));
    session.press("5");
    session.see("2 experts · 10 steps");
    session.press("\r");
    session.see("train-clusters");
    session.see("finished ·");
    session.see("cluster_2");
    session.press("q");
    assert!(session.end().success());
    let library = Library::open(&place.path("library-mbc-2")).unwrap();
    assert_eq!(
        library.usable().map(|expert| expert.name.as_str()).collect::<Vec<_>>(),
        ["cluster_1", "cluster_2"]
    );
    assert!(library.experts.iter().all(|e| e.provenance.as_ref().is_some_and(|p| p.steps == Some(5))));
}

#[test]
fn the_command_makes_a_library_and_says_what_is_in_it() {
    let place = Place::new();
    let run = |json: &[&str]| {
        Command::new(BINARY)
            .arg("train-clusters")
            .arg(place.library())
            .args(["--max-steps", "3", "--device", "cpu", "--out"])
            .arg(place.path("four"))
            .args(json)
            .output()
            .unwrap()
    };
    let output = run(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    // Ten clusters unless there are fewer experts.
    assert!(text.contains("4 experts (mbc, sparsity 0.5, seed 42)") && text.contains("cluster_3"), "{text}");
    let document: Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
    assert_eq!((&document["k"], document["clusters"].as_array().unwrap().len()), (&4.into(), 4));
    assert_eq!(document["skipped"], serde_json::json!([]));
}
