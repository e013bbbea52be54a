//! Adapters in every kind of file: what is read equals what PEFT wrote. The fixtures are made by
//! `tests/fixtures/make_formats.py`.

use std::path::{Path, PathBuf};

use lora_tui::Cancel;
use lora_tui::catalog::Catalog;
use lora_tui::library::{Expert, Library, Status};
use lora_tui::routing::{Part, Prompt, RouterConfig, Session};

use crate::support::models::{Fixture, cpu, values};
use crate::support::repository;

fn folder(name: &str) -> PathBuf {
    repository().join("tests/fixtures/formats").join(name)
}

fn open(name: &str) -> Library {
    Catalog::open(&folder(name), None).unwrap().library
}

/// Every tensor of two experts, module by module; values may differ by `tolerance` of the largest.
#[track_caller]
fn assert_same(library: &Library, name: &str, reference: &str, tolerance: f32) {
    let (found, expected) = (library.expert(name).unwrap(), library.expert(reference).unwrap());
    assert_eq!((found.status(), found.reason()), (expected.status(), expected.reason()), "{name}");
    assert!(found.is_usable(), "{name}: {:?}", found.reason());
    assert_eq!(found.modules, expected.modules, "{name}");
    let (found, expected) = (found.load().unwrap(), expected.load().unwrap());
    for (module, other) in found.modules.iter().zip(&expected.modules) {
        let place = format!("{name}, {}", module.shape.module);
        near(&place, &module.a().unwrap(), &other.a().unwrap(), tolerance);
        near(&place, &module.b().unwrap(), &other.b().unwrap(), tolerance);
        assert_eq!(module.magnitude().unwrap(), other.magnitude().unwrap(), "{place}");
        assert_eq!(module.bias().unwrap(), other.bias().unwrap(), "{place}");
    }
}

#[track_caller]
fn near(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    for (x, y) in found.iter().zip(expected) {
        assert!((x - y).abs() <= tolerance * largest, "{what}: {x} instead of {y}");
    }
}

#[test]
fn every_format_gives_the_tensors_that_peft_wrote() {
    let library = open("library");
    let f16 = 1.0 / 2048.0;
    for (name, reference, tolerance, format) in [
        ("peft", "peft", 0.0, "peft"),
        ("shards", "peft", 0.0, "peft"),
        ("bin", "peft", 0.0, "peft-bin"),
        ("mlx", "peft", 0.0, "mlx"),
        ("mlx_dora", "dora", 0.0, "mlx"),
        ("mttl_library/poems.ckpt", "peft", 0.0, "mttl"),
        ("mttl_library/tied.ckpt", "tied", 0.0, "mttl"),
        ("mttl_run/best.ckpt", "peft", 0.0, "mttl"),
        ("mttl_folder", "peft", f16, "mttl"),
        ("f32.gguf", "peft", 0.0, "gguf"),
        ("f16.gguf", "peft", f16, "gguf"),
        ("q8_0.gguf", "peft", 1.0 / 200.0, "gguf"),
        ("embedding.gguf", "embedding", 0.0, "gguf"),
    ] {
        assert_same(&library, name, reference, tolerance);
        assert_eq!(library.expert(name).unwrap().format.id(), format, "{name}");
    }
    assert_eq!(library.experts.len(), 17, "{:?}", names(&library));
    assert!(library.warnings.is_empty(), "{:?}", library.warnings);
}

fn names(library: &Library) -> Vec<&str> {
    library.experts.iter().map(|expert| expert.name.as_str()).collect()
}

#[test]
fn what_files_tell_beside_their_tensors_is_kept() {
    let library = open("library");
    let expert = |name: &str| library.expert(name).unwrap();
    for name in ["peft", "bin", "shards", "mlx", "mttl_library/poems.ckpt", "mttl_run/best.ckpt", "f32.gguf"]
    {
        let config = &expert(name).config;
        assert_eq!((config.r, config.alpha), (2, 5.0), "{name}");
        assert_eq!(config.targets, ["down_proj", "k_proj", "q_proj", "v_proj"], "{name}");
        assert!(expert(name).bytes > 2000 && expert(name).modified.is_some(), "{name}");
    }
    for name in ["peft", "mlx", "mttl_library/poems.ckpt", "mttl_folder"] {
        assert_eq!(expert(name).config.base.as_deref(), Some("tiny"), "{name}");
    }
    for name in ["mttl_library/poems.ckpt", "mttl_run/best.ckpt", "mttl_folder"] {
        assert_eq!(expert(name).provenance.as_ref().unwrap().task.as_deref(), Some("poems"), "{name}");
    }
    let dtypes: Vec<&str> =
        ["mttl_folder", "f16.gguf", "q8_0.gguf"].map(|name| expert(name).dtype.as_str()).to_vec();
    assert_eq!(dtypes, ["f16", "f16", "mixed"]);
}

#[test]
fn experts_of_all_formats_route_alike() {
    let fixture = Fixture::open("llama");
    let library = open("library");
    let prompt = Prompt { ids: fixture.ids.clone(), parts: vec![Part::Prompt; fixture.ids.len()] };
    let mut session = Session::open(&library, &fixture.base(), &cpu(), &mut |_| {}, &Cancel::new()).unwrap();
    let mut logits = |name: &str| {
        let config = RouterConfig::single(name);
        session.set_router(config).unwrap();
        values(&session.logits(&prompt, &Cancel::new()).unwrap().0)
    };
    let expected = logits("peft");
    for name in ["bin", "shards", "mlx", "mttl_library/poems.ckpt", "mttl_run/best.ckpt", "f32.gguf"] {
        assert_eq!(logits(name), expected, "{name}");
    }
    for (name, reference) in
        [("mttl_library/tied.ckpt", "tied"), ("mlx_dora", "dora"), ("embedding.gguf", "embedding")]
    {
        assert_eq!(logits(name), logits(reference), "{name}");
    }
    near("mttl_folder", &logits("mttl_folder"), &expected, 0.01);
}

/// MLX-LM applies LoRA of an embedding to the head too, where the base model has one table for both.
#[test]
fn lora_of_mlx_lm_changes_the_whole_of_a_tied_table() {
    const TABLE: &str = "model.embed_tokens";
    let fixture = Fixture::open("llama");
    let prompt = Prompt { ids: fixture.ids.clone(), parts: vec![Part::Prompt; fixture.ids.len()] };
    let logits = |library: &Library, base: &Path| {
        let mut session = Session::open(library, base, &cpu(), &mut |_| {}, &Cancel::new()).unwrap();
        let config = RouterConfig::single("it");
        session.set_router(config).unwrap();
        values(&session.logits(&prompt, &Cancel::new()).unwrap().0)
    };
    let device = candle_core::Device::Cpu;
    let all = candle_core::safetensors::load(folder("library/mlx_embedding/adapters.safetensors"), &device);
    let all = all.unwrap();
    let library = |wanted: &dyn Fn(&str) -> bool| {
        let root = tempfile::tempdir().unwrap();
        let it = root.path().join("it");
        std::fs::create_dir(&it).unwrap();
        let config = "adapter_config.json";
        std::fs::copy(folder("library/mlx_embedding").join(config), it.join(config)).unwrap();
        let kept = all.iter().filter(|(name, _)| wanted(name)).map(|(n, t)| (n.clone(), t.clone())).collect();
        candle_core::safetensors::save(&kept, it.join("adapters.safetensors")).unwrap();
        let mut library = Library::open(root.path()).unwrap();
        library.use_base(&fixture.base());
        (library, root)
    };
    let (whole, _one) = library(&|_| true);
    let (rest, _two) = library(&|name| !name.starts_with(TABLE));
    assert_eq!(whole.experts[0].modules.len(), rest.experts[0].modules.len() + 2);

    // The same table changed by hand: the adapter's scale is 2.5.
    let [a, b] = ["lora_a", "lora_b"].map(|leaf| &all[&format!("{TABLE}.{leaf}")]);
    let change = (a.matmul(b).unwrap() * 2.5).unwrap();
    let mut weights =
        candle_core::safetensors::load(fixture.base().join("model.safetensors"), &device).unwrap();
    for (name, weight) in &mut weights {
        *weight = weight.to_dtype(candle_core::DType::F32).unwrap();
        if *name == format!("{TABLE}.weight") {
            *weight = (&*weight + &change).unwrap();
        }
    }
    let base = tempfile::tempdir().unwrap();
    std::fs::copy(fixture.base().join("config.json"), base.path().join("config.json")).unwrap();
    candle_core::safetensors::save(&weights, base.path().join("model.safetensors")).unwrap();
    let (found, expected) = (logits(&whole, &fixture.base()), logits(&rest, base.path()));
    assert!(expected.iter().all(|v| v.is_finite()));
    near("a tied table", &found, &expected, 1e-5);
    // It is no small matter.
    let plain = logits(&rest, &fixture.base());
    assert!(plain.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 0.5));
}

#[test]
fn fused_rows_of_gpt_neox_come_back_in_order() {
    assert_same(&open("neox"), "f32.gguf", "peft", 0.0);
}

/// A copy of some of the fixtures' experts without the library's own base model.
fn copy(parts: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for part in parts {
        let (from, to) = (folder("library").join(part), root.path().join(part));
        if from.is_dir() {
            std::fs::create_dir(&to).unwrap();
            for entry in std::fs::read_dir(from).unwrap().flatten() {
                std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
    root
}

#[test]
fn reordered_rows_wait_for_the_base_model() {
    let root = copy(&["peft", "f32.gguf", "embedding.gguf"]);
    let mut library = Library::open(root.path()).unwrap();
    let reason = |expert: &Expert| expert.reason().unwrap_or_default().to_string();
    let found = library.expert("f32.gguf").unwrap();
    assert_eq!(found.status(), Status::Bad);
    assert!(reason(found).contains("library.toml") && reason(found).contains("--base"), "{}", reason(found));
    // Without adapted q and k nothing is reordered.
    assert!(library.expert("embedding.gguf").unwrap().is_usable());

    library.use_base(&Fixture::open("gpt_neox").base());
    assert!(reason(library.expert("f32.gguf").unwrap()).contains("does not fit"), "{library:?}");
    library.use_base(&Fixture::open("llama").base());
    assert_same(&library, "f32.gguf", "peft", 0.0);
}

#[test]
fn files_of_one_folder_have_an_order() {
    let root = copy(&["peft"]);
    let place = root.path().join("peft");
    let from = |name: &str| folder("library").join(name);
    std::fs::copy(from("bin/adapter_model.bin"), place.join("adapter_model.bin")).unwrap();
    let expert = || Library::open(root.path()).unwrap().experts.remove(0);
    assert_eq!((expert().format.id(), expert().status()), ("peft", Status::Ok));
    assert!(expert().warnings[0].contains("adapter_model.bin is not read"), "{:?}", expert().warnings);
    std::fs::remove_file(place.join("adapter_model.safetensors")).unwrap();
    assert_eq!((expert().format.id(), expert().warnings.len()), ("peft-bin", 0));
    std::fs::remove_file(place.join("adapter_model.bin")).unwrap();
    std::fs::copy(from("embedding.gguf"), place.join("any.gguf")).unwrap();
    assert_eq!((expert().format.id(), expert().config.base.as_deref()), ("gguf", Some("tiny")));
}

#[test]
fn the_fingerprint_follows_every_format() {
    let root = copy(&["mlx", "shards", "mttl_folder", "f32.gguf"]);
    std::fs::copy(folder("library/mttl_library/poems.ckpt"), root.path().join("poems.ckpt")).unwrap();
    let mut last = Library::fingerprint(root.path());
    for file in [
        "mlx/adapters.safetensors",
        "shards/adapter_model-00002-of-00002.safetensors",
        "shards/adapter_model.safetensors.index.json",
        "mttl_folder/mttl_weights.bin",
        "f32.gguf",
        "poems.ckpt",
        "poems.meta",
    ] {
        std::fs::write(root.path().join(file), "changed").unwrap();
        let next = Library::fingerprint(root.path());
        assert_ne!(next, last, "{file}");
        last = next;
    }
}

#[test]
fn base_models_beside_the_experts_are_no_experts() {
    let root = copy(&["peft"]);
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend([0u8; 16]);
    std::fs::write(root.path().join("base.gguf"), bytes).unwrap();
    std::fs::write(root.path().join("broken.gguf"), "GGUF").unwrap();
    let library = Library::open(root.path()).unwrap();
    assert_eq!(names(&library), ["peft"]);
    assert!(library.warnings[0].contains("broken.gguf was not looked at"), "{:?}", library.warnings);
}

#[test]
fn a_single_file_is_a_library_of_one() {
    let root = copy(&["f32.gguf", "embedding.gguf"]);
    let library = Library::open(&root.path().join("embedding.gguf")).unwrap();
    assert_eq!((names(&library), library.usable().count()), (vec!["embedding.gguf"], 1));
    let file = root.path().join("f32.gguf");
    let mut library = Library::open(&file).unwrap();
    library.use_base(&Fixture::open("llama").base());
    assert_eq!(library.usable().count(), 1);
    let before = Library::fingerprint(&file);
    std::fs::write(&file, "changed").unwrap();
    assert_ne!(Library::fingerprint(&file), before);
    let other = root.path().join("notes.txt");
    std::fs::write(&other, "x").unwrap();
    assert!(Library::open(&other).unwrap_err().to_string().contains("is not a folder"));
}

#[test]
fn digests_cover_every_file_of_an_expert() {
    let root = copy(&["peft", "shards", "mttl_folder", "f32.gguf"]);
    let digests = |name: &str| {
        let mut library = Library::open(root.path()).unwrap();
        library.use_base(&Fixture::open("llama").base());
        let adapter = library.expert(name).unwrap().load().unwrap();
        (adapter.sha256().unwrap(), adapter.settings_sha256().unwrap())
    };
    let sha256 = |file: &str| lora_tui::outside::sha256_file(&root.path().join(file)).unwrap();
    assert_eq!(
        digests("peft"),
        (sha256("peft/adapter_model.safetensors"), sha256("peft/adapter_config.json"))
    );
    assert_eq!(digests("f32.gguf"), (sha256("f32.gguf"), sha256("f32.gguf")));
    assert_eq!(
        digests("mttl_folder"),
        (sha256("mttl_folder/mttl_weights.bin"), sha256("mttl_folder/mttl_config.json"))
    );
    let before = digests("shards");
    let shard = root.path().join("shards/adapter_model-00002-of-00002.safetensors");
    let mut bytes = std::fs::read(&shard).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    assert_ne!(digests("shards").0, before.0);
}
