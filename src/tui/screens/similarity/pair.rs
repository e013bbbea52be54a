//! Two experts, module by module: layers across, kinds of module down.

use std::sync::Arc;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use crate::analysis::{PAIR_MEASURES, PairMeasure, PairModule, value_range};
use crate::module_path::ModulePath;
use crate::text::printable;
use crate::tui::heatmap::{Heatmap, HeatmapState, MapMove};
use crate::tui::screens::comparable::{self, one_line};
use crate::tui::widgets::{below, message, progress, row};
use crate::tui::{Shared, Theme, text_width};

/// Two experts and how they compare.
#[derive(Debug)]
pub struct PairView {
    pub ticket: u64,
    a: String,
    b: String,
    measure: &'static PairMeasure,
    grid: Option<Grid>,
    error: Option<String>,
    map: HeatmapState,
}

impl PairView {
    /// Before the answer to `ticket`.
    pub fn new(ticket: u64, a: String, b: String) -> Self {
        let map = HeatmapState::default();
        Self { ticket, a, b, measure: &PAIR_MEASURES[0], grid: None, error: None, map }
    }

    /// Whether the answer is still to come.
    pub fn is_waiting(&self) -> bool {
        self.grid.is_none() && self.error.is_none()
    }

    /// Takes the answer in.
    pub fn take(&mut self, result: &Result<Arc<Vec<PairModule>>, String>) {
        match result {
            Ok(modules) => self.grid = Some(Grid::new(modules.clone(), self.measure)),
            Err(error) => self.error = Some(one_line(error)),
        }
    }

    /// Moves or zooms.
    pub fn go(&mut self, step: MapMove) {
        if let Some(grid) = &self.grid {
            self.map.go(step, grid.kinds.len(), grid.layers.len());
        }
    }

    /// Compares by the next measure.
    pub fn next_measure(&mut self) {
        let Some(grid) = &mut self.grid else { return };
        self.measure = self.measure.next();
        grid.fill(self.measure);
    }

    /// Draws it.
    pub fn view(&self, frame: &mut Frame, area: Rect, shared: &Shared, theme: &Theme) {
        if area.is_empty() {
            return;
        }
        let name = |name: &str, room: usize| text_width::truncate_middle(name, room);
        let half = (usize::from(area.width).saturating_sub(3) / 2).max(1);
        let first =
            name(&self.a, half.max(usize::from(area.width).saturating_sub(text_width::width(&self.b) + 3)));
        let title = Line::from(vec![
            Span::styled(first, theme.accent()),
            Span::styled(" × ", theme.dim()),
            Span::styled(name(&self.b, usize::from(area.width).saturating_sub(3)), theme.accent()),
        ]);
        frame.render_widget(title, row(area, 0));
        let seeds = seeds(&self.a, &self.b, shared);
        let Some(grid) = &self.grid else {
            match &self.error {
                Some(error) => message(frame, below(area, 1), &format!("✗ {error}"), theme.error()),
                None => progress(frame, row(area, 0), "comparing", "", shared.tick, theme),
            }
            return;
        };
        let mut spans = vec![Span::styled(self.measure.title, theme.header())];
        if let Some((mean, low, high)) = grid.summary() {
            spans.push(Span::styled(
                format!("  mean {mean:.3} · lowest {low:.3} · highest {high:.3}"),
                theme.dim(),
            ));
        }
        frame.render_widget(Line::from(spans), row(area, 1));
        let mut used = 2;
        if let Some(seeds) = seeds.filter(|_| area.height >= 8) {
            frame.render_widget(Line::styled(format!("! {seeds}"), theme.warning()), row(area, used));
            used += 1;
        }
        let body = below(area, used + u16::from(area.height >= 16));
        let wanted = (grid.kinds.len() as u16).saturating_mul(3).saturating_add(4);
        let (high, list) = if body.height > wanted + 4 { (wanted, true) } else { (body.height, false) };
        self.draw_grid(grid, frame, Rect { height: high, ..body }, theme);
        if list {
            self.draw_extremes(grid, frame, below(body, high + 1), theme);
        }
    }

    fn draw_grid(&self, grid: &Grid, frame: &mut Frame, area: Rect, theme: &Theme) {
        let label = |at: usize| grid.kinds.get(at).cloned().unwrap_or_default();
        let layer = |at: usize| grid.layers.get(at).map(|layer| layer_name(*layer)).unwrap_or_default();
        let range = grid.range.unwrap_or((0.0, 1.0));
        let map = Heatmap {
            values: &grid.values,
            stride: grid.layers.len(),
            row_order: &grid.row_order,
            column_order: &grid.column_order,
            version: grid.version,
            range,
            skip_diagonal: false,
            row_label: &label,
            label_width: grid.kinds.iter().map(|kind| text_width::width(kind)).max().unwrap_or(0),
            row_tick: &label,
            column_tick: &layer,
            first_tick: 0,
            groups: &[],
            note: "range of modules, layers across",
            readout: self.readout(grid, theme),
        };
        map.render(area, frame.buffer_mut(), &self.map, theme);
    }

    /// All three measures of the module under the cursor.
    fn readout(&self, grid: &Grid, theme: &Theme) -> Line<'static> {
        let (kind, layer) = self.map.cursor();
        let Some(module) = grid.module(kind, layer) else {
            return Line::styled("not both of them have this module", theme.dim());
        };
        Line::from(vec![
            Span::styled(format!("{:.4}  ", (self.measure.of)(module)), theme.accent()),
            Span::raw(grid.name(kind, layer)),
            Span::styled(
                format!(
                    "  cosine {:.3} · overlap {:.3} · prototypes {:.3}",
                    module.cosine, module.overlap, module.prototype
                ),
                theme.dim(),
            ),
        ])
    }

    /// The modules where the two are most and least alike.
    fn draw_extremes(&self, grid: &Grid, frame: &mut Frame, area: Rect, theme: &Theme) {
        let places = (0..grid.kinds.len()).flat_map(|kind| (0..grid.layers.len()).map(move |at| (kind, at)));
        let mut modules: Vec<(f64, String)> = places
            .filter_map(|(kind, layer)| {
                let value = (self.measure.of)(grid.module(kind, layer)?);
                Some((value, grid.name(kind, layer)))
            })
            .collect();
        modules.sort_by(|a, b| b.0.total_cmp(&a.0));
        let shown = usize::from(area.height.saturating_sub(1)).min(10).min(modules.len() / 2);
        let half = Rect { width: area.width / 2, ..area };
        let other = Rect { x: area.x + half.width, width: area.width - half.width, ..area };
        let entry = |(value, name): &(f64, String)| {
            let name = text_width::truncate_middle(name, usize::from(half.width).saturating_sub(9));
            Line::from(vec![Span::raw(format!("{value:>6.3} ")), Span::raw(name)])
        };
        let list = |title: &'static str, lines: Vec<Line<'static>>| {
            let mut all = vec![Line::styled(title, theme.header())];
            all.extend(lines);
            Paragraph::new(all)
        };
        if shown > 0 {
            frame.render_widget(list("Most alike", modules.iter().take(shown).map(entry).collect()), half);
            let least = modules.iter().rev().take(shown).map(entry).collect();
            frame.render_widget(list("Least alike", least), other);
        }
    }
}

/// Why the numbers may mean little: the two began training from different seeds.
fn seeds(a: &str, b: &str, shared: &Shared) -> Option<String> {
    let seed = |name: &str| comparable::find(shared.library.as_ref(), name)?.provenance.as_ref()?.seed;
    let (a, b) = (seed(a)?, seed(b)?);
    (a != b).then(|| format!("trained from different seeds ({a}, {b}): A started elsewhere"))
}

/// Layer number, or a dash for modules outside the layers.
fn layer_name(layer: Option<usize>) -> String {
    layer.map_or("–".into(), |layer| layer.to_string())
}

/// Modules laid out by layer and kind.
#[derive(Debug)]
struct Grid {
    modules: Arc<Vec<PairModule>>,
    /// Index of the module at each kind and layer, row by row.
    cells: Vec<Option<usize>>,
    values: Vec<f32>,
    kinds: Vec<String>,
    layers: Vec<Option<usize>>,
    row_order: Vec<usize>,
    column_order: Vec<usize>,
    range: Option<(f32, f32)>,
    version: u64,
}

impl Grid {
    fn new(modules: Arc<Vec<PairModule>>, measure: &PairMeasure) -> Self {
        let places: Vec<(Option<usize>, String)> = modules
            .iter()
            .map(|module| ModulePath::new(&module.module))
            .map(|module| (module.layer(), module.without_layer()))
            .collect();
        let mut layers: Vec<Option<usize>> = places.iter().map(|(layer, _)| *layer).collect();
        layers.sort_by_key(|layer| layer.unwrap_or(usize::MAX));
        layers.dedup();
        // Kinds in the order of the network, as the modules come.
        let mut kinds: Vec<String> = Vec::new();
        for (_, kind) in &places {
            if !kinds.contains(kind) {
                kinds.push(kind.clone());
            }
        }
        let mut cells = vec![None; kinds.len() * layers.len()];
        for (index, (layer, kind)) in places.iter().enumerate() {
            let column = layers.iter().position(|other| other == layer);
            let row = kinds.iter().position(|other| other == kind);
            if let (Some(row), Some(column)) = (row, column) {
                cells[row * layers.len() + column] = Some(index);
            }
        }
        let short = kinds.iter().map(|kind| shortest(kind, &kinds)).collect::<Vec<_>>();
        let mut grid = Self {
            row_order: (0..kinds.len()).collect(),
            column_order: (0..layers.len()).collect(),
            modules,
            cells,
            values: Vec::new(),
            kinds: short,
            layers,
            range: None,
            version: 0,
        };
        grid.fill(measure);
        grid
    }

    fn fill(&mut self, measure: &PairMeasure) {
        let value = |cell: &Option<usize>| {
            let module = cell.and_then(|index| self.modules.get(index));
            module.map_or(f32::NAN, |module| (measure.of)(module) as f32)
        };
        self.values = self.cells.iter().map(value).collect();
        self.range = value_range(&self.values, self.layers.len(), false);
        self.version += 1;
    }

    fn module(&self, kind: usize, layer: usize) -> Option<&PairModule> {
        let index = (*self.cells.get(kind * self.layers.len() + layer)?)?;
        self.modules.get(index)
    }

    /// `layer 3 q_proj`, printable.
    fn name(&self, kind: usize, layer: usize) -> String {
        let kind = self.kinds.get(kind).map(String::as_str).unwrap_or_default();
        match self.layers.get(layer).copied().flatten() {
            Some(layer) => format!("layer {layer} {kind}"),
            None => kind.to_string(),
        }
    }

    /// Mean, smallest and largest value.
    fn summary(&self) -> Option<(f32, f32, f32)> {
        let (low, high) = self.range?;
        let there: Vec<f32> = self.values.iter().copied().filter(|value| !value.is_nan()).collect();
        Some((there.iter().sum::<f32>() / there.len() as f32, low, high))
    }
}

/// The shortest end of a path that no other path shares, printable.
fn shortest(kind: &str, all: &[String]) -> String {
    let parts: Vec<&str> = kind.split('.').collect();
    for from in (0..parts.len()).rev() {
        let end = parts[from..].join(".");
        let dotted = format!(".{end}");
        if all.iter().filter(|other| **other == end || other.ends_with(&dotted)).count() <= 1 {
            return printable(&end).into_owned();
        }
    }
    printable(kind).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_as_short_as_they_can_be() {
        let all = ["a.self_attn.q".to_string(), "a.cross_attn.q".into(), "a.mlp.up".into()];
        let short: Vec<String> = all.iter().map(|kind| shortest(kind, &all)).collect();
        assert_eq!(short, ["self_attn.q", "cross_attn.q", "up"]);
    }
}
