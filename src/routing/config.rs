//! Which router, with which settings, over which experts; and the text form of a router,
//! `ID[:ARG][:setting=value…]`.

use std::fmt;
use std::str::FromStr;

use super::routers::{
    CALIBRATED, PRIOR, ROUTERS, Router, RouterSetting, SCORE, SHARPNESS, Scope, SettingValue, SettingValues,
    TEMPERATURE, TOP_K,
};
use super::scores::{Needs, Score};
use crate::library::Manifest;
use crate::named::{Named, nearest, unknown};
use crate::{Error, Result};

/// A router with its settings. Compare for equality to know whether a trace is still good.
///
/// Settings that the router does not have are kept for one that has them, and change nothing. The text form is
/// of the router alone; which experts take part stands beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct RouterConfig {
    /// Its entry in the table.
    pub router: &'static Router,
    /// What follows the id, as the name of an expert; empty where the router takes nothing.
    pub argument: String,
    /// Its settings; the rest are defaults.
    pub values: SettingValues,
    /// Names of experts that get no weight.
    pub muted: Vec<String>,
    /// Names of experts that are always among the top k, whatever their scores.
    pub pinned: Vec<String>,
    /// Names of experts whose mean A and mean B are taken out of the A and B of all others before anything
    /// else (GenKnowSub). They get no weight themselves.
    pub general: Vec<String>,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self::of(&ROUTERS[0])
    }
}

impl RouterConfig {
    /// A router with its default settings over all experts.
    pub fn of(router: &'static Router) -> Self {
        Self {
            router,
            argument: String::new(),
            values: SettingValues::default(),
            muted: Vec::new(),
            pinned: Vec::new(),
            general: Vec::new(),
        }
    }

    /// One expert everywhere.
    pub fn single(expert: impl Into<String>) -> Self {
        Self { argument: expert.into(), ..Self::of(Router::single()) }
    }

    /// The base model alone.
    pub fn base() -> Self {
        Self::of(Router::base())
    }

    /// The library's own router, used where no other is asked for; the base model alone where it has no experts.
    ///
    /// # Errors
    /// When its `library.toml` names a router or a setting that does not exist.
    pub fn of_library(manifest: &Manifest, has_experts: bool) -> Result<Self> {
        let mut config = library_default(manifest)?.unwrap_or_default();
        config.fill_from(manifest);
        if !has_experts {
            config.change_to(Router::base(), String::new());
        }
        Ok(config)
    }

    /// Takes k and temperature from a library's `library.toml`, where they stand for every router, if they were not
    /// given. Other settings of its default router belong to that alone: a router that is named is what it says.
    pub fn fill_from(&mut self, manifest: &Manifest) {
        let mut others = SettingValues::default();
        others.set(&TOP_K, manifest.router.top_k);
        others.set(&TEMPERATURE, manifest.router.temperature);
        self.values.fill(&others);
    }

    /// The same with another value of a setting.
    #[must_use]
    pub fn with(mut self, setting: &'static RouterSetting, value: impl Into<SettingValue>) -> Self {
        self.values.set(setting, value);
        self
    }

    /// Another router; values of settings and the experts that take part stay.
    pub fn change_to(&mut self, router: &'static Router, argument: String) {
        (self.router, self.argument) = (router, argument);
    }

    /// Whether every token and module has weights of its own.
    pub fn is_routed(&self) -> bool {
        self.router.scope == Scope::Token
    }

    /// Whether weights depend on the token or on the sequence.
    pub fn chooses(&self) -> bool {
        matches!(self.router.scope, Scope::Token | Scope::Sequence)
    }

    /// Whether scores have to be calibrated.
    pub fn is_calibrated(&self) -> bool {
        self.router.has(&CALIBRATED) && self.values.flag(&CALIBRATED)
    }

    /// Whether it has to be known how spread votes usually are.
    pub fn needs_usual_spread(&self) -> bool {
        self.router.has(&SHARPNESS) && self.values.is_sharpness_found() && self.asks_prompts()
    }

    /// Whether calibration prompts are needed.
    pub fn needs_calibration(&self) -> bool {
        self.is_calibrated() || self.needs_usual_spread()
    }

    /// What it scores experts by, where it does: one that chooses per token has the name of its score.
    pub fn score(&self) -> Option<Score> {
        match self.router.has(&SCORE) {
            true => Some(self.values.score()),
            false => Score::named(self.router.id).ok().copied(),
        }
    }

    /// What has to be known of the experts for it.
    pub fn needs(&self) -> Needs {
        match self.router.has(&SCORE) {
            true => self.router.needs.max(self.values.score().needs),
            false => self.router.needs,
        }
    }

    /// Whether it asks something of a whole prompt before it weighs its tokens.
    pub fn asks_prompts(&self) -> bool {
        let has_prior = self.router.has(&PRIOR) && self.values.number(&PRIOR) > 0.0;
        self.router.scope == Scope::Sequence || has_prior
    }

    /// Whether any expert takes part.
    pub fn is_weighted(&self) -> bool {
        self.router.scope != Scope::Nothing
    }

    /// Id and argument, without settings: `single:NAME`.
    pub fn head(&self) -> String {
        match &self.router.argument {
            Some(_) => format!("{}:{}", self.router.id, self.argument),
            None => self.router.id.to_string(),
        }
    }

    /// Whether it does the same as `other`: what was given may be a default there.
    pub fn does_as(&self, other: &Self) -> bool {
        let value = |config: &Self, setting: &&'static RouterSetting| config.values.get(setting);
        self.router == other.router
            && self.argument == other.argument
            && self.router.settings.iter().all(|setting| value(self, setting) == value(other, setting))
            && (&self.muted, &self.pinned, &self.general) == (&other.muted, &other.pinned, &other.general)
    }

    /// A setting whose given value changes nothing beside the others, and why.
    pub fn idle(&self) -> Option<(&'static RouterSetting, String)> {
        let settings = self.router.settings;
        settings.iter().find_map(|setting| Some((*setting, setting.idle(settings, &self.values)?)))
    }

    /// Whether every value that was given changes something.
    ///
    /// # Errors
    /// A usage error that names the first that does not.
    pub fn check_effect(&self) -> Result<()> {
        match self.idle() {
            Some((setting, why)) => Err(Error::usage(format!(
                "{}: {} changes nothing, because {why}; or leave it out",
                self.router.id, setting.name
            ))),
            None => Ok(()),
        }
    }

    /// Whether all values of the router's settings lie in their ranges, and it can be used where no task is known.
    ///
    /// # Errors
    /// A usage error that names the first that does not.
    pub fn check(&self) -> Result<()> {
        if self.router.needs_task {
            return Err(Error::usage(format!(
                "{} needs to know the task of a prompt: it works in eval --methods; elsewhere use single:NAME",
                self.router.id
            )));
        }
        match self.router.settings.iter().find(|setting| !setting.admits(self.values.get(setting))) {
            Some(setting) => Err(Error::usage(format!("the {} must be {}", setting.title, setting.range()))),
            None => match &self.router.argument {
                Some(argument) => (argument.check)(&self.argument),
                None => Ok(()),
            },
        }
    }
}

/// The router that a library's `library.toml` names.
fn library_default(manifest: &Manifest) -> Result<Option<RouterConfig>> {
    let read = |text: &String| {
        text.parse().map_err(|e| Error::usage(format!("{}: [router] default: {e}", Manifest::FILE)))
    };
    manifest.router.default.as_ref().map(read).transpose()
}

impl fmt::Display for RouterConfig {
    /// The text form, with the settings that were given and change something.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.head();
        // An argument that ends like a setting stays whole where every setting follows it.
        let all = self.router.argument.is_some() && ends_in_setting(self.router, &self.argument);
        for setting in self.router.settings {
            let given = self.values.given(setting);
            // What changes nothing may come from a library's defaults; it would be refused where it is read.
            let given = given.filter(|_| setting.idle(self.router.settings, &self.values).is_none());
            let value = match given {
                None if all => Some(setting.default_value()),
                given => given,
            };
            match value {
                None => {}
                Some(SettingValue::Flag(true)) => text = format!("{text}:{}", setting.name),
                Some(value) => text = format!("{text}:{}={value}", setting.name),
            }
        }
        f.pad(&text)
    }
}

/// The setting that a piece of a text form gives a value, with the text of the value.
fn setting_of<'t>(router: &Router, piece: &'t str) -> Option<(&'static RouterSetting, Option<&'t str>)> {
    let (name, value) = match piece.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (piece, None),
    };
    let setting = router.settings.iter().find(|setting| setting.name == name)?;
    Some((setting, value))
}

fn ends_in_setting(router: &Router, text: &str) -> bool {
    setting_of(router, text.rsplit(':').next().unwrap_or(text)).is_some()
}

impl FromStr for RouterConfig {
    type Err = Error;

    /// Reads the text form. Settings are taken from its end, so that an argument may contain colons.
    fn from_str(text: &str) -> Result<Self> {
        let (id, mut rest) = match text.split_once(':') {
            Some((id, rest)) => (id, Some(rest)),
            None => (text, None),
        };
        let usages = || ROUTERS.iter().map(Router::usage).collect::<Vec<_>>().join(", ");
        let router = ROUTERS
            .iter()
            .find(|router| router.id == id)
            .ok_or_else(|| unknown(Router::KIND, id, ROUTERS.iter().map(|r| r.id), &usages()))?;
        let mut config = Self::of(router);
        while let Some(text) = rest {
            let (before, piece) = match text.rsplit_once(':') {
                Some((before, piece)) => (Some(before), piece),
                None => (None, text),
            };
            let Some((setting, value)) = setting_of(router, piece) else { break };
            if config.values.given(setting).is_some() {
                break;
            }
            let value = setting.parse(value).map_err(|e| Error::usage(format!("{id}: {e}")))?;
            config.values.set(setting, value);
            rest = before;
        }
        config.check_effect()?;
        match (&router.argument, rest) {
            (Some(argument), Some("") | None) => Err(Error::usage(format!(
                "{id} needs {} after a colon: {}",
                argument.placeholder,
                router.usage()
            ))),
            (Some(argument), Some(rest)) => {
                (argument.check)(rest)?;
                Ok(Self { argument: rest.to_string(), ..config })
            }
            (None, Some(rest)) => Err(no_such_setting(router, rest)),
            (None, None) => Ok(config),
        }
    }
}

/// What is wrong with the rest of a text form of a router without an argument.
fn no_such_setting(router: &Router, rest: &str) -> Error {
    let id = router.id;
    let piece = rest.rsplit(':').next().unwrap_or(rest);
    if let Some((setting, _)) = setting_of(router, piece) {
        return Error::usage(format!("{id}: {} is given twice", setting.name));
    }
    let name = piece.split('=').next().unwrap_or(piece);
    let names: Vec<&str> = router.settings.iter().map(|setting| setting.name).collect();
    let hint = match nearest(name, names.iter().copied(), 2).as_slice() {
        _ if names.is_empty() => "it has none".to_string(),
        [] => format!("it has {}", names.join(", ")),
        near => format!("did you mean {}?", near.join(" or ")),
    };
    Error::usage(format!("{id} has no setting \"{name}\"; {hint}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::routing::{MIX, Mix, TIED};

    #[test]
    fn routers_are_read_by_their_text_form() {
        let arrow: RouterConfig = "arrow:k=5:temperature=0.1:mix=factors:tied".parse().unwrap();
        assert_eq!((arrow.router.id, arrow.values.count(&TOP_K)), ("arrow", 5));
        assert_eq!(arrow.values.number(&TEMPERATURE), 0.1);
        assert!(arrow.values.flag(&TIED) && arrow.values.mix() == Mix::Factors);
        assert_eq!(arrow.to_string(), "arrow:k=5:temperature=0.1:mix=factors:tied");
        let single: RouterConfig = "single:a/b:k=3".parse().unwrap();
        assert_eq!(single.argument, "a/b:k=3", "single has no settings, so that all of it is the name");
        assert_eq!(RouterConfig::default().to_string(), "arrow");
    }

    #[test]
    fn wrong_texts_are_answered_with_what_there_is() {
        let error = |text: &str| text.parse::<RouterConfig>().unwrap_err().to_string();
        assert_eq!(error("arow"), "there is no router \"arow\"; did you mean arrow?");
        let all: Vec<&str> = ROUTERS.iter().map(Router::usage).collect();
        assert_eq!(error(""), format!("there is no router \"\": choose from {}", all.join(", ")));
        assert_eq!(error("single"), "single needs NAME after a colon: single:NAME");
        assert_eq!(error("single:"), "single needs NAME after a colon: single:NAME");
        assert_eq!(error("arrow:k=x"), "arrow: k must be a whole number (0 = all), not x");
        assert_eq!(error("arrow:k"), "arrow: k needs a value: a whole number (0 = all)");
        assert_eq!(error("arrow:k="), "arrow: k needs a value: a whole number (0 = all)");
        assert_eq!(error("vote:score="), "vote: score needs a value: one of its words");
        assert_eq!(
            error("arrow:temperature=1e-300"),
            "arrow: temperature must be a positive number (1e-30 to 1e30), not 1e-300"
        );
        assert!(
            error("arrow:prior=1e300").starts_with("arrow: prior must be a number of at least 0 (at most")
        );
        for text in ["arrow:temperature=0", "arrow:temperature=NaN", "arrow:temperature=inf"] {
            assert!(error(text).starts_with("arrow: temperature must be a positive number"), "{text}");
        }
        assert_eq!(
            error("arrow:temprature=1"),
            "arrow has no setting \"temprature\"; did you mean temperature?"
        );
        assert_eq!(error("arrow:k=1:k=2"), "arrow: k is given twice");
        assert_eq!(error("base:x"), "base has no setting \"x\"; it has none");
        assert_eq!(
            error("arrow:mix=factor"),
            "arrow: there is no way to mix \"factor\"; did you mean factors?"
        );
    }

    #[test]
    fn routers_that_do_the_same_are_recognised() {
        let config = |text: &str| text.parse::<RouterConfig>().unwrap();
        for (one, other, same) in [
            ("arrow", "arrow:k=3", true),
            ("arrow:calibrated=false:mix=outputs", "arrow", true),
            ("arrow", "arrow:k=2", false),
            ("arrow", "subspace", false),
            ("single:a", "single:b", false),
        ] {
            assert_eq!(config(one).does_as(&config(other)), same, "{one} {other}");
        }
        let muted = RouterConfig { muted: vec!["a".into()], ..config("arrow") };
        assert!(!muted.does_as(&config("arrow")));
        assert!(config("oracle").check().unwrap_err().to_string().contains("eval --methods"));
    }

    #[test]
    fn a_setting_that_changes_nothing_is_refused() {
        let error = |text: &str| text.parse::<RouterConfig>().unwrap_err().to_string();
        assert_eq!(
            error("vote:score=norm:tied"),
            "vote: tied changes nothing, because the score norm needs no prototypes: use score=arrow; or leave it out"
        );
        for text in [
            "vote:sharpness=2",
            "vote:sharpness=auto:calibrated",
            "vote:top=1:mix=factors",
            "predictor:mix=factors",
            "logo:experts=1:mix=factors",
        ] {
            assert!(error(text).contains("changes nothing, because one expert has all the weight"), "{text}");
        }
        assert_eq!(error("lag:mix=factors"), "lag has no setting \"mix\"; it has k, calibrated, tied");
        assert!(error("arrow:sharpness=auto").contains("nothing is voted on: give prior, too"));
        for text in [
            "vote:top=0:sharpness=auto",
            "norm:k=1:prior=2:sharpness=auto",
            "vote:tied",
            "vote:top=0:sharpness=2",
            "vote:score=norm:tied=false",
            "arrow:k=1:temperature=1",
            "arrow:k=1:temperature=0.1",
            "uniform:mix=factors",
        ] {
            assert!(text.parse::<RouterConfig>().is_ok(), "{text}");
        }
        // What is added to it without effect is not mentioned.
        let added = RouterConfig::default().with(&TOP_K, 1).with(&MIX, Mix::Factors);
        assert_eq!(added.to_string(), "arrow:k=1");
        let mut manifest = Manifest::default();
        manifest.router.default = Some("vote:score=norm:tied".into());
        let error = RouterConfig::of_library(&manifest, true).unwrap_err().to_string();
        assert!(error.starts_with("library.toml: [router] default: vote: tied changes nothing"), "{error}");
    }

    #[test]
    fn a_library_says_what_is_used_where_nobody_asks() {
        let mut manifest = Manifest::default();
        manifest.router.top_k = 5;
        let text = |manifest: &Manifest, has_experts| {
            RouterConfig::of_library(manifest, has_experts).map(|config| config.to_string())
        };
        assert_eq!(text(&manifest, true).unwrap(), "arrow:k=5:temperature=1");
        assert_eq!(text(&manifest, false).unwrap(), "base");
        manifest.router.default = Some("arrow:k=1".into());
        assert_eq!(text(&manifest, true).unwrap(), "arrow:k=1:temperature=1");
        manifest.router.default = Some("uniform".into());
        assert_eq!(text(&manifest, true).unwrap(), "uniform");
        manifest.router.default = Some("arow".into());
        assert!(
            text(&manifest, true).unwrap_err().to_string().starts_with("library.toml: [router] default:")
        );
    }

    /// Any value of a setting's range.
    fn value(setting: &'static RouterSetting) -> BoxedStrategy<SettingValue> {
        match setting.default_value() {
            SettingValue::Count(_) => any::<usize>().prop_map(SettingValue::Count).boxed(),
            SettingValue::Number(_) if setting.admits(SettingValue::Word("auto")) => {
                prop_oneof![Just(SettingValue::Word("auto")), (0.01..9.0).prop_map(SettingValue::Number)]
                    .boxed()
            }
            SettingValue::Number(_) => (1e-30..1e30).prop_map(SettingValue::Number).boxed(),
            SettingValue::Flag(_) => any::<bool>().prop_map(SettingValue::Flag).boxed(),
            SettingValue::Word(_) => {
                any::<bool>().prop_map(move |up| setting.step(setting.default_value(), up, 1)).boxed()
            }
        }
    }

    fn configs() -> impl Strategy<Value = RouterConfig> {
        let names = prop_oneof![".{1,12}", "[a-z]{1,4}(:(k=3|tied|mix=outputs|[a-z,/]{1,3})){0,3}"];
        (0..ROUTERS.len(), names, any::<u64>()).prop_flat_map(|(at, name, number)| {
            let router = &ROUTERS[at];
            let argument = match &router.argument {
                None => String::new(),
                Some(argument) if argument.names_expert => name,
                Some(_) => number.to_string(),
            };
            let values: Vec<_> =
                router.settings.iter().map(|setting| proptest::option::of(value(setting))).collect();
            values.prop_map(move |values| {
                let mut config = RouterConfig { argument: argument.clone(), ..RouterConfig::of(router) };
                for (setting, value) in router.settings.iter().zip(values) {
                    if let Some(value) = value {
                        config.values.set(setting, value);
                    }
                }
                config
            })
        })
    }

    proptest! {
        /// What is printed is read as what it was.
        #[test]
        fn text_forms_are_read_as_they_were_printed(config in configs()) {
            let text = config.to_string();
            let read: RouterConfig = text.parse().unwrap();
            prop_assert_eq!(&read.argument, &config.argument);
            for setting in config.router.settings {
                let idle = setting.idle(config.router.settings, &config.values).is_some();
                let wanted = if idle { setting.default_value() } else { config.values.get(setting) };
                prop_assert_eq!(read.values.get(setting), wanted, "{}", text);
            }
            prop_assert_eq!(read.router.id, config.router.id);
            prop_assert_eq!(read.to_string(), text);
        }

        /// Nothing that a person types panics.
        #[test]
        fn any_text_is_read_or_refused(text in "(arrow|single|base|uniform|vote|random)?[:=a-z0-9,.]{0,20}") {
            if let Ok(config) = text.parse::<RouterConfig>() {
                prop_assert_eq!(config.to_string().parse::<RouterConfig>().unwrap(), config);
            }
        }
    }

    #[test]
    fn a_router_with_a_prior_scores_by_the_score_of_its_name() {
        for router in ROUTERS.iter().filter(|router| router.has(&PRIOR)) {
            assert_eq!(RouterConfig::of(router).score().map(|score| score.id), Some(router.id));
        }
        let score = |text: &str| text.parse::<RouterConfig>().unwrap().score().map(|score| score.id);
        assert_eq!((score("vote:score=norm"), score("uniform"), score("lag")), (Some("norm"), None, None));
        let needs = |text: &str| {
            let config: RouterConfig = text.parse().unwrap();
            (config.needs_usual_spread(), config.needs_calibration(), config.is_calibrated())
        };
        assert_eq!(needs("vote:top=0:sharpness=auto"), (true, true, false));
        assert_eq!(needs("norm:prior=2:sharpness=auto:calibrated"), (true, true, true));
        assert_eq!(needs("norm:prior=2:sharpness=2"), (false, false, false));
    }

    #[test]
    fn mixes_are_set_by_word() {
        let config = RouterConfig::default().with(&MIX, Mix::Factors);
        assert_eq!(config.to_string(), "arrow:mix=factors");
    }
}
