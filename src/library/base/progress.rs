//! How far a fetch is, as its sources report it.

/// What a fetch is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchPhase {
    /// Waiting for a source's first answer.
    Connecting,
    /// Bytes arrive.
    Downloading,
    /// Taking the file out of an archive.
    Unpacking,
    /// Everything is here: comparing the digest and getting the file onto the disk.
    Checking,
}

impl FetchPhase {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Downloading => "downloading",
            Self::Unpacking => "unpacking",
            Self::Checking => "checking",
        }
    }
}

/// How far a fetch is.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchProgress {
    /// The source being tried, for people.
    pub source: String,
    /// What is being done.
    pub phase: FetchPhase,
    /// Bytes so far.
    pub done: u64,
    /// Bytes in all, where the source says it.
    pub total: Option<u64>,
}

/// Reports the progress of one source.
pub(super) struct Reporter<'a> {
    source: &'a str,
    report: &'a mut dyn FnMut(FetchProgress),
}

impl<'a> Reporter<'a> {
    /// `source` is its name for people.
    pub fn new(source: &'a str, report: &'a mut dyn FnMut(FetchProgress)) -> Self {
        Self { source, report }
    }

    /// Reports `done` bytes of `total`.
    pub fn at(&mut self, phase: FetchPhase, done: u64, total: Option<u64>) {
        (self.report)(FetchProgress { source: self.source.into(), phase, done, total });
    }
}
