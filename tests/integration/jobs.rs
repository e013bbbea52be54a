//! Jobs with real worker processes: the binary works, the test watches and interferes.

use std::process::{Command, Stdio};
use std::sync::Arc;

use lora_tui::analysis::default_k;
use lora_tui::jobs::{AnyJob, ClusterSpec, JobState, Jobs, Local};
use lora_tui::library::Library;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::BINARY;
use crate::support::bench::{Bench, ENDLESS, eventually, stderr, stdout};
use crate::support::experts::{lora, write_expert};

#[test]
fn a_clustering_runs_to_its_result() {
    let bench = Bench::small();
    let id = bench.start(2);
    let job = bench.wait_state(&id, JobState::Finished);
    assert_eq!((job.kind_name(), job.error.as_deref()), ("cluster", None));
    assert!(job.name.ends_with("k = 2") && job.started.is_some());
    assert!(job.steps > 0 && job.step == job.steps, "{} of {}", job.step, job.steps);

    let detail = bench.jobs.detail(&id).unwrap();
    let outcome = detail.outcome.unwrap().unwrap();
    let report = outcome.get::<ClusterSpec>().unwrap();
    assert_eq!(report.labels, [0, 0, 0, 1, 1, 1]);
    assert_eq!(report.experts[5], "expert-5");
    assert_eq!((report.k, report.seed), (2, 42));
    assert!(report.silhouette.unwrap() > 0.5);
    assert!(detail.ended.unwrap() >= detail.summary.started.unwrap());
    // The same stands in the file.
    let file: Value =
        serde_json::from_slice(&std::fs::read(bench.job(&id).join("result.json")).unwrap()).unwrap();
    assert_eq!(file["state"], "finished");
    assert_eq!(file["result"], outcome.value().unwrap());
    assert!(detail.log.iter().any(|line| line.contains("clustering")), "{:?}", detail.log);
    assert_eq!(detail.job.unwrap().kind().name, "cluster");
}

#[test]
fn what_a_job_needs_is_found_from_wherever_it_was_started() {
    let bench = Bench::small();
    let spec = ClusterSpec {
        library: bench.library().join("../").join(bench.library()),
        k: 2,
        sparsity: 0.0,
        seed: 1,
        ..ClusterSpec::default()
    };
    let id = bench.jobs.start(&AnyJob::from(spec)).unwrap();
    let asked = bench.jobs.detail(&id).unwrap().job.unwrap();
    let written = asked.get::<ClusterSpec>().unwrap();
    assert_eq!(written.library, bench.library().canonicalize().unwrap());
    bench.wait_state(&id, JobState::Finished);
}

#[test]
fn a_queued_job_is_cancelled_before_it_begins() {
    let bench = Bench::small();
    let _slot = bench.occupy_slot();
    let id = bench.start(2);
    assert_eq!(bench.jobs.get(&id).unwrap().state, JobState::Queued);
    bench.worker(&id);
    assert_eq!(bench.jobs.get(&id).unwrap().state, JobState::Queued);
    bench.jobs.cancel(&id).unwrap();
    let job = bench.wait_state(&id, JobState::Cancelled);
    assert_eq!((job.started, job.error), (None, None));
    let again = bench.jobs.cancel(&id).unwrap_err().to_string();
    assert!(again.contains("has ended (cancelled)"), "{again}");
}

#[test]
fn a_running_job_is_cancelled() {
    let bench = Bench::endless();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Running);
    bench.jobs.cancel(&id).unwrap();
    bench.jobs.cancel(&id).unwrap();
    let job = bench.jobs.get(&id).unwrap();
    assert!(matches!(job.state, JobState::Cancelling | JobState::Cancelled), "{job:?}");
    let job = bench.wait_state(&id, JobState::Cancelled);
    assert!(job.started.is_some());
}

#[test]
fn a_terminated_worker_cancels_its_job() {
    let bench = Bench::endless();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Running);
    kill_process(bench.worker(&id), Signal::TERM).unwrap();
    bench.wait_state(&id, JobState::Cancelled);
}

#[test]
fn a_killed_worker_is_noticed_and_the_next_job_has_its_turn() {
    let bench = Bench::endless();
    let first = bench.start(2);
    bench.wait_state(&first, JobState::Running);
    let second = bench.start(3);
    let before = bench.jobs.fingerprint();
    kill_process(bench.worker(&first), Signal::KILL).unwrap();
    let job = bench.wait_state(&first, JobState::Failed);
    assert!(job.error.unwrap().starts_with("worker died"));
    assert_ne!(bench.jobs.fingerprint(), before);
    bench.wait_state(&second, JobState::Running);
    let error = bench.jobs.cancel(&first).unwrap_err().to_string();
    assert!(error.contains("worker died"), "{error}");
}

#[test]
fn a_worker_killed_while_queued_is_noticed() {
    let bench = Bench::small();
    let _slot = bench.occupy_slot();
    let id = bench.start(2);
    kill_process(bench.worker(&id), Signal::KILL).unwrap();
    let job = bench.wait_state(&id, JobState::Failed);
    assert!(job.error.unwrap().starts_with("worker died"));
}

#[test]
fn a_second_job_waits_for_the_first() {
    let bench = Bench::endless();
    let first = bench.start(2);
    bench.wait_state(&first, JobState::Running);
    // More clusters than experts: ends with an error as soon as it gets its turn.
    let second = bench.start(ENDLESS + 1);
    bench.worker(&second);
    let seen = bench.jobs.get(&first).unwrap().step;
    bench.wait(&first, "a few steps on", |job| job.step > seen);
    assert_eq!(bench.jobs.get(&second).unwrap().state, JobState::Queued);
    bench.jobs.cancel(&first).unwrap();
    bench.wait_state(&first, JobState::Cancelled);
    let job = bench.wait_state(&second, JobState::Failed);
    assert!(job.error.unwrap().contains(&format!("k is {}", ENDLESS + 1)));
}

#[test]
fn queued_jobs_have_their_turn_in_the_order_of_submission() {
    let bench = Bench::small();
    let slot = bench.occupy_slot();
    let ids: Vec<String> = (1..=4)
        .map(|k| {
            let id = bench.start(k);
            bench.worker(&id);
            id
        })
        .collect();
    drop(slot);
    let starts: Vec<f64> = ids
        .iter()
        .map(|id| {
            bench.wait_state(id, JobState::Finished);
            let first = bench.events(id).remove(0);
            assert_eq!(first["event"], "started");
            first["time"].as_f64().unwrap()
        })
        .collect();
    assert!(starts.is_sorted(), "{starts:?}");
}

#[test]
fn two_processes_may_start_jobs_on_one_library_at_once() {
    let bench = Bench::small();
    let spec = bench.clustering(2);
    let mut ids: Vec<String> = std::thread::scope(|scope| {
        let starters: Vec<_> = (0..2)
            .map(|_| {
                let other = Jobs::at(bench.jobs.dir().into(), Arc::new(Local::new(BINARY)));
                let spec = &spec;
                scope.spawn(move || (0..3).map(|_| other.start(spec).unwrap()).collect::<Vec<_>>())
            })
            .collect();
        starters.into_iter().flat_map(|starter| starter.join().unwrap()).collect()
    });
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    for id in &ids {
        bench.wait_state(id, JobState::Finished);
    }
    let listed: Vec<String> = bench.jobs.list().unwrap().into_iter().map(|job| job.id).collect();
    ids.reverse();
    assert_eq!(listed, ids);
}

#[test]
fn a_job_of_any_kind_is_started_with_its_settings_as_options() {
    let bench = Bench::small();
    let started = |arguments: &[&str]| {
        let output = bench.cli(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["job"].as_str().unwrap().to_string()
    };
    let id = started(&["start", "cluster", "--k", "2", "--seed", "7", "--sparsity", "0.25", "--json"]);
    let after = started(&["start", "cluster", "--after", &id, "--json"]);
    bench.wait_state(&after, JobState::Finished);
    let spec = |id: &str| bench.jobs.detail(id).unwrap().job.unwrap().get::<ClusterSpec>().unwrap().clone();
    assert_eq!((spec(&id).k, spec(&id).seed, spec(&id).sparsity), (2, 7, 0.25));
    assert_eq!(bench.jobs.get(&after).unwrap().after, [id]);
    // As the form of a clustering begins.
    let experts = Library::open(bench.library()).unwrap().comparable().count();
    assert_eq!(spec(&after).k, default_k(experts));
    for (wrong, why) in [
        (&["start", "cluster", "--k", "0"][..], "must be a whole number from 1"),
        (&["start", "dance"], "dance"),
        (&["start", "train", "--name", "a"], "--data"),
        (&["start"], "cluster"),
    ] {
        let output = bench.cli(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
}

#[test]
fn a_job_outlives_who_started_it() {
    let bench = Bench::small();
    let slot = bench.occupy_slot();
    let outside = tempfile::tempdir().unwrap();
    let line = "{\"instruction\":\"Give the plural.\",\"input\":\"cat\",\"output\":\"cats\"}\n";
    std::fs::write(outside.path().join("data.jsonl"), line.repeat(30)).unwrap();
    std::fs::write(outside.path().join("base.gguf"), "no model").unwrap();
    let train = |name: &str| {
        let mut command = Command::new(BINARY);
        command.arg("train").arg(bench.library()).args(["--name", name, "--background", "--json"]);
        // Paths of the starter's directory have to be found by the worker too.
        command.args(["--data", "data.jsonl", "--base", "base.gguf"]).current_dir(outside.path());
        command.stdin(Stdio::null()).output().unwrap()
    };
    let started = train("plural");
    assert!(started.status.success(), "{}", stderr(&started));
    let answer: Value = serde_json::from_slice(&started.stdout).unwrap();
    let id = answer["job"].as_str().unwrap();
    let job = bench.jobs.get(id).unwrap();
    assert_eq!((job.kind_name(), job.name.as_str(), job.state), ("train", "plural", JobState::Queued));

    // A name can be trained once.
    let again = train("plural");
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("already training plural"), "{}", stderr(&again));
    assert_eq!(train("expert-0").status.code(), Some(1), "the name of an expert");

    drop(slot);
    let job = bench.wait_state(id, JobState::Failed);
    assert!(job.started.is_some());
    assert!(job.error.as_ref().unwrap().contains("base.gguf"), "{job:?}");
}

#[test]
fn a_worker_has_its_own_session_and_leaves_no_zombie() {
    let bench = Bench::small();
    let slot = bench.occupy_slot();
    let id = bench.start(2);
    let worker = bench.worker(&id);
    assert_eq!(rustix::process::getsid(Some(worker)).unwrap(), worker);
    drop(slot);
    bench.wait_state(&id, JobState::Finished);
    eventually("collected", || rustix::process::test_kill_process(worker).is_err());
}

#[test]
fn a_worker_that_cannot_start_is_a_failed_job() {
    let bench = Bench::small();
    let broken = bench.jobs.clone().with_executor(Arc::new(Local::new("/nowhere/lora-tui")));
    let error = broken.start(&bench.clustering(2)).unwrap_err().to_string();
    assert!(error.contains("/nowhere/lora-tui") && error.contains("cannot be started"), "{error}");
    let job = bench.jobs.list().unwrap().remove(0);
    assert_eq!((job.state, job.error), (JobState::Failed, Some(error)));

    // A program that knows no workers and ends at once.
    let other = bench.jobs.clone().with_executor(Arc::new(Local::new("true")));
    let id = other.start(&bench.clustering(2)).unwrap();
    let job = bench.wait_state(&id, JobState::Failed);
    assert!(job.error.unwrap().contains("did not start"));
}

#[test]
fn a_job_that_fails_says_why_in_one_line() {
    let bench = Bench::small();
    let id = bench.start(7);
    let job = bench.wait_state(&id, JobState::Failed);
    assert_eq!(job.error.as_deref(), Some("k is 7, but the library has 6 usable experts"));
    assert!(job.started.is_some());
}

#[test]
fn what_is_over_but_not_finished_can_go_on() {
    let bench = Bench::endless();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Running);
    let error = bench.jobs.resume(&id).unwrap_err().to_string();
    assert!(error.contains("is running: only cancelled and failed jobs can be resumed"), "{error}");
    bench.jobs.cancel(&id).unwrap();
    bench.wait_state(&id, JobState::Cancelled);

    // It waits for its turn again, and is cancelled and killed as any other.
    let slot = bench.occupy_slot();
    let answer: Value = serde_json::from_slice(&bench.cli(&["resume", &id, "--json"]).stdout).unwrap();
    assert_eq!(answer, json!({ "id": id, "state": "queued" }));
    bench.worker(&id);
    assert_eq!(bench.jobs.get(&id).unwrap().state, JobState::Queued);
    drop(slot);
    bench.wait_state(&id, JobState::Running);
    kill_process(bench.worker(&id), Signal::KILL).unwrap();
    bench.wait_state(&id, JobState::Failed);
    bench.jobs.resume(&id).unwrap();
    bench.wait_state(&id, JobState::Running);
    let kinds = bench.events(&id);
    assert_eq!(kinds.iter().filter(|event| event["event"] == "resumed").count(), 2);
}

#[test]
fn a_failed_job_that_goes_on_can_finish() {
    let bench = Bench::small();
    let id = bench.start(7);
    bench.wait_state(&id, JobState::Failed);
    bench.add_expert(6);
    assert_eq!(stdout(&bench.cli(&["resume", &id])).trim(), id);
    let job = bench.wait_state(&id, JobState::Finished);
    assert_eq!(job.error, None);
    let again = bench.cli(&["resume", &id]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("is finished: there is nothing to resume"), "{}", stderr(&again));
}

#[test]
fn planted_files_are_not_written_to_when_a_job_goes_on() {
    let bench = Bench::small();
    let id = bench.start(7);
    bench.wait_state(&id, JobState::Failed);
    let victim = bench.library().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    for name in ["events.jsonl", "log.txt", "state.safetensors"] {
        let planted = bench.job(&id).join(name);
        let _ = std::fs::remove_file(&planted);
        std::os::unix::fs::symlink(&victim, &planted).unwrap();
        let error = bench.jobs.resume(&id).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("not a regular file"), "{error}");
        std::fs::remove_file(&planted).unwrap();
    }
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
    assert_eq!(bench.jobs.get(&id).unwrap().state, JobState::Failed);
}

#[test]
fn specs_that_cannot_work_are_refused_at_once() {
    let bench = Bench::small();
    for (k, sparsity) in [(0, 0.5), (2, 1.0), (2, 1.1), (2, -0.1), (2, f64::NAN)] {
        let spec =
            ClusterSpec { library: bench.library().into(), k, sparsity, seed: 1, ..ClusterSpec::default() };
        assert!(bench.jobs.start(&AnyJob::from(spec)).is_err(), "k {k}, sparsity {sparsity}");
    }
    let nowhere = ClusterSpec { library: "/nowhere/at/all".into(), k: 2, ..ClusterSpec::default() };
    let error = bench.jobs.start(&AnyJob::from(nowhere)).unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
    assert!(bench.jobs.list().unwrap().is_empty());
}

#[test]
fn experts_of_several_ranks_are_clustered_by_a_metric_that_takes_them() {
    let bench = Bench::small();
    let wide = lora("model.layers.0.self_attn.q_proj", 3, (8, 8), |i| i as f32, |i| 1.0 + i as f32);
    write_expert(&bench.library().join("wide"), &[wide], 4.0);
    let id = bench.start(2);
    let error = bench.wait_state(&id, JobState::Failed).error.unwrap();
    assert!(
        error.contains("compare them with --metric delta") && error.contains("`jobs start cluster`"),
        "{error}"
    );
    let by_delta = [("metric".to_string(), "delta".to_string())];
    let resumed = bench.jobs.resume_changed(std::slice::from_ref(&id), false, &by_delta).unwrap();
    assert!(resumed.iter().all(|(_, done)| done.is_ok()), "{resumed:?}");
    bench.wait_state(&id, JobState::Finished);
    let result = bench.jobs.outcome(&id).unwrap().unwrap();
    assert_eq!((&result["metric"], result["labels"].as_array().unwrap().len()), (&json!("delta"), 7));
    // The command line takes it.
    let output = bench.cli(&["start", "cluster", "--k", "2", "--metric", "delta"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn one_worker_a_job() {
    let bench = Bench::small();
    let slot = bench.occupy_slot();
    let id = bench.start(2);
    bench.worker(&id);
    let second = bench.second_worker(&id);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("another worker"), "{}", stderr(&second));
    drop(slot);
    bench.wait_state(&id, JobState::Finished);
    let result = std::fs::read(bench.job(&id).join("result.json")).unwrap();
    eventually("free", || {
        let late = bench.second_worker(&id);
        assert_eq!(late.status.code(), Some(1));
        stderr(&late).contains("has ended")
    });
    assert_eq!(std::fs::read(bench.job(&id).join("result.json")).unwrap(), result);
    let none = Command::new(BINARY).arg("worker").arg(bench.library()).output().unwrap();
    assert!(stderr(&none).contains("no job is here"), "{}", stderr(&none));
}

#[test]
fn planted_and_broken_directories_hurt_nothing() {
    let bench = Bench::small();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Finished);
    let outside = tempfile::tempdir().unwrap();
    std::fs::copy(bench.job(&id).join("spec.json"), outside.path().join("spec.json")).unwrap();
    std::os::unix::fs::symlink(outside.path(), bench.job("20990101-000000-cluster-link")).unwrap();
    for (name, spec) in
        [("20990101-000000-broken", "{\"kind\":\"tr"), ("20990101-000001-other", r#"{"kind":"dance"}"#)]
    {
        std::fs::create_dir(bench.job(name)).unwrap();
        std::fs::write(bench.job(name).join("spec.json"), spec).unwrap();
    }
    // A pipe that nobody writes to: opening it must not wait.
    let piped = bench.job("20990101-000002-piped");
    std::fs::create_dir(&piped).unwrap();
    for file in ["spec.json", "events.jsonl", "log.txt", "lock"] {
        assert!(Command::new("mkfifo").arg(piped.join(file)).status().unwrap().success());
    }
    std::os::unix::fs::symlink("/dev/zero", piped.join("result.json")).unwrap();

    let jobs = bench.jobs.list().unwrap();
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(ids, ["20990101-000002-piped", "20990101-000001-other", "20990101-000000-broken", &id]);
    for job in &jobs[..3] {
        assert_eq!((job.state, job.kind_name()), (JobState::Failed, "?"), "{job:?}");
        assert!(job.error.as_ref().unwrap().contains("spec.json"), "{job:?}");
    }
    assert!(bench.jobs.detail("20990101-000001-other").unwrap().job.is_none());
    assert!(bench.jobs.detail("20990101-000002-piped").is_err());
    for bad in ["20990101-000000-cluster-link", "../x", "/etc", "", "."] {
        assert!(bench.jobs.detail(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn finished_jobs_are_read_once() {
    let bench = Bench::small();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Finished);
    let copies: Vec<_> =
        (0..1000).map(|number| bench.job(&format!("20200101-000000-cluster-{number}"))).collect();
    for copy in &copies {
        std::fs::create_dir(copy).unwrap();
        for file in ["spec.json", "lock", "events.jsonl", "result.json", "worker.json"] {
            std::fs::copy(bench.job(&id).join(file), copy.join(file)).unwrap();
        }
    }
    let first = bench.jobs.list().unwrap();
    assert_eq!(first.len(), 1001);
    // What a second reading would need.
    for copy in &copies {
        for file in ["spec.json", "events.jsonl"] {
            std::fs::remove_file(copy.join(file)).unwrap();
        }
    }
    assert_eq!(bench.jobs.list().unwrap(), first);
}

#[test]
fn the_command_line_shows_the_same_jobs() {
    let bench = Bench::small();
    let none = bench.cli(&["--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&none.stdout).unwrap(), json!({ "jobs": [] }));

    let id = bench.start(2);
    bench.wait_state(&id, JobState::Finished);
    let listed: Value = serde_json::from_slice(&bench.cli(&["ls", "--json"]).stdout).unwrap();
    let job = &listed["jobs"][0];
    let keys: Vec<&str> = job.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["id", "kind", "name", "state", "step", "steps", "started", "error"]);
    assert_eq!((job["id"].as_str(), job["state"].as_str()), (Some(id.as_str()), Some("finished")));
    assert!(stdout(&bench.cli(&[])).contains(&id));

    let shown: Value = serde_json::from_slice(&bench.cli(&["show", &id[..10], "--json"]).stdout).unwrap();
    assert_eq!(shown["id"], id.as_str());
    assert_eq!(shown["result"]["labels"], json!([0, 0, 0, 1, 1, 1]));
    assert!(stdout(&bench.cli(&["show", &id])).contains("finished"));
    assert!(stdout(&bench.cli(&["log", &id])).contains("comparing the experts"));

    let unknown = bench.cli(&["show", "1999"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("no job") && stderr(&unknown).contains(&id), "{}", stderr(&unknown));
    let over = bench.cli(&["cancel", &id]);
    assert_eq!(over.status.code(), Some(1));
    assert!(stderr(&over).contains("has ended (finished)"), "{}", stderr(&over));
}

#[test]
fn the_command_line_follows_and_cancels() {
    let bench = Bench::endless();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Running);
    let follower = bench.command(&["log", &id, "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let cancelled = bench.cli(&["cancel", &id, "--json"]);
    assert!(cancelled.status.success(), "{}", stderr(&cancelled));
    let answer: Value = serde_json::from_slice(&cancelled.stdout).unwrap();
    assert_eq!(answer["id"], id.as_str());
    assert!(["cancelling", "cancelled"].contains(&answer["state"].as_str().unwrap()), "{answer}");
    // Ends by itself when the job does.
    let followed = follower.wait_with_output().unwrap();
    assert!(followed.status.success());
    assert!(stdout(&followed).lines().last().unwrap().ends_with("cancelled"), "{}", stdout(&followed));
    assert_eq!(bench.jobs.get(&id).unwrap().state, JobState::Cancelled);
}

/// Whether this process, and so what it starts, was started to ignore the end of its terminal.
fn hang_ups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[test]
fn an_interrupted_follower_says_by_what_and_the_job_goes_on() {
    let bench = Bench::small();
    let _slot = bench.occupy_slot();
    let id = bench.start(2);
    for (signal, status, word) in [
        (Signal::INT, 130, "interrupted"),
        (Signal::TERM, 143, "terminated"),
        (Signal::HUP, 129, "the terminal went away"),
    ] {
        if signal == Signal::HUP && hang_ups_are_ignored() {
            println!("skipped: under `nohup`, which the program respects");
            continue;
        }
        let mut follower = Command::new(BINARY)
            .args([
                "jobs".as_ref(),
                bench.library().as_os_str(),
                "log".as_ref(),
                id.as_ref(),
                "--follow".as_ref(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Its first line shows that it is past its start.
        let mut line = String::new();
        let mut output = std::io::BufReader::new(follower.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert!(line.contains("waits for its turn"), "{line}");
        kill_process(Pid::from_child(&follower), signal).unwrap();
        let end = follower.wait_with_output().unwrap();
        assert_eq!(end.status.code(), Some(status));
        assert_eq!(String::from_utf8_lossy(&end.stderr), format!("lora-tui: {word}\n"));
    }
    assert_eq!(bench.jobs.get(&id).unwrap().state, JobState::Queued);
}

#[test]
fn a_job_begins_after_its_parents_and_waits_for_one_that_was_cancelled() {
    let bench = Bench::small();
    let slot = bench.occupy_slot();
    let parent = bench.start(2);
    let child = bench.jobs.start_after(&bench.clustering(3), std::slice::from_ref(&parent)).unwrap();
    assert!(bench.jobs.start_after(&bench.clustering(3), &["20000101-000000-none".into()]).is_err());
    let waits = |child: &str| bench.jobs.get(child).unwrap().waits;
    bench.wait(&child, "waiting", |job| job.waits.as_ref() == Some(&format!("waits for {parent}")));
    bench.jobs.cancel(&parent).unwrap();
    bench.wait_state(&parent, JobState::Cancelled);
    assert_eq!(waits(&child), Some(format!("waits for {parent}, which was cancelled")));
    drop(slot);

    // A free slot is no help, and others are not held up.
    let other = bench.start(2);
    bench.wait_state(&other, JobState::Finished);
    assert_eq!(bench.jobs.get(&child).unwrap().state, JobState::Queued);
    let shown = stdout(&bench.cli(&["show", &child]));
    assert!(shown.contains("which was cancelled"), "{shown}");
    let listed: Value = serde_json::from_slice(&bench.cli(&["ls", "--json"]).stdout).unwrap();
    let row =
        |id: &str| listed["jobs"].as_array().unwrap().iter().find(|job| job["id"] == id).unwrap().clone();
    assert_eq!(row(&child)["after"], json!([parent]));
    assert!(row(&other).get("after").is_none() && row(&other).get("waits").is_none());

    bench.jobs.resume(&parent).unwrap();
    bench.wait_state(&child, JobState::Finished);
    assert_eq!((waits(&child), bench.jobs.get(&parent).unwrap().state), (None, JobState::Finished));
}

#[test]
fn a_job_that_waits_for_another_can_be_cancelled() {
    let bench = Bench::small();
    let _slot = bench.occupy_slot();
    let parent = bench.start(2);
    let child = bench.jobs.start_after(&bench.clustering(3), std::slice::from_ref(&parent)).unwrap();
    bench.wait(&child, "waiting", |job| job.waits.is_some());
    bench.jobs.cancel(&child).unwrap();
    bench.wait_state(&child, JobState::Cancelled);
    assert_eq!(bench.jobs.get(&parent).unwrap().state, JobState::Queued);
}

#[test]
fn who_runs_a_job_is_kept_beside_it() {
    let bench = Bench::small();
    let id = bench.start(2);
    bench.wait_state(&id, JobState::Finished);
    let kept: Value =
        serde_json::from_slice(&std::fs::read(bench.job(&id).join("executor.json")).unwrap()).unwrap();
    assert_eq!(kept, json!({ "executor": "local", "id": null }));
    // Jobs of earlier versions have none.
    std::fs::remove_file(bench.job(&id).join("executor.json")).unwrap();
    assert_eq!(bench.jobs.detail(&id).unwrap().summary.state, JobState::Finished);
}
