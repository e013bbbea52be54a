//! `tojson`, as transformers defines it: Python's `json.dumps`, which escapes nothing for HTML.

use std::rc::Rc;

use super::eval::{Answer, Given, Interpreter};
use super::value::{DEPTH, Value, float, sorted, type_name, whole};

struct Style {
    ascii: bool,
    indent: Option<Rc<str>>,
    between: Rc<str>,
    colon: Rc<str>,
    sorted: bool,
}

impl Interpreter {
    /// A value as JSON.
    pub fn tojson(&mut self, value: &Value, given: &Given) -> Answer<Value> {
        let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
        let [ascii, indent, separators, sorted] = given.bind("tojson", names)?;
        let indent: Option<Rc<str>> = match indent {
            None | Some(Value::None) => None,
            Some(Value::Str(text)) => Some(text),
            Some(value) => {
                let count = whole(&value).ok_or("tojson needs a whole number or a text to indent by")?;
                let count = self.counted(count)?;
                Some(" ".repeat(count).into())
            }
        };
        let between = if indent.is_some() { "," } else { ", " };
        let (mut between, mut colon): (Rc<str>, Rc<str>) = (between.into(), ": ".into());
        if let Some(separators) = separators.filter(|s| !matches!(s, Value::None)) {
            let pair = self.heap.iterate(&separators)?;
            let [first, second] = &pair[..] else { return Err("tojson needs two separators".into()) };
            (between, colon) = (self.heap.string(first)?, self.heap.string(second)?);
        }
        let is = |v: Option<Value>| v.is_some_and(|v| self.heap.truth(&v));
        let style = Style { ascii: is(ascii), indent, between, colon, sorted: is(sorted) };
        let mut text = String::new();
        self.dump(value, &style, 0, &mut text)?;
        self.heap.text(text)
    }

    fn new_line(&mut self, style: &Style, depth: usize, out: &mut String) -> Answer<()> {
        if let Some(indent) = &style.indent {
            self.heap.meter.take(1 + (indent.len() * depth) as u64)?;
            out.push('\n');
            out.extend(std::iter::repeat_n(&**indent, depth));
        }
        Ok(())
    }

    fn dump(&mut self, value: &Value, style: &Style, depth: usize, out: &mut String) -> Answer<()> {
        self.heap.meter.take(8)?;
        if depth > DEPTH {
            return Err("its values are nested too deeply".into());
        }
        match value {
            Value::None => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Int(n) => out.push_str(&n.to_string()),
            Value::Float(x) => out.push_str(&number(*x)),
            Value::Str(text) => {
                self.heap.meter.take(text.len() as u64)?;
                quoted(text, style.ascii, out);
            }
            Value::List(_) | Value::Tuple(_) => {
                let items = self.heap.items(value).unwrap_or_default();
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    self.separate(i, style, depth, out)?;
                    self.dump(item, style, depth + 1, out)?;
                }
                if !items.is_empty() {
                    self.new_line(style, depth, out)?;
                }
                out.push(']');
            }
            Value::Dict(_) => {
                let mut entries = self.heap.entries(value).unwrap_or_default().to_vec();
                self.heap.meter.take(16 * entries.len() as u64)?;
                if style.sorted {
                    entries = sorted(entries, &mut |(a, _), (b, _)| Ok(self.heap.order(a, b)?.is_gt()))?;
                }
                out.push('{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    self.separate(i, style, depth, out)?;
                    let key: Rc<str> = match key {
                        Value::Str(text) => Rc::clone(text),
                        Value::None => "null".into(),
                        Value::Bool(b) => if *b { "true" } else { "false" }.into(),
                        Value::Float(x) => number(*x).into(),
                        key => self.heap.string(key)?,
                    };
                    self.heap.meter.take((key.len() + style.colon.len()) as u64)?;
                    quoted(&key, style.ascii, out);
                    out.push_str(&style.colon);
                    self.dump(value, style, depth + 1, out)?;
                }
                if !entries.is_empty() {
                    self.new_line(style, depth, out)?;
                }
                out.push('}');
            }
            other => return Err(format!("Object of type {} is not JSON serializable", type_name(other))),
        }
        Ok(())
    }

    fn separate(&mut self, index: usize, style: &Style, depth: usize, out: &mut String) -> Answer<()> {
        if index > 0 {
            self.heap.meter.take(style.between.len() as u64)?;
            out.push_str(&style.between);
        }
        self.new_line(style, depth + 1, out)
    }
}

/// A float as Python writes it into JSON.
fn number(x: f64) -> String {
    match x {
        _ if x.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        _ => float(x),
    }
}

fn quoted(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 || (ascii && !(' '..='~').contains(&c)) => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
