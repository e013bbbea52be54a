//! Reading files that another program writes and may have broken, or that may have been planted.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::outside::own;
use crate::{Error, Result};

/// Longest line that is understood; longer ones are cut to pieces.
const MAX_LINE: u64 = 1 << 20;

/// The first and the last bytes of a file (all of it if it is short), cut at line ends where possible.
pub fn head_and_tail(path: &Path, each: u64) -> Result<Vec<u8>> {
    let Some(mut file) = own::open(path)? else { return Ok(Vec::new()) };
    let fail = |error| Error::io(path, error);
    let length = file.metadata().map_err(fail)?.len();
    let mut bytes = Vec::new();
    if length <= 2 * each {
        file.take(2 * each).read_to_end(&mut bytes).map_err(fail)?;
        return Ok(bytes);
    }
    file.by_ref().take(each).read_to_end(&mut bytes).map_err(fail)?;
    bytes.push(b'\n');
    file.seek(SeekFrom::Start(length - each)).map_err(fail)?;
    file.take(each).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

/// The last lines of a text file, at most `lines` of them from its last `bytes` bytes.
pub fn last_lines(path: &Path, lines: usize, bytes: u64) -> Result<Vec<String>> {
    let Some(mut file) = own::open(path)? else { return Ok(Vec::new()) };
    let fail = |error| Error::io(path, error);
    let length = file.metadata().map_err(fail)?.len();
    let start = length.saturating_sub(bytes);
    file.seek(SeekFrom::Start(start)).map_err(fail)?;
    let mut text = Vec::new();
    file.take(bytes).read_to_end(&mut text).map_err(fail)?;
    let mut all: Vec<&[u8]> = text.strip_suffix(b"\n").unwrap_or(&text).split(|&b| b == b'\n').collect();
    if start > 0 && all.len() > 1 {
        all.remove(0);
    }
    if text.is_empty() {
        all.clear();
    }
    let skip = all.len().saturating_sub(lines);
    Ok(all[skip..].iter().map(|line| log_line(line)).collect())
}

/// A line as a terminal would leave it: what was drawn over by carriage returns is gone.
pub fn log_line(bytes: &[u8]) -> String {
    let line = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let line = line.rsplit(|&b| b == b'\r').next().unwrap_or(line);
    String::from_utf8_lossy(line).into_owned()
}

/// Reads the complete lines that were appended to a file since the last look.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    offset: u64,
    /// Longer files are looked at only in their first and last parts, the first time.
    whole_up_to: u64,
}

impl Follower {
    /// Follows `path` from its beginning. Of a file longer than `whole_up_to` bytes at the first look,
    /// only the beginning and the last quarter of that many bytes are read.
    pub fn new(path: PathBuf, whole_up_to: u64) -> Self {
        Self { path, offset: 0, whole_up_to }
    }

    /// Calls `line` for every new complete line, without its line break. A file that became shorter is
    /// another file: returns `true` before any line of it, and starts over at the next call.
    pub fn read(&mut self, mut line: impl FnMut(&[u8])) -> Result<bool> {
        let Some(file) = own::open(&self.path)? else {
            return Ok(std::mem::take(&mut self.offset) > 0);
        };
        let length = file.metadata().map_err(|error| Error::io(&self.path, error))?.len();
        if length < self.offset {
            self.offset = 0;
            return Ok(true);
        }
        if self.offset == 0 && length > self.whole_up_to {
            for part in head_and_tail(&self.path, (self.whole_up_to / 4).min(1 << 16))?.split(|&b| b == b'\n')
            {
                line(part);
            }
            self.offset = length - self.whole_up_to / 4;
        }
        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(self.offset)).map_err(|error| Error::io(&self.path, error))?;
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let read = reader
                .by_ref()
                .take(MAX_LINE)
                .read_until(b'\n', &mut buffer)
                .map_err(|error| Error::io(&self.path, error))?;
            if let Some(text) = buffer.strip_suffix(b"\n") {
                line(text);
            } else if (read as u64) < MAX_LINE {
                return Ok(false);
            } else {
                line(&buffer);
            }
            self.offset += read as u64;
        }
    }

    /// What stands after the last line break; for the end, when no more will come.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        let Some(mut file) = own::open(&self.path)? else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.offset))
            .and_then(|_| file.take(MAX_LINE).read_to_end(&mut bytes))
            .map_err(|error| Error::io(&self.path, error))?;
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    fn followed(follower: &mut Follower) -> Vec<String> {
        let mut lines = Vec::new();
        follower.read(|line| lines.push(String::from_utf8_lossy(line).into_owned())).unwrap();
        lines
    }

    #[test]
    fn a_follower_gives_each_complete_line_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let mut follower = Follower::new(path.clone(), 1 << 20);
        assert!(followed(&mut follower).is_empty());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(followed(&mut follower), ["one"]);
        file.write_all(b"o\nthree").unwrap();
        assert_eq!(followed(&mut follower), ["two"]);
        assert_eq!(follower.rest().unwrap(), b"three");
    }

    #[test]
    fn a_file_that_shrank_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "a\nb\n").unwrap();
        let mut follower = Follower::new(path.clone(), 1 << 20);
        assert_eq!(followed(&mut follower), ["a", "b"]);
        std::fs::write(&path, "c\n").unwrap();
        assert!(follower.read(|_| panic!("no line before the reset is known")).unwrap());
        assert_eq!(followed(&mut follower), ["c"]);
    }

    #[test]
    fn a_huge_file_is_read_at_its_ends_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let text: String = (0..10_000).map(|i| format!("line {i}\n")).collect();
        std::fs::write(&path, text).unwrap();
        let lines = followed(&mut Follower::new(path, 4096));
        assert_eq!(lines.first().unwrap(), "line 0");
        assert_eq!(lines.last().unwrap(), "line 9999");
        assert!(lines.len() < 1000);
    }

    #[test]
    fn only_the_last_lines_are_kept_as_a_terminal_would_show_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.txt");
        assert!(last_lines(&path, 5, 1000).unwrap().is_empty());
        std::fs::write(&path, b"first\n10 %\r20 %\r\nbad \xff\nlast").unwrap();
        assert_eq!(last_lines(&path, 3, 1000).unwrap(), ["20 %", "bad \u{fffd}", "last"]);
        assert_eq!(last_lines(&path, 9, 6).unwrap(), ["last"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_folders_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        assert!(own::open(&link).unwrap_err().to_string().contains("not a regular file"));
        assert!(own::open(dir.path()).is_err());
        assert!(own::open(&dir.path().join("none")).unwrap().is_none());
    }
}
