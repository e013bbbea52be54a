//! Calls into the tokenizers library, whose panics become errors: damaged files reach its indexing and unwraps.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is caught here, and therefore not reported.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the report of a caught panic from standing beside the error that it becomes.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !CAUGHT.get() {
                previous(info);
            }
        }));
    });
}

/// What `work` gives.
///
/// # Errors
/// Its error as text, or that the tokenizer is damaged, where it panics.
pub(super) fn guarded<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    silence();
    let before = CAUGHT.replace(true);
    // What a panic leaves half done is its cache of words, which it looks at without waiting.
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(before);
    match outcome {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the tokenizer is damaged: its parts do not fit together".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_an_error_stays_one() {
        assert_eq!(guarded(|| Ok::<_, String>(3)), Ok(3));
        assert_eq!(guarded(|| Err::<(), _>("no")), Err("no".into()));
        let empty: Vec<u32> = Vec::new();
        let error = guarded(|| Ok::<_, String>(empty[1])).unwrap_err();
        assert!(error.contains("damaged"), "{error}");
    }
}
