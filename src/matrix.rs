//! Products of dense matrices that lie anyhow in slices: the one place that calls the `gemm` crate.
//!
//! A view checks once that its slice holds what its strides reach; [`multiply`] then needs no checks and no
//! `unsafe` from its callers. For a product of row-major a [m, k] with the transpose of b [n, k]:
//!
//! ```
//! use lora_tui::matrix::{MatMut, MatRef, multiply};
//!
//! let (a, b) = ([1.0f32, 2.0, 3.0, 4.0], [1.0, 0.0, 1.0, 1.0]);
//! let mut out = [0.0; 4];
//! let (a, b) = (MatRef::rows(&a, (2, 2), 2), MatRef::rows(&b, (2, 2), 2));
//! multiply(1.0, a, b.transposed(), 0.0, MatMut::rows(&mut out, (2, 2), 2));
//! assert_eq!(out, [1.0, 3.0, 3.0, 7.0]);
//! ```

/// Values of matrices that can be multiplied: f32 and f64.
pub trait Real:
    Copy + PartialEq + Default + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self> + sealed::Real
{
}

impl Real for f32 {}
impl Real for f64 {}

mod sealed {
    /// What the `gemm` crate knows how to multiply.
    pub trait Real: 'static {}
    impl Real for f32 {}
    impl Real for f64 {}
}

/// Where the values of a matrix lie.
#[derive(Clone, Copy, Debug)]
struct Place {
    rows: usize,
    columns: usize,
    /// From a row to the next and from a column to the next, in values.
    strides: (usize, usize),
}

impl Place {
    /// Panics where the matrix reaches past `len` values.
    fn new((rows, columns): (usize, usize), strides: (usize, usize), len: usize) -> Self {
        let reach = || {
            let (row, column) = (rows.checked_sub(1)?, columns.checked_sub(1)?);
            row.checked_mul(strides.0)?.checked_add(column.checked_mul(strides.1)?)
        };
        let fits = rows == 0 || columns == 0 || reach().is_some_and(|last| last < len);
        assert!(fits, "a matrix [{rows}, {columns}] with strides {strides:?} reaches past its {len} values");
        Self { rows, columns, strides }
    }

    fn transposed(self) -> Self {
        let Self { rows, columns, strides } = self;
        Self { rows: columns, columns: rows, strides: (strides.1, strides.0) }
    }
}

/// A matrix [rows, columns] that is read.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, T> {
    values: &'a [T],
    place: Place,
}

impl<'a, T> MatRef<'a, T> {
    /// A row-major matrix whose rows begin `stride` values apart.
    ///
    /// # Panics
    /// Where it reaches past `values`.
    pub fn rows(values: &'a [T], shape: (usize, usize), stride: usize) -> Self {
        Self::strided(values, shape, (stride, 1))
    }

    /// A matrix whose rows and columns begin `strides` values apart.
    ///
    /// # Panics
    /// Where it reaches past `values`.
    pub fn strided(values: &'a [T], shape: (usize, usize), strides: (usize, usize)) -> Self {
        Self { values, place: Place::new(shape, strides, values.len()) }
    }

    /// Its rows and columns.
    pub fn shape(self) -> (usize, usize) {
        (self.place.rows, self.place.columns)
    }

    /// The same values as [columns, rows].
    pub fn transposed(self) -> Self {
        Self { place: self.place.transposed(), ..self }
    }
}

/// A matrix [rows, columns] that is written.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    values: &'a mut [T],
    place: Place,
}

impl<'a, T> MatMut<'a, T> {
    /// A row-major matrix whose rows begin `stride` values apart, at least its columns.
    ///
    /// # Panics
    /// Where it reaches past `values`, and where rows overlap.
    pub fn rows(values: &'a mut [T], shape: (usize, usize), stride: usize) -> Self {
        assert!(stride >= shape.1 || shape.0 <= 1, "the rows of a matrix that is written overlap");
        let place = Place::new(shape, (stride, 1), values.len());
        Self { values, place }
    }
}

/// out = alpha · a · b + beta · out for a [m, k], b [k, n] and out [m, n], on the calling thread: sums do not depend
/// on the number of threads. With beta 0, `out` is not read.
///
/// Which instructions it takes is for the `gemm` crate to choose, whatever [`cpu::level`](crate::cpu::level) is.
///
/// # Panics
/// Where the shapes do not match.
pub fn multiply<T: Real>(alpha: T, a: MatRef<T>, b: MatRef<T>, beta: T, out: MatMut<T>) {
    let (m, k, n) = (a.place.rows, a.place.columns, b.place.columns);
    assert!(
        b.place.rows == k && out.place.rows == m && out.place.columns == n,
        "[{m}, {k}] · [{}, {n}] does not give [{}, {}]",
        b.place.rows,
        out.place.rows,
        out.place.columns
    );
    if m == 0 || n == 0 {
        return;
    }
    // gemm asks the CPU what it has, which Miri does not know.
    if cfg!(miri) {
        return plain(alpha, a, b, beta, out);
    }
    let (a_strides, b_strides, out_strides) = (a.place.strides, b.place.strides, out.place.strides);
    // SAFETY: the views hold all that their shapes and strides reach, the shapes match, and `out` is borrowed
    // exclusively. `Real` is implemented for types that gemm knows.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.values.as_mut_ptr(),
            out_strides.1 as isize,
            out_strides.0 as isize,
            beta != T::default(),
            a.values.as_ptr(),
            a_strides.1 as isize,
            a_strides.0 as isize,
            b.values.as_ptr(),
            b_strides.1 as isize,
            b_strides.0 as isize,
            beta,
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// As [`multiply`], value by value.
fn plain<T: Real>(alpha: T, a: MatRef<T>, b: MatRef<T>, beta: T, out: MatMut<T>) {
    let at = |place: Place, row: usize, column: usize| row * place.strides.0 + column * place.strides.1;
    for row in 0..out.place.rows {
        for column in 0..out.place.columns {
            let terms = (0..a.place.columns)
                .map(|i| a.values[at(a.place, row, i)] * b.values[at(b.place, i, column)]);
            let sum = alpha * terms.fold(T::default(), |sum, term| sum + term);
            let value = &mut out.values[at(out.place, row, column)];
            *value = if beta == T::default() { sum } else { beta * *value + sum };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_scale_and_accumulate_on_strided_views() {
        let a = [1.0, 2.0, 3.0, 4.0]; // [2, 2], read transposed
        let b = [1.0, 0.0, 0.0, 1.0];
        for multiply in [multiply::<f32>, plain::<f32>] {
            let mut c = [10.0, 10.0, 10.0, 10.0];
            let (a, b) = (MatRef::rows(&a, (2, 2), 2).transposed(), MatRef::rows(&b, (2, 2), 2));
            multiply(2.0, a, b, 1.0, MatMut::rows(&mut c, (2, 2), 2));
            assert_eq!(c, [12.0, 16.0, 14.0, 18.0]);
        }
    }

    #[test]
    fn gaps_between_rows_stay_and_nothing_to_sum_gives_zeros() {
        let values = [1.0, 2.0, 9.0, 3.0, 4.0];
        for multiply in [multiply::<f64>, plain::<f64>] {
            let mut out = [7.0; 5];
            let a = MatRef::rows(&values, (2, 2), 3);
            multiply(1.0, a, a, 0.0, MatMut::rows(&mut out, (2, 2), 3));
            assert_eq!(out, [7.0, 10.0, 7.0, 15.0, 22.0]);
            let nothing = MatRef::rows(&[], (2, 0), 0);
            multiply(1.0, nothing, nothing.transposed(), 0.0, MatMut::rows(&mut out, (2, 2), 3));
            assert_eq!(out, [0.0, 0.0, 7.0, 0.0, 0.0]);
        }
    }

    #[test]
    #[should_panic(expected = "reaches past its 3 values")]
    fn a_view_that_reaches_past_its_values_is_refused() {
        MatRef::rows(&[1.0, 2.0, 3.0], (2, 2), 2);
    }

    #[test]
    #[should_panic(expected = "reaches past")]
    fn strides_that_overflow_are_refused() {
        MatRef::strided(&[1.0], (3, 3), (usize::MAX / 2 + 1, 1));
    }
}
