//! What was found about the experts' own prompts before, in files named by a hash of what it follows from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};

use super::table::OwnData;
use crate::library::state_dir;
use crate::outside::{hex, make_folders, own};
use crate::routing::experts::ExpertSet;

const CHECKSUM: &str = "sha256";

/// Files in `.lora-tui/cache/own-data`. What is cut off, damaged or foreign counts as missing, and nothing fails where
/// the folder cannot be read or written.
#[derive(Debug, Default)]
pub(in crate::routing) struct OwnDataCache {
    library: PathBuf,
}

impl OwnDataCache {
    /// That of the library at `root`.
    pub fn of(root: &Path) -> Self {
        Self { library: root.to_path_buf() }
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let folder = state_dir(&self.library).ok()?.join("cache").join("own-data");
        Some(folder.join(key).with_extension("safetensors"))
    }

    /// What is kept under this key, for these experts on a base model with states of so many numbers.
    pub fn read(&self, key: &str, experts: &ExpertSet, hidden: usize) -> Option<OwnData> {
        let widths: Vec<usize> = experts.stacked().map(|module| module.in_features).collect();
        let count = experts.len();
        let values = (widths.iter().sum::<usize>() + 2 * hidden + 1).checked_mul(count)?;
        let limit = values.checked_mul(4)?.checked_add(256 * (widths.len() + 4))?;
        let bytes = own::read(&self.path(key)?, limit as u64).ok()??;
        let (header, described) = SafeTensors::read_metadata(&bytes).ok()?;
        let data = bytes.get(header.checked_add(8)?..)?;
        let mut sum = Sha256::new_with_prefix(key);
        let mut tensor = |name: &str, width: usize| -> Option<Vec<f32>> {
            let info = described.info(name)?;
            let (start, end) = info.data_offsets;
            let fits = info.dtype == Dtype::F32 && info.shape == [count, width];
            let bytes = fits.then(|| data.get(start..end))??;
            sum.update(bytes);
            let values: Vec<f32> =
                bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            values.iter().all(|v| v.is_finite()).then_some(values)
        };
        let of_module =
            |(at, width): (usize, &usize)| tensor(&format!("centroid.{at}"), *width).map(Into::into);
        let centroids = widths.iter().enumerate().map(of_module).collect::<Option<_>>()?;
        let (states, regression) = (tensor("states", hidden)?, tensor("regression", hidden + 1)?);
        let metadata = described.metadata().as_ref()?;
        let whole = metadata.get(CHECKSUM) == Some(&hex(&sum.finalize()));
        let prompts = metadata.get("prompts")?.parse().ok()?;
        whole.then_some(OwnData { centroids, states, regression, prompts })
    }

    /// Keeps what was found about so many experts.
    pub fn keep(&self, key: &str, experts: usize, found: &OwnData) {
        let Some(path) = self.path(key) else { return };
        let mut named: Vec<(String, &[f32])> =
            found.centroids.iter().enumerate().map(|(at, c)| (format!("centroid.{at}"), &**c)).collect();
        named.push(("states".into(), &found.states));
        named.push(("regression".into(), &found.regression));
        let mut sum = Sha256::new_with_prefix(key);
        let tensors: Vec<(String, Vec<u8>)> = named
            .into_iter()
            .map(|(name, values)| {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                sum.update(&bytes);
                (name, bytes)
            })
            .collect();
        let views = tensors.iter().map(|(name, bytes)| {
            let shape = vec![experts, bytes.len() / 4 / experts.max(1)];
            TensorView::new(Dtype::F32, shape, bytes).map(|view| (name.as_str(), view))
        });
        let Ok(views) = views.collect::<Result<Vec<_>, _>>() else { return };
        let metadata = HashMap::from([
            (CHECKSUM.to_string(), hex(&sum.finalize())),
            ("prompts".to_string(), found.prompts.to_string()),
        ]);
        if let Ok(bytes) = safetensors::serialize(views, Some(metadata))
            && path.parent().is_some_and(|folder| make_folders(folder).is_ok())
        {
            // Without it, it is computed again.
            let _ = own::replace_unsynced(&path, &bytes);
        }
    }
}
