//! Many programs start, cancel, hold, kill and resume the jobs of one library at the same time: none is lost, and none is
//! done twice.

use std::process::{Child, Stdio};
use std::time::Instant;

use lora_tui::jobs::JobState;
use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::bench::Bench;

/// Programs that start jobs, and how many each.
const STARTERS: usize = 6;
const JOBS: usize = 4;

/// Waits for programs; how many have succeeded.
fn join(children: Vec<Child>) -> usize {
    children.into_iter().filter_map(|mut child| child.wait().ok()).filter(|status| status.success()).count()
}

#[test]
fn ten_programs_neither_lose_a_job_nor_do_one_twice() {
    let bench = Bench::small();
    let run =
        |words: &[&str]| bench.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut started = 0;
    for round in 0..JOBS {
        let starters = (0..STARTERS).map(|_| run(&["start", "cluster", "--k", "2"])).collect();
        // Meanwhile others interfere with what is there.
        let others = vec![
            run(&["hold", "--all"]),
            run(&["release", "--all"]),
            run(&["resume", "--failed"]),
            run(&["resume", "--all"]),
        ];
        if round % 2 == 0 {
            let list = bench.jobs.list().unwrap();
            if let Some(job) = list.iter().find(|job| !job.state.is_over()) {
                let worker = std::fs::read(bench.job(&job.id).join("worker.json")).unwrap_or_default();
                let worker: Value = serde_json::from_slice(&worker).unwrap_or_default();
                if let Some(pid) =
                    worker["pid"].as_i64().and_then(|pid| rustix::process::Pid::from_raw(pid as i32))
                {
                    // It may have ended meanwhile.
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
        } else {
            join(vec![run(&["cancel", "--all"])]);
        }
        started += join(starters);
        join(others);
    }
    assert_eq!(started, STARTERS * JOBS);
    assert_eq!(bench.jobs.list().unwrap().len(), started, "none is lost");
    // Two at once resume what did not end well, until all has.
    let began = Instant::now();
    loop {
        join(vec![run(&["release", "--all"])]);
        let list = bench.jobs.list().unwrap();
        if list.iter().all(|job| job.state == JobState::Finished) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{list:#?}");
        join(vec![run(&["resume", "--all"]), run(&["resume", "--all"])]);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for job in bench.jobs.list().unwrap() {
        let text = std::fs::read_to_string(bench.job(&job.id).join("events.jsonl")).unwrap();
        let events: Vec<String> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(|event| event["event"].as_str().unwrap_or_default().to_string())
            .filter(|event| event == "started" || event == "resumed")
            .collect();
        let doubled = events.windows(2).any(|pair| pair == ["started", "started"]);
        assert!(!doubled, "{}: done twice: {events:?}", job.id);
    }
}
