//! Keys and values of the tokens so far.

use candle_core::Tensor;

use super::generic;
use super::tensor::values as values_of;
use crate::{Error, Result};

/// One layer's rows of width kv_heads · head_dim.
#[derive(Clone, Debug, Default)]
struct Layer {
    keys: Vec<f32>,
    values: Vec<f32>,
    /// On another device: [capacity, width] each, of which the first `filled` rows count.
    there: Option<(Tensor, Tensor)>,
    filled: usize,
}

impl Layer {
    /// Appends rows to the tensors of another device, which double when they are full.
    fn append_there(&mut self, k: &Tensor, v: &Tensor) -> Result<()> {
        let (rows, width) = k.dims2()?;
        let needed = self.filled + rows;
        let full = self.there.as_ref().is_none_or(|(k, _)| k.dims().first().is_none_or(|n| *n < needed));
        if full {
            let grown = |old: Option<&Tensor>| -> Result<Tensor> {
                let new = Tensor::zeros((needed.next_power_of_two().max(64), width), k.dtype(), k.device())?;
                if let Some(old) = old.filter(|_| self.filled > 0) {
                    new.slice_set(&old.narrow(0, 0, self.filled)?.contiguous()?, 0, 0)?;
                }
                Ok(new)
            };
            let there = self.there.as_ref();
            self.there = Some((grown(there.map(|t| &t.0))?, grown(there.map(|t| &t.1))?));
        }
        if let Some((keys, values)) = &self.there {
            keys.slice_set(k, 0, self.filled)?;
            values.slice_set(v, 0, self.filled)?;
        }
        self.filled = needed;
        Ok(())
    }
}

/// One sequence's keys and values in every layer; cutting it back makes edits of a prompt cheap.
#[derive(Clone, Debug)]
pub struct KvCache {
    layers: Vec<Layer>,
    width: usize,
    len: usize,
}

impl KvCache {
    /// An empty cache for `layers` layers of `width` = kv_heads · head_dim.
    pub fn new(layers: usize, width: usize) -> Self {
        Self { layers: vec![Layer::default(); layers], width, len: 0 }
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
        for layer in &mut self.layers {
            // A pass that was cancelled half-way has left rows in some layers only.
            layer.keys.truncate(self.len * self.width);
            layer.values.truncate(self.len * self.width);
            layer.filled = layer.filled.min(self.len);
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
        let own = self.layers.get_mut(layer).ok_or_else(|| Error::msg("the cache is of another model"))?;
        if generic::wanted(k) {
            let rows = |t: &Tensor| t.narrow(0, start, len)?.contiguous();
            return own.append_there(&rows(k)?, &rows(v)?);
        }
        let (from, to) = (start * self.width, (start + len) * self.width);
        own.keys.extend_from_slice(&values_of(k)?[from..to]);
        own.values.extend_from_slice(&values_of(v)?[from..to]);
        Ok(())
    }

    /// Counts tokens whose rows every layer has got.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// Keys and values of one layer.
    pub(crate) fn layer(&self, layer: usize) -> (&[f32], &[f32]) {
        self.layers.get(layer).map_or((&[], &[]), |l| (&l.keys, &l.values))
    }

    /// Keys and values of one layer on another device: [rows so far, width] each.
    pub(crate) fn layer_there(&self, layer: usize) -> Result<(Tensor, Tensor)> {
        let own = self.layers.get(layer).and_then(|l| Some((l.there.as_ref()?, l.filled)));
        let ((k, v), filled) = own.ok_or_else(|| Error::msg("the cache holds nothing on this device"))?;
        Ok((k.narrow(0, 0, filled)?, v.narrow(0, 0, filled)?))
    }
}
