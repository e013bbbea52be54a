//! The kinds of files that a report is written into, by the ending of a name.

use std::path::Path;

use super::{csv, drawn, latex, markdown};
use crate::eval::report::EvalReport;
use crate::plot::scores_figure;
use crate::text::listed;
use crate::{Error, Result};

/// A kind of file.
pub struct Format {
    /// Ending of its names, without the dot.
    pub ending: &'static str,
    /// One line for people, without a full stop.
    pub help: &'static str,
    /// A report as the bytes of such a file.
    pub bytes: fn(&EvalReport) -> Result<Vec<u8>>,
}

/// All kinds, in the order of lists.
pub static FORMATS: &[Format] = &[
    Format { ending: "md", help: "The table as Markdown", bytes: |report| Ok(markdown(report).into_bytes()) },
    Format {
        ending: "csv",
        help: "Every score as comma-separated values",
        bytes: |report| Ok(csv(report).into_bytes()),
    },
    Format { ending: "tex", help: "The table as LaTeX", bytes: |report| Ok(latex(report).into_bytes()) },
    Format {
        ending: "png",
        help: "Methods × tasks as a picture, and the differences with their intervals",
        bytes: |report| scores_figure(&drawn(report)).png(),
    },
    Format {
        ending: "svg",
        help: "The same as SVG",
        bytes: |report| Ok(scores_figure(&drawn(report)).svg()?.into_bytes()),
    },
];

/// The kind of file that a name asks for.
///
/// # Errors
/// A usage error that lists the endings.
pub fn format_of(path: &Path) -> Result<&'static Format> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    FORMATS.iter().find(|format| format.ending == ending).ok_or_else(|| {
        let endings: Vec<String> = FORMATS.iter().map(|format| format!(".{}", format.ending)).collect();
        let endings: Vec<&str> = endings.iter().map(String::as_str).collect();
        Error::file(path, format!("its name must end in {}", listed(&endings, "or")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tables::cells::testing::report;

    #[test]
    fn the_ending_of_a_name_says_what_is_written() {
        let begins = |name: &str| {
            let bytes = (format_of(name.as_ref()).unwrap().bytes)(&report()).unwrap();
            String::from_utf8_lossy(&bytes[..8]).into_owned()
        };
        assert_eq!((begins("a.md"), begins("a.b.CSV")), ("| task |".into(), "name,kin".into()));
        assert_eq!((begins("x/a.tex"), begins("a.svg")), ("\\begin{t".into(), "<svg wid".into()));
        assert!(begins("a.png").contains("PNG"));
        for name in ["a", "md", "a.pdf", ""] {
            let error = format_of(name.as_ref()).err().unwrap().to_string();
            assert!(error.contains(".md, .csv, .tex, .png or .svg"), "{error}");
        }
    }
}
