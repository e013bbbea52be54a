//! Prototypes that were computed before, in files named by a hash of the weights they follow from.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};

use super::one::{Prototype, prototype};
use crate::Result;
use crate::analysis::cache::{Content, hasher};
use crate::library::{Adapter, Library, LoraModule, state_dir};
use crate::outside::{hex, make_folders, own, sweep};

/// Part of every key: to be changed with anything that changes a bit of a prototype.
const FORMULA: &str = concat!("prototypes 2 of lora-tui ", env!("CARGO_PKG_VERSION"));
const EXTENSION: &str = "safetensors";
/// Key in the files' metadata.
const CHECKSUM: &str = "sha256";

/// Prototypes of a library's experts on disk, one file an expert in `.lora-tui/cache/prototypes`.
///
/// A file's name is the SHA-256 of the expert's A and B as they are stored, with their modules and sizes, so
/// that values are never those of other weights. Files that are cut off, damaged or foreign count as
/// missing. Nothing fails where the folder cannot be read or written.
///
/// A file has the tensors `prototype.<module>` (f32, in) and `sigma.<module>` (f64, rank).
#[derive(Debug, Default)]
pub struct PrototypeCache {
    library: Option<PathBuf>,
    /// Experts of the library, also those that were not asked for.
    experts: usize,
    folder: OnceLock<Option<PathBuf>>,
    asked: Mutex<HashSet<String>>,
    wrote: AtomicBool,
}

/// An expert's factors, and what follows from them; one entry a module of the adapter.
pub(crate) struct ExpertFactors {
    /// A [rank, in] and B [out, rank].
    pub values: Vec<(Vec<f32>, Vec<f32>)>,
    pub prototypes: Vec<Prototype>,
    /// SHA-256 of the factors with their modules and sizes.
    pub key: String,
}

impl PrototypeCache {
    /// That of `library`.
    pub fn of(library: &Library) -> Self {
        Self { library: Some(library.root.clone()), experts: library.experts.len(), ..Self::default() }
    }

    /// Keeps nothing and knows nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads an expert's factors, and finds or computes its prototypes: all zeros where the scale is 0.
    ///
    /// # Errors
    /// When the weights cannot be read or are not finite.
    pub(crate) fn factors(&self, adapter: &Adapter) -> Result<ExpertFactors> {
        let modules = &adapter.modules;
        let mut hash = hasher();
        let values = modules.iter().map(|m| m.factors(&mut hash)).collect::<Result<Vec<_>>>()?;
        let key = key_of(&hash.finalize().into());
        let known = self.path(&key).and_then(|path| read(&path, &key, modules));
        let mut prototypes = known.unwrap_or_else(|| {
            let compute = |(module, (a, b)): (&LoraModule, &(Vec<f32>, Vec<f32>))| {
                let shape = &module.shape;
                prototype(a, b, shape.rank, shape.in_features, shape.out_features)
            };
            let computed: Vec<_> = modules.iter().zip(&values).map(compute).collect();
            self.keep(&key, modules, &computed);
            computed
        });
        for (prototype, module) in prototypes.iter_mut().zip(modules) {
            if module.shape.scale == 0.0 {
                prototype.vector.fill(0.0);
                prototype.sigma.fill(0.0);
            }
        }
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        Ok(ExpertFactors { values, prototypes, key })
    }

    /// Whether there is a file for weights of this content, which stays then as if it had been asked for.
    pub(super) fn has(&self, content: &Content) -> bool {
        let key = key_of(content);
        let found = self.path(&key).is_some_and(|path| own::is_taken(&path));
        if found {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
        found
    }

    fn folder(&self) -> Option<&Path> {
        let find = || {
            let state = state_dir(self.library.as_deref()?).ok()?;
            Some(state.join("cache").join("prototypes"))
        };
        self.folder.get_or_init(find).as_deref()
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        Some(self.folder()?.join(key).with_extension(EXTENSION))
    }

    fn keep(&self, key: &str, modules: &[LoraModule], prototypes: &[Prototype]) {
        if let Some((path, folder)) = self.path(key).zip(self.folder())
            && let Some(bytes) = encode(key, modules, prototypes)
            && make_folders(folder).is_ok()
            && own::replace_unsynced(&path, &bytes).is_ok()
        {
            self.wrote.store(true, Ordering::Relaxed);
        }
    }

    /// To be called when all experts were asked for. If anything was written, removes files that no expert
    /// needs: of those that were not asked for as many stay, the newest, as experts were not asked for
    /// (they may belong to another base model).
    pub(crate) fn tidy(&self) {
        if !self.wrote.swap(false, Ordering::Relaxed) {
            return;
        }
        let Some(folder) = self.folder() else { return };
        // What writers that were killed left behind.
        sweep(folder);
        let Ok(entries) = fs::read_dir(folder) else { return };
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let Some(modified) = entry.metadata().ok().and_then(|m| m.modified().ok()) else { continue };
            let Some(name) = name.to_str() else { continue };
            if let Some((key, EXTENSION)) = name.split_once('.')
                && key.len() == 64
                && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && !asked.contains(key)
            {
                others.push((modified, path));
            }
        }
        others.sort_by(|a, b| b.cmp(a));
        for (_, path) in others.into_iter().skip(self.experts.saturating_sub(asked.len())) {
            let _ = own::remove(&path);
        }
    }
}

fn key_of(content: &Content) -> String {
    hex(&Sha256::new_with_prefix(FORMULA).chain_update(content).finalize())
}

fn names(module: &LoraModule) -> [String; 2] {
    ["prototype", "sigma"].map(|what| format!("{what}.{}", module.shape.module))
}

/// `None` when the format cannot represent it.
fn encode(key: &str, modules: &[LoraModule], prototypes: &[Prototype]) -> Option<Vec<u8>> {
    let mut sum = Sha256::new_with_prefix(key);
    let mut tensors: Vec<(String, Dtype, usize, Vec<u8>)> = Vec::with_capacity(2 * modules.len());
    for (module, Prototype { vector, sigma }) in modules.iter().zip(prototypes) {
        let [prototype, values] = names(module);
        let (vector_bytes, sigma_bytes) = (bytes(vector, f32::to_le_bytes), bytes(sigma, f64::to_le_bytes));
        sum.update(&vector_bytes);
        sum.update(&sigma_bytes);
        tensors.push((prototype, Dtype::F32, vector.len(), vector_bytes));
        tensors.push((values, Dtype::F64, sigma.len(), sigma_bytes));
    }
    let views = tensors.iter().map(|(name, dtype, length, bytes)| {
        TensorView::new(*dtype, vec![*length], bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<std::result::Result<Vec<_>, _>>().ok()?;
    let metadata = HashMap::from([(CHECKSUM.to_string(), hex(&sum.finalize()))]);
    safetensors::serialize(views, Some(metadata)).ok()
}

fn bytes<T: Copy, const N: usize>(values: &[T], convert: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let mut bytes = vec![0; N * values.len()];
    for (to, from) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
        *to = convert(*from);
    }
    bytes
}

/// The prototypes in a file, if it is whole and of these modules.
fn read(path: &Path, key: &str, modules: &[LoraModule]) -> Option<Vec<Prototype>> {
    // No file of ours is larger: its values, and for the header every name with each character escaped.
    let size = |module: &LoraModule| {
        let shape = &module.shape;
        4 * shape.in_features + 8 * shape.rank + 12 * shape.module.len() + 512
    };
    let limit = modules.iter().map(size).sum::<usize>() + 512;
    let bytes = own::read(path, limit as u64).ok()??;
    let (header, described) = SafeTensors::read_metadata(&bytes).ok()?;
    let data = bytes.get(header.checked_add(8)?..)?;
    let values = |name: &str, dtype: Dtype, length: usize| {
        let info = described.info(name)?;
        let (start, end) = info.data_offsets;
        (info.dtype == dtype && info.shape == [length]).then(|| data.get(start..end))?
    };
    let mut sum = Sha256::new_with_prefix(key);
    let mut found = Vec::with_capacity(modules.len());
    for module in modules {
        let [prototype, sigma] = names(module);
        let vector = values(&prototype, Dtype::F32, module.shape.in_features)?;
        let sigma = values(&sigma, Dtype::F64, module.shape.rank)?;
        sum.update(vector);
        sum.update(sigma);
        let vector: Vec<f32> = vector.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let sigma = sigma.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        found.push(Prototype { vector, sigma });
    }
    let sum = hex(&sum.finalize());
    let expected = described.metadata().as_ref().and_then(|metadata| metadata.get(CHECKSUM))?;
    // The checksum finds damage; who forges a file can forge it too, so that the values must make sense.
    (*expected == sum && found.iter().all(|p| is_direction(&p.vector))).then_some(found)
}

/// Whether a vector has unit length, or is zero where there is no direction.
fn is_direction(vector: &[f32]) -> bool {
    // Several sums at once, which need not wait for each other.
    let mut sums = [0f32; 16];
    for part in vector.chunks(16) {
        sums.iter_mut().zip(part).for_each(|(sum, v)| *sum += v * v);
    }
    let square: f32 = sums.iter().sum();
    square == 0.0 || (square - 1.0).abs() < 1e-2
}

#[cfg(test)]
mod tests {
    use candle_core::DType;
    use tempfile::TempDir;

    use super::*;
    use crate::library::{NewAdapterConfig, NewLora, Provenance, write_adapter};

    const MODULES: [&str; 2] = ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"];
    const SIZE: (usize, usize, usize) = (2, 6, 5);

    /// Writes an expert whose weights follow from `seed`.
    fn write(root: &Path, name: &str, seed: usize, dtype: DType) {
        let (rank, in_features, out_features) = SIZE;
        let value = |i: usize| ((i * 37 + seed * 11) % 23) as f32 * 0.1 - 1.0;
        let lora = |(at, module): (usize, &&str)| NewLora {
            module: (*module).into(),
            rank,
            in_features,
            out_features,
            a: (0..rank * in_features).map(|i| value(i + at)).collect(),
            b: (0..rank * out_features).map(|i| value(i + 7 + at)).collect(),
        };
        let loras: Vec<NewLora> = MODULES.iter().enumerate().map(lora).collect();
        let targets = vec!["q_proj".into()];
        let config = NewAdapterConfig {
            revision: None,
            base: "tiny".into(),
            r: rank,
            alpha: 4.0,
            dropout: 0.0,
            targets,
        };
        let folder = root.join(name);
        let _ = fs::remove_dir_all(&folder);
        write_adapter(&folder, &loras, &config, dtype, &Provenance::default()).unwrap();
    }

    fn library(experts: usize) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        (0..experts).for_each(|e| write(root.path(), &format!("e{e}"), e, DType::F32));
        root
    }

    /// The prototypes of all experts, through the cache.
    fn cached(root: &Path) -> Vec<Vec<Prototype>> {
        with(root, &PrototypeCache::of(&Library::open(root).unwrap()))
    }

    fn computed(root: &Path) -> Vec<Vec<Prototype>> {
        with(root, &PrototypeCache::none())
    }

    fn with(root: &Path, cache: &PrototypeCache) -> Vec<Vec<Prototype>> {
        let library = Library::open(root).unwrap();
        let found = library.usable().map(|e| cache.factors(&e.load().unwrap()).unwrap().prototypes);
        let found = found.collect();
        cache.tidy();
        found
    }

    fn folder(root: &Path) -> PathBuf {
        root.join(".lora-tui/cache/prototypes")
    }

    fn files(root: &Path) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(folder(root)).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Puts other values into the one file in the cache, as a whole file would have them.
    fn forge(root: &Path, change: impl Fn(&mut Vec<Prototype>)) {
        let [path] = &files(root)[..] else { panic!("one file") };
        let library = Library::open(root).unwrap();
        let adapter = library.usable().next().unwrap().load().unwrap();
        let key = path.file_stem().unwrap().to_str().unwrap();
        let mut values = computed(root).remove(0);
        change(&mut values);
        fs::write(path, encode(key, &adapter.modules, &values).unwrap()).unwrap();
    }

    #[test]
    fn kept_values_are_those_computed_bit_for_bit_and_are_used() {
        let root = library(1);
        let expected = computed(root.path());
        assert!(!root.path().join(".lora-tui").exists(), "nothing is kept where nothing should be");
        assert_eq!((cached(root.path()), cached(root.path())), (expected.clone(), expected.clone()));
        // That the second time came from the file shows when that holds something else.
        let mut other = expected;
        other[0][1].vector = vec![0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        other[0][0].sigma = vec![2.5, f64::MIN_POSITIVE];
        forge(root.path(), |values| values.clone_from(&other[0]));
        assert_eq!(cached(root.path()), other);
        assert_eq!(computed(root.path()).len(), 1);
    }

    #[test]
    fn other_weights_are_computed_and_stale_files_go() {
        let root = library(3);
        cached(root.path());
        let before = files(root.path());
        assert_eq!(before.len(), 3);
        // The same size and the same time: only the content differs.
        let weights = root.path().join("e1/adapter_model.safetensors");
        let (time, length) = {
            let found = fs::metadata(&weights).unwrap();
            (found.modified().unwrap(), found.len())
        };
        write(root.path(), "e1", 9, DType::F32);
        fs::File::options().write(true).open(&weights).unwrap().set_modified(time).unwrap();
        assert_eq!(fs::metadata(&weights).unwrap().len(), length);
        assert_eq!(cached(root.path()), computed(root.path()));
        let after = files(root.path());
        assert_eq!((after.len(), after.iter().filter(|f| before.contains(f)).count()), (3, 2));

        // A stored type that gives other values is another content.
        write(root.path(), "e1", 9, DType::F16);
        fs::write(folder(root.path()).join("notes.txt"), "not ours").unwrap();
        assert_eq!(cached(root.path()), computed(root.path()));
        assert_eq!(files(root.path()).len(), 4);
        assert!(folder(root.path()).join("notes.txt").exists());

        // Experts that are gone take their files with them as soon as something is written.
        fs::remove_dir_all(root.path().join("e0")).unwrap();
        write(root.path(), "e2", 20, DType::F32);
        cached(root.path());
        assert_eq!(files(root.path()).len(), 3);
    }

    #[test]
    fn files_of_experts_that_were_not_asked_for_stay() {
        let root = library(2);
        cached(root.path());
        write(root.path(), "e0", 7, DType::F32);
        let library = Library::open(root.path()).unwrap();
        let cache = PrototypeCache::of(&library);
        let first = library.usable().next().unwrap();
        // One is asked for, so that one of the two files that were there may be another's.
        cache.factors(&first.load().unwrap()).unwrap();
        cache.tidy();
        assert_eq!(files(root.path()).len(), 2);
    }

    #[test]
    fn what_is_not_a_whole_file_of_ours_is_ignored_and_replaced() {
        let root = library(1);
        let expected = computed(root.path());
        cached(root.path());
        let [path] = &files(root.path())[..] else { panic!("one file") };
        let good = fs::read(path).unwrap();
        let mut bad: Vec<Vec<u8>> =
            vec![Vec::new(), b"garbage".to_vec(), vec![0xff; 4096], vec![0; good.len()]];
        bad.extend((0..good.len()).step_by(7).map(|end| good[..end].to_vec()));
        bad.push([&good[..], &[0]].concat());
        // A header of 2^63 bytes, and a file far larger than any of these modules.
        bad.push([&(1u64 << 63).to_le_bytes(), &good[8..]].concat());
        bad.push([&good[..], &vec![0; 1 << 20]].concat());
        let flipped = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        // Also in the last values, where every header still fits.
        bad.extend((8..good.len()).step_by(5).chain([good.len() - 1]).map(flipped));
        for bytes in bad {
            fs::write(path, &bytes).unwrap();
            assert_eq!(cached(root.path()), expected, "{} bytes", bytes.len());
            assert_eq!(fs::read(path).unwrap(), good, "{} bytes", bytes.len());
        }

        // Whole, but of another expert, of other modules, or with values that no prototype has.
        let key = path.file_stem().unwrap().to_str().unwrap();
        let library = Library::open(root.path()).unwrap();
        let modules = library.usable().next().unwrap().load().unwrap().modules;
        let foreign = [
            encode(&"0".repeat(64), &modules, &expected[0]),
            encode(key, &modules[..1], &expected[0]),
            encode(key, &modules, &expected[0].iter().cloned().rev().collect::<Vec<_>>()).map(|mut bytes| {
                let at = bytes.windows(8).position(|w| w == b"layers.1").unwrap();
                bytes[at + 7] = b'7';
                bytes
            }),
        ];
        for bytes in foreign {
            fs::write(path, bytes.unwrap()).unwrap();
            assert_eq!(cached(root.path()), expected);
            assert_eq!(fs::read(path).unwrap(), good);
        }
        for wrong in [vec![0.5; 7], vec![0.5; 5], vec![2.0; 6], vec![f32::NAN; 6], vec![f32::INFINITY; 6]] {
            forge(root.path(), |values| values[1].vector.clone_from(&wrong));
            assert_eq!(cached(root.path()), expected, "{wrong:?}");
            assert_eq!(fs::read(path).unwrap(), good, "{wrong:?}");
        }
    }

    #[test]
    fn works_where_nothing_can_be_kept() {
        let root = library(2);
        fs::create_dir_all(root.path().join(".lora-tui/cache")).unwrap();
        fs::write(folder(root.path()), "a file in place of the folder").unwrap();
        assert_eq!(cached(root.path()), computed(root.path()));
        fs::remove_file(folder(root.path())).unwrap();
        // Folders in place of the files.
        cached(root.path());
        for file in files(root.path()) {
            fs::remove_file(&file).unwrap();
            fs::create_dir(&file).unwrap();
        }
        assert_eq!(cached(root.path()), computed(root.path()));
        assert_eq!(files(root.path()).len(), 2);
    }

    #[test]
    fn leftovers_of_killed_writers_go_in_time() {
        let root = library(1);
        fs::create_dir_all(folder(root.path())).unwrap();
        let [old, new] = [".tmp-0ld0ld", ".tmp-n3wn3w"].map(|name| folder(root.path()).join(name));
        fs::write(&new, "").unwrap();
        let past = SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
        fs::File::create(&old).unwrap().set_modified(past).unwrap();
        cached(root.path());
        assert!(new.exists() && !old.exists());
    }
}
