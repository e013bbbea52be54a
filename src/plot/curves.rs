//! Curves over numbers such as k or shots, with the spread of several seeds, one panel above another.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Drawn, FAINT, INK, Label, Pen, document, encode, pixels, text_width};
use super::drawing::Drawing;
use super::labels::Labels;
use crate::Result;
use crate::text::number;

/// Size of a panel's area.
const PANEL: (i32, i32) = (520, 190);
/// Left of it, above the first, and between two.
const LEFT: i32 = 76;
const TOP: i32 = 86;
const BETWEEN: i32 = 62;
const MARGIN: i32 = 24;
/// Ticks of the upright axis.
const TICKS: usize = 5;
/// Colours that differ for most eyes (Okabe and Ito), in turn.
const COLORS: [(u8, u8, u8); 7] = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (90, 90, 90),
];
const GRID: RGBColor = RGBColor(228, 228, 228);

/// A point of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CurvePoint {
    /// Along the axis below.
    pub x: f64,
    /// Its height.
    pub y: f64,
    /// Standard error of `y`, where it is a mean of several.
    pub error: Option<f64>,
}

/// A curve; one of a single point is drawn across the panel: it does not depend on what the axis shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Untrusted.
    pub name: String,
    /// From left to right.
    pub points: Vec<CurvePoint>,
    /// Whether it does not depend on what the axis shows.
    pub is_level: bool,
}

/// Curves of the same unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// What the curves show.
    pub title: String,
    /// The curves.
    pub curves: Vec<Curve>,
}

/// What a figure of curves shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrawnCurves {
    /// The heading; untrusted.
    pub title: String,
    /// What the axis below shows.
    pub axis: String,
    /// Whether that axis is logarithmic: all its numbers are positive.
    pub is_logarithmic: bool,
    /// From top to bottom.
    pub panels: Vec<Panel>,
}

/// A figure that can be saved.
#[derive(Clone, Debug)]
pub struct CurveFigure {
    curves: DrawnCurves,
    drawn: Labels,
    written: Labels,
}

/// The figure of these curves. Points that are not finite are left out.
pub fn curves_figure(curves: &DrawnCurves) -> CurveFigure {
    let mut curves = curves.clone();
    let is_shown =
        |point: &CurvePoint, log: bool| point.x.is_finite() && point.y.is_finite() && (!log || point.x > 0.0);
    let log = curves.is_logarithmic;
    for curve in curves.panels.iter_mut().flat_map(|panel| &mut panel.curves) {
        curve.points.retain(|point| is_shown(point, log));
    }
    for panel in &mut curves.panels {
        panel.curves.retain(|curve| !curve.points.is_empty());
    }
    curves.panels.retain(|panel| !panel.curves.is_empty());
    let names: Vec<&str> =
        curves.panels.iter().flat_map(|panel| &panel.curves).map(|curve| curve.name.as_str()).collect();
    let (drawn, written) = (Labels::drawn(&names, &curves.title), Labels::written(&names, &curves.title));
    CurveFigure { curves, drawn, written }
}

/// From the smallest to the largest number, with some room.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (low, high) = (low.min(value), high.max(value));
    }
    if !low.is_finite() || !high.is_finite() {
        return (0.0, 1.0);
    }
    let room = ((high - low) * 0.08).max(high.abs().max(1.0) * 1e-3);
    (low - room, high + room)
}

impl Drawing for CurveFigure {
    fn png(&self) -> Result<Vec<u8>> {
        let size = self.size(&self.drawn);
        let (pixels, width, height) = pixels(size, None, |pen| self.draw(pen, &self.drawn))?;
        encode(&pixels, width, height)
    }

    fn svg(&self) -> Result<String> {
        document(self.size(&self.written), |pen| self.draw(pen, &self.written))
    }

    fn numbered(&self) -> &[(String, String)] {
        &self.drawn.numbered
    }
}

impl CurveFigure {
    fn size(&self, names: &Labels) -> (u32, u32) {
        let widest = names.labels.iter().map(|name| text_width(name, 12)).max().unwrap_or(0);
        let width = LEFT + PANEL.0 + 44 + widest + MARGIN;
        let panels = self.curves.panels.len().max(1) as i32;
        let height = TOP + panels * PANEL.1 + (panels - 1) * BETWEEN + 62 + 16 * names.legend.len() as i32;
        (width.max(text_width(&names.title, 20) + 2 * MARGIN) as u32, height as u32)
    }

    /// Where a number of the axis below is, as a share of the panel's width.
    fn across(&self) -> impl Fn(f64) -> f64 + use<> {
        let log = self.curves.is_logarithmic;
        let scaled = move |x: f64| if log { x.ln() } else { x };
        let of_curves =
            self.curves.panels.iter().flat_map(|panel| &panel.curves).filter(|curve| !curve.is_level);
        let (low, high) = range(of_curves.flat_map(|curve| &curve.points).map(|point| scaled(point.x)));
        move |x| (scaled(x) - low) / (high - low)
    }

    fn draw<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, names: &Labels) -> Drawn<DB> {
        pen.text(&names.title, &Label::new((MARGIN, 32), 20, INK))?;
        let across = self.across();
        let mut ticks: Vec<f64> = self
            .curves
            .panels
            .iter()
            .flat_map(|panel| &panel.curves)
            .filter(|curve| !curve.is_level)
            .flat_map(|curve| curve.points.iter().map(|point| point.x))
            .collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let mut first = 0;
        for (number, panel) in self.curves.panels.iter().enumerate() {
            let top = TOP + number as i32 * (PANEL.1 + BETWEEN);
            self.draw_panel(pen, panel, (top, first), (names, &ticks, &across))?;
            first += panel.curves.len();
        }
        for (line, text) in names.legend.iter().enumerate() {
            let bottom = self.size(names).1 as i32 - 16 * (names.legend.len() - line) as i32;
            pen.text(text, &Label::new((MARGIN, bottom), 12, FAINT))?;
        }
        Ok(())
    }

    fn draw_panel<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        panel: &Panel,
        (top, first): (i32, usize),
        (names, ticks, across): (&Labels, &[f64], &dyn Fn(f64) -> f64),
    ) -> Drawn<DB> {
        let bottom = top + PANEL.1;
        let x = |value: f64| LEFT + (across(value) * f64::from(PANEL.0)).round() as i32;
        let ends = panel.curves.iter().flat_map(|curve| &curve.points).flat_map(|point| {
            let error = point.error.unwrap_or(0.0);
            [point.y - error, point.y + error]
        });
        let (low, high) = range(ends);
        let y = |value: f64| bottom - ((value - low) / (high - low) * f64::from(PANEL.1)).round() as i32;
        pen.text(&panel.title, &Label::new((LEFT, top - 16), 13, INK))?;
        let places = if high - low < 0.02 { 4 } else { 2 + usize::from(high - low < 0.2) };
        for tick in 0..TICKS {
            let value = low + (high - low) * tick as f64 / (TICKS - 1) as f64;
            pen.line((LEFT, y(value)), (LEFT + PANEL.0, y(value)), GRID, 1)?;
            let label = Label { side: HPos::Right, ..Label::new((LEFT - 8, y(value)), 11, FAINT) };
            pen.text(&number(value, places), &label)?;
        }
        let mut shown = i32::MIN;
        for &tick in ticks {
            pen.line((x(tick), bottom), (x(tick), bottom + 4), FAINT, 1)?;
            let text = tick.to_string();
            // Numbers that would touch are left out.
            let half = text_width(&text, 11) / 2 + 3;
            if x(tick) - half > shown {
                shown = x(tick) + half;
                let at = (x(tick), bottom + 13);
                pen.text(&text, &Label { side: HPos::Center, ..Label::new(at, 11, FAINT) })?;
            }
        }
        let at = (LEFT + PANEL.0 / 2, bottom + 30);
        pen.text(&self.curves.axis, &Label { side: HPos::Center, ..Label::new(at, 12, INK) })?;
        for (number, curve) in panel.curves.iter().enumerate() {
            let color = color_of(number);
            if curve.is_level {
                let height = curve.points.first().map_or(bottom, |point| y(point.y));
                pen.line((LEFT, height), (LEFT + PANEL.0, height), color, 1)?;
            }
            for pair in curve.points.windows(2).filter(|_| !curve.is_level) {
                pen.line((x(pair[0].x), y(pair[0].y)), (x(pair[1].x), y(pair[1].y)), color, 2)?;
            }
            for point in curve.points.iter().filter(|_| !curve.is_level) {
                let middle = (x(point.x), y(point.y));
                mark(pen, middle, (3, 3), number)?;
                if let Some(error) = point.error.filter(|error| error.is_finite()) {
                    pen.line((middle.0, y(point.y - error)), (middle.0, y(point.y + error)), color, 1)?;
                }
            }
            let line = top + 8 + 18 * number as i32;
            mark(pen, (LEFT + PANEL.0 + 22, line), (6, 4), number)?;
            let name = names.labels.get(first + number).map_or("", String::as_str);
            pen.text(name, &Label::new((LEFT + PANEL.0 + 36, line), 12, INK))?;
        }
        Ok(())
    }
}

fn color_of(curve: usize) -> RGBColor {
    let (r, g, b) = COLORS[curve % COLORS.len()];
    RGBColor(r, g, b)
}

/// The mark of a curve around a point; those of the second round of colours are hollow.
fn mark<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    (x, y): (i32, i32),
    (w, h): (i32, i32),
    curve: usize,
) -> Drawn<DB> {
    pen.rectangle((x - w, y - h), (x + w, y + h), color_of(curve))?;
    if curve / COLORS.len() % 2 == 1 {
        pen.rectangle((x - w + 2, y - h + 2), (x + w - 2, y + h - 2), WHITE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, points: &[(f64, f64)]) -> Curve {
        let point = |&(x, y): &(f64, f64)| CurvePoint { x, y, error: Some(0.1) };
        Curve { name: name.into(), points: points.iter().map(point).collect(), is_level: points.len() == 1 }
    }

    #[test]
    fn a_figure_has_its_curves_and_numbers_and_leaves_out_what_is_none() {
        let panels = vec![
            Panel {
                title: "loss".into(),
                curves: vec![curve("mbc <1>", &[(2.0, 1.5), (4.0, 1.25), (8.0, 1.125)])],
            },
            Panel {
                title: "score".into(),
                curves: vec![
                    curve("random", &[(2.0, f64::NAN), (4.0, 0.5)]),
                    curve("joint", &[(0.0, 0.25)]),
                    curve("nothing", &[(f64::NAN, 1.0)]),
                ],
            },
        ];
        for is_logarithmic in [false, true] {
            let all = DrawnCurves {
                title: "k".into(),
                axis: "clusters".into(),
                is_logarithmic,
                panels: panels.clone(),
            };
            let svg = curves_figure(&all).svg().unwrap();
            for part in ["mbc &lt;1&gt;", "clusters", "score", "random", "\n8\n"] {
                assert!(svg.contains(part), "{part}: {svg}");
            }
            assert!(!svg.contains("nothing") && !svg.contains("NaN"));
            let dir = tempfile::tempdir().unwrap();
            curves_figure(&all).save_png(&dir.path().join("k.png")).unwrap();
        }
        assert!(curves_figure(&DrawnCurves::default()).svg().unwrap().contains("</svg>"));
    }
}
