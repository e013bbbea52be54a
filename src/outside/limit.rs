//! How many files a process may have open.

/// What else a process has open, with room to spare.
const OTHERS: usize = 256;
/// Where nothing is known of the limit.
#[cfg(not(unix))]
const USUAL: usize = 256;

/// How many of `wanted` files can be open at once beside what else is, at least one. The limit that a user may raise is raised
/// as far as that takes.
#[cfg(unix)]
pub fn room_for_open_files(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // No limit, or more than that.
    let Some(mut current) = limit.current else { return wanted.max(1) };
    let needed = (wanted + OTHERS) as u64;
    if current < needed {
        let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok() {
            current = raised;
        }
    }
    let room = usize::try_from(current).unwrap_or(usize::MAX).saturating_sub(OTHERS);
    wanted.min(room).max(1)
}

/// The same where nothing can be asked.
#[cfg(not(unix))]
pub fn room_for_open_files(wanted: usize) -> usize {
    wanted.clamp(1, USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_always_have_room_and_endlessly_many_never() {
        assert_eq!((room_for_open_files(0), room_for_open_files(3)), (1, 3));
        assert!(room_for_open_files(1 << 40) >= 1);
    }
}
