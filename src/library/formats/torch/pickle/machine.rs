//! The machine that runs a pickle: each opcode of the list, and no other.

use super::{BROKEN, Global, Object, Span, Tensor, Value};
use crate::text::short;

/// No real checkpoint nests or batches more values than this at once.
const MAX_STACK: usize = 1 << 13;

/// The pickle machine: a stack, a memo and what was made so far.
pub(super) struct Machine<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) stack: Vec<Value>,
    pub(super) marks: Vec<usize>,
    pub(super) memo: Vec<Value>,
    pub(super) objects: Vec<Object>,
    pub(super) budget: usize,
}

impl<'a> Machine<'a> {
    pub(super) fn run(&mut self) -> Result<Value, String> {
        loop {
            let [code] = self.take::<1>()?;
            match code {
                b'.' => return self.pop(),
                0x80 => match self.take::<1>()? {
                    [2..=5] => {}
                    [version] => return Err(format!("contains a pickle of the unknown protocol {version}")),
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
                        "contains a pickle with the instruction 0x{other:02x}, which PyTorch does not write"
                    ));
                }
            }
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).copied();
        let bytes = found.ok_or_else(|| "contains a pickle that was cut off".to_string())?;
        self.at += N;
        Ok(bytes)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.ok_or("contains a pickle that asks for more memory than the file has")?;
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
        let end = end.ok_or("contains a pickle that was cut off")?;
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
        let length = usize::try_from(length).map_err(|_| "contains a pickle that was cut off")?;
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
                "contains a tensor of a kind that no adapter has ({}): save it as safetensors",
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
            return Err("contains a pickle that asks for more memory than the file has".into());
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
    "contains a pickle that is nested too deeply".into()
}
