//! The settings of an adaptation, beside those of its trainings.

use super::spec::AdaptSpec;
use super::starts::{Chosen, chosen};
use crate::settings::{self, Kind, POSITIVE, Setting, Whole};
use crate::train::{TrainSpec, refuse_single};
use crate::{Error, Result, field};

/// Steps, where neither they nor epochs are given: an epoch of a few examples is one step.
const STEPS: usize = 30;

/// What is adapted, from what, and with how many examples.
pub static ADAPTATION: &[Setting<AdaptSpec>] = &[
    Setting::new("data", Kind::Folder(field!(AdaptSpec.data), "name a task folder or a .jsonl file"))
        .flag("data", "Task to learn: its folder or a .jsonl file")
        .value("TASK")
        .form("Task", "its folder, or a .jsonl file")
        .brief("task"),
    Setting::new("name", Kind::Text(field!(AdaptSpec.name), name_problem))
        .flag("name", "Name of the new expert; without one, experts are compared and not kept")
        .value("NAME")
        .unset("none")
        .form("Name", "of the new expert; empty: compare only"),
    Setting::new("from", Kind::Names(field!(AdaptSpec.from)))
        .flag("from", "What training begins with: scratch, nearest, uniform, weights, or a router; several are compared")
        .value("STARTS")
        .form("From", "scratch, nearest, uniform, weights, or a router")
        .brief("from"),
    Setting::new("shots", Kind::Written { get: shots_text, set: set_shots })
        .flag("shots", "Numbers of training examples to learn from, drawn by the seed; several are compared")
        .value("N")
        .unset("all")
        .form("Shots", "numbers of examples; empty: all")
        .brief("shots"),
    Setting::new("experts", Kind::Written { get: experts_text, set: set_experts })
        .flag("experts", "Experts to adapt, with commas between")
        .value("EXPERTS")
        .unset("all")
        .form("Experts", "to adapt; empty: all")
        .advanced(),
    Setting::new("weight_rate", Kind::Number(field!(AdaptSpec.weight_rate), POSITIVE))
        .flag("weight-lr", "Highest learning rate where weights alone are learned")
        .value("LR")
        .form("Weight rate", "learning rate where weights are learned")
        .advanced(),
    Setting::new("limit", Kind::OptionalWhole(field!(AdaptSpec.limit), Whole { low: 1, high: u32::MAX as u64 }))
        .flag("limit", "Items of the test split to ask, where experts are compared")
        .value("N")
        .unset("all")
        .form("Items", "to ask, where experts are compared; empty: all")
        .advanced(),
];

fn name_problem(name: &str) -> Option<&'static str> {
    let is_wrong = matches!(name, "." | "..") || name.contains(['/', '\\']);
    is_wrong.then_some("one plain folder name, without / or \\")
}

fn shots_text(spec: &AdaptSpec) -> String {
    spec.shots.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn set_shots(spec: &mut AdaptSpec, text: &str) -> Result<(), String> {
    let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
    let one = |piece: &str| piece.parse().ok().filter(|shots| *shots > 0);
    let shots: Option<Vec<usize>> = pieces.map(one).collect();
    spec.shots = shots.ok_or("whole numbers from 1, with commas between")?;
    Ok(())
}

fn experts_text(spec: &AdaptSpec) -> String {
    spec.experts.join(",")
}

/// What is the name of an expert is known once the library is open: one may have a comma.
fn set_experts(spec: &mut AdaptSpec, text: &str) -> Result<(), String> {
    spec.experts = if text.is_empty() { Vec::new() } else { vec![text.into()] };
    Ok(())
}

impl AdaptSpec {
    /// Checks everything that needs no file.
    ///
    /// # Errors
    /// A usage error for the first setting that makes no sense.
    pub fn check(&self) -> Result<()> {
        settings::check(ADAPTATION, self)?;
        refuse_single(&self.training)?;
        if self.training.init.is_some() {
            return Err(Error::usage("an adaptation begins with what --from says: leave --init out"));
        }
        let starts = self.starts()?;
        if !self.name.is_empty() && (starts.len() > 1 || self.shots.len() > 1) {
            return Err(Error::usage(
                "--name keeps one expert: give one --from and one number of --shots, or leave --name out to compare",
            ));
        }
        if !self.name.is_empty() && self.limit.is_some() {
            return Err(Error::usage(
                "--limit is for comparisons, and --name keeps one expert: leave one of them out",
            ));
        }
        let learns_weights = starts.iter().any(|chosen| chosen.start.learns_weights);
        if !learns_weights && self.weight_rate != Self::default().weight_rate {
            return Err(Error::usage("--weight-lr is for --from weights, which is not among the starts"));
        }
        if self.shots.contains(&0) {
            return Err(Error::usage("--shots must be whole numbers from 1, not 0"));
        }
        TrainSpec { data: vec![self.data.clone()], ..self.training.clone() }.check()
    }

    /// What training begins with, each once.
    ///
    /// # Errors
    /// A usage error for what is no start.
    pub fn starts(&self) -> Result<Vec<Chosen>> {
        chosen(&self.from.join(","))
    }

    /// How it is trained, with the steps that are made where nothing is said of them.
    pub(super) fn training(&self) -> TrainSpec {
        let unsaid = self.training.epochs.is_none() && self.training.max_steps.is_none();
        let max_steps = if unsaid { Some(STEPS) } else { self.training.max_steps };
        TrainSpec { max_steps, ..self.training.clone() }
    }

    /// The numbers of examples, each once, in ascending order; `None` means all.
    pub(super) fn numbers(&self) -> Vec<Option<usize>> {
        let mut numbers = self.shots.clone();
        numbers.sort_unstable();
        numbers.dedup();
        match numbers.is_empty() {
            true => vec![None],
            false => numbers.into_iter().map(Some).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_examples_are_read_and_others_refused() {
        let setting = ADAPTATION.iter().find(|setting| setting.id == "shots").unwrap();
        let mut spec = AdaptSpec::default();
        for (text, expected) in [("16", &[16][..]), ("8, 32,8", &[8, 32, 8]), ("", &[])] {
            setting.set(&mut spec, text).unwrap();
            assert_eq!(spec.shots, expected);
        }
        for wrong in ["0", "8,0", "-1", "1.5", "many"] {
            assert_eq!(
                setting.set(&mut spec, wrong).unwrap_err().to_string(),
                "whole numbers from 1, with commas between",
                "{wrong}"
            );
        }
    }

    #[test]
    fn one_expert_is_kept_at_a_time() {
        let spec = |from: &str, shots: &[usize]| AdaptSpec {
            data: "task".into(),
            name: "new".into(),
            from: vec![from.into()],
            shots: shots.to_vec(),
            ..AdaptSpec::default()
        };
        spec("nearest", &[8]).check().unwrap();
        for (from, shots) in [("nearest,uniform", &[8][..]), ("nearest", &[8, 16])] {
            let error = spec(from, shots).check().unwrap_err().to_string();
            assert!(error.contains("--name keeps one expert"), "{error}");
            AdaptSpec { name: String::new(), ..spec(from, shots) }.check().unwrap();
        }
        let init = TrainSpec { init: Some("x".into()), ..TrainSpec::default() };
        let error = AdaptSpec { training: init, ..spec("nearest", &[8]) }.check().unwrap_err().to_string();
        assert!(error.contains("begins with what --from says"), "{error}");
    }
}
