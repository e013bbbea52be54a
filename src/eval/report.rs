//! What an evaluation found out.

use serde::{Deserialize, Serialize};

use super::seen::Leak;
use super::split::Split;
use super::statistics::Mean;
use crate::library::Skipped;
use crate::model::Precision;
use crate::routing::{Calibration, RouterConfig};
use crate::scorers::{Scorer, Scoring};
use crate::text::{counted, printable};
use crate::train::TaskInfo;

/// A task that was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedTask {
    /// What it is called: its id in `task.toml`, or that in a YAML file with the metric; untrusted.
    pub task: String,
    /// Its id, where a YAML file describes it; then the family is the file's folder. Untrusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
    /// Empty where it has none; untrusted.
    pub family: String,
    /// Whether no expert of any of the libraries was trained on it.
    pub held_out: bool,
    /// Number of items.
    pub items: usize,
    /// Number of examples before each item.
    #[serde(default)]
    pub shots: usize,
    /// Whether it is the task before it once more, with another metric: then it is in no mean.
    #[serde(default)]
    pub again: bool,
    /// How its answers are scored.
    pub metric: Scorer,
}

impl ReportedTask {
    /// What it is known by.
    pub fn info(&self) -> TaskInfo {
        let (id, family) = match &self.yaml {
            Some(id) => (id, None),
            None => (&self.task, Some(self.family.clone())),
        };
        TaskInfo { id: id.clone(), family, ..TaskInfo::default() }
    }
}

/// Means over several tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// `all`, `seen`, `held out`, or the name of a family.
    pub name: String,
    /// Whether the scores are losses, which are no shares and have means of their own.
    pub is_loss: bool,
    /// Number of tasks.
    pub tasks: usize,
    /// By method, over tasks of equal weight; `None` where a method does not apply to all of them.
    pub scores: Vec<Option<Mean>>,
}

impl Group {
    /// The name of the group of all tasks.
    pub const ALL: &'static str = "all";
    /// The name of the group of tasks that an expert was trained on.
    pub const SEEN: &'static str = "seen";
    /// The name of the group of tasks that no expert was trained on.
    pub const HELD_OUT: &'static str = "held out";

    /// The name of the one of both to which a task belongs.
    pub fn of_task(is_held_out: bool) -> &'static str {
        if is_held_out { Self::HELD_OUT } else { Self::SEEN }
    }
}

/// How a method differs from the one that all are compared with, on the same items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Mean of the differences.
    pub difference: f64,
    /// Its standard error.
    pub stderr: Option<f64>,
    /// Its 95 % interval; none of a single value.
    pub interval: Option<[f64; 2]>,
    /// Items, or tasks of a group, on which the method is better.
    pub wins: usize,
    /// On which it is worse.
    pub losses: usize,
}

impl Difference {
    /// The ends of what is drawn: the interval, or the difference alone.
    pub fn ends(&self) -> [f64; 2] {
        self.interval.unwrap_or([self.difference; 2])
    }

    /// Whether it is for the better; `None` where that may be chance. Of losses, smaller ones are better.
    pub fn is_better(&self, is_loss: bool) -> Option<bool> {
        match self.interval? {
            [low, _] if low > 0.0 => Some(!is_loss),
            [_, high] if high < 0.0 => Some(is_loss),
            _ => None,
        }
    }
}

/// The differences of a method over several tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupDifference {
    /// The method.
    pub method: String,
    /// What it is compared with.
    pub against: String,
    /// The task or, for means over several, the group; one of both is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// See `task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether scores are losses, of which smaller ones are better.
    pub is_loss: bool,
    /// The difference.
    #[serde(flatten)]
    pub difference: Difference,
}

/// How far a method is behind the task's own experts, where there are some.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OracleGap {
    /// The method.
    pub method: String,
    /// Number of tasks that have an own expert.
    pub tasks: usize,
    /// Score of the oracle less that of the method, over these tasks.
    #[serde(flatten)]
    pub difference: Difference,
}

/// What prompts of a calibration were used for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibratedWith {
    /// The prompts in words.
    pub source: String,
    /// Number of prompts.
    pub prompts: usize,
    /// Number of tokens.
    pub tokens: usize,
    /// The routers, or labels of methods, whose scores are calibrated with them; untrusted.
    #[serde(default)]
    pub scores: Vec<String>,
    /// Those whose sharpness was found with them; untrusted.
    #[serde(default)]
    pub sharpness: Vec<String>,
}

impl CalibratedWith {
    /// What a calibration was used for among routers with their labels; `None` where it was not used.
    pub fn of<'a>(
        calibration: &Calibration,
        routers: impl Iterator<Item = (String, &'a RouterConfig)>,
    ) -> Option<Self> {
        let source = calibration.source.clone();
        let (prompts, tokens) = (calibration.prompts, calibration.tokens);
        let mut used = Self { source, prompts, tokens, ..Self::default() };
        for (label, config) in routers {
            used.scores.extend(config.is_calibrated().then(|| label.clone()));
            used.sharpness.extend(config.needs_usual_spread().then_some(label));
        }
        (!used.scores.is_empty() || !used.sharpness.is_empty()).then_some(used)
    }

    /// A line for each thing that it was used for, with the routers concerned where there are `several`.
    pub fn lines(&self, several: bool) -> Vec<String> {
        const NAMED: usize = 4;
        let line = |(what, routers): (&str, &Vec<String>)| {
            let named = routers[..routers.len().min(NAMED)].join(", ");
            let names = match routers.len().saturating_sub(NAMED) {
                _ if !several => String::new(),
                0 => format!(": {named}"),
                more => format!(": {named} and {more} more"),
            };
            (!routers.is_empty()).then(|| format!("{what} with {}{}", self.source, printable(&names)))
        };
        let uses = [("calibrated", &self.scores), ("sharpness found", &self.sharpness)];
        uses.into_iter().filter_map(line).collect()
    }
}

/// A method that could not answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The method.
    pub method: String,
    /// Why.
    pub reason: String,
}

/// What an evaluation found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EvalReport {
    /// How the answers of all tasks are scored; `None` where some are scored in another way.
    pub metric: Option<Scorer>,
    /// The same of each task.
    pub metrics: Vec<Scorer>,
    /// The metric that was asked for in place of the tasks' own.
    pub measured: Option<Scorer>,
    /// Which items were asked.
    pub split: Split,
    /// By which rules.
    pub scoring: Scoring,
    /// Of the base model's weights.
    pub precision: Option<Precision>,
    /// Labels of the methods; untrusted.
    pub methods: Vec<String>,
    /// The tasks.
    pub tasks: Vec<ReportedTask>,
    /// Per task and method; `None` where a method does not apply.
    pub scores: Vec<Vec<Option<Mean>>>,
    /// Per task and method: the name under which its library keeps the results of the items; `None` where none are kept.
    pub kept: Vec<Vec<Option<String>>>,
    /// Means over all tasks, those seen and held out, and families.
    pub means: Vec<Group>,
    /// Of each method and task, and of each method over groups of tasks.
    pub differences: Vec<GroupDifference>,
    /// How far each method is behind the oracle, where that takes part.
    pub oracle_gaps: Vec<OracleGap>,
    /// Experts that saw what they should not have seen.
    pub leaks: Vec<Leak>,
    /// Experts that had no weight under any router.
    pub muted: Vec<String>,
    /// Experts that were kept whatever their scores.
    pub pinned: Vec<String>,
    /// Experts whose mean was taken out of the others.
    pub general: Vec<String>,
    /// What routers were calibrated with.
    pub calibration: Option<CalibratedWith>,
    /// The same of other libraries whose routers were calibrated with other prompts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_calibrations: Vec<CalibratedWith>,
    /// Methods that could not answer a task, once for each reason.
    pub failed: Vec<Failure>,
    /// Requests that were asked without their beginning, since they are longer than the base model's context; of those that
    /// were not known before.
    pub cut: usize,
    /// Experts that are left out.
    pub skipped: Vec<Skipped>,
    /// Experts that are applied in part only.
    pub partial: Vec<Skipped>,
}

impl EvalReport {
    /// What prompts of calibrations were used for, a line each.
    pub fn calibration_lines(&self) -> Vec<String> {
        let all = self.calibration.iter().chain(&self.other_calibrations);
        all.flat_map(|with| with.lines(self.methods.len() > 1)).collect()
    }

    /// Adds what prompts of a calibration were used for.
    pub(super) fn add_calibration(&mut self, with: CalibratedWith) {
        let mut all = self.calibration.iter_mut().chain(&mut self.other_calibrations);
        if let Some(same) = all.find(|known| known.source == with.source) {
            same.scores.extend(with.scores);
            same.sharpness.extend(with.sharpness);
        } else if self.calibration.is_none() {
            self.calibration = Some(with);
        } else {
            self.other_calibrations.push(with);
        }
    }

    /// What a table says below itself: how items were asked and scored, where that is not as usual, and which experts take
    /// part in another way than the rest.
    pub fn caption(&self) -> Option<String> {
        let lists = [("muted", &self.muted), ("pinned", &self.pinned), ("general", &self.general)];
        let given = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let given = given.map(|(what, names)| format!("{what}: {}", printable(&names.join(", "))));
        let parts: Vec<String> = self.asked().into_iter().chain(given).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// How many examples stand before items, where any do: `5-shot`, `0- to 5-shot`.
    pub fn shots(&self) -> Option<String> {
        let counts = || self.tasks.iter().map(|task| task.shots);
        let shots = match (counts().min()?, counts().max()?) {
            (_, 0) => return None,
            (least, most) if least == most => most.to_string(),
            (least, most) => format!("{least}- to {most}"),
        };
        Some(format!("{shots}-shot"))
    }

    /// How many items of each task were asked: `20 items per task`, `4 to 10 items per task`.
    pub fn items(&self) -> Option<String> {
        let counts = || self.tasks.iter().map(|task| task.items);
        let (least, most) = (counts().min()?, counts().max()?);
        let range = if least == most { String::new() } else { format!("{least} to ") };
        Some(format!("{range}{} per task", counted(most, "item")))
    }

    /// How items were asked and scored, where that is not as it usually is: `5-shot, rouge_l, paper scoring, test split`.
    fn asked(&self) -> Option<String> {
        let usual = Self::default();
        let (shots, measured) = (self.shots(), self.measured.map(|metric| metric.to_string()));
        let is_usual = shots.is_none() && measured.is_none() && self.rules() == usual.rules();
        (!is_usual).then(|| {
            [shots, measured, Some(self.rules())].into_iter().flatten().collect::<Vec<_>>().join(", ")
        })
    }

    fn rules(&self) -> String {
        format!("{} scoring, {} split", self.scoring, self.split)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_what_was_used_for_what() {
        let with = |source: &str, scores: &[&str], sharpness: &[&str]| CalibratedWith {
            source: source.into(),
            scores: scores.iter().map(ToString::to_string).collect(),
            sharpness: sharpness.iter().map(ToString::to_string).collect(),
            ..CalibratedWith::default()
        };
        let auto = ["vote:sharpness=auto"];
        let mut report = EvalReport { methods: vec![String::new(); 3], ..EvalReport::default() };
        report.add_calibration(with("7 prompts", &[], &auto));
        assert_eq!(report.calibration_lines(), ["sharpness found with 7 prompts: vote:sharpness=auto"]);
        report.add_calibration(with("9 prompts", &["mbc/lag:calibrated"], &[]));
        report.add_calibration(with("7 prompts", &["other/a", "b", "c", "d", "e\u{1b}"], &[]));
        assert_eq!(
            report.calibration_lines(),
            [
                "calibrated with 7 prompts: other/a, b, c, d and 1 more",
                "sharpness found with 7 prompts: vote:sharpness=auto",
                "calibrated with 9 prompts: mbc/lag:calibrated",
            ]
        );
        assert_eq!(
            with("7 prompts", &auto, &auto).lines(false),
            ["calibrated with 7 prompts", "sharpness found with 7 prompts"]
        );
    }
}
