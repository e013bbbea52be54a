//! Jinja's filters, and `tojson` as transformers has it.

use std::collections::HashSet;
use std::rc::Rc;

use super::ast::Operator;
use super::eval::{Answer, Given, Interpreter};
use super::formats::Case;
use super::methods::is_space;
use super::patterns;
use super::value::{Value, number, sorted, type_name, whole};

impl Interpreter {
    /// A value through the filter of this name.
    pub fn filter(&mut self, name: &str, value: Value, given: Given) -> Answer<Value> {
        self.heap.meter.step(1)?;
        match name {
            "tojson" => self.tojson(&value, &given),
            "default" | "d" => {
                let [default, boolean] = given.bind(name, ["default_value", "boolean"])?;
                let falsy = boolean.is_some_and(|b| self.heap.truth(&b)) && !self.heap.truth(&value);
                let missing = matches!(value, Value::Undefined(_));
                Ok(if missing || falsy { default.unwrap_or(Value::Str("".into())) } else { value })
            }
            "length" | "count" => Ok(Value::Int(self.heap.length(&value)? as i64)),
            "string" => self.heap.string(&value).map(Value::Str),
            "safe" => Ok(value),
            "list" => {
                let items = self.heap.iterate(&value)?.to_vec();
                self.heap.list(items)
            }
            "items" => {
                if matches!(value, Value::Undefined(_)) {
                    return self.heap.generator(Vec::new());
                }
                let entries = self.heap.entries(&value).ok_or("items needs a mapping")?;
                let mut pairs = Vec::with_capacity(entries.len());
                for (key, value) in entries.iter() {
                    pairs.push(self.heap.tuple(vec![key.clone(), value.clone()])?);
                }
                self.heap.generator(pairs)
            }
            "first" | "last" => {
                let items = self.heap.iterate(&value)?;
                let found = if name == "first" { items.first() } else { items.last() };
                Ok(found.cloned().unwrap_or(Value::Undefined("the item of an empty sequence".into())))
            }
            "join" => self.join(&value, &given),
            "map" => self.map(&value, given),
            "select" | "reject" | "selectattr" | "rejectattr" => self.select(name, &value, given),
            "sort" | "unique" | "min" | "max" => self.sorted(name, &value, &given),
            "dictsort" => self.dictsort(&value, &given),
            "groupby" => self.groupby(&value, &given),
            "reverse" => self.reversed(&value),
            "sum" => {
                let [attribute, start] = given.bind(name, ["attribute", "start"])?;
                let mut total = start.unwrap_or(Value::Int(0));
                for item in self.heap.iterate(&value)?.iter() {
                    let item = self.by_attribute(item, attribute.as_ref())?;
                    total = self.binary(Operator::Add, &total, &item)?;
                }
                Ok(total)
            }
            "batch" | "slice" => self.pieces(name, &value, &given),
            "attr" => {
                let [attribute] = given.bind(name, ["name"])?;
                let attribute = self.heap.string(&attribute.ok_or("attr needs a name")?)?;
                match value {
                    // Without items.
                    Value::Dict(_) if !super::names::has_method(&value, &attribute) => {
                        Ok(Value::Undefined(attribute))
                    }
                    value => self.attribute(&value, &attribute),
                }
            }
            "abs" => match value {
                Value::Float(x) => Ok(Value::Float(x.abs())),
                value => {
                    let n = whole(&value)
                        .ok_or_else(|| format!("bad operand type for abs(): '{}'", type_name(&value)))?;
                    n.checked_abs().map(Value::Int).ok_or_else(|| "a number is too large".into())
                }
            },
            "int" => self.whole_of(&value, &given),
            "float" => {
                let [default] = given.bind(name, ["default"])?;
                let found = match &value {
                    Value::Str(text) => text.trim().replace('_', "").parse().ok(),
                    value => number(value),
                };
                Ok(found.map_or(default.unwrap_or(Value::Float(0.0)), Value::Float))
            }
            "round" => self.round(&value, &given),
            "pprint" => {
                let text = self.heap.repr(&value)?;
                self.heap.text(text)
            }
            "format" => {
                let text = self.heap.string(&value)?;
                let arguments = match given.named.is_empty() {
                    true => self.heap.tuple(given.positional)?,
                    false => {
                        let entries = given.named.into_iter().map(|(name, value)| (Value::Str(name), value));
                        self.heap.dict(entries.collect())?
                    }
                };
                let made = self.percent(&text, &arguments)?;
                self.heap.text(made)
            }
            "regex_replace" if self.heap.dialect == super::Dialect::Items => {
                let [pattern, new, count] = given.bind(name, ["pattern", "repl", "count"])?;
                let text = self.heap.string(&value)?;
                let pattern = self.heap.string(&pattern.ok_or("regex_replace needs a pattern")?)?;
                let new = self.heap.string(&new.ok_or("regex_replace needs a text to put there")?)?;
                let count = count.as_ref().and_then(whole).and_then(|n| usize::try_from(n).ok());
                let pattern = patterns::compiled(&pattern)?;
                let new = patterns::replacement(&new)?;
                let take = &mut |bytes: usize| self.heap.meter.take(bytes as u64);
                let made = patterns::replaced(&pattern, &text, count.unwrap_or(0), &new, take)?;
                self.heap.text(made)
            }
            _ => self.text_filter(name, &value, &given),
        }
    }

    /// Filters of texts.
    fn text_filter(&mut self, name: &str, value: &Value, given: &Given) -> Answer<Value> {
        let known = [
            "upper",
            "lower",
            "capitalize",
            "title",
            "trim",
            "replace",
            "indent",
            "truncate",
            "wordcount",
            "wordwrap",
            "center",
            "escape",
            "e",
            "forceescape",
            "striptags",
            "urlencode",
            "filesizeformat",
            "xmlattr",
        ];
        if !known.contains(&name) {
            return Err(format!("the filter {name:?} is unknown"));
        }
        let text = self.heap.string(value)?;
        self.heap.meter.take(2 * text.len() as u64)?;
        let made: String = match name {
            "upper" => text.to_uppercase(),
            "lower" => text.to_lowercase(),
            "capitalize" => Case::Capitalized.of(&text),
            "title" => titled_words(&text),
            "trim" => {
                let [chars] = given.bind(name, ["chars"])?;
                match chars.filter(|c| !matches!(c, Value::None)) {
                    None => text.trim_matches(is_space).into(),
                    Some(chars) => {
                        let chars = self.characters(&chars)?;
                        text.trim_matches(|c| chars.contains(&c)).into()
                    }
                }
            }
            "replace" => {
                let [old, new, count] = given.bind(name, ["old", "new", "count"])?;
                let old = self.heap.string(&old.ok_or("replace needs a text to look for")?)?;
                let new = self.heap.string(&new.ok_or("replace needs a text to put there")?)?;
                let count = count.as_ref().and_then(whole).and_then(|n| usize::try_from(n).ok());
                return self.replaced(&text, &old, &new, count);
            }
            "indent" => {
                let [width, first, blank] = given.bind(name, ["width", "first", "blank"])?;
                let width: Rc<str> = match width {
                    Some(Value::Str(text)) => text,
                    width => {
                        let count = width.as_ref().map_or(Some(4), whole).ok_or("indent needs a width")?;
                        let count = self.counted(count)?;
                        " ".repeat(count).into()
                    }
                };
                let is = |v: Option<Value>| v.is_some_and(|v| self.heap.truth(&v));
                let (first, blank) = (is(first), is(blank));
                let lines = text.split('\n').count();
                self.heap.meter.take((width.len() as u64).saturating_mul(lines as u64))?;
                let mut made = String::with_capacity(text.len());
                for (i, line) in text.split('\n').enumerate() {
                    made.push_str(if i > 0 { "\n" } else { "" });
                    let indented = if i == 0 { first } else { blank || !line.is_empty() };
                    made.push_str(if indented { &width } else { "" });
                    made.push_str(line);
                }
                made
            }
            "truncate" => {
                let [length, whole_words, end, leeway] =
                    given.bind(name, ["length", "killwords", "end", "leeway"])?;
                let length = length.as_ref().map_or(Some(255), whole).and_then(|n| usize::try_from(n).ok());
                let length = length.ok_or("truncate needs a length")?;
                let leeway =
                    leeway.as_ref().map_or(Some(5), whole).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
                let end = match end {
                    Some(end) => self.heap.string(&end)?,
                    None => "...".into(),
                };
                if text.chars().count() <= length.saturating_add(leeway) {
                    return Ok(Value::Str(text));
                }
                let room =
                    length.checked_sub(end.chars().count()).ok_or("truncate has no room for its end")?;
                let cut: String = text.chars().take(room).collect();
                let kept = match cut.rsplit_once(' ') {
                    Some((words, _)) if !whole_words.is_some_and(|w| self.heap.truth(&w)) => words,
                    _ => &cut,
                };
                format!("{kept}{end}")
            }
            "wordcount" => {
                let words = text.split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|w| !w.is_empty());
                return Ok(Value::Int(words.count() as i64));
            }
            "center" => {
                let [width] = given.bind(name, ["width"])?;
                let width = width.as_ref().map_or(Some(80), whole).ok_or("center needs a width")?;
                let width = self.counted(width)?;
                super::formats::padded(&text, width, ' ', 'c')
            }
            "escape" | "e" | "forceescape" => {
                let escapes = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&#34;"), ("'", "&#39;")];
                self.heap.meter.take(4 * text.len() as u64)?;
                escapes.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to))
            }
            "striptags" => {
                let mut made = String::new();
                let mut inside = false;
                for letter in text.chars() {
                    match letter {
                        '<' => inside = true,
                        '>' if inside => inside = false,
                        c if !inside => made.push(c),
                        _ => {}
                    }
                }
                made.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            }
            "urlencode" => {
                self.heap.meter.take(2 * text.len() as u64)?;
                let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-~/".contains(&b);
                text.bytes()
                    .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
                    .collect()
            }
            other => return Err(format!("the filter {other:?} is not supported")),
        };
        self.heap.text(made)
    }

    /// The characters of a text, to look others up in.
    pub fn characters(&mut self, text: &Value) -> Answer<HashSet<char>> {
        let text = self.heap.string(text)?;
        self.heap.meter.take(16 * text.len() as u64)?;
        Ok(text.chars().collect())
    }

    /// A count that a template gives for something as large.
    pub fn counted(&mut self, count: i64) -> Answer<usize> {
        let count = usize::try_from(count).unwrap_or(0);
        self.heap.meter.take(4u64.saturating_mul(count as u64))?;
        Ok(count)
    }

    /// Python's `str.replace`.
    pub fn replaced(&mut self, text: &str, old: &str, new: &str, count: Option<usize>) -> Answer<Value> {
        self.heap.meter.step(1 + old.len() as u64 / 64)?;
        let found = if old.len() > text.len() {
            0
        } else if old.is_empty() {
            text.chars().count() + 1
        } else {
            text.matches(old).count()
        };
        let found = found.min(count.unwrap_or(usize::MAX));
        self.heap.meter.take((new.len() as u64).saturating_mul(found as u64) + text.len() as u64)?;
        self.heap.text(text.replacen(old, new, found))
    }

    /// What a value has under a path such as `a.b.0`.
    fn by_attribute(&mut self, value: &Value, attribute: Option<&Value>) -> Answer<Value> {
        let path = match attribute {
            None | Some(Value::None) => return Ok(value.clone()),
            Some(Value::Int(index)) => return self.item(value, &Value::Int(*index)),
            Some(path) => self.heap.string(path)?,
        };
        let mut value = value.clone();
        for part in path.split('.') {
            let key = part.parse().map_or_else(|_| Value::Str(part.into()), Value::Int);
            value = self.item(&value, &key)?;
        }
        Ok(value)
    }

    fn join(&mut self, value: &Value, given: &Given) -> Answer<Value> {
        let [by, attribute] = given.bind("join", ["d", "attribute"])?;
        let by = match by {
            Some(by) => self.heap.string(&by)?,
            None => "".into(),
        };
        let mut text = String::new();
        for (i, item) in self.heap.iterate(value)?.iter().enumerate() {
            let item = self.by_attribute(item, attribute.as_ref())?;
            let part = self.heap.string(&item)?;
            self.heap.meter.take((part.len() + by.len()) as u64)?;
            text.push_str(if i > 0 { &by } else { "" });
            text.push_str(&part);
        }
        self.heap.text(text)
    }

    fn map(&mut self, value: &Value, mut given: Given) -> Answer<Value> {
        let attribute = given.named.iter().find(|(name, _)| **name == *"attribute").map(|(_, v)| v.clone());
        let default = given.named.iter().find(|(name, _)| **name == *"default").map(|(_, v)| v.clone());
        let mut made = Vec::new();
        let items = self.heap.iterate(value)?;
        if let Some(attribute) = attribute {
            for item in items.iter() {
                let found = self.by_attribute(item, Some(&attribute))?;
                made.push(match (found, &default) {
                    (Value::Undefined(_), Some(default)) => default.clone(),
                    (found, _) => found,
                });
            }
        } else {
            if given.positional.is_empty() {
                return Err("map needs a filter".into());
            }
            let first = given.positional.remove(0);
            let name = self.heap.string(&first)?;
            for item in items.iter() {
                made.push(self.filter(&name, item.clone(), given.clone())?);
            }
        }
        self.heap.generator(made)
    }

    fn select(&mut self, name: &str, value: &Value, mut given: Given) -> Answer<Value> {
        let mut attribute = None;
        if name.ends_with("attr") {
            if given.positional.is_empty() {
                return Err(format!("{name} needs an attribute"));
            }
            attribute = Some(given.positional.remove(0));
        }
        let test = match given.positional.is_empty() {
            true => None,
            false => {
                let first = given.positional.remove(0);
                Some(self.heap.string(&first)?)
            }
        };
        let wanted = name.starts_with("select");
        let mut kept = Vec::new();
        for item in self.heap.iterate(value)?.iter() {
            let looked = self.by_attribute(item, attribute.as_ref())?;
            let holds = match &test {
                Some(test) => self.test(test, &looked, &given)?,
                None => self.heap.truth(&looked),
            };
            if holds == wanted {
                kept.push(item.clone());
            }
        }
        self.heap.generator(kept)
    }

    /// What a value is sorted and compared by.
    fn sort_key(&mut self, value: &Value, attribute: Option<&Value>, cased: bool) -> Answer<Value> {
        match self.by_attribute(value, attribute)? {
            Value::Str(text) if !cased => self.heap.text(text.to_lowercase()),
            other => Ok(other),
        }
    }

    fn sorted(&mut self, name: &str, value: &Value, given: &Given) -> Answer<Value> {
        let (reverse, cased, attribute) = match name {
            "sort" => {
                let [reverse, cased, attribute] =
                    given.bind(name, ["reverse", "case_sensitive", "attribute"])?;
                (reverse.is_some_and(|r| self.heap.truth(&r)), cased, attribute)
            }
            _ => {
                let [cased, attribute] = given.bind(name, ["case_sensitive", "attribute"])?;
                (false, cased, attribute)
            }
        };
        let cased = cased.is_some_and(|c| self.heap.truth(&c));
        let mut keyed = Vec::new();
        for item in self.heap.iterate(value)?.iter() {
            keyed.push((self.sort_key(item, attribute.as_ref(), cased)?, item.clone()));
        }
        if name == "unique" {
            let mut unique: Vec<(Value, Value)> = Vec::new();
            'items: for (key, item) in keyed {
                for (known, _) in &unique {
                    if self.heap.equal(known, &key)? {
                        continue 'items;
                    }
                }
                unique.push((key, item));
            }
            return self.heap.generator(unique.into_iter().map(|(_, item)| item).collect());
        }
        let sorted = self.sort_pairs(keyed, reverse)?;
        let mut items: Vec<Value> = sorted.into_iter().map(|(_, item)| item).collect();
        match name {
            "sort" => self.heap.list(items),
            _ if items.is_empty() => Ok(Value::Undefined("the item of an empty sequence".into())),
            "min" => Ok(items.swap_remove(0)),
            _ => Ok(items.pop().unwrap_or(Value::None)),
        }
    }

    /// Sorts by the first of each pair, equal ones in their order, and stops at what has no order.
    fn sort_pairs(&mut self, pairs: Vec<(Value, Value)>, reverse: bool) -> Answer<Vec<(Value, Value)>> {
        sorted(pairs, &mut |(a, _), (b, _)| {
            let order = self.heap.order(a, b)?;
            Ok(if reverse { order.is_lt() } else { order.is_gt() })
        })
    }

    fn dictsort(&mut self, value: &Value, given: &Given) -> Answer<Value> {
        let [cased, by, reverse] = given.bind("dictsort", ["case_sensitive", "by", "reverse"])?;
        let cased = cased.is_some_and(|c| self.heap.truth(&c));
        let reverse = reverse.is_some_and(|r| self.heap.truth(&r));
        let by_value = match by {
            Some(by) => &*self.heap.string(&by)? == "value",
            None => false,
        };
        let entries = self.heap.entries(value).ok_or("dictsort needs a mapping")?;
        let mut keyed = Vec::new();
        for (key, value) in entries.iter() {
            let sort = self.sort_key(if by_value { value } else { key }, None, cased)?;
            keyed.push((sort, self.heap.tuple(vec![key.clone(), value.clone()])?));
        }
        let sorted = self.sort_pairs(keyed, reverse)?;
        self.heap.list(sorted.into_iter().map(|(_, pair)| pair).collect())
    }

    fn groupby(&mut self, value: &Value, given: &Given) -> Answer<Value> {
        let [attribute, default, cased] =
            given.bind("groupby", ["attribute", "default", "case_sensitive"])?;
        let cased = cased.is_some_and(|c| self.heap.truth(&c));
        let mut keyed = Vec::new();
        for item in self.heap.iterate(value)?.iter() {
            let key = match (self.sort_key(item, attribute.as_ref(), cased)?, &default) {
                (Value::Undefined(_), Some(default)) => default.clone(),
                (key, _) => key,
            };
            keyed.push((key, item.clone()));
        }
        let sorted = self.sort_pairs(keyed, false)?;
        let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
        for (key, item) in sorted {
            match groups.last_mut() {
                Some((known, items)) if self.heap.equal(known, &key)? => items.push(item),
                _ => {
                    // The group is called as its first item spells it.
                    groups.push((key, vec![item]));
                }
            }
        }
        let mut made = Vec::new();
        for (key, items) in groups {
            let name = match items.first() {
                Some(first) if !matches!(key, Value::Undefined(_)) => {
                    match self.by_attribute(first, attribute.as_ref())? {
                        Value::Undefined(_) => key,
                        own => own,
                    }
                }
                _ => key,
            };
            let list = self.heap.list(items)?;
            made.push(self.heap.tuple(vec![name, list])?);
        }
        self.heap.list(made)
    }

    fn reversed(&mut self, value: &Value) -> Answer<Value> {
        if let Value::Str(text) = value {
            self.heap.meter.step(1 + text.len() as u64 / 8)?;
            let made: String = text.chars().rev().collect();
            return self.heap.text(made);
        }
        let items = self.heap.iterate(value)?.iter().rev().cloned().collect();
        self.heap.generator(items)
    }

    fn pieces(&mut self, name: &str, value: &Value, given: &Given) -> Answer<Value> {
        let [count, fill] = given.bind(name, ["count", "fill_with"])?;
        let count = count
            .as_ref()
            .and_then(whole)
            .filter(|n| *n > 0)
            .ok_or_else(|| format!("{name} needs a count"))?;
        let count = self.counted(count)?;
        let items = self.heap.iterate(value)?;
        let mut made = Vec::new();
        if name == "batch" {
            for part in items.chunks(count) {
                let mut part = part.to_vec();
                if let Some(fill) = &fill {
                    part.resize(count, fill.clone());
                }
                made.push(self.heap.list(part)?);
            }
            return self.heap.generator(made);
        }
        let (each, more) = (items.len() / count, items.len() % count);
        let mut at = 0;
        for i in 0..count {
            let len = each + usize::from(i < more);
            let mut part = items[at..at + len].to_vec();
            at += len;
            if i >= more
                && more > 0
                && let Some(fill) = &fill
            {
                part.push(fill.clone());
            }
            made.push(self.heap.list(part)?);
        }
        self.heap.generator(made)
    }

    fn whole_of(&mut self, value: &Value, given: &Given) -> Answer<Value> {
        let [default, base] = given.bind("int", ["default", "base"])?;
        let base = base.as_ref().map_or(Some(10), whole).and_then(|b| u32::try_from(b).ok()).unwrap_or(10);
        let found = match value {
            Value::Str(text) => {
                let text = text.trim().replace('_', "");
                let bare = match base {
                    16 => text.trim_start_matches("0x"),
                    8 => text.trim_start_matches("0o"),
                    2 => text.trim_start_matches("0b"),
                    _ => &text,
                };
                let read = (2..=36).contains(&base).then(|| i64::from_str_radix(bare, base).ok()).flatten();
                read.or_else(|| text.parse::<f64>().ok().filter(|x| x.is_finite()).map(|x| x as i64))
            }
            Value::Float(x) if x.is_finite() => Some(*x as i64),
            value => whole(value),
        };
        Ok(found.map_or(default.unwrap_or(Value::Int(0)), Value::Int))
    }

    fn round(&mut self, value: &Value, given: &Given) -> Answer<Value> {
        let [precision, method] = given.bind("round", ["precision", "method"])?;
        let precision = precision.as_ref().map_or(Some(0), whole).unwrap_or(0).clamp(-300, 300) as i32;
        let x = number(value).ok_or_else(|| format!("a {} cannot be rounded", type_name(value)))?;
        let method = match method {
            Some(method) => self.heap.string(&method)?,
            None => "common".into(),
        };
        let scale = 10f64.powi(precision);
        Ok(Value::Float(match &*method {
            "ceil" => (x * scale).ceil() / scale,
            "floor" => (x * scale).floor() / scale,
            // Halves to even, as Python rounds.
            "common" if precision <= 0 => (x * scale).round_ties_even() / scale,
            "common" => format!("{x:.*}", precision as usize).parse().unwrap_or(x),
            other => return Err(format!("round has no method {other:?}")),
        }))
    }
}

/// Words that begin with a capital, as Jinja's `title` makes them.
fn titled_words(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut begins = true;
    for letter in text.chars() {
        if begins {
            made.extend(letter.to_uppercase());
        } else {
            made.extend(letter.to_lowercase());
        }
        begins = letter.is_whitespace() || "-({[<".contains(letter);
    }
    made
}
