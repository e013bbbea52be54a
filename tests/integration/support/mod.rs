//! What several modules of tests use.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[cfg(unix)]
pub mod bench;
pub mod experts;
pub mod models;
#[cfg(unix)]
pub mod pty;
pub mod training;
#[cfg(unix)]
pub mod walk;

/// How long anything may take before a test gives up: as long as a machine may need that does many other things.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_lora-tui");

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the binary in the repository with `--json`; its stdout.
pub fn json(arguments: &[&str]) -> serde_json::Value {
    let output =
        Command::new(BINARY).args(arguments).arg("--json").current_dir(repository()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Copies a folder with all that lies in it, but for derived files.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == ".lora-tui" {
            continue;
        }
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
