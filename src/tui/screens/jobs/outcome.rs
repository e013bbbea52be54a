//! What a job found out, in words.

use ratatui::text::{Line, Span};

use crate::jobs::kinds::Findings;
use crate::library::Skipped;
use crate::tui::{Theme, cluster_mark, text_width};

/// How many clusters are listed, and how many experts that were left out.
const ENTRIES: usize = 12;

/// The lines of what a job found out, in at most `cells` cells each.
pub fn lines(found: &Findings, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
    let facts = text_width::flow(&found.facts, cells).into_iter().map(|line| Line::styled(line, theme.ok()));
    facts.chain(clusters(found, cells, theme)).chain(left_out(found, cells, theme)).collect()
}

/// Each cluster: its number and its members.
fn clusters(found: &Findings, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
    let line = |(cluster, names): &(usize, Vec<String>)| {
        let mark = cluster_mark::mark(*cluster);
        let indent = text_width::width(&mark) + 2;
        let members = text_width::wrap(&names.join(", "), cells.saturating_sub(indent));
        let mark = Span::styled(text_width::left(&mark, indent), theme.category(*cluster));
        let marks = std::iter::once(mark).chain(std::iter::repeat(Span::raw(" ".repeat(indent))));
        let lines = members.into_iter().zip(marks);
        lines.map(|(text, mark)| Line::from(vec![mark, Span::styled(text, theme.text())])).collect()
    };
    capped(found.clusters.iter().map(line).collect(), "clusters", theme)
}

fn left_out(found: &Findings, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
    let line = |skipped: &Skipped| {
        let lines = text_width::wrap(&format!("! left out: {skipped}"), cells);
        lines.into_iter().map(|line| Line::styled(line, theme.warning())).collect()
    };
    capped(found.left_out.iter().map(line).collect(), "left out", theme)
}

/// The first entries, each of some lines.
fn capped(mut entries: Vec<Vec<Line<'static>>>, what: &str, theme: &Theme) -> Vec<Line<'static>> {
    let more = entries.len().saturating_sub(ENTRIES);
    if more > 0 {
        entries.truncate(ENTRIES);
        entries.push(vec![Line::styled(format!("… and {more} more {what}"), theme.dim())]);
    }
    entries.concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jobs::kinds::{CLUSTER, Kind, TRAIN, TRAIN_CLUSTERS};
    use crate::tui::Depth;

    /// The lines of a result as its file has it.
    fn text(kind: &Kind, result: serde_json::Value) -> Vec<String> {
        let found = kind.report(result).unwrap().findings();
        lines(&found, 60, &Theme::new(Depth::True)).iter().map(Line::to_string).collect()
    }

    #[test]
    fn a_training_is_reported_in_words_with_units() {
        let mut result = json!({
            "expert": "gerunds", "path": "/lib/gerunds", "steps": 200, "train_loss": 0.31234567,
            "validation_loss": 0.4219, "base_validation_loss": 2.9001, "seconds": 312.4,
            "tokens_per_second": 930.61, "of_a_later_version": [1, 2],
        });
        assert_eq!(
            text(&TRAIN, result.clone()),
            [
                "200 steps in 5m12s · 931 tokens/s · training loss 0.312",
                "validation loss 0.422, base 2.900 · saved in /lib/gerunds"
            ]
        );
        // What is not a number is null in JSON.
        result["train_loss"] = json!(null);
        assert_eq!(text(&TRAIN, result)[0], "200 steps in 5m12s · 931 tokens/s");
    }

    #[test]
    fn a_new_library_says_how_many_and_where() {
        let row = |name: &str| json!({ "name": name, "members": [], "data": [], "examples": 1, "steps": 1 });
        let result = json!({
            "library": "/lib/mbc", "k": 2, "seed": 42, "sparsity": 0.5, "silhouette": 0.25,
            "clusters": [row("cluster_1"), row("cluster_2")],
            "warnings": [], "skipped": [{ "name": "odd", "reason": "bad" }],
        });
        assert_eq!(
            text(&TRAIN_CLUSTERS, result),
            ["2 experts · silhouette 0.250 · saved in /lib/mbc", "! left out: odd: bad"]
        );
    }

    #[test]
    fn a_clustering_names_its_members_and_what_was_left_out() {
        let result = json!({
            "k": 2, "seed": 1, "sparsity": 0.5, "experts": ["a", "b\u{1b}[2J", "c"], "labels": [0, 1, 0],
            "inertia": 1.52, "silhouette": null, "skipped": [{ "name": "x", "reason": "NaN" }],
        });
        assert_eq!(
            text(&CLUSTER, result),
            ["2 clusters of 3 experts · inertia 1.520", "1  a, c", "2  b\\u{1b}[2J", "! left out: x: NaN"]
        );
        let many: Vec<usize> = (0..40).collect();
        let names: Vec<String> = many.iter().map(|i| format!("e{i}")).collect();
        let shown = text(&CLUSTER, json!({ "k": 40, "labels": many, "experts": names }));
        assert_eq!(shown.last().map(String::as_str), Some("… and 28 more clusters"));
    }
}
