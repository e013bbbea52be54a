//! Python's methods of texts, lists and dictionaries, as far as they change nothing.

use std::rc::Rc;

use super::eval::{Answer, Given, Interpreter};
use super::formats::{Case, padded};
use super::names::CHANGING;
use super::value::{Value, type_name, whole};

/// Methods that take characters off a text's ends.
const STRIPPING: [&str; 3] = ["strip", "lstrip", "rstrip"];
/// Where Python's `splitlines` breaks lines.
const BREAKS: [char; 10] =
    ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Python's whitespace, which has the separators of ASCII.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The characters of a text from one to before another, counted as Python counts them, and how many are before these;
/// `None` where the first is behind the end or the second.
fn window(text: &str, from: Option<i64>, to: Option<i64>) -> Option<(usize, &str)> {
    if from.is_none() && to.is_none() {
        return Some((0, text));
    }
    let count = text.chars().count() as i64;
    let place = |at: i64| if at < 0 { (count + at).max(0) } else { at };
    let (from, to) = (place(from.unwrap_or(0)), place(to.unwrap_or(count)).min(count));
    if from > to {
        return None;
    }
    let byte = |at: i64| text.char_indices().nth(at as usize).map_or(text.len(), |(byte, _)| byte);
    Some((from as usize, &text[byte(from)..byte(to)]))
}

impl Interpreter {
    /// Calls a method of a value.
    pub fn method(&mut self, of: &Value, name: &str, given: Given) -> Answer<Value> {
        self.heap.meter.step(1)?;
        if CHANGING.contains(&name) && !matches!(of, Value::Str(_)) {
            return Err(format!("{name} would change a {}, which templates may not", type_name(of)));
        }
        match of {
            Value::Str(text) => self.text_method(&Rc::clone(text), name, &given),
            Value::Dict(_) => self.dict_method(of, name, &given),
            Value::List(_) | Value::Tuple(_) => self.list_method(of, name, &given),
            Value::Loop(id) => self.loop_method(*id, name, given),
            Value::Cycler(id) => match name {
                "next" => {
                    let current = self.cycled(*id);
                    if let Some((_, calls)) = self.heap.calls.get_mut(*id) {
                        *calls += 1;
                    }
                    current.ok_or_else(|| "a cycler has no items".into())
                }
                _ => {
                    if let Some((_, calls)) = self.heap.calls.get_mut(*id) {
                        *calls = 0;
                    }
                    Ok(Value::None)
                }
            },
            Value::Float(x) if name == "is_integer" => Ok(Value::Bool(x.fract() == 0.0)),
            Value::Int(n) => Ok(Value::Int(64 - i64::from(n.unsigned_abs().leading_zeros()))),
            other => Err(format!("a {} has no method {name}", type_name(other))),
        }
    }

    /// What a cycler gives now.
    pub fn cycled(&self, id: usize) -> Option<Value> {
        let (items, calls) = self.heap.calls.get(id)?;
        let items = self.heap.items(items)?;
        items.get(calls % items.len().max(1)).cloned()
    }

    /// What a joiner gives: nothing first, then its separator.
    pub fn joined(&mut self, id: usize) -> Answer<Value> {
        let (separator, calls) = self.heap.calls.get_mut(id).ok_or("a joiner is gone")?;
        *calls += 1;
        Ok(if *calls == 1 { Value::Str("".into()) } else { separator.clone() })
    }

    fn loop_method(&mut self, id: usize, name: &str, given: Given) -> Answer<Value> {
        let Some(index) = self.heap.loops.get(id).map(|state| state.index) else {
            return Err("a loop is gone".into());
        };
        if name == "cycle" {
            let items = given.positional;
            return items
                .get(index % items.len().max(1))
                .cloned()
                .ok_or_else(|| "no items for cycling given".into());
        }
        let now = self.heap.tuple(given.positional)?;
        let seen = self.heap.loops.get(id).and_then(|state| state.seen.clone());
        let changed = match seen {
            Some(seen) => !self.heap.equal(&seen, &now)?,
            None => true,
        };
        if let Some(state) = self.heap.loops.get_mut(id) {
            state.seen = Some(now);
        }
        Ok(Value::Bool(changed))
    }

    fn dict_method(&mut self, of: &Value, name: &str, given: &Given) -> Answer<Value> {
        let entries = self.heap.entries(of).unwrap_or_default();
        match name {
            "get" => {
                let [key, default] = given.bind(name, ["key", "default"])?;
                let key = key.ok_or("get needs a key")?;
                Ok(self.heap.lookup(of, &key)?.or(default).unwrap_or(Value::None))
            }
            "keys" => self.heap.list(entries.iter().map(|(key, _)| key.clone()).collect()),
            "values" => self.heap.list(entries.iter().map(|(_, value)| value.clone()).collect()),
            "items" => {
                let mut pairs = Vec::with_capacity(entries.len());
                for (key, value) in entries.iter() {
                    pairs.push(self.heap.tuple(vec![key.clone(), value.clone()])?);
                }
                self.heap.list(pairs)
            }
            "copy" => Ok(of.clone()),
            other => Err(format!("a dict has no method {other}")),
        }
    }

    fn list_method(&mut self, of: &Value, name: &str, given: &Given) -> Answer<Value> {
        let items = self.heap.items(of).unwrap_or_default();
        if name == "copy" {
            return self.heap.list(items.to_vec());
        }
        let [wanted] = given.bind(name, ["value"])?;
        let wanted = wanted.ok_or_else(|| format!("{name} needs a value"))?;
        let mut count = 0;
        for (at, item) in items.iter().enumerate() {
            if self.heap.equal(item, &wanted)? {
                if name == "index" {
                    return Ok(Value::Int(at as i64));
                }
                count += 1;
            }
        }
        if name == "index" { Err("the value is not in the list".into()) } else { Ok(Value::Int(count)) }
    }

    fn text_method(&mut self, text: &Rc<str>, name: &str, given: &Given) -> Answer<Value> {
        self.heap.meter.take(2 * text.len() as u64)?;
        let mut texts = Vec::new();
        for value in &given.positional {
            texts.push(match value {
                Value::Str(text) => Some(Rc::clone(text)),
                _ => None,
            });
        }
        let argument = |at: usize| texts.get(at).cloned().flatten();
        let needed = |at: usize| argument(at).ok_or_else(|| format!("{name} needs a text"));
        let all = |test: fn(char) -> bool| Ok(Value::Bool(!text.is_empty() && text.chars().all(test)));
        let number = |at: usize| given.positional.get(at).and_then(whole);
        // Characters that are stripped: whitespace, where none are given.
        let stripped = match given.positional.first() {
            Some(chars @ Value::Str(_)) if STRIPPING.contains(&name) => Some(self.characters(chars)?),
            _ => None,
        };
        let strips = |c: char| match &stripped {
            Some(chars) => chars.contains(&c),
            None => is_space(c),
        };
        // The part of the text from the second argument on, to the third, and how many characters are before it.
        let part = || window(text, number(1), number(2));
        let made: String = match name {
            "upper" => text.to_uppercase(),
            "lower" | "casefold" => text.to_lowercase(),
            "capitalize" => Case::Capitalized.of(text),
            "title" => Case::Titled.of(text),
            "swapcase" => Case::Swapped.of(text),
            "strip" => text.trim_matches(strips).into(),
            "lstrip" => text.trim_start_matches(strips).into(),
            "rstrip" => text.trim_end_matches(strips).into(),
            "removeprefix" => text.strip_prefix(&*needed(0)?).unwrap_or(text).into(),
            "removesuffix" => text.strip_suffix(&*needed(0)?).unwrap_or(text).into(),
            "replace" => {
                let count = number(2).or_else(|| {
                    let named = given.named.iter().find(|(n, _)| **n == *"count");
                    named.and_then(|(_, value)| whole(value))
                });
                let count = count.and_then(|n| usize::try_from(n).ok());
                return self.replaced(text, &needed(0)?, &needed(1)?, count);
            }
            "ljust" | "rjust" | "center" | "zfill" => {
                let width = number(0).ok_or_else(|| format!("{name} needs a width"))?;
                let width = self.counted(width)?;
                let fill = argument(1).and_then(|t| t.chars().next()).unwrap_or(' ');
                match name {
                    "ljust" => padded(text, width, fill, '<'),
                    "rjust" => padded(text, width, fill, '>'),
                    "center" => padded(text, width, fill, 'c'),
                    _ => {
                        let sign = text.len()
                            - text.trim_start_matches(['+', '-']).len().max(text.len().saturating_sub(1));
                        let (sign, digits) = text.split_at(sign);
                        format!("{sign}{}", padded(digits, width.saturating_sub(sign.len()), '0', '>'))
                    }
                }
            }
            "expandtabs" => {
                let width = self.counted(number(0).unwrap_or(8))?;
                let tabs = text.matches('\t').count() as u64;
                self.heap.meter.take(tabs.saturating_mul(width as u64))?;
                let mut column = 0;
                let mut made = String::new();
                for letter in text.chars() {
                    match letter {
                        '\t' => {
                            let gap = if width == 0 { 0 } else { width - column % width };
                            made.extend(std::iter::repeat_n(' ', gap));
                            column += gap;
                        }
                        c => {
                            made.push(c);
                            column = if c == '\n' { 0 } else { column + 1 };
                        }
                    }
                }
                made
            }
            "join" => {
                let items = given.positional.first().cloned().ok_or("join needs a list")?;
                let mut made = String::new();
                for (i, item) in self.heap.iterate(&items)?.iter().enumerate() {
                    let Value::Str(part) = item else {
                        return Err(format!(
                            "join of item {i}: expected str instance, {} found",
                            type_name(item)
                        ));
                    };
                    self.heap.meter.take((part.len() + text.len()) as u64)?;
                    made.push_str(if i > 0 { text } else { "" });
                    made.push_str(part);
                }
                made
            }
            "format" | "format_map" => {
                let mut given = given.clone();
                if name == "format_map" {
                    let map = given.positional.drain(..).next().unwrap_or(Value::None);
                    for (key, value) in self.heap.entries(&map).unwrap_or_default().iter() {
                        given.named.push((self.heap.string(key)?, value.clone()));
                    }
                }
                self.braces(text, &given)?
            }
            "startswith" | "endswith" => {
                let options = match given.positional.first() {
                    Some(tuple @ Value::Tuple(_)) => self.heap.items(tuple).unwrap_or_default().to_vec(),
                    Some(one) => vec![one.clone()],
                    None => return Err(format!("{name} needs a text")),
                };
                let Some((_, part)) = part() else { return Ok(Value::Bool(false)) };
                for option in &options {
                    let Value::Str(option) = option else { continue };
                    self.heap.meter.step(1 + option.len().min(part.len()) as u64 / 64)?;
                    let holds = match name {
                        "startswith" => part.starts_with(&**option),
                        _ => part.ends_with(&**option),
                    };
                    if holds {
                        return Ok(Value::Bool(true));
                    }
                }
                return Ok(Value::Bool(false));
            }
            "find" | "rfind" | "index" | "rindex" => {
                let wanted = needed(0)?;
                self.heap.meter.step(1 + wanted.len() as u64 / 64)?;
                let found =
                    part().filter(|(_, part)| wanted.len() <= part.len()).and_then(|(before, part)| {
                        let at =
                            if name.starts_with('r') { part.rfind(&*wanted) } else { part.find(&*wanted) };
                        at.map(|at| before + part[..at].chars().count())
                    });
                return match found {
                    Some(at) => Ok(Value::Int(at as i64)),
                    None if name.ends_with("find") => Ok(Value::Int(-1)),
                    None => Err("substring not found".into()),
                };
            }
            "count" => {
                let wanted = needed(0)?;
                self.heap.meter.step(1 + wanted.len() as u64 / 64)?;
                let count = match part().filter(|(_, part)| wanted.len() <= part.len()) {
                    None => 0,
                    Some((_, part)) if wanted.is_empty() => part.chars().count() + 1,
                    Some((_, part)) => part.matches(&*wanted).count(),
                };
                return Ok(Value::Int(count as i64));
            }
            "split" | "rsplit" => {
                let named = |key: &str| given.named.iter().find(|(n, _)| **n == *key).map(|(_, v)| v.clone());
                let by = argument(0).or_else(|| match named("sep") {
                    Some(Value::Str(by)) => Some(by),
                    _ => None,
                });
                let most = number(1).or_else(|| named("maxsplit").as_ref().and_then(whole)).unwrap_or(-1);
                return self.split(text, by.as_deref(), most, name == "rsplit");
            }
            "splitlines" => {
                let keeps = given.positional.first().or(given.named.first().map(|(_, v)| v)).cloned();
                let keeps = keeps.is_some_and(|k| self.heap.truth(&k));
                let mut lines = Vec::new();
                let mut rest = &**text;
                while !rest.is_empty() {
                    let end = rest.find(BREAKS).unwrap_or(rest.len());
                    let broken = match rest[end..].strip_prefix("\r\n") {
                        Some(_) => 2,
                        None => rest[end..].chars().next().map_or(0, char::len_utf8),
                    };
                    let kept = if keeps { end + broken } else { end };
                    lines.push(self.heap.text(&rest[..kept])?);
                    rest = &rest[end + broken..];
                }
                return self.heap.list(lines);
            }
            "partition" | "rpartition" => {
                let by = needed(0)?;
                if by.is_empty() {
                    return Err("empty separator".into());
                }
                self.heap.meter.step(1 + by.len() as u64 / 64)?;
                let found = if name == "partition" { text.split_once(&*by) } else { text.rsplit_once(&*by) };
                let (before, middle, after) = match found {
                    Some((before, after)) => (before, &*by, after),
                    None if name == "partition" => (&**text, "", ""),
                    None => ("", "", &**text),
                };
                let mut parts = Vec::new();
                for part in [before, middle, after] {
                    parts.push(self.heap.text(part)?);
                }
                return self.heap.tuple(parts);
            }
            "isalnum" => return all(char::is_alphanumeric),
            "isalpha" => return all(char::is_alphabetic),
            "isdigit" | "isdecimal" | "isnumeric" => return all(char::is_numeric),
            "isspace" => return all(is_space),
            "isascii" => return Ok(Value::Bool(text.is_ascii())),
            "isprintable" => return Ok(Value::Bool(!text.chars().any(char::is_control))),
            "isidentifier" => {
                let first = text.chars().next().is_some_and(|c| c == '_' || c.is_alphabetic());
                return Ok(Value::Bool(first && text.chars().all(|c| c == '_' || c.is_alphanumeric())));
            }
            "islower" | "isupper" => {
                let cased = text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
                let other = |c: char| if name == "islower" { c.is_uppercase() } else { c.is_lowercase() };
                return Ok(Value::Bool(cased && !text.chars().any(other)));
            }
            "istitle" => {
                let cased = text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
                return Ok(Value::Bool(cased && Case::Titled.of(text) == **text));
            }
            other => return Err(format!("a text has no method {other}")),
        };
        self.heap.text(made)
    }

    fn split(&mut self, text: &str, by: Option<&str>, most: i64, from_end: bool) -> Answer<Value> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.heap.meter.step(1 + by.map_or(0, str::len) as u64 / 64)?;
        let mut parts: Vec<&str> = Vec::new();
        match by {
            Some("") => return Err("empty separator".into()),
            Some(by) if from_end => {
                parts.extend(text.rsplitn(most.saturating_add(1), by));
                parts.reverse();
            }
            Some(by) => parts.extend(text.splitn(most.saturating_add(1), by)),
            None if from_end => {
                let mut rest = text.trim_end_matches(is_space);
                while !rest.is_empty() && parts.len() < most {
                    let at = rest.rfind(is_space);
                    let from = at.map_or(0, |at| at + rest[at..].chars().next().map_or(1, char::len_utf8));
                    parts.push(&rest[from..]);
                    rest = rest[..from].trim_end_matches(is_space);
                }
                if !rest.is_empty() {
                    parts.push(rest);
                }
                parts.reverse();
            }
            None => {
                let mut rest = text.trim_start_matches(is_space);
                while !rest.is_empty() && parts.len() < most {
                    let end = rest.find(is_space).unwrap_or(rest.len());
                    parts.push(&rest[..end]);
                    rest = rest[end..].trim_start_matches(is_space);
                }
                if !rest.is_empty() {
                    parts.push(rest);
                }
            }
        }
        let mut made = Vec::with_capacity(parts.len());
        for part in parts {
            made.push(self.heap.text(part)?);
        }
        self.heap.list(made)
    }
}
