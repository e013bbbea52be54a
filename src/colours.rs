//! Colours of the terminal: how many it shows, and on which ground.

use crate::named::{Named, by_name};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 24-bit colours.
    True,
    /// The 256-colour palette.
    Indexed,
    /// The 16 colours of the terminal's own scheme: no colour maps.
    Basic,
    /// No colour (`NO_COLOR`, dumb terminals): glyphs, bold and reverse video only.
    Plain,
}

impl Depth {
    /// What this process's environment says of the terminal that it has.
    pub fn detect() -> Self {
        Self::of(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// What an environment says: `NO_COLOR` and `FORCE_COLOR` of the person, else what the terminal says of itself.
    /// A variable that is empty counts as not set.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let of = |name: &str| variable(name).filter(|value| !value.is_empty());
        // What writes to the terminal obeys this one, too.
        if of("NO_COLOR").is_some() {
            return Self::Plain;
        }
        match of("FORCE_COLOR").as_deref() {
            Some("0" | "false") => return Self::Plain,
            Some("2") => return Self::Indexed,
            Some("3") => return Self::True,
            Some(_) => return Self::Basic,
            None => {}
        }
        let (term, program) = (of("TERM").unwrap_or_default(), of("TERM_PROGRAM").unwrap_or_default());
        let says = of("COLORTERM");
        if term == "dumb" || term.is_empty() && cfg!(unix) {
            Self::Plain
        } else if matches!(says.as_deref(), Some("truecolor" | "24bit"))
            || ["-direct", "truecolor"].iter().any(|end| term.ends_with(end))
            || program == "iTerm.app"
            || of("WT_SESSION").is_some()
        {
            Self::True
        } else if term.ends_with("256color") || program == "Apple_Terminal" {
            Self::Indexed
        } else {
            Self::Basic
        }
    }
}

/// Whether the terminal's ground is dark or light: for which of them colours are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ground {
    /// As the terminal answers when it is asked; dark where it does not.
    #[default]
    Auto,
    /// Colours for a dark ground.
    Dark,
    /// Colours for a light ground.
    Light,
}

impl Named for Ground {
    const KIND: &'static str = "theme";

    fn all() -> &'static [Self] {
        &[Self::Auto, Self::Dark, Self::Light]
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Auto => "Ask the terminal for its background; dark where it does not answer",
            Self::Dark => "For light text on a dark background",
            Self::Light => "For dark text on a light background",
        }
    }
}

by_name!(Ground);

impl Ground {
    /// Of a background of this colour, 8-bit sRGB.
    pub fn of_background(rgb: [u8; 3]) -> Self {
        if luminance(rgb) > 0.18 { Self::Light } else { Self::Dark }
    }
}

/// Relative luminance of 8-bit sRGB, 0 to 1 (WCAG 2).
pub fn luminance(rgb: [u8; 3]) -> f32 {
    let linear = |c: u8| {
        let c = f32::from(c) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    let [r, g, b] = rgb.map(linear);
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Contrast of two colours, 1 to 21 (WCAG 2); text needs 4.5.
pub fn contrast(a: [u8; 3], b: [u8; 3]) -> f32 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(variables: &[(&str, &str)]) -> Depth {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name);
        Depth::of(|name| find(name).map(|(_, value)| value.to_string()))
    }

    #[test]
    fn the_environment_says_how_many_colours_there_are() {
        let xterm = ("TERM", "xterm-256color");
        for (variables, expected) in [
            (&[xterm][..], Depth::Indexed),
            (&[xterm, ("COLORTERM", "truecolor")], Depth::True),
            (&[xterm, ("COLORTERM", "truecolor"), ("NO_COLOR", "1")], Depth::Plain),
            // An empty variable counts as not set.
            (&[xterm, ("NO_COLOR", "")], Depth::Indexed),
            (&[xterm, ("NO_COLOR", ""), ("COLORTERM", "24bit")], Depth::True),
            (&[xterm, ("FORCE_COLOR", ""), ("COLORTERM", "")], Depth::Indexed),
            (&[xterm, ("NO_COLOR", "0")], Depth::Plain),
            (&[xterm, ("NO_COLOR", "1"), ("FORCE_COLOR", "3")], Depth::Plain),
            (&[xterm, ("FORCE_COLOR", "3")], Depth::True),
            (&[("TERM", "tmux-256color")], Depth::Indexed),
            (&[("TERM", "xterm-direct")], Depth::True),
            (&[("TERM", "linux")], Depth::Basic),
            (&[("TERM", "screen")], Depth::Basic),
            (&[("TERM", "xterm"), ("TERM_PROGRAM", "Apple_Terminal")], Depth::Indexed),
            (&[("TERM", "xterm"), ("TERM_PROGRAM", "iTerm.app")], Depth::True),
            (&[("TERM", "dumb"), ("COLORTERM", "truecolor")], Depth::Plain),
        ] {
            assert_eq!(depth(variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn grounds_are_told_apart_and_contrasts_are_those_of_the_standard() {
        let of = Ground::of_background;
        assert_eq!([of([0; 3]), of([30, 30, 46]), of([0, 43, 54])], [Ground::Dark; 3]);
        assert_eq!([of([255; 3]), of([253, 246, 227]), of([239, 241, 245])], [Ground::Light; 3]);
        assert!((contrast([0; 3], [255; 3]) - 21.0).abs() < 0.001);
        // The grey that is just enough on white.
        assert!((contrast([118; 3], [255; 3]) - 4.54).abs() < 0.01);
    }
}
