//! What the pages of a Parquet file will take, known from their headers before any is unpacked.
//!
//! A header is a struct of Thrift's compact protocol; the fields are those of `PageHeader` in parquet.thrift of
//! Apache's parquet-format: 1 type, 2 uncompressed size, 3 compressed size, 5 data page, 8 data page of version 2.

use std::fs::File;

use crate::outside::read_exact_at;

/// Largest page that is unpacked.
const MAX_PAGE: u64 = 256 << 20;
/// Longest header of a page: it may have the least and the largest value of the page in it.
const MAX_HEADER: u64 = 16 << 20;
/// Bytes in which most headers fit.
const USUAL_HEADER: u64 = 512;
/// Bytes that a batch should have.
const BATCH_BYTES: u64 = 32 << 20;

/// How many rows at a time keep a batch small, given the pages of one column chunk from `start` on, `length` bytes.
///
/// # Errors
/// Headers that are none, pages that are too large or do not fit into the chunk.
pub(super) fn rows_at_once(file: &File, start: u64, length: u64) -> Result<u64, String> {
    let end = start.checked_add(length).ok_or("has a column that ends nowhere")?;
    let (mut at, mut rows) = (start, u64::MAX);
    while at < end {
        let header = header(file, at, end)?;
        if header.unpacked > MAX_PAGE {
            let size = crate::memory::size(header.unpacked);
            return Err(format!(
                "has a page of {size}, at most 268 MB are read: write it with smaller pages"
            ));
        }
        if header.values > 0 {
            let fitting =
                u128::from(header.values) * u128::from(BATCH_BYTES) / u128::from(header.unpacked.max(1));
            rows = rows.min(u64::try_from(fitting).unwrap_or(u64::MAX).max(1));
        }
        at = at
            .checked_add(header.length)
            .and_then(|at| at.checked_add(header.packed))
            .filter(|at| *at <= end)
            .ok_or("has a page that ends outside its column")?;
    }
    Ok(rows)
}

#[derive(Debug, Default, PartialEq)]
struct Header {
    /// Of the header itself, in bytes.
    length: u64,
    packed: u64,
    unpacked: u64,
    /// Of a data page.
    values: u64,
}

fn header(file: &File, at: u64, end: u64) -> Result<Header, String> {
    let mut size = USUAL_HEADER;
    loop {
        let length = size.min(end - at);
        let mut bytes = vec![0; length as usize];
        read_exact_at(file, &mut bytes, at)
            .map_err(|_| "ends within a page: it is truncated; get it again")?;
        match parse(&bytes) {
            Some(header) => return header,
            None if length == end - at || size >= MAX_HEADER => {
                return Err("has a page without a header: it is damaged; get it again".into());
            }
            None => size *= 16,
        }
    }
}

/// `None` where there are too few bytes.
fn parse(bytes: &[u8]) -> Option<Result<Header, String>> {
    let mut thrift = Thrift { bytes, at: 0 };
    let mut header = Header::default();
    let broken = || Some(Err("has a page whose header is none".to_string()));
    let mut id = 0;
    while let Some(field) = thrift.field(&mut id)? {
        match (id, field) {
            (2 | 3, 5) => {
                let Ok(size) = u64::try_from(thrift.integer()?) else { return broken() };
                *(if id == 2 { &mut header.unpacked } else { &mut header.packed }) = size;
            }
            (5 | 8, 12) => {
                let mut inner = 0;
                while let Some(field) = thrift.field(&mut inner)? {
                    match (inner, field) {
                        (1, 5) => header.values = u64::try_from(thrift.integer()?).unwrap_or(0),
                        (_, field) => thrift.skip(field, 0)?,
                    }
                }
            }
            (_, field) => thrift.skip(field, 0)?,
        }
    }
    header.length = thrift.at as u64;
    Some(Ok(header))
}

/// Reads Thrift's compact protocol; every method gives `None` where the bytes end.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A zigzag integer.
    fn integer(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The kind of the next field, whose number goes into `id`; `Some(None)` at the end of a struct.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Some(None);
        }
        *id = match byte >> 4 {
            0 => self.integer()?,
            delta => id.wrapping_add(i64::from(delta)),
        };
        Some(Some(byte & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > 16 {
            return None;
        }
        match kind {
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.unsigned()?),
            7 => self.at = self.at.checked_add(8)?,
            8 => {
                let length = usize::try_from(self.unsigned()?).ok()?;
                self.at = self.at.checked_add(length)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
                for _ in 0..count {
                    // Truth values in lists take a byte each.
                    match head & 0x0f {
                        1 | 2 => drop(self.byte()?),
                        inner => self.skip(inner, depth + 1)?,
                    }
                }
            }
            12 => {
                let mut id = 0;
                while let Some(field) = self.field(&mut id)? {
                    self.skip(field, depth + 1)?;
                }
            }
            _ => return None,
        }
        (self.at <= self.bytes.len()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_skipped() {
        // type 0; 300 bytes unpacked, 100 packed; a data page of 10 values with encodings; the end.
        let bytes = [0x15, 0, 0x15, 0xd8, 4, 0x15, 0xc8, 1, 0x2c, 0x15, 20, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
        let expected = Header { length: bytes.len() as u64, packed: 100, unpacked: 300, values: 10 };
        assert_eq!(parse(&bytes), Some(Ok(expected)));
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), None, "{end}");
        }
        // Sizes below zero.
        assert!(parse(&[0x15, 0, 0x15, 1, 0]).unwrap().is_err());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..40)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            let _ = parse(&bytes);
        }
    }
}
