//! Text files, compressed or not, read as a stream.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use crate::outside::{io_reason, open_regular};
use crate::{Error, Result};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 16;
/// A stream that is longer than this and larger than its file by more than [`LARGEST_RATIO`] is nobody's dataset.
const SUSPICIOUS: u64 = 256 << 20;
const LARGEST_RATIO: u64 = 500;
/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A way to compress a text file.
struct Packing {
    name: &'static str,
    endings: &'static [&'static str],
    first: &'static [u8],
    open: fn(BufReader<Counted>) -> io::Result<Box<dyn Read>>,
}

const PACKINGS: [Packing; 2] = [
    Packing {
        name: "gzip",
        endings: &[".gz", ".gzip"],
        first: b"\x1f\x8b",
        open: |file| Ok(Box::new(flate2::bufread::MultiGzDecoder::new(file))),
    },
    Packing {
        name: "zstd",
        endings: &[".zst", ".zstd"],
        first: b"\x28\xb5\x2f\xfd",
        open: |file| Ok(Box::new(zstd::stream::read::Decoder::with_buffer(file)?)),
    },
];

/// A name without the ending that says how the file is compressed, and whether it had one.
pub(super) fn without_ending(name: &str) -> (&str, bool) {
    let endings = PACKINGS.iter().flat_map(|packing| packing.endings);
    endings.into_iter().find_map(|end| name.strip_suffix(end)).map_or((name, false), |inner| (inner, true))
}

/// A file whose bytes are counted.
struct Counted {
    inner: Box<dyn Read>,
    bytes: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get() + read as u64);
        Ok(read)
    }
}

/// What comes out of a compressed file, as long as that is in proportion to what went in.
struct Unpacked {
    inner: Box<dyn Read>,
    packing: &'static str,
    packed: Rc<Cell<u64>>,
    bytes: u64,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let packing = self.packing;
        let read = self.inner.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                invalid(format!(
                    "ends within its {packing} stream: it is truncated, or has something else behind it; get it again"
                ))
            }
            // The file itself cannot be read.
            _ if error.raw_os_error().is_some() => error,
            _ => invalid(format!("is not valid {packing} ({error}): get it again")),
        })?;
        self.bytes += read as u64;
        let packed = self.packed.get().max(1);
        if self.bytes > SUSPICIOUS && self.bytes / packed > LARGEST_RATIO {
            return Err(invalid(format!(
                "unpacks to more than {LARGEST_RATIO} times its size, as no dataset does; unpack it yourself if it is one"
            )));
        }
        Ok(read)
    }
}

fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Opens a text file, unpacked; a byte order mark is passed over.
///
/// # Errors
/// A file that cannot be read, whose name promises another compression, or that is no UTF-8 text.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let at = |e: io::Error| Error::file(path, io_reason(&e));
    let (file, _) = open_regular(path).map_err(at)?;
    let bytes = Rc::new(Cell::new(0));
    let mut file = BufReader::with_capacity(BUFFER, Counted { inner: Box::new(file), bytes: bytes.clone() });
    let first = file.fill_buf().map_err(at)?;
    if first.is_empty() {
        return Err(Error::file(path, "is empty: it has no rows"));
    }
    let name = path.to_string_lossy().to_lowercase();
    let promised = PACKINGS.iter().find(|packing| packing.endings.iter().any(|end| name.ends_with(end)));
    let found = PACKINGS.iter().find(|packing| first.starts_with(packing.first));
    if let (Some(promised), None) = (promised, found) {
        let name = promised.name;
        return Err(Error::file(
            path,
            format!("is not compressed with {name} as its name says; rename it or get it again"),
        ));
    }
    let mut reader: Box<dyn BufRead> = match found {
        Some(packing) => {
            let inner = (packing.open)(file).map_err(at)?;
            let unpacked = Unpacked { inner, packing: packing.name, packed: bytes, bytes: 0 };
            Box::new(BufReader::with_capacity(BUFFER, unpacked))
        }
        None => Box::new(file),
    };
    let first = reader.fill_buf().map_err(at)?;
    let problem = match first {
        [] => Some("is empty: it has no rows"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("is UTF-16 text: save it as UTF-8"),
        _ if first.iter().take(64).any(|byte| *byte == 0) => Some("is no text: its first bytes have zeros"),
        _ => None,
    };
    if let Some(problem) = problem {
        return Err(Error::file(path, problem));
    }
    if first.starts_with(MARK) {
        reader.consume(MARK.len());
    }
    Ok(reader)
}

/// Counts the bytes since a row began, and fails where they are too many for one.
pub(super) struct Bounded<R> {
    pub(super) inner: R,
    pub(super) since: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.since.set(self.since.get() + read);
        match self.since.get() > super::MAX_ROW + BUFFER {
            true => Err(invalid("is longer than 16 MiB".into())),
            false => Ok(read),
        }
    }
}
