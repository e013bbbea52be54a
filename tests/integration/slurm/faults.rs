//! What may be wrong around a scheduler: several clusters, clocks that differ, numbers that are given again, jobs of other
//! scripts, a shared folder that goes away for a while.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use super::fake::Fake;
use crate::support::{BINARY, PATIENCE};

#[test]
fn of_several_clusters_the_one_that_took_an_array_is_asked_about_it() {
    let fake = Fake::new(2, "cluster = \"near,far\"\n");
    let ids = fake.place.train_each(5, &[]);
    let calls = fake.calls();
    let submitted = calls.iter().find(|call| call.starts_with("sbatch")).unwrap();
    assert!(submitted.contains("--clusters=near,far"), "{submitted}");
    fake.queue(&fake.token(&ids[0]), &[(0, &["RUNNING"], ""), (1, &["PENDING"], "Priority")]);
    assert_eq!(fake.place.look(&ids[0])["place"], "Slurm job 77_0 on node[7-8]");
    fake.place.json(&["cancel", &ids[1]]);
    let calls = fake.calls();
    let later: Vec<&String> =
        calls.iter().filter(|call| call.starts_with("squeue") || call.starts_with("scancel")).collect();
    assert!(later.iter().all(|call| call.contains("--clusters=far")), "{calls:?}");
    assert!(calls.iter().any(|call| call == "scancel --quiet --clusters=far 77_1"), "{calls:?}");
    // Those that are handed over again may go elsewhere.
    fake.says("sbatch", "12;near\n");
    fake.queue(&fake.token(&ids[0]), &[(0, &["FAILED"], ""), (1, &["CANCELLED"], "")]);
    fake.place.json(&["resume", &ids[0]]);
    fake.calls();
    fake.place.jobs();
    let asked: Vec<String> = fake.calls().into_iter().filter(|call| call.starts_with("squeue")).collect();
    assert!(asked.len() == 2 && asked.iter().any(|call| call.contains("--clusters=near")), "{asked:?}");
}

#[test]
fn clocks_that_differ_by_minutes_make_nobody_wait_for_ever_or_lose_a_result() {
    let fake = Fake::new(1, "");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    // The controller's clock is ahead, or right: the result may show a little later.
    for ended in [now + 300, now] {
        fake.queue_ended(&name, &[(0, &["COMPLETED"], "")], ended);
        let job = fake.place.look(&ids[0]);
        assert_eq!(job["state"], "queued", "{job}");
        assert!(job["place"].as_str().unwrap().ends_with("its result is not here yet"), "{job}");
    }
    // By its clock it ended long ago.
    fake.queue_ended(&name, &[(0, &["COMPLETED"], "")], now - 300);
    let job = fake.place.look(&ids[0]);
    assert!(job["error"].as_str().unwrap().contains("has completed without this job's result"), "{job}");
    // A result that shows after all counts, whatever the clocks say.
    let end = json!({ "state": "finished", "result": null, "ended": "2100-01-01T00:00:00Z" });
    std::fs::write(fake.place.job(&ids[0]).join("result.json"), end.to_string()).unwrap();
    assert_eq!(fake.place.look(&ids[0])["state"], "finished");
    // A file server that is minutes behind: what was handed over a moment ago is not taken for lost by its age alone.
    let fake = Fake::new(1, "");
    let ids = fake.place.train_each(5, &[]);
    fake.queue(&fake.token(&ids[0]), &[(0, &["PENDING"], "Priority")]);
    let handle = std::fs::File::options().write(true).open(fake.place.job(&ids[0]).join("executor.json"));
    handle.unwrap().set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert_eq!(fake.place.look(&ids[0])["waits"], "waits for jobs of higher priority");
}

#[test]
fn an_end_that_was_told_stays_one_while_the_scheduler_is_away() {
    let fake = Fake::new(2, "");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    let away = |is: bool| fake.fails("squeue", is.then_some("squeue: error: no controller\n"));
    let look = |at: usize| fake.place.look(&ids[at]);
    for id in &ids {
        std::fs::write(fake.place.job(id).join("worker.json"), "{}").unwrap();
    }
    let started = json!({ "event": "started", "time": 1.0, "steps": 5 });
    std::fs::write(fake.place.job(&ids[1]).join("events.jsonl"), format!("{started}\n")).unwrap();
    fake.queue(&name, &[(0, &["FAILED"], ""), (1, &["RUNNING"], "")]);
    let told = look(0)["error"].clone();
    assert!(told.as_str().unwrap().contains("(signal 9)"), "{told}");
    assert!(
        look(1).get("unseen").is_none() && look(1)["place"] == "Slurm job 77_1 on node[7-8]",
        "{}",
        look(1)
    );
    away(true);
    let job = look(0);
    assert_eq!((&job["state"], &job["error"]), (&json!("failed"), &told));
    // What ran goes on, as far as anybody knows, and it is said why that is not far.
    let job = look(1);
    assert_eq!((&job["state"], job.get("place")), (&json!("running"), None), "{job}");
    assert_eq!(job["unseen"], "whether it still runs is unknown: `squeue`: no controller");
    let table = fake.place.run(&["ls"]).stdout;
    let table = String::from_utf8_lossy(&table);
    let row = table.lines().find(|line| line.starts_with(&ids[1])).unwrap();
    assert!(row.ends_with("whether it still runs is unknown: `squeue`: no controller"), "{row}");
    // Nor is it forgotten with what Slurm forgets.
    away(false);
    fake.queue("lora-other", &[]);
    let job = look(0);
    assert_eq!((&job["state"], &job["error"]), (&json!("failed"), &told));
    assert!(look(1)["error"].as_str().unwrap().contains("Slurm no longer knows job 77_1"), "{}", look(1));
    away(true);
    // Slurm has queued it again meanwhile: nothing is known of how that goes on.
    away(false);
    fake.queue(&name, &[(0, &["PENDING"], "Priority"), (1, &["RUNNING"], "")]);
    assert_eq!(look(0)["state"], "queued");
    away(true);
    assert_ne!(look(0)["state"], "failed");
    // So is what was resumed.
    away(false);
    fake.queue(&name, &[(0, &["FAILED"], ""), (1, &["RUNNING"], "")]);
    assert_eq!(look(0)["state"], "failed");
    fake.says("sbatch", "78\n");
    fake.place.json(&["resume", &ids[0]]);
    away(true);
    assert_eq!(look(0)["state"], "queued");
}

#[test]
fn the_folder_of_a_submission_goes_with_its_jobs_and_not_before_its_tasks() {
    let fake = Fake::new(2, "");
    let folder = |name: &str| fake.place.library().join(".lora-tui/jobs/.slurm").join(name);
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    fake.queue(&name, &[(0, &["FAILED"], ""), (1, &["RUNNING"], "")]);
    fake.place.json(&["rm", &ids[0]]);
    assert!(folder(&name).is_dir(), "another job is of it");
    // The other has its result, and its task is not over.
    let end = json!({ "state": "finished", "result": null, "ended": "2100-01-01T00:00:00Z" });
    std::fs::write(fake.place.job(&ids[1]).join("result.json"), end.to_string()).unwrap();
    fake.place.json(&["rm", &ids[1]]);
    assert!(folder(&name).is_dir(), "a task of it may run");
    // Whoever removes the next one finds it; also that of what was handed over again.
    fake.says("sbatch", "78;far\n");
    let ids = fake.place.train_each(5, &[]);
    let first = fake.token(&ids[0]);
    fake.queue(&first, &[(0, &["CANCELLED"], ""), (1, &["CANCELLED"], "")]);
    fake.place.json(&["resume", "--failed"]);
    let second = fake.token(&ids[0]);
    assert_ne!(first, second);
    fake.queue(&second, &[(0, &["FAILED"], ""), (1, &["PENDING"], "")]);
    fake.fails("squeue", Some("squeue: error: no controller\n"));
    let end = json!({ "state": "failed", "error": "no", "result": null, "ended": "2100-01-01T00:00:00Z" });
    std::fs::write(fake.place.job(&ids[0]).join("result.json"), end.to_string()).unwrap();
    fake.place.json(&["rm", &ids[0]]);
    assert!(folder(&name).is_dir() && folder(&first).is_dir(), "nobody says that they are over");
    fake.fails("squeue", None);
    std::fs::write(fake.place.job(&ids[1]).join("result.json"), end.to_string()).unwrap();
    fake.place.json(&["rm", &ids[1]]);
    assert!(!folder(&name).exists() && !folder(&first).exists());
    assert!(folder(&second).is_dir(), "a task of it waits");
    // What was refused leaves none.
    let before = std::fs::read_dir(folder("")).unwrap().count();
    fake.fails("sbatch", Some("sbatch: error: Batch job submission failed: Invalid qos specification\n"));
    let base = crate::support::models::Fixture::open("llama").base().to_string_lossy().into_owned();
    let tasks = fake.place.path().join("tasks").to_string_lossy().into_owned();
    let words = ["start", "train", "--each", "--data", &tasks, "--base", &base, "--executor", "slurm"];
    assert!(!fake.place.run(&words).status.success());
    assert_eq!(std::fs::read_dir(folder("")).unwrap().count(), before);
}

#[test]
fn jobs_of_other_scripts_and_numbers_that_are_given_again_are_never_taken_for_ours() {
    let fake = Fake::new(2, "");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    let job = |name: &str, state: &str| json!({ "job_id": 77, "array_job_id": 77, "array_task_id": 0, "name": name, "job_state": state, "nodes": "n1" });
    let queue = |jobs: &[serde_json::Value]| fake.says("json", &json!({ "jobs": jobs }).to_string());
    // The controller lost its state and gave the number to others, whose scripts have any names.
    for other in ["lora-train-0123456789ab", "train|77_0|RUNNING|lora-x", "", "lora-", "a name\nof two lines"]
    {
        queue(&[job(other, "RUNNING")]);
        let found = fake.place.look(&ids[0]);
        let error = found["error"].as_str().unwrap();
        assert!(
            error.contains("Slurm no longer knows job 77_0, and it has left no result"),
            "{other:?}: {error}"
        );
    }
    // A worker may outlive what its controller knew of it: it lives as long as it holds the job's lock, and is asked to stop
    // by the marker alone, since the number is another job's.
    let lock = std::fs::File::open(fake.place.job(&ids[1]).join("lock")).unwrap();
    lock.lock().unwrap();
    let found = fake.place.look(&ids[1]);
    assert!(found["place"].as_str().unwrap().contains("77_1, and its worker goes on"), "{found}");
    fake.calls();
    fake.place.json(&["cancel", &ids[1]]);
    assert!(fake.calls().iter().all(|call| !call.starts_with("scancel")));
    assert!(fake.place.job(&ids[1]).join("cancel").exists());
    drop(lock);
    // Ours may have another number by now: where it was handed over, its name is found.
    queue(&[job(&name, "RUNNING")]);
    assert_eq!(fake.place.look(&ids[0])["place"], "Slurm job 77_0 on n1");
    // What is given back by hand is ours again, and nobody else's job is cancelled.
    queue(&[job("lora-train-0123456789ab", "RUNNING")]);
    fake.calls();
    fake.place.json(&["resume", &ids[0]]);
    assert!(fake.calls().iter().all(|call| !call.starts_with("scancel")));
}

#[test]
fn a_shared_folder_that_goes_away_costs_nothing_but_time() {
    let fake = Fake::new(2, "");
    let place = &fake.place;
    let ids = place.train_each(place.steps_of(2.0), &[]);
    let name = fake.token(&ids[0]);
    fake.queue(&name, &[(0, &["RUNNING"], ""), (1, &["RUNNING"], "")]);
    let worker = |task: usize| {
        let manifest = place.library().join(format!(".lora-tui/jobs/.slurm/{name}/manifest.jsonl"));
        let mut command = place.program(BINARY);
        command.arg("worker").arg("--manifest").arg(manifest).args(["--task", &task.to_string()]);
        command.spawn().unwrap()
    };
    assert!(worker(1).wait().unwrap().success());
    let mut disturbed = worker(0);
    let until = |what: &str, met: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !met() {
            assert!(began.elapsed() < PATIENCE, "never {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    until("under way", &|| place.look(&ids[0])["step"].as_u64() >= Some(30));
    let away = place.path().join("away");
    std::fs::rename(place.library(), &away).unwrap();
    let log = |library: &std::path::Path| {
        let path = library.join(".lora-tui/jobs").join(&ids[0]).join("log.txt");
        std::fs::read_to_string(path).unwrap_or_default()
    };
    // It continues as far as it can without the folder.
    until("told", &|| log(&away).contains("its folder is away"));
    until("done", &|| log(&away).contains("it resumes from its saved state when its folder is back"));
    std::fs::rename(&away, place.library()).unwrap();
    assert!(disturbed.wait().unwrap().success(), "{}", log(&place.library()));
    let log = log(&place.library());
    assert!(log.contains("its folder is back") && log.contains("continuing after step"), "{log}");
    assert_eq!(place.look(&ids[0])["state"], "finished");
    let weights =
        |task: &str| std::fs::read(place.library().join(task).join("adapter_model.safetensors")).unwrap();
    assert!(weights("t00") == weights("t01"));
}
