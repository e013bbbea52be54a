//! The values of a template, which are Python's.

use std::cmp::Ordering;
use std::rc::Rc;

use super::ast::Loop;

/// A value. Lists and the like are numbers of what the [`Heap`] keeps: a value that contains itself is no loop there.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing, with the name that leads to it.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Rc<str>),
    List(usize),
    Tuple(usize),
    /// What a filter yields one by one: true, and without a length.
    Generator(usize),
    Dict(usize),
    Namespace(usize),
    Macro(usize),
    /// The variable `loop`.
    Loop(usize),
    /// A function by its name.
    Function(&'static str),
    /// A method of a value.
    Method(usize),
    Joiner(usize),
    Cycler(usize),
}

/// What a template may take. Memory is counted when it is asked for, and not given back.
#[derive(Debug)]
pub(super) struct Meter {
    steps: u64,
    bytes: u64,
}

/// Steps that a template may take: some hundred thousand times what published ones need.
const STEPS: u64 = 5_000_000;

/// Bytes that its values may take together.
const BYTES: u64 = 64 << 20;

/// How deep values may contain each other when they are looked at as a whole.
pub(super) const DEPTH: usize = 100;

impl Meter {
    pub fn new() -> Self {
        Self { steps: STEPS, bytes: BYTES }
    }

    /// Counts work.
    pub fn step(&mut self, count: u64) -> Result<(), String> {
        self.steps = self.steps.checked_sub(count).ok_or("it takes too many steps")?;
        Ok(())
    }

    /// Counts memory, and the work of filling it.
    pub fn take(&mut self, bytes: u64) -> Result<(), String> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or("what it makes is too large")?;
        self.step(1 + bytes / 64)
    }
}

/// What `loop` knows.
#[derive(Clone, Debug)]
pub(super) struct LoopState {
    pub items: Rc<Vec<Value>>,
    pub index: usize,
    pub depth: usize,
    /// What `loop.changed` saw last.
    pub seen: Option<Value>,
    /// The loop itself and the scope around it, where it may be called.
    pub recursive: Option<(Rc<Loop>, usize)>,
}

/// Everything that values contain, in the order of its making.
#[derive(Debug)]
pub(super) struct Heap {
    pub dialect: super::Dialect,
    pub meter: Meter,
    lists: Vec<Rc<Vec<Value>>>,
    dicts: Vec<Rc<Vec<(Value, Value)>>>,
    pub namespaces: Vec<Vec<(Rc<str>, Value)>>,
    pub loops: Vec<LoopState>,
    pub methods: Vec<(Value, Rc<str>)>,
    /// Of joiners and cyclers: how often they were called.
    pub calls: Vec<(Value, usize)>,
}

type Answer<T> = Result<T, String>;

/// Bytes that a value in a list takes.
const SLOT: u64 = size_of::<Value>() as u64;

impl Heap {
    pub fn new(dialect: super::Dialect) -> Self {
        Self {
            dialect,
            meter: Meter::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            namespaces: Vec::new(),
            loops: Vec::new(),
            methods: Vec::new(),
            calls: Vec::new(),
        }
    }

    /// What is undefined is looked at: an error in some dialects.
    fn missed(&self, name: &str) -> Answer<()> {
        match self.dialect {
            super::Dialect::Chat => Ok(()),
            super::Dialect::Items => Err(format!("{name} is undefined")),
        }
    }

    /// A text, whose bytes are counted.
    pub fn text(&mut self, text: impl Into<Rc<str>>) -> Answer<Value> {
        let text = text.into();
        self.meter.take(16 + text.len() as u64)?;
        Ok(Value::Str(text))
    }

    fn keep(&mut self, items: Vec<Value>) -> Answer<usize> {
        self.meter.take(SLOT * (2 + items.len() as u64))?;
        self.lists.push(Rc::new(items));
        Ok(self.lists.len() - 1)
    }

    pub fn list(&mut self, items: Vec<Value>) -> Answer<Value> {
        self.keep(items).map(Value::List)
    }

    pub fn tuple(&mut self, items: Vec<Value>) -> Answer<Value> {
        self.keep(items).map(Value::Tuple)
    }

    pub fn generator(&mut self, items: Vec<Value>) -> Answer<Value> {
        self.keep(items).map(Value::Generator)
    }

    /// A dictionary; of equal keys the last counts, at the place of the first.
    pub fn dict(&mut self, entries: Vec<(Value, Value)>) -> Answer<Value> {
        self.meter.take(2 * SLOT * (1 + entries.len() as u64))?;
        let mut unique: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            self.meter.step(1 + unique.len() as u64 / 8)?;
            match unique.iter_mut().find(|(k, _)| same_key(k, &key)) {
                Some(known) => known.1 = value,
                None => unique.push((key, value)),
            }
        }
        self.dicts.push(Rc::new(unique));
        Ok(Value::Dict(self.dicts.len() - 1))
    }

    pub fn method(&mut self, of: Value, name: &str) -> Answer<Value> {
        self.meter.take(64)?;
        self.methods.push((of, name.into()));
        Ok(Value::Method(self.methods.len() - 1))
    }

    /// The items of a list, tuple or generator.
    pub fn items(&self, value: &Value) -> Option<Rc<Vec<Value>>> {
        match value {
            Value::List(id) | Value::Tuple(id) | Value::Generator(id) => self.lists.get(*id).cloned(),
            _ => None,
        }
    }

    /// The entries of a dictionary.
    pub fn entries(&self, value: &Value) -> Option<Rc<Vec<(Value, Value)>>> {
        match value {
            Value::Dict(id) => self.dicts.get(*id).cloned(),
            _ => None,
        }
    }

    /// What a dictionary has under a key.
    pub fn lookup(&mut self, dict: &Value, key: &Value) -> Answer<Option<Value>> {
        let Some(entries) = self.entries(dict) else { return Ok(None) };
        self.meter.step(1 + entries.len() as u64 / 8)?;
        Ok(entries.iter().find(|(k, _)| same_key(k, key)).map(|(_, v)| v.clone()))
    }

    /// The field of a namespace, or where a new one goes.
    pub fn field(&mut self, id: usize, name: &str) -> Answer<Option<&mut Value>> {
        let Some(fields) = self.namespaces.get_mut(id) else { return Ok(None) };
        self.meter.step(1 + fields.len() as u64 / 8)?;
        Ok(fields.iter_mut().find(|(key, _)| **key == *name).map(|(_, value)| value))
    }

    /// What a `for` goes over.
    pub fn iterate(&mut self, value: &Value) -> Answer<Rc<Vec<Value>>> {
        if let Some(items) = self.items(value) {
            self.meter.step(1 + items.len() as u64 / 8)?;
            return Ok(items);
        }
        let items: Vec<Value> = match value {
            Value::Undefined(name) => {
                self.missed(name)?;
                Vec::new()
            }
            Value::Dict(_) => {
                self.entries(value).iter().flat_map(|e| e.iter().map(|(k, _)| k.clone())).collect()
            }
            Value::Str(text) => {
                self.meter.take((SLOT + 18) * text.chars().count() as u64)?;
                text.chars().map(|c| Value::Str(c.to_string().into())).collect()
            }
            other => return Err(format!("'{}' object is not iterable", type_name(other))),
        };
        self.meter.take(SLOT * items.len() as u64)?;
        Ok(Rc::new(items))
    }

    /// Whether Python takes a value for true.
    pub fn truth(&self, value: &Value) -> bool {
        match value {
            Value::Undefined(_) | Value::None => false,
            Value::Bool(b) => *b,
            Value::Int(n) => *n != 0,
            Value::Float(x) => *x != 0.0,
            Value::Str(text) => !text.is_empty(),
            Value::List(_) | Value::Tuple(_) => self.items(value).is_some_and(|items| !items.is_empty()),
            Value::Dict(_) => self.entries(value).is_some_and(|entries| !entries.is_empty()),
            _ => true,
        }
    }

    /// Python's `len`.
    pub fn length(&self, value: &Value) -> Answer<usize> {
        match value {
            Value::Undefined(name) => self.missed(name).map(|()| 0),
            Value::Str(text) => Ok(text.chars().count()),
            Value::List(_) | Value::Tuple(_) => Ok(self.items(value).map_or(0, |items| items.len())),
            Value::Dict(_) => Ok(self.entries(value).map_or(0, |entries| entries.len())),
            Value::Loop(id) => Ok(self.loops.get(*id).map_or(0, |l| l.items.len())),
            other => Err(format!("object of type '{}' has no len()", type_name(other))),
        }
    }

    /// Python's `==`.
    pub fn equal(&mut self, a: &Value, b: &Value) -> Answer<bool> {
        self.equal_to_depth(a, b, DEPTH)
    }

    fn equal_to_depth(&mut self, a: &Value, b: &Value, depth: usize) -> Answer<bool> {
        self.meter.step(1)?;
        let depth = depth.checked_sub(1).ok_or("its values are nested too deeply")?;
        if let Some(order) = numeric_order(a, b) {
            return Ok(order == Some(Ordering::Equal));
        }
        Ok(match (a, b) {
            (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
            (Value::Str(x), Value::Str(y)) => {
                self.meter.step(x.len().min(y.len()) as u64 / 64)?;
                x == y
            }
            (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) => {
                let (Some(x), Some(y)) = (self.items(a), self.items(b)) else { return Ok(false) };
                if x.len() != y.len() {
                    return Ok(false);
                }
                for (x, y) in x.iter().zip(&*y) {
                    if !self.equal_to_depth(x, y, depth)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Dict(_), Value::Dict(_)) => {
                let (Some(x), Some(y)) = (self.entries(a), self.entries(b)) else { return Ok(false) };
                if x.len() != y.len() {
                    return Ok(false);
                }
                for (key, value) in x.iter() {
                    let Some(other) = self.lookup(b, key)? else { return Ok(false) };
                    if !self.equal_to_depth(value, &other, depth)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Namespace(x), Value::Namespace(y))
            | (Value::Macro(x), Value::Macro(y))
            | (Value::Generator(x), Value::Generator(y))
            | (Value::Loop(x), Value::Loop(y)) => x == y,
            (Value::Function(x), Value::Function(y)) => x == y,
            _ => false,
        })
    }

    /// Python's `<` and its like.
    pub fn order(&mut self, a: &Value, b: &Value) -> Answer<Ordering> {
        self.order_to_depth(a, b, DEPTH)
    }

    fn order_to_depth(&mut self, a: &Value, b: &Value, depth: usize) -> Answer<Ordering> {
        self.meter.step(1)?;
        let depth = depth.checked_sub(1).ok_or("its values are nested too deeply")?;
        let mixed =
            || format!("'<' not supported between instances of '{}' and '{}'", type_name(a), type_name(b));
        match (a, b) {
            (Value::Str(x), Value::Str(y)) => {
                self.meter.step(x.len().min(y.len()) as u64 / 64)?;
                return Ok(x.cmp(y));
            }
            (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) => {
                let (Some(x), Some(y)) = (self.items(a), self.items(b)) else { return Err(mixed()) };
                for (x, y) in x.iter().zip(&*y) {
                    if !self.equal_to_depth(x, y, depth)? {
                        return self.order_to_depth(x, y, depth);
                    }
                }
                return Ok(x.len().cmp(&y.len()));
            }
            _ => {}
        }
        numeric_order(a, b).flatten().ok_or_else(mixed)
    }

    /// Python's `str`.
    pub fn string(&mut self, value: &Value) -> Answer<Rc<str>> {
        if let Value::Str(text) = value {
            return Ok(Rc::clone(text));
        }
        let mut text = String::new();
        match value {
            Value::Undefined(name) => self.missed(name)?,
            value => self.describe(value, &mut text, DEPTH)?,
        }
        self.meter.take(text.len() as u64)?;
        Ok(text.into())
    }

    /// Python's `repr`.
    pub fn repr(&mut self, value: &Value) -> Answer<String> {
        let mut text = String::new();
        self.describe(value, &mut text, DEPTH)?;
        Ok(text)
    }

    fn describe(&mut self, value: &Value, out: &mut String, depth: usize) -> Answer<()> {
        let before = out.len();
        let inner = depth.checked_sub(1).ok_or("its values are nested too deeply")?;
        // Containers count what they add themselves.
        let own = match value {
            Value::List(_) | Value::Tuple(_) => Some(self.items(value).map_or(0, |items| items.len())),
            Value::Dict(_) => Some(self.entries(value).map_or(0, |entries| entries.len())),
            Value::Namespace(id) => Some(self.namespaces.get(*id).map_or(0, Vec::len)),
            _ => None,
        };
        if let Some(count) = own {
            self.meter.take(2 + 4 * count as u64)?;
        }
        match value {
            Value::Undefined(_) => out.push_str("Undefined"),
            Value::None => out.push_str("None"),
            Value::Bool(true) => out.push_str("True"),
            Value::Bool(false) => out.push_str("False"),
            Value::Int(n) => out.push_str(&n.to_string()),
            Value::Float(x) => out.push_str(&float(*x)),
            Value::Str(text) => quoted(text, out),
            Value::List(_) | Value::Tuple(_) => {
                let items = self.items(value).unwrap_or_default();
                let (open, close) = if matches!(value, Value::List(_)) { ('[', ']') } else { ('(', ')') };
                out.push(open);
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    self.describe(item, out, inner)?;
                }
                out.push_str(if open == '(' && items.len() == 1 { "," } else { "" });
                out.push(close);
            }
            Value::Dict(_) => {
                let entries = self.entries(value).unwrap_or_default();
                self.describe_entries(&entries, out, inner)?;
            }
            Value::Namespace(id) => {
                let fields = self.namespaces.get(*id).cloned().unwrap_or_default();
                let entries: Vec<_> =
                    fields.into_iter().map(|(name, value)| (Value::Str(name), value)).collect();
                out.push_str("<Namespace ");
                self.describe_entries(&entries, out, inner)?;
                out.push('>');
            }
            other => out.push_str(&format!("<{}>", type_name(other))),
        }
        self.meter.take(if own.is_none() { (out.len() - before) as u64 } else { 0 })
    }

    fn describe_entries(&mut self, entries: &[(Value, Value)], out: &mut String, depth: usize) -> Answer<()> {
        out.push('{');
        for (i, (key, value)) in entries.iter().enumerate() {
            out.push_str(if i > 0 { ", " } else { "" });
            self.describe(key, out, depth)?;
            out.push_str(": ");
            self.describe(value, out, depth)?;
        }
        out.push('}');
        Ok(())
    }
}

/// Whether two values are one key of a dictionary.
pub(super) fn same_key(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Str(x), Value::Str(y)) => x == y,
        (Value::None, Value::None) => true,
        _ => numeric_order(a, b) == Some(Some(Ordering::Equal)),
    }
}

/// How two numbers compare, exactly as Python has it: a whole number is not rounded to the next float. `None` where one
/// is no number, and within where one is NaN.
fn numeric_order(a: &Value, b: &Value) -> Option<Option<Ordering>> {
    let float = |value: &Value| match value {
        Value::Float(x) => Some(*x),
        _ => None,
    };
    Some(match (whole(a), whole(b)) {
        (Some(x), Some(y)) => Some(x.cmp(&y)),
        (Some(x), None) => order_to_float(x, float(b)?),
        (None, Some(y)) => order_to_float(y, float(a)?).map(Ordering::reverse),
        (None, None) => float(a)?.partial_cmp(&float(b)?),
    })
}

/// How a whole number compares with a float; `None` for NaN.
fn order_to_float(n: i64, x: f64) -> Option<Ordering> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    let below = x.floor();
    Some(match below {
        _ if x.is_nan() => return None,
        _ if x >= BEYOND => Ordering::Less,
        _ if x < -BEYOND => Ordering::Greater,
        // A fraction is above its whole number.
        _ => n.cmp(&(below as i64)).then(if x > below { Ordering::Less } else { Ordering::Equal }),
    })
}

/// Sorts stably. Unlike that of the standard library, this stops at what has no order and may be given an order that
/// contradicts itself.
pub(super) fn sorted<T>(
    mut items: Vec<T>,
    is_after: &mut dyn FnMut(&T, &T) -> Answer<bool>,
) -> Answer<Vec<T>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let mut made = Vec::with_capacity(items.len() + right.len());
    let mut left = sorted(items, is_after)?.into_iter().peekable();
    let mut right = sorted(right, is_after)?.into_iter().peekable();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if is_after(a, b)? { right.next() } else { left.next() };
        made.extend(next);
    }
    made.extend(left.chain(right));
    Ok(made)
}

/// A number's value; truth values are numbers.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::Int(n) => Some(*n as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    }
}

/// A whole number's value.
pub(super) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(b) => Some(i64::from(*b)),
        Value::Int(n) => Some(*n),
        _ => None,
    }
}

/// Python's name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Undefined(_) => "Undefined",
        Value::None => "NoneType",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Str(_) => "str",
        Value::List(_) => "list",
        Value::Tuple(_) => "tuple",
        Value::Generator(_) => "generator",
        Value::Dict(_) => "dict",
        Value::Namespace(_) => "Namespace",
        Value::Macro(_) => "Macro",
        Value::Loop(_) => "LoopContext",
        Value::Function(_) | Value::Method(_) => "function",
        Value::Joiner(_) => "Joiner",
        Value::Cycler(_) => "Cycler",
    }
}

/// Python's `repr` of a float.
pub(super) fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let text = format!("{x:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if x == 0.0 || (-4..16).contains(&exponent) {
        let plain = format!("{x}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// Python's `repr` of a text.
fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// What is said of whole numbers beyond 64 bits, which Python has.
pub(super) fn too_large() -> String {
    "a number is too large".into()
}

/// What is said of values that an operator does not take.
pub(super) fn unfit(sign: &str, left: &Value, right: Option<&Value>) -> String {
    match (left, right) {
        (Value::Undefined(name), _) => format!("{name} is undefined"),
        (left, Some(right)) => {
            format!("{sign} does not fit values of '{}' and '{}'", type_name(left), type_name(right))
        }
        (left, None) => format!("{sign} does not fit a value of '{}'", type_name(left)),
    }
}
