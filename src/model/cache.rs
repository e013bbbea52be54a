//! Keys and values of the tokens so far.

use candle_core::Tensor;

use super::tensor::values as values_of;
use crate::{Error, Result};

/// One sequence's keys and values in every layer; cutting it back makes edits of a prompt cheap.
#[derive(Clone, Debug)]
pub struct KvCache {
    /// Per layer: rows of width kv_heads · head_dim.
    layers: Vec<(Vec<f32>, Vec<f32>)>,
    width: usize,
    len: usize,
}

impl KvCache {
    /// An empty cache for `layers` layers of `width` = kv_heads · head_dim.
    pub fn new(layers: usize, width: usize) -> Self {
        Self { layers: vec![(Vec::new(), Vec::new()); layers], width, len: 0 }
    }

    /// Tokens in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        for (k, v) in &mut self.layers {
            // A pass that was cancelled half-way has left rows in some layers only.
            k.truncate(self.len * self.width);
            v.truncate(self.len * self.width);
        }
    }

    /// Appends rows `start .. start + len` of `k` and `v` to one layer.
    pub(crate) fn append(
        &mut self,
        layer: usize,
        k: &Tensor,
        v: &Tensor,
        start: usize,
        len: usize,
    ) -> Result<()> {
        let (from, to) = (start * self.width, (start + len) * self.width);
        let (keys, values) =
            self.layers.get_mut(layer).ok_or_else(|| Error::msg("the cache is of another model"))?;
        keys.extend_from_slice(&values_of(k)?[from..to]);
        values.extend_from_slice(&values_of(v)?[from..to]);
        Ok(())
    }

    /// Counts tokens whose rows every layer has got.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// Keys and values of one layer.
    pub(crate) fn layer(&self, layer: usize) -> (&[f32], &[f32]) {
        let (k, v) = &self.layers[layer];
        (k, v)
    }
}
