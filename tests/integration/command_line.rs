//! The binary as scripts see it: exit status, stdout, stderr.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lora_tui::library::{NewAdapterConfig, NewLora, Provenance, write_adapter};
use serde_json::Value;

use crate::support::{BINARY, repository};

fn lora_tui(arguments: &[&str], folder: &Path) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .env_remove("XDG_CACHE_HOME")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder with `library/`: one sound expert, one bad.
fn library() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let root = folder.path().join("library");
    fs::create_dir_all(root.join("broken")).expect("temporary folders can be made");
    fs::write(root.join("broken/adapter_config.json"), "{").expect("temporary files can be written");
    let lora = NewLora {
        module: "model.layers.0.self_attn.q_proj".into(),
        rank: 2,
        in_features: 576,
        out_features: 576,
        a: vec![0.5; 2 * 576],
        b: vec![0.25; 576 * 2],
    };
    let config = NewAdapterConfig {
        revision: None,
        base: "some/base".into(),
        r: 2,
        alpha: 4.0,
        dropout: 0.0,
        targets: vec!["q_proj".into()],
    };
    let provenance = Provenance { task: Some("plural".into()), ..Provenance::default() };
    write_adapter(&root.join("plural"), &[lora], &config, candle_core::DType::F16, &provenance)
        .expect("a sound adapter can be written");
    folder
}

/// A sound file in whose first value all bits of the exponent were set.
#[test]
fn checking_a_library_reads_all_weights() {
    let folder = library();
    let root = folder.path().join("library");
    fs::remove_dir_all(root.join("broken")).expect("it can be removed");
    let weights = root.join("plural/adapter_model.safetensors");
    assert_eq!(lora_tui(&["ls", "library", "--check"], folder.path()).status.code(), Some(0));
    let mut bytes = fs::read(&weights).expect("it is there");
    let end = bytes.len();
    bytes[end - 2..].copy_from_slice(&0x7e00u16.to_le_bytes());
    fs::write(&weights, bytes).expect("it can be written");

    // The headers are sound, and the list reads nothing else.
    let output = lora_tui(&["ls", "library"], folder.path());
    assert!(output.status.success() && text(&output.stdout).contains("ok"));

    let output = lora_tui(&["ls", "library", "--check"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(stdout.contains("bad") && stdout.contains("1 expert, 1 bad in"), "{stdout}");
    let told = stderr.lines().filter(|line| line.contains("NaN or infinite weights")).count();
    assert_eq!(told, 1, "{stderr}");
    assert!(stderr.contains("library/plural: adapter_model.safetensors lora_"), "{stderr}");
    assert!(stderr.contains("train the expert again or remove it"), "{stderr}");
    assert!(stderr.contains("1 of its 1 expert cannot be used"), "{stderr}");

    let output = lora_tui(&["ls", "library", "--check", "--json"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    let list: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(list["experts"][0]["status"], "bad");
}

#[test]
fn a_library_without_a_terminal_is_listed() {
    let folder = library();
    for arguments in [&[][..], &["library"], &["ls", "library"], &["./library"]] {
        let output = lora_tui(arguments, folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let stdout = text(&output.stdout);
        assert!(
            stdout.contains("plural") && stdout.contains("broken") && stdout.contains("1 bad"),
            "{stdout}"
        );
        let explained = text(&output.stderr).contains("In a terminal");
        assert_eq!(explained, arguments.first() != Some(&"ls"));
    }
}

#[test]
fn the_library_may_be_left_out_where_there_is_one() {
    let folder = library();
    let same = |short: &[&str], long: &[&str]| {
        let (short, long) = (lora_tui(short, folder.path()), lora_tui(long, folder.path()));
        assert_eq!(short.status.code(), Some(0), "{}", text(&short.stderr));
        assert_eq!(text(&short.stdout).replace("./library", "library"), text(&long.stdout));
    };
    same(&["ls"], &["ls", "library"]);
    same(&["show", "plural", "--json"], &["show", "library", "plural", "--json"]);
    same(&["similarity", "--metric", "delta"], &["similarity", "library", "--metric", "delta"]);
    same(&["jobs"], &["jobs", "library"]);
    same(&["jobs", "ls"], &["jobs", "library", "ls"]);
    // A folder that is named is the library, and an action alone lacks what it is about.
    let output = lora_tui(&["jobs", "show"], folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let output = lora_tui(&["show", "library"], folder.path());
    assert!(text(&output.stderr).contains("<EXPERT>"), "{}", text(&output.stderr));
    let elsewhere = tempfile::tempdir().expect("temporary folders can be made");
    let output = lora_tui(&["ls"], elsewhere.path());
    assert!(text(&output.stderr).contains("<LIBRARY>"), "{}", text(&output.stderr));
}

#[test]
fn names_and_prompts_are_checked_before_anything_is_loaded() {
    let folder = library();
    for (arguments, expected) in [
        (&["--prompt", " "][..], "the prompt is empty"),
        (&["--prompt", "x", "--router", "single:plurla"], "did you mean plural?"),
        (&["--prompt", "x", "--mute", "plurla"], "did you mean plural?"),
    ] {
        let output = lora_tui(&[&["route", "library"], arguments].concat(), folder.path());
        let stderr = text(&output.stderr);
        assert!(stderr.lines().last().is_some_and(|line| line.contains(expected)), "{arguments:?}: {stderr}");
    }
}

#[test]
fn who_may_leave_the_library_out_says_so() {
    let folder = library();
    for command in ["route", "generate", "attribute", "compare", "tune", "calibrate"] {
        let help = text(&lora_tui(&[command, "--help"], folder.path()).stdout);
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("[default: ./library, if it is there]"), "{command}: {help}");
    }
}

#[test]
fn a_list_has_the_columns_that_are_asked_for() {
    let folder = library();
    let list = |arguments: &[&str]| {
        let output = lora_tui(&[&["ls", "library"], arguments].concat(), folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let head =
        |list: &str| list.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    // The order of the Library tab; the task is called as the expert is.
    assert_eq!(head(&list(&[])), "NAME STATUS RANK AGE PARAMS DTYPE TARGETS REASON");
    assert!(list(&[]).contains("adapter_config.json"), "{}", list(&[]));
    assert!(!folder.path().join("library/.lora-tui").exists(), "looking keeps nothing");
    let some = list(&["--columns", "alpha, name,nearest"]);
    assert_eq!(head(&some), "ALPHA NAME NEAREST");
    let output = lora_tui(&["ls", "library", "--columns", "nmae"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean name?"), "{}", text(&output.stderr));
    // The reason is there where nothing else is.
    fs::remove_dir_all(folder.path().join("library/plural")).unwrap();
    let alone = list(&[]);
    assert_eq!(head(&alone), "NAME STATUS REASON");
    assert!(alone.contains("adapter_config.json"), "{alone}");
}

#[test]
fn figures_that_are_written_are_named_and_nothing_else_is_printed() {
    let folder = library();
    let output = lora_tui(&["similarity", "library", "--png", "a.png", "--csv", "a.csv"], folder.path());
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(stdout, "mbc similarity of 1 expert, sparsity 0.5\n");
    assert!(stderr.contains("wrote a.png: a heatmap of 1 expert"), "{stderr}");
    assert!(stderr.contains("wrote a.csv: the similarity of 1 expert"), "{stderr}");
}

#[test]
fn json_is_one_document_of_the_promised_shape() {
    let folder = library();
    let output = lora_tui(&["ls", "library", "--json"], folder.path());
    let document: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON document");
    let expert = &document["experts"][1];
    assert_eq!(expert["name"], "plural");
    assert_eq!(expert["status"], "ok");
    assert_eq!(expert["rank"], serde_json::json!([2, 2]));
    assert_eq!(expert["dtype"], "f16");
    assert_eq!(expert["task"], "plural");
    assert_eq!(document["experts"][0]["status"], "bad");
    assert_eq!(document["skipped"][0]["name"], "broken");
    assert!(document["base"].is_string());

    let output = lora_tui(&["show", "library", "plural", "--json"], folder.path());
    let document: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON document");
    let module = &document["modules"][0];
    assert_eq!(module["module"], "model.layers.0.self_attn.q_proj");
    assert_eq!(module["sigma"].as_array().map(Vec::len), Some(2));
    // All entries equal: ΔW = 2 · 2 · 0.5 · 0.25 everywhere.
    let norm = module["norm"].as_f64().expect("a number");
    assert!((norm - 0.5 * 576.0).abs() < 1e-2, "{norm}");
    assert_eq!(document["provenance"]["task"], "plural");
}

#[test]
fn names_are_accepted_as_they_are_printed() {
    let folder = library();
    let name = "two\nlines";
    fs::rename(folder.path().join("library/plural"), folder.path().join("library").join(name)).unwrap();
    let list = text(&lora_tui(&["ls", "library"], folder.path()).stdout);
    let printed = "two\\nlines";
    assert!(list.contains(printed), "{list}");
    for typed in [name, printed] {
        let output = lora_tui(&["show", "library", typed, "--json"], folder.path());
        let document: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON document");
        assert_eq!(document["name"], name);
    }
}

#[test]
fn experts_that_do_not_fit_the_given_base_are_left_out_everywhere() {
    let folder = library();
    // The tiny model of the fixtures has layers of other sizes than the expert.
    let base = repository().join("tests/fixtures/models/llama/base");
    let base = base.to_str().expect("the repository's path is text");
    let json = |arguments: &[&str]| -> Value {
        let output = lora_tui(&[arguments, &["--json", "--base", base]].concat(), folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("stdout is one JSON document")
    };
    let reason = "does not fit the base model base: model.layers.0.self_attn.q_proj is 576 → 576 in the expert, 32 → 32 in the base model";
    let list = json(&["ls", "library"]);
    assert_eq!((&list["base"], &list["experts"][1]["status"]), (&"base".into(), &"bad".into()));
    assert_eq!(list["experts"][1]["reason"], reason);
    let shown = json(&["show", "library", "plural"]);
    assert_eq!((&shown["status"], &shown["reason"]), (&"bad".into(), &reason.into()));
    assert_eq!(shown["skipped"][1]["name"], "plural");
    // The same without a command, and in what cannot do without an expert.
    let output = lora_tui(&["library", "--base", base], folder.path());
    assert!(text(&output.stdout).contains(reason));
    for arguments in
        [&["similarity", "library"][..], &["cluster", "library"], &["prototypes", "library", "--save", "p"]]
    {
        let output = lora_tui(&[arguments, &["--base", base]].concat(), folder.path());
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("does not fit"), "{}", text(&output.stderr));
    }
    // What routes says why there is nobody to route to, and not that all are muted.
    let route = |library: &str| {
        let output = lora_tui(&["route", library, "--base", base, "--tokens", "3"], folder.path());
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let told = route("library");
    assert!(told.contains("no expert of the library fits the base model; plural: "), "{told}");
    assert!(!told.contains("muted"), "{told}");
    fs::create_dir(folder.path().join("empty")).expect("temporary folders can be made");
    assert!(route("empty").contains("the library has no usable expert"), "{}", route("empty"));
    let output = lora_tui(&["ls", "library", "--base", "nowhere"], folder.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no such base model"), "{}", text(&output.stderr));
}

#[test]
fn experts_are_merged_from_the_command_line() {
    let folder = library();
    let evil = "second\tone";
    let copy = folder.path().join("library").join(evil);
    fs::create_dir(&copy).expect("temporary folders can be made");
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(folder.path().join("library/plural").join(file), copy.join(file)).expect("it can be copied");
    }
    let merge = |more: &[&str]| {
        let fixed = ["merge", "library", "--experts", "plural,second\\tone", "--name", "both"];
        lora_tui(&[&fixed, more].concat(), folder.path())
    };
    for (wrong, expected) in [
        (&["--method", "cat", "--weights", "1"][..], "1 weight for 2 experts"),
        (&["--method", "cat", "--weights", "NaN,1"], "finite number"),
        (&["--method", "cat", "--weights", "1,x"], "invalid value"),
        (&["--method", "mean"], "possible values: linear, cat, svd, ties, dare"),
        (&[], "--method"),
    ] {
        let output = merge(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
    let output = merge(&["--method", "svd", "--weights", "-0.5,2", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON document");
    assert_eq!(document["expert"], "both");
    assert_eq!(document["experts"][1]["name"], evil);
    assert_eq!(document["experts"][0]["weight"], -0.5);
    assert_eq!(document["skipped"][0]["name"], "broken");
    // Both are the same expert of rank 1: nothing is lost, and ΔW is 1.5 times as large.
    assert!(document["energy_lost"].as_f64().expect("a number") < 1e-9);
    let show = |name: &str| -> Value {
        let output = lora_tui(&["show", "library", name, "--json"], folder.path());
        serde_json::from_slice(&output.stdout).expect("stdout is one JSON document")
    };
    let norm = |name: &str| show(name)["modules"][0]["norm"].as_f64().expect("a number");
    assert!((norm("both") / norm("plural") - 1.5).abs() < 1e-5);
    assert_eq!(show("both")["provenance"]["merge"]["method"], "svd");
    let shown = text(&lora_tui(&["show", "library", "both"], folder.path()).stdout);
    assert!(shown.contains("merged from           -0.5 × plural + 2 × second\\tone (svd)"), "{shown}");
    let again = merge(&["--method", "svd"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("exists already"), "{}", text(&again.stderr));
}

#[test]
fn exit_status_and_one_line_say_what_went_wrong() {
    let folder = library();
    for (arguments, status, expected) in [
        (&["simlarity", "library"][..], 2, "lora-tui similarity"),
        (&["lst"], 2, "lora-tui ls"),
        (&["nowhere/at/all"], 1, "no such folder"),
        (&["ls", "nowhere"], 1, "no such folder"),
        (&["ls", "library/broken/adapter_config.json"], 1, "not a folder"),
        (&["show", "library", "plurla"], 1, "did you mean plural?"),
        (&["show", "library", "broken"], 1, "adapter_config.json"),
    ] {
        let output = lora_tui(arguments, folder.path());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(output.stdout.is_empty());
    }
    for arguments in
        [&["show"][..], &["ls", "library", "--nonsense"], &["route", "library"], &["ls", "a", "b"]]
    {
        assert_eq!(lora_tui(arguments, folder.path()).status.code(), Some(2), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["train", "--help"], &["completions", "zsh"]] {
        let output = lora_tui(arguments, folder.path());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn a_folder_called_like_a_command_is_written_as_a_path() {
    let folder = library();
    fs::rename(folder.path().join("library"), folder.path().join("ls")).expect("it can be renamed");
    let output = lora_tui(&["./ls"], folder.path());
    assert!(text(&output.stdout).contains("plural"));
}

#[test]
fn an_empty_library_says_how_to_fill_it() {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let output = lora_tui(&["ls", "."], folder.path());
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("lora-tui train"));
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_no_error() {
    let folder = library();
    let script = format!("{BINARY} ls library | true; echo ${{PIPESTATUS[0]}}");
    for _ in 0..5 {
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .output()
            .expect("bash runs");
        assert_eq!(text(&output.stdout).trim(), "0");
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    }
}

#[test]
fn the_level_of_the_cpu_can_be_capped_and_a_wrong_one_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let doctor = |level: &str| {
        let mut command = Command::new(BINARY);
        command.args(["doctor", "--json"]).env("LORA_TUI_CPU", level).current_dir(folder.path());
        command.output().expect("the binary runs")
    };
    let output = doctor("scalar");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("level scalar"), "{}", text(&output.stdout));
    let output = doctor("avx3");
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(
        error.contains("LORA_TUI_CPU") && error.contains("\"avx3\"") && error.contains("avx2"),
        "{error}"
    );
}

#[test]
fn doctor_tells_without_failing() {
    let folder = library();
    let output = lora_tui(&["doctor", "library", "--json"], folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON document");
    let names: Vec<&str> =
        document["checks"].as_array().expect("a list").iter().filter_map(|c| c["what"].as_str()).collect();
    for name in ["version", "cpu", "devices", "terminal", "python", "library", "writing", "base"] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    // The base model that was given, with or without a library, and no other.
    for place in [&["doctor", "library"][..], &["doctor"]] {
        let output = lora_tui(&[place, &["--base", "nowhere.gguf", "--json"]].concat(), folder.path());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).expect("stdout is one JSON document");
        let bases: Vec<&Value> =
            document["checks"].as_array().expect("a list").iter().filter(|c| c["what"] == "base").collect();
        assert!(
            matches!(&bases[..], [base] if base["problem"] == true && base["says"].to_string().contains("nowhere.gguf")),
            "{bases:?}"
        );
    }
}

#[test]
fn without_any_source_every_one_is_a_line_with_its_reason() {
    let folder = library();
    let digest = "ab".repeat(32);
    let manifest = format!("[base]\nhub = \"owner/name\"\nfile = \"m.gguf\"\nsha256 = \"{digest}\"\n");
    fs::write(folder.path().join("library/library.toml"), manifest).expect("temporary files can be written");
    let stray = folder.path().join("library/.lora-tui/cache/base").join(&digest);
    fs::create_dir_all(&stray).expect("temporary folders can be made");
    fs::write(stray.join("m.gguf"), "not it").expect("temporary files can be written");
    for arguments in [&["fetch", "library"][..], &["route", "library", "--prompt", "a"]] {
        let output = Command::new(BINARY)
            .args(arguments)
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("HF_HUB_OFFLINE", "1")
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(1));
        let stderr = text(&output.stderr);
        let lines: Vec<&str> = stderr.lines().skip_while(|line| !line.starts_with("lora-tui:")).collect();
        let [first, hub, ignored, by_hand] = lines[..] else { panic!("{stderr}") };
        assert_eq!(first, "lora-tui: no source has the base model m.gguf");
        assert_eq!(hub, "  hub owner/name: HF_HUB_OFFLINE is set");
        assert!(ignored.contains("m.gguf: was ignored: its SHA-256 is not abab"), "{ignored}");
        let place = format!("{digest}/m.gguf");
        assert!(by_hand.contains("--base FILE") && by_hand.ends_with(&place), "{by_hand}");
    }
}
