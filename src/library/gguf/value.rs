//! Metadata values of GGUF.

use std::borrow::Cow;

/// Kinds of values, as numbered in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    pub fn from_id(id: u32) -> Option<Self> {
        use Kind::*;
        let kinds = [U8, I8, U16, I16, U32, I32, F32, Bool, Text, Array, U64, I64, F64];
        kinds.get(id as usize).copied()
    }

    /// Bytes of a value, for kinds of a fixed size.
    pub fn size(self) -> Option<usize> {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => Some(1),
            Kind::U16 | Kind::I16 => Some(2),
            Kind::U32 | Kind::I32 | Kind::F32 => Some(4),
            Kind::U64 | Kind::I64 | Kind::F64 => Some(8),
            Kind::Text | Kind::Array => None,
        }
    }

    /// The number in `bytes`, which are as many as [`Self::size`] says.
    fn number(self, bytes: &[u8]) -> Option<Number> {
        Some(match self {
            Kind::U8 => Number::Whole(u8::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::I8 => Number::Whole(i8::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::U16 => Number::Whole(u16::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::I16 => Number::Whole(i16::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::U32 => Number::Whole(u32::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::I32 => Number::Whole(i32::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::U64 => Number::Whole(u64::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::I64 => Number::Whole(i64::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::Bool => Number::Whole((*bytes.first()? != 0).into()),
            Kind::F32 => Number::Real(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            Kind::F64 => Number::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Text | Kind::Array => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Whole(i128),
    Real(f64),
}

/// A value. Arrays stay as the bytes of the file: decoded, they could need many times their size.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(Scalar),
    Array(Array),
    /// An array of arrays, which nothing here needs.
    Nested,
}

/// A number or truth value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scalar(Number);

impl Scalar {
    pub(super) fn read(kind: Kind, bytes: &[u8]) -> Option<Self> {
        kind.number(bytes).map(Self)
    }

    pub fn as_f64(&self) -> f64 {
        match self.0 {
            Number::Whole(n) => n as f64,
            Number::Real(x) => x,
        }
    }

    /// The value, if it is whole, not negative and within u64.
    pub fn as_u64(&self) -> Option<u64> {
        match self.0 {
            Number::Whole(n) => n.try_into().ok(),
            Number::Real(_) => None,
        }
    }
}

/// An array of numbers or texts.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(super) kind: Kind,
    pub(super) len: usize,
    pub(super) bytes: Vec<u8>,
}

impl Array {
    pub fn len(&self) -> usize {
        self.len
    }

    /// The numbers, if it is an array of numbers.
    pub fn numbers(&self) -> Option<impl Iterator<Item = Scalar> + '_> {
        let (kind, size) = (self.kind, self.kind.size()?);
        Some(self.bytes.chunks_exact(size).filter_map(move |b| Scalar::read(kind, b)))
    }

    /// The texts, if it is an array of texts. Bytes that are not UTF-8 become replacement characters.
    pub fn texts(&self) -> Option<impl Iterator<Item = Cow<'_, str>> + '_> {
        if self.kind != Kind::Text {
            return None;
        }
        let mut rest = self.bytes.as_slice();
        Some(std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (text, after) = after.split_at_checked(length)?;
            rest = after;
            Some(String::from_utf8_lossy(text))
        }))
    }
}
