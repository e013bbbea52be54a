//! Experts that cannot take part: their values overflow, they are muted, general, left out or zero.

use lora_tui::library::Library;
use lora_tui::routing::{Prompt, RouterConfig};
use lora_tui::{Cancel, Error};

use crate::routers::{numbers, open};
use crate::support::experts::{lora, write_expert};
use crate::support::models::{Fixture, values};

/// Experts of the llama fixture at one module, of which `big` is much too large.
fn with_a_big_one(module: &str) -> (tempfile::TempDir, Library) {
    let root = tempfile::tempdir().unwrap();
    for (e, (name, factor)) in [("a", 0.5), ("big", 1e22), ("one", 0.5)].into_iter().enumerate() {
        let (a, b) = (numbers(e + 1, 64), numbers(e + 9, 64));
        let lora = lora(module, 2, (32, 32), |i| a[i], |i| b[i] * factor);
        write_expert(&root.path().join(name), &[lora], 2.0);
    }
    let library = Library::open(root.path()).unwrap();
    (root, library)
}

#[test]
fn an_expert_whose_values_overflow_is_named_by_every_router_and_may_be_muted() {
    let f = Fixture::open("llama");
    let prompt = Prompt::of_tokens(f.ids.clone());
    let prompts = [f.ids.clone(), f.ids[2..].to_vec()];
    // What it adds there goes through a norm, whose squares overflow.
    let (_root, library) = with_a_big_one("model.layers.0.self_attn.o_proj");
    let mut session = open(&f, &library, "cpu", &prompts);
    for router in [
        "single:big",
        "uniform",
        "arrow:k=0:temperature=10",
        "lag:k=0",
        "logo",
        "vote:score=norm",
        "norm",
        "norm:k=0:temperature=10",
        "norm:prior=1",
        "norm:calibrated",
        "lag:k=0:calibrated",
        "vote:score=norm:calibrated",
        "vote:score=norm:sharpness=auto:top=0:calibrated",
    ] {
        let config: RouterConfig = router.parse().unwrap();
        let mut ask = |config: RouterConfig| {
            session.set_router(config)?;
            session.logits(&prompt, &Cancel::new())
        };
        let error = ask(config.clone()).unwrap_err();
        assert_eq!(error.blamed(), Some("big"), "{router}: {error}");
        let error = error.to_string();
        assert!(
            error.starts_with("the expert big makes values that are no numbers: at model"),
            "{router}: {error}"
        );
        if config.router.mutes {
            let (logits, trace) = ask(RouterConfig { muted: vec!["big".into()], ..config.clone() }).unwrap();
            assert!(values(&logits).iter().all(|v| v.is_finite()) && trace.totals(|_| true)[1] == 0.0);
            // What was measured meanwhile does not make it usable.
            let error = ask(config).unwrap_err().to_string();
            assert!(error.starts_with("the expert big makes values"), "{router}: {error}");
        }
    }
}

#[test]
fn who_takes_part_is_checked_and_somebody_has_to() {
    let f = Fixture::open("llama");
    let (root, _) = with_a_big_one("model.layers.0.self_attn.q_proj");
    let wide = numbers(3, 16);
    let wide = lora("model.layers.0.self_attn.q_proj", 2, (8, 8), |i| wide[i], |i| wide[i]);
    write_expert(&root.path().join("wide"), &[wide], 2.0);
    let library = Library::open(root.path()).unwrap();
    let mut session = open(&f, &library, "cpu", std::slice::from_ref(&f.ids));
    assert_eq!(session.experts(), ["a", "big", "one"]);
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let mut set = |router: &str, muted: &[&str], general: &[&str]| {
        let (muted, general) = (names(muted), names(general));
        session.set_router(RouterConfig { muted, general, ..router.parse().unwrap() })
    };
    set("arrow", &["big", "wide"], &[]).expect("one that was left out has no weight anyway");
    let said = |result: lora_tui::Result<()>| match result.unwrap_err() {
        Error::Usage(text) => text,
        other => panic!("{other}"),
    };
    assert!(said(set("arrow", &["bog"], &[])).contains("near: big"));
    for router in ["arrow", "uniform", "vote", "norm:calibrated"] {
        assert!(said(set(router, &["a", "big", "one"], &[])).starts_with("every expert is muted: "));
        assert!(said(set(router, &[], &["a", "big", "one"])).starts_with("every expert is general"));
        assert!(said(set(router, &["big"], &["a", "one"])).starts_with("every expert is muted or general"));
    }
}

#[test]
fn what_is_missing_of_experts_is_said_of_those_that_take_part_under_the_router_at_work() {
    let f = Fixture::open("llama");
    let (root, _) = with_a_big_one("model.layers.0.self_attn.q_proj");
    for name in ["zero", "zero2"] {
        let a = numbers(7, 64);
        let lora = lora("model.layers.0.self_attn.q_proj", 2, (32, 32), |i| a[i], |_| 0.0);
        write_expert(&root.path().join(name), &[lora], 2.0);
    }
    let library = Library::open(root.path()).unwrap();
    let mut session = open(&f, &library, "cpu", std::slice::from_ref(&f.ids));
    let mut said = |router: &str, muted: &[&str], general: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let (muted, general) = (names(muted), names(general));
        session.set_router(RouterConfig { muted, general, ..router.parse().unwrap() }).unwrap();
        let lines = session.not_applied().into_iter().map(|line| line.to_string());
        lines.filter(|line| line.contains("ΔW is zero")).collect::<Vec<_>>()
    };
    assert_eq!(
        said("lag", &["zero2"], &[]),
        ["zero: its ΔW is zero: no candidate for LAG"],
        "one that is muted is not looked for"
    );
    assert!(said("subspace", &["zero"], &[])[0].ends_with("no candidate for subspace"));
    assert!(said("arrow", &["zero", "zero2"], &["one"]).is_empty(), "nor is a general one");
}
