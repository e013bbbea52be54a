//! A reader of pickles that hold tensors. It knows a short list of classes by name, follows no other, and
//! has no way to call anything: every object is one of the few kinds below.
//!
//! Memory is counted: what a pickle makes the reader hold stays in proportion to the file.

use crate::library::header::short;

/// A value on the pickle machine's stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Text or bytes: where they stand in the pickle.
    Text(Span),
    /// A class or function of the list.
    Global(Global),
    /// Index into the machine's objects.
    Object(u32),
    /// Something that is of no interest here.
    Opaque,
}

/// A stretch of the pickle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// Something that a value can refer to.
#[derive(Clone, Debug)]
pub(super) enum Object {
    /// A list, tuple or set.
    Items(Vec<Value>),
    /// A dictionary, or an object with its attributes.
    Map(Vec<(Value, Value)>),
    Storage {
        kind: Global,
        key: Span,
        elements: i64,
    },
    Tensor(Tensor),
}

/// What PyTorch says of a tensor; nothing of it is checked yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tensor {
    /// The storage's object.
    pub storage: u32,
    pub offset: i64,
    /// Objects with the dimensions and strides.
    pub shape: u32,
    pub strides: u32,
}

/// The classes and functions that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    Dictionary,
    Size,
    RebuildTensor,
    RebuildParameter,
    F64,
    F32,
    F16,
    Bf16,
    /// Storage of whole numbers, by its bytes an element.
    Whole(u8),
    /// A class whose objects are passed over: only their attributes are kept, as data.
    Inert,
}

/// Modules whose classes stand in training checkpoints beside the weights.
const INERT: [&str; 8] = [
    "mttl",
    "projects",
    "pytorch_lightning",
    "lightning",
    "lightning_fabric",
    "transformers",
    "peft",
    "argparse",
];

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict" | "defaultdict") => Self::Dictionary,
            ("torch", "Size") => Self::Size,
            ("torch._utils", "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "DoubleStorage") => Self::F64,
            ("torch", "FloatStorage") => Self::F32,
            ("torch", "HalfStorage") => Self::F16,
            ("torch", "BFloat16Storage") => Self::Bf16,
            ("torch", "LongStorage") => Self::Whole(8),
            ("torch", "IntStorage") => Self::Whole(4),
            ("torch", "ShortStorage") => Self::Whole(2),
            ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => Self::Whole(1),
            ("torch", "device" | "float32" | "float16" | "bfloat16" | "float64" | "int64") => Self::Inert,
            ("builtins" | "__builtin__", "set" | "frozenset" | "dict" | "int" | "float" | "str") => {
                Self::Inert
            }
            ("pathlib", "PosixPath" | "WindowsPath" | "PurePosixPath") => Self::Inert,
            ("enum", "Enum") | ("_codecs", "encode") | ("numpy", "dtype" | "ndarray") => Self::Inert,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct") => Self::Inert,
            _ if module.split('.').next().is_some_and(|package| INERT.contains(&package)) => Self::Inert,
            _ => return None,
        })
    }
}

/// No real checkpoint nests or batches more values than this at once.
const MAX_STACK: usize = 1 << 13;
/// What a pickle may hold beside its share of the file, in bytes.
const ALLOWANCE: usize = 1 << 18;

/// A read pickle.
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    objects: Vec<Object>,
    /// What the pickle is.
    pub root: Value,
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<Value>,
    objects: Vec<Object>,
    budget: usize,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle from a file of `file_length` bytes. The error is a reason without the file's name.
    pub fn read(bytes: &'a [u8], file_length: u64) -> Result<Self, String> {
        if u32::try_from(bytes.len()).is_err() {
            return Err("holds a pickle that is too large".into());
        }
        let share = usize::try_from(file_length).unwrap_or(usize::MAX / 4);
        let mut machine = Machine {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            objects: Vec::new(),
            // Vectors may have twice the room they need.
            budget: ALLOWANCE + share,
        };
        let root = machine.run()?;
        Ok(Self { bytes, objects: machine.objects, root })
    }

    pub fn object(&self, index: u32) -> Option<&Object> {
        self.objects.get(index as usize)
    }

    /// The text a value is, if it is text.
    pub fn text(&self, value: Value) -> Option<&'a str> {
        match value {
            Value::Text(span) => self.span(span),
            _ => None,
        }
    }

    pub fn span(&self, span: Span) -> Option<&'a str> {
        std::str::from_utf8(self.bytes.get(span.start as usize..span.end as usize)?).ok()
    }

    /// The entries of a dictionary or the attributes of an object.
    pub fn map(&self, value: Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Object(index) => match self.object(index)? {
                Object::Map(entries) => Some(entries),
                _ => None,
            },
            _ => None,
        }
    }

    /// The elements of a list or tuple.
    pub fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Object(index) => match self.object(index)? {
                Object::Items(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The last value under a text key.
    pub fn get(&self, map: Value, key: &str) -> Option<Value> {
        let entries = self.map(map)?;
        entries.iter().rev().find(|(known, _)| self.text(*known) == Some(key)).map(|(_, value)| *value)
    }

    /// A number, whatever its type.
    pub fn number(&self, value: Value) -> Option<f64> {
        match value {
            Value::Int(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => None,
        }
    }
}

const BROKEN: &str = "holds a broken pickle";

impl<'a> Machine<'a> {
    fn run(&mut self) -> Result<Value, String> {
        loop {
            let [code] = self.take::<1>()?;
            match code {
                b'.' => return self.pop(),
                0x80 => match self.take::<1>()? {
                    [2..=5] => {}
                    [version] => return Err(format!("holds a pickle of the unknown protocol {version}")),
                },
                0x95 => _ = self.take::<8>()?,
                b'(' => {
                    if self.marks.len() >= MAX_STACK {
                        return Err(too_deep());
                    }
                    self.marks.push(self.stack.len());
                }
                b'0' => _ = self.pop()?,
                b'1' => _ = self.pop_mark()?,
                b'2' => {
                    let top = *self.stack.last().ok_or(BROKEN)?;
                    self.push(top)?;
                }
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'J' => {
                    let number = i32::from_le_bytes(self.take()?);
                    self.push(Value::Int(i64::from(number)))?;
                }
                b'K' => {
                    let [number] = self.take()?;
                    self.push(Value::Int(i64::from(number)))?;
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.take()?);
                    self.push(Value::Int(i64::from(number)))?;
                }
                0x8a => self.long()?,
                b'G' => {
                    let number = f64::from_be_bytes(self.take()?);
                    self.push(Value::Float(number))?;
                }
                b'X' | b'T' | b'B' => self.text_of(4)?,
                0x8c | b'U' | b'C' => self.text_of(1)?,
                0x8d | 0x8e => self.text_of(8)?,
                b')' => self.push_object(Object::Items(Vec::new()))?,
                b']' | 0x8f => self.push_object(Object::Items(Vec::new()))?,
                b'}' => self.push_object(Object::Map(Vec::new()))?,
                b't' | b'l' | 0x91 => {
                    let items = self.pop_mark()?;
                    self.push_items(items)?;
                }
                0x85..=0x87 => {
                    let items = self.pop_many(usize::from(code - 0x84))?;
                    self.push_items(items)?;
                }
                b'a' => {
                    let items = self.pop_many(1)?;
                    self.append(items)?;
                }
                b'e' | 0x90 => {
                    let items = self.pop_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let items = self.pop_many(2)?;
                    self.set(&items)?;
                }
                b'u' => {
                    let items = self.pop_mark()?;
                    self.set(&items)?;
                }
                b'd' => {
                    let items = self.pop_mark()?;
                    self.push_object(Object::Map(Vec::new()))?;
                    self.set(&items)?;
                }
                b'h' => {
                    let [index] = self.take()?;
                    self.recall(u32::from(index))?;
                }
                b'j' => {
                    let index = u32::from_le_bytes(self.take()?);
                    self.recall(index)?;
                }
                b'q' => {
                    let [index] = self.take()?;
                    self.remember(Some(u32::from(index)))?;
                }
                b'r' => {
                    let index = u32::from_le_bytes(self.take()?);
                    self.remember(Some(index))?;
                }
                0x94 => self.remember(None)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (module, name) = (self.text(module)?, self.text(name)?);
                    self.global(module, name)?;
                }
                b'R' | 0x81 => {
                    let (arguments, class) = (self.pop()?, self.pop()?);
                    self.make(class, arguments)?;
                }
                0x92 => {
                    let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                    self.make(class, arguments)?;
                }
                b'b' => self.build()?,
                b'Q' => self.storage()?,
                other => {
                    return Err(format!(
                        "holds a pickle with the instruction 0x{other:02x}, which PyTorch does not write"
                    ));
                }
            }
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).copied();
        let bytes = found.ok_or_else(|| "holds a pickle that was cut off".to_string())?;
        self.at += N;
        Ok(bytes)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.ok_or("holds a pickle that asks for more memory than the file has")?;
        Ok(())
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        if self.stack.len() >= MAX_STACK {
            return Err(too_deep());
        }
        self.stack.push(value);
        Ok(())
    }

    /// Values below the last mark belong to whoever set it.
    fn pop(&mut self) -> Result<Value, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(BROKEN.into());
        }
        self.stack.pop().ok_or_else(|| BROKEN.into())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(at) if at >= floor => Ok(self.stack.split_off(at)),
            _ => Err(BROKEN.into()),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or(BROKEN)?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn push_object(&mut self, object: Object) -> Result<(), String> {
        self.spend(size_of::<Object>())?;
        let index = u32::try_from(self.objects.len()).map_err(|_| BROKEN)?;
        self.objects.push(object);
        self.push(Value::Object(index))
    }

    fn push_items(&mut self, items: Vec<Value>) -> Result<(), String> {
        self.spend(size_of_val(items.as_slice()))?;
        self.push_object(Object::Items(items))
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        self.spend(size_of_val(items.as_slice()))?;
        match self.top()? {
            Some(Object::Items(list)) => list.extend(items),
            // An instance of a class that is passed over.
            Some(Object::Map(_)) | None => {}
            _ => return Err(BROKEN.into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Value]) -> Result<(), String> {
        self.spend(size_of_val(items))?;
        let (pairs, []) = items.as_chunks::<2>() else { return Err(BROKEN.into()) };
        match self.top()? {
            Some(Object::Map(map)) => map.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            None => {}
            _ => return Err(BROKEN.into()),
        }
        Ok(())
    }

    /// The object on top of the stack; `None` for a value that is passed over.
    fn top(&mut self) -> Result<Option<&mut Object>, String> {
        match self.stack.last().copied().ok_or(BROKEN)? {
            Value::Object(index) => Ok(self.objects.get_mut(index as usize)),
            Value::Opaque => Ok(None),
            _ => Err(BROKEN.into()),
        }
    }

    fn long(&mut self) -> Result<(), String> {
        let [length] = self.take()?;
        let bytes = self.slice(usize::from(length))?;
        let bytes = &self.bytes[bytes.start as usize..bytes.end as usize];
        // Longer numbers (seeds, hashes) play no part here.
        let value = match bytes.last() {
            None => Value::Int(0),
            Some(_) if bytes.len() > 8 => Value::Opaque,
            Some(last) => {
                let mut wide = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
                wide.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                Value::Int(i64::from_le_bytes(wide))
            }
        };
        self.push(value)
    }

    fn slice(&mut self, length: usize) -> Result<Span, String> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("holds a pickle that was cut off")?;
        // Fits: the pickle is shorter than 4 GiB.
        let span = Span { start: self.at as u32, end: end as u32 };
        self.at = end;
        Ok(span)
    }

    fn text_of(&mut self, width: usize) -> Result<(), String> {
        let length = match width {
            1 => self.take::<1>().map(|[length]| u64::from(length))?,
            4 => u64::from(u32::from_le_bytes(self.take()?)),
            _ => u64::from_le_bytes(self.take()?),
        };
        let length = usize::try_from(length).map_err(|_| "holds a pickle that was cut off")?;
        let span = self.slice(length)?;
        self.push(Value::Text(span))
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take(512).position(|byte| *byte == b'\n').ok_or(BROKEN)?;
        self.at += length + 1;
        std::str::from_utf8(rest.get(..length).unwrap_or_default()).map_err(|_| BROKEN.into())
    }

    fn text(&self, value: Value) -> Result<&'a str, String> {
        match value {
            Value::Text(span) => {
                std::str::from_utf8(self.bytes.get(span.start as usize..span.end as usize).ok_or(BROKEN)?)
                    .map_err(|_| BROKEN.into())
            }
            _ => Err(BROKEN.into()),
        }
    }

    fn recall(&mut self, index: u32) -> Result<(), String> {
        let value = self.memo.get(index as usize).copied().ok_or(BROKEN)?;
        self.push(value)
    }

    /// Python numbers what it remembers from 0 on, without gaps.
    fn remember(&mut self, index: Option<u32>) -> Result<(), String> {
        let value = *self.stack.last().ok_or(BROKEN)?;
        let index = index.map_or(self.memo.len(), |index| index as usize);
        if index == self.memo.len() {
            self.spend(size_of::<Value>())?;
            self.memo.push(value);
            return Ok(());
        }
        *self.memo.get_mut(index).ok_or(BROKEN)? = value;
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        match Global::find(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None if module == "torch._utils" && name.starts_with("_rebuild_") => Err(format!(
                "holds a tensor of a kind that no adapter has ({}): save it as safetensors",
                short(name)
            )),
            None => Err(format!(
                "is a pickle that asks for {}.{}, which has no place in an adapter: nothing was run, do not \
                 open it with PyTorch; get the adapter as safetensors",
                short(module),
                short(name)
            )),
        }
    }

    /// What a class of the list makes of its arguments.
    fn make(&mut self, class: Value, arguments: Value) -> Result<(), String> {
        let Value::Global(class) = class else { return Err(BROKEN.into()) };
        let Value::Object(index) = arguments else { return Err(BROKEN.into()) };
        let Some(Object::Items(arguments)) = self.objects.get(index as usize) else {
            return Err(BROKEN.into());
        };
        match class {
            Global::RebuildTensor => {
                let [
                    Value::Object(storage),
                    Value::Int(offset),
                    Value::Object(shape),
                    Value::Object(strides),
                    ..,
                ] = arguments.as_slice()
                else {
                    return Err(BROKEN.into());
                };
                let tensor = Tensor { storage: *storage, offset: *offset, shape: *shape, strides: *strides };
                self.push_object(Object::Tensor(tensor))
            }
            Global::RebuildParameter | Global::Size => {
                let first = *arguments.first().ok_or(BROKEN)?;
                self.push(first)
            }
            Global::Dictionary => {
                let pairs = match arguments.first() {
                    Some(Value::Object(pairs)) => self.pairs(*pairs)?,
                    _ => Vec::new(),
                };
                self.spend(size_of_val(pairs.as_slice()))?;
                self.push_object(Object::Map(pairs))
            }
            Global::Inert => self.push_object(Object::Map(Vec::new())),
            Global::F64 | Global::F32 | Global::F16 | Global::Bf16 | Global::Whole(_) => Err(BROKEN.into()),
        }
    }

    /// A list of pairs as the entries of a dictionary.
    fn pairs(&self, list: u32) -> Result<Vec<(Value, Value)>, String> {
        let Some(Object::Items(list)) = self.objects.get(list as usize) else { return Err(BROKEN.into()) };
        // A list may be made of one pair many times over.
        if list.len() * size_of::<(Value, Value)>() > self.budget {
            return Err("holds a pickle that asks for more memory than the file has".into());
        }
        let pair = |value: &Value| match value {
            Value::Object(index) => match self.objects.get(*index as usize) {
                Some(Object::Items(pair)) => match pair.as_slice() {
                    [key, value] => Ok((*key, *value)),
                    _ => Err(BROKEN.to_string()),
                },
                _ => Err(BROKEN.to_string()),
            },
            _ => Err(BROKEN.to_string()),
        };
        list.iter().map(pair).collect()
    }

    /// Attributes of an object: kept as data for classes that are passed over, dropped for the rest.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        let entries = match state {
            Value::Object(index) => match self.objects.get(index as usize) {
                Some(Object::Map(entries)) => entries.len(),
                _ => 0,
            },
            _ => 0,
        };
        let empty = matches!(self.top()?, Some(Object::Map(map)) if map.is_empty());
        if empty && entries > 0 {
            self.spend(entries * size_of::<(Value, Value)>())?;
            if let Value::Object(index) = state
                && let Some(Object::Map(map)) = self.objects.get(index as usize)
            {
                let copy = map.clone();
                if let Some(Object::Map(map)) = self.top()? {
                    *map = copy;
                }
            }
        }
        Ok(())
    }

    /// `('storage', class, key, device, number of elements)`.
    fn storage(&mut self) -> Result<(), String> {
        let Value::Object(index) = self.pop()? else { return Err(BROKEN.into()) };
        let Some(Object::Items(parts)) = self.objects.get(index as usize) else { return Err(BROKEN.into()) };
        let [Value::Text(mark), Value::Global(kind), Value::Text(key), _, Value::Int(elements)] =
            parts.as_slice()
        else {
            return Err(BROKEN.into());
        };
        let (mark, kind, key, elements) = (*mark, *kind, *key, *elements);
        if self.text(Value::Text(mark))? != "storage" {
            return Err(BROKEN.into());
        }
        self.push_object(Object::Storage { kind, key, elements })
    }
}

fn too_deep() -> String {
    "holds a pickle that is nested too deeply".into()
}
