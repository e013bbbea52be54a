//! LoRA in training.

use rayon::prelude::*;

use crate::model::ops::{LoraFactors, LoraGradients, LoraPart};
use crate::model::simd::{axpy, dot};

/// Rows of one task. Fixed, so that sums run in the same order whatever the number of threads and whatever other parts
/// there are.
const ROWS: usize = 32;

/// Values [rows, width], and their width.
type Rows<'a> = (&'a [f32], usize);

/// Some rows of a part.
struct Task<'a> {
    /// Number of the part.
    part: usize,
    factors: LoraFactors<'a>,
    /// Number of the first row within the part.
    first: usize,
    /// [rows, in].
    x: &'a [f32],
}

/// All parts in tasks of at most [`ROWS`] rows, in order.
fn tasks<'a>(parts: &'a [LoraPart], (x, i): Rows<'a>) -> impl Iterator<Item = Task<'a>> {
    parts.iter().enumerate().flat_map(move |(number, part)| {
        let x = &x[part.rows.start * i..part.rows.end * i];
        x.chunks(i * ROWS).enumerate().map(move |(chunk, x)| Task {
            part: number,
            factors: part.factors,
            first: chunk * ROWS,
            x,
        })
    })
}

/// The rows of the same tasks among `values` [rows, width], to be written.
fn written<'a>(parts: &[LoraPart], values: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
    let (mut rest, mut at, mut all) = (values, 0, Vec::new());
    for part in parts {
        let (_, own) = rest.split_at_mut((part.rows.start - at) * width);
        let (own, after) = own.split_at_mut(part.rows.len() * width);
        all.extend(own.chunks_mut(width * ROWS));
        (rest, at) = (after, part.rows.end);
    }
    all
}

/// y [rows, out] += s·B A x̃ for x [rows, in], x̃ what dropout leaves of it.
pub fn add(parts: &[LoraPart], x: Rows, (y, o): (&mut [f32], usize)) {
    let tasks: Vec<_> = tasks(parts, x).zip(written(parts, y, o)).collect();
    let i = x.1;
    tasks.into_par_iter().for_each(|(Task { factors: lora, first, x, .. }, y)| {
        let mut row = vec![0f32; i];
        for (at, (y, x)) in y.chunks_mut(o).zip(x.chunks(i)).enumerate() {
            row.copy_from_slice(x);
            if let Some(dropout) = &lora.dropout {
                dropout.apply(first + at, &mut row);
            }
            for (a, b) in lora.a.chunks(i).zip(lora.bt.chunks(o)) {
                axpy(lora.scale * dot(a, &row), b, y);
            }
        }
    });
}

/// Adds the gradients of each part's A and Bᵀ, given that of the output, and adds that of x to `dx`, if it is wanted.
pub fn backward(
    parts: &[LoraPart],
    gradients: &mut [LoraGradients],
    x: Rows,
    (dy, o): Rows,
    dx: Option<&mut [f32]>,
) {
    let outputs = parts.iter().flat_map(|part| dy[part.rows.start * o..part.rows.end * o].chunks(o * ROWS));
    let pairs: Vec<_> = tasks(parts, x).zip(outputs).collect();
    let sums: Vec<(usize, Vec<f32>, Vec<f32>)> = match dx {
        Some(dx) => {
            let tasks: Vec<_> = pairs.into_iter().zip(written(parts, dx, x.1)).collect();
            tasks.into_par_iter().map(|((task, dy), dx)| rows_backward(&task, dy, Some(dx))).collect()
        }
        None => pairs.into_par_iter().map(|(task, dy)| rows_backward(&task, dy, None)).collect(),
    };
    for (part, a, bt) in &sums {
        axpy(1.0, a, gradients[*part].a);
        axpy(1.0, bt, gradients[*part].bt);
    }
}

/// Number of the part and gradients of its A and Bᵀ over some of its rows. Per row: z = A x̃, dz = s·B dy; then
/// dBᵀ += s·z ⊗ dy, dA += dz ⊗ x̃, dx += mask · Aᵀ dz.
fn rows_backward(task: &Task, dy: &[f32], mut dx: Option<&mut [f32]>) -> (usize, Vec<f32>, Vec<f32>) {
    let Task { part, factors: lora, first, x } = task;
    let (i, o) = (lora.a.len() / lora.rank, lora.bt.len() / lora.rank);
    let (mut ga, mut gb) = (vec![0f32; lora.a.len()], vec![0f32; lora.bt.len()]);
    let (mut row, mut back) = (vec![0f32; i], vec![0f32; i]);
    for (at, (x, dy)) in x.chunks(i).zip(dy.chunks(o)).enumerate() {
        row.copy_from_slice(x);
        if let Some(dropout) = &lora.dropout {
            dropout.apply(first + at, &mut row);
        }
        back.fill(0.0);
        for r in 0..lora.rank {
            let (a, b) = (&lora.a[r * i..(r + 1) * i], &lora.bt[r * o..(r + 1) * o]);
            let z = dot(a, &row);
            let dz = lora.scale * dot(b, dy);
            axpy(lora.scale * z, dy, &mut gb[r * o..(r + 1) * o]);
            axpy(dz, &row, &mut ga[r * i..(r + 1) * i]);
            if dx.is_some() {
                axpy(dz, a, &mut back);
            }
        }
        if let Some(dx) = dx.as_deref_mut() {
            if let Some(dropout) = &lora.dropout {
                dropout.apply(first + at, &mut back);
            }
            axpy(1.0, &back, &mut dx[at * i..(at + 1) * i]);
        }
    }
    (*part, ga, gb)
}
