//! Routers as commands name them, and what these say of them. On the tiny llama, with tasks of its experts' names.

use std::process::{Command, Output};

use serde_json::Value;

use crate::eval::{Place, input, lines};
use crate::support::BINARY;

fn place() -> Place {
    let place = Place::new();
    place.set_end("w1");
    for (e, task) in ["expert_0", "expert_1", "expert_2"].iter().enumerate() {
        let items =
            |from: usize| lines((from..from + 8).map(|i| (input(9 * e + i), format!("w{}", 2 + i % 9))));
        place.write_task(task, "", &items(0), &items(40));
        std::fs::write(place.tasks().join(task).join("validation.jsonl"), items(60)).unwrap();
    }
    place
}

fn run(place: &Place, command: &str, arguments: &[&str]) -> Output {
    let base = place.base.to_str().unwrap();
    let mut process = Command::new(BINARY);
    process.arg(command).arg(place.library()).args(["--base", base]).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(place: &Place, command: &str, arguments: &[&str]) -> (Value, String) {
    let output = run(place, command, &[arguments, &["--json"]].concat());
    (serde_json::from_str(&stdout(&output)).unwrap(), stderr(&output))
}

#[test]
fn what_was_calibrated_with_is_told_once_whatever_router_asked() {
    let place = place();
    let tasks = place.tasks();
    let tasks = tasks.to_str().unwrap();
    for routers in ["uniform,lag:calibrated", "vote:top=0:sharpness=auto,base"] {
        let (found, said) = json(&place, "tune", &["--tasks", tasks, "--limit", "2", "--routers", routers]);
        assert!(found["calibration"]["prompts"].as_u64().unwrap() > 100, "{found}");
        assert_eq!(said.matches("calibrated with").count(), 1, "{said}");
    }
    // The setting may come from the side.
    let arguments =
        ["--tasks", tasks, "--limit", "2", "--router", "arrow:calibrated", "--routers", "lag,base"];
    let (found, said) = json(&place, "tune", &arguments);
    assert!(found["calibration"].is_object(), "{found}");
    assert_eq!(said.matches("calibrated with").count(), 1, "{said}");
    let (found, said) = json(
        &place,
        "compare",
        &["--prompt", "w3 w5 w7", "--routers", "arrow:calibrated,vote:calibrated,base"],
    );
    assert!(found["calibration"].is_object());
    assert_eq!(said.matches("calibrated with").count(), 1, "{said}");
    let (found, said) = json(&place, "compare", &["--prompt", "w3 w5 w7", "--routers", "arrow,base"]);
    assert!(found["calibration"].is_null() && !said.contains("calibrated"), "{said}");
}

#[test]
fn settings_that_contradict_or_do_nothing_are_answered() {
    let place = place();
    let (found, said) =
        json(&place, "route", &["--prompt", "w3 w5", "--router", "arrow:k=2", "--top-k", "3"]);
    assert_eq!((&found["top_k"], &found["settings"]["k"]), (&3.into(), &3.into()));
    assert!(said.contains("--top-k 3 is used instead of k=2"), "{said}");
    let (found, _) = json(&place, "route", &["--prompt", "w3 w5", "--router", "vote"]);
    assert!(found.get("top_k").is_none() && found.get("temperature").is_none(), "{}", found["settings"]);
    let tasks = place.tasks();
    let tasks = tasks.to_str().unwrap();
    for (command, arguments, wanted) in [
        ("compare", &["--prompt", "w3", "--routers", ""][..], "--routers names no router"),
        ("tune", &["--tasks", tasks, "--routers", " , "], "--routers names no router"),
        ("route", &["--prompt", "w3", "--router", "vote:score=norm:tied"], "tied changes nothing"),
        (
            "route",
            &["--prompt", "w3", "--router", "vote:score=norm", "--tie-qkv"],
            "--tie-qkv changes nothing",
        ),
        ("eval", &["--tasks", tasks, "--methods", "vote:sharpness=2"], "sharpness changes nothing"),
    ] {
        let output = run(&place, command, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(wanted), "{arguments:?}: {}", stderr(&output));
    }
    std::fs::write(place.library().join("library.toml"), "[router]\ndefault = \"vote:score=norm:tied\"\n")
        .unwrap();
    let said = stderr(&run(&place, "route", &["--tokens", "3,5"]));
    assert!(said.contains("library.toml: [router] default: vote: tied changes nothing"), "{said}");
}

#[test]
fn what_decided_is_said_for_every_kind_of_router() {
    let place = place();
    let tasks = place.tasks();
    stdout(&run(&place, "calibrate", &["--tasks", tasks.to_str().unwrap()]));
    for (router, wanted, unwanted) in [
        ("base", &["nothing to explain"][..], "module"),
        ("uniform", &["nothing to explain"], "module"),
        ("random:7", &["One expert drawn", "The prompt: nothing of the prompt counts"], "module"),
        ("retrieve", &["cosine with the own prompts", "weight"], "module"),
        ("predictor:calibrated", &["logit of the regression", "calibrated"], "module"),
        ("logo", &["‖ΔW x‖ there"], "module"),
        ("centroid", &["Score at every module: cosine", "runner-up"], "σ₁ share"),
        ("lag", &["norm", "σ₁ share"], "-0.00"),
        ("vote:top=0:sharpness=auto", &["share of the votes", "The prompt: sharpness "], "-0.00"),
        ("arrow:prior=2", &["share of the votes", "Score at every module: |x · prototype|"], "-0.00"),
    ] {
        let text =
            stdout(&run(&place, "route", &["--prompt", "w3 w5 w7 w9", "--router", router, "--why", "2"]));
        for wanted in wanted {
            assert!(text.contains(wanted), "{router}: {wanted}\n{text}");
        }
        assert!(!text.contains(unwanted), "{router}: {unwanted}\n{text}");
    }
    let (found, _) = json(&place, "route", &["--prompt", "w3 w5 w7", "--router", "retrieve", "--why", "1"]);
    let why = &found["why"];
    assert!(why["score"].is_null() && why["modules"].as_array().unwrap().is_empty(), "{why}");
    assert_eq!(why["sequence"]["experts"].as_array().unwrap().len(), 3, "{why}");
}

#[test]
fn what_is_explained_of_a_gain_follows_from_the_gain() {
    let place = place();
    let arguments = ["--prompt", "w3 w5 w7", "--answer", "w9 w4", "--router", "arrow:k=2"];
    let (found, _) = json(&place, "attribute", &arguments);
    let number = |value: &Value| value.as_f64().unwrap();
    let gain = number(&found["log_probability"]) - number(&found["base_log_probability"]);
    assert!((number(&found["gain"]) - gain).abs() < 1e-9, "{found}");
    let experts = found["experts"].as_array().unwrap();
    let noise = experts.iter().map(|e| (number(&e["control"]) - number(&e["effect"])).abs()).sum::<f64>();
    let noise = (noise / experts.len() as f64).max(0.01);
    assert!((number(&found["noise"]) - noise).abs() < 1e-9, "{found}");
    let effects: f64 = experts.iter().map(|e| number(&e["effect"])).sum();
    match found["explained"].as_f64() {
        Some(share) => assert!(gain.abs() > noise && (share - effects / gain).abs() < 1e-6, "{found}"),
        None => assert!(gain.abs() <= noise, "{found}"),
    }
}
