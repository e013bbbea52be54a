//! Cells of arrow's arrays.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use serde_json::{Map, Number, Value};

use super::Take;
use crate::Result;
use crate::import::cell::{At, Cell, scalar};
use crate::text::short;

/// Deepest nesting of lists and objects in a cell.
const MAX_DEPTH: usize = 16;
/// Most values in the lists of one cell.
const MAX_VALUES: usize = 100_000;

/// Takes the rows of a batch, for the columns at `places`, whose names are `wanted`. They follow `row` of the file, which
/// counts on.
///
/// # Errors
/// Those of `take`.
pub(super) fn rows(
    batch: &RecordBatch,
    (places, wanted): (&[Option<usize>], &[String]),
    row: &mut u64,
    take: &mut Take<'_>,
) -> Result<()> {
    let mut into = Vec::with_capacity(places.len());
    for i in 0..batch.num_rows() {
        *row += 1;
        cells(batch, (places, wanted), i, &mut into);
        take(At::Row(*row), &mut into)?;
    }
    Ok(())
}

/// The cells of one row of a batch, for the columns of these names at `places`.
fn cells<'a>(
    batch: &'a RecordBatch,
    (places, names): (&[Option<usize>], &[String]),
    row: usize,
    into: &mut Vec<Cell<'a>>,
) {
    into.clear();
    for (place, name) in places.iter().zip(names) {
        into.push(match place {
            Some(place) => cell(batch.column(*place).as_ref(), row)
                .unwrap_or_else(|problem| Cell::Bad(format!("\"{}\" {problem}", short(name)))),
            None => Cell::Missing,
        });
    }
}

fn cell(array: &dyn Array, row: usize) -> Result<Cell<'_>, String> {
    if array.is_null(row) {
        return Ok(Cell::Null);
    }
    Ok(match array.data_type() {
        DataType::Utf8View => Cell::Text(Cow::Borrowed(array.as_string_view().value(row))),
        DataType::Utf8 => Cell::Text(Cow::Borrowed(array.as_string::<i32>().value(row))),
        DataType::LargeUtf8 => Cell::Text(Cow::Borrowed(array.as_string::<i64>().value(row))),
        DataType::BinaryView => Cell::Text(Cow::Borrowed(text(array.as_binary_view().value(row))?)),
        DataType::Binary => Cell::Text(Cow::Borrowed(text(array.as_binary::<i32>().value(row))?)),
        DataType::LargeBinary => Cell::Text(Cow::Borrowed(text(array.as_binary::<i64>().value(row))?)),
        _ => {
            let mut left = MAX_VALUES;
            Cell::of(value(array, row, 0, &mut left)?)
        }
    })
}

/// Bytes that nothing marks as a text.
fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "has bytes that are no text in UTF-8: write it as a text".into())
}

macro_rules! key {
    ($array:expr, $row:expr, $type:expr, $($kind:ident => $arrow:ty),+) => {
        match $type {
            $(DataType::$kind => {
                let typed = $array.as_dictionary::<$arrow>();
                typed.key($row).map(|key| (typed.values(), key))
            })+
            _ => None,
        }
    };
}

fn value(array: &dyn Array, row: usize, depth: usize, left: &mut usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("is nested more than {MAX_DEPTH} deep"));
    }
    *left = left.checked_sub(1).ok_or_else(|| format!("has more than {MAX_VALUES} values"))?;
    if row >= array.len() || array.is_null(row) {
        return Ok(Value::Null);
    }
    let list = |inner: &dyn Array, left: &mut usize| -> Result<Value, String> {
        (0..inner.len())
            .map(|i| value(inner, i, depth + 1, left))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array)
    };
    Ok(match array.data_type() {
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::BinaryView => text(array.as_binary_view().value(row))?.into(),
        DataType::Binary => text(array.as_binary::<i32>().value(row))?.into(),
        DataType::LargeBinary => text(array.as_binary::<i64>().value(row))?.into(),
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => float(widened(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref(), left)?,
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row).as_ref(), left)?,
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row).as_ref(), left)?,
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let mut map = Map::new();
            for (i, field) in fields.iter().enumerate() {
                map.insert(field.name().clone(), value(columns.column(i).as_ref(), row, depth + 1, left)?);
            }
            Value::Object(map)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let mut map = Map::new();
            for i in 0..entries.len() {
                let key = value(keys.as_ref(), i, depth + 1, left)?;
                let key = scalar(&key).ok_or("has a key that is no text")?;
                let twice = format!("has the key \"{}\" twice: which one is meant is not clear", short(&key));
                if map.insert(key, value(values.as_ref(), i, depth + 1, left)?).is_some() {
                    return Err(twice);
                }
            }
            Value::Object(map)
        }
        DataType::Dictionary(keys, _) => {
            let found = key!(array, row, keys.as_ref(), Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type,
                Int64 => Int64Type, UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type, UInt64 => UInt64Type);
            let found = found.and_then(|(values, key)| Some((values, to_index(&key)?)));
            match found {
                Some((values, key)) => value(values.as_ref(), key, depth + 1, left)?,
                None => return Err("has a key that stands for nothing".into()),
            }
        }
        DataType::Null => Value::Null,
        other => return Err(format!("is of the type {other}, not a text: write it as a text")),
    })
}

/// A key of a dictionary as an index.
fn to_index(key: &impl ToString) -> Option<usize> {
    key.to_string().parse().ok()
}

/// Infinities and what is no number are null, as in JSON.
fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The number that is written alike: 3.8, not 3.799999952316284.
fn widened(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{MapBuilder, StringBuilder};
    use arrow_array::{Float32Array, Float64Array};

    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_in_other_kinds_of_files() {
        let columns: [(&str, Arc<dyn Array>); 2] = [
            ("single", Arc::new(Float32Array::from(vec![3.8f32, 0.0, -1e30, f32::NAN, 16_777_216.0]))),
            ("double", Arc::new(Float64Array::from(vec![3.8, 0.0, -1e30, f64::INFINITY, 16_777_216.0]))),
        ];
        for (name, column) in columns {
            let texts: Vec<Option<String>> = (0..column.len())
                .map(|row| cell(&column, row).unwrap().scalar().map(Cow::into_owned))
                .collect();
            let json = ["3.8", "0.0", "-1e30", "null", "16777216.0"];
            let expected: Vec<Option<String>> = json
                .iter()
                .map(|json| Cell::of(serde_json::from_str(json).unwrap()).scalar().map(Cow::into_owned))
                .collect();
            assert_eq!(texts, expected, "{name}");
            assert_eq!((texts[0].as_deref(), texts[1].as_deref()), (Some("3.8"), Some("0")));
        }
    }

    #[test]
    fn maps_are_objects() {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for keys in [["A", "B"], ["A", "A"]] {
            for key in keys {
                maps.keys().append_value(key);
                maps.values().append_value(key.to_lowercase());
            }
            maps.append(true).unwrap();
        }
        let maps = maps.finish();
        assert_eq!(cell(&maps, 0).unwrap(), Cell::Value(serde_json::json!({"A": "a", "B": "b"})));
        assert!(cell(&maps, 1).unwrap_err().contains("the key \"A\" twice"));
    }
}
