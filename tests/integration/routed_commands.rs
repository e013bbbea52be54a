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
    for (routers, what) in [
        ("uniform,lag:calibrated", "calibrated with"),
        // Its scores are not calibrated.
        ("vote:top=0:sharpness=auto,base", "sharpness found with"),
    ] {
        let (found, said) = json(&place, "tune", &["--tasks", tasks, "--limit", "2", "--routers", routers]);
        assert!(found["calibration"]["prompts"].as_u64().unwrap() > 100, "{found}");
        assert_eq!(said.matches(what).count(), 1, "{said}");
        assert_eq!(said.matches("calibrated with").count(), usize::from(what == "calibrated with"), "{said}");
    }
    // What was used for which of several is said of each.
    let methods = ["base", "lag:calibrated", "vote:top=0:sharpness=auto"].join(",");
    let (found, said) = json(&place, "eval", &["--tasks", tasks, "--limit", "2", "--methods", &methods]);
    let used = &found["calibration"];
    let source = used["source"].as_str().unwrap();
    assert_eq!(used["scores"], serde_json::json!(["lag:calibrated"]), "{used}");
    assert_eq!(used["sharpness"], serde_json::json!(["vote:top=0:sharpness=auto"]), "{used}");
    for line in [
        format!("calibrated with {source}: lag:calibrated"),
        format!("sharpness found with {source}: vote:top=0:sharpness=auto"),
    ] {
        assert_eq!(said.lines().filter(|said| **said == line).count(), 1, "{said}");
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
    let (_, said) = json(&place, "route", &["--prompt", "w3 w5", "--router", "arrow:k=9"]);
    assert!(said.contains("k=9 is more than the library has: all 3 experts of it may be chosen"), "{said}");
    // The default of a router is nobody's mistake.
    let (_, said) = json(&place, "route", &["--prompt", "w3 w5", "--router", "logo"]);
    assert!(!said.contains("more than the library has"), "{said}");
    let (found, _) = json(&place, "route", &["--prompt", "w3 w5", "--router", "vote"]);
    assert!(found.get("top_k").is_none() && found.get("temperature").is_none(), "{}", found["settings"]);
    let tasks = place.tasks();
    let tasks = tasks.to_str().unwrap();
    for (command, arguments, wanted) in [
        ("compare", &["--prompt", "w3", "--routers", ""][..], "--routers names no router"),
        (
            "compare",
            &["--prompt", "w3", "--routers", "lag,base", "--router", "arrow"],
            "--router arrow changes nothing",
        ),
        (
            "eval",
            &["--tasks", tasks, "--methods", "lag", "--router", "arrow"],
            "--router arrow changes nothing",
        ),
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
    std::fs::write(place.library().join("library.toml"), "[router]\ndefault = \"single:nope\"\n").unwrap();
    let said = stderr(&run(&place, "route", &["--tokens", "3,5"]));
    assert!(said.contains("library.toml: [router] default: ") && said.contains("called `nope`"), "{said}");
    let said = stderr(&run(&place, "route", &["--tokens", "3,5", "--router", "single:nope"]));
    assert!(!said.contains("library.toml") && said.contains("called `nope`"), "{said}");
}

#[test]
fn an_empty_answer_is_said_to_be_empty() {
    let place = place();
    let output = run(&place, "generate", &["--prompt", "w3", "--max-tokens", "0"]);
    assert_eq!(stdout(&output), "\n");
    assert!(stderr(&output).contains("the answer is empty: no token was asked for"), "{}", stderr(&output));
}

#[test]
fn what_decided_is_said_for_every_kind_of_router() {
    let place = place();
    let tasks = place.tasks();
    let calibrated = run(&place, "calibrate", &["--tasks", tasks.to_str().unwrap()]);
    stdout(&calibrated);
    let said = stderr(&calibrated);
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("for the base model in ")).collect();
    assert_eq!(lines, ["for the base model in q8:", "for the base model in f32:"], "{said}");
    for (router, wanted, unwanted) in [
        ("base", &["nothing to explain"][..], "module"),
        ("uniform", &["nothing to explain"], "module"),
        ("random:7", &["The prompt: nothing of the prompt counts", "drawn at random"], "module"),
        ("retrieve", &["cosine with the own prompts", "weight"], "module"),
        ("predictor:calibrated", &["logit of the regression", "calibrated"], "module"),
        ("logo", &["‖ΔW x‖ there"], "module"),
        ("centroid", &["Score at every module: cosine", "runner-up"], "σ₁ share"),
        ("lag", &["norm", "σ₁ share"], "calibrated"),
        ("lag:calibrated", &["norm, calibrated", "σ₁ share"], "-0.00"),
        (
            "vote:top=0:sharpness=auto",
            &["share of the votes", "The prompt: the first expert ", "sharpness "],
            "-0.00",
        ),
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
    assert!(why["sequence"]["lead"].is_null() && why["sequence"]["drawn"] == false, "{why}");
    for (router, drawn) in [("vote", false), ("random:7", true)] {
        let (found, _) = json(&place, "route", &["--prompt", "w3 w5 w7", "--router", router, "--why", "1"]);
        let sequence = &found["why"]["sequence"];
        let lead = sequence["lead"].as_str();
        assert_eq!(
            lead.is_some_and(|lead| ["just", "leads", "decides"].contains(&lead)),
            !drawn,
            "{sequence}"
        );
        assert_eq!(sequence["drawn"], drawn, "{sequence}");
    }
}

#[test]
fn lists_say_what_whoever_read_the_weights_found() {
    let place = place();
    let weights = place.library().join("expert_1/adapter_model.safetensors");
    let sound = std::fs::read(&weights).unwrap();
    let mut bytes = sound.clone();
    let end = bytes.len();
    // Of whatever type of floats the last one is, it is no number.
    bytes[end - 4..].fill(0xff);
    std::fs::write(&weights, &bytes).unwrap();
    let row = || -> Value {
        let listed: Value = serde_json::from_str(&stdout(&run(&place, "ls", &["--json"]))).unwrap();
        listed["experts"][1].clone()
    };
    assert_eq!(
        (&row()["name"], &row()["status"]),
        (&"expert_1".into(), &"ok".into()),
        "nobody has read them"
    );
    // What was written a moment ago is not known again: it may change within the same tick of the disk's clock.
    let mut status = row();
    for _ in 0..100 {
        let output = run(&place, "route", &["--tokens", "3,5"]);
        assert!(stderr(&output).contains("expert_1"), "{}", stderr(&output));
        status = row();
        if status["status"] == "bad" {
            break;
        }
    }
    assert_eq!(status["status"], "bad");
    let reason = status["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("adapter_model.safetensors ") && reason.contains("NaN or infinite"),
        "{reason}"
    );
    assert!(stdout(&run(&place, "ls", &[])).contains(", 1 bad"));
    // Routers leave it out as before, with the same reason, and so do comparisons.
    let said = stderr(&run(&place, "route", &["--tokens", "3,5"]));
    assert!(said.contains("expert_1") && said.contains("NaN or infinite"), "{said}");
    // Another file is another expert.
    std::fs::write(&weights, &sound).unwrap();
    assert_eq!(row()["status"], "ok");
}

#[test]
fn a_calibration_token_that_there_is_not_is_named_with_its_line() {
    let place = place();
    let prompts = place.library().with_file_name("prompts.jsonl");
    std::fs::write(&prompts, "{\"tokens\": [3, 5]}\n\n{\"tokens\": [4, 99999]}\n").unwrap();
    let output = run(&place, "calibrate", &["--prompts", prompts.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("prompts.jsonl: line 3: token id 99999 is out of range"), "{said}");
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
    // The table has changes: what helps the answer is below 0 there, and above 0 in JSON.
    let text = stdout(&run(&place, "attribute", &arguments));
    let mut lines = text.lines().skip_while(|line| !line.contains("by how much log p changes"));
    let change =
        lines.nth(2).and_then(|line| line.split_whitespace().find(|cell| cell.starts_with(['-', '+'])));
    assert_eq!(change, Some(format!("{:+.2}", -number(&experts[0]["effect"])).as_str()), "{text}");
    match found["explained"].as_f64() {
        Some(share) => assert!(gain.abs() > noise && (share - effects / gain).abs() < 1e-6, "{found}"),
        None => assert!(gain.abs() <= noise, "{found}"),
    }
}

#[test]
fn an_answer_can_be_attributed_under_routers_that_decide_by_another_score() {
    let place = place();
    for router in ["lag", "lag:calibrated", "lag:tied", "lag:k=1", "arrow:k=2"] {
        let (found, _) =
            json(&place, "attribute", &["--prompt", "w3 w5 w7", "--answer", "w9 w4", "--router", router]);
        assert!(!found["experts"].as_array().unwrap().is_empty(), "{router}: {found}");
        // What it was calibrated with is part of the result.
        assert_eq!(found["calibration"]["prompts"].is_u64(), router.ends_with(":calibrated"), "{found}");
    }
    let (found, _) = json(&place, "route", &["--prompt", "w3 w5 w7", "--router", "lag", "--why", "1"]);
    let text = found["why"].to_string();
    assert!(text.contains(r#""weight":0.0"#) && !text.contains("-0.0,"), "{text}");
}

#[test]
fn what_is_measured_says_who_took_part_and_under_which_router() {
    let place = place();
    let tasks = place.tasks();
    let tasks = tasks.to_str().unwrap();
    let (found, _) =
        json(&place, "generate", &["--prompt", "w3", "--router", "lag:k=2", "--mute", "expert_1"]);
    assert_eq!((&found["router"], &found["settings"]["k"]), (&"lag".into(), &2.into()), "{found}");
    assert_eq!(found["taking_part"]["muted"], serde_json::json!(["expert_1"]), "{found}");
    for (command, arguments) in [
        ("route", &["--prompt", "w3", "--pin", "expert_2"][..]),
        ("compare", &["--prompt", "w3", "--routers", "arrow,lag", "--pin", "expert_2"]),
        ("attribute", &["--prompt", "w3", "--answer", "w4", "--pin", "expert_2"]),
        ("tune", &["--tasks", tasks, "--limit", "2", "--routers", "arrow", "--pin", "expert_2"]),
    ] {
        let (found, _) = json(&place, command, arguments);
        assert_eq!(found["taking_part"]["pinned"], serde_json::json!(["expert_2"]), "{command}: {found}");
    }
    let eval = ["--tasks", tasks, "--methods", "arrow", "--limit", "2", "--mute", "expert_1"];
    let (found, _) = json(&place, "eval", &eval);
    assert_eq!(found["muted"], serde_json::json!(["expert_1"]), "{found}");
    let text = stdout(&run(&place, "eval", &eval));
    assert!(text.lines().any(|line| line == "muted: expert_1"), "{text}");
}

#[test]
fn a_router_is_tried_once_and_what_is_first_by_chance_is_not_praised() {
    let place = place();
    let tasks = place.tasks();
    let tasks = tasks.to_str().unwrap();
    let manifest = place.library().join("library.toml");
    let before = std::fs::read_to_string(&manifest).unwrap_or_default();
    let (found, said) = json(
        &place,
        "tune",
        &["--tasks", tasks, "--limit", "2", "--routers", "arrow,arrow,arrow:mix=outputs,base"],
    );
    assert_eq!(found["routers"].as_array().unwrap().len(), 2, "{found}");
    assert!(said.contains("arrow is named twice"), "{said}");
    assert!(said.contains("arrow:mix=outputs is left out: it does the same as arrow"), "{said}");
    let (found, _) = json(&place, "compare", &["--prompt", "w3", "--routers", "arrow,arrow"]);
    assert_eq!(found["routers"].as_array().unwrap().len(), 1, "{found}");
    let text = stdout(&run(&place, "tune", &["--tasks", tasks, "--limit", "2", "--routers", "arrow"]));
    assert!(
        text.contains("is the only one: ") && !text.contains("best one") && !text.contains("-0.0"),
        "{text}"
    );
    // Nothing is right here, so that nothing is worth writing down.
    let arguments = ["--tasks", tasks, "--limit", "2", "--routers", "base,arrow", "--write"];
    let (found, _) = json(&place, "tune", &arguments);
    assert_eq!(found["routers"][0]["exact_match"], 0.0, "{found}");
    assert_eq!(
        (&found["written"], &found["not_written"]),
        (&false.into(), &"no router gave a right answer".into())
    );
    assert!(stderr(&run(&place, "tune", &arguments)).contains("library.toml stays as it is: no router gave"));
    assert_eq!(std::fs::read_to_string(&manifest).unwrap_or_default(), before);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_loaded() {
    let place = place();
    let tasks = place.tasks();
    let tasks = tasks.to_str().unwrap();
    let all = "expert_0,expert_1,expert_2";
    // There is no such device: whoever is refused for another reason was refused before the base model is loaded.
    let refused = |command: &str, arguments: &[&str]| {
        let output = run(&place, command, &[arguments, &["--device", "cuda:99"]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    };
    for (command, arguments, wanted) in [
        ("compare", &["--prompt", "w3", "--routers", "arrow,oracle"][..], "it works in eval --methods"),
        ("tune", &["--tasks", tasks, "--routers", "oracle"], "it works in eval --methods"),
        ("route", &["--prompt", "w3", "--router", "single:expert_9"], "did you mean expert_0"),
        ("route", &["--prompt", "w3", "--mute", "expert_9"], "did you mean expert_0"),
        (
            "compare",
            &["--prompt", "w3", "--routers", "arrow,retrieve"],
            "the training prompts of expert_0, expert_1 and expert_2 are not known",
        ),
        (
            "route",
            &["--prompt", "w3", "--router", "phatgoose"],
            "name their tasks with calibrate --tasks DIR",
        ),
        ("compare", &["--prompt", " ", "--routers", "arrow"], "the prompt is empty"),
        ("route", &["--prompt", "w3", "--router", "vote", "--mute", all], "every expert is muted"),
        ("compare", &["--prompt", "w3", "--routers", "arrow,vote", "--mute", all], "every expert is muted"),
        ("tune", &["--tasks", tasks, "--routers", "arrow,vote", "--mute", all], "every expert is muted"),
        ("eval", &["--tasks", tasks, "--methods", "base,arrow", "--mute", all], "every expert is muted"),
        ("eval", &["--tasks", tasks, "--methods", "base,single:expert_9"], "did you mean expert_0"),
        (
            "route",
            &["--prompt", "w3", "--router", "arrow", "--mute", "expert_0", "--pin", "expert_0"],
            "expert_0 cannot be pinned",
        ),
        ("attribute", &["--prompt", "w3", "--router", "base"], "no experts to take out"),
        ("attribute", &["--prompt", "w3", "--answer", ""], "--answer is empty"),
        ("compare", &["--prompt", "w3", "--routers", "arrow", "--reference", ""], "--reference is empty"),
        (
            "tune",
            &["--tasks", tasks, "--write", "--mute", "expert_1"],
            "--write and --mute do not go together",
        ),
    ] {
        let said = refused(command, arguments);
        assert!(said.contains(wanted), "{arguments:?}: {said}");
    }
}

#[test]
fn a_calibration_is_there_for_all_that_use_one_and_says_what_became_of_a_choice() {
    let place = place();
    let prompts = place.library().parent().unwrap().join("prompts.jsonl");
    std::fs::write(&prompts, "{\"prompt\": \"w3 w5 w7\"}\n{\"prompt\": \"w4 w6\"}\n").unwrap();
    let (found, said) = json(&place, "calibrate", &["--prompts", prompts.to_str().unwrap()]);
    assert_eq!(found["precisions"], serde_json::json!(["f32", "q8"]), "{found}");
    assert_eq!(found["precision"], "f32");
    assert!(
        said.contains("of expert_0, expert_1 and expert_2 are not known") && !said.contains("another router"),
        "{said}"
    );
    let kept = || std::fs::read_dir(place.library().join(".lora-tui/cache/calibration")).unwrap().count();
    assert_eq!(kept(), 2);
    for (command, more) in [("generate", &[][..]), ("route", &[]), ("route", &["--precision", "q8"])] {
        let arguments = [&["--prompt", "w3 w5", "--router", "arrow:calibrated"], more].concat();
        let said = stderr(&run(&place, command, &arguments));
        assert!(said.contains("calibrated with 2 prompts of") && !said.contains("calibrating"), "{said}");
    }
    assert_eq!(kept(), 2, "nothing was measured again");
    std::fs::remove_file(&prompts).unwrap();
    let said = stderr(&run(&place, "generate", &["--prompt", "w3 w5", "--router", "arrow:calibrated"]));
    assert!(
        said.contains("general prompts of this program, as ") && said.contains("which was chosen, is gone"),
        "{said}"
    );
    // Where nobody watches a terminal, what takes time is said when it begins.
    assert!(said.contains("calibrating with ") && said.contains("kept once it is done"), "{said}");
}

#[test]
fn experts_without_data_are_named_before_anything_is_loaded_and_can_be_left_out() {
    let place = place();
    std::fs::remove_dir_all(place.tasks().join("expert_1")).unwrap();
    let manifest = place.library().join("library.toml");
    let text = std::fs::read_to_string(&manifest).unwrap() + "[calibration]\ntasks = \"../tasks\"\n";
    std::fs::write(&manifest, text).unwrap();
    let tasks = place.tasks();
    let tasks = tasks.to_str().unwrap();
    let commands: [(&str, &[&str]); 6] = [
        ("route", &["--prompt", "w3", "--router", "centroid"]),
        ("generate", &["--prompt", "w3", "--router", "vote:score=centroid"]),
        ("attribute", &["--prompt", "w3", "--router", "retrieve"]),
        ("compare", &["--prompt", "w3", "--routers", "arrow,predictor"]),
        ("tune", &["--tasks", tasks, "--routers", "arrow,phatgoose"]),
        ("eval", &["--tasks", tasks, "--methods", "base,retrieve"]),
    ];
    for (command, arguments) in commands {
        // There is no such device: what is refused for another reason is refused before it is asked for.
        let with =
            |more: &[&str]| run(&place, command, &[arguments, &["--device", "cuda:99"], more].concat());
        let refused = with(&[]);
        let said = stderr(&refused);
        assert_eq!(refused.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("the training prompts of expert_1 are not known")
                && said.trim_end().ends_with("or leave the experts out with --mute"),
            "{command}: {said}"
        );
        let said = stderr(&with(&["--mute", "expert_1"]));
        assert!(!said.contains("not known") && said.contains("cuda"), "{command}: {said}");
    }
    let (found, _) =
        json(&place, "route", &["--prompt", "w3 w5", "--router", "centroid:k=0", "--mute", "expert_1"]);
    assert_eq!(found["experts"].as_array().unwrap().len(), 3);
}

#[test]
fn prompts_that_a_tuning_wrote_down_are_used_from_then_on() {
    let place = place();
    // One item over and over, to which the first word that the router says is the right answer, and the second ends it.
    let manifest = place.library().join("library.toml");
    let set_end = |end: &str| {
        std::fs::write(&manifest, format!("[template]\nprompt = \"{{instruction}}\"\nend = \"{end}\"\n"))
            .unwrap();
    };
    set_end("<end>");
    let router = "arrow:k=2:temperature=0.5:calibrated";
    let prompts = place.dir.path().join("prompts.jsonl");
    std::fs::write(&prompts, "{\"prompt\": \"w3 w5 w7\"}\n{\"prompt\": \"w4 w6\"}\n").unwrap();
    let given = ["--router", router, "--calibration", prompts.to_str().unwrap()];
    let asked = ["--prompt", "w8 w9 w8", "--precision", "f32", "--max-tokens", "6"];
    let (found, said) = json(&place, "generate", &[&asked[..], &given].concat());
    assert!(said.contains("calibrated with 2 prompts of"), "{said}");
    let words: Vec<String> = found["text"].as_str().unwrap().split_whitespace().map(String::from).collect();
    let (first, end) = (&words[0], words.iter().find(|word| **word != words[0]).expect("two words"));
    let answer = words.iter().take_while(|word| *word != end).cloned().collect::<Vec<_>>().join(" ");
    assert!(answer.starts_with(first.as_str()));
    // A word of its own: words of this vocabulary stand apart.
    set_end(&format!(" {end}"));
    std::fs::remove_dir_all(place.tasks()).unwrap();
    let line =
        serde_json::json!({ "instruction": "w8 w9 w8", "input": "", "output": answer }).to_string() + "\n";
    place.write_task("again", "", &line.repeat(2), &line.repeat(2));
    std::fs::write(place.tasks().join("again/validation.jsonl"), line.repeat(2)).unwrap();
    let tasks = place.tasks();
    let tune = ["--tasks", tasks.to_str().unwrap(), "--limit", "2", "--routers", router, "--write"];
    let (found, said) = json(&place, "tune", &[&tune[..], &given[2..]].concat());
    assert_eq!(
        (&found["written"], &found["routers"][0]["exact_match"]),
        (&true.into(), &1.0.into()),
        "{found}"
    );
    assert!(said.contains("calibrated with 2 prompts of"), "{said}");
    let written = std::fs::read_to_string(&manifest).unwrap();
    assert!(written.contains(&format!("default = \"{router}\"")), "{written}");
    // Nothing is named from now on.
    let uses = || {
        let (route, said) = json(&place, "route", &["--prompt", "w3 w5"]);
        let arguments = ["--tasks", tasks.to_str().unwrap(), "--methods", router];
        let (eval, also) = json(&place, "eval", &arguments);
        assert_eq!(route["settings"]["calibrated"], true);
        let source = |found: &Value| found["calibration"]["source"].as_str().unwrap().to_string();
        assert_eq!(source(&route), source(&eval));
        (source(&route), said, also)
    };
    let (source, said, also) = uses();
    assert!(source.starts_with("2 prompts of ") && source.ends_with("prompts.jsonl"), "{source}");
    for said in [said, also] {
        assert!(said.contains(&format!("calibrated with {source}")) && !said.contains("gone"), "{said}");
    }
    // A file that moved is said to be gone, in one line, and what is used instead.
    std::fs::rename(&prompts, place.dir.path().join("elsewhere.jsonl")).unwrap();
    let (source, said, also) = uses();
    assert!(source.ends_with("prompts.jsonl, which was chosen, is gone"), "{source}");
    for said in [said, also] {
        let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("calibrated with ")).collect();
        assert!(lines.len() == 1 && lines[0].ends_with("which was chosen, is gone"), "{said}");
    }
}
