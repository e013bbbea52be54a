//! The routers. A new one is a file here and a line in [`ROUTERS`].

mod arrow;
mod base;
mod centroid;
mod lag;
mod logo;
mod mean_state;
mod norm;
mod oracle;
mod phatgoose;
mod predictor;
mod random;
mod reference;
mod retrieve;
mod router;
mod sequence;
mod setting;
mod single;
mod subspace;
mod token;
mod uniform;
mod uniform_factors;
mod vote;

pub use mean_state::StateWeigher;
pub use reference::reference;
pub use router::{Argument, Request, Resolved, Router, Rule, Scope, Weighing};
pub use setting::{
    CALIBRATED, Domain, Effect, MIX, PRIOR, RouterSetting, SCORE, SHARPNESS, SettingValue, SettingValues,
    Shorthand, TEMPERATURE, TIED, TOP_K,
};

use crate::named::Named;
use crate::text::listed;

/// Every router, in the order of help, docs and the key for the next one. The first is the default.
pub static ROUTERS: &[Router] = &[
    arrow::ROUTER,
    subspace::ROUTER,
    norm::ROUTER,
    lag::ROUTER,
    vote::ROUTER,
    logo::ROUTER,
    centroid::ROUTER,
    phatgoose::ROUTER,
    retrieve::ROUTER,
    predictor::ROUTER,
    uniform::ROUTER,
    uniform_factors::ROUTER,
    single::ROUTER,
    base::ROUTER,
    random::ROUTER,
    oracle::ROUTER,
];

/// Every setting of the routers once, in the order of the routers that have it.
pub fn settings() -> Vec<&'static RouterSetting> {
    let mut all: Vec<&RouterSetting> = Vec::new();
    for setting in ROUTERS.iter().flat_map(|router| router.settings) {
        if !all.iter().any(|known| known.name == setting.name) {
            all.push(setting);
        }
    }
    all
}

impl Named for Router {
    const KIND: &'static str = "router";

    fn all() -> &'static [Self] {
        ROUTERS
    }

    fn name(&self) -> &'static str {
        self.id
    }

    fn help(&self) -> &'static str {
        self.help
    }
}

impl Router {
    /// The base model alone.
    pub fn base() -> &'static Self {
        Self::of_scope(Scope::Nothing)
    }

    /// One expert everywhere.
    pub fn single() -> &'static Self {
        ROUTERS.iter().find(|router| router.names_expert()).unwrap_or(&ROUTERS[0])
    }

    fn of_scope(scope: Scope) -> &'static Self {
        ROUTERS.iter().find(|router| router.scope == scope).unwrap_or(&ROUTERS[0])
    }
}

/// The titles of the routers that the key for the next one stops at and of which `is_so` holds:
/// `Arrow`, `Arrow or uniform`.
pub fn titles(is_so: impl Fn(&Router) -> bool) -> String {
    let titles: Vec<&str> =
        ROUTERS.iter().filter(|router| router.cycles && is_so(router)).map(|router| router.title).collect();
    listed(&titles, "or")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_one_name_are_one_setting() {
        for setting in ROUTERS.iter().flat_map(|router| router.settings) {
            let known = settings().into_iter().find(|known| known.name == setting.name).unwrap();
            assert_eq!(format!("{known:?}"), format!("{setting:?}"));
        }
    }
}
