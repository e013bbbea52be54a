//! The backward pass of the decoder: gradients reach LoRA parameters through frozen weights.

use super::decoder::{Batch, BlockTape, Decoder, ForwardPass, LinearHook, MlpIn, Qkv, Tape};
use super::linear::Linear;
use super::ops::Activations;
use super::spec::BlockKind;
use crate::{Cancel, Error, Result};

/// A linear layer by its number.
struct Slot<'a> {
    index: usize,
    layer: &'a Linear,
    /// Its input, where its parameters are trained.
    x: Option<&'a Activations>,
}

/// What one block's backward pass works on.
struct BlockGradient<'a> {
    index: usize,
    /// The block's input.
    x: &'a Activations,
    kept: &'a BlockTape,
    /// Gradient of the block's output.
    dy: &'a Activations,
    batch: &'a Batch,
    /// Whether a block below this one is trained, so that the gradient of the input is needed.
    below: bool,
}

impl Decoder {
    /// Runs the tape backwards from the gradient of the hidden states [tokens, hidden] that
    /// [`Decoder::forward`] returned. Parameters' gradients end up in `hook`.
    pub fn backward(
        &self,
        mut tape: Tape,
        d_hidden: &Activations,
        hook: &mut dyn LinearHook,
        cancel: &Cancel,
    ) -> Result<()> {
        let (Some(last), Some(batch)) = (tape.last.take(), tape.batch.take()) else {
            return Err(Error::msg("backward pass without a forward pass"));
        };
        let mut dx = self.ops.norm_backward(&self.final_norm, &last, d_hidden)?;
        drop(last);
        let lowest = (0..self.layers.len() * self.slots).find(|&i| hook.trains(i)).map(|i| i / self.slots);
        let Some(lowest) = lowest else { return Ok(()) };
        for index in (lowest..self.layers.len()).rev() {
            cancel.check()?;
            let entry =
                tape.blocks.pop().ok_or_else(|| Error::msg("the tape is shorter than the network"))?;
            let x = &entry.x;
            let kept = match entry.kept {
                Some(kept) => *kept,
                None => {
                    let mut pass = ForwardPass::new(hook, cancel);
                    let again = self.block(index, x, &batch, &mut pass, true)?;
                    again.1.ok_or_else(|| Error::msg("nothing was kept of a block"))?
                }
            };
            let gradient =
                BlockGradient { index, x, kept: &kept, dy: &dx, batch: &batch, below: index > lowest };
            match self.block_backward(&gradient, hook)? {
                Some(next) => dx = next,
                None => break,
            }
        }
        Ok(())
    }

    /// One linear layer backwards: the frozen part's gradient plus the hook's, added to `dx` when there is one
    /// already.
    fn linear_backward(
        &self,
        slot: &Slot,
        dy: &Activations,
        dx: Option<Activations>,
        hook: &mut dyn LinearHook,
    ) -> Result<Activations> {
        let mut own = slot.layer.backward(dy)?;
        if let Some(before) = &dx {
            self.ops.add(&mut own, before)?;
        }
        self.train(slot, dy, Some(&mut own), hook)?;
        Ok(own)
    }

    /// The hook's part of a linear layer's backward pass.
    fn train(
        &self,
        slot: &Slot,
        dy: &Activations,
        dx: Option<&mut Activations>,
        hook: &mut dyn LinearHook,
    ) -> Result<()> {
        match slot.x {
            Some(x) if hook.trains(slot.index) => hook.backward(slot.index, x, dy, dx),
            _ => Ok(()),
        }
    }

    /// Gradient of the block's input, where it is needed.
    fn block_backward(
        &self,
        gradient: &BlockGradient,
        hook: &mut dyn LinearHook,
    ) -> Result<Option<Activations>> {
        let &BlockGradient { index, x, kept, dy, batch, below } = gradient;
        let (ops, layer) = (&*self.ops, &self.layers[index]);
        let first = index * self.slots;
        let qkv_slots = if matches!(layer.qkv, Qkv::Split(_)) { 3 } else { 1 };
        let sequential = matches!(self.spec.block, BlockKind::Sequential);

        let d_in = self.mlp_backward(gradient, first + qkv_slots + 1, hook)?;

        // What flows into the residual above attention, and into attention's output.
        let (above, mut d_shared) = if sequential {
            let middle = kept.middle.as_ref().ok_or_else(|| Error::msg("the tape lacks a residual"))?;
            let norm = layer.mlp_norm.as_ref().unwrap_or(&layer.attn_norm);
            let mut d = ops.norm_backward(norm, middle, &d_in)?;
            ops.add(&mut d, dy)?;
            (Some(d), None)
        } else {
            (None, Some(d_in))
        };
        let d_above = above.as_ref().unwrap_or(dy);
        let d_out = match (&layer.post_attn_norm, &kept.attn_out) {
            (Some(norm), Some(raw)) => Some(ops.norm_backward(norm, raw, d_above)?),
            _ => None,
        };
        let o = Slot { index: first + qkv_slots, layer: &layer.o, x: Some(&kept.mixed) };
        let d_mixed = self.linear_backward(&o, d_out.as_ref().unwrap_or(d_above), None, hook)?;
        let attention = self.attention(index);
        let qkv = [&kept.q, &kept.k, &kept.v];
        let [mut dq, mut dk, dv] = ops.attention_backward(&attention, qkv, &d_mixed, &batch.segments)?;
        ops.rotate(&mut dq, &batch.table, -1.0)?;
        ops.rotate(&mut dk, &batch.table, -1.0)?;
        if let (Some(qn), Some(kn), Some((q, k))) = (&layer.q_norm, &layer.k_norm, &kept.raw_qk) {
            (dq, dk) = (ops.norm_backward(qn, q, &dq)?, ops.norm_backward(kn, k, &dk)?);
        }
        let trains = (first..first + qkv_slots).any(|s| hook.trains(s));
        if !trains && !below {
            return Ok(None);
        }
        let h = if trains { Some(ops.norm(&layer.attn_norm, x)?) } else { None };
        // With a norm of its own, the parallel MLP's gradient goes through that one instead.
        let own_norm = layer.mlp_norm.as_ref().filter(|_| !sequential);
        let own_share = match (own_norm, d_shared.take()) {
            (Some(norm), Some(d)) => Some(ops.norm_backward(norm, x, &d)?),
            (None, d) => {
                d_shared = d;
                None
            }
            (Some(_), None) => None,
        };
        let together;
        let parts: Vec<(&Linear, &Activations)> = match &layer.qkv {
            Qkv::Split(three) => three.iter().zip([&dq, &dk, &dv]).collect(),
            Qkv::Fused(one) => {
                together = ops.concat_columns(&[&dq, &dk, &dv])?;
                vec![(one, &together)]
            }
        };
        let mut d_h = d_shared;
        for (at, (layer, dy)) in parts.into_iter().enumerate() {
            let slot = Slot { index: first + at, layer, x: h.as_ref() };
            if below {
                d_h = Some(self.linear_backward(&slot, dy, d_h.take(), hook)?);
            } else {
                self.train(&slot, dy, None, hook)?;
            }
        }
        let Some(d_h) = d_h.filter(|_| below) else { return Ok(None) };
        let mut dx = ops.norm_backward(&layer.attn_norm, x, &d_h)?;
        ops.add(&mut dx, d_above)?;
        if let Some(own) = own_share {
            ops.add(&mut dx, &own)?;
        }
        Ok(Some(dx))
    }

    /// Gradient of the input of the MLP, y = … + post(out(act)), whose first linear layer is number `in_slot`.
    fn mlp_backward(
        &self,
        gradient: &BlockGradient,
        in_slot: usize,
        hook: &mut dyn LinearHook,
    ) -> Result<Activations> {
        let &BlockGradient { index, x, kept, dy, .. } = gradient;
        let (ops, layer, kind) = (&*self.ops, &self.layers[index], self.spec.activation);
        let d_mlp = match (&layer.post_mlp_norm, &kept.mlp_raw) {
            (Some(norm), Some(raw)) => Some(ops.norm_backward(norm, raw, dy)?),
            _ => None,
        };
        let out_slot = (index + 1) * self.slots - 1;
        let act =
            if hook.trains(out_slot) { Some(self.activate(&kept.gate, kept.up.as_ref())?) } else { None };
        let out = Slot { index: out_slot, layer: &layer.mlp_out, x: act.as_ref() };
        let d_act = self.linear_backward(&out, d_mlp.as_ref().unwrap_or(dy), None, hook)?;
        drop((act, d_mlp));
        let x_mlp = if hook.trains(in_slot) || hook.trains(in_slot + 1) {
            let norm = layer.mlp_norm.as_ref().unwrap_or(&layer.attn_norm);
            Some(ops.norm(norm, kept.middle.as_ref().unwrap_or(x))?)
        } else {
            None
        };
        let slot = |at: usize, layer| Slot { index: in_slot + at, layer, x: x_mlp.as_ref() };
        match (&layer.mlp_in, &kept.up) {
            (MlpIn::Gated(two), Some(up)) => {
                let (dg, du) = ops.gated_backward(kind, &kept.gate, up, &d_act)?;
                let d = self.linear_backward(&slot(0, &two[0]), &dg, None, hook)?;
                self.linear_backward(&slot(1, &two[1]), &du, Some(d), hook)
            }
            (MlpIn::Fused(one), Some(up)) => {
                let (dg, du) = ops.gated_backward(kind, &kept.gate, up, &d_act)?;
                self.linear_backward(&slot(0, one), &ops.concat_columns(&[&dg, &du])?, None, hook)
            }
            (MlpIn::Plain(one), _) => {
                let d = ops.activate_backward(kind, &kept.gate, &d_act)?;
                self.linear_backward(&slot(0, one), &d, None, hook)
            }
            _ => Err(Error::msg("the tape lacks the MLP's values")),
        }
    }
}
