//! What jobs that run here take of the machine.

use std::path::Path;

use super::Jobs;
use super::job_dir::read_spec;
use super::layout::WORKER;
use crate::machine::{Gauge, Taken};
use crate::outside::own;

/// Largest `worker.json` that is read.
const MAX_WORKER: u64 = 1 << 16;

/// What a job takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// Its process.
    pub process: u32,
    /// What that takes.
    pub taken: Taken,
    /// The device that it names, if it does.
    pub device: Option<String>,
}

impl Jobs {
    /// What a job takes whose worker runs on this machine; `None` for others.
    pub fn usage(&self, id: &str, gauge: &mut Gauge) -> Option<Usage> {
        let job = self.dir().join(id);
        let process = process_of(&job)?;
        // Its command line names the job's folder.
        let taken = gauge.process(process, id)?;
        let device = read_spec(&job).map(|spec| spec.text("device")).unwrap_or_default();
        let device = Some(device).filter(|device| !matches!(device.as_str(), "" | "auto" | "cpu"));
        Some(Usage { process, taken, device })
    }
}

fn process_of(job: &Path) -> Option<u32> {
    let bytes = own::read(&job.join(WORKER), MAX_WORKER).ok()??;
    let value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    value.get("pid")?.as_u64()?.try_into().ok()
}
