//! How much longer a tokenizer may make a text, from what its parts are: what a file describes in a few bytes can
//! multiply a letter by 10¹¹.

use serde_json::Value;

/// Bytes that a text may become on its way to tokens, or tokens on their way to text, at worst.
pub(super) const LARGEST: f64 = (128 << 20) as f64;

/// A tokenizer with which no text of this many bytes could be used is refused when it is read.
const SHORTEST_TEXT: f64 = 4096.0;

/// Bytes of the longest token that makes sense.
const LONGEST_TOKEN: usize = 64 << 10;

/// Bytes of "▁", which stands for a space.
const SPACE: f64 = 3.0;

/// The most bytes that one byte can become in each direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Growth {
    /// Text on its way to tokens.
    pub encoding: f64,
    /// Tokens on their way to text.
    pub decoding: f64,
    /// Bytes of the longest token.
    pub token: usize,
}

impl Growth {
    /// Of a tokenizer whose parts we chose ourselves, with a longest token of so many bytes.
    pub fn of_families(token: usize) -> Self {
        Self { encoding: 16.0, decoding: 4.0, token }
    }

    /// From the parts of a `tokenizer.json`, its longest token and what its model puts around every character.
    ///
    /// # Errors
    /// What is out of bounds, after the file's name.
    pub fn new(
        normalizer: Option<&Value>,
        splitter: Option<&Value>,
        decoder: Option<&Value>,
        around: usize,
        token: usize,
    ) -> Result<Self, String> {
        if token > LONGEST_TOKEN {
            return Err(format!("is a damaged tokenizer: it has a token of {token} bytes"));
        }
        let of = |part: Option<&Value>| part.map_or(1.0, growth);
        let encoding = of(normalizer) * of(splitter) * (1 + around) as f64;
        let growth = Self { encoding, decoding: of(decoder), token };
        for (what, times) in [("normalizers and splits", growth.encoding), ("decoders", growth.decoding)] {
            if times * SHORTEST_TEXT > LARGEST {
                return Err(format!("has {what} that make a text up to {times:.0e} times as long"));
            }
        }
        Ok(growth)
    }
}

/// The most bytes that one byte can become in a normalizer, a splitter or a decoder of a file. The library knows a
/// part by its fields where it has no type, so these come first.
fn growth(part: &Value) -> f64 {
    let text = |key: &str| part.get(key).and_then(Value::as_str).unwrap_or_default().len() as f64;
    let lists =
        ["normalizers", "pretokenizers", "decoders"].iter().filter_map(|key| part.get(key)?.as_array());
    let inner: f64 = lists.flatten().map(growth).product();
    let own = match part.get("type").and_then(Value::as_str).unwrap_or_default() {
        _ if part.get("precompiled_charsmap").is_some() => {
            longest_replacement(part.get("precompiled_charsmap").and_then(Value::as_str))
        }
        // It goes before every piece, and a piece has a byte.
        _ if part.get("prepend").is_some() => 1.0 + text("prepend"),
        _ if part.get("pattern").is_some() && part.get("content").is_some() => {
            let found =
                part.get("pattern").and_then(|p| p.get("String")).and_then(Value::as_str).map_or(0, str::len);
            let regex = part.get("pattern").and_then(|p| p.get("Regex")).and_then(Value::as_str);
            match found {
                _ if text("content") == 0.0 => 1.0,
                // As transformers writes them for SentencePiece's: less spaces, and another one at the beginning.
                0 if regex == Some(" {2,}") && text("content") == 1.0 => 1.0,
                0 if regex == Some(r"\A▁") => (text("content") / SPACE).max(1.0),
                // Patterns may match between all bytes.
                0 => 1.0 + 2.0 * text("content"),
                found => (text("content") / found as f64).max(1.0),
            }
        }
        "WordPiece" | "BPEDecoder" | "CTC" => 2.0 + text("prefix") + text("suffix") + text("pad_token"),
        // A byte is up to two, and a space goes before a piece.
        "ByteLevel" => 3.0,
        // The mark for a space has up to four bytes, and goes before a piece.
        "Metaspace" => 8.0,
        // Unicode's longest decompositions.
        "NFKC" | "NFKD" => 11.0,
        "NFC" | "NFD" => 3.0,
        "Lowercase" => 2.0,
        "BertNormalizer" | "Bert" => 12.0,
        _ => 1.0,
    };
    inner * own
}

/// The longest of the texts, each with a zero byte behind it, that a table of SentencePiece replaces others with.
fn longest_replacement(base64: Option<&str>) -> f64 {
    let bytes = decoded(base64.unwrap_or_default());
    let trie = bytes.first_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let texts = bytes.get(4usize.saturating_add(trie)..).unwrap_or_default();
    texts.split(|&b| b == 0).map(<[u8]>::len).max().unwrap_or(0).max(1) as f64
}

/// The bytes that a text in base64 stands for; other characters are left out.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(normalizer: &Value) -> Result<Growth, String> {
        Growth::new(Some(normalizer), None, None, 0, 10)
    }

    #[test]
    fn what_families_do_is_allowed_and_multiplying_is_not() {
        let spaces = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
        let llama =
            json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": "▁" }, spaces] });
        assert_eq!(of(&llama).unwrap().encoding, 12.0);
        let ten = json!({ "type": "Replace", "pattern": { "String": "a" }, "content": "aaaaaaaaaa" });
        let error = of(&json!({ "type": "Sequence", "normalizers": vec![ten; 11] })).unwrap_err();
        assert!(error.contains("up to 1e11 times as long"), "{error}");
        assert!(of(&json!({ "type": "Prepend", "prepend": "x".repeat(50 << 20) })).is_err());
        let bytes = json!({ "type": "Sequence", "pretokenizers": vec![json!({ "type": "ByteLevel" }); 40] });
        assert!(Growth::new(None, Some(&bytes), None, 0, 10).is_err());
        assert!(Growth::new(None, None, None, 1 << 20, 10).is_err());
        assert!(Growth::new(None, None, None, 0, 1 << 20).is_err());
    }

    #[test]
    fn replacements_of_a_table_count() {
        // No trie; the texts "ab" and "abcd".
        assert_eq!(decoded("AAAAAGFiAGFiY2QA"), b"\0\0\0\0ab\0abcd\0");
        let table = json!({ "type": "Precompiled", "precompiled_charsmap": "AAAAAGFiAGFiY2QA" });
        assert_eq!(of(&table).unwrap().encoding, 4.0);
    }
}
