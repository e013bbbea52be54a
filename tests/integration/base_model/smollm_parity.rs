//! The real base model with a shipped expert against transformers and PEFT (fixture made by
//! `tests/fixtures/make_smollm_fixture.py`).

use lora_tui::Cancel;
use lora_tui::library::Library;
use lora_tui::model::LoadOptions;
use lora_tui::routing::{Part, Prompt, RouterConfig, Session};

use super::base_model;
use crate::support::repository;

const TOLERANCE: f32 = 1e-3;

#[test]
fn a_shipped_expert_gives_the_logits_of_peft() {
    let Some(base) = base_model() else { return };
    let root = repository();
    let text = std::fs::read_to_string(root.join("tests/fixtures/smollm.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ids = |key: &str| -> Vec<u32> { serde_json::from_value(facts[key].clone()).unwrap() };
    let word = |key: &str| facts[key].as_str().unwrap();

    let library = Library::open(&root.join("library")).unwrap();
    let options = LoadOptions { device: "cpu".into(), ..LoadOptions::default() };
    let mut session = Session::open(&library, base, &options, &mut |_| {}, &Cancel::new()).unwrap();
    let tokenizer = session.model().tokenizer().unwrap();
    assert_eq!(tokenizer.encode(word("prompt")).unwrap(), ids("prompt_ids"));
    assert_eq!(tokenizer.encode(word("mixed")).unwrap(), ids("mixed_ids"));
    assert_eq!(tokenizer.decode(&ids("mixed_ids"), false).unwrap(), word("mixed"));

    let prompt = ids("prompt_ids");
    let parts = vec![Part::Prompt; prompt.len()];
    let prompt = Prompt { ids: prompt, parts };
    for (key, config) in [("base", RouterConfig::base()), ("single", RouterConfig::single(word("expert")))] {
        session.set_router(config).unwrap();
        let (logits, _) = session.logits(&prompt, &Cancel::new()).unwrap();
        let last: Vec<f32> = logits.get(prompt.ids.len() - 1).unwrap().to_vec1().unwrap();
        let numbers = |name: &str| -> Vec<f32> { serde_json::from_value(facts[key][name].clone()).unwrap() };
        let top: Vec<usize> = serde_json::from_value(facts[key]["top_ids"].clone()).unwrap();
        let sampled = last.iter().step_by(64).copied();
        let highest = top.iter().map(|&id| last[id]);
        let wanted = numbers("every_64th").into_iter().chain(numbers("top_logits"));
        let differences = sampled.chain(highest).zip(wanted).map(|(a, b)| (a - b).abs());
        let off = differences.max_by(f32::total_cmp).unwrap();
        println!("{key}: {off:e}");
        assert!(off <= TOLERANCE, "{key} is off by {off}");
        let best = last.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(id, _)| id);
        assert_eq!(best, top.first().copied(), "{key}");
    }
}
