//! A reader of pickles of tensors. It knows a short list of classes by name, follows no other, and
//! has no way to call anything: every object is one of the few kinds below.
//!
//! Memory is counted: what a pickle makes the reader keep stays in proportion to the file.

mod machine;

use self::machine::Machine;

/// A value on the pickle machine's stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::library::formats) enum Value {
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
pub(in crate::library::formats) struct Span {
    start: u32,
    end: u32,
}

/// Something that a value can refer to.
#[derive(Clone, Debug)]
pub(in crate::library::formats) enum Object {
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
pub(in crate::library::formats) struct Tensor {
    /// The storage's object.
    pub storage: u32,
    pub offset: i64,
    /// Objects with the dimensions and strides.
    pub shape: u32,
    pub strides: u32,
}

/// The classes and functions that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::library::formats) enum Global {
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

/// What a pickle may take beside its share of the file, in bytes.
const ALLOWANCE: usize = 1 << 18;

/// A read pickle.
pub(in crate::library::formats) struct Pickle<'a> {
    bytes: &'a [u8],
    objects: Vec<Object>,
    /// What the pickle is.
    pub root: Value,
}

impl<'a> Pickle<'a> {
    /// Reads a pickle from a file of `file_length` bytes. The error is a reason without the file's name.
    pub fn read(bytes: &'a [u8], file_length: u64) -> Result<Self, String> {
        if u32::try_from(bytes.len()).is_err() {
            return Err("contains a pickle that is too large".into());
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

const BROKEN: &str = "contains a broken pickle";
