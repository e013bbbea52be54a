//! What all figures have in common: they are drawn as PNG and as SVG, and saved.

use std::path::Path;

use crate::Result;
use crate::outside::atomic_write;

/// A figure that can be saved.
pub trait Drawing {
    /// The PNG file's bytes. Names that the built-in font lacks characters of are numbered, with a legend.
    ///
    /// # Errors
    /// When it cannot be drawn.
    fn png(&self) -> Result<Vec<u8>>;

    /// The SVG document, whose names are drawn by whoever shows it.
    ///
    /// # Errors
    /// When it cannot be drawn.
    fn svg(&self) -> Result<String>;

    /// The names that the PNG shows by number: the label and the name, printable.
    fn numbered(&self) -> &[(String, String)];

    /// Writes a PNG.
    ///
    /// # Errors
    /// When it cannot be drawn or the file cannot be written.
    fn save_png(&self, path: &Path) -> Result<()> {
        atomic_write(path, &self.png()?)
    }

    /// Writes an SVG.
    ///
    /// # Errors
    /// When it cannot be drawn or the file cannot be written.
    fn save_svg(&self, path: &Path) -> Result<()> {
        atomic_write(path, self.svg()?.as_bytes())
    }
}
