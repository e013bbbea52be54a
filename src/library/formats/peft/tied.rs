//! LoRA of an embedding that is also the head (`ensure_weight_tying`). PEFT lets both share their parameters, so that a
//! file with LoRA of one has it of both: ΔW of the head is that of the embedding transposed, and A and B change
//! places (PEFT's `_add_targets_to_tie` and `tied_adapter`).

use super::config::{Names, Selection};
use super::pairs::{Pair, Parts, Slot};
use super::pattern::Expression;
use crate::library::formats::opened::Opened;
use crate::library::formats::{BaseTraits, Files};
use crate::module_path::ModulePath;
use crate::text::natural;

/// The modules that PEFT ties, by their paths: the embedding and the head.
const TABLES: [&str; 2] = ["model.embed_tokens", "lm_head"];

/// Whether a name is of one of them.
pub(in crate::library) fn is_table(name: &str) -> bool {
    TABLES.iter().any(|table| ModulePath::new(table).kind() == ModulePath::new(name).kind())
}

/// The LoRA of the one where the configuration ties the two and the file has LoRA of one alone, and the path of the
/// other.
pub(in crate::library) fn alone<'a>(
    selection: &Selection,
    parts: &'a Parts,
) -> Option<(&'a Pair, &'static str)> {
    let targeted = match &selection.targets {
        Names::None => false,
        Names::List(names) => names.iter().any(|name| is_table(name)),
        Names::Regex(text) => {
            let kinds = TABLES.map(|table| ModulePath::new(table).kind());
            Expression::whole(text).is_some_and(|targets| kinds.iter().any(|kind| targets.matches(kind)))
        }
    };
    // Where one is saved as a whole, PEFT ties these weights instead.
    if !selection.tied || !targeted || selection.saves.iter().any(|saved| is_table(saved)) {
        return None;
    }
    let of = |table: &str, embedding: bool| {
        parts.pairs.iter().find(|pair| pair.module == table && pair.embedding == embedding)
    };
    let [embedding, head] = TABLES;
    match (of(embedding, true), of(head, false)) {
        (Some(pair), None) => Some((pair, head)),
        (None, Some(pair)) => Some((pair, embedding)),
        _ => None,
    }
}

/// Gives the other of the two the LoRA that the file has of one, where the base model has one table for both.
pub(super) fn share(mut opened: Opened, base: Option<&BaseTraits>) -> Result<Opened, String> {
    let Opened { notes, parts, files, .. } = &mut opened;
    if !base.is_some_and(|base| base.tied) {
        return Ok(opened);
    }
    let Some((pair, other)) = alone(&notes.selection, parts) else { return Ok(opened) };
    notes.doubts.push(format!(
        "the configuration ties the head to the embedding (ensure_weight_tying), and the file has LoRA of {} alone: {other} \
         gets the same, as in PEFT",
        pair.module
    ));
    let new = Pair {
        module: other.into(),
        file_name: None,
        embedding: !pair.embedding,
        in_features: pair.out_features,
        out_features: pair.in_features,
        a: turned(pair.b, (pair.rank, pair.out_features), files)?,
        b: turned(pair.a, (pair.in_features, pair.rank), files)?,
        bias: None,
        magnitude: None,
        ..*pair
    };
    let at = parts.pairs.partition_point(|pair| natural(&pair.module, other).is_lt());
    parts.pairs.insert(at, new);
    Ok(opened)
}

/// A factor read as its transpose of this size.
fn turned(slot: Slot, (rows, columns): (usize, usize), files: &mut Files) -> Result<Slot, String> {
    Ok(Slot { place: files.transposed(slot.place, rows, columns)?, ..slot })
}
