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
    let mut columns = vec![
        ("method", Align::Left),
        ("tasks", Align::Left),
        ("difference", Align::Right),
        ("95 %", Align::Right),
        ("better", Align::Right),
        ("worse", Align::Right),
    ];
    // Of methods among which `expert` is.
    let has_gaps = !report.oracle_gaps.is_empty();
    columns.extend(has_gaps.then_some(("behind expert", Align::Right)));
    let mut table = Table::new(&columns);
    for GroupDifference { method, group, is_loss, difference, .. } in over_tasks {
        let number =
            |value: f64| if *is_loss { format!("{value:+.3}") } else { format!("{:+.1}", value * 100.0) };
        let interval = difference.interval.map(|[low, high]| format!("{} to {}", number(low), number(high)));
        let group = group.as_deref().unwrap_or_default();
        let gap =
            report.oracle_gaps.iter().find(|gap| gap.method == *method && group == Group::ALL && !is_loss);
        let mut cells = vec![
            method.clone(),
            if *is_loss { format!("{group}, loss") } else { group.to_string() },
            number(difference.difference),
            interval.unwrap_or_default(),
            difference.wins.to_string(),
            difference.losses.to_string(),
        ];
        let behind = gap.map_or(String::new(), |gap| format!("{:.1}", gap.difference.difference * 100.0));
        cells.extend(has_gaps.then_some(behind));
        table.row(cells);
    }
    text.push_str(&table.render());
    text.push_str("better and worse: of so many tasks; of one task, items\n");
    if let Some(gap) = report.oracle_gaps.first() {
        let tasks = counted(gap.tasks, "task");
        text.push_str(&format!("behind expert: over {tasks} with an expert of its own; of shares alone\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Difference, OracleGap};

    #[test]
    fn how_far_methods_are_behind_the_experts_stands_there_where_experts_are_asked() {
        let difference = Difference {
            difference: -0.2,
            interval: Some([-0.3, -0.1]),
            wins: 0,
            losses: 3,
            ..Default::default()
        };
        let mut report = EvalReport {
            methods: vec!["expert".into(), "base".into()],
            differences: vec![GroupDifference {
                method: "base".into(),
                against: "expert".into(),
                group: Some(Group::ALL.into()),
                task: None,
                is_loss: false,
                difference,
            }],
            ..EvalReport::default()
        };
        assert!(table(&report).contains("-20.0") && !table(&report).contains("behind expert"));
        report.oracle_gaps = vec![OracleGap { method: "base".into(), tasks: 3, difference }];
        let text = table(&report);
        assert!(
            text.contains("worse  behind expert") && text.contains("behind expert: over 3 tasks"),
            "{text}"
        );
    }
}
