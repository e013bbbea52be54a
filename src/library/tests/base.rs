//! Finding the base model.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{config, expert, safetensors};
use crate::Result;
use crate::library::{BaseLocation, BaseSpec, Library};
use crate::outside::sha256_file;

/// An adapter of a named base, for layers of the default base (or not).
fn of_base(root: &Path, name: &str, base: &str, fits: bool) {
    let mut config = config();
    config["base_model_name_or_path"] = json!(base);
    let module = "base_model.model.model.layers.0.self_attn.q_proj";
    let size = if fits { 576 } else { 64 };
    let tensors = [
        (format!("{module}.lora_A.weight"), vec![2, size]),
        (format!("{module}.lora_B.weight"), vec![size, 2]),
    ];
    expert(root, name, &config.to_string(), &safetensors(&tensors));
}

fn locate_base(library: &Library, chosen: Option<&Path>) -> Result<BaseLocation> {
    let Library { root, manifest, experts, .. } = library;
    crate::library::locate_base(root, manifest.base.as_ref(), experts, chosen)
}

fn model_folder(path: &Path) {
    fs::create_dir_all(path).unwrap();
    fs::write(path.join("config.json"), "{}").unwrap();
    fs::write(path.join("model.safetensors"), "x").unwrap();
}

fn found(location: BaseLocation) -> std::path::PathBuf {
    match location {
        BaseLocation::Found { path, .. } => fs::canonicalize(path).unwrap(),
        BaseLocation::Missing { label, .. } => panic!("{label} was not found"),
    }
}

#[test]
fn what_the_person_says_comes_first_and_is_checked() {
    let root = tempfile::tempdir().unwrap();
    let library = Library::open(root.path()).unwrap();
    let folder = root.path().join("model");
    model_folder(&folder);
    assert_eq!(found(locate_base(&library, Some(&folder)).unwrap()), fs::canonicalize(&folder).unwrap());
    let gguf = root.path().join("m.gguf");
    fs::write(&gguf, b"GGUF rest").unwrap();
    assert!(locate_base(&library, Some(&gguf)).is_ok());
    fs::write(&gguf, b"text").unwrap();
    for wrong in [gguf.as_path(), &root.path().join("none"), root.path()] {
        let error = locate_base(&library, Some(wrong)).unwrap_err().to_string();
        assert!(error.contains(&*wrong.to_string_lossy()), "{error}");
    }
}

#[test]
fn a_gguf_model_in_a_folder_or_in_parts_is_its_first_part() {
    let root = tempfile::tempdir().unwrap();
    let library = Library::open(root.path()).unwrap();
    let folder = root.path().join("model");
    fs::create_dir(&folder).unwrap();
    // As repositories of GGUF files have it.
    fs::write(folder.join("config.json"), "{}").unwrap();
    let name = |number: usize| folder.join(format!("big-Q8_0-0000{number}-of-00003.gguf"));
    for number in 1..=3 {
        fs::write(name(number), b"GGUF rest").unwrap();
    }
    let first = fs::canonicalize(name(1)).unwrap();
    for given in [folder.clone(), name(1), name(3)] {
        assert_eq!(found(locate_base(&library, Some(&given)).unwrap()), first);
    }
    fs::write(root.path().join("library.toml"), "[base]\npath = \"model\"").unwrap();
    assert_eq!(found(locate_base(&Library::open(root.path()).unwrap(), None).unwrap()), first);
    // Without the first, opening says what is missing.
    fs::remove_file(name(1)).unwrap();
    assert_eq!(found(locate_base(&library, Some(&folder)).unwrap()), fs::canonicalize(name(2)).unwrap());
    fs::write(folder.join("big-Q4_0.gguf"), b"GGUF rest").unwrap();
    let error = locate_base(&library, Some(&folder)).unwrap_err().to_string();
    assert!(
        error.contains("several .gguf models (big-Q4_0.gguf, big-Q8_0-00001-of-00003.gguf): give one"),
        "{error}"
    );
}

#[test]
fn the_manifest_is_relative_to_the_library_and_its_digest_is_checked() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("m.gguf"), b"GGUF rest").unwrap();
    let digest = sha256_file(&root.path().join("m.gguf")).unwrap();
    let manifest = |text: &str| {
        fs::write(root.path().join("library.toml"), text).unwrap();
        locate_base(&Library::open(root.path()).unwrap(), None)
    };
    assert!(found(manifest("[base]\npath = \"m.gguf\"").unwrap()).ends_with("m.gguf"));
    assert!(manifest(&format!("[base]\npath = \"m.gguf\"\nsha256 = \"{digest}\"")).is_ok());
    let wrong = format!("[base]\npath = \"m.gguf\"\nsha256 = \"{}\"", "0".repeat(64));
    assert!(manifest(&wrong).unwrap_err().to_string().contains("SHA-256"));
    // Of the file in a folder, too.
    fs::create_dir(root.path().join("in")).unwrap();
    fs::write(root.path().join("in/m.gguf"), b"GGUF rest").unwrap();
    let within = |digest: &str| manifest(&format!("[base]\npath = \"in\"\nsha256 = \"{digest}\""));
    assert!(found(within(&digest).unwrap()).ends_with("in/m.gguf"));
    assert!(within(&"0".repeat(64)).unwrap_err().to_string().contains("SHA-256"));
    model_folder(&root.path().join("whole"));
    let whole = manifest(&format!("[base]\npath = \"whole\"\nsha256 = \"{digest}\"")).unwrap_err();
    assert!(whole.to_string().contains("is of one file: remove it"), "{whole}");
    assert!(manifest("[base]\npath = \"absent\"").unwrap_err().to_string().contains("no such base model"));
    let elsewhere =
        format!("[base]\nhub = \"no/where\"\nfile = \"never.gguf\"\nsha256 = \"{}\"", "1".repeat(64));
    let missing = manifest(&elsewhere).unwrap();
    assert!(matches!(&missing, BaseLocation::Missing { label, .. } if label == "never.gguf"), "{missing:?}");
}

#[test]
fn a_local_base_that_experts_name_is_used() {
    let root = tempfile::tempdir().unwrap();
    model_folder(&root.path().join("models/tiny"));
    of_base(root.path(), "experts/a", "../../models/tiny", false);
    let library = Library::open(root.path()).unwrap();
    assert!(found(locate_base(&library, None).unwrap()).ends_with("models/tiny"));
}

#[test]
fn the_default_is_only_for_experts_it_fits() {
    let root = tempfile::tempdir().unwrap();
    of_base(root.path(), "a", "no/such-base", false);
    let library = Library::open(root.path()).unwrap();
    let error = locate_base(&library, None).unwrap_err().to_string();
    assert!(error.contains("no/such-base") && error.contains("--base"), "{error}");

    of_base(root.path(), "b", "no/such-base", true);
    let library = Library::open(root.path()).unwrap();
    let label = match locate_base(&library, None).unwrap() {
        BaseLocation::Found { label, .. } | BaseLocation::Missing { label, .. } => label,
    };
    assert_eq!(label, BaseSpec::smollm2().label());
}
