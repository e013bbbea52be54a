//! What a job takes of the machine that does it. It is said when the job is started, is no part of what the job is asked,
//! and stands beside that in its directory.

use std::path::Path;

use serde::Serialize;

use super::layout::CORES;
use crate::Result;
use crate::field;
use crate::outside::own;
use crate::settings::{Entry, Kind, Setting, Whole};

/// Longest text that is read.
const MAX_SIZE: u64 = 64;

/// What a job takes of the machine that does it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Cores; without a number, an equal share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
}

/// What can be said of it, on the command line and in forms.
pub static SHARE: &[Setting<Share>] =
    &[Setting::new("cores", Kind::OptionalWhole(field!(Share.cores), Whole { low: 1, high: 4096 }))
        .flag("cores", "Cores that the job takes: on this machine, others may work beside it")
        .value("N")
        .unset("an equal share")
        .requires("background")
        .form("Cores", "of the machine; empty: an equal share")
        .advanced()];

impl Share {
    /// What stands in a job's directory.
    pub fn read(job: &Path) -> Self {
        let mut share = Self::default();
        let text = own::read(&job.join(CORES), MAX_SIZE).ok().flatten();
        // Anybody may have written it: what makes no sense says nothing.
        if let Some(text) = text.and_then(|bytes| String::from_utf8(bytes).ok()) {
            let said = SHARE.iter().filter(|setting| setting.id == CORES);
            said.for_each(|setting| drop(setting.set(&mut share, &text)));
        }
        share
    }

    /// Writes it into the directory of a job.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, job: &Path) -> Result<()> {
        let path = job.join(CORES);
        match self.cores {
            Some(cores) => own::replace_unsynced(&path, cores.to_string().as_bytes()),
            None => own::remove(&path).map(drop),
        }
    }

    /// What a job's details say of it.
    pub fn facts(&self) -> Vec<String> {
        SHARE.iter().filter_map(|setting| setting.fact(self, &Self::default())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_read_again_and_what_makes_no_sense_is_not() {
        let job = tempfile::tempdir().unwrap();
        assert_eq!(Share::read(job.path()), Share::default());
        for cores in [Some(3), None, Some(4096)] {
            let share = Share { cores };
            share.write(job.path()).unwrap();
            assert_eq!(Share::read(job.path()), share);
        }
        assert_eq!(Share::read(job.path()).facts(), ["cores 4096"]);
        for text in ["0", "-1", "4097", "two", "", "\u{1b}[2J"] {
            std::fs::write(job.path().join(CORES), text).unwrap();
            assert_eq!(Share::read(job.path()), Share::default(), "{text:?}");
        }
    }
}
