//! A library's experts, stacked module by module for one base model.

use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use crate::analysis::prototype;
use crate::library::{Adapter, Expert};
use crate::model::Decoder;
use crate::{Cancel, Error, Result};

/// Factors in the dtype of the expert's file; they are widened where they are used.
#[derive(Clone, Debug)]
pub(crate) enum Factors {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Factors {
    fn new(values: Vec<f32>, dtype: &str) -> Self {
        match dtype {
            "f16" => Self::F16(values.iter().map(|&v| f16::from_f32(v)).collect()),
            "bf16" => Self::Bf16(values.iter().map(|&v| bf16::from_f32(v)).collect()),
            _ => Self::F32(values),
        }
    }

    /// Writes the values as f32 into `out`, which gets their number.
    pub(crate) fn widen(&self, out: &mut Vec<f32>) {
        match self {
            Self::F32(v) => {
                out.clear();
                out.extend_from_slice(v);
            }
            Self::F16(v) => {
                out.resize(v.len(), 0.0);
                v.convert_to_f32_slice(out);
            }
            Self::Bf16(v) => {
                out.resize(v.len(), 0.0);
                v.convert_to_f32_slice(out);
            }
        }
    }
}

/// One expert's LoRA at one module.
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    pub rank: usize,
    pub scale: f32,
    /// [rank, in].
    pub a: Factors,
    /// [rank, out]: B transposed, rows in the order of the running layer.
    pub bt: Factors,
}

/// All experts at one module.
#[derive(Debug)]
pub(crate) struct StackedModule {
    /// Position among the routed modules.
    pub position: usize,
    pub in_features: usize,
    /// One an expert; `None` where it lacks the module.
    pub loras: Vec<Option<Lora>>,
    /// [experts, in]; a zero row where an expert is no candidate.
    pub prototypes: Vec<f32>,
    /// Whether an expert has ΔW ≠ 0 here.
    pub candidate: Vec<bool>,
}

/// The experts that fit a base model, ready to be routed over.
#[derive(Debug)]
pub struct ExpertSet {
    /// In the library's order.
    pub names: Arc<Vec<String>>,
    /// Modules that at least one expert adapts, in the order of the network.
    pub modules: Arc<Vec<String>>,
    /// Experts left out, with the reason.
    pub skipped: Vec<(String, String)>,
    /// One a linear layer of the decoder.
    pub(crate) linears: Vec<Option<StackedModule>>,
}

/// Whether `expert` fits the decoder; the reason where it does not.
fn fits(expert: &Expert, decoder: &Decoder) -> Result<(), String> {
    let linears = decoder.linears();
    for shape in expert.modules.iter().filter(|shape| !shape.embedding) {
        let Some(linear) = linears.iter().find(|l| l.module == shape.module) else {
            return Err(format!("the base model has no module {}", shape.module));
        };
        if (linear.in_features, linear.out_features) != (shape.in_features, shape.out_features) {
            return Err(format!(
                "{} is {} → {} in the expert, {} → {} in the base model",
                shape.module, shape.in_features, shape.out_features, linear.in_features, linear.out_features
            ));
        }
    }
    Ok(())
}

impl ExpertSet {
    /// Loads `experts` for `decoder`, computing prototypes. Those that cannot be used or do not fit are
    /// skipped with their reason. `progress` gets (modules done, modules in all).
    pub fn load(
        experts: &[&Expert],
        decoder: &Decoder,
        progress: &mut dyn FnMut(usize, usize),
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut skipped = Vec::new();
        let mut adapters: Vec<(&Expert, Adapter)> = Vec::new();
        for expert in experts {
            let loaded = fits(expert, decoder).and_then(|()| {
                let adapter = expert.load().map_err(|e| e.to_string())?;
                adapter.check_finite().map_err(|e| e.to_string())?;
                Ok(adapter)
            });
            cancel.check()?;
            match loaded {
                Ok(adapter) => adapters.push((expert, adapter)),
                Err(reason) => skipped.push((expert.name.clone(), reason)),
            }
        }
        let linears = decoder.linears();
        let mut stacked: Vec<Option<StackedModule>> = Vec::with_capacity(linears.len());
        let mut modules = Vec::new();
        for (done, linear) in linears.iter().enumerate() {
            cancel.check()?;
            progress(done, linears.len());
            if !adapters.iter().any(|(_, a)| a.module(&linear.module).is_some()) {
                stacked.push(None);
                continue;
            }
            let (i, o) = (linear.in_features, linear.out_features);
            let loaded: Vec<Option<(Lora, Vec<f32>, bool)>> = adapters
                .par_iter()
                .map(|(expert, adapter)| {
                    let Some(module) = adapter.module(&linear.module) else { return Ok(None) };
                    let (rank, a, b) = (module.shape.rank, module.a()?, module.b()?);
                    let found = prototype(&a, &b, rank, i, o);
                    let scale = module.shape.scale as f32;
                    let candidate = scale != 0.0 && found.vector.iter().any(|v| *v != 0.0);
                    let mut bt = vec![0f32; b.len()];
                    for row in 0..o {
                        let stored = linear.order.as_ref().map_or(row, |order| order[row] as usize);
                        for r in 0..rank {
                            bt[r * o + row] = b[stored * rank + r];
                        }
                    }
                    let lora = Lora {
                        rank,
                        scale,
                        a: Factors::new(a, &expert.dtype),
                        bt: Factors::new(bt, &expert.dtype),
                    };
                    Ok(Some((lora, found.vector, candidate)))
                })
                .collect::<Result<_>>()?;
            let mut module = StackedModule {
                position: modules.len(),
                in_features: i,
                loras: Vec::with_capacity(loaded.len()),
                prototypes: vec![0.0; loaded.len() * i],
                candidate: Vec::with_capacity(loaded.len()),
            };
            for (e, entry) in loaded.into_iter().enumerate() {
                let candidate = entry.as_ref().is_some_and(|(_, _, c)| *c);
                if let (true, Some((_, vector, _))) = (candidate, &entry) {
                    module.prototypes[e * i..(e + 1) * i].copy_from_slice(vector);
                }
                module.candidate.push(candidate);
                module.loras.push(entry.map(|(lora, _, _)| lora));
            }
            modules.push(linear.module.clone());
            stacked.push(Some(module));
        }
        progress(linears.len(), linears.len());
        Ok(Self {
            names: Arc::new(adapters.iter().map(|(e, _)| e.name.clone()).collect()),
            modules: Arc::new(modules),
            skipped,
            linears: stacked,
        })
    }

    /// Number of experts.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no expert fits.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The experts' number, or an error that says that there are none and why.
    pub fn require_any(&self) -> Result<usize> {
        if let (true, Some((name, reason))) = (self.is_empty(), self.skipped.first()) {
            return Err(Error::msg(format!(
                "no expert of the library fits the base model; {name}: {reason}"
            )));
        }
        if self.is_empty() {
            return Err(Error::msg("the library has no usable expert: train one, or use --router base"));
        }
        Ok(self.len())
    }

    /// Adapter factors where an expert has the same rank and scale as all others, for mixing factors.
    pub(crate) fn check_equal_factors(&self) -> Result<()> {
        for (module, stack) in self.modules.iter().zip(self.linears.iter().flatten()) {
            let mut present =
                stack.loras.iter().zip(self.names.iter()).filter_map(|(l, n)| Some((l.as_ref()?, n)));
            let Some((first, first_name)) = present.next() else { continue };
            if let Some((other, name)) = present.find(|(l, _)| l.rank != first.rank || l.scale != first.scale)
            {
                return Err(Error::usage(format!(
                    "factors can be mixed only at equal ranks and scales: at {module} {first_name} has rank {} and scale {}, {name} rank {} and scale {}; use --mix outputs (or the router uniform)",
                    first.rank, first.scale, other.rank, other.scale
                )));
            }
        }
        Ok(())
    }
}
