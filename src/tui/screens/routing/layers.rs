//! Layers as bars: whose the weight is, from the first layer to the last.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::cursor::BarsBy;
use super::digest::Digest;
use super::experts::{Listed, more};
use super::marks::{ExpertMarks, OTHERS};
use super::paint::{heading, put};
use crate::routing::Trace;
use crate::text::percent;
use crate::tui::text_width::{truncate, width};
use crate::tui::{Theme, cluster_mark};

/// Parts of a bar that are distinguished; the rest is one.
const PARTS: usize = 12;

/// What a bar consists of: an expert or a group.
struct Part {
    glyph: char,
    hue: usize,
    name: String,
    /// Share of the prompt.
    share: f64,
    /// Experts that it sums up.
    experts: Vec<usize>,
}

/// The bars of all layers.
pub struct Layers<'a> {
    pub trace: &'a Trace,
    pub digest: &'a Digest,
    /// The layer under the cursor.
    pub layer: usize,
    pub by: BarsBy,
    pub faded: bool,
    pub marks: &'a ExpertMarks,
    pub listed: &'a Listed<'a>,
}

impl Layers<'_> {
    /// Whether the bars are made of groups.
    pub fn by_groups(&self) -> bool {
        by_groups(self.by, self.trace, self.marks)
    }

    fn parts(&self) -> Vec<Part> {
        let totals = &self.digest.totals;
        let mut parts: Vec<Part> = if self.by_groups() {
            let groups = &self.marks.groups;
            let sums = groups.sums(totals.iter().copied());
            let numbered = groups.what == "cluster";
            let glyph = |group: usize, name: &str| match numbered {
                true => cluster_mark::one_cell(group),
                false => name.chars().next().unwrap_or(OTHERS),
            };
            let members = |group: usize| -> Vec<usize> {
                (0..groups.of.len()).filter(|&expert| groups.of[expert] == Some(group)).collect()
            };
            let part = |(group, name): (usize, &String)| Part {
                glyph: glyph(group, name),
                hue: self.marks.hue_of_group(group),
                name: name.clone(),
                share: sums[group],
                experts: members(group),
            };
            groups.names.iter().enumerate().map(part).collect()
        } else {
            let part = |expert: usize| {
                let mark = self.listed.mark(self.trace, expert);
                let (name, share) = (self.trace.experts[expert].clone(), totals[expert]);
                Part { glyph: mark.letter, hue: mark.hue, name, share, experts: vec![expert] }
            };
            self.digest.order().into_iter().take(PARTS).map(part).collect()
        };
        parts.retain(|part| part.share > 0.0);
        parts.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.name.cmp(&b.name)));
        parts.truncate(PARTS);
        parts
    }

    /// Draws a heading, a row for each group of neighbouring layers, and the names of the groups of experts.
    pub fn draw(&self, buf: &mut Buffer, area: Rect, theme: &Theme) {
        let parts = self.parts();
        let groups = self.by_groups();
        let title = match (groups, self.marks.groups.what) {
            (true, "cluster") => "layers by cluster",
            (true, _) => "layers by family",
            (false, _) => "layers",
        };
        heading(buf, area, 0, title, "share of the weight", theme);
        let legend = u16::from(groups && area.height > 3);
        let rows = usize::from(area.height.saturating_sub(1 + legend));
        let layers = &self.digest.layers;
        if rows == 0 || layers.is_empty() {
            return;
        }
        // Neighbours share a row where there are more layers than rows.
        let rows = rows.min(layers.len());
        let from = |row: usize| row * layers.len() / rows;
        let last = width(&layers.last().map_or(String::new(), |l| l.label.clone())).min(8);
        let labels = if rows < layers.len() { 2 * last + 1 } else { last };
        let x = labels as u16 + 2;
        let cells = usize::from(area.width.saturating_sub(x));
        for row in 0..rows {
            let y = row as u16 + 1;
            let chunk = &layers[from(row)..from(row + 1)];
            let here = (from(row)..from(row + 1)).contains(&self.layer);
            let (first, last) = (&chunk[0].label, &chunk[chunk.len() - 1].label);
            let label = if first == last { first.clone() } else { format!("{first}–{last}") };
            let style = if here { theme.accent() } else { theme.dim() };
            put(buf, area, 0, y, if here { "›" } else { " " }, theme.accent());
            put(buf, area, 1, y, &truncate(&label, labels), style);
            let (mut sum, mut begin) = (0.0, 0);
            let whole: f64 =
                chunk.iter().flat_map(|layer| &layer.shares).map(|share| f64::from(*share)).sum();
            for part in &parts {
                let share = |expert: usize| chunk.iter().map(|l| f64::from(l.shares[expert])).sum::<f64>();
                sum += part.experts.iter().map(|&expert| share(expert)).sum::<f64>() / whole.max(1e-9);
                let to = ((sum * cells as f64).round() as usize).min(cells);
                self.segment(buf, area, (x + begin as u16, y), to.saturating_sub(begin), part, theme);
                begin = begin.max(to);
            }
            if whole > 0.0 {
                put(buf, area, x + begin as u16, y, &"·".repeat(cells - begin), theme.dim());
            }
        }
        if legend > 0 {
            self.legend(&parts).render_into(buf, area, theme, self.faded);
        }
    }

    fn segment(
        &self,
        buf: &mut Buffer,
        area: Rect,
        (x, y): (u16, u16),
        cells: usize,
        part: &Part,
        theme: &Theme,
    ) {
        if cells == 0 {
            return;
        }
        // Where fills have no colour of their own, the letters are the bar.
        let text = match theme.has_gradient() && !self.faded {
            true => format!("{}{}", part.glyph, " ".repeat(cells - 1)),
            false => part.glyph.to_string().repeat(cells),
        };
        let style =
            if self.faded { theme.category_faint(part.hue) } else { theme.category_cell(part.hue, 0.75) };
        put(buf, area, x, y, &text, style);
    }

    fn legend(&self, parts: &[Part]) -> Legend {
        let named = |part: &Part| (part.glyph, part.hue, format!("{} {}", part.name, percent(part.share)));
        Legend(parts.iter().map(named).collect())
    }
}

/// Whether bars are made of groups rather than of experts.
pub fn by_groups(by: BarsBy, trace: &Trace, marks: &ExpertMarks) -> bool {
    let fitting = trace.experts.len() > PARTS;
    marks.groups.divide() && (by == BarsBy::Groups || by == BarsBy::Fitting && fitting)
}

/// Glyph, hue and name of what bars consist of.
struct Legend(Vec<(char, usize, String)>);

impl Legend {
    fn render_into(&self, buf: &mut Buffer, area: Rect, theme: &Theme, faded: bool) {
        let mut spans = Vec::new();
        let cells = |(_, _, name): &(char, usize, String)| width(&truncate(name, 24)) + 4;
        let fits = |count: usize| {
            let rest = match self.0.len() - count {
                0 => 0,
                hidden => width(&more(hidden, true)) + 1,
            };
            self.0.iter().take(count).map(cells).sum::<usize>() + rest <= usize::from(area.width)
        };
        let count = (0..=self.0.len()).rev().find(|&count| fits(count)).unwrap_or(0);
        for (glyph, hue, name) in self.0.iter().take(count) {
            let name = truncate(name, 24);
            let style = if faded { theme.category_faint(*hue) } else { theme.category_cell(*hue, 0.75) };
            spans.extend([
                Span::raw(" "),
                Span::styled(glyph.to_string(), style),
                Span::raw(" "),
                Span::styled(name, if faded { theme.dim() } else { theme.text() }),
                Span::raw(" "),
            ]);
        }
        if count > 0 && count < self.0.len() {
            spans.push(Span::styled(format!(" {}", more(self.0.len() - count, true)), theme.dim()));
        }
        let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
        Line::from(spans).render(last.intersection(buf.area), buf);
    }
}
