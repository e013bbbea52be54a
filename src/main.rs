//! Parses the command line and hands over.

use lora_tui::{cli, devices, tui};

fn main() -> std::process::ExitCode {
    // SAFETY: nothing has started a thread yet.
    unsafe { devices::number_as_the_driver_does() };
    cli::main(|library, base, theme| {
        let (base, run) = (base.base, base.run);
        let notify = tui::Notify::configured()?;
        let options = tui::TuiOptions { base, device: run.device, precision: run.precision, theme, notify };
        tui::run(library, options)
    })
}
