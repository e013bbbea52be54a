//! The tokenizer that a GGUF file's metadata describe.

use std::collections::HashSet;

use super::growth::Growth;
use super::guard::guarded;
use super::vocabulary::Vocabulary;
use super::{Tokenizer, byte_level, sentence_piece};
use crate::Result;
use crate::library::gguf::GgufFile;
use crate::text::short;

impl Tokenizer {
    /// Builds the tokenizer that a file describes, for a model with so many embeddings.
    ///
    /// # Errors
    /// Kinds that are not known (with what to do); damaged lists.
    pub(crate) fn from_gguf(file: &GgufFile, embeddings: usize) -> Result<Self> {
        let kind = file.text("tokenizer.ggml.model").unwrap_or("none");
        if !matches!(kind, "gpt2" | "llama") {
            return Err(file.error(format!(
                "has a tokenizer of kind \"{}\" (known: gpt2, llama): put the model's tokenizer.json beside it",
                short(kind)
            )));
        }
        let vocabulary = Vocabulary::read(file, embeddings)?;
        let build = if kind == "gpt2" { byte_level::build } else { sentence_piece::build };
        let built = guarded(|| Ok::<_, String>(build(&vocabulary)));
        let (mut inner, starts) = built.map_err(|e| vocabulary.error(e))??;
        let added = vocabulary.added();
        guarded(|| {
            inner.add_special_tokens(added.iter().filter(|t| t.special).cloned())?;
            inner.add_tokens(added.iter().filter(|t| !t.special).cloned())
        })
        .map_err(|e| vocabulary.error(format!("has broken special tokens: {e}")))?;
        let start_id = if vocabulary.flag("add_bos_token").unwrap_or(starts) {
            vocabulary.id("bos_token_id")
        } else {
            None
        };
        let mut ends: HashSet<u32> = ["eos_token_id", "eot_token_id", "eom_token_id"]
            .iter()
            .filter_map(|key| vocabulary.id(key))
            .collect();
        // Files of converters that do not say: as llama.cpp, by the names that families give these tokens.
        ends.extend(vocabulary.named_ends());
        let mut end_ids: Vec<u32> = ends.into_iter().collect();
        end_ids.sort_unstable();
        let longest = vocabulary.tokens.iter().map(String::len).max().unwrap_or(0);
        Ok(Self { inner, growth: Growth::of_families(longest), start_id, end_ids })
    }
}
