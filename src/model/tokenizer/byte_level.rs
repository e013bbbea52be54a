//! Byte-level BPE (GPT-2 and what followed): how text is split before merging is named in the file.

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{PreTokenizerWrapper, SplitDelimiterBehavior};

use super::vocabulary::Vocabulary;
use crate::text::short;
use crate::{Error, Result};

// The patterns of the families' published tokenizers.
pub(super) const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A way to split text.
#[derive(Clone, Copy)]
enum Splits {
    Pattern(&'static str),
    /// GPT-2's own pattern; every digit separately at first, where so said.
    Gpt2 {
        digits: bool,
    },
}

/// How a `tokenizer.ggml.pre` splits and what else goes with it.
struct Rules {
    splits: Splits,
    /// Unicode's composed form first.
    nfc: bool,
    /// A word that is a token is that token, whatever the merges say.
    ignore_merges: bool,
    /// A start token goes before every text, where the file does not say.
    starts: bool,
}

fn rules(pre: &str, architecture: &str) -> Option<Rules> {
    use Splits::{Gpt2, Pattern};
    let plain = |splits| Rules { splits, nfc: false, ignore_merges: false, starts: false };
    Some(match pre {
        "llama-bpe" | "llama3" | "llama-v3" => {
            Rules { ignore_merges: true, starts: true, ..plain(Pattern(LLAMA3)) }
        }
        "dbrx" | "smaug-bpe" => plain(Pattern(LLAMA3)),
        "tekken" => Rules { ignore_merges: true, starts: true, ..plain(Pattern(TEKKEN)) },
        "gpt-4o" => plain(Pattern(GPT4O)),
        "qwen2" | "deepseek-r1-qwen" => Rules { nfc: true, ..plain(Pattern(QWEN2)) },
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => plain(Gpt2 { digits: true }),
        "olmo" => Rules { nfc: true, ..plain(Gpt2 { digits: false }) },
        // Old files do not say: their architecture does.
        "default" => match architecture {
            "qwen2" | "qwen3" => return rules("qwen2", architecture),
            "gptneox" => return rules("olmo", architecture),
            _ => plain(Gpt2 { digits: false }),
        },
        "gpt-2" | "gpt2" | "phi-2" | "mpt" => {
            Rules { nfc: architecture == "gptneox", ..plain(Gpt2 { digits: false }) }
        }
        _ => return None,
    })
}

/// The tokenizer, and whether a start token goes before every text by default.
pub(super) fn build(vocabulary: &Vocabulary) -> Result<(tokenizers::Tokenizer, bool)> {
    let pre = vocabulary.file.text("tokenizer.ggml.pre").unwrap_or("default");
    let Some(rules) = rules(pre, vocabulary.architecture) else {
        return Err(vocabulary.error(format!(
            "splits text by \"{}\", which is not known: put the model's tokenizer.json beside it",
            short(pre)
        )));
    };
    let Some(lines) = vocabulary.texts("merges") else {
        return Err(vocabulary.error("lacks the list \"tokenizer.ggml.merges\""));
    };
    let vocab: Vocab = vocabulary.tokens.iter().cloned().zip(0..).collect();
    let broken =
        |line: &str| vocabulary.error(format!("is damaged: \"{}\" is no merge of tokens", short(line)));
    let mut merges = Vec::with_capacity(lines.len());
    for line in &lines {
        let (a, b) = line.split_once(' ').ok_or_else(|| broken(line))?;
        // The library that merges relies on this.
        if ![a, b, &format!("{a}{b}")].into_iter().all(|t| vocab.contains_key(t)) {
            return Err(broken(line));
        }
        merges.push((a.to_string(), b.to_string()));
    }
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .ignore_merges(rules.ignore_merges)
        .build()
        .map_err(|e| vocabulary.error(format!("has a broken vocabulary: {e}")))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let steps: Vec<PreTokenizerWrapper> = match rules.splits {
        Splits::Pattern(pattern) => {
            let pattern = SplitPattern::Regex(pattern.into());
            let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)
                .map_err(|e| Error::msg(format!("a pattern of the tokenizer is broken: {e}")))?;
            vec![split.into(), ByteLevel::new(false, false, false).into()]
        }
        Splits::Gpt2 { digits: true } => {
            vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()]
        }
        Splits::Gpt2 { digits: false } => vec![ByteLevel::new(false, true, true).into()],
    };
    inner.with_pre_tokenizer(Some(Sequence::new(steps)));
    inner.with_decoder(Some(ByteLevel::default()));
    if rules.nfc {
        inner
            .with_normalizer(Some(NFC))
            .map_err(|e| Error::msg(format!("a part of the tokenizer is broken: {e}")))?;
    }
    Ok((inner, rules.starts))
}
