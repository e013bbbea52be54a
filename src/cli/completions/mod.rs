//! `completions`: scripts for shells.
//!
//! The scripts of bash, zsh and fish ask this program at every Tab, so that names of experts and jobs are offered,
//! too. Those of other shells are made once and know the definition of the command line alone.

mod answer;
mod candidate;
mod line;
mod scripts;
mod values;

use std::ffi::OsString;
use std::path::Path;

use clap::Command;

use self::candidate::{Answer, Paths};
use self::scripts::{Asking, Shell};
use super::default_library;
use super::options::choice;
use super::output::Output;
use crate::Result;

/// Print completions for a shell
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = scripts::help())]
pub struct CompletionsArgs {
    #[arg(value_parser = choice::<Shell>())]
    pub shell: Shell,
    /// What the shell asks: the command up to the cursor
    #[arg(long, hide = true, allow_hyphen_values = true)]
    pub line: Option<String>,
    /// Characters at which bash begins another word
    #[arg(long, hide = true, requires = "line", allow_hyphen_values = true)]
    pub breaks: Option<String>,
}

/// Runs the command.
pub fn run(args: &CompletionsArgs, output: &Output) -> Result<()> {
    let asking = args.shell.asking();
    match (&args.line, asking) {
        (Some(line), Some(Asking { print, .. })) => {
            let words = line::split(line);
            let answer = here(&offered(), &words);
            output.text(&print(&answer, &words.last, args.breaks.as_deref().unwrap_or_default()))
        }
        (_, Some(Asking { script, .. })) => {
            let program = std::env::current_exe();
            output.text(&script(program.as_deref().unwrap_or(Path::new(NAME))))
        }
        (_, None) => output.text(&args.shell.static_script(&mut offered())),
    }
}

/// What may stand at the cursor, also if the library of this folder is meant.
fn here(command: &Command, words: &line::Words) -> Answer {
    let mut found = answer::answer(command, &words.before, &words.last.text);
    let typed: Vec<OsString> =
        std::iter::once(NAME).chain(words.before.iter().map(String::as_str)).map(Into::into).collect();
    if let Some((meant, _)) = default_library::inserted(&typed, &|path| path.is_dir()) {
        let meant: Vec<String> =
            meant.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let mut more = answer::answer(command, &meant, &words.last.text);
        more.candidates.retain(|candidate| !found.candidates.contains(candidate));
        found.candidates.append(&mut more.candidates);
        if found.paths == Paths::None {
            found.paths = more.paths;
        }
    }
    found
}

/// As the program is called.
const NAME: &str = "lora-tui";

/// The command line without what is hidden.
fn offered() -> Command {
    let mut all = super::command();
    all.build();
    // `help` lists all of them, too.
    let shown =
        all.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    let shown = shown.cloned().collect::<Vec<_>>();
    let arguments = all.get_arguments().cloned().collect::<Vec<_>>();
    let offered = Command::new(NAME).disable_help_subcommand(true).args_conflicts_with_subcommands(true);
    let mut offered = offered.args(arguments).subcommands(shown);
    offered.build();
    offered
}

#[cfg(test)]
mod tests;
