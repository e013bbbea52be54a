//! Which experts of a library fit its base model, from the model's configuration alone.

use std::path::Path;

use super::checkpoint;
use super::families;
use super::spec::DecoderSpec;
use crate::Result;
use crate::library::{BaseLocation, LayerSizes, Library, locate_base};

/// Opens a library for a base model: the one that is given, else the one of `library.toml` where the
/// experts contradict each other and it is on this machine, else the one that most experts agree on (see
/// [`Library::open`]). Experts that do not fit have their [`crate::library::Expert::misfit`].
///
/// # Errors
/// As [`Library::open`]; when the given base is no readable model.
pub fn open_library(path: &Path, base: Option<&Path>) -> Result<Library> {
    let mut library = Library::open(path)?;
    if base.is_none() && (!library.is_mixed() || library.manifest.base.is_none()) {
        return Ok(library);
    }
    let found = match (locate_base(&library, base), base) {
        (Ok(BaseLocation::Found { path, label }), _) => {
            library.use_base(&path);
            layer_sizes(&path).map(|sizes| (sizes, label))
        }
        (Err(error), Some(_)) => Err(error),
        // Not here, or not readable: that is a matter of whoever runs it, not of looking at experts.
        (Ok(BaseLocation::Missing { .. }) | Err(_), _) => return Ok(library),
    };
    match (found, base) {
        (Ok((sizes, label)), _) => library.keep_to(&sizes, &label),
        (Err(error), Some(_)) => return Err(error),
        (Err(_), None) => {}
    }
    Ok(library)
}

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
