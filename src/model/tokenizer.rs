//! Text to token ids and back, with the ids that transformers gives.

use std::path::Path;

use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::gguf::Gguf;
use crate::{Error, Result};

/// A tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Ids that end a text.
    pub end_ids: Vec<u32>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("end_ids", &self.end_ids).finish_non_exhaustive()
    }
}

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Tokenizer {
    /// Reads `tokenizer.json`. `end_ids` come from the model's configuration.
    pub fn from_file(path: &Path, end_ids: Vec<u32>) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_file(path)
            .map_err(|e| Error::file(path, format!("is not a readable tokenizer: {e}")))?;
        Ok(Self { inner, end_ids })
    }

    /// Builds the byte-level BPE that a GGUF file describes.
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let file = gguf.file();
        let text = |key: &str| file.text(key);
        let strings = |key: &str| -> Result<Vec<String>> {
            let texts = file.array(key).and_then(|a| Some(a.texts()?.map(|t| t.into_owned()).collect()));
            texts.ok_or_else(|| gguf.error(format!("lacks the list \"{key}\"")))
        };
        match text("tokenizer.ggml.model") {
            Some("gpt2") => {}
            other => {
                let kind = other.unwrap_or("none");
                return Err(gguf.error(format!(
                    "has a tokenizer of kind \"{kind}\", which is not supported in GGUF: put the model's tokenizer.json beside it"
                )));
            }
        }
        let tokens = strings("tokenizer.ggml.tokens")?;
        let merges = strings("tokenizer.ggml.merges")?
            .iter()
            .map(|m| {
                let (a, b) = m.split_once(' ').ok_or_else(|| gguf.error("has a broken merge"))?;
                Ok((a.to_string(), b.to_string()))
            })
            .collect::<Result<Vec<_>>>()?;
        let pre = text("tokenizer.ggml.pre").unwrap_or("default");
        let vocab: tokenizers::models::bpe::Vocab =
            tokens.iter().enumerate().map(|(i, t)| (t.clone(), i as u32)).collect();
        let bpe = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .ignore_merges(matches!(pre, "llama-bpe" | "llama3"))
            .build()
            .map_err(|e| gguf.error(format!("has a broken vocabulary: {e}")))?;
        let mut inner = tokenizers::Tokenizer::new(bpe);
        let split = |pattern: &str| -> Result<PreTokenizerWrapper> {
            let split =
                Split::new(SplitPattern::Regex(pattern.into()), SplitDelimiterBehavior::Isolated, false);
            split.map(Into::into).map_err(|e| Error::msg(format!("tokenizer pattern: {e}")))
        };
        let steps: Vec<PreTokenizerWrapper> = match pre {
            "smollm" => vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()],
            "qwen2" => vec![split(QWEN2)?, ByteLevel::new(false, false, false).into()],
            "llama-bpe" | "llama3" | "smaug-bpe" => {
                vec![split(LLAMA3)?, ByteLevel::new(false, false, false).into()]
            }
            "default" | "gpt-2" => vec![ByteLevel::new(false, true, true).into()],
            other => {
                return Err(gguf.error(format!(
                    "splits text by \"{other}\", which is not supported in GGUF: put the model's tokenizer.json beside it"
                )));
            }
        };
        inner.with_pre_tokenizer(Some(Sequence::new(steps)));
        inner.with_decoder(Some(ByteLevel::default()));
        // Types 3 (control) and 4 (user defined) are matched before anything is split.
        let types = file.array("tokenizer.ggml.token_type");
        if let Some(types) = types.filter(|a| a.len() == tokens.len()).and_then(|a| a.numbers()) {
            let added: Vec<AddedToken> = tokens
                .iter()
                .zip(types)
                .filter_map(|(token, kind)| match kind.as_u64() {
                    Some(3) => Some(AddedToken::from(token.clone(), true)),
                    Some(4) => Some(AddedToken::from(token.clone(), false).normalized(false)),
                    _ => None,
                })
                .collect();
            inner
                .add_special_tokens(added)
                .map_err(|e| gguf.error(format!("has broken special tokens: {e}")))?;
        }
        let end = file.scalar("tokenizer.ggml.eos_token_id").and_then(|s| s.as_u64());
        let end_ids = end.and_then(|id| u32::try_from(id).ok()).into_iter().collect();
        Ok(Self { inner, end_ids })
    }

    /// Token ids of `text`, special tokens in it recognised, none added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|e| Error::msg(format!("the text cannot be tokenised: {e}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Token ids of `text` and the bytes of it that each covers.
    pub fn encode_spans(&self, text: &str) -> Result<(Vec<u32>, Vec<(usize, usize)>)> {
        let encoding = self
            .inner
            .encode(text, false)
            .map_err(|e| Error::msg(format!("the text cannot be tokenised: {e}")))?;
        Ok((encoding.get_ids().to_vec(), encoding.get_offsets().to_vec()))
    }

    /// Text of `ids`; special tokens are left out when `skip_special`.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner
            .decode(ids, skip_special)
            .map_err(|e| Error::msg(format!("the tokens cannot be decoded: {e}")))
    }

    /// What each token of a sequence adds to its text. Bytes of a character that several tokens share show
    /// up with the last of them.
    pub fn pieces(&self, ids: &[u32]) -> Vec<String> {
        let mut pieces = Vec::with_capacity(ids.len());
        let mut from = 0;
        for i in 0..ids.len() {
            let text = self.decode(&ids[from..=i], false).unwrap_or_default();
            if text.ends_with('\u{fffd}') && i + 1 < ids.len() && i - from < 4 {
                pieces.push(String::new());
            } else {
                pieces.push(text);
                from = i + 1;
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
