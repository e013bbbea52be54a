//! Adapters whose training began with a part of the base model's weights: refused as they are, and applied once PEFT has
//! converted them (`tests/fixtures/make_started.py`).

use candle_core::Device;
use lora_tui::Cancel;
use lora_tui::library::{Library, Status};
use lora_tui::routing::{Part, Prompt, RouterConfig, Session};

use crate::support::models::{cpu, values};
use crate::support::repository;

#[test]
fn what_changed_the_base_model_is_refused_and_what_was_converted_is_applied() {
    let root = repository().join("tests/fixtures/started");
    let library = Library::open(&root.join("experts")).unwrap();
    let ids: Vec<u32> =
        serde_json::from_str(&std::fs::read_to_string(root.join("ids.json")).unwrap()).unwrap();
    let prompt = Prompt { parts: vec![Part::Prompt; ids.len()], ids };
    let expected = candle_core::safetensors::load(root.join("expected.safetensors"), &Device::Cpu).unwrap();
    let mut session =
        Session::open(&library, &root.join("base"), &cpu(), &mut |_| {}, &Cancel::new()).unwrap();
    for (name, kind, what_to_do) in [
        ("pissa", "PiSSA", "path_initial_model_for_weight_conversion"),
        ("pissa_niter", "PiSSA", "path_initial_model_for_weight_conversion"),
        ("olora", "OLoRA", "path_initial_model_for_weight_conversion"),
        ("kasa", "KaSA", "merge it into the base model with PEFT"),
    ] {
        let expert = library.expert(name).unwrap();
        let reason = expert.reason().unwrap();
        assert_eq!(expert.status(), Status::Bad, "{name}");
        assert!(reason.contains(&format!("asks for {kind}")) && reason.contains(what_to_do), "{reason}");
        assert!(session.set_router(RouterConfig::single(name)).is_err(), "{name}");
    }
    for name in ["pissa_converted", "pissa_niter_converted", "olora_converted"] {
        session.set_router(RouterConfig::single(name)).unwrap();
        let (logits, _) = session.logits(&prompt, &Cancel::new()).unwrap();
        let (found, wanted) = (values(&logits), values(&expected[name]));
        let off = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 2e-5, "{name}: off by {off}");
    }
}
