//! Task folders near a library: beside it, and where the program was started.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::Cancel;
use crate::outside::open_regular;
use crate::text::natural;
use crate::train::{Example, read_task};
use crate::tui::{KnownTask, TaskExample};

/// Deepest folder that is looked into.
const MAX_DEPTH: usize = 4;
/// Most folders that are looked into, and most tasks that are shown.
const MAX_FOLDERS: usize = 4000;
const MAX_TASKS: usize = 2000;
/// Bytes that are read to count examples, of all tasks together.
const MAX_COUNTED: u64 = 256 << 20;
/// Bytes that are read of a task to show its first examples, and how many of these are shown.
const MAX_LOOKED_AT: u64 = 1 << 16;
const EXAMPLES: usize = 3;
/// Folders of what others made.
const PASSED_OVER: [&str; 4] = ["target", "node_modules", "snapshots", "checkpoints"];

/// The task folders at or below the folder of `library` and the current one, in natural order, each as it would be
/// typed.
pub fn known(library: Option<&Path>, cancel: &Cancel) -> Vec<KnownTask> {
    let here = std::fs::canonicalize(".").ok();
    let library = library.and_then(|path| std::fs::canonicalize(path).ok());
    let beside = library.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    let mut roots: Vec<PathBuf> = here.iter().cloned().chain(beside).collect();
    // A folder that lies below another one is looked at once.
    roots.dedup_by(|second, first| second.starts_with(first));
    let mut folders = Vec::new();
    let mut left = MAX_FOLDERS;
    for root in &roots {
        visit(root, library.as_deref(), MAX_DEPTH, &mut left, &mut folders, cancel);
    }
    folders.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()));
    folders.dedup();
    folders.truncate(MAX_TASKS);
    let mut bytes = MAX_COUNTED;
    let mut found = Vec::with_capacity(folders.len());
    for folder in folders {
        if cancel.is_cancelled() {
            break;
        }
        found.push(task(&folder, here.as_deref(), &mut bytes));
    }
    found
}

fn visit(
    folder: &Path,
    library: Option<&Path>,
    depth: usize,
    left: &mut usize,
    found: &mut Vec<PathBuf>,
    cancel: &Cancel,
) {
    // Below a library are experts, and jobs with copies of what they were given.
    if *left == 0 || cancel.is_cancelled() || library.is_some_and(|library| folder == library) {
        return;
    }
    *left -= 1;
    if ["train.jsonl", "test.jsonl"].iter().any(|name| folder.join(name).is_file()) {
        found.push(folder.to_path_buf());
        return;
    }
    if depth == 0 {
        return;
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut inner: Vec<PathBuf> = entries
        // No link is followed: it may lead to what was seen, or anywhere.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // Names with control characters cannot be typed.
            !name.starts_with('.')
                && !PASSED_OVER.contains(&name.as_ref())
                && !name.chars().any(char::is_control)
        })
        .map(|entry| entry.path())
        .collect();
    inner.sort();
    inner.iter().for_each(|path| visit(path, library, depth - 1, left, found, cancel));
}

fn task(folder: &Path, here: Option<&Path>, bytes: &mut u64) -> KnownTask {
    let typed = here.and_then(|here| folder.strip_prefix(here).ok()).unwrap_or(folder);
    let info = read_task(folder);
    let split = |name: &str| folder.join(name);
    let [train, validation, test] = ["train.jsonl", "validation.jsonl", "test.jsonl"].map(split);
    let counts = [&train, &validation, &test].map(|path| lines(path, bytes));
    let shown = if train.is_file() { &train } else { &test };
    KnownTask {
        path: match typed.to_string_lossy() {
            here if here.is_empty() => ".".into(),
            typed => typed.into_owned(),
        },
        held_out: info.as_ref().is_ok_and(|info| info.held_out),
        metric: info.as_ref().map(|info| info.metric.name.to_string()).unwrap_or_default(),
        problem: info.err().map(|error| error.to_string()),
        counts,
        examples: examples(shown),
    }
}

/// Lines of a file that are not empty; nothing where there are too many bytes. No file has none.
fn lines(path: &Path, left: &mut u64) -> Option<usize> {
    let Ok((file, found)) = open_regular(path) else { return Some(0) };
    *left = left.checked_sub(found.len())?;
    let mut reader = BufReader::with_capacity(1 << 16, file.take(found.len()));
    let (mut count, mut blank) = (0, true);
    loop {
        let bytes = reader.fill_buf().ok()?;
        if bytes.is_empty() {
            return Some(count + usize::from(!blank));
        }
        for byte in bytes {
            if *byte == b'\n' {
                count += usize::from(!blank);
                blank = true;
            } else if !byte.is_ascii_whitespace() {
                blank = false;
            }
        }
        let read = bytes.len();
        reader.consume(read);
    }
}

/// The first examples of a file.
fn examples(path: &Path) -> Vec<TaskExample> {
    let Ok((file, _)) = open_regular(path) else { return Vec::new() };
    let mut bytes = Vec::new();
    if file.take(MAX_LOOKED_AT).read_to_end(&mut bytes).is_err() {
        return Vec::new();
    }
    let lines =
        bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Example>(line).ok());
    lines
        .take(EXAMPLES)
        .map(|example| {
            let asked = [example.instruction, example.input].join(" ");
            TaskExample { asked: asked.trim().to_string(), answered: example.output }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_beside_a_library_are_found_with_counts_and_examples() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let line = "{\"instruction\":\"Add\",\"input\":\"1 1\",\"output\":\"2\"}\n";
        write("tasks/f/a10/train.jsonl", &line.repeat(4));
        write("tasks/f/a10/validation.jsonl", line);
        write("tasks/f/a2/test.jsonl", &format!("{line}\n{}", line.trim()));
        write("tasks/f/a2/task.toml", "held_out = true\nmetric = \"accuracy\"\n");
        write("tasks/f/broken/train.jsonl", "no json\n");
        write("tasks/f/broken/task.toml", "nonsense = 1\n");
        write("library/expert/train.jsonl", line);
        write(".hidden/x/train.jsonl", line);
        let known = known(Some(&root.join("library")), &Cancel::new());
        let of = |end: &str| known.iter().find(|task| task.path.ends_with(end)).unwrap();
        let ours: Vec<&KnownTask> =
            known.iter().filter(|task| task.path.starts_with(root.to_str().unwrap())).collect();
        assert_eq!(ours.len(), 3, "{ours:?}");
        assert!(ours[0].path.ends_with("f/a2") && ours[1].path.ends_with("f/a10"));
        assert_eq!(of("f/a10").counts, [Some(4), Some(1), Some(0)]);
        assert_eq!(of("f/a10").examples[0], TaskExample { asked: "Add 1 1".into(), answered: "2".into() });
        assert_eq!(
            (of("f/a2").held_out, of("f/a2").metric.as_str(), of("f/a2").counts[2]),
            (true, "accuracy", Some(2))
        );
        assert!(
            of("f/broken").problem.as_ref().unwrap().contains("nonsense")
                && of("f/broken").examples.is_empty()
        );
    }
}
