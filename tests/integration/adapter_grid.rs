//! Adapters from all over what PEFT's LoRA can write, made by `tests/fixtures/make_grid.py`: each gives PEFT's logits,
//! and is warned of where PEFT warns or fails when it loads it, and only there. `LORA_TUI_GRID` names a folder with
//! more of them than the fixture has.

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::Tensor;
use lora_tui::Cancel;
use lora_tui::catalog::Catalog;
use lora_tui::library::{Expert, Status};
use lora_tui::routing::{Part, Prompt, RouterConfig, Session};
use serde_json::Value;

use crate::support::models::{cpu, values};
use crate::support::repository;

const BASES: [&str; 4] = ["llama", "llava", "qwen2", "tied"];
/// Of logits; f16 adapters on an f16 base, computed in f32.
const TOLERANCE: f32 = 5e-4;

fn root() -> PathBuf {
    match std::env::var_os("LORA_TUI_GRID") {
        Some(folder) => folder.into(),
        None => repository().join("tests/fixtures/grid"),
    }
}

fn expected() -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join("expected.json")).unwrap()).unwrap()
}

/// What is said of an expert that is a contradiction, or keeps it from being what PEFT makes of it.
fn told(expert: &Expert) -> Vec<String> {
    let mut lines = expert.warnings.clone();
    match expert.status() {
        Status::Bad => lines.extend(expert.reason().map(String::from)),
        // What Arrow cannot mix is no contradiction.
        _ => {
            let parts = expert.not_applied(false).unwrap_or_default().split([';', ',']).map(str::trim);
            lines.extend(
                parts.filter(|part| !part.is_empty() && !part.contains("outside the")).map(String::from),
            );
        }
    }
    lines
}

fn names(expected: &Value, base: &str) -> BTreeMap<String, Value> {
    let experts = expected["experts"].as_object().unwrap();
    let of = |(name, facts): (&String, &Value)| {
        Some((name.strip_prefix(base)?.strip_prefix('/')?.into(), facts.clone()))
    };
    experts.iter().filter_map(of).collect()
}

#[test]
fn every_adapter_gives_peft_s_logits() {
    let expected = expected();
    let ids: Vec<u32> = serde_json::from_value(expected["ids"].clone()).unwrap();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for base in BASES {
        let path = root().join("bases").join(base);
        let library = Catalog::open(&root().join(base), Some(&path)).unwrap().library;
        let mut session = Session::open(&library, &path, &cpu(), &mut |_| {}, &Cancel::new()).unwrap();
        let prompt = Prompt { ids: ids.clone(), parts: vec![Part::Prompt; ids.len()] };
        for (name, facts) in names(&expected, base) {
            let Some(logits) = facts["logits"].as_array() else { continue };
            let logits: Vec<f32> = logits.iter().map(|v| v.as_f64().unwrap() as f32).collect();
            if !session.experts().contains(&name) {
                wrong.push(format!("{base}/{name}: {:?}", library.expert(&name).unwrap().reason()));
                continue;
            }
            session.set_router(RouterConfig::single(name.clone())).unwrap();
            let found: Tensor = session.logits(&prompt, &Cancel::new()).unwrap().0;
            let found = values(&found);
            let last = &found[found.len() - logits.len()..];
            let off = last.iter().zip(&logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            compared += 1;
            if off > TOLERANCE || !last.iter().all(|v| v.is_finite()) {
                wrong.push(format!("{base}/{name}: off by {off}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 19, "{compared}");
    println!("{compared} adapters have PEFT's logits");
}

#[test]
fn what_is_warned_of_is_what_peft_warns_of() {
    let expected = expected();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for base in BASES {
        let path = root().join("bases").join(base);
        let library = Catalog::open(&root().join(base), Some(&path)).unwrap().library;
        for (name, facts) in names(&expected, base) {
            let peft: Vec<&Value> =
                facts["warnings"].as_array().unwrap().iter().chain(facts.get("error")).collect();
            let here = told(library.expert(&name).unwrap());
            compared += 1;
            if peft.is_empty() != here.is_empty() {
                wrong.push(format!("{base}/{name}:\n    PEFT: {peft:?}\n    here: {here:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{compared} adapters are warned of as PEFT does");
}
