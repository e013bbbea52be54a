//! Parses the command line and hands over.

use lora_tui::{cli, tui};

fn main() -> std::process::ExitCode {
    cli::main(|library, base| {
        let options =
            tui::TuiOptions { base: base.base, device: base.run.device, precision: base.run.precision };
        tui::run(library, options)
    })
}
