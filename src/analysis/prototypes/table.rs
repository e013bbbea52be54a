//! The prototypes of a whole library, module by module.

use std::collections::HashMap;

use rayon::prelude::*;

use super::cache::PrototypeCache;
use super::one::{Prototype, spectral_gap};
use crate::analysis::cache::ComparisonCache;
use crate::analysis::skipped::nothing_left;
use crate::library::{Expert, Library, Skipped};
use crate::{Cancel, Error, Result};

/// The prototypes of all experts at one module.
#[derive(Clone, Debug, PartialEq)]
pub struct ModulePrototypes {
    /// Its path.
    pub module: String,
    /// Inputs of the layer: the length of a prototype.
    pub in_features: usize,
    /// Row-major experts × in; a zero row for an expert that lacks the module or whose ΔW is zero there.
    pub rows: Vec<f32>,
    /// σ₂ / σ₁ of each expert here; `None` for a zero row.
    pub gaps: Vec<Option<f64>>,
}

/// What [`prototypes`] gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrototypeTable {
    /// Names in the order of the rows.
    pub experts: Vec<String>,
    /// In the order of the network.
    pub modules: Vec<ModulePrototypes>,
    /// Experts left out, with the reason.
    pub skipped: Vec<Skipped>,
}

/// Computes the prototype of every expert of a library at every module. Experts that are bad, made for another
/// base model than most, cannot be read or have NaN are left out; the result names them with their reason. What
/// `cache` knows is not computed again. `progress` gets (done, total) in experts.
///
/// # Errors
/// When no expert can be used; when two experts disagree about a module's input size (both are named);
/// [`Error::Cancelled`].
pub fn prototypes(
    library: &Library,
    cache: &PrototypeCache,
    progress: &mut dyn FnMut(usize, usize),
    cancel: &Cancel,
) -> Result<PrototypeTable> {
    const STEP: usize = 16;
    let experts: Vec<&Expert> = library.experts.iter().collect();
    let mut table = PrototypeTable::default();
    let mut found: Vec<(&Expert, Vec<Prototype>)> = Vec::with_capacity(experts.len());
    for (step, some) in experts.chunks(STEP).enumerate() {
        cancel.check()?;
        progress(step * STEP, experts.len());
        let results: Vec<Result<Vec<Prototype>>> = some.par_iter().map(|e| of_expert(e, cache)).collect();
        for (expert, result) in some.iter().zip(results) {
            match result {
                Ok(prototypes) => found.push((*expert, prototypes)),
                Err(error) => table.skipped.push(Skipped::new(&expert.name, error.to_string())),
            }
        }
    }
    cache.tidy();
    progress(experts.len(), experts.len());
    if found.is_empty() {
        return Err(nothing_left(&table.skipped));
    }
    table.experts = found.iter().map(|(e, _)| e.name.clone()).collect();
    let mut index: HashMap<&str, (usize, &str)> = HashMap::new();
    for (row, (expert, prototypes)) in found.iter().enumerate() {
        for (shape, prototype) in expert.modules.iter().zip(prototypes) {
            let (at, first) = *index.entry(&shape.module).or_insert_with(|| {
                table.modules.push(ModulePrototypes {
                    module: shape.module.clone(),
                    in_features: shape.in_features,
                    rows: vec![0.0; found.len() * shape.in_features],
                    gaps: vec![None; found.len()],
                });
                (table.modules.len() - 1, expert.name.as_str())
            });
            let module = &mut table.modules[at];
            let width = module.in_features;
            if width != shape.in_features {
                return Err(Error::msg(format!(
                    "experts '{first}' and '{}' do not belong to the same base model: {} takes {width} features \
                     in one and {} in the other; keep them in separate libraries",
                    expert.name, shape.module, shape.in_features,
                )));
            }
            module.rows[row * width..(row + 1) * width].copy_from_slice(&prototype.vector);
            let exists = prototype.sigma.first().is_some_and(|&s| s > 0.0);
            module.gaps[row] = exists.then(|| spectral_gap(&prototype.sigma));
        }
    }
    table.modules.sort_by(|a, b| crate::text::natural(&a.module, &b.module));
    Ok(table)
}

/// Computes and keeps the prototypes of all experts that can be compared, so that whoever needs them finds them. The
/// weights of experts whose prototypes are there are not read, where `known` says what they are.
///
/// # Errors
/// [`Error::Cancelled`].
pub fn keep_prototypes(
    library: &Library,
    cache: &PrototypeCache,
    known: &ComparisonCache,
    cancel: &Cancel,
) -> Result<()> {
    let experts: Vec<&Expert> = library.comparable().collect();
    experts.par_iter().try_for_each(|expert| {
        cancel.check()?;
        if !known.content(expert).is_some_and(|content| cache.has(&content)) {
            // What cannot be read is said by whoever needs it.
            let _ = of_expert(expert, cache);
        }
        Ok::<(), Error>(())
    })?;
    cache.tidy();
    Ok(())
}

/// One prototype per entry of `expert.modules`.
fn of_expert(expert: &Expert, cache: &PrototypeCache) -> Result<Vec<Prototype>> {
    match expert.incomparable() {
        Some(reason) => Err(Error::msg(reason)),
        None => Ok(cache.factors(&expert.load()?)?.prototypes),
    }
}
