//! Jobs on Slurm: a real one of this machine (`tests/slurm/cluster.sh`), and one that answers as newer versions do.

/// Private experts, their clusters, an expert for each, and an evaluation, by dependencies alone.
mod chain;
/// A scheduler of scripts.
mod fake;
/// Faults of what is around: clusters, clocks, numbers that are given again, a folder that goes away.
mod faults;
/// Arrays on a private Slurm: killed, requeued, resumed, in an order.
mod real;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::BINARY;
use crate::support::models::Fixture;

/// A library with tasks, and how its commands find Slurm.
pub struct Place {
    dir: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Place {
    /// With so many tasks, which are all the same, so that the experts have to be.
    pub fn new(tasks: usize, settings: &str, environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("slurm it's ").tempdir().unwrap();
        let library = dir.path().join("the library");
        std::fs::create_dir(&library).unwrap();
        let manifest = format!(
            "[template]\nprompt = \"{{instruction}} {{input}} =\"\nend = \" <end>\"\n[executor.slurm]\npoll = 1\n{settings}"
        );
        std::fs::write(library.join("library.toml"), manifest).unwrap();
        let examples = Fixture::open("llama").folder.join("train.jsonl");
        for task in 0..tasks {
            let folder = dir.path().join(format!("tasks/t{task:02}"));
            std::fs::create_dir_all(&folder).unwrap();
            for split in ["train", "validation"] {
                std::fs::copy(&examples, folder.join(format!("{split}.jsonl"))).unwrap();
            }
        }
        // No configuration of whoever runs the tests.
        let home = dir.path().join("home").to_string_lossy().into_owned();
        let mut environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        environment.push(("XDG_CONFIG_HOME".into(), home));
        Self { dir, environment }
    }

    pub fn library(&self) -> PathBuf {
        self.dir.path().join("the library")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn job(&self, id: &str) -> PathBuf {
        self.library().join(".lora-tui/jobs").join(id)
    }

    /// A program with what it needs to find Slurm.
    pub fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// `lora-tui jobs LIBRARY …`.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.program(BINARY).arg("jobs").arg(self.library()).args(arguments).output().unwrap()
    }

    /// The same, which has to succeed; its JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// So many steps of such a training as take about that long on this machine, by itself.
    pub fn steps_of(&self, seconds: f64) -> usize {
        const STEPS: usize = 400;
        let library = tempfile::tempdir().unwrap();
        let train = |name: &str, steps: usize| {
            let began = std::time::Instant::now();
            let output = self
                .program(BINARY)
                .args(["train".as_ref(), library.path().as_os_str(), "--data".as_ref()])
                .arg(self.dir.path().join("tasks/t00"))
                .arg("--base")
                .arg(Fixture::open("llama").base())
                .args(["--name", name, "--max-steps", &steps.to_string()])
                .args(["--rank", "2", "--batch", "2", "--precision", "f32", "--device", "cpu"])
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            began.elapsed().as_secs_f64()
        };
        // What every training takes besides its steps does not count.
        let one = train("one", 1);
        let all = (train("all", STEPS) - one).max(1e-3);
        ((seconds / all * STEPS as f64) as usize).clamp(600, 200_000)
    }

    /// A training of the tiny llama for each task, of so many steps; their ids.
    pub fn train_each(&self, steps: usize, more: &[&str]) -> Vec<String> {
        let base = Fixture::open("llama").base().to_string_lossy().into_owned();
        let (tasks, steps) =
            (self.dir.path().join("tasks").to_string_lossy().into_owned(), steps.to_string());
        let words = [
            "start",
            "train",
            "--each",
            "--data",
            &tasks,
            "--base",
            &base,
            "--rank",
            "2",
            "--max-steps",
            &steps,
            "--batch",
            "2",
            "--precision",
            "f32",
            "--device",
            "cpu",
            "--checkpoint-every",
            "20",
            "--executor",
            "slurm",
        ];
        let started = self.json(&[&words[..], more].concat());
        let ids =
            started["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_str().unwrap().to_string());
        ids.collect()
    }

    /// All jobs as `jobs --json` has them.
    pub fn jobs(&self) -> Vec<Value> {
        self.json(&[])["jobs"].as_array().unwrap().clone()
    }

    /// One of them.
    pub fn look(&self, id: &str) -> Value {
        let jobs = self.jobs();
        jobs.into_iter().find(|job| job["id"] == id).unwrap()
    }

    /// Ids of the jobs in this state, sorted.
    pub fn in_state(&self, state: &str) -> Vec<String> {
        let jobs = self.jobs();
        let of_state = jobs.iter().filter(|job| job["state"] == state);
        let mut ids: Vec<String> = of_state.map(|job| job["id"].as_str().unwrap().to_string()).collect();
        ids.sort();
        ids
    }
}
