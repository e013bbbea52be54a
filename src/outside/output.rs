//! A file that is written to.

use std::fs::File;
use std::io::{self, Write};

use super::fault;

/// A file that is written to.
#[derive(Debug)]
pub struct Output(File);

impl Output {
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// The open file, for another process.
    pub fn into_file(self) -> File {
        self.0
    }

    /// Waits until the disk has it all.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        loop {
            match fault::change().and_then(|()| self.0.sync_all()) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = fault::write(bytes.len())?;
        #[cfg(test)]
        if length & fault::testing::HALF != 0 {
            let _ = self.0.write(&bytes[..length ^ fault::testing::HALF]);
            fault::testing::end();
        }
        self.0.write(&bytes[..length])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
