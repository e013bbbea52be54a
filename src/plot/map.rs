//! A map of the experts: points in the colours of their clusters.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Drawn, FAINT, INK, Label, Pen, document, encode, pixels, text_width};
use super::drawing::Drawing;
use super::labels::Labels;
use crate::Result;
use crate::analysis::{Clustering, Similarity, cluster_name};
use crate::text::counted;

/// Colours of clusters that any eyes can distinguish (Okabe and Ito, 2008); further ones differ in shape.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];
/// Side of the map.
const SIDE: i32 = 640;
const LEFT: i32 = 24;
const TOP: i32 = 74;
/// Lines of the legend of clusters.
const MOST_CLUSTERS: usize = 40;
/// Names are tried for so many points at most: a crowd has no room for them.
const NAMED: usize = 150;
/// Half the size of a point.
const POINT: i32 = 4;

/// A figure of the map.
#[derive(Clone, Debug)]
pub struct MapFigure {
    subtitle: String,
    /// Names as the built-in font can show them, and as whoever shows an SVG can.
    drawn: Labels,
    written: Labels,
    /// Place and cluster of each expert.
    points: Vec<((f32, f32), usize)>,
    /// Number of members of each cluster.
    sizes: Vec<usize>,
}

/// The experts of a similarity at their `points`, −1 to 1, in the colours of their clusters.
pub fn map(
    similarity: &Similarity,
    clustering: &Clustering,
    points: &[(f32, f32)],
    title: &str,
) -> MapFigure {
    let names: Vec<&str> = similarity.experts.iter().map(String::as_str).collect();
    let mut sizes = vec![0; clustering.k];
    for &label in &clustering.labels {
        sizes.get_mut(label).into_iter().for_each(|size: &mut usize| *size += 1);
    }
    let (experts, clusters) = (counted(names.len(), "expert"), counted(clustering.k, "cluster"));
    MapFigure {
        subtitle: format!("{} · {experts} · {clusters} · near is similar", similarity.settings()),
        drawn: Labels::drawn(&names, title),
        written: Labels::written(&names, title),
        points: points.iter().copied().zip(clustering.labels.iter().copied()).collect(),
        sizes,
    }
}

impl Drawing for MapFigure {
    fn png(&self) -> Result<Vec<u8>> {
        let (pixels, width, height) =
            pixels(self.size(&self.drawn), None, |pen| self.draw(pen, &self.drawn))?;
        encode(&pixels, width, height)
    }

    fn svg(&self) -> Result<String> {
        document(self.size(&self.written), |pen| self.draw(pen, &self.written))
    }

    fn numbered(&self) -> &[(String, String)] {
        &self.drawn.numbered
    }
}

impl MapFigure {
    fn size(&self, names: &Labels) -> (u32, u32) {
        let heading = text_width(&names.title, 20).max(text_width(&self.subtitle, 13)) + 2 * LEFT;
        let width = (LEFT + SIDE + 170).max(heading);
        let height = TOP + SIDE + 24 + 16 * names.legend.len() as i32;
        (width as u32, height as u32)
    }

    fn draw<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>, names: &Labels) -> Drawn<DB> {
        pen.text(&names.title, &Label::new((LEFT, 32), 20, INK))?;
        pen.text(&self.subtitle, &Label::new((LEFT, 54), 13, FAINT))?;
        let corners = [(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE), (0, 0)];
        for edge in corners.windows(2) {
            let at = |(x, y): (i32, i32)| (LEFT + x, TOP + y);
            pen.line(at(edge[0]), at(edge[1]), RGBColor(220, 220, 220), 1)?;
        }
        // Names stay inside the frame at its right end.
        let inside = SIDE - 60;
        let place = |(x, y): (f32, f32)| {
            let along = |v: f32| ((v.clamp(-1.0, 1.0) + 1.0) / 2.0 * inside as f32).round() as i32 + 30;
            (LEFT + along(x), TOP + along(-y))
        };
        for &(at, cluster) in &self.points {
            mark(pen, place(at), cluster)?;
        }
        let mut taken: Vec<(i32, i32, i32)> = Vec::new();
        for ((at, _), name) in self.points.iter().zip(&names.labels).take(NAMED) {
            let ((x, y), width) = (place(*at), text_width(name, 11));
            let left = x + width + 8 > LEFT + SIDE;
            let start = if left { x - 7 - width } else { x + 7 };
            // A name that would lie on another is left out.
            if taken.iter().all(|&(from, to, row)| (row - y).abs() > 11 || to < start || from > start + width)
            {
                taken.push((start, start + width, y));
                let side = if left { HPos::Right } else { HPos::Left };
                pen.text(
                    name,
                    &Label { side, ..Label::new((if left { x - 7 } else { x + 7 }, y), 11, INK) },
                )?;
            }
        }
        let legend = LEFT + SIDE + 20;
        for (cluster, size) in self.sizes.iter().enumerate().take(MOST_CLUSTERS) {
            let y = TOP + 8 + 16 * cluster as i32;
            mark(pen, (legend, y), cluster)?;
            let text = format!("{}: {}", cluster_name(cluster), counted(*size, "expert"));
            pen.text(&text, &Label::new((legend + 12, y), 12, INK))?;
        }
        for (line, text) in names.legend.iter().enumerate() {
            pen.text(text, &Label::new((LEFT, TOP + SIDE + 18 + 16 * line as i32), 12, FAINT))?;
        }
        Ok(())
    }
}

/// The mark of a cluster: a colour, and a shape for every seven.
fn mark<DB: DrawingBackend>(pen: &Pen<'_, DB>, (x, y): (i32, i32), cluster: usize) -> Drawn<DB> {
    let color = COLORS[cluster % COLORS.len()];
    match cluster / COLORS.len() % 3 {
        0 => pen.rectangle((x - POINT, y - POINT), (x + POINT, y + POINT), color),
        1 => {
            pen.line((x - POINT, y - POINT), (x + POINT, y + POINT), color, 2)?;
            pen.line((x - POINT, y + POINT), (x + POINT, y - POINT), color, 2)
        }
        _ => {
            pen.line((x - POINT, y), (x + POINT, y), color, 2)?;
            pen.line((x, y - POINT), (x, y + POINT), color, 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cancel;
    use crate::analysis::{Metric, cluster};

    fn figure(names: &[&str], k: usize) -> MapFigure {
        let n = names.len();
        let similarity = Similarity {
            metric: Metric::MBC,
            sparsity: 0.5,
            experts: names.iter().map(|name| (*name).to_string()).collect(),
            matrix: (0..n * n).map(|at| 1.0 / (1.0 + (at / n).abs_diff(at % n) as f32)).collect(),
            warnings: vec![],
            skipped: vec![],
            strength: Vec::new(),
            known_spread: Default::default(),
            origin: Default::default(),
        };
        let clustering = cluster(&similarity, k, 1, &Cancel::new()).unwrap();
        let points: Vec<(f32, f32)> = (0..n).map(|i| ((i as f32).sin(), (i as f32).cos())).collect();
        map(&similarity, &clustering, &points, "map <1>")
    }

    #[test]
    fn a_map_has_its_names_and_clusters() {
        let svg = figure(&["plain", "cafe\u{301}", "日本語", "x"], 2).svg().unwrap();
        for part in ["map &lt;1&gt;", "plain", "café", "日本語", "cluster 1: ", "cluster 2: ", "2 clusters"]
        {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }

    #[test]
    fn any_number_of_experts_and_clusters_can_be_drawn() {
        for (n, k) in [(1, 1), (2, 2), (60, 45), (700, 3)] {
            let names: Vec<String> = (0..n).map(|i| format!("日本{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let figure = figure(&names, k);
            assert!(figure.png().unwrap().len() > 500 && figure.svg().unwrap().contains("</svg>"));
        }
    }
}
