//! A report as a LaTeX table (`tabular`, with booktabs' rules).

use super::cells::{NONE, lines, mean_text};
use crate::eval::report::{EvalReport, Group};
use crate::text::printable;

/// A text in a cell.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            c => out.push(c),
        }
    }
    out
}

/// The table; scores are in percent with their standard errors, losses in nats. The best of each line is bold.
pub fn latex(report: &EvalReport) -> String {
    let methods: Vec<String> = report.methods.iter().map(|method| cell(method)).collect();
    let mut text = format!("\\begin{{tabular}}{{lr{}}}\n\\toprule\n", "r".repeat(methods.len()));
    text.push_str(&format!("task & items & {} \\\\\n\\midrule\n", methods.join(" & ")));
    let mut ruled = false;
    for line in lines(report) {
        if line.is_mean && !std::mem::replace(&mut ruled, true) {
            text.push_str("\\midrule\n");
        }
        let sign = if line.is_loss { -1.0 } else { 1.0 };
        let best =
            line.scores.iter().flatten().map(|mean| sign * mean.score).fold(f64::NEG_INFINITY, f64::max);
        let scores = line.scores.iter().map(|mean| {
            let written = mean_text(mean.as_ref(), line.is_loss, " \\pm ");
            match mean {
                None => NONE.replace('–', "--"),
                Some(mean) if sign * mean.score == best => format!("$\\mathbf{{{written}}}$"),
                Some(_) => format!("${written}$"),
            }
        });
        let scores: Vec<String> = scores.collect();
        let held_out = if line.seen == Group::HELD_OUT { " (held out)" } else { "" };
        let count = if line.is_mean { String::new() } else { line.count.to_string() };
        text.push_str(&format!(
            "{}{held_out} & {count} & {} \\\\\n",
            cell(&line.label()),
            scores.join(" & ")
        ));
    }
    text.push_str("\\bottomrule\n\\end{tabular}\n");
    if let Some(caption) = report.caption() {
        text.push_str(&format!("% {caption}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tables::cells::testing::report;

    #[test]
    fn what_latex_would_read_is_escaped_and_the_best_is_bold() {
        let text = latex(&report());
        assert!(text.contains("task & items & base & single:a|b\\_c \\\\"), "{text}");
        assert!(text.contains("plural & 4 & $25.0 \\pm 25.0$ & $\\mathbf{50.0 \\pm 28.9}$ \\\\"), "{text}");
        assert!(
            text.contains(
                "100\\%\\_\\textbackslash{}u\\{1b\\}x (held out) & 4 & $\\mathbf{0.0 \\pm 0.0}$ & -- \\\\"
            ),
            "{text}"
        );
        assert!(text.contains("$3.500 \\pm 0.125$ & $\\mathbf{1.250 \\pm 0.000}$"), "{text}");
        assert!(text.ends_with("\\bottomrule\n\\end{tabular}\n"));
    }
}
