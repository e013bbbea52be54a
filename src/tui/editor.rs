//! The person's own editor for a text, while the terminal is lent to it.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::outside::own;
use crate::text::printable;

/// The largest text that is taken back, in bytes.
const LARGEST: u64 = 1 << 20;

/// Until when Ctrl-C is the editor's.
#[derive(Clone, Copy)]
enum Work {
    None,
    Now,
    Until(Instant),
}

static WORK: Mutex<Work> = Mutex::new(Work::None);

/// A signal that came while the editor was at work may be heard so much later.
const LATE: Duration = Duration::from_millis(300);

fn set(work: Work) {
    *WORK.lock().unwrap_or_else(PoisonError::into_inner) = work;
}

/// Whether an editor has the terminal, or had it a moment ago: Ctrl-C is its own then.
pub fn is_at_work() -> bool {
    match *WORK.lock().unwrap_or_else(PoisonError::into_inner) {
        Work::None => false,
        Work::Now => true,
        Work::Until(end) => Instant::now() < end,
    }
}

/// What `VISUAL` or else `EDITOR` says.
fn program() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|program| !program.trim().is_empty());
    named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| "vi".into())
}

/// Lets the person edit `text`; returns what it is then, or one line that says why it stays as it was.
pub fn edit(text: &str) -> Result<String, String> {
    edit_with(&program(), &std::env::temp_dir(), text)
}

fn edit_with(program: &str, folder: &Path, text: &str) -> Result<String, String> {
    let path = folder.join(format!("lora-tui-prompt-{:016x}.txt", rand::random::<u64>()));
    // The last line has an end, too, as editors want it; it is none of the text.
    let given = if text.is_empty() { String::new() } else { format!("{text}\n") };
    own::create_private(&path, given.as_bytes()).map_err(|e| e.to_string())?;
    set(Work::Now);
    let ended = run(program, &path);
    set(Work::Until(Instant::now() + LATE));
    let edited = ended.and_then(|()| take(&path));
    // What was edited is not lost where it cannot be taken.
    match edited {
        Ok(edited) => {
            let _ = own::remove(&path);
            Ok(if edited == given { text.to_string() } else { without_end(edited) })
        }
        Err(error) => Err(format!("the prompt stays as it was: {}", printable(&error))),
    }
}

/// A text without the line break at its end.
fn without_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        // Where lines end with both, this one does.
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// The text of the file.
fn take(path: &Path) -> Result<String, String> {
    let bytes = own::read(path, LARGEST).map_err(|e| e.to_string())?;
    let bytes = bytes.ok_or_else(|| format!("{} is gone", path.display()))?;
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))
}

/// Runs the editor to its end.
#[cfg(unix)]
fn run(program: &str, path: &Path) -> Result<(), String> {
    use rustix::process::{Pid, Signal, WaitOptions, kill_current_process_group, waitpid};
    // As git does it: the variable may contain arguments. The shell outlives a Ctrl-C that the editor gets.
    let script = format!("trap : INT; {program} \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(path);
    let child = command.spawn().map_err(|e| format!("{program} cannot be run: {e}"))?;
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return Err(format!("{program} has no process"));
    };
    loop {
        match waitpid(Some(pid), WaitOptions::UNTRACED) {
            // Ctrl-Z in the editor: the shell is to have the terminal until both continue.
            Ok(Some((_, status))) if status.stopped() => {
                kill_current_process_group(Signal::STOP).map_err(|e| e.to_string())?;
            }
            Ok(Some((_, status))) if status.exit_status() == Some(0) => return Ok(()),
            Ok(Some((_, status))) => {
                let how = match status.exit_status() {
                    Some(127) => "cannot be found: set EDITOR or VISUAL".to_string(),
                    Some(code) => format!("ended with status {code}"),
                    None => "was ended by a signal".to_string(),
                };
                return Err(format!("{program} {how}"));
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(not(unix))]
fn run(program: &str, path: &Path) -> Result<(), String> {
    let mut words = program.split_whitespace();
    let status = Command::new(words.next().unwrap_or("notepad")).args(words).arg(path).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} ended with {status}")),
        Err(error) => Err(format!("{program} cannot be run: {error}; set EDITOR or VISUAL")),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn left_behind(folder: &Path) -> usize {
        std::fs::read_dir(folder).map_or(usize::MAX, Iterator::count)
    }

    #[test]
    fn a_text_is_what_the_editor_left_and_the_file_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        // With arguments, and a file that is replaced, as some editors do it.
        let text = edit_with(
            "sh -c 'sed s/fox/日本/ \"$1\" > \"$1.new\" && mv \"$1.new\" \"$1\"' --",
            dir.path(),
            "a fox",
        );
        assert_eq!(text.as_deref(), Ok("a 日本"));
        for untouched in ["as it was\n\n", "as it was", "\r\n", "a\r", ""] {
            assert_eq!(edit_with("true", dir.path(), untouched).as_deref(), Ok(untouched));
        }
        let printed = |text: &str| edit_with(&format!("printf '{text}' >"), dir.path(), "as it was");
        assert_eq!(printed(r"one\ttwo\r\nthree\r\n").as_deref(), Ok("one\ttwo\r\nthree"));
        assert_eq!(printed(r"one\n\n").as_deref(), Ok("one\n"));
        assert_eq!(printed("one").as_deref(), Ok("one"));
        assert_eq!(left_behind(dir.path()), 0);
    }

    #[test]
    fn an_editor_that_fails_changes_nothing_and_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let said = |program: &str| edit_with(program, dir.path(), "a fox").unwrap_err();
        assert!(said("false").contains("false ended with status 1"), "{}", said("false"));
        assert!(said("no-such-editor-here 2>/dev/null").contains("set EDITOR"));
        assert!(said("kill -9 $$; :").contains("by a signal"));
        assert!(said("rm").contains("is gone"));
        assert!(said("printf '\\377' >").contains("not UTF-8"));
    }

    #[test]
    fn only_the_user_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mode = dir.path().join("mode");
        edit_with(&format!("cp -p \"$1\" {}; :", mode.display()), dir.path(), "secret").unwrap();
        assert_eq!(std::fs::metadata(&mode).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
