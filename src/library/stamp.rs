//! Whether files are still those that were read, from their places, sizes and times alone.

use std::fs::{self, Metadata};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::formats::companion;
use super::{Expert, ModuleShape};

/// A folder with more files than this has no stamp: looking at it would take longer than reading its weights.
const MOST_FILES: usize = 256;
/// Two changes closer than this may get the same time, where times have parts of seconds.
const FINE: Duration = Duration::from_millis(50);
/// The same where times are whole seconds, or two.
const COARSE: Duration = Duration::from_secs(2);

/// How one file stood on disk. A file that was changed has another: its bytes, its size or its times differ, and the
/// system's own time of the last change cannot be set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, inode, seconds and nanoseconds of the last change of the inode; zeros where there are none.
    inode: [u64; 4],
}

impl FileStamp {
    /// From what the system says of a file.
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt;
            [metadata.dev(), metadata.ino(), metadata.ctime() as u64, metadata.ctime_nsec() as u64]
        };
        #[cfg(not(unix))]
        let inode = [0; 4];
        Self { length: metadata.len(), modified: metadata.modified().ok(), inode }
    }

    /// The latest of its times.
    fn newest(&self) -> Option<SystemTime> {
        let [_, _, seconds, nanoseconds] = self.inode;
        let changed = Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanoseconds));
        self.modified.max(changed.and_then(|changed| UNIX_EPOCH.checked_add(changed)))
    }

    /// Whether by `now` the file was left alone for so long that a later change must have a later time; `None` where its
    /// times are not known.
    pub fn is_settled(&self, now: SystemTime) -> Option<bool> {
        let newest = self.newest()?;
        let since = newest.duration_since(UNIX_EPOCH).ok()?;
        let tick = if since.subsec_nanos() == 0 { COARSE } else { FINE };
        Some(now.duration_since(newest).is_ok_and(|age| age > tick))
    }
}

/// How an expert stood on disk, and how it is read: two are equal where the files and what is made of them are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// SHA-256 of what it follows from.
    pub digest: [u8; 32],
    /// Whether the files were left alone for so long that a later change must have a later time.
    pub settled: bool,
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Expert {
    /// How its files stand on disk now; reads none of them. `None` where that cannot be said.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        let now = SystemTime::now();
        let mut hash = Sha256::new_with_prefix("expert 1 ");
        hash.update(format!("{:?} {:?} ", self.format, self.base));
        for ModuleShape { module, rank, in_features, out_features, embedding, .. } in &self.modules {
            hash.update(module.as_bytes());
            for size in [*rank, *in_features, *out_features, usize::from(*embedding)] {
                hash.update((size as u64).to_le_bytes());
            }
        }
        let mut settled = true;
        for path in self.files()? {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            let stamp = FileStamp::of(&metadata);
            settled &= stamp.is_settled(now)?;
            // Without inodes it is the path that says which file it is.
            let place = if cfg!(unix) { path.file_name()? } else { path.as_os_str() };
            hash.update(place.as_encoded_bytes());
            hash.update([0]);
            let modified = stamp.modified?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
            hash.update(modified.to_le_bytes());
            [stamp.length].iter().chain(&stamp.inode).for_each(|part| hash.update(part.to_le_bytes()));
        }
        Some(Stamp { digest: hash.finalize().into(), settled })
    }

    /// The files that may say what it is, sorted.
    fn files(&self) -> Option<Vec<PathBuf>> {
        if self.path.is_file() {
            let beside = companion(&self.path).map(|extension| self.path.with_extension(extension));
            return Some([self.path.clone()].into_iter().chain(beside).collect());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path).ok()?.take(MOST_FILES + 1) {
            let entry = entry.ok()?;
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                files.push(entry.path());
            }
        }
        files.sort();
        (files.len() <= MOST_FILES).then_some(files)
    }
}

/// How a file stands on disk now; `None` where it cannot be said.
pub(super) fn of_file(file: &fs::File) -> Option<FileStamp> {
    file.metadata().ok().map(|metadata| FileStamp::of(&metadata))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::path::Path;

    use super::*;

    fn expert(path: &Path) -> Expert {
        Expert { path: path.to_path_buf(), ..Expert::default() }
    }

    /// Writes and waits until nothing written later can have the same time.
    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("temporary files can be written");
    }

    #[test]
    fn a_stamp_changes_with_the_files_even_where_size_and_time_are_set_back() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("adapter_model.safetensors");
        write(&file, "one");
        let first = expert(root.path()).stamp().unwrap();
        assert_eq!(first.digest, expert(root.path()).stamp().unwrap().digest);
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        // A new file of the same size and time in its place has another inode.
        let other = root.path().join("other");
        write(&other, "two");
        fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        fs::rename(&other, &file).unwrap();
        assert_ne!(first.digest, expert(root.path()).stamp().unwrap().digest);
        // Another file in the folder is part of it, too, and so is what the modules are.
        let second = expert(root.path()).stamp().unwrap();
        write(&root.path().join("adapter_config.json"), "{}");
        let third = expert(root.path()).stamp().unwrap();
        assert_ne!(second.digest, third.digest);
        let mut wider = expert(root.path());
        wider.modules.push(ModuleShape { module: "q".into(), rank: 4, ..ModuleShape::default() });
        assert_ne!(third.digest, wider.stamp().unwrap().digest);
        assert!(expert(&root.path().join("gone")).stamp().is_none());
    }

    #[test]
    fn what_was_written_a_moment_ago_is_not_settled() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("adapter_model.safetensors");
        write(&file, "one");
        let ahead = SystemTime::now() + Duration::from_secs(3600);
        fs::File::options().write(true).open(&file).unwrap().set_modified(ahead).unwrap();
        assert!(!expert(root.path()).stamp().unwrap().settled);
    }

    #[test]
    fn a_folder_of_very_many_files_has_no_stamp() {
        let root = tempfile::tempdir().unwrap();
        (0..=MOST_FILES).for_each(|i| write(&root.path().join(i.to_string()), ""));
        assert!(expert(root.path()).stamp().is_none());
    }
}
