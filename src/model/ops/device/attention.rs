//! Causal attention: sequences of one length are worked on together.

use candle_core::{D, DType, Tensor};

use super::elementwise::softcap;
use crate::Result;
use crate::model::ops::{Attention, Segment};

/// Along the last dimension.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let high = scores.max_keepdim(D::Minus1)?;
    let raised = scores.broadcast_sub(&high)?.exp()?;
    Ok(raised.broadcast_div(&raised.sum_keepdim(D::Minus1)?)?)
}

/// Sequences of one length that are worked on together.
#[derive(Clone, Copy)]
struct Batch {
    sequences: usize,
    len: usize,
    past: usize,
}

impl Attention {
    /// [sequences · kv_heads, group · len, head_dim] from rows of queries.
    fn grouped(&self, q: &Tensor, b: Batch) -> Result<Tensor> {
        let group = self.heads / self.kv_heads;
        let q = q.reshape((b.sequences, b.len, self.kv_heads, group, self.head_dim))?;
        let q = q.permute((0, 2, 3, 1, 4))?.contiguous()?;
        Ok(q.reshape((b.sequences * self.kv_heads, group * b.len, self.head_dim))?)
    }

    /// The inverse of [`Self::grouped`].
    fn ungrouped(&self, x: &Tensor, b: Batch) -> Result<Tensor> {
        let group = self.heads / self.kv_heads;
        let x = x.reshape((b.sequences, self.kv_heads, group, b.len, self.head_dim))?;
        let x = x.permute((0, 3, 1, 2, 4))?.contiguous()?;
        Ok(x.reshape((b.sequences * b.len, self.heads * self.head_dim))?)
    }

    /// [sequences · kv_heads, total, head_dim] from rows of keys or values.
    fn by_head(&self, k: &Tensor, b: Batch) -> Result<Tensor> {
        let total = b.past + b.len;
        let k = k.reshape((b.sequences, total, self.kv_heads, self.head_dim))?;
        Ok(k.permute((0, 2, 1, 3))?.contiguous()?.reshape((
            b.sequences * self.kv_heads,
            total,
            self.head_dim,
        ))?)
    }

    /// The inverse of [`Self::by_head`].
    fn by_row(&self, k: &Tensor, b: Batch) -> Result<Tensor> {
        let total = b.past + b.len;
        let k = k.reshape((b.sequences, self.kv_heads, total, self.head_dim))?;
        let k = k.permute((0, 2, 1, 3))?.contiguous()?;
        Ok(k.reshape((b.sequences * total, self.kv_heads * self.head_dim))?)
    }

    /// Scores after the soft cap, and probabilities: [sequences · kv_heads, group · len, total].
    fn probabilities_of(&self, q: &Tensor, k: &Tensor, b: Batch) -> Result<(Tensor, Tensor)> {
        let total = b.past + b.len;
        let mut scores = (q.matmul(&k.transpose(1, 2)?)? * f64::from(self.scale))?;
        if let Some(cap) = self.softcap {
            scores = softcap(&scores, cap)?;
        }
        // A single row sees all there is, unless a window hides the oldest.
        if b.len == 1 && self.window.is_none_or(|window| total <= window) {
            let p = softmax(&scores)?;
            return Ok((scores, p));
        }
        let device = q.device();
        let row = (Tensor::arange(0f32, b.len as f32, device)? + b.past as f64)?.unsqueeze(1)?;
        let column = Tensor::arange(0f32, total as f32, device)?.unsqueeze(0)?;
        let mut hidden = column.broadcast_gt(&row)?;
        if let Some(window) = self.window {
            // Seen: row − column < window.
            let early = (column + window as f64)?.broadcast_le(&row)?;
            hidden = (hidden + early)?;
        }
        // A number far below every score: an infinity would turn into NaN when multiplied by 0.
        let mask = (hidden.to_dtype(DType::F32)? * -1e30)?;
        let groups = self.heads / self.kv_heads;
        let wide = scores.reshape((scores.dim(0)?, groups, b.len, total))?.broadcast_add(&mask)?;
        let p = softmax(&wide)?.reshape(scores.shape())?;
        Ok((scores, p))
    }

    /// Consecutive segments of one shape, as (first row, batch, first segment).
    fn batches(segments: &[Segment]) -> Vec<(usize, usize, Batch)> {
        let mut all: Vec<(usize, usize, Batch)> = Vec::new();
        for (i, s) in segments.iter().enumerate() {
            match all.last_mut() {
                Some((_, _, b)) if (b.len, b.past) == (s.len, s.past) => b.sequences += 1,
                _ => all.push((s.start, i, Batch { sequences: 1, len: s.len, past: s.past })),
            }
        }
        all
    }

    /// Mixed values for queries `q`. Keys and values of each segment are [past + len, kv width].
    pub(super) fn forward_on_device(
        &self,
        q: &Tensor,
        segments: &[Segment],
        kv: &[(Tensor, Tensor)],
    ) -> Result<Tensor> {
        let mut parts = Vec::new();
        for (start, first, mut b) in Self::batches(segments) {
            let total = b.past + b.len;
            // Rows that no query sees need not be looked at.
            let seen = self.window.map_or(total, |window| total.min(window + b.len - 1));
            b.past = seen - b.len;
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for (k, v) in &kv[first..first + b.sequences] {
                keys.push(k.narrow(0, total - seen, seen)?);
                values.push(v.narrow(0, total - seen, seen)?);
            }
            let queries = self.grouped(&q.narrow(0, start, b.sequences * b.len)?, b)?;
            let (_, p) = self.probabilities_of(&queries, &self.by_head(&Tensor::cat(&keys, 0)?, b)?, b)?;
            let mixed = p.matmul(&self.by_head(&Tensor::cat(&values, 0)?, b)?)?;
            parts.push(self.ungrouped(&mixed, b)?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// Gradients of q, k and v, given that of the output.
    pub(super) fn backward_on_device(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        dout: &Tensor,
        segments: &[Segment],
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let (mut dqs, mut dks, mut dvs) = (Vec::new(), Vec::new(), Vec::new());
        for (start, _, b) in Self::batches(segments) {
            let rows = b.sequences * b.len;
            let (q, dout) = (
                self.grouped(&q.narrow(0, start, rows)?, b)?,
                self.grouped(&dout.narrow(0, start, rows)?, b)?,
            );
            let (k, v) =
                (self.by_head(&k.narrow(0, start, rows)?, b)?, self.by_head(&v.narrow(0, start, rows)?, b)?);
            let (scores, p) = self.probabilities_of(&q, &k, b)?;
            let dp = dout.matmul(&v.transpose(1, 2)?)?;
            let mean = (&dp * &p)?.sum_keepdim(D::Minus1)?;
            let mut ds = (&p * dp.broadcast_sub(&mean)?)?;
            if let Some(cap) = self.softcap {
                ds = (ds * (scores / f64::from(cap))?.sqr()?.affine(-1.0, 1.0)?)?;
            }
            let ds = (ds * f64::from(self.scale))?;
            dqs.push(self.ungrouped(&ds.matmul(&k)?, b)?);
            dks.push(self.by_row(&ds.transpose(1, 2)?.matmul(&q)?, b)?);
            dvs.push(self.by_row(&p.transpose(1, 2)?.matmul(&dout)?, b)?);
        }
        Ok((Tensor::cat(&dqs, 0)?, Tensor::cat(&dks, 0)?, Tensor::cat(&dvs, 0)?))
    }
}
