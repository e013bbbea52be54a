//! Older files against transformers (fixtures made by `tests/fixtures/make_legacy_tokenizers.py`).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::model::families::tokenizer_class;
use crate::model::tokenizer::Tokenizer;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy_tokenizers")
}

fn cases() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("cases.json")).unwrap()).unwrap()
}

/// A folder with the files of a case.
fn folder(case: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (to, from) in case["files"].as_object().unwrap() {
        std::fs::copy(fixtures().join(from.as_str().unwrap()), folder.path().join(to)).unwrap();
    }
    for (to, content) in case["sides"].as_object().unwrap() {
        std::fs::write(folder.path().join(to), content.to_string()).unwrap();
    }
    folder
}

fn read(folder: &Path, model_type: &str) -> crate::Result<Tokenizer> {
    let legacy = super::Legacy::read(folder, None, tokenizer_class(model_type))?;
    Tokenizer::from_legacy(&legacy, Vec::new())
}

#[test]
fn older_files_give_the_ids_of_transformers() {
    let all = cases();
    let texts: Vec<String> = serde_json::from_value(all["texts"].clone()).unwrap();
    let cases = all["cases"].as_object().unwrap();
    assert!(cases.len() > 30);
    let mut wrong = Vec::new();
    for (name, case) in cases {
        let folder = folder(case);
        let tokenizer = read(folder.path(), case["model_type"].as_str().unwrap()).unwrap();
        let (size, start) = (tokenizer.len(), tokenizer.start_id);
        if json!([size, start]) != json!([case["size"], case["start"]]) {
            wrong.push(format!(
                "{name}: {size} tokens and start {start:?}, not {} and {}",
                case["size"], case["start"]
            ));
        }
        let ids: Vec<Vec<u32>> = serde_json::from_value(case["ids"].clone()).unwrap();
        for (i, (text, ids)) in texts.iter().zip(ids).enumerate() {
            let found = tokenizer.encode(text).unwrap();
            if found != ids {
                wrong.push(format!("{name} {text:?}: {found:?} instead of {ids:?}"));
            }
            for (list, skip) in [("decoded", false), ("plain", true)] {
                let decoded = tokenizer.decode(&ids, skip).unwrap();
                if decoded != case[list][i] {
                    wrong.push(format!("{name} {text:?}: {list} {decoded:?}, not {}", case[list][i]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn named_tokens_are_those_of_transformers() {
    for (name, case) in cases()["cases"].as_object().unwrap() {
        let folder = folder(case);
        let registered = tokenizer_class(case["model_type"].as_str().unwrap());
        let legacy = super::Legacy::read(folder.path(), None, registered).unwrap();
        let found: serde_json::Map<String, Value> =
            legacy.side.named.into_iter().map(|(key, text)| (key, text.into())).collect();
        assert_eq!(Value::Object(found), case["named"], "{name}");
    }
}

#[test]
fn what_is_not_read_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let error = |model_type: &str| read(folder.path(), model_type).err().unwrap().to_string();
    assert!(error("llama").ends_with("has no tokenizer.json: copy it there from the original model"));
    write("spiece.model", "");
    assert!(
        error("llama").contains("has spiece.model, but no tokenizer.json and no tokenizer.model"),
        "{}",
        error("llama")
    );
    write("tokenizer_config.json", r#"{"tokenizer_class": "T5Tokenizer"}"#);
    let found = error("llama");
    assert!(
        found.contains("T5Tokenizer, which is not known here; open it once with AutoTokenizer"),
        "{found}"
    );
    write("tokenizer_config.json", r#"{"auto_map": {"AutoTokenizer": ["a.B", null]}}"#);
    assert!(error("llama").contains("Python code of its own, which is not run"));
    write("tokenizer_config.json", "{}");
    write("vocab.json", r#"{"a": 0, "b": 1, "ab": 2}"#);
    assert!(
        error("qwen2").contains("no merges.txt, which Qwen2Tokenizer of transformers reads"),
        "{}",
        error("qwen2")
    );
    write("merges.txt", "#version: 0.2\na b c\n");
    assert!(error("qwen2").contains("merges.txt: has a line that is no merge of two tokens: a b c"));
    write("merges.txt", "a c\n");
    assert!(read(folder.path(), "qwen2").is_err());
    write("merges.txt", "#version: 0.2\na b\n");
    assert_eq!(read(folder.path(), "qwen2").unwrap().encode("ab").unwrap(), [2]);
    // A Llama's files are of the class that they name.
    assert!(error("llama").contains("no tokenizer.model, which TokenizersBackend of transformers reads"));
    write("vocab.json", r#"{"a": "x"}"#);
    assert!(error("qwen2").contains("vocab.json: is not an object of tokens with their ids"));
}
