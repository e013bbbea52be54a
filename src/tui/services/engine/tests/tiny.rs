//! A random two-layer model that reads bytes, with three random experts on its q projections.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::catalog::Catalog;
use crate::library::{NewAdapterConfig, NewLora, Provenance, write_adapter};

const HIDDEN: usize = 16;
const LAYERS: usize = 2;
const VOCABULARY: usize = 256;
const CONTEXT: usize = 512;

/// Writes both below `dir`; returns the model's folder and the library.
pub fn model_and_library(dir: &Path) -> (PathBuf, Catalog) {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let base = dir.join("base");
    std::fs::create_dir(&base).unwrap();
    write_model(&base, &mut random);
    let library = dir.join("library");
    std::fs::create_dir(&library).unwrap();
    for name in ["antonym", "plural", "sum"] {
        write_expert(&library.join(name), &mut random);
    }
    let catalog = Catalog::open(&library, Some(&base)).unwrap();
    (base, catalog)
}

fn values(random: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.random_range(-0.3..0.3)).collect()
}

fn write_model(dir: &Path, random: &mut ChaCha8Rng) {
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": 24,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": true,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();

    let mut tensors: HashMap<String, Tensor> = HashMap::new();
    let mut add = |name: String, shape: &[usize]| {
        let count = shape.iter().product();
        let data = if shape.len() == 1 { vec![1.0; count] } else { values(random, count) };
        tensors.insert(name, Tensor::from_vec(data, shape, &Device::Cpu).unwrap());
    };
    add("model.embed_tokens.weight".into(), &[VOCABULARY, HIDDEN]);
    add("model.norm.weight".into(), &[HIDDEN]);
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("input_layernorm", &[HIDDEN][..]),
            ("post_attention_layernorm", &[HIDDEN]),
            ("self_attn.q_proj", &[16, HIDDEN]),
            ("self_attn.k_proj", &[8, HIDDEN]),
            ("self_attn.v_proj", &[8, HIDDEN]),
            ("self_attn.o_proj", &[HIDDEN, 16]),
            ("mlp.gate_proj", &[24, HIDDEN]),
            ("mlp.up_proj", &[24, HIDDEN]),
            ("mlp.down_proj", &[HIDDEN, 24]),
        ] {
            add(format!("model.layers.{layer}.{name}.weight"), shape);
        }
    }
    candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).unwrap();

    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let vocabulary: Vocab = alphabet.iter().enumerate().map(|(id, c)| (c.to_string(), id as u32)).collect();
    let bpe = BPE::builder().vocab_and_merges(vocabulary, vec![]).build().unwrap();
    let mut tokenizer = tokenizers::Tokenizer::new(bpe);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    tokenizer.save(dir.join("tokenizer.json"), false).unwrap();
}

fn write_expert(dir: &Path, random: &mut ChaCha8Rng) {
    let tensors: Vec<NewLora> = (0..LAYERS)
        .map(|layer| NewLora {
            module: format!("model.layers.{layer}.self_attn.q_proj"),
            rank: 2,
            in_features: HIDDEN,
            out_features: 16,
            a: values(random, 2 * HIDDEN),
            b: values(random, 16 * 2),
        })
        .collect();
    let config = NewAdapterConfig {
        revision: None,
        base: "tiny".into(),
        r: 2,
        alpha: 4.0,
        dropout: 0.0,
        targets: vec!["q_proj".into()],
    };
    write_adapter(dir, &tensors, &config, DType::F32, &Provenance::default()).unwrap();
}
