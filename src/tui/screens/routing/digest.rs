//! A trace summed up for drawing: modules grouped into columns, the top expert of every cell, totals.

use crate::module_path::{ModulePath, short_kinds};
use crate::routing::{Part, Trace};

/// One column of the map: a layer, or one module when zoomed in.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What stands on the axis: the layer's number, or the module's kind where there is none.
    pub label: String,
    /// Whether the column begins a layer (always, unless zoomed).
    pub starts_layer: bool,
    /// Indices of the trace's modules in it.
    pub modules: Vec<usize>,
}

/// The expert that leads a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// Heaviest expert by mean weight over the column's modules; `None` when nothing was routed.
    pub expert: Option<u32>,
    /// Its mean weight.
    pub weight: f32,
    /// All experts that have weight have the same (as the uniform router gives).
    pub tie: bool,
}

/// What the views need of a trace under a module filter.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    pub columns: Vec<Column>,
    /// `[token][column]`.
    cells: Vec<Cell>,
    /// Share of every expert over counted tokens and filtered modules; sums to 1 or is all zero.
    pub totals: Vec<f64>,
    /// Mean entropy of the weights in nats over the same tokens and modules.
    pub entropy: f64,
    /// How many tokens the totals count.
    pub counted: usize,
    /// How many tokens are of an answer.
    pub generated: usize,
    /// Whether there are cells where all experts that have weight have the same.
    pub ties: bool,
}

/// The kinds of modules of a trace in the order of the network, each once.
pub fn kinds(modules: &[String]) -> Vec<String> {
    short_kinds(modules.iter().map(String::as_str)).into_iter().map(String::from).collect()
}

/// Groups the modules of `kind` (all of them for `None`) into columns: one a layer, or one a module.
fn columns(modules: &[String], kind: Option<&str>, by_module: bool) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let mut last_layer = None;
    for (index, module) in modules.iter().enumerate() {
        let path = ModulePath::new(module);
        if kind.is_some_and(|kind| path.short_kind() != kind) {
            continue;
        }
        let layer = path.layer();
        let same_layer = layer.is_some() && layer == last_layer;
        last_layer = layer;
        match columns.last_mut() {
            Some(column) if same_layer && !by_module => column.modules.push(index),
            _ => columns.push(Column {
                label: layer.map_or_else(|| path.short_kind().to_string(), |layer| layer.to_string()),
                starts_layer: !same_layer,
                modules: vec![index],
            }),
        }
    }
    columns
}

/// Mean weight per expert of one token over some modules; modules without candidates count as zeros.
pub fn mean_weights(trace: &Trace, token: usize, modules: &[usize]) -> Vec<f32> {
    let mut sums = vec![0.0; trace.experts.len()];
    add_weights(trace, token, modules, &mut sums);
    sums
}

fn add_weights(trace: &Trace, token: usize, modules: &[usize], sums: &mut [f32]) {
    let share = 1.0 / modules.len().max(1) as f32;
    for &module in modules {
        for &(expert, weight) in trace.weights(token, module) {
            if let Some(sum) = sums.get_mut(expert as usize) {
                *sum += weight * share;
            }
        }
    }
}

/// The leader among mean weights; the lower index wins ties.
fn leader(weights: &[f32]) -> Cell {
    let mut cell = Cell::default();
    let (mut least, mut candidates) = (f32::INFINITY, 0);
    for (expert, &weight) in weights.iter().enumerate().filter(|&(_, &w)| w > 0.0) {
        candidates += 1;
        least = least.min(weight);
        if weight > cell.weight {
            cell = Cell { expert: Some(expert as u32), weight, tie: false };
        }
    }
    cell.tie = candidates > 1 && cell.weight - least <= cell.weight * 1e-4;
    cell
}

impl Digest {
    /// Sums up `trace` over the modules of `kind` (all for `None`).
    pub fn new(trace: &Trace, kind: Option<&str>, by_module: bool) -> Self {
        let columns = columns(&trace.modules, kind, by_module);
        let mut cells = Vec::with_capacity(trace.tokens.len() * columns.len());
        let mut weights = vec![0.0; trace.experts.len()];
        let (mut entropy, mut counted, mut pairs) = (0.0, 0, 0usize);
        for token in 0..trace.tokens.len() {
            for column in &columns {
                weights.fill(0.0);
                add_weights(trace, token, &column.modules, &mut weights);
                cells.push(leader(&weights));
            }
            if trace.counts(token) {
                counted += 1;
                for &module in columns.iter().flat_map(|c| &c.modules) {
                    entropy += trace.entropy(token, module);
                    pairs += 1;
                }
            }
        }
        let totals = trace.totals(|module| {
            kind.is_none_or(|kind| ModulePath::new(&trace.modules[module]).short_kind() == kind)
        });
        let ties = cells.iter().any(|cell| cell.tie);
        let generated = trace.tokens.iter().filter(|token| token.part == Part::Generated).count();
        Self { columns, cells, totals, entropy: entropy / pairs.max(1) as f64, counted, generated, ties }
    }

    /// The leader of a cell; nobody out of range.
    pub fn cell(&self, token: usize, column: usize) -> Cell {
        if column >= self.columns.len() {
            return Cell::default();
        }
        self.cells.get(token * self.columns.len() + column).copied().unwrap_or_default()
    }
}

/// How strongly to colour a weight: 0 at chance among `experts`, 1 where one has everything. The root
/// spreads the low end, because Arrow's weights are soft.
pub fn strength(weight: f32, experts: usize) -> f32 {
    let chance = if experts > 1 { 1.0 / experts as f32 } else { 0.0 };
    ((weight - chance) / (1.0 - chance)).clamp(0.0, 1.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, Synthetic};
    use super::*;

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn modules_of_a_layer_are_one_column_unless_zoomed() {
        let modules = paths(&[
            "model.layers.0.self_attn.q_proj",
            "model.layers.0.self_attn.v_proj",
            "model.layers.1.self_attn.q_proj",
            "model.layers.1.self_attn.v_proj",
            "lm_head",
        ]);
        let by_layer = columns(&modules, None, false);
        assert_eq!(by_layer.iter().map(|c| c.label.as_str()).collect::<Vec<_>>(), ["0", "1", "lm_head"]);
        assert_eq!(by_layer[1].modules, [2, 3]);
        let by_module = columns(&modules, None, true);
        assert_eq!(
            by_module.iter().map(|c| c.starts_layer).collect::<Vec<_>>(),
            [true, false, true, false, true]
        );
        let only_v = columns(&modules, Some("v"), false);
        assert_eq!(only_v.iter().map(|c| c.modules.clone()).collect::<Vec<_>>(), [[1], [3]]);
        assert_eq!(kinds(&modules), ["q", "v", "lm_head"]);
    }

    #[test]
    fn a_cell_is_led_by_the_greatest_mean_weight_and_ties_are_said() {
        assert_eq!(leader(&[0.0, 0.4, 0.6]), Cell { expert: Some(2), weight: 0.6, tie: false });
        assert!(leader(&[0.25; 4]).tie);
        assert_eq!(leader(&[0.0; 3]), Cell::default());
        assert!(!leader(&[0.0, 1.0]).tie, "a single expert is no tie");
    }

    #[test]
    fn digest_agrees_with_the_trace() {
        let trace = Synthetic { experts: 5, layers: 3, ..Synthetic::default() }.trace(&testing::PROMPT);
        let digest = Digest::new(&trace, Some("q"), false);
        assert_eq!(digest.columns.len(), 3);
        let top = trace.top(7, digest.columns[2].modules[0]).unwrap();
        assert_eq!(digest.cell(7, 2).expert, Some(top.0));
        assert!((digest.cell(7, 2).weight - top.1).abs() < 1e-6);
        assert!((digest.totals.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(digest.counted, (0..trace.tokens.len()).filter(|&t| trace.counts(t)).count());
        assert!(digest.entropy > 0.0 && digest.entropy <= 3f64.ln() + 1e-6);
        assert_eq!(digest.cell(usize::MAX / 8, 0), Cell::default());
        assert_eq!(digest.cell(0, 99), Cell::default());
    }

    #[test]
    fn strength_runs_from_chance_to_all() {
        assert_eq!(strength(1.0 / 12.0, 12), 0.0);
        assert_eq!(strength(1.0, 12), 1.0);
        assert_eq!(strength(0.01, 12), 0.0);
        assert!(strength(0.4, 12) > 0.5);
        assert_eq!(strength(1.0, 1), 1.0);
    }
}
