//! Which expert of a library belongs to a task.

use crate::library::{Expert, Library, Provenance};
use crate::train::TaskInfo;

/// Whether a task with this id and family may be one that is called `named`, of the family `family`: of one that says no
/// family, the name alone counts.
pub(super) fn is_same((named, family): (&str, Option<&str>), task: &TaskInfo) -> bool {
    let says = |family: Option<&str>| family.filter(|family| !family.is_empty()).map(String::from);
    let (one, other) = (says(family), says(task.family.as_deref()));
    named == task.id && (one.is_none() || other.is_none() || one == other)
}

/// The expert of a task: the one of the same name, else of those that were trained on it the one with the lowest
/// validation loss, else one that was trained on it among others, as those of clusters are.
pub fn own_expert<'a>(library: &'a Library, task: &TaskInfo) -> Option<&'a str> {
    let family = |e: &'a Expert| e.provenance.as_ref().and_then(|p| p.family.as_deref());
    let named = library.usable().find(|e| is_same((&e.name, family(e)), task));
    let trained = || {
        let is_its =
            |p: &&Provenance| p.task.as_deref().is_some_and(|id| is_same((id, p.family.as_deref()), task));
        let on_task = |e: &'a Expert| e.provenance.as_ref().filter(is_its);
        let loss = |p: &Provenance| p.validation_loss.unwrap_or(f64::INFINITY);
        library
            .usable()
            .filter_map(|e| Some((e, loss(on_task(e)?))))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(e, _)| e)
    };
    let among_others = || {
        let has =
            |p: &Provenance| p.tasks.iter().any(|record| is_same((&record.task, p.family.as_deref()), task));
        library.usable().find(|e| e.provenance.as_ref().is_some_and(has))
    };
    named.or_else(trained).or_else(among_others).map(|e| e.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::TaskRecord;

    #[test]
    fn an_expert_of_another_family_is_not_a_tasks_own() {
        let expert = |name: &str, family: Option<&str>| Expert {
            name: name.into(),
            provenance: Some(Provenance {
                task: Some("mmlu".into()),
                family: family.map(String::from),
                ..Provenance::default()
            }),
            ..Expert::default()
        };
        let of = |experts: Vec<Expert>, family: &str| {
            let library = Library { experts, ..Library::default() };
            let task = TaskInfo { id: "mmlu".into(), family: Some(family.into()), ..TaskInfo::default() };
            own_expert(&library, &task).map(String::from)
        };
        assert_eq!(of(vec![expert("mmlu", Some("algebra"))], "law"), None);
        assert_eq!(of(vec![expert("mmlu", Some("algebra"))], "algebra").as_deref(), Some("mmlu"));
        assert_eq!(
            of(vec![expert("a", Some("algebra")), expert("l", Some("law"))], "law").as_deref(),
            Some("l")
        );
        let joint = |family: &str| {
            let record = TaskRecord { task: "mmlu".into(), ..TaskRecord::default() };
            let provenance =
                Provenance { family: Some(family.into()), tasks: vec![record], ..Provenance::default() };
            Expert { name: "joint".into(), provenance: Some(provenance), ..Expert::default() }
        };
        assert_eq!(of(vec![joint("algebra")], "law"), None);
        assert_eq!(of(vec![joint("law")], "law").as_deref(), Some("joint"));
        // Where it says no family, its name is all there is.
        assert_eq!(of(vec![expert("mmlu", None)], "law").as_deref(), Some("mmlu"));
    }
}
