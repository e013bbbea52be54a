//! What the jobs of a recipe found out, library by library.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;
use crate::analysis::{adjusted_rand, agreement};
use crate::eval::{EvalReport, EvalSpec, Group, Mean, ReportedTask};
use crate::jobs::AnyReport;
use crate::library::{Expert, Library};
use crate::recipe::graph::{Clustered, JOINT, MadeLibrary, Making};
use crate::recipe::laid_out::LaidOut;
use crate::recipe::methods::ONLY;
use crate::train::{ClustersSpec, TrainReport, examples_in};

/// What is known of a library.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundLibrary {
    /// Which one.
    pub library: MadeLibrary,
    /// Number of experts.
    pub experts: usize,
    /// Examples that were trained on, each as often as it came.
    pub trained: usize,
    /// Validation loss of each task under the expert that learnt it, and of the base model, in nats per token.
    pub losses: Vec<(f64, Option<f64>)>,
    /// Of the clustering.
    pub silhouette: Option<f64>,
    /// Members of each cluster; empty where there are no clusters.
    pub clusters: Vec<Vec<String>>,
    /// What its jobs found worth knowing, each one line; untrusted.
    pub warnings: Vec<String>,
}

impl FoundLibrary {
    /// Mean validation loss over tasks of equal weight.
    pub fn loss(&self) -> Option<f64> {
        Mean::of(&self.losses.iter().map(|(loss, _)| *loss).collect::<Vec<_>>()).map(|mean| mean.score)
    }

    /// The same of the base model.
    pub fn base_loss(&self) -> Option<f64> {
        Mean::of(&self.losses.iter().filter_map(|(_, base)| *base).collect::<Vec<_>>()).map(|mean| mean.score)
    }

    /// The clusters, whatever their order.
    fn partition(&self) -> BTreeSet<BTreeSet<&str>> {
        self.clusters.iter().map(|members| members.iter().map(String::as_str).collect()).collect()
    }

    /// The cluster of each private expert, in the order of their names.
    fn labels(&self) -> Vec<usize> {
        let of: BTreeMap<&str, usize> = self
            .clusters
            .iter()
            .enumerate()
            .flat_map(|(at, members)| members.iter().map(move |name| (name.as_str(), at)))
            .collect();
        of.into_values().collect()
    }
}

/// What is known of a number of clusters, over its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundK {
    /// Percent of the steps that one expert has made on all tasks before.
    pub share: usize,
    /// The number.
    pub k: usize,
    /// How many seeds.
    pub seeds: usize,
    /// Clusters that a seed gave, at the fewest: as many as asked for, unless experts are the same to the metric.
    pub clusters: usize,
    /// Mean silhouette.
    pub silhouette: Option<Mean>,
    /// Mean adjusted Rand index of the clusterings of two seeds, of those with more than one cluster.
    pub stability: Option<f64>,
    /// The same of a clustering and the families of the tasks.
    pub families: Option<f64>,
    /// Validation loss of the libraries of clusters, and of those of random ones.
    pub losses: [Option<Mean>; 2],
    /// Scores of [`Found::shown`] on the tasks of [`Found::group`], likewise.
    pub scores: [Option<Mean>; 2],
}

/// A method on libraries that differ by their seeds alone.
#[derive(Clone, Debug, PartialEq)]
pub struct OverSeeds {
    /// The libraries' name without a seed, and the method.
    pub method: String,
    /// How many there are.
    pub seeds: usize,
    /// Over seeds, for each of [`Found::groups`].
    pub scores: Vec<Option<Mean>>,
    /// Over the tasks of each group: the mean of the seeds less that of joint experts; nothing for these.
    pub to_joint: Vec<Option<Mean>>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The libraries, in their order in the graph.
    pub libraries: Vec<FoundLibrary>,
    /// By share of joint steps and number of clusters.
    pub by_k: Vec<FoundK>,
    /// What there are several seeds of.
    pub over_seeds: Vec<OverSeeds>,
    /// The evaluation.
    pub evaluation: Option<EvalReport>,
    /// The router whose scores stand beside k: the first that is asked of every library.
    pub shown: Option<String>,
    /// The tasks over which these are means: `held out`, or `all`.
    pub group: String,
    /// Whether these scores are losses.
    pub is_loss: bool,
}

impl Found {
    /// Reads the results of all jobs.
    ///
    /// # Errors
    /// A job that has none.
    pub fn of(laid: &LaidOut) -> Result<Self> {
        let mut libraries = Vec::with_capacity(laid.graph.libraries.len());
        for (at, library) in laid.graph.libraries.iter().enumerate() {
            let mut found = FoundLibrary {
                library: library.clone(),
                experts: 0,
                trained: 0,
                losses: Vec::new(),
                silhouette: None,
                clusters: Vec::new(),
                warnings: Vec::new(),
            };
            if library.given {
                let opened = Library::open(&library.path)?;
                opened.usable().for_each(|expert| add_expert(&mut found, expert));
            }
            for node in laid.graph.makers(at) {
                add(&mut found, &laid.report(node)?, laid.recipe.training.step_size());
            }
            libraries.push(found);
        }
        count_starts(&mut libraries);
        let evaluation = match laid.graph.evaluation {
            Some(at) => laid.report(at)?.get::<EvalSpec>().cloned(),
            None => None,
        };
        let (group, is_loss) = shown_group(evaluation.as_ref());
        let shown = evaluation.as_ref().and_then(|report| shown_router(report, &libraries));
        let (by_k, over_seeds) = (Vec::new(), Vec::new());
        let mut all = Self { libraries, by_k, over_seeds, evaluation, shown, group, is_loss };
        all.by_k = all.over_k(&families_of(laid)?);
        all.over_seeds = all.by_seeds();
        Ok(all)
    }

    /// The score of a method over the tasks that are shown.
    pub fn score(&self, label: &str) -> Option<Mean> {
        let report = self.evaluation.as_ref()?;
        let at = report.methods.iter().position(|method| method == label)?;
        let is_it = |group: &&Group| group.name == self.group && group.is_loss == self.is_loss;
        *report.means.iter().find(is_it)?.scores.get(at)?
    }

    /// All tasks, those seen and those held out, as far as there are some.
    pub fn groups(&self) -> Vec<&Group> {
        let means = self.evaluation.iter().flat_map(|report| &report.means);
        means
            .filter(|group| matches!(group.name.as_str(), Group::ALL | Group::SEEN | Group::HELD_OUT))
            .collect()
    }

    /// What is worth knowing of libraries, with their names; untrusted.
    pub fn warnings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.libraries.iter().flat_map(|found| {
            found.warnings.iter().map(|warning| (found.library.name.as_str(), warning.as_str()))
        })
    }

    /// Random libraries that have the very clusters of a real one, with that one, made alike where there are
    /// several: they are no control.
    pub fn same_as_real(&self) -> Vec<(&FoundLibrary, &FoundLibrary)> {
        let mut same = Vec::new();
        for random in self.libraries.iter().filter(|found| matches!(found.library.making, Making::Random(_)))
        {
            let is_it = |real: &&FoundLibrary| {
                matches!(real.library.making, Making::Clusters(_)) && real.partition() == random.partition()
            };
            let alike = |found: &FoundLibrary| found.library.making.clustered();
            let all = || self.libraries.iter().filter(is_it);
            let real = all().find(|real| alike(real) == alike(random)).or_else(|| all().next());
            same.extend(real.filter(|_| !random.clusters.is_empty()).map(|real| (random, real)));
        }
        same
    }

    /// The libraries of clusters, or of random ones, of this share and size.
    fn having(&self, wanted: (usize, usize), random: bool) -> Vec<&FoundLibrary> {
        let is_it = |found: &&FoundLibrary| match found.library.making {
            Making::Clusters(Clustered { k, share, .. }) => !random && (share, k) == wanted,
            Making::Random(Clustered { k, share, .. }) => random && (share, k) == wanted,
            _ => false,
        };
        self.libraries.iter().filter(is_it).collect()
    }

    fn over_k(&self, families: &BTreeMap<String, String>) -> Vec<FoundK> {
        let of = |found: &FoundLibrary| match found.library.making {
            Making::Clusters(Clustered { k, share, .. }) => Some((share, k)),
            _ => None,
        };
        let sizes: BTreeSet<(usize, usize)> = self.libraries.iter().filter_map(of).collect();
        sizes.into_iter().map(|wanted| self.one_k(wanted, families)).collect()
    }

    fn one_k(&self, wanted: (usize, usize), families: &BTreeMap<String, String>) -> FoundK {
        let own = self.having(wanted, false);
        let mean = |values: Vec<f64>| Mean::of(&values);
        let losses =
            |random| mean(self.having(wanted, random).iter().filter_map(|found| found.loss()).collect());
        let scores = |random: bool| {
            let router = self.shown.as_ref()?;
            let of = |found: &&FoundLibrary| self.score(&format!("{}/{router}", found.library.name));
            let all: Vec<Mean> = self.having(wanted, random).iter().filter_map(of).collect();
            match all.as_slice() {
                // Over tasks, where there is one seed only.
                [one] => Some(*one),
                all => mean(all.iter().map(|mean| mean.score).collect()),
            }
        };
        // One cluster resembles nothing, and itself always.
        let parted: Vec<&FoundLibrary> =
            own.iter().filter(|found| found.clusters.len() > 1).copied().collect();
        let labels: Vec<Vec<usize>> = parted.iter().map(|found| found.labels()).collect();
        let mut pairs = Vec::new();
        for (at, one) in labels.iter().enumerate() {
            pairs.extend(labels[at + 1..].iter().filter_map(|other| adjusted_rand(one, other)));
        }
        let alike = parted.iter().zip(&labels).filter_map(|(found, labels)| {
            let names: BTreeSet<&String> = found.clusters.iter().flatten().collect();
            agreement(labels, names.iter().map(|name| families.get(name.as_str())))
        });
        FoundK {
            share: wanted.0,
            k: wanted.1,
            seeds: own.len(),
            clusters: own.iter().map(|found| found.clusters.len()).min().unwrap_or(0),
            silhouette: mean(own.iter().filter_map(|found| found.silhouette).collect()),
            stability: mean(pairs).map(|mean| mean.score),
            families: mean(alike.collect()).map(|mean| mean.score),
            losses: [losses(false), losses(true)],
            scores: [scores(false), scores(true)],
        }
    }

    /// What there are several seeds of, in the order of the methods.
    fn by_seeds(&self) -> Vec<OverSeeds> {
        let Some(report) = &self.evaluation else { return Vec::new() };
        // Columns of the report by the method without a seed.
        let mut columns: Vec<(String, Vec<usize>)> = Vec::new();
        for (at, label) in report.methods.iter().enumerate() {
            let Some((name, method)) = label.split_once('/') else { continue };
            let Some(found) = self.libraries.iter().find(|found| found.library.name == name) else {
                continue;
            };
            let label = format!("{}/{method}", found.library.making.stem());
            match columns.iter_mut().find(|(known, _)| *known == label) {
                Some((_, columns)) => columns.push(at),
                None => columns.push((label, vec![at])),
            }
        }
        let joint = format!("{JOINT}/{ONLY}");
        let joint = columns.iter().find(|(label, _)| *label == joint).map(|(_, columns)| columns.clone());
        let several = columns.iter().filter(|(_, columns)| columns.len() > 1);
        several.map(|(label, columns)| self.over_columns(report, label, columns, joint.as_deref())).collect()
    }

    fn over_columns(
        &self,
        report: &EvalReport,
        label: &str,
        columns: &[usize],
        joint: Option<&[usize]>,
    ) -> OverSeeds {
        let score = |group: &Group| {
            let all: Option<Vec<f64>> = columns.iter().map(|&at| Some(group.scores[at]?.score)).collect();
            Mean::of(&all?)
        };
        let of_task = |task: usize, columns: &[usize]| {
            let all: Option<Vec<f64>> =
                columns.iter().map(|&at| Some(report.scores[task][at]?.score)).collect();
            Mean::of(&all?).map(|mean| mean.score)
        };
        let to_joint = |group: &Group| {
            let joint = joint.filter(|joint| *joint != columns)?;
            let is_in = |task: &&usize| {
                let ReportedTask { held_out, again, metric, .. } = &report.tasks[**task];
                let here = group.name == Group::ALL || group.name == Group::of_task(*held_out);
                here && !again && metric.is_loss() == group.is_loss
            };
            let tasks: Vec<usize> = (0..report.tasks.len()).filter(|task| is_in(&task)).collect();
            let each: Option<Vec<f64>> =
                tasks.iter().map(|&task| Some(of_task(task, columns)? - of_task(task, joint)?)).collect();
            Mean::of(&each?)
        };
        OverSeeds {
            method: label.into(),
            seeds: columns.len(),
            scores: self.groups().into_iter().map(score).collect(),
            to_joint: self.groups().into_iter().map(to_joint).collect(),
        }
    }
}

/// Counts what the experts of clusters began with as theirs.
fn count_starts(libraries: &mut [FoundLibrary]) {
    let starts: Vec<(Making, usize)> =
        libraries.iter().map(|found| (found.library.making, found.trained)).collect();
    for found in libraries {
        let Some(Clustered { share, seed, .. }) = found.library.making.clustered() else { continue };
        let start = starts.iter().find(|(making, _)| *making == Making::Start { share, seed });
        found.trained += start.map_or(0, |(_, trained)| *trained);
    }
}

/// The families of the private experts, of those whose tasks have one, by the experts' names.
fn families_of(laid: &LaidOut) -> Result<BTreeMap<String, String>> {
    let given = laid.graph.libraries.first().filter(|library| library.given);
    let all: Vec<(String, Option<String>)> = match given {
        // Experts that were there before may be called otherwise than their tasks.
        Some(library) => {
            let experts = Library::open(&library.path)?.experts.into_iter();
            experts.map(|expert| (expert.name, expert.provenance.and_then(|known| known.family))).collect()
        }
        None => laid.tasks.train.iter().map(|task| (task.id.clone(), task.family.clone())).collect(),
    };
    let known = all.into_iter().filter_map(|(name, family)| Some((name, family?)));
    Ok(known.filter(|(_, family)| !family.is_empty()).collect())
}

/// The tasks whose mean is shown: those held out where there are some; shares before losses.
fn shown_group(report: Option<&EvalReport>) -> (String, bool) {
    let groups = report.map_or(&[][..], |report| &report.means);
    let wanted = [Group::HELD_OUT, Group::ALL].map(|name| [(name, false), (name, true)]);
    for (name, is_loss) in wanted.into_iter().flatten() {
        if groups.iter().any(|group| group.name == name && group.is_loss == is_loss) {
            return (name.into(), is_loss);
        }
    }
    (Group::ALL.into(), false)
}

/// The first method of the main library that a library of clusters was asked with, too.
fn shown_router(report: &EvalReport, libraries: &[FoundLibrary]) -> Option<String> {
    let is_asked = |method: &&String| {
        libraries.iter().any(|found| {
            matches!(found.library.making, Making::Clusters(_))
                && report.methods.contains(&format!("{}/{method}", found.library.name))
        })
    };
    report.methods.iter().find(is_asked).cloned()
}

fn add(found: &mut FoundLibrary, report: &AnyReport, step_size: usize) {
    if let Some(clusters) = report.get::<ClustersSpec>() {
        found.silhouette = clusters.silhouette;
        found.warnings.extend(clusters.warnings.iter().cloned());
        found.clusters.extend(clusters.clusters.iter().map(|row| row.members.clone()));
    }
    for made in report.trained().into_iter().filter_map(|(_, made)| made) {
        add_training(found, made, step_size);
    }
}

fn add_training(found: &mut FoundLibrary, report: &TrainReport, step_size: usize) {
    found.experts += 1;
    found.trained += match report.examples {
        0 => report.steps * step_size,
        examples => examples_in(report.steps, step_size, examples),
    };
    if report.tasks.is_empty() {
        found.losses.extend(report.validation_loss.map(|loss| (loss, report.base_validation_loss)));
    } else {
        let each = report.tasks.iter();
        found.losses.extend(each.filter_map(|task| Some((task.validation_loss?, task.base_validation_loss))));
    }
}

fn add_expert(found: &mut FoundLibrary, expert: &Expert) {
    found.experts += 1;
    let Some(provenance) = &expert.provenance else { return };
    let number = |name: &str| provenance.settings.get(name).and_then(serde_json::Value::as_u64);
    let step = number("batch").unwrap_or(0) * number("accumulate").unwrap_or(1);
    let (steps, examples) = (provenance.steps.unwrap_or(0), provenance.examples.unwrap_or(0));
    found.trained += examples_in(steps, step as usize, examples);
    found.losses.extend(provenance.validation_loss.map(|loss| (loss, provenance.base_validation_loss)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_clusters_that_are_the_real_ones_are_found() {
        let made = |seed| Clustered { k: 2, share: 0, seed };
        let library = |name: &str, making, clusters: &[&[&str]]| FoundLibrary {
            library: MadeLibrary { name: name.into(), path: name.into(), making, given: false },
            experts: 0,
            trained: 0,
            losses: Vec::new(),
            silhouette: None,
            clusters: clusters.iter().map(|of| of.iter().map(ToString::to_string).collect()).collect(),
            warnings: Vec::new(),
        };
        let named = |found: &Found| {
            let name = |found: &FoundLibrary| found.library.name.clone();
            found.same_as_real().iter().map(|(random, real)| (name(random), name(real))).collect::<Vec<_>>()
        };
        let found = Found {
            libraries: vec![
                library("private", Making::Private, &[]),
                library("mbc", Making::Clusters(made(1)), &[&["a", "b"], &["c"]]),
                library("random-1", Making::Random(made(1)), &[&["c"], &["b", "a"]]),
                library("random-2", Making::Random(made(2)), &[&["a", "c"], &["b"]]),
            ],
            by_k: Vec::new(),
            over_seeds: Vec::new(),
            evaluation: None,
            shown: None,
            group: "all".into(),
            is_loss: false,
        };
        assert_eq!(named(&found), [("random-1".to_string(), "mbc".to_string())]);
        let row = found.one_k((0, 2), &BTreeMap::new());
        assert_eq!((row.clusters, row.stability), (2, None));

        // All in one cluster: each is named with that of its seed, and nothing is stable.
        let one: &[&[&str]] = &[&["a", "b", "c"]];
        let libraries = [1, 2].into_iter().flat_map(|seed| {
            [
                library(&format!("mbc-{seed}"), Making::Clusters(made(seed)), one),
                library(&format!("random-{seed}"), Making::Random(made(seed)), one),
            ]
        });
        let found = Found { libraries: libraries.collect(), ..found };
        let expected = [("random-1", "mbc-1"), ("random-2", "mbc-2")];
        assert_eq!(named(&found), expected.map(|(one, other)| (one.to_string(), other.to_string())));
        let families =
            BTreeMap::from([("a", "x"), ("b", "x"), ("c", "y")].map(|(a, b)| (a.into(), b.into())));
        let row = found.one_k((0, 2), &families);
        assert_eq!((row.clusters, row.seeds, row.stability, row.families), (1, 2, None, None));
    }

    #[test]
    fn seeds_are_averaged_before_they_are_compared_with_joint_experts() {
        let clustered = |seed| Making::Clusters(Clustered { k: 2, share: 50, seed });
        let library = |name: &str, making, trained| FoundLibrary {
            library: MadeLibrary { name: name.into(), path: name.into(), making, given: false },
            experts: 0,
            trained,
            losses: Vec::new(),
            silhouette: None,
            clusters: Vec::new(),
            warnings: Vec::new(),
        };
        let mut libraries = vec![
            library("joint", Making::Joint { seed: 1 }, 40),
            library("joint-s2", Making::Joint { seed: 2 }, 40),
            library("start-j50-s1", Making::Start { share: 50, seed: 1 }, 16),
            library("start-j50-s2", Making::Start { share: 50, seed: 2 }, 18),
            library("mbc-k2-j50-s1", clustered(1), 24),
            library("mbc-k2-j50-s2", clustered(2), 24),
        ];
        count_starts(&mut libraries);
        let trained: Vec<usize> = libraries.iter().map(|found| found.trained).collect();
        assert_eq!(trained, [40, 40, 16, 18, 40, 42]);

        let task = |name: &str, again| ReportedTask {
            task: name.into(),
            yaml: None,
            family: String::new(),
            held_out: true,
            items: 10,
            shots: 0,
            again,
            metric: "accuracy".parse().unwrap(),
        };
        let row = |scores: [f64; 5]| -> Vec<Option<Mean>> {
            scores.into_iter().map(|score| Some(Mean { score, stderr: None })).collect()
        };
        let methods =
            ["base", "joint/uniform", "joint-s2/uniform", "mbc-k2-j50-s1/arrow", "mbc-k2-j50-s2/arrow"];
        let evaluation = EvalReport {
            methods: methods.map(String::from).to_vec(),
            tasks: vec![task("a", false), task("b", false), task("b", true)],
            scores: vec![
                row([0.0, 0.2, 0.4, 0.5, 0.7]),
                row([0.0, 0.6, 0.6, 0.4, 0.6]),
                row([0.0, 0.0, 0.0, 1.0, 1.0]),
            ],
            means: vec![Group {
                name: Group::HELD_OUT.into(),
                is_loss: false,
                tasks: 2,
                scores: row([0.0, 0.4, 0.5, 0.45, 0.65]),
            }],
            ..EvalReport::default()
        };
        let found = Found {
            libraries,
            by_k: Vec::new(),
            over_seeds: Vec::new(),
            evaluation: Some(evaluation),
            shown: None,
            group: "held out".into(),
            is_loss: false,
        };
        let rows = found.by_seeds();
        let methods: Vec<(&str, usize)> = rows.iter().map(|row| (row.method.as_str(), row.seeds)).collect();
        assert_eq!(methods, [("joint/uniform", 2), ("mbc-k2-j50/arrow", 2)]);
        let rounded = |mean: Option<Mean>| {
            mean.map(|mean| ((mean.score * 1e6).round() / 1e6, mean.stderr.map(|e| (e * 1e6).round() / 1e6)))
        };
        // Of 0.4 and 0.5, and of 0.45 and 0.65: half the distance of both.
        assert_eq!(rounded(rows[0].scores[0]), Some((0.45, Some(0.05))));
        assert_eq!(rounded(rows[1].scores[0]), Some((0.55, Some(0.1))));
        assert_eq!(rows[0].to_joint, [None]);
        // By task 0.6 less 0.3, and 0.5 less 0.6; the task that comes once more counts once.
        assert_eq!(rounded(rows[1].to_joint[0]), Some((0.1, Some(0.2))));
    }
}
