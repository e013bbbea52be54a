//! Waiting for streams of the system: whether one can be read or written now.

#[cfg(unix)]
use std::os::fd::{AsRawFd, BorrowedFd};
#[cfg(unix)]
use std::{io, time::Duration};

/// What a stream should be ready for.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Reading, which does not wait then; also at the stream's end.
    ToRead,
    /// Writing a little, which does not wait then.
    ToWrite,
}

/// Waits until a stream is ready, for `patience` at most, without one for as long as it takes. False when it is not.
///
/// # Errors
/// `Interrupted` when a signal was handled meanwhile; others when there is no such stream.
#[cfg(unix)]
pub fn wait(stream: BorrowedFd<'_>, ready: Ready, patience: Option<Duration>) -> io::Result<bool> {
    let events = match ready {
        Ready::ToRead => libc::POLLIN,
        Ready::ToWrite => libc::POLLOUT,
    };
    let mut asked = libc::pollfd { fd: stream.as_raw_fd(), events, revents: 0 };
    let milliseconds = patience.map_or(-1, |time| i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: one pollfd, which lives until the call returns.
    match unsafe { libc::poll(&raw mut asked, 1, milliseconds) } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(false),
        _ if asked.revents & libc::POLLNVAL != 0 => Err(io::ErrorKind::InvalidInput.into()),
        _ => Ok(true),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_stream_is_ready_once_something_was_written() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let now = Some(Duration::ZERO);
        assert!(!wait(near.as_fd(), Ready::ToRead, now).unwrap());
        assert!(wait(near.as_fd(), Ready::ToWrite, now).unwrap());
        far.write_all(b"x").unwrap();
        assert!(wait(near.as_fd(), Ready::ToRead, now).unwrap());
    }
}
