//! What a training does and leaves on disk: seeds, batches, joint tasks, interruptions, bad input.

use std::path::Path;

use lora_tui::library::Library;
use lora_tui::model::Precision;
use lora_tui::train::{Schedule, Step, TrainEvent, TrainSpec, train};
use lora_tui::{Cancel, Error};

use crate::support::models::Fixture;
use crate::support::training::{
    entries, library, log_lines, quiet, random_spec, spec, task, values, weights,
};

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let f = Fixture::open("llama");
    let dir = library();
    let random = TrainSpec { max_steps: Some(4), ..random_spec(&f, dir.path()) };
    let bytes = |name: &str, seed| {
        quiet(&TrainSpec { name: name.into(), seed, ..random.clone() }).unwrap();
        weights(dir.path(), name)
    };
    let (a, b, c) = (bytes("a", 1), bytes("b", 1), bytes("c", 2));
    assert!(a == b, "two runs with one seed differ");
    assert!(a != c, "two seeds give one adapter");
}

/// Largest difference between the weights of two experts, and the largest weight.
fn difference(library: &Path, one: &str, other: &str) -> (f32, f32) {
    let (a, b) = (values(library, one), values(library, other));
    assert_eq!(a.len(), b.len());
    let largest = |v: &mut dyn Iterator<Item = f32>| v.fold(0f32, |m, x| m.max(x.abs()));
    (largest(&mut a.iter().zip(&b).map(|(a, b)| a - b)), largest(&mut a.iter().copied()))
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    let f = Fixture::open("llama");
    let dir = library();
    // The last step of an epoch has 3 examples left: 2 and 1.
    for (name, batch, accumulate) in [("whole", 8, 1), ("parts", 2, 4), ("single", 1, 8)] {
        let spec = TrainSpec { name: name.into(), batch, accumulate, ..random_spec(&f, dir.path()) };
        assert_eq!(quiet(&spec).unwrap().steps, 10);
    }
    for other in ["parts", "single"] {
        let (off, size) = difference(dir.path(), "whole", other);
        println!("{other}: {off:e} of {size}");
        assert!(off <= 1e-3 * size, "{other}: {off}");
    }
    let four = TrainSpec { name: "four".into(), batch: 4, ..random_spec(&f, dir.path()) };
    quiet(&four).unwrap();
    assert!(difference(dir.path(), "whole", "four").0 > 0.01, "the size of a step matters");
}

#[test]
fn checkpointing_changes_nothing_and_other_settings_do() {
    let f = Fixture::open("llama");
    let dir = library();
    let train = |name: &str, change: &dyn Fn(&mut TrainSpec)| {
        let mut spec = TrainSpec { name: name.into(), ..random_spec(&f, dir.path()) };
        change(&mut spec);
        quiet(&spec).unwrap();
        weights(dir.path(), name)
    };
    let plain = train("plain", &|_| ());
    assert!(plain == train("checkpointing", &|s| s.checkpointing = true));
    assert!(plain != train("clip", &|s| s.clip = Some(0.1)));
    assert!(plain != train("decay", &|s| s.weight_decay = 0.5));
    assert!(plain != train("by-length", &|s| s.by_length = true));
    let provenance = |name: &str| {
        let library = Library::open(dir.path()).unwrap();
        library.expert(name).unwrap().provenance.clone().unwrap()
    };
    let setting = |name: &str, id: &str| provenance(name).setting(id);
    assert_eq!((setting("clip", "clip").as_deref(), setting("plain", "clip")), (Some("0.1"), None));
    assert_eq!(setting("decay", "weight_decay").as_deref(), Some("0.5"));
    assert_eq!(setting("plain", "schedule").as_deref(), Some("linear"));
}

#[test]
fn an_8_bit_base_trains_nearly_alike() {
    let f = Fixture::open("llama");
    let dir = library();
    let losses = |name: &str, precision| {
        let log = dir.path().join(format!("{name}.jsonl"));
        let spec = TrainSpec { name: name.into(), precision, log: Some(log.clone()), ..spec(&f, dir.path()) };
        quiet(&spec).unwrap();
        log_lines(&log).iter().map(|line| line["loss"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let (full, q8) = (losses("full", Precision::F32), losses("q8", Precision::Q8));
    let worst = full.iter().zip(&q8).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!("q8: loss off by {worst}");
    assert!(worst > 0.0 && worst < 0.2, "{full:?} {q8:?}");
}

#[test]
fn a_joint_training_reports_each_task() {
    let f = Fixture::open("llama");
    let dir = library();
    let (copy, next) = (task(dir.path(), "copy", 30, 5), task(dir.path(), "next", 10, 4));
    let joint = TrainSpec {
        data: vec![copy.clone(), next],
        validation: None,
        batch: 8,
        max_steps: Some(10),
        ..random_spec(&f, dir.path())
    };
    let report = quiet(&joint).unwrap();
    let tasks: Vec<(&str, usize)> = report.tasks.iter().map(|t| (t.task.as_str(), t.examples)).collect();
    assert_eq!(tasks, [("copy", 30), ("next", 10)]);
    let mean = report.tasks.iter().zip([5.0, 4.0]).map(|(t, n)| t.validation_loss.unwrap() * n).sum::<f64>();
    assert!((mean / 9.0 - report.validation_loss.unwrap()).abs() < 1e-6, "{report:?}");
    for task in &report.tasks {
        assert!(task.validation_loss.unwrap() < task.base_validation_loss.unwrap(), "{report:?}");
    }
    let library = Library::open(dir.path()).unwrap();
    let provenance = library.expert("new").unwrap().provenance.clone().unwrap();
    assert_eq!((provenance.task.as_deref(), provenance.examples), (Some("copy+next"), Some(40)));
    assert_eq!((provenance.family.as_deref(), &provenance.tasks), (Some("words"), &report.tasks));

    let alone = TrainSpec { name: "alone".into(), data: vec![copy], max_steps: Some(1), ..joint };
    assert!(quiet(&alone).unwrap().tasks.is_empty());
}

/// Trains with a state until `stop` says so.
fn interrupted(spec: &TrainSpec, state: &Path, stop: impl Fn(&TrainEvent) -> bool) -> Vec<TrainEvent> {
    let cancel = Cancel::new();
    let mut events = Vec::new();
    let result = train(
        spec,
        Some(state),
        &mut |event| {
            if stop(&event) {
                cancel.cancel();
            }
            events.push(event);
        },
        &cancel,
    );
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    events
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_bytes() {
    let f = Fixture::open("llama");
    let dir = library();
    let state = dir.path().join("state");
    let log = |name: &str| Some(dir.path().join(format!("{name}.jsonl")));
    let named = |name: &str| TrainSpec {
        name: name.into(),
        log: log(name),
        by_length: true,
        accumulate: 2,
        batch: 2,
        ..random_spec(&f, dir.path())
    };
    let whole = quiet(&named("whole")).unwrap();

    let spec = named("parts");
    let at = |n| move |event: &TrainEvent| matches!(event, TrainEvent::Step(Step { step, .. }) if *step == n);
    let first = interrupted(&spec, &state, at(4));
    assert!(first.contains(&TrainEvent::Stage("saved after step 4 of 10".into())), "{first:?}");
    assert!(!dir.path().join("parts").exists());
    // Interrupted while it loads: what was saved stays.
    let loading =
        |event: &TrainEvent| matches!(event, TrainEvent::Stage(text) if text.starts_with("loading"));
    interrupted(&spec, &state, loading);
    let second = interrupted(&spec, &state, at(7));
    let started = second.iter().find(|event| matches!(event, TrainEvent::Started { .. }));
    assert!(matches!(started, Some(TrainEvent::Started { step: 4, steps: 10, .. })), "{started:?}");
    // As if it had died: lines that the state knows nothing of.
    let lines = std::fs::read_to_string(spec.log.as_ref().unwrap()).unwrap();
    std::fs::write(spec.log.as_ref().unwrap(), format!("{lines}{{\"step\":8}}\n{{\"st")).unwrap();
    let parts = train(&spec, Some(&state), &mut |_| {}, &Cancel::new()).unwrap();

    assert!(weights(dir.path(), "whole") == weights(dir.path(), "parts"));
    assert_eq!((parts.train_loss, parts.validation_loss), (whole.train_loss, whole.validation_loss));
    assert!(!state.exists(), "the state is of no use any more");
    let losses = |name: &str| -> Vec<(u64, f64)> {
        let lines = log_lines(&log(name).unwrap());
        lines.iter().map(|l| (l["step"].as_u64().unwrap(), l["loss"].as_f64().unwrap())).collect()
    };
    assert_eq!(losses("parts"), losses("whole"));
}

#[test]
fn a_training_that_was_stopped_between_its_last_step_and_its_writing_makes_no_step_more() {
    let f = Fixture::open("llama");
    let dir = library();
    let state = dir.path().join("state");
    let named = |name: &str| TrainSpec {
        name: name.into(),
        schedule: Schedule::Constant,
        warmup: 0.0,
        checkpoint_every: Some(1),
        ..random_spec(&f, dir.path())
    };
    let whole = quiet(&named("whole")).unwrap();
    let (spec, in_the_way) = (named("parts"), dir.path().join("parts"));
    let mut block = |event: TrainEvent| {
        if matches!(event, TrainEvent::Step(Step { step, steps, .. }) if step == steps) {
            std::fs::create_dir(&in_the_way).unwrap();
        }
    };
    train(&spec, Some(&state), &mut block, &Cancel::new()).unwrap_err();
    assert!(state.exists());
    std::fs::remove_dir(&in_the_way).unwrap();
    let mut steps = 0;
    let mut count = |event| steps += usize::from(matches!(event, TrainEvent::Step(_)));
    let parts = train(&spec, Some(&state), &mut count, &Cancel::new()).unwrap();
    assert_eq!((steps, parts.steps), (0, whole.steps));
    assert!(weights(dir.path(), "whole") == weights(dir.path(), "parts"));
    assert_eq!((parts.train_loss, parts.validation_loss), (whole.train_loss, whole.validation_loss));
}

#[test]
fn states_are_saved_as_often_as_asked_for() {
    let f = Fixture::open("llama");
    let dir = library();
    let state = dir.path().join("state");
    let spec = TrainSpec { checkpoint_every: Some(3), ..spec(&f, dir.path()) };
    let mut there = Vec::new();
    let mut look = |event| {
        if let TrainEvent::Step(_) = event {
            there.push(std::fs::read(&state).ok());
        }
    };
    train(&spec, Some(&state), &mut look, &Cancel::new()).unwrap();
    // Seen at each step before that step's own state is written.
    assert!(there[..3].iter().all(Option::is_none) && there[3..].iter().all(Option::is_some));
    let mut states = there[3..].to_vec();
    states.dedup();
    assert_eq!(states.len(), 3, "after steps 3, 6 and 9");
}

#[test]
fn a_state_of_something_else_is_refused() {
    let f = Fixture::open("llama");
    let dir = library();
    let state = dir.path().join("state");
    let data = dir.path().join("data.jsonl");
    std::fs::copy(f.folder.join("train.jsonl"), &data).unwrap();
    let spec = TrainSpec { data: vec![data.clone()], ..spec(&f, dir.path()) };
    interrupted(&spec, &state, |event| matches!(event, TrainEvent::Step(Step { step: 2, .. })));
    let saved = std::fs::read(&state).unwrap();
    let error = |spec: &TrainSpec| {
        let error = train(spec, Some(&state), &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
        assert!(error.starts_with(&state.display().to_string()) && error.contains("remove it"), "{error}");
        error
    };
    assert!(error(&TrainSpec { seed: 1, ..spec.clone() }).contains("other settings"));
    std::fs::copy(f.folder.join("eight.jsonl"), &data).unwrap();
    assert!(error(&spec).contains("training data changed"));
    std::fs::copy(f.folder.join("train.jsonl"), &data).unwrap();
    let broken: [(&str, Vec<u8>); 4] = [
        ("is damaged", saved[..saved.len() / 2].to_vec()),
        ("is damaged", b"not a state at all".to_vec()),
        ("is damaged", Vec::new()),
        ("is not the state", vec![0; 64 << 20]),
    ];
    for (problem, bytes) in broken {
        std::fs::write(&state, bytes).unwrap();
        assert!(error(&spec).contains(problem), "{problem}");
    }
    let other = f.folder.join("experts/expert_0/adapter_model.safetensors");
    std::fs::copy(other, &state).unwrap();
    assert!(error(&spec).contains("is not the state of a training"));
    std::fs::write(&state, saved).unwrap();
    train(&spec, Some(&state), &mut |_| {}, &Cancel::new()).unwrap();
}

/// A copy of a folder of files.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_state_belongs_to_its_base_model_template_and_precision_wherever_they_lie() {
    let f = Fixture::open("llama");
    let outer = tempfile::tempdir().unwrap();
    let at = |place: &str| {
        let folder = outer.path().join(place);
        let [base, library, data] = ["base", "library", "data.jsonl"].map(|name| folder.join(name));
        let state = library.join("state");
        let spec = TrainSpec {
            base: Some(base.clone()),
            data: vec![data.clone()],
            validation: Some(data.clone()),
            init: None,
            ..random_spec(&f, &library)
        };
        (folder, base, library, data, state, spec)
    };
    let (folder, base, library, data, state, spec) = at("here");
    [&folder, &library].iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    copied(&f.base(), &base);
    std::fs::copy(f.folder.join("train.jsonl"), &data).unwrap();
    let manifest = |end: &str| {
        let text = format!("[template]\nprompt = \"{{instruction}} {{input}} =\"\nend = \"{end}\"\n");
        std::fs::write(library.join("library.toml"), text).unwrap();
    };
    manifest(" <end>");
    quiet(&TrainSpec { name: "whole".into(), ..spec.clone() }).unwrap();
    interrupted(&spec, &state, |event| matches!(event, TrainEvent::Step(Step { step: 4, .. })));

    let error =
        |spec: &TrainSpec| train(spec, Some(&state), &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
    let weights_file = base.join("model.safetensors");
    let good = std::fs::read(&weights_file).unwrap();
    let mut other = good.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&weights_file, other).unwrap();
    let told = error(&spec);
    assert!(
        told.contains("was saved with another base model: put that back to resume, or remove it"),
        "{told}"
    );
    std::fs::write(&weights_file, good).unwrap();
    manifest(" ;");
    assert!(error(&spec).contains("was saved with another template: put that back"), "{}", error(&spec));
    manifest(" <end>");
    let changed = TrainSpec { precision: Precision::Bf16, rank: 3, ..spec.clone() };
    let told = error(&changed);
    assert!(told.contains("with other settings (rank 2, not 3; precision f32, not bf16)"), "{told}");

    let saved = std::fs::read(&state).unwrap();
    let mut damaged = saved.clone();
    // Another number, as finite as the old one.
    let last = damaged.len() - 3;
    damaged[last] ^= 1;
    std::fs::write(&state, damaged).unwrap();
    assert!(error(&spec).contains("is damaged (its checksum"), "{}", error(&spec));
    let text = String::from_utf8_lossy(&saved[8..200]).into_owned();
    assert!(text.contains(r#"{\"identity\":{\"base\""#), "{text}");
    let mut old = saved.clone();
    let key = saved.windows(8).position(|window| window == b"identity").unwrap();
    old[key..key + 8].copy_from_slice(b"settings");
    std::fs::write(&state, old).unwrap();
    assert!(error(&spec).contains("was saved by another version"), "{}", error(&spec));
    std::fs::write(&state, &saved).unwrap();

    // All of it moves: what decides is the same.
    std::fs::rename(&folder, outer.path().join("there")).unwrap();
    let (_, _, library, _, state, spec) = at("there");
    train(&spec, Some(&state), &mut |_| {}, &Cancel::new()).unwrap();
    assert!(weights(&library, "whole") == weights(&library, "new"));
}

#[test]
fn a_state_that_cannot_be_saved_is_told_and_tried_again() {
    let f = Fixture::open("llama");
    let dir = library();
    let whole = TrainSpec { name: "whole".into(), ..random_spec(&f, dir.path()) };
    quiet(&whole).unwrap();
    let spec = TrainSpec { name: "new".into(), checkpoint_every: Some(2), ..whole };
    let folder = dir.path().join("later");
    let mut texts = Vec::new();
    let mut listen = |event| match event {
        TrainEvent::Step(Step { step: 5, .. }) => std::fs::create_dir(&folder).unwrap(),
        TrainEvent::Stage(text) => texts.push(text),
        _ => {}
    };
    train(&spec, Some(&folder.join("state")), &mut listen, &Cancel::new()).unwrap();
    let found = |words: &str| texts.iter().filter(|text| text.contains(words)).count();
    assert_eq!(
        found("after step 2 could not be saved; the training continues and tries again"),
        1,
        "{texts:?}"
    );
    assert_eq!((found("could not be saved"), found("the state is saved again, after step 6")), (1, 1));
    assert!(weights(dir.path(), "whole") == weights(dir.path(), "new"));
}

#[test]
fn an_expert_that_was_finished_but_not_reported_is_taken_up() {
    let f = Fixture::open("llama");
    let dir = library();
    let state = dir.path().join("state");
    let spec = spec(&f, dir.path());
    let first = train(&spec, Some(&state), &mut |_| {}, &Cancel::new()).unwrap();
    let bytes = weights(dir.path(), "new");
    // Its worker was killed before it could remove the state or write its result.
    std::fs::write(&state, "left behind").unwrap();
    let mut texts = Vec::new();
    let mut listen =
        |event| texts.extend(if let TrainEvent::Stage(text) = event { Some(text) } else { None });
    let again = train(&spec, Some(&state), &mut listen, &Cancel::new()).unwrap();
    assert_eq!(again, first);
    assert!(texts.iter().any(|text| text == "the expert was finished by an earlier run"), "{texts:?}");
    assert!(!state.exists() && weights(dir.path(), "new") == bytes);
    // Another training's, or nobody's, is not.
    let exists = |spec: &TrainSpec, state: Option<&Path>| {
        let error = train(spec, state, &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
    };
    exists(&TrainSpec { seed: 7, ..spec.clone() }, Some(&state));
    exists(&spec, None);
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    exists(&TrainSpec { name: "folder".into(), ..spec.clone() }, Some(&state));
    assert!(weights(dir.path(), "new") == bytes);
}

#[test]
fn a_cancelled_training_leaves_nothing() {
    let f = Fixture::open("llama");
    let dir = library();
    let before = entries(dir.path());
    let cancel = Cancel::new();
    let mut steps = 0;
    let result = train(
        &spec(&f, dir.path()),
        None,
        &mut |event| {
            if let TrainEvent::Step(Step { step, .. }) = event {
                steps = step;
                if step == 3 {
                    cancel.cancel();
                }
            }
        },
        &cancel,
    );
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(steps, 3);
    assert_eq!(entries(dir.path()), before);
}

#[test]
fn names_that_exist_or_are_no_names_are_refused_before_anything_runs() {
    let f = Fixture::open("llama");
    let dir = library();
    std::fs::create_dir(dir.path().join("taken")).unwrap();
    for name in ["taken", "", "..", "a/b"] {
        let mut events = Vec::new();
        let spec = TrainSpec { name: name.into(), ..spec(&f, dir.path()) };
        let error = train(&spec, None, &mut |e| events.push(e), &Cancel::new()).unwrap_err();
        println!("{name}: {error}");
        assert!(!events.iter().any(|e| matches!(e, TrainEvent::Started { .. })), "{name}");
    }
    assert_eq!(entries(dir.path()), ["library.toml", "taken"]);
}

#[test]
fn a_continued_adapter_keeps_the_names_of_its_file() {
    let f = Fixture::open("llama");
    let dir = library();
    let init = dir.path().join("multimodal");
    crate::support::copy_folder(&f.folder.join("experts/expert_0"), &init);
    let file = init.join("adapter_model.safetensors");
    let device = candle_core::Device::Cpu;
    let renamed: std::collections::HashMap<String, candle_core::Tensor> =
        candle_core::safetensors::load(&file, &device)
            .unwrap()
            .into_iter()
            .map(|(name, tensor)| (name.replace("model.layers", "model.language_model.layers"), tensor))
            .collect();
    candle_core::safetensors::save(&renamed, &file).unwrap();
    let plain = TrainSpec { max_steps: Some(2), ..spec(&f, dir.path()) };
    quiet(&TrainSpec { name: "plain".into(), ..plain.clone() }).unwrap();
    quiet(&TrainSpec { init: Some(init), ..plain }).unwrap();
    assert_eq!(values(dir.path(), "new"), values(dir.path(), "plain"));
    let written =
        candle_core::safetensors::load(dir.path().join("new/adapter_model.safetensors"), &device).unwrap();
    let names = |tensors: &std::collections::HashMap<String, candle_core::Tensor>| {
        let mut names: Vec<String> = tensors.keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(&written), names(&renamed));
    let config = std::fs::read_to_string(dir.path().join("new/adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let targets = config["target_modules"].as_array().unwrap();
    assert!(targets.contains(&"model.language_model.layers.0.self_attn.q_proj".into()), "{targets:?}");
}

#[test]
fn bad_specifications_say_what_is_wrong() {
    let f = Fixture::open("llama");
    let dir = library();
    let error = |change: &dyn Fn(&mut TrainSpec)| {
        let mut spec = spec(&f, dir.path());
        change(&mut spec);
        quiet(&spec).unwrap_err().to_string()
    };
    assert!(error(&|s| s.rank = 0).contains("rank must be a whole number from 1 to 1024"));
    assert!(error(&|s| s.dropout = 1.0).contains("dropout must be a number from 0 to below 1"));
    assert!(error(&|s| s.learning_rate = 0.0).contains("learning rate must be a number above 0"));
    assert!(error(&|s| s.data.clear()).contains("--data"));
    assert!(error(&|s| s.accumulate = 0).contains("accumulate"));
    assert!(error(&|s| s.clip = Some(0.0)).contains("clip norm must be a number above 0"));
    assert!(error(&|s| s.warmup = 1.5).contains("from 0 to 1"));
    assert!(error(&|s| s.weight_decay = -1.0).contains("weight decay"));
    assert!(error(&|s| s.by_length = true).contains("--no-shuffle"));
    assert!(error(&|s| s.rank = 3).contains("has rank 2 (32 → 32), the training wants rank 3"));
    let alpha = spec(&f, dir.path()).alpha;
    let e = error(&|s| s.alpha = 3.0 * alpha);
    assert!(e.contains(&format!("give --alpha {alpha}, ")), "{e}");
    let e = error(&|s| s.targets = vec!["q_proj".into()]);
    assert!(e.contains(": give --targets ") && e.contains("v_proj"), "{e}");
    let e = error(&|s| s.targets = vec!["query".into()]);
    assert!(e.contains("no layer \"query\": its layers are down_proj, gate_proj,"), "{e}");
    let e = error(&|s| s.log = Some(dir.path().join("none/log.jsonl")));
    assert!(e.contains("none/log.jsonl"), "{e}");
    let e = error(&|s| s.init = Some(dir.path().to_path_buf()));
    assert!(e.contains("is not one adapter"), "{e}");
    let e = error(&|s| s.learning_rate = 1e30);
    assert!(e.contains("lower the learning rate") || e.contains("finite"), "{e}");
    assert_eq!(entries(dir.path()), ["library.toml"], "nothing is written");
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_an_error_that_names_the_log() {
    let f = Fixture::open("llama");
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let dir = library();
    let error = quiet(&TrainSpec { log: Some(full.into()), ..spec(&f, dir.path()) }).unwrap_err();
    assert!(error.to_string().starts_with("/dev/full: "), "{error}");
    assert_eq!(entries(dir.path()), ["library.toml"]);
}

#[test]
fn the_base_models_loss_is_measured_once_for_the_same_data() {
    let f = Fixture::open("llama");
    let dir = library();
    let of = |name: &str, seed: u64| {
        let spec = TrainSpec { name: name.into(), seed, ..spec(&f, dir.path()) };
        let mut stages = Vec::new();
        let mut hear = |event| {
            if let TrainEvent::Stage(text) = event {
                stages.push(text);
            }
        };
        let report = train(&spec, None, &mut hear, &Cancel::new()).unwrap();
        let known =
            stages.iter().any(|text| text == "the base model's loss is known from an earlier training");
        (report.base_validation_loss, known)
    };
    let (first, known) = of("first", 1);
    assert!(first.is_some() && !known);
    assert_eq!(of("second", 1), (first, true));
}
