//! What evaluations keep: killed ones, repeated ones, those in the background, and the files they write.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::eval::{Place, input, likelihood, lines, names};
use crate::support::{BINARY, PATIENCE};

/// The tiny library with tasks of three kinds of scores, of so many items.
fn with_tasks(items: usize) -> Place {
    let place = Place::new();
    place.set_end("w7");
    let one = |i: usize| (input(i), format!("w{}", (i * 13) % 50));
    place.write_task("match", "", "", &lines((0..items).map(one)));
    place.write_task("words", "metric = \"rouge_l\"\n", "", &lines((0..items / 8).map(one)));
    let choice = |i: usize| {
        let choices = [0, 1, 2].map(|c| format!("w{} w{}", (i + c * 7) % 50, (i * 3 + c) % 50));
        json!({ "instruction": "copy", "input": input(i), "choices": choices, "answer": i % 3 }).to_string()
            + "\n"
    };
    place.write_task("choice", "metric = \"choice\"\n", "", &(0..items).map(choice).collect::<String>());
    place
}

const METHODS: [&str; 2] = ["--methods", "base,arrow:k=2:temperature=0.5,vote,single:expert_1"];

fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("eval").arg(place.library()).arg("--base").arg(&place.base).arg("--tasks").arg(place.tasks());
    command.args(arguments);
    command
}

/// Whether a line of results is whole: one that was killed may leave half of its last, which counts for nothing.
fn is_whole(line: &str) -> bool {
    let sum =
        |text: &str| Sha256::digest(text)[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    line.split_once('\t').is_some_and(|(expected, rest)| sum(rest) == expected)
}

/// The files of results with their whole lines.
fn kept(place: &Place) -> HashMap<PathBuf, Vec<String>> {
    let folder = place.library().join(".lora-tui/results");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let read = |path: PathBuf| {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let all = text.lines().filter(|line| is_whole(line)).map(String::from);
        (path, all.collect())
    };
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

fn count(place: &Place) -> usize {
    kept(place).values().map(Vec::len).sum()
}

/// Waits until `process` has kept `more` results beside those that it found, and kills it; whether it lived so long.
fn kill_at_work(place: &Place, more: usize, mut process: Child) -> bool {
    let (before, began) = (count(place), Instant::now());
    loop {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if count(place) >= before + more {
            process.kill().unwrap();
            process.wait().unwrap();
            return true;
        }
        assert!(began.elapsed() < PATIENCE, "nothing was kept");
    }
}

#[test]
fn all_that_decides_an_answer_decides_under_which_name_it_is_kept() {
    let place = with_tasks(16);
    let asked = |more: &[&str]| {
        let fixed = ["--methods", "single:expert_1", "--metric", "loss", "--limit", "6"];
        place.eval(&[&fixed, more].concat())["scores"].clone()
    };
    let plain = asked(&[]);
    let general = asked(&["--general", "expert_2"]);
    assert!(general != plain && general == asked(&["--general", "expert_2", "--fresh"]));
    assert_eq!(asked(&[]), plain);
    // What an expert has beside A and B.
    let folder = place.library().join("expert_1");
    let weights = folder.join("adapter_model.safetensors");
    let mut tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    let width = |(name, tensor): (&String, &Tensor)| {
        name.ends_with("q_proj.lora_A.weight").then(|| tensor.dim(1).unwrap())
    };
    let width = tensors.iter().find_map(width).unwrap();
    let config = std::fs::read_to_string(folder.join("adapter_config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["modules_to_save"] = json!(["norm"]);
    std::fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    let mut with_norm = |value: f32| {
        let norm = Tensor::full(value, width, &Device::Cpu).unwrap();
        tensors.insert("base_model.model.model.norm.weight".into(), norm);
        candle_core::safetensors::save(&tensors, &weights).unwrap();
        asked(&[])
    };
    let (one, other) = (with_norm(0.5), with_norm(1.5));
    assert!(one != plain && other != one);
    assert_eq!(asked(&["--fresh"]), other);
}

#[test]
fn an_evaluation_that_is_killed_again_and_again_ends_with_the_same_table() {
    let (whole, killed) = (with_tasks(600), with_tasks(600));
    let expected = whole.eval(&METHODS);
    for kill in 0..10 {
        let mut command = command(&killed, &METHODS);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(kill_at_work(&killed, 1 + 5 * kill, process), "it ended before kill {kill}");
    }
    let result = killed.eval(&METHODS);
    assert_eq!(result, expected);
    // Every item was computed once, by one of them.
    for (path, lines) in kept(&killed) {
        let mut items: Vec<&str> = lines.iter().filter_map(|line| line.split('\t').nth(1)).collect();
        let all = items.len();
        items.sort_unstable();
        items.dedup();
        assert_eq!(items.len(), all, "{}", path.display());
    }
    // Nothing is computed again, whatever of it is asked for; unless that is wanted.
    let names_of_files = result["kept"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let files = kept(&killed);
    assert!(
        names_of_files
            .map(|name| name.as_str().unwrap())
            .all(|name| files.keys().any(|path| path.ends_with(name)))
    );
    let lines = count(&killed);
    assert_eq!(killed.eval(&METHODS), expected);
    let few = killed.eval(&["--methods", "vote,base", "--limit", "50"]);
    assert_eq!((names(&few), count(&killed)), (vec!["choice", "match", "words"], lines));
    assert_eq!(killed.eval(&[&METHODS[..], &["--fresh"]].concat()), expected);
    assert_eq!(count(&killed), 2 * lines);
}

#[test]
fn what_changes_a_result_is_computed_anew() {
    let place = with_tasks(16);
    let methods = ["--methods", "arrow:k=2:temperature=0.5"];
    let of = |arguments: &[&str]| {
        let before = count(&place);
        place.eval(arguments);
        count(&place) - before
    };
    let items = 16 + 16 + 2;
    assert_eq!(of(&methods), items);
    assert_eq!(of(&methods), 0);
    assert_eq!(of(&["--methods", "arrow:k=1:temperature=0.5"]), items);
    assert_eq!(of(&["--methods", "arrow:k=2:temperature=0.5", "--scoring", "paper"]), items);
    assert_eq!(of(&["--methods", "arrow:k=2:temperature=0.5", "--precision", "q8"]), items);
    place.set_end("w8");
    assert_eq!(of(&methods), items);
    place.set_end("w7");
    assert_eq!(of(&methods), 0);
    // Another item at the end of one task.
    let test = place.tasks().join("match/test.jsonl");
    let text = std::fs::read_to_string(&test).unwrap() + &lines([(input(99), "w1".into())].into_iter());
    std::fs::write(test, text).unwrap();
    assert_eq!(of(&methods), 17);
    // An expert less.
    std::fs::remove_dir_all(place.library().join("expert_2")).unwrap();
    assert_eq!(of(&methods), 17 + 16 + 2);
    // Answers were not needed for some exact matches; where they are wanted, they are there.
    let with_answers = of(&["--methods", "arrow:k=2:temperature=0.5", "--answers"]);
    assert!(
        with_answers <= 17 && of(&["--methods", "arrow:k=2:temperature=0.5", "--answers"]) == 0,
        "{with_answers}"
    );
}

#[test]
fn in_the_background_the_table_is_the_same() {
    let (place, other) = (with_tasks(40), with_tasks(40));
    let expected = other.eval(&METHODS);
    let output = command(&place, &[&METHODS[..], &["--background", "--json"]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let started: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = started["job"].as_str().unwrap();
    let began = Instant::now();
    let job = loop {
        let output = Command::new(BINARY)
            .arg("jobs")
            .arg(place.library())
            .args(["show", id, "--json"])
            .output()
            .unwrap();
        let job: Value = serde_json::from_slice(&output.stdout).unwrap();
        match job["state"].as_str().unwrap() {
            "done" | "failed" | "cancelled" | "finished" | "died" => break job,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
        assert!(began.elapsed() < PATIENCE, "{job}");
    };
    let folder = place.library().join(".lora-tui/jobs").join(id);
    let result = &job["result"];
    for field in ["methods", "tasks", "scores", "means", "differences"] {
        assert_eq!(result[field], expected[field], "{job}");
    }
    let events = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    assert!(events.contains("\"name\":\"vote\"") && events.contains("choice, 40 of 40"), "{events}");
}

/// The jobs of the library, newest first.
fn jobs(place: &Place) -> Vec<Value> {
    let output = Command::new(BINARY).arg("jobs").arg(place.library()).arg("--json").output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["jobs"].as_array().unwrap().clone()
}

#[test]
fn in_the_foreground_it_is_listed_once_and_can_be_cancelled_and_resumed_as_a_job() {
    let place = with_tasks(24);
    let expected = place.eval(&METHODS);
    let [job] = jobs(&place).try_into().unwrap();
    assert_eq!((&job["kind"], &job["state"]), (&"eval".into(), &"finished".into()), "{job}");
    let folder = |job: &Value| place.library().join(".lora-tui/jobs").join(job["id"].as_str().unwrap());
    let result = |job: &Value| -> Value {
        let text = std::fs::read(folder(job).join("result.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["result"].clone()
    };
    for field in ["methods", "tasks", "scores", "means", "differences"] {
        assert_eq!(result(&job)[field], expected[field]);
    }
    // The same again takes its place, also where everything was known; another one stands beside it.
    place.eval(&METHODS);
    let [again] = jobs(&place).try_into().unwrap();
    assert_eq!(again["id"], job["id"]);
    place.eval(&["--methods", "base", "--limit", "4"]);
    assert_eq!(jobs(&place).len(), 2);

    // What is wrong from the start leaves nothing behind.
    let output = command(&place, &["--methods", "nonsense"]).output().unwrap();
    assert!(!output.status.success() && jobs(&place).len() == 2);

    // Under way it is seen as such, and stops when somebody cancels its job.
    let place = with_tasks(2000);
    let mut process = command(&place, &METHODS).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let id = loop {
        assert!(began.elapsed() < PATIENCE, "{:?}", jobs(&place));
        match jobs(&place).as_slice() {
            [job] if job["state"] == "running" => break job["id"].as_str().unwrap().to_string(),
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let cancel =
        Command::new(BINARY).arg("jobs").arg(place.library()).args(["cancel", &id]).output().unwrap();
    assert!(cancel.status.success(), "{}", String::from_utf8_lossy(&cancel.stderr));
    assert!(!process.wait().unwrap().success());
    let [job] = jobs(&place).try_into().unwrap();
    assert_eq!(job["state"], "cancelled", "{job}");
}

/// Says that an expert was trained on a task.
fn trained_on(place: &Place, expert: &str, task: &str) {
    let text = format!("task = \"{task}\"\n");
    std::fs::write(place.library().join(expert).join("expert.toml"), text).unwrap();
}

#[test]
fn libraries_seen_tasks_and_files_stand_side_by_side() {
    let (place, mbc) = (with_tasks(24), Place::new());
    mbc.set_end("w7");
    trained_on(&place, "expert_1", "match");
    place.write_task("secret", "held_out = true\n", "", &lines((0..5).map(|i| (input(i), "w1".into()))));
    trained_on(&place, "expert_2", "secret");
    let other = format!("mbc={}", mbc.library().display());
    let files = ["csv", "md", "tex", "png", "svg"].map(|end| place.dir.path().join(format!("table.{end}")));
    let [csv, markdown, latex, png, svg] = files.each_ref().map(|path| path.to_str().unwrap());
    let methods = "base,oracle,arrow:k=2:temperature=0.5,mbc/arrow:k=2:temperature=0.5";
    let arguments =
        ["--library", &other, "--methods", methods, "--csv", csv, "--markdown", markdown, "--latex", latex];
    let result = place.eval(&[&arguments[..], &["--png", png, "--svg", svg]].concat());
    let labels = ["base", "expert", "arrow:k=2:temperature=0.5", "mbc/arrow:k=2:temperature=0.5"];
    assert_eq!(result["methods"], json!(labels));
    for (task, row) in names(&result).iter().zip(result["scores"].as_array().unwrap()) {
        // The same experts give the same scores.
        assert_eq!(row[2], row[3], "{task}");
        assert_eq!(row[1].is_null(), *task == "choice" || *task == "words", "{task}");
    }
    let held_out: Vec<bool> =
        result["tasks"].as_array().unwrap().iter().map(|task| task["held_out"].as_bool().unwrap()).collect();
    assert_eq!(
        (names(&result), held_out),
        (vec!["choice", "match", "secret", "words"], vec![true, false, false, true])
    );
    let leak = &result["leaks"][0];
    assert_eq!((&leak["task"], &leak["expert"]), (&json!("secret"), &json!("expert_2")));
    let groups: Vec<&str> =
        result["means"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!(groups, ["all", "seen", "held out"]);
    let of_arrow = |difference: &&Value| difference["method"] == labels[2] && difference["group"] == "all";
    let difference = result["differences"].as_array().unwrap().iter().find(of_arrow).unwrap();
    let mean = |at: usize| result["means"][0]["scores"][at]["score"].as_f64().unwrap();
    assert!((difference["difference"].as_f64().unwrap() - (mean(2) - mean(0))).abs() < 1e-12);
    assert_eq!(
        (&difference["against"], result["oracle_gaps"][0]["tasks"].as_u64()),
        (&json!("base"), Some(2))
    );
    let text = |path: &str| std::fs::read_to_string(path).unwrap();
    assert!(text(csv).contains("\nmatch,task,,seen,exact_match,24,base,"), "{}", text(csv));
    assert!(text(markdown).starts_with("| task | family | items | base | expert |"), "{}", text(markdown));
    assert!(text(latex).contains("\\begin{tabular}{lrrrrr}"));
    assert!(text(svg).contains("</svg>") && std::fs::read(png).unwrap().starts_with(b"\x89PNG"));
    // Only what nobody was trained on; a task that is known by its hash, whatever its name.
    let only = place.eval(&["--held-out", "--methods", "base", "--limit", "3"]);
    assert_eq!(names(&only), ["choice", "words"]);
    let printed = command(&place, &["--methods", "base,arrow:k=2", "--limit", "4"]).output().unwrap();
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    for part in [
        "choice *",
        " ± ",
        "mean of 4 tasks",
        "* held out: no expert was trained on it",
        "differences to base",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[test]
fn wrong_requests_are_refused_in_a_line() {
    let place = with_tasks(8);
    for (arguments, code, said) in [
        (&["--methods", "mbc/arrow"][..], 2, "there is no library \"mbc\""),
        (&["--library", "/nowhere"], 2, "NAME=PATH"),
        (&["--library", "x=/nowhere"], 1, "/nowhere"),
        (&["--methods", "base", "--against", "arow"], 2, "there is no method to compare with \"arow\""),
        (&["--metric", "rouge"], 2, "possible values: own, exact_match"),
        (&["--metric", "choice"], 1, "item 1 of the test split, by choice"),
        (&["--scoring", "mttl"], 2, "possible values: own, lm-eval, paper"),
        (&["--methods", "base", "--csv", "/nowhere/x.csv"], 1, "/nowhere/x.csv"),
        (&["--routing", "--svg", "x.svg"], 2, "'--routing' cannot be used with '--svg <FILE>'"),
        (&["--methods", "single:nobody"], 2, "no expert is called `nobody`"),
    ] {
        let output = command(&place, arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && stderr.contains(said), "{arguments:?}: {stderr}");
    }
}

#[test]
fn every_task_can_be_scored_by_another_metric() {
    let place = with_tasks(8);
    let own = place.eval(&["--methods", "base,uniform"]);
    let loss = place.eval(&["--methods", "base,uniform", "--metric", "loss"]);
    let again = place.eval(&["--methods", "base,uniform", "--metric", "own"]);
    let names = |report: &serde_json::Value| -> Vec<String> {
        report["tasks"].as_array().unwrap().iter().map(|task| task["task"].to_string()).collect()
    };
    assert_eq!(names(&loss), names(&own));
    assert_eq!(loss["metric"], "loss");
    assert!(loss["tasks"].as_array().unwrap().iter().all(|task| task["metric"] == "loss"));
    assert_ne!(loss["scores"], own["scores"]);
    assert_eq!((&again["tasks"], &again["scores"]), (&own["tasks"], &own["scores"]));
}

#[test]
fn lm_eval_s_rules_take_the_item_as_it_is_and_a_blank_before_the_answer() {
    let place = with_tasks(12);
    let result = place.eval(&["--methods", "base", "--scoring", "lm-eval"]);
    assert_eq!(result["scoring"], "lm-eval");
    let mut session = place.session();
    session.set_router("base".parse().unwrap()).unwrap();
    let mut right = 0;
    for i in 0..12 {
        let prompt = session.prompt(&format!("copy\n{}", input(i)), true).unwrap();
        let sums = [0, 1, 2].map(|c| {
            let text = format!(" w{} w{}", (i + c * 7) % 50, (i * 3 + c) % 50);
            likelihood(&mut session, &prompt, &text).0
        });
        let best = (0..3).max_by(|&a, &b| sums[a].total_cmp(&sums[b])).unwrap();
        right += usize::from(best == i % 3);
    }
    let score = result["scores"][0][0]["score"].as_f64().unwrap();
    assert_eq!((score * 12.0).round() as usize, right);
}
