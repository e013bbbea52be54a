//! One example, as a line of JSON says it.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::{counted, short};

/// One example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// What is asked.
    pub instruction: String,
    /// What it is asked about.
    #[serde(default)]
    pub input: String,
    /// The right answer.
    pub output: String,
    /// Further right answers: the best one counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The options of a multiple choice; none where the task's apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Which of the choices is right, from 0; known where there are choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<usize>,
}

impl Example {
    /// Every right answer, `output` first.
    pub fn right(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.output).chain(&self.references).map(String::as_str)
    }

    /// What can be chosen from, and which is right: its own choices, else the `options` of its task and its output.
    ///
    /// # Errors
    /// No options at all; an output that is none of them.
    pub fn options<'a>(&'a self, options: &'a [String]) -> Result<(&'a [String], usize), String> {
        if let Some(answer) = self.answer.filter(|answer| *answer < self.choices.len()) {
            return Ok((&self.choices, answer));
        }
        if options.is_empty() {
            return Err("has no \"choices\", and its task no options: there is nothing to choose from".into());
        }
        match options.iter().position(|option| option.trim() == self.output.trim()) {
            Some(answer) => Ok((options, answer)),
            None => {
                let names: Vec<String> = options.iter().take(NAMED).map(|o| short(o).to_string()).collect();
                let more = if options.len() > NAMED { ", …" } else { "" };
                let output = short(&self.output);
                Err(format!(
                    "\"output\" is \"{output}\", none of the task's options: {}{more}",
                    names.join(", ")
                ))
            }
        }
    }
}

/// What stands where an example should be.
pub(super) enum Found {
    Object(Box<Fields>),
    /// Something else, in words.
    Other(&'static str),
}

/// The fields of an object.
#[derive(Default)]
pub(super) struct Fields {
    instruction: Option<Value>,
    input: Option<Value>,
    output: Option<Value>,
    references: Option<Value>,
    choices: Option<Value>,
    answer: Option<Value>,
    /// A field of these that stands in it twice.
    twice: Option<&'static str>,
    /// The first names of other fields.
    others: Vec<String>,
}

/// Other fields that are named in a message.
const NAMED: usize = 6;

impl Found {
    /// The example. The error is what is wrong with it.
    pub(super) fn example(self) -> std::result::Result<Example, String> {
        let fields = match self {
            Self::Object(fields) => fields,
            Self::Other(what) => {
                return Err(format!(
                    "is {what}, not an object with \"instruction\", \"input\" and \"output\""
                ));
            }
        };
        if let Some(name) = fields.twice {
            return Err(format!("has \"{name}\" twice: which one is meant is not clear"));
        }
        let lacks = |name: &str| {
            let has = fields.others.iter().map(|other| format!("\"{}\"", short(other))).collect::<Vec<_>>();
            let has = if has.is_empty() { String::new() } else { format!("; it has {}", has.join(", ")) };
            format!("lacks \"{name}\" (an example has instruction, input and output){has}")
        };
        let instruction = match &fields.instruction {
            Some(value) => text_of("instruction", value)?,
            None => return Err(lacks("instruction")),
        };
        let input = fields.input.as_ref().map_or(Ok(String::new()), |value| text_of("input", value))?;
        let choices = texts_of("choices", fields.choices.as_ref())?;
        let answer = answer_of(&choices, fields.answer.as_ref())?;
        let right = answer.map(|answer| choices[answer].as_str());
        let output = match (&fields.output, right) {
            (None | Some(Value::Null), Some(right)) => right.to_string(),
            (Some(Value::Null), None) => {
                return Err("has no \"output\" (null): there is nothing to learn from it".into());
            }
            (Some(value), _) => text_of("output", value)?,
            (None, None) => return Err(lacks("output")),
        };
        if let Some(right) = right.filter(|right| right.trim() != output.trim()) {
            return Err(format!(
                "\"output\" is \"{}\", but \"answer\" says the choice \"{}\": count choices from 0",
                short(&output),
                short(right)
            ));
        }
        let references = texts_of("references", fields.references.as_ref())?;
        if instruction.trim().is_empty() && input.trim().is_empty() {
            return Err("has neither an instruction nor an input".into());
        }
        if output.trim().is_empty() {
            return Err("has an empty output: there is nothing to learn from it".into());
        }
        Ok(Example { instruction, input, output, references, choices, answer })
    }
}

/// A field's text; nothing of null.
fn text_of(name: &str, value: &Value) -> std::result::Result<String, String> {
    let what = match value {
        Value::String(text) => return Ok(text.clone()),
        Value::Null => return Ok(String::new()),
        Value::Number(number) => {
            let number = short(&number.to_string());
            return Err(format!("\"{name}\" is the number {number}: write it as a text, \"{number}\""));
        }
        Value::Bool(truth) => {
            return Err(format!("\"{name}\" is {truth}: write it as a text, \"{truth}\""));
        }
        Value::Array(values) => format!("a list of {}", counted(values.len(), "value")),
        Value::Object(_) => "an object".into(),
    };
    Err(format!("\"{name}\" is {what}, not a text"))
}

/// A list of texts, none of them empty; none at all of null.
fn texts_of(name: &str, value: Option<&Value>) -> std::result::Result<Vec<String>, String> {
    let values = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(_) => return Err(format!("\"{name}\" is not a list of texts: write [\"…\", \"…\"]")),
    };
    let one = |(at, value): (usize, &Value)| {
        let name = format!("{name}[{at}]");
        match text_of(&name, value)? {
            text if text.trim().is_empty() => Err(format!("\"{name}\" is empty")),
            text => Ok(text),
        }
    };
    values.iter().enumerate().map(one).collect()
}

/// Which choice is right.
fn answer_of(choices: &[String], value: Option<&Value>) -> std::result::Result<Option<usize>, String> {
    let last = match choices.len() {
        0 => return Ok(None),
        1 => return Err("has a single choice: write two at least".into()),
        count => count - 1,
    };
    let said = match value {
        None | Some(Value::Null) => {
            return Err(format!(
                "has \"choices\" without \"answer\": say which one is right, a number from 0 to {last}"
            ));
        }
        Some(value) => value,
    };
    let answer =
        said.as_u64().and_then(|answer| usize::try_from(answer).ok()).filter(|answer| *answer <= last);
    answer.map(Some).ok_or_else(|| {
        format!("\"answer\" is {}, not the number of a choice, from 0 to {last}", short(&said.to_string()))
    })
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an example")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Found, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            let (name, place) = match name.as_str() {
                "instruction" => ("instruction", &mut fields.instruction),
                "input" => ("input", &mut fields.input),
                "output" => ("output", &mut fields.output),
                "references" => ("references", &mut fields.references),
                "choices" => ("choices", &mut fields.choices),
                "answer" => ("answer", &mut fields.answer),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    if fields.others.len() < NAMED {
                        fields.others.push(name);
                    }
                    continue;
                }
            };
            if place.replace(map.next_value::<Value>()?).is_some() {
                fields.twice.get_or_insert(name);
            }
        }
        Ok(Found::Object(Box::new(fields)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Found, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an array"))
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Found, E> {
        Ok(Found::Other("a text"))
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Found, E> {
        Ok(Found::Other("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_unit<E>(self) -> std::result::Result<Found, E> {
        Ok(Found::Other("null"))
    }
}
