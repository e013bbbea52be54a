//! Parses the command line and hands over.

fn main() -> std::process::ExitCode {
    lora_tui::cli::main()
}
