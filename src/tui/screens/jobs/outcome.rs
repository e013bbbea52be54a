//! What a job found out, in words: its result is JSON for programs.

use std::collections::BTreeMap;

use ratatui::text::{Line, Span};
use serde_json::{Map, Value};

use crate::text::counted;
use crate::tui::{Theme, format, text_width};

/// Lines given to clusters, and to experts that were left out.
const LINES: usize = 12;

/// The lines of a result in at most `cells` cells each.
pub fn lines(result: &str, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut value = serde_json::from_str::<Value>(result).unwrap_or_default();
    // The file says how the job ended around what it found out, which is nothing when it did not finish.
    match value.get_mut("result") {
        Some(Value::Null) => return Vec::new(),
        Some(inner @ Value::Object(_)) => value = inner.take(),
        _ => {}
    }
    let Value::Object(found) = value else {
        let wrapped = result.lines().flat_map(|line| text_width::wrap(line, cells));
        return wrapped.map(|line| Line::styled(line, theme.text())).collect();
    };
    let facts = if found.contains_key("train_loss") {
        training(&found)
    } else if found.contains_key("clusters") {
        new_library(&found)
    } else if found.contains_key("labels") {
        clustering(&found)
    } else {
        found.iter().filter_map(|(name, value)| fact(&name.replace('_', " "), value)).collect()
    };
    let facts = text_width::flow(&facts, cells).into_iter().map(|line| Line::styled(line, theme.ok()));
    facts.chain(clusters(&found, cells, theme)).chain(left_out(&found, cells, theme)).collect()
}

fn number(found: &Map<String, Value>, name: &str) -> Option<f64> {
    found.get(name)?.as_f64().filter(|number| number.is_finite())
}

fn strings<'a>(found: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    found.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn training(found: &Map<String, Value>) -> Vec<String> {
    let steps = number(found, "steps").map(|steps| counted(steps as usize, "step"));
    let time = number(found, "seconds").map(format::duration);
    let loss = |label: &str, name: &str| number(found, name).map(|loss| format!("{label} {loss:.3}"));
    let validation = loss("validation loss", "validation_loss").map(|text| {
        number(found, "base_validation_loss").map_or(text.clone(), |base| format!("{text}, base {base:.3}"))
    });
    [
        steps.map(|steps| time.map_or(steps.clone(), |time| format!("{steps} in {time}"))),
        number(found, "tokens_per_second").map(|speed| format!("{speed:.0} tokens/s")),
        loss("training loss", "train_loss"),
        validation,
        found.get("path").and_then(Value::as_str).map(|path| format!("saved in {path}")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn clustering(found: &Map<String, Value>) -> Vec<String> {
    let experts = found.get("labels").and_then(Value::as_array).map_or(0, Vec::len);
    let k = number(found, "k")
        .map(|k| format!("{} of {}", counted(k as usize, "cluster"), counted(experts, "expert")));
    let rounded = |name: &str| number(found, name).map(|value| format!("{name} {value:.3}"));
    [k, rounded("inertia"), rounded("silhouette")].into_iter().flatten().collect()
}

/// The rows of the job say the rest.
fn new_library(found: &Map<String, Value>) -> Vec<String> {
    let experts = found.get("clusters").and_then(Value::as_array).map_or(0, Vec::len);
    let silhouette = number(found, "silhouette").map(|value| format!("silhouette {value:.3}"));
    let library = found.get("library").and_then(Value::as_str).map(|path| format!("saved in {path}"));
    [Some(counted(experts, "expert")), silhouette, library].into_iter().flatten().collect()
}

/// Something that no kind of job says today: of another version.
fn fact(name: &str, value: &Value) -> Option<String> {
    let shown = match value {
        Value::Null => return None,
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_string(),
        Value::Number(n) => match n.as_f64() {
            Some(x) if !n.is_i64() && !n.is_u64() && x.abs() < 1e6 => format!("{x:.3}"),
            _ => n.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("({} entries)", items.len()),
        Value::Object(fields) => format!("({} entries)", fields.len()),
    };
    Some(format!("{name} {shown}"))
}

/// A line a cluster: its letter and its members.
fn clusters(found: &Map<String, Value>, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
    let labels = found.get("labels").and_then(Value::as_array).into_iter().flatten();
    let mut members: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for (name, label) in strings(found, "experts").into_iter().zip(labels) {
        members.entry(label.as_u64().unwrap_or(u64::MAX)).or_default().push(name);
    }
    let line = |(label, names): (&u64, &Vec<&str>)| {
        let cluster = usize::try_from(*label).unwrap_or(usize::MAX);
        Line::from(vec![
            Span::styled(theme.mark(cluster).to_string(), theme.category(cluster)),
            Span::styled(
                text_width::truncate(&format!("  {}", names.join(", ")), cells.saturating_sub(1)),
                theme.text(),
            ),
        ])
    };
    capped(members.iter().map(line).collect(), "clusters", theme)
}

fn left_out(found: &Map<String, Value>, cells: usize, theme: &Theme) -> Vec<Line<'static>> {
    let skipped = found.get("skipped").and_then(Value::as_array).into_iter().flatten();
    let line = |skipped: &Value| {
        let text = |name: &str| skipped.get(name).and_then(Value::as_str).unwrap_or("?").to_string();
        let text = format!("! left out: {}: {}", text("name"), text("reason"));
        Line::styled(text_width::truncate(&text, cells), theme.warning())
    };
    capped(skipped.map(line).collect(), "left out", theme)
}

fn capped(mut lines: Vec<Line<'static>>, what: &str, theme: &Theme) -> Vec<Line<'static>> {
    let more = lines.len().saturating_sub(LINES);
    if more > 0 {
        lines.truncate(LINES);
        lines.push(Line::styled(format!("… and {more} more {what}"), theme.dim()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::Depth;

    fn text(result: &str) -> Vec<String> {
        lines(result, 60, &Theme::new(Depth::True)).iter().map(Line::to_string).collect()
    }

    #[test]
    fn a_training_is_told_in_words_with_units() {
        let result = r#"{ "state": "finished", "error": null, "ended": "2026-11-24T09:00:00Z", "result": {
            "expert": "gerunds", "path": "/lib/gerunds", "steps": 200, "train_loss": 0.31234567,
            "validation_loss": 0.4219, "base_validation_loss": 2.9001, "seconds": 312.4,
            "tokens_per_second": 930.61 } }"#;
        assert_eq!(
            text(result),
            [
                "200 steps in 5m12s · 931 tokens/s · training loss 0.312",
                "validation loss 0.422, base 2.900 · saved in /lib/gerunds"
            ]
        );
    }

    #[test]
    fn a_new_library_says_how_many_and_where() {
        let result = r#"{ "state": "finished", "result": { "library": "/lib/mbc", "k": 2, "seed": 42,
            "silhouette": 0.25, "clusters": [{ "name": "cluster_0" }, { "name": "cluster_1" }],
            "warnings": [], "skipped": [{ "name": "odd", "reason": "bad" }] } }"#;
        assert_eq!(
            text(result),
            ["2 experts · silhouette 0.250 · saved in /lib/mbc", "! left out: odd: bad"]
        );
    }

    #[test]
    fn a_clustering_names_its_members_and_what_was_left_out() {
        let result = r#"{ "k": 2, "seed": 1, "sparsity": 0.5, "experts": ["a", "b\u001b[2J", "c"], "labels": [0, 1, 0],
            "inertia": 1.52, "silhouette": null, "skipped": [{ "name": "x", "reason": "NaN" }] }"#;
        assert_eq!(
            text(result),
            ["2 clusters of 3 experts · inertia 1.520", "A  a, c", "B  b\\u{1b}[2J", "! left out: x: NaN"]
        );
    }

    #[test]
    fn what_is_unknown_is_shown_without_json() {
        let shown = text(r#"{ "some_value": 1.23456, "list": [1, 2], "on": true }"#).concat();
        for fact in ["some value 1.235", "list (2 entries)", "on yes"] {
            assert!(shown.contains(fact), "{shown}");
        }
        assert_eq!(text("not JSON"), ["not JSON"]);
        let cancelled = r#"{ "state": "cancelled", "error": null, "result": null, "ended": "2026-11-24" }"#;
        assert!(text(cancelled).is_empty());
        let many: Vec<usize> = (0..40).collect();
        let names: Vec<String> = many.iter().map(|i| format!("e{i}")).collect();
        let shown = text(&serde_json::json!({ "k": 40, "labels": many, "experts": names }).to_string());
        assert_eq!(shown.last().map(String::as_str), Some("… and 28 more clusters"));
    }
}
