//! The sizes of the layers of a base model, from its configuration alone.

use std::path::Path;

use super::spec::DecoderSpec;
use super::{checkpoint, families};
use crate::Result;
use crate::library::LayerSizes;

/// The sizes of what can carry LoRA in a transformers folder or `.gguf` file: the linear layers, the head, and
/// the embedding (vocabulary → hidden). Reads its configuration, not its weights.
///
/// # Errors
/// When the configuration cannot be read or its family is not known.
pub fn layer_sizes(path: &Path) -> Result<LayerSizes> {
    let spec = families::spec(&checkpoint::read_config(path)?)?;
    Ok(sizes(&spec))
}

/// The same of a decoder that is described already.
pub fn sizes(spec: &DecoderSpec) -> LayerSizes {
    let (vocab, hidden) = (spec.vocab, spec.hidden);
    let outer =
        [(spec.names.embed.to_string(), (vocab, hidden)), (spec.names.head.to_string(), (hidden, vocab))];
    (0..spec.layers).flat_map(|layer| of_layer(spec, layer)).chain(outer).collect()
}

/// Module path and (in, out) features of one layer's linear layers.
fn of_layer(spec: &DecoderSpec, layer: usize) -> Vec<(String, (usize, usize))> {
    let prefix = spec.prefix(layer);
    let sizes = spec.linear_shapes();
    sizes.iter().map(|l| (format!("{prefix}{}", l.name), (l.in_features, l.out_features))).collect()
}
