//! An orthonormal basis that grows block by block, with a symmetric matrix as it acts on it.

use faer::Mat;
use rayon::prelude::*;

use super::vectors::{add, dot};
use crate::matrix::{MatMut, MatRef, multiply};

/// Components of all vectors that one thread works on. What is summed over them is summed in their order, so that
/// results do not depend on the number of threads.
const SLICE: usize = 512;

/// Some components of all vectors.
struct Slice {
    /// [vectors, components].
    vectors: Vec<f64>,
    width: usize,
}

/// Orthonormal vectors and the matrix between them.
pub(super) struct Basis {
    size: usize,
    len: usize,
    limit: usize,
    parts: Vec<Slice>,
    /// ⟨v, M w⟩, [limit, limit] of which the first `len` rows and columns are in use.
    projected: Mat<f64>,
}

impl Basis {
    /// For up to `limit` vectors of `size` components.
    pub fn new(size: usize, limit: usize) -> Self {
        let part = |start: usize| {
            let width = SLICE.min(size - start);
            Slice { vectors: Vec::with_capacity(limit * width), width }
        };
        let parts = (0..size).step_by(SLICE).map(part).collect();
        Self { size, len: 0, limit, parts, projected: Mat::zeros(limit, limit) }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The matrix on the basis, symmetric.
    pub fn projected(&self) -> faer::MatRef<'_, f64> {
        self.projected.submatrix(0, 0, self.len, self.len)
    }

    /// Adds a block of vectors, orthonormal and orthogonal to the rest, with the matrix's `image` of each, from
    /// which what lies in the basis is taken out.
    pub fn push(&mut self, block: &[f64], image: &mut [f64]) {
        let size = self.size;
        let width = block.len() / size;
        assert!(self.len + width <= self.limit, "room for the block");
        for (at, part) in self.parts.iter_mut().enumerate() {
            for vector in block.chunks(size) {
                part.vectors.extend_from_slice(&vector[at * SLICE..at * SLICE + part.width]);
            }
        }
        let first = self.len;
        self.len += width;
        for _ in 0..2 {
            let shares = self.take_out(image);
            for (j, shares) in shares.chunks(width).enumerate() {
                for (k, share) in shares.iter().enumerate() {
                    self.projected[(j, first + k)] += share;
                }
            }
        }
        for j in 0..self.len {
            for k in first..self.len {
                let mean = if j < first {
                    self.projected[(j, k)]
                } else {
                    0.5 * (self.projected[(j, k)] + self.projected[(k, j)])
                };
                self.projected[(j, k)] = mean;
                self.projected[(k, j)] = mean;
            }
        }
    }

    /// Takes out of a block what lies in the basis; gives its components there, [basis, block].
    fn take_out(&self, block: &mut [f64]) -> Vec<f64> {
        let (size, len, width) = (self.size, self.len, block.len() / self.size);
        if len == 0 || width == 0 {
            return Vec::new();
        }
        let cut = |at: usize, part: &Slice| -> Vec<f64> {
            block.chunks(size).flat_map(|v| v[at * SLICE..at * SLICE + part.width].iter().copied()).collect()
        };
        let some: Vec<(Vec<f64>, Vec<f64>)> = self
            .parts
            .par_iter()
            .enumerate()
            .map(|(at, part)| {
                let cut = cut(at, part);
                let mut shares = vec![0.0; len * width];
                let (w, v) = (part.width, &part.vectors);
                let (v, cut_t) =
                    (MatRef::rows(v, (len, w), w), MatRef::rows(&cut, (width, w), w).transposed());
                multiply(1.0, v, cut_t, 0.0, MatMut::rows(&mut shares, (len, width), width));
                (cut, shares)
            })
            .collect();
        let mut shares = vec![0.0; len * width];
        some.iter().for_each(|(_, part)| add(&mut shares, part, 1.0));
        let left: Vec<Vec<f64>> = self
            .parts
            .par_iter()
            .zip(some)
            .map(|(part, (mut cut, _))| {
                let (w, v) = (part.width, &part.vectors);
                let shares_t = MatRef::rows(&shares, (len, width), width).transposed();
                let v = MatRef::rows(v, (len, w), w);
                multiply(-1.0, shares_t, v, 1.0, MatMut::rows(&mut cut, (width, w), w));
                cut
            })
            .collect();
        for ((at, part), cut) in self.parts.iter().enumerate().zip(left) {
            for (vector, cut) in block.chunks_mut(size).zip(cut.chunks(part.width)) {
                vector[at * SLICE..at * SLICE + part.width].copy_from_slice(cut);
            }
        }
        shares
    }

    /// An orthonormal block that spans, outside the basis, what `image` does, filled up with random directions to
    /// `width` vectors; and the factors with which it makes up `image`, [image, block]. Vectors of `image` no
    /// longer than `zero` count as none.
    pub fn outside(
        &self,
        mut image: Vec<f64>,
        zero: f64,
        width: usize,
        random: &mut impl FnMut() -> f64,
    ) -> (Vec<f64>, Mat<f64>) {
        let size = self.size;
        let vectors = image.len() / size.max(1);
        let mut factors = Mat::identity(vectors, vectors);
        let mut zero = zero;
        // The first time the image is what was taken out of the basis already; again where that or taking the
        // block's own vectors out of each other took much away, because rounding errors are then a large share
        // of what is left.
        for round in 0..4 {
            if round > 0 {
                self.take_out(&mut image);
            }
            let (again, more) = orthonormal(&mut image, size, zero, width);
            factors = &factors * more;
            let missing = width - image.len() / size;
            image.extend((0..missing * size).map(|_| random()));
            for vector in image.chunks_mut(size).skip(width - missing) {
                let norm = dot(vector, vector).sqrt();
                vector.iter_mut().for_each(|x| *x /= norm);
            }
            factors.resize_with(vectors, width, |_, _| 0.0);
            if !again && missing == 0 {
                break;
            }
            // From now on lengths are about 1.
            zero = 1e-7;
        }
        (image, factors)
    }

    /// Goes over to the first `count` of new basis vectors, the columns of `vectors` in terms of the old ones,
    /// which are eigenvectors of the projected matrix with these `values`.
    pub fn rotate(&mut self, values: &[f64], vectors: &Mat<f64>, count: usize) {
        let (len, limit) = (self.len, self.limit);
        let turn: Vec<f64> = (0..count).flat_map(|k| (0..len).map(move |i| vectors[(i, k)])).collect();
        self.parts.par_iter_mut().for_each(|part| {
            let w = part.width;
            let mut turned = vec![0.0; count * w];
            let (turn, v) =
                (MatRef::rows(&turn, (count, len), len), MatRef::rows(&part.vectors, (len, w), w));
            multiply(1.0, turn, v, 0.0, MatMut::rows(&mut turned, (count, w), w));
            part.vectors.clear();
            part.vectors.extend_from_slice(&turned);
        });
        self.len = count;
        self.projected = Mat::from_fn(limit, limit, |i, j| if i == j && i < count { values[i] } else { 0.0 });
    }

    /// All vectors.
    pub fn vectors(&self) -> Vec<Vec<f64>> {
        let one = |k: usize| {
            self.parts.iter().flat_map(move |p| p.vectors[k * p.width..(k + 1) * p.width].iter().copied())
        };
        (0..self.len).map(|k| one(k).collect()).collect()
    }
}

/// Makes the vectors of `block` orthonormal and drops those no longer than `zero`, and all after the first
/// `most`. Gives whether little is left of one, and the factors with which they made up the block.
fn orthonormal(block: &mut Vec<f64>, size: usize, zero: f64, most: usize) -> (bool, Mat<f64>) {
    let vectors = block.len() / size.max(1);
    let mut factors = Mat::zeros(vectors, vectors.min(most));
    let (mut kept, mut again) = (0, false);
    for k in 0..vectors {
        let (before, rest) = block.split_at_mut(k * size);
        let vector = &mut rest[..size];
        let length = dot(vector, vector).sqrt();
        for _ in 0..2 {
            for (j, other) in before.chunks(size).take(kept).enumerate() {
                let share = dot(vector, other);
                add(vector, other, -share);
                factors[(k, j)] += share;
            }
        }
        let left = dot(vector, vector).sqrt();
        again |= left < 0.1 * length || left < 1e5 * zero;
        if left <= zero || kept == most {
            continue;
        }
        vector.iter_mut().for_each(|x| *x /= left);
        factors[(k, kept)] = left;
        block.copy_within(k * size..(k + 1) * size, kept * size);
        kept += 1;
    }
    block.truncate(kept * size);
    factors.resize_with(vectors, kept, |_, _| 0.0);
    (again, factors)
}
