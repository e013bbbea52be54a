//! Every colour of the interface.

/// Colours for what the terminal can show.
#[derive(Clone, Debug)]
pub struct Theme {}
