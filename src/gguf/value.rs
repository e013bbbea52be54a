//! Values of GGUF metadata.

use super::cursor::{Cursor, shown};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Scalar(Scalar),
    Text(String),
    Array(Array),
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// Values of one type. Numbers stay as the file has them, so that they take no more memory than there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Array {
    Texts(Vec<String>),
    Scalars(Scalars),
}

/// Numbers of one type, little-endian.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalars {
    kind: u32,
    bytes: Vec<u8>,
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Bytes of a number of this type.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

impl Value {
    pub(super) fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, String> {
        let kind = cursor.u32(key)?;
        if kind == TEXT {
            return text(cursor, key).map(Self::Text);
        }
        if kind != ARRAY {
            let width = width(kind).ok_or_else(|| unknown(key, kind))?;
            let bytes = cursor.bytes(width, key)?;
            return Scalar::decode(kind, &bytes).map(Self::Scalar).ok_or_else(|| unknown(key, kind));
        }
        let (kind, count, width) = array_start(cursor, key)?;
        if kind == TEXT {
            // Fits: each has at least the eight bytes of its length.
            let mut texts = Vec::with_capacity(count as usize);
            for _ in 0..count {
                texts.push(text(cursor, key)?);
            }
            return Ok(Self::Array(Array::Texts(texts)));
        }
        let bytes = cursor.bytes(count * width, key)?;
        Ok(Self::Array(Array::Scalars(Scalars { kind, bytes })))
    }

    /// Passes over a value without holding it.
    pub(super) fn skip(cursor: &mut Cursor<'_>, key: &str) -> Result<(), String> {
        let kind = cursor.u32(key)?;
        let skip_text = |cursor: &mut Cursor<'_>| {
            let length = cursor.u64(key)?;
            cursor.skip(length, key)
        };
        match kind {
            TEXT => skip_text(cursor),
            ARRAY => match array_start(cursor, key)? {
                (TEXT, count, _) => (0..count).try_for_each(|_| skip_text(cursor)),
                (_, count, width) => cursor.skip(count * width, key),
            },
            _ => cursor.skip(width(kind).ok_or_else(|| unknown(key, kind))?, key),
        }
    }
}

/// Type, number of elements and the least bytes of each, which the file is known to have.
fn array_start(cursor: &mut Cursor<'_>, key: &str) -> Result<(u32, u64, u64), String> {
    let kind = cursor.u32(key)?;
    let count = cursor.u64(key)?;
    let width = match kind {
        TEXT => 8,
        ARRAY => return Err(format!("has an array of arrays under `{}`: it is damaged", shown(key))),
        _ => width(kind).ok_or_else(|| unknown(key, kind))?,
    };
    if count > cursor.left() / width {
        return Err(format!("claims {count} values under `{}`: it is damaged or was cut off", shown(key)));
    }
    Ok((kind, count, width))
}

/// Tokens are not always UTF-8: what is not becomes the replacement character, which takes more room.
fn text(cursor: &mut Cursor<'_>, key: &str) -> Result<String, String> {
    const LONGEST_BROKEN: usize = 1 << 10;
    let length = cursor.u64(key)?;
    let bytes = cursor.bytes(length, key)?;
    String::from_utf8(bytes).or_else(|e| match e.as_bytes() {
        bytes if bytes.len() <= LONGEST_BROKEN => Ok(String::from_utf8_lossy(bytes).into_owned()),
        _ => Err(format!("is damaged: `{}` is not UTF-8", shown(key))),
    })
}

fn unknown(key: &str, kind: u32) -> String {
    format!("has a value of the unknown type {kind} under `{}`: it is damaged", shown(key))
}

impl Scalar {
    fn decode(kind: u32, bytes: &[u8]) -> Option<Self> {
        Some(match kind {
            0 => Self::U8(u8::from_le_bytes(bytes.try_into().ok()?)),
            1 => Self::I8(i8::from_le_bytes(bytes.try_into().ok()?)),
            2 => Self::U16(u16::from_le_bytes(bytes.try_into().ok()?)),
            3 => Self::I16(i16::from_le_bytes(bytes.try_into().ok()?)),
            4 => Self::U32(u32::from_le_bytes(bytes.try_into().ok()?)),
            5 => Self::I32(i32::from_le_bytes(bytes.try_into().ok()?)),
            6 => Self::F32(f32::from_le_bytes(bytes.try_into().ok()?)),
            7 => Self::Bool(bytes != [0]),
            10 => Self::U64(u64::from_le_bytes(bytes.try_into().ok()?)),
            11 => Self::I64(i64::from_le_bytes(bytes.try_into().ok()?)),
            12 => Self::F64(f64::from_le_bytes(bytes.try_into().ok()?)),
            _ => return None,
        })
    }

    /// As a number; whole ones above 2⁵³ are rounded.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::U8(v) => f64::from(v),
            Self::I8(v) => f64::from(v),
            Self::U16(v) => f64::from(v),
            Self::I16(v) => f64::from(v),
            Self::U32(v) => f64::from(v),
            Self::I32(v) => f64::from(v),
            Self::F32(v) => f64::from(v),
            Self::Bool(v) => f64::from(u8::from(v)),
            Self::U64(v) => v as f64,
            Self::I64(v) => v as f64,
            Self::F64(v) => v,
        }
    }
}

impl Scalars {
    /// The numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = Scalar> + '_ {
        let width = width(self.kind).unwrap_or(1) as usize;
        self.bytes.chunks_exact(width).filter_map(|bytes| Scalar::decode(self.kind, bytes))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len() / width(self.kind).unwrap_or(1) as usize
    }
}
