//! Sound files with a few bytes changed: never a panic, and what opens can be read.

use proptest::prelude::*;

use super::*;

/// The files of an expert of the fixtures, as it lies there.
fn fixture(names: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats/library");
    names.iter().map(|name| (PathBuf::from(name), fs::read(library.join(name)).unwrap())).collect()
}

/// Changes bytes of the last file: of its start, of its end, or anywhere.
fn check(names: &[&str], changes: &[(u8, prop::sample::Index, u8)]) -> Result<(), TestCaseError> {
    let root = tempfile::tempdir().unwrap();
    let mut files = fixture(names);
    let (_, bytes) = files.last_mut().unwrap();
    for (region, index, byte) in changes {
        let length = bytes.len();
        let at = match region % 4 {
            0 => index.index(length.min(400)),
            1 => length - 1 - index.index(length.min(1200)),
            2 => index.index(length.min(3000)),
            _ => index.index(length),
        };
        bytes[at] = *byte;
    }
    for (name, bytes) in &files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let mut library = Library::open(root.path()).unwrap();
    library.use_base(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/llama/base"));
    for expert in &library.experts {
        prop_assert_eq!(expert.is_usable(), expert.load().is_ok());
        if let Ok(adapter) = expert.load() {
            // NaN is an error, not a crash.
            let _ = adapter.check_finite();
        }
    }
    Ok(())
}

fn changes() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), any::<u8>()), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn pickles_of_peft(changes in changes()) {
        check(&["bin/adapter_config.json", "bin/adapter_model.bin"], &changes)?;
    }

    #[test]
    fn members_of_mttl_libraries(changes in changes()) {
        check(&["mttl_library/tied.meta", "mttl_library/tied.ckpt"], &changes)?;
        check(&["mttl_library/tied.ckpt", "mttl_library/tied.meta"], &changes)?;
    }

    #[test]
    fn checkpoints_of_mttl(changes in changes()) {
        check(&["mttl_run/best.ckpt"], &changes)?;
    }

    #[test]
    fn files_of_llama_cpp(changes in changes()) {
        check(&["q8_0.gguf"], &changes)?;
        check(&["embedding.gguf"], &changes)?;
    }

    #[test]
    fn adapters_of_mlx_lm(changes in changes()) {
        check(&["mlx_dora/adapter_config.json", "mlx_dora/adapters.safetensors"], &changes)?;
        check(&["mlx/adapters.safetensors", "mlx/adapter_config.json"], &changes)?;
    }

    #[test]
    fn indices_of_shards(changes in changes()) {
        check(&[
            "shards/adapter_config.json",
            "shards/adapter_model-00001-of-00002.safetensors",
            "shards/adapter_model-00002-of-00002.safetensors",
            "shards/adapter_model.safetensors.index.json",
        ], &changes)?;
    }
}
