//! All rows of a file as they stand, for those who know themselves what the columns mean.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::cell::Cell;
use super::kinds::FileKind;
use super::layouts;
use super::splits::Split;
use crate::{Error, Result};

/// Most rows of a file.
const MOST: usize = 1 << 20;

/// A row: its fields by name, in the order of the columns.
pub type Row = Vec<(String, Value)>;

/// The files of a folder of rows with the splits that their places say, of a configuration, where one is named.
///
/// # Errors
/// A folder without rows; what is wrong with what describes it.
pub fn files_of(folder: &Path, config: Option<&str>) -> Result<Vec<(Option<Split>, PathBuf)>> {
    let configs: Vec<String> = config.map(String::from).into_iter().collect();
    let found = layouts::find(folder, &configs)?;
    Ok(found.pieces.into_iter().map(|piece| (piece.split, piece.path)).collect())
}

/// All rows of a file. Fields that a row lacks are null; texts of a table without types are numbers, as pandas has it,
/// where all of their column are.
///
/// # Errors
/// What is wrong with the file; more rows than are read at once.
pub fn rows(path: &Path) -> Result<Vec<Row>> {
    let kind = FileKind::of(path)?;
    let columns = kind.columns(path)?.names;
    let mut all: Vec<Row> = Vec::new();
    kind.read(path, &columns, &mut |_, cells| {
        if all.len() == MOST {
            return Err(Error::file(path, format!("has more than {MOST} rows: take a sample of them")));
        }
        let value = |cell: &Cell<'_>| match cell {
            Cell::Missing | Cell::Null => Value::Null,
            Cell::Text(text) => Value::String(text.to_string()),
            Cell::Value(value) => value.clone(),
        };
        all.push(columns.iter().cloned().zip(cells.iter().map(value)).collect());
        Ok(())
    })?;
    if all.is_empty() {
        return Err(Error::file(path, "has no rows"));
    }
    if kind.untyped {
        (0..columns.len()).for_each(|column| typed(&mut all, column));
    }
    Ok(all)
}

/// Makes numbers of a column of texts that are numbers.
fn typed(rows: &mut [Row], column: usize) {
    let parsed: Option<Vec<Value>> = rows
        .iter()
        .map(|row| {
            let text = row.get(column)?.1.as_str()?.trim();
            let whole = text.parse::<i64>().ok().map(Value::from);
            whole.or_else(|| {
                let float = text.parse::<f64>().ok().filter(|_| !text.contains(char::is_alphabetic));
                float.map(Value::from)
            })
        })
        .collect();
    let Some(parsed) = parsed else { return };
    let all_whole = parsed.iter().all(Value::is_i64);
    for (row, value) in rows.iter_mut().zip(parsed) {
        if let Some(field) = row.get_mut(column) {
            field.1 = if all_whole { value } else { value.as_f64().map_or(Value::Null, Value::from) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_numbers_are_numbers() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.csv");
        std::fs::write(&path, "q,label,half,mixed\nx,0,1,1\ny,12,2.5,a\n").unwrap();
        let rows = rows(&path).unwrap();
        let values: Vec<&Value> = rows[0].iter().map(|(_, value)| value).collect();
        assert_eq!(serde_json::json!(values), serde_json::json!(["x", 0, 1.0, "1"]));
        let path = place.path().join("a.jsonl");
        std::fs::write(&path, "{\"a\": {\"b\": [1, \"x\"]}}\n{\"c\": null}\n").unwrap();
        let rows = super::rows(&path).unwrap();
        assert_eq!(serde_json::json!(rows[0]), serde_json::json!([["a", {"b": [1, "x"]}], ["c", null]]));
        assert_eq!(rows[1][0].1, Value::Null);
    }
}
