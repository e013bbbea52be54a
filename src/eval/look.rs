//! A look at what an evaluation keeps: its items with every method's answer, differences to any of the methods, and what
//! is known while it works.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::asked_task::{AskedTask, Said};
use super::contender::OF;
use super::harness;
use super::report::{Difference, EvalReport};
use super::run::split_of;
use super::shots::Shots;
use super::spec::EvalSpec;
use super::store::{Record, Store};
use super::summary::{ItemScores, Over, differences_over, summarise};
use super::tasks::{Place, places};
use super::wording::Wording;
use crate::library::Template;
use crate::scorers::{Answers, Scoring};
use crate::train::{Example, read_task};
use crate::{Cancel, Error, Result};

/// The items of a task with what methods made of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskItems {
    /// The items, in the order of the split; untrusted.
    pub items: Vec<Example>,
    /// What can be chosen from where an item has no choices of its own; untrusted.
    pub options: Vec<String>,
    /// Per method and item, what is kept of it.
    pub records: Vec<Vec<Option<Record>>>,
    /// What stands before the items.
    pub shots: Shots,
    /// How they are put into words.
    pub wording: Wording,
}

/// What an item was asked with, to be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedAgain {
    /// The prompt, or what is typed for it; untrusted.
    pub prompt: String,
    /// Whether it goes to the model as it is, without the template.
    pub raw: bool,
}

/// The stores of an evaluation's libraries, opened once.
struct Stores<'a> {
    spec: &'a EvalSpec,
    known: HashMap<PathBuf, Store>,
}

impl<'a> Stores<'a> {
    fn of(spec: &'a EvalSpec) -> Self {
        Self { spec, known: HashMap::new() }
    }

    /// The folder of the library whose method has this label.
    fn root(&self, label: &str) -> &'a Path {
        let named =
            label.split_once(OF).and_then(|(name, _)| self.spec.libraries.iter().find(|l| l.name == name));
        named.map_or(&self.spec.library, |library| &library.path)
    }

    fn store(&mut self, label: &str) -> Result<&Store> {
        let root = self.root(label);
        if !self.known.contains_key(root) {
            self.known.insert(root.to_path_buf(), Store::of(root)?);
        }
        self.known.get(root).ok_or_else(|| Error::msg("a library has no place for results"))
    }
}

/// The name under which the results of a method on a task are kept.
fn kept(report: &EvalReport, task: usize, method: usize) -> Option<&str> {
    report.kept.get(task)?.get(method)?.as_deref()
}

/// A task of the report, and where it is: of several with the same name the one in its place.
fn asked(spec: &EvalSpec, report: &EvalReport, task: usize, cancel: &Cancel) -> Result<(PathBuf, AskedTask)> {
    let count = report.tasks.get(task).map_or(0, |task| task.items);
    let wanted = report.tasks.get(task).map(|task| task.task.as_str()).unwrap_or_default();
    let before = report.tasks.iter().take(task).filter(|other| other.task == wanted).count();
    let mut found = Vec::new();
    for root in &spec.tasks {
        for place in places(root, &mut |_| {})? {
            cancel.check()?;
            match place {
                Place::File(path) => {
                    let tasks = harness::load(&path, report.split, count, spec.num_fewshot)?;
                    let tasks = AskedTask::measured_by(tasks, spec.metric, report.split, &path)?;
                    if let Some(task) = tasks.into_iter().find(|task| task.label == wanted) {
                        return Ok((path, task));
                    }
                }
                Place::Folder(path) => {
                    if !found.contains(&path) && read_task(&path).is_ok_and(|info| info.id == wanted) {
                        found.push(path);
                    }
                }
            }
        }
    }
    let gone = || {
        Error::msg(format!(
            "the task {wanted} is no longer in the folders of this evaluation: its items cannot be shown"
        ))
    };
    let path = found.into_iter().nth(before).ok_or_else(gone)?;
    let shots = report.tasks.get(task).map_or(0, |task| task.shots);
    let task = vec![AskedTask::load(&path, report.split, count, shots, &Default::default())?];
    let task = AskedTask::measured_by(task, spec.metric, report.split, &path)?.pop();
    Ok((path, task.ok_or_else(gone)?))
}

impl TaskItems {
    /// The items of a task, by its number in the report.
    ///
    /// # Errors
    /// A task that is no longer there, or is another one now; results that cannot be read; a raised `cancel`.
    pub fn read(spec: &EvalSpec, report: &EvalReport, task: usize, cancel: &Cancel) -> Result<Self> {
        let count = report.tasks.get(task).map_or(0, |task| task.items);
        let (path, asked) = asked(spec, report, task, cancel)?;
        let (split, mut stores) = (split_of(&asked), Stores::of(spec));
        let mut records = Vec::with_capacity(report.methods.len());
        for (method, label) in report.methods.iter().enumerate() {
            cancel.check()?;
            let Some(name) = kept(report, task, method) else {
                records.push(vec![None; count]);
                continue;
            };
            let store = stores.store(label)?;
            let origin = store.origin(name)?;
            if origin.as_ref().and_then(|origin| origin.get("split")).is_some_and(|kept| *kept != split) {
                return Err(Error::file(
                    &path,
                    "has changed since this evaluation: its items are others now; evaluate it again",
                ));
            }
            records.push(store.kept(name, count)?);
        }
        let items = asked.asked().to_vec();
        let AskedTask { info, shots, wording, .. } = asked;
        Ok(Self { items, options: info.options, records, shots, wording })
    }

    /// What an item was asked with, by the rules of the evaluation and behind its examples.
    pub fn asked_again(&self, item: usize, template: &Template, scoring: &Scoring) -> Option<AskedAgain> {
        let (wording, shots) = (&self.wording, &self.shots);
        let said = Said { wording, shots, item: self.items.get(item)?, at: item };
        let (instruction, input) = wording.asked(said.item, None);
        if scoring.answers == Answers::AfterBlank {
            let text = said.bare(template, None);
            return Some(AskedAgain { prompt: text.trim_end().to_string(), raw: true });
        }
        let whole = said.in_template(template);
        let typed = template.content(instruction, input);
        // Where typing it would give another prompt, the whole prompt goes as it is.
        let raw = said.has_before() || template.render(&typed, "") != whole;
        Some(AskedAgain { prompt: if raw { whole } else { typed }, raw })
    }
}

/// The scores of all items of some tasks that are kept; of methods of which nothing is kept, none.
fn scores(spec: &EvalSpec, report: &EvalReport, tasks: &[usize], cancel: &Cancel) -> Result<ItemScores> {
    let mut stores = Stores::of(spec);
    let mut all: ItemScores = vec![Vec::new(); report.tasks.len()];
    for &task in tasks {
        let count = report.tasks.get(task).map_or(0, |task| task.items);
        let mut row = Vec::with_capacity(report.methods.len());
        for (method, label) in report.methods.iter().enumerate() {
            cancel.check()?;
            row.push(match kept(report, task, method) {
                Some(name) => {
                    let known = stores.store(label)?.known(name, count)?;
                    known.into_iter().map(|known| known.map(|known| known.score)).collect()
                }
                None => None,
            });
        }
        if let Some(place) = all.get_mut(task) {
            *place = row;
        }
    }
    Ok(all)
}

/// How each method differs from that of the number `against` over some tasks of the report, on the same items. `group` is
/// the name of the tasks, where they are one of the groups of the report: then all is as there.
///
/// # Errors
/// Results that cannot be read; a raised `cancel`.
pub fn differences(
    spec: &EvalSpec,
    report: &EvalReport,
    (tasks, group): (&[usize], Option<&str>),
    against: usize,
    cancel: &Cancel,
) -> Result<Vec<Option<Difference>>> {
    let items = scores(spec, report, tasks, cancel)?;
    let is_loss =
        tasks.first().and_then(|task| report.tasks.get(*task)).is_some_and(|task| task.metric.is_loss());
    let task = match tasks {
        [one] if group.is_none() => report.tasks.get(*one).map(|task| task.task.as_str()),
        _ => None,
    };
    let over = Over { tasks, task, group, is_loss };
    Ok(differences_over(&report.methods, &items, against, &over))
}

/// Results that were read before, by the names under which they are kept.
#[derive(Debug, Default)]
pub struct Seen {
    cells: HashMap<String, (u64, Vec<f64>)>,
}

impl Seen {
    /// Fills in the scores and means of what is known so far, and how many items that are, per task and method. Reads
    /// only what has grown since the last look.
    ///
    /// # Errors
    /// Results that cannot be read; a raised `cancel`.
    pub fn fill(
        &mut self,
        spec: &EvalSpec,
        report: &mut EvalReport,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<usize>>> {
        let mut stores = Stores::of(spec);
        let mut items: ItemScores = Vec::with_capacity(report.tasks.len());
        for (task, of) in report.tasks.iter().enumerate() {
            let mut row = Vec::with_capacity(report.methods.len());
            for (method, label) in report.methods.iter().enumerate() {
                cancel.check()?;
                row.push(match kept(report, task, method) {
                    Some(name) => {
                        Some(self.scores(stores.store(label)?, name, of.items)?).filter(|s| !s.is_empty())
                    }
                    None => None,
                });
            }
            items.push(row);
        }
        summarise(report, &items, None, None);
        Ok(items
            .iter()
            .map(|row| row.iter().map(|scores| scores.as_ref().map_or(0, Vec::len)).collect())
            .collect())
    }

    fn scores(&mut self, store: &Store, name: &str, items: usize) -> Result<Vec<f64>> {
        let bytes = store.bytes(name);
        if let Some((known, scores)) = self.cells.get(name)
            && *known == bytes
        {
            return Ok(scores.clone());
        }
        let scores: Vec<f64> =
            store.known(name, items)?.into_iter().flatten().map(|known| known.score).collect();
        self.cells.insert(name.to_string(), (bytes, scores.clone()));
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::report::ReportedTask;
    use crate::eval::split::Split;
    use crate::eval::store::Origin;
    use crate::named::Named;

    /// A library with results of two methods on a task of three items.
    struct Place {
        dir: tempfile::TempDir,
        spec: EvalSpec,
        report: EvalReport,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let task = dir.path().join("tasks/words/plural");
        std::fs::create_dir_all(&task).unwrap();
        let line = |at: usize| format!("{{\"instruction\":\"i\",\"input\":\"{at}\",\"output\":\"o{at}\"}}\n");
        std::fs::write(task.join("test.jsonl"), (0..3).map(line).collect::<String>()).unwrap();
        let spec = EvalSpec {
            library: dir.path().join("library"),
            tasks: vec![dir.path().join("tasks")],
            ..EvalSpec::default()
        };
        std::fs::create_dir(&spec.library).unwrap();
        let asked = AskedTask::load(&task, Split::Test, 3, 0, &Default::default()).unwrap();
        let store = Store::of(&spec.library).unwrap();
        let keep = |method: &str, scores: &[f64]| {
            let origin = Origin::default().with("method", method).with("split", split_of(&asked));
            let mut cell = store.cell(&origin, 3).unwrap();
            let record = |(at, score): (usize, &f64)| {
                (
                    at,
                    Record {
                        score: *score,
                        log_probability: Some(-0.5),
                        answer: Some(format!("{method} {at}")),
                    },
                )
            };
            cell.append(scores.iter().enumerate().map(record).collect()).unwrap();
            Some(cell.name())
        };
        let report = EvalReport {
            methods: ["base", "arrow", "none"].map(String::from).to_vec(),
            tasks: vec![ReportedTask {
                task: "plural".into(),
                yaml: None,
                family: "words".into(),
                held_out: true,
                items: 3,
                shots: 0,
                again: false,
                metric: Default::default(),
            }],
            kept: vec![vec![keep("base", &[0.0, 0.0, 1.0]), keep("arrow", &[1.0, 1.0]), None]],
            ..EvalReport::default()
        };
        Place { dir, spec, report }
    }

    #[test]
    fn items_are_read_with_what_is_kept_of_them() {
        let Place { dir, spec, report } = place();
        let found = TaskItems::read(&spec, &report, 0, &Cancel::new()).unwrap();
        assert_eq!(found.items[2].output, "o2");
        let answer = |method: usize, item: usize| found.records[method][item].as_ref()?.answer.clone();
        assert_eq!((answer(0, 2), answer(1, 1)), (Some("base 2".into()), Some("arrow 1".into())));
        assert_eq!((answer(1, 2), answer(2, 0)), (None, None));
        // Other items under the same name would be shown beside answers to something else.
        let test = dir.path().join("tasks/words/plural/test.jsonl");
        let text = std::fs::read_to_string(&test).unwrap().replace("o1", "other");
        std::fs::write(&test, text).unwrap();
        let error = TaskItems::read(&spec, &report, 0, &Cancel::new()).unwrap_err().to_string();
        assert!(error.contains("plural: has changed since this evaluation"), "{error}");
        std::fs::remove_dir_all(dir.path().join("tasks/words/plural")).unwrap();
        assert!(TaskItems::read(&spec, &report, 0, &Cancel::new()).is_err());
    }

    #[test]
    fn an_item_is_asked_again_as_it_was_asked() {
        let Place { dir, spec, mut report } = place();
        let train: String = (0..4)
            .map(|at| format!("{{\"instruction\":\"i\",\"input\":\"t{at}\",\"output\":\"a\"}}\n"))
            .collect();
        std::fs::write(dir.path().join("tasks/words/plural/train.jsonl"), train).unwrap();
        let template = Template { prompt: "Q {instruction}\n{input}\nA ".into(), end: "<end>".into() };
        let scoring = |name: &str| *Scoring::named(name).unwrap();
        let mut ask = |shots: usize, rules: &str| {
            report.tasks[0].shots = shots;
            let items = TaskItems::read(&spec, &report, 0, &Cancel::new()).unwrap();
            items.asked_again(1, &template, &scoring(rules)).unwrap()
        };
        let plain = ask(0, "own");
        assert!(plain.prompt.ends_with('1') && !plain.prompt.contains("Q "), "{plain:?}");
        let one = ask(1, "own");
        assert!(one.raw && one.prompt.starts_with("Q i\nt") && one.prompt.ends_with("Q i\n1\nA "), "{one:?}");
        assert!(one.prompt.contains("A a<end>\n"), "{one:?}");
        let bare = ask(1, "lm-eval");
        assert!(bare.raw && !bare.prompt.contains("Q ") && bare.prompt.contains(" a\n\n"), "{bare:?}");
        assert!(bare.prompt.ends_with('1'), "{bare:?}");
    }

    #[test]
    fn what_is_known_so_far_is_summed_up_and_read_once() {
        let Place { dir: _dir, spec, mut report } = place();
        let mut seen = Seen::default();
        let known = seen.fill(&spec, &mut report, &Cancel::new()).unwrap();
        assert_eq!(known, [[3, 2, 0]]);
        let scores: Vec<Option<f64>> =
            report.scores[0].iter().map(|mean| mean.map(|mean| mean.score)).collect();
        assert_eq!(scores, [Some(1.0 / 3.0), Some(1.0), None]);
        // One more result is seen.
        let store = Store::of(&spec.library).unwrap();
        let name = report.kept[0][1].clone().unwrap();
        let split = store.origin(&name).unwrap().unwrap()["split"].clone();
        let origin = Origin::default().with("method", "arrow").with("split", split);
        let mut cell = store.cell(&origin, 3).unwrap();
        assert_eq!(cell.name(), name);
        cell.append(vec![(2, Record { score: 0.0, ..Record::default() })]).unwrap();
        let known = seen.fill(&spec, &mut report, &Cancel::new()).unwrap();
        assert_eq!(known, [[3, 3, 0]]);
    }

    #[test]
    fn differences_are_to_any_method_of_the_items_that_both_have() {
        let Place { dir: _dir, spec, report } = place();
        let found = differences(&spec, &report, (&[0], None), 1, &Cancel::new()).unwrap();
        assert_eq!(found, [None, None, None], "arrow has not answered all");
        let mut report = report;
        report.tasks[0].items = 2;
        let found = differences(&spec, &report, (&[0], None), 1, &Cancel::new()).unwrap();
        let base = found[0].unwrap();
        assert_eq!((base.difference, base.losses, found[1], found[2]), (-1.0, 2, None, None));
    }
}
