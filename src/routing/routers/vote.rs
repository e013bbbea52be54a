//! Vote: once per sequence, the experts that most tokens and modules of the prompt are for.

use super::router::{Request, Resolved, Router, Words};
use super::sequence;
use super::setting::{CALIBRATED, Domain, Effect, MIX, RouterSetting, SCORE, SHARPNESS, TIED};
use crate::Result;
use crate::routing::ballot::{Ballot, Outcome};

/// Experts kept per sequence.
static TOP: RouterSetting = RouterSetting {
    name: "top",
    title: "number of experts",
    symbol: "top",
    help: "Experts per sequence, 0 = all",
    domain: Domain::Count { default: 1 },
    shorthand: None,
    effect: Effect::Always,
};

const SETTINGS: &[&RouterSetting] = &[&SCORE, &TOP, &SHARPNESS, &CALIBRATED, &MIX, &TIED];

pub(super) const ROUTER: Router = Router::per_sequence(
    Words {
        id: "vote",
        title: "vote",
        help: "Once per sequence, the experts with the most votes of the prompt's tokens and modules",
        formula: "p = softmax(score / 0.5) over experts at every counted prompt token and module of a pass without \
                  experts; V = mean of p; the `top` best have weights ∝ V^(1/sharpness)",
        source: "this program; measured in results.md",
        cost: "one more pass of the prompt, without experts",
        fails: "a prompt of several tasks at once gets one choice for all of them; without `calibrated`, experts that \
                every text excites win too often",
    },
    SETTINGS,
    resolve,
);

fn resolve(request: &Request) -> Result<Resolved> {
    let measure = request.measure(request.values.score())?;
    let selection = sequence::selection(request, &TOP);
    let width = selection.width(request.speakers.count());
    let survey = Ballot::new(
        measure,
        request.experts,
        request.speakers,
        (request.sharpness()?, Outcome::Weights(selection)),
    );
    Ok(sequence::resolved(survey, width, request.values.mix()))
}
