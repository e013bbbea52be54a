//! What comes from others cannot make the program write elsewhere, wait or read without end.

#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::unfinished::leftovers;
use super::*;

fn pipe(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// A file with something that must not be lost, and a `.lora-tui` beside it.
fn scene() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let (state, precious) = (root.path().join(".lora-tui"), root.path().join("precious"));
    fs::create_dir(&state).unwrap();
    fs::write(&precious, "precious").unwrap();
    (root, state, precious)
}

type Act = (&'static str, fn(&Path) -> crate::Result<()>);

/// Everything that is done to a file of the program.
const ACTS: &[Act] = &[
    ("append", |path| own::append(path)?.write_all(b"x").map_err(|e| crate::Error::io(path, e))),
    ("create", |path| own::create(path, b"x")),
    ("open", |path| own::open(path).map(drop)),
    ("read", |path| own::read(path, 100).map(drop)),
    ("lock", |path| Lock::take(path).map(drop)),
    ("new lock", |path| Lock::new(path).map(drop)),
    ("old lock", |path| Lock::take_existing(path, Duration::ZERO).map(drop)),
    ("waiting lock", |path| Lock::wait(path).map(drop)),
];

/// What replaces or removes a name, whatever has it.
const OVER: &[Act] = &[
    ("mark", own::mark),
    ("replace", |path| own::replace(path, b"x")),
    ("replace unsynced", |path| own::replace_unsynced(path, b"x")),
    ("remove", |path| own::remove(path).map(drop)),
    ("is taken", |path| {
        own::is_taken(path);
        Ok(())
    }),
    ("is locked", |path| {
        Lock::is_taken(path);
        Ok(())
    }),
];

#[test]
fn nothing_is_written_or_read_through_a_link() {
    for (name, act) in ACTS.iter().chain(OVER) {
        let (_root, state, precious) = scene();
        let link = state.join("file");
        symlink(&precious, &link).unwrap();
        if let Err(error) = act(&link) {
            let error = error.to_string();
            assert!(error.contains("link") || error.contains("exists"), "{name}: {error}");
        } else {
            assert!(OVER.iter().any(|(over, _)| over == name), "{name} takes a link");
        }
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious", "{name}");
    }
}

#[test]
fn no_folder_below_the_state_folder_may_be_a_link() {
    for (name, act) in ACTS.iter().chain(OVER) {
        let (root, state, _precious) = scene();
        let elsewhere = root.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("file"), "precious").unwrap();
        symlink(&elsewhere, state.join("jobs")).unwrap();
        let _ = act(&state.join("jobs/file"));
        let _ = act(&state.join("jobs/new"));
        assert_eq!(fs::read_to_string(elsewhere.join("file")).unwrap(), "precious", "{name}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1, "{name}");
    }
    let (root, state, _precious) = scene();
    let elsewhere = root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, state.join("cache")).unwrap();
    let error = make_folders(&state.join("cache/prototypes")).unwrap_err().to_string();
    assert!(error.contains("cache is a link"), "{error}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // Before `.lora-tui`, people may have links.
    symlink(root.path(), elsewhere.join("library")).unwrap();
    own::replace(&elsewhere.join("library/.lora-tui/file"), b"x").unwrap();
    make_folders(&elsewhere.join("library/.lora-tui/jobs")).unwrap();
    assert!(state.join("file").is_file() && state.join("jobs").is_dir());
}

#[test]
fn pipes_and_folders_in_place_of_files_are_told_at_once() {
    for (name, act) in ACTS {
        let (_root, state, _precious) = scene();
        pipe(&state.join("pipe"));
        fs::create_dir(state.join("folder")).unwrap();
        for file in ["pipe", "folder"] {
            let error = act(&state.join(file)).unwrap_err().to_string();
            assert!(error.contains("not a regular file") || error.contains("exists"), "{name}: {error}");
        }
    }
    let (root, ..) = scene();
    let fifo = root.path().join("pipe");
    pipe(&fifo);
    assert!(open_regular(&fifo).unwrap_err().to_string().contains("not a regular file"));
    assert!(read_limited(Path::new("/dev/zero"), 10).is_err());
    assert!(sha256_file(&fifo).is_err());
    // Nobody reads it.
    assert!(atomic_write(&fifo, b"x").is_err());
}

#[test]
fn what_a_person_named_is_read_through_links_up_to_a_size() {
    let (root, ..) = scene();
    let link = root.path().join("link");
    symlink("precious", &link).unwrap();
    assert_eq!(read_limited(&link, 8).unwrap(), b"precious");
    assert_eq!(read_text_of(&link, 8).unwrap(), "precious");
    for error in [read_limited(&link, 7).unwrap_err(), open_limited(&link, 7).unwrap_err()] {
        assert!(error.to_string().contains("too large (8 bytes, at most 7"), "{error}");
    }
    // Files of /proc say that they are empty.
    assert!(!read_limited(Path::new("/proc/self/status"), 1 << 20).unwrap().is_empty());
    assert!(read_limited(Path::new("/proc/self/status"), 10).is_err());
}

#[test]
fn devices_are_written_into_and_links_followed_where_a_person_named_them() {
    atomic_write(Path::new("/dev/null"), b"gone").unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());

    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&real, "old").unwrap();
    symlink(&real, &link).unwrap();
    atomic_write(&link, b"new").unwrap();
    assert_eq!(fs::read(&real).unwrap(), b"new");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    create_named(&link).unwrap().write_all(b"newer").unwrap();
    assert_eq!(fs::read(&real).unwrap(), b"newer");
}

#[test]
fn errors_name_the_target_only() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("missing").join("file");
    let message = atomic_write(&target, b"x").unwrap_err().to_string();
    assert!(message.contains("missing/file: No such file") && !message.contains(".tmp-"), "{message}");
    assert!(atomic_write(folder.path(), b"x").unwrap_err().to_string().contains("directory"));
}

#[test]
fn a_lock_keeps_what_is_in_the_file_and_is_one_processes() {
    let (_root, state, _precious) = scene();
    let path = state.join("lock");
    fs::write(&path, "kept").unwrap();
    let first = Lock::take(&path).unwrap().unwrap();
    assert!(Lock::take(&path).unwrap().is_none());
    assert!(Lock::take_existing(&path, Duration::ZERO).unwrap().is_none());
    assert!(Lock::is_taken(&path));
    drop(first);
    assert!(!Lock::is_taken(&path));
    assert!(Lock::take(&path).unwrap().is_some());
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    assert!(Lock::take_existing(&state.join("none"), Duration::ZERO).is_err());
}

#[test]
fn what_nobody_writes_any_more_is_swept_away_and_nothing_else() {
    let (root, state, _precious) = scene();
    // Left by writers that were killed: their locks are gone, the files are not.
    let [file, folder] = [".tmp-0123456789ab", ".part-ba9876543210"].map(|name| state.join(name));
    fs::write(&file, "half").unwrap();
    fs::create_dir_all(folder.join("inner")).unwrap();
    // In the works.
    let mut writing = Unfinished::new(&state.join("file"), TEMPORARY).unwrap();
    writing.output().write_all(b"whole").unwrap();
    let mut filling = UnfinishedFolder::new_in(&state, ".new-").unwrap();
    // Not ours, or a person's.
    let others = [".tmp-notes", ".tmp-0123456789ABCDEF", ".part", "tmp-0123456789ab", ".tmp-AbC123"];
    others.iter().for_each(|name| fs::write(state.join(name), "kept").unwrap());
    symlink(root.path().join("precious"), state.join(".tmp-aaaaaaaaaaaa")).unwrap();
    sweep(&state);
    assert!(!file.exists() && !folder.exists());
    assert!(others.iter().all(|name| state.join(name).exists()));
    assert!(root.path().join("precious").exists());
    writing.finish().unwrap();
    filling.finish(&state.join("job")).unwrap();
    assert_eq!(fs::read(state.join("file")).unwrap(), b"whole");
    assert!(state.join("job").is_dir());
    // Of an earlier version: old enough that nobody writes it.
    let day = std::time::SystemTime::now() - Duration::from_secs(2 * 86_400);
    fs::File::options().write(true).open(state.join(".tmp-AbC123")).unwrap().set_modified(day).unwrap();
    sweep(&state);
    assert!(!state.join(".tmp-AbC123").exists());
}

#[test]
fn what_is_not_finished_is_gone() {
    let (_root, state, _precious) = scene();
    let failed = own::replace_with(&state.join("file"), |file| {
        file.write_all(b"half")?;
        Err(std::io::ErrorKind::StorageFull.into())
    });
    assert!(failed.is_err());
    drop(UnfinishedFolder::new_in(&state, TEMPORARY).unwrap());
    assert_eq!(leftovers(&state), Vec::<PathBuf>::new());
    // A name that is taken is not replaced by a folder.
    fs::create_dir_all(state.join("taken")).unwrap();
    let mut folder = UnfinishedFolder::new_in(&state, TEMPORARY).unwrap();
    assert_eq!(folder.finish(&state.join("taken")).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    drop(folder);
    assert_eq!(leftovers(&state), Vec::<PathBuf>::new());
}
