//! Colour maps that are perceptually uniform and safe for colour-blind eyes, and scales that put values
//! on them.

/// Viridis (van der Walt & Smith, CC0) at 0, 0.1, …, 1.
const VIRIDIS: [[u8; 3]; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

/// Blue over white to red, after ColorBrewer's RdBu (Brewer, Apache-2.0), at −1, −0.8, …, 1.
const BLUE_RED: [[u8; 3]; 11] = [
    [5, 48, 97],
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
    [103, 0, 31],
];

/// What is not a number has this colour.
pub const MISSING: [u8; 3] = [150, 150, 150];

/// Dark violet at 0 over green to yellow at 1; lightness grows evenly. Values outside are clamped.
pub fn viridis(t: f32) -> [u8; 3] {
    interpolate(&VIRIDIS, t)
}

/// Blue at −1, white at 0, red at 1. Values outside are clamped.
pub fn diverging(t: f32) -> [u8; 3] {
    interpolate(&BLUE_RED, (t + 1.0) / 2.0)
}

fn interpolate(anchors: &[[u8; 3]; 11], t: f32) -> [u8; 3] {
    if t.is_nan() {
        return MISSING;
    }
    let position = t.clamp(0.0, 1.0) * 10.0;
    let low = (position as usize).min(9);
    let share = position - low as f32;
    std::array::from_fn(|c| {
        let (from, to) = (f32::from(anchors[low][c]), f32::from(anchors[low + 1][c]));
        (from + (to - from) * share).round() as u8
    })
}

/// Maps values to colours over a range with round ends: [`viridis`], or [`diverging`] about 0 where
/// negative values matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Value of the first colour.
    pub low: f32,
    /// Value of the last colour.
    pub high: f32,
    /// Whether 0 has the middle colour.
    pub diverging: bool,
    step: f32,
}

impl Scale {
    /// The scale for an N × N similarity matrix, from its entries off the diagonal, so that differences
    /// show also where all are small; values beyond its ends are clamped.
    pub fn of_matrix(matrix: &[f32], n: usize) -> Self {
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for (at, &value) in matrix.iter().enumerate() {
            if value.is_finite() && (n < 2 || at / n != at % n) {
                low = low.min(value);
                high = high.max(value);
            }
        }
        if low > high || n < 2 { Self::spanning(0.0, 1.0) } else { Self::spanning(low, high) }
    }

    /// A scale with round ends that covers `low` to `high`. It is diverging where the negative part is
    /// at least a third of the positive one, and begins at 0 where the values are at most slightly
    /// negative or not far above 0.
    pub fn spanning(low: f32, high: f32) -> Self {
        if low < 0.0 && -low * 3.0 >= high {
            let reach = (-low).max(high);
            let step = round_step(2.0 * reach);
            let reach = (reach / step - 1e-3).ceil() * step;
            return Self { low: -reach, high: reach, diverging: true, step };
        }
        let near_zero = low <= 0.35 * high;
        let low = if near_zero { 0.0 } else { low };
        let high = if near_zero { high.max(0.02) } else { high };
        // A narrower scale would only show rounding errors.
        let low = low.min(high - 0.02);
        let step = round_step(high - low);
        let low = (low / step + 1e-3).floor() * step;
        let high = (high / step - 1e-3).ceil() * step;
        Self { low, high, diverging: false, step }
    }

    /// The colour of a value.
    pub fn color(&self, value: f32) -> [u8; 3] {
        if self.diverging {
            diverging(value / self.high)
        } else {
            viridis((value - self.low) / (self.high - self.low))
        }
    }

    /// Where a value lies on the bar, 0 at the low end and 1 at the high end.
    pub fn position(&self, value: f32) -> f32 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Round values from the low to the high end, with their labels; an end that `values` go beyond is
    /// marked with ≤ or ≥.
    pub fn ticks(&self, values: &[f32]) -> Vec<(f32, String)> {
        let count = ((self.high - self.low) / self.step).round() as usize;
        let decimals = (-self.step.log10()).ceil().clamp(0.0, 6.0) as usize;
        let slack = 0.01 * self.step;
        let below = values.iter().any(|&v| v < self.low - slack);
        let above = values.iter().any(|&v| v > self.high + slack);
        (0..=count)
            .map(|i| {
                let value = self.low + i as f32 * self.step;
                let mark = match i {
                    0 if below => "≤ ",
                    _ if i == count && above => "≥ ",
                    _ => "",
                };
                // No "-0.0".
                let shown = if value.abs() < slack { 0.0 } else { value };
                (value, format!("{mark}{shown:.decimals$}").replace('-', "−"))
            })
            .collect()
    }
}

/// A step of 1, 2 or 5 times a power of ten that cuts `range` into about five parts.
fn round_step(range: f32) -> f32 {
    let raw = (range / 5.0).max(1e-5);
    let power = 10.0f32.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| raw <= f * power * 1.001).unwrap_or(10.0);
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG).
    fn luminance(color: [u8; 3]) -> f32 {
        let linear = |c: u8| (f32::from(c) / 255.0).powf(2.2);
        0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2])
    }

    #[test]
    fn viridis_gets_lighter_all_the_way() {
        let all: Vec<f32> = (0..=100).map(|i| luminance(viridis(i as f32 / 100.0))).collect();
        assert!(all.windows(2).all(|w| w[1] > w[0]), "{all:?}");
        assert_eq!(viridis(-3.0), viridis(0.0));
        assert_eq!(viridis(7.0), viridis(1.0));
        assert_eq!(viridis(f32::NAN), MISSING);
    }

    #[test]
    fn diverging_is_light_in_the_middle_and_blue_below() {
        assert!(luminance(diverging(0.0)) > 0.9);
        assert!(luminance(diverging(0.9)) < 0.2 && luminance(diverging(-0.9)) < 0.2);
        let [red, _, blue] = diverging(-0.7);
        assert!(blue > red);
    }

    #[test]
    fn scales_have_round_ends_that_cover_the_values() {
        let labels = |s: Scale| s.ticks(&[]).into_iter().map(|t| t.1).collect::<Vec<_>>().join(" ");
        assert_eq!(labels(Scale::spanning(0.0, 1.0)), "0.0 0.2 0.4 0.6 0.8 1.0");
        assert_eq!(labels(Scale::spanning(-0.02, 0.23)), "0.00 0.05 0.10 0.15 0.20 0.25");
        assert_eq!(labels(Scale::spanning(0.71, 0.93)), "0.70 0.75 0.80 0.85 0.90 0.95");
        assert_eq!(labels(Scale::spanning(-0.4, 0.8)), "−1.0 −0.5 0.0 0.5 1.0");
    }

    #[test]
    fn equal_values_do_not_make_a_scale_of_nothing() {
        for value in [0.0f32, 0.5, 1.0, -1.0] {
            let scale = Scale::spanning(value, value);
            assert!(scale.high - scale.low >= 0.0199 && scale.ticks(&[value]).len() < 20, "{scale:?}");
            assert!(scale.low <= value && value <= scale.high + 1e-5, "{scale:?}");
        }
    }

    #[test]
    fn the_diagonal_does_not_stretch_the_scale() {
        let scale = Scale::of_matrix(&[1.0, 0.1, 0.1, 1.0], 2);
        assert!(scale.high <= 0.2, "{scale:?}");
        let ticks = scale.ticks(&[1.0, 0.1]);
        assert!(ticks.last().unwrap().1.starts_with('≥'), "{ticks:?}");
        assert_eq!(Scale::of_matrix(&[1.0], 1).color(1.0), viridis(1.0));
        assert!(!Scale::of_matrix(&[], 0).diverging);
        assert_eq!(Scale::of_matrix(&[f32::NAN; 4], 2), Scale::spanning(0.0, 1.0));
    }
}
