//! What a figure of a report shows.

use super::cells::lines;
use crate::eval::report::{EvalReport, Group};
use crate::plot::{DrawnDifference, DrawnScores, Scale};

/// Methods × tasks, losses on a scale of their own, and the differences over all tasks: those of shares, where there are
/// some, else those of losses.
pub fn drawn(report: &EvalReport) -> DrawnScores {
    let rows = lines(report);
    let of_groups = |is_loss: bool| {
        let all = report.differences.iter();
        all.filter(move |d| d.group.as_deref() == Some(Group::ALL) && d.is_loss == is_loss)
    };
    let is_loss = of_groups(false).next().is_none() && of_groups(true).next().is_some();
    let losses: Vec<bool> = rows.iter().map(|line| line.is_loss).collect();
    let unit = match (losses.contains(&false), losses.contains(&true)) {
        (true, true) => "% and, of losses, nats",
        (false, true) => "nats",
        (_, false) => "%",
    };
    DrawnScores {
        title: format!("{}, {} split", if unit == "nats" { "Losses" } else { "Scores" }, report.split),
        subtitle: format!(
            "{}, {unit} ± standard error",
            report.caption().unwrap_or_else(|| format!("{} scoring", report.scoring))
        ),
        rows: rows.iter().map(|line| line.label()).collect(),
        columns: report.methods.clone(),
        cells: rows
            .iter()
            .map(|line| line.scores.iter().map(|m| m.map(|m| (m.score, m.stderr))).collect())
            .collect(),
        losses,
        against: report.differences.first().map(|d| d.against.clone()).unwrap_or_default(),
        differences: of_groups(is_loss)
            .map(|d| DrawnDifference {
                name: d.method.clone(),
                difference: d.difference.difference,
                ends: d.difference.ends(),
                is_better: d.difference.is_better(d.is_loss),
            })
            .collect(),
        scale: Scale::of(is_loss),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tables::cells::testing::report;
    use crate::plot::{Drawing, scores_figure};

    #[test]
    fn losses_are_drawn_too() {
        let svg = scores_figure(&drawn(&report())).svg().unwrap();
        for part in ["plural", "50.0 ± 28.9", "loss", "3.500 ± 0.125", "% and, of losses, nats"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        let mut alone = report();
        (alone.tasks, alone.scores, alone.means) =
            (alone.tasks.split_off(2), alone.scores.split_off(2), Vec::new());
        let drawn = drawn(&alone);
        assert_eq!((drawn.rows, drawn.losses), (vec!["loss".to_string()], vec![true]));
        assert!(drawn.title.starts_with("Losses"), "{}", drawn.title);
    }
}
