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
