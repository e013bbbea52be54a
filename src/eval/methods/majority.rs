//! Majority: always the most frequent training output.

use super::method::Baseline;
use crate::Result;
use crate::eval::evaluation::{Answering, Evaluation, TaskItems};
use crate::train::Example;

pub(super) const BASELINE: Baseline = Baseline {
    name: "majority",
    alias: None,
    help: "Always the most frequent training output (label tasks only)",
    answering,
};

fn answering(_: &Evaluation, task: &TaskItems) -> Result<Option<Answering>> {
    let labelled = !task.data.task.options.is_empty();
    Ok(labelled.then(|| Answering::Text(majority(&task.data.train).to_string())))
}

/// The most frequent output; of equals the first in the alphabet.
fn majority(examples: &[Example]) -> &str {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    examples.iter().for_each(|e| *counts.entry(&e.output).or_default() += 1);
    counts.iter().rev().max_by_key(|(_, n)| **n).map_or("", |(label, _)| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_is_the_most_frequent_output() {
        let e = |o: &str| Example { instruction: "i".into(), output: o.into(), ..Example::default() };
        assert_eq!(majority(&[e("b"), e("a"), e("b")]), "b");
        assert_eq!(majority(&[e("b"), e("a")]), "a");
    }
}
