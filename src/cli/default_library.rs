//! The library that is meant where a command names none.

use std::ffi::OsString;
use std::path::Path;

use super::mistyped::command_at;

/// The library when none is named.
pub(super) const DEFAULT_LIBRARY: &str = "./library";

/// The arguments with the default library behind the command, where it is there and the command takes one that is not
/// named; and whether what follows the command cannot be a library: it is the name of an action.
pub(super) fn inserted(
    arguments: &[OsString],
    is_folder: &dyn Fn(&Path) -> bool,
) -> Option<(Vec<OsString>, bool)> {
    let at = command_at(arguments)?;
    let cli = super::command();
    let command = cli.find_subcommand(arguments.get(at)?)?;
    let takes_one = command.get_positionals().next().is_some_and(|first| first.get_id() == "library");
    if !takes_one || !is_folder(Path::new(DEFAULT_LIBRARY)) {
        return None;
    }
    let next = arguments.get(at + 1);
    if next.is_some_and(|next| is_folder(Path::new(next))) {
        return None;
    }
    let is_action = next.is_some_and(|next| command.find_subcommand(next).is_some());
    let (before, after) = arguments.split_at(at + 1);
    let all = before.iter().cloned().chain([DEFAULT_LIBRARY.into()]).chain(after.iter().cloned());
    Some((all.collect(), is_action))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str], folders: &[&str]) -> Option<(String, bool)> {
        let all: Vec<OsString> = ["lora-tui"].iter().chain(arguments).map(OsString::from).collect();
        let found = inserted(&all, &|path| folders.iter().any(|folder| Path::new(folder) == path));
        let (all, action) = found?;
        let words: Vec<String> = all.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        Some((words.join(" "), action))
    }

    #[test]
    fn the_library_here_is_meant_where_none_is_named() {
        let here = ["./library"];
        let is = |arguments: &[&str], expected: &str| {
            assert_eq!(of(arguments, &here), Some((expected.to_string(), false)), "{arguments:?}");
        };
        is(&["ls"], "ls ./library");
        is(&["show", "x"], "show ./library x");
        is(&["--json", "ls", "--check"], "--json ls ./library --check");
        is(&["merge", "--experts", "a,b"], "merge ./library --experts a,b");
        assert_eq!(of(&["jobs", "log", "12"], &here), Some(("jobs ./library log 12".into(), true)));
        assert_eq!(of(&["ls"], &[]), None);
        assert_eq!(of(&["show", "lib"], &["./library", "lib"]), None);
        assert_eq!(of(&["completions"], &here), None);
        assert_eq!(of(&["doctor"], &here).map(|(_, action)| action), Some(false));
        assert_eq!(of(&["library"], &here), None);
    }
}
