//! How many cores a job was said to take.

use std::path::Path;

use super::layout::CORES;
use crate::Result;
use crate::outside::own;

/// Longest text that is read.
const MAX_SIZE: u64 = 64;

/// Writes it into the directory of a new job.
///
/// # Errors
/// What the file system says.
pub fn write(job: &Path, cores: usize) -> Result<()> {
    own::create(&job.join(CORES), cores.to_string().as_bytes())
}

/// What stands in a job's directory; `None` where it was not said.
pub fn read(job: &Path) -> Option<usize> {
    let bytes = own::read(&job.join(CORES), MAX_SIZE).ok().flatten()?;
    std::str::from_utf8(&bytes).ok()?.trim().parse().ok().filter(|cores| *cores > 0)
}
