//! Keys and values of the tokens so far.

use candle_core::Tensor;

use crate::{Error, Result};

/// One layer's keys and values of one sequence, rows of width kv_heads · head_dim. They are on the host or on a
/// device, wherever those that were appended come from.
#[derive(Debug, Default)]
pub struct KvLayer {
    keys: Vec<f32>,
    values: Vec<f32>,
    /// [capacity, width] each, of which the first `filled` rows count.
    on_device: Option<(Tensor, Tensor)>,
    filled: usize,
}

impl KvLayer {
    /// Appends rows on the host.
    pub(crate) fn append(&mut self, keys: &[f32], values: &[f32]) {
        self.keys.extend_from_slice(keys);
        self.values.extend_from_slice(values);
    }

    /// Appends rows to the tensors on a device, which double when they are full.
    pub(crate) fn append_on_device(&mut self, k: &Tensor, v: &Tensor) -> Result<()> {
        let (rows, width) = k.dims2()?;
        let needed = self.filled + rows;
        let capacity = |(k, _): &(Tensor, Tensor)| k.dims().first().copied().unwrap_or(0);
        if self.on_device.as_ref().is_none_or(|tensors| capacity(tensors) < needed) {
            let grown = |old: Option<&Tensor>| -> Result<Tensor> {
                let new = Tensor::zeros((needed.next_power_of_two().max(64), width), k.dtype(), k.device())?;
                if let Some(old) = old.filter(|_| self.filled > 0) {
                    new.slice_set(&old.narrow(0, 0, self.filled)?.contiguous()?, 0, 0)?;
                }
                Ok(new)
            };
            let old = self.on_device.as_ref();
            self.on_device = Some((grown(old.map(|t| &t.0))?, grown(old.map(|t| &t.1))?));
        }
        // The tensors are this layer's alone: a copy has its own.
        if let Some((keys, values)) = &self.on_device {
            keys.slice_set(k, 0, self.filled)?;
            values.slice_set(v, 0, self.filled)?;
        }
        self.filled = needed;
        Ok(())
    }

    /// Keys and values on the host: [rows so far, width] each.
    pub(crate) fn on_host(&self) -> (&[f32], &[f32]) {
        (&self.keys, &self.values)
    }

    /// Keys and values on the device: [rows so far, width] each.
    pub(crate) fn on_device(&self) -> Result<(Tensor, Tensor)> {
        let (k, v) =
            self.on_device.as_ref().ok_or_else(|| Error::msg("the cache has nothing on this device"))?;
        Ok((k.narrow(0, 0, self.filled)?, v.narrow(0, 0, self.filled)?))
    }
}

/// One sequence's keys and values in every layer; cutting it back makes edits of a prompt cheap.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<KvLayer>,
    width: usize,
    len: usize,
    /// Tokens that the sequence will have, where that is known.
    planned: usize,
    /// The class of lengths ([`super::rope::Rope::length_class`]) whose frequencies all keys have; `None`: several.
    angles: Option<usize>,
}

impl KvCache {
    /// An empty cache for `layers` layers of `width` = kv_heads · head_dim.
    pub fn new(layers: usize, width: usize) -> Self {
        Self {
            layers: (0..layers).map(|_| KvLayer::default()).collect(),
            width,
            len: 0,
            planned: 0,
            angles: None,
        }
    }

    /// Tokens in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens that the sequence will have, as far as [`super::Decoder::plan`] knows.
    pub(crate) fn planned(&self) -> usize {
        self.planned
    }

    /// Prepares for a sequence of `length` tokens, whose frequencies are those of `class`.
    pub(crate) fn plan(&mut self, length: usize, class: usize) {
        if self.angles != Some(class) {
            self.truncate(0);
        }
        self.planned = length;
    }

    /// Takes in that keys with the frequencies of `class` follow.
    pub(crate) fn note_angles(&mut self, class: usize) {
        self.angles = (self.len == 0 || self.angles == Some(class)).then_some(class);
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

    /// The same keys and values once more, for another sequence that begins with them.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn copy(&self) -> Result<Self> {
        let layer = |layer: &KvLayer| -> Result<KvLayer> {
            let rows = self.len * self.width;
            let part = |all: &Vec<f32>| all.get(..rows).unwrap_or(all).to_vec();
            let on_device = layer.on_device.as_ref();
            let copied = on_device.map(|(k, v)| Ok::<_, Error>((k.copy()?, v.copy()?))).transpose()?;
            Ok(KvLayer {
                keys: part(&layer.keys),
                values: part(&layer.values),
                on_device: copied,
                filled: layer.filled.min(self.len),
            })
        };
        Ok(Self {
            layers: self.layers.iter().map(layer).collect::<Result<_>>()?,
            width: self.width,
            len: self.len,
            planned: self.planned,
            angles: self.angles,
        })
    }

    /// Counts tokens whose rows every layer has got.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// One layer.
    ///
    /// # Errors
    /// When the model has more layers than the cache.
    pub(crate) fn layer_mut(&mut self, index: usize) -> Result<&mut KvLayer> {
        self.layers.get_mut(index).ok_or_else(|| Error::msg("the cache is of another model"))
    }
}
