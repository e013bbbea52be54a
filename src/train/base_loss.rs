//! The base model's loss on validation examples, measured once for the same model and the same examples.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::TrainSpec;
use super::encode::Encoded;
use crate::library::{content_sha256, state_dir};
use crate::outside::{hex, make_folders, own};
use crate::{Result, cpu};

/// Changes with what changes a measured loss.
const FORMULA: &str = "base loss 2";
/// More bytes are no such file.
const MOST_BYTES: u64 = 1 << 20;

/// Summed loss and number of output tokens of each validation set.
pub(super) type Sums = Vec<(f64, usize)>;

/// Where a measured loss is kept: in the library's cache, by the content of the model and of the examples.
pub(super) struct BaseLoss {
    file: PathBuf,
    /// Output tokens of each set.
    counts: Vec<usize>,
}

impl BaseLoss {
    /// The place for the loss of the model at `model` on `sets`, computed as `spec` says.
    ///
    /// # Errors
    /// Files that cannot be read; no place for a cache.
    pub(super) fn of(spec: &TrainSpec, model: &Path, sets: &[Vec<Encoded>]) -> Result<Self> {
        let mut hash = Sha256::new();
        for part in [FORMULA, &spec.device, &format!("{:?} {:?}", spec.precision, cpu::level())] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(content_sha256(model)?);
        for set in sets {
            hash.update((set.len() as u64).to_le_bytes());
            for example in set {
                for tokens in [&example.prompt, &example.output] {
                    hash.update((tokens.len() as u64).to_le_bytes());
                    tokens.iter().for_each(|token| hash.update(token.to_le_bytes()));
                }
            }
        }
        let folder = state_dir(&spec.library)?.join("cache").join("base-loss");
        let file = folder.join(format!("{}.json", hex(&hash.finalize())));
        let counts = sets.iter().map(|set| set.iter().map(|example| example.output.len()).sum()).collect();
        Ok(Self { file, counts })
    }

    /// The loss, if it was measured before. What does not fit the examples was not.
    pub(super) fn read(&self) -> Option<Sums> {
        let bytes = own::read(&self.file, MOST_BYTES).ok()??;
        let kept: Vec<(u64, usize)> = serde_json::from_slice(&bytes).ok()?;
        let sums: Sums = kept.into_iter().map(|(bits, count)| (f64::from_bits(bits), count)).collect();
        let fits = sums.iter().map(|(_, count)| *count).eq(self.counts.iter().copied());
        (fits && sums.iter().all(|(sum, _)| sum.is_finite() && *sum >= 0.0)).then_some(sums)
    }

    /// Keeps a loss; without a place for it, it is measured again.
    pub(super) fn keep(&self, sums: &Sums) {
        let bits: Vec<(u64, usize)> = sums.iter().map(|(sum, count)| (sum.to_bits(), *count)).collect();
        if let (Ok(text), Some(folder)) = (serde_json::to_vec(&bits), self.file.parent())
            && make_folders(folder).is_ok()
        {
            let _ = own::replace_unsynced(&self.file, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_known_for_the_same_model_and_the_same_examples_only() {
        let place = tempfile::tempdir().unwrap();
        let model = place.path().join("model.gguf");
        std::fs::write(&model, "weights").unwrap();
        let spec = TrainSpec { library: place.path().to_path_buf(), ..TrainSpec::default() };
        let set = |tokens: &[u32]| vec![Encoded { prompt: vec![1, 2], output: tokens.to_vec(), cut: false }];
        let sets = [set(&[3, 4]), set(&[5])];
        let place = |sets: &[Vec<Encoded>]| BaseLoss::of(&spec, &model, sets).unwrap();
        assert_eq!(place(&sets).read(), None);
        let sums = vec![(4.25, 2), (0.1 + 0.2, 1)];
        place(&sets).keep(&sums);
        assert_eq!(place(&sets).read(), Some(sums.clone()));
        assert_eq!(place(&[set(&[3, 4]), set(&[6])]).read(), None);
        // A file that does not fit counts as missing.
        let file = place(&sets).file;
        for wrong in ["[[0,2]]", "[[9223372036854775807,2],[0,1]]", "[[", ""] {
            std::fs::write(&file, wrong).unwrap();
            assert_eq!(place(&sets).read(), None, "{wrong}");
        }
        place(&sets).keep(&sums);
        std::fs::write(&model, "other weights").unwrap();
        assert_eq!(place(&sets).read(), None);
    }
}
