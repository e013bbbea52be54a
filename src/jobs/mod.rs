//! Background work that outlives the screen: a job is a directory, a worker process fills it.
//!
//! `<state dir>/jobs/<id>/` contains
//!
//! | file | written by | contains |
//! |---|---|---|
//! | `spec.json` | starter | what to do, of one of the [`kinds`]: data, never executed |
//! | `origin` | starter | that this user started it on this machine: a digest of the spec with the user's key |
//! | `after.json` | starter | ids of the jobs that have to be finished before it begins, if any |
//! | `executor.json` | starter | who runs it, and what it is known by there |
//! | `library` | starter | where its library is below the folder whose job it is, if that is another; nothing where elsewhere |
//! | `group` | starter | the first of the jobs that were started together with it |
//! | `cores` | starter | how many cores it takes, if that was said |
//! | `hold` | anybody | its existence keeps the job from beginning |
//! | `order` | anybody | a number: jobs of smaller ones begin before others |
//! | `waits` | worker | why it may not begin on this machine yet, while that is so |
//! | `lock` | starter, then worker | locked while the worker lives; inherited, so there is no gap |
//! | `worker.json` | worker | process id and version, for people only |
//! | `events.jsonl` | worker | one [`JobEvent`] per line, from the moment it holds a slot |
//! | `log.txt` | worker | its stdout and stderr |
//! | `cancel` | anybody | its existence asks the worker to stop |
//! | `result.json` | worker | the end: written last, in one piece |
//! | `outline.json` | worker | of an evaluation: what it will report, without scores, and where results are kept |
//! | `state.safetensors` | worker | of a training: where a resumed job begins |
//!
//! The state is derived from these, never stored: a result says how it ended; a held lock, or what another executor says, means alive
//! (queued until the `started` event, cancelling once `cancel` exists); neither means the worker died. A job that was
//! cancelled, failed or died can be resumed: [`Jobs::resume`] forgets the end and starts another worker in the same
//! directory.

mod after;
mod change;
mod event;
mod events;
pub mod executors;
#[cfg(all(test, target_os = "linux"))]
mod fault_tests;
mod files;
mod foreground;
mod hand_over;
mod job_dir;
#[allow(clippy::module_inception, reason = "the type of a job list is looked for by this name")]
mod jobs;
pub mod kinds;
mod layout;
mod life;
mod manifest;
mod new_job;
mod order;
mod origin;
mod prepared;
mod progress;
mod queue;
mod remove;
mod share;
mod slots;
mod start;
mod state;
mod summary;
mod times;
mod usage;
mod waits;
mod worker;

pub use after::After;
pub use event::{JobEvent, JobRow};
pub use executors::{Executor, Local, default_executor, executor_named};
pub use foreground::evaluate_in_foreground;
pub use job_dir::JobDir;
pub use jobs::{Jobs, LogFollower};
pub use kinds::{AnyJob, AnyReport, ClusterReport, ClusterSpec, Job};
pub use new_job::NewJob;
pub use order::QueueMove;
pub use progress::{Point, Progress};
pub use share::{SHARE, Share};
pub use start::Started;
pub use state::{Figures, JobDetail, JobState, JobSummary};
pub use times::text as time_text;
pub use usage::Usage;
pub use worker::{worker, worker_of_manifest};
