//! All rows of a file as they stand, for those who know themselves what the columns mean.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::cell::Cell;
use super::kinds::FileKind;
use super::layouts::{self, Piece};
use super::splits::Split;
use crate::{Error, Result};

/// Most rows of a file.
const MOST: usize = 1 << 20;

/// A row: its fields by name, in the order of the columns.
pub type Row = Vec<(String, Value)>;

/// The files of the split of this name in a folder of rows, of a configuration, where one is named: those whose place says
/// the very name, else a word of it, else a split of the same kind.
///
/// # Errors
/// A folder without rows; what is wrong with what describes it.
pub fn files_of(folder: &Path, config: Option<&str>, split: &str) -> Result<Vec<PathBuf>> {
    let configs: Vec<String> = config.map(String::from).into_iter().collect();
    let pieces = layouts::find(folder, &configs)?.pieces;
    let kind = Split::in_name(split);
    let by_name = |rank: usize, piece: &Piece| piece.split_names.get(rank).is_some_and(|name| name == split);
    let by_kind = |piece: &Piece| piece.split.is_some() && piece.split == kind;
    let of = |is: &dyn Fn(&Piece) -> bool| -> Option<Vec<PathBuf>> {
        let files: Vec<PathBuf> =
            pieces.iter().filter(|piece| is(piece)).map(|piece| piece.path.clone()).collect();
        (!files.is_empty()).then_some(files)
    };
    let named = (0..2).find_map(|rank| of(&|piece| by_name(rank, piece)));
    Ok(named.or_else(|| of(&by_kind)).unwrap_or_default())
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
    kind.read(path, &columns, &mut |at, cells| {
        if all.len() == MOST {
            return Err(Error::file(path, format!("has more than {MOST} rows: take a sample of them")));
        }
        let value = |cell: &Cell<'_>| match cell {
            // Nobody may ask for this column.
            Cell::Missing | Cell::Null | Cell::Bad(_) => Value::Null,
            Cell::Text(text) => Value::String(text.to_string()),
            Cell::Value(value) => value.clone(),
        };
        if let Some(Cell::Bad(problem)) =
            cells.first().filter(|_| cells.iter().all(|c| matches!(c, Cell::Bad(_))))
        {
            return Err(Error::file(path, format!("{at}: {problem}")));
        }
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
    fn a_split_is_the_one_of_that_name_before_others_of_its_kind() {
        let place = tempfile::tempdir().unwrap();
        for name in ["dev-00000-of-00001", "validation_matched", "validation_mismatched", "test"] {
            std::fs::write(place.path().join(format!("{name}.jsonl")), "{\"a\": 1}\n").unwrap();
        }
        let of = |split: &str| -> Vec<String> {
            let files = files_of(place.path(), None, split).unwrap();
            let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
            files.iter().map(name).collect()
        };
        assert_eq!(of("dev"), ["dev-00000-of-00001"]);
        assert_eq!(of("validation_matched"), ["validation_matched"]);
        assert_eq!(of("validation"), ["validation_matched", "validation_mismatched"]);
        assert_eq!(of("val").len(), 3);
        assert!(of("train").is_empty() && of("other").is_empty());
    }

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
