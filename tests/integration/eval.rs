//! Methods × tasks on a tiny model, beside what one prompt at a time gives.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::Command;

use lora_tui::Cancel;
use lora_tui::catalog::Catalog;
use lora_tui::routing::{GenerateOptions, RouterConfig, Session};
use serde_json::{Value, json};

use crate::support::BINARY;
use crate::support::models::{Fixture, cpu};

/// Items of a task.
const ITEMS: usize = 18;
/// Tokens that an answer has at most.
const LONGEST: usize = 12;
/// What is asked of each of them, from the right answers of which the references are taken.
const ROUTERS: [&str; 3] = ["base", "single:expert_1", "arrow:k=2:temperature=0.5"];

/// The tiny llama with its experts as a library, and tasks beside it.
pub(crate) struct Place {
    pub dir: tempfile::TempDir,
    pub base: PathBuf,
}

/// The input of an item.
pub(crate) fn input(i: usize) -> String {
    format!("w{} w{}", (i * 7 + 3) % 50, (i * 11 + 5) % 50)
}

pub(crate) fn lines(items: impl Iterator<Item = (String, String)>) -> String {
    let line = |(input, output): (String, String)| {
        json!({ "instruction": "copy", "input": input, "output": output }).to_string() + "\n"
    };
    items.map(line).collect()
}

impl Place {
    pub(crate) fn new() -> Self {
        let fixture = Fixture::open("llama");
        let place = Self { dir: tempfile::tempdir().unwrap(), base: fixture.base() };
        for expert in ["expert_0", "expert_1", "expert_2"] {
            let to = place.library().join(expert);
            std::fs::create_dir_all(&to).unwrap();
            for entry in std::fs::read_dir(fixture.folder.join("experts").join(expert)).unwrap() {
                let from = entry.unwrap().path();
                std::fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
            }
        }
        place
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.dir.path().join("library")
    }

    pub(crate) fn tasks(&self) -> PathBuf {
        self.dir.path().join("tasks")
    }

    /// Writes `library.toml` with a token that ends answers.
    pub(crate) fn set_end(&self, end: &str) {
        let manifest = format!(
            "[template]\nprompt = \"{{instruction}} {{input}} =\"\nend = \"{end}\"\n[router]\ntop_k = 2\ntemperature = 0.5\n"
        );
        std::fs::write(self.library().join("library.toml"), manifest).unwrap();
    }

    /// Writes a task; `more` is the rest of its `task.toml`.
    pub(crate) fn write_task(&self, id: &str, more: &str, train: &str, test: &str) {
        let folder = self.tasks().join(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("train.jsonl"), train).unwrap();
        std::fs::write(folder.join("test.jsonl"), test).unwrap();
        std::fs::write(folder.join("task.toml"), format!("id = \"{id}\"\n{more}")).unwrap();
    }

    pub(crate) fn session(&self) -> Session {
        let library = Catalog::open(&self.library(), Some(&self.base)).unwrap();
        Session::open(&library, &self.base, &cpu(), &mut |_| {}, &Cancel::new()).unwrap()
    }

    pub(crate) fn eval(&self, arguments: &[&str]) -> Value {
        let paths = [self.library(), self.base.clone(), self.tasks()];
        let [library, base, tasks] = paths.each_ref().map(|path| path.to_str().unwrap());
        let output = Command::new(BINARY)
            .args(["eval", library, "--base", base, "--tasks", tasks, "--json"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Greedy answers to all items, one at a time, with the text form of a router.
fn answers(session: &mut Session, router: &str, max_tokens: usize) -> Vec<String> {
    session.set_router(router.parse::<RouterConfig>().unwrap()).unwrap();
    let options = GenerateOptions { max_tokens, seed: 0, temperature: 0.0 };
    (0..ITEMS)
        .map(|i| {
            let prompt = session.prompt_of("copy", &input(i)).unwrap();
            let on_token = &mut |_: &_, _: &str| std::ops::ControlFlow::Continue(());
            session.generate_tokens(&prompt, &options, &Cancel::new(), on_token).unwrap()
        })
        .collect()
}

/// A word that ends answers of every router: the one that comes, but not first, in most of those that
/// references are taken from, where it comes least.
fn common_word(answers: &[Vec<String>]) -> String {
    let mut counts: HashMap<&str, [usize; 3]> = HashMap::new();
    for (router, answers) in answers.iter().enumerate() {
        for answer in answers.iter().skip(router).step_by(ROUTERS.len()) {
            let words: Vec<&str> = answer.split_whitespace().collect();
            let later: HashSet<&str> =
                words.iter().skip(1).copied().filter(|word| *word != words[0]).collect();
            later.into_iter().for_each(|word| counts.entry(word).or_default()[router] += 1);
        }
    }
    let least = |counts: &[usize; 3]| (counts.iter().min().copied(), counts.iter().sum::<usize>());
    let (word, _) = counts.iter().max_by_key(|(word, counts)| (least(counts), **word)).expect("words came");
    (*word).to_string()
}

/// A place whose references are answers of three routers in turn, with those answers by router.
fn with_references() -> (Place, HashMap<&'static str, Vec<String>>) {
    let place = Place::new();
    place.set_end("<end>");
    let mut session = place.session();
    let open_ended: Vec<Vec<String>> =
        ROUTERS.iter().map(|router| answers(&mut session, router, LONGEST)).collect();
    place.set_end(&common_word(&open_ended));
    let mut session = place.session();
    let short: Vec<Vec<String>> =
        ROUTERS.iter().map(|router| answers(&mut session, router, LONGEST)).collect();
    let reference = |i: usize| {
        let answer = &short[i % ROUTERS.len()][i];
        if answer.is_empty() { "nothing".to_string() } else { answer.clone() }
    };
    let references: Vec<String> = (0..ITEMS).map(reference).collect();
    let test = lines((0..ITEMS).map(|i| (input(i), references[i].clone())));
    place.write_task("expert_1", "family = \"words\"\n", &test, &test);
    // What the command allows: the longest reference and eight tokens more.
    let longest = references.iter().map(|r| r.split_whitespace().count()).max().unwrap();
    let full = ROUTERS.iter().map(|router| (*router, answers(&mut session, router, longest + 8))).collect();
    (place, full)
}

/// The references of a task as its file has them.
fn references(place: &Place, task: &str) -> Vec<String> {
    let text = std::fs::read_to_string(place.tasks().join(task).join("test.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["output"].as_str().unwrap().to_string())
        .collect()
}

/// Names of the tasks of a result.
pub(crate) fn names(result: &Value) -> Vec<&str> {
    result["tasks"].as_array().unwrap().iter().map(|task| task["task"].as_str().unwrap()).collect()
}

fn share(answers: &[String], references: &[String]) -> f64 {
    let right = answers.iter().zip(references).filter(|(a, r)| a.trim() == r.trim()).count();
    right as f64 / references.len() as f64
}

#[test]
fn scores_are_those_of_answers_one_at_a_time() {
    let (place, answers) = with_references();
    let labels = ["w1", "w2", "W2.", "w3"].iter().map(|label| (input(0), (*label).to_string()));
    let train = lines(["w2", "w1", "w2"].iter().map(|label| (input(1), (*label).to_string())));
    let options = "metric = \"accuracy\"\noptions = [\"w1\", \"w2\", \"w3\"]\n";
    place.write_task("labels", options, &train, &lines(labels));
    let result = place
        .eval(&["--methods", "majority,expert,base,arrow,single:expert_1,base-chat,arrow:k=1:temperature=2"]);
    assert_eq!(
        result["methods"],
        json!([
            "majority",
            "expert",
            "base",
            "arrow",
            "single:expert_1",
            "base-chat",
            "arrow:k=1:temperature=2"
        ])
    );
    assert_eq!((names(&result), &result["split"]), (vec!["expert_1", "labels"], &json!("test")));
    let wanted = references(&place, "expert_1");
    let of = |router: &str| share(&answers[router], &wanted);
    let own = of("single:expert_1");
    let row = &result["scores"][0];
    for (at, expected) in [(1, own), (2, of("base")), (3, of("arrow:k=2:temperature=0.5")), (4, own)] {
        let score = row[at]["score"].as_f64().unwrap();
        assert!((score - expected).abs() < 1e-12, "{}: {score}, not {expected}", result["methods"][at]);
    }
    // References come from all three, so that each is right somewhere and none everywhere.
    assert!(own > 0.0 && of("base") > 0.0 && own < 1.0, "{own} {}", of("base"));
    // No labels, so that no majority; no chat template.
    assert_eq!((&row[0], &row[5]), (&Value::Null, &Value::Null));
    // The most frequent training label is w2, which two of the four test items have, one in another form.
    let labels = &result["scores"][1];
    assert_eq!((&labels[0]["score"], &labels[1]), (&json!(0.5), &Value::Null), "no expert of the task");
    let limited = place.eval(&["--methods", "base", "--limit", "3"]);
    let three = share(&answers["base"][..3], &wanted[..3]);
    // The longest of fewer references allows fewer tokens, which changes no answer that ended.
    assert_eq!(limited["scores"][0][0]["score"].as_f64().unwrap(), three);
}

/// Log-probabilities of the tokens of an answer after a prompt, summed, with their number.
pub(crate) fn likelihood(
    session: &mut Session,
    prompt: &lora_tui::routing::Prompt,
    answer: &str,
) -> (f64, usize) {
    let tokens = session.model().tokenizer().unwrap().encode(answer).unwrap();
    let (logits, _) = session.logits(&prompt.clone().answered(&tokens), &Cancel::new()).unwrap();
    let rows: Vec<Vec<f32>> = logits.to_vec2().unwrap();
    let of = |(i, token): (usize, &u32)| {
        let row = &rows[prompt.ids.len() - 1 + i];
        let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        f64::from(row[*token as usize]) - sum.ln()
    };
    (tokens.iter().enumerate().map(of).sum(), tokens.len())
}

#[test]
fn choices_and_losses_are_those_of_the_logits() {
    let place = Place::new();
    place.set_end("w7");
    let choices = |i: usize| {
        [0, 1, 2, 3]
            .map(|c| (0..=c).map(|k| format!("w{}", (i * 13 + c * 5 + k) % 50)).collect::<Vec<_>>().join(" "))
    };
    let item = |i: usize, more: Value| {
        let mut line = json!({ "instruction": "copy", "input": input(i) });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        line.to_string() + "\n"
    };
    let chosen: String =
        (0..ITEMS).map(|i| item(i, json!({ "choices": choices(i), "answer": i % 4 }))).collect();
    let told: String = (0..ITEMS)
        .map(|i| item(i, json!({ "output": choices(i)[0], "references": [choices(i)[1]] })))
        .collect();
    let folder = |name: &str| place.tasks().join(name);
    for (name, text) in [("choice", &chosen), ("choice_norm", &chosen), ("loss", &told)] {
        std::fs::create_dir_all(folder(name)).unwrap();
        std::fs::write(folder(name).join("test.jsonl"), text).unwrap();
        std::fs::write(folder(name).join("task.toml"), format!("metric = \"{name}\"\nheld_out = true\n"))
            .unwrap();
    }
    let methods = ["base", "arrow:k=2:temperature=0.5"];
    let result = place.eval(&["--methods", &methods.join(",")]);
    assert_eq!(names(&result), ["choice", "choice_norm", "loss"]);
    assert_eq!(result["metrics"], json!(["choice", "choice_norm", "loss"]));
    let mut session = place.session();
    for (at, method) in methods.iter().enumerate() {
        session.set_router(method.parse().unwrap()).unwrap();
        let (mut right, mut right_norm, mut loss) = (0, 0, 0.0);
        for i in 0..ITEMS {
            let prompt = session.prompt_of("copy", &input(i)).unwrap();
            let texts = choices(i);
            let sums = texts.each_ref().map(|text| likelihood(&mut session, &prompt, text).0);
            let best = |values: [f64; 4]| (0..4).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
            right += usize::from(best(sums) == i % 4);
            let lengths = texts.each_ref().map(|text| text.len() as f64);
            right_norm += usize::from(best([0, 1, 2, 3].map(|c| sums[c] / lengths[c])) == i % 4);
            let ended = [0, 1].map(|c| likelihood(&mut session, &prompt, &format!("{}w7", texts[c])));
            loss +=
                ended.map(|(sum, tokens)| -sum / tokens as f64).iter().copied().fold(f64::INFINITY, f64::min);
        }
        let score = |task: usize| result["scores"][task][at]["score"].as_f64().unwrap();
        assert_eq!((score(0) * ITEMS as f64).round() as usize, right, "{method}");
        assert_eq!((score(1) * ITEMS as f64).round() as usize, right_norm, "{method}");
        assert!((score(2) - loss / ITEMS as f64).abs() < 1e-4, "{method}: {}", score(2));
    }
    // An output is among the options, if nothing else says what is right.
    std::fs::write(folder("choice").join("test.jsonl"), told).unwrap();
    let output = Command::new(BINARY)
        .args(["eval".as_ref(), place.library().as_os_str(), "--tasks".as_ref(), place.tasks().as_os_str()])
        .args(["--base".as_ref(), place.base.as_os_str()])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1) && stderr.contains("choice/test.jsonl: line 1: has no \"choices\""),
        "{stderr}"
    );
}

#[test]
fn legibility_counts_the_heaviest_expert_of_every_token_and_module() {
    let (place, _) = with_references();
    let result = place.eval(&["--routing", "--limit", "4"]);
    let mut session = place.session();
    session.set_router("arrow:k=2:temperature=0.5".parse().unwrap()).unwrap();
    let (mut wins, mut own_first_layer, mut first_layer) = ([0usize; 3], 0usize, 0usize);
    for i in 0..4 {
        let prompt = session.prompt_of("copy", &input(i)).unwrap();
        let trace = session.route_tokens(&prompt, &Cancel::new()).unwrap();
        for t in (0..trace.tokens.len()).filter(|&t| trace.counts(t)) {
            for (m, module) in trace.modules.iter().enumerate() {
                let weights = trace.weights(t, m);
                let Some((winner, _)) = weights.iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
                wins[*winner as usize] += 1;
                if module.contains(".0.") {
                    first_layer += 1;
                    own_first_layer += usize::from(*winner == 1);
                }
            }
        }
    }
    let all: usize = wins.iter().sum();
    let task = &result["tasks"][0];
    assert_eq!(
        (&task["task"], &task["own"], &task["family"]),
        (&json!("expert_1"), &json!(1), &json!("words"))
    );
    assert_eq!(result["prompts"], 4);
    for (e, wins) in wins.iter().enumerate() {
        let won = task["won"][e].as_f64().unwrap();
        assert!((won - *wins as f64 / all as f64).abs() < 1e-12, "{e}: {won}");
    }
    let layer = task["own_by_layer"][0].as_f64().unwrap();
    assert!((layer - own_first_layer as f64 / first_layer as f64).abs() < 1e-12, "{layer}");
}

#[test]
fn a_chat_template_that_fails_costs_its_own_column() {
    let (mut place, answers) = with_references();
    let base = place.dir.path().join("base");
    std::fs::create_dir(&base).unwrap();
    for entry in std::fs::read_dir(&place.base).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, base.join(from.file_name().unwrap())).unwrap();
    }
    std::fs::write(base.join("chat_template.jinja"), "{{ raise_exception('only for tools') }}").unwrap();
    place.base = base.clone();
    let result = place.eval(&["--methods", "base-chat,base"]);
    assert_eq!(result["scores"][0][0], Value::Null);
    let wanted = share(&answers["base"], &references(&place, "expert_1"));
    assert_eq!(result["scores"][0][1]["score"].as_f64().unwrap(), wanted);
    let reason = "the model's chat template fails: only for tools";
    assert_eq!(result["failed"], json!([{ "method": "base-chat", "reason": reason }]));
    // One that transformers renders is a column of its own.
    let source = "{% for m in messages %}{{ '%s' % m.content }}{% endfor %} =";
    std::fs::write(base.join("chat_template.jinja"), source).unwrap();
    let result = place.eval(&["--methods", "base-chat"]);
    assert!(result["scores"][0][0]["score"].is_number() && result["failed"] == json!([]), "{result}");
}

#[test]
fn unknown_methods_are_refused_by_name() {
    let place = Place::new();
    place.set_end("<end>");
    std::fs::create_dir_all(place.tasks()).unwrap();
    place.write_task("t", "", &lines([(input(0), "w1".into())].into_iter()), "");
    for (methods, said) in [
        ("arrow,experts", "there is no method \"experts\"; did you mean expert?"),
        ("arrow:kk=1", "arrow has no setting \"kk\"; did you mean k?"),
    ] {
        let output = Command::new(BINARY)
            .arg("eval")
            .arg(place.library())
            .arg("--tasks")
            .arg(place.tasks())
            .args(["--methods", methods, "--base"])
            .arg(&place.base)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && stderr.contains(said), "{stderr}");
    }
}

#[test]
fn what_cannot_be_written_is_said_before_and_what_is_cut_afterwards() {
    let place = Place::new();
    place.set_end("w7");
    let long: Vec<String> = (0..6000).map(|i| format!("w{}", i % 50)).collect();
    let test = [(long.join(" "), "w1".to_string()), (input(1), "w2".to_string())];
    place.write_task(
        "long",
        "metric = \"loss\"\n",
        &lines([(input(0), input(1))].into_iter()),
        &lines(test.into_iter()),
    );
    let eval = |more: &[&str]| {
        let mut command = Command::new(BINARY);
        command.arg("eval").arg(place.library()).arg("--tasks").arg(place.tasks());
        command.arg("--base").arg(&place.base).args(["--methods", "base"]).args(more);
        let output = command.output().unwrap();
        (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let table = place.dir.path().join("none/table.csv");
    let (code, _, stderr) = eval(&["--csv", &table.to_string_lossy()]);
    assert!(code == Some(1) && stderr.contains("its folder does not exist"), "{stderr}");
    assert!(!place.library().join(".lora-tui/results").exists());
    let svg = place.dir.path().join("table.svg");
    let (code, stdout, stderr) = eval(&["--json", "--svg", &svg.to_string_lossy()]);
    let found: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!((code, &found["cut"]), (Some(0), &json!(1)), "{stderr}");
    assert!(stderr.contains("1 request was longer than the base model's context"), "{stderr}");
    let drawn = std::fs::read_to_string(svg).unwrap();
    assert!(drawn.contains("long") && drawn.contains("nats"), "{drawn}");
}
