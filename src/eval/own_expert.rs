//! Which expert of a library belongs to a task.

use crate::library::{Expert, Library, Provenance};

/// The expert of a task: the one of the same name, else of those that were trained on it the one with the lowest
/// validation loss, else one that was trained on it among others, as those of clusters are.
pub(super) fn own_expert<'a>(library: &'a Library, task: &str) -> Option<&'a str> {
    let named = library.usable().find(|e| e.name == task);
    let trained = || {
        let on_task = |e: &'a Expert| e.provenance.as_ref().filter(|p| p.task.as_deref() == Some(task));
        let loss = |p: &Provenance| p.validation_loss.unwrap_or(f64::INFINITY);
        library
            .usable()
            .filter_map(|e| Some((e, loss(on_task(e)?))))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(e, _)| e)
    };
    let among_others = || {
        let has = |p: &Provenance| p.tasks.iter().any(|record| record.task == task);
        library.usable().find(|e| e.provenance.as_ref().is_some_and(has))
    };
    named.or_else(trained).or_else(among_others).map(|e| e.name.as_str())
}
