//! The selected expert: facts, warnings, norms by layer and module, spectrum, neighbours, provenance.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::rows::Row;
use super::table::status_glyph;
use crate::analysis::{ExpertProfile, Similarity, cluster_name};
use crate::library::{Expert, Format, MergedExpert, Provenance, kind_order};
use crate::module_path::ModulePath;
use crate::text::{brief, counted, exact, loss_text, printable};
use crate::tui::Theme;
use crate::tui::format::{self, spinner};
use crate::tui::text_width::{self, width};

/// How much is known of norms and spectra.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// Being computed.
    Waiting,
    Failed(&'a str),
    Profile(&'a ExpertProfile),
}

/// Everything the details are made of.
pub struct Details<'a> {
    pub row: &'a Row,
    pub expert: &'a Expert,
    pub cluster: Option<usize>,
    pub profile: Known<'a>,
    pub similarity: Option<&'a Similarity>,
    /// Whether there will be one.
    pub comparing: bool,
    pub tick: u64,
    pub theme: &'a Theme,
}

/// Neighbours listed.
const NEIGHBOURS: usize = 5;

impl Details<'_> {
    /// The details as lines of at most `cells` cells; side by side where that reads well.
    pub fn lines(&self, cells: usize) -> Vec<Line<'static>> {
        let good = self.expert.is_usable();
        if good && cells >= 76 {
            return self.two_columns(cells);
        }
        let mut lines = Vec::new();
        self.head(&mut lines, cells);
        if good {
            lines.push(Line::default());
            self.norms(&mut lines, cells);
            self.neighbours(&mut lines, cells);
        }
        if let Some(provenance) = &self.expert.provenance {
            self.provenance(&mut lines, provenance, cells);
        }
        lines
    }

    /// Facts, neighbours and provenance at the left, norms and spectrum at the right.
    fn two_columns(&self, cells: usize) -> Vec<Line<'static>> {
        const GAP: usize = 2;
        let left = (cells - GAP) / 2;
        let (mut lines, mut right) = (Vec::new(), Vec::new());
        self.head(&mut lines, left);
        self.neighbours(&mut lines, left);
        if let Some(provenance) = &self.expert.provenance {
            self.provenance(&mut lines, provenance, left);
        }
        self.norms(&mut right, cells - GAP - left);
        if lines.len() < right.len() {
            lines.resize(right.len(), Line::default());
        }
        for (line, right) in lines.iter_mut().zip(right) {
            let style = std::mem::take(&mut line.style);
            line.spans.iter_mut().for_each(|span| span.style = style.patch(span.style));
            line.spans.push(Span::raw(" ".repeat((left + GAP).saturating_sub(line.width()))));
            line.spans.extend(right.spans.into_iter().map(|span| span.patch_style(right.style)));
        }
        lines
    }

    fn head(&self, lines: &mut Vec<Line<'static>>, cells: usize) {
        let theme = self.theme;
        let (glyph, style) = status_glyph(self.row.status, theme);
        lines.push(Line::from(vec![
            Span::styled(format!("{glyph} "), style),
            Span::styled(text_width::truncate(&self.row.shown, cells.saturating_sub(2)), theme.accent()),
        ]));
        if !self.row.reason.is_empty() {
            self.wrapped(lines, &self.row.reason, cells, style);
        }
        if !self.expert.is_usable() {
            let place = format!("in {}", self.expert.path.display());
            self.wrapped(lines, &place, cells, theme.dim());
            return;
        }
        let mut facts = Vec::new();
        if !self.row.task.is_empty() && self.row.task != self.row.shown {
            facts.push(format!("task {}", self.row.task));
        }
        if !self.row.family.is_empty() {
            facts.push(format!("family {}", self.row.family));
        }
        if let Some(cluster) = self.cluster {
            facts.push(cluster_name(cluster));
        }
        self.joined(lines, &facts, cells, theme.text());
        let config = &self.expert.config;
        let mut facts = Vec::new();
        if let Some((low, high)) = self.row.rank {
            facts.push(if low == high { format!("rank {low}") } else { format!("rank {low}–{high}") });
        }
        facts.push(format!("α {}{}", exact(config.alpha), if config.use_rslora { " (rsLoRA)" } else { "" }));
        facts.push(self.row.dtype.clone());
        facts.push(format!("{} parameters", format::count(self.expert.parameters)));
        facts.push(format!("{}B", format::count(self.expert.bytes)));
        if self.expert.format != Format::default() {
            facts.push(format!("stored as {}", self.expert.format.name()));
        }
        self.joined(lines, &facts, cells, theme.text());
        let layers = self
            .expert
            .modules
            .iter()
            .filter_map(|m| ModulePath::new(&m.module).layer())
            .max()
            .map_or(0, |l| l + 1);
        let mut facts = vec![self.row.targets.clone()];
        if layers > 0 {
            facts.push(counted(layers, "layer"));
        }
        facts.push(counted(self.expert.modules.len(), "module"));
        self.joined(lines, &facts, cells, theme.dim());
        let measured = match self.profile {
            Known::Profile(profile) => profile.warnings.as_slice(),
            Known::Waiting | Known::Failed(_) => &[],
        };
        for warning in self.expert.warnings.iter().chain(measured) {
            self.wrapped(lines, &format!("! {warning}"), cells, theme.warning());
        }
    }

    /// ‖ΔW‖ of each module: a row a kind of module, a column a layer; then the mean spectrum.
    fn norms(&self, lines: &mut Vec<Line<'static>>, cells: usize) {
        let theme = self.theme;
        let profile = match self.profile {
            Known::Waiting => {
                lines.push(Line::styled(
                    text_width::truncate(&format!("{} reading the weights", spinner(self.tick)), cells),
                    theme.dim(),
                ));
                return;
            }
            Known::Failed(error) => {
                self.wrapped(lines, &format!("✗ {error}"), cells, theme.error());
                return;
            }
            Known::Profile(profile) => profile,
        };
        let grid = Grid::new(profile);
        let title = format!("‖ΔW‖ by layer  {} – {}", brief(grid.least), brief(grid.most));
        lines.push(Line::styled(text_width::truncate(&title, cells), theme.header()));
        let label = grid.kinds.iter().map(|kind| width(kind)).max().unwrap_or(0).min(cells / 3);
        let columns = grid.columns(cells.saturating_sub(label + 1));
        for (kind, values) in grid.kinds.iter().zip(&grid.values) {
            let mut spans = vec![Span::styled(format!("{} ", text_width::left(kind, label)), theme.dim())];
            spans.extend(columns.iter().map(|(range, wide)| {
                let norm = values[range.clone()].iter().flatten().copied().reduce(f64::max);
                let (glyph, style) = bar(norm, grid.most, theme);
                Span::styled(glyph.repeat(*wide), style)
            }));
            lines.push(Line::from(spans));
        }
        lines.push(Line::styled(
            format!("{} {}", " ".repeat(label), axis(&columns, cells.saturating_sub(label + 1))),
            theme.dim(),
        ));
        self.spectrum(lines, profile, cells);
    }

    fn spectrum(&self, lines: &mut Vec<Line<'static>>, profile: &ExpertProfile, cells: usize) {
        let theme = self.theme;
        let modules = &profile.modules;
        let rank = modules.iter().map(|m| m.sigma.len()).max().unwrap_or(0);
        if rank == 0 {
            return;
        }
        let mean = |values: &mut dyn Iterator<Item = f64>| {
            let (mut sum, mut n) = (0.0, 0usize);
            values.filter(|v| v.is_finite()).for_each(|v| (sum, n) = (sum + v, n + 1));
            if n == 0 { f64::NAN } else { sum / n as f64 }
        };
        let sigma: Vec<f64> =
            (0..rank).map(|i| mean(&mut modules.iter().filter_map(|m| m.sigma.get(i).copied()))).collect();
        let effective = mean(&mut modules.iter().map(|m| m.effective_rank));
        let gap = mean(&mut modules.iter().map(|m| m.gap));
        lines.push(Line::default());
        let title = format!("Effective rank {effective:.1} of {rank} · σ₂/σ₁ {gap:.2}");
        lines.push(Line::styled(text_width::truncate(&title, cells), theme.header()));
        let most = sigma.first().copied().unwrap_or(0.0);
        if rank > 8 {
            let spans: Vec<Span> = sigma
                .iter()
                .take(cells)
                .map(|&s| {
                    let (glyph, style) = bar(Some(s), most, theme);
                    Span::styled(glyph, style)
                })
                .collect();
            lines.push(Line::from(spans));
            return;
        }
        let room = cells.saturating_sub(12).min(40);
        for (i, &value) in sigma.iter().enumerate() {
            let part = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
            let full = (part * room as f64).round() as usize;
            lines.push(Line::from(vec![
                Span::styled(format!("σ{} ", subscript(i + 1)), theme.dim()),
                Span::styled("▆".repeat(full), theme.border_focused()),
                Span::styled(format!(" {}", brief(value)), theme.text()),
            ]));
        }
    }

    fn neighbours(&self, lines: &mut Vec<Line<'static>>, cells: usize) {
        let theme = self.theme;
        let Some(similarity) = self.similarity else {
            if self.comparing {
                lines.push(Line::default());
                lines.push(Line::styled(text_width::truncate("Nearest experts", cells), theme.header()));
                lines.push(Line::styled("…", theme.dim()));
            }
            return;
        };
        let Some(own) = similarity.experts.iter().position(|name| *name == self.expert.name) else { return };
        let mut others: Vec<(f32, &str)> = (0..similarity.len())
            .filter(|&i| i != own)
            .map(|i| (similarity.get(own, i), similarity.experts[i].as_str()))
            .collect();
        if others.is_empty() {
            return;
        }
        others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        lines.push(Line::default());
        lines.push(Line::styled(text_width::truncate("Nearest experts", cells), theme.header()));
        for (value, name) in others.into_iter().take(NEIGHBOURS) {
            lines.push(Line::from(vec![
                Span::styled(format!("{value:>6.3} "), theme.text()),
                Span::styled(
                    bar(Some(f64::from(value.max(0.0))), 1.0, theme).0.to_string(),
                    Style::new().fg(theme.sequential(0.3 + 0.7 * value.max(0.0))),
                ),
                Span::raw(" "),
                Span::styled(text_width::truncate(name, cells.saturating_sub(9)), theme.text()),
            ]));
        }
    }

    fn provenance(&self, lines: &mut Vec<Line<'static>>, p: &Provenance, cells: usize) {
        let theme = self.theme;
        let loss = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {}", loss_text(value)));
        let speed = p.tokens_per_second.map(|speed| format!("{speed:.0} tokens/s"));
        let facts: [(&str, Vec<Option<String>>); 10] = [
            (
                "loss",
                vec![
                    loss("train", p.train_loss),
                    loss("validation", p.validation_loss),
                    loss("base", p.base_validation_loss),
                ],
            ),
            ("data", vec![p.dataset.clone()]),
            ("examples", vec![p.examples.map(|n| n.to_string())]),
            (
                "training",
                vec![
                    p.steps.map(|n| counted(n, "step")),
                    p.epochs.map(|n| if n == 1.0 { "1 epoch".into() } else { format!("{n} epochs") }),
                    p.setting("batch").map(|n| format!("batch {n}")),
                    p.setting("learning_rate").map(|rate| format!("lr {rate}")),
                    p.seed.map(|seed| format!("seed {seed}")),
                ],
            ),
            ("init", vec![p.setting("init")]),
            ("adapted", adapted(p).into_iter().map(Some).collect()),
            ("time", vec![p.seconds.map(format::duration), speed]),
            ("base", vec![p.base.clone()]),
            ("created", vec![p.created.clone()]),
            ("by", vec![p.tool_version.as_ref().map(|version| format!("lora-tui {version}"))]),
        ];
        let pairs: Vec<(&str, Vec<String>)> = facts
            .into_iter()
            .map(|(name, facts)| (name, facts.into_iter().flatten().collect::<Vec<_>>()))
            .filter(|(_, facts)| !facts.is_empty())
            .collect();
        if pairs.is_empty() {
            return;
        }
        lines.push(Line::default());
        lines.push(Line::styled(text_width::truncate("Provenance", cells), theme.header()));
        for (name, value) in pairs {
            let parts = text_width::flow(&value, cells.saturating_sub(10));
            for (i, part) in parts.into_iter().enumerate() {
                lines.push(Line::from(vec![
                    Span::styled(text_width::left(if i == 0 { name } else { "" }, 10), theme.dim()),
                    Span::styled(part, theme.text()),
                ]));
            }
        }
    }

    fn joined(&self, lines: &mut Vec<Line<'static>>, facts: &[String], cells: usize, style: Style) {
        lines.extend(text_width::flow(facts, cells).into_iter().map(|line| Line::styled(line, style)));
    }

    fn wrapped(&self, lines: &mut Vec<Line<'static>>, text: &str, cells: usize, style: Style) {
        lines.extend(text_width::wrap(text, cells).into_iter().map(|line| Line::styled(line, style)));
    }
}

/// Norms by kind of module and layer.
struct Grid {
    kinds: Vec<String>,
    /// `[kind][layer]`; `None` where a layer has no such module.
    values: Vec<Vec<Option<f64>>>,
    layers: usize,
    least: f64,
    most: f64,
}

impl Grid {
    fn new(profile: &ExpertProfile) -> Self {
        let places: Vec<(usize, &str, f64)> = profile
            .modules
            .iter()
            .map(|m| {
                let module = ModulePath::new(&m.module);
                (module.layer().unwrap_or(0), module.kind(), m.norm)
            })
            // A module path is untrusted: no layer number makes a grid of a million columns.
            .filter(|(layer, ..)| *layer < 4096)
            .collect();
        let layers = places.iter().map(|(layer, ..)| layer + 1).max().unwrap_or(0);
        let mut kinds: Vec<&str> = places.iter().map(|(_, kind, _)| *kind).collect();
        kinds.sort_by_key(|kind| kind_order(kind));
        kinds.dedup();
        let mut values = vec![vec![None; layers]; kinds.len()];
        for (layer, kind, norm) in &places {
            if let Some(row) = kinds.iter().position(|k| k == kind) {
                values[row][*layer] = Some(*norm);
            }
        }
        let kinds = kinds.into_iter().map(String::from).collect();
        let finite = || values.iter().flatten().flatten().copied().filter(|n| n.is_finite());
        let (least, most) =
            (finite().reduce(f64::min).unwrap_or(0.0), finite().reduce(f64::max).unwrap_or(0.0));
        Self { kinds, values, layers, least, most }
    }

    /// Layers of each column of screen with its width: several cells per layer when there is room, several
    /// layers per cell (their largest norm shows) when there is not.
    fn columns(&self, room: usize) -> Vec<(std::ops::Range<usize>, usize)> {
        let layers = self.layers;
        if room == 0 || layers == 0 {
            return Vec::new();
        }
        if layers > room {
            return (0..room).map(|i| (i * layers / room..(i + 1) * layers / room, 1)).collect();
        }
        let wide = (room / layers).min(2);
        (0..layers).map(|layer| (layer..layer + 1, wide)).collect()
    }
}

/// Layer numbers under the columns, every tenth or so.
fn axis(columns: &[(std::ops::Range<usize>, usize)], room: usize) -> String {
    let mut out = String::new();
    let mut at = 0;
    for (range, wide) in columns {
        if out.len() <= at {
            let label = range.start.to_string();
            let due = range.start % 10 == 0 || (columns.len() < 10 && range.start % 2 == 0);
            if due && at + label.len() <= room {
                out.push_str(&" ".repeat(at - out.len()));
                out.push_str(&label);
            }
        }
        at += wide;
    }
    out
}

/// A bar of one cell for `value` of `most`; colour says the same again.
fn bar(value: Option<f64>, most: f64, theme: &Theme) -> (&'static str, Style) {
    const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    match value {
        None => (" ", Style::new()),
        Some(value) if !value.is_finite() => ("?", theme.error()),
        Some(value) if value <= 0.0 || most <= 0.0 => ("·", theme.dim()),
        Some(value) => {
            let part = (value / most).clamp(0.0, 1.0);
            let glyph = BARS[((part * 8.0).ceil() as usize).clamp(1, 8) - 1];
            // The dark end of the scale would drown in a dark background.
            (glyph, Style::new().fg(theme.sequential(0.3 + 0.7 * part as f32)))
        }
    }
}

fn subscript(n: usize) -> String {
    n.to_string().chars().filter_map(|c| c.to_digit(10)).filter_map(|d| char::from_u32(0x2080 + d)).collect()
}

/// What an expert was adapted from: the start, and the experts with the largest weights.
fn adapted(p: &Provenance) -> Vec<String> {
    const NAMED: usize = 3;
    let Some(from) = &p.adapted else { return Vec::new() };
    let mut experts: Vec<&MergedExpert> = from.experts.iter().collect();
    experts.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let more = experts.len().saturating_sub(NAMED);
    let named = experts.into_iter().take(NAMED);
    let parts = named.map(|expert| format!("{:.2} × {}", expert.weight, printable(&expert.name)));
    let more = (more > 0).then(|| format!("{more} more"));
    std::iter::once(format!("from {}", printable(&from.start))).chain(parts).chain(more).collect()
}
