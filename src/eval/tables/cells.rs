//! The lines that every kind of table has: tasks, then means.

use crate::eval::report::{EvalReport, Group};
use crate::eval::statistics::Mean;

/// What stands where a method does not apply.
pub const NONE: &str = "–";

/// A line of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// A task, or what the mean is over; untrusted.
    pub name: String,
    /// Of a task; untrusted.
    pub family: &'a str,
    /// `seen` or `held out`, of a task.
    pub seen: &'static str,
    /// Name of the metric; that of the means is empty.
    pub metric: &'static str,
    /// Items of a task, or tasks of a mean.
    pub count: usize,
    /// Examples before each item of a task; `None` of a mean.
    pub shots: Option<usize>,
    /// Whether that is not the same for all tasks, so that it has to be said.
    pub names_shots: bool,
    /// Whether scores are losses.
    pub is_loss: bool,
    /// Whether it is a mean over tasks.
    pub is_mean: bool,
    /// By method.
    pub scores: &'a [Option<Mean>],
}

impl Line<'_> {
    /// The name, with the number of examples before items where tasks differ in it.
    pub fn label(&self) -> String {
        match self.shots.filter(|_| self.names_shots) {
            Some(shots) => format!("{} ({shots}-shot)", self.name),
            None => self.name.clone(),
        }
    }
}

/// The lines of a report.
pub fn lines(report: &EvalReport) -> Vec<Line<'_>> {
    let names_shots = report.tasks.iter().any(|task| task.shots != report.tasks[0].shots);
    let tasks = report.tasks.iter().zip(&report.scores).map(|(task, scores)| Line {
        name: task.task.clone(),
        family: &task.family,
        seen: Group::of_task(task.held_out),
        metric: task.metric.name,
        count: task.items,
        shots: Some(task.shots),
        names_shots,
        is_loss: task.metric.is_loss(),
        is_mean: false,
        scores,
    });
    // One task is its own mean.
    let mixed = report.means.iter().any(|group| !group.is_loss);
    let means = report.means.iter().filter(|group| group.tasks > 1).map(move |group| Line {
        name: format!(
            "mean of {} {}{}",
            group.tasks,
            if group.name == Group::ALL { "tasks" } else { &group.name },
            if group.is_loss && mixed { ", loss" } else { "" }
        ),
        family: "",
        seen: "",
        metric: "",
        count: group.tasks,
        shots: None,
        names_shots,
        is_loss: group.is_loss,
        is_mean: true,
        scores: &group.scores,
    });
    tasks.chain(means).collect()
}

/// A mean as text, with its standard error behind `plus_minus`: shares in percent, losses in nats.
pub fn mean_text(mean: Option<&Mean>, is_loss: bool, plus_minus: &str) -> String {
    let Some(mean) = mean else { return NONE.into() };
    let number = |value: f64| if is_loss { format!("{value:.3}") } else { format!("{:.1}", value * 100.0) };
    let error = mean.stderr.map_or(String::new(), |error| format!("{plus_minus}{}", number(error)));
    format!("{}{error}", number(mean.score))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_losses_are_named_as_such_beside_others() {
        let mut report = testing::report();
        report.means.iter_mut().for_each(|group| group.tasks = 2);
        let names = |report: &EvalReport| -> Vec<String> {
            lines(report).into_iter().filter(|line| line.is_mean).map(|line| line.name).collect()
        };
        assert_eq!(names(&report), ["mean of 2 tasks", "mean of 2 tasks, loss"]);
        report.means.remove(0);
        assert_eq!(names(&report), ["mean of 2 tasks"]);
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::eval::report::ReportedTask;
    use crate::named::Named;
    use crate::scorers::Scorer;

    /// A report of two tasks and a loss, one of whose names needs care.
    pub fn report() -> EvalReport {
        let metric = |name: &str| *Scorer::named(name).unwrap();
        let task = |name: &str, held_out, name_of: &str| ReportedTask {
            task: name.into(),
            yaml: None,
            family: "words, mostly".into(),
            held_out,
            items: 4,
            shots: 0,
            again: false,
            metric: metric(name_of),
        };
        let mean = |score, stderr: f64| Some(Mean { score, stderr: Some(stderr) });
        EvalReport {
            methods: vec!["base".into(), "single:a|b_c".into()],
            tasks: vec![
                task("plural", false, "exact_match"),
                task("100%_\u{1b}x", true, "accuracy"),
                task("loss", true, "loss"),
            ],
            scores: vec![
                vec![mean(0.25, 0.25), mean(0.5, 0.2886)],
                vec![mean(0.0, 0.0), None],
                vec![mean(3.5, 0.125), mean(1.25, 0.0)],
            ],
            means: vec![
                Group {
                    name: "all".into(),
                    is_loss: false,
                    tasks: 2,
                    scores: vec![mean(0.125, 0.125), None],
                },
                Group {
                    name: "all".into(),
                    is_loss: true,
                    tasks: 1,
                    scores: vec![mean(3.5, 0.1), mean(1.25, 0.0)],
                },
            ],
            ..EvalReport::default()
        }
    }
}
