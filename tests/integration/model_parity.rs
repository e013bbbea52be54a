//! Base models, routers and prototypes against transformers and PEFT, and the laws that routing obeys.

use std::path::Path;

use lora_tui::analysis::{PrototypeCache, prototype};
use lora_tui::catalog::Catalog;
use lora_tui::library::Library;
use lora_tui::model::{ForwardPass, KvCache, Model, NoHook, base_shape};
use lora_tui::routing::{
    ExpertSet, MIX, Mix, Part, Prompt, ResolvedRouter, RoutedHook, RouterConfig, Session, TEMPERATURE, TOP_K,
    Trace,
};
use lora_tui::{Cancel, Error, Result};

use crate::support::experts::{lora, write_expert};
use crate::support::models::{FAMILIES, Fixture, cpu, on, test_each_ops, values};

const TOLERANCE: f32 = 1e-4;

fn prompt(ids: &[u32]) -> Prompt {
    Prompt { ids: ids.to_vec(), parts: vec![Part::Prompt; ids.len()] }
}

fn open(fixture: &Fixture, library: &str, device: &str) -> Session {
    open_session(fixture, &fixture.library(library), device)
}

fn open_session(fixture: &Fixture, library: &Library, device: &str) -> Session {
    Session::open(library, &fixture.base(), &on(device), &mut |_| {}, &Cancel::new()).unwrap()
}

fn run(session: &mut Session, config: RouterConfig, ids: &[u32]) -> (Vec<f32>, Trace) {
    session.set_router(config).unwrap();
    let (logits, trace) = session.logits(&prompt(ids), &Cancel::new()).unwrap();
    (values(&logits), trace)
}

fn router(text: &str) -> RouterConfig {
    text.parse().unwrap()
}

/// The settings of the fixture's Arrow.
fn arrow(fixture: &Fixture) -> RouterConfig {
    RouterConfig::default()
        .with(&TOP_K, fixture.facts["top_k"].as_u64().unwrap() as usize)
        .with(&TEMPERATURE, fixture.facts["temperature"].as_f64().unwrap())
}

/// Weights [tokens, experts] of a module.
fn dense(trace: &Trace, module: usize) -> Vec<f32> {
    let experts = trace.experts.len();
    let mut out = vec![0f32; trace.tokens.len() * experts];
    for t in 0..trace.tokens.len() {
        for &(e, w) in trace.weights(t, module) {
            out[t * experts + e as usize] += w;
        }
    }
    out
}

/// Largest absolute difference; the lengths must agree.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

#[track_caller]
fn near(what: &str, a: &[f32], b: &[f32]) {
    let d = distance(a, b);
    println!("{what}: {d:e}");
    assert!(d <= TOLERANCE, "{what} is off by {d}");
}

fn plain(model: &Model, ids: &[u32], lengths: &[usize], caches: &mut [&mut KvCache]) -> Result<Vec<f32>> {
    let (mut hook, cancel) = (NoHook, Cancel::new());
    let pass = ForwardPass::new(&mut hook, &cancel).cached(caches.iter_mut().map(|c| &mut **c));
    let hidden = model.decoder.forward(ids, lengths, pass)?;
    Ok(model.decoder.logits(&hidden)?.values()?.into_owned())
}

#[test]
fn the_sizes_of_layers_follow_from_the_configuration() {
    for family in FAMILIES {
        let f = Fixture::open(family);
        let sizes = base_shape(&f.base()).unwrap().layers;
        let model = f.model();
        let linears = model.decoder.linears();
        let spec = &model.decoder.spec;
        assert_eq!(sizes.get(spec.names.head), Some(&(spec.hidden, spec.vocab)), "{family}");
        assert_eq!(sizes.get(spec.names.embed), Some(&(spec.vocab, spec.hidden)), "{family}");
        assert_eq!(sizes.len(), linears.len() + 2, "{family}");
        for linear in linears {
            let there = sizes.get(&linear.module).copied();
            assert_eq!(there, Some((linear.in_features, linear.out_features)), "{family} {}", linear.module);
        }
    }
}

#[test]
fn a_library_keeps_to_the_base_that_is_given_else_to_its_own() {
    let (llama, phi) = (Fixture::open("llama"), Fixture::open("phi"));
    let root = tempfile::tempdir().unwrap();
    for (from, to) in [(&llama, "a"), (&phi, "b"), (&phi, "c")] {
        std::fs::create_dir(root.path().join(to)).unwrap();
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            let from = from.folder.join("experts/expert_0").join(file);
            std::fs::copy(from, root.path().join(to).join(file)).unwrap();
        }
    }
    let left = |base: Option<&Path>| -> Vec<String> {
        let library = Catalog::open(root.path(), base).unwrap();
        library.experts.iter().filter(|e| e.misfit().is_some()).map(|e| e.name.clone()).collect()
    };
    assert_eq!(left(None), ["a"]);
    assert_eq!(left(Some(&llama.base())), ["b", "c"]);
    assert_eq!(left(Some(&phi.base())), ["a"]);
    let manifest = format!("[base]\npath = {:?}\n", llama.base());
    std::fs::write(root.path().join("library.toml"), manifest).unwrap();
    assert_eq!(left(None), ["b", "c"]);
    assert_eq!(left(Some(&phi.base())), ["a"]);
    assert!(Catalog::open(root.path(), Some(root.path())).is_err());
    // Routing leaves out the same ones.
    let library = Catalog::open(root.path(), Some(&phi.base())).unwrap();
    let session = Session::open(&library, &phi.base(), &cpu(), &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!(session.experts(), ["b", "c"]);
}

fn base_logits_are_those_of_transformers(device: &str) {
    for name in FAMILIES.into_iter().chain(["linear", "yarn", "longrope"]) {
        let f = Fixture::open(name);
        let model = f.model_on(device);
        let full = plain(&model, &f.ids, &[f.ids.len()], &mut []).unwrap();
        near(&format!("{name} base"), &full, &f.values("base.logits"));
        // Shorter than the window and than longrope's original context.
        let short = plain(&model, &f.ids[..6], &[6], &mut []).unwrap();
        near(&format!("{name} short"), &short, &f.values("short.logits"));
    }
}

fn routed_logits_and_weights_are_those_of_peft(device: &str) {
    for name in FAMILIES {
        let f = Fixture::open(name);
        let mut session = open(&f, "experts", device);
        assert!(session.skipped().is_empty(), "{name}: {:?}", session.skipped());
        for expert in session.experts().to_vec() {
            let (logits, _) = run(&mut session, RouterConfig::single(expert.clone()), &f.ids);
            near(&format!("{name} {expert}"), &logits, &f.values(&format!("single.{expert}.logits")));
        }
        for (text, key) in [("base", "base"), ("uniform", "uniform"), ("uniform-factors", "uniform_factors")]
        {
            let (logits, _) = run(&mut session, router(text), &f.ids);
            near(&format!("{name} {key}"), &logits, &f.values(&format!("{key}.logits")));
        }
        let (logits, trace) = run(&mut session, arrow(&f), &f.ids);
        near(&format!("{name} arrow"), &logits, &f.values("arrow.logits"));
        let routed = f.tensors.keys().filter(|k| k.starts_with("weights.")).count();
        assert_eq!(trace.modules.len(), routed, "{name}");
        for (m, module) in trace.modules.iter().enumerate() {
            near(&format!("{name} {module}"), &dense(&trace, m), &f.values(&format!("weights.{module}")));
        }
    }
}

fn experts_of_any_rank_scale_dtype_and_targets_are_those_of_peft(device: &str) {
    for name in FAMILIES {
        let f = Fixture::open(name);
        let mut session = open(&f, "mixed", device);
        assert_eq!(session.experts(), ["full", "patterned", "rslora"], "{name}: {:?}", session.skipped());
        for expert in session.experts().to_vec() {
            let (logits, _) = run(&mut session, RouterConfig::single(expert.clone()), &f.ids);
            near(&format!("{name} {expert}"), &logits, &f.values(&format!("single.{expert}.logits")));
        }
        let (logits, _) = run(&mut session, router("uniform"), &f.ids);
        near(&format!("{name} mixed"), &logits, &f.values("mixed_uniform.logits"));
        let error = session.set_router(router("uniform-factors")).unwrap_err();
        assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("equal ranks"), "{error}");
    }
}

#[test]
fn prototypes_are_exact() {
    for name in FAMILIES {
        let f = Fixture::open(name);
        for (e, expert) in f.library("experts").usable().enumerate() {
            for module in &expert.load().unwrap().modules {
                let s = &module.shape;
                let (a, b) = (module.a().unwrap(), module.b().unwrap());
                let found = prototype(&a, &b, s.rank, s.in_features, s.out_features).vector;
                let wanted = f.values(&format!("prototype.{}", s.module));
                let wanted = &wanted[e * s.in_features..(e + 1) * s.in_features];
                let cos: f32 = found.iter().zip(wanted).map(|(a, b)| a * b).sum();
                assert!(cos.abs() >= 0.9999, "{name} {} {}: {cos}", expert.name, s.module);
            }
        }
    }
}

fn batches_and_caches_change_nothing(device: &str) {
    for name in FAMILIES.into_iter().chain(["yarn"]) {
        let f = Fixture::open(name);
        let model = f.model_on(device);
        let vocab = model.decoder.spec.vocab;
        let whole = plain(&model, &f.ids, &[f.ids.len()], &mut []).unwrap();

        let parts = [&f.ids[..5], &f.ids[..], &f.ids[3..7]];
        let lengths = parts.map(<[u32]>::len);
        let together = plain(&model, &parts.concat(), &lengths, &mut []).unwrap();
        let apart: Vec<f32> =
            parts.iter().flat_map(|p| plain(&model, p, &[p.len()], &mut []).unwrap()).collect();
        near(&format!("{name} batch"), &together, &apart);

        let mut cache = model.decoder.cache();
        let mut pieces = Vec::new();
        for (from, to) in [(0, 4), (4, 5), (5, 11), (11, f.ids.len())] {
            let part = &f.ids[from..to];
            pieces.extend(plain(&model, part, &[part.len()], &mut [&mut cache]).unwrap());
        }
        near(&format!("{name} cache"), &pieces, &whole);
        cache.truncate(6);
        let again = plain(&model, &f.ids[6..], &[f.ids.len() - 6], &mut [&mut cache]).unwrap();
        near(&format!("{name} cut cache"), &again, &whole[6 * vocab..]);
    }
}

fn batched_routing_is_that_of_single_sequences(device: &str) {
    let f = Fixture::open("llama");
    let model = f.model_on(device);
    let library = f.library("experts");
    let usable: Vec<_> = library.usable().collect();
    let set =
        ExpertSet::load(&usable, &model.decoder, &PrototypeCache::none(), &mut |_, _| {}, &Cancel::new())
            .unwrap();
    let router = ResolvedRouter::new(&arrow(&f), &set, &model.decoder).unwrap();
    let logits = |ids: &[u32], lengths: &[usize]| {
        let mut hook = RoutedHook::new(&set, &router);
        let hidden =
            model.decoder.forward(ids, lengths, ForwardPass::new(&mut hook, &Cancel::new())).unwrap();
        model.decoder.logits(&hidden).unwrap().values().unwrap().into_owned()
    };
    let (a, b) = (&f.ids[..7], &f.ids[4..]);
    let together = logits(&[a, b].concat(), &[a.len(), b.len()]);
    near("routed batch", &together, &[logits(a, &[a.len()]), logits(b, &[b.len()])].concat());
}

test_each_ops!(
    base_logits_are_those_of_transformers,
    routed_logits_and_weights_are_those_of_peft,
    experts_of_any_rank_scale_dtype_and_targets_are_those_of_peft,
    mixing_factors_of_one_expert_is_that_expert,
    muted_experts_and_those_without_the_module_get_nothing,
    ties_go_to_the_lower_index_and_an_empty_delta_is_no_candidate,
    batches_and_caches_change_nothing,
    batched_routing_is_that_of_single_sequences,
    an_edited_prompt_routes_as_from_scratch,
);

fn an_edited_prompt_routes_as_from_scratch(device: &str) {
    for name in ["llama", "mistral", "gpt_neox"] {
        let f = Fixture::open(name);
        let mut session = open(&f, "experts", device);
        session.set_router(arrow(&f)).unwrap();
        session.route_tokens(&prompt(&f.ids), &Cancel::new()).unwrap();
        let mut edited = f.ids.clone();
        edited[5] = (edited[5] + 7) % 61;
        edited.truncate(10);
        let warm = session.route_tokens(&prompt(&edited), &Cancel::new()).unwrap();
        let mut fresh = open(&f, "experts", device);
        fresh.set_router(arrow(&f)).unwrap();
        let cold = fresh.route_tokens(&prompt(&edited), &Cancel::new()).unwrap();
        assert_eq!(warm.tokens, cold.tokens);
        for (m, module) in cold.modules.iter().enumerate() {
            near(&format!("{name} edited {module}"), &dense(&warm, m), &dense(&cold, m));
        }
    }
}

#[test]
fn a_pass_wants_one_cache_per_sequence() {
    let f = Fixture::open("llama");
    let model = f.model();
    let mut cache = model.decoder.cache();
    let error = plain(&model, &f.ids[..4], &[2, 2], &mut [&mut cache]).unwrap_err().to_string();
    assert!(error.contains("one cache per sequence"), "{error}");
    assert!(cache.is_empty());
}

#[test]
fn a_cancelled_pass_leaves_the_session_usable() {
    let f = Fixture::open("llama");
    let mut session = open(&f, "experts", "cpu");
    session.set_router(arrow(&f)).unwrap();
    session.route_tokens(&prompt(&f.ids[..4]), &Cancel::new()).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(matches!(session.route_tokens(&prompt(&f.ids), &cancel), Err(Error::Cancelled)));
    let trace = session.route_tokens(&prompt(&f.ids), &Cancel::new()).unwrap();
    for (m, module) in trace.modules.iter().enumerate() {
        near(module, &dense(&trace, m), &f.values(&format!("weights.{module}")));
    }
}

#[test]
fn weights_are_a_distribution_over_the_top_k() {
    let f = Fixture::open("qwen2");
    let mut session = open(&f, "experts", "cpu");
    for (top_k, most) in [(0, 3), (1, 1), (2, 2), (3, 3), (99, 3)] {
        let config = RouterConfig::default().with(&TOP_K, top_k).with(&TEMPERATURE, 0.8);
        let (_, trace) = run(&mut session, config, &f.ids);
        for m in 0..trace.modules.len() {
            for t in 0..f.ids.len() {
                let row = trace.weights(t, m);
                assert_eq!(row.len(), most);
                assert!((row.iter().map(|w| w.1).sum::<f32>() - 1.0).abs() < 1e-5);
                assert!(row.windows(2).all(|w| w[0].1 >= w[1].1), "heaviest first");
            }
        }
    }
}

#[test]
fn a_cold_softmax_is_the_top_expert_alone() {
    let f = Fixture::open("llama");
    let mut session = open(&f, "experts", "cpu");
    let cold = RouterConfig::default().with(&TOP_K, 0).with(&TEMPERATURE, 1e-6);
    let (cold, _) = run(&mut session, cold, &f.ids);
    let (one, _) = run(&mut session, RouterConfig::default().with(&TOP_K, 1), &f.ids);
    near("cold", &cold, &one);
}

fn mixing_factors_of_one_expert_is_that_expert(device: &str) {
    let f = Fixture::open("llama");
    let mut session = open(&f, "experts", device);
    let one = RouterConfig::default().with(&TOP_K, 1).with(&MIX, Mix::Outputs);
    let (outputs, _) = run(&mut session, one.clone(), &f.ids);
    let (factors, _) = run(&mut session, one.with(&MIX, Mix::Factors), &f.ids);
    near("factors", &factors, &outputs);
}

fn muted_experts_and_those_without_the_module_get_nothing(device: &str) {
    let f = Fixture::open("llama");
    let mut session = open(&f, "experts", device);
    let muted = vec!["expert_0".to_string(), "expert_2".to_string()];
    let (logits, trace) = run(&mut session, RouterConfig { muted, ..arrow(&f) }, &f.ids);
    near("the one that is left", &logits, &f.values("single.expert_1.logits"));
    for m in 0..trace.modules.len() {
        assert!((0..f.ids.len()).all(|t| trace.weights(t, m) == [(1, 1.0)]));
    }

    // q_proj: patterned and rslora; down_proj: full and patterned.
    let mut session = open(&f, "mixed", device);
    let (_, trace) = run(&mut session, arrow(&f).with(&TOP_K, 0), &f.ids);
    for (m, module) in trace.modules.iter().enumerate() {
        let absent = if module.ends_with("q_proj") { 0 } else { 2 };
        for t in 0..f.ids.len() {
            let row = trace.weights(t, m);
            assert_eq!(row.len(), 2, "{module}");
            assert!(row.iter().all(|w| w.0 != absent), "{module}: {row:?}");
            assert!((row[0].1 + row[1].1 - 1.0).abs() < 1e-6);
        }
    }
}

/// Writes an expert that adapts `model.layers.0.self_attn.q_proj` of the llama fixture.
fn write(dir: &Path, name: &str, module: &str, inputs: usize, b: f32) {
    let lora = lora(module, 1, (inputs, 32), |i| (i as f32).cos(), |_| b);
    write_expert(&dir.join(name), &[lora], 1.0);
}

fn ties_go_to_the_lower_index_and_an_empty_delta_is_no_candidate(device: &str) {
    let f = Fixture::open("llama");
    let dir = tempfile::tempdir().unwrap();
    let module = "model.layers.0.self_attn.q_proj";
    for (name, b) in [("a_empty", 0.0), ("b", 0.5), ("c", 0.5), ("d", 0.5)] {
        write(dir.path(), name, module, 32, b);
    }
    // Neither fits: they are left out with their reasons, and the others work.
    write(dir.path(), "e_other_model", "model.layers.9.self_attn.q_proj", 32, 0.5);
    write(dir.path(), "f_other_shape", module, 16, 0.5);
    let mut session = open_session(&f, &Library::open(dir.path()).unwrap(), device);
    assert_eq!(session.experts(), ["a_empty", "b", "c", "d"]);
    let reasons: Vec<&str> = session.skipped().iter().map(|s| s.reason.as_str()).collect();
    assert!(reasons[0].contains("no module model.layers.9"), "{reasons:?}");
    assert!(reasons[1].contains("16 → 32 in the expert, 32 → 32 in the base model"), "{reasons:?}");

    let (_, trace) = run(&mut session, RouterConfig::default().with(&TOP_K, 2), &f.ids);
    for t in 0..f.ids.len() {
        assert_eq!(trace.weights(t, 0), [(1, 0.5), (2, 0.5)]);
    }
}

#[test]
fn settings_that_make_no_sense_are_usage_errors() {
    let f = Fixture::open("llama");
    let mut session = open(&f, "experts", "cpu");
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let config = RouterConfig::default().with(&TEMPERATURE, temperature);
        assert!(matches!(session.set_router(config), Err(Error::Usage(_))), "{temperature}");
    }
    let error = session.set_router(RouterConfig::single("expert_7")).unwrap_err();
    assert!(matches!(error, Error::Usage(_)) && error.to_string().contains("near: expert_"), "{error}");
    let muted = vec!["nobody".to_string()];
    assert!(session.set_router(RouterConfig { muted, ..RouterConfig::default() }).is_err());
}

#[test]
fn tokens_and_contexts_out_of_range_are_usage_errors() {
    let f = Fixture::open("mistral");
    let model = f.model();
    let error = |ids: &[u32]| plain(&model, ids, &[ids.len()], &mut []).unwrap_err();
    let e = error(&[3, 61]);
    assert!(matches!(e, Error::Usage(_)) && e.to_string().contains("61 is out of range"), "{e}");
    let e = error(&[3; 49]);
    assert!(matches!(e, Error::Usage(_)) && e.to_string().contains("context of 48"), "{e}");
    assert!(matches!(error(&[]), Error::Usage(_)));
    let mut cache = model.decoder.cache();
    plain(&model, &[3; 40], &[40], &mut [&mut cache]).unwrap();
    assert!(plain(&model, &[3; 9], &[9], &mut [&mut cache]).is_err());
    assert_eq!(cache.len(), 40, "a refused pass leaves the cache as it was");
}

#[test]
fn broken_models_are_named() {
    let f = Fixture::open("llama");
    let dir = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(f.base().join("config.json")).unwrap();
    let weights = f.base().join("model.safetensors");
    let try_with = |config: &str, keep: &dyn Fn(&str) -> bool| -> String {
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        let mut tensors = candle_core::safetensors::load(&weights, &candle_core::Device::Cpu).unwrap();
        tensors.retain(|name, _| keep(name));
        candle_core::safetensors::save(&tensors, dir.path().join("model.safetensors")).unwrap();
        match Model::load(dir.path(), &cpu(), &mut |_, _| {}, &Cancel::new()) {
            Ok(_) => "loads".into(),
            Err(e) => e.to_string(),
        }
    };
    let change = |key: &str, value: serde_json::Value| {
        let mut json: serde_json::Value = serde_json::from_str(&config).unwrap();
        json[key] = value;
        json.to_string()
    };
    assert_eq!(try_with(&config, &|_| true), "loads");
    let e = try_with(&change("model_type", "mamba".into()), &|_| true);
    assert!(e.contains("\"mamba\" is not supported (known: gemma2,"), "{e}");
    let e = try_with(&config, &|name| name != "model.layers.1.mlp.up_proj.weight");
    assert!(e.contains("has no tensor model.layers.1.mlp.up_proj.weight"), "{e}");
    let e = try_with(&change("intermediate_size", 41.into()), &|_| true);
    assert!(e.contains("is [40, 32], the configuration wants [41, 32]"), "{e}");
    let e = try_with(&change("vocab_size", 62.into()), &|_| true);
    assert!(e.contains("embed_tokens.weight is [61, 32], the configuration wants [62, 32]"), "{e}");
    let e = try_with(&change("num_key_value_heads", 3.into()), &|_| true);
    assert!(e.contains("4 attention heads cannot share 3 key heads"), "{e}");
    let e = try_with(&change("hidden_act", "tanhshrink".into()), &|_| true);
    assert!(e.contains("activation \"tanhshrink\" is not supported"), "{e}");
    assert!(try_with("{", &|_| true).contains("is not valid JSON"));
    let e = Model::load(&dir.path().join("none"), &cpu(), &mut |_, _| {}, &Cancel::new()).unwrap_err();
    assert!(e.to_string().contains("does not exist"), "{e}");
}
