//! GGUF tokenizers against the tokenizers library (fixtures made by `tests/fixtures/make_tokenizers.py`).

use std::path::{Path, PathBuf};

use super::Tokenizer;
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
