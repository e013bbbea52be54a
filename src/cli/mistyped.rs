//! A mistyped command looks like the name of a library: say which command was meant.

use std::ffi::OsString;
use std::path::Path;

use crate::named::nearest;
use crate::{Error, Result};

/// Looks at the first plain argument: a command or something that exists is fine.
///
/// # Errors
/// A usage error when it is neither and looks like a command or is followed by more arguments.
pub(super) fn check(arguments: &[OsString]) -> Result<()> {
    let Some(at) = command_at(arguments) else { return Ok(()) };
    let first = &arguments[at];
    let more = arguments.get(at + 1).is_some_and(|next| !next.to_string_lossy().starts_with('-'));
    let cli = super::command();
    let names: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).chain(["help"]).collect();
    let text = first.to_string_lossy();
    if names.iter().any(|name| *name == text) || Path::new(first).exists() {
        return Ok(());
    }
    let shown = names.iter().copied().filter(|name| *name != "worker");
    // A path is a path, however it is spelt.
    let near = if text.contains(['/', '\\', '.']) { Vec::new() } else { nearest(&text, shown, 1) };
    match near.first() {
        Some(name) => Err(Error::usage(format!(
            "`{text}` is neither a command nor a folder; did you mean `lora-tui {name}`?"
        ))),
        None if more => Err(Error::usage(format!("`{text}` is not a command; `lora-tui --help` lists them"))),
        None => Ok(()),
    }
}

/// Where the first argument is that is no option: a command or a library.
pub(super) fn command_at(arguments: &[OsString]) -> Option<usize> {
    let cli = super::command();
    let takes_value = |text: &str| {
        let mut options = cli.get_arguments().filter(|option| option.get_action().takes_values());
        text.starts_with("--") && options.any(|option| option.get_long() == text.strip_prefix("--"))
    };
    let mut at = 1;
    while let Some(argument) = arguments.get(at) {
        let text = argument.to_string_lossy();
        if text == "--" {
            return None;
        }
        if !text.starts_with('-') {
            return Some(at);
        }
        at += 1 + usize::from(takes_value(&text));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(arguments: &[&str]) -> Result<()> {
        let all: Vec<OsString> = ["lora-tui"].iter().chain(arguments).map(OsString::from).collect();
        check(&all)
    }

    #[test]
    fn near_misses_of_commands_are_answered() {
        for (typed, meant) in [("simlarity", "similarity"), ("tran", "train"), ("job", "jobs"), ("lst", "ls")]
        {
            let error = checked(&[typed]).unwrap_err();
            assert!(
                matches!(&error, Error::Usage(text) if text.contains(&format!("lora-tui {meant}"))),
                "{error}"
            );
        }
        assert!(checked(&["frobnicate", "x"]).is_err());
        assert!(checked(&["--device", "cpu", "simlarity"]).is_err());
    }

    #[test]
    fn commands_paths_and_options_pass() {
        for arguments in
            [&[][..], &["ls", "x"], &["./simlarity"], &["/"], &["--base", "simlarity"], &["--json"]]
        {
            assert!(checked(arguments).is_ok(), "{arguments:?}");
        }
        // No command is near: opening it gives the clearer answer.
        assert!(checked(&["my-own-adapters"]).is_ok());
    }
}
