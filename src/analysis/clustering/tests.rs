//! Clustering on planted groups.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::points::points;
use super::*;
use crate::analysis::{Metric, Similarity};
use crate::{Cancel, Error};

/// Three planted groups of different closeness.
fn planted() -> Similarity {
    let group = [2usize, 0, 0, 1, 1, 1, 0];
    let n = group.len();
    let matrix = (0..n * n)
        .map(|at| {
            let (i, j) = (at / n, at % n);
            if i == j {
                1.0
            } else if group[i] == group[j] {
                0.8 - 0.01 * (i + j) as f32
            } else {
                0.05
            }
        })
        .collect();
    let experts = (0..n).map(|i| format!("e{i}")).collect();
    Similarity {
        metric: Metric::FLAT,
        sparsity: 0.0,
        experts,
        matrix,
        warnings: vec![],
        skipped: vec![],
        strength: Vec::new(),
        known_spread: Default::default(),
        origin: Default::default(),
    }
}

#[test]
fn ties_leave_an_expert_itself_out() {
    let matrix = vec![1.0, 0.5, 0.25, 0.5, 1.0, -0.5, 0.25, -0.5, 1.0];
    let experts = ["a", "b", "c"].map(String::from).to_vec();
    let (warnings, skipped) = (Vec::new(), Vec::new());
    let s = Similarity {
        metric: Metric::FLAT,
        sparsity: 0.0,
        experts,
        matrix,
        warnings,
        skipped,
        strength: Vec::new(),
        known_spread: Default::default(),
        origin: Default::default(),
    };
    assert_eq!(ties(&s, &[0, 0, 1], 2), [0.5, 0.25, 0.5, -0.5, -0.25, 0.0]);
}

#[test]
fn finds_planted_groups_and_orders_rows_by_them() {
    let s = planted();
    let c = cluster(&s, 3, 42, &Cancel::new()).unwrap();
    assert_eq!(c.labels, [0, 1, 1, 2, 2, 2, 1]);
    assert!(c.silhouette.unwrap() > 0.5);
    assert_eq!(c.silhouettes[0], 0.0, "alone in its cluster");
    let order = order_by_cluster(&s, &c);
    assert_eq!(order, [0, 1, 2, 6, 3, 4, 5]);
    assert_eq!(boundaries(&c, &order), [1, 4]);
    let cohesion = cohesion(&s, &c);
    assert_eq!(cohesion[0], 1.0);
    assert!((cohesion[2] - 0.72).abs() < 1e-6, "{cohesion:?}");
}

#[test]
fn k_must_fit_the_experts() {
    let s = planted();
    for (k, both) in [(0, ["k = 0", "7"]), (8, ["8", "7"])] {
        let Err(Error::Usage(message)) = cluster(&s, k, 1, &Cancel::new()) else {
            panic!("k = {k} must be refused")
        };
        assert!(both.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn silhouette_exists_only_between_two_and_n() {
    let s = planted();
    assert_eq!(cluster(&s, 1, 1, &Cancel::new()).unwrap().silhouette, None);
    assert_eq!(cluster(&s, 7, 1, &Cancel::new()).unwrap().silhouette, None);
    assert!(cluster(&s, 2, 1, &Cancel::new()).unwrap().silhouette.is_some());
    let swept = sweep(&s, 0..20, 1, &Cancel::new()).unwrap();
    assert_eq!(swept.iter().map(|s| s.k).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
    assert!(swept.windows(2).all(|w| w[1].inertia <= w[0].inertia + 1e-9), "inertia falls with k: {swept:?}");
}

#[test]
fn the_silhouette_chooses_the_planted_number() {
    let s = planted();
    assert_eq!(natural_clusters(&s, 1, &Cancel::new()).unwrap().k, 3);
    let chosen = choose_k(&s, 1, &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!((chosen.k, chosen.about().as_str(), chosen.at_border), (3, "best of 2…6", false));
    let two = Similarity { experts: vec!["a".into(), "b".into()], matrix: vec![1.0, 0.1, 0.1, 1.0], ..s };
    assert_eq!(natural_clusters(&two, 1, &Cancel::new()).unwrap().k, 1);
}

/// Groups of three equal experts, far from each other.
fn triples(groups: usize) -> Similarity {
    let n = 3 * groups;
    let matrix = (0..n * n).map(|at| if at / n / 3 == at % n / 3 { 1.0 } else { 0.0 }).collect();
    Similarity { experts: (0..n).map(|i| format!("e{i}")).collect(), matrix, ..planted() }
}

#[test]
fn more_clusters_are_tried_while_the_last_is_the_best() {
    let mut heard = Vec::new();
    let s = triples(27);
    let chosen =
        choose_k(&s, 1, &mut |chosen| heard.push((chosen.k, chosen.about())), &Cancel::new()).unwrap();
    assert_eq!((chosen.k, chosen.at_border), (27, false));
    assert_eq!(chosen.about(), "best of 2…30");
    assert_eq!(heard, [(20, "best of 2…20".to_string())]);
    let many = choose_k(&triples(50), 1, &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!((many.k, many.about().as_str(), many.at_border), (40, "best of 2…40", true));
}

#[test]
fn there_are_no_more_clusters_than_different_experts() {
    let s = triples(2);
    let clustering = cluster(&s, 5, 1, &Cancel::new()).unwrap();
    assert_eq!((clustering.k, clustering.labels.as_slice()), (2, &[0, 0, 0, 1, 1, 1][..]));
    assert_eq!(clustering.ties.len(), 12);
    assert!(clustering.shortfall(5).unwrap().starts_with("2 clusters instead of 5: only 2 experts differ"));
    assert_eq!(clustering.shortfall(2), None);
    let swept = sweep(&s, 1..=6, 1, &Cancel::new()).unwrap();
    assert_eq!(swept.iter().map(|swept| swept.k).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(
        swept[1..].iter().all(|swept| swept.inertia == 0.0 && swept.silhouette == Some(1.0)),
        "{swept:?}"
    );
}

#[test]
fn low_rank_rows_keep_their_distances() {
    let (n, width) = (300, 9);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let unit: Vec<Vec<f64>> = (0..n)
        .map(|_| {
            let v: Vec<f64> = (0..width).map(|_| rng.random_range(-1.0..1.0)).collect();
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.iter().map(|x| x / norm).collect()
        })
        .collect();
    let dot = |i: usize, j: usize| unit[i].iter().zip(&unit[j]).map(|(a, b)| a * b).sum::<f64>();
    let mut s = planted();
    s.experts = (0..n).map(|i| i.to_string()).collect();
    s.matrix = (0..n * n).map(|at| dot(at / n, at % n) as f32).collect();
    let p = points(&s);
    assert!(p.width < n, "reduced");
    for (i, j) in [(0, 1), (5, 250), (299, 17)] {
        let full: f64 = (0..n).map(|c| f64::from(s.get(i, c) - s.get(j, c)).powi(2)).sum();
        let row = |i: usize| &p.data[i * p.width..(i + 1) * p.width];
        let reduced: f64 = row(i).iter().zip(row(j)).map(|(a, b)| (a - b) * (a - b)).sum();
        assert!((full - reduced).abs() < 1e-4 * full, "{full} {reduced}");
    }
}

#[test]
fn the_map_keeps_groups_together() {
    let s = planted();
    let map = project(&s, &Cancel::new());
    let distance = |i: usize, j: usize| (map[i].0 - map[j].0).hypot(map[i].1 - map[j].1);
    assert!(distance(3, 4) < 0.5 * distance(3, 1), "{map:?}");
    let one = Similarity { experts: vec!["a".into()], matrix: vec![1.0], ..s };
    assert_eq!(project(&one, &Cancel::new()), [(0.0, 0.0)]);
    assert_eq!(cluster(&one, 1, 1, &Cancel::new()).unwrap().labels, [0]);
}
