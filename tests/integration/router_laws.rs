//! Laws that every router of the table obeys, in the forms that its settings give it.

use lora_tui::Cancel;
use lora_tui::library::Library;
use lora_tui::routing::{
    CALIBRATED, GateTrainer, OwnSource, PRIOR, Prompt, ROUTERS, Router, RouterConfig, SCORE, SCORES,
    SHARPNESS, Scope, Session, Trace,
};

use crate::own_data::{FEW_STEPS, own_prompts};
use crate::routers::{copied, dense, near, numbers, open, run, within};
use crate::support::experts::{lora, write_expert};
use crate::support::models::{Fixture, test_each_ops};

/// By how much weights differ where scores are rounded in another order.
const ROUNDED: f32 = 2e-3;

/// A router as it is written, with what it takes behind its id.
fn head(router: &Router) -> String {
    match &router.argument {
        None => router.id.to_string(),
        Some(argument) if argument.names_expert => format!("{}:expert_0", router.id),
        Some(_) => format!("{}:7", router.id),
    }
}

/// Every router of the table that can be used where no task is known: as it is, calibrated, and with another value of each
/// of its settings, as far as that changes anything.
fn forms() -> Vec<RouterConfig> {
    let mut all = Vec::new();
    for router in ROUTERS.iter().filter(|router| !router.needs_task) {
        let head = head(router);
        let mut texts = vec![head.clone()];
        texts.extend(router.has(&CALIBRATED).then(|| format!("{head}:calibrated")));
        for setting in router.settings {
            let other = setting.step(setting.default_value(), true, 9);
            texts.extend(["", ":calibrated"].map(|more| format!("{head}{more}:{}={other}", setting.name)));
        }
        if router.has(&SCORE) {
            texts.extend(SCORES.iter().map(|score| format!("{head}:score={}:top=0:sharpness=2", score.id)));
        }
        if router.has(&SHARPNESS) {
            let asking = if router.has(&PRIOR) { "prior=2" } else { "top=0" };
            texts.push(format!("{head}:{asking}:sharpness=auto"));
        }
        let read =
            |text: String| text.parse::<RouterConfig>().ok().filter(|config| config.check_effect().is_ok());
        let found: Vec<RouterConfig> = texts.into_iter().filter_map(read).collect();
        assert!(
            found.iter().any(|config| config.is_calibrated()) == router.has(&CALIBRATED),
            "{}",
            router.id
        );
        assert!(found.len() > router.settings.len() / 2, "{}: {found:?}", router.id);
        all.extend(found);
    }
    all.dedup_by_key(|config| config.to_string());
    all
}

/// A session that can prepare every router.
fn prepared(f: &Fixture, library: &Library, device: &str, gates: GateTrainer) -> Session {
    let mut session = open(f, library, device, &[f.ids.clone(), f.ids[2..].to_vec()]);
    let own = own_prompts(session.experts());
    session.learn_from(OwnSource::new(move |_| Ok(own.clone())).with_gates(gates));
    session
}

/// Every token with every module.
fn cells(trace: &Trace) -> impl Iterator<Item = (usize, usize)> {
    let modules = trace.modules.len();
    (0..trace.tokens.len()).flat_map(move |t| (0..modules).map(move |m| (t, m)))
}

#[test]
fn weights_sum_to_one_and_muted_experts_get_none() {
    let f = Fixture::open("qwen2");
    let (_root, library) = copied(&f, "experts");
    let mut session = prepared(&f, &library, "cpu", FEW_STEPS);
    let prompt = Prompt::of_tokens(f.ids.clone());
    for mut config in forms().into_iter().filter(RouterConfig::is_weighted) {
        if config.router.mutes {
            config.muted = vec![session.experts()[1].clone()];
        }
        session.set_router(config.clone()).unwrap();
        let trace = session.route_tokens(&prompt, &Cancel::new()).unwrap();
        for (t, m) in cells(&trace) {
            let sum: f32 = trace.weights(t, m).iter().map(|(_, w)| w).sum();
            assert!((sum - 1.0).abs() < 1e-5, "{config} {t} {m}: {sum}");
            let muted = trace.weights(t, m).iter().any(|(e, w)| *e == 1 && *w != 0.0);
            assert!(!config.router.mutes || !muted, "{config} {t} {m}");
        }
        if config.router.pins {
            config.pinned = vec![session.experts()[2].clone()];
            session.set_router(config.clone()).unwrap();
            let trace = session.route_tokens(&prompt, &Cancel::new()).unwrap();
            let pinned = |(t, m)| trace.weights(t, m).iter().any(|(e, _)| *e == 2);
            // Among the k it is, and one of them decides.
            assert!(config.router.id == "lag" || cells(&trace).all(pinned), "{config}");
        }
    }
}

/// Sequences that differ from one another in the middle, at the end and in length.
fn sequences() -> Vec<Vec<u32>> {
    let long: Vec<u32> = (0..44).map(|i| 2 + (i * 17) % 57).collect();
    let mut other = long.clone();
    other[5] = 3;
    let lengths = [1, 2, 3, 31, 32, 33, 34, 40];
    let mut all: Vec<Vec<u32>> = lengths.iter().map(|&n| long[..n].to_vec()).collect();
    all.extend([long.clone(), other.clone(), other[..20].to_vec(), long[..35].to_vec(), long[..2].to_vec()]);
    all
}

/// To the last bit where weights are of a sequence: what is found of it is put together as it is found at once. What
/// changes from token to token goes through the routed pass, which rounds sums of one row in another order than those of
/// many.
fn what_is_found_follows_from_the_sequence_alone(device: &str) {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let bits = |trace: &Trace| -> Vec<(u32, u32)> {
        cells(trace).flat_map(|(t, m)| trace.weights(t, m).to_vec()).map(|(e, w)| (e, w.to_bits())).collect()
    };
    let mut typed = prepared(&f, &library, device, FEW_STEPS);
    let sequences = sequences();
    // Each of them sees one sequence alone.
    let mut fresh: Vec<Session> =
        sequences.iter().map(|_| prepared(&f, &library, device, FEW_STEPS)).collect();
    for config in forms() {
        typed.set_router(config.clone()).unwrap();
        for (ids, fresh) in sequences.iter().zip(&mut fresh) {
            let prompt = Prompt::of_tokens(ids.clone());
            let found = typed.route_tokens(&prompt, &Cancel::new()).unwrap();
            fresh.set_router(config.clone()).unwrap();
            let wanted = fresh.route_tokens(&prompt, &Cancel::new()).unwrap();
            let what = format!("{config}, {} tokens", ids.len());
            if config.router.scope == Scope::Token {
                let modules = 0..found.modules.len();
                modules.for_each(|m| within(ROUNDED, &what, &dense(&found, m), &dense(&wanted, m)));
            } else {
                assert!(bits(&found) == bits(&wanted), "{what}");
            }
        }
    }
}

test_each_ops!(what_is_found_follows_from_the_sequence_alone);

/// Experts at one module of the llama fixture, whose B are times these factors.
pub fn scaled(factors: &[f32]) -> (tempfile::TempDir, Library) {
    let root = tempfile::tempdir().unwrap();
    for (e, factor) in factors.iter().enumerate() {
        let (a, b) = (numbers(e + 1, 64), numbers(e + 9, 64));
        let module = "model.layers.1.self_attn.q_proj";
        let lora = lora(module, 2, (32, 32), |i| a[i], |i| b[i] * factor);
        write_expert(&root.path().join(format!("e{e}")), &[lora], 2.0);
    }
    let library = Library::open(root.path()).unwrap();
    (root, library)
}

/// Gates that do not follow from the experts' B, as trained ones do: of the one module of [`scaled`].
const GIVEN: GateTrainer = GateTrainer {
    train: |job, _, _| Ok(vec![(0, numbers(job.expert + 30, 32))]),
    settings: || "given".into(),
};

#[test]
fn a_calibrated_score_does_not_change_when_an_experts_b_is_scaled() {
    let f = Fixture::open("llama");
    let prompt = Prompt::of_tokens(f.ids.clone());
    let (_one, plain) = scaled(&[1.0, 1.0, 1.0]);
    let (_two, loud) = scaled(&[1.0, 8.0, 0.25]);
    let mut sessions = [&plain, &loud].map(|library| prepared(&f, library, "cpu", GIVEN));
    let calibrated: Vec<RouterConfig> = forms().into_iter().filter(RouterConfig::is_calibrated).collect();
    for config in &calibrated {
        // Of one module, so that what the experts add does not come back.
        let [quiet, shouting] =
            sessions.each_mut().map(|session| dense(&run(session, &config.to_string(), &prompt).1, 0));
        near(&config.to_string(), &shouting, &quiet);
    }
    for score in SCORES {
        assert!(calibrated.iter().any(|config| config.score() == Some(*score)), "{}", score.id);
    }
    let [quiet, shouting] = sessions.each_mut().map(|session| run(session, "norm:k=0", &prompt).1);
    let won = |trace: &Trace| (0..prompt.ids.len()).filter(|&t| trace.top(t, 0).unwrap().0 == 1).count();
    assert!(won(&shouting) > won(&quiet), "raw norms follow the scale");
}

#[test]
fn a_vote_over_one_module_and_token_is_that_modules_softmax() {
    let f = Fixture::open("llama");
    let (_root, library) = scaled(&[1.0, 1.0, 1.0]);
    let mut session = prepared(&f, &library, "cpu", GIVEN);
    let prompt = Prompt::of_tokens(f.ids[..2].to_vec());
    for score in SCORES {
        for more in ["", ":calibrated"] {
            let (_, vote) = run(&mut session, &format!("vote:score={}:top=0{more}", score.id), &prompt);
            let (_, token) = run(&mut session, &format!("{}:k=0:temperature=0.5{more}", score.id), &prompt);
            let last = |trace: &Trace| dense(trace, 0)[3..].to_vec();
            near(score.id, &last(&vote), &last(&token));
        }
    }
}
