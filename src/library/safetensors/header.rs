//! A strict reader of safetensors headers: names, types, shapes and offsets, never the data.
//!
//! Files are untrusted: every length is checked before anything is allocated or read, and memory
//! stays within a small multiple of the header's own size.

use std::borrow::Cow;
use std::fs::File;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::outside::read_exact_at;
use crate::text::short;

/// The format's own bound on the length of the JSON header.
const MAX_HEADER: u64 = 100_000_000;
/// No entry of a header is shorter than this: bounds the number of tensors by the header's size.
const MIN_ENTRY: usize = 48;
const MAX_DIMS: usize = 8;
const PICKLE: &str = "is a PyTorch pickle under a safetensors name: re-save it with safe_serialization=True";

/// Element types of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    /// Blocks of 32 values in 34 bytes, as ggml has them; not a type of safetensors.
    Q8,
    /// Valid in a file, but not as LoRA weights here.
    Other(&'static str, u8),
}

impl Dtype {
    const OTHERS: [(&'static str, u8); 17] = [
        ("BOOL", 8),
        ("U8", 8),
        ("I8", 8),
        ("F8_E5M2", 8),
        ("F8_E4M3", 8),
        ("F8_E8M0", 8),
        ("F8_E4M3FNUZ", 8),
        ("F8_E5M2FNUZ", 8),
        ("F4", 4),
        ("F6_E2M3", 6),
        ("F6_E3M2", 6),
        ("I16", 16),
        ("U16", 16),
        ("I32", 32),
        ("U32", 32),
        ("I64", 64),
        ("U64", 64),
    ];

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "F64" => Self::F64,
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            "C64" => Self::Other("C64", 64),
            _ => {
                let &(name, bits) = Self::OTHERS.iter().find(|(other, _)| *other == name)?;
                Self::Other(name, bits)
            }
        })
    }

    /// Size of an element in bits; of `Q8` without the scales of its blocks.
    pub fn bits(self) -> u64 {
        match self {
            Self::F64 => 64,
            Self::F32 => 32,
            Self::F16 | Self::Bf16 => 16,
            Self::Q8 => 8,
            Self::Other(_, bits) => u64::from(bits),
        }
    }

    /// Lower-case name, as shown.
    pub fn name(self) -> String {
        match self {
            Self::F64 => "f64".into(),
            Self::F32 => "f32".into(),
            Self::F16 => "f16".into(),
            Self::Bf16 => "bf16".into(),
            Self::Q8 => "q8_0".into(),
            Self::Other(name, _) => name.to_ascii_lowercase(),
        }
    }
}

/// One tensor of a file. `start` and `end` count bytes from the start of the file.
#[derive(Clone, Debug)]
pub(crate) struct TensorInfo<'a> {
    pub name: Cow<'a, str>,
    pub dtype: Dtype,
    pub dims: u8,
    /// The first two dimensions, 1 where there are fewer.
    pub rows: u64,
    pub columns: u64,
    elements: u64,
    pub start: u64,
    pub end: u64,
    pub place: Place,
}

/// In which of an expert's files a tensor lies, and in which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub file: u32,
    /// 0: row after row; else one more than the index of the order.
    pub view: u32,
}

impl<'a> TensorInfo<'a> {
    /// Elements behind each of rows × columns: the product of the dimensions after the second.
    pub fn depth(&self) -> u64 {
        self.elements.checked_div(self.rows.saturating_mul(self.columns)).unwrap_or(0)
    }

    /// The same tensor under another name.
    pub fn renamed<'b>(&self, name: impl Into<Cow<'b, str>>) -> TensorInfo<'b> {
        TensorInfo { name: name.into(), ..*self }
    }

    /// A tensor that was described elsewhere. Of `extent`, start and end, it is known that the file has it.
    pub fn new(
        name: impl Into<Cow<'a, str>>,
        dtype: Dtype,
        shape: &[u64],
        (start, end): (u64, u64),
        place: Place,
    ) -> Self {
        let dim = |index: usize| shape.get(index).copied().unwrap_or(1);
        Self {
            name: name.into(),
            dtype,
            dims: u8::try_from(shape.len()).unwrap_or(u8::MAX),
            rows: dim(0),
            columns: dim(1),
            elements: shape.iter().fold(1, |all, dim| all.saturating_mul(*dim)),
            start,
            end,
            place,
        }
    }
}

/// The JSON part of a safetensors file of `length` bytes.
pub(crate) fn read_header(file: &File, length: u64) -> Result<Vec<u8>, String> {
    let mut prefix = [0u8; 8];
    let known = usize::try_from(length.min(8)).unwrap_or(8);
    read_exact_at(file, &mut prefix[..known], 0).map_err(|e| format!("cannot be read: {e}"))?;
    if let Some(what) = other_format(&prefix[..known]) {
        return Err(what.into());
    }
    // A pickle's protocol mark may also be the length of a header: only a real header settles it.
    let size = u64::from_le_bytes(prefix);
    let marked = matches!(prefix, [0x80, 2..=5, ..]);
    let mut first = [0u8; 1];
    if marked && (size > MAX_HEADER || read_exact_at(file, &mut first, 8).is_err() || first != *b"{") {
        return Err(PICKLE.into());
    }
    if length < 8 {
        return Err(format!("is only {length} bytes long: it is empty or was cut off"));
    }
    if size > MAX_HEADER {
        return Err(format!("is not a safetensors file: it claims a header of {size} bytes"));
    }
    if size > length - 8 {
        return Err(format!("was cut off: its header has {size} bytes, the whole file {length}"));
    }
    // Fits: at most MAX_HEADER and at most the file's size.
    let mut header = vec![0u8; size as usize];
    read_exact_at(file, &mut header, 8).map_err(|e| format!("cannot be read: {e}"))?;
    Ok(header)
}

/// Recognises files that often lie under a safetensors name.
fn other_format(prefix: &[u8]) -> Option<&'static str> {
    if prefix.starts_with(b"PK\x03\x04") {
        Some(PICKLE)
    } else if prefix.starts_with(b"GGUF") {
        Some("is a GGUF file under a safetensors name: convert the adapter back to PEFT's format")
    } else if prefix == b"version " {
        Some("is a Git LFS pointer, not the weights: run `git lfs pull`")
    } else {
        None
    }
}

/// Reads and checks the tensors of a header; `file_length` is the size of the whole file.
pub(crate) fn parse_header(header: &[u8], file_length: u64) -> Result<Vec<TensorInfo<'_>>, String> {
    let data_start = header.len() as u64 + 8;
    let data_length =
        file_length.checked_sub(data_start).ok_or_else(|| "was cut off inside its header".to_string())?;
    if header.first() != Some(&b'{') {
        return Err("has a broken header: it is no JSON object".into());
    }
    let mut json = serde_json::Deserializer::from_slice(header);
    let entries = Entries { capacity: count_entries(header) };
    let mut tensors = entries
        .deserialize(&mut json)
        .and_then(|tensors| json.end().map(|()| tensors))
        .map_err(|e| format!("has a broken header: {}", short(&e.to_string())))?;

    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(format!("has tensor `{}` twice in its header", short(&pair[0].name)));
    }
    for tensor in &tensors {
        check_extent(tensor, data_length)?;
    }
    tensors.sort_unstable_by_key(|tensor| (tensor.start, tensor.end));
    let mut at = 0;
    for tensor in &tensors {
        if tensor.start != at {
            let what =
                if tensor.start < at { "overlaps the one before it" } else { "leaves a gap before it" };
            return Err(format!("is damaged: the data of tensor `{}` {what}", short(&tensor.name)));
        }
        at = tensor.end;
    }
    if at != data_length {
        return Err(format!("is damaged: {} bytes belong to no tensor", data_length - at));
    }
    for tensor in &mut tensors {
        tensor.start += data_start;
        tensor.end += data_start;
    }
    Ok(tensors)
}

fn check_extent(tensor: &TensorInfo<'_>, data_length: u64) -> Result<(), String> {
    let name = || short(&tensor.name);
    if tensor.start > tensor.end {
        return Err(format!("is damaged: tensor `{}` ends before it starts", name()));
    }
    if tensor.end > data_length {
        return Err(format!(
            "was cut off: tensor `{}` ends at byte {}, the data has {data_length}",
            name(),
            tensor.end
        ));
    }
    let bytes = tensor
        .elements
        .checked_mul(tensor.dtype.bits())
        .filter(|bits| bits % 8 == 0)
        .map(|bits| bits / 8)
        .ok_or_else(|| format!("is damaged: tensor `{}` has an impossible shape", name()))?;
    if bytes != tensor.end - tensor.start {
        return Err(format!(
            "is damaged: tensor `{}` needs {bytes} bytes for its shape but has {}",
            name(),
            tensor.end - tensor.start
        ));
    }
    Ok(())
}

/// An upper bound for the number of tensors, so that the list is allocated once.
fn count_entries(header: &[u8]) -> usize {
    // Each is an object.
    let objects = header.iter().filter(|&&byte| byte == b'{').count();
    objects.min(header.len() / MIN_ENTRY)
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Implements `Deserialize` for a type through a visitor with these methods. Strings are refused without
/// repeating them in the error: they may be as long as the file.
macro_rules! no_strings {
    ($type:ident $(<$life:lifetime>)?, $expecting:literal, { $($method:item)* }) => {
        impl<'de> Deserialize<'de> for $type $(<$life>)? {
            fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct NoStrings;
                impl<'de> Visitor<'de> for NoStrings {
                    type Value = $type $(<$life>)?;
                    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
                        Err(E::custom(concat!("a string where ", $expecting, " is expected")))
                    }
                    $($method)*
                }
                deserializer.deserialize_any(NoStrings)
            }
        }
    };
}

struct Whole(u64);
no_strings!(Whole, "a whole number", {
    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Whole, E> {
        Ok(Whole(v))
    }
});

struct Shape {
    dims: u8,
    rows: u64,
    columns: u64,
    elements: u64,
}
no_strings!(Shape, "a list of dimensions", {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut shape = Shape { dims: 0, rows: 1, columns: 1, elements: 1 };
        while let Some(Whole(dim)) = seq.next_element()? {
            match shape.dims {
                0 => shape.rows = dim,
                1 => shape.columns = dim,
                _ => {}
            }
            shape.dims += 1;
            if usize::from(shape.dims) > MAX_DIMS {
                return Err(de::Error::custom("a tensor has too many dimensions"));
            }
            let elements = shape.elements.checked_mul(dim);
            shape.elements = elements.ok_or_else(|| de::Error::custom("a tensor's shape overflows"))?;
        }
        Ok(shape)
    }
});

struct Offsets(u64, u64);
no_strings!(Offsets, "a pair of offsets", {
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Offsets, A::Error> {
        match (seq.next_element()?, seq.next_element()?, seq.next_element::<IgnoredAny>()?) {
            (Some(Whole(start)), Some(Whole(end)), None) => Ok(Offsets(start, end)),
            _ => Err(de::Error::custom("data_offsets is not a pair")),
        }
    }
});

struct Entry {
    dtype: Dtype,
    shape: Shape,
    offsets: Offsets,
}
no_strings!(Entry, "a tensor's description", {
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let again = match &*key {
                "dtype" => {
                    let Key(name) = map.next_value::<Key<'de>>()?;
                    let known = Dtype::parse(&name)
                        .ok_or_else(|| de::Error::custom(format!("unknown type `{}`", short(&name))))?;
                    dtype.replace(known).is_some()
                }
                "shape" => shape.replace(map.next_value::<Shape>()?).is_some(),
                "data_offsets" => offsets.replace(map.next_value::<Offsets>()?).is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if again {
                return Err(de::Error::custom(format!("a tensor has `{}` twice", short(&key))));
            }
        }
        let missing = |what| de::Error::custom(format!("a tensor lacks `{what}`"));
        Ok(Entry {
            dtype: dtype.ok_or_else(|| missing("dtype"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            offsets: offsets.ok_or_else(|| missing("data_offsets"))?,
        })
    }
});

struct Entries {
    capacity: usize,
}

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Vec<TensorInfo<'de>>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<TensorInfo<'de>>;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tensors = Vec::with_capacity(self.capacity);
        let mut metadata = false;
        while let Some(Key(name)) = map.next_key::<Key<'de>>()? {
            if name == "__metadata__" {
                if std::mem::replace(&mut metadata, true) {
                    return Err(de::Error::custom("`__metadata__` appears twice"));
                }
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let entry: Entry = map.next_value()?;
            let Entry { dtype, shape, offsets: Offsets(start, end) } = entry;
            let Shape { dims, rows, columns, elements } = shape;
            let place = Place::default();
            tensors.push(TensorInfo { name, dtype, dims, rows, columns, elements, start, end, place });
        }
        Ok(tensors)
    }
}
