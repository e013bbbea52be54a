//! Completions as shells ask for them: the script is sourced, and its function called as bash calls it.

use std::process::{Command, Stdio};

use crate::support::BINARY;

/// What bash offers for each line, sorted.
fn complete(lines: &[&str]) -> Vec<Vec<String>> {
    let script = Command::new(BINARY).args(["completions", "bash"]).output().unwrap();
    assert!(script.status.success());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    std::fs::write(&path, script.stdout).unwrap();
    let mut ask = format!("source {}\ncomplete -p lora-tui >/dev/null || exit 1\n", path.display());
    for line in lines {
        ask += &format!(
            "COMP_LINE={line:?}; COMP_POINT=${{#COMP_LINE}}; _lora_tui\nprintf '%s\\n' \"${{COMPREPLY[@]}}\" --\n"
        );
    }
    let output = Command::new("bash")
        .args(["--norc", "-c", &ask])
        .current_dir(crate::support::repository())
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers = stdout.split("--\n").take(lines.len());
    let mut answers: Vec<Vec<String>> = answers
        .map(|answer| answer.lines().filter(|line| !line.is_empty()).map(String::from).collect())
        .collect();
    answers.iter_mut().for_each(|answer| answer.sort());
    answers
}

#[test]
fn bash_completes_options_values_commands_and_names() {
    let expected: [(&str, &[&str]); 15] = [
        ("lora-tui sim", &["similarity"]),
        ("lora-tui similarity ./library --me", &["--metric"]),
        ("lora-tui similarity --me", &["--metric"]),
        ("lora-tui similarity ./library --metric ", &["delta", "flat", "mbc"]),
        // Bash replaces what follows the `=` alone.
        ("lora-tui similarity ./library --metric=f", &["flat"]),
        ("lora-tui jobs ./library re", &["release", "resume"]),
        ("lora-tui show ./library iso", &["iso_date"]),
        ("lora-tui merge ./library --experts iso_date,clock", &["iso_date,clock_12h"]),
        ("lora-tui route ./library --router single:iso", &["iso_date"]),
        ("lora-tui route ./library --mute iso_date cloc", &["clock_12h"]),
        // The library of this folder is meant.
        ("lora-tui show iso", &["iso_date"]),
        ("lora-tui jobs re", &["release", "resume"]),
        ("lora-tui jobs show --js", &["--json"]),
        ("lora-tui work", &[]),
        ("lora-tui --theme li", &["light"]),
    ];
    let lines = expected.map(|(line, _)| line);
    for ((line, expected), found) in expected.into_iter().zip(complete(&lines)) {
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn every_shell_has_a_script_and_no_script_offers_what_is_hidden() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Command::new(BINARY).args(["completions", shell]).output().unwrap();
        let script = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && script.contains("lora-tui"), "{shell}");
        assert!(!script.contains("worker"), "{shell}");
    }
}
