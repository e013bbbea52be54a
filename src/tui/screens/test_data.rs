//! Small libraries and results for the tests of the comparing tabs: the same numbers every time.

use std::sync::Arc;

use crate::analysis::{ChosenK, Clustering, Metric, PairModule, Similarity, SweptK, ties};
use crate::catalog::Catalog;
use crate::library::{Expert, Library, Provenance};
use crate::tui::{Shared, Sweep};

/// Twelve experts in four families, in the order of their names.
pub const EXPERTS: [(&str, &str); 12] = [
    ("format_date", "format"),
    ("format_json", "format"),
    ("format_list", "format"),
    ("sentiment_books", "label"),
    ("sentiment_films", "label"),
    ("spam_or_not", "label"),
    ("spanish_plural", "spanish"),
    ("spanish_present", "spanish"),
    ("spanish_gender_of_nouns", "spanish"),
    ("units_length", "units"),
    ("units_mass", "units"),
    ("units_time", "units"),
];

/// Names of experts.
pub fn names(n: usize) -> Vec<String> {
    (0..n).map(|at| EXPERTS.get(at).map_or_else(|| format!("expert_{at:05}"), |e| e.0.to_string())).collect()
}

/// A library of `n` usable experts, the first twelve with their families.
pub fn library(n: usize) -> Arc<Catalog> {
    let mut experts: Vec<Expert> = names(n)
        .into_iter()
        .enumerate()
        .map(|(at, name)| Expert {
            name,
            provenance: EXPERTS.get(at).map(|(_, family)| Provenance {
                family: Some((*family).into()),
                seed: Some(if at == 5 { 7 } else { 42 }),
                ..Provenance::default()
            }),
            ..Expert::default()
        })
        .collect();
    experts.sort_by(|a, b| a.name.cmp(&b.name));
    Arc::new(Catalog::from(Library { experts, ..Library::default() }))
}

/// What the tabs share after that library was read.
pub fn shared(n: usize) -> Shared {
    Shared { library: Some(library(n)), ..Shared::default() }
}

/// High within groups of three, lower between them.
pub fn similarity(n: usize, metric: Metric) -> Arc<Similarity> {
    let value = |i: usize, j: usize| match (i, j) {
        _ if i == j => 1.0,
        _ if i / 3 == j / 3 => 0.84 + 0.03 * ((i + j) % 4) as f32,
        _ => 0.58 + 0.02 * ((i + j) % 5) as f32 + 0.01 * ((i * j) % 3) as f32,
    };
    Arc::new(Similarity {
        metric,
        sparsity: 0.5,
        experts: names(n),
        matrix: (0..n * n).map(|at| value(at / n, at % n)).collect(),
        warnings: Vec::new(),
        skipped: Vec::new(),
        strength: Vec::new(),
        known_spread: Default::default(),
        origin: Default::default(),
    })
}

/// Neighbours in threes share one of `k` clusters.
pub fn clustering(n: usize, k: usize) -> Arc<Clustering> {
    let silhouettes: Vec<f64> = (0..n).map(|at| 0.62 - 0.09 * (at % 9) as f64).collect();
    let labels: Vec<usize> = (0..n).map(|at| (at / 3) % k).collect();
    Arc::new(Clustering {
        ties: ties(&similarity(n, Metric::MBC), &labels, k),
        k,
        seed: 42,
        experts: names(n),
        labels,
        inertia: 1.234,
        silhouette: Some(silhouettes.iter().sum::<f64>() / n as f64),
        silhouettes,
    })
}

/// Silhouette is best at four clusters.
pub fn sweep(n: usize) -> Arc<Sweep> {
    let ks = 2..n.min(12);
    let swept =
        |k: usize| SweptK { k, inertia: 6.0 / k as f64, silhouette: Some(0.6 - 0.08 * k.abs_diff(4) as f64) };
    let angle = |at: usize| std::f32::consts::TAU * at as f32 / n as f32;
    let spread = |at: usize| 0.8 + 0.2 * (at % 3) as f32;
    Arc::new(Sweep {
        experts: names(n),
        chosen: ChosenK { k: 4, swept: ks.map(swept).collect(), at_border: false },
        more: false,
        map: (0..n).map(|at| (angle(at).cos() * spread(at), angle(at).sin() * spread(at))).collect(),
    })
}

/// Two kinds of module in thirty layers; the second kind is missing in the last one.
pub fn pair() -> Arc<Vec<PairModule>> {
    let module = |layer: usize, kind: &str, shift: f64| PairModule {
        module: format!("model.layers.{layer}.self_attn.{kind}"),
        cosine: 0.4 + 0.015 * layer as f64 + shift,
        overlap: 0.9 - 0.01 * layer as f64,
        prototype: 0.5 + 0.01 * layer as f64 - shift,
    };
    let both = |layer| {
        let v = (layer < 29).then(|| module(layer, "v_proj", -0.2));
        std::iter::once(module(layer, "q_proj", 0.0)).chain(v)
    };
    Arc::new((0..30).flat_map(both).collect())
}
