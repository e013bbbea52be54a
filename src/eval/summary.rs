//! From the scores of items to means, differences and gaps.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::report::{Difference, EvalReport, Group, GroupDifference, OracleGap, ReportedTask};
use super::statistics::{Mean, interval_of_mean, interval_over_tasks};

/// Per task and method, the score of each item.
pub(super) type ItemScores = Vec<Vec<Option<Vec<f64>>>>;

/// Tasks whose scores have means together.
struct Together {
    name: String,
    is_loss: bool,
    /// Their numbers.
    tasks: Vec<usize>,
}

/// A seed for what has this name: results do not depend on what else is compared.
fn seed(name: &str) -> u64 {
    let hash = Sha256::digest(name);
    hash.iter().take(8).fold(0, |seed, byte| (seed << 8) | u64::from(*byte))
}

/// All tasks, those seen and held out where there are both, and the families where there are several; shares and losses
/// separately.
fn groups(tasks: &[ReportedTask]) -> Vec<Together> {
    let mut families: Vec<&str> = Vec::new();
    for task in tasks.iter().filter(|task| !task.family.is_empty()) {
        if !families.contains(&task.family.as_str()) {
            families.push(&task.family);
        }
    }
    let is_mixed = tasks.iter().any(|task| task.held_out) && tasks.iter().any(|task| !task.held_out);
    let mut found = Vec::new();
    for is_loss in [false, true] {
        let of = |name: &str, keep: &dyn Fn(&ReportedTask) -> bool| {
            let numbered = tasks.iter().enumerate();
            let numbers =
                numbered.filter(|(_, task)| !task.again && task.metric.is_loss() == is_loss && keep(task));
            Together { name: name.into(), is_loss, tasks: numbers.map(|(at, _)| at).collect() }
        };
        let all = of(Group::ALL, &|_| true);
        let parts = [of(Group::SEEN, &|task| !task.held_out), of(Group::HELD_OUT, &|task| task.held_out)];
        let parts: Vec<Together> = parts.into_iter().filter(|_| is_mixed).collect();
        let of_family = |family: &&str| of(family, &|task| task.family == *family);
        let families =
            families.iter().map(of_family).filter(|f| f.tasks.len() > 1 && f.tasks.len() < all.tasks.len());
        let families: Vec<Together> = families.collect();
        found.push(all);
        found.extend(parts);
        found.extend(families);
    }
    found.retain(|group| !group.tasks.is_empty());
    found
}

/// A difference from those of items of several tasks, or of one.
fn difference(tasks: &[Vec<f64>], better: f64, name: &str) -> Option<Difference> {
    let (mean, interval, each): (Mean, Option<[f64; 2]>, Vec<f64>) = match tasks {
        [] => return None,
        // One value says nothing of others.
        [one] => {
            let interval = (one.len() > 1).then(|| interval_of_mean(one, seed(name)));
            (Mean::of(one)?, interval, one.clone())
        }
        several => {
            let means: Vec<f64> =
                several.iter().map(|task| Mean::of(task).map(|m| m.score)).collect::<Option<_>>()?;
            let values: Vec<&[f64]> = several.iter().map(Vec::as_slice).collect();
            (Mean::of(&means)?, Some(interval_over_tasks(&values, seed(name))), means)
        }
    };
    Some(Difference {
        difference: mean.score,
        stderr: mean.stderr,
        interval,
        wins: each.iter().filter(|value| **value * better > 0.0).count(),
        losses: each.iter().filter(|value| **value * better < 0.0).count(),
    })
}

/// What a difference is over: a task, or a group of tasks.
pub(super) struct Over<'a> {
    pub tasks: &'a [usize],
    pub task: Option<&'a str>,
    pub group: Option<&'a str>,
    pub is_loss: bool,
}

impl Over<'_> {
    /// The difference of a method to another one; `None` where one of them lacks some of the items.
    fn difference(
        &self,
        labels: &[String],
        items: &ItemScores,
        method: usize,
        against: usize,
    ) -> Option<Difference> {
        let of = |task: usize, method: usize| items.get(task)?.get(method)?.as_ref();
        let pairs: Option<Vec<Vec<f64>>> =
            self.tasks.iter().map(|&task| paired(of(task, method), of(task, against))).collect();
        let Self { task, group, is_loss, .. } = self;
        let name = format!("{} {} {task:?} {group:?}", labels.get(method)?, labels.get(against)?);
        difference(&pairs?, if *is_loss { -1.0 } else { 1.0 }, &name)
    }
}

/// The differences of all methods to one of them, whose own is none.
pub(super) fn differences_over(
    labels: &[String],
    items: &ItemScores,
    against: usize,
    over: &Over<'_>,
) -> Vec<Option<Difference>> {
    let one = |method: usize| match method == against {
        true => None,
        false => over.difference(labels, items, method, against),
    };
    (0..labels.len()).into_par_iter().map(one).collect()
}

/// Differences of two methods on the same items of a task.
fn paired(one: Option<&Vec<f64>>, other: Option<&Vec<f64>>) -> Option<Vec<f64>> {
    let (one, other) = (one?, other?);
    (one.len() == other.len()).then(|| one.iter().zip(other).map(|(a, b)| a - b).collect())
}

/// Fills in everything that follows from the scores of items. `against` is the number of the method that others are
/// compared with, `oracle` that of the tasks' own experts.
pub(super) fn summarise(
    report: &mut EvalReport,
    items: &ItemScores,
    against: Option<usize>,
    oracle: Option<usize>,
) {
    let of = |task: usize, method: usize| items.get(task)?.get(method)?.as_ref();
    let methods = report.methods.len();
    report.scores = (0..report.tasks.len())
        .map(|task| (0..methods).map(|method| Mean::of(of(task, method)?)).collect())
        .collect();
    let groups = groups(&report.tasks);
    let mean = |group: &Together, method: usize| {
        let means: Option<Vec<f64>> =
            group.tasks.iter().map(|&task| report.scores[task][method].map(|mean| mean.score)).collect();
        match group.tasks.as_slice() {
            [one] => report.scores[*one][method],
            _ => Mean::of(&means?),
        }
    };
    let means = groups.iter().map(|group| Group {
        name: group.name.clone(),
        is_loss: group.is_loss,
        tasks: group.tasks.len(),
        scores: (0..methods).map(|method| mean(group, method)).collect(),
    });
    report.means = means.collect();
    let (tasks, labels) = (&report.tasks, &report.methods);
    if let Some(against) = against {
        let others: Vec<usize> = (0..methods).filter(|&method| method != against).collect();
        let one = |method: usize| -> Vec<GroupDifference> {
            let entry = |task: Option<&str>, group: Option<&str>, is_loss: bool, tasks: &[usize]| {
                let over = Over { tasks, task, group, is_loss };
                Some(GroupDifference {
                    method: labels[method].clone(),
                    against: labels[against].clone(),
                    task: task.map(String::from),
                    group: group.map(String::from),
                    is_loss,
                    difference: over.difference(labels, items, method, against)?,
                })
            };
            let of_tasks = tasks.iter().enumerate();
            let of_tasks =
                of_tasks.filter_map(|(at, t)| entry(Some(&t.task), None, t.metric.is_loss(), &[at]));
            let of_groups = groups.iter().filter_map(|g| entry(None, Some(&g.name), g.is_loss, &g.tasks));
            of_tasks.chain(of_groups).collect()
        };
        let found: Vec<Vec<GroupDifference>> = others.par_iter().map(|&method| one(method)).collect();
        report.differences = found.concat();
    }
    if let Some(oracle) = oracle {
        let own: Vec<usize> = (0..tasks.len())
            .filter(|&task| of(task, oracle).is_some())
            .filter(|&task| !tasks[task].again && !tasks[task].metric.is_loss())
            .collect();
        let gap = |method: usize| {
            let pairs: Option<Vec<Vec<f64>>> =
                own.iter().map(|&task| paired(of(task, oracle), of(task, method))).collect();
            let name = format!("oracle {}", labels[method]);
            let difference = difference(&pairs?, 1.0, &name)?;
            Some(OracleGap { method: labels[method].clone(), tasks: own.len(), difference })
        };
        let all: Vec<usize> = (0..methods).filter(|&method| method != oracle).collect();
        report.oracle_gaps = all.par_iter().filter_map(|&method| gap(method)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;
    use crate::scorers::Scorer;

    fn task(name: &str, family: &str, held_out: bool, metric: &str) -> ReportedTask {
        let metric = *Scorer::named(metric).unwrap();
        ReportedTask {
            task: name.into(),
            yaml: None,
            family: family.into(),
            held_out,
            items: 4,
            shots: 0,
            again: false,
            metric,
        }
    }

    #[test]
    fn means_differences_and_gaps_follow_from_the_items() {
        let mut report = EvalReport {
            methods: ["base", "arrow", "expert"].map(String::from).to_vec(),
            tasks: vec![
                task("a", "x", false, "exact_match"),
                task("b", "x", false, "exact_match"),
                task("c", "y", true, "exact_match"),
                task("d", "", true, "loss"),
                // The first once more, by another metric: in no mean.
                ReportedTask { again: true, ..task("a (other)", "x", false, "exact_match") },
            ],
            ..EvalReport::default()
        };
        let some = |values: [f64; 4]| Some(values.to_vec());
        let items = vec![
            vec![some([0.0, 0.0, 0.0, 1.0]), some([1.0, 1.0, 0.0, 0.0]), some([1.0; 4])],
            vec![some([0.0; 4]), some([1.0, 1.0, 1.0, 0.0]), some([1.0; 4])],
            vec![some([0.0, 1.0, 0.0, 0.0]), some([0.0, 1.0, 1.0, 1.0]), None],
            vec![some([2.0, 3.0, 2.0, 3.0]), some([1.0, 2.0, 1.0, 2.0]), None],
            vec![some([1.0; 4]), some([1.0; 4]), some([1.0; 4])],
        ];
        summarise(&mut report, &items, Some(0), Some(2));
        assert_eq!(report.scores[0][1].unwrap().score, 0.5);
        assert!((report.scores[0][1].unwrap().stderr.unwrap() - (1.0f64 / 12.0).sqrt()).abs() < 1e-12);
        let names: Vec<(&str, bool, usize)> =
            report.means.iter().map(|g| (g.name.as_str(), g.is_loss, g.tasks)).collect();
        // The only loss is held out, and is shown among what is.
        let expected = [
            ("all", false, 3),
            ("seen", false, 2),
            ("held out", false, 1),
            ("x", false, 2),
            ("all", true, 1),
            ("held out", true, 1),
        ];
        assert_eq!(names, expected);
        let all = &report.means[0];
        assert!((all.scores[1].unwrap().score - (0.5 + 0.75 + 0.75) / 3.0).abs() < 1e-12);
        assert_eq!(all.scores[2], None, "there is no oracle of c");
        assert_eq!(report.means[1].scores[2].unwrap().score, 1.0);
        let find = |method: &str, task: Option<&str>, group: Option<&str>, is_loss: bool| {
            let named = |d: &&GroupDifference| {
                (d.method.as_str(), d.task.as_deref(), d.group.as_deref(), d.is_loss)
                    == (method, task, group, is_loss)
            };
            report.differences.iter().find(named).unwrap().difference
        };
        let a = find("arrow", Some("a"), None, false);
        assert_eq!((a.difference, a.wins, a.losses), (0.25, 2, 1));
        let [low, high] = a.interval.unwrap();
        assert!(low < 0.25 && 0.25 < high);
        let over_all = find("arrow", None, Some("all"), false);
        assert_eq!((over_all.wins, over_all.losses), (3, 0));
        assert!((over_all.difference - (0.25 + 0.75 + 0.5) / 3.0).abs() < 1e-12);
        // A smaller loss is better.
        let loss = find("arrow", Some("d"), None, true);
        assert_eq!((loss.difference, loss.wins, loss.interval), (-1.0, 4, Some([-1.0, -1.0])));
        assert_eq!((loss.is_better(true), a.is_better(false)), (Some(true), None));
        let alone = difference(&[vec![1.0]], 1.0, "one").unwrap();
        assert_eq!((alone.difference, alone.interval, alone.is_better(false)), (1.0, None, None));
        let gaps: Vec<(&str, usize, f64)> = report
            .oracle_gaps
            .iter()
            .map(|g| (g.method.as_str(), g.tasks, g.difference.difference))
            .collect();
        assert_eq!(gaps, [("base", 2, 0.875), ("arrow", 2, 0.375)]);
    }
}
