//! Every colour of the interface, for terminals with 24-bit, 256, 16 or no colours, on dark and on light ground.
//!
//! Meaning is never carried by colour alone: selections are also reversed or marked, states have
//! glyphs ([`Theme::mark`], [`Theme::glyph`]).

mod ramp;
mod tones;

use ratatui::style::{Color, Modifier, Style};

use self::ramp::{INKS, Ramp, fit, ink, shown};
use self::tones::{BASIC_CATEGORIES, DARK, Fill, LIGHT, Tone, Tones};
pub use crate::colours::{Depth, Ground};

/// Sets of colours with their meaning, made once for the depth and the ground of the terminal.
#[derive(Clone, Debug)]
pub struct Theme {
    depth: Depth,
    light: bool,
    tones: &'static Tones,
    ramp: Ramp,
    categories: Vec<Color>,
}

impl Theme {
    /// The theme for a depth and a dark ground.
    pub fn new(depth: Depth) -> Self {
        Self::on(depth, Ground::Dark)
    }

    /// The theme for a depth and a ground; one that is not known counts as dark.
    pub fn on(depth: Depth, ground: Ground) -> Self {
        let light = ground == Ground::Light;
        let tones = if light { &LIGHT } else { &DARK };
        let categories = match depth {
            Depth::True | Depth::Indexed => tones.categories.iter().map(|&rgb| fit(rgb, depth)).collect(),
            Depth::Basic => BASIC_CATEGORIES.to_vec(),
            Depth::Plain => Vec::new(),
        };
        Self { depth, light, tones, ramp: Ramp::new(depth, light), categories }
    }

    /// What the terminal can show.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// Whether any colour is shown. Without it, draw marks and glyph ramps.
    pub fn has_color(&self) -> bool {
        self.depth != Depth::Plain
    }

    /// Whether colour maps have enough steps to be read. Without it, draw with [`Self::glyph_ramp`].
    pub fn has_gradient(&self) -> bool {
        matches!(self.depth, Depth::True | Depth::Indexed)
    }

    fn fg(&self, tone: Tone) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => Style::new().fg(fit(tone.rgb, self.depth)),
            Depth::Basic => Style::new().fg(tone.basic),
            Depth::Plain => Style::new(),
        }
    }

    fn fill(&self, fill: Fill) -> Style {
        Style::new().bg(fit(fill.ground, self.depth)).fg(fit(fill.text, self.depth))
    }

    /// Ordinary text: the terminal's own colours.
    pub fn text(&self) -> Style {
        Style::new()
    }

    /// Secondary text: units, labels, what is not in force.
    pub fn dim(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::DIM),
            Depth::True | Depth::Indexed | Depth::Basic => self.fg(self.tones.dim),
        }
    }

    /// What the eye should find first: the active tab, the focused title.
    pub fn accent(&self) -> Style {
        self.fg(self.tones.accent).add_modifier(Modifier::BOLD)
    }

    /// Something is wrong.
    pub fn error(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::BOLD),
            Depth::True | Depth::Indexed | Depth::Basic => self.fg(self.tones.error),
        }
    }

    /// Something deserves a look.
    pub fn warning(&self) -> Style {
        self.fg(self.tones.warning)
    }

    /// All is well.
    pub fn ok(&self) -> Style {
        self.fg(self.tones.ok)
    }

    /// Headings of tables and sections.
    pub fn header(&self) -> Style {
        self.fg(self.tones.header).add_modifier(Modifier::BOLD)
    }

    /// Names of keys in the footer and the help.
    pub fn key(&self) -> Style {
        self.fg(self.tones.key).add_modifier(Modifier::BOLD)
    }

    /// Lines around what has no focus.
    pub fn border(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::DIM),
            Depth::True | Depth::Indexed | Depth::Basic => self.fg(self.tones.border),
        }
    }

    /// Lines around what keys act on.
    pub fn border_focused(&self) -> Style {
        self.fg(self.tones.accent)
    }

    /// The selected row of what has the focus.
    pub fn selection(&self) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => self.fill(self.tones.selection).add_modifier(Modifier::BOLD),
            Depth::Basic | Depth::Plain => marked(Modifier::REVERSED),
        }
    }

    /// The selected row of what has no focus.
    pub fn selection_unfocused(&self) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => self.fill(self.tones.selection_unfocused),
            Depth::Basic | Depth::Plain => marked(Modifier::BOLD | Modifier::UNDERLINED),
        }
    }

    /// Characters that a filter matched.
    pub fn matched(&self) -> Style {
        self.fg(self.tones.matched).add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// Marks the cell, row or column under a cursor on top of any background.
    pub fn cursor(&self) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => self.fill(self.tones.cursor),
            Depth::Basic | Depth::Plain => marked(Modifier::REVERSED),
        }
    }

    /// The cell where typed text goes. The terminal's own cursor is put there, and the mark is taken away, when all
    /// is drawn: input methods open their windows at that cursor, and it is seen on every ground.
    pub fn caret(&self) -> Style {
        Style::new().add_modifier(CARET)
    }

    /// Colour of `t` in 0..=1 on a perceptually even scale whose lightness says the value, so that it reads without
    /// hue; low values are near the ground. Out of range is clamped; NaN and terminals without gradients give
    /// `Color::Reset`: draw [`Self::glyph_ramp`] there.
    pub fn sequential(&self, t: f32) -> Color {
        self.ramp.get(t).map_or(Color::Reset, |(color, _)| color)
    }

    /// Text on a cell of [`Self::sequential`] colour. Without gradients, and for NaN, unstyled.
    pub fn on_sequential(&self, t: f32) -> Style {
        self.ramp.get(t).map_or(Style::new(), |(color, text)| Style::new().bg(color).fg(text))
    }

    /// Text and bars of the `i`-th category; unstyled without colour. Where there are 16 colours, every other six are
    /// underlined, so that twelve are different even where the letters are not looked at.
    pub fn category(&self, i: usize) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => Style::new().fg(self.categorical(i)),
            Depth::Basic if (i / BASIC_CATEGORIES.len()).is_multiple_of(2) => {
                Style::new().fg(self.categorical(i))
            }
            Depth::Basic => Style::new().fg(self.categorical(i)).add_modifier(Modifier::UNDERLINED),
            Depth::Plain => Style::new(),
        }
    }

    /// Colour of the `i`-th cluster or expert; repeats. `Color::Reset` without colour: show [`Self::mark`] as well.
    fn categorical(&self, i: usize) -> Color {
        match self.categories.len() {
            0 => Color::Reset,
            n => self.categories[i % n],
        }
    }

    /// The colour of the `i`-th category faded towards the ground: `strength` 0..=1. Only with gradients; else
    /// unfaded.
    pub fn categorical_faded(&self, i: usize, strength: f32) -> Color {
        if !self.has_gradient() {
            return self.categorical(i);
        }
        fit(self.faded(i, strength), self.depth)
    }

    fn faded(&self, i: usize, strength: f32) -> [u8; 3] {
        let strength = if strength.is_finite() { strength.clamp(0.0, 1.0) } else { 0.0 };
        let part = 0.22 + 0.78 * strength;
        let (full, ground) = (self.tones.categories[i % self.tones.categories.len()], self.tones.ground);
        [0, 1, 2].map(|c| (f32::from(full[c]) * part + f32::from(ground[c]) * (1.0 - part)) as u8)
    }

    /// A cell filled with the colour of the `i`-th category, the fuller the greater `strength` (0..=1), with
    /// text that can be read on it. Without gradients, strength is bold, plain or dim.
    pub fn category_cell(&self, i: usize, strength: f32) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => {
                let part = if strength.is_finite() { strength.clamp(0.0, 1.0) } else { 0.0 };
                // The 256 colours have no dark hues, only dark greys: weak cells stay brighter there.
                let fill =
                    if self.depth == Depth::Indexed && !self.light { 0.35 + 0.65 * part } else { part };
                let fill = self.faded(i, fill);
                let text = ink(shown(fill, self.depth), INKS);
                Style::new().bg(fit(fill, self.depth)).fg(fit(text, self.depth))
            }
            Depth::Basic | Depth::Plain if strength > 0.7 => self.category(i).add_modifier(Modifier::BOLD),
            Depth::Basic | Depth::Plain if strength < 0.2 => self.category(i).add_modifier(Modifier::DIM),
            Depth::Basic | Depth::Plain => self.category(i),
        }
    }

    /// The `i`-th category where it should recede: text in its faded colour.
    pub fn category_faint(&self, i: usize) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => Style::new().fg(self.categorical_faded(i, 0.35)),
            Depth::Basic | Depth::Plain => self.category(i).add_modifier(Modifier::DIM),
        }
    }

    /// A one-cell name of the `i`-th category, so that colour is never needed: `A`…`Z`, `a`…`z`, `0`…`9`.
    pub fn mark(&self, i: usize) -> char {
        const MARKS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        char::from(MARKS[i % MARKS.len()])
    }

    /// One-cell glyphs from least to most, for values where colours cannot say them. None is a blank: a
    /// low value is no missing one.
    pub fn glyph_ramp(&self) -> &'static [&'static str] {
        &["·", ":", "-", "=", "+", "*", "#", "%", "@"]
    }

    /// The glyph of `t` in 0..=1 on [`Self::glyph_ramp`]; `?` for NaN.
    pub fn glyph(&self, t: f32) -> &'static str {
        if t.is_nan() {
            return "?";
        }
        let ramp = self.glyph_ramp();
        ramp[((t.clamp(0.0, 1.0) * ramp.len() as f32) as usize).min(ramp.len() - 1)]
    }
}

/// What marks the cell of the caret in a drawn buffer: nothing else blinks.
pub const CARET: Modifier = Modifier::SLOW_BLINK;

/// What is selected where colours do not say it: no text under it has a colour of its own or is dim.
fn marked(modifier: Modifier) -> Style {
    Style::new().fg(Color::Reset).bg(Color::Reset).add_modifier(modifier).remove_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests;
