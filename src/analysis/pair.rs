//! Two experts compared module by module.

use faer::Mat;
use rayon::prelude::*;
use serde::Serialize;

use super::linalg::thin_svd;
use super::prototypes::prototype;
use crate::library::{Expert, LoraModule};
use crate::{Error, Result};

/// How two experts relate at one module that both have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairModule {
    /// Its path.
    pub module: String,
    /// Cosine of the two ΔW (with the sign of the scales); 0 where one of them is zero.
    pub cosine: f64,
    /// Share of the smaller input subspace that lies in the larger: ‖Q₁ᵀQ₂‖²_F / min(r₁, r₂) with Q an
    /// orthonormal basis of the rows of A, 0 to 1.
    pub overlap: f64,
    /// |v₁ · v₂| of the prototypes, 0 to 1.
    pub prototype: f64,
}

/// A number that says how two experts relate at a module.
#[derive(Debug)]
pub struct PairMeasure {
    /// Its key in JSON and its column in tables: the field of [`PairModule`].
    pub id: &'static str,
    /// On screens.
    pub title: &'static str,
    /// Its value at a module.
    pub of: fn(&PairModule) -> f64,
}

/// Every measure; the first is shown first.
pub static PAIR_MEASURES: [PairMeasure; 3] = [
    PairMeasure { id: "cosine", title: "cosine of ΔW", of: |m| m.cosine },
    PairMeasure { id: "overlap", title: "overlap of input subspaces", of: |m| m.overlap },
    PairMeasure { id: "prototype", title: "|cosine| of prototypes", of: |m| m.prototype },
];

impl PairMeasure {
    /// Mean over modules; 0 without any.
    pub fn mean(&self, modules: &[PairModule]) -> f64 {
        modules.iter().map(self.of).sum::<f64>() / modules.len().max(1) as f64
    }

    /// The next in a cycle through all.
    pub fn next(&self) -> &'static Self {
        let at = PAIR_MEASURES.iter().position(|measure| measure.id == self.id).map_or(0, |at| at + 1);
        &PAIR_MEASURES[at % PAIR_MEASURES.len()]
    }
}

/// Compares two experts at every module that both have, in the order of the network.
///
/// # Errors
/// When one of them cannot be read, when they have no module in common, or when they disagree about the
/// size of a module.
pub fn pair(a: &Expert, b: &Expert) -> Result<Vec<PairModule>> {
    let (left, right) = (a.load()?, b.load()?);
    let shared: Vec<(&LoraModule, &LoraModule)> =
        left.modules.iter().filter_map(|m| Some((m, right.module(&m.shape.module)?))).collect();
    if shared.is_empty() {
        return Err(Error::msg(format!("experts '{}' and '{}' have no module in common", a.name, b.name)));
    }
    if let Some((m, other)) = shared.iter().find(|(m, o)| sizes(m) != sizes(o)) {
        return Err(Error::msg(format!(
            "experts '{}' and '{}' do not belong to the same base model: {} maps {} to {} features in one and \
             {} to {} in the other",
            a.name,
            b.name,
            m.shape.module,
            m.shape.in_features,
            m.shape.out_features,
            other.shape.in_features,
            other.shape.out_features,
        )));
    }
    shared.into_par_iter().map(|(m, o)| compare(m, o)).collect()
}

fn sizes(module: &LoraModule) -> (usize, usize) {
    (module.shape.in_features, module.shape.out_features)
}

/// The factors of one side in f64: A (rank × in) and B (out × rank).
struct Side {
    a: Mat<f64>,
    b: Mat<f64>,
    direction: Vec<f32>,
    norm: f64,
}

impl Side {
    fn read(module: &LoraModule) -> Result<Self> {
        let (inputs, outputs) = sizes(module);
        let rank = module.shape.rank;
        let (a, b) = (module.a()?, module.b()?);
        let found = prototype(&a, &b, rank, inputs, outputs);
        Ok(Self {
            a: Mat::from_fn(rank, inputs, |i, j| f64::from(a[i * inputs + j])),
            b: Mat::from_fn(outputs, rank, |i, j| f64::from(b[i * rank + j])),
            direction: found.vector,
            norm: found.sigma.iter().map(|s| s * s).sum::<f64>().sqrt(),
        })
    }

    /// Orthonormal basis of the rows of A, its columns in the input space.
    fn input_basis(&self) -> Mat<f64> {
        let Some(svd) = thin_svd(self.a.transpose()) else { return Mat::zeros(self.a.ncols(), 0) };
        let used = svd.sigma.iter().filter(|&&s| s > 1e-7 * svd.sigma[0]).count();
        svd.u.subcols(0, used).to_owned()
    }
}

fn compare(module: &LoraModule, other: &LoraModule) -> Result<PairModule> {
    let (left, right) = (Side::read(module)?, Side::read(other)?);
    let scale = left.norm * right.norm;
    let cosine = if scale > 0.0 {
        let of_b = left.b.transpose() * &right.b;
        let of_a = &left.a * right.a.transpose();
        let product: f64 = (0..of_a.nrows())
            .map(|i| (0..of_a.ncols()).map(|j| of_a[(i, j)] * of_b[(i, j)]).sum::<f64>())
            .sum();
        let sign = module.shape.scale.signum() * other.shape.scale.signum();
        (product / scale).clamp(-1.0, 1.0) * sign
    } else {
        0.0
    };
    let (q1, q2) = (left.input_basis(), right.input_basis());
    let smaller = q1.ncols().min(q2.ncols());
    let overlap = if smaller > 0 { (q1.transpose() * &q2).squared_norm_l2() / smaller as f64 } else { 0.0 };
    let dot: f64 =
        left.direction.iter().zip(&right.direction).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
    Ok(PairModule {
        module: module.shape.module.clone(),
        cosine,
        overlap: overlap.min(1.0),
        prototype: dot.abs().min(1.0),
    })
}
