//! LoGo: once per sequence, by what the experts add to the last token's last query.

use super::router::{Request, Resolved, Router, Words};
use super::sequence;
use super::setting::{CALIBRATED, Domain, Effect, MIX, RouterSetting};
use crate::module_path::ModulePath;
use crate::routing::ballot::{Selection, TEMPERATURE};
use crate::routing::calibration::{Calibration, LEAST};
use crate::routing::scores::{Measure, Score};
use crate::routing::survey::{Reach, Reasons, Seen, Survey, Surveyed};
use crate::{Error, Result};

/// Experts kept per sequence.
static EXPERTS: RouterSetting = RouterSetting {
    name: "experts",
    title: "number of experts",
    symbol: "top",
    help: "Experts that are mixed, 0 = all",
    domain: Domain::Count { default: 20 },
    shorthand: None,
    effect: Effect::Always,
};

const SETTINGS: &[&RouterSetting] = &[&EXPERTS, &CALIBRATED, &MIX];

pub(super) const ROUTER: Router = Router::per_sequence(
    Words {
        id: "logo",
        title: "LoGo",
        help: "Once per sequence, experts weighted by ‖ΔW x‖ at the last token's last q_proj",
        formula: "s = ‖s·B·A·x‖₂ at the last token's last-layer q_proj in a pass without experts; the best have weights \
                  s / Σ s; `calibrated`, softmax(s / 0.5) of the calibrated s",
        source: "LoGo (2511.07129). Its code scores with adapters on, those of the item before; here the base model \
                 scores alone, so that an answer does not depend on the one before",
        cost: "one more pass of the prompt, without experts",
        fails: "one module at one token decides; without `calibrated`, strong experts lead everywhere",
    },
    SETTINGS,
    resolve,
);

fn resolve(request: &Request) -> Result<Resolved> {
    let (speakers, experts) = (request.speakers, request.experts);
    let is_query = |name: &&String| ModulePath::new(name).kind() == "q_proj";
    let last = experts.modules.iter().rev().find(is_query).or(experts.modules.last());
    let position = experts.modules.iter().position(|name| Some(name) == last);
    let position =
        position.ok_or_else(|| Error::usage("no expert adapts a module that logo could look at"))?;
    let selection = sequence::selection(request, &EXPERTS);
    let width = selection.width(speakers.count());
    let (measure, mut active) = (request.measure(Score::norm())?, speakers.active.clone());
    let here = experts.stacked().nth(position).map_or(&[][..], |module| &module.candidate);
    if active.iter().zip(here).any(|(active, here)| *active && *here) {
        // Those that have nothing here have no score to be compared.
        active.iter_mut().zip(here).for_each(|(active, here)| *active &= here);
    }
    let survey = LastQuery { measure, position, active, selection };
    Ok(sequence::resolved(survey, width, request.values.mix()))
}

/// Scores at one module.
#[derive(Debug)]
struct LastQuery {
    measure: Measure,
    position: usize,
    active: Vec<bool>,
    selection: Selection,
}

impl LastQuery {
    /// What the last token scores.
    fn scores(&self, sequence: &Surveyed) -> Vec<f64> {
        let last = sequence.kept.chunks(self.active.len().max(1)).last().unwrap_or_default();
        last.iter().map(|score| f64::from(*score)).collect()
    }
}

impl Survey for LastQuery {
    fn reach(&self) -> Reach {
        Reach::All
    }

    fn measure(&self) -> Option<&Measure> {
        Some(&self.measure)
    }

    fn width(&self) -> usize {
        self.active.len()
    }

    fn see(&self, seen: &Seen, kept: &mut [f32]) -> Result<()> {
        let Some(rows) = seen.rows.as_ref().filter(|rows| rows.position() == self.position) else {
            return Ok(());
        };
        kept.copy_from_slice(&self.measure.of(rows)?);
        for row in kept.chunks_mut(self.active.len().max(1)) {
            // Whoever has no say may have scores that are no numbers.
            let silent =
                row.iter_mut().zip(&self.active).filter(|(score, active)| !**active && !score.is_finite());
            silent.for_each(|(score, _)| *score = 0.0);
        }
        Ok(())
    }

    fn reasons(&self, sequence: &Surveyed) -> Result<Reasons> {
        let used = self.scores(sequence);
        let usual = |calibration: &Calibration| calibration.usual(self.measure.score, self.position);
        let raw = match self.measure.calibration.as_deref() {
            None => used.clone(),
            Some(calibration) => {
                let back = used.iter().zip(usual(calibration));
                back.map(|(z, (mean, deviation))| z * (deviation + LEAST) + mean).collect()
            }
        };
        let calibrated = self.measure.calibration.is_some().then_some(used);
        let words = "looked at where the last token is read by the last q_proj".to_string();
        Ok(Reasons { words, value: "‖ΔW x‖ there", values: raw, calibrated, ..Reasons::default() })
    }

    fn conclude(&self, sequence: &Surveyed) -> Result<Vec<f32>> {
        let scores = self.scores(sequence);
        Ok(match self.measure.calibration {
            Some(_) => self.selection.softmax(&scores, &self.active, f64::from(TEMPERATURE)),
            None => self.selection.weights(&scores, &self.active, 1.0),
        })
    }
}
