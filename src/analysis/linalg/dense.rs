//! Dense factorisations in f64, single-threaded so that results do not depend on the machine.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::householder::{
    apply_block_householder_sequence_on_the_left_in_place_scratch,
    apply_block_householder_sequence_on_the_left_in_place_with_conj,
};
use faer::linalg::matmul::matmul;
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Accum, Conj, Mat, MatMut, MatRef, Par};

/// A QR factorisation; Q stays a product of Householder reflections.
pub(crate) struct Qr {
    /// rows × columns: the reflections below the diagonal, R on and above it.
    packed: Mat<f64>,
    coefficients: Mat<f64>,
}

impl Qr {
    pub(crate) fn new(mut matrix: Mat<f64>) -> Self {
        let (rows, columns) = matrix.shape();
        let size = rows.min(columns);
        let block = recommended_block_size::<f64>(rows, columns).clamp(1, size.max(1));
        let mut coefficients = Mat::zeros(block, size);
        let scratch = qr_in_place_scratch::<f64>(rows, columns, block, Par::Seq, Default::default());
        qr_in_place(
            matrix.as_mut(),
            coefficients.as_mut(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
            Default::default(),
        );
        Self { packed: matrix, coefficients }
    }

    /// R: min(rows, columns) × columns, upper trapezoid.
    pub(crate) fn r(&self) -> Mat<f64> {
        let (rows, columns) = self.packed.shape();
        Mat::from_fn(rows.min(columns), columns, |i, j| if i <= j { self.packed[(i, j)] } else { 0.0 })
    }

    /// Q · `small`, where `small` has as many rows as R: rows × columns of `small`.
    pub(crate) fn times(&self, small: MatRef<'_, f64>) -> Mat<f64> {
        let (rows, columns) = self.packed.shape();
        let size = rows.min(columns);
        let mut out =
            Mat::from_fn(rows, small.ncols(), |i, j| if i < small.nrows() { small[(i, j)] } else { 0.0 });
        let scratch = apply_block_householder_sequence_on_the_left_in_place_scratch::<f64>(
            rows,
            self.coefficients.nrows(),
            small.ncols(),
        );
        apply_block_householder_sequence_on_the_left_in_place_with_conj(
            self.packed.subcols(0, size),
            self.coefficients.as_ref(),
            Conj::No,
            out.as_mut(),
            Par::Seq,
            MemStack::new(&mut MemBuffer::new(scratch)),
        );
        out
    }
}

/// `into` (rows × columns) = `left` (rows × `width`) · `right` (columns × `width`)ᵀ, all row-major; `width` ≥ 1.
pub(in crate::analysis) fn row_products(into: &mut [f64], left: &[f64], right: &[f64], width: usize) {
    let (rows, columns) = (left.len() / width.max(1), right.len() / width.max(1));
    matmul(
        MatMut::from_row_major_slice_mut(into, rows, columns),
        Accum::Replace,
        MatRef::from_row_major_slice(left, rows, width),
        MatRef::from_row_major_slice(right, columns, width).transpose(),
        1.0,
        Par::Seq,
    );
}

/// The R of a QR factorisation (min(rows, columns) × columns, upper trapezoid).
pub(in crate::analysis) fn triangular(matrix: Mat<f64>) -> Mat<f64> {
    Qr::new(matrix).r()
}

/// Left half of the thin singular value decomposition U Σ Vᵀ.
pub(in crate::analysis) struct ThinSvd {
    pub u: Mat<f64>,
    /// Largest first.
    pub sigma: Vec<f64>,
}

/// `None` when the matrix has NaN or infinities.
pub(in crate::analysis) fn thin_svd(matrix: MatRef<'_, f64>) -> Option<ThinSvd> {
    let (u, sigma, _) = decompose(matrix, ComputeSvdVectors::No)?;
    Some(ThinSvd { u, sigma })
}

/// U, σ (largest first) and V of the thin singular value decomposition U Σ Vᵀ; `None` when the matrix has
/// NaN or infinities.
pub(crate) fn full_svd(matrix: MatRef<'_, f64>) -> Option<(Mat<f64>, Vec<f64>, Mat<f64>)> {
    decompose(matrix, ComputeSvdVectors::Thin)
}

fn decompose(matrix: MatRef<'_, f64>, right: ComputeSvdVectors) -> Option<(Mat<f64>, Vec<f64>, Mat<f64>)> {
    if !finite(matrix) {
        return None;
    }
    let (rows, columns) = matrix.shape();
    let size = rows.min(columns);
    let mut u = Mat::zeros(rows, size);
    let mut v = Mat::zeros(columns, if right == ComputeSvdVectors::No { 0 } else { size });
    let mut sigma = Diag::zeros(size);
    let left = ComputeSvdVectors::Thin;
    let scratch = svd_scratch::<f64>(rows, columns, left, right, Par::Seq, Default::default());
    svd(
        matrix,
        sigma.as_mut(),
        Some(u.as_mut()),
        (right != ComputeSvdVectors::No).then(|| v.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    Some((u, sigma.column_vector().iter().copied().collect(), v))
}

/// Eigenpairs of a symmetric matrix, largest eigenvalue first; `None` when it has NaN or infinities.
pub(in crate::analysis) fn symmetric_eigen(matrix: MatRef<'_, f64>) -> Option<(Vec<f64>, Mat<f64>)> {
    if !finite(matrix) {
        return None;
    }
    let n = matrix.nrows();
    let mut vectors = Mat::zeros(n, n);
    let mut values = Diag::zeros(n);
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, Default::default());
    self_adjoint_evd(
        matrix,
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    // The factorisation sorts upwards.
    let values = values.column_vector().iter().rev().copied().collect();
    Some((values, Mat::from_fn(n, n, |i, j| vectors[(i, n - 1 - j)])))
}

fn finite(matrix: MatRef<'_, f64>) -> bool {
    (0..matrix.ncols()).all(|j| (0..matrix.nrows()).all(|i| matrix[(i, j)].is_finite()))
}
