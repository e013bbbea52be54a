//! An adaptation as tables and as a figure.

use super::report::{AdaptReport, Scores, Untrained};
use crate::Result;
use crate::eval::{Mean, mean_text};
use crate::export::{Export, Format};
use crate::plot::{Curve, CurvePoint, Drawing, DrawnCurves, Panel, curves_figure};
use crate::text::{csv_field, markdown_cell, number};

impl Export for AdaptReport {
    const FORMATS: &'static [Format<Self>] = &[
        Format::csv("Write every score as comma-separated values", csv),
        Format::markdown("Write the table as Markdown", markdown),
        Format::png("Draw scores and losses over numbers of examples as PNG"),
        Format::svg("The same as SVG"),
    ];
    const EXCLUDED_BY: &'static [&'static str] = &["name"];

    fn figure(&self) -> Result<Box<dyn Drawing>> {
        Ok(Box::new(curves_figure(&drawn(self))))
    }
}

impl AdaptReport {
    /// Whether the scores are losses, not shares.
    fn is_loss(&self) -> bool {
        self.metric.is_some_and(|metric| metric.is_loss())
    }

    /// The starts, each once.
    fn starts(&self) -> Vec<&str> {
        let mut starts: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !starts.contains(&row.start.as_str()) {
                starts.push(&row.start);
            }
        }
        starts
    }
}

/// A score with its standard error, shares in percent; `–` where there is none.
fn score_text(report: &AdaptReport, scores: &Scores) -> String {
    mean_text(scores.score.as_ref(), report.is_loss(), " ± ")
}

fn loss_text(scores: &Scores) -> String {
    scores.loss.map_or("–".into(), |loss| number(loss.score, 3))
}

/// Every row as comma-separated values: shares from 0 to 1, losses in nats. A row of 0 shots was not trained.
fn csv(report: &AdaptReport) -> String {
    let mut text = String::from(
        "start,shots,score_before,score_before_stderr,loss_before,score,score_stderr,loss,kept\n",
    );
    let value = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let cells = |scores: &Scores| {
        let stderr = scores.score.and_then(|mean| mean.stderr);
        [value(scores.score.map(|mean| mean.score)), value(stderr), value(scores.loss.map(|mean| mean.score))]
            .join(",")
    };
    for one in &report.untrained {
        text += &format!("{},0,,,,{},\n", csv_field(&one.method), cells(&one.scores));
    }
    for row in &report.rows {
        let (before, after) = (cells(&row.before), cells(&row.after));
        text += &format!("{},{},{before},{after},{}\n", csv_field(&row.start), row.shots, value(row.kept));
    }
    text
}

/// The rows of tables: start, shots, score and loss before training, and after it.
pub fn rows(report: &AdaptReport) -> Vec<[String; 6]> {
    let untrained = report.untrained.iter().map(|one| {
        let none = String::new;
        let (score, loss) = (score_text(report, &one.scores), loss_text(&one.scores));
        [one.method.clone(), "0".into(), none(), none(), score, loss]
    });
    let trained = report.rows.iter().map(|row| {
        let texts = |scores: &Scores| (score_text(report, scores), loss_text(scores));
        let ((score, loss), (after, after_loss)) = (texts(&row.before), texts(&row.after));
        [row.start.clone(), row.shots.to_string(), score, loss, after, after_loss]
    });
    untrained.chain(trained).collect()
}

/// The headings of [`rows`].
pub const HEADINGS: [&str; 6] = ["start", "shots", "before", "loss before", "score", "loss"];

/// The table in Markdown; scores are in percent with their standard errors, losses in nats.
fn markdown(report: &AdaptReport) -> String {
    let mut text = format!("| {} |\n|---|---:|---:|---:|---:|---:|\n", HEADINGS.join(" | "));
    for row in rows(report) {
        let cells: Vec<String> = row.iter().map(|cell| markdown_cell(cell)).collect();
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// Scores and losses over shots, a line a start; what was not trained is drawn across.
fn drawn(report: &AdaptReport) -> DrawnCurves {
    let percent = |mean: &Mean| match report.is_loss() {
        true => *mean,
        false => Mean { score: 100.0 * mean.score, stderr: mean.stderr.map(|error| 100.0 * error) },
    };
    let panel = |title: String, of: &dyn Fn(&Scores) -> Option<Mean>| {
        let point = |x: usize, scores: &Scores| {
            let mean = of(scores)?;
            Some(CurvePoint { x: x as f64, y: mean.score, error: mean.stderr })
        };
        let level = |one: &Untrained| Curve {
            name: one.method.clone(),
            points: point(0, &one.scores).into_iter().collect(),
            is_level: true,
        };
        let line = |start: &str| {
            let own = report.rows.iter().filter(|row| row.start == start);
            let points = own.filter_map(|row| point(row.shots, &row.after)).collect();
            Curve { name: start.into(), points, is_level: false }
        };
        let lines = report.starts().into_iter().map(line);
        Panel { title, curves: lines.chain(report.untrained.iter().map(level)).collect() }
    };
    let name = report.metric.map_or("score", |metric| metric.name);
    let unit = if report.is_loss() { "nats per token" } else { "%" };
    let mut panels = vec![panel(format!("{name}, {unit}"), &|scores| scores.score.as_ref().map(percent))];
    if !report.is_loss() {
        panels.push(panel("loss, nats per token".into(), &|scores| scores.loss));
    }
    DrawnCurves {
        title: format!("{} with few examples", report.task),
        axis: "training examples".into(),
        is_logarithmic: report.rows.iter().map(|row| row.shots).max() >= Some(16),
        panels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::AdaptRow;
    use crate::named::Named;
    use crate::scorers::Scorer;

    fn scores(score: f64, loss: f64) -> Scores {
        let mean = |score, stderr| Some(Mean { score, stderr: Some(stderr) });
        Scores { score: mean(score, 0.125), loss: mean(loss, 0.5) }
    }

    fn report() -> AdaptReport {
        let row = |start: &str, shots, after| AdaptRow {
            start: start.into(),
            shots,
            experts: Vec::new(),
            kept: (start != "scratch").then_some(0.75),
            before: scores(0.0, 4.0),
            after: scores(after, 2.0),
            training: serde_json::from_value(serde_json::json!({
                "expert": "s0-8", "path": "s0-8", "steps": 1, "train_loss": 1.0, "validation_loss": null,
                "base_validation_loss": null, "seconds": 1.0, "tokens_per_second": 1.0,
            }))
            .unwrap(),
        };
        AdaptReport {
            task: "t".into(),
            metric: Scorer::named("exact_match").ok().copied(),
            rows: vec![row("scratch", 8, 0.25), row("scratch", 32, 0.5), row("single:a,b", 8, 0.75)],
            untrained: vec![Untrained { method: "base".into(), scores: scores(0.0, 4.5) }],
            ..AdaptReport::default()
        }
    }

    #[test]
    fn every_pair_has_a_row_behind_what_was_not_trained() {
        let expected = "\
start,shots,score_before,score_before_stderr,loss_before,score,score_stderr,loss,kept
base,0,,,,0,0.125,4.5,
scratch,8,0,0.125,4,0.25,0.125,2,
scratch,32,0,0.125,4,0.5,0.125,2,
\"single:a,b\",8,0,0.125,4,0.75,0.125,2,0.75
";
        assert_eq!(csv(&report()), expected);
        let expected = "\
| start | shots | before | loss before | score | loss |
|---|---:|---:|---:|---:|---:|
| base | 0 |  |  | 0.0 ± 12.5 | 4.500 |
| scratch | 8 | 0.0 ± 12.5 | 4.000 | 25.0 ± 12.5 | 2.000 |
| scratch | 32 | 0.0 ± 12.5 | 4.000 | 50.0 ± 12.5 | 2.000 |
| single:a,b | 8 | 0.0 ± 12.5 | 4.000 | 75.0 ± 12.5 | 2.000 |
";
        assert_eq!(markdown(&report()), expected);
    }

    #[test]
    fn the_figure_has_a_line_a_start() {
        let drawn = drawn(&report());
        assert_eq!(drawn.panels.len(), 2);
        let names: Vec<(&str, usize, bool)> =
            drawn.panels[0].curves.iter().map(|c| (c.name.as_str(), c.points.len(), c.is_level)).collect();
        assert_eq!(names, [("scratch", 2, false), ("single:a,b", 1, false), ("base", 1, true)]);
        assert_eq!(drawn.panels[0].curves[0].points[1], CurvePoint { x: 32.0, y: 50.0, error: Some(12.5) });
        assert!(curves_figure(&drawn).svg().unwrap().contains("with few examples"));
    }
}
