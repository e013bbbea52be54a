//! Dense factorisations in f64, single-threaded so that results do not depend on the machine.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::qr::no_pivoting::factor::{qr_in_place, qr_in_place_scratch, recommended_block_size};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Mat, MatRef, Par};

/// The R of a QR factorisation (min(rows, columns) × columns, upper trapezoid), without forming Q.
pub(super) fn triangular(mut matrix: Mat<f64>) -> Mat<f64> {
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
    Mat::from_fn(size, columns, |i, j| if i <= j { matrix[(i, j)] } else { 0.0 })
}

/// Left half of the thin singular value decomposition U Σ Vᵀ.
pub(super) struct ThinSvd {
    pub u: Mat<f64>,
    /// Largest first.
    pub sigma: Vec<f64>,
}

/// `None` when the matrix holds NaN or infinities.
pub(super) fn thin_svd(matrix: MatRef<'_, f64>) -> Option<ThinSvd> {
    if !finite(matrix) {
        return None;
    }
    let (rows, columns) = matrix.shape();
    let size = rows.min(columns);
    let mut u = Mat::zeros(rows, size);
    let mut sigma = Diag::zeros(size);
    let (thin, none) = (ComputeSvdVectors::Thin, ComputeSvdVectors::No);
    let scratch = svd_scratch::<f64>(rows, columns, thin, none, Par::Seq, Default::default());
    svd(
        matrix,
        sigma.as_mut(),
        Some(u.as_mut()),
        None,
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    Some(ThinSvd { u, sigma: sigma.column_vector().iter().copied().collect() })
}

/// Eigenpairs of a symmetric matrix, largest eigenvalue first; `None` when it holds NaN or infinities.
pub(super) fn symmetric_eigen(matrix: MatRef<'_, f64>) -> Option<(Vec<f64>, Mat<f64>)> {
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
