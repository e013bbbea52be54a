//! An import whose disk fails, or that is killed, at any point at which it touches the disk: the tasks are there as a
//! whole or not at all, and what was there before is as it was.
//!
//! A fault is one of `outside::fault`. The import runs in a process of its own: this test program, with a filter.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed helper is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::{ImportSpec, import};
use crate::Cancel;
use crate::outside::faults::{VARIABLE, operations};

/// Names the folder of a process that imports.
const FOLDER: &str = "LORA_TUI_FAULT_IMPORT";
/// File with the number of operations of an import.
const COUNTED: &str = "operations";
/// What may happen, and how often from there on.
const KINDS: [(&str, u64); 6] =
    [("kill", 1), ("ENOSPC", 1), ("EIO", 1), ("torn", 1), ("ENOSPC", 1_000_000), ("short", 3)];

/// Does an import, where it is asked to by its parent.
#[test]
fn one_import() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import/flan");
    let before = operations();
    let spec = ImportSpec { source, out: folder.join("tasks"), ..ImportSpec::default() };
    let done = import(&spec, &Cancel::new(), &mut |_, _| {});
    std::fs::write(folder.join(COUNTED), (operations() - before).to_string()).unwrap();
    if let Err(error) = done {
        println!("{error}");
        std::process::exit(7);
    }
}

fn work(folder: &Path, fault: Option<&str>) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "import::fault_tests::one_import", "--test-threads=1"]);
    command.env(FOLDER, folder).env_remove(VARIABLE).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(fault) = fault {
        command.env(VARIABLE, fault);
    }
    command.status().unwrap()
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(&inner).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => drop(
                    found.insert(path.strip_prefix(folder).unwrap().into(), std::fs::read(&path).unwrap()),
                ),
            }
        }
    }
    found
}

/// Names that an import gives what is not finished.
fn leftovers(folder: &Path) -> bool {
    let names = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with(".tmp-"))
}

#[test]
fn whatever_happens_tasks_are_whole_or_not_there() {
    for existing in [false, true] {
        let scene = || {
            let folder = tempfile::tempdir().unwrap();
            if existing {
                let old = folder.path().join("tasks/flan/old");
                std::fs::create_dir_all(&old).unwrap();
                std::fs::write(old.join("train.jsonl"), "old").unwrap();
            }
            folder
        };
        let whole = scene();
        assert!(work(whole.path(), None).success());
        let expected = files(&whole.path().join("tasks"));
        assert_eq!(expected.len(), 8 + usize::from(existing));
        let before = files(&scene().path().join("tasks"));
        let count: u64 = std::fs::read_to_string(whole.path().join(COUNTED)).unwrap().parse().unwrap();
        assert!(count > 20, "{count}");
        // A sample of all points, with every kind of fault.
        for (i, at) in (0..count).step_by(usize::try_from(count / 24).unwrap().max(1)).enumerate() {
            let (kind, times) = KINDS[i % KINDS.len()];
            let fault = format!("{kind}:{at}:{times}");
            let folder = scene();
            let tasks = folder.path().join("tasks");
            let ended = work(folder.path(), Some(&fault));
            let found = files(&tasks);
            let sound = |found: &BTreeMap<PathBuf, Vec<u8>>| {
                found
                    .iter()
                    .filter(|(path, _)| {
                        !path.starts_with(".tmp-") && !path.to_string_lossy().contains(".tmp-")
                    })
                    .all(|(path, bytes)| expected.get(path).is_some_and(|whole| whole == bytes))
            };
            assert!(sound(&found), "{fault}");
            assert!(before.iter().all(|(path, bytes)| found.get(path) == Some(bytes)), "{fault}");
            let parent = if existing { tasks.as_path() } else { folder.path() };
            match ended.code() {
                Some(0) => assert_eq!(found, expected, "{fault}"),
                // It failed and said so: everything is as before.
                Some(7) => {
                    assert_eq!(found, before, "{fault}");
                    assert!(!leftovers(parent), "{fault}");
                }
                // It was killed; what it left is gone after the next import.
                _ => {
                    if found == before
                        || found
                            .keys()
                            .all(|path| path.to_string_lossy().contains(".tmp-") || before.contains_key(path))
                    {
                        assert!(work(folder.path(), None).success(), "{fault}");
                        assert_eq!(files(&tasks), expected, "{fault}");
                        assert!(!leftovers(parent), "{fault}");
                    }
                }
            }
        }
    }
}
