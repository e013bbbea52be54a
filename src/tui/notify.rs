//! What the terminal is sent when a job ends.

use crate::text::printable;

pub use crate::configuration::Notify;

impl Notify {
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
}
