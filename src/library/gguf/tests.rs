//! GGUF headers, sound and hostile.

use proptest::prelude::*;

use super::*;

/// Bytes of a file, piece by piece.
#[derive(Clone, Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn header(tensors: u64, entries: u64) -> Self {
        Self(b"GGUF".to_vec()).u32(3).u64(tensors).u64(entries)
    }

    fn u32(mut self, v: u32) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }

    fn u64(mut self, v: u64) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }

    fn text(mut self, text: &str) -> Self {
        self = self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    fn tensor(self, name: &str, dims: &[u64], kind: u32, offset: u64) -> Self {
        let head = self.text(name).u32(dims.len() as u32);
        dims.iter().fold(head, |b, &d| b.u64(d)).u32(kind).u64(offset)
    }

    /// Padded to the data, and `data` bytes of it.
    fn data(mut self, data: usize) -> Self {
        let from = self.0.len().next_multiple_of(32);
        self.0.resize(from, 0);
        self.0.extend((0..data).map(|i| i as u8));
        self
    }
}

fn open(bytes: &[u8]) -> Result<GgufFile> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    GgufFile::open(file.path())
}

#[track_caller]
fn refused(bytes: Bytes, part: &str) {
    let message = open(&bytes.0).unwrap_err().to_string();
    assert!(message.contains(part), "{message}");
}

/// One of each kind of value, a tensor of one row and one of two.
fn sample() -> Bytes {
    Bytes::header(2, 5)
        .text("general.architecture")
        .u32(8)
        .text("llama")
        .text("n")
        .u32(4)
        .u32(7)
        .text("x")
        .u32(6)
        .u32(0.5f32.to_bits())
        .text("words")
        .u32(9)
        .u32(8)
        .u64(3)
        .text("a")
        .text("")
        .text("bc")
        .text("numbers")
        .u32(9)
        .u32(5)
        .u64(2)
        .u32(1)
        .u32((-2i32) as u32)
        .tensor("b", &[4], 0, 0)
        .tensor("a", &[32, 2], 8, 32)
        .data(32 + 68)
}

#[test]
fn values_and_tensors_are_found() {
    let file = open(&sample().0).unwrap();
    assert_eq!(file.text("general.architecture"), Some("llama"));
    assert_eq!(file.scalar("n").unwrap().as_u64(), Some(7));
    assert_eq!(file.scalar("x").unwrap().as_f64(), 0.5);
    assert!(file.text("n").is_none() && file.scalar("words").is_none() && file.get("none").is_none());
    let words: Vec<_> = file.array("words").unwrap().texts().unwrap().collect();
    assert_eq!(words, ["a", "", "bc"]);
    let numbers: Vec<f64> = file.array("numbers").unwrap().numbers().unwrap().map(|n| n.as_f64()).collect();
    assert_eq!(numbers, [1.0, -2.0]);
    assert!(file.array("numbers").unwrap().texts().is_none());

    let names: Vec<&str> = file.tensors().iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let a = file.tensor("a").unwrap();
    assert_eq!((a.shape(), a.kind().name, a.length), (vec![2, 32], "Q8_0", 68));
    let mut bytes = [0; 2];
    file.read_at(a, 34, &mut bytes).unwrap();
    assert_eq!(bytes, [66, 67]);
    assert!(file.read_at(a, 67, &mut bytes).is_err());
}

#[test]
fn damage_is_named() {
    refused(Bytes(b"GG".to_vec()), "was cut off");
    refused(Bytes(b"PK\x03\x04....".to_vec()), "is not a GGUF file");
    refused(Bytes(b"GGUF".to_vec()).u32(1), "version 1, which is too old");
    refused(Bytes(b"GGUF".to_vec()).u32(3u32.swap_bytes()), "big-endian");
    refused(Bytes(b"GGUF".to_vec()).u32(77), "version 77");
    refused(Bytes::header(u64::MAX, 0), "claims 18446744073709551615 tensors");
    refused(Bytes::header(0, u64::MAX), "claims 18446744073709551615 metadata entries");
    refused(Bytes::header(0, 1).u64(u64::MAX), "a metadata key at byte 32 needs 18446744073709551615");
    refused(Bytes::header(0, 1).text("k").u32(99), "value of unknown type 99");
    refused(Bytes::header(0, 1).text("k").u32(9).u32(8).u64(1 << 60), "the array \"k\" at byte");
    refused(Bytes::header(0, 1).text("k").u32(9).u32(4).u64(100), "the array \"k\" at byte");
    refused(Bytes::header(0, 2).text("k").u32(7).u32(1).text("k").u32(7).u32(1), "was cut off or is damaged");
    refused(Bytes::header(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(1), "has \"k\" twice");
    let nested = (0..6).fold(Bytes::header(0, 1).text("k").u32(9), |b, _| b.u32(9).u64(1)).data(64);
    refused(nested, "arrays in arrays");
    for alignment in [0, 48, 1 << 31] {
        let bytes = Bytes::header(0, 1).text("general.alignment").u32(4).u32(alignment);
        refused(bytes, "its alignment cannot be");
    }
    refused(Bytes::header(1, 0).tensor("t", &[1; 5], 0, 0), "claims 5 dimensions");
    refused(Bytes::header(1, 0).tensor("t", &[1 << 40, 1 << 40], 0, 0), "impossible shape");
    refused(Bytes::header(1, 0).tensor("t", &[8], 0, u64::MAX), "impossible place");
    refused(Bytes::header(1, 0).tensor("t", &[8], 0, 0).data(31), "ends at byte");
    refused(Bytes::header(1, 0).tensor("t", &[33], 8, 0).data(99), "needs a multiple of 32");
    let twice = Bytes::header(2, 0).tensor("t", &[1], 0, 0).tensor("t", &[1], 0, 0).data(4);
    refused(twice, "has tensor t twice");
}

#[test]
fn an_unknown_type_is_no_error_until_it_is_read() {
    let file = open(&Bytes::header(1, 0).tensor("t", &[8], 77, 0).data(8).0).unwrap();
    let tensor = file.tensor("t").unwrap();
    assert!(!tensor.kind().is_known());
    assert_eq!(tensor.kind().to_string(), "number 77");
    assert!(file.read_at(tensor, 0, &mut [0; 1]).is_err());
}

proptest! {
    #[test]
    fn no_damage_panics(
        changes in prop::collection::vec((0usize..400, any::<u8>()), 1..6),
        keep in 0usize..420,
    ) {
        let mut bytes = sample().0;
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        bytes.truncate(keep);
        if let Ok(file) = open(&bytes) {
            for tensor in file.tensors() {
                let mut data = vec![0; tensor.length as usize];
                file.read_at(tensor, 0, &mut data).unwrap();
                tensor.shape();
            }
            if let Some(words) = file.array("words") {
                let counted = words.texts().map(|t| t.count()).or(words.numbers().map(|n| n.count()));
                prop_assert_eq!(counted, Some(words.len()));
            }
        }
    }
}
