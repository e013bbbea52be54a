//! Language models inside models that also see or hear, and adapters of the whole, against transformers and PEFT
//! (`tests/fixtures/make_multimodal.py`).

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use lora_tui::Cancel;
use lora_tui::library::Library;
use lora_tui::model::base_shape;
use lora_tui::routing::{Part, Prompt, RouterConfig, Session};

use crate::support::models::{on, test_each_ops, values};
use crate::support::repository;

const MODELS: [&str; 9] = [
    "llava",
    "llava_tied",
    "llava_next",
    "mistral3",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "idefics3",
    "internvl",
];

fn root() -> PathBuf {
    repository().join("tests/fixtures/multimodal")
}

fn near(what: &str, found: &Tensor, wanted: &Tensor) {
    let (found, wanted) = (values(found), values(wanted));
    assert_eq!(found.len(), wanted.len(), "{what}");
    let off = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 2e-5, "{what}: off by {off}");
}

test_each_ops!(the_language_model_inside_and_its_adapters_give_the_logits_of_the_whole);

fn the_language_model_inside_and_its_adapters_give_the_logits_of_the_whole(device: &str) {
    let text = std::fs::read_to_string(root().join("ids.json")).unwrap();
    let ids: Vec<u32> = serde_json::from_str(&text).unwrap();
    let prompt = Prompt { parts: vec![Part::Prompt; ids.len()], ids };
    for name in MODELS {
        let folder = root().join(name);
        let expected =
            candle_core::safetensors::load(folder.join("expected.safetensors"), &Device::Cpu).unwrap();
        let library = Library::open(&folder.join("experts")).unwrap();
        let options = on(device);
        let mut session =
            Session::open(&library, &folder.join("base"), &options, &mut |_| {}, &Cancel::new()).unwrap();
        assert_eq!(session.skipped(), [], "{name}");
        let methods = [("logits", RouterConfig::base())].into_iter();
        let experts = ["both", "language"].map(|expert| (expert, RouterConfig::single(expert)));
        for (wanted, router) in methods.chain(experts) {
            session.set_router(router).unwrap();
            let (logits, _) = session.logits(&prompt, &Cancel::new()).unwrap();
            near(&format!("{name}, {wanted}"), &logits, &expected[wanted]);
        }
    }
}

#[test]
fn sizes_are_those_of_the_language_model() {
    for name in MODELS {
        let sizes = base_shape(&root().join(name).join("base")).unwrap().layers;
        assert_eq!(sizes["model.layers.1.self_attn.q_proj"], (16, 16), "{name}");
    }
}
