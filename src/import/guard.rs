//! Readers of other crates on files of strangers: what they panic at is an error about the file.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs what reads a file; a panic in it is an error, and nothing is printed.
///
/// # Errors
/// Those of `read`, and a sentence in place of a panic.
pub fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                usual(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    // What the reader left half done is dropped with it: nobody looks at it after an error.
    let done = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(outer);
    done.unwrap_or_else(|_| Err("is damaged: its parts contradict each other".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(guarded(|| Ok(1)), Ok(1));
        assert_eq!(guarded::<()>(|| Err("no".into())), Err("no".into()));
        let error = guarded(|| Ok(Vec::<u8>::new()[std::hint::black_box(1)])).unwrap_err();
        assert!(error.contains("damaged"), "{error}");
    }
}
