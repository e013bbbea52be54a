//! Reports as tables: comma-separated values, Markdown, LaTeX.

mod cells;
mod csv;
mod latex;
mod markdown;

pub use cells::{Line, lines, mean_text};
pub use csv::csv;
pub use latex::latex;
pub use markdown::markdown;
