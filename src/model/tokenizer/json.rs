//! What the tokenizers library takes for granted about a `tokenizer.json`, checked before it reads the file.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::growth::Growth;

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    model: Option<Model<'a>>,
    #[serde(default)]
    normalizer: Option<Value>,
    #[serde(default)]
    pre_tokenizer: Option<Value>,
    #[serde(default)]
    decoder: Option<Value>,
    #[serde(borrow, default)]
    added_tokens: Vec<Added<'a>>,
}

#[derive(Deserialize)]
struct Added<'a> {
    #[serde(borrow, default)]
    content: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Model<'a> {
    #[serde(default)]
    vocab: Longest,
    #[serde(default)]
    merges: Merges,
    #[serde(borrow, default)]
    continuing_subword_prefix: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    end_of_word_suffix: Option<Cow<'a, str>>,
}

/// Bytes of the longest key of a vocabulary; of vocabularies that are lists of tokens and scores, of the longest token.
#[derive(Default)]
struct Longest(usize);

/// Bytes of the two parts of the longest merge, and of the shortest second part.
#[derive(Default)]
struct Merges {
    longest: usize,
    shortest_second: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge<'a> {
    Line(#[serde(borrow)] Cow<'a, str>),
    Pair(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Scored<'a>(#[serde(borrow)] Cow<'a, str>, IgnoredAny);

struct VocabReader;
struct MergesReader;

impl<'de> Visitor<'de> for VocabReader {
    type Value = Longest;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a vocabulary")
    }

    fn visit_unit<E>(self) -> Result<Longest, E> {
        Ok(Longest::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Longest, A::Error> {
        let mut longest = 0;
        while let Some((key, IgnoredAny)) = map.next_entry::<Cow<'de, str>, _>()? {
            longest = longest.max(key.len());
        }
        Ok(Longest(longest))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Longest, A::Error> {
        let mut longest = 0;
        while let Some(Scored(token, _)) = seq.next_element::<Scored<'de>>()? {
            longest = longest.max(token.len());
        }
        Ok(Longest(longest))
    }
}

impl<'de> Visitor<'de> for MergesReader {
    type Value = Merges;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a list of merges")
    }

    fn visit_unit<E>(self) -> Result<Merges, E> {
        Ok(Merges::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Merges, A::Error> {
        let mut merges = Merges::default();
        while let Some(merge) = seq.next_element::<Merge<'de>>()? {
            let (first, second) = match &merge {
                Merge::Line(line) => line.split_once(' ').unwrap_or((line, "")),
                Merge::Pair(first, second) => (&**first, &**second),
                Merge::Other(_) => continue,
            };
            merges.longest = merges.longest.max(first.len() + second.len());
            let shortest = merges.shortest_second.unwrap_or(usize::MAX);
            merges.shortest_second = Some(shortest.min(second.len()));
        }
        Ok(merges)
    }
}

impl<'de> Deserialize<'de> for Longest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VocabReader)
    }
}

impl<'de> Deserialize<'de> for Merges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MergesReader)
    }
}

/// Checks that merges make no token longer than any there is, which the library relies on, and how long texts may
/// become.
///
/// # Errors
/// What is wrong, after the file's name.
pub(super) fn check(text: &str) -> Result<Growth, String> {
    let file: File = serde_json::from_str(text).map_err(|e| format!("is not a readable tokenizer: {e}"))?;
    let mut around = 0;
    let mut longest = file.added_tokens.iter().map(|t| t.content.len()).max().unwrap_or(0);
    if let Some(Model { vocab, merges, continuing_subword_prefix, end_of_word_suffix }) = file.model {
        let prefix = continuing_subword_prefix.map_or(0, |p| p.len());
        let shortest = merges.shortest_second.unwrap_or(prefix);
        if merges.longest > vocab.0.saturating_add(prefix) || shortest < prefix {
            return Err("is a damaged tokenizer: it has merges that make no token".into());
        }
        around = prefix + end_of_word_suffix.map_or(0, |s| s.len());
        longest = longest.max(vocab.0);
    }
    let [normalizer, splitter, decoder] = [&file.normalizer, &file.pre_tokenizer, &file.decoder];
    Growth::new(normalizer.as_ref(), splitter.as_ref(), decoder.as_ref(), around, longest)
}
