//! Who made values that are no numbers. A pass that gives such values is run once more with every addition looked at,
//! so that the error names an expert and a module and the passes that go well pay nothing.

use super::apply::ChosenLora;
use super::experts::ExpertSet;
use crate::Error;
use crate::model::Delta;

/// Squares of less fit into f32 many times over, and so do their sums.
const HARMFUL: f32 = 1e15;

/// The largest addition that was seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    worst: Option<Worst>,
    /// The first expert whose score was no number, with the module's position: then no weight is one.
    unscored: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Worst {
    size: f32,
    /// Of the set, where it was one expert's alone.
    expert: Option<u32>,
    module: String,
}

/// The error of a pass without experts whose values are no numbers.
pub(super) fn no_numbers() -> Error {
    Error::msg(
        "the base model gives values that are no numbers on this prompt: it is damaged, or no model of this kind",
    )
}

/// What is said of an expert, behind its name.
const NO_NUMBERS: &str = " makes values that are no numbers";

/// The error of what makes values that are no numbers at a module: the expert of this name, or several of them.
fn harmful(name: Option<&String>, module: &str, how: &str) -> Error {
    let who = name.map_or_else(|| "the experts".into(), |name| format!("the expert {name}"));
    let problem =
        format!("{who}{NO_NUMBERS}: at {module} {how}; its scale or its weights are too large, leave it out");
    match name {
        Some(name) => Error::Expert { expert: name.clone(), problem },
        None => Error::msg(problem),
    }
}

/// What is said of an expert whose score at a module, by its position, is no number although the module's input is.
pub(super) fn no_score(experts: &ExpertSet, expert: usize, position: usize) -> Error {
    let module = experts.modules.get(position).map_or("a module", String::as_str);
    harmful(experts.names.get(expert), module, "its score overflows")
}

/// The largest magnitude; what is no number is larger than all.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |most: f32, v| if v.is_nan() { f32::INFINITY } else { most.max(v.abs()) })
}

/// Whether all values are numbers.
pub(super) fn is_finite(values: &[f32]) -> bool {
    // Looks at all of them, so that it compiles to vector code.
    values.iter().fold(true, |finite, v| finite & v.is_finite())
}

impl Watch {
    /// Takes in what `lora` added at a module to the input `x`.
    pub fn saw(&mut self, lora: &ChosenLora, x: &[f32], module: &str) {
        // What came in as no number was made before.
        if !is_finite(x) {
            return;
        }
        let (inputs, outputs) = lora.module.size();
        let rows = x.len() / inputs.max(1);
        let mut experts: Vec<u32> = lora.chosen.iter().filter(|(_, w)| *w != 0.0).map(|&(e, _)| e).collect();
        experts.sort_unstable();
        experts.dedup();
        for expert in experts {
            let own = |&(e, weight): &(u32, f32)| (expert, if e == expert { weight } else { 0.0 });
            let chosen: Vec<(u32, f32)> = lora.chosen.iter().map(own).collect();
            let mut y = vec![0.0; rows * outputs];
            ChosenLora { chosen: &chosen, ..*lora }.on_host(x, &mut y);
            self.note(largest(y.into_iter()), Some(expert), module);
        }
    }

    /// Takes in an expert whose score at a module, by its position, is no number though the input is.
    pub fn found(&mut self, expert: usize, position: usize) {
        self.unscored.get_or_insert((expert, position));
    }

    /// Takes in how far values moved for another reason.
    pub fn moved(&mut self, before: &[f32], after: &[f32], module: &str) {
        if is_finite(before) {
            self.note(largest(after.iter().zip(before).map(|(a, b)| a - b)), None, module);
        }
    }

    fn note(&mut self, size: f32, expert: Option<u32>, module: &str) {
        if self.worst.as_ref().is_none_or(|worst| size > worst.size) {
            self.worst = Some(Worst { size, expert, module: module.to_string() });
        }
    }

    /// What to say of a pass that gave values that are no numbers, where an expert added any that can lead to them.
    pub fn verdict(&self, experts: &ExpertSet) -> Option<Error> {
        if let Some((expert, position)) = self.unscored {
            return Some(no_score(experts, expert, position));
        }
        let Worst { size, expert, module } = self.worst.as_ref().filter(|worst| worst.size >= HARMFUL)?;
        let name = match (expert.and_then(|e| experts.names.get(e as usize)), experts.general.as_slice()) {
            (Some(name), _) | (None, [name]) => Some(name),
            (None, _) => None,
        };
        Some(harmful(name, module, &format!("it adds up to {size:e}")))
    }
}
