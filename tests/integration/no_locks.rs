//! Storage whose locks fail in every way in which file systems say so: a library that is loaded before the program answers
//! `flock`, as the kernel does for such mounts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::models::Fixture;
use crate::support::training::library;
use crate::support::{BINARY, PATIENCE};

/// Answers `flock` with an error, for files below one folder.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int flock(int file, int operation) {
    const char *below = getenv("NO_LOCKS_BELOW"), *number = getenv("NO_LOCKS_ERRNO");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    if (below && number && strncmp(path, below, strlen(below)) == 0) {
        errno = atoi(number);
        return -1;
    }
    int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    return real(file, operation);
}
"#;

/// A library and a home directory.
struct Place {
    dir: tempfile::TempDir,
    library: tempfile::TempDir,
    shim: PathBuf,
    base: PathBuf,
    data: PathBuf,
}

impl Place {
    /// `None` where there is no C compiler.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (source, shim) = (dir.path().join("shim.c"), dir.path().join("shim.so"));
        std::fs::write(&source, SOURCE).unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        let made =
            Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&shim).arg(&source).arg("-ldl").output();
        match made {
            Ok(output) if output.status.success() => {}
            other => {
                assert!(std::env::var_os("CI").is_none(), "{other:?}");
                println!("skipped: no C compiler ({other:?})");
                return None;
            }
        }
        let fixture = Fixture::open("llama");
        let (base, data) = (fixture.base(), fixture.folder.join("train.jsonl"));
        Some(Self { library: library(), shim, base, data, dir })
    }

    fn root(&self) -> PathBuf {
        self.library.path().canonicalize().unwrap()
    }

    /// The program where no file below `below` can be locked.
    fn run(&self, errno: i32, below: &Path, arguments: &[&str]) -> Output {
        Command::new(BINARY)
            .args(arguments)
            .env("LD_PRELOAD", &self.shim)
            .env("NO_LOCKS_ERRNO", errno.to_string())
            .env("NO_LOCKS_BELOW", below)
            .env("HOME", self.dir.path().join("home"))
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .output()
            .unwrap()
    }

    /// Trains an expert, by the words of `how`.
    fn train(&self, errno: i32, below: &Path, how: &[&str], name: &str) -> Output {
        let [base, data] = [&self.base, &self.data].map(|path| path.to_str().unwrap());
        let what = ["--data", data, "--base", base, "--name", name, "--rank", "2", "--max-steps", "2"];
        self.run(errno, below, &[how, &what, &["--batch", "4", "--device", "cpu"]].concat())
    }

    /// What `doctor` says of something; and whether that is a problem.
    fn doctor(&self, errno: i32, below: &Path, what: &str) -> Option<(bool, String)> {
        let output = self.run(errno, below, &["doctor", self.root().to_str().unwrap(), "--json"]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let check =
            document["checks"].as_array().unwrap().iter().find(|check| check["what"] == what)?.clone();
        Some((check["problem"].as_bool().unwrap(), check["says"].as_str().unwrap().to_string()))
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// As mounts without locks answer: NFS without a lock manager, file systems without the operation, kernels without it.
const ERRORS: [i32; 3] = [libc::ENOLCK, libc::EOPNOTSUPP, libc::ENOSYS];

#[test]
fn without_any_locks_experts_are_trained_and_jobs_of_this_machine_say_what_they_lack() {
    let Some(place) = Place::new() else { return };
    let (root, all) = (place.root(), Path::new("/"));
    let library = root.to_str().unwrap();
    for (number, errno) in ERRORS.into_iter().enumerate() {
        let name = format!("expert_{number}");
        let output = place.train(errno, all, &["train", library], &name);
        assert!(output.status.success(), "{errno}: {}", stderr(&output));
        assert!(root.join(&name).join("adapter_model.safetensors").is_file(), "{errno}");

        let output = place.train(errno, all, &["jobs", library, "start", "train"], "job");
        assert_eq!(output.status.code(), Some(1), "{errno}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("this storage cannot lock files, which jobs on this machine need")
                && stderr(&output).contains("XDG_STATE_HOME"),
            "{errno}: {}",
            stderr(&output)
        );
        let listed = place.run(errno, all, &["jobs", library, "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(listed["jobs"], serde_json::json!([]), "{errno}: nothing half made");

        let (problem, says) = place.doctor(errno, all, "locks").unwrap();
        assert!(problem && says.contains("XDG_STATE_HOME"), "{errno}: {says}");
        let (_, says) = place.doctor(errno, all, "writing").unwrap();
        let state = root.join(".lora-tui").display().to_string();
        assert!(says.contains(&state) && says.contains("since the library's storage cannot lock"), "{says}");
    }
    // Experts of several, made in a folder of their own.
    let out = root.with_extension("mbc");
    let words =
        ["train-clusters", library, "--k", "1", "--max-steps", "1", "--batch", "4", "--device", "cpu"];
    let output = place.run(libc::ENOLCK, all, &[&words[..], &["--out", out.to_str().unwrap()]].concat());
    let made = out.join("cluster_1/adapter_model.safetensors").is_file();
    let _ = std::fs::remove_dir_all(&out);
    assert!(output.status.success() && made, "{}", stderr(&output));
}

#[test]
fn where_only_the_library_cannot_be_locked_its_jobs_are_with_the_user() {
    let Some(place) = Place::new() else { return };
    let root = place.root();
    let library = root.to_str().unwrap();
    let output = place.train(libc::ENOLCK, &root, &["jobs", library, "start", "train"], "job");
    assert!(output.status.success(), "{}", stderr(&output));
    let id = String::from_utf8_lossy(&output.stdout).trim().to_string();
    let began = Instant::now();
    loop {
        let output = place.run(libc::ENOLCK, &root, &["jobs", library, "show", &id, "--json"]);
        let job: Value = serde_json::from_slice(&output.stdout).unwrap();
        match job["state"].as_str().unwrap() {
            "finished" => break,
            "queued" | "running" if began.elapsed() < PATIENCE => {}
            other => panic!("{other}: {job}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(root.join("job/adapter_model.safetensors").is_file());
    assert_eq!(place.doctor(libc::ENOLCK, &root, "locks"), None);
    let (problem, says) = place.doctor(libc::ENOLCK, &root, "writing").unwrap();
    let home = place.dir.path().join("home").display().to_string();
    assert!(!problem && says.contains(&home) && says.contains("cannot lock files"), "{says}");
    // What was begun where locks work is not forgotten.
    let listed = || stderr(&place.run(libc::ENOLCK, &root, &["jobs", library]));
    assert_eq!(listed(), "");
    let elsewhere = Path::new("/no/such/place");
    let output = place.run(libc::ENOLCK, elsewhere, &["jobs", library, "start", "cluster", "--k", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let told = listed();
    assert!(
        told.contains(".lora-tui/jobs are not listed, since the library's storage cannot lock"),
        "{told}"
    );
}
