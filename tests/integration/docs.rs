//! The documentation against the program: every command in it is one, those that need no base model run, links
//! lead somewhere, and the tables between markers are what the code says.
//!
//! `UPDATE_DOCS=1 cargo test --release --test integration docs` writes those tables again.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lora_tui::adapt::{ADAPTATION, starts_table};
use lora_tui::analysis::Metric;
use lora_tui::import::{FileKind, Layout, Role, SplitRule, shapes_table};
use lora_tui::jobs::kinds::KINDS;
use lora_tui::library::{formats_table, variants_table};
use lora_tui::merge::MergeMethod;
use lora_tui::model::families_table;
use lora_tui::named::Named;
use lora_tui::scorers::{Scorer, Scoring};
use lora_tui::settings;
use lora_tui::train::{CLUSTERS, MANY, TRAINING};

use crate::support::{BINARY, copy_folder, repository};

/// Commands that work without a base model and end soon.
const WITHOUT_BASE: [&str; 8] =
    ["ls", "show", "similarity", "cluster", "prototypes", "merge", "jobs", "completions"];

/// README, CONTRIBUTING and every page of `docs/`.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        fs::read_dir(repository().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|e| e == "md"));
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|name| repository().join(name)));
    pages.sort();
    pages
}

/// The words of every `lora-tui …` command in the `sh` blocks of a page, with the line of the block.
fn commands(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let (mut block, mut line) = (None::<(usize, String)>, 0);
    for row in text.lines() {
        line += 1;
        match &mut block {
            None if row.trim_start() == "```sh" => block = Some((line, String::new())),
            Some((start, script)) if row.trim_start() == "```" => {
                let commands = split(script).into_iter().filter(|words| words[0] == "lora-tui");
                found.extend(commands.map(|words| (*start, words)));
                block = None;
            }
            Some((_, script)) => {
                script.push_str(row);
                script.push('\n');
            }
            None => {}
        }
    }
    assert!(block.is_none(), "a block has no end");
    found
}

/// The commands of a script, as a shell splits them: quotes, comments, and backslashes at the end of a line.
fn split(script: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let (mut word, mut quote) = (None::<String>, None);
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', None) if chars.peek() == Some(&'\n') => drop(chars.next()),
            ('#', None) if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            (c, None) if c.is_whitespace() || c == '|' || c == ';' => {
                let last = commands.last_mut().unwrap();
                last.extend(word.take());
                if c != ' ' && !last.is_empty() {
                    commands.push(Vec::new());
                }
            }
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    commands.retain(|words| !words.is_empty());
    commands
}

#[test]
fn scripts_are_split_as_a_shell_does() {
    let script = "a 'b c' \"d\ne\" # f\n\ng \\\n  h | i\n";
    assert_eq!(split(script), [vec!["a", "b c", "d\ne"], vec!["g", "h"], vec!["i"]]);
}

#[test]
fn every_command_is_one() {
    let mut seen = 0;
    for page in pages() {
        for (line, words) in commands(&fs::read_to_string(&page).unwrap()) {
            seen += 1;
            if let Err(error) = lora_tui::cli::command().try_get_matches_from(&words) {
                panic!("{}:{line}: {words:?}\n{error}", page.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} commands were found");
}

#[test]
fn commands_that_need_no_base_model_run() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&repository().join("library"), &folder.path().join("library"));
    let mut names = Vec::new();
    for page in pages() {
        for (line, words) in commands(&fs::read_to_string(&page).unwrap()) {
            let Some(name) = words.get(1).filter(|name| WITHOUT_BASE.contains(&name.as_str())) else {
                continue;
            };
            // Jobs of the documentation are not there.
            if name == "jobs" && words.len() > 3 {
                continue;
            }
            names.push(name.clone());
            let mut command = Command::new(BINARY);
            command.args(&words[1..]).current_dir(folder.path()).stdin(Stdio::null());
            let output = command.output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            // A page may name an adapter that another page has made.
            let made_before = stderr.contains("exists already");
            assert!(output.status.success() || made_before, "{}:{line}: {words:?}\n{stderr}", page.display());
        }
    }
    let unused: Vec<&&str> = WITHOUT_BASE.iter().filter(|name| !names.iter().any(|n| n == **name)).collect();
    assert!(unused.is_empty(), "no page shows {unused:?}");
}

#[test]
fn links_lead_to_files_and_headings() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !heading.is_empty() {
                let slugs = headings(&fs::read_to_string(&target).unwrap());
                assert!(slugs.iter().any(|slug| slug == heading), "{}: {link}: {slugs:?}", page.display());
            }
        }
    }
}

#[test]
fn paths_that_are_named_are_there() {
    const ROOTS: [&str; 9] =
        ["src/", "tests/", "tools/", "docs/", "benches/", "assets/", "examples/", "library/", ".ci/"];
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let is_path =
                ROOTS.iter().any(|root| name.starts_with(root)) && !name.contains([' ', '<', '*', '{']);
            // Capitals stand for a name.
            let stands_for =
                name.split('/').any(|part| part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase()));
            if is_path && !stands_for {
                assert!(repository().join(name).exists(), "{}: {name}", page.display());
            }
        }
    }
}

/// The anchors of a page's headings.
fn headings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn generated_tables_are_up_to_date() {
    let tables = [
        ("adapters.md", "formats", formats_table()),
        ("adapters.md", "variants", variants_table()),
        ("architecture.md", "files", files_table()),
        ("base-model.md", "families", families_table()),
        ("commands.md", "commands", table_of_commands()),
        ("data.md", "fields", table_of::<Role>("field")),
        ("data.md", "kinds", table_of::<FileKind>("kind")),
        ("data.md", "layouts", table_of::<Layout>("layout")),
        ("data.md", "shapes", shapes_table()),
        ("data.md", "splits", table_of::<SplitRule>("rule")),
        ("evaluation.md", "methods", lora_tui::eval::reference()),
        ("evaluation.md", "scorers", table_of::<Scorer>("metric")),
        ("evaluation.md", "scorings", table_of::<Scoring>("rules")),
        ("experiments.md", "adaptation", settings::markdown(ADAPTATION)),
        ("experiments.md", "recipes", lora_tui::recipe::built_in_reference()),
        ("experiments.md", "settings", lora_tui::recipe::reference()),
        ("experiments.md", "starts", starts_table()),
        ("keys.md", "keys", lora_tui::tui::keys_reference()),
        ("merging.md", "methods", MergeMethod::markdown()),
        ("routing.md", "routers", lora_tui::routing::reference()),
        ("scale.md", "slurm", lora_tui::jobs::executors::settings_table()),
        ("similarity.md", "metrics", Metric::markdown()),
        ("training.md", "clusters", settings::markdown(CLUSTERS)),
        ("training.md", "kinds", kinds_table()),
        ("training.md", "many", settings::markdown(MANY)),
        ("training.md", "training", settings::markdown(TRAINING)),
    ];
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    for (page, name, table) in tables {
        let path = repository().join("docs").join(page);
        let text = fs::read_to_string(&path).unwrap();
        let (before, found, after) = between(&text, name, &path);
        if found == table {
            continue;
        }
        assert!(
            update,
            "{}: the table `{name}` is not what the code says; run\n    \
             UPDATE_DOCS=1 cargo test --release --test integration docs\nIt has to be:\n{table}",
            path.display()
        );
        fs::write(&path, [before, &table, after].concat()).unwrap();
    }
}

/// What stands before, between and after the markers of a table.
fn between<'a>(text: &'a str, name: &str, path: &Path) -> (&'a str, &'a str, &'a str) {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let place = |marker: &str| {
        text.find(marker).unwrap_or_else(|| panic!("{}: {marker:?} is missing", path.display()))
    };
    let (from, to) = (place(&begin) + begin.len(), place(&end));
    (&text[..from], &text[from..to], &text[to..])
}

/// A row per member of a closed set, with its help.
fn table_of<T: Named>(heading: &str) -> String {
    let mut out = format!("| {heading} | what it does |\n|---|---|\n");
    for member in T::all() {
        writeln!(out, "| `{}` | {} |", member.name(), member.help().replace('|', "\\|")).unwrap();
    }
    out
}

/// A row per source file with the first sentence of its head; files of tests are left out.
fn files_table() -> String {
    let mut files = Vec::new();
    let mut folders = vec![repository().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs")
                && !path.file_stem().unwrap().to_string_lossy().ends_with("tests")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut out = String::from("| file | subject |\n|---|---|\n");
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let head =
            text.lines().map_while(|line| line.strip_prefix("//!")).take_while(|line| !line.is_empty());
        let head = head.map(str::trim).collect::<Vec<_>>().join(" ");
        let sentence = head.split_once(". ").map_or(head.as_str(), |(first, _)| first);
        let sentence = sentence.trim_end_matches('.').replace('|', "\\|").replace("crate::", "");
        assert!(!sentence.is_empty(), "{} has no head that says its subject", path.display());
        let short = path.strip_prefix(repository()).unwrap().display().to_string();
        writeln!(out, "| `{short}` | {sentence} |").unwrap();
    }
    out
}

/// A row per kind of jobs.
fn kinds_table() -> String {
    let mut out = String::from("| kind | what it does | when it is cancelled |\n|---|---|---|\n");
    for kind in KINDS {
        let then = if kind.resumes { "resumes from its saved state" } else { "begins again" };
        writeln!(out, "| `{}` | {} | {then} |", kind.name, kind.heading).unwrap();
    }
    out
}

/// A row per command with what its help begins with.
fn table_of_commands() -> String {
    let mut out = String::from("| command | what it does |\n|---|---|\n");
    for command in lora_tui::cli::command().get_subcommands_mut().filter(|command| !command.is_hide_set()) {
        let usage = command.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage:").trim().replace(" [OPTIONS]", "").replace('|', "\\|");
        let about = command.get_about().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
        writeln!(out, "| `{usage}` | {about} |").unwrap();
    }
    out
}
