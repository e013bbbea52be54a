//! Similarity, clustering and prototypes against scikit-learn and numpy (fixtures made by
//! `tests/fixtures/make_analysis_fixtures.py`), and the laws that they obey.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use lora_tui::analysis::{self, Clustering, ComparisonCache, Metric, PrototypeCache, Similarity};
use lora_tui::library::{Library, NewAdapterConfig, NewLora, Provenance, Skipped, write_adapter};
use lora_tui::{Cancel, Error};
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

struct Fixtures {
    tensors: HashMap<String, Tensor>,
    facts: serde_json::Value,
}

impl Fixtures {
    fn load() -> Self {
        let tensors =
            candle_core::safetensors::load(format!("{FIXTURES}/analysis.safetensors"), &Device::Cpu);
        let facts = std::fs::read_to_string(format!("{FIXTURES}/analysis.json")).unwrap();
        Self { tensors: tensors.unwrap(), facts: serde_json::from_str(&facts).unwrap() }
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.tensors[name].flatten_all().unwrap().to_vec1().unwrap()
    }

    /// The experts of a set, in order; modules whose factors are all zeros are left out, and of the
    /// others only the first `rank(expert)` rows of A and columns of B are kept.
    fn experts(&self, set: &str, rank: impl Fn(usize) -> usize) -> Vec<Vec<NewLora>> {
        let prefix = format!("{set}.");
        let modules: Vec<&str> =
            self.tensors.keys().filter_map(|k| k.strip_prefix(&prefix)?.strip_suffix(".A")).collect();
        let count = self.tensors[&format!("{set}.{}.A", modules[0])].dims()[0];
        (0..count)
            .map(|e| {
                let all = modules.iter().map(|module| {
                    let get = |side| self.tensors[&format!("{set}.{module}.{side}")].get(e).unwrap();
                    let (a, b) = (get("A"), get("B"));
                    let r = rank(e);
                    let (in_features, out_features) = (a.dims()[1], b.dims()[0]);
                    let cut = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    NewLora {
                        module: (*module).into(),
                        rank: r,
                        in_features,
                        out_features,
                        a: cut(a.narrow(0, 0, r).unwrap()),
                        b: cut(b.narrow(1, 0, r).unwrap().contiguous().unwrap()),
                    }
                });
                all.filter(|lora| lora.a.iter().any(|&x| x != 0.0)).collect()
            })
            .collect()
    }
}

/// A library on disk for one test.
struct Scratch(TempDir);

impl Scratch {
    fn new(experts: &[Vec<NewLora>]) -> Self {
        let scratch = Self(TempDir::new().unwrap());
        for (e, loras) in experts.iter().enumerate() {
            scratch.add(&format!("expert_{e:02}"), loras, 42);
        }
        scratch
    }

    fn add(&self, name: &str, loras: &[NewLora], seed: u64) {
        let r = loras[0].rank;
        let config = NewAdapterConfig {
            revision: None,
            base: "tiny".into(),
            r,
            alpha: 2.0 * r as f64,
            dropout: 0.0,
            targets: loras.iter().map(|l| l.module.rsplit('.').next().unwrap().to_string()).collect(),
        };
        let provenance = Provenance { seed: Some(seed), ..Default::default() };
        write_adapter(&self.0.path().join(name), loras, &config, DType::F32, &provenance).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn library(&self) -> Library {
        Library::open(self.path()).unwrap()
    }

    fn try_similarity(&self, metric: Metric, sparsity: f64) -> lora_tui::Result<Similarity> {
        similarity_of(&self.library(), metric, sparsity)
    }

    fn similarity(&self, metric: Metric, sparsity: f64) -> Similarity {
        self.try_similarity(metric, sparsity).unwrap()
    }
}

fn similarity_of(library: &Library, metric: Metric, sparsity: f64) -> lora_tui::Result<Similarity> {
    analysis::similarity(library, metric, sparsity, &ComparisonCache::none(), &mut |_, _| {}, &Cancel::new())
}

#[track_caller]
fn assert_close(got: &[f32], wanted: &[f32], tolerance: f32) {
    assert_eq!(got.len(), wanted.len());
    let worst = got.iter().zip(wanted).map(|(x, y)| (x - y).abs()).fold(0.0f32, f32::max);
    assert!(worst <= tolerance, "largest difference {worst}");
}

/// Inertia at most 1 % above scikit-learn's; the same silhouette where the partition is the same.
fn assert_as_good(facts: &serde_json::Value, similarity: &Similarity) {
    for (k, wanted) in facts.as_object().unwrap() {
        let found = analysis::cluster(similarity, k.parse().unwrap(), 42, &Cancel::new()).unwrap();
        let inertia = wanted["inertia"].as_f64().unwrap();
        assert!(found.inertia <= 1.01 * inertia, "k {k}: {} against {inertia}", found.inertia);
        if labels(wanted) == found.labels {
            assert!((found.inertia - inertia).abs() < 1e-4 * inertia, "k {k}");
            let silhouette = wanted["silhouette"].as_f64().unwrap();
            assert!((found.silhouette.unwrap() - silhouette).abs() < 1e-4, "k {k}");
        }
    }
}

fn labels(fact: &serde_json::Value) -> Vec<usize> {
    fact["labels"].as_array().unwrap().iter().map(|l| l.as_u64().unwrap() as usize).collect()
}

#[test]
fn a_dozen_experts_compare_and_cluster_as_in_scikit_learn() {
    let fixtures = Fixtures::load();
    let scratch = Scratch::new(&fixtures.experts("groups", |_| 4));
    for sparsity in ["0.0", "0.5", "0.8"] {
        let got = scratch.similarity(Metric::MBC, sparsity.parse().unwrap());
        assert_close(&got.matrix, &fixtures.values(&format!("groups.mbc.{sparsity}")), 1e-5);
    }
    assert_close(&scratch.similarity(Metric::FLAT, 0.5).matrix, &fixtures.values("groups.flat"), 1e-5);
    assert_close(&scratch.similarity(Metric::DELTA, 0.5).matrix, &fixtures.values("groups.delta"), 1e-5);

    let similarity = scratch.similarity(Metric::MBC, 0.5);
    assert_as_good(&fixtures.facts["groups"], &similarity);
    let three = analysis::cluster(&similarity, 3, 7, &Cancel::new()).unwrap();
    assert_eq!(three.labels, labels(&fixtures.facts["groups"]["3"]), "the planted groups, whatever the seed");
}

#[test]
fn more_experts_than_dimensions_are_truncated_as_in_scikit_learn() {
    let fixtures = Fixtures::load();
    let scratch = Scratch::new(&fixtures.experts("many", |_| 3));
    let similarity = scratch.similarity(Metric::MBC, 0.5);
    assert_eq!(similarity.len(), 72);
    assert_close(&similarity.matrix, &fixtures.values("many.mbc.0.5"), 1e-5);
    let untruncated = scratch.similarity(Metric::FLAT, 0.0);
    let change = |i: usize| (similarity.matrix[i] - untruncated.matrix[i]).abs();
    assert!((0..72 * 72).map(change).fold(0.0, f32::max) > 0.01, "truncation and sparsity do something");
    assert_as_good(&fixtures.facts["many"], &similarity);
}

#[test]
fn experts_of_different_ranks_compare_by_their_updates() {
    let fixtures = Fixtures::load();
    let scratch = Scratch::new(&fixtures.experts("mixed", |e| e + 1));
    assert_close(&scratch.similarity(Metric::DELTA, 0.0).matrix, &fixtures.values("mixed.delta"), 1e-5);
    for metric in ["mbc", "flat", "centred"].map(|id| id.parse::<Metric>().unwrap()) {
        let error = scratch.try_similarity(metric, 0.5).unwrap_err().to_string();
        for part in ["'expert_00'", "'expert_01'", "ranks 1 and 2", "delta"] {
            assert!(error.contains(part), "{error}");
        }
    }

    let library = scratch.library();
    let experts: Vec<_> = library.experts.iter().collect();
    let table =
        analysis::prototypes(&library, &PrototypeCache::none(), &mut |_, _| {}, &Cancel::new()).unwrap();
    assert_eq!(table.modules.len(), 2);
    for module in &table.modules {
        assert_close(&module.rows, &fixtures.values(&format!("mixed.{}.prototype", module.module)), 1e-5);
        let sigma = fixtures.values(&format!("mixed.{}.sigma", module.module));
        for (e, gap) in module.gaps.iter().enumerate() {
            let wanted = (sigma[5 * e] > 0.0).then(|| f64::from(sigma[5 * e + 1] / sigma[5 * e]));
            match (gap, wanted) {
                (Some(gap), Some(wanted)) => assert!((gap - wanted).abs() < 1e-5, "{gap} {wanted}"),
                (gap, wanted) => assert_eq!(*gap, wanted),
            }
        }
    }
    let profile = analysis::profile(experts[4]).unwrap();
    for module in &profile.modules {
        // alpha is twice the rank: the scale is 2.
        let sigma = fixtures.values(&format!("mixed.{}.sigma", module.module));
        let got: Vec<f32> = module.sigma.iter().map(|&s| s as f32 / 2.0).collect();
        assert_close(&got, &sigma[20..25], 1e-6);
    }
}

/// (A, B) → (M A, B M⁻¹) with M = a permutation, signs and scales of the rank dimension.
fn regauged(loras: &[NewLora]) -> Vec<NewLora> {
    let change = |lora: &NewLora| {
        let r = lora.rank;
        let mut new = lora.clone();
        for k in 0..r {
            let (from, factor) = ((k + 1) % r, if k % 2 == 0 { -3.0 } else { 0.25 });
            for i in 0..lora.in_features {
                new.a[k * lora.in_features + i] = factor * lora.a[from * lora.in_features + i];
            }
            for o in 0..lora.out_features {
                new.b[o * r + k] = lora.b[o * r + from] / factor;
            }
        }
        new
    };
    loras.iter().map(change).collect()
}

#[test]
fn delta_does_not_depend_on_the_gauge_and_flat_does() {
    let experts = Fixtures::load().experts("groups", |_| 4);
    let scratch = Scratch::new(&experts);
    scratch.add("expert_00_regauged", &regauged(&experts[0]), 42);
    let delta = scratch.similarity(Metric::DELTA, 0.0);
    assert_eq!(delta.experts[1], "expert_00_regauged");
    assert!((delta.get(0, 1) - 1.0).abs() < 1e-5);
    for other in 2..delta.len() {
        assert!((delta.get(0, other) - delta.get(1, other)).abs() < 1e-5);
    }
    assert!(scratch.similarity(Metric::FLAT, 0.0).get(0, 1) < 0.9);

    let library = scratch.library();
    let pair = analysis::pair(&library.experts[0], &library.experts[1]).unwrap();
    assert_eq!(pair.len(), 4);
    for module in pair {
        for value in [module.cosine, module.overlap, module.prototype] {
            assert!((value - 1.0).abs() < 1e-5, "{module:?}");
        }
    }
}

#[test]
fn matrices_are_symmetric_and_follow_the_order_of_the_experts() {
    let fixtures = Fixtures::load();
    for (set, rank) in [("groups", 4), ("many", 3)] {
        let scratch = Scratch::new(&fixtures.experts(set, |_| rank));
        let library = scratch.library();
        let mut reversed = library.clone();
        reversed.experts.reverse();
        for metric in ["mbc", "flat", "centred", "delta"].map(|id| id.parse::<Metric>().unwrap()) {
            let forward = similarity_of(&library, metric, 0.5).unwrap();
            let backward = similarity_of(&reversed, metric, 0.5).unwrap();
            let n = forward.len();
            for i in 0..n {
                assert_eq!(forward.get(i, i), 1.0);
                for j in 0..n {
                    assert_eq!(forward.get(i, j), forward.get(j, i));
                    assert!(forward.get(i, j).abs() <= 1.0);
                    let mirrored = backward.get(n - 1 - i, n - 1 - j);
                    assert!((forward.get(i, j) - mirrored).abs() < 1e-5, "{metric:?} {i} {j}");
                }
            }
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let scratch = Scratch::new(&Fixtures::load().experts("many", |_| 3));
    let run = |threads| -> (Vec<f32>, Vec<f32>, Clustering) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mbc = scratch.similarity(Metric::MBC, 0.5);
            let clustering = analysis::cluster(&mbc, 6, 1, &Cancel::new()).unwrap();
            (mbc.matrix, scratch.similarity(Metric::DELTA, 0.0).matrix, clustering)
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn the_size_of_the_weights_does_not_matter() {
    let mut experts = Fixtures::load().experts("groups", |_| 4);
    let plain = Scratch::new(&experts);
    // Products of these overflow f32.
    for lora in &mut experts[3] {
        lora.a.iter_mut().chain(&mut lora.b).for_each(|x| *x *= 2f32.powi(80));
    }
    for lora in &mut experts[5] {
        lora.a.iter_mut().chain(&mut lora.b).for_each(|x| *x *= 2f32.powi(-80));
    }
    let scaled = Scratch::new(&experts);
    for metric in ["mbc", "flat", "centred", "delta"].map(|id| id.parse::<Metric>().unwrap()) {
        assert_close(&scaled.similarity(metric, 0.5).matrix, &plain.similarity(metric, 0.5).matrix, 1e-6);
    }
}

#[test]
fn an_expert_whose_scale_is_beyond_all_numbers_is_left_out() {
    let scratch = Scratch::new(&Fixtures::load().experts("groups", |_| 4)[..3]);
    let config = scratch.path().join("expert_01/adapter_config.json");
    let text =
        std::fs::read_to_string(&config).unwrap().replace("\"lora_alpha\": 8", "\"lora_alpha\": 1e200");
    assert!(text.contains("1e200"), "{text}");
    std::fs::write(&config, text).unwrap();
    let similarity = scratch.similarity(Metric::DELTA, 0.0);
    assert_eq!(similarity.experts, ["expert_00", "expert_02"]);
    let [skipped] = similarity.skipped.as_slice() else { panic!("{:?}", similarity.skipped) };
    assert_eq!(skipped.name, "expert_01");
    assert!(skipped.reason.contains("scale (alpha / r)"), "{skipped}");
}

#[test]
fn an_untrained_expert_resembles_nothing_by_its_update() {
    let mut experts = Fixtures::load().experts("groups", |_| 4);
    experts[2].iter_mut().for_each(|lora| lora.b.fill(0.0));
    let scratch = Scratch::new(&experts);
    let similarity = scratch.similarity(Metric::DELTA, 0.0);
    assert!((0..similarity.len()).all(|j| similarity.get(2, j) == 0.0), "itself included");
    assert!(similarity.warnings.iter().any(|w| w.contains("'expert_02'")), "{:?}", similarity.warnings);
    let library = scratch.library();
    let profile = analysis::profile(&library.experts[2]).unwrap();
    assert!(profile.warnings.iter().any(|w| w.contains("zero")), "{:?}", profile.warnings);
    assert!(profile.modules.iter().all(|m| m.norm == 0.0 && m.effective_rank == 0.0));
}

#[test]
fn unusable_experts_are_left_out_with_their_reason() {
    let experts = Fixtures::load().experts("groups", |_| 4);
    let scratch = Scratch::new(&experts[..4]);
    let weights = scratch.path().join("expert_01/adapter_model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&weights, bytes).unwrap();
    std::fs::write(scratch.path().join("expert_02/adapter_model.safetensors"), b"junk").unwrap();
    let similarity = scratch.similarity(Metric::MBC, 0.5);
    assert_eq!(similarity.experts, ["expert_00", "expert_03"]);
    let names: Vec<&str> = similarity.skipped.iter().map(|skipped| skipped.name.as_str()).collect();
    assert_eq!(names, ["expert_01", "expert_02"]);
    assert!(similarity.skipped[0].reason.contains("NaN"), "{:?}", similarity.skipped);

    let mut hopeless = scratch.library();
    hopeless.experts = hopeless.experts[1..3].to_vec();
    let error = similarity_of(&hopeless, Metric::FLAT, 0.0).unwrap_err().to_string();
    assert!(error.contains("expert_01") && error.contains("NaN"), "{error}");
    hopeless.experts.clear();
    assert!(similarity_of(&hopeless, Metric::FLAT, 0.0).is_err());
}

#[test]
fn experts_of_another_base_are_left_out_and_wrong_sparsities_refused() {
    let fixtures = Fixtures::load();
    let scratch = Scratch::new(&fixtures.experts("groups", |_| 4)[..2]);
    let mut other = fixtures.experts("groups", |_| 4)[2].clone();
    let lora = &mut other[0];
    lora.in_features += 1;
    lora.a = vec![0.5; lora.rank * lora.in_features];
    scratch.add("stranger", &other, 42);
    for metric in [Metric::MBC, Metric::DELTA] {
        // What was not sorted out before is an error that names both.
        let similarity = scratch.similarity(metric, 0.5);
        assert_eq!(similarity.experts, ["expert_00", "expert_01"]);
        let Skipped { name, reason } = &similarity.skipped[0];
        assert!(name == "stranger" && reason.contains("another base model"), "{reason}");
        let mut tie = scratch.library();
        tie.experts.remove(0);
        tie.experts.iter_mut().for_each(|e| e.set_misfit(None));
        let error = similarity_of(&tie, metric, 0.5).unwrap_err().to_string();
        assert!(error.contains("'stranger'") && error.contains("base model"), "{error}");
    }
    for sparsity in [-0.1, 1.0, f64::NAN] {
        assert!(matches!(scratch.try_similarity(Metric::MBC, sparsity), Err(Error::Usage(_))), "{sparsity}");
    }
}

#[test]
fn different_seeds_give_a_warning() {
    let experts = Fixtures::load().experts("groups", |_| 4);
    let scratch = Scratch::new(&experts[..2]);
    assert!(scratch.similarity(Metric::MBC, 0.5).warnings.is_empty());
    scratch.add("later", &experts[2], 43);
    let warnings = scratch.similarity(Metric::MBC, 0.5).warnings;
    assert!(warnings.iter().any(|w| w.contains("42") && w.contains("'later' from 43")), "{warnings:?}");
}

#[test]
fn work_reports_progress_and_stops_when_asked() {
    let scratch = Scratch::new(&Fixtures::load().experts("many", |_| 3));
    let library = scratch.library();
    let mut seen = Vec::new();
    let cancel = Cancel::new();
    analysis::similarity(
        &library,
        Metric::MBC,
        0.5,
        &ComparisonCache::none(),
        &mut |done, total| seen.push((done, total)),
        &cancel,
    )
    .unwrap();
    assert!(seen.windows(2).all(|w| w[0].0 <= w[1].0 && w[0].1 == w[1].1), "{seen:?}");
    assert_eq!(seen.last().map(|&(done, total)| done == total), Some(true));
    let stop = &mut |done: usize, _: usize| {
        if done > 20 {
            cancel.cancel();
        }
    };
    let stopped = analysis::similarity(&library, Metric::MBC, 0.5, &ComparisonCache::none(), stop, &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}
