//! Which files are read, and how their tensors may be called.

use serde_json::{Value, json};

use super::*;

const Q: &str = "model.layers.0.self_attn.q_proj";

/// A safetensors file of f32 tensors with the values 0, 1, 2 …
fn safetensors(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape) in tensors {
        let values = floats(shape.iter().product());
        let end = data.len() + values.len();
        header.insert(
            (*name).into(),
            json!({"dtype": "F32", "shape": shape, "data_offsets": [data.len(), end]}),
        );
        data.extend(values);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn peft(tensors: &[(&str, &[usize])]) -> (tempfile::TempDir, Expert) {
    let weights = safetensors(tensors);
    let (root, _) =
        folder(&[("adapter_config.json", CONFIG.as_bytes()), ("adapter_model.safetensors", &weights)]);
    let expert = only(root.path());
    (root, expert)
}

#[test]
fn all_spellings_of_a_name_are_one_module() {
    for path in [
        "model.layers.0.self_attn.q_proj.lora_X.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_X.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_X.default.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_X.my_adapter-1.weight",
        "base_model.model.base_model.model.model.layers.0.self_attn.q_proj.lora_X.weight",
        "module.base_model.model.model.layers.0.self_attn.q_proj.lora_X.weight",
        "_orig_mod.module.base_model.model.model.layers.0.self_attn.q_proj.lora_X.weight",
        "_fsdp_wrapped_module.base_model.model.model.layers.0._fsdp_wrapped_module._checkpoint_wrapped_module.\
         self_attn.q_proj.lora_X.default._fsdp_wrapped_module.weight",
        "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_X.weight",
        "base_model.model.language_model.model.layers.0.self_attn.q_proj.lora_X.weight",
        "model.layers.0.self_attn.q_proj.lora_X",
    ] {
        let (a, b) = (path.replace("lora_X", "lora_A"), path.replace("lora_X", "lora_B"));
        let (_root, expert) = peft(&[(&a, &[2, 3]), (&b, &[4, 2])]);
        assert_eq!(expert.status(), Status::Ok, "{path}: {:?}", expert.reason());
        assert_eq!(expert.modules[0].module, Q, "{path}");
        assert_eq!(expert.load().unwrap().modules[0].a().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);

        let pickle = dictionary(&[
            (&a, tensor("FloatStorage", 0, 6, 0, &[2, 3], &[3, 1])),
            (&b, tensor("FloatStorage", 1, 8, 0, &[4, 2], &[2, 1])),
        ]);
        let file = torch_file(&pickle, &[floats(6), floats(8)]);
        let (root, _) = folder(&[("adapter_config.json", CONFIG.as_bytes()), ("adapter_model.bin", &file)]);
        let expert = only(root.path());
        assert_eq!(expert.status(), Status::Ok, "{path}: {:?}", expert.reason());
        assert_eq!(expert.modules[0].module, Q, "{path}");
    }
}

#[test]
fn two_names_of_one_tensor_are_an_error_that_names_both() {
    let other = "module.base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    let reason = peft(&[(A, &[2, 3]), (other, &[2, 3]), (B, &[4, 2])]).1.reason().unwrap().to_string();
    assert!(reason.contains("more than one lora_A") && reason.contains(Q), "{reason}");
    let named = |adapter: &str, letter: &str| format!("{Q}.lora_{letter}.{adapter}.weight");
    let names = [("one", "A"), ("one", "B"), ("two", "A"), ("two", "B")].map(|(x, y)| named(x, y));
    let shapes: [&[usize]; 4] = [&[2, 3], &[4, 2], &[2, 3], &[4, 2]];
    let tensors: Vec<(&str, &[usize])> = names.iter().map(String::as_str).zip(shapes).collect();
    let reason = peft(&tensors).1.reason().unwrap().to_string();
    assert!(reason.contains("adapters `one` and `two`"), "{reason}");
}

#[test]
fn what_is_left_over_makes_an_expert_partial() {
    let (_root, expert) = peft(&[(A, &[2, 3]), (B, &[4, 2]), ("optimizer.state.step", &[1])]);
    assert_eq!(expert.status(), Status::Partial);
    assert!(expert.reason().unwrap().to_string().contains("optimizer.state.step"));
}

fn index(entries: &[(&str, &str)]) -> Vec<u8> {
    let map: serde_json::Map<String, Value> =
        entries.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string().into_bytes()
}

#[test]
fn shards_must_be_what_their_index_says() {
    let (first, second) = (safetensors(&[(A, &[2, 3])]), safetensors(&[(B, &[4, 2])]));
    let both = safetensors(&[(A, &[2, 3]), (B, &[4, 2])]);
    let config = ("adapter_config.json", CONFIG.as_bytes());
    const INDEX: &str = "adapter_model.safetensors.index.json";
    let (x, y) = (("x.safetensors", first.as_slice()), ("y.safetensors", second.as_slice()));
    let whole = index(&[(A, "x.safetensors"), (B, "y.safetensors")]);
    let (root, _) = folder(&[config, (INDEX, &whole), x, y]);
    assert_eq!(only(root.path()).status(), Status::Ok);
    for (index, files, expected) in [
        (whole.clone(), vec![x], "y.safetensors, which"),
        (whole.clone(), vec![x, ("y.safetensors", &second[..40])], "y.safetensors was cut off"),
        (whole.clone(), vec![x, ("y.safetensors", &both)], "both have the tensor"),
        (index(&[(A, "x.safetensors")]), vec![x], "lacks lora_B"),
        (index(&[(A, "x.safetensors"), (B, "x.safetensors")]), vec![x], "in no file"),
        (index(&[(A, "x.safetensors")]), vec![("x.safetensors", &both)], "names 1 tensors, its files have 2"),
        (index(&[(A, "../it/x.safetensors")]), vec![x], "not in this folder"),
        (index(&[(A, "..")]), vec![x], "not in this folder"),
        (index(&[]), vec![x], "names no files"),
        (b"{}".to_vec(), vec![x], "no `weight_map`"),
        (b"[]".to_vec(), vec![x], "cannot be used"),
        (br#"{"weight_map":{"a":3}}"#.to_vec(), vec![x], "cannot be used"),
        (br#"{"weight_map":{},"weight_map":{}}"#.to_vec(), vec![x], "two `weight_map`"),
    ] {
        let mut all = vec![config, (INDEX, index.as_slice())];
        all.extend(files);
        let reason = bad(&all);
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}

#[test]
fn the_older_phi_2_of_mttl_is_split_into_q_k_and_v() {
    let entries = [
        ("layers.1.mixer.Wqkv.lora_a", tensor("FloatStorage", 0, 8, 0, &[4, 2], &[2, 1])),
        ("layers.1.mixer.Wqkv.lora_b", tensor("FloatStorage", 1, 12, 0, &[2, 6], &[6, 1])),
        ("layers.1.mixer.out_proj.lora_a", tensor("FloatStorage", 0, 8, 0, &[4, 2], &[2, 1])),
        ("layers.1.mixer.out_proj.lora_b", tensor("FloatStorage", 0, 8, 0, &[2, 4], &[4, 1])),
        ("layers.1.mlp.fc1.lora_a", tensor("FloatStorage", 0, 8, 0, &[4, 2], &[2, 1])),
        ("layers.1.mlp.fc1.lora_b", tensor("FloatStorage", 0, 8, 0, &[2, 4], &[4, 1])),
    ];
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("it.ckpt"), torch_file(&dictionary(&entries), &[floats(8), floats(12)]))
        .unwrap();
    let adapter = only(root.path()).load().unwrap();
    let names: Vec<&str> = adapter.modules.iter().map(|m| m.shape.module.as_str()).collect();
    let expected = ["mlp.fc1", "self_attn.dense", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj"];
    assert_eq!(names, expected.map(|name| format!("model.layers.0.{name}")));
    let module = |name: &str| adapter.module(&format!("model.layers.0.self_attn.{name}")).unwrap();
    assert_eq!(module("q_proj").b().unwrap(), [0.0, 6.0, 1.0, 7.0]);
    assert_eq!(module("k_proj").b().unwrap(), [2.0, 8.0, 3.0, 9.0]);
    assert_eq!(module("v_proj").b().unwrap(), [4.0, 10.0, 5.0, 11.0]);
    assert_eq!(module("v_proj").a().unwrap(), module("q_proj").a().unwrap());
}

fn mlx_config(changes: Value) -> Vec<u8> {
    let mut config = json!({
        "fine_tune_type": "lora", "num_layers": 4, "model": "m",
        "lora_parameters": {"rank": 2, "scale": 3.5, "dropout": 0.0}
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config.to_string().into_bytes()
}

#[test]
fn adapters_of_mlx_lm_are_read_by_their_own_rules() {
    let weights = safetensors(&[(&format!("{Q}.lora_a"), &[3, 2]), (&format!("{Q}.lora_b"), &[2, 4])]);
    let open = |config: &[u8]| {
        let (root, _) = folder(&[("adapter_config.json", config), ("adapters.safetensors", &weights)]);
        let expert = only(root.path());
        (root, expert)
    };
    let (_root, expert) = open(&mlx_config(json!({})));
    assert_eq!(expert.status(), Status::Ok, "{:?}", expert.reason());
    assert_eq!((expert.modules[0].module.as_str(), expert.modules[0].scale), (Q, 3.5));
    let adapter = expert.load().unwrap();
    assert_eq!(adapter.modules[0].a().unwrap(), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    assert_eq!(adapter.modules[0].b().unwrap(), [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);

    // Older versions multiplied by α / r.
    let old = json!({"rank": 2, "scale": 3.0, "alpha": 8.0, "dropout": 0.0});
    let text = json!({"lora_layers": 4, "lora_parameters": old}).to_string();
    assert_eq!(open(text.as_bytes()).1.modules[0].scale, 12.0);
    let both = open(&mlx_config(json!({"lora_parameters": old}))).1;
    assert_eq!(both.modules[0].scale, 3.0);
    assert!(both.warnings[0].contains("alpha"), "{:?}", both.warnings);

    for (changes, expected) in [
        (json!({"fine_tune_type": "full"}), "no adapter"),
        (json!({"fine_tune_type": "prefix"}), "only lora and dora"),
        (json!({"lora_parameters": {"rank": 2}}), "no `scale`"),
        (json!({"lora_parameters": {"scale": "x"}}), "cannot be used"),
        (json!({"lora_parameters": 3}), "cannot be used"),
    ] {
        let reason = open(&mlx_config(changes)).1.reason().unwrap().to_string();
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    let lone = mlx_config(json!({}));
    assert!(bad(&[("adapter_config.json", &lone)]).contains("no adapters.safetensors"));
    assert!(bad(&[("adapter_config.json", &lone), ("adapters.npz", b"x")]).contains("no longer writes"));
}

#[test]
fn lora_of_mlx_lm_on_an_embedding_is_also_at_the_head_where_they_are_one() {
    const EMBED: &str = "model.embed_tokens";
    let embedding = [(format!("{EMBED}.lora_a"), vec![5, 2]), (format!("{EMBED}.lora_b"), vec![2, 3])];
    let head = [("lm_head.lora_a".to_string(), vec![3, 2]), ("lm_head.lora_b".to_string(), vec![2, 5])];
    let library = |tensors: &[(String, Vec<usize>)]| {
        let tensors: Vec<(&str, &[usize])> =
            tensors.iter().map(|(n, s)| (n.as_str(), s.as_slice())).collect();
        let (config, weights) = (mlx_config(json!({})), safetensors(&tensors));
        let (root, _) = folder(&[("adapter_config.json", &config), ("adapters.safetensors", &weights)]);
        for tied in [true, false] {
            let base = root.path().join(format!(".{tied}"));
            fs::create_dir(&base).unwrap();
            let config = json!({
                "model_type": "llama", "tie_word_embeddings": tied, "vocab_size": 5, "hidden_size": 3,
            });
            fs::write(base.join("config.json"), config.to_string()).unwrap();
        }
        (Library::open(root.path()).unwrap(), root)
    };
    let (mut alone, root) = library(&embedding);
    let [expert] = &alone.experts[..] else { panic!("{:?}", alone.warnings) };
    assert!(expert.needs_base() && !expert.is_usable());
    assert!(expert.reason().unwrap().contains("--base"), "{:?}", expert.reason());
    // Either way, and back.
    for tied in [true, false, true] {
        alone.use_base(&root.path().join(format!(".{tied}")));
        let expert = &alone.experts[0];
        assert_eq!(expert.status(), Status::Ok, "{:?}", expert.reason());
        let modules = expert.load().unwrap().modules;
        let found: Vec<(&str, bool)> =
            modules.iter().map(|m| (m.shape.module.as_str(), m.shape.embedding)).collect();
        match tied {
            true => assert_eq!(found, [("lm_head", false), (EMBED, true)]),
            false => assert_eq!(found, [(EMBED, true)]),
        }
        let at = |module: &str| modules.iter().find(|m| m.shape.module == module).unwrap();
        // The embedding is a layer from the vocabulary to the hidden width: A is 2 × 5, B is 3 × 2.
        assert_eq!(at(EMBED).a().unwrap(), [0.0, 2.0, 4.0, 6.0, 8.0, 1.0, 3.0, 5.0, 7.0, 9.0]);
        assert_eq!(at(EMBED).b().unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        if tied {
            // The head is one from the hidden width to the vocabulary: A is 2 × 3, B is 5 × 2.
            assert_eq!((at("lm_head").a().unwrap().len(), at("lm_head").b().unwrap().len()), (6, 10));
            assert_eq!(at("lm_head").a().unwrap(), (0..6u8).map(f32::from).collect::<Vec<_>>());
            assert_eq!(at("lm_head").b().unwrap(), (0..10u8).map(f32::from).collect::<Vec<_>>());
            assert_eq!(at("lm_head").shape.scale, at(EMBED).shape.scale);
        }
    }
    // A base model with another table does not help.
    fs::write(root.path().join(".true/config.json"), json!({"vocab_size": 6, "hidden_size": 3}).to_string())
        .unwrap();
    alone.use_base(&root.path().join(".true"));
    let reason = alone.experts[0].reason().unwrap();
    assert!(
        alone.experts[0].needs_base() && reason.contains("does not fit: its table is not 5 × 3"),
        "{reason}"
    );

    // A head with LoRA of its own is a table of its own, whatever the base model.
    let (both, _root) = library(&[embedding.as_slice(), &head].concat());
    let modules: Vec<&str> = both.experts[0].modules.iter().map(|m| m.module.as_str()).collect();
    assert_eq!((both.experts[0].status(), modules), (Status::Ok, vec!["lm_head", EMBED]));

    let (dora, _root) = library(&[embedding.as_slice(), &[(format!("{EMBED}.m"), vec![5])]].concat());
    let reason = dora.experts[0].reason().unwrap();
    assert!(reason.contains("has DoRA on model.embed_tokens"), "{reason}");
}

#[test]
fn checkpoints_of_mttl_tell_what_is_missing() {
    let transposed = |shape: &[i64], strides: &[i64]| tensor("FloatStorage", 0, 8, 0, shape, strides);
    let entries = |a: Option<&str>| {
        let mut entries = vec![
            (format!("{Q}.lora_b"), transposed(&[2, 4], &[4, 1])),
            ("model.layers.0.self_attn.k_proj.lora_b".into(), transposed(&[2, 4], &[4, 1])),
        ];
        entries.extend(a.map(|name| (name.to_string(), transposed(&[3, 2], &[2, 1]))));
        entries
    };
    let file = |entries: &[(String, Vec<u8>)]| {
        let entries: Vec<(&str, Vec<u8>)> = entries.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
        torch_file(&dictionary(&entries), &[floats(8)])
    };
    let open = |bytes: &[u8], meta: Option<&[u8]>| {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("it.ckpt"), bytes).unwrap();
        if let Some(meta) = meta {
            fs::write(root.path().join("it.meta"), meta).unwrap();
        }
        let expert = only(root.path());
        (root, expert)
    };
    // One A for q and k; α is not recorded.
    let tied = file(&entries(Some(&format!("{Q}.lora_a"))));
    let (_root, expert) = open(&tied, None);
    assert_eq!((expert.status(), expert.modules.len(), expert.modules[0].scale), (Status::Partial, 2, 8.0));
    assert!(expert.reason().unwrap().contains("α is not recorded"), "{:?}", expert.reason());
    let adapter = expert.load().unwrap();
    assert_eq!(adapter.modules[0].a().unwrap(), adapter.modules[1].a().unwrap());

    let meta = torch_file(
        &dictionary(&[("expert_config", [b"}".as_slice(), &text("lora_alpha"), &number(3), b"s"].concat())]),
        &[],
    );
    assert_eq!(open(&tied, Some(&meta)).1.modules[0].scale, 1.5);
    let ignored = open(&tied, Some(b"nonsense")).1;
    assert!(ignored.warnings[0].contains("it.meta is ignored"), "{:?}", ignored.warnings);
    let evil = torch_file(b"\x80\x02cos\nsystem\nN\x85R.", &[]);
    assert!(open(&tied, Some(&evil)).1.warnings[0].contains("os.system"));

    let reason = open(&file(&entries(None)), None).1.reason().unwrap().to_string();
    assert!(reason.contains("it.ckpt lacks lora_A"), "{reason}");

    // skilled_lora with one skill is the plain LoRA of the same values; with more the reason says what to do.
    let skilled = |a: &[i64], b: &[i64]| {
        let steps = |shape: &[i64]| {
            let after = |at: usize| shape.iter().skip(at + 1).product();
            (0..shape.len()).map(after).collect::<Vec<i64>>()
        };
        let tensor = |shape: &[i64]| tensor("FloatStorage", 0, 8, 0, shape, &steps(shape));
        open(&file(&[(format!("{Q}.lora_a"), tensor(a)), (format!("{Q}.lora_b"), tensor(b))]), None)
    };
    let ((_one, one), (_plain, plain)) = (skilled(&[1, 1, 3, 2], &[1, 2, 1, 4]), skilled(&[3, 2], &[2, 4]));
    let [one, plain] = [one, plain].map(|expert| expert.load().unwrap().modules.remove(0));
    assert_eq!((one.a().unwrap(), one.b().unwrap()), (plain.a().unwrap(), plain.b().unwrap()));
    for (a, b, expected) in [
        ([2, 1, 2, 2], [2, 2, 1, 2], "it.ckpt has 2 skills and 1 split at model.layers.0.self_attn.q_proj"),
        ([1, 2, 2, 2], [1, 2, 2, 2], "it.ckpt has 1 skill and 2 splits at"),
        ([2, 1, 3, 1], [2, 1, 1, 4], "it.ckpt has 2 skills and 1 split at"),
    ] {
        let reason = skilled(&a, &b).1.reason().unwrap().to_string();
        assert!(reason.contains(expected) && reason.contains("to_loras()"), "{reason}");
    }
    assert!(
        bad(&[("mttl_config.json", b"{}"), ("mttl_weights.bin", b"x")])
            .contains("mttl_weights.bin is no file")
    );
    assert!(
        bad(&[("mttl_config.json", b"["), ("mttl_weights.bin", b"x")])
            .contains("mttl_config.json cannot be used")
    );
}

/// PEFT's parameters: the head's `lora_A` is `lora_embedding_B` transposed, its `lora_B` `lora_embedding_A`.
#[test]
fn lora_of_one_of_two_tied_tables_is_that_of_the_other() {
    const EMBED: &str = "model.embed_tokens";
    let embedding: [(String, &[usize]); 2] =
        [(format!("{EMBED}.lora_embedding_A"), &[2, 5]), (format!("{EMBED}.lora_embedding_B"), &[3, 2])];
    let head: [(String, &[usize]); 2] =
        [("lm_head.lora_A.weight".into(), &[2, 3]), ("lm_head.lora_B.weight".into(), &[5, 2])];
    let (straight, turned) = ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]);
    let (tall, flat) = ([0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5]);
    let (back, upright) = ([0, 5, 1, 6, 2, 7, 3, 8, 4, 9], [0, 2, 4, 1, 3, 5]);
    // A and B of the embedding, then of the head.
    for (tensors, file, expected) in [
        (&embedding, EMBED, [&straight[..], &tall, &upright, &back]),
        (&head, "lm_head", [&turned[..], &flat, &tall, &straight]),
    ] {
        let tensors: Vec<(&str, &[usize])> = tensors.iter().map(|(name, shape)| (&**name, *shape)).collect();
        let config = |tied: bool| {
            json!({
                "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": [EMBED], "ensure_weight_tying": tied,
            })
            .to_string()
        };
        for (asked, tied) in [(true, true), (true, false), (false, true)] {
            let weights = safetensors(&tensors);
            let (root, _) = folder(&[
                ("adapter_config.json", config(asked).as_bytes()),
                ("adapter_model.safetensors", &weights),
            ]);
            let base = root.path().join(".base");
            fs::create_dir(&base).unwrap();
            let model = json!({
                "model_type": "llama", "tie_word_embeddings": tied, "vocab_size": 5, "hidden_size": 3,
            });
            fs::write(base.join("config.json"), model.to_string()).unwrap();
            let mut library = Library::open(root.path()).unwrap();
            assert_eq!(library.experts[0].modules.len(), 1);
            let told = library.experts[0].reason().unwrap_or_default().to_string();
            assert_eq!(told.contains("if they are one table in the base model"), asked, "{told}");
            library.use_base(&base);
            let expert = &library.experts[0];
            let modules = expert.load().unwrap().modules;
            let told = expert.reason().unwrap_or_default();
            if !(asked && tied) {
                assert_eq!((modules.len(), told.contains("gets the same, as in PEFT")), (1, asked), "{told}");
                continue;
            }
            assert!(
                told.contains(&format!("LoRA of {file} alone: ")) && told.contains("gets the same"),
                "{told}"
            );
            assert!(!told.contains("targets"), "{told}");
            let at = |module: &str| modules.iter().find(|m| m.shape.module == module).unwrap();
            let (embedding, head) = (at(EMBED), at("lm_head"));
            assert_eq!((embedding.shape.embedding, head.shape.embedding), (true, false));
            assert_eq!((embedding.shape.in_features, head.shape.in_features), (5, 3));
            assert_eq!((embedding.shape.scale, head.shape.scale), (2.0, 2.0));
            let found = [embedding.a(), embedding.b(), head.a(), head.b()].map(Result::unwrap);
            let expected = expected.map(|values| values.iter().map(|&v| v as f32).collect::<Vec<_>>());
            assert_eq!(found, expected, "{file}");
        }
    }
}
