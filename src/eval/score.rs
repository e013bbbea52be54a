//! Methods × tasks: the mean score of a method's answers.

use super::evaluation::{Answering, Evaluation, Questions, TaskItems};
use super::forced::forced;
use super::generate::generate_batch;
use super::methods::Method;
use crate::Result;
use crate::library::Skipped;
use crate::routing::RouterConfig;
use crate::scorers::{Asks, Likelihood, Scorer, likeliest};
use crate::train::{Dataset, Example};

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
    /// Per task and method, shares or losses; `None` where a method does not apply.
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
        let answering = match method.answering(self, task)? {
            None => return Ok(Ok(None)),
            Some(Answering::Impossible(reason)) => return Ok(Err(reason)),
            Some(answering) => answering,
        };
        let options = &task.data.task.options;
        let scores: Vec<f64> = match (task.data.task.metric.asks, &answering) {
            (Asks::Answer { score, .. }, answering) => {
                let answers = match answering {
                    Answering::Text(text) => vec![text.clone(); task.items.len()],
                    answering => self.generate(task, answering)?,
                };
                let best = |(answer, item): (&String, &Example)| {
                    item.right().map(|right| score(answer, right)).fold(0.0, f64::max)
                };
                answers.iter().zip(task.items).map(best).collect()
            }
            (Asks::Options(_), Answering::Text(text)) => {
                let is_right = |item: &Example| {
                    let (options, right) = item.options(options).map_err(crate::Error::msg)?;
                    Ok(f64::from(u8::from(options[right].trim() == text.trim())))
                };
                task.items.iter().map(is_right).collect::<Result<_>>()?
            }
            (Asks::Options(value), answering) => {
                let mut texts = Vec::with_capacity(task.items.len());
                for item in task.items {
                    let (options, _) = item.options(options).map_err(crate::Error::msg)?;
                    texts.push(options.iter().map(String::as_str).collect());
                }
                let likely = self.likelihoods(method, answering, &texts, "")?;
                let chosen = |(item, likely): (&Example, &Vec<Likelihood>)| {
                    let (_, right) = item.options(options).map_err(crate::Error::msg)?;
                    let values: Vec<f64> = likely.iter().map(value).collect();
                    Ok(f64::from(u8::from(likeliest(&values) == Some(right))))
                };
                task.items.iter().zip(&likely).map(chosen).collect::<Result<_>>()?
            }
            (Asks::Reference(_), Answering::Text(_)) => return Ok(Ok(None)),
            (Asks::Reference(score), answering) => {
                let texts: Vec<Vec<&str>> = task.items.iter().map(|item| item.right().collect()).collect();
                let likely = self.likelihoods(method, answering, &texts, &self.template().end)?;
                let best = |likely: &Vec<Likelihood>| likely.iter().map(score).fold(f64::INFINITY, f64::min);
                likely.iter().map(best).collect()
            }
        };
        Ok(Ok(Some(scores.iter().sum::<f64>() / task.items.len() as f64)))
    }

    /// How likely each of some texts, followed by `end`, is after the prompt of its item.
    fn likelihoods<'a>(
        &self,
        method: &Method,
        answering: &Answering,
        texts: &[Vec<&'a str>],
        end: &str,
    ) -> Result<Vec<Vec<Likelihood<'a>>>> {
        let Answering::Generated { prompts, routed } = answering else { return Ok(Vec::new()) };
        let tokenizer = self.model().tokenizer()?;
        let alone = match routed {
            Some(_) => None,
            // The base model alone.
            None => Some(self.session.resolve(&RouterConfig::base(), &mut |_| {}, self.cancel)?),
        };
        let Some((experts, router)) = routed.as_deref().or(alone.as_ref()) else { return Ok(Vec::new()) };
        let mut asked = (Vec::new(), Vec::new());
        for (prompt, texts) in prompts.iter().zip(texts) {
            for text in texts {
                let tokens = tokenizer.encode(&format!("{text}{end}"))?;
                if tokens.is_empty() {
                    return Err(crate::Error::msg(format!("{method}: an answer has no tokens")));
                }
                asked.0.push(prompt.clone());
                asked.1.push(tokens);
            }
        }
        let found = forced(self.model(), (experts, router), &asked.0, &asked.1, self.cancel)?;
        let mut each = found.iter().zip(&asked.1);
        let of_item = |texts: &Vec<&'a str>| {
            let pairs = texts.iter().zip(each.by_ref());
            pairs
                .map(|(text, (found, tokens))| Likelihood {
                    text,
                    tokens: tokens.len(),
                    log_probability: found.log_probability,
                })
                .collect()
        };
        Ok(texts.iter().map(of_item).collect())
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
