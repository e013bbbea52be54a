//! How one expert's training begins: its name is claimed, its data read and checked, and what an earlier run finished
//! is found.

use std::path::Path;

use super::frozen::Frozen;
use super::identity::Identity;
use super::log::StepLog;
use super::one::OneOf;
use super::prepare::{Prepared, Tokens};
use super::{TrainEvent, TrainReport, TrainSpec};
use crate::library::{Claim, Expert, Library, Provenance, exists};
use crate::outside::own;
use crate::{Cancel, Result};

/// How a training begins.
pub(super) enum Opened<'a> {
    /// An earlier run finished the expert.
    Finished(TrainReport),
    /// The model has to be loaded for it.
    Ready(Box<Ready<'a>>),
}

/// A training whose data is read and checked.
pub(super) struct Ready<'a> {
    pub(super) one: OneOf<'a>,
    pub(super) claim: Claim,
    pub(super) prepared: Prepared,
    pub(super) tokens: Tokens,
    pub(super) identity: Identity,
}

impl<'a> Ready<'a> {
    /// Claims the name of the new expert, and reads and checks the data. `frozen` is opened by the first.
    ///
    /// # Errors
    /// Bad specification, data or base model; a name that exists.
    pub(super) fn open(
        one: &OneOf<'a>,
        frozen: &mut Option<Frozen>,
        events: &mut dyn FnMut(TrainEvent),
        cancel: &Cancel,
    ) -> Result<Opened<'a>> {
        let OneOf { spec, state, .. } = *one;
        spec.check()?;
        // With a state, an earlier run may have finished the expert and not lived to report it.
        let claim = match state {
            Some(_) => Claim::take_again(&spec.library, &spec.name)?,
            None => Claim::take(&spec.library, &spec.name)?,
        };
        let finished = match own::is_taken(&claim.path) {
            true => Some(made_before(&claim.path).ok_or_else(|| exists(&claim.path))?),
            false => None,
        };
        events(TrainEvent::Stage("reading the data".into()));
        let prepared = Prepared::read(spec, |catalog| {
            catalog.base_fetched_with_words(&mut |text| events(TrainEvent::Stage(text)), cancel)
        })?;
        if let Some(path) = spec.log.as_ref().filter(|path| !path.exists()) {
            StepLog::open(path, 0)?;
        }
        let base = match frozen {
            Some(frozen) => {
                frozen.check(&prepared.base, spec)?;
                frozen
            }
            None => frozen.insert(Frozen::open(&prepared.base, spec)?),
        };
        let tokens = prepared.encode(spec, base.tokenizer()?, base.spec()?.context)?;
        if let Some(cuts) = tokens.cuts() {
            events(TrainEvent::Stage(cuts));
        }
        let identity = Identity::new(one, &prepared, &tokens)?;
        if let Some(found) = finished {
            let report = take_up(spec, &claim.path, &found, &identity)?;
            events(TrainEvent::Stage("the expert was finished by an earlier run".into()));
            remove_state(state);
            return Ok(Opened::Finished(report));
        }
        Ok(Opened::Ready(Box::new(Self { one: *one, claim, prepared, tokens, identity })))
    }

    /// Length of each training example.
    pub(super) fn lengths(&self) -> Vec<usize> {
        self.tokens.lengths()
    }
}

/// The expert is there: a state that stays behind is only in the way.
pub(super) fn remove_state(state: Option<&Path>) {
    if let Some(path) = state {
        let _ = own::remove(path);
    }
}

/// Where an expert that lies at `path` came from, if a training made it whole.
fn made_before(path: &Path) -> Option<Provenance> {
    let expert = Library::open(path).ok()?.experts.into_iter().next().filter(Expert::is_usable)?;
    expert.provenance.filter(|provenance| provenance.training_sha256.is_some())
}

/// The report of an expert that an earlier run of this very training finished.
fn take_up(spec: &TrainSpec, path: &Path, found: &Provenance, identity: &Identity) -> Result<TrainReport> {
    let ours = found.training_sha256 == Some(identity.sha256()?);
    let report = TrainReport::of_finished(&spec.name, path.to_path_buf(), found);
    report.filter(|_| ours).ok_or_else(|| exists(path))
}
