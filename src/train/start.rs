//! The adapter that a training starts from.

use std::path::Path;

use super::TrainSpec;
use super::lora::{LoraTrainer, is_target, linears_of};
use crate::catalog::Catalog;
use crate::library::{Adapter, Expert, SeenTask};
use crate::model::ModelFiles;
use crate::module_path::{ModulePath, kinds};
use crate::{Error, Result};

/// An adapter that was found.
pub(super) struct Start {
    pub adapter: Adapter,
    /// What it has learned, each once.
    pub seen: Vec<SeenTask>,
}

impl Start {
    /// The adapter given with `--init`, for this base model.
    ///
    /// # Errors
    /// What is no adapter, or several; one that cannot be used.
    pub(super) fn find(path: &Path, base: &Path) -> Result<Self> {
        // A file is found with the folder that it lies in.
        let folder = if path.is_file() { path.parent() } else { None };
        let catalog = Catalog::open(folder.unwrap_or(path), Some(base))?;
        // Others may lie in its folder.
        let is_it = |expert: &&Expert| expert.path == path || Some(expert.path.as_path()) == folder;
        let itself = catalog.experts.iter().find(is_it);
        let one = match (itself, catalog.experts.as_slice()) {
            (Some(one), _) | (None, [one]) => one,
            _ => return Err(Error::file(path, "is not one adapter: give its folder or file")),
        };
        Ok(Self { adapter: one.load()?, seen: Expert::learned_by([one]) })
    }
}

/// A module that is trained.
struct Wanted<'a> {
    module: &'a str,
    rank: usize,
    in_features: usize,
    out_features: usize,
}

impl LoraTrainer {
    /// Starts from `adapter`, which must be plain LoRA of the same modules, ranks, shapes and scale.
    pub fn start_from(&mut self, adapter: &Adapter) -> Result<()> {
        let wanted: Vec<Wanted<'_>> = self
            .modules
            .iter()
            .map(|module| Wanted {
                module: &module.module,
                rank: module.rank,
                in_features: module.in_features,
                out_features: module.out_features,
            })
            .collect();
        check_start(adapter, &wanted, f64::from(self.scale))?;
        for module in &mut self.modules {
            let Some(found) = adapter.module(&module.module) else { continue };
            module.a = found.a()?;
            module.take_b(&found.b()?, module.rank, 0);
        }
        Ok(())
    }
}

/// Refuses an adapter that is no plain LoRA of these modules, ranks and sizes, with this scale.
///
/// # Errors
/// What is other about it, and what to give instead.
fn check_start(adapter: &Adapter, wanted: &[Wanted<'_>], scale: f64) -> Result<()> {
    let fail = |problem: String| Err(Error::file(&adapter.path, problem));
    let cannot =
        |what: String| fail(format!("trains {what}, which cannot be trained further: start from plain LoRA"));
    if let Some(module) = adapter.modules.iter().find(|m| !m.is_plain()) {
        let what = if module.has_magnitude() { "DoRA" } else { "a bias of B" };
        return cannot(format!("{what} at {}", module.shape.module));
    }
    if let Some(stored) = adapter.replaced.iter().find(|stored| !stored.copy) {
        return cannot(stored.name.clone());
    }
    if let Some(rows) = adapter.tokens.first() {
        return cannot(format!("tokens of {}", rows.module));
    }
    let known = |name: &str| wanted.iter().any(|m| m.module == name);
    if let Some(module) = adapter.modules.iter().find(|m| !known(&m.shape.module)) {
        // Embedding and head are no layers of a block, which alone can be targets.
        if ModulePath::new(&module.shape.module).layer().is_none() {
            return cannot(format!("{}, which is no target", module.shape.module));
        }
        let mut targets = kinds(adapter.modules.iter().map(|m| m.shape.module.as_str()));
        targets.sort_unstable();
        return fail(format!("has LoRA at {}: give --targets {}", module.shape.module, targets.join(",")));
    }
    for module in wanted {
        let Some(found) = adapter.module(module.module) else {
            return fail(format!("has no LoRA for {}: choose its targets", module.module));
        };
        let s = &found.shape;
        if (s.rank, s.in_features, s.out_features) != (module.rank, module.in_features, module.out_features) {
            let fix = match s.rank == module.rank {
                true => "it was trained on another base model".into(),
                false => format!("give --rank {}, if it has this rank everywhere", s.rank),
            };
            return fail(format!(
                "{} has rank {} ({} → {}), the training wants rank {} ({} → {}): {fix}",
                module.module,
                s.rank,
                s.in_features,
                s.out_features,
                module.rank,
                module.in_features,
                module.out_features
            ));
        }
        // Another scale would make another function of the same weights.
        if (s.scale - scale).abs() > 1e-6 * s.scale.abs() {
            let alpha = s.scale * s.rank as f64;
            return fail(format!(
                "{} is scaled by {:.6}, the training's LoRA by {:.6}: give --alpha {}, if it has this scale everywhere",
                module.module,
                s.scale,
                scale,
                (alpha * 1e6).round() / 1e6
            ));
        }
    }
    Ok(())
}

/// Refuses the adapter of `spec` to start from, if it names one, where it does not fit what is to be trained on the base
/// model at `base`; before that model is loaded. A model that cannot be read says nothing.
///
/// # Errors
/// What is no adapter; what [`check_start`] refuses.
pub(super) fn check_init(spec: &TrainSpec, base: &Path) -> Result<()> {
    let Some(path) = &spec.init else { return Ok(()) };
    let Ok(files) = ModelFiles::open(base) else { return Ok(()) };
    let linears = linears_of(&files.spec);
    let wanted: Vec<Wanted<'_>> = linears
        .iter()
        .filter(|(module, ..)| is_target(module, &spec.targets))
        .map(|(module, in_features, out_features)| Wanted {
            module,
            rank: spec.rank,
            in_features: *in_features,
            out_features: *out_features,
        })
        .collect();
    let start = Start::find(path, base)?;
    check_start(&start.adapter, &wanted, spec.alpha / spec.rank as f64)?;
    start.adapter.check_finite()
}
