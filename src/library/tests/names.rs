//! Names in files and names in the model, and variants of LoRA that are not plain.

use std::fs;

use serde_json::{Value, json};

use super::{config, one, safetensors};
use crate::library::{Library, Status};

const Q: &str = "model.layers.0.self_attn.q_proj";
const WRAPPED: &str = "model.language_model.layers.0.self_attn.q_proj";

/// A and B of modules as a file names them: rank 2, 3 inputs, 4 outputs.
fn pairs(modules: &[&str]) -> Vec<(String, Vec<usize>)> {
    modules.iter().flat_map(|module| super::pair(module)).collect()
}

/// The library of one adapter of these modules, with these changes to its configuration.
fn library(modules: &[&str], changes: Value) -> (tempfile::TempDir, Library) {
    let mut config = config();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    one(&config.to_string(), &safetensors(&pairs(modules)))
}

#[test]
fn patterns_targets_and_tokens_mean_the_file_s_names() {
    for (changes, scale) in [
        (json!({"alpha_pattern": {r".*language_model.*layers\.0\..*q_proj": 64}}), 32.0),
        (json!({"alpha_pattern": {"model.language_model.layers.0.self_attn.q_proj": 64}}), 32.0),
        (json!({"alpha_pattern": {r"^model\.layers\.0\..*": 64}}), 32.0),
        (json!({"target_modules": r".*language_model.*\.(q|v)_proj"}), 2.0),
        (json!({"target_modules": [WRAPPED]}), 2.0),
        (json!({"target_modules": [Q]}), 2.0),
        (json!({"layers_to_transform": [0], "layers_pattern": ""}), 2.0),
        (json!({"layers_to_transform": 0, "layers_pattern": ["layers"]}), 2.0),
        (json!({"exclude_modules": r"(?!.*language_model).*"}), 2.0),
    ] {
        let (_root, library) = library(&[WRAPPED], changes.clone());
        let expert = &library.experts[0];
        assert_eq!((expert.status(), expert.warnings.as_slice()), (Status::Ok, [].as_slice()), "{changes}");
        assert_eq!((expert.modules[0].module.as_str(), expert.modules[0].scale), (Q, scale), "{changes}");
        assert_eq!(expert.modules[0].names().file, WRAPPED);
    }
    let tensors = [
        pairs(&[WRAPPED]),
        vec![(
            "base_model.model.model.language_model.embed_tokens.token_adapter.trainable_tokens_delta".into(),
            vec![1, 3],
        )],
    ];
    let mut config = config();
    config["trainable_token_indices"] = json!({"language_model.embed_tokens": [7]});
    let (_root, library) = one(&config.to_string(), &safetensors(&tensors.concat()));
    assert_eq!(library.experts[0].load().unwrap().tokens[0].ids, [7]);
    assert_eq!(library.experts[0].warnings, Vec::<String>::new());
}

#[test]
fn wrappers_in_the_file_s_names_are_kept_for_writing() {
    for (file, name) in [
        ("base_model.model.model.layers.0.self_attn.q_proj", Q),
        ("module.base_model.model.model.layers.0.self_attn.q_proj", Q),
        (
            "base_model.model._orig_mod.model.layers.0.self_attn.q_proj",
            "_orig_mod.model.layers.0.self_attn.q_proj",
        ),
        ("base_model.model.model.language_model.layers.0.self_attn.q_proj", WRAPPED),
        (
            "base_model.model.language_model.model.layers.0.self_attn.q_proj",
            "language_model.model.layers.0.self_attn.q_proj",
        ),
    ] {
        let tensors =
            [(format!("{file}.lora_A.weight"), vec![2, 3]), (format!("{file}.lora_B.weight"), vec![4, 2])];
        let (_root, library) = one(&config().to_string(), &safetensors(&tensors));
        let shape = &library.experts[0].modules[0];
        assert_eq!((shape.module.as_str(), shape.names().file), (Q, name), "{file}");
    }
}

#[test]
fn a_key_that_matches_no_module_is_named() {
    for (key, value, told) in [
        (
            "alpha_pattern",
            json!({"qproj": 100}),
            Some("1 key of alpha_pattern matches no module of this adapter: qproj"),
        ),
        ("alpha_pattern", json!({"^q_proj": 100}), Some("^q_proj")),
        (
            "rank_pattern",
            json!({"a": 1, "b": 1, "c": 1, "d": 1}),
            Some("4 keys of rank_pattern match no module"),
        ),
        ("rank_pattern", json!({"a": 1, "b": 1, "c": 1, "d": 1}), Some("a, b, c and 1 more")),
        ("alpha_pattern", json!({"q_proj": 4, "self_attn.q_proj": 9}), None),
    ] {
        let (_root, library) = library(&[Q], json!({key: value.clone()}));
        let expert = &library.experts[0];
        assert_eq!((expert.status(), expert.modules[0].scale), (Status::Ok, 2.0), "{value}");
        match told {
            Some(told) => assert!(expert.warnings[0].contains(told), "{:?}", expert.warnings),
            None => assert_eq!(expert.warnings, Vec::<String>::new()),
        }
    }
}

#[test]
fn lookaheads_are_read_as_python_reads_them() {
    let modules = [0, 1].map(|layer| format!("model.layers.{layer}.self_attn.q_proj"));
    let modules: Vec<&str> = modules.iter().map(String::as_str).collect();
    for (key, scales) in
        [(r"(?!.*layers\.0\.).*q_proj", [32.0, 32.0]), (r"^(?!.*layers\.0\.).*q_proj", [2.0, 32.0])]
    {
        let (_root, library) = library(&modules, json!({"alpha_pattern": {key: 64}}));
        let found: Vec<f64> = library.experts[0].modules.iter().map(|m| m.scale).collect();
        assert_eq!(found, scales, "{key}");
    }
}

#[test]
fn the_language_part_of_a_multimodal_adapter_is_applied() {
    let vision = "model.visual.blocks.0.attn.qkv";
    let (_root, both) = library(&[WRAPPED, vision], json!({"target_modules": ["q_proj", "qkv"]}));
    let expert = &both.experts[0];
    assert_eq!(expert.status(), Status::Partial);
    let reason = expert.reason().unwrap();
    assert!(
        reason.contains("1 LoRA outside the language model (model.visual.blocks.0.attn.qkv)"),
        "{reason}"
    );
    assert_eq!((expert.modules.len(), expert.warnings.as_slice()), (1, [].as_slice()));
    // A part that is not known by its name, and the head, which is outside too.
    let (tower, bridge) = ("model.tower.layers.0.q_proj", "model.bridge.q_proj");
    let (_root, both) =
        library(&[WRAPPED, tower, bridge, "lm_head"], json!({"target_modules": ["q_proj", "lm_head"]}));
    let found: Vec<&str> = both.experts[0].modules.iter().map(|m| m.module.as_str()).collect();
    assert_eq!(found, ["lm_head", Q]);
    let (_root, alone) = library(&[vision], json!({"target_modules": ["qkv"]}));
    let reason = alone.experts[0].reason().unwrap();
    assert!(reason.contains("only 1 LoRA outside the language model"), "{reason}");
}

#[test]
fn stacked_lora_of_a_mixture_is_called_so() {
    for (a, b, called) in [
        (vec![2, 48, 4], vec![2, 4, 80], "LoRA of a stacked parameter (target_parameters)"),
        (vec![4, 8, 3], vec![16, 4, 1], "convolution LoRA"),
        (vec![4, 8, 3, 3], vec![16, 4, 1, 1], "convolution LoRA"),
    ] {
        let mut tensors = pairs(&[Q]);
        tensors.push(("base_model.model.m.lora_A.weight".into(), a));
        tensors.push(("base_model.model.m.lora_B.weight".into(), b));
        let (_root, library) = one(&config().to_string(), &safetensors(&tensors));
        let reason = library.experts[0].reason().unwrap().to_string();
        assert!(reason.contains(called), "{called}: {reason}");
    }
}

#[test]
fn variants_that_are_not_b_a_are_refused_and_training_tensors_are_not() {
    for (key, value, told) in [
        ("init_lora_weights", json!("pissa_niter_4"), "asks for PiSSA"),
        ("init_lora_weights", json!("olora"), "asks for OLoRA"),
        ("init_lora_weights", json!("corda"), "asks for CorDA"),
        ("init_lora_weights", json!("lora_ga"), "asks for LoRA-GA"),
        ("init_lora_weights", json!("loftq"), "asks for LoftQ"),
        ("kasa_config", json!({}), "asks for KaSA"),
        ("alora_invocation_tokens", json!([1, 2]), "asks for aLoRA"),
        ("use_qalora", json!(true), "asks for QALoRA"),
        ("use_bdlora", json!({"nblocks": 2}), "asks for BD-LoRA"),
        ("layer_replication", json!([[0, 2], [1, 3]]), "asks for layer replication"),
        ("arrow_config", json!({"top_k": 3}), "asks for Arrow's router"),
    ] {
        let (_root, library) = library(&[Q], json!({key: value}));
        let expert = &library.experts[0];
        assert_eq!(expert.status(), Status::Bad, "{key}");
        assert!(expert.reason().unwrap().contains(told), "{:?}", expert.reason());
        assert!(expert.load().is_err() && library.comparable().count() == 0);
    }
    for (key, value) in [
        ("init_lora_weights", json!("eva")),
        ("init_lora_weights", json!(true)),
        ("velora_config", json!({"num_groups": 64})),
        ("monteclora_config", json!({"num_samples": 2})),
        ("use_qalora", json!(false)),
        ("alora_invocation_tokens", Value::Null),
        ("layer_replication", json!([])),
        ("loftq_config", json!({})),
    ] {
        let (_root, library) = library(&[Q], json!({key: value}));
        assert_eq!(library.experts[0].status(), Status::Ok, "{key}: {:?}", library.experts[0].reason());
    }
    for (tensor, told) in [
        ("lora_velora_embed", None),
        ("lora_monteclora_sampler.std_prior", None),
        ("lora_monteclora_sampler.gaussian_var_prior", None),
        ("lora_diag", Some("has `lora_diag` of KaSA")),
        ("lora_E", Some("of AdaLoRA")),
        ("lora_mid.weight", Some("of LoCon")),
        ("hada_w1_a", Some("of LoHa")),
        ("lora_future.weight", Some("has `lora_future`")),
        ("lora_C", Some("a variant of LoRA that is not known here")),
    ] {
        let mut tensors = pairs(&[Q]);
        tensors.push((format!("base_model.model.{Q}.{tensor}"), vec![2]));
        let (_root, library) = one(&config().to_string(), &safetensors(&tensors));
        let expert = &library.experts[0];
        assert_eq!(expert.status() == Status::Bad, told.is_some(), "{tensor}: {:?}", expert.reason());
        assert!(
            expert.reason().unwrap_or_default().contains(told.unwrap_or_default()),
            "{:?}",
            expert.reason()
        );
    }
}

#[test]
fn an_mlx_adapter_may_have_peft_s_fields_too() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("it");
    fs::create_dir(&folder).unwrap();
    let mut config = config();
    config["fine_tune_type"] = json!("lora");
    config["num_layers"] = json!(1);
    config["lora_parameters"] = json!({"rank": 2, "scale": 5.0, "dropout": 0.0});
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    let weights = safetensors(&[(format!("{Q}.lora_a"), vec![3, 2]), (format!("{Q}.lora_b"), vec![2, 4])]);
    fs::write(folder.join("adapters.safetensors"), weights).unwrap();
    let open = || Library::open(root.path()).unwrap();
    let expert = open().experts.remove(0);
    assert_eq!((expert.status(), expert.format.id(), expert.modules[0].scale), (Status::Ok, "mlx", 5.0));
    // PEFT's own weights beside them are PEFT's.
    fs::write(folder.join("adapter_model.safetensors"), safetensors(&pairs(&[Q]))).unwrap();
    let expert = open().experts.remove(0);
    assert_eq!((expert.format.id(), expert.modules[0].scale), ("peft", 2.0));
}

#[test]
fn plain_lora_by_another_tool_s_names_is_called_so() {
    for end in ["", ".weight"] {
        let tensors: Vec<_> = [("lora_a", vec![3, 2]), ("lora_b", vec![2, 4])]
            .map(|(factor, shape)| (format!("{Q}.{factor}{end}"), shape))
            .into();
        let (_root, library) = one(&config().to_string(), &safetensors(&tensors));
        let reason = library.experts[0].reason().unwrap_or_default();
        assert!(reason.contains("plain LoRA by the names of another tool (MLX-LM, torchtune)"), "{reason}");
        assert!(!reason.contains("variant"), "{reason}");
    }
}
