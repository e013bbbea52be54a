//! A new library while it is made: its lock, its plan, and what all its experts have in common.

use std::path::{Path, PathBuf};

use super::saved::{Common, PLAN, Plan, STATE, plan_text};
use super::spec::ClustersSpec;
use crate::catalog::Catalog;
use crate::library::{Manifest, content_sha256, state_dir};
use crate::outside::{Lock, make_folders, own, sweep};
use crate::train::TrainReport;
use crate::train::identity::template_sha256;
use crate::{Cancel, Error, Result};

/// The output folder while it is worked on.
pub(super) struct Work {
    pub(super) folder: PathBuf,
    _lock: Lock,
}

impl Work {
    pub(super) fn open(out: &Path) -> Result<Self> {
        make_folders(out)?;
        // The plan belongs to the library; the lock is where there are some.
        let [folder, locked] = [out.join(STATE.join("/")), state_dir(out)?.join("clusters")];
        make_folders(&folder)?;
        make_folders(&locked)?;
        match Lock::take_where_possible(&locked.join("lock"))? {
            Some(lock) => {
                // What makers that were killed left behind.
                sweep(&folder);
                Ok(Self { folder, _lock: lock })
            }
            None => Err(Error::file(out, "is being made already")),
        }
    }

    pub(super) fn write(&self, plan: &Plan) -> Result<()> {
        own::replace(&self.folder.join(PLAN), &plan_text(plan)?)
    }

    /// Writes the first plan; false where somebody else has, which can be where there are no locks.
    pub(super) fn begin(&self, plan: &Plan) -> Result<bool> {
        let path = self.folder.join(PLAN);
        match own::create_whole(&path, &plan_text(plan)?) {
            Err(_) if own::is_taken(&path) => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Checks that the base model and the template are those with which the first expert was begun.
    pub(super) fn keep_to_common(
        &self,
        spec: &ClustersSpec,
        plan: &mut Plan,
        stage: &mut dyn FnMut(String),
        cancel: &Cancel,
    ) -> Result<()> {
        // As the new library says.
        let library = Catalog::open(&spec.out, None)?;
        let base = content_sha256(&library.base_fetched_with_words(stage, cancel)?)?;
        let template = template_sha256(&library.manifest.template.clone().unwrap_or_default());
        let init = spec.training.init.as_deref().map(content_sha256).transpose()?;
        let now = Common { base, template, init };
        let Some(before) = &plan.common else {
            plan.common = Some(now);
            return self.write(plan);
        };
        let changed = match () {
            () if before.base != now.base => "base model",
            () if before.template != now.template => "template",
            () if before.init != now.init => "adapter to start from",
            () => return Ok(()),
        };
        let problem = format!(
            "was begun with another {changed}: put that back to resume, or choose another folder (--out)"
        );
        Err(Error::file(&spec.out, problem))
    }

    /// Writes the manifest if that has not happened, and takes up experts that were written before the plan
    /// heard of it.
    pub(super) fn collect(&self, spec: &ClustersSpec, plan: &mut Plan) -> Result<()> {
        let manifest = spec.out.join(Manifest::FILE);
        if !manifest.exists() {
            let text = toml::to_string(&plan.manifest).map_err(|e| Error::msg(e.to_string()))?;
            own::replace(&manifest, text.as_bytes())?;
        }
        let library = Catalog::open(&spec.out, spec.training.base.as_deref())?;
        for row in &mut plan.rows {
            let Some(expert) = library.experts.iter().find(|expert| expert.name == row.name) else {
                // It was removed since.
                row.report = None;
                continue;
            };
            let is_new = row.report.is_none() && expert.is_usable();
            let Some(p) = expert.provenance.as_ref().filter(|_| is_new) else { continue };
            row.report = TrainReport::of_finished(&row.name, expert.path.clone(), p);
        }
        self.write(plan)
    }
}
