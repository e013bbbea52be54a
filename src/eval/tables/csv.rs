//! A report as comma-separated values (RFC 4180), in full precision: a line per task or mean and method. Scores are
//! shares, losses are in nats.

use super::cells::lines;
use crate::eval::report::EvalReport;
use crate::text::csv_field;

/// The table.
pub fn csv(report: &EvalReport) -> String {
    let mut text = String::from("name,kind,family,seen,metric,count,method,score,stderr,shots,scoring\n");
    for line in lines(report) {
        for (method, mean) in report.methods.iter().zip(line.scores) {
            let Some(mean) = mean else { continue };
            let fields = [
                csv_field(&line.name),
                if line.is_mean { "mean" } else { "task" }.into(),
                csv_field(line.family),
                line.seen.into(),
                line.metric.into(),
                line.count.to_string(),
                csv_field(method),
                mean.score.to_string(),
                mean.stderr.map_or(String::new(), |error| error.to_string()),
                line.shots.map_or(String::new(), |shots| shots.to_string()),
                report.scoring.to_string(),
            ];
            text.push_str(&fields.join(","));
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::tables::cells::testing::report;

    #[test]
    fn every_score_is_a_line() {
        let text = csv(&report());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 1 + 5 + 1);
        assert_eq!(lines[1], "plural,task,\"words, mostly\",seen,exact_match,4,base,0.25,0.25,0,own");
        assert_eq!(lines[3], "100%_\\u{1b}x,task,\"words, mostly\",held out,accuracy,4,base,0,0,0,own");
        assert_eq!(lines[6], "mean of 2 tasks,mean,,,,2,base,0.125,0.125,,own");
    }
}
