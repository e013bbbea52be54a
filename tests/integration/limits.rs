//! What files ask for that no machine has, under a limit on the address space: refused in words, and the program lives.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::BINARY;
use crate::support::models::Fixture;

/// The binary with 6 GB of addresses.
fn limited(arguments: &[&str]) -> Output {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let mut command = Command::new(BINARY);
    command.args(arguments);
    // SAFETY: between fork and exec, only a system call is made.
    unsafe {
        command.pre_exec(|| {
            let limit = Some(6u64 << 30);
            setrlimit(Resource::As, Rlimit { current: limit, maximum: limit }).map_err(Into::into)
        });
    }
    command.output().unwrap()
}

/// What a command that ends by itself says: its status, stdout and stderr.
#[track_caller]
fn said(arguments: &[&str]) -> (i32, String, String) {
    let output = limited(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code();
    assert!(!err.contains("panicked"), "{arguments:?}: {err}");
    (code.unwrap_or_else(|| panic!("{arguments:?} was ended by a signal: {err}")), out, err)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// A folder with the tiny llama and a library of its experts.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let (fixture, place) = (Fixture::open("llama"), Self(tempfile::tempdir().unwrap()));
        copy(&fixture.base(), &place.base());
        for expert in ["expert_0", "expert_1"] {
            copy(&fixture.folder.join("experts").join(expert), &place.library().join(expert));
        }
        place
    }

    fn base(&self) -> PathBuf {
        self.0.path().join("base")
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("library")
    }

    /// A command on the library with its base model.
    fn said(&self, command: &str, arguments: &[&str]) -> (i32, String, String) {
        let (library, base) = (self.library(), self.base());
        let mut all = vec![command, library.to_str().unwrap()];
        all.extend_from_slice(arguments);
        all.extend(["--base", base.to_str().unwrap()]);
        said(&all)
    }
}

/// An expert whose sound header describes 512 GB, of which the file has none: with so many columns, or rows, of A.
fn write_sparse(folder: &Path, rank: u64, wide: u64) {
    std::fs::create_dir_all(folder).unwrap();
    let config = json!({ "peft_type": "LORA", "r": rank, "lora_alpha": 8, "target_modules": ["q_proj"] });
    std::fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    let half = 4 * rank * wide;
    let key = |factor: &str| format!("base_model.model.model.layers.0.self_attn.q_proj.{factor}.weight");
    let header = json!({
        key("lora_A"): { "dtype": "F32", "shape": [rank, wide], "data_offsets": [0, half] },
        key("lora_B"): { "dtype": "F32", "shape": [wide, rank], "data_offsets": [half, 2 * half] },
    })
    .to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    let path = folder.join("adapter_model.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(bytes.len() as u64 + 2 * half).unwrap();
}

#[test]
fn an_expert_that_no_memory_holds_is_refused_with_numbers() {
    let place = Place::new();
    write_sparse(&place.library().join("sparse"), 4, 1 << 34);
    let library = place.library();
    let library = library.to_str().unwrap();
    let (code, _, err) = said(&["show", library, "sparse"]);
    assert!(code == 1 && err.contains("lora_A of model.layers.0.self_attn.q_proj needs"), "{err}");
    assert!(err.contains(" GB of memory, and ") && err.contains("are free here"), "{err}");
    let (_, out, err) = said(&["ls", library, "--check", "--json"]);
    assert!(out.contains("of memory, and"), "{out}{err}");
    let others = place.0.path().join("others");
    for name in ["a", "b"] {
        write_sparse(&others.join(name), 4, 1 << 34);
    }
    let (code, _, err) = said(&["similarity", others.to_str().unwrap(), "--json"]);
    assert!(code == 1 && err.contains("of memory, and"), "{err}");
    // Where the base model is known, it does not fit; one whose sizes do is left out too, and the others are used.
    write_sparse(&place.library().join("high"), 1 << 28, 32);
    let (code, _, err) = place.said("route", &["--raw", "--prompt", "w1 w2"]);
    assert!(code == 0 && err.contains("high: needs"), "{err}");
}

#[test]
fn an_absurd_scale_is_an_error_that_names_expert_and_module() {
    let place = Place::new();
    for alpha in [1e30, 1e300] {
        change(&place.library().join("expert_1/adapter_config.json"), |config| {
            config["lora_alpha"] = json!(alpha)
        });
        for (command, router) in
            [("route", "uniform"), ("generate", "uniform"), ("route", "arrow"), ("generate", "arrow")]
        {
            let (code, _, err) = place.said(command, &["--raw", "--prompt", "w1 w2 w3", "--router", router]);
            assert!(
                code == 1 && err.contains("expert_1 makes values that are no numbers: at model.layers.0"),
                "{err}"
            );
            let (code, _, err) =
                place.said(command, &["--raw", "--prompt", "w1 w2 w3", "--router", "single:expert_0"]);
            assert_eq!(code, 0, "{err}");
        }
    }
    // The larger of the two has no merged factors in f32.
    let (code, _, err) = place
        .said("merge", &["--experts", "expert_0,expert_1", "--method", "svd", "--rank", "2", "--name", "m"]);
    assert!(code == 1 && err.contains("those of expert_1 the most"), "{err}");
}

#[test]
fn a_tokenizer_that_multiplies_is_refused_before_it_does() {
    let place = Place::new();
    let ten = json!({ "type": "Replace", "pattern": { "String": "w" }, "content": "wwwwwwwwww" });
    change(&place.base().join("tokenizer.json"), |t| {
        t["normalizer"] = json!({ "type": "Sequence", "normalizers": vec![ten; 11] });
    });
    let (code, _, err) = place.said("route", &["--raw", "--prompt", "w1"]);
    assert!(code == 1 && err.contains("times as long"), "{err}");
    // Token ids work without one.
    let (code, _, err) = place.said("route", &["--tokens", "1,2,3"]);
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_header_that_claims_more_than_any_has_is_damaged() {
    let place = Place::new();
    let path = place.0.path().join("sparse.gguf");
    let start = |tensors: u64, entries: u64| {
        [b"GGUF".as_slice(), &3u32.to_le_bytes(), &tensors.to_le_bytes(), &entries.to_le_bytes()].concat()
    };
    // A text of 256 GB; an array of as many; eight billion tensors without a name.
    let key = [4u64.to_le_bytes().as_slice(), b"text"].concat();
    let text =
        [start(0, 1), key.clone(), 8u32.to_le_bytes().to_vec(), (1u64 << 38).to_le_bytes().to_vec()].concat();
    let array = [
        start(0, 1),
        key,
        9u32.to_le_bytes().to_vec(),
        0u32.to_le_bytes().to_vec(),
        (1u64 << 38).to_le_bytes().to_vec(),
    ]
    .concat();
    for bytes in [text, array, start(1 << 33, 0)] {
        std::fs::write(&path, &bytes).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 39).unwrap();
        let library = place.library();
        let (code, _, err) = said(&["ls", library.to_str().unwrap(), "--base", path.to_str().unwrap()]);
        assert!(code == 1 && err.contains("sparse.gguf"), "{err}");
    }
}
