//! Adapter files of every kind: spellings, damage, and hostility. What sound files give is compared with
//! PEFT in `tests/integration/formats.rs`.

mod files;
mod gguf;
mod mutated;
mod pickle;
mod torch;

use std::fs;
use std::path::{Path, PathBuf};

use crate::library::{Expert, Library, Status};

/// An entry of a hand-made ZIP file.
#[derive(Clone)]
struct Item {
    name: String,
    bytes: Vec<u8>,
    method: u16,
    flags: u16,
}

fn item(name: &str, bytes: &[u8]) -> Item {
    Item { name: name.into(), bytes: bytes.to_vec(), method: 0, flags: 0 }
}

/// A ZIP file, as plain as the format allows.
fn zip(items: &[Item]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for Item { name, bytes, method, flags } in items {
        let offset = out.len() as u32;
        let size = bytes.len() as u32;
        let lengths = [name.len() as u16, 0];
        let common = [20, *flags, *method, 0, 0].map(u16::to_le_bytes).concat();
        let sizes = [0, size, size].map(u32::to_le_bytes).concat();
        out.extend([b"PK\x03\x04", common.as_slice(), &sizes].concat());
        out.extend(lengths.map(u16::to_le_bytes).concat());
        out.extend(name.as_bytes());
        out.extend(bytes);
        directory.extend([b"PK\x01\x02\x14\0", common.as_slice(), &sizes].concat());
        directory.extend([lengths[0], 0, 0, 0, 0].map(u16::to_le_bytes).concat());
        directory.extend([0, offset].map(u32::to_le_bytes).concat());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (out.len() as u32, items.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count, count].map(u16::to_le_bytes).concat());
    out.extend([directory.len() as u32, start].map(u32::to_le_bytes).concat());
    out.extend([0, 0]);
    out
}

/// A PyTorch file with this pickle and these storages, `0`, `1` and so on.
fn torch_file(pickle: &[u8], storages: &[Vec<u8>]) -> Vec<u8> {
    let mut items = vec![item("a/data.pkl", pickle), item("a/byteorder", b"little")];
    items.extend(storages.iter().enumerate().map(|(i, bytes)| item(&format!("a/data/{i}"), bytes)));
    zip(&items)
}

/// Text as an old pickle has it.
fn text(text: &str) -> Vec<u8> {
    [b"X", (text.len() as u32).to_le_bytes().as_slice(), text.as_bytes()].concat()
}

/// A whole number that fits 32 bits, or any of 64.
fn number(number: i64) -> Vec<u8> {
    match i32::try_from(number) {
        Ok(small) => [b"J", small.to_le_bytes().as_slice()].concat(),
        Err(_) => [[0x8a, 8].as_slice(), &number.to_le_bytes()].concat(),
    }
}

fn tuple(numbers: &[i64]) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.iter().flat_map(|&n| number(n)).collect();
    [b"(", numbers.as_slice(), b"t"].concat()
}

/// A tensor as `torch.save` describes it.
fn tensor(class: &str, key: usize, elements: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".as_slice(),
        &text("storage"),
        format!("ctorch\n{class}\n").as_bytes(),
        &text(&key.to_string()),
        &text("cpu"),
        &number(elements),
        b"tQ",
        &number(offset),
        &tuple(shape),
        &tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// A dictionary of these, as a whole pickle.
fn dictionary(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> =
        entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"\x80\x02}(", entries.as_slice(), b"u."].concat()
}

const CONFIG: &str = r#"{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"]}"#;
const A: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
const B: &str = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight";

fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

/// A library of one folder with these files.
fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("temporary folders can be made");
    let place = root.path().join("it");
    fs::create_dir(&place).expect("temporary folders can be made");
    for (name, bytes) in files {
        fs::write(place.join(name), bytes).expect("temporary files can be written");
    }
    (root, place)
}

/// The only expert of a library.
fn only(root: &Path) -> Expert {
    let mut library = Library::open(root).expect("a bad expert is a row, not an error");
    assert_eq!(library.experts.len(), 1, "{:?}", library.warnings);
    library.experts.remove(0)
}

/// Why an expert cannot be used.
#[track_caller]
fn bad(files: &[(&str, &[u8])]) -> String {
    let (root, _) = folder(files);
    let expert = only(root.path());
    assert_eq!(expert.status(), Status::Bad, "{:?}", expert.reason());
    assert!(expert.load().is_err(), "a bad expert does not load");
    expert.reason().expect("a bad expert has a reason").to_string()
}

/// Why `adapter_model.bin` cannot be used.
#[track_caller]
fn bad_bin(bytes: &[u8]) -> String {
    let reason = bad(&[("adapter_config.json", CONFIG.as_bytes()), ("adapter_model.bin", bytes)]);
    assert!(reason.starts_with("adapter_model.bin "), "{reason}");
    reason
}
