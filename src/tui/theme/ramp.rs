//! The colour map of numbers, whose lightness says the value, and colours as terminals can show them.

use ratatui::style::Color;

use crate::colours::{Depth, contrast};

/// Steps of the map; finer than any screen can show.
const STEPS: usize = 128;

/// The map in 256 colours: entries of the cube from dark blue over green to light yellow, each lighter than the one
/// before, none of them a grey.
const INDEXED: [u8; 15] = [17, 18, 19, 20, 21, 26, 31, 37, 43, 79, 84, 120, 156, 192, 228];

/// Text on a colour.
pub const INKS: [[u8; 3]; 2] = [[240, 244, 250], [8, 8, 8]];

/// Colours of the map with those of text on them, from the lowest to the highest value.
#[derive(Clone, Debug)]
pub struct Ramp(Vec<(Color, Color)>);

impl Ramp {
    /// The map of a ground, on which low values recede. Empty where there are too few colours.
    pub fn new(depth: Depth, light: bool) -> Self {
        let step = |i: usize| {
            let t = i as f32 / (STEPS - 1) as f32;
            let t = if light { 1.0 - t } else { t };
            let (color, rgb) = match depth {
                Depth::Indexed => {
                    let entry = nearest_step(lightness(t));
                    (Color::Indexed(entry), rgb_of_indexed(entry))
                }
                Depth::True | Depth::Basic | Depth::Plain => (fit(rgb(t), depth), rgb(t)),
            };
            (color, fit(ink(rgb, INKS), depth))
        };
        match depth {
            Depth::True | Depth::Indexed => Self((0..STEPS).map(step).collect()),
            Depth::Basic | Depth::Plain => Self(Vec::new()),
        }
    }

    /// The colour of `t` in 0..=1 and that of text on it; clamped. `None` for NaN and without a map.
    pub fn get(&self, t: f32) -> Option<(Color, Color)> {
        let last = self.0.len().checked_sub(1).filter(|_| !t.is_nan())?;
        self.0.get((t.clamp(0.0, 1.0) * last as f32).round() as usize).copied()
    }
}

/// The one of two colours of text that has the better contrast.
pub fn ink(ground: [u8; 3], [a, b]: [[u8; 3]; 2]) -> [u8; 3] {
    if contrast(ground, a) >= contrast(ground, b) { a } else { b }
}

/// Lightness 0.22 → 0.93 (OKLCH), so that it reads without hue.
fn lightness(t: f32) -> f32 {
    0.22 + 0.71 * t
}

/// Hue from blue-violet over teal and green to yellow.
fn rgb(t: f32) -> [u8; 3] {
    oklch(lightness(t), 0.135, 290.0 - 185.0 * t)
}

/// The entry of [`INDEXED`] whose lightness is nearest, the whole table stretched over the map.
fn nearest_step(wanted: f32) -> u8 {
    let of = |entry: u8| oklab_lightness(rgb_of_indexed(entry));
    let (low, high) = (of(INDEXED[0]), of(INDEXED[INDEXED.len() - 1]));
    let wanted = low + (wanted - lightness(0.0)) / (lightness(1.0) - lightness(0.0)) * (high - low);
    let distance = |entry: &u8| (of(*entry) - wanted).abs();
    let nearest = INDEXED.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    nearest.unwrap_or(INDEXED[0])
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

/// The first coordinate of Oklab (Ottosson 2020) of 8-bit sRGB, 0 to 1.
fn oklab_lightness(rgb: [u8; 3]) -> f32 {
    let [r, g, b] = rgb.map(|c| {
        let c = f32::from(c) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    });
    let long = (0.412_221_47 * r + 0.536_332_55 * g + 0.051_445_995 * b).cbrt();
    let medium = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let short = (0.088_302_46 * r + 0.281_718_85 * g + 0.629_978_7 * b).cbrt();
    0.210_454_26 * long + 0.793_617_8 * medium - 0.004_072_047 * short
}

fn encode_srgb(c: f32) -> f32 {
    if c <= 0.003_130_8 { 12.92 * c } else { 1.055 * c.powf(1.0 / 2.4) - 0.055 }
}

/// A colour as the terminal can show it.
pub fn fit(rgb: [u8; 3], depth: Depth) -> Color {
    match depth {
        Depth::True => Color::Rgb(rgb[0], rgb[1], rgb[2]),
        Depth::Indexed | Depth::Basic | Depth::Plain => Color::Indexed(nearest_indexed(rgb)),
    }
}

/// Brightness of the six levels of the cube.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest of the fixed colours 16–255: the 6 × 6 × 6 cube and the grey ramp.
fn nearest_indexed(rgb: [u8; 3]) -> u8 {
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

/// What a colour looks like once it is shown.
pub fn shown(rgb: [u8; 3], depth: Depth) -> [u8; 3] {
    match depth {
        Depth::True => rgb,
        Depth::Indexed | Depth::Basic | Depth::Plain => rgb_of_indexed(nearest_indexed(rgb)),
    }
}

/// What an entry of the 256 colours looks like in xterm; black for the first 16, which people change.
pub fn rgb_of_indexed(entry: u8) -> [u8; 3] {
    match entry {
        0..16 => [0; 3],
        16..232 => {
            let at = usize::from(entry - 16);
            [at / 36, at / 6 % 6, at % 6].map(|level| LEVELS[level])
        }
        232.. => [8 + 10 * (entry - 232); 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours from low to high, each once, as lightness.
    fn steps(depth: Depth, light: bool) -> Vec<f32> {
        let mut colors: Vec<Color> = (0..STEPS)
            .map(|i| Ramp::new(depth, light).get(i as f32 / (STEPS - 1) as f32).unwrap().0)
            .collect();
        colors.dedup();
        colors.into_iter().map(|color| oklab_lightness(rgb_of(color))).collect()
    }

    fn rgb_of(color: Color) -> [u8; 3] {
        match color {
            Color::Rgb(r, g, b) => [r, g, b],
            Color::Indexed(entry) => rgb_of_indexed(entry),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn lightness_says_the_value_at_every_depth_and_on_every_ground() {
        for depth in [Depth::True, Depth::Indexed] {
            let dark = steps(depth, false);
            assert!(dark.is_sorted_by(|a, b| a < b), "{depth:?}: {dark:?}");
            let light: Vec<f32> = steps(depth, true).into_iter().rev().collect();
            assert_eq!(dark, light, "{depth:?}");
        }
    }

    #[test]
    fn the_map_in_256_colours_has_no_hole() {
        let seen = steps(Depth::Indexed, false);
        assert_eq!(seen.len(), INDEXED.len(), "every entry is used");
        for (pair, entries) in seen.windows(2).zip(INDEXED.windows(2)) {
            assert!(pair[1] - pair[0] < 0.11, "from {} to {}: {pair:?}", entries[0], entries[1]);
        }
        for entry in INDEXED {
            let rgb = rgb_of_indexed(entry);
            let spread = rgb.iter().max().unwrap() - rgb.iter().min().unwrap();
            assert!(spread >= 80, "{entry} is grey: {rgb:?}");
            assert_eq!(nearest_indexed(rgb), entry);
        }
    }

    #[test]
    fn numbers_can_be_read_on_every_colour_of_the_map() {
        for depth in [Depth::True, Depth::Indexed] {
            for (ground, text) in Ramp::new(depth, false).0 {
                let contrast = contrast(rgb_of(ground), rgb_of(text));
                assert!(contrast >= 4.1, "{ground} under {text}: {contrast}");
            }
        }
    }
}
