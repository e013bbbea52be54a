//! Parquet, as pyarrow, pandas and the datasets library write it.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;

use super::{BATCH, Columns, FileKind, Take, arrays, classes, pages};
use crate::import::guard::guarded;
use crate::outside::{io_reason, open_regular, read_exact_at};
use crate::text::short;
use crate::{Error, Result};

pub(super) const KIND: FileKind = FileKind {
    name: "parquet",
    help: "Parquet, uncompressed or with snappy or zstd",
    endings: &["parquet", "pq"],
    firsts: &[b"PAR1"],
    text: false,
    untyped: false,
    columns,
    read,
};

/// Longest description of a file at its end.
const MAX_FOOTER: u64 = 256 << 20;
/// What Parquet files begin and end with.
const MAGIC: &[u8; 4] = b"PAR1";

struct Opened {
    file: File,
    length: u64,
    metadata: ArrowReaderMetadata,
}

fn open(path: &Path) -> Result<Opened> {
    let broken = |problem: String| Error::file(path, problem);
    let (file, found) = open_regular(path).map_err(|e| broken(io_reason(&e)))?;
    let length = found.len();
    let truncated = || broken("does not end as a Parquet file does: it is truncated; get it again".into());
    if length == 0 {
        return Err(broken("is empty: it has no rows".into()));
    }
    let mut start = [0; 4];
    let begins = read_exact_at(&file, &mut start, 0).is_ok() && start == *MAGIC;
    if !begins {
        return Err(broken(
            "does not begin as a Parquet file does: it is something else under that name".into(),
        ));
    }
    let mut end = [0; 8];
    let at = length.checked_sub(8).filter(|at| *at >= 4).ok_or_else(truncated)?;
    read_exact_at(&file, &mut end, at).map_err(|e| Error::io(path, e))?;
    let [a, b, c, d, magic @ ..] = end;
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *MAGIC || footer > at - 4 {
        return Err(truncated());
    }
    if footer > MAX_FOOTER {
        return Err(broken(format!("has a description of {footer} bytes: at most {MAX_FOOTER} make sense")));
    }
    crate::memory::check_room(footer * 8).map_err(broken)?;
    let metadata = guarded(|| load(&file)).map_err(broken)?;
    Ok(Opened { file, length, metadata })
}

/// The description of a file, with texts as views of its pages: what is said once and repeated is kept once.
fn load(file: &File) -> std::result::Result<ArrowReaderMetadata, String> {
    let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let found = ArrowReaderMetadata::load(file, plain).map_err(|e| reason(&e))?;
    let fields: Fields = found.schema().fields().iter().map(|field| viewed(field, 0)).collect();
    let schema = Schema::new_with_metadata(fields, found.schema().metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    ArrowReaderMetadata::try_new(found.metadata().clone(), options).map_err(|e| reason(&e))
}

/// A field whose texts are views.
fn viewed(field: &FieldRef, depth: usize) -> FieldRef {
    let of = |field: &FieldRef| viewed(field, depth + 1);
    let kind = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        // Old writers do not say that these are texts; whether they are is looked at cell by cell.
        DataType::Binary => DataType::BinaryView,
        DataType::List(inner) if depth < 32 => DataType::List(of(inner)),
        DataType::Struct(fields) if depth < 32 => DataType::Struct(fields.iter().map(of).collect()),
        _ => return field.clone(),
    };
    Arc::new(Field::new(field.name(), kind, field.is_nullable()).with_metadata(field.metadata().clone()))
}

/// An error of the reader in one sentence.
fn reason(error: &impl ToString) -> String {
    let text = error.to_string();
    let text = ["Parquet error: ", "Parquet argument error: ", "Arrow: ", "EOF: ", "External: "]
        .iter()
        .fold(text, |text, start| text.strip_prefix(start).map(String::from).unwrap_or(text));
    if let Some(rest) = text.strip_prefix("NYI: ") {
        return format!("uses what is not read here ({})", short(rest));
    }
    format!("is damaged ({}): get it again", short(&text))
}

fn columns(path: &Path) -> Result<Columns> {
    let opened = open(path)?;
    let names = opened.metadata.schema().fields().iter().map(|field| field.name().clone()).collect();
    let described = opened.metadata.metadata().file_metadata().key_value_metadata();
    let described = described.into_iter().flatten().find(|entry| entry.key == "huggingface");
    let classes = described.and_then(|entry| entry.value.as_deref()).map(classes).unwrap_or_default();
    Ok(Columns { names, open: false, classes })
}

fn read(path: &Path, wanted: &[String], take: &mut Take<'_>) -> Result<()> {
    let opened = open(path)?;
    let metadata = opened.metadata.metadata().clone();
    // The root columns of the schema that are wanted, in the file's order.
    let fields = opened.metadata.schema().fields();
    let roots: Vec<usize> = (0..fields.len())
        .filter(|&i| wanted.iter().any(|name| fields.get(i).is_some_and(|f| f.name() == name)))
        .collect();
    let mask = ProjectionMask::roots(metadata.file_metadata().schema_descr(), roots.iter().copied());
    let place = |name: &String| roots.iter().position(|&i| fields.get(i).is_some_and(|f| f.name() == name));
    let places: Vec<Option<usize>> = wanted.iter().map(place).collect();
    let mut row = 0u64;
    for group in 0..metadata.num_row_groups() {
        let rows = u64::try_from(metadata.row_group(group).num_rows()).unwrap_or(0);
        let (first, last) = (row + 1, row.saturating_add(rows));
        let broken = |problem: String| {
            Error::file(path, format!("row group {} (rows {first} to {last}): {problem}", group + 1))
        };
        let at_once = group_rows(&opened, &metadata, group, &mask).map_err(broken)?;
        let mut reader = guarded(|| {
            let file = opened.file.try_clone().map_err(|e| io_reason(&e))?;
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, opened.metadata.clone())
                .with_projection(mask.clone())
                .with_row_groups(vec![group])
                .with_batch_size(at_once)
                .build()
                .map_err(|e| reason(&e))
        })
        .map_err(broken)?;
        while let Some(batch) =
            guarded(|| reader.next().transpose().map_err(|e| reason(&e))).map_err(broken)?
        {
            arrays::rows(&batch, (&places, wanted), &mut row, take)?;
        }
        if row != last {
            let found = row - (first - 1);
            return Err(broken(format!(
                "has {found} rows instead of {rows}: it is damaged; get the file again"
            )));
        }
    }
    Ok(())
}

/// Rows of a row group that are read at a time; its pages are looked at for that.
fn group_rows(
    opened: &Opened,
    metadata: &ParquetMetaData,
    group: usize,
    mask: &ProjectionMask,
) -> std::result::Result<usize, String> {
    let mut rows = BATCH as u64;
    for (i, column) in metadata.row_group(group).columns().iter().enumerate() {
        if !mask.leaf_included(i) {
            continue;
        }
        if !matches!(
            column.compression(),
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_)
        ) {
            let name = format!("{:?}", column.compression());
            let name = name.split('(').next().unwrap_or_default();
            return Err(format!(
                "is compressed with {name}, which is not read here: write it with snappy or zstd"
            ));
        }
        let (start, length) = guarded(|| Ok(column.byte_range()))?;
        if start.checked_add(length).is_none_or(|end| end > opened.length) {
            return Err("ends outside the file: it is truncated or damaged; get it again".into());
        }
        rows = rows.min(pages::rows_at_once(&opened.file, start, length)?);
    }
    Ok(usize::try_from(rows).unwrap_or(BATCH).max(1))
}
