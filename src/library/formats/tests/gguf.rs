//! LoRA files of llama.cpp, put together by hand.

use super::*;

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn entry(key: &str, value: &str) -> Vec<u8> {
    [string(key), 8u32.to_le_bytes().to_vec(), string(value)].concat()
}

/// A file of f32 tensors with the values 0, 1, 2 …
fn gguf(entries: &[Vec<u8>], tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((entries.len() as u64).to_le_bytes());
    out.extend(entries.concat());
    let mut data: Vec<u8> = Vec::new();
    for (name, shape) in tensors {
        data.resize(data.len().next_multiple_of(32), 0);
        out.extend(string(name));
        out.extend((shape.len() as u32).to_le_bytes());
        out.extend(shape.iter().rev().flat_map(|dim| dim.to_le_bytes()));
        out.extend(0u32.to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        data.extend(floats(shape.iter().product::<u64>() as usize));
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

fn adapter(architecture: &str) -> Vec<Vec<u8>> {
    let alpha =
        [string("adapter.lora.alpha"), 6u32.to_le_bytes().to_vec(), 8f32.to_le_bytes().to_vec()].concat();
    vec![
        entry("general.architecture", architecture),
        entry("general.type", "adapter"),
        entry("adapter.type", "lora"),
        alpha,
    ]
}

const V: [(&str, &[u64]); 2] =
    [("blk.3.attn_v.weight.lora_a", &[2, 3]), ("blk.3.attn_v.weight.lora_b", &[4, 2])];

fn open(bytes: &[u8]) -> (tempfile::TempDir, Expert) {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("it.gguf"), bytes).unwrap();
    let expert = only(root.path());
    (root, expert)
}

#[test]
fn names_follow_the_architecture() {
    for (architecture, name, module) in [
        ("llama", "attn_output", "model.layers.3.self_attn.o_proj"),
        ("qwen2", "attn_q", "model.layers.3.self_attn.q_proj"),
        ("qwen3", "ffn_gate", "model.layers.3.mlp.gate_proj"),
        ("gemma2", "ffn_down", "model.layers.3.mlp.down_proj"),
        ("phi2", "attn_output", "model.layers.3.self_attn.dense"),
        ("phi2", "ffn_up", "model.layers.3.mlp.fc1"),
        ("phi3", "attn_qkv", "model.layers.3.self_attn.qkv_proj"),
        ("phi3", "ffn_up", "model.layers.3.mlp.gate_up_proj"),
        ("gptneox", "ffn_down", "gpt_neox.layers.3.mlp.dense_4h_to_h"),
    ] {
        let names = ["a", "b"].map(|factor| format!("blk.3.{name}.weight.lora_{factor}"));
        let bytes = gguf(&adapter(architecture), &[(&names[0], &[2, 3]), (&names[1], &[4, 2])]);
        let (_root, expert) = open(&bytes);
        assert_eq!(expert.status(), Status::Ok, "{architecture}: {:?}", expert.reason());
        assert_eq!(expert.modules[0].module, module);
        assert_eq!(expert.modules[0].scale, 4.0);
        assert_eq!(expert.load().unwrap().modules[0].b().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }
    let head = [("output.weight.lora_a", [2u64, 3].as_slice()), ("output.weight.lora_b", &[4, 2])];
    assert_eq!(open(&gguf(&adapter("llama"), &head)).1.modules[0].module, "lm_head");
}

#[test]
fn heads_that_the_file_tells_itself_are_enough() {
    let mut entries = adapter("llama");
    for (key, value) in
        [("attention.head_count", 2u32), ("attention.head_count_kv", 1), ("embedding_length", 8)]
    {
        let value = [4u32.to_le_bytes(), value.to_le_bytes()].concat();
        entries.push([string(&format!("llama.{key}")), value].concat());
    }
    let q: [(&str, &[u64]); 2] =
        [("blk.0.attn_q.weight.lora_a", &[1, 8]), ("blk.0.attn_q.weight.lora_b", &[8, 1])];
    let (_root, expert) = open(&gguf(&entries, &q));
    assert_eq!(expert.status(), Status::Ok, "{:?}", expert.reason());
    let b = expert.load().unwrap().modules[0].b().unwrap();
    assert_eq!(b, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
}

#[test]
fn without_alpha_the_scale_is_one() {
    let (_root, expert) = open(&gguf(&adapter("llama")[..3], &V));
    assert_eq!((expert.status(), expert.modules[0].scale), (Status::Ok, 1.0), "{:?}", expert.reason());
}

#[test]
fn what_is_left_over_is_named() {
    let mut tensors = V.to_vec();
    tensors.push(("blk.3.attn_norm.weight", &[4]));
    tensors.push(("blk.3.ffn_gate_exps.weight.lora_a", &[2, 3]));
    let (_root, expert) = open(&gguf(&adapter("llama"), &tensors));
    assert_eq!(expert.status(), Status::Partial);
    let reason = expert.reason().unwrap().to_string();
    assert!(reason.contains("2 other tensors") && reason.contains("(such as blk.3."), "{reason}");
}

#[test]
fn files_that_are_no_lora_have_a_reason() {
    let kind = |kind: &str| {
        let mut entries = adapter("llama");
        entries[2] = entry("adapter.type", kind);
        entries
    };
    for (bytes, expected) in [
        (gguf(&kind("control_vector"), &V), "control_vector"),
        (gguf(&adapter("llama")[..2], &V), "adapter.type"),
        (gguf(&adapter("mamba"), &V), "mamba"),
        (gguf(&adapter("llama"), &V[..1]), "lacks lora_B"),
        (gguf(&adapter("llama"), &[]), "no LoRA"),
        (gguf(&adapter("llama"), &[V[0], ("blk.3.attn_v.weight.lora_b", &[4, 3])]), "rank 2 in lora_A but 3"),
        (gguf(&adapter("llama"), &[("blk.x.attn_v.weight.lora_a", &[2, 3])]), "no LoRA"),
        (gguf(&adapter("llama"), &[("token_embd.weight.lora_a", &[5])]), "lacks lora_embedding_B"),
    ] {
        let (_root, expert) = open(&bytes);
        let reason = expert.reason().unwrap().to_string();
        assert_eq!(expert.status(), Status::Bad, "{reason}");
        assert!(reason.starts_with("it.gguf ") && reason.contains(expected), "{expected}: {reason}");
        assert!(expert.load().is_err());
    }
    let whole = gguf(&adapter("llama"), &V);
    for length in 200..whole.len() {
        let (_root, expert) = open(&whole[..length]);
        assert_eq!(expert.status(), Status::Bad, "{length} bytes of {}", whole.len());
    }
}
