//! The files in a job's directory, and its name.

pub const SPEC: &str = "spec.json";
pub const ORIGIN: &str = "origin";
pub const LOCK: &str = "lock";
pub const WORKER: &str = "worker.json";
pub const EXECUTOR: &str = "executor.json";
pub const AFTER: &str = "after.json";
pub const EVENTS: &str = "events.jsonl";
pub const LOG: &str = "log.txt";
pub const CANCEL: &str = "cancel";
pub const RESULT: &str = "result.json";
pub const STATE: &str = "state.safetensors";
pub const OUTLINE: &str = "outline.json";
pub const GROUP: &str = "group";
pub const HOLD: &str = "hold";
pub const ORDER: &str = "order";
pub const WAITS: &str = "waits";
pub const CORES: &str = "cores";
pub const LIBRARY: &str = "library";
pub const SEEN: &str = "seen.json";

/// Beside the jobs' directories: locked by whoever makes new ones.
pub const STARTS: &str = "starts";

/// Whether a directory's name can be a job's: what people type and see, so plain ASCII.
pub fn is_id(name: &str) -> bool {
    !name.starts_with('.')
        && !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
