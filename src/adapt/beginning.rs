//! A start as an adapter that training continues: merged, cut to the rank of the training, and filled up where the experts
//! have less.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::starts::Mixture;
use crate::library::{LayerSizes, NewLora};
use crate::merge::Merging;
use crate::module_path::ModulePath;
use crate::train::{Blend, BlendModule, BlendPart, TrainSpec, initial_a, is_target};
use crate::{Cancel, Error, Result};

/// What training begins with.
#[derive(Clone, Debug)]
pub(super) struct Beginning {
    /// Every module that is trained, at the rank and the scale of the training.
    pub loras: Vec<NewLora>,
    /// Kinds of layers that are trained: those that were asked for, and those that the experts have.
    pub targets: Vec<String>,
    /// Share of ‖ΔW‖² that the rank has kept.
    pub kept: f64,
}

/// Checks that a module of the experts is a layer that can be trained.
fn check_layer(layers: &LayerSizes, module: &str, size: (usize, usize)) -> Result<()> {
    let is_inside = ModulePath::new(module).layer().is_some();
    match layers.get(module) {
        Some(found) if is_inside && *found == size => Ok(()),
        _ => Err(Error::msg(format!(
            "the experts have LoRA at {module}, which is no layer of a block of the base model: no training can \
             continue it; name others with --experts"
        ))),
    }
}

/// The experts merged by `mixture`, for a training by these settings over the layers of its base model.
///
/// # Errors
/// Modules that cannot be trained; what cannot be read; a sum that is not finite; a raised `cancel`.
pub(super) fn beginning(
    merging: &Merging<'_>,
    layers: &LayerSizes,
    mixture: &Mixture,
    training: &TrainSpec,
    cancel: &Cancel,
) -> Result<Beginning> {
    let known: Vec<(&String, &Vec<f64>)> = merging.modules().keys().zip(&mixture.weights).collect();
    let mut targets: BTreeSet<String> = training.targets.iter().cloned().collect();
    for (module, weights) in &known {
        if merging.having(module).into_iter().any(|expert| weights[expert] != 0.0) {
            let size = merging.modules().get(*module).copied().unwrap_or_default();
            check_layer(layers, module, size)?;
            targets.insert(ModulePath::new(module).kind().to_string());
        }
    }
    let targets: Vec<String> = targets.into_iter().collect();
    let trained: Vec<(&String, (usize, usize))> = layers
        .iter()
        .filter(|(module, _)| ModulePath::new(module).layer().is_some() && is_target(module, &targets))
        .map(|(module, size)| (module, *size))
        .collect();
    let one = |(module, size): &(&String, (usize, usize))| -> Result<(NewLora, f64, f64)> {
        cancel.check()?;
        let weights = known.iter().find(|(other, _)| other == module).map(|(_, weights)| weights.as_slice());
        at_module(merging, module, *size, weights.unwrap_or_default(), training)
    };
    let made: Vec<(NewLora, f64, f64)> = trained.par_iter().map(one).collect::<Result<_>>()?;
    let (energy, lost) =
        made.iter().fold((0.0, 0.0), |sums, (_, energy, lost)| (sums.0 + energy, sums.1 + lost));
    let kept = if energy > 0.0 { 1.0 - lost / energy } else { 1.0 };
    Ok(Beginning { loras: made.into_iter().map(|(lora, ..)| lora).collect(), targets, kept })
}

/// One module: its LoRA, ‖ΔW‖² of the sum, and how much of that was cut off.
fn at_module(
    merging: &Merging<'_>,
    module: &str,
    (inputs, outputs): (usize, usize),
    weights: &[f64],
    training: &TrainSpec,
) -> Result<(NewLora, f64, f64)> {
    let rank = training.rank;
    let scale = training.alpha / rank as f64;
    // Directions that the experts do not use begin as those of a new LoRA: they add nothing, and can be learned.
    let mut a = initial_a(training.seed, module, rank, inputs);
    let mut b = vec![0f32; outputs * rank];
    let speaking: Vec<usize> = match weights.is_empty() {
        true => Vec::new(),
        false => merging.having(module).into_iter().filter(|&expert| weights[expert] != 0.0).collect(),
    };
    let (mut energy, mut lost) = (0.0, 0.0);
    let alone = match speaking.as_slice() {
        &[one] if weights[one] == 1.0 => merging.factors(module, one)?.filter(|own| own.rank <= rank),
        _ => None,
    };
    if let Some(own) = alone {
        // As it is, so that it stays comparable with what started from the same A.
        a[..own.a.len()].copy_from_slice(&own.a);
        put_columns(&mut b, rank, &own.b, own.rank, |_| own.scale / scale);
    } else if !speaking.is_empty() {
        let sum = merging.sum(module, weights, rank)?;
        (energy, lost) = (sum.energy, sum.lost);
        // A of the size that a new one has (U(−1/√in, 1/√in), so that a row has the norm 1/√3): then training moves
        // it as it moves a new one.
        let sizes: Vec<f64> = sum.a.chunks(inputs.max(1)).map(|row| 3f64.sqrt() * norm(row)).collect();
        for ((to, from), size) in a.chunks_mut(inputs.max(1)).zip(sum.a.chunks(inputs.max(1))).zip(&sizes) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = (f64::from(*from) / size) as f32);
        }
        put_columns(&mut b, rank, &sum.b, sum.rank, |column| sizes[column] / scale);
    }
    let module = merging.file_name(module).to_string();
    Ok((NewLora { module, rank, in_features: inputs, out_features: outputs, a, b }, energy, lost))
}

fn norm(row: &[f32]) -> f64 {
    row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt()
}

/// Puts the columns of a B [out, own] times a factor each into the first of one of `rank` columns.
fn put_columns(to: &mut [f32], rank: usize, from: &[f32], own: usize, factor: impl Fn(usize) -> f64) {
    let factors: Vec<f64> = (0..own).map(factor).collect();
    for (to, from) in to.chunks_mut(rank).zip(from.chunks(own.max(1))) {
        for ((to, from), factor) in to.iter_mut().zip(from).zip(&factors) {
            *to = (f64::from(*from) * factor) as f32;
        }
    }
}

/// The experts as they are, for those who learn their weights.
///
/// # Errors
/// Modules that cannot be trained; what cannot be read; a raised `cancel`.
pub(super) fn blend(
    merging: &Merging<'_>,
    layers: &LayerSizes,
    experts: usize,
    rate: f64,
    cancel: &Cancel,
) -> Result<Blend> {
    let mut modules = Vec::with_capacity(merging.modules().len());
    for (module, &(in_features, out_features)) in merging.modules() {
        cancel.check()?;
        check_layer(layers, module, (in_features, out_features))?;
        let name = merging.file_name(module);
        let mut parts = Vec::new();
        for expert in merging.having(module) {
            let Some(own) = merging.factors(module, expert)? else { continue };
            let b = own.b.iter().map(|value| (f64::from(*value) * own.scale) as f32).collect();
            parts.push(BlendPart { expert, rank: own.rank, a: own.a, b });
        }
        modules.push(BlendModule {
            module: module.clone(),
            file_name: (name != module).then(|| name.into()),
            in_features,
            out_features,
            parts,
        });
    }
    Ok(Blend { experts, modules, rate })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::DType;

    use super::*;
    use crate::catalog::Catalog;
    use crate::library::{NewAdapterConfig, Provenance, write_adapter};

    const Q: &str = "model.layers.0.self_attn.q_proj";
    const UP: &str = "model.layers.1.mlp.up_proj";
    const IN: usize = 12;
    const OUT: usize = 10;

    fn value(seed: usize, i: usize) -> f32 {
        ((i * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5
    }

    fn lora(module: &str, rank: usize, seed: usize) -> NewLora {
        NewLora {
            module: module.into(),
            rank,
            in_features: IN,
            out_features: OUT,
            a: (0..rank * IN).map(|i| value(seed, i)).collect(),
            b: (0..rank * OUT).map(|i| value(seed + 50, i)).collect(),
        }
    }

    /// Three experts of ranks 2, 3 and 2 and different scales; only the second has the other module.
    fn experts() -> Vec<(&'static str, f64, Vec<NewLora>)> {
        vec![
            ("a", 4.0, vec![lora(Q, 2, 1)]),
            ("b", 1.5, vec![lora(Q, 3, 2), lora(UP, 3, 3)]),
            ("c", 2.0, vec![lora(Q, 2, 4)]),
        ]
    }

    fn library(path: &Path) -> Catalog {
        for (name, alpha, loras) in experts() {
            let config = NewAdapterConfig {
                revision: None,
                base: "tiny".into(),
                r: loras[0].rank,
                alpha,
                dropout: 0.0,
                targets: loras.iter().map(|lora| lora.module.clone()).collect(),
            };
            write_adapter(&path.join(name), &loras, &config, DType::F32, &Provenance::default()).unwrap();
        }
        Catalog::open(path, None).unwrap()
    }

    fn layers() -> LayerSizes {
        let names = [Q, "model.layers.1.self_attn.q_proj", "model.layers.0.mlp.up_proj", UP, "lm_head"];
        names.into_iter().map(|name| (name.to_string(), (IN, OUT))).collect()
    }

    fn training(rank: usize) -> TrainSpec {
        TrainSpec { rank, alpha: 6.0, targets: vec!["q_proj".into()], ..TrainSpec::default() }
    }

    /// s·B·A [out, in].
    fn delta(lora: &NewLora, scale: f64) -> Vec<f64> {
        let mut all = vec![0.0; OUT * IN];
        for o in 0..OUT {
            for r in 0..lora.rank {
                for i in 0..IN {
                    all[o * IN + i] +=
                        scale * f64::from(lora.b[o * lora.rank + r]) * f64::from(lora.a[r * IN + i]);
                }
            }
        }
        all
    }

    fn expected(module: &str, weights: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; OUT * IN];
        for ((_, alpha, loras), weight) in experts().iter().zip(weights) {
            for lora in loras.iter().filter(|lora| lora.module == module) {
                let part = delta(lora, weight * alpha / lora.rank as f64);
                all.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
        }
        all
    }

    fn squares(of: impl Iterator<Item = f64>) -> f64 {
        of.map(|x| x * x).sum()
    }

    fn names() -> Vec<String> {
        ["a", "b", "c"].map(String::from).to_vec()
    }

    #[test]
    fn merged_starts_are_the_weighted_sums_as_far_as_the_rank_can_have_them() {
        let place = tempfile::tempdir().unwrap();
        let catalog = library(place.path());
        let merging = Merging::open(&catalog, &names()).unwrap();
        // Modules in the order of their paths: other weights at each.
        let mixture = Mixture { weights: vec![vec![0.2, 0.5, 0.3], vec![0.25, 0.75, 0.0]] };
        let at = |module: &str| &mixture.weights[usize::from(module == UP)];
        for rank in [2, 4, 8] {
            let made = beginning(&merging, &layers(), &mixture, &training(rank), &Cancel::new()).unwrap();
            assert_eq!(made.targets, ["q_proj", "up_proj"]);
            assert_eq!(made.loras.len(), 4);
            let (mut lost, mut energy) = (0.0, 0.0);
            for lora in &made.loras {
                assert_eq!((lora.rank, lora.a.len(), lora.b.len()), (rank, rank * IN, rank * OUT));
                let (found, wanted) =
                    (delta(lora, 6.0 / rank as f64), expected(&lora.module, at(&lora.module)));
                lost += squares(found.iter().zip(&wanted).map(|(x, y)| x - y));
                energy += squares(wanted.iter().copied());
                // No direction is dead: A is there where B is 0.
                assert!(lora.a.chunks(IN).all(|row| norm(row) > 0.1), "{}", lora.module);
            }
            assert!(
                (made.kept - (1.0 - lost / energy)).abs() < 1e-5,
                "{rank}: {} {}",
                made.kept,
                lost / energy
            );
            assert_eq!(rank == 8, made.kept > 1.0 - 1e-9, "{rank}: {}", made.kept);
        }
    }

    #[test]
    fn one_expert_alone_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let catalog = library(place.path());
        let merging = Merging::open(&catalog, &names()).unwrap();
        let mixture = Mixture::everywhere(&[1.0, 0.0, 0.0], 2);
        let made = beginning(&merging, &layers(), &mixture, &training(3), &Cancel::new()).unwrap();
        // The second module is none of its own, and no target.
        assert_eq!((&made.targets[..], made.kept), (&["q_proj".to_string()][..], 1.0));
        let (own, new) = (&experts()[0].2[0], made.loras.iter().find(|lora| lora.module == Q).unwrap());
        assert_eq!(new.a[..2 * IN], own.a[..]);
        let (found, wanted) = (delta(new, 2.0), expected(Q, &[1.0, 0.0, 0.0]));
        assert!(found.iter().zip(&wanted).all(|(x, y)| (x - y).abs() < 1e-6));
        // What it lacks begins as a new LoRA does.
        let other = made.loras.iter().find(|lora| lora.module != Q).unwrap();
        assert_eq!(other.a, initial_a(training(3).seed, &other.module, 3, IN));
        assert!(other.b.iter().all(|b| *b == 0.0));
    }

    #[test]
    fn what_no_layer_can_continue_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let catalog = library(place.path());
        let merging = Merging::open(&catalog, &names()).unwrap();
        let mut layers = layers();
        layers.remove(UP);
        let mixture = Mixture::everywhere(&[1.0 / 3.0; 3], 2);
        let refused = beginning(&merging, &layers, &mixture, &training(4), &Cancel::new()).unwrap_err();
        assert!(refused.to_string().contains("is no layer of a block of the base model"), "{refused}");
        assert!(blend(&merging, &layers, 3, 0.1, &Cancel::new()).is_err());
        let blended = blend(&merging, &self::layers(), 3, 0.1, &Cancel::new()).unwrap();
        let parts: Vec<Vec<usize>> =
            blended.modules.iter().map(|m| m.parts.iter().map(|part| part.expert).collect()).collect();
        assert_eq!(parts, [vec![0, 1, 2], vec![1]]);
        // The scale is in B.
        assert!((blended.modules[0].parts[0].b[0] - 2.0 * experts()[0].2[0].b[0]).abs() < 1e-7);
    }
}
