//! Causal attention over a ragged batch: sequences one after another, no padding anywhere.
//!
//! Scores and their softmax exist for one head of one sequence at a time; the backward pass computes
//! them again from q and k, so that nothing of size tokens² is kept.

use rayon::prelude::*;

use crate::matrix::{MatMut, MatRef, multiply};
use crate::model::ops::{Attention, Segment};
use crate::model::simd::{self, multiversion};

/// `buffer`, which has `heads` · `width` values of every row of the batch, as one stretch per segment and head: the
/// head's [len, width] values lie together, so that each task owns what it writes.
fn by_head<'a>(
    buffer: &'a mut [f32],
    segments: &[Segment],
    heads: usize,
    width: usize,
) -> Vec<&'a mut [f32]> {
    let mut rest = buffer;
    let mut stretches = Vec::with_capacity(segments.len() * heads);
    for segment in segments {
        for _ in 0..heads {
            let (stretch, others) = rest.split_at_mut(segment.len * width);
            stretches.push(stretch);
            rest = others;
        }
    }
    stretches
}

/// Rows [rows, heads · width] of a buffer that is written [`by_head`].
fn by_row(buffer: Vec<f32>, segments: &[Segment], heads: usize, width: usize) -> Vec<f32> {
    // One row's heads follow one another already.
    if segments.iter().all(|segment| segment.len == 1) {
        return buffer;
    }
    let mut out = Vec::with_capacity(buffer.len());
    let mut rest = buffer.as_slice();
    for segment in segments {
        let (own, others) = rest.split_at(segment.len * heads * width);
        for row in 0..segment.len {
            for head in own.chunks_exact(segment.len * width) {
                out.extend_from_slice(&head[row * width..(row + 1) * width]);
            }
        }
        rest = others;
    }
    out
}

multiversion! {
    // In place: scores of one query → probabilities; columns outside `from..to` become 0.
    fn softmax_row(row: &mut [f32], from: usize, to: usize, cap: f32) {
        row[..from].fill(0.0);
        row[to..].fill(0.0);
        let seen = &mut row[from..to];
        if cap > 0.0 {
            for v in seen.iter_mut() {
                *v = cap * simd::tanh(*v / cap);
            }
        }
        let mut max = f32::NEG_INFINITY;
        for v in seen.iter() {
            max = if *v > max { *v } else { max };
        }
        for v in seen.iter_mut() {
            *v = simd::exp(*v - max);
        }
        let mut sum = 0f32;
        for v in seen.iter() {
            sum += *v;
        }
        let inv = 1.0 / sum;
        for v in seen.iter_mut() {
            *v *= inv;
        }
    }
}

/// scale · q · kᵀ of one head: scores [rows of q, rows of k].
fn scores(attention: &Attention, q: MatRef<f32>, k: MatRef<f32>, scores: &mut [f32]) {
    let shape = (q.shape().0, k.shape().0);
    multiply(attention.scale, q, k.transposed(), 0.0, MatMut::rows(scores, shape, shape.1));
}

/// A row-major matrix [n, n].
fn square(values: &[f32], n: usize) -> MatRef<'_, f32> {
    MatRef::rows(values, (n, n), n)
}

/// Probabilities [len, past + len] of one head.
fn probabilities(attention: &Attention, q: &[f32], k: &[f32], segment: Segment, p: &mut [f32]) {
    let (len, total, d) = (segment.len, segment.past + segment.len, attention.head_dim);
    let (qs, ks) = (attention.q_width(), attention.kv_width());
    scores(attention, MatRef::rows(q, (len, d), qs), MatRef::rows(k, (total, d), ks), p);
    for (i, row) in p.chunks_mut(total).enumerate() {
        let to = segment.past + i + 1;
        let from = attention.window.map_or(0, |w| to.saturating_sub(w));
        softmax_row(row, from, to, attention.softcap.unwrap_or(0.0));
    }
}

/// Mixed values for queries of the same shape. `kv(i)` gives keys and values of segment i, [past + len, kv width]
/// each.
pub fn forward<'a>(
    attention: &Attention,
    queries: &[f32],
    segments: &[Segment],
    kv: impl Fn(usize) -> (&'a [f32], &'a [f32]) + Sync,
) -> Vec<f32> {
    let (d, qs, ks) = (attention.head_dim, attention.q_width(), attention.kv_width());
    let group = attention.heads / attention.kv_heads;
    let mut out = vec![0f32; queries.len()];
    by_head(&mut out, segments, attention.heads, d).into_par_iter().enumerate().for_each(|(task, out)| {
        let (segment, head) = (segments[task / attention.heads], task % attention.heads);
        let (k, v) = kv(task / attention.heads);
        let offset = head / group * d;
        let total = segment.past + segment.len;
        let mut p = vec![0f32; segment.len * total];
        let at = segment.start * qs + head * d;
        probabilities(attention, &queries[at..], &k[offset..], segment, &mut p);
        let (p, v) =
            (MatRef::rows(&p, (segment.len, total), total), MatRef::rows(&v[offset..], (total, d), ks));
        multiply(1.0, p, v, 0.0, MatMut::rows(out, (segment.len, d), d));
    });
    by_row(out, segments, attention.heads, d)
}

/// Gradients of q, k, v for segments without a past, given that of the output.
pub fn backward(
    attention: &Attention,
    [qv, kv, vv]: [&[f32]; 3],
    dv: &[f32],
    segments: &[Segment],
) -> [Vec<f32>; 3] {
    let (d, qs, ks) = (attention.head_dim, attention.q_width(), attention.kv_width());
    let group = attention.heads / attention.kv_heads;
    let (mut gq, mut gk, mut gv) = (vec![0f32; qv.len()], vec![0f32; kv.len()], vec![0f32; vv.len()]);
    // One task per key head: its query heads add to the same gradients, and their stretches follow one another.
    let stretches = by_head(&mut gq, segments, attention.kv_heads, group * d)
        .into_par_iter()
        .zip(by_head(&mut gk, segments, attention.kv_heads, d))
        .zip(by_head(&mut gv, segments, attention.kv_heads, d));
    stretches.enumerate().for_each(|(task, ((gq, gk), gv))| {
        let (segment, kv_head) = (segments[task / attention.kv_heads], task % attention.kv_heads);
        let n = segment.len;
        let at_kv = segment.start * ks + kv_head * d;
        let (mut p, mut dp) = (vec![0f32; n * n], vec![0f32; n * n]);
        for (head, gq) in (kv_head * group..).zip(gq.chunks_exact_mut(n * d)) {
            let at = segment.start * qs + head * d;
            probabilities(attention, &qv[at..], &kv[at_kv..], segment, &mut p);
            let head = |values| MatRef::rows(values, (n, d), qs);
            let kv_head = |values| MatRef::rows(values, (n, d), ks);
            let (q, k, v, d_out) =
                (head(&qv[at..]), kv_head(&kv[at_kv..]), kv_head(&vv[at_kv..]), head(&dv[at..]));
            // dV += Pᵀ dO, dP = dO Vᵀ.
            multiply(1.0, square(&p, n).transposed(), d_out, 1.0, MatMut::rows(gv, (n, d), d));
            multiply(1.0, d_out, v.transposed(), 0.0, MatMut::rows(&mut dp, (n, n), n));
            for (p, dp) in p.chunks(n).zip(dp.chunks_mut(n)) {
                let mean = simd::dot(p, dp);
                for (dp, p) in dp.iter_mut().zip(p) {
                    *dp = p * (*dp - mean);
                }
            }
            if let Some(cap) = attention.softcap {
                // d(cap·tanh(s/cap))/ds = 1 − tanh², from the raw scores.
                scores(attention, q, k, &mut p);
                for (dp, s) in dp.iter_mut().zip(&p) {
                    let t = simd::tanh(s / cap);
                    *dp *= 1.0 - t * t;
                }
            }
            // dQ = scale · dS K, dK += scale · dSᵀ Q.
            multiply(attention.scale, square(&dp, n), k, 0.0, MatMut::rows(gq, (n, d), d));
            multiply(attention.scale, square(&dp, n).transposed(), q, 1.0, MatMut::rows(gk, (n, d), d));
        }
    });
    [
        by_row(gq, segments, attention.heads, d),
        by_row(gk, segments, attention.kv_heads, d),
        by_row(gv, segments, attention.kv_heads, d),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_that_lie_together_become_rows() {
        let segments = [Segment { start: 0, len: 2, past: 0 }, Segment { start: 2, len: 1, past: 3 }];
        let mut buffer = vec![0.0; 3 * 2 * 3];
        let stretches = by_head(&mut buffer, &segments, 2, 3);
        assert_eq!(stretches.iter().map(|s| s.len()).collect::<Vec<_>>(), [6, 6, 3, 3]);
        // Hundreds are the head, tens the row, ones the column.
        for (at, stretch) in stretches.into_iter().enumerate() {
            let first = if at < 2 { 0 } else { 2 };
            for (i, v) in stretch.iter_mut().enumerate() {
                *v = (at % 2 * 100 + (first + i / 3) * 10 + i % 3) as f32;
            }
        }
        let wanted: Vec<f32> = (0..18).map(|i| (i / 3 % 2 * 100 + i / 6 * 10 + i % 3) as f32).collect();
        assert_eq!(by_row(buffer, &segments, 2, 3), wanted);
    }
}
