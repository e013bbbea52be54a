//! Several experts trained in one process: each is the one that it would be alone.

use std::path::{Path, PathBuf};

use lora_tui::model::Precision;
use lora_tui::train::{OneOf, TogetherEvent, TrainEvent, TrainReport, TrainSpec, train_together};
use lora_tui::{Cancel, Error, Result};

use crate::support::models::Fixture;
use crate::support::training::{entries, library, quiet, random_spec, task, values, weights};

/// Trainings that differ in everything that may differ: data, seeds, ranks, targets, sizes and numbers of batches.
fn different(f: &Fixture, library: &Path, change: impl Fn(&mut TrainSpec)) -> Vec<TrainSpec> {
    let one = |at: usize| {
        let data = task(library, &format!("task-{at}"), 9 + 3 * at, 4);
        let mut spec = TrainSpec {
            data: vec![data],
            validation: None,
            name: format!("expert-{at}"),
            seed: at as u64,
            rank: 1 + at,
            batch: 1 + at % 3,
            max_steps: Some(3 + 2 * at),
            learning_rate: 1e-3 * (at + 1) as f64,
            ..random_spec(f, library)
        };
        match at {
            1 => spec.accumulate = 2,
            2 => spec.targets = vec!["v_proj".into(), "down_proj".into()],
            3 => spec.checkpointing = true,
            4 => spec.init = Some(f.folder.join("experts/expert_0")),
            _ => {}
        }
        if at == 4 {
            spec.rank = 2;
        }
        change(&mut spec);
        spec
    };
    (0..5).map(one).collect()
}

/// Runs trainings together and gives what came of each.
fn together(
    specs: &[TrainSpec],
    states: Option<&Path>,
    at_once: Option<usize>,
    hear: &mut dyn FnMut(usize, TrainEvent),
    cancel: &Cancel,
) -> Result<Vec<Option<Result<TrainReport>>>> {
    let states: Option<Vec<PathBuf>> =
        states.map(|folder| specs.iter().map(|spec| folder.join(format!("{}.state", spec.name))).collect());
    let state = |at: usize| states.as_ref().map(|all| all[at].as_path());
    let all: Vec<OneOf> =
        specs.iter().enumerate().map(|(at, spec)| OneOf { spec, state: state(at), adapted: None }).collect();
    let mut made: Vec<Option<Result<TrainReport>>> = specs.iter().map(|_| None).collect();
    let mut events = |event| match event {
        TogetherEvent::Training { row, event } => hear(row, event),
        TogetherEvent::Over { row, outcome } => made[row] = Some(outcome),
    };
    train_together(&all, at_once, &mut events, cancel)?;
    Ok(made)
}

fn all_made(made: Vec<Option<Result<TrainReport>>>) -> Vec<TrainReport> {
    made.into_iter().map(|one| one.unwrap().unwrap()).collect()
}

#[test]
fn each_expert_is_to_the_last_bit_the_one_that_it_would_be_alone() {
    let f = Fixture::open("llama");
    for precision in [Precision::F32, Precision::Bf16, Precision::Q8] {
        let (apart, one) = (library(), library());
        let specs = different(&f, apart.path(), |spec| spec.precision = precision);
        let alone: Vec<TrainReport> = specs.iter().map(|spec| quiet(spec).unwrap()).collect();
        let specs = different(&f, one.path(), |spec| spec.precision = precision);
        // How many share a pass changes as some end and others begin.
        let mut most = 0;
        let mut under_way = std::collections::BTreeSet::new();
        let mut hear = |row, event| {
            if let TrainEvent::Step(step) = event {
                under_way.insert(row);
                most = most.max(under_way.len());
                if step.step == step.steps {
                    under_way.remove(&row);
                }
            }
        };
        let made = all_made(together(&specs, None, Some(3), &mut hear, &Cancel::new()).unwrap());
        assert_eq!(most, 3);
        for ((spec, alone), made) in specs.iter().zip(&alone).zip(&made) {
            assert!(
                weights(apart.path(), &spec.name) == weights(one.path(), &spec.name),
                "{} in {precision}",
                spec.name
            );
            assert_eq!(
                (alone.steps, alone.train_loss, alone.validation_loss, alone.base_validation_loss),
                (made.steps, made.train_loss, made.validation_loss, made.base_validation_loss)
            );
        }
    }
}

#[test]
fn a_device_gives_nearly_the_same_experts() {
    let f = Fixture::open("llama");
    let (host, device) = (library(), library());
    let made = |folder: &Path, device: &str| {
        let specs = different(&f, folder, |spec| spec.device = device.into());
        all_made(together(&specs, None, Some(5), &mut |_, _| {}, &Cancel::new()).unwrap());
        specs
    };
    made(host.path(), "cpu");
    for spec in made(device.path(), "candle-cpu") {
        let (a, b) = (values(host.path(), &spec.name), values(device.path(), &spec.name));
        let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(a.len() == b.len() && off < 2e-3, "{}: {off}", spec.name);
    }
}

#[test]
fn one_that_fails_ends_alone() {
    let f = Fixture::open("llama");
    let (apart, one) = (library(), library());
    let specs = |folder: &Path| {
        let mut specs = different(&f, folder, |_| {});
        specs[1].learning_rate = 1e30;
        specs[3].targets = vec!["w_proj".into()];
        specs
    };
    let alone: Vec<Result<TrainReport>> = specs(apart.path()).iter().map(quiet).collect();
    let made = together(&specs(one.path()), None, Some(5), &mut |_, _| {}, &Cancel::new()).unwrap();
    for (at, (alone, made)) in alone.iter().zip(made).enumerate() {
        let (alone, made) = (alone.as_ref().map_err(Error::to_string), made.unwrap());
        assert_eq!(alone.is_err(), at == 1 || at == 3);
        match (alone, made) {
            (Err(alone), Err(made)) => assert_eq!(alone, made.to_string()),
            (Ok(alone), Ok(_)) => {
                assert!(weights(apart.path(), &alone.expert) == weights(one.path(), &alone.expert));
            }
            _ => panic!("expert-{at} ended in another way than alone"),
        }
    }
    assert_eq!(
        entries(one.path()).into_iter().filter(|name| name.starts_with("expert")).collect::<Vec<_>>(),
        ["expert-0", "expert-2", "expert-4"]
    );
}

#[test]
fn what_was_interrupted_goes_on_from_where_each_was() {
    let f = Fixture::open("llama");
    let (apart, one, states) = (library(), library(), library());
    for spec in different(&f, apart.path(), |_| {}) {
        quiet(&spec).unwrap();
    }
    let specs = different(&f, one.path(), |_| {});
    let mut runs = 0;
    loop {
        runs += 1;
        let (cancel, mut steps) = (Cancel::new(), 0);
        let mut hear = |_, event| {
            if let TrainEvent::Step(_) = event {
                steps += 1;
                if steps == 7 {
                    cancel.cancel();
                }
            }
        };
        match together(&specs, Some(states.path()), Some(3), &mut hear, &cancel) {
            Ok(made) => {
                all_made(made);
                break;
            }
            Err(error) => assert!(matches!(error, Error::Cancelled), "{error}"),
        }
    }
    assert!(runs > 3, "{runs}");
    for spec in &specs {
        assert!(weights(apart.path(), &spec.name) == weights(one.path(), &spec.name), "{}", spec.name);
    }
    let left: Vec<String> =
        entries(states.path()).into_iter().filter(|name| name.ends_with(".state")).collect();
    assert!(left.is_empty(), "{left:?}");
}
