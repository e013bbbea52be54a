//! A scheduler of scripts on the PATH that answers as Slurm 23 and later do, and counts how often it is asked.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::Place;

/// Commands that write down how they were called and print what a file says.
pub struct Fake {
    pub place: Place,
    folder: tempfile::TempDir,
}

impl Fake {
    pub fn new(tasks: usize, settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        for program in ["sbatch", "squeue", "sacct", "sacctmgr", "scancel", "scontrol"] {
            let script = format!(
                "#!/bin/sh\nprintf '%s\\n' \"{program} $*\" >>'{at}/calls'\n\
                 [ ! -f '{at}/{program}.err' ] || {{ cat '{at}/{program}.err' >&2; exit 1; }}\n\
                 case \"{program} $*\" in\n'scontrol show partition '*) [ ! -f '{at}/partition' ] || {{ cat '{at}/partition' >&2; exit 1; }} ;;\n'squeue '*--json*) [ -f '{at}/json' ] || {{ echo \"squeue: unrecognized option '--json'\" >&2; exit 1; }}; cat '{at}/json' ;;\n\
                 *) [ ! -f '{at}/{program}' ] || cat '{at}/{program}' ;;\nesac\n"
            );
            let path = folder.path().join(format!("bin/{program}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}/bin:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let place = Place::new(tasks, settings, &[("PATH", &path)]);
        let fake = Self { place, folder };
        fake.says("sbatch", "77;far\n");
        fake.says("scontrol", "MaxArraySize = 1001\nMaxJobCount = 10000\nClusterName = far\n");
        fake.says("json", r#"{"jobs":[]}"#);
        fake
    }

    pub fn says(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// Lets a command fail with these words, or work again.
    pub fn fails(&self, program: &str, words: Option<&str>) {
        let path = self.folder.path().join(format!("{program}.err"));
        match words {
            Some(words) => std::fs::write(path, words).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
    }

    /// A task of the array that ended in this state, with an exit status and a signal.
    pub fn ended(
        &self,
        name: &str,
        index: usize,
        state: &str,
        (code, signal): (usize, usize),
        at: u64,
    ) -> Value {
        let number = |n: usize| json!({ "set": true, "infinite": false, "number": n });
        json!({
            "job_id": 100 + index, "array_job_id": number(77), "array_task_id": number(index), "array_task_string": "",
            "job_state": [state], "state_reason": "NonZeroExitCode", "name": name, "nodes": "n1", "cluster": "far",
            "end_time": number(at as usize),
            "exit_code": { "return_code": number(code), "signal": { "id": number(signal), "name": "" } },
        })
    }

    /// The only tasks that the queue knows.
    pub fn knows(&self, jobs: &[Value]) {
        self.says("json", &json!({ "jobs": jobs, "meta": {} }).to_string());
    }

    /// The line of `doctor` about Slurm.
    pub fn line_of_doctor(&self) -> String {
        let output =
            self.place.program(crate::support::BINARY).arg("doctor").arg(self.place.library()).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let is_it = |line: &&str| line.trim_start_matches(['!', ' ']).starts_with("slurm");
        text.lines().find(is_it).map_or(text.clone(), String::from)
    }

    /// Lines of the script before the worker, which only the user's own configuration may have.
    pub fn setup(&self, setup: &str) {
        let home = self.place.path().join("home/lora-tui");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("config.toml"), format!("[executor.slurm]\n{setup}\n")).unwrap();
    }

    /// How the commands were called since the last question.
    pub fn calls(&self) -> Vec<String> {
        let path = self.folder.path().join("calls");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, "").unwrap();
        text.lines().map(String::from).collect()
    }

    /// The name of the only array.
    pub fn token(&self, id: &str) -> String {
        let handle = std::fs::read(self.place.job(id).join("executor.json")).unwrap();
        serde_json::from_slice::<Value>(&handle).unwrap()["token"].as_str().unwrap().into()
    }

    /// Tasks of the array as the newer schema has them: states and a reason.
    pub fn queue(&self, name: &str, tasks: &[(usize, &[&str], &str)]) {
        self.queue_ended(name, tasks, 1000);
    }

    /// The same of tasks that ended at this time, in seconds since the epoch by Slurm's clock.
    pub fn queue_ended(&self, name: &str, tasks: &[(usize, &[&str], &str)], ended: u64) {
        let number = |n: usize| json!({ "set": true, "infinite": false, "number": n });
        let job = |&(index, states, reason): &(usize, &[&str], &str)| {
            json!({
                "job_id": 100 + index, "array_job_id": number(77), "array_task_id": number(index), "array_task_string": "",
                "job_state": states, "state_reason": reason, "name": name, "nodes": "node[7-8]", "cluster": "far",
                "end_time": number(ended as usize), "exit_code": { "return_code": number(0), "signal": { "id": number(9), "name": "" } },
            })
        };
        let jobs: Vec<Value> = tasks.iter().map(job).collect();
        self.says(
            "json",
            &json!({ "jobs": jobs, "meta": { "plugin": { "data_parser": "data_parser/v0.0.41" } } })
                .to_string(),
        );
    }
}

#[test]
fn every_state_is_told_as_what_it_is_in_two_calls() {
    let states: [(&[&str], &str, &str, &str); 12] = [
        (&["RUNNING"], "None", "queued", "its task runs: setup, or a job before it, is not done yet"),
        (&["PENDING"], "Priority", "queued", "waits for jobs of higher priority"),
        (
            &["PENDING"],
            "QOSMaxCpuPerUserLimit",
            "queued",
            "waits: its QOS is at a limit (QOSMaxCpuPerUserLimit)",
        ),
        (&["PENDING"], "DependencyNeverSatisfied", "queued", "waits for a job that has failed"),
        (&["PREEMPTED", "REQUEUED"], "None", "queued", "is queued again"),
        (&["PREEMPTED"], "None", "failed", "was preempted by another job"),
        (&["NODE_FAIL"], "None", "failed", "lost its node"),
        (&["OUT_OF_MEMORY"], "None", "failed", "ran out of the memory that it asked for"),
        (&["TIMEOUT"], "None", "failed", "reached its time limit"),
        (&["CANCELLED"], "None", "failed", "was cancelled by user 4711, not by `jobs cancel`"),
        (&["COMPLETED"], "None", "failed", "has completed without this job's result"),
        (&["FAILED"], "None", "failed", "has failed (signal 9)"),
    ];
    let fake = Fake::new(states.len() + 2, "");
    let ids = fake.place.train_each(5, &[]);
    let calls = fake.calls();
    assert_eq!(calls.iter().filter(|call| call.starts_with("sbatch")).count(), 1, "{calls:?}");
    let name = fake.token(&ids[0]);
    let tasks: Vec<_> =
        states.iter().enumerate().map(|(at, (states, reason, ..))| (at, *states, *reason)).collect();
    fake.queue(&name, &tasks);
    // Only the accounts know two of them, and who cancelled another.
    let (past, gone) = (states.len(), states.len() + 1);
    fake.says(
        "sacct",
        &format!("77_{past}|TIMEOUT|{name}|0:0|node9|1000|far\n77_9|CANCELLED by 4711|{name}|0:15|n|1000|far\n77_{gone}|FAILED|other|1:0|n|1000|far\n"),
    );
    let jobs = fake.place.jobs();
    let calls = fake.calls();
    let asked = |program: &str| calls.iter().filter(|call| call.starts_with(program)).count();
    assert_eq!((asked("squeue"), asked("sacct"), calls.len()), (1, 1, 2), "{calls:?}");
    let job = |at: usize| jobs.iter().find(|job| job["id"] == ids[at]).unwrap();
    for (at, (names, _, state, words)) in states.iter().enumerate() {
        let job = job(at);
        let said = format!("{}{}", job["error"].as_str().unwrap_or(""), job["waits"].as_str().unwrap_or(""));
        assert!(job["state"] == *state && said.contains(words), "{names:?}: {job}");
    }
    assert_eq!(job(0)["place"], "Slurm job 77_0 on node[7-8]");
    assert!(
        job(past)["error"].as_str().unwrap().contains("on node9 reached its time limit"),
        "{}",
        job(past)
    );
    assert!(job(gone)["error"].as_str().unwrap().contains("cancelled it before it started"), "{}", job(gone));
}

#[test]
fn of_256_trainings_exactly_the_seven_that_were_killed_are_handed_over_again() {
    let fake = Fake::new(256, "at_once = 8\n");
    let ids = fake.place.train_each(5, &[]);
    let submitted: Vec<String> = fake.calls().into_iter().filter(|call| call.starts_with("sbatch")).collect();
    assert!(submitted.len() == 1 && submitted[0].contains("--array=0-255%8"), "{submitted:?}");
    let killed = [0, 7, 8, 100, 128, 254, 255];
    let state = |task: usize| -> (usize, &[&str], &str) {
        match killed.contains(&task) {
            true => (task, &["FAILED"], "NonZeroExitCode"),
            false => (task, &["RUNNING"], ""),
        }
    };
    fake.queue(&fake.token(&ids[0]), &(0..256).map(state).collect::<Vec<_>>());
    fake.calls();
    let mut expected: Vec<String> = killed.iter().map(|&task| ids[task].clone()).collect();
    expected.sort();
    assert_eq!(fake.place.in_state("failed"), expected);
    assert!(fake.calls().len() <= 2);
    fake.says("sbatch", "78\n");
    let resumed = fake.place.json(&["resume", "--failed"]);
    let mut again: Vec<&str> =
        resumed["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    again.sort_unstable();
    assert_eq!(again, expected);
    let submitted: Vec<String> = fake.calls().into_iter().filter(|call| call.starts_with("sbatch")).collect();
    assert!(submitted.len() == 1 && submitted[0].contains("--array=0-6%8"), "{submitted:?}");
}

#[test]
fn only_what_failed_is_submitted_again_and_what_waits_for_it_waits_for_the_new_job() {
    let fake = Fake::new(4, "at_once = 2\n");
    let ids = fake.place.train_each(5, &[]);
    fake.says("sbatch", "78\n");
    let after = ids.join(",");
    let child = fake.place.json(&["start", "cluster", "--k", "2", "--executor", "slurm", "--after", &after]);
    let child = child["job"].as_str().unwrap();
    let calls = fake.calls();
    assert!(calls.iter().any(|call| call.contains("--dependency=afterok:77_0:77_1:77_2:77_3")), "{calls:?}");
    fake.queue(
        &fake.token(&ids[0]),
        &[(0, &["RUNNING"], ""), (1, &["FAILED"], ""), (2, &["NODE_FAIL"], ""), (3, &["RUNNING"], "")],
    );
    let mut expected = [child.into(), ids[1].clone(), ids[2].clone()];
    expected.sort();
    assert_eq!(fake.place.in_state("failed"), expected);
    // The child's array is not in the queue, so that it counts as lost.
    fake.says("sbatch", "79\n");
    let resumed = fake.place.json(&["resume", &ids[1], &ids[2]]);
    assert_eq!(resumed["jobs"].as_array().unwrap().len(), 2, "{resumed}");
    let calls = fake.calls();
    let submitted: Vec<&String> = calls.iter().filter(|call| call.starts_with("sbatch")).collect();
    assert!(submitted.len() == 1 && submitted[0].contains("--array=0-1%2"), "{submitted:?}");
    let updated = "scontrol update JobId=78 Dependency=afterok:77_0:79_0:79_1:77_3";
    assert!(calls.iter().any(|call| call == updated), "{calls:?}");
    assert_ne!(fake.token(&ids[0]), fake.token(&ids[1]));
}

#[test]
fn what_the_scheduler_refuses_is_one_line_and_leaves_no_job() {
    let fake = Fake::new(3, "");
    fake.says("sbatch.err", "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n");
    let tasks = fake.place.path().join("tasks").to_string_lossy().into_owned();
    let base = crate::support::models::Fixture::open("llama").base().to_string_lossy().into_owned();
    let output = fake.place.run(&[
        "start",
        "train",
        "--each",
        "--data",
        &tasks,
        "--base",
        &base,
        "--executor",
        "slurm",
    ]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let last = errors.lines().last().unwrap();
    assert!(last.contains("none of 3 jobs was started") && last.contains("Invalid account"), "{last}");
    assert!(last.contains("set account in [executor.slurm]"), "{last}");
    assert!(fake.place.jobs().is_empty(), "{:?}", fake.place.jobs());
    std::fs::remove_file(fake.folder.path().join("sbatch.err")).unwrap();
    fake.place.train_each(5, &[]);
    // One that is refused when it is resumed is there still.
    fake.queue("other", &[]);
    assert_eq!(fake.place.in_state("failed").len(), 3, "no array of that name is in the queue");
    fake.says("sbatch.err", "sbatch: error: Batch job submission failed: Invalid qos specification\n");
    let output = fake.place.run(&["resume", "--failed"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("3 of 3 jobs were not resumed"), "{errors}");
    assert_eq!(fake.place.in_state("failed").len(), 3);
    std::fs::remove_file(fake.folder.path().join("sbatch.err")).unwrap();
    fake.place.json(&["resume", "--failed"]);
    // The controller does not answer: nothing is said to have died.
    fake.says("squeue.err", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n");
    let jobs = fake.place.jobs();
    assert!(jobs.iter().all(|job| job["state"] == "queued"), "{jobs:?}");
    assert!(jobs[0]["waits"].as_str().unwrap().contains("Unable to contact slurm controller"), "{}", jobs[0]);
}

#[test]
fn an_empty_queue_with_an_error_in_it_is_no_answer() {
    let fake = Fake::new(2, "");
    let ids = fake.place.train_each(5, &[]);
    // What Slurm 22 prints, and ends well, while its controller is away.
    let mistake = json!({
        "description": "Failed while looking for jobs", "error_number": -1, "error": "Unspecified error",
        "source": "slurm_load_jobs",
    });
    fake.says("json", &json!({ "meta": {}, "errors": [mistake], "jobs": [] }).to_string());
    let jobs = fake.place.jobs();
    assert!(jobs.iter().all(|job| job["state"] == "queued"), "{jobs:?}");
    assert!(jobs[0]["waits"].as_str().unwrap().contains("the controller does not answer"), "{}", jobs[0]);
    let resumed = fake.place.run(&["resume", &ids[0]]);
    assert_eq!(resumed.status.code(), Some(1), "what may run is not handed over again");
    fake.queue(&fake.token(&ids[0]), &[(0, &["RUNNING"], "None"), (1, &["PENDING"], "Priority")]);
    assert!(fake.place.jobs().iter().all(|job| job["state"] == "queued"));
}

#[test]
fn a_library_that_is_named_from_here_is_handed_over_by_its_whole_path() {
    let fake = Fake::new(1, "");
    let base = crate::support::models::Fixture::open("llama").base().to_string_lossy().into_owned();
    let output = fake
        .place
        .program(crate::support::BINARY)
        .current_dir(fake.place.path())
        .args([
            "jobs",
            "the library",
            "start",
            "train",
            "--data",
            "tasks/t00",
            "--name",
            "new",
            "--base",
            &base,
        ])
        .args(["--executor", "slurm", "--dry-run"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    let plan = plan.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let folder = fake.place.path().canonicalize().unwrap().join("the library/.lora-tui/jobs");
    // As a shell reads it.
    let whole = folder.to_string_lossy().replace('\'', "'\\''");
    let (all, of_them) = (plan.matches(".lora-tui/jobs").count(), plan.matches(&*whole).count());
    assert!(all >= 4 && all == of_them, "{of_them} of {all} are {whole}:\n{plan}");
}

#[test]
fn columns_are_read_where_there_is_no_json() {
    let fake = Fake::new(3, "");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    std::fs::remove_file(fake.folder.path().join("json")).unwrap();
    fake.says(
        "squeue",
        &format!("77|1-2%8|PENDING|{name}|Resources||N/A\n77|0|RUNNING|{name}|None|n1|N/A\n"),
    );
    let jobs = fake.place.jobs();
    let job = |at: usize| jobs.iter().find(|job| job["id"] == ids[at]).unwrap();
    assert_eq!(job(0)["place"], "Slurm job 77_0 on n1");
    assert_eq!(job(2)["waits"], "waits for free resources");
}

#[test]
fn one_or_all_of_an_array_are_cancelled_and_held() {
    let fake = Fake::new(3, "");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    fake.queue(&name, &[(0, &["PENDING"], ""), (1, &["PENDING"], ""), (2, &["PENDING"], "")]);
    fake.calls();
    let held = fake.place.json(&["hold", "--group", &ids[2]]);
    assert_eq!(held["jobs"].as_array().unwrap().len(), 3);
    assert!(fake.calls().iter().any(|call| call == "scontrol hold 77_0,77_1,77_2"));
    fake.place.json(&["release", &ids[1]]);
    assert!(fake.calls().iter().any(|call| call == "scontrol release 77_1"));
    assert_eq!(fake.place.look(&ids[0])["waits"], "is held");
    fake.calls();
    fake.place.json(&["cancel", &ids[0]]);
    fake.queue(&name, &[(0, &["CANCELLED"], ""), (1, &["PENDING"], ""), (2, &["PENDING"], "")]);
    assert!(fake.calls().iter().any(|call| call == "scancel --quiet 77_0"));
    assert_eq!(fake.place.in_state("cancelled"), [ids[0].clone()]);
    fake.place.json(&["cancel", "--all"]);
    fake.queue(&name, &[(0, &["CANCELLED"], ""), (1, &["CANCELLED"], ""), (2, &["CANCELLED"], "")]);
    assert!(fake.calls().iter().any(|call| call == "scancel --quiet 77_1 77_2"));
    assert_eq!(fake.place.in_state("cancelled").len(), 3);
}

#[test]
fn a_library_names_no_commands_and_wrong_settings_name_their_file() {
    for (settings, said) in [
        ("setup = \"rm -rf /\"\n", "[executor.slurm] setup names commands, which no library may"),
        ("program = \"/tmp/x\"\n", "program names commands"),
        ("partition = \"x --wrap=y\"\n", "partition must be a name"),
        ("patition = \"x\"\n", "has no setting \"patition\"; did you mean partition?"),
        ("moon = \"x\"\n", "has no setting \"moon\"; there are partition"),
        ("cpus = 0\n", "cpus must be a whole number from 1 to 1000000, not the number 0"),
        ("cpus = \"8\"\n", "cpus must be a whole number from 1 to 1000000, not the text \"8\""),
        ("partition = 3\n", "partition must be a text, not the number 3"),
        ("time = [1]\n", "time must be a text, not a list"),
    ] {
        let fake = Fake::new(1, settings);
        let tasks = fake.place.path().join("tasks").to_string_lossy().into_owned();
        let output = fake.place.run(&["start", "train", "--each", "--data", &tasks, "--executor", "slurm"]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(said), "{settings}: {errors}");
        assert!(errors.contains("library.toml"), "{errors}");
        assert!(!fake.place.library().join(".lora-tui/jobs").exists(), "{settings}");
    }
}

#[test]
fn what_is_packed_into_one_task_is_held_together_or_not_at_all() {
    let fake = Fake::new(4, "tasks_per_job = 2\n");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    fake.queue(&name, &[(0, &["PENDING"], "Priority"), (1, &["PENDING"], "Priority")]);
    fake.calls();
    let output = fake.place.run(&["hold", &ids[0]]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let words = format!("job {} is one piece of work with {}, which would be held, too", ids[0], ids[1]);
    assert!(!output.status.success() && errors.contains(&words), "{errors}");
    assert!(!fake.calls().iter().any(|call| call.starts_with("scontrol hold")));
    fake.place.json(&["hold", &ids[0], &ids[1]]);
    assert!(fake.calls().iter().any(|call| call == "scontrol hold 77_0"));
    assert_eq!(fake.place.look(&ids[1])["held"], true);
    assert!(fake.place.look(&ids[2]).get("held").is_none());
    // One of the two is to be cancelled: the other is let go without it.
    fake.queue(&name, &[(0, &["PENDING"], "JobHeldUser"), (1, &["PENDING"], "Priority")]);
    fake.place.json(&["cancel", &ids[0]]);
    assert_eq!(fake.place.look(&ids[0])["state"], "cancelling");
    fake.calls();
    fake.place.json(&["release", "--group", &ids[0]]);
    assert!(fake.calls().iter().any(|call| call == "scontrol release 77_0"));
    assert!(fake.place.look(&ids[1]).get("held").is_none());
    // What its task does already is not held.
    fake.queue(&name, &[(0, &["PENDING"], "JobHeldUser"), (1, &["RUNNING"], "None")]);
    let output = fake.place.run(&["hold", &ids[2], &ids[3]]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && said.contains("is about to begin"), "{said}");
}

#[test]
fn what_ends_in_setup_is_told_as_what_it_is() {
    let fake = Fake::new(3, "");
    fake.setup("setup = \"exit 3\"");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    let task = |index, state: &str, code, signal| fake.ended(&name, index, state, (code, signal), 1000);
    fake.knows(&[task(0, "FAILED", 3, 0), task(1, "FAILED", 0, 10), task(2, "TIMEOUT", 0, 15)]);
    let error = |at: usize| fake.place.look(&ids[at])["error"].as_str().unwrap().to_string();
    let said = error(0);
    assert!(
        said.contains("setup in [executor.slurm] of ") && said.contains("home/lora-tui/config.toml"),
        "{said}"
    );
    assert!(said.contains("ended with status 3 before the worker began"), "{said}");
    for at in [1, 2] {
        let said = error(at);
        assert!(
            said.contains("on n1 reached its time limit during setup, before its worker began"),
            "{said}"
        );
    }
    // What the worker says itself is no fault of setup.
    let folder = fake.place.library().join(".lora-tui/jobs/.slurm").join(&name);
    std::fs::write(folder.join("0.out"), "lora-tui: m.jsonl: missing\n").unwrap();
    let said = error(0);
    assert!(
        said.contains("(exit status 3): lora-tui: m.jsonl: missing") && !said.contains("setup"),
        "{said}"
    );
}

#[test]
fn a_setup_whose_last_command_fails_ends_the_task_before_its_worker() {
    let fake = Fake::new(1, "");
    fake.setup("program = \"/bin/echo\"\nsetup = \"\"\"\n: first\nno-such-module load x\n\"\"\"");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    let folder = fake.place.library().join(".lora-tui/jobs/.slurm").join(&name);
    let run = |script: &std::path::Path| fake.place.program("bash").arg(script).output().unwrap();
    let output = run(&folder.join("script.sh"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(127), true), "{said}");
    std::fs::write(folder.join("0.out"), &said).unwrap();
    fake.knows(&[fake.ended(&name, 0, "FAILED", (127, 0), 1000)]);
    let error = fake.place.look(&ids[0])["error"].as_str().unwrap().to_string();
    assert!(error.contains("setup in [executor.slurm] of ") && error.contains("no-such-module"), "{error}");
    assert!(error.contains("ended with status 127 before the worker began"), "{error}");
    // One that ends well goes on to the worker.
    let script =
        std::fs::read_to_string(folder.join("script.sh")).unwrap().replace("no-such-module load x", "true");
    std::fs::write(folder.join("well.sh"), script).unwrap();
    let output = run(&folder.join("well.sh"));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("worker --manifest"), "{output:?}");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_setup_that_ends_the_script_is_named_whatever_its_status() {
    let fake = Fake::new(1, "");
    fake.setup("setup = \"exit 0\"");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    let folder = fake.place.library().join(".lora-tui/jobs/.slurm").join(&name);
    let script = folder.join("script.sh");
    let output = fake.place.program("bash").arg(&script).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    std::fs::write(folder.join("0.out"), &output.stderr).unwrap();
    // A moment ago: its own words need no patience.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    fake.knows(&[fake.ended(&name, 0, "COMPLETED", (0, 0), now)]);
    let error = || fake.place.look(&ids[0])["error"].as_str().unwrap_or_default().to_string();
    let said = error();
    assert!(
        said.contains("has completed: setup in [executor.slurm] of ") && said.contains("config.toml"),
        "{said}"
    );
    assert!(said.contains("ended with status 0 before the worker began"), "{said}");
    // Of a program that takes the shell's place nobody says anything.
    let other = std::fs::read_to_string(&script).unwrap().replace("exit 0", "exec /bin/true");
    std::fs::write(&script, other).unwrap();
    let output = fake.place.program("bash").arg(&script).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    std::fs::write(folder.join("0.out"), "").unwrap();
    fake.knows(&[fake.ended(&name, 0, "COMPLETED", (0, 0), 1000)]);
    let said = error();
    assert!(
        said.contains("without this job's result") && said.contains("as `exec` in its lines does"),
        "{said}"
    );
}

#[test]
fn an_output_that_cannot_be_opened_is_told_in_words() {
    let fake = Fake::new(2, "");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    fake.knows(&[
        fake.ended(&name, 0, "FAILED", (0, 53), 1000),
        fake.ended(&name, 1, "FAILED", (0, 53), 1000),
    ]);
    let error = || fake.place.look(&ids[0])["error"].as_str().unwrap().to_string();
    let said = error();
    assert!(said.contains("could not write its output to ") && said.contains(&name), "{said}");
    assert!(said.contains("the node does not see this folder"), "{said}");
    std::fs::remove_dir_all(fake.place.library().join(".lora-tui/jobs/.slurm")).unwrap();
    assert!(error().contains("this folder is not there any more; mend that and resume it"), "{}", error());
    fake.says("sbatch", "78\n");
    let resumed = fake.place.json(&["resume", "--failed"]);
    assert_eq!(resumed["jobs"].as_array().unwrap().len(), 2, "{resumed}");
}

#[test]
fn a_cancel_that_the_scheduler_refuses_leaves_the_job_as_it_was() {
    let fake = Fake::new(1, "");
    let ids = fake.place.train_each(5, &[]);
    fake.queue(&fake.token(&ids[0]), &[(0, &["PENDING"], "Priority")]);
    fake.fails("scancel", Some("scancel: error: no controller\n"));
    let output = fake.place.run(&["cancel", &ids[0]]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && errors.contains("no controller"), "{errors}");
    assert_eq!(fake.place.look(&ids[0])["state"], "queued");
    fake.fails("scancel", None);
    fake.place.json(&["cancel", &ids[0]]);
    assert_eq!(fake.place.look(&ids[0])["state"], "cancelling");
}

#[test]
fn doctor_asks_for_the_partition() {
    let fake = Fake::new(1, "partition = \"gpu\"\n");
    let line = || fake.line_of_doctor();
    assert!(line().contains("partition gpu") && !line().starts_with('!'), "{}", line());
    fake.says("partition", "Partition gpu not found\n");
    assert!(
        line().starts_with('!') && line().contains("gpu in [executor.slurm]: Slurm knows none"),
        "{}",
        line()
    );
}

#[test]
fn doctor_looks_names_up_in_the_accounts_and_says_where_it_cannot() {
    let fake = Fake::new(1, "account = \"lab\"\nqos = \"long\"\n");
    let line = || fake.line_of_doctor();
    let of = |accounts: &str| {
        format!("MaxArraySize = 1001\nClusterName = far\nAccountingStorageType = {accounts}\n")
    };
    fake.says("scontrol", &of("accounting_storage/slurmdbd"));
    fake.calls();
    // Nothing is shown of the name.
    let said = line();
    assert!(said.starts_with('!') && said.contains("account lab in [executor.slurm]"), "{said}");
    assert!(said.contains("accounts of cluster far have none of this name"), "{said}");
    let asked = "sacctmgr --noheader --parsable2 show associations account=lab cluster=far format=Account";
    assert!(fake.calls().iter().any(|call| call == asked));
    fake.says("sacctmgr", "lab\n");
    let said = line();
    assert!(!said.starts_with('!') && said.contains("with accounts; account lab, qos long"), "{said}");
    assert!(
        fake.calls()
            .iter()
            .any(|call| call == "sacctmgr --noheader --parsable2 show qos name=long format=Name")
    );
    fake.fails("sacctmgr", Some("sacctmgr: error: no database\n"));
    let said = line();
    assert!(
        !said.starts_with('!') && said.contains("whether there is account lab cannot be known"),
        "{said}"
    );
    assert!(said.contains("no database"), "{said}");
    fake.says("scontrol", &of("accounting_storage/none"));
    fake.calls();
    let said = line();
    assert!(said.contains("and whether there is account lab and qos long cannot be known"), "{said}");
    assert!(!fake.calls().iter().any(|call| call.starts_with("sacctmgr")));
}

#[test]
fn doctor_asks_whether_a_job_with_these_settings_would_be_taken_and_hands_none_over() {
    let fake = Fake::new(1, "constraint = \"quantum\"\ncpus = 3\n");
    let line = || fake.line_of_doctor();
    fake.calls();
    assert!(!line().starts_with('!'), "{}", line());
    let asked = "sbatch --test-only --nodes=1 --ntasks=1 --cpus-per-task=3 --constraint=quantum --wrap=true";
    let calls = fake.calls();
    let submitted: Vec<&String> = calls.iter().filter(|call| call.starts_with("sbatch")).collect();
    assert!(!submitted.is_empty() && submitted.iter().all(|call| *call == asked), "{calls:?}");
    fake.fails("sbatch", Some("allocation failure: Invalid feature specification\n"));
    let said = line();
    assert!(
        said.starts_with('!') && said.contains("Invalid feature specification; set constraint in"),
        "{said}"
    );
}

#[test]
fn doctor_says_of_settings_that_cannot_be_taken_that_no_job_can_be_handed_over() {
    let fake = Fake::new(1, "partition = 3\n");
    let said = fake.line_of_doctor();
    assert!(said.starts_with('!') && said.contains("no job can be handed over: "), "{said}");
    assert!(said.contains("[executor.slurm] partition must be a text, not the number 3"), "{said}");
}

#[test]
fn of_a_job_that_is_queued_again_nothing_old_is_told() {
    let fake = Fake::new(1, "");
    let ids = fake.place.train_each(5, &[]);
    let name = fake.token(&ids[0]);
    let events = [
        json!({"event": "started", "time": 1.0, "steps": 5}),
        json!({"event": "stage", "time": 2.0, "text": "training"}),
        json!({"event": "step", "time": 3.0, "step": 2, "steps": 5, "loss": 1.0, "tokens_per_second": 9.0, "eta_seconds": 7.0}),
    ];
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    std::fs::write(fake.place.job(&ids[0]).join("events.jsonl"), lines).unwrap();
    fake.queue(&name, &[(0, &["RUNNING"], "None")]);
    let job = fake.place.json(&["show", &ids[0]]);
    assert_eq!(
        (&job["state"], &job["stage"], &job["eta_seconds"]),
        (&json!("running"), &json!("training"), &json!(7.0))
    );
    fake.queue(&name, &[(0, &["PENDING", "REQUEUED"], "BeginTime")]);
    let job = fake.place.json(&["show", &ids[0]]);
    assert_eq!((&job["state"], &job["waits"]), (&json!("queued"), &json!("is queued again")));
    assert!(
        job["stage"].is_null() && job["eta_seconds"].is_null() && job["tokens_per_second"].is_null(),
        "{job}"
    );
    assert_eq!(job["step"], 2);
}

#[test]
fn settings_that_mean_nothing_are_named_once_and_by_doctor() {
    let fake = Fake::new(1, "");
    let home = fake.place.path().join("home/lora-tui");
    std::fs::create_dir_all(&home).unwrap();
    let write = |text: &str| std::fs::write(home.join("config.toml"), text).unwrap();
    let run = |words: &[&str]| {
        let output = fake
            .place
            .program(crate::support::BINARY)
            .args(words)
            .arg(fake.place.library())
            .output()
            .unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    write("[executor]\ndefualt = \"slurm\"\n[notfy]\nby = \"off\"\n");
    let [_, errors] = run(&["ls"]);
    let warned: Vec<&str> = errors.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(warned.len(), 2, "{errors}");
    assert!(
        warned[0].ends_with("config.toml: [executor] has no setting \"defualt\"; did you mean default?"),
        "{errors}"
    );
    assert!(
        warned[1].ends_with("[notfy] means nothing, so it is ignored; did you mean [notify]?"),
        "{errors}"
    );
    let [said, errors] = run(&["doctor"]);
    assert!(
        said.lines().filter(|line| line.starts_with("! config")).count() == 2 && errors.is_empty(),
        "{said}{errors}"
    );
    // Of the library, too.
    let manifest = fake.place.library().join("library.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{text}\n[executor.slrum]\ncpus = 3\n")).unwrap();
    let output = fake.place.run(&["ls"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let words =
        "library.toml: [executor.slrum] means nothing, so it is ignored; did you mean [executor.slurm]?";
    assert_eq!(errors.matches(words).count(), 1, "{errors}");
    std::fs::write(&manifest, text).unwrap();
    // Slurm is the default, and is not here.
    write("[executor]\ndefault = \"slurm\"\n");
    let output = fake
        .place
        .program(crate::support::BINARY)
        .env("PATH", fake.place.path())
        .arg("doctor")
        .arg(fake.place.library())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("! slurm     jobs go to Slurm by default, but none of its commands (`sbatch`"),
        "{said}"
    );
    assert!(!said.contains("! config"), "{said}");
}
