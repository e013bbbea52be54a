//! GGUF tokenizers against the tokenizers library (fixtures made by `tests/fixtures/make_tokenizers.py`).

use std::path::{Path, PathBuf};

use super::{SideFiles, Tokenizer};
use crate::library::gguf::GgufFile;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers").join(name)
}

fn load(name: &str) -> Tokenizer {
    let file = GgufFile::open(&fixture(&format!("{name}.gguf"))).unwrap();
    Tokenizer::from_gguf(&file, 1000).unwrap()
}

#[test]
fn gguf_tokenizers_give_the_ids_of_the_originals() {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let texts: Vec<String> = serde_json::from_value(expected["texts"].clone()).unwrap();
    let cases = expected["ids"].as_object().unwrap();
    assert_eq!(cases.len(), 10);
    let mut wrong = Vec::new();
    for (name, ids) in cases {
        let tokenizer = load(name);
        let ids: Vec<Vec<u32>> = serde_json::from_value(ids.clone()).unwrap();
        for (i, (text, ids)) in texts.iter().zip(ids).enumerate() {
            let found = tokenizer.encode(text).unwrap();
            if found != ids {
                wrong.push(format!("{name} {text:?}: {found:?} instead of {ids:?}"));
            }
            let decoded = tokenizer.decode(&ids, false).unwrap();
            if decoded != expected["decoded"][name][i] {
                wrong.push(format!("{name} {text:?}: decoded {decoded:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pieces_of_a_text_are_the_text() {
    for name in ["spm-llama", "spm-gemma2", "qwen2", "smollm"] {
        let tokenizer = load(name);
        let ids = tokenizer.encode("the cat sat. Hello world, naïve 猫 🐈 end").unwrap();
        let pieces = tokenizer.pieces(&ids, 0);
        assert_eq!(pieces.concat(), tokenizer.decode(&ids, false).unwrap(), "{name}");
        assert!(pieces.iter().any(|piece| piece.starts_with(' ')), "{name}: {pieces:?}");
        // As a generation names them, whose last character may lack a part.
        let (mut grown, mut named) = (Vec::new(), 0);
        for end in 1..=ids.len() {
            grown.truncate(named);
            grown.extend(tokenizer.pieces(&ids[..end], named));
            if grown.last().is_some_and(|text: &String| !text.is_empty() && !text.ends_with('\u{fffd}')) {
                named = end;
            }
        }
        assert_eq!(grown, pieces, "{name}");
    }
}

#[test]
fn a_start_token_goes_first_where_the_family_has_one() {
    for (name, start) in [("spm-llama", Some(1)), ("spm-gemma2", Some(1)), ("qwen2", None), ("smollm", None)]
    {
        let tokenizer = load(name);
        assert_eq!(tokenizer.start_id, start, "{name}");
        let plain = tokenizer.encode("the cat").unwrap();
        let (ids, spans) = tokenizer.encode_start_spans("the cat").unwrap();
        assert_eq!(ids.len(), spans.len());
        assert_eq!(ids, [start.as_slice(), plain.as_slice()].concat(), "{name}");
    }
    // Not twice.
    let llama = load("spm-llama");
    assert_eq!(llama.encode_start("<s>the cat").unwrap(), llama.encode("<s>the cat").unwrap());
}

fn from_json(model: serde_json::Value) -> crate::Result<Tokenizer> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let json = serde_json::json!({ "version": "1.0", "model": model });
    std::fs::write(file.path(), json.to_string()).unwrap();
    Tokenizer::from_file(file.path(), &SideFiles::default(), Vec::new())
}

#[test]
fn merges_that_make_no_token_are_refused() {
    let model = |merges: serde_json::Value| serde_json::json!({ "type": "BPE", "vocab": { "a": 0, "b": 1, "ab": 2 }, "merges": merges });
    assert_eq!(from_json(model(serde_json::json!([["a", "b"]]))).unwrap().encode("ab").unwrap(), [2]);
    // The library indexes past its buffer with this one.
    let error = from_json(model(serde_json::json!([["ab", "ab"]]))).unwrap_err().to_string();
    assert!(error.contains("merges that make no token"), "{error}");
    assert!(from_json(model(serde_json::json!(["a c"]))).is_err());
    assert!(from_json(serde_json::json!({ "type": "None" })).is_err());
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let file = GgufFile::open(&fixture("qwen2.gguf")).unwrap();
    let error = Tokenizer::from_gguf(&file, 100).unwrap_err().to_string();
    assert!(error.contains("tokens for 100 embeddings"), "{error}");
    let error = load("qwen2").check_size(Path::new("m"), 100).unwrap_err().to_string();
    assert!(error.contains("they belong to different models"), "{error}");
}
