//! Every colour of the interface, for terminals with 24-bit, 256, 16 or no colours.
//!
//! Meaning is never carried by colour alone: selections are also reversed or marked, states have
//! glyphs ([`Theme::mark`], [`Theme::glyph`]).

use ratatui::style::{Color, Modifier, Style};

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

/// Sets of colours with their meaning, made once for the depth of the terminal.
#[derive(Clone, Debug)]
pub struct Theme {
    depth: Depth,
    sequential: Vec<Color>,
    sequential_lit: Vec<Color>,
    diverging: Vec<Color>,
    categorical: Vec<Color>,
}

/// Steps of a colour map; finer than any screen can show.
const STEPS: usize = 128;

/// Twelve colours that differ in lightness as well as hue, so that they stay apart for
/// colour-blind eyes, and that stand out from black and from white.
const CATEGORICAL: [[u8; 3]; 12] = [
    [64, 150, 230],  // blue
    [235, 150, 40],  // orange
    [30, 165, 125],  // green
    [215, 90, 95],   // red
    [170, 130, 235], // violet
    [215, 195, 60],  // yellow
    [105, 205, 225], // cyan
    [230, 130, 190], // pink
    [150, 110, 70],  // brown
    [150, 190, 90],  // olive
    [110, 115, 200], // indigo
    [170, 170, 175], // grey
];

/// The nearest of the 16 named colours to each of [`CATEGORICAL`], with as few repeats as they allow.
const CATEGORICAL_BASIC: [Color; 12] = [
    Color::Blue,
    Color::Yellow,
    Color::Green,
    Color::Red,
    Color::Magenta,
    Color::LightYellow,
    Color::Cyan,
    Color::LightMagenta,
    Color::LightRed,
    Color::LightGreen,
    Color::LightBlue,
    Color::Gray,
];

impl Theme {
    /// The theme for this process's standard output, from `NO_COLOR`, `COLORTERM`, `TERM` and the like.
    pub fn detect() -> Self {
        if std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) {
            return Self::new(Depth::Plain);
        }
        Self::new(match supports_color::on(supports_color::Stream::Stdout) {
            Some(level) if level.has_16m => Depth::True,
            Some(level) if level.has_256 => Depth::Indexed,
            Some(_) => Depth::Basic,
            None => Depth::Plain,
        })
    }

    /// The theme for a given depth.
    pub fn new(depth: Depth) -> Self {
        let map = |of: fn(f32) -> [u8; 3]| -> Vec<Color> {
            match depth {
                Depth::True | Depth::Indexed => {
                    (0..STEPS).map(|i| fit(of(i as f32 / (STEPS - 1) as f32), depth)).collect()
                }
                Depth::Basic | Depth::Plain => Vec::new(),
            }
        };
        let categorical = match depth {
            Depth::True | Depth::Indexed => CATEGORICAL.iter().map(|&rgb| fit(rgb, depth)).collect(),
            Depth::Basic => CATEGORICAL_BASIC.to_vec(),
            Depth::Plain => Vec::new(),
        };
        Self {
            depth,
            sequential: map(sequential_rgb),
            sequential_lit: map(|t| lit(sequential_rgb(t))),
            diverging: map(diverging_rgb),
            categorical,
        }
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

    fn color(&self, rgb: [u8; 3], basic: Color) -> Color {
        match self.depth {
            Depth::True | Depth::Indexed => fit(rgb, self.depth),
            Depth::Basic => basic,
            Depth::Plain => Color::Reset,
        }
    }

    fn fg(&self, rgb: [u8; 3], basic: Color) -> Style {
        if self.has_color() { Style::new().fg(self.color(rgb, basic)) } else { Style::new() }
    }

    /// Ordinary text: the terminal's own colours.
    pub fn text(&self) -> Style {
        Style::new()
    }

    /// Secondary text: units, labels, what is not in force.
    pub fn dim(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::DIM),
            Depth::True | Depth::Indexed | Depth::Basic => self.fg([128, 134, 148], Color::DarkGray),
        }
    }

    /// What the eye should find first: the active tab, the focused title.
    pub fn accent(&self) -> Style {
        self.fg([86, 170, 235], Color::LightBlue).add_modifier(Modifier::BOLD)
    }

    /// Something is wrong.
    pub fn error(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::BOLD),
            Depth::True | Depth::Indexed | Depth::Basic => self.fg([235, 95, 95], Color::LightRed),
        }
    }

    /// Something deserves a look.
    pub fn warning(&self) -> Style {
        self.fg([225, 170, 60], Color::Yellow)
    }

    /// All is well.
    pub fn ok(&self) -> Style {
        self.fg([80, 185, 125], Color::Green)
    }

    /// Headings of tables and sections.
    pub fn header(&self) -> Style {
        self.fg([150, 165, 190], Color::Gray).add_modifier(Modifier::BOLD)
    }

    /// Names of keys in the footer and the help.
    pub fn key(&self) -> Style {
        self.fg([215, 195, 60], Color::LightYellow).add_modifier(Modifier::BOLD)
    }

    /// Lines around what has no focus.
    pub fn border(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::DIM),
            Depth::True | Depth::Indexed | Depth::Basic => self.fg([85, 92, 108], Color::DarkGray),
        }
    }

    /// Lines around what keys act on.
    pub fn border_focused(&self) -> Style {
        self.fg([86, 170, 235], Color::LightBlue)
    }

    /// The selected row of what has the focus.
    pub fn selection(&self) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => Style::new()
                .bg(fit([42, 66, 104], self.depth))
                .fg(fit([240, 244, 250], self.depth))
                .add_modifier(Modifier::BOLD),
            Depth::Basic | Depth::Plain => marked(Modifier::REVERSED),
        }
    }

    /// The selected row of what has no focus.
    pub fn selection_unfocused(&self) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => {
                Style::new().bg(fit([48, 52, 62], self.depth)).fg(fit([225, 230, 238], self.depth))
            }
            Depth::Basic | Depth::Plain => marked(Modifier::BOLD | Modifier::UNDERLINED),
        }
    }

    /// Characters that a filter matched.
    pub fn matched(&self) -> Style {
        self.fg([235, 150, 40], Color::Yellow).add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// Marks the cell, row or column under a cursor on top of any background.
    pub fn cursor(&self) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => {
                Style::new().bg(fit([250, 250, 250], self.depth)).fg(fit([15, 15, 15], self.depth))
            }
            Depth::Basic | Depth::Plain => marked(Modifier::REVERSED),
        }
    }

    /// Colour of `t` in 0..=1 on a perceptually even scale from dark blue to light yellow, whose lightness
    /// rises evenly (so it reads without hue). Out of range is clamped; NaN and terminals without
    /// gradients give `Color::Reset`: draw [`Self::glyph_ramp`] there.
    pub fn sequential(&self, t: f32) -> Color {
        pick(&self.sequential, t)
    }

    /// Text on a cell of [`Self::sequential`] colour. Without gradients, and for NaN, unstyled.
    pub fn on_sequential(&self, t: f32) -> Style {
        self.on_map(&self.sequential, t, 0.5)
    }

    /// As [`Self::on_sequential`], lighter: the row and the column of a cursor.
    pub fn on_sequential_lit(&self, t: f32) -> Style {
        self.on_map(&self.sequential_lit, t, 0.25)
    }

    /// Light text on the dark end of a map, dark text from place `turn` on.
    fn on_map(&self, map: &[Color], t: f32, turn: f32) -> Style {
        if map.is_empty() || t.is_nan() {
            return Style::new();
        }
        let text = if t < turn { [240, 244, 250] } else { [15, 15, 15] };
        Style::new().bg(pick(map, t)).fg(fit(text, self.depth))
    }

    /// Text in the colour of the `i`-th category; unstyled without colour.
    pub fn category(&self, i: usize) -> Style {
        if self.has_color() { Style::new().fg(self.categorical(i)) } else { Style::new() }
    }

    /// Colour of `t` in -1..=1: blue below, near black at 0, orange above. Otherwise as [`Self::sequential`].
    pub fn diverging(&self, t: f32) -> Color {
        pick(&self.diverging, (t + 1.0) / 2.0)
    }

    /// Colour of the `i`-th cluster or expert; repeats after [`Self::categories`].
    /// `Color::Reset` without colour: show [`Self::mark`] as well.
    pub fn categorical(&self, i: usize) -> Color {
        if self.categorical.is_empty() {
            return Color::Reset;
        }
        self.categorical[i % self.categorical.len()]
    }

    /// [`Self::categorical`] faded towards black: `strength` 0..=1. Only with gradients; else unfaded.
    pub fn categorical_faded(&self, i: usize, strength: f32) -> Color {
        if !self.has_gradient() {
            return self.categorical(i);
        }
        let strength = if strength.is_finite() { strength.clamp(0.0, 1.0) } else { 0.0 };
        let part = 0.22 + 0.78 * strength;
        fit(CATEGORICAL[i % CATEGORICAL.len()].map(|c| (f32::from(c) * part) as u8), self.depth)
    }

    /// A cell filled with the colour of the `i`-th category, the fuller the greater `strength` (0..=1), with
    /// text that can be read on it. Without gradients, strength is bold, plain or dim.
    pub fn category_cell(&self, i: usize, strength: f32) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => {
                let part = if strength.is_finite() { strength.clamp(0.0, 1.0) } else { 0.0 };
                // Dark text from where the fill is bright enough for it.
                let text = if part > 0.55 { [12, 14, 18] } else { [228, 232, 240] };
                // The 256 colours have no dark hues, only dark greys: weak cells stay brighter there.
                let fill = if self.depth == Depth::Indexed { 0.35 + 0.65 * part } else { part };
                Style::new().bg(self.categorical_faded(i, fill)).fg(fit(text, self.depth))
            }
            Depth::Basic | Depth::Plain if strength > 0.7 => {
                self.category_text(i).add_modifier(Modifier::BOLD)
            }
            Depth::Basic | Depth::Plain if strength < 0.2 => {
                self.category_text(i).add_modifier(Modifier::DIM)
            }
            Depth::Basic | Depth::Plain => self.category_text(i),
        }
    }

    /// Text or bars in the colour of the `i`-th category.
    pub fn category_text(&self, i: usize) -> Style {
        if self.has_color() { Style::new().fg(self.categorical(i)) } else { Style::new() }
    }

    /// The `i`-th category where it should recede: text in its faded colour.
    pub fn category_faint(&self, i: usize) -> Style {
        match self.depth {
            Depth::True | Depth::Indexed => Style::new().fg(self.categorical_faded(i, 0.35)),
            Depth::Basic | Depth::Plain => self.category_text(i).add_modifier(Modifier::DIM),
        }
    }

    /// How many different [`Self::categorical`] colours there are (at least 12, without colour 1).
    pub fn categories(&self) -> usize {
        self.categorical.len().max(1)
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

/// What is selected without colours: dim text under it is dim no longer.
fn marked(modifier: Modifier) -> Style {
    Style::new().add_modifier(modifier).remove_modifier(Modifier::DIM)
}

fn pick(map: &[Color], t: f32) -> Color {
    if map.is_empty() || t.is_nan() {
        return Color::Reset;
    }
    map[(t.clamp(0.0, 1.0) * (map.len() - 1) as f32).round() as usize]
}

/// Lightness 0.22 → 0.93, hue from blue-violet over teal and green to yellow (OKLCH).
fn sequential_rgb(t: f32) -> [u8; 3] {
    oklch(0.22 + 0.71 * t, 0.135, 290.0 - 185.0 * t)
}

/// A third of the way to white.
fn lit(rgb: [u8; 3]) -> [u8; 3] {
    rgb.map(|c| c + (255 - c) / 3)
}

/// Dark in the middle; blue (250°) and orange (60°), which no common colour blindness confuses.
fn diverging_rgb(t: f32) -> [u8; 3] {
    let x = 2.0 * t - 1.0;
    oklch(0.24 + 0.62 * x.abs(), 0.15 * x.abs(), if x < 0.0 { 250.0 } else { 65.0 })
}

/// OKLCH to 8-bit sRGB (Ottosson 2020), with chroma lowered until the colour exists.
fn oklch(lightness: f32, mut chroma: f32, hue_degrees: f32) -> [u8; 3] {
    let (sin, cos) = hue_degrees.to_radians().sin_cos();
    loop {
        let rgb = oklab_to_linear(lightness, chroma * cos, chroma * sin);
        if chroma <= 0.0 || rgb.iter().all(|c| (-0.0005..=1.0005).contains(c)) {
            return rgb.map(|c| (encode_srgb(c.clamp(0.0, 1.0)) * 255.0).round() as u8);
        }
        chroma -= 0.005;
    }
}

fn oklab_to_linear(l: f32, a: f32, b: f32) -> [f32; 3] {
    let long = (l + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let medium = (l - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (l - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    [
        4.076_741_7 * long - 3.307_711_6 * medium + 0.230_969_93 * short,
        -1.268_438 * long + 2.609_757_4 * medium - 0.341_319_4 * short,
        -0.004_196_086_3 * long - 0.703_418_6 * medium + 1.707_614_7 * short,
    ]
}

fn encode_srgb(c: f32) -> f32 {
    if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 }
}

/// A colour as the terminal can show it.
fn fit(rgb: [u8; 3], depth: Depth) -> Color {
    match depth {
        Depth::True => Color::Rgb(rgb[0], rgb[1], rgb[2]),
        Depth::Indexed | Depth::Basic | Depth::Plain => Color::Indexed(nearest_indexed(rgb)),
    }
}

/// The nearest of the fixed colours 16–255: the 6 × 6 × 6 cube and the grey ramp.
fn nearest_indexed(rgb: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |other: [u8; 3]| -> u32 {
        // Weighted as the eye does, roughly.
        let [r, g, b] = [0, 1, 2].map(|i| u32::from(rgb[i].abs_diff(other[i])));
        3 * r * r + 6 * g * g + b * b
    };
    let level = |c: u8| (0..6).min_by_key(|&i| LEVELS[i].abs_diff(c)).unwrap_or(0);
    let [r, g, b] = rgb.map(level);
    let cube = (16 + 36 * r + 6 * g + b) as u8;
    let cube_distance = distance([LEVELS[r], LEVELS[g], LEVELS[b]]);
    let (grey_distance, grey) =
        (0u8..24).map(|i| (distance([8 + 10 * i; 3]), 232 + i)).min().unwrap_or((u32::MAX, 232));
    if grey_distance < cube_distance { grey } else { cube }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(color: Color) -> f64 {
        let Color::Rgb(r, g, b) = color else { panic!("not a 24-bit colour") };
        0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
    }

    #[test]
    fn sequential_rises_in_brightness_so_that_it_reads_without_hue() {
        let theme = Theme::new(Depth::True);
        let steps: Vec<f64> = (0..=20).map(|i| luminance(theme.sequential(i as f32 / 20.0))).collect();
        assert!(steps.windows(2).all(|w| w[1] > w[0]), "{steps:?}");
    }

    #[test]
    fn maps_survive_any_number() {
        for depth in [Depth::True, Depth::Indexed, Depth::Basic, Depth::Plain] {
            let theme = Theme::new(depth);
            for t in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 0.0, 1.0, 7.0] {
                let (color, _) = (theme.sequential(t), theme.diverging(t));
                assert_eq!(theme.has_gradient() && !t.is_nan(), color != Color::Reset);
                assert_eq!(theme.glyph(t).chars().count(), 1);
                theme.categorical_faded(99, t);
            }
        }
    }

    #[test]
    fn plain_has_no_colour_anywhere() {
        let theme = Theme::new(Depth::Plain);
        let styles = [
            theme.text(),
            theme.dim(),
            theme.accent(),
            theme.error(),
            theme.warning(),
            theme.ok(),
            theme.header(),
            theme.key(),
            theme.border(),
            theme.border_focused(),
            theme.selection(),
            theme.selection_unfocused(),
            theme.matched(),
            theme.cursor(),
        ];
        assert!(styles.iter().all(|s| s.fg.is_none() && s.bg.is_none()));
        assert_eq!(theme.categorical(3), Color::Reset);
    }

    #[test]
    fn low_values_are_seen_and_differ_from_missing_ones() {
        let theme = Theme::new(Depth::Plain);
        assert!(theme.glyph_ramp().iter().all(|glyph| !glyph.trim().is_empty() && *glyph != "?"));
        assert_eq!((theme.glyph(0.0), theme.glyph(1.0), theme.glyph(f32::NAN)), ("·", "@", "?"));
    }

    #[test]
    fn what_is_selected_is_not_dim() {
        for depth in [Depth::True, Depth::Indexed, Depth::Basic, Depth::Plain] {
            let theme = Theme::new(depth);
            for style in [theme.selection(), theme.selection_unfocused(), theme.cursor()] {
                let mut cell = ratatui::buffer::Cell::default();
                cell.set_style(theme.dim()).set_style(style);
                assert!(!cell.modifier.contains(Modifier::DIM), "{depth:?}");
            }
        }
    }

    #[test]
    fn categories_are_distinct_with_256_colours() {
        let theme = Theme::new(Depth::Indexed);
        let colors: std::collections::HashSet<_> = (0..12).map(|i| theme.categorical(i)).collect();
        assert_eq!(colors.len(), 12);
        let marks: std::collections::HashSet<_> = (0..62).map(|i| theme.mark(i)).collect();
        assert_eq!(marks.len(), 62);
    }
}
