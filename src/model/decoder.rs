//! The one decoder: every family runs through this forward pass.

use candle_core::Tensor;

use super::attention::{Attention, Segment};
use super::cache::KvCache;
use super::generic;
use super::linear::Linear;
use super::ops::{self, Norm};
use super::rope::{Rope, RopeTable};
use super::spec::{BlockKind, DecoderSpec};
use super::tensor::{edit, from_vec, values as values_of};
use crate::{Cancel, Error, Result};

/// q, k, v from three layers or one.
#[derive(Debug)]
pub(crate) enum Qkv {
    Split(Box<[Linear; 3]>),
    Fused(Box<Linear>),
}

/// The first half of the MLP.
#[derive(Debug)]
pub(crate) enum MlpIn {
    Gated(Box<[Linear; 2]>),
    Fused(Box<Linear>),
    Plain(Box<Linear>),
}

/// One block.
#[derive(Debug)]
pub(crate) struct Layer {
    pub attn_norm: Norm,
    /// Absent where attention and MLP share a norm.
    pub mlp_norm: Option<Norm>,
    pub post_attn_norm: Option<Norm>,
    pub post_mlp_norm: Option<Norm>,
    pub q_norm: Option<Norm>,
    pub k_norm: Option<Norm>,
    pub qkv: Qkv,
    pub o: Linear,
    pub mlp_in: MlpIn,
    pub mlp_out: Linear,
}

impl Layer {
    /// Its linear layers in the order of their slots.
    pub fn linears(&self) -> Vec<&Linear> {
        let mut all: Vec<&Linear> = match &self.qkv {
            Qkv::Split(three) => three.iter().collect(),
            Qkv::Fused(one) => vec![one],
        };
        all.push(&self.o);
        match &self.mlp_in {
            MlpIn::Gated(two) => all.extend(two.iter()),
            MlpIn::Fused(one) | MlpIn::Plain(one) => all.push(one),
        }
        all.push(&self.mlp_out);
        all
    }

    fn linears_mut(&mut self) -> Vec<&mut Linear> {
        let mut all: Vec<&mut Linear> = match &mut self.qkv {
            Qkv::Split(three) => three.iter_mut().collect(),
            Qkv::Fused(one) => vec![one],
        };
        all.push(&mut self.o);
        match &mut self.mlp_in {
            MlpIn::Gated(two) => all.extend(two.iter_mut()),
            MlpIn::Fused(one) | MlpIn::Plain(one) => all.push(one),
        }
        all.push(&mut self.mlp_out);
        all
    }
}

/// A decoder with its weights, without tokenizer.
#[derive(Debug)]
pub struct Decoder {
    pub spec: DecoderSpec,
    /// A layer [vocabulary, hidden] of which only rows are looked up; `None` where that is the head.
    pub(crate) embedding: Option<Linear>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Norm,
    pub(crate) head: Linear,
    pub(crate) rope: Rope,
    /// Linear layers a block.
    pub(crate) slots: usize,
}

/// What LoRA, routing and recording do in a forward pass, above all at linear layers. Those are numbered
/// through the network as in [`Decoder::linears`]; the head comes after them, as [`Decoder::head_index`].
pub trait LinearHook {
    /// Adds to `y` [rows, out], in place, what belongs there for input `x` [rows, in].
    fn apply(&mut self, linear: usize, x: &Tensor, y: &Tensor) -> Result<()>;

    /// Adds to the embeddings `x` [tokens, hidden] of `tokens`, in place, before a family scales them.
    fn embed(&mut self, _tokens: &[u32], _x: &Tensor) -> Result<()> {
        Ok(())
    }

    /// Adds to the output `y` of the norm with this transformers name for input `x`, in place.
    fn norm(&mut self, _name: &str, _x: &Tensor, _y: &Tensor) -> Result<()> {
        Ok(())
    }

    /// Sees the final hidden states [rows, hidden], of which only some may go on to the head.
    fn hidden(&mut self, _hidden: &Tensor) -> Result<()> {
        Ok(())
    }

    /// Whether [`Self::backward`] has something to do at this layer, so that its input is needed.
    fn trains(&self, _linear: usize) -> bool {
        false
    }

    /// Takes the gradient `dy` of a layer's output, keeps its own parameters' gradients, and adds its share
    /// to `dx` (absent where nobody needs it) in place.
    fn backward(&mut self, _linear: usize, _x: &Tensor, _dy: &Tensor, _dx: Option<&Tensor>) -> Result<()> {
        Ok(())
    }
}

/// The base model alone.
#[derive(Debug)]
pub struct NoHook;

impl LinearHook for NoHook {
    fn apply(&mut self, _linear: usize, _x: &Tensor, _y: &Tensor) -> Result<()> {
        Ok(())
    }
}

/// What one block's backward pass needs from its forward pass.
#[derive(Debug)]
pub(crate) struct LayerTape {
    pub x: Tensor,
    /// Before the q/k norms, where there are any.
    pub raw_qk: Option<(Tensor, Tensor)>,
    /// After the rotation.
    pub q: Tensor,
    pub k: Tensor,
    pub v: Tensor,
    /// Output of attention before o.
    pub mixed: Tensor,
    /// Before and after the first post norm, where there is one; after it comes the residual sum.
    pub attn_out: Option<Tensor>,
    /// Input of the MLP's residual (sequential blocks).
    pub middle: Option<Tensor>,
    pub gate: Tensor,
    pub up: Option<Tensor>,
    pub mlp_raw: Option<Tensor>,
}

/// Where the rows of a pass belong: its sequences one after another, and the angles of their positions.
#[derive(Debug)]
pub(crate) struct Batch {
    pub segments: Vec<Segment>,
    pub table: RopeTable,
}

/// What a forward pass works with besides its tokens.
pub struct ForwardPass<'a> {
    hook: &'a mut dyn LinearHook,
    caches: Vec<&'a mut KvCache>,
    tape: Option<&'a mut Tape>,
    cancel: &'a Cancel,
}

impl<'a> ForwardPass<'a> {
    /// A pass with `hook` at its layers, which ends early when `cancel` is raised.
    pub fn new(hook: &'a mut dyn LinearHook, cancel: &'a Cancel) -> Self {
        Self { hook, caches: Vec::new(), tape: None, cancel }
    }

    /// The same where each sequence continues its cache: one per sequence.
    pub fn cached(mut self, caches: impl IntoIterator<Item = &'a mut KvCache>) -> Self {
        self.caches.extend(caches);
        self
    }

    /// The same with what a backward pass needs written to `tape`, if there is one.
    pub fn taped(mut self, tape: impl Into<Option<&'a mut Tape>>) -> Self {
        self.tape = tape.into();
        self
    }
}

/// What the backward pass of the whole decoder needs.
#[derive(Debug, Default)]
pub struct Tape {
    pub(crate) layers: Vec<TapeEntry>,
    /// Input of the final norm.
    pub(crate) last: Option<Tensor>,
    pub(crate) batch: Option<Batch>,
    /// Keep only each block's input and compute the rest again.
    pub(crate) checkpoint: bool,
}

impl Tape {
    /// An empty tape. With `checkpoint`, memory falls to one tensor a block and the backward pass runs
    /// every block's forward pass once more.
    pub fn new(checkpoint: bool) -> Self {
        Self { checkpoint, ..Self::default() }
    }
}

#[derive(Debug)]
pub(crate) enum TapeEntry {
    Full(Box<LayerTape>),
    Input(Tensor),
}

impl Decoder {
    /// Every linear layer that can carry LoRA, in the order of the network.
    pub fn linears(&self) -> Vec<&Linear> {
        self.layers.iter().flat_map(Layer::linears).collect()
    }

    /// From now on what is multiplied with 8-bit weights is not rounded to 8 bits, for training: the loss of the
    /// layers that run is the one whose gradient the backward pass gives, and small differences count there.
    pub fn widen_weights(&mut self) {
        let layers = self.layers.iter_mut().flat_map(Layer::linears_mut);
        layers.chain([&mut self.head]).for_each(Linear::widen);
    }

    /// Number of the head, after those of [`Self::linears`].
    pub fn head_index(&self) -> usize {
        self.layers.len() * self.slots
    }

    /// Every norm of the network.
    pub(crate) fn norms(&self) -> Vec<&Norm> {
        let mut all: Vec<&Norm> = Vec::new();
        for l in &self.layers {
            all.push(&l.attn_norm);
            let optional = [&l.mlp_norm, &l.post_attn_norm, &l.post_mlp_norm, &l.q_norm, &l.k_norm];
            all.extend(optional.into_iter().flatten());
        }
        all.push(&self.final_norm);
        all
    }

    /// An empty cache for one sequence.
    pub fn cache(&self) -> KvCache {
        KvCache::new(self.spec.layers, self.spec.kv_width())
    }

    pub(crate) fn attention(&self, layer: usize) -> Attention {
        let s = &self.spec;
        Attention {
            heads: s.heads,
            kv_heads: s.kv_heads,
            head_dim: s.head_dim,
            scale: s.attention_scale as f32,
            window: s.window(layer),
            softcap: s.attention_softcap.map(|c| c as f32),
        }
    }

    /// The layer [vocabulary, hidden] whose rows are the embeddings.
    pub(crate) fn table(&self) -> &Linear {
        self.embedding.as_ref().unwrap_or(&self.head)
    }

    fn embed(&self, tokens: &[u32], hook: &mut dyn LinearHook) -> Result<Tensor> {
        let vocab = self.spec.vocab;
        if let Some(token) = tokens.iter().find(|t| **t as usize >= vocab) {
            return Err(Error::usage(format!(
                "token id {token} is out of range: the base model has {vocab} tokens (0–{})",
                vocab - 1
            )));
        }
        let x = self.table().rows(tokens)?;
        hook.embed(tokens, &x)?;
        match self.spec.embed_scale {
            Some(scale) if generic::wanted(&x) => Ok((x * f64::from(scale as f32))?),
            Some(scale) => {
                edit(&x, |x| x.iter_mut().for_each(|v| *v *= scale as f32))?;
                Ok(x)
            }
            None => Ok(x),
        }
    }

    /// Hidden states [tokens, hidden] after the final norm. `lengths` splits `tokens` into sequences.
    ///
    /// # Errors
    /// Token ids out of range, a context longer than the model's, a raised `cancel` (looked at before each
    /// block; the caches then hold what they held before).
    pub fn forward(&self, tokens: &[u32], lengths: &[usize], mut pass: ForwardPass) -> Result<Tensor> {
        if lengths.iter().sum::<usize>() != tokens.len() || tokens.is_empty() || lengths.contains(&0) {
            return Err(Error::usage("there are no tokens to work on"));
        }
        let mut segments = Vec::with_capacity(lengths.len());
        let mut positions = Vec::with_capacity(tokens.len());
        for (i, &len) in lengths.iter().enumerate() {
            let past = pass.caches.get(i).map_or(0, |c| c.len());
            if past + len > self.spec.context {
                return Err(Error::usage(format!(
                    "{} tokens are more than the base model's context of {}: shorten the prompt",
                    past + len,
                    self.spec.context
                )));
            }
            segments.push(Segment { start: positions.len(), len, past });
            positions.extend(past..past + len);
        }
        let batch = Batch { segments, table: self.rope.table(&positions) };
        let mut x = self.embed(tokens, pass.hook)?;
        for layer in 0..self.layers.len() {
            if pass.cancel.is_cancelled() {
                pass.caches.iter_mut().for_each(|c| {
                    let len = c.len();
                    c.truncate(len);
                });
                return Err(Error::Cancelled);
            }
            let keep = pass.tape.as_ref().is_some_and(|t| !t.checkpoint);
            let (next, saved) = self.block(layer, &x, &batch, &mut pass, keep)?;
            if let Some(tape) = pass.tape.as_deref_mut() {
                tape.layers.push(match saved {
                    Some(full) => TapeEntry::Full(Box::new(full)),
                    None => TapeEntry::Input(x),
                });
            }
            x = next;
        }
        for (cache, segment) in pass.caches.iter_mut().zip(&batch.segments) {
            cache.advance(segment.len);
        }
        let hidden = normed(&self.final_norm, &x, pass.hook)?;
        pass.hook.hidden(&hidden)?;
        if let Some(tape) = pass.tape {
            tape.last = Some(x);
            tape.batch = Some(batch);
        }
        Ok(hidden)
    }

    /// One block; with `keep`, what its backward pass needs.
    pub(crate) fn block(
        &self,
        index: usize,
        x: &Tensor,
        Batch { segments, table }: &Batch,
        ForwardPass { hook, caches, .. }: &mut ForwardPass,
        keep: bool,
    ) -> Result<(Tensor, Option<LayerTape>)> {
        let hook = &mut **hook;
        let layer = &self.layers[index];
        let mut slot = index * self.slots;
        let h = normed(&layer.attn_norm, x, hook)?;
        let (q_width, kv_width) = (self.spec.q_width(), self.spec.kv_width());
        let (mut q, mut k, v) = match &layer.qkv {
            Qkv::Split(three) => {
                let [q, k, v] = linears(three.each_ref(), &h, &mut slot, hook)?;
                (q, k, v)
            }
            Qkv::Fused(one) => {
                let y = linear(one, &h, &mut slot, hook)?;
                (
                    ops::columns(&y, 0, q_width)?,
                    ops::columns(&y, q_width, kv_width)?,
                    ops::columns(&y, q_width + kv_width, kv_width)?,
                )
            }
        };
        let mut raw_qk = None;
        if let (Some(qn), Some(kn)) = (&layer.q_norm, &layer.k_norm) {
            let (nq, nk) = (normed(qn, &q, hook)?, normed(kn, &k, hook)?);
            if keep {
                raw_qk = Some((q, k));
            }
            (q, k) = (nq, nk);
        }
        table.apply(&q, 1.0)?;
        table.apply(&k, 1.0)?;
        let attention = self.attention(index);
        let mixed = if caches.is_empty() {
            attention.forward(&q, &k, &v, segments)?
        } else {
            for (cache, s) in caches.iter_mut().zip(segments) {
                cache.append(index, &k, &v, s.start, s.len)?;
            }
            attention.forward_cached(&q, segments, caches, index)?
        };
        let mut out = linear(&layer.o, &mixed, &mut slot, hook)?;
        let mut attn_out = None;
        if let Some(norm) = &layer.post_attn_norm {
            let after = normed(norm, &out, hook)?;
            if keep {
                attn_out = Some(out);
            }
            out = after;
        }
        let mlp_in = match self.spec.block {
            BlockKind::Sequential => {
                ops::add_assign(&out, x)?;
                let norm = layer.mlp_norm.as_ref().unwrap_or(&layer.attn_norm);
                normed(norm, &out, hook)?
            }
            BlockKind::Parallel { .. } => match &layer.mlp_norm {
                Some(norm) => normed(norm, x, hook)?,
                None => h,
            },
        };
        let (gate, up) = match &layer.mlp_in {
            MlpIn::Gated(two) => {
                let [gate, up] = linears(two.each_ref(), &mlp_in, &mut slot, hook)?;
                (gate, Some(up))
            }
            MlpIn::Fused(one) => {
                let y = linear(one, &mlp_in, &mut slot, hook)?;
                let width = self.spec.intermediate;
                (ops::columns(&y, 0, width)?, Some(ops::columns(&y, width, width)?))
            }
            MlpIn::Plain(one) => (linear(one, &mlp_in, &mut slot, hook)?, None),
        };
        let act = self.activate(&gate, up.as_ref())?;
        let mut mlp = linear(&layer.mlp_out, &act, &mut slot, hook)?;
        let mut mlp_raw = None;
        if let Some(norm) = &layer.post_mlp_norm {
            let after = normed(norm, &mlp, hook)?;
            if keep {
                mlp_raw = Some(mlp);
            }
            mlp = after;
        }
        ops::add_assign(&mlp, &out)?;
        if matches!(self.spec.block, BlockKind::Parallel { .. }) {
            ops::add_assign(&mlp, x)?;
        }
        let saved = keep.then(|| LayerTape {
            x: x.clone(),
            raw_qk,
            q,
            k,
            v,
            mixed,
            attn_out,
            middle: matches!(self.spec.block, BlockKind::Sequential).then_some(out),
            gate,
            up,
            mlp_raw,
        });
        Ok((mlp, saved))
    }

    pub(crate) fn activate(&self, gate: &Tensor, up: Option<&Tensor>) -> Result<Tensor> {
        match up {
            Some(up) => ops::gated(self.spec.activation, gate, up),
            None => ops::plain(self.spec.activation, gate),
        }
    }

    /// Logits [rows, vocabulary] of hidden states [rows, hidden].
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.logits_with(hidden, &mut NoHook)
    }

    /// [`Self::logits`] with what `hook` adds at the head.
    pub fn logits_with(&self, hidden: &Tensor, hook: &mut dyn LinearHook) -> Result<Tensor> {
        let logits = self.head.forward(hidden)?;
        hook.apply(self.head_index(), hidden, &logits)?;
        if let Some(cap) = self.spec.final_softcap {
            ops::softcap(&logits, cap as f32)?;
        }
        Ok(logits)
    }

    /// Gradient of hidden states [rows, hidden] from that of the head's output before any soft cap.
    pub fn head_backward(&self, d_logits: &Tensor) -> Result<Tensor> {
        self.head.backward(d_logits)
    }

    /// Number of parameters in linear layers and embeddings.
    pub fn parameters(&self) -> usize {
        let outer = self.embedding.iter().chain([&self.head]);
        self.linears().into_iter().chain(outer).map(|l| l.in_features * l.out_features).sum()
    }
}

/// Layers of one input with what `hook` adds to them; they are those from `slot` on, which moves past them.
fn linears<const N: usize>(
    layers: [&Linear; N],
    x: &Tensor,
    slot: &mut usize,
    hook: &mut dyn LinearHook,
) -> Result<[Tensor; N]> {
    let all = Linear::forward_all(layers, x)?;
    for y in &all {
        hook.apply(*slot, x, y)?;
        *slot += 1;
    }
    Ok(all)
}

fn linear(l: &Linear, x: &Tensor, slot: &mut usize, hook: &mut dyn LinearHook) -> Result<Tensor> {
    let [y] = linears([l], x, slot, hook)?;
    Ok(y)
}

/// A norm with what `hook` adds to it.
fn normed(norm: &Norm, x: &Tensor, hook: &mut dyn LinearHook) -> Result<Tensor> {
    let y = norm.forward(x)?;
    hook.norm(&norm.name, x, &y)?;
    Ok(y)
}

/// Rows of a [rows, width] tensor by number.
pub fn select_rows(x: &Tensor, rows: &[usize]) -> Result<Tensor> {
    if generic::wanted(x) {
        return generic::select_rows(x, rows);
    }
    let width = x.dim(1)?;
    let values = values_of(x)?;
    let mut out = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        out.extend_from_slice(&values[row * width..(row + 1) * width]);
    }
    from_vec(out, (rows.len(), width))
}

/// The inverse of [`select_rows`]: `part`'s rows at their places in `total` rows of zeros.
pub fn scatter_rows(part: &Tensor, rows: &[usize], total: usize) -> Result<Tensor> {
    if generic::wanted(part) {
        return generic::scatter_rows(part, rows, total);
    }
    let width = part.dim(1)?;
    let values = values_of(part)?;
    let out = from_vec(vec![0f32; total * width], (total, width))?;
    edit(&out, |out| {
        for (i, &row) in rows.iter().enumerate() {
            out[row * width..(row + 1) * width].copy_from_slice(&values[i * width..(i + 1) * width]);
        }
    })?;
    Ok(out)
}
