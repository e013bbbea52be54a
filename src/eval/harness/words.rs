//! Rows as items: a task's templates filled in as `lm_eval/api/task.py` does it.

use serde_json::Value;

use super::config::{Config, Field, Output};
use super::literal;
use crate::import::Row;
use crate::model::template::{Dialect, Input, render_each};
use crate::text::short;
use crate::train::Example;

/// Rows as templates see them.
pub(super) struct Rows<'r> {
    rows: &'r [Row],
    inputs: Vec<Vec<(String, Input)>>,
    /// Names of columns, which a field may be.
    columns: Vec<String>,
}

fn input(value: &Value) -> Input {
    match value {
        Value::Null => Input::None,
        Value::Bool(flag) => Input::Flag(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Input::Int(whole),
            None => Input::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Input::Text(text.clone()),
        Value::Array(items) => Input::List(items.iter().map(input).collect()),
        Value::Object(fields) => {
            Input::Fields(fields.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

/// What is wrong, with the number of the row from 1, where it is one's.
pub(super) type Problem = (Option<usize>, String);

impl<'r> Rows<'r> {
    /// Of rows whose columns are those of `features`.
    pub fn new(rows: &'r [Row], features: &Row) -> Self {
        let one = |row: &Row| row.iter().map(|(name, value)| (name.clone(), input(value))).collect();
        let columns = features.iter().map(|(name, _)| name.clone()).collect();
        Self { rows, inputs: rows.iter().map(one).collect(), columns }
    }

    /// A field's value for every row: of a column as it stands, of a template the text.
    fn values(&self, key: &str, field: &Field) -> Result<Vec<Value>, Problem> {
        let text = match field {
            Field::Value(value) => return Ok(vec![value.clone(); self.rows.len()]),
            Field::Text(text) => text,
        };
        if self.columns.contains(text) {
            let of = |row: &Row| row.iter().find(|(name, _)| name == text).map(|(_, value)| value.clone());
            return Ok(self.rows.iter().map(|row| of(row).unwrap_or_default()).collect());
        }
        let mut values: Vec<Value> = Vec::with_capacity(self.rows.len());
        let each = self.inputs.iter().map(Vec::as_slice);
        let take = &mut |_, text| {
            values.push(Value::String(text));
            Ok(())
        };
        match render_each(text, Dialect::Items, each, take) {
            Ok(()) => Ok(values),
            Err(problem) => {
                let at = Some(values.len() + 1).filter(|_| !self.rows.is_empty());
                Err((at, format!("{key}: the template fails: {}", short(&problem))))
            }
        }
    }

    /// What stands before each row.
    pub fn descriptions(&self, config: &Config) -> Result<Vec<String>, Problem> {
        if config.description.is_empty() {
            return Ok(Vec::new());
        }
        let values = self.values("description", &Field::Text(config.description.clone()))?;
        Ok(values.iter().map(text_of).collect())
    }

    /// The rows as items, and whether their choices are what is asked; `like` says that, where other rows have shown it.
    pub fn items(&self, config: &Config, like: Option<bool>) -> Result<(Vec<Example>, bool), Problem> {
        let has_choices = config.choices.is_some();
        // What a template gives is read, what a column has stays as it is.
        let is_column = |field: &Field| matches!(field, Field::Text(text) if self.columns.contains(text));
        let mut texts = self.values("doc_to_text", &config.text)?;
        if !is_column(&config.text) {
            texts = texts.into_iter().map(|value| numbered(value, has_choices)).collect();
        }
        let mut targets = self.values("doc_to_target", &config.target)?;
        if !is_column(&config.target) {
            targets = targets.into_iter().map(|value| target(value, has_choices)).collect();
        }
        let choices = match &config.choices {
            Some(Field::Value(Value::Object(fields))) => {
                let all = Value::Array(fields.values().cloned().collect());
                Some(vec![all; self.rows.len()])
            }
            Some(field) => Some(self.values("doc_to_choice", field)?),
            None => None,
        };
        let contexts = like.unwrap_or(has_choices && texts.first().is_some_and(|text| index(text).is_some()));
        let mut items = Vec::with_capacity(self.rows.len());
        for (at, (text, target)) in texts.iter().zip(&targets).enumerate() {
            let choices = choices.as_ref().and_then(|all| all.get(at));
            let item = match config.output {
                Output::Choice => chosen(text, target, choices.unwrap_or(&Value::Null), contexts),
                Output::Answer => answered(text, target, choices),
            };
            items.push(item.map_err(|problem| (Some(at + 1), problem))?);
        }
        Ok((items, contexts))
    }
}

/// A text of digits is a number where there are choices.
fn numbered(value: Value, has_choices: bool) -> Value {
    match &value {
        Value::String(text) if has_choices && is_digits(text) => {
            text.parse::<i64>().map_or(value, Value::from)
        }
        _ => value,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The same of what is right, which may be a list too.
fn target(value: Value, has_choices: bool) -> Value {
    let list = value.as_str().filter(|text| text.len() >= 2 && text.starts_with('[') && text.ends_with(']'));
    match list.and_then(literal::parse) {
        Some(list) => list,
        None => numbered(value, has_choices),
    }
}

/// Python's `str` of a value.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        other => other.to_string(),
    }
}

/// A number of a choice.
fn index(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(flag) => Some(i64::from(*flag)),
        value => value.as_i64(),
    }
}

fn texts(choices: &Value) -> Result<Vec<String>, String> {
    let parsed = choices.as_str().and_then(literal::parse);
    let list = parsed.as_ref().unwrap_or(choices).as_array();
    let list = list.ok_or_else(|| "doc_to_choice gives no list".to_string())?;
    let text = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::String(_) => Err("doc_to_choice has an empty choice".to_string()),
        other => {
            Err(format!("doc_to_choice has {}, not a text: put it in quotes", short(&other.to_string())))
        }
    };
    match list.len() {
        0 | 1 => Err(format!("doc_to_choice gives {} choices: two are needed at least", list.len())),
        _ => list.iter().map(text).collect(),
    }
}

/// The number of the right choice.
fn right(value: &Value, choices: &[String]) -> Result<usize, String> {
    let at = match value {
        Value::String(text) => choices.iter().position(|choice| choice == text),
        Value::Array(_) => return Err("has several right choices, which is not understood".into()),
        value => index(value).and_then(|at| usize::try_from(at).ok()).filter(|at| *at < choices.len()),
    };
    at.ok_or_else(|| {
        format!("{} is right, which is none of the {} choices", short(&value.to_string()), choices.len())
    })
}

/// An item of several choices.
fn chosen(text: &Value, target: &Value, choices: &Value, contexts: bool) -> Result<Example, String> {
    let choices = texts(choices)?;
    let (instruction, answer, output) = match contexts {
        true => (String::new(), right(text, &choices)?, text_of(target)),
        false => {
            let instruction = text.as_str().ok_or("doc_to_text gives no text")?.to_string();
            let answer = right(target, &choices)?;
            (instruction, answer, choices.get(answer).cloned().unwrap_or_default())
        }
    };
    if output.is_empty() {
        return Err("doc_to_target is empty: there is nothing to answer".into());
    }
    Ok(Example { instruction, output, choices, answer: Some(answer), ..Example::default() })
}

/// An item that is answered in words.
fn answered(text: &Value, target: &Value, choices: Option<&Value>) -> Result<Example, String> {
    let instruction = text.as_str().ok_or("doc_to_text gives no text")?.to_string();
    let mut right: Vec<String> = match (choices, target) {
        (Some(choices), target) => {
            let choices = texts(choices)?;
            let at = self::right(target, &choices)?;
            choices.get(at).cloned().into_iter().collect()
        }
        (None, Value::Array(several)) => several.iter().map(text_of).collect(),
        (None, one) => vec![text_of(one)],
    };
    if right.is_empty() || right.iter().any(String::is_empty) {
        return Err("doc_to_target is empty: there is nothing to answer".into());
    }
    let output = right.remove(0);
    Ok(Example { instruction, output, references: right, ..Example::default() })
}
