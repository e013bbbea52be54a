//! A report as a Markdown table.

use super::cells::{lines, mean_text};
use crate::eval::report::{EvalReport, Group};
use crate::text::markdown_cell;

/// The table; scores are in percent with their standard errors, losses in nats.
pub fn markdown(report: &EvalReport) -> String {
    let methods: Vec<String> = report.methods.iter().map(|method| markdown_cell(method)).collect();
    let mut text = format!("| task | family | items | {} |\n", methods.join(" | "));
    text.push_str(&format!("|---|---|---:|{}\n", "---:|".repeat(methods.len())));
    for line in lines(report) {
        let emphasis = if line.is_mean { "**" } else { "" };
        let held_out = if line.seen == Group::HELD_OUT { " (held out)" } else { "" };
        let count = if line.is_mean { String::new() } else { line.count.to_string() };
        let scores: Vec<String> =
            line.scores.iter().map(|mean| mean_text(mean.as_ref(), line.is_loss, " ± ")).collect();
        text.push_str(&format!(
            "| {emphasis}{}{emphasis}{held_out} | {} | {count} | {} |\n",
            markdown_cell(&line.label()),
            markdown_cell(line.family),
            scores.join(" | ")
        ));
    }
    if let Some(caption) = report.caption() {
        text.push_str(&format!("\n{}\n", markdown_cell(&caption)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tables::cells::testing::report;

    #[test]
    fn names_stay_in_their_cells() {
        let expected = "\
| task | family | items | base | single:a\\|b\\_c |
|---|---|---:|---:|---:|
| plural | words, mostly | 4 | 25.0 ± 25.0 | 50.0 ± 28.9 |
| 100%\\_\\\\u{1b}x (held out) | words, mostly | 4 | 0.0 ± 0.0 | – |
| loss (held out) | words, mostly | 4 | 3.500 ± 0.125 | 1.250 ± 0.000 |
| **mean of 2 tasks** |  |  | 12.5 ± 12.5 | – |
";
        assert_eq!(markdown(&report()), expected);
        let mut report = report();
        report.tasks[0].shots = 5;
        let caption = "\n0- to 5-shot, own scoring, test split\n";
        let expected = expected.replace("| plural |", "| plural (5-shot) |");
        let expected = expected.replace(" (held out)", " (0-shot) (held out)");
        assert_eq!(markdown(&report), format!("{expected}{caption}"));
    }
}
