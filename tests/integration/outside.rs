//! Files and folders are opened, made and changed by `src/outside` alone. What the sources say is read as text; tests
//! may do what they like.

use std::collections::BTreeMap;
use std::path::Path;

use crate::layering::{tokens, without_tests};
use crate::support::repository;

/// Functions of `std::fs` that look at names and change nothing; all others open or change something.
const LOOKS: [&str; 10] = [
    "self",
    "Metadata",
    "File",
    "FileType",
    "DirEntry",
    "TryLockError",
    "canonicalize",
    "metadata",
    "symlink_metadata",
    "read_dir",
];
/// Functions of `File` for an open file.
const OPEN: [&str; 1] = ["from"];
/// Other crates that open files.
const OTHERS: [&str; 5] = ["OpenOptions", "Mmap", "MmapOptions", "tempfile", "memmap2"];
/// Functions of `rustix::fs` and `libc` that need no path.
const SYSTEM: [&str; 3] = ["statvfs", "OFlags", "Mode"];

/// The ways to open or change files in a source text.
fn ways(text: &str) -> Vec<String> {
    let tokens = without_tests(tokens(text));
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    let mut found = Vec::new();
    for i in 0..tokens.len() {
        if OTHERS.contains(&at(i))
            || at(i) == "read_to_string" && at(i + 1) == "(" && at(i + 2) != ")" && i > 0 && at(i - 1) == "::"
        {
            found.push(at(i).to_string());
        }
        if at(i + 1) != "::" {
            continue;
        }
        let names: Vec<&str> = match at(i + 2) {
            // The names of a `use` at its first level.
            "{" => {
                let mut depth = 0;
                let inside = (i + 3..tokens.len()).map(at).take_while(|token| {
                    depth += match *token {
                        "{" => 1,
                        "}" => -1,
                        _ => 0,
                    };
                    depth >= 0
                });
                inside.filter(|token| !matches!(*token, "," | "}")).collect()
            }
            name => vec![name],
        };
        let allowed: &[&str] = match at(i) {
            "fs" if i >= 2 && at(i - 2) == "rustix" => &SYSTEM,
            "fs" if i >= 2 && at(i - 2) == "unix" => continue,
            "fs" => &LOOKS,
            "File" => &OPEN,
            _ => continue,
        };
        let wrong = names.into_iter().filter(|name| !allowed.contains(name));
        found.extend(wrong.map(|name| format!("{}::{name}", at(i))));
    }
    found
}

fn visit(folder: &Path, found: &mut BTreeMap<String, Vec<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        match path.is_dir() {
            true if matches!(name, "outside" | "tests") => {}
            true => visit(&path, found),
            false if name.ends_with("tests.rs") || !name.ends_with(".rs") => {}
            false => {
                let ways = ways(&std::fs::read_to_string(&path).unwrap());
                if !ways.is_empty() {
                    found.insert(path.strip_prefix(repository()).unwrap().display().to_string(), ways);
                }
            }
        }
    }
}

#[test]
fn files_are_opened_in_one_place() {
    let mut found = BTreeMap::new();
    visit(&repository().join("src"), &mut found);
    let lines: Vec<String> =
        found.iter().map(|(file, ways)| format!("{file}: {}", ways.join(", "))).collect();
    assert!(lines.is_empty(), "open files with `crate::outside`:\n{}", lines.join("\n"));
}

#[test]
fn other_ways_are_found() {
    for text in [
        "fn f() { std::fs::read(p) }",
        "use std::fs::{self, write}; fn f() {}",
        "use std::fs::File; fn f() { File::open(p); }",
        "fn f() { File::options().read(true) }",
        "fn f() { fs::remove_dir_all(p) }",
        "fn f() { std::fs::read_to_string(p) }",
        "fn f() { std::fs::OpenOptions::new() }",
        "fn f() { unsafe { memmap2::Mmap::map(&file) } }",
        "fn f() { rustix::fs::openat(a, b) }",
    ] {
        assert!(!ways(text).is_empty(), "{text}");
    }
    for text in [
        "use std::fs::{self, File}; fn f(file: File) { fs::metadata(p); fs::read_dir(p) }",
        "fn f() { file.read_to_string(&mut text); } // fs::read",
        "fn f() {} #[cfg(test)] mod tests { fn g() { std::fs::write(p, t) } }",
    ] {
        assert!(ways(text).is_empty(), "{text}: {:?}", ways(text));
    }
}
