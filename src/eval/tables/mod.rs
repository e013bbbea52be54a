//! Reports as tables: comma-separated values, Markdown, LaTeX.

mod cells;
mod csv;
mod figure;
mod formats;
mod latex;
mod markdown;

pub use cells::{Line, lines, mean_text};
pub use csv::csv;
pub use figure::drawn;
pub use formats::{FORMATS, Format, format_of};
pub use latex::latex;
pub use markdown::markdown;
