//! Calibrations that were computed before, in files named by a hash of what they follow from.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};

use super::statistics::{Calibration, Usual};
use crate::library::state_dir;
use crate::outside::{hex, make_folders, own};
use crate::routing::scores::{SCORES, Score};

const EXTENSION: &str = "safetensors";
const CHECKSUM: &str = "sha256";
/// Files that stay; the oldest ones go.
const KEPT: usize = 32;

/// Calibrations of a library on disk, in `.lora-tui/cache/calibration`. Files that are cut off, damaged or foreign
/// count as missing, and nothing fails where the folder cannot be read or written.
///
/// A file has the tensors `<score>.mean` and `<score>.deviation` (f64, modules × experts).
#[derive(Debug, Default)]
pub(in crate::routing) struct CalibrationCache {
    library: Option<PathBuf>,
    folder: OnceLock<Option<PathBuf>>,
}

impl CalibrationCache {
    /// That of the library at `root`.
    pub fn of(root: &Path) -> Self {
        Self { library: Some(root.to_path_buf()), folder: OnceLock::new() }
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let find = || Some(state_dir(self.library.as_deref()?).ok()?.join("cache").join("calibration"));
        let folder = self.folder.get_or_init(find).as_deref()?;
        Some(folder.join(key).with_extension(EXTENSION))
    }

    /// The calibration of this key for so many modules and experts. Whose prompts they are is not in the file.
    pub fn read(&self, key: &str, size: (usize, usize)) -> Option<Calibration> {
        read(&self.path(key)?, key, size)
    }

    /// Keeps a calibration, and removes old ones.
    pub fn keep(&self, key: &str, size: (usize, usize), calibration: &Calibration) {
        let Some(path) = self.path(key) else { return };
        let Some(folder) = path.parent() else { return };
        if let Some(bytes) = encode(key, size, calibration)
            && make_folders(folder).is_ok()
            && own::replace_unsynced(&path, &bytes).is_ok()
        {
            tidy(folder);
        }
    }
}

/// Removes all but the newest files of a folder.
fn tidy(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|e| e.path().extension().is_some_and(|extension| extension == EXTENSION))
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.path())))
        .collect();
    files.sort_by(|a, b| b.cmp(a));
    for (_, path) in files.into_iter().skip(KEPT) {
        let _ = own::remove(&path);
    }
}

fn names(score: &Score) -> [String; 2] {
    ["mean", "deviation"].map(|what| format!("{}.{what}", score.id))
}

fn encode(key: &str, (modules, experts): (usize, usize), calibration: &Calibration) -> Option<Vec<u8>> {
    let mut sum = Sha256::new_with_prefix(key);
    sum.update(format!("{} {}", calibration.prompts, calibration.tokens));
    let mut tensors = Vec::new();
    for score in SCORES {
        let table = calibration.table(*score);
        let [mean, deviation] = names(score);
        let columns: [(String, fn(&Usual) -> &Vec<f64>); 2] =
            [(mean, |usual| &usual.mean), (deviation, |usual| &usual.deviation)];
        for (name, column) in columns {
            let bytes: Vec<u8> = table.iter().flat_map(column).flat_map(|v| v.to_le_bytes()).collect();
            sum.update(&bytes);
            tensors.push((name, bytes));
        }
    }
    let views = tensors.iter().map(|(name, bytes)| {
        TensorView::new(Dtype::F64, vec![modules, experts], bytes).map(|view| (name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().ok()?;
    let counts = [("prompts", calibration.prompts), ("tokens", calibration.tokens)];
    let mut metadata: HashMap<String, String> =
        counts.map(|(name, count)| (name.to_string(), count.to_string())).into();
    metadata.insert(CHECKSUM.to_string(), hex(&sum.finalize()));
    safetensors::serialize(views, Some(metadata)).ok()
}

fn read(path: &Path, key: &str, (modules, experts): (usize, usize)) -> Option<Calibration> {
    let values = modules.checked_mul(experts)?;
    let limit = values.checked_mul(16 * SCORES.len())? + 4096;
    let bytes = own::read(path, limit as u64).ok()??;
    let (header, described) = SafeTensors::read_metadata(&bytes).ok()?;
    let data = bytes.get(header.checked_add(8)?..)?;
    let metadata = described.metadata().as_ref()?;
    let count = |name: &str| metadata.get(name)?.parse::<usize>().ok();
    let (prompts, tokens) = (count("prompts")?, count("tokens")?);
    let mut sum = Sha256::new_with_prefix(key);
    sum.update(format!("{prompts} {tokens}"));
    let mut column = |name: &str| -> Option<Vec<Vec<f64>>> {
        let info = described.info(name)?;
        let (start, end) = info.data_offsets;
        let fits = info.dtype == Dtype::F64 && info.shape == [modules, experts];
        let bytes = fits.then(|| data.get(start..end))??;
        sum.update(bytes);
        let values: Vec<f64> = bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        let sound = values.iter().all(|v| v.is_finite() && *v >= 0.0);
        sound.then(|| values.chunks(experts.max(1)).map(<[f64]>::to_vec).collect())
    };
    let mut tables = Vec::with_capacity(SCORES.len());
    for score in SCORES {
        let [mean, deviation] = names(score);
        let (mean, deviation) = (column(&mean)?, column(&deviation)?);
        tables.push(mean.into_iter().zip(deviation).map(|(m, d)| Usual::new(m, d)).collect());
    }
    let whole = metadata.get(CHECKSUM) == Some(&hex(&sum.finalize()));
    whole.then_some(Calibration::new(tables, String::new(), prompts, tokens))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> Calibration {
        let usual = |at: f64| Usual::new(vec![at, 0.5], vec![0.25 + at, 0.0]);
        let tables = SCORES.iter().map(|score| (0..3).map(|m| usual((score.index() + m) as f64)).collect());
        Calibration::new(tables.collect(), String::new(), 7, 123)
    }

    #[test]
    fn what_was_kept_is_read_bit_for_bit_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let cache = CalibrationCache::of(root.path());
        let (key, size) = ("ab".repeat(32), (3, 2));
        assert_eq!(cache.read(&key, size), None);
        cache.keep(&key, size, &calibration());
        assert_eq!(cache.read(&key, size), Some(calibration()));
        assert_eq!(cache.read(&key, (2, 3)), None, "of another library");
        assert_eq!(cache.read(&"cd".repeat(32), size), None);
        let path = cache.path(&key).unwrap();
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(5) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let found = cache.read(&key, size);
            assert!(found.is_none_or(|found| found == calibration()), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(cache.read(&key, size), None, "cut at {at}");
        }
    }
}
