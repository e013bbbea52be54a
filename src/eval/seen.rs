//! Which tasks the experts of a library were trained on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::asked_task::AskedTask;
use super::own_expert::is_same;
use crate::library::{Expert, Learned, Library};

/// An expert that saw what it is asked, though the task is for evaluation alone, or saw the very items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// The task.
    pub task: String,
    /// The expert, behind the name of its library where that is not the main one.
    pub expert: String,
    /// What it was trained on, in words.
    pub reason: String,
}

/// How an expert stands to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Acquaintance {
    /// It was trained on data of the same name, of which there is no hash or another one.
    Named,
    /// It was trained on the training split.
    Trained,
    /// It was trained on another split, which may be asked.
    Asked,
}

impl Acquaintance {
    /// Why this is a leak, in words; none where an expert may know the task.
    pub(super) fn leak(self, held_out: bool) -> Option<&'static str> {
        match self {
            Self::Asked => Some("it was trained on the test or validation split"),
            Self::Trained if held_out => Some("it was trained on the task, which task.toml holds out"),
            Self::Named if held_out => Some("it was trained on data of this name, which task.toml holds out"),
            Self::Trained | Self::Named => None,
        }
    }
}

/// How an expert knows a task: by the hashes of what it was trained on, else by name.
fn acquaintance(expert: &Expert, task: &AskedTask) -> Option<Acquaintance> {
    let how = |Learned { task: name, family, dataset_sha256 }| {
        let is_of = |split: &BTreeSet<String>| dataset_sha256.is_some_and(|hash: &str| split.contains(hash));
        match () {
            () if is_of(&task.other_splits) => Some(Acquaintance::Asked),
            () if is_of(&task.trained) => Some(Acquaintance::Trained),
            () if name.is_some_and(|id| is_same((id, family), &task.info)) => Some(Acquaintance::Named),
            () => None,
        }
    };
    expert.learned().filter_map(how).max()
}

/// Which experts of a library know a task, and how.
pub(super) fn known_by<'a>(library: &'a Library, task: &AskedTask) -> Vec<(&'a str, Acquaintance)> {
    let known = |expert: &'a Expert| Some((expert.name.as_str(), acquaintance(expert, task)?));
    library.usable().filter_map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Split;
    use crate::eval::shots::Shots;
    use crate::eval::wording::Wording;
    use crate::library::{Provenance, SeenTask, TaskRecord};
    use crate::train::TaskInfo;

    fn task(held_out: bool) -> AskedTask {
        AskedTask {
            info: TaskInfo { id: "plural".into(), held_out, ..TaskInfo::default() },
            label: "plural".into(),
            again: false,
            split: Split::Test,
            items: 0,
            group: None,
            all: Vec::new(),
            digest: String::new(),
            shots: Shots::default(),
            wording: Wording::default(),
            majority: None,
            trained: BTreeSet::from(["train".to_string()]),
            other_splits: BTreeSet::from(["test".to_string()]),
        }
    }

    #[test]
    fn experts_know_tasks_by_hash_then_by_name() {
        let expert = |name: &str, hash: &str, tasks: &[(&str, &str)]| {
            let record = |(task, hash): &(&str, &str)| TaskRecord {
                task: (*task).into(),
                dataset_sha256: Some((*hash).into()),
                ..TaskRecord::default()
            };
            let provenance = Provenance {
                task: Some(name.into()),
                dataset_sha256: Some(hash.into()),
                tasks: tasks.iter().map(record).collect(),
                ..Provenance::default()
            };
            Expert { provenance: Some(provenance), ..Expert::default() }
        };
        let how = |expert: &Expert| acquaintance(expert, &task(false));
        assert_eq!(how(&expert("other name", "train", &[])), Some(Acquaintance::Trained));
        assert_eq!(how(&expert("plural", "changed", &[])), Some(Acquaintance::Named));
        assert_eq!(how(&expert("a+b", "joint", &[("a", "x"), ("b", "train")])), Some(Acquaintance::Trained));
        assert_eq!(how(&expert("a+plural", "joint", &[("plural", "x")])), Some(Acquaintance::Named));
        assert_eq!(how(&expert("cheat", "test", &[("plural", "train")])), Some(Acquaintance::Asked));
        assert_eq!(how(&expert("other", "other", &[])), None);
        // A task of the same name in another family is another task, alone and among others.
        for mut of_family in
            [expert("plural", "changed", &[]), expert("a+plural", "joint", &[("a", "x"), ("plural", "y")])]
        {
            for (family, known) in [("law", None), ("words", Some(Acquaintance::Named))] {
                of_family.provenance.as_mut().unwrap().family = Some(family.into());
                let mut task = task(false);
                task.info.family = Some("words".into());
                assert_eq!(acquaintance(&of_family, &task), known);
            }
        }
        let mut some = expert("renamed", "shots", &[]);
        if let Some(provenance) = &mut some.provenance {
            provenance.drawn_from.push("train".into());
        }
        assert_eq!(how(&some), Some(Acquaintance::Trained));
        let mut adapted = expert("other", "shots", &[]);
        if let Some(provenance) = &mut adapted.provenance {
            let hash = |hash: &str| SeenTask { dataset_sha256: Some(hash.into()), ..SeenTask::default() };
            provenance.seen_before = vec![hash("test")];
        }
        assert_eq!(how(&adapted), Some(Acquaintance::Asked));
        // What it started from may have learned another version of the task: its name is left.
        let mut begun = expert("other", "other", &[]);
        for (family, known) in [("words", Some(Acquaintance::Named)), ("law", None)] {
            let before = SeenTask {
                task: Some("plural".into()),
                family: Some(family.into()),
                dataset_sha256: Some("changed".into()),
            };
            begun.provenance.as_mut().unwrap().seen_before = vec![before];
            let mut task = task(false);
            task.info.family = Some("words".into());
            assert_eq!(acquaintance(&begun, &task), known);
        }
        assert_eq!(how(&Expert::default()), None);
        let silent = |name: &str| Expert { name: name.into(), ..Expert::default() };
        assert_eq!((how(&silent("team/plural")), how(&silent("plurals"))), (Some(Acquaintance::Named), None));
        // What is made of one that says nothing has seen what its name says.
        let made =
            Provenance { seen_before: Expert::learned_by([&silent("team/plural")]), ..Provenance::default() };
        let made = Expert { name: "mean".into(), provenance: Some(made), ..Expert::default() };
        assert_eq!(how(&made), Some(Acquaintance::Named));
        assert!(Acquaintance::Trained.leak(false).is_none() && Acquaintance::Trained.leak(true).is_some());
        assert!(Acquaintance::Asked.leak(false).is_some());
    }
}
