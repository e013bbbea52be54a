//! The table of an evaluation for people, and what its figure shows.

use crate::cli::{Align, Table};
use crate::eval::{EvalReport, GroupDifference, lines, mean_text};
use crate::plot::{DrawnDifference, DrawnScores};
use crate::text::printable;

/// Methods × tasks with standard errors, then means, differences and what is to be known.
pub(super) fn table(report: &EvalReport) -> String {
    let mut columns = vec![("task", Align::Left), ("family", Align::Left), ("items", Align::Right)];
    let names: Vec<String> = report.methods.iter().map(|method| printable(method).into_owned()).collect();
    columns.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    let some_seen = report.tasks.iter().any(|task| !task.held_out);
    for line in lines(report) {
        let mark = if line.seen == "held out" && some_seen { " *" } else { "" };
        let count = if line.is_mean { String::new() } else { line.count.to_string() };
        let mut cells = vec![format!("{}{mark}", line.name), line.family.to_string(), count];
        cells.extend(line.scores.iter().map(|mean| mean_text(mean.as_ref(), line.is_loss, " ± ")));
        table.row(cells);
    }
    let mut text = table.render();
    if some_seen && report.tasks.iter().any(|task| task.held_out) {
        text.push_str("* held out: no expert was trained on it\n");
    }
    text.push_str(&differences(report));
    text
}

/// The differences over groups of tasks.
fn differences(report: &EvalReport) -> String {
    let over_tasks: Vec<&GroupDifference> = report.differences.iter().filter(|d| d.group.is_some()).collect();
    let Some(first) = over_tasks.first() else { return String::new() };
    let mut text = format!("\ndifferences to {} on the same items\n", printable(&first.against));
    let mut table = Table::new(&[
        ("method", Align::Left),
        ("tasks", Align::Left),
        ("difference", Align::Right),
        ("95 %", Align::Right),
        ("better", Align::Right),
        ("worse", Align::Right),
        ("behind expert", Align::Right),
    ]);
    for GroupDifference { method, group, is_loss, difference, .. } in over_tasks {
        let number =
            |value: f64| if *is_loss { format!("{value:+.3}") } else { format!("{:+.1}", value * 100.0) };
        let [low, high] = difference.interval;
        let group = group.as_deref().unwrap_or_default();
        let gap = report.oracle_gaps.iter().find(|gap| gap.method == *method && group == "all" && !is_loss);
        table.row([
            method.clone(),
            if *is_loss { format!("{group}, loss") } else { group.to_string() },
            number(difference.difference),
            format!("{} to {}", number(low), number(high)),
            difference.wins.to_string(),
            difference.losses.to_string(),
            gap.map_or(String::new(), |gap| format!("{:.1}", gap.difference.difference * 100.0)),
        ]);
    }
    text.push_str(&table.render());
    text
}

/// What a figure shows: shares only, since losses have another scale.
pub(super) fn drawn(report: &EvalReport) -> DrawnScores {
    let rows: Vec<_> = lines(report).into_iter().filter(|line| !line.is_loss).collect();
    let of_groups = report.differences.iter().filter(|d| d.group.as_deref() == Some("all") && !d.is_loss);
    DrawnScores {
        title: format!("Scores, {} split", report.split),
        subtitle: format!("{} scoring, % ± standard error", report.scoring),
        rows: rows.iter().map(|line| line.name.clone()).collect(),
        columns: report.methods.clone(),
        cells: rows
            .iter()
            .map(|line| line.scores.iter().map(|m| m.map(|m| (m.score, m.stderr))).collect())
            .collect(),
        against: report.differences.first().map(|d| d.against.clone()).unwrap_or_default(),
        differences: of_groups
            .map(|d| DrawnDifference {
                name: d.method.clone(),
                difference: d.difference.difference,
                interval: d.difference.interval,
            })
            .collect(),
    }
}
