//! Background work that outlives the screen: a job is a directory, a worker process fills it.
//!
//! `<state dir>/jobs/<id>/` holds
//!
//! | file | written by | holds |
//! |---|---|---|
//! | `spec.json` | starter | the [`JobSpec`]: data, never executed |
//! | `lock` | starter, then worker | locked while the worker lives; inherited, so there is no gap |
//! | `worker.json` | worker | process id and version, for people only |
//! | `events.jsonl` | worker | one [`JobEvent`] a line, from the moment it holds a slot |
//! | `log.txt` | worker | its stdout and stderr |
//! | `cancel` | anybody | its existence asks the worker to stop |
//! | `result.json` | worker | the end: written last, in one piece |
//! | `state.safetensors` | worker | of a training: where a resumed job goes on |
//!
//! The state is derived from these, never stored: a result says how it ended; a held lock means alive
//! (queued until the `started` event, cancelling once `cancel` exists); neither means the worker died. A job that was cancelled, failed or died can go on: [`Jobs::resume`] forgets
//! the end and starts another worker in the same directory.

mod directory;
mod events;
mod executor;
mod files;
mod progress;
mod queue;
mod spec;
mod store;
mod work;
mod worker;

pub use directory::JobDir;
pub use executor::{Executor, Local};
pub use spec::{ClusterSpec, JobDetail, JobEvent, JobRow, JobSpec, JobState, JobSummary};
pub use store::{Jobs, LogFollower};
pub use worker::worker;
