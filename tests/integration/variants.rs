//! Every kind of LoRA that PEFT writes, alone, in a mean and under Arrow, against what
//! `tests/fixtures/make_variants.py` computed with PEFT and from the formulas.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use lora_tui::library::{Library, Skipped, Status};
use lora_tui::model::{LoadOptions, Precision};
use lora_tui::routing::{Part, Prompt, RouterConfig, Session, TEMPERATURE, TOP_K, Trace};
use lora_tui::train::LoraTrainer;
use lora_tui::{Cancel, Error};

use crate::support::models::test_each_ops;
use crate::support::repository;

const TOLERANCE: f32 = 1e-4;
const LIBRARIES: [&str; 7] = ["linear", "replaced", "tied", "biases", "fused", "fused_phi3", "scaled"];

struct Case {
    library: Library,
    session: Session,
    facts: serde_json::Value,
    tensors: HashMap<String, Tensor>,
    prompt: Prompt,
}

fn root() -> PathBuf {
    repository().join("tests/fixtures/variants")
}

impl Case {
    fn open(name: &str) -> Self {
        Self::with(name, Precision::F32)
    }

    fn with(name: &str, precision: Precision) -> Self {
        Self::load(name, LoadOptions { device: "cpu".into(), precision })
    }

    fn on(name: &str, device: &str) -> Self {
        Self::load(name, LoadOptions { device: device.into(), precision: Precision::F32 })
    }

    fn load(name: &str, options: LoadOptions) -> Self {
        let folder = root().join(name);
        let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
        let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
        let tensors = candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu);
        let library = Library::open(&folder).unwrap();
        let base = root().join("bases").join(facts["base"].as_str().unwrap());
        let session = Session::open(&library, &base, &options, &mut |_| {}, &Cancel::new()).unwrap();
        assert!(library.experts.iter().all(|e| e.is_usable()), "{name}: {:?}", library.experts);
        assert_eq!(session.skipped(), [], "{name}");
        let ids: Vec<u32> = serde_json::from_value(facts["token_ids"].clone()).unwrap();
        let prompt = Prompt { parts: vec![Part::Prompt; ids.len()], ids };
        Self { library, session, facts, tensors: tensors.unwrap(), prompt }
    }

    fn run(&mut self, config: RouterConfig) -> (Vec<f32>, Trace) {
        self.session.set_router(config).unwrap();
        let (logits, trace) = self.session.logits(&self.prompt, &Cancel::new()).unwrap();
        (values(&logits), trace)
    }

    /// Arrow with the fixture's settings over the experts that it can route over as a whole.
    fn arrow(&self) -> RouterConfig {
        let replacing = self.session.experts().iter().filter(|name| name.starts_with("s_"));
        RouterConfig { muted: replacing.cloned().collect(), ..RouterConfig::default() }
            .with(&TOP_K, self.facts["top_k"].as_u64().unwrap() as usize)
            .with(&TEMPERATURE, self.facts["temperature"].as_f64().unwrap())
    }

    fn near(&self, what: &str, got: &[f32], wanted: &str) {
        let wanted = values(&self.tensors[wanted]);
        assert_eq!(got.len(), wanted.len(), "{what}");
        let off = got.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off <= TOLERANCE, "{what}: off by {off}");
        assert!(got.iter().all(|v| v.is_finite()), "{what}");
    }
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn router(text: &str) -> RouterConfig {
    text.parse().unwrap()
}

fn every_expert_alone_is_what_peft_computes(device: &str) {
    for name in LIBRARIES {
        let mut case = Case::on(name, device);
        for expert in case.session.experts().to_vec() {
            let (logits, _) = case.run(RouterConfig::single(expert.clone()));
            case.near(&format!("{name} {expert}"), &logits, &format!("single.{expert}.logits"));
            assert_eq!(case.session.not_applied(), [], "{name}");
        }
    }
}

fn the_uniform_mean_is_that_of_all_parameters(device: &str) {
    for name in LIBRARIES {
        let mut case = Case::on(name, device);
        let (logits, _) = case.run(router("uniform"));
        case.near(&format!("{name} uniform"), &logits, "uniform.logits");
    }
}

fn arrow_mixes_what_is_linear_in_a_token(device: &str) {
    for name in ["linear", "tied", "fused", "fused_phi3", "scaled"] {
        let mut case = Case::on(name, device);
        let (logits, trace) = case.run(case.arrow());
        case.near(&format!("{name} arrow"), &logits, "arrow.logits");
        // The fixture's experts are those that replace nothing, in the same order.
        let routed: Vec<usize> =
            (0..trace.experts.len()).filter(|&e| !trace.experts[e].starts_with("s_")).collect();
        for (m, module) in trace.modules.iter().enumerate() {
            let Some(wanted) = case.tensors.get(&format!("weights.{module}")) else { continue };
            let wanted = values(wanted);
            for t in 0..trace.tokens.len() {
                let mut row = vec![0f32; routed.len()];
                for &(e, w) in trace.weights(t, m) {
                    row[routed.iter().position(|&r| r == e as usize).unwrap()] = w;
                }
                let wanted = &wanted[t * routed.len()..(t + 1) * routed.len()];
                let off = row.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 1e-5, "{name} {module} {t}: {row:?}, not {wanted:?}");
            }
        }
    }
}

#[test]
fn modules_of_a_trace_stand_in_the_order_of_the_network() {
    let case = Case::open("linear");
    let modules = case.session.modules();
    assert_eq!(modules.first().unwrap(), "model.embed_tokens");
    assert_eq!(modules.last().unwrap(), "lm_head");
}

fn a_continued_prompt_is_the_prompt_at_once(device: &str) {
    let mut case = Case::on("linear", device);
    let config = case.arrow();
    let (_, whole) = case.run(config.clone());
    case.session.set_router(config).unwrap();
    let all = case.prompt.clone();
    for length in 1..=all.ids.len() {
        let part = Prompt { ids: all.ids[..length].to_vec(), parts: all.parts[..length].to_vec() };
        case.session.route_tokens(&part, &Cancel::new()).unwrap();
    }
    let grown = case.session.route_tokens(&all, &Cancel::new()).unwrap();
    for t in 0..all.ids.len() {
        for m in 0..whole.modules.len() {
            let (a, b) = (whole.weights(t, m), grown.weights(t, m));
            assert_eq!(a.len(), b.len());
            assert!(a.iter().zip(b).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-5), "{a:?} {b:?}");
        }
    }
}

fn factors_of_one_expert_are_that_expert(device: &str) {
    let mut case = Case::on("linear", device);
    let names = case.session.experts().to_vec();
    for expert in &names {
        let muted = names.iter().filter(|name| *name != expert).cloned().collect();
        let config = RouterConfig { muted, ..router("uniform-factors") };
        let (logits, _) = case.run(config);
        case.near(expert, &logits, &format!("single.{expert}.logits"));
    }
}

#[test]
fn what_arrow_leaves_out_is_told() {
    let mut case = Case::open("replaced");
    let row = |case: &Case, name: &str| case.library.expert(name).unwrap().clone();
    assert_eq!(row(&case, "plain").status(), Status::Ok);
    for (name, told) in [
        ("s_head", "not applied by Arrow: 2 trained parameters (such as lm_head.weight)"),
        ("s_tokens", "not applied by Arrow: trained tokens of model.embed_tokens"),
    ] {
        let expert = row(&case, name);
        assert_eq!((expert.status(), expert.reason()), (Status::Partial, Some(told)));
        assert_eq!(expert.not_applied(true), Some(told));
        assert_eq!(expert.not_applied(false), None);
    }
    // Its LoRA is routed over all the same.
    let muted = ["plain", "s_head", "s_layers", "s_tokens_both"].map(String::from).to_vec();
    let (routed, trace) = case.run(RouterConfig { muted, ..RouterConfig::default() });
    assert_eq!(trace.weights(0, 0), [(3, 1.0)]);
    let (alone, _) = case.run(RouterConfig::single("s_tokens"));
    assert!(routed.iter().zip(&alone).any(|(a, b)| (a - b).abs() > 0.01));
}

/// The model that an 8-bit base is, with the expert on top of it, is exact to the 8 bits of the activations.
#[test]
fn variants_work_on_a_quantised_base() {
    let (mut exact, mut quantised) = (Case::open("linear"), Case::with("linear", Precision::Q8));
    let relative = |a: &[f32], b: &[f32]| {
        let square = |v: &mut dyn Iterator<Item = f32>| v.map(|v| v * v).sum::<f32>().sqrt();
        square(&mut a.iter().zip(b).map(|(a, b)| a - b)) / square(&mut b.iter().copied())
    };
    let base = relative(&quantised.run(RouterConfig::base()).0, &exact.run(RouterConfig::base()).0);
    for expert in exact.session.experts().to_vec() {
        let config = RouterConfig::single(expert.clone());
        let off = relative(&quantised.run(config.clone()).0, &exact.run(config).0);
        assert!(off < 4.0 * base && off < 0.1, "{expert}: {off}, the base {base}");
    }
}

/// Experts carry copies of an embedding that the base model stores rounded: they are still seen to be copies.
#[test]
fn what_is_told_of_experts_does_not_depend_on_the_precision() {
    for name in LIBRARIES {
        let told = |precision| {
            let mut case = Case::with(name, precision);
            case.session.set_router(RouterConfig::default()).unwrap();
            case.session.not_applied()
        };
        let wanted = told(Precision::F32);
        assert_eq!(told(Precision::Bf16), wanted, "{name}");
        assert_eq!(told(Precision::Q8), wanted, "{name}");
    }
}

fn general_knowledge_is_taken_out_as_peft_does(device: &str) {
    let mut case = Case::on("general", device);
    let general = vec!["general_a".to_string(), "general_b".to_string()];
    let config = RouterConfig { general: general.clone(), ..case.arrow() };
    let (logits, trace) = case.run(config.clone());
    case.near("GenKnowSub", &logits, "general.logits");
    for t in 0..trace.tokens.len() {
        assert!(trace.weights(t, 0).iter().all(|w| w.0 >= 2), "general experts do not speak");
    }
    // Without them, everything is as it was.
    let (logits, _) = case.run(RouterConfig::single("task_b"));
    case.near("task_b", &logits, "single.task_b.logits");

    let single = RouterConfig { general: general.clone(), ..RouterConfig::single("general_a") };
    assert!(matches!(case.session.set_router(single), Err(Error::Usage(_))));
    let unknown = RouterConfig { general: vec!["nobody".into()], ..RouterConfig::default() };
    assert!(matches!(case.session.set_router(unknown), Err(Error::Usage(_))));
    // A refused setting changes nothing.
    let (logits, _) = case.run(config);
    case.near("GenKnowSub again", &logits, "general.logits");

    let mut mixed = Case::on("linear", device);
    let config = RouterConfig { general: vec!["dora".into()], ..RouterConfig::default() };
    let error = mixed.session.set_router(config).unwrap_err().to_string();
    assert!(error.contains("equal ranks") && error.contains("dora has rank 3"), "{error}");
}

fn a_pinned_expert_is_always_among_the_top_k(device: &str) {
    let mut case = Case::on("general", device);
    let muted = vec!["general_a".to_string(), "general_b".to_string()];
    let pinned = vec!["task_c".to_string()];
    let config = RouterConfig { muted: muted.clone(), pinned: pinned.clone(), ..case.arrow() };
    let (logits, trace) = case.run(config.clone());
    case.near("pinned", &logits, "pinned.logits");
    for t in 0..trace.tokens.len() {
        for m in 0..trace.modules.len() {
            let row = trace.weights(t, m);
            assert_eq!(row.len(), 2);
            assert!(row.iter().any(|w| w.0 == 4) && row[0].1 >= row[1].1, "{row:?}");
        }
    }
    // More pins than k: all of them speak.
    let all = ["task_a", "task_b", "task_c"].map(String::from).to_vec();
    let (_, trace) = case.run(RouterConfig { pinned: all, ..config.clone() }.with(&TOP_K, 1));
    assert_eq!(trace.weights(0, 0).len(), 3);
    let both = RouterConfig { muted: pinned, ..config };
    assert!(matches!(case.session.set_router(both), Err(Error::Usage(_))));
}

/// Writes an expert of PEFT's layout with LoRA on `q_proj` and these tensors besides.
fn write(dir: &Path, name: &str, config: serde_json::Value, tensors: &[(&str, Tensor)]) {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut all: HashMap<String, Tensor> =
        tensors.iter().map(|(name, t)| (format!("base_model.model.{name}"), t.clone())).collect();
    for (factor, shape) in [("lora_A", (2, 32)), ("lora_B", (32, 2))] {
        let name = format!("base_model.model.model.layers.0.self_attn.q_proj.{factor}.weight");
        all.insert(name, Tensor::randn(0f32, 0.3, shape, &Device::Cpu).unwrap());
    }
    candle_core::safetensors::save(&all, folder.join("adapter_model.safetensors")).unwrap();
    let mut json =
        serde_json::json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]});
    json.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    std::fs::write(folder.join("adapter_config.json"), json.to_string()).unwrap();
}

fn open_on(base: &str, dir: &Path) -> Session {
    let options = LoadOptions { device: "cpu".into(), precision: Precision::F32 };
    let library = Library::open(dir).unwrap();
    Session::open(&library, &root().join("bases").join(base), &options, &mut |_| {}, &Cancel::new()).unwrap()
}

#[test]
fn what_does_not_fit_the_base_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let random = |shape: &[usize]| Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap();
    let none = serde_json::json!({});
    let tokens = |ids: &[u32]| serde_json::json!({"trainable_token_indices": ids});
    let delta = "model.embed_tokens.token_adapter.trainable_tokens_delta";
    write(dir.path(), "a_score", none.clone(), &[("score.weight", random(&[2, 32]))]);
    write(dir.path(), "b_shape", none.clone(), &[("lm_head.weight", random(&[33, 32]))]);
    write(dir.path(), "c_token", tokens(&[31]), &[(delta, random(&[1, 32]))]);
    write(dir.path(), "d_width", tokens(&[3]), &[(delta, random(&[1, 16]))]);
    let nan = Tensor::full(f32::NAN, 32, &Device::Cpu).unwrap();
    write(dir.path(), "e_nan", none.clone(), &[("model.norm.weight", nan)]);
    let table = [
        ("model.embed_tokens.lora_embedding_A", random(&[2, 40])),
        ("model.embed_tokens.lora_embedding_B", random(&[32, 2])),
    ];
    write(dir.path(), "f_vocab", none, &table);
    let session = open_on("llama", dir.path());
    assert_eq!(session.experts(), ["a_score"]);
    let Skipped { name, reason } = &session.not_applied()[0];
    assert!(
        name == "a_score" && reason.contains("score.weight, which the base model does not have"),
        "{reason}"
    );
    for (Skipped { name, reason }, (wanted, told)) in session.skipped().iter().zip([
        ("b_shape", "lm_head.weight is [33, 32] in the expert, [31, 32] in the base model"),
        ("c_token", "trains token 31, but the base model has 31 tokens"),
        ("d_width", "have 16 numbers, the base model's 32"),
        ("e_nan", "the parameter of model.norm.weight has NaN"),
        ("f_vocab", "model.embed_tokens is 40 → 32 in the expert, 31 → 32 in the base model"),
    ]) {
        assert!(name == wanted && reason.contains(told), "{name}: {reason}");
    }
    assert_eq!(session.skipped().len(), 5);
}

/// PEFT writes the embedding along when it is adapted. If that is not the base model's, it takes its place, and
/// that of a head that shares it.
#[test]
fn a_copy_that_differs_is_applied_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let base =
        candle_core::safetensors::load(root().join("bases/tied/model.safetensors"), &Device::Cpu).unwrap();
    let table = base["model.embed_tokens.weight"].to_dtype(candle_core::DType::F32).unwrap();
    let copy = "model.embed_tokens.base_layer.weight";
    let rest = |t: Tensor| {
        vec![
            (copy, t),
            (
                "model.embed_tokens.lora_embedding_A",
                Tensor::zeros((2, 31), candle_core::DType::F32, &Device::Cpu).unwrap(),
            ),
            (
                "model.embed_tokens.lora_embedding_B",
                Tensor::zeros((16, 2), candle_core::DType::F32, &Device::Cpu).unwrap(),
            ),
        ]
    };
    let narrow = |dir: &Path, name: &str, t: Tensor| {
        // q_proj of this base is 16 → 16: leave it out, the embedding is LoRA enough.
        write(dir, name, serde_json::json!({"target_modules": ["embed_tokens"]}), &rest(t));
        let path = dir.join(name).join("adapter_model.safetensors");
        let mut all = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        all.retain(|name, _| !name.contains("q_proj"));
        candle_core::safetensors::save(&all, path).unwrap();
    };
    narrow(dir.path(), "same", table.to_dtype(candle_core::DType::BF16).unwrap());
    narrow(dir.path(), "scaled", (&table * 2.0).unwrap());
    let mut session = open_on("tied", dir.path());
    // A and B are zero in both, which is reported besides.
    let (zero, told): (Vec<_>, Vec<_>) =
        session.not_applied().into_iter().partition(|skipped| skipped.reason.contains("ΔW is zero"));
    assert_eq!(zero.len(), 2, "{zero:?}");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].name == "scaled" && told[0].reason.contains("differs from the base model's by 100.0 %"),
        "{told:?}"
    );
    let prompt = Prompt { ids: vec![3, 17, 5], parts: vec![Part::Prompt; 3] };
    let mut run = |config| {
        session.set_router(config).unwrap();
        values(&session.logits(&prompt, &Cancel::new()).unwrap().0)
    };
    let (plain, same) = (run(RouterConfig::base()), run(RouterConfig::single("same")));
    let off = plain.iter().zip(&same).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-6, "{off}");
    let scaled = run(RouterConfig::single("scaled"));
    assert!(plain.iter().zip(&scaled).any(|(a, b)| (a - b).abs() > 0.1));
    // The head has twice the weights too: the last norm takes the length out of what comes from below.
    let mean = |v: &[f32]| v.iter().map(|v| v.abs()).sum::<f32>();
    assert!(mean(&scaled) > 1.5 * mean(&plain), "{} {}", mean(&scaled), mean(&plain));
}

test_each_ops!(
    every_expert_alone_is_what_peft_computes,
    the_uniform_mean_is_that_of_all_parameters,
    arrow_mixes_what_is_linear_in_a_token,
    a_continued_prompt_is_the_prompt_at_once,
    factors_of_one_expert_are_that_expert,
    general_knowledge_is_taken_out_as_peft_does,
    a_pinned_expert_is_always_among_the_top_k,
);

#[test]
fn training_starts_from_plain_lora_only() {
    let case = Case::open("linear");
    let model = case.session.model();
    let mut lora =
        LoraTrainer::new(&model.decoder, &["q_proj", "v_proj"].map(String::from), 2, 4.0, 0.0, 1).unwrap();
    let mut start = |library: &str, name: &str| {
        let library = Library::open(&root().join(library)).unwrap();
        let adapter = library.expert(name).unwrap().load().unwrap();
        lora.start_from(&adapter).map_err(|e| e.to_string())
    };
    assert_eq!(start("replaced", "plain"), Ok(()));
    for (library, name, told) in [
        ("linear", "bias", "a bias of B at model.layers.0.self_attn.q_proj"),
        ("linear", "dora", "DoRA at"),
        ("linear", "head", "lm_head, which is no target"),
        ("replaced", "s_head", "trains lm_head.weight"),
        ("replaced", "s_tokens", "tokens of model.embed_tokens"),
    ] {
        let error = start(library, name).unwrap_err();
        assert!(error.contains(told) && error.contains("start from plain LoRA"), "{name}: {error}");
    }
}
