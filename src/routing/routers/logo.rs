//! LoGo: once per sequence, by what the experts add to the last token's last query.

use super::router::{Request, Resolved, Router, Scope};
use super::sequence::Sequence;
use super::setting::{Domain, MIX, RouterSetting};
use crate::module_path::ModulePath;
use crate::routing::ballot::Selection;
use crate::routing::scores::{Measure, Score};
use crate::routing::survey::{Reach, Seen, Survey, Surveyed};
use crate::{Error, Result};

/// Experts kept per sequence.
static EXPERTS: RouterSetting = RouterSetting {
    name: "experts",
    title: "number of experts",
    symbol: "top",
    help: "Experts that are mixed, 0 = all",
    domain: Domain::Count { default: 20 },
    shorthand: None,
};

pub(super) const ROUTER: Router = Router {
    id: "logo",
    title: "LoGo",
    help: "Once per sequence, experts weighted by ‖ΔW x‖ at the last token's last q_proj",
    caption: "",
    formula: "s = ‖s·B·A·x‖₂ at the last token's last-layer q_proj in a pass without experts; the best have weights \
              s / Σ s",
    source: "LoGo (2511.07129). Its code scores with adapters on, those of the item before; here the base model \
             scores alone, so that an answer does not depend on the one before",
    cost: "one more pass of the prompt, without experts",
    fails: "one module at one token decides; scores are not calibrated, so that strong experts lead everywhere",
    argument: None,
    settings: &[&EXPERTS, &MIX],
    scope: Scope::Sequence,
    mutes: true,
    pins: true,
    cycles: true,
    needs_data: false,
    resolve,
};

fn resolve(request: &Request) -> Result<Resolved> {
    let (values, speakers, experts) = (request.values, request.speakers, request.experts);
    let top = values.count(&EXPERTS);
    let selection = Selection { top, sharpness: 1.0, pinned: speakers.pinned.clone() };
    let is_query = |name: &&String| ModulePath::new(name).kind() == "q_proj";
    let last = experts.modules.iter().rev().find(is_query).or(experts.modules.last());
    let position = experts.modules.iter().position(|name| Some(name) == last);
    let position =
        position.ok_or_else(|| Error::usage("no expert adapts a module that logo could look at"))?;
    let width = selection.width(speakers.count());
    let (measure, active) = (request.measure(Score::norm())?, speakers.active.clone());
    let survey = LastQuery { measure, position, active, selection };
    Ok(Resolved { rule: Box::new(Sequence { survey, width }), mix: values.mix() })
}

/// Scores at one module.
#[derive(Debug)]
struct LastQuery {
    measure: Measure,
    position: usize,
    active: Vec<bool>,
    selection: Selection,
}

impl Survey for LastQuery {
    fn reach(&self) -> Reach {
        Reach::All
    }

    fn width(&self) -> usize {
        self.active.len()
    }

    fn see(&self, seen: &Seen, kept: &mut [f32]) -> Result<()> {
        match &seen.rows {
            Some(rows) if rows.position() == self.position => kept.copy_from_slice(&self.measure.of(rows)?),
            _ => {}
        }
        Ok(())
    }

    fn conclude(&self, sequence: &Surveyed) -> Result<Vec<f32>> {
        let last = sequence.kept.chunks(self.width().max(1)).last().unwrap_or_default();
        let scores: Vec<f64> = last.iter().map(|score| f64::from(*score)).collect();
        Ok(self.selection.weights(&scores, &self.active))
    }
}
