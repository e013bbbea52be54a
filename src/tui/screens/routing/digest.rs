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

/// A layer of the filtered modules, all counted tokens together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    /// Its number, or the kind of a module that has none.
    pub label: String,
    /// Share of every expert; sums to 1 or is all zero.
    pub shares: Vec<f32>,
}

impl Layer {
    /// The expert with the greatest share; nobody without any weight.
    pub fn leader(&self) -> Option<usize> {
        let shares = self.shares.iter().enumerate().map(|(expert, share)| (expert as u32, *share));
        leader(shares).expert.map(|expert| expert as usize)
    }
}

/// What the views need of a trace under a module filter.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    pub columns: Vec<Column>,
    /// `[token][column]`.
    cells: Vec<Cell>,
    /// The leader of every token over all filtered modules.
    tokens: Vec<Cell>,
    /// In the order of the network.
    pub layers: Vec<Layer>,
    /// Share of every expert over counted tokens and filtered modules; sums to 1 or is all zero.
    pub totals: Vec<f64>,
    /// Of all counted tokens and filtered modules, how many every expert leads, as a share.
    pub wins: Vec<f64>,
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

/// Groups the modules of `kind` (all of them for `None`) into columns: one per layer, or one per module.
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

/// Weights of few out of many experts, so that nothing is looked at for those that have none.
struct Sums {
    weights: Vec<f32>,
    touched: Vec<u32>,
}

impl Sums {
    fn of(experts: usize) -> Self {
        Self { weights: vec![0.0; experts], touched: Vec::new() }
    }

    fn add(&mut self, expert: u32, weight: f32) {
        let Some(sum) = self.weights.get_mut(expert as usize).filter(|_| weight > 0.0) else { return };
        if *sum == 0.0 {
            self.touched.push(expert);
        }
        *sum += weight;
    }

    /// The leader; all sums are 0 afterwards.
    fn take_leader(&mut self) -> Cell {
        let cell = leader(self.touched.iter().map(|&e| (e, self.weights[e as usize])));
        self.touched.drain(..).for_each(|e| self.weights[e as usize] = 0.0);
        cell
    }
}

/// The leader among mean weights; the lower index wins ties.
fn leader(weights: impl Iterator<Item = (u32, f32)>) -> Cell {
    let mut cell = Cell::default();
    let (mut least, mut candidates) = (f32::INFINITY, 0);
    for (expert, weight) in weights.filter(|&(_, weight)| weight > 0.0) {
        candidates += 1;
        least = least.min(weight);
        if weight > cell.weight || weight == cell.weight && cell.expert.is_some_and(|other| expert < other) {
            cell = Cell { expert: Some(expert), weight, tie: false };
        }
    }
    cell.tie = candidates > 1 && cell.weight - least <= cell.weight * 1e-4;
    cell
}

impl Digest {
    /// Sums up `trace` over the modules of `kind` (all for `None`).
    pub fn new(trace: &Trace, kind: Option<&str>, by_module: bool) -> Self {
        let columns = columns(&trace.modules, kind, by_module);
        let experts = trace.experts.len();
        let mut layers: Vec<Layer> = Vec::new();
        for column in columns.iter().filter(|column| column.starts_layer) {
            layers.push(Layer { label: column.label.clone(), shares: vec![0.0; experts] });
        }
        let mut cells = Vec::with_capacity(trace.tokens.len() * columns.len());
        let mut tokens = Vec::with_capacity(trace.tokens.len());
        let (mut cell, mut whole) = (Sums::of(experts), Sums::of(experts));
        let all = columns.iter().map(|column| column.modules.len()).sum::<usize>().max(1) as f32;
        let mut wins = vec![0.0; experts];
        let (mut entropy, mut counted, mut pairs) = (0.0, 0, 0usize);
        for token in 0..trace.tokens.len() {
            let counts = trace.counts(token);
            counted += usize::from(counts);
            let mut layer = 0;
            for column in &columns {
                layer += usize::from(column.starts_layer);
                let part = 1.0 / column.modules.len().max(1) as f32;
                for &module in &column.modules {
                    let weights = trace.weights(token, module);
                    for &(expert, weight) in weights {
                        cell.add(expert, weight * part);
                        whole.add(expert, weight / all);
                        if counts
                            && let Some(share) =
                                layers.get_mut(layer - 1).and_then(|l| l.shares.get_mut(expert as usize))
                        {
                            *share += weight;
                        }
                    }
                    if counts {
                        entropy += trace.entropy(token, module);
                        pairs += 1;
                        let top = leader(weights.iter().copied());
                        if let Some(expert) = top.expert.filter(|_| !top.tie) {
                            wins[expert as usize] += 1.0;
                        }
                    }
                }
                cells.push(cell.take_leader());
            }
            tokens.push(whole.take_leader());
        }
        for layer in &mut layers {
            let sum: f32 = layer.shares.iter().sum();
            if sum > 0.0 {
                layer.shares.iter_mut().for_each(|share| *share /= sum);
            }
        }
        wins.iter_mut().for_each(|wins| *wins /= pairs.max(1) as f64);
        let totals = trace.totals(|module| {
            kind.is_none_or(|kind| ModulePath::new(&trace.modules[module]).short_kind() == kind)
        });
        let ties = cells.iter().any(|cell| cell.tie);
        let generated = trace.tokens.iter().filter(|token| token.part == Part::Generated).count();
        let entropy = entropy / pairs.max(1) as f64;
        Self { columns, cells, tokens, layers, totals, wins, entropy, counted, generated, ties }
    }

    /// The leader of a token over all filtered modules; nobody out of range.
    pub fn token(&self, token: usize) -> Cell {
        self.tokens.get(token).copied().unwrap_or_default()
    }

    /// All experts, those with the most weight first.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.totals.len()).collect();
        order.sort_by(|&a, &b| self.totals[b].total_cmp(&self.totals[a]).then(a.cmp(&b)));
        order
    }

    /// exp of the entropy of the shares: over as many experts of equal shares would the weight be spread.
    pub fn effective(&self) -> f64 {
        let entropy: f64 =
            self.totals.iter().filter(|share| **share > 0.0).map(|share| -share * share.ln()).sum();
        if self.totals.iter().any(|share| *share > 0.0) { entropy.exp() } else { 0.0 }
    }

    /// The layers in which an expert has the most weight, first and last, if it is no matter of all layers: the
    /// neighbours whose shares exceed its mean the most.
    pub fn home(&self, expert: usize) -> Option<(usize, usize)> {
        let share = |layer: &Layer| layer.shares.get(expert).copied().unwrap_or(0.0);
        stretch(&self.layers.iter().map(share).collect::<Vec<_>>())
    }

    /// Whether an expert has about the same weight in all layers.
    pub fn is_even(&self, expert: usize) -> bool {
        let shares = || self.layers.iter().map(|layer| layer.shares.get(expert).copied().unwrap_or(0.0));
        let mean = shares().sum::<f32>() / self.layers.len().max(1) as f32;
        shares().all(|share| (share - mean).abs() <= 0.15 * mean)
    }

    /// The leader of a cell; nobody out of range.
    pub fn cell(&self, token: usize, column: usize) -> Cell {
        if column >= self.columns.len() {
            return Cell::default();
        }
        self.cells.get(token * self.columns.len() + column).copied().unwrap_or_default()
    }
}

/// The neighbours, first and last, whose values exceed the mean of all the most; nobody where all are about alike.
pub fn stretch(values: &[f32]) -> Option<(usize, usize)> {
    let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
    let (mut best, mut found) = (0.0, None);
    let (mut sum, mut from) = (0.0, 0);
    for (at, value) in values.iter().enumerate() {
        if sum <= 0.0 {
            (sum, from) = (0.0, at);
        }
        sum += value - mean;
        if sum > best {
            (best, found) = (sum, Some((from, at)));
        }
    }
    let (from, to) = found?;
    let inside: f32 = values[from..=to].iter().sum::<f32>() / (to - from + 1) as f32;
    // A little more is no place of its own.
    (inside > 1.15 * mean && to - from + 1 < values.len()).then_some((from, to))
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
        let leader = |weights: &[f32]| leader(weights.iter().enumerate().map(|(e, w)| (e as u32, *w)));
        assert_eq!(leader(&[0.0, 0.4, 0.6]), Cell { expert: Some(2), weight: 0.6, tie: false });
        assert!(leader(&[0.25; 4]).tie);
        assert_eq!(leader(&[0.0; 3]), Cell::default());
        assert!(!leader(&[0.0, 1.0]).tie, "a single expert is no tie");
        let backwards = [(2, 0.5), (0, 0.5), (1, 0.1)].into_iter();
        assert_eq!(super::leader(backwards).expert, Some(0));
    }

    #[test]
    fn layers_wins_and_tokens_agree_with_the_trace() {
        let trace = Synthetic { experts: 5, layers: 4, ..Synthetic::default() }.trace(&testing::PROMPT);
        let counted: Vec<usize> = (0..trace.tokens.len()).filter(|&t| trace.counts(t)).collect();
        // Columns of modules change nothing of the layers.
        for by_module in [false, true] {
            let digest = Digest::new(&trace, None, by_module);
            assert_eq!(
                digest.layers.iter().map(|l| l.label.as_str()).collect::<Vec<_>>(),
                ["0", "1", "2", "3"]
            );
            for (layer, found) in digest.layers.iter().enumerate() {
                let expected = trace.totals(|m| m / 4 == layer);
                for (share, expected) in found.shares.iter().zip(expected) {
                    assert!((f64::from(*share) - expected).abs() < 1e-5);
                }
            }
            let top = |t: usize, m: usize| trace.top(t, m).unwrap().0 as usize;
            for (expert, wins) in digest.wins.iter().enumerate() {
                let won = counted.iter().flat_map(|&t| (0..16).map(move |m| (t, m)));
                let won = won.filter(|&(t, m)| top(t, m) == expert).count();
                assert!((wins - won as f64 / (16 * counted.len()) as f64).abs() < 1e-9);
            }
            let weights = mean_weights(&trace, 7, &(0..16).collect::<Vec<_>>());
            let most = (0..5).max_by(|&a, &b| weights[a].total_cmp(&weights[b])).unwrap();
            assert_eq!(digest.token(7).expert, Some(most as u32));
            assert!(digest.order().is_sorted_by(|&a, &b| digest.totals[a] >= digest.totals[b]));
            assert!(digest.effective() > 1.0 && digest.effective() <= 5.0);
        }
    }

    #[test]
    fn the_home_of_an_expert_is_where_it_has_the_most_weight() {
        let layer = |share: f32| Layer { label: String::new(), shares: vec![share, 1.0 - share] };
        let of = |shares: &[f32]| Digest {
            layers: shares.iter().map(|&share| layer(share)).collect(),
            ..Digest::default()
        };
        assert_eq!(of(&[0.1, 0.1, 0.8, 0.7, 0.9, 0.1]).home(0), Some((2, 4)));
        assert_eq!(of(&[0.5; 6]).home(0), None);
        assert_eq!(of(&[0.5, 0.52, 0.5]).home(0), None, "hardly more");
        assert_eq!(of(&[]).home(0), None);
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
