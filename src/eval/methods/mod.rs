//! Ways to answer a task's items: any router, and the baselines. A new baseline is a file here and a line in
//! [`BASELINES`]; a new router is a method as it is.

mod base_chat;
mod expert;
mod majority;
mod method;

pub use method::{Baseline, Method};

use std::fmt;
use std::str::FromStr;

use crate::named::unknown;
use crate::routing::ROUTERS;
use crate::{Error, Result};

/// The methods that are no routers.
pub static BASELINES: &[Baseline] = &[majority::BASELINE, base_chat::BASELINE, expert::BASELINE];

/// The methods compared by default, in the order of the table.
const DEFAULTS: [&str; 6] = ["majority", "base", "base-chat", "expert", "arrow", "uniform"];

/// The methods compared by default, in the order of the table.
pub fn default_methods() -> Vec<Method> {
    DEFAULTS.iter().filter_map(|text| text.parse().ok()).collect()
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Baseline(baseline) => f.pad(baseline.name),
            Self::Routed(config) => config.fmt(f),
        }
    }
}

impl FromStr for Method {
    type Err = Error;

    /// A baseline's name, or the text form of a router.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(baseline) = BASELINES.iter().find(|b| b.name == text || b.alias == Some(text)) {
            return Ok(Self::Baseline(baseline));
        }
        let id = text.split(':').next().unwrap_or(text);
        if ROUTERS.iter().any(|router| router.id == id) {
            return text.parse().map(Self::Routed);
        }
        let names = || BASELINES.iter().map(|b| b.name).chain(ROUTERS.iter().map(|router| router.id));
        Err(unknown("method", text, names(), &names().collect::<Vec<_>>().join(", ")))
    }
}

/// The baselines as a Markdown table of the docs.
pub fn reference() -> String {
    let mut text = String::from("| method | answers |\n|---|---|\n");
    for baseline in BASELINES {
        let names: Vec<String> =
            [Some(baseline.name), baseline.alias].into_iter().flatten().map(|n| format!("`{n}`")).collect();
        text.push_str(&format!("| {} | {} |\n", names.join(", "), baseline.help));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_baselines_and_routers() {
        let read = |text: &str| text.parse::<Method>().map(|method| method.to_string());
        for text in ["majority", "base-chat", "expert", "base", "arrow:k=1:temperature=0.5", "single:a"] {
            assert_eq!(read(text).unwrap(), text);
        }
        assert_eq!(read("oracle").unwrap(), "expert");
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(error("experts"), "there is no method \"experts\"; did you mean expert?");
        assert!(error("arrow:q=1").contains("arrow has no setting \"q\""));
        let routers: Vec<&str> = crate::routing::ROUTERS.iter().map(|router| router.id).collect();
        let all = format!("choose from majority, base-chat, expert, {}", routers.join(", "));
        assert!(error("zzz").ends_with(&all), "{}", error("zzz"));
    }

    #[test]
    fn the_defaults_exist() {
        let names: Vec<String> = default_methods().iter().map(Method::to_string).collect();
        assert_eq!(names, DEFAULTS);
    }
}
