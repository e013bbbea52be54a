//! GGUF base models against transformers (fixtures made by `tests/fixtures/make_gguf.py`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use lora_tui::Cancel;
use lora_tui::model::{ForwardPass, LoadOptions, Model, NoHook, Precision};
use proptest::prelude::*;

use crate::support::repository;

const TOLERANCE: f32 = 1e-4;

fn folder() -> PathBuf {
    repository().join("tests/fixtures/gguf")
}

fn load(path: &Path, precision: Precision) -> lora_tui::Result<Model> {
    let options = LoadOptions { device: "cpu".into(), precision };
    Model::load(path, &options, &mut |_, _| {}, &Cancel::new())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn logits(model: &Model, ids: &[u32]) -> Vec<f32> {
    let decoder = &model.decoder;
    let hidden = decoder.forward(ids, &[ids.len()], ForwardPass::new(&mut NoHook, &Cancel::new())).unwrap();
    decoder.logits(&hidden).unwrap().values().unwrap().into_owned()
}

#[test]
fn every_family_gives_the_logits_of_transformers() {
    let expected =
        candle_core::safetensors::load(folder().join("expected.safetensors"), &Device::Cpu).unwrap();
    for name in ["llama", "tied", "mistral", "qwen2", "qwen3", "phi", "phi3", "gemma2", "gpt_neox"] {
        let model = load(&folder().join(format!("{name}.gguf")), Precision::F32).unwrap();
        let ids: Vec<i64> = expected[&format!("{name}.ids")].to_vec1().unwrap();
        let ids: Vec<u32> = ids.into_iter().map(|id| id as u32).collect();
        let wanted = values(&expected[&format!("{name}.logits")]);
        let found = logits(&model, &ids);
        assert_eq!(found.len(), wanted.len(), "{name}");
        let off = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {off:e}");
        assert!(off <= TOLERANCE, "{name} is off by {off}");
    }
}

/// A model of one layer whose matrices have a width that every type's blocks fit, as a GGUF file of type
/// `kind` and as a transformers folder of the values that candle gives for it.
fn quantised_model(kind: GgmlDType, folder: &Path) -> PathBuf {
    const WIDTH: usize = 256;
    let text = |s: &str| Value::String(s.into());
    let metadata = [
        ("general.architecture", text("qwen2")),
        ("qwen2.block_count", Value::U32(1)),
        ("qwen2.context_length", Value::U32(32)),
        ("qwen2.embedding_length", Value::U32(WIDTH as u32)),
        ("qwen2.feed_forward_length", Value::U32(WIDTH as u32)),
        ("qwen2.attention.head_count", Value::U32(4)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
    ];
    let mut seed = 1u32;
    let mut random = |shape: &[usize]| {
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 24) as f32 * 0.2 - 0.1
            })
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let block = "model.layers.0.";
    let matrix = [WIDTH, WIDTH];
    let (attention, mlp) = (format!("{block}self_attn."), format!("{block}mlp."));
    let names = [
        ("token_embd.weight", "model.embed_tokens.weight".to_string(), vec![WIDTH, WIDTH]),
        ("output_norm.weight", "model.norm.weight".into(), vec![WIDTH]),
        ("blk.0.attn_norm.weight", format!("{block}input_layernorm.weight"), vec![WIDTH]),
        ("blk.0.ffn_norm.weight", format!("{block}post_attention_layernorm.weight"), vec![WIDTH]),
        ("blk.0.attn_q.weight", format!("{attention}q_proj.weight"), matrix.to_vec()),
        ("blk.0.attn_q.bias", format!("{attention}q_proj.bias"), vec![WIDTH]),
        ("blk.0.attn_k.weight", format!("{attention}k_proj.weight"), matrix.to_vec()),
        ("blk.0.attn_k.bias", format!("{attention}k_proj.bias"), vec![WIDTH]),
        ("blk.0.attn_v.weight", format!("{attention}v_proj.weight"), matrix.to_vec()),
        ("blk.0.attn_v.bias", format!("{attention}v_proj.bias"), vec![WIDTH]),
        ("blk.0.attn_output.weight", format!("{attention}o_proj.weight"), matrix.to_vec()),
        ("blk.0.ffn_gate.weight", format!("{mlp}gate_proj.weight"), matrix.to_vec()),
        ("blk.0.ffn_up.weight", format!("{mlp}up_proj.weight"), matrix.to_vec()),
        ("blk.0.ffn_down.weight", format!("{mlp}down_proj.weight"), matrix.to_vec()),
    ];
    let mut dense = HashMap::new();
    let stored: Vec<(&str, QTensor)> = names
        .into_iter()
        .map(|(gguf, ours, shape)| {
            let kind = if shape.len() == 2 { kind } else { GgmlDType::F32 };
            let tensor = QTensor::quantize(&random(&shape), kind).unwrap();
            dense.insert(ours, tensor.dequantize(&Device::Cpu).unwrap());
            (gguf, tensor)
        })
        .collect();
    let path = folder.join("model.gguf");
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(k, v)| (*k, v)).collect();
    let tensors: Vec<(&str, &QTensor)> = stored.iter().map(|(k, v)| (*k, v)).collect();
    gguf_file::write(&mut std::fs::File::create(&path).unwrap(), &metadata, &tensors).unwrap();
    candle_core::safetensors::save(&dense, folder.join("model.safetensors")).unwrap();
    let config = serde_json::json!({
        "model_type": "qwen2", "vocab_size": WIDTH, "hidden_size": WIDTH, "intermediate_size": WIDTH,
        "num_hidden_layers": 1, "num_attention_heads": 4, "max_position_embeddings": 32, "rms_norm_eps": 1e-6,
        "tie_word_embeddings": true,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    path
}

#[test]
fn every_quantisation_is_read_exactly() {
    use GgmlDType::*;
    let ids = [3, 141, 59, 26, 53, 255];
    for kind in [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K, Q8K] {
        let folder = tempfile::tempdir().unwrap();
        let path = quantised_model(kind, folder.path());
        for precision in [Precision::F32, Precision::Q8] {
            let read = logits(&load(&path, precision).unwrap(), &ids);
            let wanted = logits(&load(folder.path(), precision).unwrap(), &ids);
            assert!(read.iter().any(|v| v.abs() > 1e-3), "{kind:?}");
            assert_eq!(read, wanted, "{kind:?} as {precision}");
        }
    }
}

#[test]
fn types_that_cannot_be_read_are_named_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = quantised_model(GgmlDType::Q4K, folder.path());
    let mut bytes = std::fs::read(&path).unwrap();
    // The type follows the name, the number of dimensions and two of them. IQ4_XS is a little smaller.
    let name = b"blk.0.attn_q.weight";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len() + 4 + 16;
    bytes[at..at + 4].copy_from_slice(&23u32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = load(&path, Precision::F32).unwrap_err().to_string();
    assert!(error.contains("tensor blk.0.attn_q.weight has type IQ4_XS"), "{error}");
    assert!(error.contains("use the model as Q8_0"), "{error}");
}

/// A fixture in parts of at most `most` tensors, as llama.cpp's tools write them, with the first part's place
/// among them; `first` tensors are in the first.
fn in_parts(name: &str, first: usize, most: usize, folder: &Path) -> Vec<PathBuf> {
    let mut file = std::fs::File::open(self::folder().join(format!("{name}.gguf"))).unwrap();
    let whole = gguf_file::Content::read(&mut file).unwrap();
    let mut names: Vec<&String> = whole.tensor_infos.keys().collect();
    names.sort();
    let (head, rest) = names.split_at(first);
    let parts: Vec<&[&String]> = std::iter::once(head).chain(rest.chunks(most)).collect();
    let count = parts.len();
    let split = |no: usize| {
        [
            ("split.no", Value::U16(no as u16)),
            ("split.count", Value::U16(count as u16)),
            ("split.tensors.count", Value::I32(names.len() as i32)),
        ]
    };
    parts
        .iter()
        .enumerate()
        .map(|(no, names)| {
            let path = folder.join(format!("{name}-{:05}-of-{count:05}.gguf", no + 1));
            let split = split(no);
            let mut metadata: Vec<(&str, &Value)> = split.iter().map(|(k, v)| (*k, v)).collect();
            if no == 0 {
                metadata.extend(whole.metadata.iter().map(|(k, v)| (k.as_str(), v)));
            }
            let tensors: Vec<(&str, QTensor)> = names
                .iter()
                .map(|name| (name.as_str(), whole.tensor(&mut file, name, &Device::Cpu).unwrap()))
                .collect();
            let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(k, v)| (*k, v)).collect();
            gguf_file::write(&mut std::fs::File::create(&path).unwrap(), &metadata, &tensors).unwrap();
            path
        })
        .collect()
}

#[test]
fn a_model_in_parts_is_the_model_in_one_file() {
    let ids = [3, 14, 15, 9, 26, 5];
    for (name, first, most) in [("llama", 4, 8), ("tied", 0, 3), ("gpt_neox", 1, 100)] {
        let wanted = logits(&load(&folder().join(format!("{name}.gguf")), Precision::F32).unwrap(), &ids);
        let folder = tempfile::tempdir().unwrap();
        let parts = in_parts(name, first, most, folder.path());
        assert!(parts.len() > 1);
        for part in &parts {
            assert_eq!(logits(&load(part, Precision::F32).unwrap(), &ids), wanted, "{}", part.display());
        }
    }
}

#[test]
fn what_is_wrong_with_parts_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let parts = in_parts("llama", 4, 8, folder.path());
    let [_, second, third, ..] = parts.as_slice() else { panic!("{parts:?}") };
    let count = parts.len();
    let error = |path: &Path| load(path, Precision::F32).unwrap_err().to_string();

    let away = folder.path().join("away");
    std::fs::rename(second, &away).unwrap();
    for part in [&parts[0], third] {
        let e = error(part);
        let named = format!("llama-00002-of-0000{count}.gguf: does not exist, but is part 2 of {count}");
        assert!(e.contains(&named) && e.contains("fetch it, and put it beside"), "{e}");
    }

    std::fs::copy(third, second).unwrap();
    let e = error(&parts[0]);
    assert!(e.contains(&format!("llama-00002-of-0000{count}.gguf: is not part 2 of {count}")), "{e}");

    // The third part's tensors under the second's number.
    let mut bytes = std::fs::read(third).unwrap();
    let key = b"split.no\x02\0\0\0";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    bytes[at] = 1;
    std::fs::write(second, bytes).unwrap();
    let e = error(&parts[0]);
    assert!(e.contains("has tensor ") && e.contains("-of-0000") && e.contains("has too: fetch"), "{e}");

    std::fs::rename(&away, second).unwrap();
    let renamed = folder.path().join("model.gguf");
    std::fs::copy(third, &renamed).unwrap();
    let e = error(&renamed);
    assert!(
        e.contains(&format!("is part 3 of {count} of a model, so its name must end in -00003-of-")),
        "{e}"
    );

    // Parts of two models of the same name: one tensor fewer than it should be.
    let mut bytes = std::fs::read(&parts[0]).unwrap();
    let key = b"split.tensors.count\x05\0\0\0";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    bytes[at] += 1;
    std::fs::write(&parts[0], bytes).unwrap();
    let e = error(&parts[0]);
    assert!(e.contains("split.tensors.count says"), "{e}");
}

/// A fixture with some bytes replaced by others of the same length.
fn changed(name: &str, from: &[u8], to: &[u8]) -> String {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(folder().join(format!("{name}.gguf"))).unwrap();
    let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    load(file.path(), Precision::F32).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let e = changed("qwen2", b"\x05\0\0\0\0\0\0\0qwen2", b"\x05\0\0\0\0\0\0\0mamba");
    assert!(e.contains("\"mamba\" is not supported (known: gemma2, gptneox, llama, phi2,"), "{e}");
    let e = changed("qwen2", b"qwen2.embedding_length", b"qwen2.embedding_lengty");
    assert!(e.contains("lacks \"qwen2.embedding_length\""), "{e}");
    let e = changed("qwen2", b"blk.1.ffn_down.weight", b"blk.1.ffn_dawn.weight");
    assert!(e.contains("has no tensor blk.1.ffn_down.weight"), "{e}");
    let e = changed("llama", b"token_embd.weight", b"token_ambd.weight");
    assert!(e.contains("has no tensor token_embd.weight"), "{e}");
    let length = b"llama.feed_forward_length\x04\0\0\0\x0c";
    let e = changed("llama", length, b"llama.feed_forward_length\x04\0\0\0\x0d");
    assert!(e.contains("is [12, 16], the configuration wants [13, 16]"), "{e}");
    let heads = b"llama.attention.head_count\x04\0\0\0\x04";
    let e = changed("llama", heads, b"llama.attention.head_count\x04\0\0\0\x00");
    assert!(e.contains("\"llama.attention.head_count\" must be one positive whole number"), "{e}");
    let theta = b"llama.rope.freq_base\x06\0\0\0";
    let (from, to) = (
        [theta.as_slice(), &5000f32.to_le_bytes()].concat(),
        [theta.as_slice(), &f32::NAN.to_le_bytes()].concat(),
    );
    let e = changed("llama", &from, &to);
    assert!(e.contains("\"llama.rope.freq_base\" is NaN"), "{e}");
    let e = changed("qwen2", b"\x04\0\0\0\0\0\0\0yarn", b"\x04\0\0\0\0\0\0\0yorn");
    assert!(e.contains("rope type \"yorn\" is unknown (known: default, linear"), "{e}");
}

#[test]
fn a_damaged_value_is_named() {
    let path = folder().join("llama.gguf");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 300..].chunks_exact_mut(2).for_each(|b| b.copy_from_slice(&0x7c00u16.to_le_bytes()));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let error = load(file.path(), Precision::F32).unwrap_err().to_string();
    assert!(
        error.contains("has the value inf: the model is damaged") && error.contains("tensor "),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is changed in the header, a file loads or is refused.
    #[test]
    fn no_damaged_file_panics(
        name in prop::sample::select(vec!["llama", "gemma2", "gpt_neox", "phi3", "phi"]),
        changes in prop::collection::vec((0usize..3000, any::<u8>()), 1..4),
    ) {
        let mut bytes = std::fs::read(folder().join(format!("{name}.gguf"))).unwrap();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        if let Ok(model) = load(file.path(), Precision::F32) {
            prop_assert!(model.decoder.spec.vocab > 0);
        }
    }

    /// Whatever a configuration says, the model loads or is refused.
    #[test]
    fn no_configuration_panics(
        family in prop::sample::select(vec!["llama", "llama3", "qwen2", "phi3", "gemma2", "gpt_neox", "longrope", "yarn"]),
        pick in any::<prop::sample::Index>(),
        value in prop::sample::select(vec!["null", "0", "-1", "1", "1e300", "1e-300", "3", "2147483647", "4000000000",
            "true", "\"x\"", "\"llama\"", "[]", "[1,2]", "{}", "{\"rope_type\":\"yarn\",\"factor\":2}",
            "{\"rope_type\":\"longrope\"}", "{\"rope_type\":5,\"rope_theta\":-1}", "0.5", "5"]),
    ) {
        let base = repository().join("tests/fixtures/models").join(family).join("base");
        let text = std::fs::read_to_string(base.join("config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let keys: Vec<String> = config.as_object().unwrap().keys().cloned().collect();
        config[pick.get(&keys)] = serde_json::from_str(value).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        std::fs::copy(base.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
        if let Ok(model) = load(folder.path(), Precision::F32) {
            // A context may be too short now: that is an error, too.
            let _ = model.decoder.forward(&[1, 2, 3], &[3], ForwardPass::new(&mut NoHook, &Cancel::new()));
        }
    }
}
