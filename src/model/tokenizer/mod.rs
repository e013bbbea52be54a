//! Text to token ids and back, with the ids that transformers gives.

mod byte_level;
mod from_gguf;
mod growth;
mod guard;
mod json;
mod legacy;
mod sentence_piece;
mod side_files;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::path::Path;

pub(crate) use self::legacy::{Legacy, Registered};
pub(crate) use self::side_files::SideFiles;

use self::growth::{Growth, LARGEST};
use self::guard::guarded;
use crate::{Error, Result};

/// Tokens before the first of those whose text is asked for, so that it is no beginning.
const CONTEXT: usize = 1;

/// A tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    growth: Growth,
    /// The token that transformers puts before every text, if it does so.
    pub start_id: Option<u32>,
    /// Ids that end a text.
    pub end_ids: Vec<u32>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("end_ids", &self.end_ids).finish_non_exhaustive()
    }
}

/// The tokenizer that the text of a `tokenizer.json` describes, with the tokens that `side` has; `path` is where it is
/// from. With it comes the token that it puts before every text, if it does so.
fn parse(path: &Path, text: &str, side: &SideFiles) -> Result<(tokenizers::Tokenizer, Growth, Option<u32>)> {
    let growth = json::check(text).map_err(|problem| Error::file(path, problem))?;
    let mut inner = guarded(|| text.parse::<tokenizers::Tokenizer>())
        .map_err(|e| Error::file(path, format!("is not a readable tokenizer: {e}")))?;
    inner.with_padding(None);
    let first = guarded(|| {
        inner.with_truncation(None)?;
        side.add_to(&mut inner)?;
        inner.set_encode_special_tokens(side.splits_special);
        // What goes around a text is put together only now: a part that is missing shows here.
        inner.encode("a", false)?;
        inner.encode_fast("", true)
    });
    let first = first.map_err(|e| Error::file(path, e))?;
    Ok((inner, growth, first.get_ids().first().copied()))
}

impl Tokenizer {
    /// Reads `tokenizer.json` and adds the tokens that `side` has. As in transformers, what trainers leave there for
    /// cutting and padding is not followed. `end_ids` come from the model's configuration.
    pub(crate) fn from_file(path: &Path, side: &SideFiles, end_ids: Vec<u32>) -> Result<Self> {
        let (inner, growth, first) = parse(path, &super::checkpoint::read_text(path)?, side)?;
        let start_id = first.filter(|id| !end_ids.contains(id));
        Ok(Self { inner, growth, start_id, end_ids })
    }

    /// The tokenizer that older files describe.
    ///
    /// # Errors
    /// Vocabularies that contradict themselves.
    pub(crate) fn from_legacy(legacy: &Legacy, end_ids: Vec<u32>) -> Result<Self> {
        let (mut inner, growth, _) = parse(&legacy.path, &legacy.json, &legacy.side)?;
        if legacy.plain_special {
            inner.add_tokens(legacy.side.plain()).map_err(|e| Error::file(&legacy.path, e.to_string()))?;
        }
        let start = legacy.side.named("bos_token").filter(|_| legacy.starts);
        let start_id = start.and_then(|start| inner.token_to_id(start));
        Ok(Self { inner, growth, start_id, end_ids })
    }

    /// Checks that a vocabulary of `size` embeddings has room for it; `path` is the model's.
    pub(crate) fn check_size(&self, path: &Path, size: usize) -> Result<()> {
        // Added tokens may lie past the end: fine-tunes add padding that no text contains.
        let tokens = self.inner.get_vocab_size(false);
        if tokens > size {
            return Err(Error::file(
                path,
                format!(
                    "has a tokenizer of {tokens} tokens for {size} embeddings: they belong to different models"
                ),
            ));
        }
        Ok(())
    }

    /// A text's ids and the bytes that they cover, `fast` without these.
    ///
    /// # Errors
    /// A text that is too long; what the tokenizers library says.
    fn encoding(&self, text: &str, fast: bool) -> Result<tokenizers::Encoding> {
        if text.len() as f64 * self.growth.encoding > LARGEST {
            let most = (LARGEST / self.growth.encoding) as usize;
            return Err(Error::msg(format!(
                "a text of {} bytes is too long to be tokenised: at most {most} are",
                text.len()
            )));
        }
        guarded(|| if fast { self.inner.encode_fast(text, false) } else { self.inner.encode(text, false) })
            .map_err(|e| Error::msg(format!("the text cannot be tokenised: {e}")))
    }

    /// Token ids of `text`, special tokens in it recognised, none added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encoding(text, true)?.get_ids().to_vec())
    }

    /// Token ids of a text that begins a sequence: [`Self::encode`] after the token that transformers puts
    /// first, unless the text spells it.
    pub fn encode_start(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode_start_spans(text)?.0)
    }

    /// [`Self::encode_start`] and the bytes of `text` that each token covers.
    pub fn encode_start_spans(&self, text: &str) -> Result<(Vec<u32>, Vec<(usize, usize)>)> {
        let encoding = self.encoding(text, false)?;
        let (mut ids, mut spans) = (encoding.get_ids().to_vec(), encoding.get_offsets().to_vec());
        if let Some(start) = self.start_id.filter(|&id| ids.first() != Some(&id)) {
            ids.insert(0, start);
            spans.insert(0, (0, 0));
        }
        Ok((ids, spans))
    }

    /// Text of `ids`; special tokens are left out when `skip_special`.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        if (ids.len() * self.growth.token) as f64 * self.growth.decoding > LARGEST {
            let bytes: usize = ids.iter().filter_map(|&id| self.inner.id_to_token(id)).map(|t| t.len()).sum();
            if bytes as f64 * self.growth.decoding > LARGEST {
                return Err(Error::msg(format!("{} tokens make a text that is too long", ids.len())));
            }
        }
        guarded(|| self.inner.decode(ids, skip_special))
            .map_err(|e| Error::msg(format!("the tokens cannot be decoded: {e}")))
    }

    /// What each token of a sequence adds to its text, from token `from` on. Bytes of a character that several tokens
    /// share show up with the last of them.
    pub fn pieces(&self, ids: &[u32], from: usize) -> Vec<String> {
        let mut pieces = Vec::with_capacity(ids.len().saturating_sub(from));
        // Some decoders drop the space before the first word: each piece follows another.
        let (mut before, mut begins) = (from.saturating_sub(CONTEXT), from);
        for i in from..ids.len() {
            let text = self.decode(&ids[before..=i], false).unwrap_or_default();
            let known = self.decode(&ids[before..begins], false).unwrap_or_default();
            let text = match text.strip_prefix(&known) {
                Some(text) => text.to_string(),
                None => self.decode(&ids[begins..=i], false).unwrap_or_default(),
            };
            if text.ends_with('\u{fffd}') && i + 1 < ids.len() && i - begins < 4 {
                pieces.push(String::new());
            } else {
                pieces.push(text);
                (before, begins) = (begins, i + 1);
            }
        }
        pieces
    }

    /// The id of a token that is spelled exactly so.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of tokens, added ones included.
    pub fn len(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Whether it has no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
