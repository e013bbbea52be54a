//! Inner products on disk.
//!
//! A file has the products of some new rows with each other and with rows that were known before: a library that
//! grows by an expert gets a file with one row, and nothing that is there is written again. Little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `LTPROD01` |
//! | 4, 4 | rows that were known before, new rows |
//! | 24 each | of every row, the old ones first: its key (16), threshold (f32, NaN: none), exponents of A and B (i16) |
//! | 32 | SHA-256 of all that: what follows need not be read to trust it |
//! | 8 each | of every new row: its products with all rows up to itself (f64) |
//! | 32 | SHA-256 of the whole |

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::analysis::cache::{CHECKSUM, CacheFolder};
use crate::analysis::weights::Scan;
use crate::outside::{hex, own};

/// What an expert's inner products follow from: its weights, and how they are read and multiplied.
pub(in crate::analysis) type RowKey = [u8; 16];

const MAGIC: &[u8; 8] = b"LTPROD01";
const HEADER: usize = 16;
const RECORD: usize = 24;
/// A library of this many experts has other limits.
const MOST_ROWS: usize = 1 << 17;
/// Matrices larger than this are not kept.
const MOST_BYTES: u64 = 768 << 20;
/// So many files are made one.
const MANY: usize = 8;

/// A row of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::analysis) struct Record {
    pub key: RowKey,
    pub scan: Scan,
}

/// A file of inner products, of which the keys have been read.
#[derive(Debug)]
pub(in crate::analysis) struct Segment {
    name: String,
    path: PathBuf,
    pub old: usize,
    pub records: Vec<Record>,
}

/// The number of values of `new` rows after `old` ones.
fn values(old: usize, new: usize) -> u64 {
    let up_to = |n: usize| n as u64 * (n as u64 + 1) / 2;
    up_to(old + new) - up_to(old)
}

/// Where the values of a file with so many rows begin.
fn values_at(rows: usize) -> u64 {
    (HEADER + RECORD * rows + CHECKSUM) as u64
}

impl Segment {
    /// The files of products of this kind, newest first.
    pub fn all(folder: &CacheFolder, kind: &str) -> Vec<Self> {
        folder.names(&format!("{kind}-")).into_iter().filter_map(|name| Self::open(folder, name)).collect()
    }

    fn open(folder: &CacheFolder, name: String) -> Option<Self> {
        let path = folder.there()?.join(&name);
        let file = own::open(&path).ok()??;
        let metadata = file.metadata().ok()?;
        let mut reader = BufReader::new(file);
        let mut header = [0u8; HEADER];
        reader.read_exact(&mut header).ok()?;
        let count = |at: usize| {
            let bytes: [u8; 4] = header[at..at + 4].try_into().ok()?;
            Some(u32::from_le_bytes(bytes) as usize).filter(|count| *count <= MOST_ROWS)
        };
        let (old, new) = (count(8)?, count(12)?);
        let length = values_at(old + new) + 8 * values(old, new) + CHECKSUM as u64;
        if &header[..8] != MAGIC || metadata.len() != length {
            return None;
        }
        let mut bytes = vec![0u8; RECORD * (old + new)];
        reader.read_exact(&mut bytes).ok()?;
        let mut sum = [0u8; CHECKSUM];
        reader.read_exact(&mut sum).ok()?;
        if Sha256::new_with_prefix(header).chain_update(&bytes).finalize()[..] != sum {
            return None;
        }
        let records = bytes.as_chunks::<RECORD>().0.iter().map(record).collect::<Option<Vec<_>>>()?;
        Some(Self { name, path, old, records })
    }

    /// How many pairs it knows.
    pub fn known_pairs(&self) -> u64 {
        values(self.old, self.records.len() - self.old)
    }

    /// Calls `each` with every new row's number and its products with the rows up to itself, unless the file is
    /// damaged: that is known before the first call.
    pub fn read(&self, each: &mut dyn FnMut(usize, &[f64])) -> io::Result<()> {
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let mut file = own::open(&self.path).ok().flatten().ok_or_else(damaged)?;
        let mut rest = file.metadata()?.len().checked_sub(CHECKSUM as u64).ok_or_else(damaged)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0u8; 1 << 18];
        while rest > 0 {
            let part = &mut buffer[..rest.min(1 << 18) as usize];
            file.read_exact(part)?;
            hash.update(&*part);
            rest -= part.len() as u64;
        }
        let mut expected = [0u8; CHECKSUM];
        file.read_exact(&mut expected)?;
        if hash.finalize()[..] != expected {
            return Err(damaged());
        }
        let all = self.records.len();
        file.seek(SeekFrom::Start(values_at(all)))?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let (mut bytes, mut row) = (Vec::new(), Vec::new());
        for position in self.old..all {
            bytes.resize(8 * (position + 1), 0);
            reader.read_exact(&mut bytes)?;
            row.clear();
            row.extend(bytes.as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes)));
            // Who forges a file can forge its checksum, too.
            if !row.iter().all(|value| value.is_finite()) {
                return Err(damaged());
            }
            each(position, &row);
        }
        Ok(())
    }

    /// Removes a file that turned out to be damaged.
    pub fn discard(&self, folder: &CacheFolder) {
        folder.remove(&self.name);
    }
}

/// `None` where the exponents are none that weights have.
fn record(bytes: &[u8; RECORD]) -> Option<Record> {
    let threshold = f32::from_le_bytes(bytes[16..20].try_into().ok()?);
    let exponent = |at: usize| {
        let exponent = i16::from_le_bytes(bytes[at..at + 2].try_into().ok()?);
        (-126..=126).contains(&exponent).then_some(i32::from(exponent))
    };
    Some(Record {
        key: bytes[..16].try_into().ok()?,
        scan: Scan {
            exponent_a: exponent(20)?,
            exponent_b: exponent(22)?,
            threshold: (!threshold.is_nan()).then_some(threshold),
        },
    })
}

/// Keeps the inner products of all rows but the `old` first with each other and with these, or of all, in one file, where
/// many files have come together. `records` are those of all rows, `value` gives the product of two.
pub(super) fn keep(
    folder: &CacheFolder,
    kind: &str,
    records: &[Record],
    old: usize,
    value: &dyn Fn(usize, usize) -> f64,
    known: &[&Segment],
) {
    let together = known.len() + 1 >= MANY;
    let old = if together { 0 } else { old };
    let all = records.len();
    if all > MOST_ROWS || 8 * values(old, all - old) > MOST_BYTES {
        return;
    }
    let mut name = Sha256::new();
    records.iter().for_each(|record| name.update(record.key));
    name.update((old as u64).to_le_bytes());
    let name = format!("{kind}-{}", hex(&name.finalize()[..16]));
    let written = folder.write_with(&name, |to| {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((old as u32).to_le_bytes());
        bytes.extend(((all - old) as u32).to_le_bytes());
        for Record { key, scan } in records {
            bytes.extend(key);
            bytes.extend(scan.threshold.unwrap_or(f32::NAN).to_le_bytes());
            bytes.extend((scan.exponent_a as i16).to_le_bytes());
            bytes.extend((scan.exponent_b as i16).to_le_bytes());
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum);
        to.write_all(&bytes)?;
        for row in old..all {
            bytes.clear();
            bytes.extend((0..=row).flat_map(|column| value(row, column).to_le_bytes()));
            to.write_all(&bytes)?;
        }
        Ok(())
    });
    if written && together {
        known.iter().filter(|segment| segment.name != name).for_each(|segment| folder.remove(&segment.name));
    }
}
