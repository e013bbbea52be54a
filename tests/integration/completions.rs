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
        ("lora-tui similarity ./library --metric ", &["centred", "delta", "flat", "mbc"]),
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

/// A shell's script in a file.
fn script(shell: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let output = Command::new(BINARY).args(["completions", shell]).output().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script");
    std::fs::write(&path, output.stdout).unwrap();
    (folder, path)
}

/// Runs a shell, where it is installed; says so where it is not.
fn run(shell: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(shell)
        .args(arguments)
        .current_dir(crate::support::repository())
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: {shell} is not installed");
        return None;
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shell}: {stderr}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn fish_completes_what_bash_does_with_its_help() {
    let (_folder, path) = script("fish");
    let ask = |line: &str| format!("complete -C \"{line}\"; echo ==; ");
    let lines = ["lora-tui sim", "lora-tui similarity ./library --metric ", "lora-tui show ./library iso"];
    let asked: String = lines.map(ask).concat();
    let Some(found) = run("fish", &["--no-config", "-c", &format!("source {}; {asked}", path.display())])
    else {
        return;
    };
    let answers: Vec<&str> = found.split("==\n").collect();
    assert!(answers[0].starts_with("similarity\tCompare all experts"), "{found}");
    for metric in ["delta\t", "flat\t", "mbc\t"] {
        assert!(answers[1].contains(metric), "{found}");
    }
    assert!(answers[2].starts_with("iso_date"), "{found}");
}

#[test]
fn zsh_reads_its_script() {
    let (_folder, path) = script("zsh");
    run("zsh", &["-f", "-n", &path.display().to_string()]);
    // As compinit would have it: the function is there and is the command's.
    let ask = format!("compdef() {{ echo $@ }}; source {}; whence -w _lora_tui", path.display());
    if let Some(found) = run("zsh", &["-f", "-c", &ask]) {
        assert!(found.contains("lora-tui") && found.contains("_lora_tui: function"), "{found}");
    }
}

/// The scripts of shells that are rarely installed: every command has its entry, and what opens is closed.
#[test]
fn scripts_of_elvish_and_powershell_are_whole() {
    for (shell, begins, entry) in [
        ("elvish", "set edit:completion:arg-completer[lora-tui] = {|@words|", "&'lora-tui;COMMAND'= {"),
        ("powershell", "Register-ArgumentCompleter -Native -CommandName 'lora-tui'", "'lora-tui;COMMAND' {"),
    ] {
        let (_folder, path) = script(shell);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(begins), "{shell}");
        for command in
            ["ls", "show", "similarity", "route", "train", "jobs", "jobs;start", "jobs;start;train"]
        {
            assert!(text.contains(&entry.replace("COMMAND", command)), "{shell}: {command}");
        }
        // In both, a quote within quotes is written twice.
        let mut open = Vec::new();
        let mut quoted = false;
        for letter in text.chars() {
            match letter {
                '\'' => quoted = !quoted,
                _ if quoted => assert!(letter != '\n', "{shell}: a quote that is not closed"),
                '(' | '[' | '{' => open.push(letter),
                ')' | ']' | '}' => {
                    let expected = match open.pop() {
                        Some('(') => ')',
                        Some('[') => ']',
                        _ => '}',
                    };
                    assert_eq!(letter, expected, "{shell}");
                }
                _ => {}
            }
        }
        assert!(open.is_empty() && !quoted, "{shell}: {open:?}");
    }
}
