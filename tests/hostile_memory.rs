//! Hostile adapters and base models cannot make the reader use much more memory than their files have bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed helper is a failed test")]

use std::fs;
use std::path::Path;

use lora_tui::library::Library;
use lora_tui::model::ModelFiles;

mod counting;

/// Bytes that opening the library takes at its highest point.
fn peak_of_opening(root: &Path) -> usize {
    counting::peak(|| Library::open(root).expect("a hostile expert is a row, not an error")).0
}

fn weights(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// A PyTorch file (a ZIP of stored entries) with this pickle, and empty entries of these names.
fn torch_file(pickle: &[u8], names: impl Iterator<Item = String>) -> Vec<u8> {
    let entries =
        std::iter::once(("a/data.pkl".to_string(), pickle)).chain(names.map(|name| (name, &[][..])));
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0u16);
    for (name, bytes) in entries {
        let offset = out.len() as u32;
        let sizes = [0, bytes.len() as u32, bytes.len() as u32].map(u32::to_le_bytes).concat();
        let name_length = (name.len() as u16).to_le_bytes();
        out.extend([b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0", sizes.as_slice(), &name_length, &[0, 0]].concat());
        out.extend([name.as_bytes(), bytes].concat());
        directory
            .extend([b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0", sizes.as_slice(), &name_length].concat());
        directory.extend([[0; 12].as_slice(), &offset.to_le_bytes(), name.as_bytes()].concat());
        count += 1;
    }
    let (start, size) = ((out.len() as u32).to_le_bytes(), (directory.len() as u32).to_le_bytes());
    let count = count.to_le_bytes();
    out.extend(directory);
    out.extend([b"PK\x05\x06\0\0\0\0", count.as_slice(), &count, &size, &start, &[0, 0]].concat());
    out
}

fn pickle(unit: &[u8], times: usize) -> Vec<u8> {
    torch_file(&[b"\x80\x04", unit.repeat(times).as_slice(), b"."].concat(), std::iter::empty())
}

/// A LoRA file of llama.cpp that claims to have `count` of what `body` repeats.
fn gguf(tensors: u64, entries: u64, body: &[u8], times: usize) -> Vec<u8> {
    let start = [b"GGUF\x03\0\0\0", tensors.to_le_bytes().as_slice(), &entries.to_le_bytes()].concat();
    let kind = b"\x0c\0\0\0\0\0\0\0general.type\x08\0\0\0\x07\0\0\0\0\0\0\0adapter";
    [start.as_slice(), kind, &body.repeat(times)].concat()
}

/// Files other than safetensors, each the only weights of an expert.
fn other_formats() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let dictionary = |unit: &[u8], times| {
        torch_file(&[b"\x80\x02}(", unit.repeat(times).as_slice(), b"u."].concat(), std::iter::empty())
    };
    let names = (0..60_000).map(|i| format!("{i}"));
    // A tensor with an empty name, of one dimension of no elements.
    let tensor = [[0u8; 8].as_slice(), &1u32.to_le_bytes(), &[0; 8], &[0; 4], &[0; 8]].concat();
    let key = |i: u32| [4u64.to_le_bytes().as_slice(), &i.to_le_bytes(), &[0, 0, 0, 0, 0]].concat();
    let keys: Vec<u8> = (0..4000).flat_map(key).collect();
    let empty_texts =
        [b"\x01\0\0\0\0\0\0\0k\x09\0\0\0\x08\0\0\0".as_slice(), &100_000u64.to_le_bytes()].concat();
    let entry = r#""a":"b","#.repeat(150_000);
    let index = format!(r#"{{"weight_map":{{{}}}}}"#, entry.trim_end_matches(','));
    vec![
        ("many memories", "adapter_model.bin", pickle(b"N\x940", 700_000)),
        ("many lists", "adapter_model.bin", pickle(b"]0", 1_000_000)),
        ("a high stack", "adapter_model.bin", pickle(b"N", 2_000_000)),
        ("many marks", "adapter_model.bin", pickle(b"(", 2_000_000)),
        ("many pairs of nothing", "adapter_model.bin", dictionary(b"NN", 4_000)),
        (
            "batches of nothing",
            "adapter_model.bin",
            dictionary(&[b"NN".repeat(1000).as_slice(), b"u("].concat(), 500),
        ),
        ("a long text", "adapter_model.bin", pickle(b"X\xff\xff\xff\x00", 300_000)),
        ("many entries", "adapter_model.bin", torch_file(b"\x80\x02}.", names)),
        ("a checkpoint of lists", "it.ckpt", pickle(b"]\x940", 500_000)),
        ("many tensors", "it.gguf", gguf(30_000, 1, &tensor, 30_000)),
        ("claimed tensors", "it.gguf", gguf(u64::MAX, 1, b"", 0)),
        ("many metadata entries", "it.gguf", gguf(0, 4001, &keys, 1)),
        ("many empty texts", "it.gguf", gguf(0, 2, &[empty_texts.as_slice(), &[0; 800_000]].concat(), 1)),
        ("a long index", "adapter_model.safetensors.index.json", index.into_bytes()),
    ]
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn memory_stays_in_proportion_to_the_files() {
    let root = tempfile::tempdir().expect("temporary folders can be made");
    let folder = root.path().join("it");
    fs::create_dir(&folder).expect("temporary folders can be made");
    let sound = r#"{"peft_type":"LORA","r":1}"#.to_string();
    let empty = r#"{"dtype":"U8","shape":[],"data_offsets":[0,0]}"#;
    let pairs: Vec<String> = (0..10_000)
        .flat_map(|i| {
            ["A", "B"].map(|f| {
                let (start, end) = if f == "A" { (8 * i, 8 * i + 4) } else { (8 * i + 4, 8 * i + 8) };
                format!(
                    r#""{i}.lora_{f}.weight":{{"dtype":"F32","shape":[1,1],"data_offsets":[{start},{end}]}}"#
                )
            })
        })
        .collect();
    // Escaping this in an error message would almost triple it.
    let long = "\u{feff}".repeat(300_000);
    let cases: Vec<(&str, String, Vec<u8>)> = vec![
        ("a huge claim", sound.clone(), u64::MAX.to_le_bytes().to_vec()),
        ("a large claim", sound.clone(), 90_000_000u64.to_le_bytes().to_vec()),
        ("many pairs", sound.clone(), weights(&format!("{{{}}}", pairs.join(",")), 80_000)),
        (
            "many equal entries",
            sound.clone(),
            weights(&format!("{{{}}}", vec![format!(r#""":{empty}"#); 20_000].join(",")), 0),
        ),
        (
            "many offsets",
            sound.clone(),
            weights(&format!(r#"{{"a":[{}]}}"#, vec![r#""data_offsets""#; 50_000].join(",")), 0),
        ),
        (
            "a long shape",
            sound.clone(),
            weights(&format!(r#"{{"a":{{"shape":[{}]}}}}"#, vec!["1"; 500_000].join(",")), 0),
        ),
        ("a long name", sound.clone(), weights(&format!(r#"{{"{}":{empty}}}"#, "x".repeat(1_000_000)), 0)),
        (
            "deep metadata",
            sound.clone(),
            weights(&format!(r#"{{"__metadata__":{}"#, "[".repeat(1_000_000)), 0),
        ),
        ("many targets", format!(r#"{{"target_modules":[{}]}}"#, vec![r#""""#; 1_000_000].join(",")), vec![]),
        ("a large unknown value", format!(r#"{{"x":[{}]}}"#, vec!["0"; 1_000_000].join(",")), vec![]),
        (
            "a large pattern",
            format!(r#"{{"rank_pattern":{{{}}}}}"#, vec![r#""":1"#; 500_000].join(",")),
            vec![],
        ),
        ("a long wrong shape", sound.clone(), weights(&format!(r#"{{"a":{{"shape":"{long}"}}}}"#), 0)),
        (
            "a long wrong offset",
            sound.clone(),
            weights(&format!(r#"{{"a":{{"data_offsets":["{long}"]}}}}"#), 0),
        ),
        ("a long wrong tensor", sound.clone(), weights(&format!(r#"{{"a":"{long}"}}"#), 0)),
        ("a long wrong dtype", sound.clone(), weights(&format!(r#"{{"a":{{"dtype":"{long}"}}}}"#), 0)),
        ("a long wrong header", sound, weights(&format!(r#""{long}""#), 0)),
        ("a long wrong key", format!(r#"{{"rank_pattern":{{"{long}":[]}}}}"#), vec![]),
        ("a long wrong value", format!(r#"{{"r":"{long}"}}"#), vec![]),
    ];
    for (what, config, weights) in cases {
        let size = config.len() + weights.len();
        fs::write(folder.join("adapter_config.json"), config).expect("temporary files can be written");
        fs::write(folder.join("adapter_model.safetensors"), weights).expect("temporary files can be written");
        let peak = peak_of_opening(root.path());
        // The constant covers threads and directory listings.
        assert!(peak <= 4 * size + (1 << 20), "{what}: {peak} bytes for files of {size}");
    }
    for (what, name, bytes) in other_formats() {
        fs::remove_dir_all(&folder).expect("temporary folders can be removed");
        fs::create_dir(&folder).expect("temporary folders can be made");
        let size = bytes.len();
        fs::write(folder.join(name), bytes).expect("temporary files can be written");
        if name.starts_with("adapter_model") {
            let config = r#"{"peft_type":"LORA","r":1}"#;
            fs::write(folder.join("adapter_config.json"), config).expect("temporary files can be written");
        }
        let peak = peak_of_opening(root.path());
        assert!(peak <= 4 * size + (1 << 20), "{what}: {peak} bytes for files of {size}");
    }
    hostile_models(root.path());
}

fn hostile_models(folder: &Path) {
    // The header that is shared with adapters has one entry of its own.
    let gguf = |tensors, entries: u64, rest: &[u8]| gguf(tensors, entries.saturating_add(1), rest, 1);
    let text = |s: &str| [&(s.len() as u64).to_le_bytes(), s.as_bytes()].concat();
    let array = |kind: u32, count: u64, values: Vec<u8>| {
        [
            text("k"),
            9u32.to_le_bytes().to_vec(),
            kind.to_le_bytes().to_vec(),
            count.to_le_bytes().to_vec(),
            values,
        ]
        .concat()
    };
    let empty_tensor = |name: u32| {
        let place = [[0u8; 4].as_slice(), &[0u8; 4], &[0u8; 8]].concat();
        [text(&name.to_string()), place].concat()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("many tensors claimed", gguf(u64::MAX, 0, &[0; 64])),
        ("many entries claimed", gguf(0, u64::MAX, &[0; 64])),
        ("a long key", gguf(0, 1, &u64::MAX.to_le_bytes())),
        ("many texts claimed", gguf(0, 1, &array(8, 1 << 40, vec![]))),
        ("many numbers claimed", gguf(0, 1, &array(0, 1 << 40, vec![]))),
        ("many empty texts", gguf(0, 1, &array(8, 200_000, vec![0; 1_600_000]))),
        ("many small numbers", gguf(0, 1, &array(0, 1_000_000, vec![1; 1_000_000]))),
        ("many tensors", gguf(50_000, 0, &(0..50_000).flat_map(empty_tensor).collect::<Vec<u8>>())),
        (
            "a long text",
            gguf(0, 1, &[text("k"), 8u32.to_le_bytes().to_vec(), text(&"x".repeat(1_000_000))].concat()),
        ),
    ];
    let path = folder.join("model.gguf");
    for (what, bytes) in cases {
        fs::write(&path, &bytes).expect("temporary files can be written");
        let (peak, opened) = counting::peak(|| ModelFiles::open(&path).is_ok());
        assert!(!opened, "{what}");
        assert!(peak <= 4 * bytes.len() + (1 << 20), "{what}: {peak} bytes for a file of {}", bytes.len());
    }
}
