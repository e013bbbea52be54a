//! Parses the command line and hands over.

use lora_tui::{cli, tui};

fn main() -> std::process::ExitCode {
    cli::main(|library, base, theme| {
        let (base, run) = (base.base, base.run);
        let options = tui::TuiOptions { base, device: run.device, precision: run.precision, theme };
        tui::run(library, options)
    })
}
