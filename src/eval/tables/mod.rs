//! Reports as tables: comma-separated values, Markdown, LaTeX.

mod cells;
mod csv;
mod figure;
mod formats;
mod latex;
mod markdown;

pub use cells::{Line, lines, mean_text};
