//! The formats that a report is written in.

use super::csv::csv;
use super::figure::drawn;
use super::latex::latex;
use super::markdown::markdown;
use crate::Result;
use crate::eval::report::EvalReport;
use crate::export::{Export, Format};
use crate::plot::{Drawing, scores_figure};

impl Export for EvalReport {
    const FORMATS: &'static [Format<Self>] = &[
        Format::csv("Write every score as comma-separated values", csv),
        Format::markdown("Write the table as Markdown", markdown),
        Format::latex("Write the table as LaTeX", latex),
        Format::png("Draw methods × tasks, and the differences with their intervals"),
        Format::svg("The same as SVG"),
    ];
    const EXCLUDED_BY: &'static [&'static str] = &["routing"];

    fn figure(&self) -> Result<Box<dyn Drawing>> {
        Ok(Box::new(scores_figure(&drawn(self))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tables::cells::testing::report;

    #[test]
    fn the_ending_of_a_name_says_what_is_written() {
        let begins = |name: &str| {
            let bytes = Format::of_name(name.as_ref()).unwrap().bytes(&report()).unwrap();
            String::from_utf8_lossy(&bytes[..8]).into_owned()
        };
        assert_eq!((begins("a.md"), begins("a.b.CSV")), ("| task |".into(), "name,kin".into()));
        assert_eq!((begins("x/a.tex"), begins("a.svg")), ("\\begin{t".into(), "<svg wid".into()));
        assert!(begins("a.png").contains("PNG"));
        for name in ["a", "md", "a.pdf", ""] {
            let error = Format::<EvalReport>::of_name(name.as_ref()).err().unwrap().to_string();
            assert!(error.contains(".csv, .md, .tex, .png or .svg"), "{error}");
        }
    }
}
