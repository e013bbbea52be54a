//! What the items of a split are known by.

use sha2::{Digest, Sha256};

use crate::outside::hex;
use crate::train::Example;

/// A hash of a whole split, with the options of its task.
pub(super) fn digest_of(all: &[Example], options: &[String]) -> String {
    let mut hash = Sha256::new();
    for example in all {
        // Texts and numbers can always be written.
        hash.update(serde_json::to_string(example).unwrap_or_default());
        hash.update("\n");
    }
    hash.update(format!("{options:?}"));
    hex(&hash.finalize())
}
