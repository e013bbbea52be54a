//! A strict reader of GGUF headers: metadata, and where tensors lie; never the tensors' data.
//!
//! Files are untrusted: every count and length is compared with what is left of the file before anything
//! is allocated, and memory stays within a small multiple of the header's own size. For base models and
//! for adapters alike.

mod split;
mod types;
mod value;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

pub(crate) use split::{first_part, model_in, parts};
pub(crate) use types::GgmlType;
use value::Kind;
pub(crate) use value::{Array, Scalar, Value};

use crate::outside::{io_reason, open_regular, read_exact_at};
use crate::text::short;
use crate::{Error, Result};

/// Real headers have up to some ten million bytes, most of them the tokenizer's.
const MAX_HEADER: u64 = 512 << 20;
/// Real files have some dozens of entries: this bounds the memory that empty ones take.
const MAX_ENTRIES: u64 = 4096;
/// Models of hundreds of experts and layers have some ten thousand tensors.
const MAX_TENSORS: u64 = 1 << 20;
/// Bytes of a description without name and dimensions: bounds the number of tensors by the file's size.
const MIN_TENSOR: u64 = 24;
const MAX_DIMS: u32 = 4;
const MAX_NESTING: u32 = 4;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GgufTensor {
    pub name: String,
    dims: [u64; MAX_DIMS as usize],
    /// Number of its type; the type itself would make hostile headers cost more memory than they have bytes.
    kind: u32,
    dim_count: u8,
    /// The file it lies in: 0 for the first, else one more than its place among the others.
    part: u32,
    /// From the start of its file.
    pub start: u64,
    /// In bytes; 0 where the type is not known.
    pub length: u64,
}

impl GgufTensor {
    /// Type of its elements.
    pub fn kind(&self) -> GgmlType {
        GgmlType::from_id(self.kind)
    }

    /// Dimensions, outermost first (as in safetensors; the file has them the other way round).
    pub fn shape(&self) -> Vec<usize> {
        // Each was checked to fit.
        self.dims[..usize::from(self.dim_count)].iter().rev().map(|&d| d as usize).collect()
    }
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    file: File,
}

/// A GGUF file whose header was read, with the other parts if it is the first of several.
#[derive(Debug)]
pub(crate) struct GgufFile {
    first: Part,
    others: Vec<Part>,
    metadata: HashMap<String, Value>,
    /// Sorted by name.
    tensors: Vec<GgufTensor>,
}

impl GgufFile {
    /// Reads the header of one file, which may be a part of a model (see [`GgufFile::open_model`]).
    ///
    /// # Errors
    /// Files that cannot be read, are no GGUF, or whose header is damaged or cut off; in one line each.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, facts) = open_regular(path).map_err(|e| Error::file(path, io_reason(&e)))?;
        let (metadata, tensors) = Header::new(&file, facts.len())
            .read()
            .map_err(|problem| Error::file(path, problem.unwrap_or_else(|e| io_reason(&e))))?;
        Ok(Self { first: Part { path: path.to_path_buf(), file }, others: Vec::new(), metadata, tensors })
    }

    /// An error about this file.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        Error::file(&self.first.path, problem)
    }

    /// An error about one of its tensors: `problem` follows the name.
    pub fn tensor_error(&self, tensor: &GgufTensor, problem: &str) -> Error {
        Error::file(&self.part(tensor).path, format!("tensor {} {problem}", short(&tensor.name)))
    }

    /// The file that a tensor lies in, for reading by position.
    pub fn handle(&self, tensor: &GgufTensor) -> &File {
        &self.part(tensor).file
    }

    fn part(&self, tensor: &GgufTensor) -> &Part {
        let other = (tensor.part as usize).checked_sub(1).and_then(|other| self.others.get(other));
        other.unwrap_or(&self.first)
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The text under `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number or truth value under `key`.
    pub fn scalar(&self, key: &str) -> Option<Scalar> {
        match self.get(key)? {
            Value::Number(scalar) => Some(*scalar),
            _ => None,
        }
    }

    /// The array under `key`.
    pub fn array(&self, key: &str) -> Option<&Array> {
        match self.get(key)? {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// All tensors, sorted by name.
    pub fn tensors(&self) -> &[GgufTensor] {
        &self.tensors
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&GgufTensor> {
        let at = self.tensors.binary_search_by(|t| t.name.as_str().cmp(name)).ok()?;
        self.tensors.get(at)
    }

    /// Fills `buffer` with a tensor's bytes from its byte `from` on.
    pub fn read_at(&self, tensor: &GgufTensor, from: u64, buffer: &mut [u8]) -> Result<()> {
        let end = from.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > tensor.length) {
            return Err(self.tensor_error(tensor, "is shorter than its shape says"));
        }
        read_exact_at(self.handle(tensor), buffer, tensor.start + from)
            .map_err(|e| self.tensor_error(tensor, &format!("cannot be read: {}", io_reason(&e))))
    }
}

/// What is wrong with a header, or why it could not be read.
type Problem = Result<String, io::Error>;

fn wrong<T>(problem: impl Into<String>) -> Result<T, Problem> {
    Err(Ok(problem.into()))
}

/// Reads a header from its start, knowing how much of the file is left.
struct Header<'a> {
    reader: BufReader<&'a File>,
    at: u64,
    length: u64,
}

impl<'a> Header<'a> {
    fn new(file: &'a File, length: u64) -> Self {
        Self { reader: BufReader::with_capacity(1 << 16, file), at: 0, length }
    }

    fn left(&self) -> u64 {
        self.length - self.at
    }

    /// Checks that `bytes` more can be there.
    fn expect(&self, bytes: u64, what: &str) -> Result<usize, Problem> {
        if bytes > self.left() {
            let at = self.at;
            return wrong(format!(
                "was cut off or is damaged: {what} at byte {at} needs {bytes} bytes, {} are left",
                self.left()
            ));
        }
        if self.at.saturating_add(bytes) > MAX_HEADER {
            return wrong(format!(
                "is damaged: {what} at byte {} has {bytes} bytes, more than any header",
                self.at
            ));
        }
        usize::try_from(bytes).map_err(|_| Ok(format!("{what} is too large for this machine")))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Problem> {
        self.reader.read_exact(buffer).map_err(Err)?;
        self.at += buffer.len() as u64;
        Ok(())
    }

    fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Problem> {
        self.expect(N as u64, what)?;
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Problem> {
        self.take(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, Problem> {
        self.take(what).map(u64::from_le_bytes)
    }

    fn bytes(&mut self, length: u64, what: &str) -> Result<Vec<u8>, Problem> {
        let mut bytes = vec![0; self.expect(length, what)?];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn string(&mut self, what: &str) -> Result<String, Problem> {
        let length = self.u64(what)?;
        let bytes = self.bytes(length, what)?;
        String::from_utf8(bytes).or_else(|e| Ok(String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    fn read(mut self) -> Result<(HashMap<String, Value>, Vec<GgufTensor>), Problem> {
        self.magic()?;
        let tensor_count = self.u64("the number of tensors")?;
        let entries = self.u64("the number of metadata entries")?;
        if entries > MAX_ENTRIES {
            return wrong(format!("is damaged: it claims {entries} metadata entries"));
        }
        if tensor_count > MAX_TENSORS.min(self.left() / MIN_TENSOR) {
            return wrong(format!("is damaged: it claims {tensor_count} tensors in {} bytes", self.length));
        }
        let mut metadata = HashMap::new();
        for _ in 0..entries {
            let key = self.string("a metadata key")?;
            let kind = self.kind(&key)?;
            let value = self.value(kind, &key)?;
            if metadata.contains_key(&key) {
                return wrong(format!("is damaged: it has \"{}\" twice", short(&key)));
            }
            metadata.insert(key, value);
        }
        // Bounded above; growing by doubling would take more than this at its peak.
        let mut tensors = Vec::with_capacity(tensor_count as usize);
        for _ in 0..tensor_count {
            tensors.push(self.tensor()?);
        }
        let alignment = match metadata.get("general.alignment") {
            Some(Value::Number(scalar)) => scalar.as_u64().unwrap_or(0),
            Some(_) => 0,
            None => 32,
        };
        // A power of two that is no larger than a page table's largest pages.
        if !alignment.is_power_of_two() || alignment > 1 << 30 {
            return wrong(format!("is damaged: its alignment cannot be {alignment}"));
        }
        let data = self.at.next_multiple_of(alignment);
        for tensor in &mut tensors {
            self.place(tensor, data)?;
        }
        tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return wrong(format!("is damaged: it has tensor {} twice", short(&pair[0].name)));
        }
        Ok((metadata, tensors))
    }

    fn magic(&mut self) -> Result<(), Problem> {
        let magic: [u8; 4] = self.take("the file's mark")?;
        match &magic {
            b"GGUF" => {}
            b"vers" => return wrong("is a Git LFS pointer, not the model: run `git lfs pull`"),
            b"tjgg" | b"lmgg" | b"fmgg" => {
                return wrong("is in a format older than GGUF: convert the original model again");
            }
            _ => return wrong("is not a GGUF file"),
        }
        match self.u32("the version")? {
            2 | 3 => Ok(()),
            1 => wrong("has GGUF version 1, which is too old: convert the original model again"),
            v if matches!(v.swap_bytes(), 1..=3) => {
                wrong("is a big-endian GGUF file: convert the original model for this machine")
            }
            v => wrong(format!("has GGUF version {v}, which is not known (known: 2 and 3)")),
        }
    }

    fn kind(&mut self, key: &str) -> Result<Kind, Problem> {
        let id = self.u32("a value's type")?;
        Kind::from_id(id)
            .ok_or_else(|| Ok(format!("is damaged: \"{}\" has a value of unknown type {id}", short(key))))
    }

    fn value(&mut self, kind: Kind, key: &str) -> Result<Value, Problem> {
        match (kind, kind.size()) {
            (_, Some(size)) => {
                let mut bytes = [0; 8];
                self.expect(size as u64, "a value")?;
                self.fill(&mut bytes[..size])?;
                let scalar = Scalar::read(kind, &bytes[..size]);
                scalar.map(Value::Number).ok_or_else(|| Ok("is damaged".into()))
            }
            (Kind::Text, _) => self.string("a text").map(Value::Text),
            _ => self.array(key),
        }
    }

    fn array(&mut self, key: &str) -> Result<Value, Problem> {
        let kind = self.kind(key)?;
        let count = self.u64("an array")?;
        let what = format!("the array \"{}\"", short(key));
        let len = self.expect(count, &what)?;
        match (kind, kind.size()) {
            (_, Some(size)) => {
                let bytes = self.bytes(count.saturating_mul(size as u64), &what)?;
                Ok(Value::Array(Array { kind, len, bytes }))
            }
            (Kind::Text, _) => {
                self.expect(count.saturating_mul(8), &what)?;
                let mut bytes = Vec::new();
                for _ in 0..count {
                    let prefix: [u8; 8] = self.take(&what)?;
                    let length = self.expect(u64::from_le_bytes(prefix), &what)?;
                    bytes.extend_from_slice(&prefix);
                    let from = bytes.len();
                    bytes.resize(from + length, 0);
                    self.fill(&mut bytes[from..])?;
                }
                bytes.shrink_to_fit();
                Ok(Value::Array(Array { kind, len, bytes }))
            }
            _ => {
                for _ in 0..count {
                    self.skip_array(key, 1)?;
                }
                Ok(Value::Nested)
            }
        }
    }

    fn skip_array(&mut self, key: &str, depth: u32) -> Result<(), Problem> {
        if depth > MAX_NESTING {
            return wrong(format!("is damaged: \"{}\" has arrays in arrays in arrays", short(key)));
        }
        let kind = self.kind(key)?;
        let count = self.u64("an array")?;
        if let Some(size) = kind.size() {
            let bytes = self.expect(count.saturating_mul(size as u64), "an array")?;
            return self.skip(bytes);
        }
        for _ in 0..count {
            match kind {
                Kind::Text => {
                    let length = self.u64("a text")?;
                    let length = self.expect(length, "a text")?;
                    self.skip(length)?;
                }
                _ => self.skip_array(key, depth + 1)?,
            }
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Problem> {
        let done = io::copy(&mut self.reader.by_ref().take(bytes as u64), &mut io::sink()).map_err(Err)?;
        self.at += done;
        if done < bytes as u64 { Err(Err(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
    }

    fn tensor(&mut self) -> Result<GgufTensor, Problem> {
        let name = self.string("a tensor's name")?;
        let dim_count = self.u32("a tensor's shape")?;
        if dim_count > MAX_DIMS {
            return wrong(format!("is damaged: tensor {} claims {dim_count} dimensions", short(&name)));
        }
        let mut dims = [1; MAX_DIMS as usize];
        for dim in &mut dims[..dim_count as usize] {
            *dim = self.u64("a tensor's shape")?;
        }
        let kind = self.u32("a tensor's type")?;
        let start = self.u64("a tensor's offset")?;
        Ok(GgufTensor { name, kind, dims, dim_count: dim_count as u8, part: 0, start, length: 0 })
    }

    /// Turns the offset within the data into one within the file, and checks that the data is there.
    fn place(&self, tensor: &mut GgufTensor, data: u64) -> Result<(), Problem> {
        let name = || short(&tensor.name);
        let elements = tensor.dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d));
        let Some(elements) = elements.filter(|&n| usize::try_from(n).is_ok()) else {
            return wrong(format!("is damaged: tensor {} has an impossible shape", name()));
        };
        let kind = tensor.kind();
        if !tensor.dims[0].is_multiple_of(kind.block) {
            return wrong(format!(
                "is damaged: tensor {} has rows of {}, type {kind} needs a multiple of {}",
                name(),
                tensor.dims[0],
                kind.block
            ));
        }
        let length = (elements / kind.block).checked_mul(kind.bytes);
        let start = data.checked_add(tensor.start);
        let end = length.zip(start).and_then(|(length, start)| start.checked_add(length));
        let (Some(length), Some(start), Some(end)) = (length, start, end) else {
            return wrong(format!("is damaged: tensor {} has an impossible place", name()));
        };
        if end > self.length {
            return wrong(format!(
                "was cut off: tensor {} ends at byte {end}, the file has {}: fetch it again",
                name(),
                self.length
            ));
        }
        (tensor.start, tensor.length) = (start, length);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
