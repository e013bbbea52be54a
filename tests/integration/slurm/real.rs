//! Arrays on a private Slurm of this machine: tiny trainings that are killed by every means, and the same bytes in the
//! end. Skipped with a line where Slurm is not installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Place;
use crate::support::{PATIENCE, repository};

/// Says how many trainings there are in the first test; a cluster is asked for 256 with it.
const TASKS: &str = "LORA_TUI_SLURM_TASKS";
/// After its end on a node, before a job may begin there again.
const AGAIN: Duration = Duration::from_secs(2);

/// A private Slurm, stopped when it goes.
pub struct Cluster {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Cluster {
    /// `None` where Slurm is not here, after a line that says so.
    pub fn start(port: u16, accounts: bool, settings: &[(&'static str, &str)]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> =
            std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from)).collect();
        let needed = ["slurmctld", "slurmd", "sbatch", "munged"];
        let more = ["slurmdbd", "mariadbd", "sacctmgr"];
        let programs = needed.iter().chain(more.iter().filter(|_| accounts));
        for program in programs {
            if !folders.iter().any(|folder| folder.join(program).is_file()) {
                println!("skipped: no {program} here (see the head of tests/slurm/cluster.sh)");
                return None;
            }
        }
        // Short: the path of a socket has 107 characters at most.
        let folder = tempfile::Builder::new().prefix("sl").tempdir_in("/tmp").unwrap();
        let mut environment: Vec<(&'static str, String)> = vec![
            ("PORT", port.to_string()),
            ("ACCOUNTS", u8::from(accounts).to_string()),
            ("SLURM_CONF", folder.path().join("slurm.conf").display().to_string()),
        ];
        environment.extend(settings.iter().map(|(name, value)| (*name, value.to_string())));
        let cluster = Self { folder, environment };
        cluster.does("start");
        Some(cluster)
    }

    fn does(&self, action: &str) {
        let script = repository().join("tests/slurm/cluster.sh");
        let mut command = Command::new("bash");
        command.arg(script).arg(action).arg(self.folder.path());
        let output =
            command.envs(self.environment.iter().map(|(name, value)| (name, value))).output().unwrap();
        assert!(output.status.success(), "{action}: {output:?}");
    }

    pub fn place(&self, tasks: usize, settings: &str) -> Place {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Place::new(tasks, settings, &environment)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let script = repository().join("tests/slurm/cluster.sh");
        let stopped = Command::new("bash")
            .arg(script)
            .arg("stop")
            .arg(self.folder.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .status();
        drop(stopped);
    }
}

impl Place {
    /// A command of Slurm; what it prints.
    fn slurm(&self, words: &[&str]) -> String {
        let (program, arguments) = words.split_first().unwrap();
        let output = self.program(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `array_index` of a job.
    fn task(&self, id: &str) -> String {
        let handle = std::fs::read(self.job(id).join("executor.json")).unwrap();
        serde_json::from_slice::<Value>(&handle).unwrap()["id"].as_str().unwrap().into()
    }

    pub fn until(&self, what: &str, wanted: impl Fn(&[Value]) -> bool) {
        let began = Instant::now();
        let mut again: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let jobs = self.jobs();
            if wanted(&jobs) {
                return;
            }
            if began.elapsed() >= PATIENCE {
                let queue = self.program("squeue").output();
                panic!("not {what}: {jobs:#?}\n{queue:?}");
            }
            // What was queued again begins soon, not after Slurm's two minutes; but a node refuses a job in the
            // second in which it ended there.
            let queue = self.program("squeue").args(["--noheader", "--format=%i %r"]).output();
            // On this machine alone there is none.
            let queue =
                queue.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
            for line in queue.lines() {
                let Some((id, reason)) = line.split_once(' ') else { continue };
                if reason != "BeginTime" {
                    again.remove(id);
                } else if again.entry(id.into()).or_insert_with(Instant::now).elapsed() > AGAIN {
                    // It may have begun meanwhile.
                    let _ = self
                        .program("scontrol")
                        .args(["update", &format!("JobId={id}"), "StartTime=now"])
                        .output();
                }
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Waits until this job has made some steps.
    fn until_steps(&self, id: &str, steps: u64) {
        self.until("under way", |jobs| {
            jobs.iter().any(|job| {
                job["id"] == id && job["state"] == "running" && job["step"].as_u64() >= Some(steps)
            })
        });
    }

    /// The process that does this job.
    fn worker(&self, id: &str) -> String {
        let worker = std::fs::read(self.job(id).join("worker.json")).unwrap();
        serde_json::from_slice::<Value>(&worker).unwrap()["pid"].to_string()
    }

    fn weights(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.library().join(name).join("adapter_model.safetensors")).unwrap()
    }
}

pub fn finished(jobs: &[Value], ids: &[String]) -> bool {
    ids.iter().all(|id| jobs.iter().any(|job| job["id"] == **id && job["state"] == "finished"))
}

/// Ends a process; it may have ended already.
fn kill(signal: &str, pid: &str) {
    let _ = Command::new("kill").args([signal, pid]).output().unwrap();
}

#[test]
fn exactly_those_that_were_killed_are_resumed_and_all_end_with_the_same_bytes() {
    let Some(cluster) = Cluster::start(26_900, false, &[("GPUS", "2")]) else { return };
    let tasks: usize = std::env::var(TASKS).map_or(24, |text| text.parse().unwrap());
    let place = cluster.place(tasks, "at_once = 8\ngres = \"gpu:1\"\n");
    let health = place.program(crate::support::BINARY).arg("doctor").arg(place.library()).output().unwrap();
    let health = String::from_utf8_lossy(&health.stdout).into_owned();
    assert!(health.contains("cluster test, Slurm ") && health.contains("no accounts"), "{health}");

    let ids = place.train_each(place.steps_of(4.0), &[]);
    assert_eq!(place.slurm(&["squeue", "--noheader", "--array", "--format=%i"]).lines().count(), tasks);
    let all = ids.join(",");
    let child = place.json(&["start", "cluster", "--k", "2", "--executor", "slurm", "--after", &all]);
    let child = child["job"].as_str().unwrap().to_string();
    // Three nodes with two devices each.
    place.until("six at once", |jobs| jobs.iter().filter(|job| job["state"] == "running").count() == 6);
    let running = place.in_state("running");
    let devices: Vec<String> = running
        .iter()
        .map(|id| {
            let environment =
                std::fs::read(format!("/proc/{}/environ", place.worker(id))).unwrap_or_default();
            let text = String::from_utf8_lossy(&environment).into_owned();
            text.split('\0')
                .find_map(|line| line.strip_prefix("CUDA_VISIBLE_DEVICES="))
                .unwrap_or("?")
                .to_string()
        })
        .collect();
    assert!(devices.iter().filter(|device| *device == "1").count() == 3, "{devices:?}");

    // Seven ends, by six means; the eighth is asked for.
    for id in &running {
        place.until_steps(id, 25);
    }
    kill("-KILL", &place.worker(&running[0]));
    kill("-KILL", &place.worker(&running[1]));
    place.slurm(&["scancel", &place.task(&running[2])]);
    kill("-TERM", &place.worker(&running[3]));
    let waiting: Vec<String> =
        ids.iter().rev().filter(|id| place.look(id)["state"] == "queued").take(3).cloned().collect();
    place.slurm(&["scancel", &place.task(&waiting[0])]);
    let script = std::fs::read_dir(place.library().join(".lora-tui/jobs/.slurm")).unwrap().count();
    assert_eq!(script, 2);
    place.json(&["cancel", &waiting[1]]);
    // Whoever looks meanwhile sees the same: nothing of it is kept by the process that started it.
    cluster.does("restart-controller");
    place.slurm(&["scontrol", "requeue", &place.task(&running[4])]);

    let mut killed = vec![
        running[0].clone(),
        running[1].clone(),
        running[2].clone(),
        running[3].clone(),
        waiting[0].clone(),
    ];
    killed.sort();
    let rest: Vec<String> =
        ids.iter().filter(|id| !killed.contains(id) && **id != waiting[1]).cloned().collect();
    place.until("over but for those that were killed", |jobs| finished(jobs, &rest));
    assert_eq!(place.in_state("failed"), killed);
    assert_eq!(place.in_state("cancelled"), [waiting[1].clone()]);
    let why = |id: &str| place.look(id)["error"].as_str().unwrap_or_default().to_string();
    assert!(why(&running[0]).contains("signal 9"), "{}", why(&running[0]));
    assert!(
        why(&running[2]).contains("was cancelled by somebody, not by `jobs cancel`"),
        "{}",
        why(&running[2])
    );
    assert!(why(&waiting[0]).contains("cancelled it before it started"), "{}", why(&waiting[0]));
    let waits = place.look(&child);
    assert!(
        waits["state"] == "queued" && waits["waits"].as_str().unwrap().contains("which has failed"),
        "{waits}"
    );

    let resumed = place.json(&["resume", "--failed"]);
    let mut again: Vec<&str> =
        resumed["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    again.sort_unstable();
    assert_eq!(again, killed);
    place.json(&["resume", &waiting[1]]);
    place.until("all finished", |jobs| finished(jobs, &ids) && finished(jobs, std::slice::from_ref(&child)));
    // All tasks are the same, so the experts have to be, whatever happened to their jobs.
    let first = place.weights("t00");
    for task in 1..tasks {
        assert!(place.weights(&format!("t{task:02}")) == first, "t{task:02}");
    }
    let log = std::fs::read_to_string(place.job(&running[0]).join("log.txt")).unwrap();
    assert!(log.contains("continuing after step"), "{log}");
}

#[test]
fn a_time_limit_saves_the_state_and_a_lost_node_costs_nothing_else() {
    let Some(cluster) = Cluster::start(26_950, true, &[("NODES", "3"), ("CPUS", "1")]) else { return };
    let place = cluster.place(3, "time = \"1\"\nwarning = 40\n");
    // More than a minute has on any machine.
    let ids = place.train_each(5_000_000, &[]);
    for id in &ids {
        place.until_steps(id, 25);
    }
    // A node goes, with all that runs on it.
    let lost = &ids[2];
    let node =
        place.slurm(&["squeue", "--noheader", "--format=%N", "--jobs", &place.task(lost)]).trim().to_string();
    let daemon = std::fs::read_to_string(cluster.folder.path().join(format!("pids/slurmd-{node}"))).unwrap();
    kill("-KILL", daemon.trim());
    place.slurm(&["scontrol", "update", &format!("NodeName={node}"), "State=DOWN", "Reason=test"]);
    kill("-KILL", &place.worker(lost));
    // It is queued again by Slurm, the others by their workers.
    let times = |id: &String| {
        let worker = std::fs::read(place.job(id).join("worker.json")).unwrap_or_default();
        let worker: Value = serde_json::from_slice(&worker).unwrap_or_default();
        worker["interruptions"].as_u64().unwrap_or(0)
    };
    place.until("stopped before the limit", |_| ids[..2].iter().all(|id| times(id) >= 1));
    let queued_again = place.slurm(&["squeue", "--noheader", "--format=%i"]).lines().count();
    assert_eq!(queued_again, 3);
    place.until("all under way again", |jobs| {
        jobs.iter().filter(|job| job["state"] == "running").count() >= 2
    });
    let (step, again) = (place.look(&ids[0])["step"].as_u64().unwrap(), place.look(&ids[0]));
    assert!(step >= 25, "it continues from its saved state: {again}");
    place.json(&["cancel", "--all"]);
    place.until("all cancelled", |jobs| jobs.iter().all(|job| job["state"] == "cancelled"));
    // The accounts know who ended the job of somebody who asked nobody here.
    let other = place.json(&["start", "cluster", "--k", "2", "--executor", "slurm", "--after-any", &ids[0]]);
    let other = other["job"].as_str().unwrap();
    place.until("over", |jobs| jobs.iter().any(|job| job["id"] == other && job["state"] == "failed"));
    assert!(place.look(other)["error"].as_str().unwrap().contains("k is 2"), "it has no experts");
    assert!(Path::new(&place.job(other).join("result.json")).exists());
}
