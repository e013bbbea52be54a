//! Experts × tasks: how good each expert alone is on every task.

use std::cmp::Ordering;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::eval::{EvalReport, Method, ReportedTask, mean_text};
use crate::routing::Router;
use crate::text::{counted, printable};
use crate::tui::heatmap::{Heatmap, HeatmapState, MapMove};
use crate::tui::widgets::{below, header, message, row};
use crate::tui::{Evaluated, Theme, text_width};

/// The matrix with its cursor.
#[derive(Debug)]
pub(super) struct Transfer {
    matrix: Matrix,
    map: HeatmapState,
    /// Counts the matrices that were made of the same evaluation.
    version: u64,
}

/// Tasks × experts that were asked alone.
#[derive(Clone, Debug, Default, PartialEq)]
struct Matrix {
    /// Numbers of the tasks whose scores are shares.
    tasks: Vec<usize>,
    /// Number of the method and name of the expert; those of the tasks in the tasks' order, then the others.
    experts: Vec<(usize, String)>,
    /// Row-major; NaN where nothing is known.
    values: Vec<f32>,
}

/// The expert that a method asks alone.
fn expert(label: &str) -> Option<String> {
    let of = |text: &str| text.parse::<Method>().ok()?.expert().map(String::from);
    of(label).or_else(|| {
        let (library, rest) = label.split_once('/')?;
        of(rest).map(|name| format!("{library}/{name}"))
    })
}

/// Whether an expert has the name of a task.
fn is_own(expert: &str, task: &str) -> bool {
    expert.rsplit('/').next() == Some(task)
}

impl Matrix {
    fn of(report: &EvalReport) -> Self {
        // The same task with another metric would count twice.
        let is_shown = |task: &ReportedTask| !task.metric.is_loss() && !task.again;
        let tasks: Vec<usize> =
            (0..report.tasks.len()).filter(|task| is_shown(&report.tasks[*task])).collect();
        let own = |name: &str| tasks.iter().position(|task| is_own(name, &report.tasks[*task].info().id));
        let mut experts: Vec<(usize, String)> =
            report.methods.iter().enumerate().filter_map(|(at, label)| Some((at, expert(label)?))).collect();
        experts.sort_by(|(_, a), (_, b)| match (own(a), own(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        let value = |task: usize, method: usize| {
            let mean = report.scores.get(task).and_then(|row| row.get(method).copied().flatten());
            mean.map_or(f32::NAN, |mean| mean.score as f32)
        };
        let values =
            tasks.iter().flat_map(|task| experts.iter().map(|(method, _)| value(*task, *method))).collect();
        Self { tasks, experts, values }
    }

    fn get(&self, row: usize, column: usize) -> f32 {
        self.values.get(row * self.experts.len() + column).copied().unwrap_or(f32::NAN)
    }

    /// Who answers tasks best, and who helps others', in a sentence.
    fn sentence(&self, report: &EvalReport) -> String {
        let base = report.methods.iter().position(|label| label == Router::base().id);
        let (mut own_best, mut with_own) = (0, 0);
        let mut asked = 0;
        let mut helpful = vec![false; self.experts.len()];
        for (row, &task) in self.tasks.iter().enumerate() {
            let name = report.tasks[task].info().id;
            let own = self.experts.iter().position(|(_, expert)| is_own(expert, &name));
            let scores =
                || (0..self.experts.len()).map(|column| self.get(row, column)).filter(|v| !v.is_nan());
            asked += usize::from(own.is_some());
            if let Some(own) = own.map(|own| self.get(row, own)).filter(|own| !own.is_nan()) {
                with_own += 1;
                own_best += usize::from(scores().all(|score| score <= own));
            }
            let of_base = base.and_then(|base| report.scores.get(task)?.get(base).copied().flatten());
            let Some(of_base) = of_base else { continue };
            for (column, helps) in helpful.iter_mut().enumerate() {
                *helps |= Some(column) != own && f64::from(self.get(row, column)) > of_base.score + 1e-6;
            }
        }
        let own = match with_own {
            0 if asked > 0 => "No task's own expert has answered yet".to_string(),
            0 => "No task has an own expert here".to_string(),
            all => format!("{own_best} of {} with an own expert: none is above it", counted(all, "task")),
        };
        let help = helpful.iter().filter(|helps| **helps).count();
        let helps = base
            .map(|_| format!("; {help} of {} beat base on another's task", counted(helpful.len(), "expert")));
        format!("{own}{}.", helps.unwrap_or_default())
    }
}

impl Transfer {
    /// Of an evaluation; `None` where no expert was asked alone.
    pub fn of(evaluated: &Evaluated) -> Option<Self> {
        let matrix = Matrix::of(&evaluated.report);
        let some = !matrix.experts.is_empty() && !matrix.tasks.is_empty();
        some.then(|| Self { matrix, map: HeatmapState::default(), version: 0 })
    }

    /// Takes a newer state of the same evaluation.
    pub fn take(&mut self, evaluated: &Evaluated) {
        let matrix = Matrix::of(&evaluated.report);
        if matrix != self.matrix {
            self.version += 1;
            self.matrix = matrix;
        }
        self.map.clamp(self.matrix.tasks.len(), self.matrix.experts.len());
    }

    /// Moves or zooms.
    pub fn go(&mut self, step: MapMove) {
        self.map.go(step, self.matrix.tasks.len(), self.matrix.experts.len());
    }

    /// Numbers of the task and of the method under the cursor.
    pub fn cursor(&self) -> Option<(usize, usize)> {
        let (row, column) = self.map.cursor();
        Some((*self.matrix.tasks.get(row)?, self.matrix.experts.get(column)?.0))
    }

    /// Draws the sentence and the matrix.
    pub fn draw(&self, frame: &mut Frame, area: Rect, evaluated: &Evaluated, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let report = &evaluated.report;
        let (tasks, experts) = (&self.matrix.tasks, &self.matrix.experts);
        let facts = [
            format!("{} × {}", counted(experts.len(), "expert"), counted(tasks.len(), "task")),
            self.matrix.sentence(report),
        ];
        header(frame, row(area, 0), &facts[..1], theme);
        let mut used = 1;
        if area.height >= 8 {
            let text = text_width::truncate(&facts[1], usize::from(area.width));
            frame.render_widget(Line::styled(text, theme.text()), row(area, 1));
            used = 2;
        }
        let body = below(area, used);
        if body.height < 3 {
            return message(frame, body, &facts[1], theme.dim());
        }
        let label = |at: usize| {
            let task = tasks.get(at).and_then(|task| report.tasks.get(*task));
            printable(task.map_or("", |task| &task.task)).into_owned()
        };
        let longest = (0..tasks.len()).map(|at| text_width::width(&label(at))).max().unwrap_or(0);
        let tick = |at: usize| (at + 1).to_string();
        let (rows, columns): (Vec<usize>, Vec<usize>) =
            ((0..tasks.len()).collect(), (0..experts.len()).collect());
        let map = Heatmap {
            values: &self.matrix.values,
            stride: experts.len(),
            row_order: &rows,
            column_order: &columns,
            version: self.version,
            range: (0.0, 1.0),
            skip_diagonal: false,
            row_label: &label,
            label_width: longest.min(usize::from(body.width / 3)),
            row_tick: &tick,
            column_tick: &tick,
            first_tick: 1,
            groups: &[],
            note: "share of items that are right",
            readout: self.readout(report, theme),
        };
        map.render(body, frame.buffer_mut(), &self.map, theme);
    }

    /// What is under the cursor.
    fn readout(&self, report: &EvalReport, theme: &Theme) -> Line<'static> {
        let (row, column) = self.map.cursor();
        let (Some(task), Some((method, expert))) =
            (self.matrix.tasks.get(row), self.matrix.experts.get(column))
        else {
            return Line::default();
        };
        let name = report.tasks.get(*task).map_or("", |task| task.task.as_str());
        let mean = report.scores.get(*task).and_then(|row| row.get(*method).copied().flatten());
        let mine = self.matrix.get(row, column);
        let better = (0..self.matrix.experts.len()).filter(|at| self.matrix.get(row, *at) > mine).count();
        let rank = match better {
            _ if mine.is_nan() => String::new(),
            0 => " · none is above it".into(),
            better => format!(" · {} above it", counted(better, "expert")),
        };
        let is_own = report.tasks.get(*task).is_some_and(|task| is_own(expert, &task.info().id));
        let own = if is_own { " · the task's own" } else { "" };
        let text = format!("{}{own}{rank}", mean_text(mean.as_ref(), false, " ± "));
        Line::from(vec![
            Span::styled(format!("{} {} on ", column + 1, printable(expert)), theme.text()),
            Span::styled(format!("{}: ", printable(name)), theme.text()),
            Span::styled(text, theme.accent()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{Mean, ReportedTask};

    fn report() -> EvalReport {
        let task = |name: &str| ReportedTask {
            task: name.into(),
            yaml: None,
            family: String::new(),
            held_out: false,
            items: 2,
            shots: 0,
            again: false,
            metric: Default::default(),
        };
        let score = |score| Some(Mean { score, stderr: None });
        EvalReport {
            methods: ["base", "single:z", "single:b", "mbc/single:team/a", "arrow"]
                .map(String::from)
                .to_vec(),
            tasks: vec![task("a"), task("b")],
            scores: vec![
                vec![score(0.1), score(0.1), score(0.5), score(0.25), score(0.5)],
                vec![score(0.1), None, score(1.0), score(0.0), score(0.5)],
            ],
            ..EvalReport::default()
        }
    }

    #[test]
    fn own_experts_stand_on_the_diagonal_and_the_sentence_counts_who_helps() {
        let matrix = Matrix::of(&report());
        let names: Vec<&str> = matrix.experts.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["mbc/team/a", "b", "z"]);
        assert_eq!(matrix.values[..3], [0.25, 0.5, 0.1]);
        assert!(matrix.get(1, 2).is_nan() && matrix.get(9, 9).is_nan());
        assert_eq!(
            matrix.sentence(&report()),
            "1 of 2 tasks with an own expert: none is above it; 1 of 3 experts beat base on another's task."
        );
        // While it works, nothing may be known of those that are asked.
        let mut early = report();
        early.scores.iter_mut().for_each(|row| row.fill(None));
        let said = Matrix::of(&early).sentence(&early);
        assert!(said.starts_with("No task's own expert has answered yet"), "{said}");
    }
}
