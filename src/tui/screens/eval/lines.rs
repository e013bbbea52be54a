//! The lines of the table: tasks in their families, those seen and those held out separately, with the means over them.

use std::collections::HashSet;

use crate::eval::{EvalReport, Group, Mean, mean_text};
use crate::text::printable;
use crate::tui::{Evaluated, text_width};

/// Tasks from which on families are folded at first.
const MANY: usize = 60;

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Several tasks.
    Group,
    /// The task of this number.
    Task(usize),
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableLine {
    pub of: Of,
    /// Untrusted.
    pub name: String,
    /// The name of the same tasks among the means of the report, where they are one of its groups.
    pub group: Option<String>,
    /// Beside the name of a task that stands in no family's lines; untrusted.
    pub family: String,
    pub depth: usize,
    /// Numbers of the tasks.
    pub tasks: Vec<usize>,
    pub is_loss: bool,
    /// By method.
    pub scores: Vec<Option<Mean>>,
    /// What it opens and closes.
    pub fold: Option<String>,
    /// Folds that it is within.
    within: Vec<String>,
}

impl TableLine {
    /// The task, where it is about one.
    pub fn task(&self) -> Option<usize> {
        match self.of {
            Of::Task(task) => Some(task),
            Of::Group => None,
        }
    }

    /// The best of its scores; none where none is better than another.
    pub fn best(&self) -> Option<f64> {
        let sign = if self.is_loss { -1.0 } else { 1.0 };
        let known = || self.scores.iter().flatten().map(|mean| sign * mean.score);
        let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
        (low < high).then_some(sign * high)
    }

    /// How good a score is, 0 to 1: a share as it is, a loss between the worst and the best of its line.
    pub fn heat(&self, score: f64) -> f32 {
        if !self.is_loss {
            return score.clamp(0.0, 1.0) as f32;
        }
        let known = || self.scores.iter().flatten().map(|mean| mean.score);
        let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
        if high > low { (1.0 - (score - low) / (high - low)) as f32 } else { 0.5 }
    }
}

/// All lines of an evaluation, and which of them are folded away.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    all: Vec<TableLine>,
    closed: HashSet<String>,
    /// Numbers of those that are shown.
    shown: Vec<usize>,
    /// Cells of the longest name with its indentation, and of the longest score with its error and without.
    pub widest: (usize, usize, usize),
}

/// The mean over tasks of equal weight; `None` where a method does not apply to all of them.
fn mean(report: &EvalReport, tasks: &[usize], method: usize) -> Option<Mean> {
    let of = |task: &usize| *report.scores.get(*task)?.get(method)?;
    match tasks {
        [one] => of(one),
        several => {
            let scores: Option<Vec<f64>> =
                several.iter().map(|task| of(task).map(|mean| mean.score)).collect();
            Mean::of(&scores?)
        }
    }
}

/// Makes lines.
struct Builder<'a> {
    report: &'a EvalReport,
    lines: Vec<TableLine>,
}

impl Builder<'_> {
    fn push(&mut self, of: Of, name: &str, tasks: &[usize], within: &[&str]) -> &mut TableLine {
        // What is a task once more, with another metric, is in no mean.
        let once = |task: &usize| !self.report.tasks[*task].again;
        let tasks: Vec<usize> = match of {
            Of::Group => tasks.iter().copied().filter(once).collect(),
            Of::Task(_) => tasks.to_vec(),
        };
        let is_loss = tasks.first().is_some_and(|task| self.report.tasks[*task].metric.is_loss());
        let methods = 0..self.report.methods.len();
        self.lines.push(TableLine {
            of,
            name: name.to_string(),
            group: None,
            family: String::new(),
            depth: within.len(),
            tasks: tasks.clone(),
            is_loss,
            scores: methods.map(|method| mean(self.report, &tasks, method)).collect(),
            fold: None,
            within: within.iter().map(|name| (*name).to_string()).collect(),
        });
        let last = self.lines.len() - 1;
        &mut self.lines[last]
    }

    /// The lines of tasks, those of one family together.
    fn families(&mut self, tasks: &[usize], within: &[&str]) {
        let family = |task: &usize| self.report.tasks[*task].family.clone();
        let mut names: Vec<String> = Vec::new();
        for name in tasks.iter().map(family) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for name in names {
            let of_family: Vec<usize> = tasks.iter().copied().filter(|task| family(task) == name).collect();
            let fold = format!("{}/{name}", within.join("/"));
            let mut inside = within.to_vec();
            if of_family.len() > 1 && !name.is_empty() && of_family.len() < tasks.len() {
                let whole = |task: &usize| self.report.tasks[*task].family == name;
                let is_group = (0..self.report.tasks.len()).filter(whole).count() == of_family.len();
                let line = self.push(Of::Group, &name, &of_family, within);
                line.fold = Some(fold.clone());
                line.group = is_group.then(|| name.clone());
                inside.push(&fold);
            }
            for task in of_family {
                let id = self.report.tasks[task].task.clone();
                let line = self.push(Of::Task(task), &id, &[task], &inside);
                if inside.len() == within.len() {
                    line.family.clone_from(&name);
                }
            }
        }
    }
}

impl Lines {
    /// The lines of an evaluation; what was open or closed stays so.
    pub fn of(evaluated: &Evaluated, before: Option<&Self>) -> Self {
        let report = &evaluated.report;
        let mut builder = Builder { report, lines: Vec::new() };
        for is_loss in [false, true] {
            let of = |held_out: Option<bool>| -> Vec<usize> {
                let numbered = report.tasks.iter().enumerate();
                let mine = numbered.filter(|(_, task)| {
                    task.metric.is_loss() == is_loss
                        && held_out.is_none_or(|held_out| task.held_out == held_out)
                });
                mine.map(|(at, _)| at).collect()
            };
            let all: Vec<usize> = of(None);
            let several = all.iter().filter(|task| !report.tasks[**task].again).count() > 1;
            let loss = if is_loss { ", loss" } else { "" };
            if several {
                let line = builder.push(Of::Group, "", &all, &[]);
                line.name = format!("all {} tasks{loss}", line.tasks.len());
                line.group = Some(Group::ALL.into());
            }
            let parts = [(Group::SEEN, of(Some(false))), (Group::HELD_OUT, of(Some(true)))];
            let apart = parts.iter().all(|(_, tasks)| !tasks.is_empty());
            for (name, tasks) in parts.into_iter().filter(|(_, tasks)| !tasks.is_empty()) {
                if !apart {
                    builder.families(&tasks, &[]);
                    continue;
                }
                let fold = format!("{name}{loss}");
                let line = builder.push(Of::Group, &format!("{name}{loss}"), &tasks, &[]);
                line.fold = Some(fold.clone());
                line.group = Some(name.into());
                builder.families(&tasks, &[&fold]);
            }
        }
        let mut lines = Self { all: builder.lines, ..Self::default() };
        lines.closed = match before {
            Some(before) => before.closed.clone(),
            None if report.tasks.len() > MANY => lines.families().collect(),
            None => HashSet::new(),
        };
        lines.measure(evaluated);
        lines.show();
        lines
    }

    /// The folds that have none within.
    fn families(&self) -> impl Iterator<Item = String> {
        let folds = self.all.iter().filter_map(|line| line.fold.clone());
        folds.filter(|fold| fold.contains('/'))
    }

    fn measure(&mut self, evaluated: &Evaluated) {
        let name = |line: &TableLine| {
            let note = match line.fold {
                Some(_) => 3,
                None => text_width::width(&printable(&line.family)),
            };
            text_width::width(&printable(&line.name)) + 2 * line.depth + 3 + note + usize::from(note > 0)
        };
        let score = |line: &TableLine, error: bool| {
            let text = |mean: &Mean| {
                let mean = if error { *mean } else { Mean { stderr: None, ..*mean } };
                text_width::width(&mean_text(Some(&mean), line.is_loss, " ± "))
            };
            // What is not known yet is counted in its place.
            let counts =
                (0..evaluated.report.methods.len()).filter(|_| evaluated.known.is_some()).map(|method| {
                    let all = line.tasks.iter().map(|task| evaluated.far(*task, method).1).sum::<usize>();
                    2 * all.to_string().len() + 1
                });
            line.scores.iter().flatten().map(text).chain(counts).max().unwrap_or(0)
        };
        let most = |of: &dyn Fn(&TableLine) -> usize| self.all.iter().map(of).max().unwrap_or(0);
        self.widest =
            (most(&name), most(&|line| score(line, true)).max(5), most(&|line| score(line, false)).max(5));
    }

    fn show(&mut self) {
        let is_open = |line: &TableLine| !line.within.iter().any(|fold| self.closed.contains(fold));
        self.shown = (0..self.all.len()).filter(|at| is_open(&self.all[*at])).collect();
    }

    /// Number of lines that are shown.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// A line by its place among those that are shown.
    pub fn get(&self, at: usize) -> Option<&TableLine> {
        self.all.get(*self.shown.get(at)?)
    }

    /// Whether what a line opens is open.
    pub fn is_open(&self, line: &TableLine) -> bool {
        line.fold.as_ref().is_some_and(|fold| !self.closed.contains(fold))
    }

    /// Place of the line of a task, where it is shown.
    pub fn place(&self, task: usize) -> Option<usize> {
        self.shown.iter().position(|at| self.all[*at].of == Of::Task(task))
    }

    /// Opens or closes what the line at a place opens, or is within; the place of the cursor then.
    pub fn toggle(&mut self, at: usize) -> usize {
        let Some(line) = self.get(at) else { return at };
        let Some(fold) = line.fold.clone().or_else(|| line.within.last().cloned()) else { return at };
        if !self.closed.remove(&fold) {
            self.closed.insert(fold.clone());
        }
        self.show();
        let opens = |line: &TableLine| line.fold.as_ref() == Some(&fold);
        self.shown.iter().position(|at| opens(&self.all[*at])).unwrap_or(at)
    }

    /// Closes all families, or opens all where none is open.
    pub fn toggle_all(&mut self) {
        let families: Vec<String> = self.families().collect();
        let some_open = families.iter().any(|fold| !self.closed.contains(fold));
        self.closed = if some_open { families.into_iter().collect() } else { HashSet::new() };
        self.show();
    }

    /// Whether there is anything to fold.
    pub fn has_folds(&self) -> bool {
        self.all.iter().any(|line| line.fold.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixtures::evaluated;

    fn names(lines: &Lines) -> Vec<String> {
        (0..lines.len())
            .map(|at| lines.get(at).unwrap())
            .map(|l| format!("{}{}", " ".repeat(l.depth), l.name))
            .collect()
    }

    #[test]
    fn tasks_stand_in_their_families_seen_and_held_out_separately() {
        let mut lines = Lines::of(&evaluated(), None);
        let expected = [
            "all 5 tasks",
            "seen",
            " inflection",
            "  past-tense",
            "  plurals",
            " metric-length",
            "held out",
            " metric-weight",
            " topic",
            "story\u{1b}[31m",
        ];
        assert_eq!(names(&lines), expected);
        let inflection = lines.get(2).unwrap();
        assert_eq!(
            (inflection.tasks.as_slice(), inflection.group.as_deref()),
            (&[0, 1][..], Some("inflection"))
        );
        assert!((inflection.scores[2].unwrap().score - 0.65).abs() < 1e-12);
        assert_eq!(lines.get(5).unwrap().family, "units");
        // From a task of a family its line is closed, and the cursor goes there.
        assert_eq!(lines.toggle(4), 2);
        assert_eq!(names(&lines)[2..4], [" inflection", " metric-length"]);
        let again = Lines::of(&evaluated(), Some(&lines));
        assert_eq!(names(&again), names(&lines));
        lines.toggle(1);
        assert_eq!(names(&lines)[..3], ["all 5 tasks", "seen", "held out"]);
        lines.toggle_all();
        assert_eq!(names(&lines).len(), 10);
    }

    #[test]
    fn the_best_is_the_smallest_loss_and_the_largest_share() {
        let lines = Lines::of(&evaluated(), None);
        let all = lines.get(0).unwrap();
        assert_eq!(all.best(), all.scores[2].map(|mean| mean.score));
        let loss = lines.get(9).unwrap();
        assert!(loss.is_loss);
        assert_eq!(loss.best(), Some(1.25));
        assert_eq!((loss.heat(1.25), loss.heat(3.5)), (1.0, 0.0));
        assert_eq!(lines.get(3).unwrap().heat(0.25), 0.25);
    }
}
