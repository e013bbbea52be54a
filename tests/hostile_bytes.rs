//! Whatever bytes stand in a library's small files and headers: no panic, one clear line, and memory in
//! proportion to the files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed helper is a failed test")]

use std::fs;
use std::path::Path;

use lora_tui::library::Library;
use proptest::prelude::*;
use proptest::sample::Index;

mod counting;

/// The four files of a library with one expert, sound.
fn sound() -> [(&'static str, Vec<u8>); 4] {
    let config = r#"{"peft_type":"LORA","r":2,"lora_alpha":4.0,"lora_dropout":0.1,"use_rslora":true,
        "target_modules":["q_proj","v_proj"],"exclude_modules":null,"base_model_name_or_path":"some/base",
        "rank_pattern":{"layers.1.q_proj":4},"alpha_pattern":{".*v_proj":8},"modules_to_save":["lm_head"],
        "layers_to_transform":[0,1],"trainable_token_indices":{"embed_tokens":[1,2]},"lora_bias":false,
        "bias":"none","use_dora":false,"target_parameters":["experts.w"]}"#;
    let tensors = [
        ("q_proj.lora_A", [2, 3]),
        ("q_proj.lora_B", [4, 2]),
        ("v_proj.lora_A", [2, 3]),
        ("v_proj.lora_B", [4, 2]),
    ];
    let mut at = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|(name, shape)| {
            let (start, end) = (at, at + 4 * shape[0] * shape[1]);
            at = end;
            let name = format!("base_model.model.model.layers.0.self_attn.{name}.weight");
            format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#)
        })
        .collect();
    assert_eq!(at, DATA);
    let header = format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}"#, entries.join(","));
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header.as_bytes());
    weights.resize(weights.len() + at, 1);
    let manifest = r#"
        name = "it"
        [base]
        path = "base.gguf"
        [template]
        prompt = "{instruction}"
        end = "x"
        [router]
        top_k = 3
        temperature = 0.5
    "#;
    let provenance = r#"
        task = "a"
        seed = 1
        [merge]
        method = "svd"
        [[merge.experts]]
        name = "b"
        weight = 0.5
        [[tasks]]
        task = "x"
        examples = 3
    "#;
    [
        ("it/adapter_config.json", config.into()),
        ("it/adapter_model.safetensors", weights),
        ("library.toml", manifest.into()),
        ("it/expert.toml", provenance.into()),
    ]
}

/// Bytes of tensors in the sound weights.
const DATA: usize = 112;
/// Places in [`sound`].
const WEIGHTS: usize = 1;
const MANIFEST: usize = 2;
const PROVENANCE: usize = 3;

/// What is done to a file's bytes.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Cut(Index),
    /// Removes what lies between.
    Remove(Index, Index),
    /// Puts bytes somewhere.
    Insert(Index, Vec<u8>),
    /// Repeats what lies between, up to so many bytes in all.
    Repeat(Index, Index, usize),
    Replace(Vec<u8>),
}

/// Pieces that parsers stumble over.
const PIECES: [&str; 24] = [
    "[",
    "{",
    "]",
    "}",
    "[[",
    "\"",
    "\\",
    "\\u0000",
    "\u{feff}",
    "\u{202e}",
    "null",
    "-1",
    "1e999",
    "NaN",
    "1_000",
    "'''",
    "\"\"\"",
    "18446744073709551616",
    "0.1.2",
    "\n",
    ",",
    "=",
    "\"lora_A\":",
    "[a.b]\n",
];

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        prop::sample::select(&PIECES[..]).prop_map(|p| p.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..9),
    ];
    let place = any::<Index>;
    prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => place().prop_map(Change::Cut),
        1 => (place(), place()).prop_map(|(a, b)| Change::Remove(a, b)),
        3 => (place(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        2 => (place(), place(), 1usize..200_000).prop_map(|(a, b, size)| Change::Repeat(a, b, size)),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Change::Replace),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let places = bytes.len() + 1;
    let between = |a: &Index, b: &Index| {
        let (a, b) = (a.index(places), b.index(places));
        a.min(b)..a.max(b)
    };
    match change {
        Change::Set(at, byte) => {
            if let Some(place) = bytes.get_mut(at.index(places)) {
                *place = *byte;
            }
        }
        Change::Cut(at) => bytes.truncate(at.index(places)),
        Change::Remove(a, b) => drop(bytes.drain(between(a, b))),
        Change::Insert(at, piece) => {
            let at = at.index(places);
            drop(bytes.splice(at..at, piece.iter().copied()));
        }
        Change::Repeat(a, b, size) => {
            let range = between(a, b);
            let piece = bytes[range.clone()].to_vec();
            let times = if piece.is_empty() { 0 } else { size.div_ceil(piece.len()) };
            drop(bytes.splice(range, piece.repeat(times)));
        }
        Change::Replace(with) => bytes.clone_from(with),
    }
}

/// Makes the claimed length of the header right again, so that what is in it gets read.
fn mend(weights: &mut [u8]) {
    let header = weights.len().saturating_sub(8 + DATA) as u64;
    if let Some(prefix) = weights.get_mut(..8) {
        prefix.copy_from_slice(&header.to_le_bytes());
    }
}

fn write(root: &Path, files: &[(&str, Vec<u8>)]) -> usize {
    for (name, bytes) in files {
        fs::write(root.join(name), bytes).expect("temporary files can be written");
    }
    files.iter().map(|(_, bytes)| bytes.len()).sum()
}

/// Threads and directory listings, and the TOML parser's tokens: at most 8,000 are taken, in a vector that doubles
/// up to 16,384 of 72 bytes.
const CONSTANT: usize = (1 << 20) + 16_384 * 72;

/// Bytes that may be held for each byte of the files. An `expert.toml` may name thousands of tasks: every other byte of it
/// may begin a token, and while the vector of tokens doubles, half of the old one is there, too.
fn share(file: usize) -> usize {
    if file == PROVENANCE { 4 + 72 + 36 } else { 4 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_library_or_one_line(
        file in 0usize..4, changes in prop::collection::vec(change(), 1..5), mended: bool,
    ) {
        let root = tempfile::tempdir().expect("temporary folders can be made");
        fs::create_dir(root.path().join("it")).expect("temporary folders can be made");
        let mut files = sound();
        let bytes = &mut files[file].1;
        changes.iter().for_each(|change| apply(bytes, change));
        if file == WEIGHTS && mended {
            mend(bytes);
        }
        let size = write(root.path(), &files);
        let (peak, opened) = counting::peak(|| Library::open(root.path()));
        prop_assert!(peak <= share(file) * size + CONSTANT, "{} bytes for files of {}", peak, size);
        match opened {
            Ok(library) => {
                let expert = &library.experts[0];
                prop_assert_eq!(expert.is_usable(), expert.load().is_ok());
                let warnings = expert.warnings.iter().chain(&library.warnings).map(String::as_str);
                for text in expert.reason().into_iter().chain(warnings) {
                    prop_assert!(text.len() < 2000, "{} bytes of reason", text.len());
                }
            }
            Err(error) => {
                prop_assert!(file == MANIFEST, "only the manifest can keep a library from opening: {}", error);
                let text = error.to_string();
                prop_assert!(text.contains("library.toml") && text.lines().count() == 1, "{}", text);
                prop_assert!(text.len() < 2000, "{} bytes of error", text.len());
            }
        }
    }
}
