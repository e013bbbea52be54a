//! Adapters that do not have what their configuration declares, or not in the base model's sizes: every command that
//! looks at them says it, in one line, as it is said where they are loaded.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use candle_core::{Device, Tensor};
use lora_tui::Cancel;
use lora_tui::catalog::Catalog;
use lora_tui::library::{Library, Status};
use lora_tui::merge::{MergeMethod, MergeSpec, merge};
use lora_tui::routing::{RouterConfig, Session};
use serde_json::{Value, json};

use crate::support::experts::{lora, write_expert};
use crate::support::models::cpu;
use crate::support::{BINARY, repository};

/// A Llama of two layers, 16 wide, with 31 tokens.
fn base() -> PathBuf {
    repository().join("tests/fixtures/started/base")
}

const LAYERS: [&str; 2] = ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"];

/// A sound adapter of both layers with these settings, and these tensors of one value besides.
fn write(library: &Path, name: &str, settings: Value, more: &[(&str, &[usize], f32)]) {
    let value = |by: usize| move |i: usize| ((i * by) % 13) as f32 / 26.0 - 0.25;
    let loras = LAYERS.map(|module| lora(module, 2, (16, 16), value(7), value(5)));
    let folder = library.join(name);
    std::fs::create_dir_all(library).unwrap();
    write_expert(&folder, &loras, 4.0);
    let path = folder.join("adapter_config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (key, value) in settings.as_object().unwrap() {
        config[key] = value.clone();
    }
    std::fs::write(path, config.to_string()).unwrap();
    let weights = folder.join("adapter_model.safetensors");
    let mut tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    for (name, shape, value) in more {
        tensors
            .insert(format!("base_model.model.{name}"), Tensor::full(*value, *shape, &Device::Cpu).unwrap());
    }
    candle_core::safetensors::save(&tensors, &weights).unwrap();
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .arg("--base")
        .arg(base())
        .current_dir(folder)
        .env("HOME", folder)
        .env_remove("XDG_CACHE_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What a command says on both streams.
fn said(arguments: &[&str], folder: &Path) -> String {
    let output = run(arguments, folder);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

const DELTA: &str = "model.embed_tokens.token_adapter.trainable_tokens_delta";

fn misfits(library: &Path) -> Vec<&'static str> {
    let bias = format!("{}.base_layer.bias", LAYERS[0]);
    write(library, "head", json!({"modules_to_save": ["lm_head"]}), &[("lm_head.weight", &[33, 16], 0.1)]);
    write(library, "norm", json!({"modules_to_save": ["norm"]}), &[("model.norm.weight", &[8], 0.1)]);
    write(library, "bias", json!({"bias": "all"}), &[(&bias, &[8], 0.1)]);
    write(library, "width", json!({"trainable_token_indices": [3, 4]}), &[(DELTA, &[2, 8], 0.1)]);
    write(library, "token", json!({"trainable_token_indices": [3, 31]}), &[(DELTA, &[2, 16], 0.1)]);
    vec!["head", "norm", "bias", "width", "token"]
}

#[test]
fn a_misfit_is_told_everywhere_as_it_is_where_the_expert_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lib");
    let names = misfits(&root);
    write(&root, "sound", json!({}), &[]);
    let library = Library::open(&root).unwrap();
    let session = Session::open(&library, &base(), &cpu(), &mut |_| {}, &Cancel::new()).unwrap();
    let told = Catalog::open(&root, Some(&base())).unwrap();
    for name in names {
        let loaded = session.skipped().iter().find(|skipped| skipped.name == name).map(|s| s.reason.clone());
        let loaded = loaded.unwrap_or_else(|| panic!("{name} is loaded"));
        let misfit = format!("does not fit the base model base: {loaded}");
        assert_eq!(told.expert(name).unwrap().misfit(), Some(misfit.as_str()));
        for command in
            [&["ls", "lib"][..], &["ls", "lib", "--check"], &["show", "lib", name], &["doctor", "lib"]]
        {
            let said = said(command, folder.path());
            assert!(said.lines().any(|line| line.contains(&misfit)), "{command:?} {name}:\n{said}");
        }
        let merged =
            run(&["merge", "lib", "--experts", name, "--method", "cat", "--name", "out"], folder.path());
        let error = String::from_utf8_lossy(&merged.stderr);
        assert!(error.contains(&misfit) && error.lines().count() == 1, "{error}");
        assert_eq!((merged.status.code(), root.join("out").exists()), (Some(1), false));
    }
    assert_eq!(told.expert("sound").unwrap().status_here(), Status::Ok);
}

#[test]
fn what_is_declared_and_absent_is_told_where_an_expert_is_looked_at_applied_and_merged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lib");
    let half = json!({"target_modules": ["q_proj", "v_proj"]});
    for (name, settings, line) in [
        ("dora", json!({"use_dora": true}), "says DoRA (use_dora), and the file has no magnitudes"),
        ("lora_bias", json!({"lora_bias": true}), "says a bias of B (lora_bias), and the file has none"),
        (
            "saved",
            json!({"modules_to_save": ["lm_head"]}),
            "saves lm_head.weight (modules_to_save), and the file",
        ),
        (
            "tokens",
            json!({"trainable_token_indices": [3]}),
            "(trainable_token_indices) of the embedding, and the file",
        ),
        ("half", half, "targets model.layers.0.self_attn.v_proj and 1 more, and the file has no LoRA there"),
    ] {
        write(&root, name, settings, &[]);
        for command in [
            &["ls", "lib"][..],
            &["show", "lib", name],
            &["doctor", "lib"],
            &["route", "lib", "--tokens", "5,9", "--router", &format!("single:{name}")],
            &["merge", "lib", "--experts", name, "--method", "cat", "--name", &format!("of_{name}")],
        ] {
            // A sum of LoRA cannot be DoRA, whatever its magnitude is.
            let (line, name) = match (command[0], name) {
                ("merge", "dora") => ("has DoRA (use_dora) at model.layers.0", "dora"),
                _ => (line, name),
            };
            let said = said(command, folder.path());
            let lines =
                said.lines().filter(|l| l.contains(line) && (l.contains(name) || command[0] == "show"));
            assert_eq!(lines.count(), 1, "{command:?} {name}:\n{said}");
        }
        let library = Catalog::open(&root, Some(&base())).unwrap();
        assert_eq!(library.expert(name).unwrap().status_here(), Status::Partial, "{name}");
        std::fs::remove_dir_all(&root).unwrap();
    }
}

/// PEFT's initial values of what is missing: zero, or the base model's. DoRA's lengths are in the grid of adapters.
#[test]
fn what_is_absent_has_its_initial_value() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "plain", json!({}), &[]);
    for (name, settings) in [
        ("lora_bias", json!({"lora_bias": true})),
        ("saved", json!({"modules_to_save": ["lm_head"]})),
        ("tokens", json!({"trainable_token_indices": [3]})),
        ("half", json!({"target_modules": ["q_proj", "v_proj"]})),
        ("bias", json!({"bias": "all"})),
    ] {
        write(folder.path(), name, settings, &[]);
        assert_eq!(logits(folder.path(), name), logits(folder.path(), "plain"), "{name}");
    }
    // The lengths of the base model's weights, which are not those of W + s·B·A.
    write(folder.path(), "dora", json!({"use_dora": true}), &[]);
    assert_ne!(logits(folder.path(), "dora"), logits(folder.path(), "plain"));
}

fn logits(library: &Path, name: &str) -> Vec<f32> {
    let library = Library::open(library).unwrap();
    let mut session = Session::open(&library, &base(), &cpu(), &mut |_| {}, &Cancel::new()).unwrap();
    session.set_router(RouterConfig::single(name)).unwrap();
    let ids = vec![5, 9, 3, 17, 22, 8];
    let prompt = lora_tui::routing::Prompt { parts: vec![lora_tui::routing::Part::Prompt; ids.len()], ids };
    crate::support::models::values(&session.logits(&prompt, &Cancel::new()).unwrap().0)
}

#[test]
fn values_that_are_no_numbers_are_shown_wherever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lib");
    let vector = |what: &str| LAYERS.map(|layer| format!("{layer}.{what}"));
    let [m0, m1] = vector("lora_magnitude_vector");
    let [b0, b1] = vector("lora_B.bias");
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for (name, settings, more, what) in [
        (
            "magnitude",
            json!({"use_dora": true}),
            vec![(&m0[..], &[16][..], 1.0), (&m1, &[16], nan)],
            "the magnitude of model.layers.1",
        ),
        (
            "of_b",
            json!({"lora_bias": true}),
            vec![(&b0, &[16], 1.0), (&b1, &[16], inf)],
            "the bias of lora_B of model.layers.1",
        ),
        (
            "saved",
            json!({"modules_to_save": ["lm_head"]}),
            vec![("lm_head.weight", &[31, 16], nan)],
            "the parameter of lm_head.weight",
        ),
        (
            "tokens",
            json!({"trainable_token_indices": [3, 4]}),
            vec![(DELTA, &[2, 16], inf)],
            "the trained tokens of model.embed_tokens",
        ),
    ] {
        write(&root, name, settings, &more);
        let shown = said(&["show", "lib", name], folder.path());
        let status = shown.lines().find(|line| line.starts_with("status")).unwrap_or_default();
        assert!(status.ends_with("bad"), "{name}:\n{shown}");
        assert!(shown.contains(what) && shown.contains("NaN or infinite"), "{name}:\n{shown}");
    }
}

#[test]
fn weights_of_1e38_are_told_before_they_make_no_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lib");
    write(&root, "huge", json!({}), &[]);
    let weights = root.join("huge/adapter_model.safetensors");
    let tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    let huge = tensors.into_iter().map(|(name, tensor)| (name, tensor.affine(3e38, 0.0).unwrap())).collect();
    candle_core::safetensors::save(&huge, &weights).unwrap();
    let shown = said(&["show", "lib", "huge"], folder.path());
    assert!(shown.contains("ΔW is beyond the range of f32 at model.layers.0"), "{shown}");
    let checked = run(&["ls", "lib", "--check"], folder.path());
    assert_eq!(checked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&checked.stdout).contains("a ΔW beyond the range of f32"), "{checked:?}");
    let spec = MergeSpec {
        experts: vec!["huge".into()],
        method: MergeMethod::CAT,
        name: "out".into(),
        ..MergeSpec::default()
    };
    let library = Catalog::open(&root, None).unwrap();
    let error = merge(&library, &spec, &mut |_, _| {}, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("is not finite") && error.contains("those of huge"), "{error}");
    assert!(!root.join("out").exists());
}

#[test]
fn unknown_keys_of_a_configuration_are_one_line_and_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lib");
    write(&root, "it", json!({"unsloth_fixed": true, "peft_version": "0.30.0"}), &[]);
    for command in [&["show", "lib", "it"][..], &["doctor", "lib"]] {
        let output = run(command, folder.path());
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = stdout
            .lines()
            .filter(|line| line.contains("1 key that PEFT does not know and ignores: unsloth_fixed"));
        assert_eq!((output.status.code(), lines.count()), (Some(0), 1), "{stdout}");
    }
}

/// PEFT writes the base model's weights along with an adapted head or embedding, and loads what the file has.
#[test]
fn a_copy_of_the_base_model_s_weights_that_is_another_is_told_and_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lib");
    let weights = candle_core::safetensors::load(base().join("model.safetensors"), &Device::Cpu).unwrap();
    let q = format!("{}.base_layer.weight", LAYERS[0]);
    for (name, tensor, factor) in [
        ("same", "lm_head.base_layer.weight", 1.0),
        ("head", "lm_head.base_layer.weight", 1.3),
        ("q", q.as_str(), 1.3),
        ("nan", "lm_head.base_layer.weight", f64::NAN),
    ] {
        write(&root, name, json!({}), &[]);
        let file = root.join(name).join("adapter_model.safetensors");
        let mut tensors = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
        let copied = &weights[&tensor.replace(".base_layer", "")];
        tensors.insert(format!("base_model.model.{tensor}"), copied.affine(factor, 0.0).unwrap());
        candle_core::safetensors::save(&tensors, &file).unwrap();
        let line = format!("its copy of {}, which differs from", tensor.replace(".base_layer", ""));
        for command in [&["show", "lib", name][..], &["doctor", "lib"], &["ls", "lib", "--check"]] {
            let said = said(command, folder.path());
            assert_eq!(said.contains(&line), ["head", "q"].contains(&name), "{command:?} {name}:\n{said}");
            assert!(!said.contains(&line) || said.contains("by 30.0 %"), "{said}");
            assert_eq!(said.contains("NaN or infinite"), name == "nan", "{command:?} {name}:\n{said}");
        }
        let routed = said(&["route", "lib", "--tokens", "5,9", "--router", "arrow"], folder.path());
        assert_eq!(routed.contains(&line), ["head", "q"].contains(&name), "{name}: {routed}");
        for known in [false, true] {
            let spec = MergeSpec {
                experts: vec![name.into()],
                method: MergeMethod::CAT,
                name: "out".into(),
                ..MergeSpec::default()
            };
            let library = Catalog::open(&root, known.then(base).as_deref()).unwrap();
            let merged = merge(&library, &spec, &mut |_, _| {}, &Cancel::new());
            let expected = match (name, known) {
                ("same", true) => "",
                // Known since `ls --check` looked.
                ("nan", _) => "has NaN or infinite weights",
                (_, false) => "whether it is the base model's can be seen only beside that: give --base",
                ("q", true) => "has a replaced model.layers.0.self_attn.q_proj.weight (a copy that differs",
                _ => "has a replaced lm_head.weight (a copy that differs from the base model's by 30.0 %)",
            };
            let error = merged.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert_eq!(merged.is_ok(), expected.is_empty(), "{name} {known}: {error}");
            assert!(error.contains(expected), "{name} {known}: {error}");
            assert_eq!(root.join("out").exists(), expected.is_empty());
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}

/// The base model that an expert names, where it is there, is as good as one that is given.
#[test]
fn an_expert_that_does_not_fit_the_base_model_that_it_names_is_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let named = base().to_string_lossy().into_owned();
    for (name, size) in [("fits", (16, 16)), ("wide", (32, 16))] {
        let root = folder.path().join(name);
        let expert = root.join(name);
        std::fs::create_dir_all(&root).unwrap();
        write_expert(&expert, &[lora(LAYERS[0], 2, size, |i| i as f32, |_| 0.5)], 4.0);
        let path = expert.join("adapter_config.json");
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        config["base_model_name_or_path"] = named.clone().into();
        std::fs::write(path, config.to_string()).unwrap();
        let spec = MergeSpec {
            experts: vec![name.into()],
            method: MergeMethod::CAT,
            name: "out".into(),
            ..MergeSpec::default()
        };
        let merged = merge(&Catalog::open(&root, None).unwrap(), &spec, &mut |_, _| {}, &Cancel::new());
        let error = merged.err().map(|error| error.to_string());
        assert_eq!(error.is_none(), name == "fits", "{error:?}");
        assert!(error.is_none_or(|error| error.contains("does not fit the base model base: model.layers.0")));
        assert_eq!(root.join("out").exists(), name == "fits");
    }
}

/// The configuration of a merged adapter names what its file has, by names that the base model has.
#[test]
fn a_merged_adapter_declares_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lib");
    let all = json!({"target_modules": ["q_proj"]});
    for name in ["whole", "half", "wrapped"] {
        write(&root, name, all.clone(), &[]);
        let file = root.join(name).join("adapter_model.safetensors");
        let tensors = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
        let rename = |key: String| match name {
            "half" => (!key.contains("layers.1")).then_some(key),
            "wrapped" => Some(key.replace(
                ".self_attn.",
                "._fsdp_wrapped_module._checkpoint_wrapped_module._orig_mod.self_attn.",
            )),
            _ => Some(key),
        };
        let tensors = tensors.into_iter().filter_map(|(key, tensor)| Some((rename(key)?, tensor))).collect();
        candle_core::safetensors::save(&tensors, &file).unwrap();
        let spec = MergeSpec {
            experts: vec![name.into()],
            method: MergeMethod::CAT,
            name: format!("of_{name}"),
            ..MergeSpec::default()
        };
        let library = Catalog::open(&root, Some(&base())).unwrap();
        merge(&library, &spec, &mut |_, _| {}, &Cancel::new()).unwrap();
        let library = Catalog::open(&root, Some(&base())).unwrap();
        let merged = library.expert(&spec.name).unwrap();
        assert_eq!(merged.status_here(), Status::Ok, "{name}: {:?}", merged.reason_here());
        let half = name == "half";
        assert_eq!(merged.config.targets, [if half { LAYERS[0] } else { "q_proj" }], "{name}");
        let file = root.join(&spec.name).join("adapter_model.safetensors");
        let mut keys: Vec<String> =
            candle_core::safetensors::load(file, &Device::Cpu).unwrap().into_keys().collect();
        keys.sort();
        let expected: Vec<String> = LAYERS[..if half { 1 } else { 2 }]
            .iter()
            .flat_map(|module| ["A", "B"].map(|f| format!("base_model.model.{module}.lora_{f}.weight")))
            .collect();
        assert_eq!(keys, expected, "{name}");
    }
}
