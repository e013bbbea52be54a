//! What stands beside a base model's weights means what transformers makes of it, or is refused in words. Expected
//! values are made by `tests/fixtures/make_side_files.py`.

use std::path::{Path, PathBuf};

use lora_tui::Cancel;
use lora_tui::model::{ForwardPass, Model, NoHook};
use serde_json::{Value, json};

use crate::support::models::cpu;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/side_files")
}

fn cases() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("cases.json")).unwrap()).unwrap()
}

/// A folder of the model with this configuration and these other files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(config: &Value) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("config.json", config);
        std::fs::copy(fixtures().join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
        folder
    }

    /// With the configuration of a case.
    fn of(case: &str) -> Self {
        Self::new(&cases()["configs"][case]["config"])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, value: &Value) {
        std::fs::write(self.path().join(name), value.to_string()).unwrap();
    }

    fn load(&self) -> lora_tui::Result<Model> {
        Model::load(self.path(), &cpu(), &mut |_, _| {}, &Cancel::new())
    }

    #[track_caller]
    fn refusal(&self) -> String {
        self.load().map(|_| ()).unwrap_err().to_string()
    }
}

/// Logits [tokens, vocabulary] of a model.
fn logits(model: &Model, ids: &[u32]) -> lora_tui::Result<Vec<f32>> {
    let (mut hook, cancel) = (NoHook, Cancel::new());
    let hidden = model.decoder.forward(ids, &[ids.len()], ForwardPass::new(&mut hook, &cancel))?;
    Ok(model.decoder.logits(&hidden)?.values()?.into_owned())
}

/// Logits of every fifth position, computed by transformers.
fn expected(case: &str) -> Vec<f32> {
    let bytes = std::fs::read(fixtures().join("expected.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (values, _) = tensors.tensor(case).unwrap().data().as_chunks::<4>();
    values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[track_caller]
fn check_logits(case: &str, model: &Model, ids: &[u32]) {
    let found = logits(model, ids).unwrap();
    let vocab = model.decoder.spec.vocab;
    let wanted = expected(case);
    let rows = found.chunks(vocab).step_by(5);
    assert_eq!(rows.len() * vocab, wanted.len(), "{case}");
    let far = rows.flatten().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far <= 1e-4, "{case} is off by {far}");
}

#[test]
fn configurations_give_the_context_and_logits_of_transformers() {
    let cases = cases();
    let ids: Vec<u32> = serde_json::from_value(cases["ids"].clone()).unwrap();
    let configs = cases["configs"].as_object().unwrap();
    assert_eq!(configs.len(), 11);
    for (name, case) in configs {
        let model = Folder::new(&case["config"]).load().unwrap();
        let context = case["context"].as_u64().unwrap() as usize;
        assert_eq!(model.decoder.spec.context, context, "{name}");
        check_logits(name, &model, &ids[..ids.len().min(context)]);
        let long = vec![3; context + 1];
        let error = logits(&model, &long).unwrap_err().to_string();
        assert!(error.contains(&format!("context of {context}")), "{name}: {error}");
    }
}

#[test]
fn sequences_of_one_pass_do_not_change_each_others_rotation() {
    let ids: Vec<u32> = serde_json::from_value(cases()["ids"].clone()).unwrap();
    let model = Folder::of("dynamic").load().unwrap();
    let (long, short) = (&ids[..40], &ids[..20]);
    let apart = [logits(&model, long).unwrap(), logits(&model, short).unwrap()].concat();
    let (mut hook, cancel) = (NoHook, Cancel::new());
    let pass = ForwardPass::new(&mut hook, &cancel);
    let hidden = model.decoder.forward(&[long, short].concat(), &[40, 20], pass).unwrap();
    let together = model.decoder.logits(&hidden).unwrap().values().unwrap().into_owned();
    let far = together.iter().zip(&apart).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far <= 1e-5, "off by {far}");
}

#[test]
fn a_head_of_its_own_is_told() {
    let model = Folder::of("tied_but_not").load().unwrap();
    assert!(!model.decoder.spec.tied);
    assert!(model.warnings.concat().contains("a head of its own"), "{:?}", model.warnings);
    assert!(Folder::of("plain").load().unwrap().warnings.is_empty());
}

#[test]
fn an_index_beside_a_whole_file_is_left_alone() {
    let ids: Vec<u32> = serde_json::from_value(cases()["ids"].clone()).unwrap();
    let folder = Folder::of("plain");
    // Files that it names are not there.
    folder.write(
        "model.safetensors.index.json",
        &json!({ "weight_map": { "lm_head.weight": "model-00001-of-00001.safetensors" } }),
    );
    let model = folder.load().unwrap();
    assert!(model.warnings.is_empty(), "{:?}", model.warnings);
    check_logits("plain", &model, &ids[..16]);
    // They are, and the same.
    let shard = folder.path().join("model-00001-of-00001.safetensors");
    std::fs::copy(folder.path().join("model.safetensors"), &shard).unwrap();
    assert!(folder.load().unwrap().warnings.is_empty());
    // They are another model.
    let mut bytes = std::fs::read(&shard).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[header] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    let model = folder.load().unwrap();
    assert!(model.warnings.concat().contains("model.safetensors is used"), "{:?}", model.warnings);
    check_logits("plain", &model, &ids[..16]);
    // Without the whole file the index counts.
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(folder.load().is_ok());
}

#[test]
fn a_quantised_model_is_refused_by_its_method() {
    let mut config = cases()["configs"]["plain"]["config"].clone();
    for (fields, name) in [
        (json!({ "quant_method": "gptq", "bits": 4 }), "gptq"),
        (json!({ "load_in_4bit": true }), "an unnamed method"),
    ] {
        config["quantization_config"] = fields;
        let error = Folder::new(&config).refusal();
        assert!(error.contains(&format!("config.json: is quantised by {name}")), "{error}");
    }
    config["quantization_config"] = Value::Null;
    assert!(Folder::new(&config).load().is_ok());
}

#[test]
fn rotary_settings_of_layer_types_must_agree() {
    let mut config = cases()["configs"]["plain"]["config"].clone();
    let of = |theta: f64| json!({ "rope_type": "default", "rope_theta": theta });
    config["rope_parameters"] = json!({ "full_attention": of(10_000.0), "sliding_attention": of(10_000.0) });
    let ids: Vec<u32> = serde_json::from_value(cases()["ids"].clone()).unwrap();
    check_logits("plain", &Folder::new(&config).load().unwrap(), &ids[..16]);
    config["rope_parameters"] = json!({ "full_attention": of(10_000.0), "sliding_attention": of(500.0) });
    let error = Folder::new(&config).refusal();
    assert!(error.contains("differ between the types of layers"), "{error}");
}

#[test]
fn tokenizers_and_their_side_files_give_the_ids_of_transformers() {
    let cases = cases();
    let texts: Vec<String> = serde_json::from_value(cases["texts"].clone()).unwrap();
    let folders = cases["tokenizers"].as_object().unwrap();
    assert_eq!(folders.len(), 17);
    let mut wrong = Vec::new();
    for (name, case) in folders {
        let folder = Folder::of("plain");
        for (file, value) in case["files"].as_object().unwrap() {
            folder.write(file, value);
        }
        let model = folder.load().unwrap();
        let tokenizer = model.tokenizer().unwrap();
        let ids: Vec<Vec<u32>> = serde_json::from_value(case["ids"].clone()).unwrap();
        for (text, mut ids) in texts.iter().zip(ids) {
            // A start token that the text spells is not put there again.
            if text.starts_with("<s>") && name != "split" {
                ids.remove(0);
            }
            let found = tokenizer.encode_start(text).unwrap();
            if found != ids {
                wrong.push(format!("{name} {text:?}: {found:?} instead of {ids:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_ends_a_text_is_what_generation_follows() {
    let mut config = cases()["configs"]["plain"]["config"].clone();
    config["eos_token_id"] = json!(2);
    let folder = Folder::new(&config);
    folder.write("tokenizer.json", &cases()["tokenizers"]["config_alone"]["files"]["tokenizer.json"]);
    let ends = || folder.load().unwrap().tokenizer().unwrap().end_ids.clone();
    assert_eq!(ends(), [2]);
    folder.write("generation_config.json", &json!({ "eos_token_id": [5, 7] }));
    assert_eq!(ends(), [5, 7]);
    folder.write(
        "generation_config.json",
        &json!({ "do_sample": true, "top_p": 0.8, "repetition_penalty": 1.0 }),
    );
    assert_eq!(ends(), [2]);
    assert!(folder.load().unwrap().unfollowed_settings().is_empty());
    let asked =
        json!({ "repetition_penalty": 1.1, "suppress_tokens": [3], "bad_words_ids": null, "num_beams": 1 });
    folder.write("generation_config.json", &asked);
    assert_eq!(folder.load().unwrap().unfollowed_settings(), ["repetition_penalty", "suppress_tokens"]);
}

/// A tokenizer with one field changed; what is wrong with it, where it is refused.
fn changed(folder: &Folder, change: impl FnOnce(&mut Value)) -> Result<Vec<u32>, String> {
    let mut tokenizer = cases()["tokenizers"]["config_alone"]["files"]["tokenizer.json"].clone();
    change(&mut tokenizer);
    folder.write("tokenizer.json", &tokenizer);
    let model = folder.load().unwrap();
    let tokenizer = model.tokenizer().map_err(|e| e.to_string())?;
    tokenizer.encode("abc").map_err(|e| e.to_string())
}

#[test]
fn damaged_tokenizers_are_refused_and_do_not_end_the_program() {
    let folder = Folder::of("plain");
    assert_eq!(changed(&folder, |_| {}), Ok(vec![4, 5, 6]));
    let processor = |single: Value| json!({ "type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": {} });
    let undefined = json!([{ "SpecialToken": { "id": "<b>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }]);
    let second = json!([{ "Sequence": { "id": "B", "type_id": 0 } }]);
    type Change = Box<dyn FnOnce(&mut Value)>;
    let changes: Vec<Change> = vec![
        Box::new(move |t| t["post_processor"] = processor(undefined)),
        Box::new(move |t| t["post_processor"] = processor(second)),
        Box::new(|t| t["normalizer"] = json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" })),
        Box::new(|t| {
            t["pre_tokenizer"] = json!({ "type": "Split", "pattern": { "Regex": "(" }, "behavior": "Isolated", "invert": false })
        }),
        Box::new(|t| t["model"]["vocab"] = json!({})),
        Box::new(|t| t["model"]["merges"] = json!([["a", "b"]])),
        Box::new(|t| t["model"]["type"] = json!("Unigram")),
        Box::new(|t| t["added_tokens"] = json!([{ "id": 0, "content": "<unk>" }])),
        Box::new(|t| t["post_processor"] = json!({ "type": "FixedLength", "length": 0 })),
        Box::new(|t| t["pre_tokenizer"] = json!({ "type": "FixedLength", "length": 0 })),
        Box::new(|t| {
            t["normalizer"] = json!({ "type": "Replace", "pattern": { "Regex": "(a" }, "content": "" })
        }),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        if let Err(error) = changed(&folder, change) {
            assert!(error.contains("tokeni"), "{i}: {error}");
        } else {
            assert!([4, 8, 9].contains(&i), "change {i} is taken");
        }
    }
}

#[test]
fn what_a_tokenizer_makes_of_a_text_is_bounded() {
    let folder = Folder::of("plain");
    let ten = json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "aaaaaaaaaa" });
    let times = |n: usize| json!({ "type": "Sequence", "normalizers": vec![ten.clone(); n] });
    let error = changed(&folder, |t| t["normalizer"] = times(11)).unwrap_err();
    assert!(
        error.contains("tokenizer.json: has normalizers and splits that make a text up to 8e11 times"),
        "{error}"
    );
    assert_eq!(changed(&folder, |t| t["normalizer"] = times(2)).unwrap().len(), 102);
    let prefix = json!({ "type": "Prepend", "prepend": "x".repeat(5 << 20) });
    assert!(changed(&folder, |t| t["normalizer"] = prefix).unwrap_err().contains("times as long"));
    let decoder = json!({ "type": "Sequence", "decoders": vec![ten.clone(); 11] });
    assert!(changed(&folder, |t| t["decoder"] = decoder).unwrap_err().contains("has decoders"));
    // A short text may grow, a long one may not.
    folder.load().unwrap();
    let mut tokenizer = cases()["tokenizers"]["config_alone"]["files"]["tokenizer.json"].clone();
    tokenizer["normalizer"] = times(3);
    folder.write("tokenizer.json", &tokenizer);
    let model = folder.load().unwrap();
    let error = model.tokenizer().unwrap().encode(&"a".repeat(1 << 20)).unwrap_err().to_string();
    assert!(error.contains("too long to be tokenised"), "{error}");
}
