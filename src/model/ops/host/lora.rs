//! LoRA in training.

use rayon::prelude::*;

use crate::model::ops::LoraFactors;
use crate::model::simd::{axpy, dot};

/// Rows of one task. Fixed, so that sums run in the same order whatever the number of threads.
const ROWS: usize = 32;

impl LoraFactors<'_> {
    /// (in, out) features.
    fn size(&self) -> (usize, usize) {
        (self.a.len() / self.rank, self.bt.len() / self.rank)
    }
}

/// y [rows, out] += s·B A x̃ for x [rows, in], x̃ what dropout leaves of it.
pub fn add(lora: &LoraFactors, x: &[f32], y: &mut [f32]) {
    let (i, o) = lora.size();
    y.par_chunks_mut(o * ROWS).zip(x.par_chunks(i * ROWS)).enumerate().for_each(|(chunk, (y, x))| {
        let mut row = vec![0f32; i];
        for (at, (y, x)) in y.chunks_mut(o).zip(x.chunks(i)).enumerate() {
            row.copy_from_slice(x);
            if let Some(dropout) = &lora.dropout {
                dropout.apply(chunk * ROWS + at, &mut row);
            }
            for (a, b) in lora.a.chunks(i).zip(lora.bt.chunks(o)) {
                axpy(lora.scale * dot(a, &row), b, y);
            }
        }
    });
}

/// Adds the gradients of A and Bᵀ, given that of the output, and adds that of x to `dx`, if it is wanted.
pub fn backward(
    lora: &LoraFactors,
    x: &[f32],
    dy: &[f32],
    dx: Option<&mut [f32]>,
    (grad_a, grad_bt): (&mut [f32], &mut [f32]),
) {
    let (i, o) = lora.size();
    let pairs = x.par_chunks(i * ROWS).zip(dy.par_chunks(o * ROWS)).enumerate();
    let sums: Vec<(Vec<f32>, Vec<f32>)> = match dx {
        Some(dx) => pairs
            .zip(dx.par_chunks_mut(i * ROWS))
            .map(|((chunk, (x, dy)), dx)| rows_backward(lora, chunk * ROWS, x, dy, Some(dx)))
            .collect(),
        None => pairs.map(|(chunk, (x, dy))| rows_backward(lora, chunk * ROWS, x, dy, None)).collect(),
    };
    for (ga, gb) in &sums {
        axpy(1.0, ga, grad_a);
        axpy(1.0, gb, grad_bt);
    }
}

/// Gradients of A and Bᵀ over some rows, of which the first has number `first`. Per row: z = A x̃, dz = s·B dy; then
/// dBᵀ += s·z ⊗ dy, dA += dz ⊗ x̃, dx += mask · Aᵀ dz.
fn rows_backward(
    lora: &LoraFactors,
    first: usize,
    x: &[f32],
    dy: &[f32],
    mut dx: Option<&mut [f32]>,
) -> (Vec<f32>, Vec<f32>) {
    let (i, o) = lora.size();
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
    (ga, gb)
}
