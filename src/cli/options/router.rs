//! The router options: a router's text form, shorthands for settings, and names of experts.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::RouterArgs;
use super::settings::possible;
use crate::Result;
use crate::library::Library;
use crate::named::{find_name, split_names};
use crate::routing::{
    Domain, ROUTERS, RouterConfig, RouterSetting, SettingValue, SettingValues, Shorthand, settings,
};

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
    /// An unknown router in `library.toml`.
    pub fn config(&self, library: &Library) -> Result<RouterConfig> {
        let manifest = &library.manifest;
        let mut config = match &self.router {
            Some(router) => router.clone(),
            None => RouterConfig::of_library(manifest, true)?,
        };
        for (setting, _) in shorthands() {
            if let Some(value) = self.shorthands.0.given(setting) {
                config.values.set(setting, value);
            }
        }
        config.fill_from(manifest)?;
        config.muted = names(library, &self.mute);
        config.pinned = names(library, &self.pin);
        config.general = names(library, &self.general);
        Ok(config)
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
        assert_eq!(config(Some("uniform")), "uniform:mix=factors");
        assert_eq!(config(Some("arrow")), "arrow:k=3:temperature=1", "settings of another router stay there");
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
