//! SentencePiece's model files: a message of protocol buffers with the pieces and how they were trained.

use std::ops::Range;

/// What a model file says, as far as it changes tokens.
#[derive(Debug, PartialEq)]
pub(super) struct ModelProto {
    /// All pieces, by their ids.
    pub pieces: Vec<Piece>,
    /// 1 is a unigram model; others are merged.
    pub model_type: u64,
    /// Whether what no piece covers is spelled in bytes.
    pub byte_fallback: bool,
    /// Id and text of the piece for what is unknown; no piece where the id is below 0.
    pub unk: (i32, String),
    /// The same for the start of a text.
    pub bos: (i32, String),
    /// The same for its end.
    pub eos: (i32, String),
    /// A table of replacements.
    pub charsmap: Range<usize>,
    /// Whether a text begins with a space.
    pub add_dummy_prefix: bool,
    /// Whether spaces at the ends, and more than one between words, are removed.
    pub remove_extra_whitespaces: bool,
    /// Whether spaces become "▁".
    pub escape_whitespaces: bool,
}

/// A piece.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: PieceKind,
}

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Of texts.
    Normal,
    /// Special.
    Control,
    /// Always whole.
    UserDefined,
    /// Anything else.
    Other,
}

/// No vocabulary has more pieces; bounds memory.
const MOST_PIECES: usize = 4 << 20;

/// Reads a file's bytes.
///
/// # Errors
/// What is wrong with it, after its name.
pub(super) fn read(bytes: &[u8]) -> Result<ModelProto, String> {
    let mut model = ModelProto {
        pieces: Vec::new(),
        model_type: 1,
        byte_fallback: false,
        unk: (0, "<unk>".into()),
        bos: (1, "<s>".into()),
        eos: (2, "</s>".into()),
        charsmap: 0..0,
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
    };
    for field in fields(bytes, 0..bytes.len()) {
        match field? {
            Field { number: 1, value: FieldValue::Bytes(range) } => {
                if model.pieces.len() == MOST_PIECES {
                    return Err("has more pieces than any vocabulary".into());
                }
                model.pieces.push(piece(bytes, range)?);
            }
            Field { number: 2, value: FieldValue::Bytes(range) } => model.trainer(bytes, range)?,
            Field { number: 3, value: FieldValue::Bytes(range) } => model.normalizer(bytes, range)?,
            _ => {}
        }
    }
    match model.pieces.is_empty() {
        true => Err("is no SentencePiece model: it has no pieces".into()),
        false => Ok(model),
    }
}

impl ModelProto {
    fn trainer(&mut self, bytes: &[u8], range: Range<usize>) -> Result<(), String> {
        for field in fields(bytes, range) {
            match field? {
                Field { number: 3, value: FieldValue::Number(n) } => self.model_type = n,
                Field { number: 35, value: FieldValue::Number(n) } => self.byte_fallback = n != 0,
                // Negative numbers have 64 bits on the wire.
                Field { number: 40, value: FieldValue::Number(n) } => self.unk.0 = n as i32,
                Field { number: 41, value: FieldValue::Number(n) } => self.bos.0 = n as i32,
                Field { number: 42, value: FieldValue::Number(n) } => self.eos.0 = n as i32,
                Field { number: 45, value: FieldValue::Bytes(range) } => self.unk.1 = text(bytes, range)?,
                Field { number: 46, value: FieldValue::Bytes(range) } => self.bos.1 = text(bytes, range)?,
                Field { number: 47, value: FieldValue::Bytes(range) } => self.eos.1 = text(bytes, range)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn normalizer(&mut self, bytes: &[u8], range: Range<usize>) -> Result<(), String> {
        for field in fields(bytes, range) {
            match field? {
                Field { number: 2, value: FieldValue::Bytes(range) } => self.charsmap = range,
                Field { number: 3, value: FieldValue::Number(n) } => self.add_dummy_prefix = n != 0,
                Field { number: 4, value: FieldValue::Number(n) } => self.remove_extra_whitespaces = n != 0,
                Field { number: 5, value: FieldValue::Number(n) } => self.escape_whitespaces = n != 0,
                _ => {}
            }
        }
        Ok(())
    }
}

fn piece(bytes: &[u8], range: Range<usize>) -> Result<Piece, String> {
    let mut piece = Piece { text: String::new(), score: 0.0, kind: PieceKind::Normal };
    for field in fields(bytes, range) {
        match field? {
            Field { number: 1, value: FieldValue::Bytes(range) } => piece.text = text(bytes, range)?,
            Field { number: 2, value: FieldValue::Four(bits) } => piece.score = f32::from_bits(bits),
            Field { number: 3, value: FieldValue::Number(n) } => {
                piece.kind = match n {
                    1 => PieceKind::Normal,
                    3 => PieceKind::Control,
                    4 => PieceKind::UserDefined,
                    _ => PieceKind::Other,
                }
            }
            _ => {}
        }
    }
    if !piece.score.is_finite() {
        return Err(format!("has a piece with the score {}", piece.score));
    }
    Ok(piece)
}

fn text(bytes: &[u8], range: Range<usize>) -> Result<String, String> {
    let text = bytes.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.map(String::from).ok_or_else(|| "has a piece that is not UTF-8".to_string())
}

struct Field {
    number: u64,
    value: FieldValue,
}

enum FieldValue {
    Number(u64),
    Four(u32),
    /// Where they are in the file.
    Bytes(Range<usize>),
    /// Of no message that is read here.
    Eight,
}

/// The fields of the message in `range`.
fn fields(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = Result<Field, String>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        if at >= range.end {
            return None;
        }
        match field(bytes, at, range.end) {
            Some((field, next)) => {
                at = next;
                Some(Ok(field))
            }
            None => {
                at = range.end;
                Some(Err("is no SentencePiece model, or is cut off".into()))
            }
        }
    })
}

/// The field at `at`, and where the next one begins; `None` where there is none.
fn field(bytes: &[u8], at: usize, end: usize) -> Option<(Field, usize)> {
    let (key, at) = varint(bytes, at, end)?;
    let room = |size: usize| at.checked_add(size).filter(|&next| next <= end);
    let (value, next) = match key & 7 {
        0 => {
            let (number, next) = varint(bytes, at, end)?;
            (FieldValue::Number(number), next)
        }
        1 => (FieldValue::Eight, room(8)?),
        2 => {
            let (length, from) = varint(bytes, at, end)?;
            let next = from.checked_add(usize::try_from(length).ok()?).filter(|&next| next <= end)?;
            (FieldValue::Bytes(from..next), next)
        }
        5 => {
            let next = room(4)?;
            (FieldValue::Four(u32::from_le_bytes(*bytes.get(at..next)?.first_chunk()?)), next)
        }
        _ => return None,
    };
    let number = key >> 3;
    (number > 0).then_some((Field { number, value }, next))
}

/// A number of at most 64 bits, seven of them a byte.
fn varint(bytes: &[u8], at: usize, end: usize) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for (i, byte) in bytes.get(at..end)?.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            return Some((number, at + i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file() -> Vec<u8> {
        let path = "tests/fixtures/legacy_tokenizers/unigram.model";
        std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    #[test]
    fn pieces_and_settings_are_read() {
        let bytes = file();
        let model = read(&bytes).unwrap();
        assert_eq!(model.model_type, 1);
        assert_eq!(model.pieces[1].text, "<s>");
        assert_eq!(model.pieces[1].kind, PieceKind::Control);
        assert_eq!(model.unk, (0, "<unk>".to_string()));
        assert!(!model.charsmap.is_empty() && model.add_dummy_prefix && !model.byte_fallback);
        for cut in [1, 10, bytes.len() / 2, bytes.len() - 1] {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
        }
        assert!(read(b"").unwrap_err().contains("no pieces"));
        assert!(read(b"IQ== 0\nIg== 1\n").is_err());
    }

    proptest! {
        /// Whatever the bytes are, they are read or refused.
        #[test]
        fn damaged_files_do_no_harm(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let mut bytes = file();
            for (place, byte) in places {
                let at = place.index(bytes.len());
                bytes[at] = byte;
            }
            let _ = read(&bytes);
        }
    }
}
