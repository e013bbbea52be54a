//! Random walks of the binary in a pseudo-terminal: whatever is typed, pasted and answered, however large the terminal
//! is and whatever happens to the library, it ends when it should and leaves the terminal as it was.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::pty::Session;
use crate::support::walk::{Step, seeds, steps, walk};
use crate::terminal::library;

/// In one test program; each starts a process.
const WALKS: u64 = 8;

/// Longer than a sequence waits for its end.
const SILENCE: Duration = Duration::from_millis(60);

#[test]
fn every_walk_ends_with_the_terminal_as_it_was() {
    for seed in seeds(WALKS) {
        walk(seed, "in a pseudo-terminal fails", || person(seed));
    }
}

fn person(seed: u64) {
    let library = library(3, 16);
    // Nothing is downloaded and no editor waits for a person, whatever is pressed.
    let offline = [
        ("HF_HUB_OFFLINE", Some("1")),
        ("PIP_NO_INDEX", Some("1")),
        ("PIP_INDEX_URL", Some("file:///")),
        ("VISUAL", Some("true")),
    ];
    let mut session = Session::open_where(&offline, library.path(), &[]);
    session.until("the screen", || session.is_alternate());
    for step in steps(seed) {
        match step {
            // It may have quit.
            Step::Bytes(bytes) => session.send(&bytes),
            Step::Silence => std::thread::sleep(SILENCE),
            Step::Size(columns, rows) => session.resize(columns, rows),
            Step::Library(which) => change(library.path(), which),
            Step::Stop => {
                session.try_signal(Signal::TSTP);
                session.try_signal(Signal::CONT);
            }
        }
    }
    std::thread::sleep(SILENCE);
    let ends = [None, Some(Signal::TERM), Some(Signal::HUP), Some(Signal::INT)];
    let end = ends[seed as usize % ends.len()];
    match end {
        Some(signal) => session.try_signal(signal),
        None => session.send(b"\x03"),
    }
    // Whoever was stopped a moment ago is continued, as a shell does.
    let status = session.end_continuing();
    let allowed = match end {
        // Between a stop and its end the terminal makes a signal of the key.
        None | Some(Signal::INT) => [0, 130],
        Some(Signal::TERM) => [0, 143],
        Some(Signal::HUP) => [0, 129],
        Some(other) => panic!("{other:?}"),
    };
    assert!(allowed.contains(&status.exit_code()), "{status:?} after {end:?}");
    session.assert_restored();
}

/// An expert comes, changes, or goes; each may fail where another walk's step was the same.
fn change(library: &Path, which: u8) {
    let folder = library.join(format!("later-{}", which % 3));
    match which % 4 {
        0 | 1 => {
            let _ = std::fs::create_dir(&folder);
            let _ = std::fs::write(folder.join("adapter_config.json"), "{oops");
        }
        2 => drop(std::fs::remove_dir_all(&folder)),
        _ => drop(std::fs::write(library.join("library.toml"), format!("name = \"walk {which}\"\n"))),
    }
}
