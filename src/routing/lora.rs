//! One expert's LoRA at one module, as routing stores it: factors, prototype, and what DoRA and biases add.

use candle_core::DType;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::analysis::prototype;
use crate::matrix::{MatMut, MatRef, multiply};
use crate::model::simd::dot;

/// The dtype of an expert's file, as far as factors keep it: what is neither f16 nor bf16 is stored in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    F32,
    F16,
    Bf16,
}

impl Kind {
    /// By the name that experts have for it.
    pub fn named(dtype: &str) -> Self {
        match dtype {
            "f16" => Self::F16,
            "bf16" => Self::Bf16,
            _ => Self::F32,
        }
    }

    /// Bytes of a value.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }
}

/// The factors of all experts at a module, in as few pieces as can be: A and then B of one expert, then the
/// next one's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    f32: Vec<f32>,
    f16: Vec<f16>,
    bf16: Vec<bf16>,
}

impl Store {
    /// Makes room for `count` more numbers, and not for more.
    pub fn reserve(&mut self, kind: Kind, count: usize) {
        match kind {
            Kind::F32 => self.f32.reserve_exact(count),
            Kind::F16 => self.f16.reserve_exact(count),
            Kind::Bf16 => self.bf16.reserve_exact(count),
        }
    }

    /// Appends numbers; gives where they begin.
    fn push(&mut self, kind: Kind, values: &[f32]) -> usize {
        match kind {
            Kind::F32 => {
                self.f32.extend_from_slice(values);
                self.f32.len() - values.len()
            }
            Kind::F16 => {
                let start = self.f16.len();
                self.f16.resize(start + values.len(), f16::ZERO);
                self.f16[start..].convert_from_f32_slice(values);
                start
            }
            Kind::Bf16 => {
                let start = self.bf16.len();
                self.bf16.resize(start + values.len(), bf16::ZERO);
                self.bf16[start..].convert_from_f32_slice(values);
                start
            }
        }
    }

    fn part(&self, kind: Kind, start: usize, count: usize) -> Factors<'_> {
        match kind {
            Kind::F32 => Factors::F32(&self.f32[start..start + count]),
            Kind::F16 => Factors::F16(&self.f16[start..start + count]),
            Kind::Bf16 => Factors::Bf16(&self.bf16[start..start + count]),
        }
    }

    /// A [rank, in] of a layer of (in, out) features.
    pub fn a(&self, lora: &Lora, (inputs, _): (usize, usize)) -> Factors<'_> {
        self.part(lora.kind, lora.start, lora.rank * inputs)
    }

    /// B transposed [rank, out], rows in the order of the running layer.
    pub fn bt(&self, lora: &Lora, (inputs, outputs): (usize, usize)) -> Factors<'_> {
        self.part(lora.kind, lora.start + lora.rank * inputs, lora.rank * outputs)
    }
}

/// One expert's A or B in the dtype of its file; they are converted to f32 where they are used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Factors<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
}

impl<'a> Factors<'a> {
    /// The values as f32, in `scratch` where they are not already.
    pub(crate) fn wide<'s>(self, scratch: &'s mut Vec<f32>) -> &'s [f32]
    where
        'a: 's,
    {
        match self {
            Self::F32(values) => values,
            narrow => {
                narrow.widen(scratch);
                scratch
            }
        }
    }

    /// As a tensor on a device has them.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::F32(_) => DType::F32,
            Self::F16(_) => DType::F16,
            Self::Bf16(_) => DType::BF16,
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

    /// One value.
    pub(crate) fn at(&self, index: usize) -> f32 {
        match self {
            Self::F32(v) => v[index],
            Self::F16(v) => v[index].to_f32(),
            Self::Bf16(v) => v[index].to_f32(),
        }
    }
}

/// One expert's LoRA at one module; its factors are in the module's [`Store`].
#[derive(Clone, Debug)]
pub(crate) struct Lora {
    pub rank: usize,
    pub scale: f32,
    pub kind: Kind,
    start: usize,
    /// What most experts do not have.
    pub extras: Option<Box<Extras>>,
}

/// What DoRA and a bias of B add. Empty where an expert has no such thing; else [out], in running order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    /// DoRA's m.
    pub magnitude: Vec<f32>,
    /// DoRA's m / n: the layer is gain ⊙ (W x + s·B·A x), as a delta (gain − 1) ⊙ W x + gain ⊙ s·B·A x.
    pub gain: Vec<f32>,
    /// s · bias of B.
    pub shift: Vec<f32>,
}

/// A LoRA in f32, as it is read or changed.
pub(crate) struct Parts {
    pub rank: usize,
    pub scale: f32,
    /// [rank, in].
    pub a: Vec<f32>,
    /// [rank, out] in running order.
    pub bt: Vec<f32>,
    /// [out] in running order, times the scale.
    pub shift: Vec<f32>,
    /// [out] in running order.
    pub magnitude: Vec<f32>,
}

/// A LoRA to be stacked, and its prototype.
pub(crate) struct Entry {
    pub parts: Parts,
    /// How the factors are to be stored.
    pub kind: Kind,
    /// All zeros where B·A is no candidate for Arrow.
    pub prototype: Vec<f32>,
}

/// A weight matrix [out, in] of the base model as a strided view.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub values: &'a [f32],
    /// Strides of (out, in).
    pub strides: (usize, usize),
}

impl Matrix<'_> {
    /// Squared lengths of the rows, one for each output.
    pub fn squares(&self, (inputs, outputs): (usize, usize)) -> Vec<f64> {
        let Self { values, strides: (rs, cs) } = *self;
        if cs == 1 {
            let square = |row: &[f32]| row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
            return (0..outputs).map(|o| square(&values[o * rs..o * rs + inputs])).collect();
        }
        let mut squares = vec![0f64; outputs];
        for i in 0..inputs {
            for (o, square) in squares.iter_mut().enumerate() {
                let v = f64::from(values[o * rs + i * cs]);
                *square += v * v;
            }
        }
        squares
    }
}

impl Parts {
    /// The LoRA with its prototype, for a layer of (in, out) features.
    pub fn finish(self, (inputs, outputs): (usize, usize), kind: Kind) -> Entry {
        let prototype = if self.scale == 0.0 {
            vec![0.0; inputs]
        } else {
            let b = crate::model::tensor::transpose(&self.bt, self.rank, outputs);
            prototype(&self.a, &b, self.rank, inputs, outputs).vector
        };
        Entry { parts: self, kind, prototype }
    }
}

impl Entry {
    /// Puts the factors into `store`. DoRA's lengths are still to be measured.
    pub fn stack(&self, store: &mut Store) -> Lora {
        let Parts { rank, scale, a, bt, shift, magnitude } = &self.parts;
        let start = store.push(self.kind, a);
        store.push(self.kind, bt);
        let extras = (!magnitude.is_empty() || !shift.is_empty()).then(|| {
            Box::new(Extras { magnitude: magnitude.clone(), gain: Vec::new(), shift: shift.clone() })
        });
        Lora { rank: *rank, scale: *scale, kind: self.kind, start, extras }
    }
}

impl Lora {
    /// The whole in f32, to be changed, from its `store` at a layer of (in, out) features.
    pub fn parts(&self, store: &Store, size: (usize, usize)) -> Parts {
        let (mut a, mut bt) = (Vec::new(), Vec::new());
        store.a(self, size).widen(&mut a);
        store.bt(self, size).widen(&mut bt);
        let extras = self.extras.as_deref().cloned().unwrap_or_default();
        let Extras { magnitude, shift, .. } = extras;
        Parts { rank: self.rank, scale: self.scale, a, bt, shift, magnitude }
    }

    /// Computes DoRA's m / n against the weights `base`, with their [`Matrix::squares`], of a layer of
    /// (in, out) features.
    pub fn measure(&mut self, store: &Store, base: Matrix, squares: &[f64], size: (usize, usize)) {
        let (mut a, mut bt) = (Vec::new(), Vec::new());
        store.a(self, size).widen(&mut a);
        store.bt(self, size).widen(&mut bt);
        let Some(extras) = &mut self.extras else { return };
        let lengths = lengths(base, squares, size, &a, &bt, self.rank, self.scale);
        // A row without length has no direction to stretch.
        let gain = |(m, n): (&f32, f32)| if n > 0.0 { m / n } else { 1.0 };
        extras.gain = extras.magnitude.iter().zip(lengths).map(gain).collect();
    }

    /// DoRA's m / n, where there is one.
    pub fn gain(&self) -> Option<&[f32]> {
        self.extras.as_deref().map(|e| e.gain.as_slice()).filter(|gain| !gain.is_empty())
    }

    /// Its B, `bt`, as it acts, [rank, out] in f32, in `scratch` where it is not already: times DoRA's gain where
    /// there is one.
    pub fn wide_b<'s>(&self, bt: Factors<'s>, scratch: &'s mut Vec<f32>) -> &'s [f32] {
        let Some(gain) = self.gain() else { return bt.wide(scratch) };
        bt.widen(scratch);
        for row in scratch.chunks_mut(gain.len()) {
            row.iter_mut().zip(gain).for_each(|(b, g)| *b *= g);
        }
        scratch
    }
}

/// Lengths of the rows of W + s·B·A, from W and the factors:
/// ‖w + s bA‖² = ‖w‖² + 2 s b·(A w) + s² b·(A Aᵀ)b. `squares` are the ‖w‖².
fn lengths(
    Matrix { values: w, strides: (rs, cs) }: Matrix,
    squares: &[f64],
    (inputs, outputs): (usize, usize),
    a: &[f32],
    bt: &[f32],
    rank: usize,
    scale: f32,
) -> Vec<f32> {
    let mut along = vec![0f32; outputs * rank];
    let (w, at) = (
        MatRef::strided(w, (outputs, inputs), (rs, cs)),
        MatRef::rows(a, (rank, inputs), inputs).transposed(),
    );
    multiply(1.0, w, at, 0.0, MatMut::rows(&mut along, (outputs, rank), rank));
    let gram: Vec<f64> = (0..rank * rank)
        .map(|at| {
            let (p, q) = (at / rank, at % rank);
            f64::from(dot(&a[p * inputs..(p + 1) * inputs], &a[q * inputs..(q + 1) * inputs]))
        })
        .collect();
    let s = f64::from(scale);
    squares
        .iter()
        .enumerate()
        .map(|(o, square)| {
            let b = |r: usize| f64::from(bt[r * outputs + o]);
            let mut sum = *square;
            for p in 0..rank {
                sum += 2.0 * s * b(p) * f64::from(along[o * rank + p]);
                for q in 0..rank {
                    sum += s * s * b(p) * b(q) * gram[p * rank + q];
                }
            }
            sum.max(0.0).sqrt() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_formed_matrix_in_either_layout() {
        let (inputs, outputs, rank, scale) = (7, 5, 2, 1.5f32);
        let value = |i: usize| ((i * 37 % 23) as f32 - 11.0) * 0.1;
        let w: Vec<f32> = (0..inputs * outputs).map(value).collect();
        let a: Vec<f32> = (0..rank * inputs).map(|i| value(i + 5)).collect();
        let bt: Vec<f32> = (0..rank * outputs).map(|i| value(i + 11)).collect();
        let turned: Vec<f32> =
            (0..inputs * outputs).map(|at| w[(at % outputs) * inputs + at / outputs]).collect();
        let size = (inputs, outputs);
        let [rows, columns] = [(&w, (inputs, 1)), (&turned, (1, outputs))].map(|(values, strides)| {
            let base = Matrix { values, strides };
            lengths(base, &base.squares(size), size, &a, &bt, rank, scale)
        });
        for o in 0..outputs {
            let square: f32 = (0..inputs)
                .map(|i| {
                    let delta: f32 = (0..rank).map(|r| bt[r * outputs + o] * a[r * inputs + i]).sum();
                    (w[o * inputs + i] + scale * delta).powi(2)
                })
                .sum();
            assert!((rows[o] - square.sqrt()).abs() < 1e-5, "{o}");
            assert!((columns[o] - square.sqrt()).abs() < 1e-5, "{o}");
        }
    }
}
