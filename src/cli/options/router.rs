//! The router options: a router's text form, shorthands for settings, and names of experts.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};

use super::RouterArgs;
use crate::library::Library;
use crate::named::{find_name, split_names};
use crate::routing::{MIX, ROUTERS, RouterConfig, RouterSetting, SettingValue, TEMPERATURE, TIED, TOP_K};
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

/// Help of an option that stands for a setting.
pub fn shorthand_help(setting: &RouterSetting) -> String {
    format!("{} [default: the library's, else {}]", setting.help, setting.default_value())
}

impl RouterArgs {
    /// The router with its settings: the command line's, else the library's.
    ///
    /// # Errors
    /// A usage error for a setting out of its range; an unknown router in `library.toml`.
    pub fn config(&self, library: &Library) -> Result<RouterConfig> {
        let manifest = &library.manifest;
        let mut config = match &self.router {
            Some(router) => router.clone(),
            None => RouterConfig::of_library(manifest, true)?,
        };
        let mut shorthand = |option: &str, setting: &'static RouterSetting, value: Option<SettingValue>| {
            let Some(value) = value else { return Ok(()) };
            if !setting.admits(value) {
                return Err(Error::usage(format!("{option} must be {}, not {value}", setting.range())));
            }
            config.values.set(setting, value);
            Ok(())
        };
        shorthand("--top-k", &TOP_K, self.top_k.map(Into::into))?;
        shorthand("--temperature", &TEMPERATURE, self.temperature.map(Into::into))?;
        shorthand("--mix", &MIX, self.mix.map(Into::into))?;
        shorthand("--tie-qkv", &TIED, self.tie_qkv.then(|| true.into()))?;
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

    #[test]
    fn the_library_has_the_defaults_and_the_command_line_the_last_word() {
        let mut library = Library::default();
        library.manifest.router.top_k = 5;
        let args = |top_k, temperature| RouterArgs { top_k, temperature, ..RouterArgs::default() };
        assert_eq!(args(None, None).config(&library).unwrap().values.count(&TOP_K), 5);
        assert_eq!(args(Some(0), None).config(&library).unwrap().values.count(&TOP_K), 0);
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(args(None, Some(temperature)).config(&library), Err(Error::Usage(_))));
        }
        let router = Some("arrow:k=7:temperature=0.5".parse().unwrap());
        let args = RouterArgs { router, top_k: Some(2), ..RouterArgs::default() };
        assert_eq!(args.config(&library).unwrap().to_string(), "arrow:k=2:temperature=0.5");
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
