//! What jobs do once it is their turn.

use serde_json::Value;

use super::JobSpec;
use super::events::EventLog;
use crate::{Cancel, Error, Result};

/// Does the work of `spec`, reporting to `events`; returns what goes into the result.
pub fn run(spec: &JobSpec, events: &mut EventLog, cancel: &Cancel) -> Result<Value> {
    cancel.check()?;
    events.stage(spec.kind());
    Err(Error::msg(format!("this version has no {} jobs yet", spec.kind())))
}
