//! Methods × tasks: the mean score of a method's answers.

use super::evaluation::{Answering, Evaluation, Questions, TaskItems};
use super::generate::generate_batch;
use super::methods::Method;
use crate::Result;
use crate::library::Skipped;
use crate::scorers::Scorer;
use crate::train::Dataset;

/// A task that was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredTask {
    /// As in `task.toml`.
    pub id: String,
    /// Empty where it has none.
    pub family: String,
    /// How its answers are scored.
    pub metric: Scorer,
    /// Number of items.
    pub items: usize,
}

/// Mean scores of methods on tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// In the order of the columns.
    pub methods: Vec<Method>,
    /// In the order of the rows.
    pub tasks: Vec<ScoredTask>,
    /// Per task and method, 0–1; `None` where a method does not apply.
    pub scores: Vec<Vec<Option<f64>>>,
    /// Methods that could not answer a task, with the reason, once for each.
    pub failed: Vec<Skipped>,
}

impl Evaluation<'_> {
    /// Scores `methods` on the items of every task. `progress` gets a line.
    ///
    /// # Errors
    /// Tasks without items in that split; a library without experts when a method needs them.
    pub fn score(
        &self,
        questions: &Questions,
        methods: &[Method],
        progress: &mut dyn FnMut(&str),
    ) -> Result<Scores> {
        let mut table = Scores { methods: methods.to_vec(), ..Scores::default() };
        for path in questions.tasks {
            let data = Dataset::load(path)?;
            let items = questions.split.items(&data, questions.limit, path)?;
            let task = TaskItems { data: &data, items };
            let mut row = Vec::with_capacity(methods.len());
            for method in methods {
                self.cancel.check()?;
                progress(&format!("{}: {method}", data.task.id));
                row.push(self.score_task(&task, method)?.unwrap_or_else(|reason| {
                    let failed = Skipped::new(method.to_string(), reason);
                    if !table.failed.contains(&failed) {
                        table.failed.push(failed);
                    }
                    None
                }));
            }
            let family = data.task.family.clone().unwrap_or_default();
            let (id, metric) = (data.task.id.clone(), data.task.metric);
            table.tasks.push(ScoredTask { id, family, metric, items: items.len() });
            table.scores.push(row);
        }
        Ok(table)
    }

    /// The mean score of one method on one task; `None` where it does not apply, a reason where it cannot answer.
    fn score_task(&self, task: &TaskItems, method: &Method) -> Result<Result<Option<f64>, String>> {
        let answers = match method.answering(self, task)? {
            None => return Ok(Ok(None)),
            Some(Answering::Impossible(reason)) => return Ok(Err(reason)),
            Some(Answering::Text(text)) => vec![text; task.items.len()],
            Some(answering) => self.generate(task, &answering)?,
        };
        let score = task.data.task.metric.score;
        let scores = answers.iter().zip(task.items).map(|(answer, item)| score(answer, &item.output));
        Ok(Ok(Some(scores.sum::<f64>() / task.items.len() as f64)))
    }

    /// The model's answers.
    fn generate(&self, task: &TaskItems, answering: &Answering) -> Result<Vec<String>> {
        let Answering::Generated { prompts, routed } = answering else { return Ok(Vec::new()) };
        let tokenizer = self.model().tokenizer()?;
        let longest = task.items.iter().map(|e| tokenizer.encode(&e.output).map_or(0, |ids| ids.len())).max();
        // Room for an answer that is longer than the right one; what runs on is wrong anyway.
        let max_tokens = longest.unwrap_or(0) + 8;
        let routed = routed.as_deref().map(|(experts, router)| (&**experts, router));
        let ends = self.session.end_ids();
        let answers = generate_batch(self.model(), routed, prompts, max_tokens, &ends, self.cancel)?;
        answers.iter().map(|answer| tokenizer.decode(answer, true)).collect()
    }
}
