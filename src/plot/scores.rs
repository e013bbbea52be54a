//! Scores as a heatmap of tasks × methods, with the differences between methods and their intervals below.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Drawn, FAINT, INK, Label, Pen, document, encode, pixels, text_width};
use super::colormap::viridis;
use super::drawing::Drawing;
use super::labels::Labels;
use crate::Result;

/// Half of the scale of the differences, at least: its numbers differ.
const LEAST: f64 = 0.01;
/// Size of a cell.
const CELL: (i32, i32) = (86, 22);
/// Where the heading ends.
const TOP: i32 = 74;
const MARGIN: i32 = 24;
/// Height of a line of the differences.
const LINE: i32 = 22;
/// Width of the scale of the differences, at least.
const SCALE: i32 = 320;
/// Rows and columns beyond these would make no figure that anybody can read.
const MOST_ROWS: usize = 400;
const MOST_COLUMNS: usize = 60;

/// Whether numbers are losses, and how they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Shares, in %.
    #[default]
    Share,
    /// Losses, in nats, of which smaller ones are better.
    Loss,
}

impl Scale {
    /// The scale of losses, or else of shares.
    pub fn of(is_loss: bool) -> Self {
        if is_loss { Self::Loss } else { Self::Share }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:.1}", value * 100.0),
            Self::Loss => format!("{value:.3}"),
        }
    }

    fn signed(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:+.1}", value * 100.0),
            Self::Loss => format!("{value:+.3}"),
        }
    }
}

/// A difference with its interval.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnDifference {
    /// Of this method; untrusted.
    pub name: String,
    /// In the scale of all differences.
    pub difference: f64,
    /// Ends of its interval; both the difference itself where it has none.
    pub ends: [f64; 2],
    /// Whether it is for the better; `None` where that may be chance.
    pub is_better: Option<bool>,
}

/// What a figure of scores shows; all texts are untrusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrawnScores {
    /// The heading.
    pub title: String,
    /// What the numbers are.
    pub subtitle: String,
    /// Names of tasks and means.
    pub rows: Vec<String>,
    /// Names of methods.
    pub columns: Vec<String>,
    /// Per row and column: a share or a loss, and its standard error where there is one.
    pub cells: Vec<Vec<Option<(f64, Option<f64>)>>>,
    /// Which rows are losses; of those that are not named, none.
    pub losses: Vec<bool>,
    /// The method that differences are to.
    pub against: String,
    /// Differences to it.
    pub differences: Vec<DrawnDifference>,
    /// Their scale.
    pub scale: Scale,
}

impl DrawnScores {
    fn scale_of(&self, row: usize) -> Scale {
        Scale::of(self.losses.get(row).copied().unwrap_or(false))
    }

    /// The smallest and the largest loss.
    fn range_of_losses(&self) -> (f64, f64) {
        let rows = self.cells.iter().enumerate().filter(|(row, _)| self.scale_of(*row) == Scale::Loss);
        let all = rows.flat_map(|(_, cells)| cells).flatten().map(|(loss, _)| *loss);
        all.filter(|loss| loss.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), loss| (low.min(loss), high.max(loss)))
    }
}

/// A figure that can be saved.
#[derive(Clone, Debug)]
pub struct ScoreFigure {
    scores: DrawnScores,
    /// Rows, columns, differences and what they are to, as the built-in font can show them.
    drawn: Labels,
    /// The same as whoever shows an SVG can.
    written: Labels,
}

/// The figure of scores; of very many rows or columns the first ones.
pub fn scores_figure(scores: &DrawnScores) -> ScoreFigure {
    let mut scores = scores.clone();
    scores.rows.truncate(MOST_ROWS);
    scores.columns.truncate(MOST_COLUMNS);
    scores.differences.truncate(MOST_COLUMNS);
    let differences = scores.differences.iter().map(|difference| &difference.name);
    let names: Vec<&str> = scores
        .rows
        .iter()
        .chain(&scores.columns)
        .chain(differences)
        .chain([&scores.against])
        .map(String::as_str)
        .collect();
    let (drawn, written) = (Labels::drawn(&names, &scores.title), Labels::written(&names, &scores.title));
    ScoreFigure { drawn, written, scores }
}

/// Where everything is.
struct Places {
    size: (u32, u32),
    left: i32,
    top: i32,
    /// Where the differences begin.
    below: i32,
    /// From where to where the scale of the differences goes.
    scale: (i32, i32),
    legend: i32,
}

impl Drawing for ScoreFigure {
    fn png(&self) -> Result<Vec<u8>> {
        let places = self.places(&self.drawn);
        let (pixels, width, height) = pixels(places.size, None, |pen| self.draw(pen, &places, &self.drawn))?;
        encode(&pixels, width, height)
    }

    fn svg(&self) -> Result<String> {
        let places = self.places(&self.written);
        document(places.size, |pen| self.draw(pen, &places, &self.written))
    }

    fn numbered(&self) -> &[(String, String)] {
        &self.drawn.numbered
    }
}

impl ScoreFigure {
    fn places(&self, names: &Labels) -> Places {
        let (rows, columns) = (self.scores.rows.len(), self.scores.columns.len());
        let widest = |from: usize, count: usize, size| {
            names.labels.iter().skip(from).take(count).map(|name| text_width(name, size)).max().unwrap_or(0)
        };
        let differences = self.scores.differences.len();
        let left = MARGIN + widest(0, rows, 12).max(widest(rows + columns, differences, 12)) + 10;
        let top = TOP + widest(rows, columns, 12) + 8;
        let right = left + (CELL.0 * columns as i32).max(SCALE);
        let below = top + CELL.1 * rows as i32 + if differences > 0 { 48 } else { 0 };
        let legend = below + LINE * differences as i32 + if differences > 0 { 34 } else { 12 };
        let heading = text_width(&names.title, 20).max(text_width(&self.scores.subtitle, 13)) + 2 * MARGIN;
        let width = (right + MARGIN).max(heading);
        let height = legend + 16 * names.legend.len() as i32 + 12;
        Places { size: (width as u32, height as u32), left, top, below, scale: (left, right), legend }
    }

    fn draw<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, places: &Places, names: &Labels) -> Drawn<DB> {
        let &Places { left, top, .. } = places;
        let rows = self.scores.rows.len();
        pen.text(&names.title, &Label::new((MARGIN, 32), 20, INK))?;
        pen.text(&self.scores.subtitle, &Label::new((MARGIN, 54), 13, FAINT))?;
        for (column, name) in names.labels.iter().skip(rows).take(self.scores.columns.len()).enumerate() {
            let at = (left + CELL.0 * column as i32 + CELL.0 / 2, top - 6);
            pen.text(name, &Label { upright: true, ..Label::new(at, 12, INK) })?;
        }
        let (least, most) = self.scores.range_of_losses();
        for (row, cells) in self.scores.cells.iter().take(rows).enumerate() {
            let scale = self.scores.scale_of(row);
            let y = top + CELL.1 * row as i32;
            let name = names.labels.get(row).map_or("", String::as_str);
            pen.text(name, &Label { side: HPos::Right, ..Label::new((left - 8, y + CELL.1 / 2), 12, INK) })?;
            for (column, cell) in cells.iter().take(self.scores.columns.len()).enumerate() {
                let x = left + CELL.0 * column as i32;
                let middle = (x + CELL.0 / 2, y + CELL.1 / 2);
                let Some((score, error)) = cell else {
                    pen.text("–", &Label { side: HPos::Center, ..Label::new(middle, 12, FAINT) })?;
                    continue;
                };
                // Of losses, the smallest of the figure has the colour of a share of 1.
                let good = match scale {
                    Scale::Share => *score,
                    Scale::Loss if most > least => (most - score) / (most - least),
                    Scale::Loss => 1.0,
                };
                let [r, g, b] = viridis(good.clamp(0.0, 1.0) as f32);
                pen.rectangle((x, y), (x + CELL.0 - 1, y + CELL.1 - 1), RGBColor(r, g, b))?;
                // Dark on light and light on dark.
                let bright = 0.3 * f64::from(r) + 0.59 * f64::from(g) + 0.11 * f64::from(b);
                let ink = if bright > 130.0 { INK } else { RGBColor(250, 250, 250) };
                let error = error.map_or(String::new(), |error| format!(" ± {}", scale.text(error)));
                let text = format!("{}{error}", scale.text(*score));
                pen.text(&text, &Label { side: HPos::Center, ..Label::new(middle, 12, ink) })?;
            }
        }
        self.draw_differences(pen, places, names)?;
        for (line, text) in names.legend.iter().enumerate() {
            pen.text(text, &Label::new((MARGIN, places.legend + 16 * line as i32), 12, FAINT))?;
        }
        Ok(())
    }

    /// A line per method, from one end of its interval to the other, on a scale with 0 on it.
    fn draw_differences<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        places: &Places,
        names: &Labels,
    ) -> Drawn<DB> {
        let differences = &self.scores.differences;
        if differences.is_empty() {
            return Ok(());
        }
        let (from, to) = places.scale;
        let ends = differences.iter().flat_map(|d| d.ends).filter(|end| end.is_finite());
        let most = ends.map(f64::abs).fold(LEAST, f64::max);
        let x = |value: f64| {
            let share = ((value / most).clamp(-1.0, 1.0) + 1.0) / 2.0;
            from + 12 + (share * f64::from(to - from - 24)).round() as i32
        };
        let against = names.labels.last().map_or("", String::as_str);
        let (scale, unit) = match self.scores.scale {
            Scale::Share => (Scale::Share, "points"),
            Scale::Loss => (Scale::Loss, "nats"),
        };
        let title = format!("Difference to {against} over all tasks, {unit} with 95 % intervals");
        pen.text(&title, &Label::new((MARGIN, places.below - 18), 13, INK))?;
        let bottom = places.below + LINE * differences.len() as i32;
        for share in [-1.0, -0.5, 0.0, 0.5, 1.0] {
            let at = x(share * most);
            let color = if share == 0.0 { FAINT } else { RGBColor(225, 225, 225) };
            pen.line((at, places.below), (at, bottom), color, 1)?;
            let text = scale.signed(share * most);
            pen.text(&text, &Label { side: HPos::Center, ..Label::new((at, bottom + 12), 11, FAINT) })?;
        }
        let first = self.scores.rows.len() + self.scores.columns.len();
        for (line, difference) in differences.iter().enumerate() {
            let y = places.below + LINE * line as i32 + LINE / 2;
            let name = names.labels.get(first + line).map_or("", String::as_str);
            pen.text(name, &Label { side: HPos::Right, ..Label::new((places.left - 8, y), 12, INK) })?;
            let [low, high] = difference.ends;
            let color = match difference.is_better {
                Some(true) => RGBColor(0, 114, 178),
                Some(false) => RGBColor(213, 94, 0),
                None => FAINT,
            };
            pen.line((x(low), y), (x(high), y), color, 2)?;
            let at = x(difference.difference);
            pen.rectangle((at - 3, y - 4), (at + 3, y + 4), color)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(rows: usize, columns: usize) -> DrawnScores {
        let cell =
            |r: usize, c: usize| (r + c != 3).then(|| ((r + c) as f64 / (rows + columns) as f64, Some(0.02)));
        DrawnScores {
            title: "Scores <test>".into(),
            subtitle: "own scoring".into(),
            rows: (0..rows).map(|r| format!("task {r}")).collect(),
            columns: (0..columns).map(|c| format!("日本{c}")).collect(),
            cells: (0..rows).map(|r| (0..columns).map(|c| cell(r, c)).collect()).collect(),
            against: "base".into(),
            differences: (0..columns)
                .map(|c| DrawnDifference {
                    name: format!("method {c}"),
                    difference: c as f64 / 10.0 - 0.1,
                    ends: [c as f64 / 10.0 - 0.2, c as f64 / 10.0],
                    is_better: None,
                })
                .collect(),
            ..DrawnScores::default()
        }
    }

    #[test]
    fn losses_have_a_scale_of_their_own() {
        let mut of = scores(3, 2);
        of.cells[1] = vec![Some((3.5, Some(0.125))), Some((1.25, None))];
        (of.losses, of.scale) = (vec![false, true], Scale::Loss);
        of.differences = vec![DrawnDifference {
            name: "method".into(),
            difference: -2.25,
            ends: [-2.5, -2.0],
            is_better: Some(true),
        }];
        let svg = scores_figure(&of).svg().unwrap();
        for part in ["3.500 ± 0.125", "1.250", "40.0 ± 2.0", "nats with 95 %", "-2.500"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        // The smallest is as good as can be, the largest as bad.
        let colour = |good: f32| {
            let [r, g, b] = viridis(good);
            format!("#{r:02X}{g:02X}{b:02X}")
        };
        assert!(svg.contains(&colour(1.0)) && svg.contains(&colour(0.0)), "{svg}");
        // Less is better.
        assert!(svg.contains("#0072B2"), "{svg}");
    }

    #[test]
    fn a_figure_has_its_names_and_numbers() {
        let svg = scores_figure(&scores(3, 2)).svg().unwrap();
        for part in
            ["Scores &lt;test&gt;", "task 2", "日本1", "40.0 ± 2.0", "–", "method 1", "Difference to base"]
        {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        // A long name in a script that the font lacks is numbered.
        let long = DrawnScores { rows: vec!["日本語の名前".repeat(4)], ..scores(1, 1) };
        assert_eq!(scores_figure(&long).numbered().len(), 1);
    }

    #[test]
    fn any_size_can_be_drawn() {
        for (rows, columns) in [(0, 0), (1, 1), (1, 0), (300, 3), (500, 70)] {
            let figure = scores_figure(&scores(rows, columns));
            assert!(figure.svg().unwrap().contains("</svg>"));
            if rows < 300 {
                assert!(figure.png().unwrap().len() > 300);
            }
        }
    }
}
