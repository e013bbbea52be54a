//! `completions`: scripts for shells.

use clap_complete::Shell;

use super::output::Output;
use crate::Result;

/// Print completions for a shell
#[derive(Clone, Debug, clap::Args)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Runs the command.
pub fn run(args: &CompletionsArgs, output: &Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "lora-tui", &mut script);
    output.text(&String::from_utf8_lossy(&script))
}
