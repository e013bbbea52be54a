//! The job that a form asks for.

use std::path::{Path, PathBuf};

use super::Form;
use crate::jobs::NewJob;
use crate::jobs::kinds::Around;
use crate::settings::{Role, path_of};
use crate::tui::Shared;

impl Form {
    /// What the fields say. Those that make no sense say nothing; `None` while a plain setting is one of them.
    pub(super) fn job(&self) -> Option<NewJob> {
        let (job, right) = self.read(|text| absolute(&path_of(text)));
        right.then_some(job)
    }

    /// What the fields say, with paths as they are typed, whatever makes no sense left out.
    pub(super) fn typed(&self) -> NewJob {
        self.read(|text| PathBuf::from(text)).0
    }

    fn read(&self, path: impl Fn(&str) -> PathBuf) -> (NewJob, bool) {
        let mut job = self.fresh.clone();
        let mut data = Vec::new();
        let mut right = true;
        for field in &self.fields {
            let Some(look) = field.look() else { continue };
            let text = field.text();
            let paths: Vec<PathBuf> = (!text.is_empty()).then(|| path(&text)).into_iter().collect();
            if look.role == Role::Data {
                data.extend(paths);
                job.job.set_paths(look.id, data.clone());
            } else if self.fresh.job.paths_of(look.id).len() > 1 && text == self.fresh.text(look.id) {
                // As a job like it has them: the text names several.
            } else if look.is_path {
                job.job.set_paths(look.id, paths);
            } else {
                let wrong = job.set(look.id, &text).is_err();
                right &= !wrong || look.role == Role::NewExpert;
            }
        }
        (job, right)
    }
}

/// Where the person is, as jobs need it.
pub(super) fn around(shared: &Shared) -> Around<'_> {
    let shown = shared.clustering.as_ref();
    Around {
        library: &shared.root,
        base: shared.base(),
        device: &shared.device,
        comparable: super::fields::comparable(shared),
        k: shown.map(|shown| shown.k),
        seed: shown.map(|shown| shown.seed),
        sparsity: shared.similarity.as_ref().map(|shown| shown.sparsity),
    }
}

/// Workers may run elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
