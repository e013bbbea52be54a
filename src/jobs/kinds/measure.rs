//! What came of a job in one number.

use serde::Serialize;

use crate::text::number;
use crate::train::{TrainReport, TrainRow};

/// What came of a job in one number, by which jobs are compared that have it by the same name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// What it is: `loss`, `silhouette`.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// The same of the base model alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<f64>,
    /// Whether less is better.
    #[serde(skip)]
    pub less_is_better: bool,
    /// Decimals that are shown.
    #[serde(skip)]
    pub places: usize,
}

impl Measure {
    /// A loss per output token, and that of the base model; none where it is no number.
    pub fn loss(name: &'static str, value: Option<f64>, base: Option<f64>) -> Option<Self> {
        let finite = |loss: Option<f64>| loss.filter(|loss| loss.is_finite());
        Some(Self { name, value: finite(value)?, base: finite(base), less_is_better: true, places: 3 })
    }

    /// The validation loss of a training; without a validation split, its training loss.
    pub fn of_training(report: &TrainReport) -> Option<Self> {
        Self::loss("loss", report.validation_loss, report.base_validation_loss)
            .or_else(|| Self::loss("training loss", Some(report.train_loss), None))
    }

    /// The mean validation loss of several trainings; none where one of them has none.
    pub fn of_trainings(rows: &[TrainRow]) -> Option<Self> {
        let mean = |of: fn(&TrainReport) -> Option<f64>| {
            let all: Option<Vec<f64>> = rows.iter().map(|row| row.report.as_ref().and_then(of)).collect();
            all.filter(|all| !all.is_empty()).map(|all| all.iter().sum::<f64>() / all.len() as f64)
        };
        Self::loss("mean loss", mean(|of| of.validation_loss), mean(|of| of.base_validation_loss))
    }

    /// A number of which more is better; none where it is none.
    pub fn more(name: &'static str, value: Option<f64>, places: usize) -> Option<Self> {
        let value = value.filter(|value| value.is_finite())?;
        Some(Self { name, value, base: None, less_is_better: false, places })
    }

    /// The less, the better, whatever it is.
    pub fn rank(&self) -> f64 {
        if self.less_is_better { self.value } else { -self.value }
    }

    /// The number alone: `0.422`.
    pub fn number(&self) -> String {
        number(self.value, self.places)
    }

    /// `loss 2.900 → 0.422`, `silhouette 0.710`.
    pub fn text(&self) -> String {
        let base = self.base.map_or(String::new(), |base| format!("{} → ", number(base, self.places)));
        format!("{} {base}{}", self.name, self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_says_what_it_is_and_what_the_base_has() {
        let loss = Measure::loss("loss", Some(0.4219), Some(2.9)).unwrap();
        assert_eq!((loss.text().as_str(), loss.number().as_str()), ("loss 2.900 → 0.422", "0.422"));
        assert_eq!(Measure::loss("loss", Some(f64::NAN), None), None);
        let silhouette = Measure::more("silhouette", Some(0.71), 3).unwrap();
        assert_eq!(silhouette.text(), "silhouette 0.710");
        let worse = Measure::more("silhouette", Some(0.5), 3).unwrap();
        assert!(silhouette.rank() < worse.rank());
        assert!(loss.rank() < Measure::loss("loss", Some(0.5), None).unwrap().rank());
    }

    #[test]
    fn several_trainings_have_a_mean_once_each_has_a_loss() {
        let row = |loss: Option<f64>| TrainRow {
            report: serde_json::from_value(serde_json::json!({
                "expert": "a", "path": "a", "steps": 1, "train_loss": 1.0, "validation_loss": loss,
                "base_validation_loss": 3.0, "seconds": 1.0, "tokens_per_second": 1.0,
            }))
            .unwrap(),
            ..TrainRow::default()
        };
        let mean = Measure::of_trainings(&[row(Some(1.0)), row(Some(2.0))]).unwrap();
        assert_eq!(mean.text(), "mean loss 3.000 → 1.500");
        assert_eq!(Measure::of_trainings(&[row(Some(1.0)), row(None)]), None);
        assert_eq!(Measure::of_trainings(&[]), None);
        let alone = row(None).report.unwrap();
        assert_eq!(Measure::of_training(&alone).unwrap().text(), "training loss 1.000");
    }
}
