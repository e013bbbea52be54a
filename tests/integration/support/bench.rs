//! A library with jobs, whose workers are real processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lora_tui::jobs::{AnyJob, ClusterSpec, JobState, JobSummary, Jobs, Local};
use rustix::process::Pid;
use serde_json::Value;

use super::experts::{lora, write_expert};
use super::{BINARY, PATIENCE};

/// Clustering so many big experts takes many times longer than a test needs to interfere.
pub const ENDLESS: usize = 400;

/// A library in a temporary directory and its jobs; stops what still runs when it goes.
pub struct Bench {
    /// Where the library is a temporary one.
    _dir: Option<tempfile::TempDir>,
    library: PathBuf,
    pub jobs: Jobs,
}

impl Bench {
    /// Two groups of tiny experts, three each.
    pub fn small() -> Self {
        let bench = Self::empty();
        (0..6).for_each(|expert| bench.add_expert(expert));
        bench
    }

    /// One more of the tiny experts.
    pub fn add_expert(&self, expert: usize) {
        let group = if expert < 3 { 1.0 } else { -1.0 };
        let value = move |i: usize| group * (1.0 + (i % 7) as f32) + 0.01 * ((i * (expert + 3)) % 5) as f32;
        self.write(&format!("expert-{expert}"), 8, value);
    }

    /// Experts whose clustering takes long. They share one file, so that they are made in no time.
    pub fn endless() -> Self {
        let bench = Self::empty();
        bench.write("expert-0", 1_000_000, |i| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5);
        let first = bench.library().join("expert-0");
        for expert in 1..ENDLESS {
            let other = bench.library().join(format!("expert-{expert}"));
            std::fs::create_dir(&other).unwrap();
            for file in ["adapter_config.json", "adapter_model.safetensors"] {
                std::fs::hard_link(first.join(file), other.join(file)).unwrap();
            }
        }
        bench
    }

    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Self::of(dir.path());
        bench._dir = Some(dir);
        bench
    }

    /// The jobs of a library that somebody else made.
    pub fn of(library: &Path) -> Self {
        let jobs = Jobs::at(library.join(".lora-tui/jobs"), Arc::new(Local::new(BINARY)));
        Self { _dir: None, library: library.into(), jobs }
    }

    pub fn write(&self, name: &str, width: usize, value: impl Fn(usize) -> f32) {
        let module = "model.layers.0.self_attn.q_proj";
        let lora = lora(module, 2, (width, width), &value, |i| value(i + 1));
        write_expert(&self.library().join(name), &[lora], 4.0);
    }

    pub fn library(&self) -> &Path {
        &self.library
    }

    pub fn clustering(&self, k: usize) -> AnyJob {
        AnyJob::from(ClusterSpec { library: self.library().into(), k, ..ClusterSpec::default() })
    }

    pub fn start(&self, k: usize) -> String {
        self.jobs.start(&self.clustering(k)).unwrap()
    }

    pub fn job(&self, id: &str) -> PathBuf {
        self.jobs.dir().join(id)
    }

    /// Takes the only slot, so that jobs stay queued while the file lives.
    pub fn occupy_slot(&self) -> File {
        std::fs::create_dir_all(self.jobs.dir()).unwrap();
        let slot = File::create(self.jobs.dir().join("slot.0")).unwrap();
        slot.lock().unwrap();
        slot
    }

    pub fn wait(&self, id: &str, what: &str, wanted: impl Fn(&JobSummary) -> bool) -> JobSummary {
        let began = Instant::now();
        loop {
            let job = self.jobs.get(id).unwrap();
            if wanted(&job) {
                return job;
            }
            let log = std::fs::read_to_string(self.job(id).join("log.txt")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "not {what}: {job:?}\n{log}");
            assert!(!job.state.is_over(), "over, so never {what}: {job:?}\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_state(&self, id: &str, state: JobState) -> JobSummary {
        self.wait(id, &format!("{state:?}"), |job| job.state == state)
    }

    /// The worker's process, once it said who it is.
    pub fn worker(&self, id: &str) -> Pid {
        let path = self.job(id).join("worker.json");
        self.wait(id, "introduced", |_| path.exists());
        let worker: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        Pid::from_raw(worker["pid"].as_i64().unwrap() as i32).unwrap()
    }

    /// `lora-tui jobs LIBRARY …`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("jobs").arg(self.library()).args(arguments).stdin(Stdio::null());
        command
    }

    pub fn cli(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts another worker for a job by hand.
    pub fn second_worker(&self, id: &str) -> Output {
        Command::new(BINARY).arg("worker").arg(self.job(id)).output().unwrap()
    }

    /// The lines of a job's events.
    pub fn events(&self, id: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.job(id).join("events.jsonl")).unwrap();
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for job in self.jobs.list().unwrap_or_default() {
            if !job.state.is_over() {
                let _ = self.jobs.cancel(&job.id);
                let began = Instant::now();
                while !self.jobs.get(&job.id).is_ok_and(|job| job.state.is_over())
                    && began.elapsed() < PATIENCE
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }
}

pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "never {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
