//! The modules of the crate use only those below them, and no files use each other in a circle.
//!
//! The order is the table in the documentation of `src/lib.rs`. Paths are read from the sources as text: `use`
//! trees and paths within code, followed through re-exports to the file that defines the item. Tests may use
//! what they like.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use crate::support::repository;

#[test]
fn modules_use_only_those_below_them() {
    let sources = Sources::read(&repository().join("src"));
    let layers = layers(&sources.text(&[]));
    let rank = |module: &str| {
        layers.iter().position(|row| row.iter().any(|name| name == module)).unwrap_or_else(|| {
            panic!("`{module}` has no row in the table of layers in src/lib.rs");
        })
    };
    let mut upward = Vec::new();
    for (from, to) in sources.edges() {
        let (Some(user), Some(used)) = (from.first(), to.first()) else { continue };
        if user != used && rank(user) >= rank(used) {
            upward.push(format!("{} uses {}", from.join("/"), to.join("/")));
        }
    }
    assert!(upward.is_empty(), "against the order in src/lib.rs:\n{}", upward.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = Sources::read(&repository().join("src"));
    // What the root of a folder lends to the files below it is no circle.
    let edges = sources.edges().into_iter().filter(|(user, used)| !user.starts_with(used)).collect();
    let circles = circles(&edges);
    let found: Vec<String> = circles
        .iter()
        .map(|circle| circle.iter().map(|file| file.join("/")).collect::<Vec<_>>().join(", "))
        .collect();
    assert!(found.is_empty(), "{} circles:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_tab_has_the_same_five_files() {
    let screens = repository().join("src/tui/screens");
    let folders: Vec<_> = std::fs::read_dir(&screens)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("mod.rs").is_file())
        .collect();
    assert!(folders.len() >= 5, "{folders:?}");
    for folder in folders {
        for file in ["mod.rs", "state.rs", "keys.rs", "view.rs", "tests.rs"] {
            assert!(folder.join(file).is_file(), "{} has no {file}", folder.display());
        }
    }
}

/// The rows of the table in a file's documentation whose first column names modules in backticks.
fn layers(text: &str) -> Vec<Vec<String>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `")?.split(" |").next());
    rows.map(|cell| {
        cell.split(['`', ',', ' ']).filter(|name| !name.is_empty()).map(String::from).collect::<Vec<_>>()
    })
    .collect()
}

/// A module by its path below the crate.
type Module = Vec<String>;

/// What one file says about paths.
#[derive(Default)]
struct File {
    text: String,
    /// Names that `use` brings into the file, with what they stand for.
    names: HashMap<String, Module>,
    /// Modules whose names are all brought in.
    globs: Vec<Module>,
    /// Names that the file defines.
    defined: BTreeSet<String>,
    /// Every absolute path that the file uses, re-exports of what lies below it left out.
    paths: Vec<Module>,
}

struct Sources {
    files: BTreeMap<Module, File>,
}

impl Sources {
    fn read(src: &Path) -> Self {
        let mut texts = BTreeMap::new();
        collect(src, &mut Vec::new(), &mut texts);
        let mut files = BTreeMap::new();
        let known: BTreeSet<Module> = texts.keys().cloned().collect();
        let mut of_tests = Vec::new();
        for (module, text) in texts {
            let file = Reader::new(&module, text, &known).read(&mut of_tests);
            files.insert(module, file);
        }
        files.retain(|module, _| !of_tests.iter().any(|test| module.starts_with(test)));
        Self { files }
    }

    fn text(&self, module: &[String]) -> String {
        self.files[module].text.clone()
    }

    /// (user, used), each pair once.
    fn edges(&self) -> BTreeSet<(Module, Module)> {
        let mut edges = BTreeSet::new();
        for (module, file) in &self.files {
            for path in &file.paths {
                let target = self.resolve(path, 0);
                if target != *module && self.files.contains_key(&target) {
                    edges.insert((module.clone(), target));
                }
            }
        }
        edges
    }

    /// The module whose file defines what an absolute path names.
    fn resolve(&self, path: &[String], depth: usize) -> Module {
        let mut at: Module = Vec::new();
        for (i, name) in path.iter().enumerate() {
            let child = [at.as_slice(), std::slice::from_ref(name)].concat();
            if self.files.contains_key(&child) {
                at = child;
                continue;
            }
            let Some(file) = self.files.get(&at) else { break };
            if depth < 8 && !file.defined.contains(name) {
                if let Some(target) = file.names.get(name).filter(|target| target.as_slice() != &path[..=i]) {
                    return self.resolve(&[target.as_slice(), &path[i + 1..]].concat(), depth + 1);
                }
                for glob in &file.globs {
                    let holder = self.resolve(glob, depth + 1);
                    if holder != at && self.files.get(&holder).is_some_and(|f| f.defined.contains(name)) {
                        return holder;
                    }
                }
            }
            break;
        }
        at
    }
}

/// Texts of all files below a folder, by module; `main.rs` is another crate.
fn collect(folder: &Path, at: &mut Module, texts: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_string();
        if path.is_dir() {
            at.push(stem);
            collect(&path, at, texts);
            at.pop();
        } else if path.extension().is_some_and(|e| e == "rs") && stem != "main" {
            let mut module = at.clone();
            if stem != "mod" && stem != "lib" {
                module.push(stem);
            }
            texts.insert(module, std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Reads a file's tokens.
struct Reader<'a> {
    module: &'a [String],
    known: &'a BTreeSet<Module>,
    tokens: Vec<String>,
    at: usize,
    file: File,
}

impl<'a> Reader<'a> {
    fn new(module: &'a [String], text: String, known: &'a BTreeSet<Module>) -> Self {
        let tokens = tokens(&text);
        Self { module, known, tokens, at: 0, file: File { text, ..File::default() } }
    }

    fn token(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    /// `of_tests` gets the modules that are compiled for tests alone.
    fn read(mut self, of_tests: &mut Vec<Module>) -> File {
        // Depths of braces at which modules within the file end.
        let (mut inline, mut depth, mut public) = (Vec::new(), 0usize, false);
        while self.at < self.tokens.len() {
            if ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(i, t)| self.token(i) == *t) {
                self.at += 7;
                self.skip_item(of_tests);
                continue;
            }
            match self.token(0) {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if inline.last() == Some(&depth) {
                        inline.pop();
                    }
                }
                "mod" if self.token(2) == "{" => {
                    inline.push(depth);
                    depth += 1;
                    self.at += 3;
                    continue;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" => {
                    let name = self.token(1).to_string();
                    self.file.defined.insert(name);
                }
                "macro_rules" => {
                    let name = self.token(2).to_string();
                    self.file.defined.insert(name);
                }
                "pub" => public = true,
                "use" => {
                    self.at += 1;
                    let mut found = Vec::new();
                    self.tree(&mut Vec::new(), &mut found);
                    for (path, name) in found {
                        self.import(path, name, public, inline.len());
                    }
                    public = false;
                    continue;
                }
                ";" => public = false,
                _ if self.token(1) == "::" && (self.at == 0 || self.tokens[self.at - 1] != "::") => {
                    let mut path = vec![self.token(0).to_string()];
                    while self.token(1) == "::" && is_name(self.token(2)) {
                        path.push(self.token(2).to_string());
                        self.at += 2;
                    }
                    if let Some(path) = self.absolute(&path, inline.len()) {
                        self.file.paths.push(path);
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        self.file
    }

    /// Passes over the item after `#[cfg(test)]`.
    fn skip_item(&mut self, of_tests: &mut Vec<Module>) {
        let mut depth = 0usize;
        while self.at < self.tokens.len() {
            if self.token(0) == "mod" && self.token(2) == ";" && depth == 0 {
                of_tests.push([self.module, &[self.token(1).to_string()]].concat());
            }
            match self.token(0) {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            let end = depth == 0 && matches!(self.token(0), "}" | ";");
            self.at += 1;
            if end {
                return;
            }
        }
    }

    /// The paths of a `use` tree with the names that they get; a glob's name is `*`.
    fn tree(&mut self, prefix: &mut Vec<String>, found: &mut Vec<(Module, String)>) {
        let before = prefix.len();
        loop {
            match self.token(0).to_string().as_str() {
                "{" => {
                    self.at += 1;
                    while self.token(0) != "}" && self.at < self.tokens.len() {
                        self.tree(prefix, found);
                        if self.token(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    break;
                }
                "*" => {
                    found.push((prefix.clone(), "*".into()));
                    self.at += 1;
                    break;
                }
                "::" => self.at += 1,
                name if is_name(name) => {
                    prefix.push(name.to_string());
                    self.at += 1;
                    if self.token(0) == "::" {
                        continue;
                    }
                    let mut alias = name.to_string();
                    if self.token(0) == "as" {
                        alias = self.token(1).to_string();
                        self.at += 2;
                    }
                    if name == "self" {
                        prefix.pop();
                        alias = prefix.last().cloned().unwrap_or_default();
                    }
                    found.push((prefix.clone(), alias));
                    break;
                }
                _ => break,
            }
        }
        prefix.truncate(before);
    }

    fn import(&mut self, path: Module, name: String, public: bool, inline: usize) {
        let Some(path) = self.absolute(&path, inline) else { return };
        // What a module passes on from below itself, it does not use.
        if !(public && path.starts_with(self.module)) {
            self.file.paths.push(path.clone());
        }
        if inline == 0 {
            match name.as_str() {
                "*" => self.file.globs.push(path),
                _ => drop(self.file.names.insert(name, path)),
            }
        }
    }

    /// A path from the crate's root, if it is one of this crate's; `inline` modules of the file are around it.
    fn absolute(&self, path: &[String], mut inline: usize) -> Option<Module> {
        let mut module = self.module.to_vec();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                module.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    match inline {
                        0 => drop(module.pop()),
                        _ => inline -= 1,
                    }
                    rest = &rest[1..];
                }
            }
            child => {
                if !self.known.contains(&[self.module, &[child.to_string()]].concat()) {
                    return None;
                }
            }
        }
        Some([module.as_slice(), rest].concat())
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single characters; without comments, strings and characters.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut tokens, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            i += 2;
            while i < chars.len() && !(chars[i] == '*' && at(i + 1) == '/') {
                i += 1;
            }
            i += 2;
        } else if c == 'r' && (at(i + 1) == '"' || (at(i + 1) == '#' && matches!(at(i + 2), '"' | '#'))) {
            let hashes = chars[i + 1..].iter().take_while(|c| **c == '#').count();
            i += 2 + hashes;
            while i < chars.len() && !(chars[i] == '"' && (1..=hashes).all(|h| at(i + h) == '#')) {
                i += 1;
            }
            i += 1 + hashes;
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A lifetime has no closing quote.
            match at(i + 1) {
                '\\' => {
                    i += 3;
                    while i < chars.len() && chars[i] != '\'' {
                        i += 1;
                    }
                    i += 1;
                }
                _ if at(i + 2) == '\'' => i += 3,
                _ => i += 1,
            }
        } else if c.is_alphanumeric() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            tokens.push(chars[start..i].iter().collect());
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push("::".into());
            i += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.into());
            }
            i += 1;
        }
    }
    tokens
}

/// Tokens without the items that are compiled for tests alone.
pub(crate) fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is = |ahead: usize, text: &str| tokens.get(at + ahead).is_some_and(|token| token == text);
        let plain = ["#", "[", "cfg", "(", "test", ")", "]"];
        let unix = ["#", "[", "cfg", "(", "all", "(", "test", ",", "unix", ")", ")", "]"];
        let attribute = |words: &[&str]| words.iter().enumerate().all(|(ahead, word)| is(ahead, word));
        let length = match () {
            () if attribute(&plain) => plain.len(),
            () if attribute(&unix) => unix.len(),
            () => {
                kept.push(tokens[at].clone());
                at += 1;
                continue;
            }
        };
        at += length;
        let mut depth = 0usize;
        while at < tokens.len() {
            match tokens[at].as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            let end = depth == 0 && matches!(tokens[at].as_str(), "}" | ";");
            at += 1;
            if end {
                break;
            }
        }
    }
    kept
}

/// Sets of more than one module each of which reaches all others of its set.
fn circles(edges: &BTreeSet<(Module, Module)>) -> Vec<Vec<Module>> {
    let mut used: BTreeMap<&Module, Vec<&Module>> = BTreeMap::new();
    for (from, to) in edges {
        used.entry(from).or_default().push(to);
    }
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = used
        .keys()
        .map(|start| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![*start]);
            while let Some(at) = open.pop() {
                open.extend(used.get(at).into_iter().flatten().filter(|to| seen.insert(**to)));
            }
            (*start, seen)
        })
        .collect();
    let mut found: Vec<Vec<Module>> = Vec::new();
    for (module, seen) in &reach {
        if seen.contains(module) && !found.iter().flatten().any(|known| known == *module) {
            let circle = seen.iter().filter(|other| reach.get(**other).is_some_and(|r| r.contains(module)));
            found.push(circle.map(|other| (*other).clone()).collect());
        }
    }
    found
}

#[test]
fn uses_are_found_through_re_exports_and_within_code() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        ("lib.rs", "pub mod high; pub mod low;"),
        ("high.rs", "pub fn top() {} #[cfg(test)] mod tests { use crate::low::leaf::leaf; }"),
        (
            "low/mod.rs",
            "pub mod leaf; pub mod other; pub use leaf::{leaf, Leaf as Named}; // crate::high::top",
        ),
        (
            "low/leaf.rs",
            "pub fn leaf() { let _ = \"crate::high::top\"; crate::high::top() } use super::other::Other;",
        ),
        ("low/other.rs", "use super::Named; pub struct Other<'a>(&'a Named);"),
    ];
    std::fs::create_dir(dir.path().join("low")).unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let edges = Sources::read(dir.path()).edges();
    let found: Vec<String> = edges.iter().map(|(a, b)| format!("{} {}", a.join("/"), b.join("/"))).collect();
    assert_eq!(found, ["low/leaf high", "low/leaf low/other", "low/other low/leaf"]);
    assert_eq!(circles(&edges).len(), 1);
}
