//! Conversations: the last turn of the assistant is the answer, what came before is asked.

use std::borrow::Cow;

use serde_json::Value;

use super::pair;
use super::roles::{Role, Roles, lacks};
use super::{Shape, may, needs};
use crate::import::cell::{Cell, what};
use crate::import::record::{Problem, Record};
use crate::text::{listed, short};

pub(super) const MESSAGES: Shape = Shape {
    name: "messages",
    help: "Conversations as OpenAI, transformers and mlx-lm keep them: turns with `role` and `content`",
    fields: &[needs(Role::Messages, &["messages"]), may(Role::System, &["system"])],
    base: 0,
    without: &[],
    build,
};

pub(super) const SHAREGPT: Shape = Shape {
    name: "sharegpt",
    help: "Conversations as ShareGPT keeps them: turns with `from` and `value`",
    fields: &[needs(Role::Messages, &["conversations", "conversation"]), may(Role::System, &["system"])],
    base: 0,
    without: &[],
    build,
};

/// Longest conversation, in turns.
const MAX_TURNS: usize = 10_000;

/// What a turn may call who speaks, and what is said: the first that it has is read.
const SPEAKER: [&str; 2] = ["role", "from"];
const SAID: [&str; 2] = ["content", "value"];
/// What else of a turn is written, decides whether it is, or says by a number which call is meant.
const READ: [&str; 5] = ["tool_calls", "function_call", "weight", "id", "tool_call_id"];

/// What speakers are called. OpenAI's developers say what systems said before.
const SPEAKERS: [(&[&str], Speaker); 4] = [
    (&["system", "developer"], Speaker::System),
    (&["user", "human"], Speaker::User),
    (&["assistant", "gpt", "model", "bot", "chatgpt", "function_call"], Speaker::Assistant),
    (&["tool", "function", "function_response", "observation", "ipython"], Speaker::Tool),
];

#[derive(Clone, Copy, PartialEq)]
enum Speaker {
    System,
    User,
    Assistant,
    Tool,
}

struct Turn {
    speaker: Speaker,
    text: String,
    /// OpenAI's `weight` of 0 says that it is not learnt.
    is_learnt: bool,
}

fn build<'a>(roles: &mut Roles<'_, '_, 'a>) -> Result<Record<'a>, Problem> {
    let values = list(Role::Messages, roles.cell(Role::Messages))?;
    conversation(roles, &values)
}

/// A prompt and its completion, each a text or, as TRL keeps them, a list of turns.
pub(super) fn completion<'a>(roles: &mut Roles<'_, '_, 'a>) -> Result<Record<'a>, Problem> {
    if !roles.is_list(Role::Instruction) {
        return pair::build(roles);
    }
    let mut values = list(Role::Instruction, roles.cell(Role::Instruction))?;
    match roles.cell(Role::Output) {
        Cell::Text(text) => values.push(serde_json::json!({ "role": "assistant", "content": text })),
        other => values.extend(list(Role::Output, other)?),
    }
    conversation(roles, &values)
}

/// The turns in a cell.
fn list(role: Role, cell: Cell<'_>) -> Result<Vec<Value>, Problem> {
    Ok(match cell {
        Cell::Missing => return Err(lacks(role)),
        Cell::Null => return Err(Problem::Empty),
        Cell::Bad(problem) => return Err(Problem::Bad(problem)),
        Cell::Value(Value::Array(values)) => values,
        Cell::Text(text) => match serde_json::from_str(&text) {
            Ok(Value::Array(values)) => values,
            _ => return Err(Problem::bad("the conversation is a text, not a list of turns")),
        },
        Cell::Value(other) => {
            return Err(Problem::bad(format!("the conversation is {}, not a list of turns", what(&other))));
        }
    })
}

/// The example of a conversation, whose last turn of the assistant is the answer.
fn conversation<'a>(roles: &mut Roles<'_, '_, 'a>, values: &[Value]) -> Result<Record<'a>, Problem> {
    if values.len() > MAX_TURNS {
        return Err(Problem::bad(format!("has {} turns, at most {MAX_TURNS} make sense", values.len())));
    }
    let mut turns = values.iter().map(turn).collect::<Result<Vec<_>, _>>()?;
    let left_out = values.iter().flat_map(left_out).cloned().collect();
    let Some(last) = turns.iter().rposition(|turn| turn.speaker == Speaker::Assistant && turn.is_learnt)
    else {
        return Err(Problem::Empty);
    };
    turns.truncate(last + 1);
    let output = turns.pop().map(|turn| turn.text).unwrap_or_default();
    let given = roles.text(Role::System, false)?.filter(|text| !text.trim().is_empty());
    let mut system: Vec<String> = given.map(Cow::into_owned).into_iter().collect();
    turns.retain(|turn| {
        if turn.speaker == Speaker::System && !turn.text.trim().is_empty() {
            system.push(turn.text.clone());
        }
        turn.speaker != Speaker::System
    });
    let asked = match turns.as_slice() {
        [only] if only.speaker == Speaker::User => only.text.clone(),
        many => many.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    let parts: Vec<String> =
        system.into_iter().chain([asked]).filter(|text| !text.trim().is_empty()).collect();
    Ok(Record {
        instruction: Cow::Owned(parts.join("\n\n")),
        output: Cow::Owned(output),
        left_out,
        ..Record::default()
    })
}

/// The parts of a turn that say something and are not written, such as how the answer was thought of.
fn left_out(turn: &Value) -> impl Iterator<Item = &String> {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let first = |names: [&'static str; 2]| names.into_iter().find(|name| turn.get(name).is_some());
    let read = [first(SPEAKER), first(SAID)];
    let is_left = move |(name, value): &(&String, &Value)| {
        let name = name.as_str();
        !READ.contains(&name) && !read.contains(&Some(name)) && says(value)
    };
    turn.as_object().into_iter().flatten().filter(is_left).map(|(name, _)| name)
}

/// A turn of a longer conversation.
fn line(turn: &Turn) -> String {
    let name = match turn.speaker {
        Speaker::System => "System",
        Speaker::User => "User",
        Speaker::Assistant => "Assistant",
        Speaker::Tool => "Tool",
    };
    format!("{name}: {}", turn.text)
}

/// The calls of tools that a turn makes beside what it says, as JSON, a line each: `{"name": …, "arguments": …}`.
fn calls(value: &Value) -> Result<Vec<String>, Problem> {
    let calls = match (value.get("tool_calls"), value.get("function_call")) {
        (Some(Value::Array(calls)), _) => calls.as_slice(),
        (None | Some(Value::Null), Some(call @ Value::Object(_))) => std::slice::from_ref(call),
        (None | Some(Value::Null), None | Some(Value::Null)) => &[],
        _ => return Err(Problem::bad("has a turn whose tool_calls are no list")),
    };
    let text = |call: &Value| -> Option<String> {
        let function = call.get("function").unwrap_or(call);
        let name = function.get("name")?.as_str()?;
        let arguments = match function.get("arguments") {
            // The hub has them as an object, OpenAI as its text.
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Some(arguments) => arguments.clone(),
            None => Value::Object(serde_json::Map::new()),
        };
        Some(serde_json::json!({ "name": name, "arguments": arguments }).to_string())
    };
    let none = || Problem::bad("has a turn that calls a tool without a name: drop such rows with --skip-bad");
    calls.iter().map(|call| text(call).ok_or_else(none)).collect()
}

fn turn(value: &Value) -> Result<Turn, Problem> {
    let either = |names: [&str; 2]| names.into_iter().find_map(|name| value.get(name));
    let Some(name) = either(SPEAKER).and_then(Value::as_str) else {
        return Err(Problem::bad(
            "has a turn without a role: turns have role and content, or from and value",
        ));
    };
    let Some(&(_, speaker)) = SPEAKERS.iter().find(|(names, _)| names.contains(&name)) else {
        let known: Vec<&str> = SPEAKERS.iter().flat_map(|(names, _)| *names).copied().collect();
        return Err(Problem::bad(format!(
            "has a turn of \"{}\": known are {}",
            short(name),
            listed(&known, "and")
        )));
    };
    let calls = calls(value)?;
    let said = match either(SAID) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let text = |part: &Value| {
                part.get("text").and_then(Value::as_str).or_else(|| part.as_str()).map(String::from)
            };
            let texts: Option<Vec<String>> = parts.iter().map(text).collect();
            texts
                .ok_or_else(|| {
                    Problem::bad("has a turn with something else than text: drop such rows with --skip-bad")
                })?
                .join("\n")
        }
        Some(Value::Null) => String::new(),
        Some(other) => {
            return Err(Problem::bad(format!("has a turn whose content is {}, not a text", what(other))));
        }
        None if !calls.is_empty() => String::new(),
        None => {
            return Err(Problem::bad(
                "has a turn without content: turns have role and content, or from and value",
            ));
        }
    };
    let said = Some(said).filter(|said| !said.trim().is_empty() || calls.is_empty());
    let text = said.into_iter().chain(calls).collect::<Vec<_>>().join("\n");
    let is_learnt = value.get("weight").and_then(Value::as_f64) != Some(0.0);
    Ok(Turn { speaker, text, is_learnt })
}
