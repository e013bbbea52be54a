//! What becomes of one adapter folder.

use std::fs;

use serde_json::{Value, json};

use super::{Q0, config, expert, good, one, pair, raw_safetensors, safetensors};
use crate::library::{Library, Status};

/// The reason why an expert of this configuration and these weights is bad.
fn bad(config: &str, weights: &[u8]) -> String {
    let (_root, library) = one(config, weights);
    let expert = &library.experts[0];
    assert_eq!(expert.status(), Status::Bad, "{:?}", expert.reason());
    assert!(expert.load().is_err(), "a bad expert does not load");
    expert.reason().expect("a bad expert has a reason").to_string()
}

/// The reason why it is partial.
fn partial(config: &str, weights: &[u8]) -> String {
    let (_root, library) = one(config, weights);
    let expert = &library.experts[0];
    assert_eq!(expert.status(), Status::Partial, "{:?}", expert.reason());
    assert!(expert.load().is_ok(), "a partial expert loads");
    expert.reason().expect("a partial expert has a reason").to_string()
}

fn with(key: &str, value: Value) -> String {
    let mut config = config();
    config[key] = value;
    config.to_string()
}

#[test]
fn a_sound_expert_is_read_without_surprises() {
    let root = tempfile::tempdir().unwrap();
    good(root.path(), "it");
    fs::write(root.path().join("it/expert.toml"), "task = \"plural\"\nfamily = \"words\"\nfuture = 1\n")
        .unwrap();
    let library = Library::open(root.path()).unwrap();
    let expert = &library.experts[0];
    assert_eq!((expert.status(), expert.reason()), (Status::Ok, None));
    assert_eq!((expert.dtype.as_str(), expert.parameters), ("f32", 2 * (3 + 4)));
    assert_eq!(expert.modules[0].module, Q0);
    assert_eq!(expert.modules[0].scale, 2.0);
    assert_eq!(expert.provenance.as_ref().unwrap().task.as_deref(), Some("plural"));

    let adapter = expert.load().unwrap();
    let module = adapter.module(Q0).unwrap();
    assert_eq!(module.a().unwrap(), vec![0.5; 6]);
    assert_eq!(module.b().unwrap(), vec![0.5; 8]);
    assert!(adapter.module("model.layers.1.self_attn.q_proj").is_none());
    adapter.check_finite().unwrap();
}

#[test]
fn layers_are_in_natural_order_and_found_by_name() {
    let modules: Vec<String> =
        [10, 2, 0, 11, 1].map(|layer| format!("model.layers.{layer}.self_attn.q_proj")).to_vec();
    let tensors: Vec<_> = modules.iter().flat_map(|module| pair(module)).collect();
    let (_root, library) = one(&config().to_string(), &safetensors(&tensors));
    let order: Vec<&str> =
        library.experts[0].modules.iter().map(|m| m.module.split('.').nth(2).unwrap()).collect();
    assert_eq!(order, ["0", "1", "2", "10", "11"]);
    let adapter = library.experts[0].load().unwrap();
    assert!(modules.iter().all(|module| adapter.module(module).is_some()));
}

#[test]
fn names_come_with_and_without_prefix_and_adapter() {
    for (a, b) in [
        ("base_model.model.m.lora_A.weight", "base_model.model.m.lora_B.weight"),
        ("base_model.model.m.lora_A.default.weight", "base_model.model.m.lora_B.default.weight"),
        ("base_model.model.m.lora_A.lora_new.weight", "base_model.model.m.lora_B.lora_new.weight"),
        ("m.lora_A.weight", "m.lora_B.weight"),
    ] {
        let tensors = [(a.to_string(), vec![2, 3]), (b.to_string(), vec![4, 2])];
        let (_root, library) = one(&config().to_string(), &safetensors(&tensors));
        assert_eq!(library.experts[0].modules[0].module, "m", "{a}");
    }
}

#[test]
fn the_scale_follows_patterns_and_rslora() {
    let cases = [
        (json!({}), 2.0),
        (json!({"use_rslora": true}), 4.0 / 2f64.sqrt()),
        (json!({"alpha_pattern": {"q_proj": 10}}), 5.0),
        (json!({"alpha_pattern": {"proj": 10}}), 2.0),
        (json!({"alpha_pattern": {"layers.0.self_attn.q_proj": 6, "q_proj": 10}}), 3.0),
        (json!({"alpha_pattern": {"(q|v)_proj": 8}}), 4.0),
        (json!({"alpha_pattern": {r"layers\.[1-9]\..*": 8}}), 2.0),
        (json!({"r": 16, "rank_pattern": {"q_proj": 2}}), 2.0),
    ];
    for (changes, expected) in cases {
        let mut config = config();
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        let (_root, library) = one(&config.to_string(), &safetensors(&pair(Q0)));
        let expert = &library.experts[0];
        assert_eq!(expert.status(), Status::Ok, "{changes}: {:?}", expert.reason());
        assert_eq!(expert.modules[0].scale, expected, "{changes}");
    }
}

#[test]
fn tensors_win_over_a_configuration_that_lies_about_the_rank() {
    let (_root, library) = one(&with("r", json!(64)), &safetensors(&pair(Q0)));
    let expert = &library.experts[0];
    assert_eq!(expert.status(), Status::Partial);
    assert_eq!((expert.modules[0].rank, expert.modules[0].scale), (2, 2.0));
    assert!(expert.reason().unwrap().contains("says rank 64, the tensors 2"));
}

#[test]
fn what_is_not_applied_is_told() {
    let weights = safetensors(&pair(Q0));
    assert!(partial(&with("rank_pattern", json!({"(q": 2})), &weights).contains("regular expression"));
    let tokens = ("base_model.model.m.token_adapter.trainable_tokens_delta", vec![1, 3]);
    for (config, (name, shape), expected) in [
        (config().to_string(), ("base_model.model.m.lora_magnitude_vector", vec![4]), "without LoRA"),
        (config().to_string(), ("base_model.model.m.lora_B.bias", vec![4]), "without LoRA"),
        (config().to_string(), ("base_model.model.lm_head.weight", vec![9, 3]), "trained lm_head.weight"),
        (config().to_string(), ("base_model.model.m.scale", vec![9]), "other tensor"),
        (config().to_string(), tokens.clone(), "does not list"),
        (with("trainable_token_indices", json!([7])), tokens.clone(), "trained tokens of m"),
        (with("trainable_token_indices", json!({"m": [7]})), tokens.clone(), "trained tokens of m"),
        (with("trainable_token_indices", json!([7, 8])), tokens.clone(), "1 rows, but 2 ids"),
        (
            with("trainable_token_indices", json!([9, 5, 9])),
            (tokens.0, vec![3, 3]),
            "trained tokens of m: token 9 has two rows",
        ),
    ] {
        let mut tensors = pair(Q0);
        tensors.push((name.to_string(), shape));
        let reason = partial(&config, &safetensors(&tensors));
        assert!(reason.contains(expected), "{name}: {reason}");
    }
    // Settings that say nothing leave nothing out.
    let (_root, library) = one(&with("modules_to_save", json!([])), &weights);
    assert_eq!(library.experts[0].status(), Status::Ok);
}

/// The expert of a pair at [`Q0`] and these tensors.
fn more(config: &str, tensors: &[(&str, &[usize])]) -> (tempfile::TempDir, Library) {
    let mut all = pair(Q0);
    all.extend(tensors.iter().map(|(name, shape)| (format!("base_model.model.{name}"), shape.to_vec())));
    one(config, &safetensors(&all))
}

#[test]
fn what_a_file_trains_beside_a_and_b_is_read() {
    let bias = format!("{Q0}.lora_B.bias");
    let magnitude = format!("{Q0}.lora_magnitude_vector");
    let (_root, library) = more(
        &with("trainable_token_indices", json!({"embed_tokens": [5, 1]})),
        &[
            (&bias, &[4]),
            (&magnitude, &[1, 4]),
            ("model.embed_tokens.lora_embedding_A", &[2, 9]),
            ("model.embed_tokens.lora_embedding_B", &[3, 2]),
            ("model.embed_tokens.base_layer.weight", &[9, 3]),
            ("model.embed_tokens.token_adapter.trainable_tokens_delta", &[2, 3]),
            ("model.norm.weight", &[3]),
            ("lm_head.weight", &[9, 3]),
            ("lm_head.modules_to_save.default.weight", &[9, 3]),
            ("lm_head.original_module.weight", &[9, 3]),
            ("model.layers.0.self_attn.k_proj.base_layer.bias", &[2]),
        ],
    );
    let expert = &library.experts[0];
    assert!(expert.is_usable(), "{:?}", expert.reason());
    let adapter = expert.load().unwrap();
    adapter.check_finite().unwrap();
    let embedding = adapter.module("model.embed_tokens").unwrap();
    assert!(embedding.shape.embedding && embedding.is_plain());
    assert_eq!((embedding.shape.in_features, embedding.shape.out_features), (9, 3));
    let linear = adapter.module(Q0).unwrap();
    assert_eq!((linear.bias().unwrap().unwrap().len(), linear.magnitude().unwrap().unwrap().len()), (4, 4));
    assert_eq!(expert.parameters, 2 * (3 + 4) + 4 + 4 + 2 * (9 + 3));
    let replaced: Vec<(&str, &[usize], bool)> =
        adapter.replaced.iter().map(|r| (r.name.as_str(), &r.shape[..], r.copy)).collect();
    assert_eq!(
        replaced,
        [
            ("lm_head.weight", &[9, 3][..], false),
            ("model.embed_tokens.weight", &[9, 3][..], true),
            ("model.layers.0.self_attn.k_proj.bias", &[2][..], false),
            ("model.norm.weight", &[3][..], false),
        ]
    );
    assert_eq!(adapter.tokens[0].ids, [5, 1]);
    assert_eq!(adapter.tokens[0].values().unwrap(), [0.5; 6]);
    assert!(expert.warnings.iter().any(|w| w.contains("lora_bias")), "{:?}", expert.warnings);
}

#[test]
fn parts_that_do_not_fit_have_a_reason() {
    for (tensors, reason) in [
        (&[("m.lora_embedding_A", &[2, 9][..])][..], "lacks lora_embedding_B of m"),
        (&[("m.lora_embedding_B", &[2, 9][..])][..], "lacks lora_embedding_A of m"),
        (&[("model.layers.0.self_attn.q_proj.lora_B.bias", &[3][..])][..], "does not fit lora_B"),
        (
            &[("model.layers.0.self_attn.q_proj.lora_magnitude_vector", &[2, 2][..])][..],
            "does not fit lora_B",
        ),
        (
            &[("x.modules_to_save.a.weight", &[3][..]), ("x.modules_to_save.b.weight", &[3][..])][..],
            "x.weight more than once",
        ),
    ] {
        let (_root, library) = more(&config().to_string(), tensors);
        let found = library.experts[0].reason().unwrap_or_default().to_string();
        assert!(found.contains(reason), "{reason}: {found}");
        assert_eq!(library.experts[0].status(), Status::Bad);
    }
}

const UNSLOTH: &str = r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\.(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))";

#[test]
fn contradictions_between_configuration_and_tensors_are_warnings() {
    let weights = safetensors(&pair(Q0));
    for (key, value, expected) in [
        ("target_modules", json!(["c_attn"]), "does not target model.layers.0.self_attn.q_proj"),
        ("target_modules", json!(".*layers\\.[1-9]\\..*"), "does not target"),
        ("target_modules", json!("(?<=self_attn.)q_proj"), "does not target"),
        ("target_modules", json!("(q_proj"), "cannot be read"),
        ("exclude_modules", json!(["q_proj"]), "excludes model.layers.0"),
        ("exclude_modules", json!(".*layers.0.*"), "excludes model.layers.0"),
        ("layers_to_transform", json!([1, 2]), "leaves out the layer of"),
    ] {
        let (_root, library) = one(&with(key, value.clone()), &weights);
        let expert = &library.experts[0];
        assert_eq!(expert.status(), Status::Ok, "{key}");
        assert!(expert.warnings.iter().any(|w| w.contains(expected)), "{key} {value}: {:?}", expert.warnings);
    }
    for (key, value) in [
        ("target_modules", json!("all-linear")),
        ("target_modules", json!(".*\\.(q|v)_proj")),
        ("target_modules", json!(".*(?<=self_attn\\.)q_proj")),
        ("target_modules", json!(["q_proj", "c_attn", "W_pack"])),
        // As unsloth writes it.
        ("target_modules", json!(UNSLOTH)),
        ("target_modules", Value::Null),
        ("exclude_modules", json!(["lm_head"])),
        ("layers_to_transform", json!(0)),
        ("layers_to_transform", json!([0, 1])),
    ] {
        let (_root, library) = one(&with(key, value.clone()), &weights);
        assert_eq!(library.experts[0].warnings, Vec::<String>::new(), "{key} {value}");
    }
}

#[test]
fn broken_configurations_have_a_reason() {
    let weights = safetensors(&pair(Q0));
    for (text, reason) in [
        ("", "is empty"),
        ("{", "EOF"),
        ("[1, 2]", "JSON object"),
        ("nonsense", "not a JSON object"),
        (r#"{"peft_type": "LORA", "lora_alpha": NaN}"#, "expected"),
        (r#"{"r": 2}"#, "no peft_type"),
    ] {
        assert!(bad(text, &weights).contains(reason), "{text}: {}", bad(text, &weights));
    }
    for (key, value, reason) in [
        ("peft_type", json!("LOHA"), "LOHA (LoHa)"),
        ("peft_type", json!("XLORA"), "X-LoRA"),
        ("peft_type", json!("FUTURE"), "FUTURE: only LORA"),
        ("peft_type", json!(3), "`peft_type`"),
        ("r", json!(0), "rank 0"),
        ("r", json!("eight"), "`r`"),
        ("r", json!(2.5), "whole number"),
        ("r", json!(-2), "whole number"),
        ("lora_alpha", json!([16]), "`lora_alpha`"),
        ("target_modules", json!({"a": 1}), "`target_modules`"),
        ("rank_pattern", json!([1]), "`rank_pattern`"),
        ("rank_pattern", json!({"q": "x"}), "`q`"),
        ("use_rslora", json!("yes"), "`use_rslora`"),
    ] {
        let found = bad(&with(key, value.clone()), &weights);
        assert!(found.contains(reason), "{key} = {value}: {found}");
    }
}

#[test]
fn broken_pairs_have_a_reason() {
    let name = |factor: &str| format!("base_model.model.m.{factor}.weight");
    let cases = [
        (vec![(name("lora_A"), vec![2, 3])], "lacks lora_B"),
        (vec![(name("lora_B"), vec![4, 2])], "lacks lora_A"),
        (vec![(name("lora_A"), vec![2, 3]), (name("lora_B"), vec![4, 3])], "rank 2 in lora_A but 3"),
        (vec![(name("lora_A"), vec![0, 3]), (name("lora_B"), vec![4, 0])], "rank 0"),
        (vec![(name("lora_A"), vec![6]), (name("lora_B"), vec![4, 2])], "1 dimensions"),
        (vec![("lora_A.weight".into(), vec![2, 3]), ("lora_B.weight".into(), vec![4, 2])], "no module"),
        (vec![("base_model.model.x.weight".into(), vec![2])], "no LoRA for a linear layer"),
        (vec![], "no LoRA tensors"),
        (
            vec![
                ("m.lora_A.one.weight".into(), vec![2, 3]),
                ("m.lora_A.two.weight".into(), vec![2, 3]),
                ("m.lora_B.one.weight".into(), vec![4, 2]),
            ],
            "more than one",
        ),
    ];
    for (tensors, reason) in cases {
        let found = bad(&config().to_string(), &safetensors(&tensors));
        assert!(found.contains(reason), "{reason}: {found}");
    }
    let eight_bit = r#"{"m.lora_A.weight":{"dtype":"I8","shape":[1,1],"data_offsets":[0,1]},
                        "m.lora_B.weight":{"dtype":"I8","shape":[1,1],"data_offsets":[1,2]}}"#;
    assert!(bad(&config().to_string(), &raw_safetensors(eight_bit, &[0, 0])).contains("i8"));
}

#[test]
fn missing_and_misnamed_weights_have_a_reason() {
    let text = config().to_string();
    assert!(bad(&text, b"PK\x03\x04 rest of a zip").contains("pickle"));
    assert!(bad(&text, b"\x80\x02}q\x00(X\x05\x00").contains("pickle"));
    assert!(bad(&text, b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00}.").contains("pickle"));
    assert!(bad(&text, b"\x80\x05N.").contains("pickle"));
    assert!(bad(&text, b"GGUF\x03\0\0\0\0\0").contains("GGUF"));
    assert!(bad(&text, b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
    assert!(bad(&text, b"").contains("empty"));

    let root = tempfile::tempdir().unwrap();
    let folder = good(root.path(), "it");
    fs::remove_file(folder.join("adapter_model.safetensors")).unwrap();
    let reason =
        |root: &std::path::Path| Library::open(root).unwrap().experts[0].reason().unwrap().to_string();
    assert!(reason(root.path()).contains("has no adapter_model.safetensors"));
    fs::write(folder.join("adapter_model.bin"), b"x").unwrap();
    assert!(reason(root.path()).contains("adapter_model.bin is no file of PyTorch"));
    fs::create_dir(folder.join("adapter_model.safetensors")).unwrap();
    assert!(reason(root.path()).contains("not a regular file"));
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_a_file_does_not_block() {
    let root = tempfile::tempdir().unwrap();
    let folder = good(root.path(), "it");
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        let path = folder.join(file);
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let library = Library::open(root.path()).unwrap();
        assert!(library.experts[0].reason().unwrap().contains("not a regular file"));
    }
}

#[test]
fn weights_that_are_no_numbers_are_noticed_with_file_and_module() {
    for (dtype, bytes) in [
        ("F32", f32::NAN.to_le_bytes().to_vec()),
        ("F16", half::f16::INFINITY.to_le_bytes().to_vec()),
        ("BF16", half::bf16::NAN.to_le_bytes().to_vec()),
        ("F64", 1e300f64.to_le_bytes().to_vec()),
    ] {
        let size = bytes.len();
        let header = json!({
            "m.lora_A.weight": {"dtype": dtype, "shape": [1, 1], "data_offsets": [0, size]},
            "m.lora_B.weight": {"dtype": dtype, "shape": [1, 1], "data_offsets": [size, 2 * size]},
        });
        let mut data = vec![0; size];
        data.extend(bytes);
        let mut config = config();
        config["r"] = json!(1);
        let (_root, library) = one(&config.to_string(), &raw_safetensors(&header.to_string(), &data));
        let adapter = library.experts[0].load().unwrap();
        assert_eq!(adapter.modules[0].a().unwrap(), [0.0], "{dtype}");
        let message = adapter.check_finite().unwrap_err().to_string();
        assert!(
            message.contains("adapter_model.safetensors") && message.contains("lora_B of m"),
            "{message}"
        );
    }
}

#[test]
fn a_file_that_changes_under_us_is_an_error_not_a_crash() {
    let root = tempfile::tempdir().unwrap();
    let folder = good(root.path(), "it");
    let library = Library::open(root.path()).unwrap();
    let adapter = library.experts[0].load().unwrap();
    fs::OpenOptions::new().write(true).open(&adapter.path).unwrap().set_len(20).unwrap();
    assert!(adapter.modules[0].b().is_err());
    assert!(library.experts[0].load().is_err());
    fs::write(folder.join("adapter_model.safetensors"), safetensors(&pair("other"))).unwrap();
    assert!(library.experts[0].load().unwrap_err().to_string().contains("was changed"));
}

#[test]
fn broken_provenance_is_a_warning() {
    let root = tempfile::tempdir().unwrap();
    let folder = expert(root.path(), "it", &config().to_string(), &safetensors(&pair(Q0)));
    fs::write(folder.join("expert.toml"), "seed = \"soon\"").unwrap();
    let library = Library::open(root.path()).unwrap();
    assert_eq!(library.experts[0].status(), Status::Ok);
    assert!(library.experts[0].warnings[0].contains("expert.toml"));
    // One that is there but broken is not also missing.
    let warnings = |library: &Library| crate::analysis::profile(&library.experts[0]).unwrap().warnings;
    assert!(!warnings(&library).iter().any(|w| w.contains("expert.toml")), "{:?}", warnings(&library));
    fs::remove_file(folder.join("expert.toml")).unwrap();
    let library = Library::open(root.path()).unwrap();
    assert!(library.experts[0].warnings.is_empty());
    assert!(warnings(&library).iter().any(|w| w.contains("no expert.toml")));
}
