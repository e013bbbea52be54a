//! The backward pass of the decoder: gradients reach LoRA parameters through frozen weights.

use candle_core::Tensor;

use super::decoder::{Batch, Decoder, ForwardPass, LayerTape, LinearHook, MlpIn, Qkv, Tape, TapeEntry};
use super::linear::Linear;
use super::ops;
use super::spec::BlockKind;
use crate::{Cancel, Error, Result};

/// One linear layer backwards: the frozen part's gradient plus the hook's. Adds to `dx` when there is one
/// already; computes nothing for the input when `wanted` is false.
fn linear(
    l: &Linear,
    index: usize,
    x: Option<&Tensor>,
    dy: &Tensor,
    dx: Option<Tensor>,
    wanted: bool,
    hook: &mut dyn LinearHook,
) -> Result<Option<Tensor>> {
    let total = if wanted {
        let own = l.backward(dy)?;
        if let Some(before) = &dx {
            ops::add_assign(&own, before)?;
        }
        Some(own)
    } else {
        None
    };
    if let (true, Some(x)) = (hook.trains(index), x) {
        hook.backward(index, x, dy, total.as_ref())?;
    }
    Ok(total)
}

impl Decoder {
    /// Runs the tape backwards from the gradient of the hidden states [tokens, hidden] that
    /// [`Decoder::forward`] returned. Parameters' gradients end up in `hook`.
    pub fn backward(
        &self,
        mut tape: Tape,
        d_hidden: &Tensor,
        hook: &mut dyn LinearHook,
        cancel: &Cancel,
    ) -> Result<()> {
        let (Some(last), Some(batch)) = (tape.last.take(), tape.batch.take()) else {
            return Err(Error::msg("backward pass without a forward pass"));
        };
        let mut dx = self.final_norm.backward(&last, d_hidden)?;
        drop(last);
        let lowest = (0..self.layers.len() * self.slots).find(|&i| hook.trains(i)).map(|i| i / self.slots);
        let Some(lowest) = lowest else { return Ok(()) };
        for index in (lowest..self.layers.len()).rev() {
            cancel.check()?;
            let saved = match tape.layers.pop() {
                Some(TapeEntry::Full(full)) => *full,
                Some(TapeEntry::Input(x)) => {
                    let mut pass = ForwardPass::new(hook, cancel);
                    let again = self.block(index, &x, &batch, &mut pass, true)?;
                    again.1.ok_or_else(|| Error::msg("nothing was kept of a block"))?
                }
                None => return Err(Error::msg("the tape is shorter than the network")),
            };
            let below = index > lowest;
            match self.block_backward(index, &saved, &dx, &batch, hook, below)? {
                Some(next) => dx = next,
                None => break,
            }
        }
        Ok(())
    }

    fn block_backward(
        &self,
        index: usize,
        saved: &LayerTape,
        dy: &Tensor,
        Batch { segments, table }: &Batch,
        hook: &mut dyn LinearHook,
        below: bool,
    ) -> Result<Option<Tensor>> {
        let layer = &self.layers[index];
        let first = index * self.slots;
        let qkv_slots = if matches!(layer.qkv, Qkv::Split(_)) { 3 } else { 1 };
        let (o_slot, in_slot, out_slot) = (first + qkv_slots, first + qkv_slots + 1, first + self.slots - 1);

        // MLP: y = … + post(out(act)).
        let d_mlp = match (&layer.post_mlp_norm, &saved.mlp_raw) {
            (Some(norm), Some(raw)) => norm.backward(raw, dy)?,
            _ => dy.clone(),
        };
        let act =
            if hook.trains(out_slot) { Some(self.activate(&saved.gate, saved.up.as_ref())?) } else { None };
        let d_act = linear(&layer.mlp_out, out_slot, act.as_ref(), &d_mlp, None, true, hook)?;
        let d_act = d_act.ok_or_else(|| Error::msg("no gradient at the MLP"))?;
        let mlp_input = |slot: usize, hook: &dyn LinearHook| -> Result<Option<Tensor>> {
            if !hook.trains(slot) && !hook.trains(slot + 1) {
                return Ok(None);
            }
            let norm = layer.mlp_norm.as_ref().unwrap_or(&layer.attn_norm);
            norm.forward(saved.middle.as_ref().unwrap_or(&saved.x)).map(Some)
        };
        let x_mlp = mlp_input(in_slot, hook)?;
        let d_in = match (&layer.mlp_in, &saved.up) {
            (MlpIn::Gated(two), Some(up)) => {
                let (dg, du) = ops::gated_backward(self.spec.activation, &saved.gate, up, &d_act)?;
                let d = linear(&two[0], in_slot, x_mlp.as_ref(), &dg, None, true, hook)?;
                linear(&two[1], in_slot + 1, x_mlp.as_ref(), &du, d, true, hook)?
            }
            (MlpIn::Fused(one), Some(up)) => {
                let (dg, du) = ops::gated_backward(self.spec.activation, &saved.gate, up, &d_act)?;
                let both = Tensor::cat(&[&dg, &du], 1)?;
                linear(one, in_slot, x_mlp.as_ref(), &both, None, true, hook)?
            }
            (MlpIn::Plain(one), _) => {
                let d = ops::plain_backward(self.spec.activation, &saved.gate, &d_act)?;
                linear(one, in_slot, x_mlp.as_ref(), &d, None, true, hook)?
            }
            _ => return Err(Error::msg("the tape lacks the MLP's values")),
        };
        let d_in = d_in.ok_or_else(|| Error::msg("no gradient at the MLP's input"))?;

        // What flows into the residual above attention, and into attention's output.
        let sequential = matches!(self.spec.block, BlockKind::Sequential);
        let (d_above, mut d_shared) = if sequential {
            let middle = saved.middle.as_ref().ok_or_else(|| Error::msg("the tape lacks a residual"))?;
            let norm = layer.mlp_norm.as_ref().unwrap_or(&layer.attn_norm);
            let d = norm.backward(middle, &d_in)?;
            ops::add_assign(&d, dy)?;
            (d, None)
        } else {
            (dy.clone(), Some(d_in))
        };
        let d_out = match (&layer.post_attn_norm, &saved.attn_out) {
            (Some(norm), Some(raw)) => norm.backward(raw, &d_above)?,
            _ => d_above.clone(),
        };
        let d_mixed = linear(&layer.o, o_slot, Some(&saved.mixed), &d_out, None, true, hook)?;
        let d_mixed = d_mixed.ok_or_else(|| Error::msg("no gradient at attention"))?;
        let attention = self.attention(index);
        let (mut dq, mut dk, dv) = attention.backward(&saved.q, &saved.k, &saved.v, &d_mixed, segments)?;
        table.apply(&dq, -1.0)?;
        table.apply(&dk, -1.0)?;
        if let (Some(qn), Some(kn), Some((q, k))) = (&layer.q_norm, &layer.k_norm, &saved.raw_qk) {
            (dq, dk) = (qn.backward(q, &dq)?, kn.backward(k, &dk)?);
        }
        let trains = (first..first + qkv_slots).any(|s| hook.trains(s));
        if !trains && !below {
            return Ok(None);
        }
        let h = if trains { Some(layer.attn_norm.forward(&saved.x)?) } else { None };
        // With a norm of its own, the parallel MLP's gradient goes through that one instead.
        let own_norm = layer.mlp_norm.as_ref().filter(|_| !sequential);
        let own_share = match (own_norm, d_shared.take()) {
            (Some(norm), Some(d)) => Some(norm.backward(&saved.x, &d)?),
            (None, d) => {
                d_shared = d;
                None
            }
            (Some(_), None) => None,
        };
        let d_h = match &layer.qkv {
            Qkv::Split(three) => {
                let mut d = d_shared;
                for (i, dy) in [&dq, &dk, &dv].into_iter().enumerate() {
                    d = linear(&three[i], first + i, h.as_ref(), dy, d, below, hook)?;
                }
                d
            }
            Qkv::Fused(one) => {
                let all = Tensor::cat(&[&dq, &dk, &dv], 1)?;
                linear(one, first, h.as_ref(), &all, d_shared, below, hook)?
            }
        };
        let Some(d_h) = d_h.filter(|_| below) else { return Ok(None) };
        let dx = layer.attn_norm.backward(&saved.x, &d_h)?;
        ops::add_assign(&dx, &d_above)?;
        if let Some(own) = own_share {
            ops::add_assign(&dx, &own)?;
        }
        Ok(Some(dx))
    }
}
