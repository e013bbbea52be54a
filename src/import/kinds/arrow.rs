//! Arrow's IPC format, as `save_to_disk` of the datasets library and pyarrow write it: a stream, or a file around one.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use arrow_ipc::reader::StreamReader;
use arrow_ipc::{CompressionType, RecordBatch as BatchHeader, root_as_message};

use super::{Columns, FileKind, Take, arrays, classes};
use crate::import::guard::guarded;
use crate::outside::{io_reason, open_regular, read_exact_at};
use crate::text::short;
use crate::{Error, Result};

pub(super) const KIND: FileKind = FileKind {
    name: "arrow",
    help: "Arrow IPC, stream or file, uncompressed or with zstd",
    endings: &["arrow", "feather", "ipc"],
    firsts: &[MAGIC],
    text: false,
    untyped: false,
    columns,
    read,
};

/// What the file format has before its stream, padded to eight bytes.
const MAGIC: &[u8] = b"ARROW1";
/// Longest description of a batch.
const MAX_DESCRIPTION: u64 = 64 << 20;
/// Largest batch, unpacked.
const MAX_BATCH: u64 = 1 << 30;
/// Stands before the length of each description.
const CONTINUES: u32 = u32::MAX;

type Reader = StreamReader<BufReader<File>>;

fn open(path: &Path) -> Result<Reader> {
    let broken = |problem: String| Error::file(path, problem);
    let (mut file, found) = open_regular(path).map_err(|e| broken(io_reason(&e)))?;
    let mut first = [0; 8];
    let start = match read_exact_at(&file, &mut first, 0) {
        Ok(()) if first.starts_with(MAGIC) => 8,
        Ok(()) => 0,
        Err(_) => return Err(broken("is too short for an Arrow file: get it again".into())),
    };
    look(&file, start, found.len()).map_err(broken)?;
    file.seek(SeekFrom::Start(start)).map_err(|e| Error::io(path, e))?;
    guarded(|| StreamReader::try_new(BufReader::new(file), None).map_err(|e| reason(&e))).map_err(broken)
}

/// Looks at the descriptions of all batches: whether they fit into the file and, unpacked, into memory.
fn look(file: &File, start: u64, length: u64) -> std::result::Result<(), String> {
    const TRUNCATED: &str = "ends within a batch: it is truncated; get it again";
    let (mut at, mut batches) = (start, 0u64);
    let number = |at: u64| -> Option<u32> {
        let mut bytes = [0; 4];
        read_exact_at(file, &mut bytes, at).ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    while at < length {
        let mut size = number(at).ok_or(TRUNCATED)?;
        at += 4;
        if size == CONTINUES {
            size = number(at).ok_or(TRUNCATED)?;
            at += 4;
        }
        let size = u64::from(size);
        // The end of the stream; in a file, more comes after it.
        if size == 0 {
            return Ok(());
        }
        if size > MAX_DESCRIPTION || at + size > length {
            return Err(if batches == 0 {
                "is no Arrow file, or damaged: get it again".into()
            } else {
                TRUNCATED.into()
            });
        }
        let mut bytes = vec![0; size as usize];
        read_exact_at(file, &mut bytes, at).map_err(|e| io_reason(&e))?;
        at += size;
        let body = guarded(|| {
            let message = root_as_message(&bytes)
                .map_err(|_| "is no Arrow file, or damaged: get it again".to_string())?;
            let body =
                u64::try_from(message.bodyLength()).map_err(|_| "has a batch of no length".to_string())?;
            if at.checked_add(body).is_none_or(|end| end > length) {
                return Err(TRUNCATED.into());
            }
            let header = message
                .header_as_record_batch()
                .or_else(|| message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()));
            let unpacked = header.map_or(Ok(body), |header| unpacked(file, at, body, &header))?;
            let size = crate::memory::size(unpacked);
            if unpacked > MAX_BATCH {
                return Err(format!(
                    "batch {}: has {size}, at most 1.1 GB are read: write smaller batches",
                    batches + 1
                ));
            }
            crate::memory::check_room(unpacked).map_err(|why| format!("batch {}: {why}", batches + 1))?;
            Ok(body)
        })?;
        at += body;
        batches += 1;
    }
    Ok(())
}

/// Bytes of a batch when it is unpacked, by what its compressed buffers begin with.
fn unpacked(
    file: &File,
    start: u64,
    body: u64,
    header: &BatchHeader<'_>,
) -> std::result::Result<u64, String> {
    let Some(compression) = header.compression() else { return Ok(body) };
    if compression.codec() != CompressionType::ZSTD {
        return Err(
            "is compressed with LZ4, which is not read here: write it with zstd or uncompressed".into()
        );
    }
    let mut total = 0u64;
    for buffer in header.buffers().into_iter().flatten() {
        let place = u64::try_from(buffer.offset()).ok().zip(u64::try_from(buffer.length()).ok());
        let (offset, length) = place
            .filter(|(offset, length)| offset.checked_add(*length).is_some_and(|end| end <= body))
            .ok_or("has a batch whose parts lie outside it: it is damaged; get it again")?;
        if length < 8 {
            continue;
        }
        let mut bytes = [0; 8];
        read_exact_at(file, &mut bytes, start + offset).map_err(|e| io_reason(&e))?;
        // -1 says that it is not compressed.
        let size = u64::try_from(i64::from_le_bytes(bytes)).unwrap_or(length);
        total = total.saturating_add(size);
    }
    Ok(total)
}

/// An error of the reader in one sentence.
fn reason(error: &arrow_schema::ArrowError) -> String {
    let text = error.to_string();
    let text = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
    format!("is damaged ({}): get it again", short(text))
}

fn columns(path: &Path) -> Result<Columns> {
    let reader = open(path)?;
    let schema = reader.schema();
    let names = schema.fields().iter().map(|field| field.name().clone()).collect();
    let classes = schema.metadata().get("huggingface").map(|text| classes(text)).unwrap_or_default();
    Ok(Columns { names, open: false, classes })
}

fn read(path: &Path, wanted: &[String], take: &mut Take<'_>) -> Result<()> {
    let mut reader = open(path)?;
    let schema = reader.schema();
    let places: Vec<Option<usize>> =
        wanted.iter().map(|name| schema.fields().iter().position(|field| field.name() == name)).collect();
    let mut row = 0u64;
    while let Some(batch) = guarded(|| reader.next().transpose().map_err(|e| reason(&e)))
        .map_err(|problem| Error::file(path, format!("after row {row}: {problem}")))?
    {
        arrays::rows(&batch, (&places, wanted), &mut row, take)?;
    }
    Ok(())
}
