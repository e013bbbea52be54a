//! Scores of experts.

use rayon::prelude::*;

use crate::model::dot_rows::dot_rows;
use crate::threads::rows_per_task;

/// Values of prototypes from which even one token's scores are computed on all threads.
const WORTH_THREADS: usize = 1 << 16;

/// x · prototypeᵀ for rows x and prototypes of `width` values.
pub fn scores(x: &[f32], width: usize, prototypes: &[f32]) -> Vec<f32> {
    let (rows, experts) = (x.len() / width, prototypes.len() / width);
    let mut out = vec![0f32; rows * experts];
    if rows == 1 && prototypes.len() >= WORTH_THREADS {
        let some = experts.div_ceil(rayon::current_num_threads()).next_multiple_of(4);
        out.par_chunks_mut(some)
            .zip(prototypes.par_chunks(some * width))
            .for_each(|(out, prototypes)| dot_rows(x, prototypes, width, out));
        return out;
    }
    let rows = rows_per_task(rows);
    out.par_chunks_mut((experts * rows).max(1))
        .zip(x.par_chunks(width * rows))
        .for_each(|(out, x)| dot_rows(x, prototypes, width, out));
    out
}
