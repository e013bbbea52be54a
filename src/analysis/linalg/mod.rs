//! Linear algebra in f64 whose results do not depend on the machine or the number of threads.

mod dense;
pub(in crate::analysis) mod eigen;
mod krylov;
mod vectors;

pub(crate) use dense::{Qr, full_svd};
pub(in crate::analysis) use dense::{row_products, symmetric_eigen, thin_svd, triangular};
pub(in crate::analysis) use vectors::{add, dot};
