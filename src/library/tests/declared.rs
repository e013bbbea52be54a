//! Experts beside their base model: what does not fit it, and what they declare and do not have.

use serde_json::{Value, json};

use super::{Q0, config, one, pair, safetensors};
use crate::library::{BaseShape, Library, Status};

/// A tiny base model whose q_proj maps 3 to 4 features, in two layers.
fn base(family: &str) -> BaseShape {
    with_head(family, false)
}

/// The same; its head is its embedding (`tied`) or not.
fn with_head(family: &str, tied: bool) -> BaseShape {
    crate::model::described(json!({
        "model_type": family, "hidden_size": 3, "num_attention_heads": 2, "head_dim": 2, "num_key_value_heads": 1,
        "intermediate_size": 5, "num_hidden_layers": 2, "vocab_size": 9, "tie_word_embeddings": tied,
    }))
    .base_shape()
}

const Q1: &str = "model.layers.1.self_attn.q_proj";

/// An expert with q_proj in both layers, these settings, and these tensors besides.
fn library(changes: Value, more: &[(&str, &[usize])]) -> (tempfile::TempDir, Library) {
    let mut config = config();
    for (key, value) in changes.as_object().expect("changes are an object") {
        config[key] = value.clone();
    }
    let mut tensors: Vec<_> = [Q0, Q1].into_iter().flat_map(pair).collect();
    tensors.extend(more.iter().map(|(name, shape)| (format!("base_model.model.{name}"), shape.to_vec())));
    one(&config.to_string(), &safetensors(&tensors))
}

#[test]
fn whatever_an_expert_replaces_has_to_have_the_base_model_s_size() {
    let bias = format!("{Q0}.base_layer.bias");
    let delta = "model.embed_tokens.token_adapter.trainable_tokens_delta";
    for (changes, name, shape, expected) in [
        (
            json!({"modules_to_save": ["lm_head"]}),
            "lm_head.weight",
            &[10, 3][..],
            "lm_head.weight is [10, 3] in",
        ),
        (
            json!({"modules_to_save": ["lm_head"]}),
            "lm_head.weight",
            &[10, 3],
            "[9, 3] in the base model; tokens were",
        ),
        (
            json!({"modules_to_save": ["lm_head"]}),
            "lm_head.weight",
            &[27],
            "lm_head.weight is [27] in the expert, [9, 3]",
        ),
        (
            json!({"modules_to_save": ["lm_head"]}),
            "lm_head.weight",
            &[9, 4],
            "lm_head.weight is [9, 4] in the expert",
        ),
        (
            json!({"modules_to_save": ["norm"]}),
            "model.norm.weight",
            &[4],
            "model.norm.weight is [4] in the expert, [3]",
        ),
        (json!({"bias": "all"}), &bias, &[5], "q_proj.bias is [5] in the expert, [4]"),
        (json!({"trainable_token_indices": [1, 2]}), delta, &[2, 4], "have 4 numbers, the base model's 3"),
        (
            json!({"trainable_token_indices": [1, 9]}),
            delta,
            &[2, 3],
            "trains token 9, but the base model has 9",
        ),
    ] {
        let (_root, mut library) = library(changes, &[(name, shape)]);
        assert!(library.experts[0].is_usable(), "{:?}", library.experts[0].reason());
        library.keep_to(&base("llama"), "tiny");
        let expert = &library.experts[0];
        let misfit = expert.misfit().unwrap_or_default();
        assert!(misfit.starts_with("does not fit the base model tiny: "), "{name}: {misfit}");
        assert!(misfit.contains(expected), "{name}: {misfit}");
        assert_eq!(misfit.contains("tokens were added"), shape == [10, 3], "{name}: {misfit}");
        assert_eq!(expert.status_here(), Status::Bad);
    }
}

#[test]
fn what_fits_is_whole_and_what_the_base_model_lacks_is_named() {
    let (_root, mut fits) = library(
        json!({"modules_to_save": ["lm_head", "norm"], "trainable_token_indices": [1, 8]}),
        &[
            ("lm_head.weight", &[9, 3]),
            ("model.norm.weight", &[3]),
            ("model.layers.0.input_layernorm.weight", &[3]),
            ("model.layers.0.post_attention_layernorm.weight", &[3]),
            ("model.layers.1.input_layernorm.weight", &[3]),
            ("model.layers.1.post_attention_layernorm.weight", &[3]),
            ("model.embed_tokens.token_adapter.trainable_tokens_delta", &[2, 3]),
        ],
    );
    fits.keep_to(&base("llama"), "tiny");
    assert_eq!((fits.experts[0].misfit(), fits.experts[0].not_applied(false)), (None, None));

    let (_root, mut more) = library(json!({}), &[("score.weight", &[2, 3])]);
    more.keep_to(&base("llama"), "tiny");
    let told = more.experts[0].not_applied(false);
    assert_eq!(told, Some("not applied: score.weight, which the base model does not have"));
    // Of another base model nothing of that holds.
    more.keep_to(&BaseShape::default(), "empty");
    assert_eq!(more.experts[0].not_applied(false), None);
}

#[test]
fn what_is_declared_and_not_there_makes_an_expert_partial() {
    let magnitude = format!("{Q0}.lora_magnitude_vector");
    let bias = format!("{Q0}.lora_B.bias");
    for (changes, more, expected) in [
        (
            json!({"use_dora": true}),
            &[][..],
            "has no magnitudes: the lengths of the base model's weights are used",
        ),
        (
            json!({"use_dora": true}),
            &[(&magnitude[..], &[4][..])],
            "no magnitudes at model.layers.1.self_attn.q_proj:",
        ),
        (json!({"lora_bias": true}), &[], "the file has none: it is zero, as in PEFT"),
        (
            json!({"lora_bias": true}),
            &[(&bias[..], &[4])],
            "has none at model.layers.1.self_attn.q_proj: it is zero",
        ),
        (
            json!({"trainable_token_indices": [1]}),
            &[],
            "(trainable_token_indices) of the embedding, and the file has none",
        ),
        (json!({"trainable_token_indices": {"lm_head": [1]}}), &[], "of lm_head, and the file has none"),
        (
            json!({"modules_to_save": ["lm_head"]}),
            &[],
            "saves lm_head (modules_to_save), and the file does not have it",
        ),
        (
            json!({"target_modules": ["q_proj", "v_proj"]}),
            &[],
            "targets v_proj, and the file has no LoRA there",
        ),
        (json!({"bias": "some"}), &[], "`bias` is some, which PEFT refuses"),
    ] {
        let (_root, library) = library(changes.clone(), more);
        let expert = &library.experts[0];
        assert_eq!(expert.status(), Status::Partial, "{changes}");
        let told = expert.not_applied(false).unwrap_or_default();
        assert!(told.contains(expected) && !told.contains('\n'), "{changes}: {told}");
    }
}

#[test]
fn the_base_model_decides_what_is_missing() {
    for (family, changes, expected) in [
        (
            "llama",
            json!({"target_modules": ["q_proj", "v_proj"]}),
            Some("targets model.layers.0.self_attn.v_proj and 1 more"),
        ),
        ("llama", json!({"target_modules": ["q_proj", "c_attn"]}), None),
        (
            "llama",
            json!({"target_modules": "all-linear"}),
            Some(
                "targets model.layers.0.mlp.down_proj and 11 more, and the file has no LoRA there: nothing is added, as",
            ),
        ),
        ("llama", json!({"target_modules": "all-linear", "exclude_modules": ".*(mlp|[kvo]_proj).*"}), None),
        (
            "llama",
            json!({"target_modules": ["q_proj", "v_proj"], "init_lora_weights": false}),
            Some(
                "v_proj and 1 more, and the file has no LoRA there: nothing is added, while PEFT fills it at random",
            ),
        ),
        ("llama", json!({"modules_to_save": ["lm_head"]}), Some("saves lm_head.weight (modules_to_save)")),
        (
            "llama",
            json!({"modules_to_save": ["lm_head"], "ensure_weight_tying": true}),
            Some("saves lm_head.weight (modules_to_save)"),
        ),
        ("llama", json!({"modules_to_save": ["classifier", "embed_out"]}), None),
        ("llama", json!({"target_parameters": ["q_proj.weight"], "target_modules": []}), None),
        (
            "llama",
            json!({"target_parameters": ["mlp.up_proj.weight"]}),
            Some("targets model.layers.0.mlp.up_proj and 1 more"),
        ),
        (
            "llama",
            json!({"target_parameters": ["mlp.experts.up_proj"]}),
            Some("has no parameter mlp.experts.up_proj"),
        ),
        ("llama", json!({"bias": "all"}), None),
        (
            "qwen2",
            json!({"bias": "all"}),
            Some("(bias: all), and the file does not have model.layers.0.self_attn.k_proj.bias and 5 more"),
        ),
        (
            "qwen2",
            json!({"bias": "lora_only"}),
            Some(
                "(bias: lora_only), and the file does not have model.layers.0.self_attn.q_proj.bias and 1 more",
            ),
        ),
        ("qwen2", json!({"bias": "none"}), None),
    ] {
        let (_root, mut library) = library(changes.clone(), &[]);
        library.keep_to(&base(family), "tiny");
        let told = library.experts[0].not_applied(false);
        assert_eq!(told.is_some(), expected.is_some(), "{family} {changes}: {told:?}");
        assert!(
            told.unwrap_or_default().contains(expected.unwrap_or_default()),
            "{family} {changes}: {told:?}"
        );
    }
    // Only half of the layers.
    let (_root, mut half) = one(&config().to_string(), &safetensors(&pair(Q0)));
    assert_eq!(half.experts[0].status(), Status::Ok, "nobody knows how many there are");
    half.keep_to(&base("llama"), "tiny");
    let told = half.experts[0].not_applied(false).unwrap_or_default();
    assert!(
        told.contains("targets model.layers.1.self_attn.q_proj, and the file has no LoRA there"),
        "{told}"
    );
}

/// What PEFT does with these files: with the first of each it fails (KeyError), with the second it does not.
#[test]
fn a_head_that_is_the_embedding_is_saved_with_it_and_shares_its_tokens() {
    const EMBED: &str = "model.embed_tokens.weight";
    const HEAD: &str = "lm_head.weight";
    const DELTA: &str = "model.embed_tokens.token_adapter.trainable_tokens_delta";
    let saved = |tied: bool, module: &str| json!({"modules_to_save": [module], "ensure_weight_tying": tied});
    let tokens = |head: Value| json!({"trainable_token_indices": {"embed_tokens": [3, 5], "lm_head": head}});
    let table: &[usize] = &[9, 3];
    let rows: &[usize] = &[2, 3];
    for (tied, changes, more, expected) in [
        (
            true,
            saved(true, "model.embed_tokens"),
            &[(EMBED, table)][..],
            Some("saves lm_head.weight (modules_to_save)"),
        ),
        (true, saved(true, "lm_head"), &[(EMBED, table)], Some("saves lm_head.weight (modules_to_save)")),
        (
            true,
            saved(true, "lm_head"),
            &[(HEAD, table)],
            Some("saves model.embed_tokens.weight (modules_to_save)"),
        ),
        (
            true,
            saved(true, "embed_tokens"),
            &[(HEAD, table)],
            Some("saves model.embed_tokens.weight (modules_to_save)"),
        ),
        (true, saved(true, "embed_tokens"), &[(EMBED, table), (HEAD, table)], None),
        (true, saved(false, "embed_tokens"), &[(EMBED, table)], None),
        (false, saved(true, "embed_tokens"), &[(EMBED, table)], None),
        (true, tokens(json!([3, 5])), &[(DELTA, rows)], None),
        (
            true,
            tokens(json!([3])),
            &[(DELTA, rows)],
            Some("(trainable_token_indices) of lm_head, and the file has none"),
        ),
        (
            false,
            tokens(json!([3, 5])),
            &[(DELTA, rows)],
            Some("(trainable_token_indices) of lm_head, and the file has none"),
        ),
    ] {
        let (_root, mut library) = library(changes.clone(), more);
        library.keep_to(&with_head("llama", tied), "tiny");
        let expert = &library.experts[0];
        let told = expert.not_applied(false);
        assert_eq!(expert.misfit(), None, "{changes}");
        assert_eq!(told.is_some(), expected.is_some(), "{tied} {changes}: {told:?}");
        assert!(
            told.unwrap_or_default().contains(expected.unwrap_or_default()),
            "{tied} {changes}: {told:?}"
        );
    }
}

#[test]
fn patterns_mean_targeted_parameters_by_their_names() {
    // As PEFT applies them, although it warns that they match nothing.
    let (_root, library) = library(
        json!({
            "target_parameters": ["q_proj.weight"], "target_modules": [], "r": 8,
            "rank_pattern": {"self_attn.q_proj.weight": 2}, "alpha_pattern": {"layers.0.self_attn.q_proj.weight": 10},
        }),
        &[],
    );
    let expert = &library.experts[0];
    assert_eq!(
        (expert.status(), expert.warnings.as_slice()),
        (Status::Ok, [].as_slice()),
        "{:?}",
        expert.reason()
    );
    assert_eq!(expert.modules.iter().map(|module| module.scale).collect::<Vec<_>>(), [5.0, 2.0]);
}

#[test]
fn an_adapter_for_another_architecture_of_llama_cpp_does_not_fit() {
    let (_root, mut library) = library(json!({}), &[]);
    library.experts[0].architecture = Some("llama");
    for (family, fits) in [("llama", true), ("mistral", true), ("qwen2", false), ("qwen3", false)] {
        library.keep_to(&base(family), family);
        let misfit = library.experts[0].misfit();
        assert_eq!(misfit.is_none(), fits, "{family}: {misfit:?}");
        assert!(
            fits || misfit.is_some_and(
                |why| why.contains(&format!("the architecture llama, and the base model's is {family}"))
            )
        );
    }
}

#[test]
fn keys_that_peft_does_not_know_are_named_and_those_of_other_versions_are_not() {
    let (_root, library) = library(
        json!({
            "peft_version": "0.99.0", "auto_mapping": null, "inference_mode": true, "megatron_core": "megatron.core",
            "qalora_group_size": 16, "corda_config": null, "lora_ga_config": null, "enable_lora": null,
            "merge_weights": false, "eva_config": null, "runtime_config": {}, "loftq_config": {},
        }),
        &[],
    );
    assert_eq!(library.experts[0].warnings, Vec::<String>::new());
    let (_root, library) = self::library(json!({"a": 1, "b": {"c": []}, "d": null, "e\u{1b}": 2}), &[]);
    assert_eq!(library.experts[0].status(), Status::Ok);
    assert_eq!(
        library.experts[0].warnings,
        ["adapter_config.json has 4 keys that PEFT does not know and ignores: a, b, d and 1 more"]
    );
}

#[test]
fn placeholders_of_a_sharded_checkpoint_are_called_so() {
    let place = |name: &str| format!("{Q0}.{name}");
    for name in [place("lora_A.weight"), "lm_head.weight".into(), place("lora_magnitude_vector")] {
        let mut tensors = pair(Q1);
        tensors.extend(pair(Q0).into_iter().filter(|(other, _)| !other.ends_with(&name)));
        tensors.push((format!("base_model.model.{name}"), vec![0]));
        let (_root, library) = one(&config().to_string(), &safetensors(&tensors));
        let reason = library.experts[0].reason().unwrap_or_default();
        assert!(reason.contains("ZeRO-3") && reason.contains("zero_to_fp32.py"), "{name}: {reason}");
    }
}

#[test]
fn a_configuration_without_a_rank_says_so() {
    let (_root, library) = library(json!({"r": null}), &[]);
    let told = library.experts[0].not_applied(false).unwrap_or_default();
    assert!(told.contains("has no `r`, for which PEFT takes 8, the tensors 2"), "{told}");
}

#[test]
fn too_many_patterns_are_one_short_line() {
    let many: serde_json::Map<String, Value> = (0..50_001).map(|at| (format!("p{at}"), json!(2))).collect();
    for (key, value) in
        [("rank_pattern", Value::Object(many.clone())), ("target_modules", many.keys().cloned().collect())]
    {
        let (_root, library) = library(json!({key: value}), &[]);
        let reason = library.experts[0].reason().unwrap_or_default();
        assert_eq!(reason, format!("adapter_config.json cannot be used: `{key}`: more than 50000 entries"));
    }
}

#[test]
fn weights_whose_product_is_beyond_f32_are_found_when_they_are_read() {
    let check = |alpha: f64| {
        let mut config = config();
        config["lora_alpha"] = json!(alpha);
        let (_root, library) = one(&config.to_string(), &safetensors(&pair(Q0)));
        let expert = &library.experts[0];
        let read = expert.load().unwrap().check_finite().err().map(|error| error.to_string());
        (read, crate::analysis::profile(expert).unwrap().unsound)
    };
    assert_eq!(check(1e38), (None, None));
    let (read, shown) = check(1e40);
    assert!(read.is_some_and(|why| why.contains("beyond the range of f32 at model.layers.0")));
    assert!(shown.is_some_and(|why| why.contains("beyond the range of f32 at model.layers.0")));
}
