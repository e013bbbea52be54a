//! New experts and other files: whole or not at all.

use std::fs;
use std::path::Path;

use candle_core::DType;

use crate::Error;
use crate::library::{
    Library, NamedTensor, NewAdapterConfig, NewLora, Provenance, SeenTask, Status, check_new_name,
    write_adapter, write_safetensors,
};
use crate::outside::{atomic_write, sha256_file};

fn lora(module: &str, value: f32) -> NewLora {
    NewLora {
        module: module.into(),
        rank: 2,
        in_features: 3,
        out_features: 4,
        a: vec![value; 6],
        b: (0..8).map(|i| i as f32 / 8.0).collect(),
    }
}

fn new_config() -> NewAdapterConfig {
    let targets = vec!["q_proj".into(), "c_attn".into()];
    NewAdapterConfig { revision: None, base: "some/base".into(), r: 2, alpha: 5.0, dropout: 0.05, targets }
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_back_as_it_was() {
    for dtype in [DType::F16, DType::BF16, DType::F32] {
        let root = tempfile::tempdir().unwrap();
        let provenance = Provenance { task: Some("plural".into()), seed: Some(7), ..Provenance::default() };
        let modules = [lora("model.layers.10.q_proj", 0.25), lora("model.layers.9.q_proj", -0.5)];
        write_adapter(&root.path().join("new"), &modules, &new_config(), dtype, &provenance).unwrap();
        assert_eq!(entries(root.path()), ["new"]);
        let files = ["adapter_config.json", "adapter_model.safetensors", "expert.toml"];
        assert_eq!(entries(&root.path().join("new")), files);

        let library = Library::open(root.path()).unwrap();
        let expert = library.expert("new").unwrap();
        assert_eq!((expert.status(), expert.reason()), (Status::Ok, None));
        assert_eq!(expert.dtype, dtype.as_str());
        assert_eq!(expert.modules[0].scale, 2.5);
        assert_eq!(expert.config.targets, ["c_attn", "q_proj"]);
        assert_eq!(expert.provenance.as_ref(), Some(&provenance));
        let adapter = expert.load().unwrap();
        assert_eq!(adapter.module("model.layers.9.q_proj").unwrap().a().unwrap(), vec![-0.5; 6]);
        assert_eq!(adapter.module("model.layers.10.q_proj").unwrap().b().unwrap(), modules[0].b);
    }
}

#[test]
fn what_many_tasks_taught_is_read_back() {
    let root = tempfile::tempdir().unwrap();
    let seen = |i: usize| SeenTask {
        task: Some(format!("task_{i}")),
        family: Some("words".into()),
        dataset_sha256: Some(format!("{i:064x}")),
    };
    let provenance = Provenance { seen_before: (0..10_000).map(seen).collect(), ..Provenance::default() };
    write_adapter(&root.path().join("many"), &[lora("m", 1.0)], &new_config(), DType::F32, &provenance)
        .unwrap();
    let library = Library::open(root.path()).unwrap();
    assert_eq!(library.expert("many").unwrap().provenance.as_ref(), Some(&provenance));
    // More would be read as nothing.
    let huge = Provenance { template: Some("x".repeat(5 << 20)), ..Provenance::default() };
    let error = write_adapter(&root.path().join("huge"), &[lora("m", 1.0)], &new_config(), DType::F32, &huge);
    assert!(error.unwrap_err().to_string().contains("expert.toml has 5 MB: at most 4 MB"));
    assert_eq!(entries(root.path()), ["many"]);
}

#[test]
fn nothing_is_replaced_and_nothing_is_left_half_written() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, lora: NewLora, dtype| {
        write_adapter(&root.path().join(name), &[lora], &new_config(), dtype, &Provenance::default())
    };
    write("a", lora("m", 1.0), DType::F32).unwrap();
    assert!(write("a", lora("m", 2.0), DType::F32).unwrap_err().to_string().contains("exists already"));
    for (lora, dtype) in [
        (lora("m", f32::NAN), DType::F32),
        (lora("m", 1e6), DType::F16),
        (NewLora { rank: 3, ..lora("m", 1.0) }, DType::F32),
        (NewLora { rank: 0, a: vec![], b: vec![], ..lora("m", 1.0) }, DType::F32),
        (lora("m", 1.0), DType::U8),
    ] {
        assert!(write("b", lora, dtype).is_err());
    }
    let twice = [lora("m", 1.0), lora("m", 1.0)];
    let b = root.path().join("b");
    assert!(write_adapter(&b, &twice, &new_config(), DType::F32, &Provenance::default()).is_err());
    assert!(write_adapter(&b, &[], &new_config(), DType::F32, &Provenance::default()).is_err());
    assert!(write("absent/b", lora("m", 1.0), DType::F32).is_err());
    assert_eq!(entries(root.path()), ["a"]);
    let library = Library::open(root.path()).unwrap();
    assert_eq!(library.experts[0].load().unwrap().modules[0].a().unwrap(), vec![1.0; 6]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_leaves_the_old_file() {
    // /dev/full takes no bytes: the same error as a full disk, through the same writer.
    let error = fs::write("/dev/full", b"x").unwrap_err();
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    atomic_write(&path, b"old").unwrap();
    let full = crate::outside::atomic_write_with(&path, |file| {
        std::io::Write::write_all(file, b"half")?;
        Err(std::io::Error::from(error.kind()))
    });
    assert!(matches!(full, Err(Error::Io { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(entries(root.path()), ["file"]);
}

#[test]
fn names_of_new_experts_are_plain() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(check_new_name(root.path(), "new").unwrap(), root.path().join("new"));
    assert!(check_new_name(root.path(), "Überfall-2.1_x").is_ok());
    for name in [
        "",
        " ",
        "a/b",
        "..",
        ".",
        "../x",
        "/etc/x",
        ".hidden",
        "-x",
        "a\\b",
        "c:x",
        "a\nb",
        "a\u{202e}b",
        "library.toml",
        &"x".repeat(300),
    ] {
        assert!(matches!(check_new_name(root.path(), name), Err(Error::Usage(_))), "{name:?}");
    }
    fs::write(root.path().join("taken"), "x").unwrap();
    assert!(check_new_name(root.path(), "taken").unwrap_err().to_string().contains("exists already"));
    let adapter = super::good(root.path(), "adapter");
    assert!(check_new_name(&adapter, "new").unwrap_err().to_string().contains("itself an adapter"));
}

#[test]
fn tensors_are_written_as_the_format_wants_them() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t.safetensors");
    let values = [1.0, -2.5, 0.0, 3.25, 1e-3, 7.0];
    let tensors = [
        NamedTensor { name: "x", shape: &[2, 3], values: &values },
        NamedTensor { name: "none", shape: &[0, 3], values: &[] },
    ];
    write_safetensors(&path, &tensors, DType::F32, &[("experts", "[\"a\"]")]).unwrap();
    let bytes = fs::read(&path).unwrap();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.tensor("x").unwrap().shape(), [2, 3]);
    let expected: Vec<u8> = values.iter().flat_map(|v: &f32| v.to_le_bytes()).collect();
    assert_eq!(read.tensor("x").unwrap().data(), expected);
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["experts"], "[\"a\"]");
}

#[test]
fn digests_are_those_of_the_standard() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("abc");
    fs::write(&path, "abc").unwrap();
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_file(&path).unwrap(), expected);
}

#[cfg(unix)]
#[test]
fn new_files_are_as_open_as_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let plain = root.path().join("plain");
    fs::write(&plain, "").unwrap();
    let ours = root.path().join("ours");
    atomic_write(&ours, b"").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&ours), mode(&plain));
}
