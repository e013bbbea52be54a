//! What is asked: the prompt, and the router that is to answer it.

use super::prompt::PromptBox;
use crate::Result;
use crate::library::{Library, Manifest};
use crate::routing::{
    CALIBRATED, Needs, ROUTERS, Router, RouterConfig, RouterSetting, SettingValues, TEMPERATURE, TOP_K,
    titles,
};

/// The settings that have keys.
const KEYED: [&RouterSetting; 3] = [&TOP_K, &TEMPERATURE, &CALIBRATED];

/// What a router that takes a number is begun with.
const FIRST_SEED: &str = "1";

/// What was asked of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    pub prompt: String,
    pub raw: bool,
    pub router: RouterConfig,
}

impl Asked {
    /// Whether the prompt is the same, in the template or not.
    pub fn is_same_prompt(&self, other: &Self) -> bool {
        (&self.prompt, self.raw) == (&other.prompt, other.raw)
    }

    /// Whether the same would come out, however it was said: a setting that was given its default is one that was not
    /// given.
    pub fn is_same_run(&self, other: &Self) -> bool {
        self.is_same_prompt(other) && is_same_router(&self.router, &other.router)
    }
}

/// Whether two routers give the same weights, however their settings were said.
pub fn is_same_router(one: &RouterConfig, other: &RouterConfig) -> bool {
    let experts =
        |router: &RouterConfig| [&router.muted, &router.pinned, &router.general].map(|names| names.clone());
    one.router == other.router
        && one.argument == other.argument
        && one.router.settings.iter().all(|setting| one.values.get(setting) == other.values.get(setting))
        && experts(one) == experts(other)
}

/// What became of a change of the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is another one now.
    Made,
    /// It was that one before.
    Nothing,
    /// It cannot be done, or this router has no use for it; the line says why, and what can be done.
    Refused(String),
}

/// What is in the prompt box, and how it is to be routed.
#[derive(Debug, Default)]
pub struct Question {
    pub prompt: PromptBox,
    /// The prompt goes to the model as it is, without the template.
    pub raw: bool,
    pub router: RouterConfig,
    /// Whether a person changed the router, so that the library's default no longer applies.
    touched: bool,
    /// The settings that a person chose, which stay when the router changes.
    chosen: SettingValues,
    /// What the library says of routers.
    manifest: Option<Manifest>,
    /// The library's own router, as it was before a person changed it.
    own: Option<RouterConfig>,
    /// The router before everything went through one expert.
    before_single: Option<RouterConfig>,
}

impl Question {
    /// What is asked now.
    pub fn asked(&self) -> Asked {
        Asked { prompt: self.prompt.text(), raw: self.raw, router: self.router.clone() }
    }

    /// Whether the router mixes experts, so that one of them can be left out.
    pub fn can_mute(&self) -> bool {
        self.router.router.mutes
    }

    /// The muted experts; none under routers that do not mix, though the choice is kept for those that do.
    pub fn muted(&self) -> &[String] {
        if self.can_mute() { &self.router.muted } else { &[] }
    }

    /// The pinned experts; none under routers that do not choose among experts.
    pub fn pinned(&self) -> &[String] {
        if self.router.router.pins { &self.router.pinned } else { &[] }
    }

    fn change(&mut self, change: impl FnOnce(&mut RouterConfig)) -> Change {
        let before = self.router.clone();
        change(&mut self.router);
        if !std::mem::replace(&mut self.touched, true) {
            self.own = Some(before.clone());
        }
        if before == self.router { Change::Nothing } else { Change::Made }
    }

    /// A router as a command has it that names it for this library, with what a person chose here, over the same
    /// experts.
    fn named(&self, router: &'static Router, argument: String) -> RouterConfig {
        let values = self.chosen.clone();
        let mut config = RouterConfig { router, argument, values, ..self.router.clone() };
        if let Some(manifest) = &self.manifest {
            config.fill_from(manifest);
        }
        config
    }

    /// Takes a router as it is.
    pub fn set_router(&mut self, router: &RouterConfig) {
        self.before_single = None;
        self.chosen = SettingValues::default();
        let _ = self.change(|own| own.clone_from(router));
    }

    /// The next of the routers that the key stops at; one that needs an expert takes `expert`. After a library's own
    /// router comes Arrow as a command that names it has it, and after the last one the library's own again. Those that
    /// need the experts' own data are passed over where there is none (`has_data`): also says which were.
    pub fn next_router(&mut self, expert: Option<String>, has_data: bool) -> (Change, Vec<&'static str>) {
        // Who takes part may have changed since; the router is the library's own all the same.
        let is_own =
            |own: &RouterConfig| own.router == self.router.router && own.values == self.router.values;
        let at_own = !self.touched || self.own.as_ref().is_some_and(is_own);
        let arrow = self.named(RouterConfig::default().router, String::new());
        if at_own && arrow != self.router {
            return (self.change(|router| *router = arrow), Vec::new());
        }
        let now = ROUTERS.iter().position(|router| router == self.router.router).unwrap_or(0);
        let mut passed = Vec::new();
        let rest = ROUTERS.iter().cycle().skip(now + 1).take(ROUTERS.len());
        for next in rest.filter(|router| router.cycles) {
            let argument = match &next.argument {
                None => String::new(),
                Some(argument) if argument.names_expert => match &expert {
                    Some(expert) => expert.clone(),
                    None => continue,
                },
                Some(_) => FIRST_SEED.into(),
            };
            if !has_data && RouterConfig::of(next).needs() >= Needs::OwnData {
                passed.push(next.title);
                continue;
            }
            let begins_again = ROUTERS.iter().position(|router| router == next) <= Some(now);
            // Where it is Arrow itself, it is reached by itself.
            let is_arrow = |own: &RouterConfig| (own.router, &own.values) == (arrow.router, &arrow.values);
            if begins_again && let Some(own) = self.own.clone().filter(|own| !is_arrow(own)) {
                let back = |router: &mut RouterConfig| {
                    (router.router, router.argument, router.values) = (own.router, own.argument, own.values);
                };
                return (self.change(back), passed);
            }
            let next = self.named(next, argument);
            return (self.change(|router| *router = next), passed);
        }
        (Change::Nothing, passed)
    }

    /// The next value of a setting, where the router has it. Counts run from 1 to the number of `experts`.
    pub fn step_setting(&mut self, setting: &'static RouterSetting, up: bool, experts: usize) -> Change {
        if !self.router.router.has(setting) {
            return not_this_router(setting);
        }
        let next = setting.step(self.router.values.get(setting), up, experts.max(1));
        self.chosen.set(setting, next);
        self.change(|router| router.values.set(setting, next))
    }

    /// Gives one of the experts `names` no weight, or brings it back. The last one cannot be muted.
    pub fn toggle_mute(&mut self, name: Option<&str>, names: &[String]) -> Change {
        if !self.can_mute() {
            return nobody_to_mute();
        }
        let Some(name) = name else { return Change::Nothing };
        if let Some(at) = self.router.muted.iter().position(|muted| muted == name) {
            return self.change(|router| drop(router.muted.remove(at)));
        }
        let left = names.iter().filter(|name| !self.router.muted.contains(name)).count();
        if left <= 1 {
            return Change::Refused("The last expert cannot be muted: X brings the others back.".into());
        }
        self.change(|router| {
            router.muted.push(name.to_string());
            router.pinned.retain(|pinned| pinned != name);
        })
    }

    /// Keeps one of the experts among the chosen ones whatever its scores, or no longer.
    pub fn toggle_pin(&mut self, name: Option<&str>) -> Change {
        if !self.router.router.pins {
            return Change::Refused(format!("Pinning needs {} (press r).", titles(|router| router.pins)));
        }
        let Some(name) = name else { return Change::Nothing };
        if let Some(at) = self.router.pinned.iter().position(|pinned| pinned == name) {
            return self.change(|router| drop(router.pinned.remove(at)));
        }
        if self.router.muted.iter().any(|muted| muted == name) {
            return Change::Refused("A muted expert cannot be pinned: x brings it back.".into());
        }
        self.change(|router| router.pinned.push(name.to_string()))
    }

    /// Brings all muted experts back.
    pub fn unmute_all(&mut self) -> Change {
        if !self.can_mute() {
            return nobody_to_mute();
        }
        self.change(|router| router.muted.clear())
    }

    /// Routes everything through one expert.
    pub fn route_single(&mut self, name: String) -> Change {
        if !self.router.router.names_expert() {
            self.before_single = Some(self.router.clone());
        }
        self.change(|router| router.change_to(Router::single(), name))
    }

    /// Goes back to the router from which [`Self::route_single`] came; to the default where it came from none.
    pub fn leave_single(&mut self) -> Change {
        let before = self.before_single.take().unwrap_or_default();
        let muted = std::mem::take(&mut self.router.muted);
        self.change(|router| *router = RouterConfig { muted, ..before })
    }

    /// Takes a library: its router, unless a person chose one, without experts that it does not have. Says whether
    /// the router is another one now.
    ///
    /// # Errors
    /// The library's own router makes no sense; all else was done.
    pub fn take_library(&mut self, library: &Library) -> (bool, Result<()>) {
        let before = self.router.clone();
        self.manifest = Some(library.manifest.clone());
        let mut settled = Ok(());
        if !self.touched {
            // Without experts only the base model can answer.
            let anybody = library.usable().next().is_some();
            match RouterConfig::of_library(&library.manifest, anybody) {
                Ok(config) => {
                    self.router = RouterConfig { muted: std::mem::take(&mut self.router.muted), ..config };
                }
                Err(error) => settled = Err(error),
            }
        }
        let known = |name: &String| library.usable().any(|expert| &expert.name == name);
        self.router.muted.retain(known);
        self.router.pinned.retain(known);
        if library.usable().all(|expert| self.router.muted.contains(&expert.name)) {
            // Somebody must be left to answer.
            self.router.muted.clear();
        }
        if self.router.router.names_expert() && !known(&self.router.argument) {
            self.router = self.named(RouterConfig::default().router, String::new());
        }
        (before != self.router, settled)
    }
}

/// Said instead of a change that would show nothing: which routers have the setting.
fn not_this_router(setting: &RouterSetting) -> Change {
    let who = |setting: &RouterSetting| titles(|router| router.has(setting));
    let alike: Vec<&str> =
        KEYED.iter().filter(|other| who(other) == who(setting)).map(|other| other.title).collect();
    let names = alike.join(" and ");
    let mut letters = names.chars();
    let names: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    let apply = if alike.len() == 1 { "applies" } else { "apply" };
    Change::Refused(format!("{names} {apply} to {} only (press r).", who(setting)))
}

/// Said instead of a mute that would change nothing.
fn nobody_to_mute() -> Change {
    Change::Refused(format!("Muting needs {} (press r).", titles(|router| router.mutes)))
}
