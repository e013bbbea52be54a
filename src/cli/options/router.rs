//! The router options: a router's text form, shorthands for settings, and names of experts.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::RouterArgs;
use super::settings::possible;
use crate::library::Library;
use crate::named::{find_name, split_names};
use crate::routing::{
    CALIBRATED, Domain, ROUTERS, RouterConfig, RouterSetting, SettingValue, SettingValues, Shorthand,
    settings,
};
use crate::{Error, Result};

/// Reads the text form of a router; `--help` and completions list the routers.
#[derive(Clone, Debug)]
pub struct RouterParser;

impl TypedValueParser for RouterParser {
    type Value = RouterConfig;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let read = |text: String| text.parse::<RouterConfig>();
        StringValueParser::new().try_map(read).parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(ROUTERS.iter().map(|router| PossibleValue::new(router.usage()).help(router.help))))
    }
}

/// The first line of help.
pub fn help() -> String {
    "Router, with settings where wanted: arrow:k=3:temperature=0.1 [default: the library's, else arrow]"
        .into()
}

/// The help of a command that has a list of routers.
pub fn help_beside_a_list() -> &'static str {
    "Settings that routers of the list do not give, as a router has them: arrow:calibrated"
}

/// All of the help.
pub fn long_help() -> String {
    let mut text = help();
    for router in ROUTERS.iter().filter(|router| !router.settings.is_empty()) {
        text.push_str(&format!("\n\nSettings of {}:", router.id));
        for setting in router.settings {
            text.push_str(&format!("\n- {}: {}", setting.name, setting.help));
        }
    }
    text
}

/// Values of the settings that have options of their own.
#[derive(Clone, Debug, Default)]
pub struct Shorthands(SettingValues);

/// The settings that have options of their own.
fn shorthands() -> impl Iterator<Item = (&'static RouterSetting, &'static Shorthand)> {
    settings().into_iter().filter_map(|setting| Some((setting, setting.shorthand.as_ref()?)))
}

impl Args for Shorthands {
    fn augment_args(command: Command) -> Command {
        let arg = |(setting, shorthand): (&'static RouterSetting, &'static Shorthand)| {
            let arg = Arg::new(shorthand.option).long(shorthand.option);
            let help = setting.help;
            let fallback = setting.default_value();
            let arg = match &setting.domain {
                Domain::Flag => return arg.action(ArgAction::SetTrue).help(help),
                Domain::Word { words } => {
                    let named = |text: String| setting.parse(Some(&text));
                    arg.value_parser(possible(words()).try_map(named))
                }
                Domain::Count { .. } | Domain::Positive { .. } | Domain::NotNegative { .. } => {
                    let wanted = || format!("must be {}", setting.range());
                    // A negative number is answered with what is wanted, not taken for an option.
                    arg.allow_hyphen_values(true)
                        .value_parser(move |text: &str| setting.parse(Some(text)).map_err(|_| wanted()))
                }
            };
            arg.value_name(shorthand.value).help(format!("{help} [default: the library's, else {fallback}]"))
        };
        command.args(shorthands().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Shorthands {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for (setting, Shorthand { option, .. }) in shorthands() {
            match &setting.domain {
                Domain::Flag if matches.get_flag(option) => self.0.set(setting, true),
                Domain::Flag => {}
                _ => {
                    if let Some(value) = matches.get_one::<SettingValue>(option) {
                        self.0.set(setting, *value);
                    }
                }
            }
        }
        Ok(())
    }
}

impl RouterArgs {
    /// The router with its settings: the command line's, else the library's.
    ///
    /// # Errors
    /// An unknown router in `library.toml`; an option that has no effect on any router of the command.
    pub fn config(&self, library: &Library) -> Result<RouterConfig> {
        let manifest = &library.manifest;
        let mut config = match &self.router {
            Some(router) => router.clone(),
            // What the routers of such a command do not say themselves is not what the library's own says.
            None if self.among.is_some() => RouterConfig::base(),
            None => RouterConfig::of_library(manifest, true)?,
        };
        for (setting, _) in shorthands() {
            if let Some(value) = self.shorthands.0.given(setting) {
                config.values.set(setting, value);
            }
        }
        config.fill_from(manifest);
        self.check_effect(&config)?;
        config.muted = names(library, &self.mute);
        config.pinned = names(library, &self.pin);
        config.general = names(library, &self.general);
        Ok(config)
    }

    /// What options of their own say otherwise than the text form of `--router`: they are nearer, and have the last word.
    pub fn overruled(&self) -> Vec<String> {
        let Some(router) = &self.router else { return Vec::new() };
        let line = |(setting, Shorthand { option, .. }): (&'static RouterSetting, &Shorthand)| {
            let (said, given) = (router.values.given(setting)?, self.shorthands.0.given(setting)?);
            let name = setting.name;
            (said != given).then(|| format!("--{option} {given} is used instead of {name}={said}"))
        };
        shorthands().filter_map(line).collect()
    }

    /// These options, for the routers of a command that has several.
    #[must_use]
    pub fn among<'a>(&self, routers: impl Iterator<Item = &'a RouterConfig>) -> Self {
        Self { among: Some(routers.cloned().collect()), ..self.clone() }
    }

    /// Whether these options are for the routers of a list.
    pub fn is_for_several(&self) -> bool {
        self.among.is_some()
    }

    /// Refuses options that would change nothing: no router of the command has what they set.
    fn check_effect(&self, own: &RouterConfig) -> Result<()> {
        let mut routers = self.among.clone().unwrap_or_else(|| vec![own.clone()]);
        if let (Some(router), Some(list)) = (&self.router, &self.among) {
            let takes = |config: &RouterConfig| {
                let mut filled = config.clone();
                filled.values.fill(&router.values);
                !filled.does_as(config)
            };
            if !list.iter().any(takes) {
                return Err(Error::usage(format!(
                    "--router {router} changes nothing beside a list of routers, which take only settings from it that they \
                     do not give: add it to the list, or leave it out"
                )));
            }
        }
        routers.iter_mut().for_each(|config| config.values.fill(&own.values));
        let check = |option: &str, is_given: bool, takes: &str, has: &dyn Fn(&RouterConfig) -> bool| {
            if !is_given || routers.iter().any(has) {
                return Ok(());
            }
            let mut with: Vec<&str> = routers.iter().map(|config| config.router.id).collect();
            with.dedup();
            let with = match with.as_slice() {
                [] => "these methods".to_string(),
                [id] if self.router.is_none() && self.among.is_none() => {
                    format!("{id}, the library's router")
                }
                ids => ids.join(", "),
            };
            let plain = ROUTERS.iter().map(RouterConfig::of);
            let mut all = plain.flat_map(|config| [config.clone(), config.with(&CALIBRATED, true)]);
            let example = all.find(has).map_or(String::new(), |config| config.to_string());
            Err(Error::usage(format!(
                "--{option} has no effect with {with}: leave it out, or use a router {takes}, such as {example}"
            )))
        };
        for (setting, Shorthand { option, .. }) in shorthands() {
            let takes = format!("with the setting {}", setting.name);
            let is_given = self.shorthands.0.given(setting).is_some();
            check(option, is_given, &takes, &|config| config.router.has(setting))?;
            let idle = |config: &RouterConfig| setting.idle(config.router.settings, &config.values);
            let mut having = routers.iter().filter(|config| config.router.has(setting)).peekable();
            if let Some(why) = having.peek().and_then(|config| idle(config)).filter(|_| is_given)
                && having.all(|config| idle(config).is_some())
            {
                return Err(Error::usage(format!(
                    "--{option} changes nothing, because {why}; or leave it out"
                )));
            }
        }
        check("mute", !self.mute.is_empty(), "that mixes experts", &|config| config.router.mutes)?;
        check("pin", !self.pin.is_empty(), "that chooses among experts", &|config| config.router.pins)?;
        check("general", !self.general.is_empty(), "that uses experts", &RouterConfig::is_weighted)?;
        check("calibration", self.calibration.is_some(), "with :calibrated", &RouterConfig::needs_calibration)
    }
}

/// Names of experts, several in one text with commas between.
fn names(library: &Library, texts: &[String]) -> Vec<String> {
    let is_name = |text: &str| find_name(library.experts.iter().map(|e| e.name.as_str()), text).is_some();
    texts.iter().flat_map(|text| split_names(text, is_name)).map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Expert;
    use crate::routing::TOP_K;

    fn parse(arguments: &[&str]) -> Result<RouterArgs, String> {
        let command = RouterArgs::augment_args(Command::new("route"));
        let matches = command.try_get_matches_from(["route"].iter().chain(arguments));
        matches.and_then(|matches| RouterArgs::from_arg_matches(&matches)).map_err(|e| e.to_string())
    }

    #[test]
    fn the_library_has_the_defaults_and_the_command_line_the_last_word() {
        let mut library = Library::default();
        library.manifest.router.top_k = 5;
        let config = |arguments: &[&str]| parse(arguments).unwrap().config(&library).unwrap();
        assert_eq!(config(&[]).values.count(&TOP_K), 5);
        assert_eq!(config(&["--top-k", "0"]).values.count(&TOP_K), 0);
        let config = config(&["--router", "arrow:k=7:temperature=0.5", "--top-k", "2", "--tie-qkv"]);
        assert_eq!(config.to_string(), "arrow:k=2:temperature=0.5:tied");
    }

    #[test]
    fn an_option_overrules_the_text_form_with_a_line_and_is_refused_where_it_changes_nothing() {
        let library = Library::default();
        let lines = |arguments: &[&str]| parse(arguments).unwrap().overruled();
        assert_eq!(
            lines(&["--router", "arrow:k=2:temperature=0.5", "--top-k", "3", "--temperature", "0.5"]),
            ["--top-k 3 is used instead of k=2"]
        );
        assert!(lines(&["--router", "arrow", "--top-k", "3"]).is_empty());
        assert!(lines(&["--top-k", "3"]).is_empty());
        let said = |arguments: &[&str]| parse(arguments).unwrap().config(&library).map_err(|e| e.to_string());
        assert_eq!(
            said(&["--router", "vote:score=norm", "--tie-qkv"]).unwrap_err(),
            "--tie-qkv changes nothing, because the score norm needs no prototypes: use score=arrow; or leave it out"
        );
        assert!(said(&["--top-k", "1", "--mix", "factors"]).unwrap_err().contains("k more, or 0 for all"));
        assert!(said(&["--router", "arrow:k=1", "--mix", "factors", "--top-k", "2"]).is_ok());
        let among = |texts: &[&str], arguments: &[&str]| {
            let routers: Vec<RouterConfig> = texts.iter().map(|text| text.parse().unwrap()).collect();
            parse(arguments).unwrap().among(routers.iter()).config(&library).map_err(|e| e.to_string())
        };
        assert!(among(&["vote:score=norm", "arrow"], &["--tie-qkv"]).is_ok(), "of several, one is enough");
        assert!(
            among(&["vote:score=norm", "uniform"], &["--tie-qkv"])
                .unwrap_err()
                .starts_with("--tie-qkv changes")
        );
    }

    #[test]
    fn an_option_of_its_own_takes_what_its_setting_takes_in_the_text_form() {
        for (setting, Shorthand { option, .. }) in shorthands() {
            let given = |more: &[&str]| {
                let option = format!("--{option}");
                let args = parse(&[&[option.as_str()], more].concat());
                args.map(|args| args.shorthands.0.given(setting).unwrap())
            };
            let value = setting.step(setting.default_value(), true, 9);
            let text = value.to_string();
            let words: &[&str] = if matches!(setting.domain, Domain::Flag) { &[] } else { &[&text] };
            assert_eq!(given(words), Ok(value));
            for wrong in ["-1", "NaN", "x"] {
                assert!(given(&[wrong]).is_err(), "--{option} {wrong}");
            }
        }
        for temperature in ["0", "-1", "NaN", "inf"] {
            let error = parse(&["--temperature", temperature]).unwrap_err();
            assert!(error.contains("must be a positive number"), "{error}");
        }
        let error = parse(&["--mix", "factor"]).unwrap_err();
        assert!(error.contains("[possible values: outputs, factors]"), "{error}");
    }

    #[test]
    fn the_router_of_the_library_is_used_where_none_is_named() {
        let mut library = Library::default();
        library.manifest.router.default = Some("uniform:mix=factors".into());
        let config = |text: Option<&str>| {
            let router = text.map(|text| text.parse().unwrap());
            RouterArgs { router, ..RouterArgs::default() }.config(&library).unwrap().to_string()
        };
        assert_eq!(config(None), "uniform:mix=factors");
        // A router that is named is what it says, also where it is the library's own.
        assert_eq!(config(Some("uniform")), "uniform");
        assert_eq!(config(Some("arrow")), "arrow:k=3:temperature=1");
    }

    #[test]
    fn a_router_beside_a_list_of_routers_is_refused_where_they_take_no_setting_from_it() {
        let beside = |router: &str, list: &[&str]| {
            let list: Vec<RouterConfig> = list.iter().map(|text| text.parse().unwrap()).collect();
            let args = parse(&["--router", router]).unwrap().among(list.iter());
            args.config(&Library::default()).map(drop).map_err(|error| error.to_string())
        };
        for (router, list) in [
            ("arrow", &["lag", "base"][..]),
            ("single:a", &["arrow"]),
            ("arrow:k=2", &["arrow:k=5", "uniform"]),
            ("arrow:k=2", &[]),
        ] {
            let error = beside(router, list).unwrap_err();
            assert!(
                error.starts_with(&format!("--router {router} changes nothing beside a list")),
                "{error}"
            );
        }
        assert_eq!(beside("arrow:calibrated", &["lag", "base"]), Ok(()));
        assert_eq!(beside("arrow:k=2", &["lag"]), Ok(()));
    }

    #[test]
    fn routers_of_a_list_take_nothing_from_the_library_s_own() {
        let mut library = Library::default();
        library.manifest.router.default = Some("norm:temperature=0.3:calibrated:prior=8".into());
        library.manifest.router.temperature = 0.5;
        let routers: [RouterConfig; 1] = ["arrow".parse().unwrap()];
        let own = parse(&["--top-k", "2"]).unwrap().among(routers.iter()).config(&library).unwrap();
        let mut arrow = routers[0].clone();
        arrow.values.fill(&own.values);
        assert_eq!(arrow.to_string(), "arrow:k=2:temperature=0.5");
    }

    #[test]
    fn an_option_that_changes_nothing_is_refused_where_no_router_has_it() {
        let library = Library::default();
        let said = |arguments: &[&str]| parse(arguments).unwrap().config(&library).map_err(|e| e.to_string());
        // Every option with every router, by what the table says of it.
        for router in ROUTERS {
            let text = router.argument.as_ref().map_or(router.id, |argument| match argument.names_expert {
                true => "single:a",
                false => argument.usage,
            });
            let text = text.replace("SEED", "1");
            let mut cases: Vec<(Vec<String>, bool)> = vec![
                (vec!["--mute".into(), "a".into()], router.mutes),
                (vec!["--pin".into(), "a".into()], router.pins),
                (vec!["--general".into(), "a".into()], RouterConfig::of(router).is_weighted()),
                (vec!["--calibration".into(), "file".into()], false),
            ];
            for (setting, Shorthand { option, .. }) in shorthands() {
                let mut words = vec![format!("--{option}")];
                if !matches!(setting.domain, Domain::Flag) {
                    words.push(setting.default_value().to_string());
                }
                cases.push((words, router.has(setting)));
            }
            for (words, has) in cases {
                let words: Vec<&str> =
                    ["--router", &text].into_iter().chain(words.iter().map(|w| &**w)).collect();
                let found = said(&words);
                assert_eq!(found.is_ok(), has, "{words:?}: {found:?}");
            }
        }
        assert_eq!(
            said(&["--router", "uniform", "--top-k", "2"]).unwrap_err(),
            "--top-k has no effect with uniform: leave it out, or use a router with the setting k, such as arrow"
        );
        assert_eq!(
            said(&["--router", "uniform", "--pin", "a"]).unwrap_err(),
            "--pin has no effect with uniform: leave it out, or use a router that chooses among experts, such as arrow"
        );
        assert!(said(&["--router", "arrow:calibrated", "--calibration", "file"]).is_ok());
        let error = said(&["--calibration", "file"]).unwrap_err();
        assert!(error.ends_with("use a router with :calibrated, such as arrow:calibrated"), "{error}");
        // Of several, one is enough.
        let among = |texts: &[&str], arguments: &[&str]| {
            let routers: Vec<RouterConfig> = texts.iter().map(|text| text.parse().unwrap()).collect();
            parse(arguments).unwrap().among(routers.iter()).config(&library).map_err(|e| e.to_string())
        };
        assert!(among(&["uniform", "arrow"], &["--top-k", "2"]).is_ok());
        let error = among(&["uniform", "base"], &["--top-k", "2"]).unwrap_err();
        assert!(error.starts_with("--top-k has no effect with uniform, base: "), "{error}");
        assert!(among(&[], &["--pin", "a"]).unwrap_err().contains("with these methods"));
        let mut library = Library::default();
        library.manifest.router.default = Some("uniform".into());
        let error = parse(&["--top-k", "2"]).unwrap().config(&library).unwrap_err().to_string();
        assert!(error.starts_with("--top-k has no effect with uniform, the library's router: "), "{error}");
    }

    #[test]
    fn lists_of_experts_have_commas_and_names_with_commas_stay_whole() {
        let expert = |name: &str| Expert { name: name.into(), ..Expert::default() };
        let library = Library { experts: ["a", "b", "a,b"].map(expert).to_vec(), ..Library::default() };
        let texts = |texts: &[&str]| texts.iter().map(|t| (*t).to_string()).collect::<Vec<_>>();
        assert_eq!(names(&library, &texts(&["a,b"])), ["a,b"]);
        assert_eq!(names(&library, &texts(&["b,a", "c"])), ["b", "a", "c"]);
    }
}
