//! What an evaluation found out, in a sentence.

use ratatui::style::Style;

use crate::eval::{Difference, EvalReport, Group, Mean, mean_text};
use crate::jobs::JobState;
use crate::text::{duration, printable};
use crate::tui::{Evaluated, Theme};

/// A share or a loss as text, with its sign.
pub(super) fn signed(value: f64, is_loss: bool) -> String {
    if is_loss { format!("{value:+.3}") } else { format!("{:+.1}", value * 100.0) }
}

/// An interval as text.
pub(super) fn interval_text(interval: Option<[f64; 2]>, is_loss: bool) -> String {
    match interval {
        Some([low, high]) => format!("{} to {}", signed(low, is_loss), signed(high, is_loss)),
        None => "–".into(),
    }
}

/// Green is better, whatever the sign; what may be chance is dim.
pub(super) fn verdict(found: &Difference, is_loss: bool, theme: &Theme) -> Style {
    match found.is_better(is_loss) {
        Some(true) => theme.ok(),
        Some(false) => theme.warning(),
        None => theme.dim(),
    }
}

/// The method with the best mean among those of `allowed`.
fn best(scores: &[Option<Mean>], is_loss: bool, allowed: impl Fn(usize) -> bool) -> Option<(usize, Mean)> {
    let sign = if is_loss { -1.0 } else { 1.0 };
    let known = scores.iter().enumerate().filter(|(at, _)| allowed(*at));
    let known = known.filter_map(|(at, mean)| Some((at, (*mean)?)));
    // Of equals the first.
    known.reduce(|best, one| if sign * one.1.score > sign * best.1.score { one } else { best })
}

/// What is being done, or why it ended early; nothing of a finished evaluation.
pub(super) fn state(evaluated: &Evaluated) -> Option<String> {
    let job = &evaluated.job;
    let answers = (job.steps > 0).then(|| format!("{} of {} answers", job.step, job.steps));
    let text = match job.state {
        JobState::Finished => return None,
        JobState::Queued => format!("Queued: {}.", job.reason().unwrap_or_default()),
        JobState::Running => {
            let left = evaluated.left.map(|left| format!("{} left", duration(left)));
            let counts: Vec<String> = ["Running".into()].into_iter().chain(answers).chain(left).collect();
            let stage = evaluated.stage.as_ref().map(|stage| format!(": {stage}"));
            format!("{}{}.", counts.join(", "), stage.unwrap_or_default())
        }
        JobState::Cancelling => "Is being cancelled; what it found out is kept.".into(),
        JobState::Cancelled => match answers {
            Some(answers) => format!("Was cancelled after {answers}, which are kept."),
            None => "Was cancelled before it began.".into(),
        },
        JobState::Failed => format!("Failed: {}", job.error.as_deref().unwrap_or("for an unknown reason")),
    };
    Some(printable(&text).into_owned())
}

/// Which method is best where it matters most, and by how much.
pub(super) fn sentence(report: &EvalReport) -> Option<String> {
    let group = |name: &str| report.means.iter().find(|group| group.name == name && !group.is_loss);
    let group = group(Group::HELD_OUT).or_else(|| group(Group::ALL)).or_else(|| report.means.first())?;
    let is_own = |at: usize| report.methods.get(at).is_some_and(|label| label == "expert");
    let (at, mean) = best(&group.scores, group.is_loss, |at| !is_own(at))?;
    let name = report.methods.get(at)?;
    let score = mean_text(Some(&mean), group.is_loss, " ± ");
    let held_out = group.name == Group::HELD_OUT || report.tasks.iter().all(|task| task.held_out);
    let over = match (held_out, group.tasks) {
        (true, 1) => "the held-out task".into(),
        (true, tasks) => format!("{tasks} held-out tasks"),
        (false, 1) => "the task".into(),
        (false, tasks) => format!("{tasks} tasks"),
    };
    let against = report.differences.first().map(|d| d.against.as_str());
    let found = report.differences.iter().find(|found| {
        found.group.as_ref() == Some(&group.name) && found.method == *name && found.is_loss == group.is_loss
    });
    let mut text = match found {
        // Among one alone there is no best.
        _ if report.methods.len() == 1 => format!("{name} over {over}: {score}"),
        _ if against == Some(name) => {
            let own = |label: &String| label == "expert";
            let own = report.methods.iter().position(own).and_then(|at| *group.scores.get(at)?);
            let is_above = own.is_some_and(|own| match group.is_loss {
                true => own.score < mean.score,
                false => own.score > mean.score,
            });
            let nothing = if is_above { "No router" } else { "Nothing" };
            format!("{nothing} is above {name} over {over}: {score}")
        }
        Some(found) => {
            let by = signed(found.difference.difference, group.is_loss);
            let sure = match found.difference.is_better(group.is_loss) {
                Some(_) => "",
                None => ", which may be chance",
            };
            let interval = found.difference.interval;
            let interval = interval.map(|ends| format!(" ({})", interval_text(Some(ends), group.is_loss)));
            let interval = interval.unwrap_or_default();
            format!("{name} is best over {over}: {score}, {by} to {}{interval}{sure}", found.against)
        }
        None => format!("{name} is best over {over}: {score}"),
    };
    if let Some(gap) = report.oracle_gaps.iter().find(|gap| gap.method == *name && gap.tasks > 0) {
        let behind = gap.difference.difference * 100.0;
        let side = if behind < 0.0 { "above" } else { "behind" };
        let tasks = match gap.tasks {
            1 => "the task with".to_string(),
            tasks => format!("{tasks} tasks with"),
        };
        text.push_str(&format!("; over {tasks} an own expert {:.1} {side} that", behind.abs()));
    }
    text.push('.');
    Some(printable(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures;

    #[test]
    fn the_sentence_says_who_wins_where_it_matters_and_whether_it_may_be_chance() {
        let report = fixtures::evaluated().report;
        let text = sentence(&report).unwrap();
        assert_eq!(
            text,
            "arrow:k=3 is best over 2 held-out tasks: 40.0 ± 10.0, +20.0 to base (-5.0 to +45.0), which may be chance; \
             over 3 tasks with an own expert 15.0 behind that."
        );
        let mut alone = report.clone();
        alone.methods = vec!["base".into()];
        alone.means.iter_mut().for_each(|group| group.scores = vec![group.scores[1]]);
        (alone.differences, alone.oracle_gaps) = (Vec::new(), Vec::new());
        assert_eq!(sentence(&alone).unwrap(), "base over 2 held-out tasks: 20.0 ± 20.0.");
        assert_eq!(sentence(&EvalReport::default()), None);
    }

    #[test]
    fn what_is_not_finished_says_how_far_it_is() {
        let mut evaluated = fixtures::evaluated();
        assert_eq!(state(&evaluated), None);
        (evaluated.job.state, evaluated.job.step, evaluated.job.steps) = (JobState::Running, 30, 120);
        (evaluated.left, evaluated.stage) = (Some(61.0), Some("arrow: plurals, 3 of 4".into()));
        assert_eq!(
            state(&evaluated).unwrap(),
            "Running, 30 of 120 answers, 1m01s left: arrow: plurals, 3 of 4."
        );
        evaluated.job.state = JobState::Failed;
        evaluated.job.error = Some("no\x1b[2J base".into());
        assert_eq!(state(&evaluated).unwrap(), "Failed: no\\u{1b}[2J base");
        evaluated.job.state = JobState::Cancelled;
        assert!(state(&evaluated).unwrap().starts_with("Was cancelled after 30 of 120 answers"));
        evaluated.job.steps = 0;
        (evaluated.job.state, evaluated.left) = (JobState::Running, None);
        assert_eq!(state(&evaluated).unwrap(), "Running: arrow: plurals, 3 of 4.");
    }
}
