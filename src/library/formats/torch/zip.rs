//! The little of ZIP that PyTorch's files use: where each stored entry lies. Nothing is ever unpacked, so
//! that no entry can be larger than the file.

use std::fs::File;

use crate::outside::read_exact_at;
use crate::text::short;

/// An entry's bytes in the file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: String,
    pub start: u64,
    pub end: u64,
}

const END: &[u8; 4] = b"PK\x05\x06";
const END_64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR_64: &[u8; 4] = b"PK\x06\x07";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const END_SIZE: usize = 22;
const CENTRAL_SIZE: usize = 46;
const LOCAL_SIZE: usize = 30;
/// A hundred bytes for each of some ten thousand tensors are a million.
const MAX_DIRECTORY: u64 = 64 << 20;
/// No path inside such a file is longer.
const MAX_NAME: usize = 1024;

/// The entries of a file of `length` bytes, sorted by name. The error is a reason without the file's name.
pub(super) fn read_entries(file: &File, length: u64) -> Result<Vec<Entry>, String> {
    let Directory { start, end, count } = find_directory(file, length)?;
    if end.saturating_sub(start) > MAX_DIRECTORY {
        return Err(damaged(&format!("claims a directory of {} bytes", end.saturating_sub(start))));
    }
    let bytes = read(file, start, end - start)?;
    if count > bytes.len() as u64 / CENTRAL_SIZE as u64 {
        return Err(damaged("claims more entries than its directory has room for"));
    }
    // Fits: bounded by the directory's size.
    let mut entries = Vec::with_capacity(count as usize);
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (entry, after) = read_entry(file, rest, start)?;
        entries.push(entry);
        rest = after;
    }
    if entries.len() as u64 != count {
        return Err(damaged("has another number of entries than it says"));
    }
    check(&mut entries)?;
    Ok(entries)
}

/// The entry of this name.
pub(super) fn find<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    let at = entries.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok()?;
    entries.get(at)
}

fn check(entries: &mut [Entry]) -> Result<(), String> {
    entries.sort_unstable_by_key(|entry| (entry.start, entry.end));
    if entries.windows(2).any(|pair| matches!(pair, [x, y] if x.end > y.start)) {
        return Err(damaged("has entries that overlap"));
    }
    entries.sort_unstable_by(|x, y| x.name.cmp(&y.name));
    match entries.windows(2).find(|pair| matches!(pair, [x, y] if x.name == y.name)) {
        Some([twice, _]) => Err(damaged(&format!("has `{}` twice", short(&twice.name)))),
        _ => Ok(()),
    }
}

fn damaged(what: &str) -> String {
    format!("is a damaged PyTorch file: it {what}")
}

fn read(file: &File, start: u64, length: u64) -> Result<Vec<u8>, String> {
    let size = usize::try_from(length).map_err(|_| "is too large for this machine".to_string())?;
    let mut bytes = vec![0; size];
    read_exact_at(file, &mut bytes, start).map_err(|e| format!("cannot be read: {e}"))?;
    Ok(bytes)
}

struct Directory {
    start: u64,
    end: u64,
    count: u64,
}

/// Finds the directory by the record that ends the file.
fn find_directory(file: &File, length: u64) -> Result<Directory, String> {
    let cut_off = || "was cut off: the PyTorch file has no end".to_string();
    let tail = length.min(END_SIZE as u64 + u64::from(u16::MAX));
    let bytes = read(file, length - tail, tail)?;
    let at = bytes.windows(END_SIZE).rposition(|w| w.starts_with(END)).ok_or_else(cut_off)?;
    let record = bytes.get(at..).unwrap_or_default();
    let end_at = length - tail + at as u64;
    let mut directory = Directory {
        count: u64::from(u16_at(record, 10)?),
        end: u64::from(u32_at(record, 12)?),
        start: u64::from(u32_at(record, 16)?),
    };
    let mut limit = end_at;
    // PyTorch writes the larger records always, other writers when the numbers do not fit.
    if let Some(locator_at) = end_at.checked_sub(20) {
        let locator = read(file, locator_at, 20)?;
        if locator.starts_with(LOCATOR_64) {
            let at = u64_at(&locator, 8)?;
            if at.checked_add(56).is_none_or(|end| end > locator_at) {
                return Err(damaged("has a directory outside itself"));
            }
            let record = read(file, at, 56)?;
            if !record.starts_with(END_64) {
                return Err(damaged("has no directory where it says"));
            }
            directory = Directory {
                count: u64_at(&record, 32)?,
                end: u64_at(&record, 40)?,
                start: u64_at(&record, 48)?,
            };
            limit = at;
        }
    }
    let size = directory.end;
    directory.end =
        directory.start.checked_add(size).ok_or_else(|| damaged("has a directory outside itself"))?;
    if directory.end > limit {
        return Err(damaged("has a directory outside itself"));
    }
    Ok(directory)
}

/// One record of the directory, and what follows it. Data lies before `limit`.
fn read_entry<'a>(file: &File, record: &'a [u8], limit: u64) -> Result<(Entry, &'a [u8]), String> {
    if !record.starts_with(CENTRAL) {
        return Err(damaged("has a broken directory"));
    }
    let (flags, method) = (u16_at(record, 8)?, u16_at(record, 10)?);
    let (mut packed, mut size) = (u64::from(u32_at(record, 20)?), u64::from(u32_at(record, 24)?));
    let lengths = [u16_at(record, 28)?, u16_at(record, 30)?, u16_at(record, 32)?].map(usize::from);
    let [name_length, extra_length, comment_length] = lengths;
    let mut offset = u64::from(u32_at(record, 42)?);
    let broken = || damaged("has a broken directory");
    let name = record.get(CENTRAL_SIZE..CENTRAL_SIZE + name_length).ok_or_else(broken)?;
    let extra_at = CENTRAL_SIZE + name_length;
    let extra = record.get(extra_at..extra_at + extra_length).ok_or_else(broken)?;
    let rest = record.get(extra_at + extra_length + comment_length..).ok_or_else(broken)?;
    let name = std::str::from_utf8(name).map_err(|_| damaged("has a name that is not UTF-8"))?;
    check_name(name)?;
    if flags & 1 != 0 {
        return Err(format!("is encrypted (`{}`): save the adapter again as safetensors", short(name)));
    }
    large(extra, [&mut size, &mut packed, &mut offset])?;
    if method != 0 || packed != size {
        return Err(format!(
            "has compressed data (`{}`), which PyTorch does not write: save the adapter again",
            short(name)
        ));
    }
    let header = offset.checked_add((LOCAL_SIZE + name_length) as u64).filter(|end| *end <= limit);
    header.ok_or_else(|| damaged("has an entry outside itself"))?;
    let local = read(file, offset, (LOCAL_SIZE + name_length) as u64)?;
    let same = local.starts_with(LOCAL)
        && usize::from(u16_at(&local, 26)?) == name_length
        && local.get(LOCAL_SIZE..) == Some(name.as_bytes());
    if !same {
        return Err(damaged(&format!("has no `{}` where its directory says", short(name))));
    }
    let before = (LOCAL_SIZE + name_length) as u64 + u64::from(u16_at(&local, 28)?);
    let start = offset.checked_add(before);
    let end = start.and_then(|start| start.checked_add(size)).filter(|end| *end <= limit);
    match (start, end) {
        (Some(start), Some(end)) => Ok((Entry { name: name.to_string(), start, end }, rest)),
        _ => Err(damaged(&format!("has `{}` reach outside itself", short(name)))),
    }
}

/// Names are only compared, never opened; but such a file was not written by PyTorch.
fn check_name(name: &str) -> Result<(), String> {
    let strange = name.len() > MAX_NAME
        || name.is_empty()
        || name.contains(['\\', '\0', ':'])
        || name.split('/').any(|part| matches!(part, "" | "." | ".."));
    match strange {
        true => Err(damaged(&format!("has an entry with the strange name `{}`", short(name)))),
        false => Ok(()),
    }
}

/// Takes the numbers that did not fit 32 bits from the extra field, in the format's order.
fn large(mut extra: &[u8], numbers: [&mut u64; 3]) -> Result<(), String> {
    let broken = || damaged("has a broken directory");
    while extra.len() >= 4 {
        let (kind, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let field = extra.get(4..4 + length).ok_or_else(broken)?;
        if kind == 1 {
            let mut at = 0;
            for number in numbers {
                if *number == u64::from(u32::MAX) {
                    *number = u64_at(field, at)?;
                    at += 8;
                }
            }
            return Ok(());
        }
        extra = extra.get(4 + length..).unwrap_or_default();
    }
    Ok(())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or_else(|| damaged("has a broken directory"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, String> {
    array(bytes, at).map(u64::from_le_bytes)
}
