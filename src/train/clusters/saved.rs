//! The plan of a new library, as it is kept in it: what is to be made, and what has been.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::library::{Manifest, Skipped, moved, real_of};
use crate::outside::own;
use crate::train::rows::TrainRow;
use crate::{Error, Result};

/// Where the plan and the states are, in the new library.
pub(super) const STATE: [&str; 2] = [".lora-tui", "clusters"];
/// What is to be made, and what has been.
pub(super) const PLAN: &str = "plan.json";
/// Largest plan that is read back.
const MAX_PLAN: u64 = 64 << 20;

/// What is kept in the new library while it is made.
#[derive(Serialize, Deserialize)]
pub(super) struct Plan {
    /// Of the settings.
    pub(super) digest: String,
    /// Where the new library was.
    #[serde(default)]
    pub(super) out: PathBuf,
    /// What all experts have in common, once the first is begun.
    #[serde(default)]
    pub(super) common: Option<Common>,
    pub(super) silhouette: Option<f64>,
    pub(super) warnings: Vec<String>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) rows: Vec<TrainRow>,
    pub(super) manifest: Manifest,
}

/// What has to be the same for all experts of a library. SHA-256 each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Common {
    /// Content of the base model's files.
    pub(super) base: String,
    /// Prompt and end of the template.
    pub(super) template: String,
    /// Content of the adapter that they start from.
    #[serde(default)]
    pub(super) init: Option<String>,
}

fn plan_path(out: &Path) -> PathBuf {
    out.join(STATE.join("/")).join(PLAN)
}

pub(super) fn has_plan(out: &Path) -> bool {
    plan_path(out).exists()
}

pub(super) fn read_plan(out: &Path) -> Result<Plan> {
    let path = plan_path(out);
    let bytes = own::read(&path, MAX_PLAN)?.ok_or_else(|| Error::file(&path, "is missing"))?;
    let mut plan: Plan =
        serde_json::from_slice(&bytes).map_err(|e| Error::file(&path, format!("cannot be read: {e}")))?;
    let here = real_of(out)?;
    if plan.out != here {
        for data in plan.rows.iter_mut().flat_map(|row| &mut row.data) {
            *data = moved(data, &plan.out, &here);
        }
        plan.out = here;
    }
    Ok(plan)
}

pub(super) fn plan_text(plan: &Plan) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(plan).map_err(|e| Error::msg(e.to_string()))
}
