//! Background work that outlives the screen: a job is a directory, a worker process fills it.

mod spec;

pub use spec::{ClusterSpec, JobDetail, JobEvent, JobSpec, JobState, JobSummary};
