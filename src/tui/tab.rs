//! The name of a tab.

/// One of the tabs, by its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tab(pub(in crate::tui) &'static str);

impl Tab {
    /// As shown in the tab bar.
    pub fn title(self) -> &'static str {
        self.0
    }
}
