//! Routers that know experts by their own data: what is kept of it, expert by expert, and what is refused.

use std::cell::RefCell;

use lora_tui::library::Library;
use lora_tui::routing::{
    CalibrationText, GateTrainer, Known, Needs, OwnAnswer, OwnPrompts, OwnSource, Prompt, RouterConfig,
    Session,
};
use lora_tui::train::{GateSpec, train_gates_as};
use lora_tui::{Cancel, Error, Result};

use crate::routers::{copied, open, run};
use crate::support::models::Fixture;

/// Trains gates in few steps.
pub const FEW_STEPS: GateTrainer = GateTrainer {
    train: |job, progress, cancel| {
        TRAINED.with_borrow_mut(|trained| trained.push(job.experts.names[job.expert].clone()));
        train_gates_as(GateSpec { steps: 2, ..GateSpec::default() }, job, progress, cancel)
    },
    settings: || "2 steps".into(),
};

thread_local! {
    /// Experts whose gates were begun.
    static TRAINED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn trained() -> Vec<String> {
    TRAINED.take()
}

/// Files in a folder of a library's cache.
fn files(library: &Library, folder: &str) -> usize {
    std::fs::read_dir(library.root.join(".lora-tui/cache").join(folder)).map_or(0, Iterator::count)
}

/// A session over a library that learns from this.
fn learning(f: &Fixture, library: &Library, own: &[OwnPrompts]) -> Session {
    let mut session = open(f, library, "cpu", &[]);
    let own = own.to_vec();
    session.learn_from(OwnSource::new(move |_| Ok(own.clone())).with_gates(FEW_STEPS));
    session
}

fn gates(session: &Session) -> Vec<Vec<u32>> {
    let known = session.learn(Needs::Gates, &mut |_| {}, &Cancel::new()).unwrap();
    let raw = |m| known.gates.as_ref().unwrap().raw(m).iter().map(|g| g.to_bits()).collect();
    (0..session.modules().len()).map(raw).collect()
}

/// Prompts of each expert, which differ.
pub fn own_prompts(experts: &[String]) -> Vec<OwnPrompts> {
    let prompt =
        |e: usize, p: usize| (0..8).map(|t| (2 + (e * 19 + p * 3 + t * (2 * e + 1)) % 57) as u32).collect();
    let texts = |e| (0..6).map(|p| CalibrationText::Tokens(prompt(e, p))).collect();
    let answers = |e| (0..6).map(|p| OwnAnswer::Tokens(prompt(e + 3, p))).collect();
    experts
        .iter()
        .enumerate()
        .map(|(e, expert)| OwnPrompts { expert: expert.clone(), texts: texts(e), answers: answers(e) })
        .collect()
}

#[test]
fn experts_are_known_by_their_own_prompts_once_these_were_looked_at() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let mut session = open(&f, &library, "cpu", &[]);
    let names = session.experts().to_vec();
    for router in ["predictor", "retrieve", "centroid"] {
        let error = session.set_router(router.parse().unwrap()).unwrap_err();
        assert!(
            matches!(error, Error::Usage(_))
                && error.to_string().contains("of expert_0, expert_1 and expert_2 are not known"),
            "{error}"
        );
    }
    let own = own_prompts(&names);
    let source = own.clone();
    session.learn_from(OwnSource::new(move |_| Ok(source.clone())));
    let mut chosen = Vec::new();
    for own in &own {
        for text in &own.texts {
            let CalibrationText::Tokens(ids) = text else { panic!("tokens") };
            let (_, trace) = run(&mut session, "predictor", &Prompt::of_tokens(ids.clone()));
            chosen.push(trace.top(1, 0).unwrap().0 as usize);
        }
    }
    let right = chosen.iter().enumerate().filter(|(at, e)| at / 6 == **e).count();
    assert!(right >= 16, "{chosen:?}");
    // Found again in the cache, also by another session; with other prompts they are others.
    let count = || files(&library, "own-data");
    assert_eq!((count(), files(&library, "regression")), (3, 1));
    let mut again = open(&f, &library, "cpu", &[]);
    let source = own.clone();
    again.learn_from(OwnSource::new(move |_| Ok(source.clone())));
    let prompt = Prompt::of_tokens(f.ids.clone());
    assert_eq!(run(&mut again, "retrieve", &prompt).0, run(&mut session, "retrieve", &prompt).0);
    assert_eq!(count(), 3);
    let fewer: Vec<OwnPrompts> =
        own.into_iter().map(|own| OwnPrompts { texts: own.texts[..3].to_vec(), ..own }).collect();
    again.learn_from(OwnSource::new(move |_| Ok(fewer.clone())));
    again.set_router("centroid".parse().unwrap()).unwrap();
    assert_eq!((count(), files(&library, "regression")), (6, 1), "nobody asked for the regression");
    again.set_router("predictor".parse().unwrap()).unwrap();
    assert_eq!((count(), files(&library, "regression")), (6, 2));
}

#[test]
fn a_library_trains_the_gates_that_it_has_not_got() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let names = ["expert_0", "expert_1", "expert_2", "expert_3"].map(String::from);
    let own = own_prompts(&names);
    trained();
    // Stopped at the second one: the first one's gates stay.
    let session = learning(&f, &library, &own);
    let (cancel, mut steps) = (Cancel::new(), 0);
    let stopped: Result<Known> = session.learn(
        Needs::Gates,
        &mut |at| {
            steps = at.at.all;
            if at.at.done >= 3 {
                cancel.cancel();
            }
        },
        &cancel,
    );
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert_eq!((steps, files(&library, "gates"), trained().len()), (6, 1, 2));
    // Another session trains the others, and makes what one that was not stopped makes.
    let resumed = gates(&learning(&f, &library, &own));
    assert_eq!(trained(), ["expert_1", "expert_2"]);
    let (_other, fresh) = copied(&f, "experts");
    assert!(resumed == gates(&learning(&f, &fresh, &own)));
    assert_eq!(trained().len(), 3);
    assert!(resumed == gates(&learning(&f, &library, &own)));
    assert!(trained().is_empty(), "all are at hand");
    // Another expert is trained alone, and the others are as they were.
    crate::support::copy_folder(&library.root.join("expert_2"), &library.root.join("expert_3"));
    let grown = Library::open(&library.root).unwrap();
    let more = gates(&learning(&f, &grown, &own));
    assert_eq!((trained(), files(&library, "gates")), (vec!["expert_3".to_string()], 4));
    for (more, before) in more.iter().zip(&resumed) {
        assert!(more[..before.len()] == before[..]);
        assert_eq!(more.len(), before.len() / 3 * 4);
    }
    // Other data of one expert are other gates of that one; other settings are others of all.
    let mut other = own.clone();
    other[1].answers[0] = own[2].answers[1].clone();
    assert!(gates(&learning(&f, &grown, &other)) != more);
    assert_eq!(trained(), ["expert_1"]);
    let mut session = learning(&f, &grown, &own);
    session.learn_from(
        OwnSource::new(move |_| Ok(own.clone()))
            .with_gates(GateTrainer { settings: || "two steps".into(), ..FEW_STEPS }),
    );
    gates(&session);
    assert_eq!(trained().len(), 4);
}

#[test]
fn a_library_looks_at_the_prompts_that_it_has_not_seen() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let own = own_prompts(&["expert_0", "expert_1", "expert_2", "expert_3"].map(String::from));
    let looked_at = |library: &Library, own: &[OwnPrompts]| {
        let mut session = learning(&f, library, own);
        let mut all = 0;
        let mut step = |at: lora_tui::routing::CalibrationStep| all = at.at.all;
        session.set_router_with("centroid".parse().unwrap(), &mut step, &Cancel::new()).unwrap();
        let prompt = Prompt::of_tokens(f.ids.clone());
        (all, ["centroid", "retrieve", "predictor"].map(|router| run(&mut session, router, &prompt).0))
    };
    let (all, _) = looked_at(&library, &own);
    assert_eq!(all, 3);
    crate::support::copy_folder(&library.root.join("expert_2"), &library.root.join("expert_3"));
    let grown = Library::open(&library.root).unwrap();
    let (all, found) = looked_at(&grown, &own);
    assert_eq!(all, 1, "the fourth alone");
    assert_eq!(files(&library, "own-data"), 4);
    // What was put together is what one pass over all of them gives.
    let (_other, fresh) = copied(&f, "experts");
    crate::support::copy_folder(&library.root.join("expert_3"), &fresh.root.join("expert_3"));
    assert!(looked_at(&Library::open(&fresh.root).unwrap(), &own) == (4, found));
}

#[test]
fn who_has_no_data_is_named_and_can_be_muted() {
    let f = Fixture::open("llama");
    let (_root, library) = copied(&f, "experts");
    let own = own_prompts(&["expert_0", "expert_2"].map(String::from));
    let mut session = learning(&f, &library, &own);
    for router in ["centroid", "retrieve", "predictor", "phatgoose", "centroid:calibrated"] {
        session.calibrate_with(crate::routers::source(vec![f.ids.clone(), f.ids[2..].to_vec()]));
        let config: RouterConfig = router.parse().unwrap();
        let error = session.set_router(config.clone()).unwrap_err().to_string();
        assert!(
            error.contains(" of expert_1 are not known, ")
                && error.ends_with("calibrate --tasks DIR, or leave the experts out with --mute"),
            "{error}"
        );
        session.set_router(RouterConfig { muted: vec!["expert_1".into()], ..config }).unwrap();
        let trace = session.route_tokens(&Prompt::of_tokens(f.ids.clone()), &Cancel::new()).unwrap();
        for (t, m) in (0..f.ids.len()).flat_map(|t| (0..trace.modules.len()).map(move |m| (t, m))) {
            let weights = trace.weights(t, m);
            let sum: f32 = weights.iter().map(|(_, w)| w).sum();
            assert!(
                (sum - 1.0).abs() < 1e-5 && weights.iter().all(|(e, _)| *e != 1),
                "{router}: {weights:?}"
            );
        }
    }
}
