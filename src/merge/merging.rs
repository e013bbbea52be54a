//! Experts that can be merged, opened, for those who weigh them module by module.

use super::methods::{MergeMethod, ModulePart, ModuleParts};
use super::parts::{checked, padded, parts_at};
use super::select::{Selected, Selection, select};
use super::{MergeSpec, Modules};
use crate::Result;
use crate::catalog::Catalog;
use crate::library::{MergedExpert, NewLora};

/// Experts that can be merged, opened.
pub struct Merging<'a> {
    selection: Selection<'a>,
}

/// A weighted sum of experts at a module: ΔW = B·A.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// Rows of A.
    pub rank: usize,
    /// [rank, in].
    pub a: Vec<f32>,
    /// [out, rank].
    pub b: Vec<f32>,
    /// ‖ΔW‖² of the whole sum.
    pub energy: f64,
    /// How much of that the rank has cut off.
    pub lost: f64,
}

/// What an expert has at a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// Rows of A.
    pub rank: usize,
    /// s = α/r.
    pub scale: f64,
    /// [rank, in].
    pub a: Vec<f32>,
    /// [out, rank].
    pub b: Vec<f32>,
}

impl<'a> Merging<'a> {
    /// Opens these experts of a library, each named as it is.
    ///
    /// # Errors
    /// As [`super::merge`] for experts that cannot be merged.
    pub fn open(library: &'a Catalog, experts: &[String]) -> Result<Self> {
        let spec = MergeSpec { experts: experts.to_vec(), method: MergeMethod::SVD, ..MergeSpec::default() };
        Ok(Self { selection: select(library, &spec)? })
    }

    /// The experts in their order, with these weights, as they are written down.
    pub fn experts(&self, weights: &[f64]) -> Vec<MergedExpert> {
        let with =
            |(selected, weight): (&Selected, &f64)| MergedExpert { weight: *weight, ..selected.merged() };
        self.selection.experts.iter().zip(weights).map(with).collect()
    }

    /// Every module that one of them has, with its (in, out) features.
    pub fn modules(&self) -> &Modules {
        &self.selection.modules
    }

    /// What the files of the experts call a module.
    pub fn file_name<'m>(&'m self, module: &'m str) -> &'m str {
        self.selection.file_name(module)
    }

    /// The base model that the first of them names, and its revision.
    pub fn base(&self) -> (Option<&str>, Option<&str>) {
        (self.selection.base.as_deref(), self.selection.revision.as_deref())
    }

    /// Things worth knowing, each one line, untrusted.
    pub fn warnings(&self) -> &[String] {
        &self.selection.warnings
    }

    /// Which of the experts have a module.
    pub fn having(&self, module: &str) -> Vec<usize> {
        let all = self.selection.experts.iter().enumerate();
        all.filter(|(_, selected)| selected.adapter.module(module).is_some()).map(|(at, _)| at).collect()
    }

    /// What an expert has at a module, as it is; `None` where it has nothing.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn factors(&self, module: &str, expert: usize) -> Result<Option<Factors>> {
        let adapter = self.selection.experts.get(expert).map(|selected| &selected.adapter);
        let Some(found) = adapter.and_then(|adapter| adapter.module(module)) else { return Ok(None) };
        let (a, b) = (found.a()?, found.b()?);
        Ok(Some(Factors { rank: found.shape.rank, scale: found.shape.scale, a, b }))
    }

    /// The best approximation of Σ wₑsₑBₑAₑ at a module by a rank: the method `svd`.
    ///
    /// # Errors
    /// What cannot be read; a sum that is not finite.
    pub fn sum(&self, module: &str, weights: &[f64], rank: usize) -> Result<Sum> {
        let parts = parts_at(&self.selection, module, weights)?;
        let spec = MergeSpec { rank: Some(rank), ..MergeSpec::default() };
        let made = checked(&parts, (MergeMethod::SVD.combine)(&parts, &spec), &self.selection)?;
        Ok(Sum { rank: made.rank, a: made.a, b: made.b, energy: made.energy, lost: made.lost })
    }
}

/// The same ΔW = B·A of each module at the smallest rank that represents all of them: the method `linear`. What a module
/// needs less of is zero.
pub fn at_one_rank(loras: Vec<NewLora>) -> Vec<NewLora> {
    let mut made = Vec::with_capacity(loras.len());
    for NewLora { module, rank, in_features, out_features, a, b } in loras {
        let smallest = {
            let parts = vec![ModulePart { rank, factor: 1.0, a, b, origin: "" }];
            let parts = ModuleParts { module: &module, parts, inputs: in_features, outputs: out_features };
            (MergeMethod::LINEAR.combine)(&parts, &MergeSpec::default())
        };
        made.push((module, smallest));
    }
    let rank = made.iter().map(|(_, made)| made.rank).max().unwrap_or(0).max(1);
    padded(made, rank)
}
