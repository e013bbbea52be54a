//! What is kept between comparisons: that it is used, that it is right, and that nothing bad on disk matters.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::DType;
use tempfile::TempDir;

use super::*;
use crate::Cancel;
use crate::library::{Library, NewAdapterConfig, NewLora, Provenance, write_adapter};
use crate::named::Named;

const MODULES: [&str; 3] =
    ["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj", "model.layers.1.self_attn.q_proj"];

/// Writes an expert whose weights follow from `seed`, with the first `modules` modules.
fn write_with(root: &Path, name: &str, seed: usize, modules: usize) {
    let (rank, in_features, out_features) = (2, 6, 5);
    let value = |i: usize| ((i * 37 + seed * 11 + i * i * seed) % 23) as f32 * 0.1 - 1.0;
    let lora = |(at, module): (usize, &&str)| NewLora {
        module: (*module).into(),
        rank,
        in_features,
        out_features,
        a: (0..rank * in_features).map(|i| value(i + at)).collect(),
        b: (0..rank * out_features).map(|i| value(i + 7 + at)).collect(),
    };
    let loras: Vec<NewLora> = MODULES[..modules].iter().enumerate().map(lora).collect();
    let targets = vec!["q_proj".into(), "v_proj".into()];
    let config =
        NewAdapterConfig { revision: None, base: "tiny".into(), r: rank, alpha: 4.0, dropout: 0.0, targets };
    // Written beside and moved: what was there keeps its inode until the new one has its own.
    let beside = root.join(format!("{name}.new"));
    write_adapter(&beside, &loras, &config, DType::F32, &Provenance::default()).unwrap();
    let _ = fs::remove_dir_all(root.join(name));
    fs::rename(&beside, root.join(name)).unwrap();
}

fn write(root: &Path, name: &str, seed: usize) {
    write_with(root, name, seed, 2);
}

fn library(experts: usize) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    (0..experts).for_each(|e| write(root.path(), &format!("e{e:02}"), e + 1));
    root
}

fn compare(root: &Path, metric: Metric, cache: impl FnOnce(&Library) -> ComparisonCache) -> Similarity {
    let library = Library::open(root).unwrap();
    let cache = cache(&library);
    similarity(&library, metric, 0.5, &cache, &mut |_, _| {}, &Cancel::new()).unwrap()
}

fn kept(root: &Path, metric: Metric) -> Similarity {
    compare(root, metric, ComparisonCache::hasty)
}

fn fresh(root: &Path, metric: Metric) -> Similarity {
    compare(root, metric, |_| ComparisonCache::none())
}

/// Files below a folder of the cache.
fn files(root: &Path, folder: &str) -> Vec<PathBuf> {
    let folder = root.join(".lora-tui/cache").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// Changes the content of a file and gives it the checksum that belongs to it.
fn forge(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    use sha2::{Digest, Sha256};
    let mut bytes = fs::read(path).unwrap();
    bytes.truncate(bytes.len() - 32);
    change(&mut bytes);
    let sum = Sha256::digest(&bytes);
    bytes.extend(sum);
    fs::write(path, bytes).unwrap();
}

/// (rows known before, new rows) of every file of products.
fn rows(root: &Path) -> Vec<(u32, u32)> {
    let one = |path: PathBuf| {
        let bytes = fs::read(path).unwrap();
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        (number(8), number(12))
    };
    let mut rows: Vec<_> = files(root, "products").into_iter().map(one).collect();
    rows.sort_unstable();
    rows
}

fn assert_close(a: &Similarity, b: &Similarity) {
    assert_eq!(a.experts, b.experts);
    for (i, (a, b)) in a.matrix.iter().zip(&b.matrix).enumerate() {
        assert!((a - b).abs() < 1e-6, "{i}: {a} {b}");
    }
}

#[test]
fn what_was_compared_is_read_from_disk_the_next_time() {
    for &metric in Metric::all() {
        let root = library(5);
        let first = kept(root.path(), metric);
        assert_close(&first, &fresh(root.path(), metric));
        assert_eq!(rows(root.path()), [(0, 5)]);
        assert_eq!(kept(root.path(), metric).matrix, first.matrix);
        // That it came from the file shows when that has something else: the products of the second with the first.
        forge(&files(root.path(), "products")[0], |bytes| {
            let at = 16 + 24 * 5 + 32 + 8;
            bytes[at..at + 8].copy_from_slice(&0.0f64.to_le_bytes());
        });
        let forged = kept(root.path(), metric);
        assert_ne!(forged.get(0, 1), first.get(0, 1));
        assert_eq!(forged.get(0, 1), forged.get(1, 0));
        // Less their mean, all of them depend on each.
        if !metric.centred {
            assert_eq!((forged.get(0, 1), forged.get(2, 3)), (0.0, first.get(2, 3)));
        }
    }
}

#[test]
fn a_new_expert_adds_a_row_and_a_removed_one_is_left_out() {
    let root = library(4);
    let first = kept(root.path(), Metric::MBC);
    write(root.path(), "b_new", 17);
    let grown = kept(root.path(), Metric::MBC);
    assert_eq!(rows(root.path()), [(0, 4), (4, 1)]);
    assert_close(&grown, &fresh(root.path(), Metric::MBC));
    assert_eq!(grown.experts[0], "b_new");
    for (i, j) in [(0, 1), (2, 3), (3, 3)] {
        assert_eq!(grown.get(i + 1, j + 1), first.get(i, j));
    }
    fs::remove_dir_all(root.path().join("e01")).unwrap();
    let less = kept(root.path(), Metric::MBC);
    assert_eq!(rows(root.path()), [(0, 4), (4, 1)], "nothing is computed");
    assert_close(&less, &fresh(root.path(), Metric::MBC));
    // Other weights under a known name are a new expert.
    write(root.path(), "e02", 5);
    assert_close(&kept(root.path(), Metric::MBC), &fresh(root.path(), Metric::MBC));
    assert_eq!(rows(root.path()), [(0, 4), (3, 1), (4, 1)]);
}

#[test]
fn thresholds_follow_the_modules_that_others_bring() {
    let root = library(3);
    kept(root.path(), Metric::MBC);
    // The others lack its third module, which counts as zeros for their quantiles.
    write_with(root.path(), "wide", 9, 3);
    assert_close(&kept(root.path(), Metric::MBC), &fresh(root.path(), Metric::MBC));
    assert_eq!(rows(root.path()), [(0, 3), (0, 4)]);
    // ΔW has no threshold.
    kept(root.path(), Metric::DELTA);
    fs::remove_dir_all(root.path().join("wide")).unwrap();
    assert_close(&kept(root.path(), Metric::DELTA), &fresh(root.path(), Metric::DELTA));
    assert_eq!(rows(root.path()), [(0, 3), (0, 4), (0, 4)]);
}

#[test]
fn copies_of_an_expert_are_read_and_multiplied_once() {
    let root = library(2);
    for copy in ["copy", "e02"] {
        fs::create_dir(root.path().join(copy)).unwrap();
        for file in fs::read_dir(root.path().join("e00")).unwrap() {
            let file = file.unwrap().path();
            let to = root.path().join(copy).join(file.file_name().unwrap());
            if copy == "copy" { fs::copy(&file, to).map(drop) } else { fs::hard_link(&file, to) }.unwrap();
        }
    }
    let found = kept(root.path(), Metric::DELTA);
    assert_eq!(rows(root.path()), [(0, 2)]);
    assert_eq!((found.get(0, 1), found.get(1, 3), found.get(0, 2)), (1.0, 1.0, found.get(1, 2)));
    assert_close(&found, &fresh(root.path(), Metric::DELTA));
}

#[test]
fn many_small_files_become_one() {
    let root = library(2);
    for expert in 2..20 {
        write(root.path(), &format!("e{expert:02}"), expert + 1);
        kept(root.path(), Metric::FLAT);
        assert!(files(root.path(), "products").len() <= 8);
    }
    assert_close(&kept(root.path(), Metric::FLAT), &fresh(root.path(), Metric::FLAT));
}

#[test]
fn what_is_not_a_whole_file_of_ours_is_ignored_and_replaced() {
    let root = library(3);
    let expected = kept(root.path(), Metric::FLAT);
    for folder in ["products", "weights"] {
        let [path] = &files(root.path(), folder)[..] else { panic!("one file") };
        let good = fs::read(path).unwrap();
        let mut bad: Vec<Vec<u8>> =
            vec![Vec::new(), b"garbage".to_vec(), vec![0xff; 4096], vec![0; good.len()]];
        bad.extend((0..good.len()).step_by(13).map(|end| good[..end].to_vec()));
        bad.push([&good[..], &[0]].concat());
        bad.extend((0..good.len()).step_by(7).map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        }));
        // As many rows as there can be, and numbers that no product is, under a checksum that fits.
        let forged = |change: &dyn Fn(&mut Vec<u8>)| {
            forge(path, |bytes| change(bytes));
            fs::read(path).unwrap()
        };
        fs::write(path, &good).unwrap();
        if folder == "products" {
            bad.push(forged(&|bytes| bytes[8..16].fill(0xff)));
            fs::write(path, &good).unwrap();
            bad.push(forged(&|bytes| {
                let end = bytes.len();
                bytes[end - 8..].copy_from_slice(&f64::NAN.to_le_bytes());
            }));
        }
        for bytes in bad {
            fs::write(path, &bytes).unwrap();
            let found = kept(root.path(), Metric::FLAT);
            assert_close(&found, &expected);
            assert_eq!(fs::read(path).unwrap().len(), good.len(), "{folder}: {} bytes", bytes.len());
        }
        fs::write(path, &good).unwrap();
    }
}

#[test]
fn works_where_nothing_can_be_kept() {
    let root = library(3);
    fs::create_dir_all(root.path().join(".lora-tui")).unwrap();
    fs::write(root.path().join(".lora-tui/cache"), "a file in place of the folder").unwrap();
    assert_close(&kept(root.path(), Metric::MBC), &fresh(root.path(), Metric::MBC));
}

#[test]
fn experts_that_cannot_be_compared_are_left_out_each_time() {
    let root = library(3);
    let file = root.path().join("e01/adapter_model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    for _ in 0..2 {
        let found = kept(root.path(), Metric::MBC);
        assert_eq!((found.experts.len(), found.skipped[0].name.as_str()), (2, "e01"));
        assert!(found.skipped[0].reason.contains("NaN"), "{}", found.skipped[0]);
    }
}

#[test]
fn embeddings_partitions_and_maps_are_kept() {
    let root = library(70);
    let first = kept(root.path(), Metric::MBC);
    assert_close(&first, &fresh(root.path(), Metric::MBC));
    let cancel = Cancel::new();
    let chosen = choose_k(&first, 42, &mut |_| {}, &cancel).unwrap();
    let clusters = cluster(&first, chosen.k, 42, &cancel).unwrap();
    let map = project(&first, &cancel);
    let again = kept(root.path(), Metric::MBC);
    assert_eq!(again.matrix, first.matrix);
    assert_eq!(choose_k(&again, 42, &mut |_| {}, &cancel).unwrap(), chosen);
    assert_eq!(cluster(&again, chosen.k, 42, &cancel).unwrap(), clusters);
    assert_eq!(project(&again, &cancel), map);
    // Each came from its file: other values there are what is found.
    let [embedding, a_map, partitions] = &files(root.path(), "similarity")[..] else { panic!("three files") };
    forge(partitions, |bytes| bytes[4..12].copy_from_slice(&7.0f64.to_le_bytes()));
    forge(a_map, |bytes| bytes[..4].copy_from_slice(&0.25f32.to_le_bytes()));
    assert_eq!(sweep(&again, [2], 42, &cancel).unwrap()[0].inertia, 7.0);
    assert_eq!(project(&again, &cancel)[0].0, 0.25);
    forge(embedding, |bytes| bytes[16..16 + 64 * 8].fill(0));
    assert_eq!(kept(root.path(), Metric::MBC).get(0, 0), 0.0);
    // Values that make no sense count as missing.
    forge(embedding, |bytes| bytes[16..24].copy_from_slice(&9.0f64.to_le_bytes()));
    assert_eq!(kept(root.path(), Metric::MBC).matrix, first.matrix);
    forge(a_map, |bytes| bytes[..4].copy_from_slice(&2.0f32.to_le_bytes()));
    assert_eq!(project(&again, &cancel), map);
    forge(partitions, |bytes| bytes[20..24].copy_from_slice(&9u32.to_le_bytes()));
    assert_eq!(sweep(&again, [2], 42, &cancel).unwrap(), sweep(&first, [2], 42, &cancel).unwrap());
    assert_ne!(sweep(&again, [2], 42, &cancel).unwrap()[0].inertia, 7.0);
}

#[test]
fn several_at_once_find_the_same() {
    let root = library(12);
    let expected = fresh(root.path(), Metric::MBC);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| kept(root.path(), Metric::MBC))).collect();
        all.into_iter().for_each(|one| assert_close(&one.join().unwrap(), &expected));
    });
    assert_close(&kept(root.path(), Metric::MBC), &expected);
}

#[test]
fn experts_that_were_hardly_trained_are_named_each_time() {
    let root = library(5);
    // The same as the second, a hundredth as strong.
    let library = Library::open(root.path()).unwrap();
    let adapter = library.expert("e01").unwrap().load().unwrap();
    let lora = |module: &crate::library::LoraModule| NewLora {
        module: module.shape.module.clone(),
        rank: module.shape.rank,
        in_features: module.shape.in_features,
        out_features: module.shape.out_features,
        a: module.a().unwrap(),
        b: module.b().unwrap().iter().map(|x| x * 0.01).collect(),
    };
    let loras: Vec<NewLora> = adapter.modules.iter().map(lora).collect();
    let targets = vec!["q_proj".into(), "v_proj".into()];
    let config =
        NewAdapterConfig { base: "tiny".into(), r: 2, alpha: 4.0, dropout: 0.0, targets, revision: None };
    let folder = root.path().join("weak");
    write_adapter(&folder, &loras, &config, DType::F32, &Provenance::default()).unwrap();
    for _ in 0..2 {
        let found = kept(root.path(), Metric::MBC);
        let [weak] = &untrained(&found)[..] else { panic!("one: {:?}", found.strength) };
        assert_eq!(found.experts[weak.expert], "weak");
        let norm = profile(library.expert("e01").unwrap()).unwrap();
        let norm = norm.modules.iter().map(|module| module.norm.powi(2)).sum::<f64>().sqrt();
        assert!((weak.norm / norm - 0.01).abs() < 1e-6, "{} {norm}", weak.norm);
        let warned = found.warnings.iter().any(|line| line.starts_with("'weak' is barely trained: ‖ΔW‖"));
        assert!(warned, "{:?}", found.warnings);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn experts_that_are_known_are_not_opened_again() {
    let root = library(6);
    kept(root.path(), Metric::MBC);
    let library = Library::open(root.path()).unwrap();
    let cache = ComparisonCache::hasty(&library);
    let prototypes = PrototypeCache::of(&library);
    let cancel = Cancel::new();
    keep_prototypes(&library, &prototypes, &cache, &cancel).unwrap();
    assert_eq!(files(root.path(), "prototypes").len(), 6);
    let counts = crate::outside::counting::watch(root.path());
    assert!(is_kept(&library, Metric::MBC, 0.5, &cache));
    similarity(&library, Metric::MBC, 0.5, &cache, &mut |_, _| {}, &cancel).unwrap();
    keep_prototypes(&library, &PrototypeCache::of(&library), &cache, &cancel).unwrap();
    assert_eq!(counts.opened(), 0);
    assert!(!is_kept(&library, Metric::MBC, 0.25, &cache) && !is_kept(&library, Metric::DELTA, 0.5, &cache));
    // They are read where there is somebody new to compare them with.
    write(root.path(), "new", 30);
    kept(root.path(), Metric::MBC);
    assert!(counts.opened() >= 7, "{}", counts.opened());
}
