//! What a session prepares for its routers, and what their answers follow from.

use std::sync::Arc;

use super::calibration::{Calibration, CalibrationText};
use super::calibrator::PromptSource;
use super::config::RouterConfig;
use super::experts::ExpertSet;
use super::learner::{Encoding, Subjects};
use super::own_data::{Known, OwnAnswer, OwnSource};
use super::preparing::CalibrationStep;
use super::prompt::Prompt;
use super::routers::RouterSetting;
use super::scores::Needs;
use super::session::Session;
use super::speakers::Speakers;
use crate::{Cancel, Result};

impl Session {
    /// What the answers to a prompt under `config` follow from besides the prompt and the base model, as text: all of its
    /// settings, the content of the experts that take part, and the prompts that it is prepared with.
    ///
    /// # Errors
    /// An expert that is not there; prompts that cannot be read.
    pub fn origin(&self, config: &RouterConfig) -> Result<String> {
        let setting =
            |setting: &&'static RouterSetting| format!("{}={}", setting.name, config.values.get(setting));
        let mut parts = vec![config.head()];
        parts.extend(config.router.settings.iter().map(setting));
        if config.router.names_expert() {
            parts.push(format!("expert={}", self.all.digest_of(&config.argument)?));
            for name in &config.general {
                parts.push(format!("general={}", self.all.digest_of(name)?));
            }
        } else if config.is_weighted() {
            parts.push(format!("experts={}", self.all.whole_digest()));
            let lists = [("muted", &config.muted), ("pinned", &config.pinned), ("general", &config.general)];
            for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
                parts.push(format!("{name}={list:?}"));
            }
        }
        if config.needs_calibration() || config.needs() > Needs::Spectra {
            let own = match config.needs() > Needs::Spectra {
                true => self.learner.find(&self.all.names)?,
                false => Vec::new(),
            };
            parts.push(format!("prepared={}", self.calibrator.digest(config, &own)?));
        }
        Ok(parts.join(" "))
    }

    /// From now on calibrations are made with these prompts; a calibrated router is to be set again.
    pub fn calibrate_with(&mut self, source: PromptSource) {
        self.calibrator.set_source(source);
    }

    /// What is usual for the present experts: what was measured before, else measured now with the prompts of
    /// [`Self::calibrate_with`], the general ones of this program where none were given.
    ///
    /// # Errors
    /// Prompts that cannot be read or used; a raised `cancel`.
    pub fn calibrate(
        &self,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Arc<Calibration>> {
        let speakers = Speakers::all(&self.experts);
        self.calibration_of((&self.experts, &speakers), &Known::default(), step, cancel)
    }

    /// What routers need to be known of the present experts beside their weights: what was found before, else found now
    /// with the data of [`Self::learn_from`].
    ///
    /// # Errors
    /// Experts whose data is not known; data that cannot be read or used; a raised `cancel`.
    pub fn learn(
        &self,
        needs: Needs,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Known> {
        self.known(needs, (&self.experts, &Speakers::all(&self.experts)), step, cancel)
    }

    pub(super) fn known(
        &self,
        needs: Needs,
        (experts, speakers): (&ExpertSet, &Speakers),
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Known> {
        let prompt = |text: &CalibrationText| self.encode(text);
        let answer = |answer: &OwnAnswer| match answer {
            OwnAnswer::Tokens(ids) => Ok(ids.clone()),
            OwnAnswer::Text(text) => {
                self.model.tokenizer()?.encode(&format!("{text}{}", self.template().end))
            }
        };
        let encoding = Encoding { prompt: &prompt, answer: &answer };
        let subjects = Subjects { experts, speakers, model: &self.model };
        self.learner.known(needs, subjects, &encoding, step, cancel)
    }

    pub(super) fn calibration_of(
        &self,
        (experts, speakers): (&ExpertSet, &Speakers),
        known: &Known,
        step: &mut dyn FnMut(CalibrationStep),
        cancel: &Cancel,
    ) -> Result<Arc<Calibration>> {
        experts.require_any()?;
        let encode = |text: &CalibrationText| self.encode(text);
        self.calibrator.get((experts, &self.model, known), (&encode, &speakers.active), step, cancel)
    }

    pub(super) fn encode(&self, text: &CalibrationText) -> Result<Prompt> {
        match text {
            CalibrationText::Instruction(instruction, input) => self.prompt_of(instruction, input),
            CalibrationText::Tokens(ids) => Ok(Prompt::of_tokens(ids.clone())),
        }
    }

    /// From now on these are the experts' own prompts, for routers that know experts by them; such a router is to be
    /// set again.
    pub fn learn_from(&mut self, source: OwnSource) {
        self.learner.set_source(source);
    }

    /// What the last calibrated router was calibrated with, also one that was resolved only.
    pub fn last_calibration(&self) -> Option<Arc<Calibration>> {
        self.calibrator.last()
    }

    /// What the present router was calibrated with, where it was.
    pub fn calibrated(&self) -> Option<Arc<Calibration>> {
        self.config.needs_calibration().then(|| self.calibrator.last()).flatten()
    }
}
