//! GenKnowSub: what general experts know is taken out of the others.

use rayon::prelude::*;

use super::experts::{ExpertSet, StackedModule};
use super::load::Sites;
use super::lora::{Entry, Kind, Parts};
use crate::model::Decoder;
use crate::{Cancel, Error, Result};

impl ExpertSet {
    /// The set with the mean A and the mean B of the experts called `general` taken out of the A and B of
    /// all others (PEFT's `use_gks`), prototypes and DoRA's lengths computed anew. The mean divides by all
    /// general experts, also where one lacks the module. Factors are f32 from there on.
    ///
    /// # Errors
    /// Unknown names; a module at which a general and another expert differ in rank; a raised `cancel`.
    pub fn without_general(&self, general: &[String], decoder: &Decoder, cancel: &Cancel) -> Result<Self> {
        let mut set = Self { general: general.to_vec(), ..self.clone() };
        let general: Vec<usize> = general.iter().map(|name| self.index(name)).collect::<Result<_>>()?;
        if general.is_empty() {
            return Ok(set);
        }
        let sites = Sites::new(decoder);
        let stacks = std::iter::once(&mut set.embedding).chain(&mut set.linears);
        for (site, module) in stacks.enumerate() {
            cancel.check()?;
            let Some(module) = module else { continue };
            self.subtract(module, &general)?;
            sites.measure(site, module, |e| self.own_weights(e, &sites, site))?;
        }
        Ok(set)
    }

    fn subtract(&self, module: &mut StackedModule, general: &[usize]) -> Result<()> {
        let mut mean: Option<(usize, Parts)> = None;
        for &g in general {
            let Some(lora) = &module.loras[g] else { continue };
            let parts = module.parts(lora);
            match &mut mean {
                None => mean = Some((g, parts)),
                Some((first, mean)) => {
                    self.check_ranks(module, (*first, mean.rank), (g, parts.rank))?;
                    mean.a.iter_mut().zip(&parts.a).for_each(|(m, v)| *m += v);
                    mean.bt.iter_mut().zip(&parts.bt).for_each(|(m, v)| *m += v);
                }
            }
        }
        let Some((first, mut mean)) = mean else { return Ok(()) };
        let share = 1.0 / general.len() as f32;
        mean.a.iter_mut().chain(&mut mean.bt).for_each(|v| *v *= share);
        let size = module.size();
        let entries: Vec<Option<Entry>> = module
            .loras
            .par_iter()
            .enumerate()
            .map(|(e, lora)| {
                let Some(lora) = lora else { return Ok(None) };
                if general.contains(&e) {
                    let parts = module.parts(lora);
                    return Ok(Some(Entry { parts, kind: lora.kind, prototype: vec![0.0; size.0] }));
                }
                let mut parts = module.parts(lora);
                self.check_ranks(module, (first, mean.rank), (e, parts.rank))?;
                parts.a.iter_mut().zip(&mean.a).for_each(|(v, m)| *v -= m);
                parts.bt.iter_mut().zip(&mean.bt).for_each(|(v, m)| *v -= m);
                Ok(Some(parts.finish(size, Kind::F32)))
            })
            .collect::<Result<_>>()?;
        module.restack(&entries);
        Ok(())
    }

    fn check_ranks(&self, module: &StackedModule, one: (usize, usize), other: (usize, usize)) -> Result<()> {
        if one.1 == other.1 {
            return Ok(());
        }
        Err(Error::usage(format!(
            "general experts can be taken out only at equal ranks: at {} {} has rank {}, {} rank {}",
            self.modules[module.position], self.names[one.0], one.1, self.names[other.0], other.1
        )))
    }
}
