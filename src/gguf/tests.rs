//! GGUF headers: every damage has a reason, none a panic.

use std::io::Write;

use proptest::prelude::*;

use super::{Array, Header, Kind, Scalar, Value};

/// A GGUF file put together by hand.
#[derive(Clone, Default)]
pub(crate) struct Builder {
    entries: Vec<u8>,
    entry_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: Vec<u8>,
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

impl Builder {
    /// A value of a type by its number, as bytes.
    pub fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.entries.extend(string(key));
        self.entries.extend(kind.to_le_bytes());
        self.entries.extend(value);
        self.entry_count += 1;
        self
    }

    pub fn text(self, key: &str, value: &str) -> Self {
        self.raw(key, 8, &string(value))
    }

    pub fn f32(self, key: &str, value: f32) -> Self {
        self.raw(key, 6, &value.to_le_bytes())
    }

    /// `shape` has the slowest dimension first.
    pub fn tensor(mut self, name: &str, kind: Kind, shape: &[u64], data: &[u8]) -> Self {
        self.data.resize(self.data.len().next_multiple_of(32), 0);
        let offset = self.data.len() as u64;
        self.data.extend(data);
        self.raw_tensor(name, kind.number(), shape, offset)
    }

    pub fn raw_tensor(mut self, name: &str, kind: u32, shape: &[u64], offset: u64) -> Self {
        self.tensors.extend(string(name));
        self.tensors.extend((shape.len() as u32).to_le_bytes());
        self.tensors.extend(shape.iter().rev().flat_map(|dim| dim.to_le_bytes()));
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    pub fn build(&self) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.entry_count.to_le_bytes());
        bytes.extend(&self.entries);
        bytes.extend(&self.tensors);
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(&self.data);
        bytes
    }
}

fn read(bytes: &[u8]) -> Result<Header, String> {
    let mut file = tempfile::NamedTempFile::new().expect("temporary files can be made");
    file.write_all(bytes).expect("temporary files can be written");
    let opened = std::fs::File::open(file.path()).expect("the file is there");
    Header::read(&opened, bytes.len() as u64, |key| key != "skipped")
}

fn sound() -> Builder {
    let numbers = [4u32.to_le_bytes().as_slice(), &2u64.to_le_bytes(), &[1, 0, 0, 0, 2, 0, 0, 0]].concat();
    let texts = [8u32.to_le_bytes().as_slice(), &2u64.to_le_bytes(), &string("a"), &string("é")].concat();
    Builder::default()
        .text("general.architecture", "llama")
        .raw("skipped", 9, &texts)
        .raw("numbers", 9, &numbers)
        .raw("texts", 9, &texts)
        .f32("alpha", 8.0)
        .tensor("b", Kind::F32, &[2, 3], &[1; 24])
        .tensor("a", Kind::Q8_0, &[2, 32], &[2; 68])
}

#[test]
fn a_sound_header_is_read() {
    let bytes = sound().build();
    let header = read(&bytes).unwrap();
    assert_eq!(header.text("general.architecture"), Some("llama"));
    assert_eq!(
        (header.number("alpha"), header.number("texts"), header.get("skipped")),
        (Some(8.0), None, None)
    );
    let Some(Value::Array(Array::Scalars(numbers))) = header.get("numbers") else { panic!("no numbers") };
    assert_eq!(numbers.iter().collect::<Vec<_>>(), [Scalar::U32(1), Scalar::U32(2)]);
    assert_eq!(header.get("texts"), Some(&Value::Array(Array::Texts(vec!["a".into(), "é".into()]))));
    let (a, b) = (header.tensor("a").unwrap(), header.tensor("b").unwrap());
    assert_eq!(
        (a.shape(), a.kind.name(), b.shape(), b.kind),
        ([2, 32].as_slice(), "Q8_0", [2, 3].as_slice(), Kind::F32)
    );
    assert!(bytes[a.start as usize..a.end as usize].iter().all(|byte| *byte == 2));
    assert_eq!((a.end - a.start, b.end - b.start, a.end), (68, 24, bytes.len() as u64));
    assert!(header.tensor("c").is_none());
}

#[test]
fn damaged_headers_have_a_reason() {
    let head = |version: u32, tensors: u64, entries: u64| {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend(tensors.to_le_bytes());
        bytes.extend(entries.to_le_bytes());
        bytes.resize(4096, 0);
        bytes
    };
    let array = |kind: u32, count: u64| [kind.to_le_bytes().as_slice(), &count.to_le_bytes()].concat();
    let new = Builder::default;
    for (bytes, expected) in [
        (b"GGU".to_vec(), "cut off"),
        (b"GGML\x03\0\0\0".to_vec(), "not a GGUF"),
        (head(1, 0, 0), "version 1"),
        (head(3u32.swap_bytes(), 0, 0), "big-endian"),
        (head(3, u64::MAX, 0), "tensors"),
        (head(3, 0, u64::MAX), "metadata entries"),
        (new().raw("x", 8, &u64::MAX.to_le_bytes()).build(), "cut off"),
        (new().raw("skipped", 8, &u64::MAX.to_le_bytes()).build(), "cut off"),
        (new().raw("x", 9, &array(4, u64::MAX)).build(), "claims"),
        (new().raw("skipped", 9, &array(12, u64::MAX / 8)).build(), "claims"),
        (new().raw("x", 9, &array(8, 1 << 60)).build(), "claims"),
        (new().raw("x", 9, &array(9, 1)).build(), "array of arrays"),
        (new().raw("x", 77, &[0; 32]).build(), "unknown type 77"),
        (new().text("x", "1").text("x", "2").build(), "twice"),
        (new().raw("general.alignment", 4, &0u32.to_le_bytes()).build(), "alignment"),
        (new().raw("general.alignment", 4, &48u32.to_le_bytes()).build(), "alignment"),
        (new().raw("general.alignment", 8, &string("32")).build(), "alignment"),
        (new().raw_tensor("t", 0, &[], 0).build(), "0 dimensions"),
        (new().raw_tensor("t", 0, &[1; 5], 0).build(), "5 dimensions"),
        (new().raw_tensor("t", 5, &[1], 0).build(), "unknown type 5"),
        (new().raw_tensor("t", 0, &[1], 8).build(), "alignment"),
        (new().raw_tensor("t", 0, &[1 << 40, 1 << 40], 0).build(), "impossible shape"),
        (new().raw_tensor("t", 0, &[1 << 62], 0).build(), "impossible shape"),
        (new().raw_tensor("t", 8, &[2, 16], 0).build(), "impossible shape"),
        (new().raw_tensor("t", 0, &[1], u64::MAX - 31).build(), "impossible offset"),
        (new().raw_tensor("t", 0, &[4], 0).build(), "cut off"),
        (new().tensor("t", Kind::F32, &[4], &[0; 16]).raw_tensor("u", 0, &[1], 0).build(), "overlaps"),
        (
            new().tensor("t", Kind::F32, &[1], &[0; 4]).tensor("t", Kind::F32, &[1], &[0; 4]).build(),
            "`t` twice",
        ),
    ] {
        let found = read(&bytes).expect_err(expected);
        assert!(found.contains(expected), "{expected}: {found}");
    }
    let whole = sound().build();
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length} bytes of {}", whole.len());
    }
}

proptest! {
    #[test]
    fn mutated_headers_never_panic_and_never_point_outside(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = sound().build();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(header) = read(&bytes) {
            prop_assert!(header.tensors.iter().all(|t| t.start <= t.end && t.end <= bytes.len() as u64));
        }
    }
}
