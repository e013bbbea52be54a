//! The table of an evaluation for people.

use crate::cli::{Align, Table};
use crate::eval::{EvalReport, Group, GroupDifference, lines, mean_text};
use crate::text::{counted, printable};

/// Methods × tasks with standard errors, then means, differences and what is to be known.
pub(super) fn table(report: &EvalReport) -> String {
    let mut columns = vec![("task", Align::Left), ("family", Align::Left), ("items", Align::Right)];
    let names: Vec<String> = report.methods.iter().map(|method| printable(method).into_owned()).collect();
    columns.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    let some_seen = report.tasks.iter().any(|task| !task.held_out);
    for line in lines(report) {
        let mark = if line.seen == Group::HELD_OUT && some_seen { " *" } else { "" };
        let count = if line.is_mean { String::new() } else { line.count.to_string() };
        let mut cells = vec![format!("{}{mark}", line.label()), line.family.to_string(), count];
        cells.extend(line.scores.iter().map(|mean| mean_text(mean.as_ref(), line.is_loss, " ± ")));
        table.row(cells);
    }
    let mut text = table.render();
    if some_seen && report.tasks.iter().any(|task| task.held_out) {
        text.push_str("* held out: no expert was trained on it\n");
    }
    if let Some(caption) = report.caption() {
        text.push_str(&format!("{caption}\n"));
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
        let gap =
            report.oracle_gaps.iter().find(|gap| gap.method == *method && group == Group::ALL && !is_loss);
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
    text.push_str("better and worse: of so many tasks; of one task, items\n");
    if let Some(gap) = report.oracle_gaps.first() {
        let tasks = counted(gap.tasks, "task");
        text.push_str(&format!("behind expert: over {tasks} with an expert of its own; of shares alone\n"));
    }
    text
}
