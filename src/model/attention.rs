//! Causal attention over a ragged batch: sequences one after another, no padding anywhere.
//!
//! Scores and their softmax exist for one head of one sequence at a time; the backward pass computes
//! them again from q and k, so that nothing of size tokens² is kept.

use candle_core::Tensor;
use rayon::prelude::*;

use super::cache::KvCache;
use super::generic;
use super::simd::{self, multiversion};
use super::tensor::{from_vec, gemm, values as values_of};
use crate::Result;

/// Shape and masking of one layer's attention.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub scale: f32,
    pub window: Option<usize>,
    pub softcap: Option<f32>,
}

/// One sequence's part of a batch: `len` new rows from `start`, after `past` rows that are in its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub start: usize,
    pub len: usize,
    pub past: usize,
}

/// `buffer`, which holds `heads` · `width` values of every row of the batch, as one stretch per segment and head: the
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

impl Attention {
    fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Probabilities [len, past + len] of one head.
    fn probabilities(&self, q: &[f32], k: &[f32], segment: Segment, p: &mut [f32]) {
        let (len, total, d) = (segment.len, segment.past + segment.len, self.head_dim);
        let (qs, ks) = (self.q_width(), self.kv_width());
        gemm((len, total, d), self.scale, q, (qs, 1), k, (1, ks), 0.0, p, (total, 1));
        for (i, row) in p.chunks_mut(total).enumerate() {
            let to = segment.past + i + 1;
            let from = self.window.map_or(0, |w| to.saturating_sub(w));
            softmax_row(row, from, to, self.softcap.unwrap_or(0.0));
        }
    }

    /// Mixed values [rows, heads · head_dim] for queries `q` of the same shape, from the keys and values
    /// [rows, kv_heads · head_dim] of the same tokens.
    pub fn forward(&self, q: &Tensor, k: &Tensor, v: &Tensor, segments: &[Segment]) -> Result<Tensor> {
        if generic::wanted(q) {
            let own = |s: &Segment| -> Result<(Tensor, Tensor)> {
                Ok((k.narrow(0, s.start, s.len)?, v.narrow(0, s.start, s.len)?))
            };
            let kv: Vec<(Tensor, Tensor)> = segments.iter().map(own).collect::<Result<_>>()?;
            return self.forward_generic(q, segments, &kv);
        }
        let (keys, values, width) = (values_of(k)?, values_of(v)?, self.kv_width());
        let (keys, values): (&[f32], &[f32]) = (&keys, &values);
        self.mix(q, segments, |i| {
            let (from, to) = (segments[i].start * width, (segments[i].start + segments[i].len) * width);
            (&keys[from..to], &values[from..to])
        })
    }

    /// [`Self::forward`] with the keys and values of each segment in its cache, those of its own tokens
    /// included.
    pub fn forward_cached(
        &self,
        q: &Tensor,
        segments: &[Segment],
        caches: &[&mut KvCache],
        layer: usize,
    ) -> Result<Tensor> {
        if generic::wanted(q) {
            let kv: Vec<(Tensor, Tensor)> =
                caches.iter().map(|c| c.layer_there(layer)).collect::<Result<_>>()?;
            return self.forward_generic(q, segments, &kv);
        }
        let rows: Vec<_> = caches.iter().map(|c| c.layer(layer)).collect();
        self.mix(q, segments, |i| rows[i])
    }

    /// [`Self::forward`] on the CPU. `kv(i)` gives keys and
    /// values of segment i, [past + len, kv_heads · head_dim] each.
    fn mix<'a>(
        &self,
        q: &Tensor,
        segments: &[Segment],
        kv: impl Fn(usize) -> (&'a [f32], &'a [f32]) + Sync,
    ) -> Result<Tensor> {
        let queries = values_of(q)?;
        let queries: &[f32] = &queries;
        let (d, qs, ks) = (self.head_dim, self.q_width(), self.kv_width());
        let group = self.heads / self.kv_heads;
        let mut out = vec![0f32; queries.len()];
        by_head(&mut out, segments, self.heads, d).into_par_iter().enumerate().for_each(|(task, out)| {
            let (segment, head) = (segments[task / self.heads], task % self.heads);
            let (k, v) = kv(task / self.heads);
            let offset = head / group * d;
            let total = segment.past + segment.len;
            let mut p = vec![0f32; segment.len * total];
            let at = segment.start * qs + head * d;
            self.probabilities(&queries[at..], &k[offset..], segment, &mut p);
            gemm((segment.len, d, total), 1.0, &p, (total, 1), &v[offset..], (ks, 1), 0.0, out, (d, 1));
        });
        from_vec(by_row(out, segments, self.heads, d), q.shape())
    }

    /// Gradients of q, k, v for segments without a past, given that of the output.
    pub fn backward(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        dout: &Tensor,
        segments: &[Segment],
    ) -> Result<(Tensor, Tensor, Tensor)> {
        if generic::wanted(q) {
            return self.backward_generic(q, k, v, dout, segments);
        }
        let (qv, kv, vv, dv) = (values_of(q)?, values_of(k)?, values_of(v)?, values_of(dout)?);
        let (qv, kv, vv, dv): (&[f32], &[f32], &[f32], &[f32]) = (&qv, &kv, &vv, &dv);
        let (d, qs, ks) = (self.head_dim, self.q_width(), self.kv_width());
        let group = self.heads / self.kv_heads;
        let (mut gq, mut gk, mut gv) = (vec![0f32; qv.len()], vec![0f32; kv.len()], vec![0f32; vv.len()]);
        // One task per key head: its query heads add to the same gradients, and their stretches follow one another.
        let stretches = by_head(&mut gq, segments, self.kv_heads, group * d)
            .into_par_iter()
            .zip(by_head(&mut gk, segments, self.kv_heads, d))
            .zip(by_head(&mut gv, segments, self.kv_heads, d));
        stretches.enumerate().for_each(|(task, ((gq, gk), gv))| {
            let (segment, kv_head) = (segments[task / self.kv_heads], task % self.kv_heads);
            let n = segment.len;
            let at_kv = segment.start * ks + kv_head * d;
            let (mut p, mut dp) = (vec![0f32; n * n], vec![0f32; n * n]);
            for (head, gq) in (kv_head * group..).zip(gq.chunks_exact_mut(n * d)) {
                let at = segment.start * qs + head * d;
                self.probabilities(&qv[at..], &kv[at_kv..], segment, &mut p);
                let d_out = &dv[at..];
                // dV += Pᵀ dO, dP = dO Vᵀ.
                gemm((n, d, n), 1.0, &p, (1, n), d_out, (qs, 1), 1.0, gv, (d, 1));
                gemm((n, n, d), 1.0, d_out, (qs, 1), &vv[at_kv..], (1, ks), 0.0, &mut dp, (n, 1));
                for (p, dp) in p.chunks(n).zip(dp.chunks_mut(n)) {
                    let mean = simd::dot(p, dp);
                    for (dp, p) in dp.iter_mut().zip(p) {
                        *dp = p * (*dp - mean);
                    }
                }
                if let Some(cap) = self.softcap {
                    // d(cap·tanh(s/cap))/ds = 1 − tanh², from the raw scores.
                    gemm(
                        (n, n, d),
                        self.scale,
                        &qv[at..],
                        (qs, 1),
                        &kv[at_kv..],
                        (1, ks),
                        0.0,
                        &mut p,
                        (n, 1),
                    );
                    for (dp, s) in dp.iter_mut().zip(&p) {
                        let t = simd::tanh(s / cap);
                        *dp *= 1.0 - t * t;
                    }
                }
                // dQ = scale · dS K, dK += scale · dSᵀ Q.
                gemm((n, d, n), self.scale, &dp, (n, 1), &kv[at_kv..], (ks, 1), 0.0, gq, (d, 1));
                gemm((n, d, n), self.scale, &dp, (1, n), &qv[at..], (qs, 1), 1.0, gk, (d, 1));
            }
        });
        let (gq, gk, gv) = (
            by_row(gq, segments, self.heads, d),
            by_row(gk, segments, self.kv_heads, d),
            by_row(gv, segments, self.kv_heads, d),
        );
        Ok((from_vec(gq, q.shape())?, from_vec(gk, k.shape())?, from_vec(gv, v.shape())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(n: usize, seed: u64) -> Vec<f32> {
        (0..n as u64)
            .map(|i| {
                let x = (i + seed * 7919).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
                x as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn attention(window: Option<usize>, softcap: Option<f32>) -> Attention {
        Attention { heads: 4, kv_heads: 2, head_dim: 6, scale: 0.4, window, softcap }
    }

    fn run(a: &Attention, q: &[f32], k: &[f32], v: &[f32], segments: &[Segment]) -> Vec<f32> {
        let rows = q.len() / a.q_width();
        let t = |v: &[f32]| from_vec(v.to_vec(), (rows, v.len() / rows)).unwrap();
        a.forward(&t(q), &t(k), &t(v), segments).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

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

    #[test]
    fn other_devices_compute_the_same() {
        for a in [attention(None, None), attention(Some(2), None), attention(None, Some(1.5))] {
            let segment = |start, len| Segment { start, len, past: 0 };
            let segments = [segment(0, 2), segment(2, 2), segment(4, 3)];
            let (q, k, v, c) = (random(7 * 24, 1), random(7 * 12, 2), random(7 * 12, 3), random(7 * 24, 4));
            let t = |v: &[f32]| from_vec(v.to_vec(), (7, v.len() / 7)).unwrap();
            let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let all = || {
                let (gq, gk, gv) = a.backward(&t(&q), &t(&k), &t(&v), &t(&c), &segments).unwrap();
                let mut cache = KvCache::new(1, 12);
                for (from, len) in [(0, 4), (4, 3)] {
                    let rows = |x: &[f32]| t(x).narrow(0, from, len).unwrap().contiguous().unwrap();
                    cache.append(0, &rows(&k), &rows(&v), 0, len).unwrap();
                    cache.advance(len);
                }
                // The last three tokens after four in the cache; a cut and grown cache gives the same.
                let past = [Segment { start: 0, len: 3, past: 4 }];
                let last = t(&q).narrow(0, 4, 3).unwrap().contiguous().unwrap();
                let cached = a.forward_cached(&last, &past, &[&mut cache], 0).unwrap();
                let forward = a.forward(&t(&q), &t(&k), &t(&v), &segments).unwrap();
                [forward, cached, gq, gk, gv].map(flat).concat()
            };
            let (kernels, operations) = (all(), generic::with_generic_operations(all));
            assert_eq!(kernels.len(), operations.len());
            assert!(kernels.iter().zip(&operations).all(|(a, b)| (a - b).abs() < 2e-6), "{a:?}");
        }
    }

    #[test]
    fn sequences_of_a_batch_do_not_see_each_other() {
        let a = attention(Some(3), Some(5.0));
        let (q, k, v) = (random(7 * 24, 1), random(7 * 12, 2), random(7 * 12, 3));
        let both = run(
            &a,
            &q,
            &k,
            &v,
            &[Segment { start: 0, len: 3, past: 0 }, Segment { start: 3, len: 4, past: 0 }],
        );
        let one = [Segment { start: 0, len: 3, past: 0 }];
        let two = [Segment { start: 0, len: 4, past: 0 }];
        let mut apart = run(&a, &q[..72], &k[..36], &v[..36], &one);
        apart.extend(run(&a, &q[72..], &k[36..], &v[36..], &two));
        assert_eq!(both, apart);
    }

    #[test]
    fn gradients_agree_with_differences() {
        for a in [attention(None, None), attention(Some(2), None), attention(None, Some(1.5))] {
            let segments = [Segment { start: 0, len: 3, past: 0 }, Segment { start: 3, len: 2, past: 0 }];
            let (q, k, v, c) = (random(5 * 24, 4), random(5 * 12, 5), random(5 * 12, 6), random(5 * 24, 7));
            let t = |v: &[f32]| from_vec(v.to_vec(), (5, v.len() / 5)).unwrap();
            let (gq, gk, gv) = a.backward(&t(&q), &t(&k), &t(&v), &t(&c), &segments).unwrap();
            let loss = |q: &[f32], k: &[f32], v: &[f32]| -> f64 {
                run(&a, q, k, v, &segments).iter().zip(&c).map(|(a, b)| f64::from(a * b)).sum()
            };
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (which, grad) in [flat(&gq), flat(&gk), flat(&gv)].iter().enumerate() {
                for i in 0..grad.len() {
                    let at = |h: f32| {
                        let mut x = [q.clone(), k.clone(), v.clone()];
                        x[which][i] += h;
                        loss(&x[0], &x[1], &x[2])
                    };
                    let want = (at(1e-2) - at(-1e-2)) / 2e-2;
                    let got = f64::from(grad[i]);
                    assert!((got - want).abs() < 2e-3, "{which} {i}: {got} vs {want}");
                }
            }
        }
    }
}
