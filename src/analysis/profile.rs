//! Norms, spectra and health of one expert.

use rayon::prelude::*;
use serde::Serialize;

use super::prototypes::{effective_rank, prototype, spectral_gap};
use super::strength::FLAT;
use crate::Result;
use crate::library::{Expert, LoraModule, Provenance};

/// Norms and spectra of one expert, module by module.
#[derive(Clone, Debug, Default)]
pub struct ExpertProfile {
    /// Its name.
    pub expert: String,
    /// In the order of the network.
    pub modules: Vec<ModuleProfile>,
    /// Health warnings (ΔW is zero, NaN, ranks wasted, …), each one line.
    pub warnings: Vec<String>,
    /// Why its weights cannot be used, where they cannot: the first of what could not be read.
    pub unsound: Option<String>,
}

/// ΔW = s·B·A of one expert at one module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModuleProfile {
    /// Its path.
    pub module: String,
    /// Of the LoRA pair.
    pub rank: usize,
    /// s = α/r, or α/√r under rsLoRA.
    pub scale: f64,
    /// Frobenius norm of ΔW.
    pub norm: f64,
    /// Singular values of ΔW, largest first, `rank` of them.
    pub sigma: Vec<f64>,
    /// exp of the entropy of σ / Σσ.
    pub effective_rank: f64,
    /// σ₂ / σ₁; 0 at rank 1.
    pub gap: f64,
}

/// Singular values below this share of the largest are not used.
const DEAD: f64 = 1e-6;

/// Reads all weights of an expert and describes ΔW module by module.
///
/// Modules and other parameters that cannot be read (NaN, a damaged file) become warnings.
///
/// # Errors
/// When the expert is bad, or none of its modules can be read.
pub fn profile(expert: &Expert) -> Result<ExpertProfile> {
    let adapter = expert.load()?;
    let found: Vec<Result<ModuleProfile>> = adapter.modules.par_iter().map(module_profile).collect();
    let mut profile = ExpertProfile { expert: expert.name.clone(), ..Default::default() };
    let mut unreadable = Vec::new();
    for found in found {
        match found {
            Ok(module) => profile.modules.push(module),
            Err(error) => unreadable.push(error),
        }
    }
    if profile.modules.is_empty() && !unreadable.is_empty() {
        return Err(unreadable.swap_remove(0));
    }
    if let Some(first) = unreadable.first() {
        let more = if unreadable.len() > 1 {
            format!(" (and {} more modules)", unreadable.len() - 1)
        } else {
            String::new()
        };
        profile.warnings.push(format!("{first}{more}"));
        profile.unsound = Some(first.to_string());
    }
    let beyond = |m: &&ModuleProfile| m.norm.is_nan() || m.norm > f64::from(f32::MAX);
    if let Some(first) = profile.modules.iter().find(beyond) {
        let reason = format!(
            "ΔW is beyond the range of f32 at {}: its weights or its scale are too large, leave it out",
            first.module
        );
        profile.unsound.get_or_insert(reason.clone());
        profile.warnings.push(reason);
    }
    // Magnitudes, biases, saved modules and rows of tokens are not described, and have to be numbers as well.
    if let Err(error) = adapter.check_others() {
        profile.warnings.push(error.to_string());
        profile.unsound.get_or_insert(error.to_string());
    }
    if let Some(reason) = expert.reason() {
        profile.warnings.push(reason.to_string());
    }
    profile.warnings.extend(warnings(&profile.modules));
    // One that cannot be read has its own warning.
    if expert.provenance.is_none() && expert.path.is_dir() && !expert.path.join(Provenance::FILE).exists() {
        profile
            .warnings
            .push(format!("no {}: how it was trained, and from which seed, is not known", Provenance::FILE));
    }
    Ok(profile)
}

fn module_profile(module: &LoraModule) -> Result<ModuleProfile> {
    let shape = &module.shape;
    let spectrum =
        prototype(&module.a()?, &module.b()?, shape.rank, shape.in_features, shape.out_features).sigma;
    let sigma: Vec<f64> = spectrum.iter().map(|s| s * shape.scale.abs()).collect();
    // The shape of the spectrum does not depend on the scale, as long as there is one.
    let shares = if shape.scale == 0.0 { &sigma } else { &spectrum };
    Ok(ModuleProfile {
        module: shape.module.clone(),
        rank: shape.rank,
        scale: shape.scale,
        norm: sigma.iter().map(|s| s * s).sum::<f64>().sqrt(),
        effective_rank: effective_rank(shares),
        gap: spectral_gap(shares),
        sigma,
    })
}

/// One line per kind of trouble.
fn warnings(modules: &[ModuleProfile]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |what: &str, guilty: Vec<&ModuleProfile>| {
        if let Some(first) = guilty.first() {
            let count = if guilty.len() == modules.len() {
                format!("all {} modules", modules.len())
            } else {
                format!("{} of {} modules, first {}", guilty.len(), modules.len(), first.module)
            };
            warnings.push(format!("{what} ({count})"));
        }
    };
    let alive = |m: &&ModuleProfile| m.norm > 0.0;
    warn(
        "ΔW is zero: never trained, no candidate for routing",
        modules.iter().filter(|m| !alive(m)).collect(),
    );
    let dead = |m: &&ModuleProfile| m.sigma.iter().any(|&s| s < DEAD * m.sigma[0]);
    warn("part of the rank is unused", modules.iter().filter(alive).filter(dead).collect());
    warn(
        "the spectrum is flat (σ₂ / σ₁ > 0.95), so that the prototype is ill defined",
        modules.iter().filter(alive).filter(|m| m.gap > FLAT).collect(),
    );
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, sigma: &[f64]) -> ModuleProfile {
        ModuleProfile {
            module: name.into(),
            rank: sigma.len(),
            scale: 1.0,
            norm: sigma.iter().map(|s| s * s).sum::<f64>().sqrt(),
            sigma: sigma.to_vec(),
            effective_rank: effective_rank(sigma),
            gap: spectral_gap(sigma),
        }
    }

    #[test]
    fn warns_once_per_kind_of_trouble() {
        assert!(warnings(&[module("a", &[2.0, 1.0])]).is_empty());
        let all = warnings(&[
            module("fine", &[2.0, 1.0]),
            module("zero", &[0.0, 0.0]),
            module("flat", &[1.0, 0.99]),
            module("dead", &[1.0, 1e-9]),
            module("dead too", &[1.0, 0.0]),
        ]);
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[0].contains("zero") && all[0].contains("1 of 5"), "{all:?}");
        assert!(all[1].contains("2 of 5 modules, first dead"), "{all:?}");
        assert!(all[2].contains("first flat"), "{all:?}");
        assert!(warnings(&[module("z", &[0.0])])[0].contains("all 1 modules"));
    }
}
