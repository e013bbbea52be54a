//! Routers that score, calibrate and vote against torch, and the laws that they obey. The fixtures are made by
//! `tests/fixtures/make_router_fixtures.py`.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use lora_tui::eval::{attribute, compare, differing, forced, generate_batch};
use lora_tui::library::Library;
use lora_tui::routing::{
    CalibrationPrompts, CalibrationText, GateTrainer, Knockout, Needs, OwnAnswer, OwnPrompts, OwnSource,
    Part, Prompt, PromptSource, ROUTERS, ResolvedRouter, RoutedHook, RouterConfig, SCORES, Scope, Score,
    Session, StateWeigher, Trace,
};
use lora_tui::train::{GateSpec, train_gates_as};
use lora_tui::{Cancel, Error};
use serde_json::Value;

use crate::own_data::{FEW_STEPS, own_prompts};
use crate::router_laws::scaled;
use crate::support::models::{Fixture, on, test_each_ops, values};

const FAMILIES: [&str; 3] = ["llama", "qwen2", "phi"];
const TOLERANCE: f32 = 1e-4;
/// Behind the first layer, where what f32 rounds off has gone through choices that differ little between experts.
const BEHIND: f32 = 4e-3;

fn tokens(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

pub fn source(prompts: Vec<Vec<u32>>) -> PromptSource {
    PromptSource::new(move || {
        let texts = prompts.iter().cloned().map(CalibrationText::Tokens).collect();
        Ok(CalibrationPrompts { source: "prompts of the test".into(), texts, ..Default::default() })
    })
}

pub fn open(fixture: &Fixture, library: &Library, device: &str, prompts: &[Vec<u32>]) -> Session {
    let mut session =
        Session::open(library, &fixture.base(), &on(device), &mut |_| {}, &Cancel::new()).unwrap();
    session.calibrate_with(source(prompts.to_vec()));
    session
}

/// A fixture with copies of its experts that may be written to.
pub fn copied(fixture: &Fixture, name: &str) -> (tempfile::TempDir, Library) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("library");
    crate::support::copy_folder(&fixture.folder.join(name), &folder);
    let library = Library::open(&folder).unwrap();
    (root, library)
}

pub fn run(session: &mut Session, text: &str, prompt: &Prompt) -> (Vec<f32>, Trace) {
    session.set_router(text.parse().unwrap()).unwrap();
    let (logits, trace) = session.logits(prompt, &Cancel::new()).unwrap();
    (values(&logits), trace)
}

pub fn dense(trace: &Trace, module: usize) -> Vec<f32> {
    let experts = trace.experts.len();
    let mut out = vec![0f32; trace.tokens.len() * experts];
    for t in 0..trace.tokens.len() {
        trace.weights(t, module).iter().for_each(|&(e, w)| out[t * experts + e as usize] += w);
    }
    out
}

#[track_caller]
pub fn near(what: &str, found: &[f32], wanted: &[f32]) {
    within(TOLERANCE, what, found, wanted);
}

#[track_caller]
pub fn within(tolerance: f32, what: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let off = found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / (1.0 + b.abs() / 10.0));
    let off = off.fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m });
    assert!(off <= tolerance, "{what} is off by {off}");
}

fn routers_give_what_torch_gives(device: &str) {
    for family in FAMILIES {
        let f = Fixture::open(family);
        let facts: Value =
            serde_json::from_str(&std::fs::read_to_string(f.folder.join("routers.json")).unwrap()).unwrap();
        let file = f.folder.join("routers.safetensors");
        let tensors: HashMap<String, Tensor> = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
        for name in ["experts", "mixed"] {
            let facts = &facts[name];
            let prompts: Vec<Vec<u32>> = facts["prompts"].as_array().unwrap().iter().map(tokens).collect();
            let (_root, library) = copied(&f, name);
            let mut session = open(&f, &library, device, &prompts);
            let names: Vec<&str> =
                facts["experts"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
            assert_eq!(session.experts(), names);
            let list = |name: &str, e: usize| facts[name][e].as_array().unwrap().iter().map(tokens);
            let own = |(e, name): (usize, &&str)| OwnPrompts {
                expert: (*name).into(),
                texts: list("own", e).map(CalibrationText::Tokens).collect(),
                answers: list("answers", e).map(OwnAnswer::Tokens).collect(),
            };
            let own: Vec<OwnPrompts> = names.iter().enumerate().map(own).collect();
            session.learn_from(OwnSource::new(move |_| Ok(own.clone())).with_gates(GateTrainer {
                train: |job, progress, cancel| {
                    let spec = GateSpec { steps: 4, rate: 0.05, warmup: 0.1, batch: 2 };
                    train_gates_as(spec, job, progress, cancel)
                },
                settings: || "4 steps".into(),
            }));
            let gates = session.learn(Needs::Gates, &mut |_| {}, &Cancel::new()).unwrap().gates.unwrap();
            for (m, module) in session.modules().iter().enumerate() {
                match tensors.get(&format!("{name}.gates.{module}")) {
                    Some(wanted) => within(
                        1e-3,
                        &format!("{family} {name} gates {module}"),
                        gates.raw(m),
                        &values(wanted),
                    ),
                    // Embedding and head.
                    None => assert!(
                        gates.raw(m).iter().all(|g| *g == 0.0) && !module.contains("layers."),
                        "{module}"
                    ),
                }
            }
            let ids = tokens(&facts["token_ids"]);
            let typed = facts["template_from"].as_u64().unwrap() as usize;
            let part = |t| if t < typed { Part::Prompt } else { Part::Template };
            let prompt = Prompt { parts: (0..ids.len()).map(part).collect(), ids };
            for (number, case) in facts["cases"].as_array().unwrap().iter().enumerate() {
                let text = case["router"].as_str().unwrap();
                let what = format!("{family} {name} {text}");
                let (logits, trace) = run(&mut session, text, &prompt);
                let behind = if text.starts_with("phatgoose") { 4.0 * BEHIND } else { BEHIND };
                within(behind, &what, &logits, &values(&tensors[&format!("{name}.{number}.logits")]));
                for (m, module) in trace.modules.iter().enumerate() {
                    let wanted = values(&tensors[&format!("{name}.{number}.weights.{module}")]);
                    let first = module.contains("layers.0.self_attn.q");
                    let tolerance = if first && behind == BEHIND { TOLERANCE } else { behind };
                    within(tolerance, &format!("{what} {module}"), &dense(&trace, m), &wanted);
                }
            }
            session.set_router("arrow:calibrated".parse().unwrap()).unwrap();
            let calibration = session.calibrated().unwrap();
            assert_eq!((calibration.prompts, calibration.tokens), (4, 7 + 12 + 9 + 15 - 4));
            for (m, module) in session.modules().iter().enumerate() {
                for score in SCORES.iter().filter(|score| calibration.has(**score)) {
                    let usual = calibration.usual(*score, m);
                    let (mean, deviation): (Vec<f32>, Vec<f32>) =
                        usual.iter().map(|(m, d)| (*m as f32, *d as f32)).unzip();
                    for (what, found) in [("mean", mean), ("deviation", deviation)] {
                        let key = format!("{name}.{}.{what}.{module}", score.id);
                        near(&key, &found, &values(&tensors[&key]));
                    }
                }
            }
        }
    }
}

test_each_ops!(routers_give_what_torch_gives);

#[test]
fn an_answer_does_not_change_what_was_found_of_its_prompt() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let mut session = open(&f, &library, "cpu", std::slice::from_ref(&f.ids));
    let prompt = Prompt::of_tokens(f.ids[..6].to_vec());
    for router in ["vote:top=0", "logo", "random:5", "arrow:prior=2"] {
        let (_, alone) = run(&mut session, router, &prompt);
        let (_, answered) = run(&mut session, router, &prompt.clone().answered(&f.ids[6..]));
        for m in 0..alone.modules.len() {
            let wanted = dense(&alone, m);
            near(router, &dense(&answered, m)[..wanted.len()], &wanted);
        }
    }
}

#[test]
fn routers_are_compared_by_what_they_do_with_one_prompt() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let mut session = open(&f, &library, "cpu", std::slice::from_ref(&f.ids));
    let (prompt, answer) = (Prompt::of_tokens(f.ids[..6].to_vec()), &f.ids[6..9]);
    let routers = ["base", "uniform", "vote", "arrow:k=1"].map(|text| text.parse::<RouterConfig>().unwrap());
    let found = compare(&mut session, &prompt, &routers, (answer, 0), &mut |_| {}, &Cancel::new()).unwrap();
    let effective: Vec<f64> = found.iter().map(|one| one.effective).collect();
    assert_eq!(effective[0], 0.0);
    assert!((effective[1] - 3.0).abs() < 1e-4 && (effective[2] - 1.0).abs() < 1e-9, "{effective:?}");
    assert_eq!(
        (differing(&found[1].trace, &found[1].trace), differing(&found[0].trace, &found[2].trace)),
        (0.0, 1.0)
    );
    // The sum of the logarithms of a softmax at the three positions.
    let (logits, _) = run(&mut session, "uniform", &prompt.clone().answered(answer));
    let vocab = logits.len() / 9;
    let wanted: f64 = (5..8)
        .map(|t| {
            let row: Vec<f64> = logits[t * vocab..(t + 1) * vocab].iter().map(|v| f64::from(*v)).collect();
            row[f.ids[t + 1] as usize] - row.iter().map(|v| v.exp()).sum::<f64>().ln()
        })
        .sum();
    assert!((found[1].log_probability.unwrap() - wanted).abs() < 1e-3);
    assert!(found.iter().all(|one| one.answer.is_none()));
}

#[test]
fn an_answer_that_is_fed_in_is_right_where_it_would_have_been_generated() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let session = open(&f, &library, "cpu", std::slice::from_ref(&f.ids));
    let prompts = [&f.ids[..5], &f.ids[2..10], &f.ids[4..]].map(|ids| Prompt::of_tokens(ids.to_vec()));
    let cancel = Cancel::new();
    for router in ["vote", "vote:top=2:calibrated", "arrow:k=2:prior=1", "norm:k=1", "random:4"] {
        let config = router.parse().unwrap();
        let (experts, resolved) = session.resolve(&config, &mut |_| {}, &cancel).unwrap();
        let routed = (&*experts, &resolved);
        let greedy = generate_batch(session.model(), Some(routed), &prompts, 3, &[], &cancel).unwrap();
        let found = forced(session.model(), routed, &prompts, &greedy, &cancel).unwrap();
        assert!(found.iter().all(|one| one.exact && one.log_probability < 0.0), "{router}: {found:?}");
        let other = |answer: &Vec<u32>| vec![answer[0], answer[1], (answer[2] + 1) % 61];
        let wrong: Vec<Vec<u32>> = greedy.iter().map(other).collect();
        let missed = forced(session.model(), routed, &prompts, &wrong, &cancel).unwrap();
        for (found, missed) in found.iter().zip(&missed) {
            assert!(!missed.exact && missed.log_probability < found.log_probability, "{router}");
        }
        // Together as alone.
        let alone = forced(session.model(), routed, &prompts[1..2], &greedy[1..2], &cancel).unwrap();
        assert!((alone[0].log_probability - found[1].log_probability).abs() < 1e-3, "{router}");
    }
}

#[test]
fn an_expert_that_is_taken_out_is_missed_as_if_it_had_never_spoken() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let mut session = open(&f, &library, "cpu", std::slice::from_ref(&f.ids));
    let (prompt, answer) = (Prompt::of_tokens(f.ids[..6].to_vec()), &f.ids[6..10]);
    let log_probability = |session: &mut Session, router: &str| {
        let config = [router.parse::<RouterConfig>().unwrap()];
        let found = compare(session, &prompt, &config, (answer, 0), &mut |_| {}, &Cancel::new()).unwrap();
        found[0].log_probability.unwrap()
    };
    let base = log_probability(&mut session, "base");
    let single = log_probability(&mut session, "single:expert_1");
    let found = attribute(&mut session, &prompt, answer, 12, &Cancel::new()).unwrap();
    let [only] = &found.experts[..] else { panic!("{found:?}") };
    assert!((found.base - base).abs() < 1e-3 && (found.routed - single).abs() < 1e-3, "{found:?}");
    assert!((only.effect - (single - base)).abs() < 2e-3 && (only.share - 1.0).abs() < 1e-6, "{found:?}");
    assert_eq!((found.groups.as_slice(), only.by_group.len()), (&[0..1, 1..2][..], 2));
    assert!((only.control - only.effect).abs() > 1e-3, "{found:?}");
    assert!(only.scores.first_share > 0.0 && only.scores.calibrated.is_none() && only.scores.vote.is_none());
    // By group of layers as in a whole pass of its own.
    let (experts, router) =
        session.resolve(&"single:expert_1".parse().unwrap(), &mut |_| {}, &Cancel::new()).unwrap();
    for (group, effect) in found.groups.iter().zip(&only.by_group) {
        let out = [Some(Knockout { expert: 1, layers: group.clone(), control: None })];
        let mut hook = RoutedHook::new(&experts, &router).without(&out);
        let decoder = &session.model().decoder;
        let hidden = hook.forward(decoder, &f.ids[..9], &[9], &mut [], &Cancel::new()).unwrap();
        let logits = values(&hook.logits(decoder, &hidden).unwrap().into_tensor().unwrap());
        let vocab = logits.len() / 9;
        let sum: f64 = (5..9)
            .map(|t| {
                let row: Vec<f64> =
                    logits[t * vocab..(t + 1) * vocab].iter().map(|v| f64::from(*v)).collect();
                row[f.ids[t + 1] as usize] - row.iter().map(|v| v.exp()).sum::<f64>().ln()
            })
            .sum();
        assert!((found.routed - sum - effect).abs() < 1e-3, "{group:?} {effect} {}", found.routed - sum);
    }
    assert_eq!(found, attribute(&mut session, &prompt, answer, 12, &Cancel::new()).unwrap());
    session.set_router("arrow:k=2".parse().unwrap()).unwrap();
    let found = attribute(&mut session, &prompt, answer, 2, &Cancel::new()).unwrap();
    assert_eq!(found.experts.len(), 2);
    session.set_router(RouterConfig::base()).unwrap();
    assert!(attribute(&mut session, &prompt, answer, 2, &Cancel::new()).is_err());
}

/// Numbers without a pattern.
pub fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.0 - 1.0).collect()
}

#[test]
fn a_vote_for_one_expert_is_that_expert_alone() {
    let f = Fixture::open("phi");
    let (_root, library) = copied(&f, "mixed");
    let mut session = open(&f, &library, "cpu", std::slice::from_ref(&f.ids));
    let prompt = Prompt::of_tokens(f.ids.clone());
    for router in ["vote:calibrated", "logo:experts=1", "random:1", "random:2"] {
        let (logits, trace) = run(&mut session, router, &prompt);
        let chosen = (0..trace.modules.len()).find_map(|m| trace.top(0, m)).unwrap();
        assert_eq!(chosen.1, 1.0);
        let name = session.experts()[chosen.0 as usize].clone();
        let (alone, _) = run(&mut session, &format!("single:{name}"), &prompt);
        assert_eq!(logits, alone, "{router}");
    }
}

#[test]
fn a_calibration_is_made_once_and_for_its_experts_only() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let prompts = vec![f.ids.clone()];
    let folder = library.root.join(".lora-tui/cache/calibration");
    let count = || std::fs::read_dir(&folder).map_or(0, |entries| entries.count());
    let mut first = open(&f, &library, "cpu", &prompts);
    first.set_router("arrow:calibrated".parse().unwrap()).unwrap();
    let made = first.calibrated().unwrap();
    assert_eq!((made.source.as_str(), count()), ("prompts of the test", 1));
    let mut stages = Vec::new();
    let mut again = open(&f, &library, "cpu", &prompts);
    let config: RouterConfig = "vote:score=norm:calibrated".parse().unwrap();
    again.set_router_with(config, &mut |step| stages.push(step.to_string()), &Cancel::new()).unwrap();
    assert_eq!(*again.calibrated().unwrap(), *made);
    assert_eq!((stages.as_slice(), count()), (&["calibrating".to_string()][..], 1), "read, not made");
    // Other prompts, other experts, tied prototypes: each has its own.
    let mut other = open(&f, &library, "cpu", &[f.ids[1..].to_vec()]);
    other.set_router("arrow:calibrated".parse().unwrap()).unwrap();
    other.set_router("arrow:calibrated:tied".parse().unwrap()).unwrap();
    assert_eq!(count(), 3);
    std::fs::remove_dir_all(library.root.join("expert_1")).unwrap();
    let fewer = Library::open(&library.root).unwrap();
    let mut fewer = open(&f, &fewer, "cpu", &prompts);
    fewer.set_router("arrow:calibrated".parse().unwrap()).unwrap();
    assert_eq!(count(), 4);
    assert_eq!(fewer.calibrated().unwrap().usual(Score::default(), 0).len(), 2);
}

#[test]
fn what_cannot_be_calibrated_or_routed_is_refused_in_words() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let refused = |prompts: Vec<Vec<u32>>, router: &str| {
        let mut session = open(&f, &library, "cpu", &prompts);
        let before = session.router().clone();
        let error = session.set_router(router.parse().unwrap()).unwrap_err();
        assert_eq!(*session.router(), before, "nothing is lost");
        assert!(matches!(error, Error::Usage(_)), "{error}");
        error.to_string()
    };
    let error = refused(vec![vec![3, 999]], "arrow:calibrated");
    assert!(error.contains("prompts of the test") && error.contains("999"), "{error}");
    let error = refused(vec![vec![3]], "arrow:calibrated");
    assert!(error.contains("at least two tokens"), "{error}");
    let error = refused(vec![], "oracle");
    assert!(error.contains("eval --methods"), "{error}");
    let parse = |text: &str| text.parse::<RouterConfig>().unwrap_err().to_string();
    assert_eq!(parse("random:x"), "the seed of random must be a whole number, not x");
    assert_eq!(parse("vote:score=arow"), "vote: there is no score \"arow\"; did you mean arrow?");
    assert_eq!(
        parse("vote:sharpness=0"),
        "vote: sharpness must be a positive number (1e-30 to 1e30) or auto, not 0"
    );
    assert_eq!(parse("arrow:prior=-1"), "arrow: prior must be a number of at least 0 (at most 1e30), not -1");
    assert_eq!(parse("votes"), "there is no router \"votes\"; did you mean vote?");
}

#[test]
fn a_choice_is_explained_by_the_scores_that_made_it() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let prompts = [f.ids.clone(), f.ids[2..].to_vec()];
    let mut session = open(&f, &library, "cpu", &prompts);
    let prompt = Prompt::of_tokens(f.ids.clone());
    for (router, calibrated, votes) in [
        ("arrow:k=2:temperature=0.7", false, 0),
        ("norm:k=2:temperature=0.7:calibrated", true, 0),
        ("arrow:k=3:temperature=0.7:calibrated:prior=1", true, 3),
        ("vote:top=0:calibrated", true, 3),
    ] {
        let (_, trace) = run(&mut session, router, &prompt);
        let why = session.why(&prompt, 4, 3, &Cancel::new()).unwrap();
        assert_eq!((why.token, why.votes.len(), why.modules.len()), (4, votes, trace.modules.len()));
        assert!(votes == 0 || (why.votes.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        for (m, module) in why.modules.iter().enumerate() {
            assert_eq!(module.module, trace.modules[m]);
            for (found, wanted) in module.experts.iter().zip(trace.weights(4, m)) {
                assert_eq!(found.expert, wanted.0 as usize, "{router}");
                assert!((found.weight - wanted.1).abs() < 1e-3, "{router} {found:?} {wanted:?}");
            }
            for expert in &module.experts {
                assert_eq!(expert.calibrated.is_some(), calibrated);
                assert!(expert.first_share > 0.0 && expert.first_share <= 1.0 + 1e-12, "{expert:?}");
                assert!((0.0..=1.0 + 1e-12).contains(&expert.gap), "{expert:?}");
            }
            if let ("arrow:k=2:temperature=0.7", [first, second, ..]) = (router, module.experts.as_slice()) {
                // Weights are a softmax of the two scores.
                let share = 1.0 / (1.0 + ((second.score - first.score) / 0.7).exp());
                assert!((first.weight - share).abs() < 1e-5, "{module:?}");
            }
        }
    }
    let error = session.why(&prompt, 99, 3, &Cancel::new()).unwrap_err();
    assert!(error.to_string().starts_with("there is no token 99: the prompt has"), "{error}");
}

#[test]
fn for_every_router_it_is_said_what_decided() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let mut session = open(&f, &library, "cpu", &[f.ids.clone(), f.ids[2..].to_vec()]);
    let own = own_prompts(session.experts());
    session.learn_from(OwnSource::new(move |_| Ok(own.clone())).with_gates(FEW_STEPS));
    let prompt = Prompt::of_tokens(f.ids.clone());
    for router in ROUTERS.iter().filter(|router| router.id != "oracle") {
        let head = match router.id {
            "random" => "random:3",
            "single" => "single:expert_1",
            id => id,
        };
        for more in [":calibrated", ""] {
            let Ok(config) = format!("{head}{more}").parse::<RouterConfig>() else { continue };
            if router.names_expert() && !more.is_empty() {
                continue;
            }
            session.set_router(config.clone()).unwrap();
            let why = session.why(&prompt, 4, 3, &Cancel::new()).unwrap();
            assert!(why.decided.starts_with(router.help), "{config}: {}", why.decided);
            let nothing = matches!(router.scope, Scope::Nothing | Scope::Everywhere);
            assert_eq!(why.decided.ends_with("nothing to explain"), nothing, "{config}");
            assert_eq!(why.score.is_some(), !why.modules.is_empty(), "{config}");
            assert_eq!(
                router.scope == Scope::Token,
                !why.modules.is_empty() && router.id != "vote",
                "{config}"
            );
            let Some(sequence) = &why.sequence else {
                assert!(router.scope != Scope::Sequence, "{config}");
                continue;
            };
            // What was found ranks the experts, and the first one has the weight.
            let trace = session.route_tokens(&prompt, &Cancel::new()).unwrap();
            let used = |at: usize| sequence.experts[at].calibrated.unwrap_or(sequence.experts[at].value);
            if router.id == "random" {
                assert!(sequence.experts.is_empty() && !sequence.words.is_empty());
                continue;
            }
            assert!(!sequence.value.is_empty() && used(0) >= used(1), "{config}: {sequence:?}");
            assert_eq!(
                sequence.experts[0].calibrated.is_some(),
                !more.is_empty() && router.id != "vote",
                "{config}"
            );
            let top = trace.top(4, 0).unwrap();
            let first = &sequence.experts[0];
            assert_eq!((first.expert, first.weight), (top.0 as usize, Some(top.1)), "{config}");
        }
    }
    // LAG's winner is the one with the largest norm among the highest scores.
    session.set_router("lag:k=3".parse().unwrap()).unwrap();
    let why = session.why(&prompt, 4, 3, &Cancel::new()).unwrap();
    assert_eq!(why.decider, Some("norm"));
    for module in &why.modules {
        let norms: Vec<f32> = module.experts.iter().map(|one| one.deciding.unwrap()).collect();
        assert!(norms.iter().all(|norm| *norm <= norms[0] + 1e-4), "{norms:?}");
    }
    // A sharpness that was found is shown.
    session.set_router("vote:top=0:sharpness=auto".parse().unwrap()).unwrap();
    let why = session.why(&prompt, 4, 3, &Cancel::new()).unwrap();
    let sequence = why.sequence.unwrap();
    assert!(sequence.words.contains("; sharpness ") && sequence.lead.is_some(), "{sequence:?}");
}

/// Routers that all ask the base model about a prompt.
const ASKING: [&str; 5] = [
    "vote:top=0:sharpness=2",
    "vote:score=norm:top=0:calibrated",
    "arrow:k=2:prior=2",
    "arrow:k=2:prior=4:sharpness=0.5",
    "vote:top=2:tied",
];

#[test]
fn routers_that_follow_one_another_on_a_prompt_share_the_pass_without_experts() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let prompts = vec![f.ids.clone(), f.ids[3..].to_vec()];
    let ids: Vec<u32> = (0..45).map(|i| 2 + (i * 17) % 57).collect();
    let prompt = Prompt::of_tokens(ids.clone());
    let mut session = open(&f, &library, "cpu", &prompts);
    for router in ASKING {
        let (shared, _) = run(&mut session, router, &prompt);
        assert_eq!(session.surveyed(), ids.len(), "{router}: one pass for all of them");
        let (alone, _) = run(&mut open(&f, &library, "cpu", &prompts), router, &prompt);
        assert_eq!(shared, alone, "{router}: to the last bit");
    }
    // One more token costs the last pieces, once for all.
    let longer = Prompt::of_tokens([ids.as_slice(), &[5]].concat());
    for router in ASKING {
        let (shared, _) = run(&mut session, router, &longer);
        assert!(session.surveyed() <= ids.len() + 8, "{router}: {}", session.surveyed());
        let (alone, _) = run(&mut open(&f, &library, "cpu", &prompts), router, &longer);
        assert_eq!(shared, alone, "{router}: to the last bit");
    }
    // So do comparisons with a reference, and attribution.
    let before = session.surveyed();
    let routers = ASKING.map(|text| text.parse::<RouterConfig>().unwrap());
    compare(&mut session, &longer, &routers, (&[3, 9], 2), &mut |_| {}, &Cancel::new()).unwrap();
    attribute(&mut session, &longer, &[3, 9], 2, &Cancel::new()).unwrap();
    assert_eq!(session.surveyed(), before);
}

#[test]
fn routers_that_ask_together_look_at_every_prompt_once() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let session = open(&f, &library, "cpu", &[f.ids.clone(), f.ids[2..].to_vec()]);
    let cancel = Cancel::new();
    let prompts = [&f.ids[..5], &f.ids[2..10], &f.ids[4..]].map(|ids| Prompt::of_tokens(ids.to_vec()));
    let answers = vec![f.ids[..3].to_vec(); 3];
    let texts = [ASKING.as_slice(), &["random:3", "uniform", "logo"]].concat();
    let mut all: Vec<_> = texts
        .iter()
        .map(|text| session.resolve(&text.parse().unwrap(), &mut |_| {}, &cancel).unwrap())
        .collect();
    let alone: Vec<_> = all
        .iter()
        .map(|(experts, router)| {
            forced(session.model(), (experts, router), &prompts, &answers, &cancel).unwrap()
        })
        .collect();
    ResolvedRouter::survey_together(all.iter_mut().map(|(experts, router)| (&*experts, router)));
    for (((experts, router), alone), text) in all.iter().zip(&alone).zip(&texts) {
        for _ in 0..2 {
            let found = forced(session.model(), (experts, router), &prompts, &answers, &cancel).unwrap();
            for (found, alone) in found.iter().zip(alone) {
                assert!((found.log_probability - alone.log_probability).abs() < 1e-3, "{text}");
            }
        }
        let looked = if matches!(*text, "random:3" | "uniform") { 0 } else { 5 + 8 + f.ids.len() - 4 };
        assert_eq!(router.surveyed_together(), looked, "{text}");
    }
}

#[test]
fn what_makes_a_routing_doubtful_is_said() {
    let f = Fixture::open("llama");
    let ids = |session: &mut Session, router: &str, prompt: &Prompt| -> Vec<(&'static str, String)> {
        session.set_router(router.parse().unwrap()).unwrap();
        let found = session.warnings(prompt, &Cancel::new()).unwrap();
        found.into_iter().map(|warning| (warning.id, warning.text)).collect()
    };
    let has = |found: &[(&str, String)], id: &str| found.iter().any(|(own, _)| *own == id);
    // One expert whose ΔW is a hundred times as long as the others'.
    let (_root, library) = scaled(&[1.0, 100.0, 1.0]);
    let alike: Vec<Vec<u32>> = (0..9).map(|i| (0..8).map(|t| 3 + (i + t) % 9).collect()).collect();
    let mut session = open(&f, &library, "cpu", &alike);
    let prompt = Prompt::of_tokens(alike[0].clone());
    assert!(!has(&ids(&mut session, "norm:k=2", &prompt), "hub"), "nothing was measured yet");
    let calibrated = ids(&mut session, "norm:k=2:calibrated", &prompt);
    assert!(!has(&calibrated, "hub") && !has(&calibrated, "foreign-calibration"), "{calibrated:?}");
    let raw = ids(&mut session, "norm:k=2", &prompt);
    assert!(has(&raw, "hub") && has(&raw, "idle"), "{raw:?}");
    assert!(
        raw.iter().any(|(id, text)| *id == "hub" && text.starts_with("e1 has the highest scores")),
        "{raw:?}"
    );
    let hot = ids(&mut session, "arrow:k=3:temperature=1000", &prompt);
    assert!(has(&hot, "equal-weights"), "{hot:?}");
    assert!(!has(&ids(&mut session, "arrow:k=3:temperature=0.001", &prompt), "equal-weights"));
    let foreign = Prompt::of_tokens((0..8).map(|t| 40 + 2 * t).collect());
    let found = ids(&mut session, "norm:k=2:calibrated", &foreign);
    assert!(
        found.iter().any(|(id, text)| *id == "foreign-calibration" && text.contains("prompts of the test")),
        "{found:?}"
    );
    assert!(ids(&mut session, "base", &prompt).is_empty());
}

#[test]
fn of_many_experts_the_nearest_are_retrieved() {
    let (experts, hidden, nearest) = (10_000, 16, 3);
    let states: Vec<f32> = (0..experts)
        .flat_map(|e| {
            let row = numbers(e + 1, hidden);
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.into_iter().map(move |v| v / length)
        })
        .collect();
    let state = numbers(77, hidden);
    let ops = lora_tui::model::open_ops("cpu").unwrap();
    let weights = StateWeigher::retrieval(states.clone(), hidden, nearest, ops).weights(&state).unwrap();
    let length = state.iter().map(|v| f64::from(v * v)).sum::<f64>().sqrt();
    let cosine = |e: usize| -> f64 {
        let row = &states[e * hidden..(e + 1) * hidden];
        row.iter().zip(&state).map(|(a, b)| f64::from(a * b)).sum::<f64>() / length
    };
    let mut order: Vec<usize> = (0..experts).collect();
    order.sort_by(|&a, &b| cosine(b).total_cmp(&cosine(a)));
    let powers: Vec<f64> = order[..nearest].iter().map(|&e| (cosine(e) / 0.2).exp()).collect();
    for (e, power) in order.iter().zip(&powers) {
        assert!((f64::from(weights[*e]) - power / powers.iter().sum::<f64>()).abs() < 1e-5);
    }
    assert_eq!(weights.iter().filter(|weight| **weight > 0.0).count(), nearest);
}
