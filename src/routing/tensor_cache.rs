//! Tensors that were computed before, in files named by a hash of what they follow from.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};

use crate::library::state_dir;
use crate::outside::{hex, make_folders, own};

const EXTENSION: &str = "safetensors";
const CHECKSUM: &str = "sha256";
/// A folder in a library's `.lora-tui/cache`. Files that are cut off, damaged or foreign count as missing, and nothing
/// fails where the folder cannot be read or written.
#[derive(Debug)]
pub(super) struct TensorCache {
    library: PathBuf,
    name: &'static str,
    folder: OnceLock<Option<PathBuf>>,
}

/// A tensor to be read: its name, type and shape (rows, columns).
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    name: String,
    dtype: Dtype,
    shape: (usize, usize),
}

impl Wanted {
    /// Of f32.
    pub fn f32(name: String, shape: (usize, usize)) -> Self {
        Self { name, dtype: Dtype::F32, shape }
    }

    /// Of f64.
    pub fn f64(name: String, shape: (usize, usize)) -> Self {
        Self { name, dtype: Dtype::F64, shape }
    }

    fn bytes(&self) -> Option<usize> {
        let size = if self.dtype == Dtype::F64 { 8 } else { 4 };
        self.shape.0.checked_mul(self.shape.1)?.checked_mul(size)
    }
}

/// A tensor to be kept.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    name: String,
    dtype: Dtype,
    bytes: Vec<u8>,
}

impl Kept {
    /// Of f32.
    pub fn f32(name: String, values: &[f32]) -> Self {
        Self { name, dtype: Dtype::F32, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }

    /// Of f64.
    pub fn f64(name: String, values: impl Iterator<Item = f64>) -> Self {
        Self { name, dtype: Dtype::F64, bytes: values.flat_map(f64::to_le_bytes).collect() }
    }
}

/// Numbers that are kept beside the tensors.
pub(super) type Counts = BTreeMap<String, usize>;

/// What was read: tensors in the order in which they were wanted.
pub(super) struct Found {
    tensors: Vec<Vec<u8>>,
    /// Numbers beside them.
    pub counts: Counts,
}

impl Found {
    /// One tensor as f32, by its place; `None` where a value is not finite.
    pub fn f32(&self, at: usize) -> Option<Vec<f32>> {
        f32s(self.tensors.get(at)?)
    }

    /// All tensors as f32; `None` where a value is not finite.
    pub fn f32s(&self) -> Option<Vec<Vec<f32>>> {
        self.tensors.iter().map(|bytes| f32s(bytes)).collect()
    }

    /// The last tensor as f32; `None` where a value is not finite.
    pub fn last_f32(&self) -> Option<Vec<f32>> {
        f32s(self.tensors.last()?)
    }

    /// One tensor as f64, by its place; `None` where a value is not finite.
    pub fn f64(&self, at: usize) -> Option<Vec<f64>> {
        let bytes = self.tensors.get(at)?;
        let values: Vec<f64> = bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        values.iter().all(|v| v.is_finite()).then_some(values)
    }
}

fn f32s(bytes: &[u8]) -> Option<Vec<f32>> {
    let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    values.iter().all(|v| v.is_finite()).then_some(values)
}

impl TensorCache {
    /// Files that stay in a folder; the oldest ones go.
    pub const KEPT: usize = 32;

    /// The folder `name` of the library at `root`.
    pub fn of(root: &Path, name: &'static str) -> Self {
        Self { library: root.to_path_buf(), name, folder: OnceLock::new() }
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let find = || Some(state_dir(&self.library).ok()?.join("cache").join(self.name));
        let folder = self.folder.get_or_init(find).as_deref()?;
        Some(folder.join(key).with_extension(EXTENSION))
    }

    /// What is kept under this key, where it is what is wanted.
    pub fn read(&self, key: &str, wanted: &[Wanted]) -> Option<Found> {
        let mut limit = 4096usize;
        for tensor in wanted {
            limit = limit.checked_add(tensor.bytes()?)?.checked_add(256)?;
        }
        let bytes = own::read(&self.path(key)?, limit as u64).ok()??;
        let (header, described) = SafeTensors::read_metadata(&bytes).ok()?;
        let data = bytes.get(header.checked_add(8)?..)?;
        let metadata = described.metadata().as_ref()?;
        let numbers = metadata.iter().filter(|(name, _)| *name != CHECKSUM);
        let counts: Counts =
            numbers.map(|(name, count)| Some((name.clone(), count.parse().ok()?))).collect::<Option<_>>()?;
        let mut sum = start(key, &counts);
        let mut tensors = Vec::with_capacity(wanted.len());
        for Wanted { name, dtype, shape } in wanted {
            let info = described.info(name)?;
            let (from, to) = info.data_offsets;
            let fits = info.dtype == *dtype && info.shape == [shape.0, shape.1];
            let bytes = fits.then(|| data.get(from..to))??;
            sum.update(bytes);
            tensors.push(bytes.to_vec());
        }
        let whole = metadata.get(CHECKSUM) == Some(&hex(&sum.finalize()));
        whole.then_some(Found { tensors, counts })
    }

    /// Keeps tensors, in the order in which they will be wanted and each of so many rows, and removes old files.
    pub fn keep(&self, key: &str, tensors: &[(Kept, usize)], counts: &Counts) {
        self.keep_of(key, tensors, counts, Self::KEPT);
    }

    /// [`Self::keep`] where a folder has a file for each of many experts: the newest `kept` files stay.
    pub fn keep_of(&self, key: &str, tensors: &[(Kept, usize)], counts: &Counts, kept: usize) {
        let Some(path) = self.path(key) else { return };
        let mut sum = start(key, counts);
        let mut views = Vec::with_capacity(tensors.len());
        for (Kept { name, dtype, bytes }, rows) in tensors {
            sum.update(bytes);
            let size = if *dtype == Dtype::F64 { 8 } else { 4 };
            let shape = vec![*rows, bytes.len() / size / (*rows).max(1)];
            let Ok(view) = TensorView::new(*dtype, shape, bytes) else { return };
            views.push((name.as_str(), view));
        }
        let mut metadata: HashMap<String, String> =
            counts.iter().map(|(name, count)| (name.clone(), count.to_string())).collect();
        metadata.insert(CHECKSUM.to_string(), hex(&sum.finalize()));
        let Some(folder) = path.parent() else { return };
        if let Ok(bytes) = safetensors::serialize(views, Some(metadata))
            && make_folders(folder).is_ok()
            && own::replace_unsynced(&path, &bytes).is_ok()
        {
            tidy(folder, kept);
        }
    }
}

/// The checksum of a file before its tensors.
fn start(key: &str, counts: &Counts) -> Sha256 {
    let mut sum = Sha256::new_with_prefix(key);
    counts.iter().for_each(|(name, count)| sum.update(format!(" {name} {count}")));
    sum
}

/// Removes all but the newest `kept` files of a folder.
fn tidy(folder: &Path, kept: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|e| e.path().extension().is_some_and(|extension| extension == EXTENSION))
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    files.sort_by(|a, b| b.cmp(a));
    for (_, path) in files.into_iter().skip(kept) {
        let _ = own::remove(&path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_bit_for_bit_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let cache = TensorCache::of(root.path(), "some");
        let key = "ab".repeat(32);
        let wanted = |rows| [Wanted::f32("a".into(), (rows, 2)), Wanted::f64("b".into(), (1, 2))];
        let read = |cache: &TensorCache, key: &str, rows| {
            let found = cache.read(key, &wanted(rows))?;
            Some((found.counts.clone(), found.tensors.clone(), found.f64(1)?))
        };
        assert!(read(&cache, &key, 3).is_none());
        let counts = Counts::from([("prompts".to_string(), 7), ("tokens".to_string(), 123)]);
        let a = Kept::f32("a".into(), &[0.1, -0.2, 0.3, 0.0, 5.5, 6.25]);
        let b = Kept::f64("b".into(), [0.1, -1e-300].into_iter());
        cache.keep(&key, &[(a.clone(), 3), (b, 1)], &counts);
        let good = read(&cache, &key, 3).unwrap();
        assert_eq!((&good.0, &good.1[0], good.2.as_slice()), (&counts, &a.bytes, &[0.1, -1e-300][..]));
        assert!(read(&cache, &key, 2).is_none(), "of another library");
        assert!(read(&cache, &"cd".repeat(32), 3).is_none());
        let path = cache.path(&key).unwrap();
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(3) {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let found = read(&cache, &key, 3);
            assert!(found.is_none_or(|found| found == good), "byte {at}");
            fs::write(&path, &bytes[..at]).unwrap();
            assert!(read(&cache, &key, 3).is_none(), "cut at {at}");
        }
    }
}
