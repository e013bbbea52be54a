//! What a figure of a report shows.

use super::cells::lines;
use crate::eval::report::{EvalReport, Group};
use crate::plot::{DrawnDifference, DrawnScores};

/// Methods × tasks, and the differences over all tasks: shares only, since losses have another scale.
pub fn drawn(report: &EvalReport) -> DrawnScores {
    let rows: Vec<_> = lines(report).into_iter().filter(|line| !line.is_loss).collect();
    let of_groups =
        report.differences.iter().filter(|d| d.group.as_deref() == Some(Group::ALL) && !d.is_loss);
    DrawnScores {
        title: format!("Scores, {} split", report.split),
        subtitle: format!(
            "{}, % ± standard error",
            report.caption().unwrap_or_else(|| format!("{} scoring", report.scoring))
        ),
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
