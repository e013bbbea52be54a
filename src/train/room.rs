//! Room on the disk that a training takes before it needs it.

use std::path::Path;

use super::lora::LoraTrainer;
use crate::error::system_reason;
use crate::memory;
use crate::outside::{TEMPORARY, Unfinished, UnfinishedFolder};
use crate::{Error, Result};

/// Takes room on the disk for the expert that will lie at `path`, which the disk may not have any more when it is made.
pub(super) fn reserve(path: &Path, lora: &LoraTrainer) -> Result<Room> {
    // f16, and the texts around it; f32 where f16 cannot say the values.
    let bytes = 4 * lora.parameters() as u64 + (64 << 10);
    let take = || {
        let folder = UnfinishedFolder::new_in(path.parent().unwrap_or(Path::new(".")), TEMPORARY)?;
        let file = |name: &str| Unfinished::new(&folder.path().join(name), TEMPORARY);
        // As many as an expert has: a disk may run out of files before it runs out of bytes.
        let files = [file("weights")?, file("configuration")?, file("provenance")?];
        files[0].reserve(bytes)?;
        Ok(Room { _files: files, _folder: folder })
    };
    take().map_err(|e: std::io::Error| {
        let (size, reason) = (memory::size(bytes), system_reason(&e));
        Error::file(path, format!("the new expert takes up to {size} there: {reason}"))
    })
}

/// Room for a folder and its files, given back when dropped: the files before their folder.
pub(super) struct Room {
    _files: [Unfinished; 3],
    _folder: UnfinishedFolder,
}
