//! Reading forward through a file whose end is known.

use std::fs::File;
use std::io::{BufReader, Read};

/// Where reading stands. Nothing beyond `length` is ever asked for.
pub(super) struct Cursor<'a> {
    reader: BufReader<&'a File>,
    at: u64,
    length: u64,
}

/// Keys and names longer than this are no names.
const MAX_NAME: u64 = 1 << 16;

impl<'a> Cursor<'a> {
    /// From the start of the file, which must be its cursor's place.
    pub fn new(file: &'a File, length: u64) -> Self {
        Self { reader: BufReader::with_capacity(1 << 16, file), at: 0, length }
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.length - self.at
    }

    fn claim(&mut self, bytes: u64, what: &str) -> Result<(), String> {
        if bytes > self.left() {
            return Err(format!("was cut off: the file ends inside {}", shown(what)));
        }
        self.at += bytes;
        Ok(())
    }

    /// Fills a buffer.
    pub fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<(), String> {
        self.claim(buffer.len() as u64, what)?;
        self.reader.read_exact(buffer).map_err(|e| format!("cannot be read: {e}"))
    }

    /// This many bytes.
    pub fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>, String> {
        if count > self.left() {
            return Err(format!("was cut off: the file ends inside {}", shown(what)));
        }
        let count = usize::try_from(count).map_err(|_| "is too large for this machine".to_string())?;
        let mut bytes = vec![0; count];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// Passes over this many bytes.
    pub fn skip(&mut self, count: u64, what: &str) -> Result<(), String> {
        self.claim(count, what)?;
        let passed = std::io::copy(&mut self.reader.by_ref().take(count), &mut std::io::sink());
        match passed {
            Ok(passed) if passed == count => Ok(()),
            Ok(_) => Err("was cut off while it was read".into()),
            Err(e) => Err(format!("cannot be read: {e}")),
        }
    }

    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    pub fn u32(&mut self, what: &str) -> Result<u32, String> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &str) -> Result<u64, String> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A key or a tensor's name.
    pub fn string(&mut self, what: &str) -> Result<String, String> {
        let length = self.u64(what)?;
        if length > MAX_NAME {
            return Err(format!("is damaged: {what} claims {length} bytes"));
        }
        let bytes = self.bytes(length, what)?;
        String::from_utf8(bytes).map_err(|_| format!("is damaged: {what} is not UTF-8"))
    }
}

/// At most 120 characters of untrusted text for a message.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}
