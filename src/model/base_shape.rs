//! What experts have to fit of a base model, from its configuration alone.

use std::path::Path;

use super::spec::DecoderSpec;
use super::tensor_list::LinearShape;
use super::{checkpoint, families};
use crate::Result;
use crate::library::{BaseShape, LayerSizes};

/// The names and sizes of a transformers folder's or a `.gguf` file's layers and parameters. Reads its configuration,
/// not its weights.
///
/// # Errors
/// When the configuration cannot be read or its family is not known.
pub fn base_shape(path: &Path) -> Result<BaseShape> {
    Ok(families::spec(&checkpoint::read_config(path)?)?.base_shape())
}

impl DecoderSpec {
    /// (in, out) features of what can carry LoRA: the linear layers, the head, and the embedding (vocabulary → hidden).
    pub(crate) fn layer_sizes(&self) -> LayerSizes {
        let (vocab, hidden, n) = (self.vocab, self.hidden, &self.names);
        let outer = [(n.embed.to_string(), (vocab, hidden)), (n.head.to_string(), (hidden, vocab))];
        let of_layer = |layer: usize| {
            let prefix = self.prefix(layer);
            let size = |l: &LinearShape| (format!("{prefix}{}", l.name), (l.in_features, l.out_features));
            self.linear_shapes().iter().map(size).collect::<Vec<_>>()
        };
        (0..self.layers).flat_map(of_layer).chain(outer).collect()
    }

    /// What experts have to fit.
    pub fn base_shape(&self) -> BaseShape {
        let (vocab, hidden, n) = (self.vocab, self.hidden, &self.names);
        let mut shape = BaseShape {
            embedding: n.embed,
            head: n.head,
            tied: self.tied,
            vocab,
            hidden,
            architecture: families::architecture(&self.family),
            ..BaseShape::default()
        };
        shape.layers = self.layer_sizes();
        for (module, &(inputs, outputs)) in shape.layers.iter().filter(|(module, _)| *module != n.embed) {
            shape.parameters.insert(format!("{module}.weight"), vec![outputs, inputs]);
            shape.parameters.insert(format!("{module}.bias"), vec![outputs]);
        }
        for (name, size) in self.tensors() {
            if let Some(owner) = name.strip_suffix(".bias") {
                shape.biases.insert(format!("{owner}.bias"));
            } else if let (Some(owner), [width]) = (name.strip_suffix(".weight"), &size[..]) {
                // A norm.
                shape.parameters.insert(format!("{owner}.bias"), vec![*width]);
            }
            shape.parameters.insert(name, size);
        }
        shape
    }
}
