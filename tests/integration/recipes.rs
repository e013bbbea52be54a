//! An experiment from a recipe on tiny tasks: run, killed and resumed, and refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use lora_tui::library::Library;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::bench::{eventually, stderr, stdout};
use crate::support::models::Fixture;
use crate::support::training::task;
use crate::support::{BINARY, PATIENCE};

const RECIPE: &str = "\
name = \"Three tiny tasks\"

[template]
prompt = \"{instruction} {input} =\"
end = \" <end>\"

[tasks]
train = [\"tasks\"]

[training]
max_steps = 4
rank = 2
batch = 4
device = \"cpu\"

[clusters]
k = [1, 2]
seeds = [1]

[evaluation]
methods = [\"base\", \"expert\", \"uniform\", \"arrow:k=1\"]
limit = 3
device = \"cpu\"
";

/// Three tasks to train on and a held-out one, with a recipe beside them.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let tasks = dir.path().join("tasks");
    for (id, count) in [("copy", 24), ("next", 16), ("swap", 20), ("held", 9)] {
        let folder = task(&tasks, id, count, 4);
        std::fs::copy(folder.join("validation.jsonl"), folder.join("test.jsonl")).unwrap();
    }
    std::fs::write(tasks.join("held/task.toml"), "id = \"held\"\nheld_out = true\nfamily = \"words\"\n")
        .unwrap();
    let base = Fixture::open("llama").base();
    std::fs::write(dir.path().join("three.toml"), format!("{RECIPE}\n[base]\npath = {base:?}\n")).unwrap();
    dir
}

fn command(place: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("run").arg(place.join("three.toml")).arg("--out").arg(out).args(["--executor", "local"]);
    command.args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(place: &Path, out: &Path, more: &[&str]) -> Output {
    command(place, out, more).output().unwrap()
}

/// The page and its tables, by name.
fn report(out: &Path) -> Vec<(String, String)> {
    let mut files = vec![out.join("report.md")];
    files.extend(std::fs::read_dir(out.join("report")).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|path| path.extension().is_some_and(|end| end != "png"));
    files.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    files.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(path))).collect()
}

fn jobs(out: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(out.join(".lora-tui/jobs")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("spec.json").exists()).collect()
}

/// Kills the workers of all jobs that have no result; how many.
fn kill_workers(out: &Path) -> usize {
    let mut killed = 0;
    for job in jobs(out).iter().filter(|job| !job.join("result.json").exists()) {
        let Ok(bytes) = std::fs::read(job.join("worker.json")) else { continue };
        let worker: Value = serde_json::from_slice(&bytes).unwrap();
        let pid = Pid::from_raw(worker["pid"].as_i64().unwrap() as i32).unwrap();
        killed += usize::from(kill_process(pid, Signal::KILL).is_ok());
    }
    killed
}

#[test]
fn a_recipe_that_is_killed_in_the_middle_and_run_again_gives_the_same_report() {
    let place = place();
    let (whole, broken) = (place.path().join("one/out"), place.path().join("two/out"));
    let output = run(place.path(), &whole, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).trim().ends_with("report.md"), "{}", stdout(&output));
    let expected = report(&whole);
    let page = &expected.iter().find(|(name, _)| name == "report.md").unwrap().1;
    for part in [
        "| private | 3 | 48 |",
        "| joint | 1 | 48 |",
        "| mbc-k2-s1 | 2 | 48 |",
        "| random-k2-s1 | 2 | 48 |",
        "mbc-k2-s1/arrow:k=1",
        "joint/uniform",
        "held out (1)",
        "## Number of clusters",
        "report/k.png",
    ] {
        assert!(page.contains(part), "{part}:\n{page}");
    }
    // The folder is a library of all of them, and shows the jobs.
    let listed = Command::new(BINARY).arg("ls").arg(&whole).args(["--columns", "name"]).output().unwrap();
    assert!(stdout(&listed).contains("private/copy"), "{}{}", stdout(&listed), stderr(&listed));

    let mut child = command(place.path(), &broken, &[]).spawn().unwrap();
    let over = || jobs(&broken).iter().filter(|job| job.join("result.json").exists()).count();
    let all = jobs(&whole).len();
    eventually("all jobs are made and two are finished", || over() >= 2 && jobs(&broken).len() == all);
    child.kill().unwrap();
    child.wait().unwrap();
    // Those that waited for the killed ones are killed, too.
    let began = Instant::now();
    assert!(kill_workers(&broken) > 0);
    while kill_workers(&broken) > 0 {
        assert!(began.elapsed() < PATIENCE);
    }
    let before = over();
    let output = run(place.path(), &broken, &["--dry-run", "--json"]);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let states = |wanted: &str| {
        plan["nodes"].as_array().unwrap().iter().filter(|node| node["state"] == wanted).count()
    };
    assert_eq!((states("done"), states("new")), (before, 0), "{plan}");
    assert!(states("resumes") > 0);
    let output = run(place.path(), &broken, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(report(&broken), expected);
    // Once more there is nothing left to do.
    let count = jobs(&broken).len();
    assert!(run(place.path(), &broken, &[]).status.success());
    assert_eq!((jobs(&broken).len(), report(&broken)), (count, expected));
}

#[test]
fn what_the_recipe_no_longer_says_is_not_mixed_with_what_it_says() {
    let place = place();
    let out = place.path().join("out");
    let recipe = place.path().join("three.toml");
    let short = std::fs::read_to_string(&recipe).unwrap();
    let short = short.replace("k = [1, 2]", "").replace("\"uniform\", ", "");
    std::fs::write(&recipe, &short).unwrap();
    let output = run(place.path(), &out, &["--dry-run"]);
    assert!(output.status.success() && !out.exists(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("evaluation") && text.contains("memory: ") && text.contains("--measure"), "{text}");
    let output = run(place.path(), &out, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    // Another method alone is computed.
    std::fs::write(&recipe, short.replace("\"base\"", "\"base\", \"uniform\"")).unwrap();
    let count = jobs(&out).len();
    let output = run(place.path(), &out, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(jobs(&out).len(), count + 2);
    // Another training would give another library.
    std::fs::write(&recipe, short.replace("rank = 2", "rank = 3")).unwrap();
    let output = run(place.path(), &out, &[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("out/private: was made with other settings or tasks") && said.contains("rank 3"),
        "{said}"
    );
    // So would other examples of a task, which is named.
    std::fs::write(&recipe, &short).unwrap();
    let train = place.path().join("tasks/next/train.jsonl");
    let before = std::fs::read_to_string(&train).unwrap();
    std::fs::write(&train, before.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    let said = stderr(&run(place.path(), &out, &[]));
    assert!(said.contains("out/private: was made with other examples of next"), "{said}");
    std::fs::write(&train, before).unwrap();
    // A damaged expert is named, whose removal makes it anew.
    let path = out.join("private/copy/adapter_model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let output = run(place.path(), &out, &[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("out/private/copy: ") && said.contains("remove this folder, and the same"),
        "{said}"
    );
    std::fs::write(&path, whole).unwrap();
    // A lost expert is made again, and nothing else.
    let weights =
        |name: &str| std::fs::read(out.join("private").join(name).join("adapter_model.safetensors"));
    let (copy, next) = (weights("copy").unwrap(), weights("next").unwrap());
    std::fs::remove_dir_all(out.join("private/copy")).unwrap();
    let output = run(place.path(), &out, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!((weights("copy").unwrap(), weights("next").unwrap()), (copy, next));
}

#[test]
fn what_fails_is_named_and_what_waits_for_it_does_not_wait_for_ever() {
    let place = place();
    let out = place.path().join("out");
    // Somebody's own.
    std::fs::create_dir_all(out.join(".lora-tui")).unwrap();
    let output = run(place.path(), &out, &["--detach"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let output = run(place.path(), &out, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    std::fs::remove_dir_all(out.join("private/next")).unwrap();
    std::fs::write(out.join("private/next"), "in the way").unwrap();
    let output = run(place.path(), &out, &[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("private: ") && said.contains("run the same command again"), "{said}");
    std::fs::remove_file(out.join("private/next")).unwrap();
    let output = run(place.path(), &out, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn libraries_of_clusters_can_begin_with_what_one_expert_has_learned_of_all_tasks() {
    let place = place();
    let path = place.path().join("three.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("k = [1, 2]\nseeds = [1]", "k = 2\nseeds = [42, 43]\njoint_shares = 50");
    let text = text.replace(", \"uniform\", \"arrow:k=1\"", ", \"uniform\"");
    std::fs::write(&path, text.replace("[evaluation]", "[controls]\nrandom = false\n\n[evaluation]"))
        .unwrap();
    let out = place.path().join("out");
    let output = run(place.path(), &out, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    for part in [
        "| joint-s43 | 1 | 48 |",
        "| start-j50-s42 | 1 | 24 |",
        "| mbc-k2-j50-s43 | 2 | 48 |",
        "| mbc-k2-j50/uniform | 2 |",
        "held out (1), less joint",
        "| joint share % | k |",
    ] {
        assert!(page.contains(part), "{part}:\n{page}");
    }
    let table = std::fs::read_to_string(out.join("report/seeds.csv")).unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("mbc-k2-j50/uniform,2,")).collect();
    assert_eq!(rows.len(), 3, "{table}");
    // One task is held out, which has no error over tasks.
    assert!(rows[2].starts_with("mbc-k2-j50/uniform,2,held out,false,0,0,0,"), "{table}");
    // With one seed there is nothing to average.
    let text = std::fs::read_to_string(&path).unwrap().replace("[42, 43]", "42");
    std::fs::write(&path, text).unwrap();
    let output = run(place.path(), &out, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!out.join("report/seeds.csv").exists() && out.join("report/k.csv").exists());
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(!page.contains("Means over seeds") && !page.contains("seeds.csv"), "{page}");
    // An expert of one task has seen the others, and says so.
    let library = Library::open(&out.join("mbc-k2-j50-s42")).unwrap();
    for expert in &library.experts {
        let provenance = expert.provenance.as_ref().unwrap();
        assert_eq!(provenance.seen_before.len(), 1 + 3, "{}", expert.name);
        assert!(provenance.settings["init"].as_str().unwrap().ends_with("/start-j50-s42/start-j50-s42"));
    }
}

/// A library with an expert for each of four tasks that are scored by their loss.
fn four(place: &Path) -> (PathBuf, PathBuf) {
    let (tasks, library) = (place.join("four"), place.join("library"));
    for (id, count) in [("one", 24), ("two", 16), ("three", 20), ("four", 12)] {
        let folder = task(&tasks, id, count, 4);
        std::fs::copy(folder.join("validation.jsonl"), folder.join("test.jsonl")).unwrap();
        let text = format!("id = \"{id}\"\nfamily = \"words\"\nmetric = \"loss\"\n");
        std::fs::write(folder.join("task.toml"), text).unwrap();
    }
    std::fs::create_dir_all(&library).unwrap();
    let base = Fixture::open("llama").base();
    let manifest = format!(
        "[base]\npath = {base:?}\n[template]\nprompt = \"{{instruction}} {{input}} =\"\nend = \" <end>\"\n"
    );
    std::fs::write(library.join("library.toml"), manifest).unwrap();
    let mut command = Command::new(BINARY);
    command.arg("train-many").arg(&library).arg("--tasks").arg(&tasks);
    command.args(["--max-steps", "4", "--rank", "2", "--batch", "4", "--lr", "0.02", "--device", "cpu"]);
    command.args(["--targets", "q_proj,v_proj", "--max-length", "48", "--by-length"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    (tasks, library)
}

#[test]
fn a_sweep_over_k_is_a_recipe_with_the_settings_of_the_librarys_experts() {
    let place = place();
    let (_, library) = four(place.path());
    let mut command = Command::new(BINARY);
    let out = place.path().join("sweep");
    command.arg("sweep-k").arg(&library).args(["--k", "2,3", "--seeds", "2", "--executor", "local"]);
    command.arg("--tasks").arg(place.path().join("tasks/held")).args(["--methods", "base,uniform"]);
    let printed = stdout(&Command::new(BINARY).arg("sweep-k").arg(&library).arg("--print").output().unwrap());
    for part in ["max_length = 48", "by_length = true", "targets = [\"q_proj\", \"v_proj\"]"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    for part in ["max_steps = 4", "rank = 2", "batch = 4", "k = \"2..8\"", "seeds = \"42..44\"", "library = "]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    for (option, given, wanted) in [
        (
            "--k",
            "0..2",
            "--k must be whole numbers from 1 with commas between them, or a range such as 2..8, not 0..2",
        ),
        ("--k", ",", "--k has no number"),
        ("--joint-shares", "0,100", "--joint-shares must be whole numbers of percent from 0 to 99"),
    ] {
        let refused =
            Command::new(BINARY).arg("sweep-k").arg(&library).args([option, given, "--print"]).output();
        let refused = refused.unwrap();
        assert!(
            refused.status.code() == Some(2) && stderr(&refused).contains(wanted),
            "{}",
            stderr(&refused)
        );
    }
    let output = command.arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let table = std::fs::read_to_string(out.join("report/k.csv")).unwrap();
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert!(rows.len() == 2 && rows[0].starts_with("2,2,") && rows[1].starts_with("3,2,"), "{table}");
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    for part in ["| private | 4 | 64 |", "| joint | 1 | 64 |", "| random-k3-s43 | 3 | 64 |", "held out"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn transfer_is_every_expert_on_every_task_and_what_predicts_it() {
    let place = place();
    let (tasks, library) = four(place.path());
    let csv = place.path().join("transfer.csv");
    let transfer = |more: &[&str]| {
        let mut command = Command::new(BINARY);
        command.arg("transfer").arg(&library).arg("--tasks").arg(&tasks).args(["--device", "cpu"]).args(more);
        let output = command.arg("--csv").arg(&csv).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let document: Value = serde_json::from_str(&transfer(&["--json"])).unwrap();
    assert_eq!(document["experts"], serde_json::json!(["four", "one", "three", "two"]));
    assert_eq!(document["own"], serde_json::json!([0, 1, 2, 3]));
    let scores = document["scores"].as_array().unwrap();
    assert!(scores.iter().flat_map(|row| row.as_array().unwrap()).all(|score| score.as_f64().unwrap() < 0.0));
    let predictors = document["predictors"].as_array().unwrap();
    assert_eq!(predictors.len(), 4);
    let correlations: Vec<f64> = predictors.iter().map(|row| row["correlation"].as_f64().unwrap()).collect();
    assert!(correlations.windows(2).all(|pair| pair[0] >= pair[1]), "{correlations:?}");
    assert_eq!(predictors[0]["tasks"], 4);
    assert_eq!(std::fs::read_to_string(&csv).unwrap().lines().count(), 1 + 16);
    let text = transfer(&[]);
    assert!(text.contains("rank correlation") && text.contains("mbc, sparsity 0.5"), "{text}");
}
