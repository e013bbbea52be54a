//! Results as files: tables and figures, in the formats that each result can be written in.

use std::path::Path;

use crate::plot::Drawing;
use crate::text::listed;
use crate::{Error, Result};

/// A result that can be written into files.
pub trait Export: Sized + 'static {
    /// Its formats, in the order of lists.
    const FORMATS: &'static [Format<Self>];

    /// Options of its command with which there is no such result: they exclude those that name files.
    const EXCLUDED_BY: &'static [&'static str] = &[];

    /// What its PNG and SVG show.
    ///
    /// # Errors
    /// When it cannot be laid out; a raised flag where that takes long.
    fn figure(&self) -> Result<Box<dyn Drawing>>;

    /// What its texts contain, for a person: what is said where one was written.
    fn about_table(&self) -> String {
        "the table".into()
    }

    /// What its figure shows, for a person.
    fn about_figure(&self) -> String {
        "the figure".into()
    }
}

/// What makes a file of a result.
pub enum Content<R> {
    /// A text of its own.
    Text(fn(&R) -> String),
    /// [`Export::figure`] as PNG.
    Png,
    /// [`Export::figure`] as SVG.
    Svg,
}

/// A format of a result.
pub struct Format<R> {
    /// Ending of the names of such files, without the dot.
    pub ending: &'static str,
    /// Option that names such a file, without its dashes.
    pub flag: &'static str,
    /// One line for people, without a full stop.
    pub help: &'static str,
    /// What makes the file.
    pub content: Content<R>,
}

impl<R> Format<R> {
    /// Comma-separated values.
    pub const fn csv(help: &'static str, text: fn(&R) -> String) -> Self {
        Self { ending: "csv", flag: "csv", help, content: Content::Text(text) }
    }

    /// A table in Markdown.
    pub const fn markdown(help: &'static str, text: fn(&R) -> String) -> Self {
        Self { ending: "md", flag: "markdown", help, content: Content::Text(text) }
    }

    /// A table in LaTeX.
    pub const fn latex(help: &'static str, text: fn(&R) -> String) -> Self {
        Self { ending: "tex", flag: "latex", help, content: Content::Text(text) }
    }

    /// The figure as pixels.
    pub const fn png(help: &'static str) -> Self {
        Self { ending: "png", flag: "png", help, content: Content::Png }
    }

    /// The figure as a drawing.
    pub const fn svg(help: &'static str) -> Self {
        Self { ending: "svg", flag: "svg", help, content: Content::Svg }
    }
}

impl<R: Export> Format<R> {
    /// The format that a file's name asks for by its ending.
    ///
    /// # Errors
    /// A name with another ending, with a list of those that there are.
    pub fn of_name(path: &Path) -> Result<&'static Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
        R::FORMATS.iter().find(|format| format.ending == ending).ok_or_else(|| {
            let endings: Vec<String> =
                R::FORMATS.iter().map(|format| format!(".{}", format.ending)).collect();
            let endings: Vec<&str> = endings.iter().map(String::as_str).collect();
            Error::file(path, format!("its name must end in {}", listed(&endings, "or")))
        })
    }

    /// A result as the bytes of such a file.
    ///
    /// # Errors
    /// As [`Export::figure`]; a figure that cannot be drawn.
    pub fn bytes(&self, result: &R) -> Result<Vec<u8>> {
        match self.content {
            Content::Text(text) => Ok(text(result).into_bytes()),
            Content::Png => result.figure()?.png(),
            Content::Svg => Ok(result.figure()?.svg()?.into_bytes()),
        }
    }
}
