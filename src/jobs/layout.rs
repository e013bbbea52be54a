//! The files in a job's directory.

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
