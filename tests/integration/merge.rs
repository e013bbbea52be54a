//! Merged adapters against PEFT's, against the sum they stand for, and against bad input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use lora_tui::catalog::Catalog;
use lora_tui::library::{Expert, Library, NewAdapterConfig, NewLora, Provenance, Status, write_adapter};
use lora_tui::merge::{MergeMethod, MergeReport, MergeSpec, merge};
use lora_tui::outside::sha256_file;
use lora_tui::{Cancel, Error, Result};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::experts::{lora, write_expert};
use crate::support::repository;

const METHODS: [MergeMethod; 5] =
    [MergeMethod::LINEAR, MergeMethod::CAT, MergeMethod::SVD, MergeMethod::TIES, MergeMethod::DARE];

fn spec(method: MergeMethod, experts: &[&str], name: &str) -> MergeSpec {
    MergeSpec {
        experts: experts.iter().map(|e| (*e).to_string()).collect(),
        weights: None,
        method,
        rank: None,
        density: None,
        seed: None,
        name: name.into(),
    }
}

fn run(root: &Path, spec: &MergeSpec) -> Result<MergeReport> {
    merge(&Catalog::open(root, None).unwrap(), spec, &mut |_, _| {}, &Cancel::new())
}

/// Merged adapters load where their parts came from: modules keep the names of the files, and targets match them.
#[test]
fn merged_adapters_of_a_multimodal_model_keep_its_names() {
    let root = tempfile::tempdir().unwrap();
    let fixtures = repository().join("tests/fixtures/grid/llava");
    for (name, folder) in [("a", "0000-plain-qv-wild"), ("b", "0001-plain-lang")] {
        crate::support::copy_folder(&fixtures.join(folder), &root.path().join(name));
        let path = root.path().join(name).join("adapter_config.json");
        let mut config: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        config["base_model_name_or_path"] = "some/model".into();
        config["revision"] = "v2".into();
        std::fs::write(path, config.to_string()).unwrap();
    }
    let report = run(root.path(), &spec(MergeMethod::LINEAR, &["a", "b"], "sum")).unwrap();
    assert!(
        report.warnings.iter().any(|w| w.contains("outside the language model")),
        "{:?}",
        report.warnings
    );
    let folder = root.path().join("sum");
    let tensors =
        candle_core::safetensors::load(folder.join("adapter_model.safetensors"), &Device::Cpu).unwrap();
    let config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!(
        (&config["base_model_name_or_path"], &config["revision"]),
        (&"some/model".into(), &"v2".into())
    );
    let targets: Vec<&str> =
        config["target_modules"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let mut named: Vec<String> = Vec::new();
    for layer in 0..2 {
        for kind in ["k_proj", "o_proj", "q_proj", "v_proj"] {
            named.push(format!("model.language_model.layers.{layer}.self_attn.{kind}"));
        }
    }
    assert_eq!(targets, named);
    assert_eq!(tensors.len(), 2 * named.len());
    for name in named {
        for factor in ["lora_A", "lora_B"] {
            assert!(tensors.contains_key(&format!("base_model.model.{name}.{factor}.weight")), "{name}");
        }
    }
    let wanted = sum(&[(0.5, delta_of(root.path(), "a")), (0.5, delta_of(root.path(), "b"))]);
    assert!(distance(&delta_of(root.path(), "sum"), &wanted) < 1e-6);
}

/// ΔW (out × in) of every module of an expert.
type Delta = BTreeMap<String, Vec<f64>>;

fn delta(expert: &Expert) -> Delta {
    let adapter = expert.load().unwrap();
    let of = |m: &lora_tui::library::LoraModule| {
        let (a, b, inputs) = (m.a().unwrap(), m.b().unwrap(), m.shape.in_features);
        let mut out = vec![0.0; m.shape.out_features * inputs];
        for (row, b) in out.chunks_mut(inputs).zip(b.chunks(m.shape.rank)) {
            for (a, b) in a.chunks(inputs).zip(b) {
                row.iter_mut().zip(a).for_each(|(x, a)| *x += m.shape.scale * f64::from(*b) * f64::from(*a));
            }
        }
        (m.shape.module.clone(), out)
    };
    adapter.modules.iter().map(of).collect()
}

fn delta_of(root: &Path, name: &str) -> Delta {
    delta(Library::open(root).unwrap().expert(name).unwrap())
}

fn sum(parts: &[(f64, Delta)]) -> Delta {
    let mut all = Delta::new();
    for (weight, delta) in parts {
        for (module, values) in delta {
            let sum = all.entry(module.clone()).or_insert_with(|| vec![0.0; values.len()]);
            sum.iter_mut().zip(values).for_each(|(s, x)| *s += weight * x);
        }
    }
    all
}

/// Largest difference, relative to the largest entry of `wanted`, over modules; both must have the same.
fn distance(got: &Delta, wanted: &Delta) -> f64 {
    assert_eq!(got.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    let largest = wanted.values().flatten().fold(0.0f64, |m, x| m.max(x.abs()));
    let difference =
        |(g, w): (&Vec<f64>, &Vec<f64>)| g.iter().zip(w).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
    got.values().zip(wanted.values()).map(difference).fold(0.0, f64::max) / largest
}

fn energy(delta: &Delta) -> f64 {
    delta.values().flatten().map(|x| x * x).sum()
}

fn fixtures() -> PathBuf {
    repository().join("tests/fixtures/merge")
}

/// A copy of the fixtures' experts that can be written to.
fn fixture_library() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in ["a", "b", "odd"] {
        std::fs::create_dir(root.path().join(name)).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            let from = fixtures().join("experts").join(name).join(file);
            std::fs::copy(from, root.path().join(name).join(file)).unwrap();
        }
    }
    root
}

#[test]
fn merged_adapters_are_those_of_peft() {
    let root = fixture_library();
    let facts: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(fixtures().join("expected.json")).unwrap()).unwrap();
    let tensors =
        candle_core::safetensors::load(fixtures().join("expected.safetensors"), &Device::Cpu).unwrap();
    let cases = facts["cases"].as_object().unwrap();
    assert_eq!(cases.len(), 6);
    for (case, facts) in cases {
        let experts: Vec<String> = serde_json::from_value(facts["experts"].clone()).unwrap();
        let spec = MergeSpec {
            experts,
            weights: serde_json::from_value(facts["weights"].clone()).unwrap(),
            method: match case.split('_').next().unwrap() {
                "cat" => MergeMethod::CAT,
                "svd" => MergeMethod::SVD,
                "ties" => MergeMethod::TIES,
                _ => MergeMethod::DARE,
            },
            rank: facts["svd_rank"].as_u64().map(|r| r as usize),
            density: facts["density"].as_f64(),
            seed: None,
            name: case.clone(),
        };
        run(root.path(), &spec).unwrap();
        let prefix = format!("{case}.");
        let expected: Delta = tensors
            .iter()
            .filter_map(|(name, tensor)| {
                let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                Some((name.strip_prefix(&prefix)?.to_string(), values.into_iter().map(f64::from).collect()))
            })
            .collect();
        let distance = distance(&delta_of(root.path(), case), &expected);
        println!("{case}: {distance:e}");
        assert!(distance < 1e-5, "{case} is off by {distance}");
    }
}

/// Experts that differ in rank, targets, scale and dtype.
struct Bench {
    root: tempfile::TempDir,
    names: Vec<String>,
}

impl Bench {
    fn new(seed: u64, experts: usize, equal_ranks: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let root = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for e in 0..experts {
            let rank = if equal_ranks { 3 } else { 1 + rng.random_range(0..5usize) };
            let dtype = [DType::F32, DType::F16, DType::BF16][rng.random_range(0..3)];
            let targets = [&["q_proj", "k_proj"][..], &["q_proj"], &["down_proj", "q_proj"]];
            let targets = targets[rng.random_range(0..3)];
            let mut tensors = Vec::new();
            for layer in 0..2 {
                for target in targets {
                    let (inputs, outputs) = match *target {
                        "q_proj" => (9, 7),
                        "k_proj" => (9, 3),
                        _ => (4, 9),
                    };
                    let mut values = |n: usize| (0..n).map(|_| rng.random_range(-1f32..1.0)).collect();
                    tensors.push(NewLora {
                        module: format!("model.layers.{layer}.{target}"),
                        rank,
                        in_features: inputs,
                        out_features: outputs,
                        a: values(rank * inputs),
                        b: values(rank * outputs),
                    });
                }
            }
            let config = NewAdapterConfig {
                revision: None,
                base: "tiny".into(),
                r: rank,
                alpha: rng.random_range(0.5f64..6.0),
                dropout: 0.0,
                targets: targets.iter().map(|t| (*t).to_string()).collect(),
            };
            let name = format!("e{e}");
            write_adapter(&root.path().join(&name), &tensors, &config, dtype, &Provenance::default())
                .unwrap();
            names.push(name);
        }
        Self { root, names }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn spec(&self, method: MergeMethod, weights: &[f64], name: &str) -> MergeSpec {
        let experts: Vec<&str> = self.names.iter().map(String::as_str).collect();
        MergeSpec { weights: Some(weights.to_vec()), ..spec(method, &experts, name) }
    }

    fn merge(&self, spec: &MergeSpec) -> (MergeReport, Delta) {
        let report = run(self.path(), spec).unwrap();
        (report, delta_of(self.path(), &spec.name))
    }

    fn sum(&self, weights: &[f64]) -> Delta {
        let one = |(name, w): (&String, &f64)| (*w, delta_of(self.path(), name));
        sum(&self.names.iter().zip(weights).map(one).collect::<Vec<_>>())
    }
}

/// Weights that are not all close to 0.
fn weights(n: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(prop_oneof![0.2f64..2.0, -2.0f64..-0.2], n)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_exact_methods_hold_the_weighted_sum(seed: u64, weights in weights(3)) {
        let bench = Bench::new(seed, 3, false);
        let exact = bench.sum(&weights);
        let (cat, of_cat) = bench.merge(&bench.spec(MergeMethod::CAT, &weights, "cat"));
        let (linear, of_linear) = bench.merge(&bench.spec(MergeMethod::LINEAR, &weights, "linear"));
        prop_assert!(distance(&of_cat, &exact) < 1e-6);
        prop_assert!(distance(&of_linear, &exact) < 1e-6);
        // No module is larger than 9 → 7, so that a sum of many ranks can be represented by fewer.
        prop_assert!(linear.rank <= cat.rank.min(7), "{} {}", linear.rank, cat.rank);
        prop_assert_eq!((cat.energy_lost, linear.energy_lost), (None, None));
    }

    #[test]
    fn the_order_of_the_experts_does_not_matter(seed: u64, weights in weights(3)) {
        let bench = Bench::new(seed, 3, true);
        for method in METHODS {
            let forth = bench.spec(method, &weights, &format!("{}-forth", method.id));
            let mut back = MergeSpec { name: format!("{}-back", method.id), ..forth.clone() };
            back.experts.reverse();
            back.weights.as_mut().unwrap().reverse();
            let ((_, forth), (_, back)) = (bench.merge(&forth), bench.merge(&back));
            prop_assert!(distance(&forth, &back) < 1e-5, "{:?}", method);
        }
    }

    #[test]
    fn what_a_rank_cuts_off_is_what_is_missing(seed: u64, weights in weights(3), rank in 1usize..4) {
        let bench = Bench::new(seed, 3, false);
        let exact = bench.sum(&weights);
        let spec = MergeSpec { rank: Some(rank), ..bench.spec(MergeMethod::SVD, &weights, "cut") };
        // Only a sum of three experts of rank 1 can be too small for it.
        let Ok(report) = run(bench.path(), &spec) else { return Ok(()) };
        let merged = delta_of(bench.path(), "cut");
        let missing = energy(&sum(&[(1.0, exact.clone()), (-1.0, merged.clone())])) / energy(&exact);
        let lost = report.energy_lost.unwrap();
        prop_assert!((missing - lost).abs() < 1e-6, "{} {}", missing, lost);
        // The best approximation is orthogonal to what it misses.
        prop_assert!((energy(&merged) / energy(&exact) + lost - 1.0).abs() < 1e-6);
        prop_assert_eq!(report.rank, rank);
        prop_assert!(report.worst.is_none_or(|w| w.energy_lost >= lost - 1e-9));
    }

    #[test]
    fn one_expert_with_weight_one_is_itself(seed: u64) {
        let bench = Bench::new(seed, 1, false);
        let own = delta_of(bench.path(), "e0");
        for method in METHODS {
            let mut spec = spec(method, &["e0"], method.id);
            spec.density = method.entrywise.then_some(1.0);
            let (report, merged) = bench.merge(&spec);
            prop_assert!(distance(&merged, &own) < 1e-6, "{:?}", method);
            prop_assert_eq!(report.experts[0].weight, 1.0);
        }
    }
}

#[test]
fn a_merged_adapter_says_where_it_comes_from_and_is_an_expert() {
    let root = fixture_library();
    let known = [
        "task = \"plural\"\nfamily = \"words\"\ndataset_sha256 = \"1\"\n",
        "task = \"x+y\"\ndataset_sha256 = \"2\"\n[[tasks]]\ntask = \"x\"\ndataset_sha256 = \"3\"\n[[tasks]]\ntask = \"y\"\n",
    ];
    for (name, text) in ["a", "b"].into_iter().zip(known) {
        std::fs::write(root.path().join(name).join("expert.toml"), text).unwrap();
    }
    let report = run(root.path(), &spec(MergeMethod::TIES, &["a", "b"], "ab")).unwrap();
    let library = Library::open(root.path()).unwrap();
    let expert = library.expert("ab").unwrap();
    assert_eq!(
        (expert.status(), expert.dtype.as_str(), expert.rank_range()),
        (Status::Ok, "f32", Some((4, 4)))
    );
    assert_eq!((expert.config.alpha, expert.config.use_rslora), (4.0, false));
    assert!(expert.modules.iter().all(|m| m.scale == 1.0));
    assert_eq!(expert.config.targets, ["down_proj", "q_proj", "v_proj"]);
    assert_eq!(expert.config.base.as_deref(), Some("tiny"));
    let provenance = expert.provenance.clone().unwrap();
    let seen: Vec<[Option<&str>; 3]> = provenance
        .seen_before
        .iter()
        .map(|seen| [&seen.task, &seen.family, &seen.dataset_sha256].map(|text| text.as_deref()))
        .collect();
    let of = |task, family, hash| [task, family, hash];
    assert_eq!(
        seen,
        [
            of(None, None, Some("2")),
            of(Some("plural"), Some("words"), Some("1")),
            of(Some("x"), None, Some("3")),
            of(Some("y"), None, None)
        ]
    );
    let from = provenance.merge.unwrap();
    assert_eq!(from.method, "ties");
    assert_eq!(serde_json::Value::Object(from.options.clone()), serde_json::json!({ "density": 0.5 }));
    assert_eq!(from.experts, report.experts);
    let weights = root.path().join("b/adapter_model.safetensors");
    assert_eq!((from.experts[1].name.as_str(), from.experts[1].weight), ("b", 1.0));
    assert_eq!(from.experts[1].sha256, sha256_file(&weights).unwrap());
    // Defaults of the others are the mean; the same seed drops the same entries.
    let dare = |name: &str, seed| {
        let spec = MergeSpec { seed, ..spec(MergeMethod::DARE, &["a, b"], name) };
        assert_eq!(run(root.path(), &spec).unwrap().experts[0].weight, 0.5);
        delta_of(root.path(), name)
    };
    let (first, again, other) = (dare("d1", None), dare("d2", Some(42)), dare("d3", Some(43)));
    assert!(first == again && first != other);
}

#[test]
fn modules_that_are_not_in_every_layer_are_named_by_their_paths() {
    let root = fixture_library();
    let only = |layer: usize, name: &str| {
        let module = format!("model.layers.{layer}.self_attn.q_proj");
        write_expert(&root.path().join(name), &[lora(&module, 1, (24, 24), |_| 0.5, |_| 0.5)], 1.0);
    };
    only(1, "second");
    run(root.path(), &spec(MergeMethod::CAT, &["second"], "one")).unwrap();
    run(root.path(), &spec(MergeMethod::CAT, &["second", "a"], "more")).unwrap();
    let library = Library::open(root.path()).unwrap();
    assert_eq!(library.expert("one").unwrap().config.targets, ["model.layers.1.self_attn.q_proj"]);
    assert_eq!(library.expert("more").unwrap().config.targets, ["down_proj", "q_proj", "v_proj"]);
}

#[test]
fn bad_wishes_are_refused_and_leave_nothing_behind() {
    let root = fixture_library();
    // One of another base, one with NaN, one broken, one with more than A and B.
    let config = NewAdapterConfig {
        revision: None,
        base: "wide".into(),
        r: 4,
        alpha: 4.0,
        dropout: 0.0,
        targets: vec!["q_proj".into()],
    };
    let q = |inputs: usize| NewLora {
        module: "model.layers.0.self_attn.q_proj".into(),
        rank: 4,
        in_features: inputs,
        out_features: 24,
        a: vec![1.0; 4 * inputs],
        b: vec![1.0; 4 * 24],
    };
    let write = |name: &str, lora: NewLora| {
        write_adapter(&root.path().join(name), &[lora], &config, DType::F32, &Provenance::default()).unwrap()
    };
    write("wide", q(25));
    write("negative", q(24));
    write("nan", q(24));
    let weights = root.path().join("nan/adapter_model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(weights, bytes).unwrap();
    std::fs::create_dir(root.path().join("broken")).unwrap();
    std::fs::write(root.path().join("broken/adapter_config.json"), "{").unwrap();
    let before = entries(root.path());

    let refuse = |wrong: MergeSpec, usage: bool, expected: &str| {
        let error = run(root.path(), &wrong).unwrap_err();
        assert_eq!(matches!(error, Error::Usage(_)), usage, "{error}");
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.lines().count(), 1);
    };
    let of = |method, experts: &[&str]| spec(method, experts, "new");
    let weighted = |weights: &[f64]| MergeSpec {
        weights: Some(weights.to_vec()),
        ..spec(MergeMethod::LINEAR, &["a", "b"], "new")
    };
    refuse(of(MergeMethod::CAT, &["a", "nobody"]), false, "no expert is called `nobody`");
    refuse(of(MergeMethod::CAT, &["a,,b"]), false, "no expert is called ``");
    refuse(of(MergeMethod::CAT, &[]), true, "--experts is empty");
    refuse(of(MergeMethod::CAT, &["a", "b", "a"]), true, "a is named twice");
    refuse(of(MergeMethod::CAT, &["a", "broken"]), false, "adapter_config.json");
    refuse(of(MergeMethod::SVD, &["a", "nan"]), false, "NaN");
    refuse(
        of(MergeMethod::SVD, &["a", "wide"]),
        false,
        "'a' and 'wide' do not belong to the same base model",
    );
    refuse(
        of(MergeMethod::TIES, &["a", "odd"]),
        true,
        &format!(
            "'a' has rank 4, 'odd' has 3; use --method {}",
            MergeMethod::ids(|method| !method.entrywise)
        ),
    );
    refuse(weighted(&[1.0]), true, "1 weight for 2 experts");
    refuse(weighted(&[1.0, f64::NAN]), true, "finite number, not NaN");
    refuse(weighted(&[1.0, f64::INFINITY]), true, "finite number, not inf");
    refuse(weighted(&[1e300, 1e300]), false, "not finite: the weights are too large");
    refuse(weighted(&[0.0, 0.0]), false, "zero everywhere");
    refuse(MergeSpec { rank: Some(0), ..of(MergeMethod::SVD, &["a"]) }, true, "a whole number from 1");
    refuse(MergeSpec { rank: Some(5), ..of(MergeMethod::SVD, &["a"]) }, true, "which is 4");
    refuse(
        MergeSpec { rank: Some(2), ..of(MergeMethod::CAT, &["a"]) },
        true,
        "--rank goes with --method svd",
    );
    for density in [0.0, -0.5, 1.5, f64::NAN] {
        let wrong = MergeSpec { density: Some(density), ..of(MergeMethod::DARE, &["a"]) };
        refuse(wrong, true, "above 0 and at most 1");
    }
    refuse(MergeSpec { density: Some(0.5), ..of(MergeMethod::SVD, &["a"]) }, true, "--density goes with");
    refuse(MergeSpec { seed: Some(1), ..of(MergeMethod::TIES, &["a"]) }, true, "--seed goes with");
    refuse(MergeSpec { name: "a".into(), ..of(MergeMethod::CAT, &["a"]) }, false, "exists already");
    for name in ["", "../out", "a/b", ".hidden", "-dash", "library.toml"] {
        refuse(MergeSpec { name: name.into(), ..of(MergeMethod::CAT, &["a"]) }, true, "cannot be the name");
    }
    let cancel = Cancel::new();
    cancel.cancel();
    let library = Catalog::open(root.path(), None).unwrap();
    let stopped = merge(&library, &of(MergeMethod::CAT, &["a"]), &mut |_, _| {}, &cancel);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert_eq!(entries(root.path()), before);
}

#[test]
fn what_a_sum_of_lora_cannot_hold_is_refused_and_not_dropped() {
    let root = fixture_library();
    let path = root.path().join("b/adapter_model.safetensors");
    let plain = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let layer = "base_model.model.model.layers.0.self_attn.q_proj";
    let rows = |shape: &[usize]| candle_core::Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
    for (name, shape, expected) in [
        (format!("{layer}.lora_magnitude_vector"), &[24][..], "DoRA's magnitude at model.layers.0"),
        (format!("{layer}.lora_B.bias"), &[24], "a bias"),
        ("base_model.model.lm_head.weight".into(), &[16, 24], "a replaced lm_head.weight"),
    ] {
        let mut tensors = plain.clone();
        tensors.insert(name, rows(shape));
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let error = run(root.path(), &spec(MergeMethod::CAT, &["a", "b"], "new")).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("leave it out"), "{error}");
    }
    assert_eq!(entries(root.path()), ["a", "b", "odd"]);
}

#[test]
fn experts_whose_factors_have_nothing_to_do_with_each_other_are_told() {
    let root = fixture_library();
    for (name, seed, base) in [("a", 1, "tiny"), ("b", 2, "other")] {
        std::fs::write(root.path().join(name).join("expert.toml"), format!("seed = {seed}")).unwrap();
        let config = root.path().join(name).join("adapter_config.json");
        let text = std::fs::read_to_string(&config).unwrap().replace("\"tiny\"", &format!("{base:?}"));
        std::fs::write(config, text).unwrap();
    }
    let warnings = |method: MergeMethod| {
        run(root.path(), &spec(method, &["a", "b"], &format!("by-{}", method.id))).unwrap().warnings
    };
    let ties = warnings(MergeMethod::TIES);
    assert!(ties.iter().any(|w| w.contains("different seeds ('a' from 1, 'b' from 2)")), "{ties:?}");
    let svd = warnings(MergeMethod::SVD);
    assert_eq!(svd, ["'a' names tiny as its base model, 'b' other: tiny is recorded"]);
}

/// What is in the library but for its derived data.
fn entries(root: &Path) -> Vec<String> {
    let names = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != ".lora-tui").collect();
    names.sort();
    names
}
