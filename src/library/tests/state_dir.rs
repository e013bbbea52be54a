//! Where derived data goes when it cannot lie in the library.

use std::path::Path;
use std::process::Command;

use crate::library::state_dir;
use crate::outside::faults::VARIABLE;

/// Names the library of a process that looks for its state directory.
const LIBRARY: &str = "LORA_TUI_STATE_DIR_OF";
/// Before the answer.
const ANSWER: &str = "state in ";

/// Not a test of its own: what [`state_of`] starts.
#[test]
fn the_process_of_another_test() {
    if let Some(library) = std::env::var_os(LIBRARY) {
        println!("{ANSWER}{}", state_dir(Path::new(&library)).unwrap().display());
    }
}

/// The state directory that a process of its own finds, with this home and this fault.
fn state_of(library: &Path, home: &Path, fault: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "library::tests::state_dir::the_process_of_another_test", "--nocapture"]);
    command.env(LIBRARY, library).env("HOME", home).env_remove("XDG_STATE_HOME").env_remove(VARIABLE);
    if let Some(fault) = fault {
        command.env(VARIABLE, fault);
    }
    let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let answer =
        output.lines().find_map(|line| line.split_once(ANSWER)).unwrap_or_else(|| panic!("{output}"));
    answer.1.to_string()
}

#[test]
fn storage_that_cannot_lock_keeps_the_state_with_the_user() {
    let [library, home] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let inside = library.path().join(".lora-tui").display().to_string();
    assert_eq!(state_of(library.path(), home.path(), None), inside);
    let no_locks = format!("nolocks:0:1000:{}", library.path().display());
    let first = state_of(library.path(), home.path(), Some(&no_locks));
    assert!(first.starts_with(&home.path().display().to_string()), "{first}");
    // The same again, and the library's own once it can.
    assert_eq!(state_of(library.path(), home.path(), Some(&no_locks)), first);
    assert_eq!(state_of(library.path(), home.path(), None), inside);
    assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 1, "but .gitignore");
}

#[test]
fn where_nothing_can_be_locked_the_state_stays_with_the_library() {
    let [library, home] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let inside = library.path().join(".lora-tui").display().to_string();
    assert_eq!(state_of(library.path(), home.path(), Some("nolocks:0:1000")), inside);
}
