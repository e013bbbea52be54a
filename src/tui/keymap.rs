//! Keys as data: the footer, the `?` help and the handlers read the same table.

/// One line of a screen's key table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// As shown: `↑↓`, `Enter`, `m`.
    pub keys: &'static str,
    /// One or two words for the footer.
    pub short: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
}

impl Binding {
    /// A table line.
    pub const fn new(keys: &'static str, short: &'static str, help: &'static str) -> Self {
        Self { keys, short, help }
    }
}

/// What works in every tab, outside text fields.
pub const GLOBAL: [Binding; 6] = [
    Binding::new("1–5", "tabs", "Show a tab by its number"),
    Binding::new("Tab", "next", "Next tab; Shift-Tab goes back"),
    Binding::new("Esc", "dismiss", "Dismiss an error line, close what is open"),
    Binding::new("?", "help", "These keys"),
    Binding::new("Ctrl-Z", "suspend", "Suspend to the shell; `fg` comes back"),
    Binding::new("q", "quit", "Quit; jobs go on without the screen (also Ctrl-C)"),
];
