//! The similarity heatmap: names on both axes, ordered by cluster, with boundaries and a colour bar.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Drawn, FAINT, INK, Label, Pen, SHARPNESS, document, encode, pixels, text_width};
use super::colormap::Scale;
use super::drawing::Drawing;
use super::labels::Labels;
use super::svg::image_element;
use crate::analysis::Similarity;
use crate::{Error, Result};

/// Larger matrices are averaged down to at most this many rows and columns of cells.
const MAX_CELLS: usize = 2000;
/// A figure that can be saved.
#[derive(Clone, Debug)]
pub struct Figure {
    subtitle: String,
    /// Names in drawing order, as the built-in font can show them.
    drawn: Labels,
    /// The same as whoever shows an SVG can.
    written: Labels,
    boundaries: Vec<usize>,
    /// Cells per side; fewer than names where the matrix was averaged down.
    side: usize,
    cells: Vec<[u8; 3]>,
    scale: Scale,
    ticks: Vec<(f32, String)>,
}

/// A heatmap of the experts in `order`, with lines where the positions in `boundaries` begin.
/// Indices out of range are left out.
pub fn heatmap(similarity: &Similarity, order: &[usize], boundaries: &[usize], title: &str) -> Figure {
    let n = similarity.len();
    let order: Vec<usize> = order.iter().copied().filter(|&i| i < n).collect();
    let scale = Scale::of_matrix(&similarity.matrix, n);
    let side = order.len().min(MAX_CELLS);
    // Cell c covers positions edge(c)..edge(c + 1).
    let edge = |c: usize| c * order.len() / side.max(1);
    let value = |row: usize, column: usize| {
        let (mut sum, mut count) = (0.0f64, 0usize);
        for &i in &order[edge(row)..edge(row + 1)] {
            for &j in &order[edge(column)..edge(column + 1)] {
                sum += f64::from(similarity.get(i, j));
                count += 1;
            }
        }
        (sum / count as f64) as f32
    };
    let cells = (0..side * side).map(|at| scale.color(value(at / side, at % side))).collect();
    let metric = similarity.metric;
    let settings = if similarity.sparsity > 0.0 {
        format!("{metric} similarity, sparsity {}", similarity.sparsity)
    } else {
        format!("{metric} similarity")
    };
    let clusters = match boundaries.len() {
        0 => String::new(),
        lines => format!(" · {} clusters", lines + 1),
    };
    let experts = if order.len() == 1 { "1 expert".into() } else { format!("{} experts", order.len()) };
    let names: Vec<&str> = order.iter().map(|&i| similarity.experts[i].as_str()).collect();
    Figure {
        drawn: Labels::drawn(&names, title),
        written: Labels::written(&names, title),
        subtitle: format!("{settings} · {experts}{clusters}"),
        boundaries: boundaries.iter().copied().filter(|&b| b > 0 && b < order.len()).collect(),
        side,
        cells,
        ticks: scale.ticks(&similarity.matrix),
        scale,
    }
}

/// Where everything is, in units of the drawing.
struct FigureLayout {
    width: u32,
    height: u32,
    left: i32,
    top: i32,
    matrix: i32,
    font: i32,
    /// Every how many-th name is shown.
    every: usize,
    bar: i32,
    /// Below all names.
    foot: i32,
}

impl Drawing for Figure {
    /// Twice as many pixels as the drawing has units.
    fn png(&self) -> Result<Vec<u8>> {
        let names = &self.drawn;
        let layout = self.layout(&names.labels, names.legend.len());
        let size = (layout.width, layout.height);
        let (mut below, width, _) = pixels(size, None, |pen| self.draw(pen, &layout, names))?;
        self.paint_cells(&mut below, width, &layout);
        let (pixels, width, height) = pixels(size, Some(below), |pen| self.draw_boundaries(pen, &layout))?;
        encode(&pixels, width, height)
    }

    /// The cells are an embedded image, so that it stays small and sharp.
    fn svg(&self) -> Result<String> {
        let names = &self.written;
        let layout = self.layout(&names.labels, 0);
        let mut text = document((layout.width, layout.height), |pen| {
            self.draw(pen, &layout, names)?;
            self.draw_boundaries(pen, &layout)
        })?;
        let side = self.side as u32;
        if side > 0 {
            let cells = encode(self.cells.as_flattened(), side, side)?;
            let size = layout.matrix as u32;
            let image = image_element(&cells, layout.left, layout.top, size, size);
            // The white background is the first element; the image lies on it and below all else.
            let after =
                text.find("/>").map(|at| at + 2).ok_or_else(|| Error::msg("the figure came out empty"))?;
            text.insert_str(after, &format!("\n{image}"));
        }
        Ok(text)
    }

    fn numbered(&self) -> &[(String, String)] {
        &self.drawn.numbered
    }
}

impl Figure {
    fn layout(&self, names: &[String], legend: usize) -> FigureLayout {
        let n = names.len().max(1) as i32;
        // Large cells for few experts; room for every name up to a hundred; then whole pixels per cell.
        let matrix = match n {
            ..=100 => (n * (720 / n).clamp(10, 44)).max(150),
            101..=1000 => 2000 / n * n / 2,
            _ => 1000,
        };
        let pitch = f64::from(matrix) / f64::from(n);
        let font = (pitch * 0.8).round().clamp(9.0, 14.0) as i32;
        let every = (f64::from(font + 1) / pitch).ceil().max(1.0) as usize;
        let longest = names.iter().step_by(every).map(|name| text_width(name, font)).max().unwrap_or(0);
        let heading = text_width(&self.written.title, 20).max(text_width(&self.subtitle, 13)) + 40;
        let left = longest + 34;
        let top = 74;
        let bar = left + matrix + 26;
        let ticks = self.ticks.iter().map(|(_, label)| text_width(label, 13)).max().unwrap_or(0);
        let width = (bar + 16 + 12 + ticks + 24).max(heading);
        let foot = top + matrix + longest + 34;
        let height = foot + 16 * legend as i32;
        FigureLayout { width: width as u32, height: height as u32, left, top, matrix, font, every, bar, foot }
    }

    /// Everything but the cells and the lines on them.
    fn draw<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, at: &FigureLayout, names: &Labels) -> Drawn<DB> {
        pen.text(&names.title, &Label::new((24, 32), 20, INK))?;
        pen.text(&self.subtitle, &Label::new((24, 54), 13, FAINT))?;
        for (line, text) in names.legend.iter().enumerate() {
            pen.text(text, &Label::new((24, at.foot + 16 * line as i32), 12, FAINT))?;
        }
        let count = names.labels.len();
        let middle = |i: usize| ((i as f64 + 0.5) * f64::from(at.matrix) / count as f64).round() as i32;
        for (i, name) in names.labels.iter().enumerate().step_by(at.every) {
            let (x, y) = (at.left + middle(i), at.top + middle(i));
            let row = Label { side: HPos::Right, ..Label::new((at.left - 8, y), at.font, INK) };
            let column = Label { at: (x, at.top + at.matrix + 8), upright: true, ..row };
            pen.text(name, &row)?;
            pen.text(name, &column)?;
            pen.line((at.left - 5, y), (at.left - 1, y), FAINT, 1)?;
            pen.line((x, at.top + at.matrix + 1), (x, at.top + at.matrix + 5), FAINT, 1)?;
        }
        self.draw_bar(pen, at)
    }

    fn draw_bar<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, at: &FigureLayout) -> Drawn<DB> {
        let height = at.matrix.min(360);
        let bottom = at.top + height;
        let value = |y: i32| {
            let share = (y as f32 + 0.5) / height as f32;
            self.scale.low + share * (self.scale.high - self.scale.low)
        };
        for y in 0..height {
            let [r, g, b] = self.scale.color(value(y));
            pen.rectangle((at.bar, bottom - y - 1), (at.bar + 16, bottom - y), RGBColor(r, g, b))?;
        }
        for (tick, label) in &self.ticks {
            let y = bottom - (self.scale.position(*tick) * height as f32).round() as i32;
            pen.line((at.bar + 16, y), (at.bar + 20, y), FAINT, 1)?;
            pen.text(label, &Label::new((at.bar + 25, y), 13, INK))?;
        }
        Ok(())
    }

    /// Lines between clusters: light on the dark map, dark where the middle of the map is white.
    fn draw_boundaries<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, at: &FigureLayout) -> Drawn<DB> {
        let count = self.written.labels.len().max(1);
        let color = if self.scale.diverging { INK } else { WHITE };
        for &boundary in &self.boundaries {
            let offset = (boundary as f64 * f64::from(at.matrix) / count as f64).round() as i32;
            let (x, y) = (at.left + offset, at.top + offset);
            pen.line((x, at.top), (x, at.top + at.matrix), color, 2)?;
            pen.line((at.left, y), (at.left + at.matrix, y), color, 2)?;
        }
        Ok(())
    }

    /// Fills the matrix of a bitmap.
    fn paint_cells(&self, pixels: &mut [u8], width: u32, at: &FigureLayout) {
        let zoom = SHARPNESS as usize;
        let size = at.matrix as usize * zoom;
        let (left, top) = (at.left as usize * zoom, at.top as usize * zoom);
        for y in 0..size {
            let row = y * self.side / size;
            let start = ((top + y) * width as usize + left) * 3;
            let line = &mut pixels[start..start + size * 3];
            for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
                if let Some(color) = self.cells.get(row * self.side + x * self.side / size) {
                    pixel.copy_from_slice(color);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Metric;

    fn similarity(names: &[&str]) -> Similarity {
        let n = names.len();
        Similarity {
            metric: Metric::MBC,
            sparsity: 0.5,
            experts: names.iter().map(|name| (*name).to_string()).collect(),
            matrix: (0..n * n).map(|at| 1.0 / (1 << (at / n).abs_diff(at % n).min(8)) as f32).collect(),
            warnings: vec![],
            skipped: vec![],
            strength: Vec::new(),
            known_spread: Default::default(),
            origin: Default::default(),
        }
    }

    /// The pixels of a PNG, row by row, with its width and height.
    fn decode(bytes: &[u8]) -> (Vec<[u8; 3]>, u32, u32) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut values = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut values).unwrap();
        assert_eq!((frame.color_type, frame.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        (values.as_chunks().0.to_vec(), frame.width, frame.height)
    }

    #[test]
    fn the_png_shows_each_cell_in_its_place_and_colour() {
        let figure = heatmap(&similarity(&["a", "b", "c"]), &[2, 0, 1], &[1], "title");
        let at = figure.layout(&figure.drawn.labels, 0);
        let (pixels, width, height) = decode(&figure.png().unwrap());
        assert_eq!((width, height), (at.width * SHARPNESS, at.height * SHARPNESS));
        let cell = at.matrix / 3;
        let pixel = |row: i32, column: i32| {
            let middle = |start: i32, i: i32| ((start + i * cell + cell / 2) * SHARPNESS as i32) as u32;
            let (x, y) = (middle(at.left, column), middle(at.top, row));
            pixels[(y * width + x) as usize]
        };
        assert_eq!(pixel(0, 0), figure.scale.color(1.0));
        // Expert 2 against expert 0 and expert 1.
        assert_eq!(pixel(0, 1), figure.scale.color(0.25));
        assert_eq!(pixel(0, 2), figure.scale.color(0.5));
        assert_ne!(pixel(0, 0), pixel(0, 1));
        let ink = pixels.iter().filter(|p| p.iter().all(|&c| c < 80)).count();
        assert!(ink > 100, "names and numbers are drawn");
    }

    #[test]
    fn the_svg_escapes_and_shortens_names() {
        let long = "family/a-very-long-task-name-that-goes-on/the-end";
        let figure = heatmap(&similarity(&["<script>\u{1b}[2J", long]), &[0, 1], &[], "a & b");
        let svg = figure.svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("a &amp; b") && svg.contains("&lt;script&gt;\\u{1b}[2J"), "{svg}");
        assert!(svg.contains("family/a-very…") && svg.contains("the-end") && !svg.contains(long));
        assert!(svg.find("<image").unwrap() < svg.find("<text").unwrap(), "the cells lie below the text");
    }

    #[test]
    fn names_in_any_script_are_readable_somewhere() {
        let figure = heatmap(&similarity(&["cafe\u{301}", "日本語アダプタ", "plain"]), &[0, 1, 2], &[], "t");
        assert_eq!(figure.numbered(), [("#1".to_string(), "日本語アダプタ".to_string())]);
        let svg = figure.svg().unwrap();
        assert!(svg.contains("café") && svg.contains("日本語アダプタ") && !svg.contains("#1"), "{svg}");
        // The legend makes the picture higher.
        let plain = heatmap(&similarity(&["caf\u{e9}", "#1", "plain"]), &[0, 1, 2], &[], "t");
        let height = |figure: &Figure| decode(&figure.png().unwrap()).2;
        assert_eq!(height(&figure), height(&plain) + 16 * SHARPNESS);
    }

    #[test]
    fn any_number_of_experts_can_be_drawn() {
        for n in [0usize, 1, 2, 101, 700, 2300] {
            let names: Vec<String> = (0..n).map(|i| format!("expert_{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let order: Vec<usize> = (0..n).collect();
            let figure = heatmap(&similarity(&names), &order, &[n / 2, n, n + 7], "t");
            let at = figure.layout(&figure.drawn.labels, 0);
            assert!(at.width < 1400 && at.height < 1400, "{n}: {} x {}", at.width, at.height);
            assert!(figure.png().unwrap().len() > 500);
            assert!(figure.svg().unwrap().contains("</svg>"));
        }
        // Indices out of range are left out, not followed.
        assert_eq!(heatmap(&similarity(&["a"]), &[0, 5], &[], "t").side, 1);
    }
}
