//! `[notify]`: how the end of a job is reported to a person who looks elsewhere.

use super::{Section, take};
use crate::named::Named;
use crate::settings::Setting;
use crate::{Error, Result, named_setting};

/// What the terminal is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// The bell.
    #[default]
    Bell,
    /// A notification as iTerm2, kitty, WezTerm, foot and Windows Terminal take it.
    Osc9,
    /// A notification as rxvt, foot, Ghostty and terminals built on VTE take it.
    Osc777,
    /// Nothing.
    Off,
}

impl Named for Notify {
    const KIND: &'static str = "notification";

    fn all() -> &'static [Self] {
        &[Self::Bell, Self::Osc9, Self::Osc777, Self::Off]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Bell => "bell",
            Self::Osc9 => "osc9",
            Self::Osc777 => "osc777",
            Self::Off => "off",
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Bell => "the terminal's bell",
            Self::Osc9 => "a notification of the desktop, as iTerm2, kitty, WezTerm and foot take it",
            Self::Osc777 => "a notification of the desktop, as rxvt, foot, Ghostty and VTE take it",
            Self::Off => "nothing",
        }
    }
}

/// `[notify]` of the user's configuration.
#[derive(Debug, Default)]
struct By {
    by: Notify,
}

/// Its settings.
static SETTINGS: &[Setting<By>] = &[Setting::new("by", named_setting!(Notify, By.by))];

/// The table of them.
pub static NOTIFY: Section = Section { name: "notify", settings: &SETTINGS };

impl Notify {
    /// As `[notify]` of the user's configuration says.
    ///
    /// # Errors
    /// A configuration that cannot be read, or another value.
    pub fn configured() -> Result<Self> {
        match super::table(NOTIFY.name)? {
            None => Ok(Self::default()),
            Some((path, given)) => {
                Self::of(&given).map_err(|problem| Error::file(path, format!("[{}] {problem}", NOTIFY.name)))
            }
        }
    }

    fn of(given: &toml::Table) -> Result<Self, String> {
        let mut settings = By::default();
        take(&mut settings, SETTINGS, given, |_| Ok(()))?;
        Ok(settings.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_takes_each_name_and_says_what_there_is() {
        let set = |text: &str| Notify::of(&toml::from_str(text).unwrap());
        for notify in Notify::all() {
            assert_eq!(set(&format!("by = {:?}", notify.name())), Ok(*notify));
        }
        assert_eq!(set(""), Ok(Notify::Bell));
        let error = set("by = \"email\"").unwrap_err();
        assert!(error.starts_with("by must be") && error.contains("osc777"), "{error}");
        assert!(set("how = \"bell\"").unwrap_err().contains("there are by"));
    }
}
