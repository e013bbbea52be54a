//! How much is opened and read below a folder, for the crate's own tests: work is asserted there, not time. Outside of
//! tests it is nothing.

/// A file was opened for reading.
#[cfg(not(all(test, target_os = "linux")))]
#[inline(always)]
pub(super) fn opened(_: &std::path::Path) {}

/// Bytes of an open file are read.
#[cfg(not(all(test, target_os = "linux")))]
#[inline(always)]
pub(super) fn read(_: &std::fs::File, _: usize) {}

#[cfg(test)]
#[cfg(target_os = "linux")]
pub(super) use testing::{opened, read};

#[cfg(test)]
#[cfg(target_os = "linux")]
pub(crate) mod testing {
    //! A list of folders that are watched.

    use std::fs::{self, File};
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, PoisonError, Weak};

    static WATCHED: Mutex<Vec<Weak<Counts>>> = Mutex::new(Vec::new());

    /// What was done to files below a folder since it is watched.
    #[derive(Debug, Default)]
    pub struct Counts {
        folder: PathBuf,
        opened: AtomicUsize,
        bytes: AtomicUsize,
    }

    impl Counts {
        /// Files that were opened for reading.
        pub fn opened(&self) -> usize {
            self.opened.load(Ordering::Relaxed)
        }

        /// Bytes that were read.
        pub fn bytes(&self) -> usize {
            self.bytes.load(Ordering::Relaxed)
        }
    }

    /// Counts what is done below `folder`, by its real path, until the counts are dropped.
    pub fn watch(folder: &Path) -> Arc<Counts> {
        let counts = Arc::new(Counts {
            folder: fs::canonicalize(folder).expect("the folder is there"),
            ..Counts::default()
        });
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|counts| counts.strong_count() > 0);
        watched.push(Arc::downgrade(&counts));
        counts
    }

    fn each(path: impl FnOnce() -> Option<PathBuf>, count: impl Fn(&Counts)) {
        let watched: Vec<Arc<Counts>> = {
            let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
            watched.iter().filter_map(Weak::upgrade).collect()
        };
        if watched.is_empty() {
            return;
        }
        let Some(path) = path() else { return };
        watched.iter().filter(|counts| path.starts_with(&counts.folder)).for_each(|counts| count(counts));
    }

    pub(in crate::outside) fn opened(path: &Path) {
        each(
            || fs::canonicalize(path).ok(),
            |counts| {
                counts.opened.fetch_add(1, Ordering::Relaxed);
            },
        );
    }

    pub(in crate::outside) fn read(file: &File, bytes: usize) {
        let path = || fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
        each(path, |counts| {
            counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        });
    }
}
