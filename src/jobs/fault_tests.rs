//! A worker whose disk fails, or that is killed, at any point at which it touches the disk: whatever happens, the job
//! that is resumed makes the same bytes as one that nothing happened to, and nothing else is lost.
//!
//! A fault is one of `outside::fault`. The worker runs in a process of its own: this test program, with a filter. The
//! tests try a sample of all faults; `tools/faults` tries a thousand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed helper is a failed test")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::job_dir::{JobDir, JobResult};
use super::layout::{EXECUTOR, LOG};
use super::{AnyJob, JobState, worker};
use crate::outside::faults::{VARIABLE, operations};
use crate::outside::own;
use crate::train::TrainSpec;

/// Names the job of a process that is a worker.
const JOB: &str = "LORA_TUI_FAULT_JOB";
/// How many faults are tried.
const FAULTS: &str = "LORA_TUI_FAULTS";
/// In the worker's log, before the number of its operations.
const COUNTED: &str = "operations: ";
/// What may happen, and how often from there on.
const KINDS: [(&str, u64); 9] = [
    ("kill", 1),
    ("torn", 1),
    ("ENOSPC", 1),
    ("EIO", 1),
    ("kill", 1),
    ("EINTR", 2),
    ("ENOSPC", 1_000_000),
    ("short", 3),
    ("EDQUOT", 20),
];

/// Where a training and its job lie.
struct Scene {
    dir: tempfile::TempDir,
    job: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path();
        std::fs::write(
            library.join("library.toml"),
            "[template]\nprompt = \"{instruction} {input} =\"\nend = \" <end>\"\n",
        )
        .unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/llama");
        let data = fixture.join("train.jsonl");
        let spec = TrainSpec {
            library: library.canonicalize().unwrap(),
            validation: Some(data.clone()),
            data: vec![data],
            name: "new".into(),
            rank: 2,
            max_steps: Some(7),
            batch: 4,
            dropout: 0.1,
            checkpoint_every: Some(2),
            log: Some(library.join("steps.jsonl")),
            base: Some(fixture.join("base")),
            device: "cpu".into(),
            ..TrainSpec::default()
        };
        let jobs = library.join(".lora-tui/jobs");
        std::fs::create_dir_all(&jobs).unwrap();
        let job = JobDir::create(&jobs, &AnyJob::from(spec), &[]).unwrap();
        let path = job.path().to_path_buf();
        Self { dir, job: path }
    }

    /// Lets a worker with this fault do the job; gives how its process ended.
    fn work(&self, fault: Option<&str>) -> ExitStatus {
        let log = std::fs::File::options().create(true).append(true).open(self.job.join(LOG)).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "jobs::fault_tests::the_worker_of_another_test", "--nocapture"]);
        command.env(JOB, &self.job).env_remove(VARIABLE).env("RAYON_NUM_THREADS", "1");
        if let Some(fault) = fault {
            command.env(VARIABLE, fault);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.status().unwrap()
    }

    fn state(&self) -> Option<JobState> {
        JobResult::read(&self.job).map(|end| end.state)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.job.join(LOG)).unwrap_or_default()
    }

    /// Resumes as often as it takes, without a fault.
    fn finish(&self) {
        for _ in 0..2 {
            if self.state() == Some(JobState::Finished) {
                return;
            }
            JobDir::reopen(self.job.clone()).unwrap().clear().unwrap();
            self.work(None);
        }
        assert_eq!(self.state(), Some(JobState::Finished), "{}", self.log());
    }

    /// What has to be the same, whatever happened.
    fn made(&self) -> Vec<(&'static str, Vec<u8>)> {
        ["adapter_model.safetensors", "adapter_config.json"]
            .map(|name| (name, std::fs::read(self.dir.path().join("new").join(name)).unwrap()))
            .to_vec()
    }

    /// The losses of all steps in the log of the training.
    fn losses(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join("steps.jsonl")).unwrap();
        let loss = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].to_string();
        text.lines().map(loss).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Not a test of its own: what [`Scene::work`] starts.
#[test]
fn the_worker_of_another_test() {
    let Some(job) = std::env::var_os(JOB) else { return };
    let state = worker(Path::new(&job));
    if let Err(error) = &state {
        eprintln!("{error}");
    }
    eprintln!("{COUNTED}{}", operations());
    // Why it failed is in its result, or else in its log.
    assert!(state.is_ok() || !own::is_taken(&Path::new(&job).join("result.json")));
}

#[test]
fn storage_without_locks_is_told_with_what_to_do() {
    let scene = Scene::new();
    scene.work(Some("nolocks:0:1000000"));
    assert_eq!(scene.state(), None);
    assert!(
        scene.log().contains("this storage cannot lock files, which jobs on this machine need"),
        "{}",
        scene.log()
    );
    scene.finish();
}

#[test]
fn a_scheduler_s_worker_needs_no_locks() {
    let (scene, whole) = (Scene::new(), Scene::new());
    std::fs::write(scene.job.join(EXECUTOR), r#"{"executor":"slurm","id":"7_0"}"#).unwrap();
    let status = scene.work(Some("nolocks:0:1000000"));
    assert!(status.success() && scene.state() == Some(JobState::Finished), "{}", scene.log());
    assert!(whole.work(None).success(), "{}", whole.log());
    assert!(scene.made() == whole.made(), "other bytes");
}

#[test]
fn whatever_happens_to_the_disk_the_same_expert_is_made() {
    let whole = Scene::new();
    assert!(whole.work(None).success(), "{}", whole.log());
    let (made, losses) = (whole.made(), whole.losses());
    let count = |scene: &Scene| -> u64 {
        let log = scene.log();
        let last = log.lines().rev().find_map(|line| line.strip_prefix(COUNTED));
        last.unwrap_or_else(|| panic!("{log}")).parse().unwrap()
    };
    let all = count(&whole);
    assert!(all > 100, "{all} operations");
    assert_eq!(Scene::names(whole.dir.path()), [".lora-tui", "library.toml", "new", "steps.jsonl"]);
    let clean = Scene::names(&whole.job);

    let faults: u64 = std::env::var(FAULTS).map_or(18, |text| text.parse().unwrap());
    let mut happened = 0;
    for number in 0..faults {
        let (kind, times) = KINDS[(number % KINDS.len() as u64) as usize];
        // Spread over all operations, and other ones for each kind.
        let at = number * 7919 % all;
        let fault = format!("{kind}:{at}:{times}");
        let scene = Scene::new();
        let status = scene.work(Some(&fault));
        let killed = matches!(kind, "kill" | "torn");
        happened += u64::from(!status.success() || scene.state() != Some(JobState::Finished));
        if matches!(kind, "EINTR" | "short") {
            // Nothing that a worker would notice.
            assert_eq!(scene.state(), Some(JobState::Finished), "{fault}\n{}", scene.log());
        }
        if !killed {
            // It ended by itself; a failure has its reason, where there was a way to say it.
            assert!(status.code().is_some(), "{fault}: {status}\n{}", scene.log());
            if let Some(end) = JobResult::read(&scene.job) {
                assert_eq!(end.error.is_some(), end.state == JobState::Failed, "{fault}: {end:?}");
                let reason = end.error.unwrap_or_default();
                assert!(
                    !reason.contains("os error") && !reason.contains("internal error"),
                    "{fault}: {reason}"
                );
            }
        }
        scene.finish();
        assert!(scene.made() == made, "{fault}: other bytes\n{}", scene.log());
        if killed {
            assert_eq!(scene.losses(), losses, "{fault}");
            assert_eq!(Scene::names(&scene.job), clean, "{fault}");
            let library = Scene::names(scene.dir.path());
            assert_eq!(library, [".lora-tui", "library.toml", "new", "steps.jsonl"], "{fault}");
        }
        if std::env::var_os(FAULTS).is_some() && number % 50 == 49 {
            println!("{} of {faults} faults, {happened} of which ended the worker", number + 1);
        }
    }
    println!(
        "{faults} faults over {all} operations: {happened} ended the worker, and all experts are the same"
    );
    assert!(happened > 0, "no fault happened");
}
