//! The one decoder: every family runs through this forward pass.

use std::sync::Arc;

use super::kv_cache::KvCache;
use super::linear::Linear;
use super::ops::{Activations, Attention, Norm, Ops, Segment};
use super::precision::Precision;
use super::rope::{Rope, RopeTable};
use super::spec::{BlockKind, DecoderSpec};
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
    /// What it computes with.
    pub(crate) ops: Arc<dyn Ops>,
    /// What it is.
    pub spec: DecoderSpec,
    /// A layer [vocabulary, hidden] of which only rows are looked up; `None` where that is the head.
    pub(crate) embedding: Option<Linear>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Norm,
    pub(crate) head: Linear,
    pub(crate) rope: Rope,
    /// Linear layers per block.
    pub(crate) slots: usize,
}

/// What LoRA, routing and recording do in a forward pass, above all at linear layers. Those are numbered
/// through the network as in [`Decoder::linears`]; the head comes after them, as [`Decoder::head_index`].
pub trait LinearHook {
    /// Adds to `y` [rows, out], in place, what belongs there for input `x` [rows, in].
    fn apply(&mut self, linear: usize, x: &Activations, y: &mut Activations) -> Result<()>;

    /// Adds to the embeddings `x` [tokens, hidden] of `tokens`, in place, before a family scales them.
    fn embed(&mut self, _tokens: &[u32], _x: &mut Activations) -> Result<()> {
        Ok(())
    }

    /// Adds to the output `y` of the norm with this transformers name for input `x`, in place.
    fn norm(&mut self, _name: &str, _x: &Activations, _y: &mut Activations) -> Result<()> {
        Ok(())
    }

    /// Sees the final hidden states [rows, hidden], of which only some may reach the head.
    fn hidden(&mut self, _hidden: &Activations) -> Result<()> {
        Ok(())
    }

    /// Whether [`Self::backward`] has something to do at this layer, so that its input is needed.
    fn trains(&self, _linear: usize) -> bool {
        false
    }

    /// Takes the gradient `dy` of a layer's output, keeps its own parameters' gradients, and adds its share
    /// to `dx` (absent where it is not needed) in place.
    fn backward(
        &mut self,
        _linear: usize,
        _x: &Activations,
        _dy: &Activations,
        _dx: Option<&mut Activations>,
    ) -> Result<()> {
        Ok(())
    }
}

/// The base model alone.
#[derive(Debug)]
pub struct NoHook;

impl LinearHook for NoHook {
    fn apply(&mut self, _linear: usize, _x: &Activations, _y: &mut Activations) -> Result<()> {
        Ok(())
    }
}

/// What one block's backward pass needs from its forward pass besides the block's input.
#[derive(Debug)]
pub(crate) struct BlockTape {
    /// Before the q/k norms, where there are any.
    pub raw_qk: Option<(Activations, Activations)>,
    /// After the rotation.
    pub q: Activations,
    pub k: Activations,
    pub v: Activations,
    /// Output of attention before o.
    pub mixed: Activations,
    /// Before and after the first post norm, where there is one; after it comes the residual sum.
    pub attn_out: Option<Activations>,
    /// Input of the MLP's residual (sequential blocks).
    pub middle: Option<Activations>,
    pub gate: Activations,
    pub up: Option<Activations>,
    pub mlp_raw: Option<Activations>,
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
    start: Option<(usize, Activations)>,
}

impl<'a> ForwardPass<'a> {
    /// A pass with `hook` at its layers, which ends early when `cancel` is raised.
    pub fn new(hook: &'a mut dyn LinearHook, cancel: &'a Cancel) -> Self {
        Self { hook, caches: Vec::new(), tape: None, cancel, start: None }
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

    /// The same from block number `block` on, whose input `x` [tokens, hidden] is known; without caches, and for no
    /// backward pass.
    pub fn from_block(mut self, block: usize, x: Activations) -> Self {
        self.start = Some((block, x));
        self
    }
}

/// What the backward pass of the whole decoder needs.
#[derive(Debug, Default)]
pub struct Tape {
    pub(crate) blocks: Vec<TapeEntry>,
    /// Input of the final norm.
    pub(crate) last: Option<Activations>,
    pub(crate) batch: Option<Batch>,
    /// Keep only each block's input and compute the rest again.
    pub(crate) checkpoint: bool,
}

impl Tape {
    /// An empty tape. With `checkpoint`, memory falls to one tensor per block and the backward pass runs
    /// every block's forward pass once more.
    pub fn new(checkpoint: bool) -> Self {
        Self { checkpoint, ..Self::default() }
    }

    /// The input [tokens, hidden] of a block, by its number.
    pub fn block_input(&self, block: usize) -> Option<&Activations> {
        self.blocks.get(block).map(|entry| &entry.x)
    }
}

/// One block on a tape.
#[derive(Debug)]
pub(crate) struct TapeEntry {
    /// The block's input.
    pub x: Activations,
    /// The rest, unless it is to be computed again.
    pub kept: Option<Box<BlockTape>>,
}

impl Decoder {
    /// What the decoder computes with: whatever works on its values does so too.
    pub fn ops(&self) -> &Arc<dyn Ops> {
        &self.ops
    }

    /// How the blocks' weights are stored.
    pub fn precision(&self) -> Precision {
        self.layers.first().map_or(Precision::F32, |layer| layer.o.precision())
    }

    /// Every linear layer that can carry LoRA, in the order of the network.
    pub fn linears(&self) -> Vec<&Linear> {
        self.layers.iter().flat_map(Layer::linears).collect()
    }

    /// From now on what is multiplied with 8-bit weights is not rounded to 8 bits, for training: the loss of the
    /// layers that run is the one whose gradient the backward pass gives, and small differences count there.
    pub fn dequantise_weights(&mut self) {
        let layers = self.layers.iter_mut().flat_map(Layer::linears_mut);
        layers.chain([&mut self.head]).for_each(Linear::dequantise);
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

    /// Whether there are such tokens.
    ///
    /// # Errors
    /// A usage error for the first id that is out of range.
    pub(crate) fn check_tokens(&self, tokens: &[u32]) -> Result<()> {
        let vocab = self.spec.vocab;
        tokens.iter().find(|t| **t as usize >= vocab).map_or(Ok(()), |token| {
            Err(Error::usage(format!(
                "token id {token} is out of range: the base model has {vocab} tokens (0–{})",
                vocab - 1
            )))
        })
    }

    fn embed(&self, tokens: &[u32], hook: &mut dyn LinearHook) -> Result<Activations> {
        self.check_tokens(tokens)?;
        let mut x = self.table().rows(tokens)?;
        hook.embed(tokens, &mut x)?;
        if let Some(scale) = self.spec.embed_scale {
            self.ops.scale(&mut x, scale as f32)?;
        }
        Ok(x)
    }

    /// Makes `cache` one of a sequence that will have `length` tokens. It is emptied where its contents were computed
    /// with the frequencies of another length, which some rescalings of the rotation have.
    pub fn plan(&self, cache: &mut KvCache, length: usize) {
        cache.plan(length, self.rope.length_class(length));
    }

    /// Hidden states [tokens, hidden] after the final norm. `lengths` splits `tokens` into sequences, each of which
    /// continues its cache where there are caches.
    ///
    /// # Errors
    /// Token ids out of range, a context longer than the model's, caches for other sequences, a raised `cancel`
    /// (looked at before each block; the caches then contain what they did before).
    pub fn forward(&self, tokens: &[u32], lengths: &[usize], mut pass: ForwardPass) -> Result<Activations> {
        if lengths.iter().sum::<usize>() != tokens.len() || tokens.is_empty() || lengths.contains(&0) {
            return Err(Error::usage("there are no tokens to work on"));
        }
        if !pass.caches.is_empty() && pass.caches.len() != lengths.len() {
            return Err(Error::msg("a forward pass needs one cache per sequence"));
        }
        let mut segments = Vec::with_capacity(lengths.len());
        let mut sequences = Vec::with_capacity(lengths.len());
        let mut start = 0;
        for (i, &len) in lengths.iter().enumerate() {
            let past = pass.caches.get(i).map_or(0, |c| c.len());
            if past + len > self.spec.context {
                return Err(Error::usage(format!(
                    "{} tokens are more than the base model's context of {}: shorten the prompt",
                    past + len,
                    self.spec.context
                )));
            }
            segments.push(Segment { start, len, past });
            start += len;
            let length = (past + len).max(pass.caches.get(i).map_or(0, |c| c.planned()));
            if let Some(cache) = pass.caches.get_mut(i) {
                cache.note_angles(self.rope.length_class(length));
            }
            sequences.push((past..past + len, length));
        }
        let batch = Batch { segments, table: self.rope.table(&sequences) };
        let (first, mut x) = match pass.start.take() {
            Some((_, x)) if x.rows() != tokens.len() || !pass.caches.is_empty() => {
                return Err(Error::msg("a pass cannot begin between the blocks with caches or other tokens"));
            }
            Some(start) => start,
            None => (0, self.embed(tokens, pass.hook)?),
        };
        for layer in first..self.layers.len() {
            if pass.cancel.is_cancelled() {
                pass.caches.iter_mut().for_each(|c| {
                    let len = c.len();
                    c.truncate(len);
                });
                return Err(Error::Cancelled);
            }
            let keep = pass.tape.as_ref().is_some_and(|t| !t.checkpoint);
            let (next, kept) = self.block(layer, &x, &batch, &mut pass, keep)?;
            if let Some(tape) = pass.tape.as_deref_mut() {
                tape.blocks.push(TapeEntry { x, kept: kept.map(Box::new) });
            }
            x = next;
        }
        for (cache, segment) in pass.caches.iter_mut().zip(&batch.segments) {
            cache.advance(segment.len);
        }
        let hidden = self.normed(&self.final_norm, &x, pass.hook)?;
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
        x: &Activations,
        Batch { segments, table }: &Batch,
        ForwardPass { hook, caches, .. }: &mut ForwardPass,
        keep: bool,
    ) -> Result<(Activations, Option<BlockTape>)> {
        let (ops, hook, layer) = (&*self.ops, &mut **hook, &self.layers[index]);
        let mut slot = index * self.slots;
        let h = self.normed(&layer.attn_norm, x, hook)?;
        let (q_width, kv_width) = (self.spec.q_width(), self.spec.kv_width());
        let (mut q, mut k, v) = match &layer.qkv {
            Qkv::Split(three) => {
                let [q, k, v] = self.run_linears(three.each_ref(), &h, &mut slot, hook)?;
                (q, k, v)
            }
            Qkv::Fused(one) => {
                let y = self.run_linear(one, &h, &mut slot, hook)?;
                (
                    ops.columns(&y, 0..q_width)?,
                    ops.columns(&y, q_width..q_width + kv_width)?,
                    ops.columns(&y, q_width + kv_width..q_width + 2 * kv_width)?,
                )
            }
        };
        let mut raw_qk = None;
        if let (Some(qn), Some(kn)) = (&layer.q_norm, &layer.k_norm) {
            let (nq, nk) = (self.normed(qn, &q, hook)?, self.normed(kn, &k, hook)?);
            if keep {
                raw_qk = Some((q, k));
            }
            (q, k) = (nq, nk);
        }
        ops.rotate(&mut q, table, 1.0)?;
        ops.rotate(&mut k, table, 1.0)?;
        let attention = self.attention(index);
        let mixed = if caches.is_empty() {
            ops.attention(&attention, [&q, &k, &v], segments)?
        } else {
            let mut cached = Vec::with_capacity(caches.len());
            for (cache, s) in caches.iter_mut().zip(segments) {
                let layer = cache.layer_mut(index)?;
                ops.append(layer, &k, &v, s.start..s.start + s.len)?;
                cached.push(&*layer);
            }
            ops.attention_cached(&attention, &q, segments, &cached)?
        };
        let mut out = self.run_linear(&layer.o, &mixed, &mut slot, hook)?;
        let mut attn_out = None;
        if let Some(norm) = &layer.post_attn_norm {
            let after = self.normed(norm, &out, hook)?;
            if keep {
                attn_out = Some(out);
            }
            out = after;
        }
        let mlp_in = match self.spec.block {
            BlockKind::Sequential => {
                ops.add(&mut out, x)?;
                let norm = layer.mlp_norm.as_ref().unwrap_or(&layer.attn_norm);
                self.normed(norm, &out, hook)?
            }
            BlockKind::Parallel { .. } => match &layer.mlp_norm {
                Some(norm) => self.normed(norm, x, hook)?,
                None => h,
            },
        };
        let (gate, up) = match &layer.mlp_in {
            MlpIn::Gated(two) => {
                let [gate, up] = self.run_linears(two.each_ref(), &mlp_in, &mut slot, hook)?;
                (gate, Some(up))
            }
            MlpIn::Fused(one) => {
                let y = self.run_linear(one, &mlp_in, &mut slot, hook)?;
                let width = self.spec.intermediate;
                (ops.columns(&y, 0..width)?, Some(ops.columns(&y, width..2 * width)?))
            }
            MlpIn::Plain(one) => (self.run_linear(one, &mlp_in, &mut slot, hook)?, None),
        };
        let act = self.activate(&gate, up.as_ref())?;
        let mut mlp = self.run_linear(&layer.mlp_out, &act, &mut slot, hook)?;
        let mut mlp_raw = None;
        if let Some(norm) = &layer.post_mlp_norm {
            let after = self.normed(norm, &mlp, hook)?;
            if keep {
                mlp_raw = Some(mlp);
            }
            mlp = after;
        }
        ops.add(&mut mlp, &out)?;
        if matches!(self.spec.block, BlockKind::Parallel { .. }) {
            ops.add(&mut mlp, x)?;
        }
        let kept = keep.then(|| BlockTape {
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
        Ok((mlp, kept))
    }

    pub(crate) fn activate(&self, gate: &Activations, up: Option<&Activations>) -> Result<Activations> {
        match up {
            Some(up) => self.ops.gated(self.spec.activation, gate, up),
            None => self.ops.activate(self.spec.activation, gate),
        }
    }

    /// Layers of one input with what `hook` adds to them; they are those from `slot` on, which moves past them.
    fn run_linears<const N: usize>(
        &self,
        layers: [&Linear; N],
        x: &Activations,
        slot: &mut usize,
        hook: &mut dyn LinearHook,
    ) -> Result<[Activations; N]> {
        let mut all = Linear::forward_all(layers, &*self.ops, x)?;
        for y in &mut all {
            hook.apply(*slot, x, y)?;
            *slot += 1;
        }
        Ok(all)
    }

    fn run_linear(
        &self,
        layer: &Linear,
        x: &Activations,
        slot: &mut usize,
        hook: &mut dyn LinearHook,
    ) -> Result<Activations> {
        let [y] = self.run_linears([layer], x, slot, hook)?;
        Ok(y)
    }

    /// A norm with what `hook` adds to it.
    fn normed(&self, norm: &Norm, x: &Activations, hook: &mut dyn LinearHook) -> Result<Activations> {
        let mut y = self.ops.norm(norm, x)?;
        hook.norm(&norm.name, x, &mut y)?;
        Ok(y)
    }

    /// Logits [rows, vocabulary] of hidden states [rows, hidden].
    pub fn logits(&self, hidden: &Activations) -> Result<Activations> {
        self.logits_with(hidden, &mut NoHook)
    }

    /// [`Self::logits`] with what `hook` adds at the head.
    pub fn logits_with(&self, hidden: &Activations, hook: &mut dyn LinearHook) -> Result<Activations> {
        let mut logits = self.head.forward(&*self.ops, hidden)?;
        hook.apply(self.head_index(), hidden, &mut logits)?;
        if let Some(cap) = self.spec.final_softcap {
            self.ops.softcap(&mut logits, cap as f32)?;
        }
        Ok(logits)
    }

    /// Gradient of hidden states [rows, hidden] from that of the head's output before any soft cap.
    pub fn head_backward(&self, d_logits: &Activations) -> Result<Activations> {
        self.head.backward(d_logits)
    }

    /// Number of parameters in linear layers and embeddings.
    pub fn parameters(&self) -> usize {
        let outer = self.embedding.iter().chain([&self.head]);
        self.linears().into_iter().chain(outer).map(|l| l.in_features * l.out_features).sum()
    }
}
