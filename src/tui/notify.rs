//! How the end of a job is reported to a person who looks elsewhere.

use crate::configuration;
use crate::named::Named;
use crate::settings::Setting;
use crate::text::printable;
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
struct Settings {
    by: Notify,
}

/// Its settings.
static NOTIFY: [Setting<Settings>; 1] = [Setting::new("by", named_setting!(Notify, Settings.by))];

impl Notify {
    /// As `[notify]` of the user's configuration says.
    ///
    /// # Errors
    /// A configuration that cannot be read, or another value.
    pub fn configured() -> Result<Self> {
        let mut settings = Settings::default();
        if let Some((path, given)) = configuration::table("notify")? {
            configuration::take(&mut settings, &NOTIFY, &given, |_| Ok(()))
                .map_err(|problem| Error::file(path, format!("[notify] {problem}")))?;
        }
        Ok(settings.by)
    }

    /// What is written to the terminal to say `text`; inside tmux so that it is passed on.
    pub fn sequence(self, text: &str, in_tmux: bool) -> String {
        // A `;` would end the text.
        let text = printable(text).replace(';', ",");
        let sequence = match self {
            Self::Off => return String::new(),
            // tmux and screen have a bell of their own.
            Self::Bell => return "\x07".into(),
            Self::Osc9 => format!("\x1b]9;lora-tui: {text}\x1b\\"),
            Self::Osc777 => format!("\x1b]777;notify;lora-tui;{text}\x1b\\"),
        };
        if in_tmux { format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b")) } else { sequence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_one_sequence_whatever_its_text_says() {
        let hostile = "plurals\x1b]0;x\x07 has failed; see the log";
        assert_eq!(Notify::Bell.sequence(hostile, true), "\x07");
        assert_eq!(Notify::Off.sequence(hostile, false), "");
        let text = "plurals\\u{1b}]0,x\\u{7} has failed, see the log";
        assert_eq!(Notify::Osc9.sequence(hostile, false), format!("\x1b]9;lora-tui: {text}\x1b\\"));
        assert_eq!(Notify::Osc777.sequence(hostile, false), format!("\x1b]777;notify;lora-tui;{text}\x1b\\"));
        let passed_on = Notify::Osc9.sequence("done", true);
        assert_eq!(passed_on, "\x1bPtmux;\x1b\x1b]9;lora-tui: done\x1b\x1b\\\x1b\\");
    }

    #[test]
    fn the_configuration_takes_each_name_and_says_what_there_is() {
        let set = |text: &str| {
            let mut settings = Settings::default();
            configuration::take(&mut settings, &NOTIFY, &toml::from_str(text).unwrap(), |_| Ok(()))
                .map(|()| settings.by)
        };
        for notify in Notify::all() {
            assert_eq!(set(&format!("by = {:?}", notify.name())), Ok(*notify));
        }
        assert_eq!(set(""), Ok(Notify::Bell));
        let error = set("by = \"email\"").unwrap_err();
        assert!(error.starts_with("by must be") && error.contains("osc777"), "{error}");
        assert!(set("how = \"bell\"").unwrap_err().contains("there are by"));
    }
}
